"""Latency at a rate: from the time each message was due, whatever the broker did meanwhile."""

from . import loads

PACE_PER_SECOND = 1_000
PACE_SECONDS = 10


def pace(bench):
    """1,000 messages a second, one in a request, and a consumer that waits for them."""
    broker = bench.broker()
    samples = {}
    for number, label in loads.PASSES.items():
        topic = f"pass-{number}"
        bench.load(broker, "create", topic=topic, partitions=1)
        cpu, done = bench.load(
            broker, "pace", topic=topic, rate=PACE_PER_SECOND, seconds=bench.scaled(PACE_SECONDS),
            value_bytes=loads.SMALL_VALUE_BYTES,
        )
        if label:
            name = f"{PACE_PER_SECOND:,} messages/s, {label}"
            samples[f"{name}: CPU us/message"] = cpu / done["records"] * 1e6
            samples |= loads.percentiles(f"{name}: ack", done["latency_us"])
            samples |= loads.percentiles(f"{name}: consumed", done["end_to_end_us"])
            samples |= loads.percentiles(f"{name}: generator late", done["late_us"])
    return samples
