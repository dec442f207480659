"""Bytes that are no requests, or nearly are: the broker stays, and others are served."""

import contextlib
import random
import socket
import struct
import time

import connections
import own
import wire
from checks import check

SEED = 20261121
GARBAGE = 300
LIARS = 300
MUTATIONS = 1_000
GROWTH_LIMIT_KB = 48 << 10
PATIENCE_SECONDS = 0.1
END_SECONDS = 10
TOPIC = "mutated"
HEADER_SIZE = 16
# Numbers where lengths, counts, offsets and sizes change their meaning.
EDGES = [-(2**31), -2, -1, 0, 1, 127, 128, 0x7FFF, 0x8000, 0xFFFF, 2**24, 2**31 - 1]


@contextlib.contextmanager
def unharmed(name):
    """A broker that must be there, small and at others' service after what the block does to it."""
    with own.running(name, before=connections.MANY_FILES) as broker:
        connections.healthy(broker, "before")
        before = own.resident_kb(broker)
        yield broker
        assert broker.running(), f"the broker ended: {own.tail(broker)}"
        seconds = connections.healthy(broker, "afterwards")
        after = own.resident_kb(broker)
        own.note(name, f"VmRSS {before} kB before, {after} kB after", f"round trip of kcat {seconds:.2f} s")
        assert after - before < GROWTH_LIMIT_KB, f"the broker grew by {after - before} kB"


def outcome(broker, data):
    """Send bytes and nothing after them; whether the broker answered, and not only closed the connection."""
    connection = wire.Connection(broker)
    try:
        # A request may ask to be answered late: it is given up on soon, and the broker must then end the connection.
        for patience in [PATIENCE_SECONDS, END_SECONDS]:
            with contextlib.suppress(ConnectionError):
                if patience == PATIENCE_SECONDS:
                    connection.send(data)
                else:
                    connection.socket.shutdown(socket.SHUT_WR)
            connection.socket.settimeout(patience)
            with contextlib.suppress(TimeoutError):
                return connection.answer() is not None
        raise AssertionError(f"the connection stays open after {data[:60].hex()}")
    finally:
        connection.reset()


def valid_frames():
    """One request of each kind, from what a client would send."""
    return [
        wire.api_versions(),
        wire.metadata(TOPIC),
        wire.metadata_of_all(),
        wire.create_topic(TOPIC, 1),
        wire.produce(TOPIC, 0, b"a value" * 20),
        wire.fetch(TOPIC, 0, 0, 1 << 20),
        wire.list_offsets(TOPIC, 0, -1),
        wire.init_producer_id(),
        wire.describe_configs(TOPIC),
    ]


def mutate(frame, chance):
    """A frame with something wrong in it; its length is true more often than not, so that more of it is looked at."""
    body = bytearray(frame[4:])
    for _ in range(chance.randint(1, 2)):
        # What is wrong in a header is found at once; most mutations go behind it.
        at = chance.randrange(min(HEADER_SIZE, len(body) - 1) if chance.random() < 0.8 else 0, len(body))
        kind = chance.randrange(6)
        if kind == 0:
            body[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            body[at] = chance.randrange(256)
        elif kind == 2:
            struct.pack_into(">I", body, min(at, len(body) - 4), chance.choice(EDGES) & 0xFFFFFFFF)
        elif kind == 3:
            struct.pack_into(">H", body, min(at, len(body) - 2), chance.choice(EDGES) & 0xFFFF)
        elif kind == 4 and len(body) > 8:
            del body[max(at, 4) :]
        else:
            body[at:at] = chance.randbytes(chance.randint(1, 8))
    length = len(body) if chance.random() < 0.9 else chance.choice(EDGES)
    return struct.pack(">I", length & 0xFFFFFFFF) + body


@check("frames.garbage")
def _():
    chance = random.Random(SEED)
    with unharmed("frames.garbage") as broker:
        for _ in range(GARBAGE):
            outcome(broker, chance.randbytes(chance.randint(1, 4096)))


@check("frames.impossible-lengths")
def _():
    with unharmed("frames.impossible-lengths") as broker:
        for length in [0, -1, -(2**31), 2**31 - 1, 101 << 20]:
            with connections.connections(broker, 1) as (connection,):
                connection.send(struct.pack(">i", length))
                assert connection.is_closed(), f"a frame of length {length} is answered"
        # What stands before such a frame is answered first.
        with connections.connections(broker, 1) as (connection,):
            connection.send(wire.api_versions() + struct.pack(">i", -1))
            assert connection.answer() and connection.is_closed(), "the request before is not answered"


@check("frames.lying-lengths")
def _():
    with unharmed("frames.lying-lengths") as broker:
        before = own.resident_kb(broker)
        with connections.connections(broker, LIARS) as liars:
            for connection in liars:
                connection.send(struct.pack(">i", 99 << 20) + wire.produce(TOPIC, 0, b"little")[4:])
            beside = connections.healthy(broker, "beside")
            during = own.resident_kb(broker)
            own.note(
                "frames.lying-lengths", f"{LIARS} claims of 99 MiB", f"VmRSS {before} kB before, {during} kB during",
                f"round trip of kcat {beside:.2f} s",
            )
            assert during - before < GROWTH_LIMIT_KB, f"the broker grew by {during - before} kB"


@check("frames.unknown-requests")
def _():
    with unharmed("frames.unknown-requests") as broker:
        for key, version in [(-1, 0), (999, 0), (wire.METADATA, -1), (wire.METADATA, 99), (wire.PRODUCE, 99), (32767, 32767)]:
            with connections.connections(broker, 1) as (connection,):
                connection.send(wire.frame(key, version, bytes(20)))
                assert connection.is_closed(), f"version {version} of the unknown request {key} is answered"
        with connections.connections(broker, 1) as (connection,):
            answer = connection.call(wire.frame(wire.API_VERSIONS, 99, bytes(20)))
            assert struct.unpack_from(">h", answer)[0] == 35, "a version of ApiVersions to come is not told which there are"
            assert connection.call(wire.api_versions()), "the connection does not go on"


@check("frames.mutations")
def _():
    chance, begun = random.Random(SEED), time.monotonic()
    with unharmed("frames.mutations") as broker:
        with connections.connections(broker, 1) as (connection,):
            for frame in valid_frames():
                connection.call(frame)
        answered = 0
        for number in range(MUTATIONS):
            answered += outcome(broker, mutate(chance.choice(valid_frames()), chance))
            if number % 250 == 125:
                connections.healthy(broker, f"beside-{number}")
        seconds = time.monotonic() - begun
        own.note("frames.mutations", f"{answered} of {MUTATIONS} answered, the others closed", f"{seconds:.1f} s", f"seed {SEED}")
