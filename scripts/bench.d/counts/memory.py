"""Memory: of the process at three times of its life, and what a connection or a partition adds.

RssAnon is what the process has written to, so the same work gives nearly the same figure. The whole resident memory has
the mapped code, too, which the kernel maps in clusters as it likes: bounds for it are wide.
"""

import contextlib
import pathlib
import socket
import struct
import time

from . import requests
from .measure import Measure

SETTLE_SECONDS = 1
PRODUCE_REQUESTS = 5_000
CONNECTIONS = 1_000
PARTITIONS = 1_000
API_VERSIONS = 18
ANSWER_SECONDS = 30


def measure(run):
    with run.target() as target:
        yield from _resident(target.broker, "after the start")
        requests.commit(target, 0, 1)()
        yield from _resident(target.broker, "after a group's request")
    with run.target() as target:
        requests.produce_batch(target, 0, PRODUCE_REQUESTS)()
        yield from _resident(target.broker, "after a produce load")
    with run.target() as target:
        yield _connections(target.broker)
    with run.target() as target:
        yield from _partitions(target)


def _resident(broker, name):
    time.sleep(SETTLE_SECONDS)
    kib = _memory_kib(broker)
    # The compiler decides how much of it are relocated tables.
    yield Measure(f"{name}: RssAnon, KiB", kib["RssAnon"], compiled=True)
    yield Measure(f"{name}: VmRSS, KiB", kib["VmRSS"], compiled=True)


def _connections(broker):
    """Growth by idle connections that have done what each client does first."""
    with contextlib.ExitStack() as connections:
        _connect(broker, connections, CONNECTIONS)  # What is kept once is kept here.
        before = _anonymous_kib(broker)
        _connect(broker, connections, CONNECTIONS)
        growth_kib = _anonymous_kib(broker) - before
    return Measure("an idle connection: RssAnon, bytes", growth_kib * 1024 / CONNECTIONS)


def _connect(broker, connections, count):
    body = struct.pack(">hhih", API_VERSIONS, 0, 1, -1)
    for _ in range(count):
        connection = connections.enter_context(socket.create_connection(("127.0.0.1", broker.port), ANSWER_SECONDS))
        connection.sendall(struct.pack(">i", len(body)) + body)
        size_bytes, correlation_id, error_code = struct.unpack(">iih", connection.recv(10, socket.MSG_WAITALL))
        if (correlation_id, error_code) != (1, 0):
            raise SystemExit(f"ApiVersions: correlation id {correlation_id}, error code {error_code}")
        connection.recv(size_bytes - 6, socket.MSG_WAITALL)


def _partitions(target):
    """Growth by partitions that exist, and by a first record in each.

    Each is the second of two equal steps: what is kept once is kept in the first, and what the first gave back to the
    kernel a little later, such as its connections, so does the second.
    """
    topics = ["first", "second"]
    yield Measure("a partition: RssAnon, bytes", _second_growth(target, topics, _create))
    yield Measure("a first record in a partition: RssAnon, bytes", _second_growth(target, topics, _write))


def _second_growth(target, topics, step):
    """What `step` adds for a partition when it is done to the second topic."""
    first, second = topics
    step(target, first)
    before = _anonymous_kib(target.broker)
    step(target, second)
    return (_anonymous_kib(target.broker) - before) * 1024 / PARTITIONS


def _create(target, topic):
    target.load("create", topic=topic, partitions=PARTITIONS)


def _write(target, topic):
    """One record in each partition, over a connection of its own."""
    options = {"in_flight": 1, "records": 1, "value_bytes": 100, "idempotent": "false"}
    target.load("produce", topic=topic, connections=PARTITIONS, requests=PARTITIONS, **options)


def _anonymous_kib(broker):
    time.sleep(SETTLE_SECONDS)
    return _memory_kib(broker)["RssAnon"]


def _memory_kib(broker):
    """What the kernel says of the process's memory, by the kernel's names."""
    lines = pathlib.Path(f"/proc/{broker.child.pid}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
