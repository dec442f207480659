"""A disk that is full: the producer is told, reads go on, and writes resume when there is space."""

import contextlib
import os
import subprocess
import time

import own
import wire
from checks import check, equal

TOPIC = "fills"
DISK_SIZE = 48 << 20
FREE_BESIDE_FILLER = 5 << 20
VALUE_SIZE = 64 << 10
KAFKA_STORAGE_ERROR = 56
REFUSALS = 5
GIVE_UP_SECONDS = 10


@contextlib.contextmanager
def small_disk(name):
    """A file system with little room beside a filler file; gives both."""
    path = own.WORK / name
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", path], check=True)
    try:
        filler = path / "filler"
        with open(filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, DISK_SIZE - FREE_BESIDE_FILLER)
        yield path, filler
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def settings(disk, name):
    """Logs on the small disk, metadata elsewhere; small segments, so that rolls hit the end of the disk too."""
    return {
        "log.dirs": str(disk / "data"),
        "metadata.log.dir": str(own.WORK / f"{name}-metadata"),
        "log.segment.bytes": str(1 << 20),
        "log.flush.offset.checkpoint.interval.ms": "200",
        "log.flush.start.offset.checkpoint.interval.ms": "200",
    }


class Writer:
    """Sends one record after another and remembers the offset of each that was acknowledged."""

    def __init__(self, broker):
        self.connection = wire.Connection(broker)
        self.acked = {}
        self.number = 0

    def send(self):
        """Send the next record; the error code of the answer."""
        value = f"{self.number:08}".encode() * (VALUE_SIZE // 8)
        self.number += 1
        error, offset = wire.produced(self.connection.call(wire.produce(TOPIC, 0, value)), TOPIC)
        if error == 0:
            assert offset not in self.acked, f"offset {offset} was given twice"
            self.acked[offset] = value[:8].decode()
        return error

    def fill(self):
        """Send until the disk refused several records one after another; which errors came."""
        errors = []
        while len(errors) < REFUSALS:
            assert self.number * VALUE_SIZE < DISK_SIZE, "more was taken than there is room for"
            error = self.send()
            errors = [*errors, error] if error else []
        return set(errors)


def resume(writer):
    """Send until a record is taken; how many seconds that took."""
    begun = time.monotonic()
    while writer.send():
        assert time.monotonic() - begun < GIVE_UP_SECONDS, "there is room, but nothing is written"
        time.sleep(0.05)
    return time.monotonic() - begun


def check_all_there(broker, acked):
    """Check with the stock client that every acknowledged record lies at its offset."""
    printed = own.kcat(broker, "-C", "-t", TOPIC, "-p", "0", "-o", "beginning", "-e", "-q", "-X", "check.crcs=true", "-f", "%o %s\n")
    stored = {int(offset): value[:8] for offset, value in (line.split(" ", 1) for line in printed.splitlines())}
    lost = {offset: value for offset, value in acked.items() if stored.get(offset) != value}
    equal(lost, {}, "what was acknowledged and is not there")


def check_serves(broker, acked):
    """Check that reads and metadata go on."""
    check_all_there(broker, acked)
    assert f'topic "{TOPIC}" with 1 partitions' in own.kcat(broker, "-L"), "the metadata lacks the topic"
    equal(own.kcat(broker, "-Q", "-t", f"{TOPIC}:0:-2"), f"{TOPIC} [0] offset 0\n", "the earliest offset")


def stock_client_is_refused(broker):
    """Whether kcat gives up on a record."""
    settings = ["-X", "broker.address.family=v4", "-X", "message.timeout.ms=1000"]
    command = ["kcat", "-b", broker.bootstrap, *settings, "-P", "-t", TOPIC, "-p", "0"]
    return subprocess.run(command, input="x" * VALUE_SIZE, text=True, capture_output=True, timeout=20).returncode != 0


@check("disk.full-and-free-again")
def _():
    with small_disk("disk") as (disk, filler), own.running("full", settings(disk, "full")) as broker:
        equal(wire.created(wire.Connection(broker).call(wire.create_topic(TOPIC, 1)), TOPIC), 0, "the error of the creation")
        writer = Writer(broker)
        equal(writer.fill(), {KAFKA_STORAGE_ERROR}, "the errors when the disk is full")
        written = len(writer.acked)
        assert stock_client_is_refused(broker), "a full disk took a record of kcat"
        check_serves(broker, writer.acked)
        # Long enough for several checkpoints on the full disk.
        time.sleep(1)
        assert broker.running(), f"the broker ended: {own.tail(broker)}"
        filler.unlink()
        seconds = resume(writer)
        for _ in range(40):
            equal(writer.send(), 0, "an error with room on the disk")
        own.kcat(broker, "-P", "-t", TOPIC, "-p", "0", text="by kcat\n")
        check_serves(broker, writer.acked)
        own.note(
            "disk.full-and-free-again", f"{written} records of {VALUE_SIZE >> 10} KiB before it was full",
            f"a write {seconds:.2f} s after there was room",
        )


@check("disk.full-at-a-crash")
def _():
    with small_disk("crash-disk") as (disk, filler), own.running("crash-full", settings(disk, "crash-full")) as broker:
        equal(wire.created(wire.Connection(broker).call(wire.create_topic(TOPIC, 1)), TOPIC), 0, "the error of the creation")
        writer = Writer(broker)
        writer.fill()
        broker.kill()
        filler.unlink()
        broker.start()
        check_serves(broker, writer.acked)
        writer.connection = wire.Connection(broker)
        resume(writer)
        check_all_there(broker, writer.acked)


@check("disk.full-at-a-start")
def _():
    with small_disk("start-disk") as (disk, filler), own.running("start-full", settings(disk, "start-full")) as broker:
        equal(wire.created(wire.Connection(broker).call(wire.create_topic(TOPIC, 1)), TOPIC), 0, "the error of the creation")
        writer = Writer(broker)
        writer.fill()
        # To the last block: a stop that writes indexes finds no room either.
        with contextlib.suppress(OSError), open(disk / "rest", "wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        broker.stop()
        done = subprocess.run(broker.launch["command"], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1, f"the start ended with {done.returncode}"
        equal(len(done.stderr.splitlines()), 1, f"the number of lines of {done.stderr!r}")
        assert str(disk) in done.stderr and "No space left on device" in done.stderr, f"{done.stderr!r} names no file and no reason"
        filler.unlink()
        broker.start()
        check_serves(broker, writer.acked)
        writer.connection = wire.Connection(broker)
        resume(writer)
        check_all_there(broker, writer.acked)
