"""Committed offsets under what happens to a disk: a million of them cost no heap, and whatever becomes of the view in RocksDB,
the log has them."""

import contextlib
import fcntl
import os
import pathlib
import random
import shutil
import struct
import subprocess
import time

import own
import wire
from checks import check, equal

TOPIC = "million"
PARTITIONS = 1000
GROUPS = 1000
HEAP_GROWTH_KB = 48 << 10
LOADED_SECONDS = 30
COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR = 15, 14, 16
NOT_YET = {COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR}
EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
DISK_SIZE = 256 << 20


def group(number):
    return f"group-{number}"


def offset_of(number, partition):
    return number * 7 + partition


def fetched(connection, name, partitions):
    """The offsets of some partitions of TOPIC; waits while the coordinator loads."""
    deadline = time.monotonic() + LOADED_SECONDS
    while True:
        answer = connection.call(wire.fetch_offsets(name, TOPIC, partitions))
        offsets = wire.fetched_offsets(answer, TOPIC, len(partitions))
        errors = {error for _, error in offsets.values()}
        if not errors & NOT_YET:
            equal(errors, {0}, f"the errors in the offsets of {name}")
            return {partition: offset for partition, (offset, _) in offsets.items()}
        # Loading is said, never -1: a consumer would start over.
        assert time.monotonic() < deadline, f"{name} is not loaded: {errors}"
        time.sleep(0.05)


def commit(connection, name, offsets):
    """Commit, and wait while the coordinator loads."""
    deadline = time.monotonic() + LOADED_SECONDS
    while True:
        errors = wire.committed(connection.call(wire.commit_offsets(name, TOPIC, offsets)), TOPIC, len(offsets))
        if not errors & NOT_YET:
            equal(errors, {0}, f"the errors of a commit of {name}")
            return
        assert time.monotonic() < deadline, f"{name} is not loaded: {errors}"
        time.sleep(0.05)


def begin(broker):
    connection = wire.Connection(broker)
    error = wire.created(connection.call(wire.create_topic(TOPIC, PARTITIONS)), TOPIC)
    equal(error, 0, "the error of CreateTopics")
    connection.call(wire.find_coordinator(group(0)))
    return connection


def verify(broker, committed):
    """Some offsets of some groups are what was committed; seconds until the first answer."""
    begun = time.monotonic()
    connection = wire.Connection(broker)
    first = None
    for number in random.sample(range(committed), min(committed, 40)):
        partitions = random.sample(range(PARTITIONS), 20)
        expected = {partition: offset_of(number, partition) for partition in partitions}
        equal(fetched(connection, group(number), partitions), expected, f"the offsets of {group(number)}")
        first = first or time.monotonic() - begun
    return first


def view(broker):
    """The directory of the view."""
    return broker.home / "data" / "coordinator-view"


@check("offsets.million")
def million():
    """A million offsets grow the disk, not the heap, and are there after a clean stop, a kill -9, and without the view."""
    broker = own.prepare("million")
    broker.start()
    connection = begin(broker)
    for number in range(10):
        commit(connection, group(number), {partition: offset_of(number, partition) for partition in range(PARTITIONS)})
    before = own.resident_kb(broker)
    begun = time.monotonic()
    for number in range(10, GROUPS):
        commit(connection, group(number), {partition: offset_of(number, partition) for partition in range(PARTITIONS)})
    seconds, grown = time.monotonic() - begun, own.resident_kb(broker) - before
    size = sum(file.stat().st_size for file in view(broker).rglob("*") if file.is_file())
    notes = [f"{GROUPS * PARTITIONS:,} offsets in {seconds:.1f} s, the process grew {grown / 1024:.1f} MiB, the view takes {size >> 20} MiB"]
    assert grown < HEAP_GROWTH_KB, f"the process grew {grown} kB"
    verify(broker, GROUPS)
    broker.stop()
    broker.start()
    notes.append(f"first answer {verify(broker, GROUPS):.2f} s after a clean stop ({own.resident_kb(broker) / 1024:.0f} MiB)")
    broker.kill()
    broker.start()
    notes.append(f"{verify(broker, GROUPS):.2f} s after kill -9")
    broker.kill()
    shutil.rmtree(view(broker))
    broker.start()
    notes.append(f"{verify(broker, GROUPS):.2f} s without a view ({own.resident_kb(broker) / 1024:.0f} MiB)")
    broker.stop()
    own.note("offsets.million", *notes)


@check("offsets.view-damaged")
def view_damaged():
    """Bytes of the view that have changed, and one that is older or newer than the log: each ends in the offsets of the log."""
    broker = own.prepare("damaged")
    broker.start()
    connection = begin(broker)
    for number in range(20):
        commit(connection, group(number), {partition: offset_of(number, partition) for partition in range(PARTITIONS)})
    broker.stop()
    old = pathlib.Path(shutil.copytree(view(broker), own.WORK / "old-view"))
    damaged = [file for file in view(broker).rglob("*") if file.is_file() and file.stat().st_size]
    for file in damaged:
        content = bytearray(file.read_bytes())
        for position in range(0, len(content), 97):
            content[position] ^= 0x55
        file.write_bytes(content)
    broker.start()
    verify(broker, 20)
    connection = wire.Connection(broker)
    for number in range(20, 40):
        commit(connection, group(number), {partition: offset_of(number, partition) for partition in range(PARTITIONS)})
    broker.kill()
    shutil.rmtree(view(broker))
    shutil.copytree(old, view(broker))
    broker.start()
    verify(broker, 40)
    broker.stop()
    assert "panicked" not in broker.log.read_text(), "the broker panicked"


@contextlib.contextmanager
def ext4_disk(name):
    """A file system on a loop device; gives where it is mounted and a function that cuts its power."""
    image, path = own.WORK / f"{name}.ext4", own.WORK / name
    with open(image, "wb") as file:
        file.truncate(DISK_SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    path.mkdir()
    mount = ["mount", "-o", "loop", image, path]
    subprocess.run(mount, check=True)

    def cut():
        directory = os.open(path, os.O_RDONLY)
        fcntl.ioctl(directory, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(directory)

    def restore():
        subprocess.run(["umount", path], check=True)
        subprocess.run(mount, check=True)

    try:
        yield path, cut, restore
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@check("offsets.power-cut")
def power_cut():
    """With a flush before each answer, no acknowledged commit is lost or goes back when the power is cut."""
    rounds, counted = 5, 0
    with ext4_disk("power") as (disk, cut, restore):
        overrides = {"log.dirs": str(disk / "data"), "log.flush.interval.messages": "1", "log.flush.offset.checkpoint.interval.ms": "200"}
        broker = own.prepare("power-broker", overrides)
        broker.start()
        begin(broker)
        acked = {}
        for round_number in range(rounds):
            connection = wire.Connection(broker)
            deadline = time.monotonic() + random.uniform(0.3, 1.0)
            while time.monotonic() < deadline:
                name, counted = group(random.randrange(8)), counted + 1
                offsets = {partition: counted for partition in random.sample(range(PARTITIONS), 5)}
                commit(connection, name, offsets)
                acked.update({(name, partition): offset for partition, offset in offsets.items()})
            cut()
            broker.kill()
            restore()
            broker.start()
            connection = wire.Connection(broker)
            for name in {name for name, _ in acked}:
                expected = {partition: offset for (of, partition), offset in acked.items() if of == name}
                equal(fetched(connection, name, sorted(expected)), expected, f"{name} after power cut {round_number + 1}")
        broker.stop()
    own.note("offsets.power-cut", f"{counted} commits over {rounds} power cuts, none lost")
