"""Many connections, slow ones, ones that never read, and more than there are file descriptors: others are served."""

import contextlib
import resource
import selectors
import struct
import time

import own
import wire
from checks import check, equal

IDLE = 10_000
IDLE_LIMIT_KB = 12
SLOW = 200
SLOW_PAUSE_SECONDS = 0.1
DEAF = 20
FLOOD = 200
DEAF_TOPIC_BATCHES = 24
BACKLOG_LIMIT_KB = 64 << 10
ROUND_TRIP_SECONDS = 10
STOP_SECONDS = 10
SEGMENT_SIZE = 1 << 20
HOARDERS = 3
MEMORY_LIMIT = 32 << 20
MANY_FILES = ["prlimit", "--nofile=20000"]
FEW_FILES = ["prlimit", "--nofile=64:64"]


def allow_files(count):
    """Let this process have as many sockets open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


@contextlib.contextmanager
def connections(broker, count, introduce=lambda connection: None):
    """Connections that end at once when the block does."""
    made = []
    try:
        for _ in range(count):
            made.append(wire.Connection(broker))
            introduce(made[-1])
        yield made
    finally:
        for connection in made:
            connection.reset()


def healthy(broker, topic):
    """Check that the stock client fares well; how many seconds it took."""
    seconds = own.round_trip(broker, topic)
    assert seconds < ROUND_TRIP_SECONDS, f"the stock client took {seconds:.1f} s"
    return seconds


def fill(broker, topic, batches):
    """Create a topic of large batches."""
    line = "x" * 900_000 + "\n"
    own.kcat(broker, "-P", "-t", topic, "-p", "0", "-X", "batch.num.messages=1", text=line * batches)


@check("connections.ten-thousand-idle")
def _():
    allow_files(20_000)
    with own.running("idle", before=MANY_FILES) as broker:
        alone = healthy(broker, "alone")
        before = own.resident_kb(broker)
        begun = time.monotonic()
        # Each has said what a client says first before the next one comes: the backlog of the listener is short.
        with connections(broker, IDLE, lambda connection: connection.call(wire.api_versions())) as idle:
            seconds = time.monotonic() - begun
            during = own.resident_kb(broker)
            beside = healthy(broker, "beside")
            each = (during - before) / IDLE
            own.note(
                "connections.ten-thousand-idle", f"{IDLE} made and answered in {seconds:.1f} s",
                f"VmRSS {before} kB before, {during} kB with them, {each:.2f} kB each",
                f"round trip of kcat {alone:.2f} s alone, {beside:.2f} s beside them",
            )
            assert each < IDLE_LIMIT_KB, f"{each:.1f} kB for a connection"
            assert idle[-1].call(wire.api_versions()), "an idle connection is not served"
        healthy(broker, "afterwards")


@check("connections.slowloris")
def _():
    with own.running("slow", before=MANY_FILES) as broker, connections(broker, SLOW) as slow:
        # Half of them claim much and never come to the end of it.
        endless = struct.pack(">i", 50 << 20) + wire.api_versions()[4:] + bytes(1000)
        frames = [wire.api_versions() if number % 2 == 0 else endless for number in range(SLOW)]
        before, taken = own.resident_kb(broker), []
        for at in range(len(wire.api_versions())):
            begun = time.monotonic()
            for connection, frame in zip(slow, frames):
                connection.send(frame[at : at + 1])
            if at % 8 == 4:
                taken.append(healthy(broker, f"beside-{at}"))
            time.sleep(max(0, SLOW_PAUSE_SECONDS - (time.monotonic() - begun)))
        assert all(connection.answer() for connection in slow[::2]), "a slow request was not answered"
        own.note(
            "connections.slowloris", f"{SLOW} clients", f"VmRSS {before} kB before, {own.resident_kb(broker)} kB after",
            f"round trips of kcat beside them {' '.join(f'{seconds:.2f}' for seconds in taken)} s",
        )


def push(deaf, frame, seconds):
    """Send a frame over and over on every connection, as long as somebody takes some of it; how many bytes were taken."""
    for connection in deaf:
        connection.socket.setblocking(False)
    data, taken, deadline = frame * 2000, 0, time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for connection in deaf:
            selector.register(connection.socket, selectors.EVENT_WRITE, [0])
        while time.monotonic() < deadline and (ready := selector.select(0.5)):
            for key, _ in ready:
                # Where in the endless row of frames this connection is.
                with contextlib.suppress(BlockingIOError):
                    sent = key.fileobj.send(data[key.data[0] :])
                    key.data[0] = (key.data[0] + sent) % len(data)
                    taken += sent
    return taken


def deaf_clients(name, request):
    """Check that clients which send requests and read no response cost little and hold nobody up."""
    with own.running(name, before=MANY_FILES) as broker:
        fill(broker, "large", DEAF_TOPIC_BATCHES)
        alone = healthy(broker, "alone")
        before = own.resident_kb(broker)
        with connections(broker, DEAF) as deaf:
            taken = push(deaf, request, 3)
            during = own.resident_kb(broker)
            beside = healthy(broker, "beside")
            own.note(
                f"connections.{name}", f"{DEAF} clients sent {taken >> 10} KiB of requests", f"VmRSS {before} kB before, {during} kB during",
                f"round trip of kcat {alone:.2f} s alone, {beside:.2f} s beside them",
            )
            assert during - before < BACKLOG_LIMIT_KB, f"{during - before} kB for {DEAF} clients that do not read"
        healthy(broker, "afterwards")


@check("connections.unread-fetches")
def _():
    deaf_clients("unread-fetches", wire.fetch("large", 0, 0, 16 << 20))


@check("connections.unread-answers")
def _():
    deaf_clients("unread-answers", wire.metadata_of_all())


def write(connection, topic, size):
    """Produce a record; the error code of the answer."""
    return wire.produced(connection.call(wire.produce(topic, 0, bytes(size))), topic)[0]


@check("connections.out-of-file-descriptors")
def _():
    settings = {"socket.listen.backlog.size": str(FLOOD), "log.segment.bytes": str(SEGMENT_SIZE)}
    with own.running("few-files", settings, FEW_FILES) as broker:
        known = wire.Connection(broker)
        equal(wire.created(known.call(wire.create_topic("unopened", 1)), "unopened"), 0, "the error of the creation")
        healthy(broker, "before")
        with connections(broker, FLOOD) as flood:
            time.sleep(0.5)
            served, waiting = 0, 0
            for connection in flood:
                connection.send(wire.api_versions())
            time.sleep(0.5)
            for connection in flood:
                connection.socket.setblocking(False)
                try:
                    served += len(connection.socket.recv(1 << 16)) > 0
                except BlockingIOError:
                    waiting += 1
            assert served > 0 and waiting > 0 and served + waiting == FLOOD, f"{served} served, {waiting} waiting of {FLOOD}"
            assert known.call(wire.metadata("before")), "a connection made before is not served"
            equal(write(known, "before", 100), 0, "the error of a record into an open file")
            # Each needs a new file: the first of a partition, and the next segment of another.
            new = write(known, "unopened", 100)
            rolls = {write(known, "before", 64 << 10) for _ in range(SEGMENT_SIZE >> 16)}
        equal([write(known, topic, 64 << 10) for topic in ["unopened", "before"]], [0, 0], "the errors when there are files again")
        healthy(broker, "afterwards")
        warnings = broker.log.read_text().count("cannot accept connections")
        own.note(
            "connections.out-of-file-descriptors", f"{served} of {FLOOD} served, {waiting} waited", f"{warnings} warnings",
            f"errors {new} for a first file and {sorted(rolls)} over a roll",
        )
        assert 1 <= warnings <= 10, f"{warnings} warnings"


@check("connections.stop-beside-them")
def _():
    broker = own.prepare("stopped", before=MANY_FILES)
    broker.start()
    fill(broker, "large", DEAF_TOPIC_BATCHES)
    with connections(broker, 100), connections(broker, DEAF) as deaf, connections(broker, 10) as cut, connections(broker, 10) as waiting:
        push(deaf, wire.fetch("large", 0, 0, 16 << 20), 1)
        for connection in cut:
            connection.send(wire.api_versions()[:9])
        for connection in waiting:
            connection.send(wire.fetch("large", 0, DEAF_TOPIC_BATCHES, 1 << 20, wait_ms=60_000))
        begun = time.monotonic()
        broker.stop()
        seconds = time.monotonic() - begun
    own.note("connections.stop-beside-them", f"a stop beside {120 + DEAF} connections took {seconds:.2f} s")
    assert seconds < STOP_SECONDS, f"the stop took {seconds:.1f} s"
    assert (broker.home / "data" / ".kafka_cleanshutdown").exists(), "the stop was not clean"


@check("connections.hoarded-memory")
def _():
    settings = {"queued.max.request.bytes": str(MEMORY_LIMIT), "socket.request.max.bytes": str(MEMORY_LIMIT)}
    with own.running("hoarded", settings, MANY_FILES) as broker:
        healthy(broker, "before")
        before = own.resident_kb(broker)
        with connections(broker, HOARDERS) as hoarders:
            # Each sends most of a large request and then stops.
            for connection in hoarders:
                connection.socket.settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    connection.send(struct.pack(">i", MEMORY_LIMIT) + wire.api_versions()[4:] + bytes(MEMORY_LIMIT // 2))
            beside = healthy(broker, "small-beside")
            during = own.resident_kb(broker)
            begun = time.monotonic()
            fill(broker, "large-beside", 1)
            seconds = time.monotonic() - begun
        own.note(
            "connections.hoarded-memory", f"{HOARDERS} hoarders at a limit of {MEMORY_LIMIT >> 20} MiB",
            f"VmRSS {before} kB before, {during} kB during", f"round trip of kcat {beside:.2f} s beside them, {seconds:.2f} s for a large record",
        )
        assert (during - before) << 10 < 3 * MEMORY_LIMIT, f"{during - before} kB at a limit of {MEMORY_LIMIT} B"
