"""A compacted topic under updates: what the cleaner costs beside the load, and that it leaves the newest of each key."""

from . import loads

KEYS = 100_000
REQUESTS = 31_000  # about 2 GB
WARM_UP_REQUESTS = 10_000
MB_PER_SECOND = 40
SEGMENT_BYTES = 16 * 1024 * 1024
PARTITIONS = 2
DIRTY_RATIO = 0.2
# Length, offset delta, sizes and the like of a record, its key, and a batch header of its own in the worst case.
OVERHEAD_BYTES = 16 + 8 + 61


def compacted(bench):
    """A compacted topic whose keys are updated at random until the cleaner has the last word."""
    broker = bench.broker({"log.cleaner.backoff.ms": "500"})
    _update(bench, broker, "warm-up", WARM_UP_REQUESTS)
    cpu, done, left = _update(bench, broker, "compacted", REQUESTS)
    name = f"{MB_PER_SECOND} MB/s of updates, compacted"
    return {
        f"{name}: CPU s/GB, cleaner included": cpu / done["bytes"] * 1e9,
        **loads.percentiles(f"{name}: ack", done["latency_us"]),
        f"{name}: log at the last update, % of what was written": done["log_bytes"] / done["bytes"] * 100,
        f"{name}: clean after, s": done["clean_seconds"],
        f"{name}: records left per key": left["records"] / bench.scaled(KEYS, multiple_of=PARTITIONS),
        f"{name}: memory at the end, MiB": broker.memory_mib(),
    }


def _update(bench, broker, topic, requests):
    """Update the keys of a new topic and check what the cleaner leaves; return CPU seconds, the load and the check."""
    keys = bench.scaled(KEYS, multiple_of=PARTITIONS)
    segment_bytes = max(loads.LEAST_SEGMENT_BYTES, bench.scaled(SEGMENT_BYTES))
    loads.create(bench, broker, topic, PARTITIONS, {
        "cleanup.policy": "compact",
        "segment.bytes": segment_bytes,
        "min.cleanable.dirty.ratio": DIRTY_RATIO,
        "min.compaction.lag.ms": 0,
        "file.delete.delay.ms": 1000,
    })
    # The newest of each key, what may stay dirty beside it, and of each partition the segment that is written.
    clean_bytes = keys * (loads.BATCH_VALUE_BYTES + OVERHEAD_BYTES)
    limit_bytes = round(clean_bytes / (1 - DIRTY_RATIO)) + 2 * PARTITIONS * segment_bytes
    load = {
        **loads.BATCHES, "topic": topic, "partitions": PARTITIONS, "keys": keys,
        "requests": bench.scaled(requests, multiple_of=PARTITIONS),
    }
    cpu, done = bench.load(broker, "update", **load, rate_mb=MB_PER_SECOND, limit_bytes=limit_bytes)
    _, left = bench.load(broker, "newest", **load)
    return cpu, done, left
