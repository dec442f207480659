"""Committed offsets."""

from . import loads

COMMIT_CONNECTIONS = 8
COMMIT_REQUESTS = 40_000


def commit(bench):
    """One offset in each OffsetCommit, a group and a partition per connection; the last commit is fetched."""
    broker = bench.broker()
    samples = {}
    for number, label in loads.PASSES.items():
        topic = f"pass-{number}"
        bench.load(broker, "create", topic=topic, partitions=COMMIT_CONNECTIONS)
        cpu, done = bench.load(
            broker, "commit", topic=topic, connections=COMMIT_CONNECTIONS, in_flight=loads.IN_FLIGHT,
            requests=bench.scaled(COMMIT_REQUESTS, multiple_of=COMMIT_CONNECTIONS),
        )
        if label:
            samples[f"offset commit, {label}: CPU us/commit"] = cpu / done["requests"] * 1e6
            samples[f"offset commit, {label}: commits/s"] = done["requests"] / done["seconds"]
            samples |= loads.percentiles(f"offset commit, {label}: ack", done["latency_us"])
    samples["memory after the commits, MiB"] = broker.memory_mib()
    return samples
