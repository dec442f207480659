"""Restart: how long a broker with much data takes to serve it again, after a clean stop and after a crash."""

import time

from . import loads

PARTITIONS = 4
REQUESTS = 153_500  # 10.0 GB
TOPIC = "kept"


def restart(bench):
    """10 GB in 4 partitions, crashed, stopped cleanly, then read back."""
    broker = bench.broker()
    requests = bench.scaled(REQUESTS, multiple_of=PARTITIONS)
    _, produced = loads.produce(
        bench, broker, TOPIC, connections=PARTITIONS, requests=requests, records=loads.BATCH_RECORDS,
        value_bytes=loads.BATCH_VALUE_BYTES, idempotent=False,
    )
    name = f"restart with {produced['bytes'] / 1e9:.1f} GB"
    samples = {}
    # The crash comes first: after a clean stop without new records there would be nothing to recover.
    measure(bench, f"{name}, after kill -9", produced, samples, kill=True)
    broker = measure(bench, f"{name}, after a clean stop", produced, samples, kill=False)
    loads.read_back(bench, broker, {TOPIC: produced}, PARTITIONS)
    return samples


def measure(bench, name, produced, samples, kill):
    """Restart and wait until the ends of all partitions are answered in full."""
    broker = bench.restart(kill=kill)
    began = time.monotonic()
    bench.load(broker, "await-ends", topic=TOPIC, partitions=PARTITIONS, records=produced["records"])
    # The generator's own start counts too: a few milliseconds on each side.
    samples[f"{name}: ms until served"] = broker.start_ms + (time.monotonic() - began) * 1e3
    samples[f"{name}: CPU ms"] = broker.cpu_seconds() * 1e3
    return broker
