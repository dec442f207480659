"""Clients of brokers before 0.11: what it costs to convert their message sets, both ways, against batches of format 2.

Apache Kafka 4 serves none of their versions any more, so the peer is the last release that does.
"""

from . import loads

FORMATS = [0, 1]
# About 250 MB in each of the formats; a tenth of that where everything is decompressed and compressed again.
REQUESTS = {"none": 4_000, "gzip": 400}


def old(bench):
    """64 KiB of 1 KiB records in each request, produced and consumed in formats 0, 1 and 2, plain and with gzip."""
    broker = bench.broker()
    samples = {}
    # What compiles while it runs has made all of this once before it is measured.
    for label in [None, "warm"]:
        for codec in REQUESTS:
            _of_format_2(bench, broker, codec, samples, label)
            for format in FORMATS:
                _of_old_format(bench, broker, codec, format, samples, label)
    return samples


old.peers = ["kafka-3.9"]


def _of_format_2(bench, broker, codec, samples, label):
    """The measure of the others: nothing is converted."""
    topic = f"{codec}-2-{label}"
    bench.load(broker, "create", topic=topic, partitions=1)
    cpu, produced = bench.load(
        broker, "produce", topic=topic, connections=1, in_flight=loads.IN_FLIGHT, requests=bench.scaled(REQUESTS[codec]),
        records=loads.BATCH_RECORDS, value_bytes=loads.BATCH_VALUE_BYTES, idempotent="false", codec=codec,
    )
    _sample(samples, label, f"format 2, {codec}: produce", cpu, produced)
    cpu, read = bench.load(broker, "consume", topic=topic, partitions=1, check_crc="false")
    bench.expect(read["records"], produced["records"], "records consumed")
    _sample(samples, label, f"format 2, {codec}: consume", cpu, read)


def _of_old_format(bench, broker, codec, format, samples, label):
    """Produced and consumed by clients of one format; every message is opened in a second reading."""
    topic = f"{codec}-{format}-{label}"
    bench.load(broker, "create", topic=topic, partitions=1)
    cpu, produced = bench.load(
        broker, "old-produce", topic=topic, format=format, codec=codec, in_flight=loads.IN_FLIGHT,
        requests=bench.scaled(REQUESTS[codec]), records=loads.BATCH_RECORDS, value_bytes=loads.BATCH_VALUE_BYTES,
    )
    _sample(samples, label, f"format {format}, {codec}: produce", cpu, produced)
    cpu, read = bench.load(broker, "old-consume", topic=topic, format=format, check="false")
    bench.expect(read["records"], produced["records"], "records consumed")
    _sample(samples, label, f"format {format}, {codec}: consume", cpu, read)
    _, checked = bench.load(broker, "old-consume", topic=topic, format=format, check="true")
    bench.expect(checked["records"], produced["records"], "records opened")


def _sample(samples, label, name, cpu, done):
    """GB are those of values, whatever the codec makes of them: the formats do the same work for them."""
    if label:
        gigabytes = done["records"] * loads.BATCH_VALUE_BYTES / 1e9
        samples[f"{name}: CPU s/GB of values"] = cpu / gigabytes
        samples[f"{name}: MB/s of values"] = gigabytes * 1e3 / done["seconds"]
