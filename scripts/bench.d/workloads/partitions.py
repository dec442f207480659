"""Partitions: what it costs to create many, to hold them, and to start again with them."""

import time

TOPICS = 10
PARTITIONS = 1_000
SETTLE_SECONDS = 2


def partitions(bench):
    """10,000 partitions: created, held, there again after a clean restart, and usable each time."""
    broker = bench.broker()
    time.sleep(SETTLE_SECONDS)
    memory = broker.memory_mib()
    many = {"topic": "many", "topics": bench.scaled(TOPICS), "partitions": PARTITIONS}
    name = f"create {many['topics'] * PARTITIONS:,} partitions"
    cpu, done = bench.load(broker, "create-many", **many)
    samples = {f"{name}: s until usable": done["seconds"], f"{name}: CPU s": cpu}
    time.sleep(SETTLE_SECONDS)
    samples[f"{name}: memory growth, MiB"] = broker.memory_mib() - memory
    stopping = time.monotonic()
    broker = bench.restart()
    stop_seconds = time.monotonic() - stopping - broker.start_ms / 1e3
    _, done = bench.load(broker, "await-many", **many)
    samples["restart with them: s until all are named"] = broker.start_ms / 1e3 + done["seconds"]
    samples["restart with them: CPU s"] = broker.cpu_seconds()
    samples["restart with them: memory, MiB"] = broker.memory_mib()
    samples["clean stop with them, s"] = stop_seconds
    return samples
