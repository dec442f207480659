"""What several workloads share: the volumes, the passes, and how a load is produced and read back.

The JVM compiles while it runs, so loads make three passes over topics of their own: the first is what users of
short-lived brokers pay, the third comes after about 2 GB or a hundred thousand requests.
"""

PASSES = {1: "1st pass", 2: None, 3: "3rd pass"}
# 1 KiB values in batches of the size at which a client with batch.size=65536 closes them.
BATCH_RECORDS = 63
BATCH_VALUE_BYTES = 1024
BATCH_REQUESTS = 15_500  # about 1 GB
SMALL_VALUE_BYTES = 100
# max.in.flight.requests.per.connection of the stock clients.
IN_FLIGHT = 5
# Apache Kafka takes less, but then a load at any scale has mostly new files to make.
LEAST_SEGMENT_BYTES = 1024 * 1024
# How the loads that hold a rate write such batches.
BATCHES = {"in_flight": IN_FLIGHT, "records": BATCH_RECORDS, "value_bytes": BATCH_VALUE_BYTES}


def produce_batches(bench, broker, topic, name, label, samples, requests=BATCH_REQUESTS, records=BATCH_RECORDS, **options):
    """Produce 1 KiB values on one connection; `options` are those of `produce`."""
    cpu, done = produce(
        bench, broker, topic, connections=1, requests=bench.scaled(requests), records=records, value_bytes=BATCH_VALUE_BYTES,
        **options,
    )
    if label:
        samples[f"{name}, {label}: CPU s/GB"] = cpu / done["bytes"] * 1e9
        samples[f"{name}, {label}: MB/s"] = done["bytes"] / done["seconds"] / 1e6
        samples |= percentiles(f"{name}, {label}: ack", done["latency_us"])
    return done


def produce(
    bench, broker, topic, connections, requests, records, value_bytes, idempotent, partitions=None, in_flight=IN_FLIGHT,
    codec="none",
):
    """Produce to a new topic, with a partition per connection or `partitions` that are shared.

    Returns the broker's CPU seconds and what was acknowledged. Bytes are those on the wire.
    """
    partitions = partitions or connections
    bench.load(broker, "create", topic=topic, partitions=partitions)
    return bench.load(
        broker, "produce", topic=topic, connections=connections, partitions=partitions, in_flight=in_flight, requests=requests,
        records=records, value_bytes=value_bytes, codec=codec, idempotent=str(idempotent).lower(),
    )


def percentiles(name, latency_us):
    """Samples of a latency that the generator measured."""
    return {f"{name} {text}, us": latency_us[key] for text, key in [("p50", "p50"), ("p99", "p99"), ("p99.9", "p99_9")]}


def read_back(bench, broker, passes, partitions):
    """Check that what was acknowledged is there: every offset once, and of all batches the bytes and the digest of the CRCs."""
    for topic, produced in passes.items():
        _, read = bench.load(broker, "consume", topic=topic, partitions=partitions, check_crc="true")
        bench.expect(read["records"], produced["records"], "records read back")
        bench.expect(read["bytes"], produced["bytes"], "bytes read back")
        bench.expect(read["digest"], produced["digest"], "as the digest of what was read back")


def create(bench, broker, topic, partitions, config):
    """Create a topic with `config` and wait until it serves; return the broker's CPU seconds."""
    pairs = ",".join(f"{key}={value}" for key, value in config.items())
    return bench.load(broker, "create", topic=topic, partitions=partitions, config=pairs)[0]
