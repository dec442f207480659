"""Many partitions that are written in turn, as a producer to a wide topic writes them."""

from . import loads

TOPICS = 10
PARTITIONS = 1_000
CONNECTIONS = 5
# Partitions in a request -> how often each pass writes every partition.
TURNS = {100: 10, 1: 2}


def spread(bench):
    """A record of 100 B to each of 10,000 partitions in turn: first 100 of them in a request, then one."""
    broker = bench.broker()
    partitions = bench.scaled(PARTITIONS, multiple_of=max(TURNS))
    total = TOPICS * partitions
    name = f"{total:,} partitions"
    # A broker may leave work on a new partition to the first append, so both count.
    cpu = sum(loads.create(bench, broker, f"spread-{topic}", partitions, {}) for topic in range(TOPICS))
    samples = {f"{name}, empty: memory, MiB": broker.memory_mib()}
    cpu += _write(bench, broker, partitions, max(TURNS), first_offset=0, turns=1)[0]
    samples[f"{name}, created and written once: CPU us/partition"] = cpu / total * 1e6
    samples[f"{name}, written once: memory, MiB"] = broker.memory_mib()
    written = 1
    for width, turns in TURNS.items():
        for label in loads.PASSES.values():
            cpu, done = _write(bench, broker, partitions, width, first_offset=written, turns=turns)
            written += turns
            if label:
                prefix = f"{name}, {width} in a request, {label}"
                samples[f"{prefix}: CPU us/request"] = cpu / done["requests"] * 1e6
                if width > 1:
                    samples[f"{prefix}: CPU us/append"] = cpu / done["records"] * 1e6
                samples[f"{prefix}: appends/s"] = done["records"] / done["seconds"]
    samples[f"{name}, written: memory, MiB"] = broker.memory_mib()
    for topic in range(TOPICS):
        _, read = bench.load(broker, "consume", topic=f"spread-{topic}", partitions=partitions, check_crc="true")
        bench.expect(read["records"], written * partitions, "records read back")
    return samples


def _write(bench, broker, partitions, width, first_offset, turns):
    """Write every partition `turns` times, `width` of them in a request, from idempotent producers."""
    return bench.load(
        broker, "spread", topic="spread", topics=TOPICS, partitions=partitions, connections=CONNECTIONS, in_flight=loads.IN_FLIGHT,
        width=width, first_offset=first_offset, turns=turns, records=1, value_bytes=loads.SMALL_VALUE_BYTES, idempotent="true",
    )
