"""Throughput: batches with and without idempotence, compressed, of 1 MiB, small requests, and of many producers.

Everything is read back. Latencies are those of a closed loop, from the sending of a request: they say what a client waits
when the broker is saturated; what it waits at a rate is the business of latency.py.
"""

from . import loads

SMALL_CONNECTIONS = 8
SMALL_REQUESTS = 50_000
# Records of 1 KiB of JSON that give 64 KiB on the wire, half a GB in each pass.
CODEC_RECORDS = {"lz4": 167, "zstd": 288}
CODEC_REQUESTS = 7_750
# The most records of 1 KiB that fit into the default of max.message.bytes, 1 MiB and 12 bytes.
LARGE_RECORDS = 1_013
LARGE_REQUESTS = 1_000
# Producers and the partitions they share: a partition each, and twenty to a partition.
MANY = [(50, 50), (1_000, 1_000), (1_000, 50)]
MANY_RECORDS = 10
MANY_REQUESTS = 100_000


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
    return _batches(bench, "idempotent 64 KiB", idempotent=True)


def large(bench):
    """Batches of 1 MiB, one in a request."""
    return _batches(bench, "produce 1 MiB", requests=LARGE_REQUESTS, records=LARGE_RECORDS, idempotent=False)


def codecs(bench):
    """Compressed batches of 64 KiB on the wire; the CPU is that per GB on the wire."""
    samples = {}
    for codec, records in CODEC_RECORDS.items():
        samples |= _batches(
            bench, f"{codec} 64 KiB", requests=CODEC_REQUESTS, records=records, codec=codec, idempotent=False,
        )
    return samples


def many(bench):
    """Ten records of 100 B in each request of many producers that wait for each answer."""
    broker = bench.broker()
    samples = {}
    for number in loads.PASSES:
        _produce_many(bench, broker, f"warm-up-{number}", *MANY[0])
    for producers, partitions in MANY:
        name = f"{producers:,} producers, {partitions:,} partitions"
        cpu, done = _produce_many(bench, broker, f"many-{producers}-{partitions}", producers, partitions)
        samples[f"{name}: CPU us/request"] = cpu / done["requests"] * 1e6
        samples[f"{name}: requests/s"] = done["requests"] / done["seconds"]
        samples |= loads.percentiles(f"{name}: ack", done["latency_us"])
    samples["memory after many producers, MiB"] = broker.memory_mib()
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
            samples |= loads.percentiles(f"small produce, {label}: ack", done["latency_us"])
    loads.read_back(bench, broker, passes, partitions=SMALL_CONNECTIONS)
    return samples


def _batches(bench, name, **options):
    """Passes of 1 KiB values on one connection to a fresh broker; `options` are those of `loads.produce_batches`."""
    broker = bench.broker()
    samples = {}
    passes = {}
    for number, label in loads.PASSES.items():
        topic = f"pass-{number}"
        passes[topic] = loads.produce_batches(bench, broker, topic, name, label, samples, **options)
    loads.read_back(bench, broker, passes, partitions=1)
    return samples


def _produce_many(bench, broker, topic, producers, partitions):
    cpu, done = loads.produce(
        bench, broker, topic, connections=producers, partitions=partitions, in_flight=1, records=MANY_RECORDS,
        requests=bench.scaled(MANY_REQUESTS, multiple_of=producers), value_bytes=loads.SMALL_VALUE_BYTES, idempotent=False,
    )
    loads.read_back(bench, broker, {topic: done}, partitions)
    return cpu, done
