"""Producers at a rate while consumers read: for long with the page cache full, and beside a backlog that is read down.

The consumers compare every byte with what was produced.
"""

import statistics

from . import loads
from .pagecache import FullPageCache, memory

MIB = 1024 * 1024
# Each has a partition, a producer and a consumer.
LANES = 4
LANE = {**loads.BATCHES, "partitions": LANES}

SUSTAINED_SECONDS = 20 * 60
SUSTAINED_WARM_UP_SECONDS = 40
SUSTAINED_MB_PER_SECOND = 120
SUSTAINED_RETENTION_BYTES = 4096 * MIB
SUSTAINED_SEGMENT_BYTES = 128 * MIB
RETENTION_CHECK_SECONDS = 5
DELETE_DELAY_SECONDS = 1
# Of a page cache that is full, this share may be free at a moment: what retention has just deleted.
FREE_SHARE_LIMIT = 0.1

BACKLOG_REQUESTS = 155_000  # about 10 GB
BACKLOG_MB_PER_SECOND = 50


def sustained(bench):
    """A rate for 20 minutes with the page cache full and consumers that follow; retention bounds the disk."""
    broker = bench.broker({
        "log.retention.check.interval.ms": str(RETENTION_CHECK_SECONDS * 1000),
        # Apache Kafka begins to look for what to delete this long after its start.
        "log.initial.task.delay.ms": "1000",
    })
    seconds = SUSTAINED_SECONDS * bench.arguments.scale
    segment_bytes = max(loads.LEAST_SEGMENT_BYTES, bench.scaled(SUSTAINED_SEGMENT_BYTES))
    config = {
        "retention.bytes": bench.scaled(SUSTAINED_RETENTION_BYTES) // LANES,
        "segment.bytes": segment_bytes,
        "file.delete.delay.ms": DELETE_DELAY_SECONDS * 1000,
    }
    with FullPageCache(bench.home / "page-cache", bench.scaled(memory()[0])):
        _stream(bench, broker, "warm-up", config, SUSTAINED_WARM_UP_SECONDS * bench.arguments.scale)
        cpu, done = _stream(bench, broker, "sustained", config, seconds)
        total, free = memory()
        if bench.arguments.scale >= 1 and free > total * FREE_SHARE_LIMIT:
            raise SystemExit(f"the page cache is not full: {free} of {total} bytes of memory are free")
    bench.expect(done["consumed_records"], done["records"], "records consumed")
    log_bytes = _size_bytes(bench.home / "data")
    _check_retention(bench, done, seconds, segment_bytes, log_bytes)
    minutes = [size / (60 * bench.arguments.scale) / 1e6 for size in done["window_bytes"]]
    name = f"{SUSTAINED_MB_PER_SECOND} MB/s, full page cache"
    return {
        f"{name}: CPU s/GB": cpu / done["bytes"] * 1e9,
        f"{name}: MB/s in the median minute": statistics.median(minutes),
        f"{name}: MB/s in the slowest minute": min(minutes),
        **loads.percentiles(f"{name}: ack", done["latency_us"]),
        f"{name}: memory at the end, MiB": broker.memory_mib(),
        f"{name}: log at the end, GB": log_bytes / 1e9,
        f"{name}: free memory at the end, % of all": free / total * 100,
    }


def _stream(bench, broker, topic, config, seconds):
    loads.create(bench, broker, topic, LANES, config)
    return bench.load(
        broker, "stream", topic=topic, **LANE, rate_mb=SUSTAINED_MB_PER_SECOND, seconds=seconds,
        window_seconds=60 * bench.arguments.scale, limit_seconds=2 * seconds + 60,
    )


def _check_retention(bench, done, seconds, segment_bytes, log_bytes):
    """The disk is bounded only if the broker deletes at the rate at which it is written."""
    if seconds < 3 * RETENTION_CHECK_SECONDS:
        return
    if done["deleted_records"] == 0:
        raise SystemExit(f"{bench.side.name}: retention has deleted nothing")
    # Of two topics: what is kept, a segment that is written and one that is just too much, and what came since the last look.
    kept_bytes = 2 * (bench.scaled(SUSTAINED_RETENTION_BYTES) + 2 * LANES * segment_bytes)
    late_bytes = SUSTAINED_MB_PER_SECOND * 1e6 * (2 * RETENTION_CHECK_SECONDS + DELETE_DELAY_SECONDS)
    if log_bytes > kept_bytes + late_bytes:
        raise SystemExit(f"{bench.side.name}: {log_bytes} bytes on disk where {kept_bytes + late_bytes:.0f} are allowed")


def backlog(bench):
    """A backlog of 10 GB, read down by consumers while producers go on at a rate."""
    broker = bench.broker()
    loads.create(bench, broker, "backlog", LANES, {})
    _, filled = bench.load(broker, "fill", topic="backlog", **LANE, requests=bench.scaled(BACKLOG_REQUESTS, multiple_of=LANES))
    cpu, done = bench.load(broker, "drain", topic="backlog", **LANE, rate_mb=BACKLOG_MB_PER_SECOND)
    bench.expect(done["backlog_records"], filled["records"], "records in the backlog")
    bench.expect(done["consumed_records"], filled["records"] + done["records"], "records consumed")
    name = f"backlog drained beside {BACKLOG_MB_PER_SECOND} MB/s"
    return {
        f"{name}: CPU s/GB, in and out": cpu / (done["bytes"] + done["consumed_bytes"]) * 1e9,
        f"{name}: consumed MB/s": filled["bytes"] / done["drain_seconds"] / 1e6,
        **loads.percentiles(f"{name}: ack", done["latency_us"]),
        f"{name}: memory at the end, MiB": broker.memory_mib(),
    }


def _size_bytes(directory):
    size_bytes = 0
    for path in directory.rglob("*"):
        try:
            size_bytes += path.stat().st_size
        except FileNotFoundError:
            continue  # Retention deleted it between the listing and the look.
    return size_bytes
