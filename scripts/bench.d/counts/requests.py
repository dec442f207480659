"""The requests whose cost is counted: each a load of the load generator with one request in flight.

A workload prepares a load of a number of requests and returns it; `number` counts the loads of one broker and is in the
name of the topic, because the generator wants to see the offsets of an empty partition. What is counted, and with what,
is the business of the callers.
"""

from workloads.loads import BATCH_RECORDS, BATCH_VALUE_BYTES, SMALL_VALUE_BYTES

FETCH_BYTES = 64 * 1024


def produce_batch(target, number, requests):
    """One batch of 64 KiB in a request."""
    return _produce(target, number, requests, BATCH_RECORDS, BATCH_VALUE_BYTES)


def produce_small(target, number, requests):
    """One record of 100 B in a request."""
    return _produce(target, number, requests, 1, SMALL_VALUE_BYTES)


def fetch_batch(target, number, requests):
    """The same 64 KiB in each answer, in a fetch session, as consumers ask."""
    return _fetch(target, number, requests, batches=2, session=True)


def fetch_sessionless(target, number, requests):
    """The same 64 KiB in each answer, without a session."""
    return _fetch(target, number, requests, batches=2, session=False)


def fetch_nothing(target, number, requests):
    """Answers without records at the end of a partition, without waiting and without a session."""
    return _fetch(target, number, requests, batches=0, session=False)


def commit(target, number, requests):
    """One offset of a simple consumer in a request, of one group."""
    # One topic and group for all loads: what a commit costs depends on the partition of the group.
    if number == 0:
        target.load("create", topic="topic", partitions=1)
    return lambda: target.load("commit", topic="topic", connections=1, in_flight=1, requests=requests)


WORKLOADS = {
    "produce 64 KiB": produce_batch,
    "produce 100 B": produce_small,
    "fetch 64 KiB": fetch_batch,
    "fetch 64 KiB, no session": fetch_sessionless,
    "fetch nothing, no session": fetch_nothing,
    "commit an offset": commit,
}


def _produce(target, number, requests, records, value_bytes):
    topic = f"topic-{number}"
    target.load("create", topic=topic, partitions=1)
    return lambda: _produced(target, topic, requests, records, value_bytes)


def _fetch(target, number, requests, batches, session):
    topic = f"topic-{number}"
    target.load("create", topic=topic, partitions=1)
    if batches:
        _produced(target, topic, batches, BATCH_RECORDS, BATCH_VALUE_BYTES)
    options = {"limit_bytes": FETCH_BYTES, "session": str(session).lower()}
    return lambda: target.load("fetch", topic=topic, requests=requests, **options)


def _produced(target, topic, requests, records, value_bytes):
    options = {"records": records, "value_bytes": value_bytes, "idempotent": "false"}
    target.load("produce", topic=topic, connections=1, in_flight=1, requests=requests, **options)
