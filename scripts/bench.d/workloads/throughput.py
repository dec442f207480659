"""Throughput: large batches, with and without idempotence, and small requests; all is read back."""

from . import loads

SMALL_CONNECTIONS = 8
SMALL_REQUESTS = 50_000


def produce(bench):
    """1 KiB records in 64 KiB batches on one connection, each pass consumed after it was produced."""
    broker = bench.broker()
    samples = {}
    passes = {}
    for number, label in loads.PASSES.items():
        topic = f"pass-{number}"
        passes[topic] = loads.produce_batches(bench, broker, topic, "produce 64 KiB", label, samples, idempotent=False)
        cpu, done = bench.load(broker, "consume", topic=topic, partitions=1, check_crc="false")
        bench.expect(done["records"], passes[topic]["records"], "records consumed")
        if label:
            samples[f"consume, {label}: CPU s/GB"] = cpu / done["bytes"] * 1e9
            samples[f"consume, {label}: MB/s"] = done["bytes"] / done["seconds"] / 1e6
    samples["memory after this load, MiB"] = broker.memory_mib()
    loads.read_back(bench, broker, passes, partitions=1)
    return samples


def idempotent(bench):
    """The same batches from an idempotent producer, which is what stock clients are by default."""
    broker = bench.broker()
    samples = {}
    passes = {}
    for number, label in loads.PASSES.items():
        topic = f"pass-{number}"
        passes[topic] = loads.produce_batches(bench, broker, topic, "idempotent 64 KiB", label, samples, idempotent=True)
    loads.read_back(bench, broker, passes, partitions=1)
    return samples


def small(bench):
    """One record of 100 B in each request, a partition per connection."""
    broker = bench.broker()
    samples = {}
    passes = {}
    for number, label in loads.PASSES.items():
        topic = f"pass-{number}"
        cpu, done = loads.produce(
            bench, broker, topic, connections=SMALL_CONNECTIONS, requests=bench.scaled(SMALL_REQUESTS, multiple_of=SMALL_CONNECTIONS),
            records=1, value_bytes=loads.SMALL_VALUE_BYTES, idempotent=False,
        )
        passes[topic] = done
        if label:
            samples[f"small produce, {label}: CPU us/request"] = cpu / done["requests"] * 1e6
            samples[f"small produce, {label}: requests/s"] = done["requests"] / done["seconds"]
    loads.read_back(bench, broker, passes, partitions=SMALL_CONNECTIONS)
    return samples
