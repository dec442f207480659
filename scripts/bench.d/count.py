"""Counts the instructions a broker spends in user space on a request, with valgrind's callgrind.

`scripts/count` builds what this needs and calls it. A fresh broker takes loads of N requests and of 2N, in turn, with one
in flight; the difference divided by N is a request, without start, connection or first use. Of each the least of three
counts, because what disturbs a load (a request that arrives in two parts, a chore) only adds to it. Broker and generator
share one core, so the broker has one worker and threads alternate in the same order. The kernel's part is not counted.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "compat-tests/lib"))

import broker as brokers  # noqa: E402
import generator  # noqa: E402
import process  # noqa: E402
import table  # noqa: E402
from workloads.loads import BATCH_RECORDS, BATCH_VALUE_BYTES, SMALL_VALUE_BYTES  # noqa: E402

REQUESTS = 2_000
ROUNDS = 3
COUNTS = "callgrind.out"
# The start is not counted, so counting need not slow it down.
VALGRIND = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={COUNTS}"]
# The way through RocksDB's memtable is not counted: RocksDB draws how many levels the skip list gets, which makes a
# commit of one process 5 % dearer than that of another. The other costs of each get and put are counted.
# A function to toggle at switches collecting off from the start, so what switches it on again comes last.
VALGRIND += ["--toggle-collect=*SkipListRep::InsertKey*", "--toggle-collect=*SkipListRep::Get*", "--collect-atstart=yes"]
FETCH_BYTES = 64 * 1024


class Count:
    """One broker under callgrind, and the load generator."""

    def __init__(self, binary, load, home):
        self.binary = load
        self.home = home
        prepared = brokers.Broker.klamm(home, binary, {})
        prepared.launch["command"] = VALGRIND + prepared.launch["command"]
        self.broker = process.Process(prepared)
        self.dump_count = 0

    def load(self, command, **options):
        generator.run(self.binary, self.broker, command, **options)

    def produce(self, topic, requests, records, value_bytes):
        self.load(
            "produce", topic=topic, connections=1, in_flight=1, requests=requests, records=records, value_bytes=value_bytes,
            idempotent="false",
        )

    def per_request(self, workload):
        """Instructions of one request of `workload`, which prepares a load of a number of requests and returns it."""
        self._control("--instr=on")
        workload(self, 0, REQUESTS)()  # What happens once happens here.
        counts = [self._count(workload(self, number, (1 + number % 2) * REQUESTS)) for number in range(1, 2 * ROUNDS + 1)]
        twice, once = min(counts[0::2]), min(counts[1::2])
        return (twice - once) / REQUESTS

    def _count(self, load):
        self._control("--zero")
        load()
        self._control("--dump")
        self.dump_count += 1
        dump = (self.home / f"{COUNTS}.{self.dump_count}").read_text()
        return int(re.search(r"^summary: (\d+)", dump, re.MULTILINE)[1])

    def _control(self, option):
        """Have callgrind_control do `option` to the broker; it returns when that is done."""
        subprocess.run(["callgrind_control", option, str(self.broker.child.pid)], check=True, capture_output=True)


def produce_batch(count, number, requests):
    """One batch of 64 KiB in a request."""
    return _produce(count, number, requests, BATCH_RECORDS, BATCH_VALUE_BYTES)


def produce_small(count, number, requests):
    """One record of 100 B in a request."""
    return _produce(count, number, requests, 1, SMALL_VALUE_BYTES)


def fetch_batch(count, number, requests):
    """The same 64 KiB in each answer."""
    topic = f"topic-{number}"
    count.load("create", topic=topic, partitions=1)
    count.produce(topic, 2, BATCH_RECORDS, BATCH_VALUE_BYTES)
    return lambda: count.load("fetch", topic=topic, requests=requests, limit_bytes=FETCH_BYTES)


def fetch_nothing(count, number, requests):
    """Answers without records at the end of a partition, without waiting."""
    topic = f"topic-{number}"
    count.load("create", topic=topic, partitions=1)
    return lambda: count.load("fetch", topic=topic, requests=requests, limit_bytes=FETCH_BYTES)


def commit(count, number, requests):
    """One offset of a simple consumer in a request, of one group."""
    # One topic and group for all loads: what a commit costs depends on the partition of the group.
    if number == 0:
        count.load("create", topic="topic", partitions=1)
    return lambda: count.load("commit", topic="topic", connections=1, in_flight=1, requests=requests)


WORKLOADS = {
    "produce 64 KiB": produce_batch,
    "produce 100 B": produce_small,
    "fetch 64 KiB": fetch_batch,
    "fetch nothing": fetch_nothing,
    "commit an offset": commit,
}


def _produce(count, number, requests, records, value_bytes):
    # A topic of its own for each load: the generator wants to see the offsets of an empty partition.
    topic = f"topic-{number}"
    count.load("create", topic=topic, partitions=1)
    return lambda: count.produce(topic, requests, records, value_bytes)


def measure(name, binary, arguments):
    print(f"{name}: {binary}", file=sys.stderr)
    home = arguments.directory / "count"
    # A failed run leaves its directory, log included, until the next one needs the place.
    shutil.rmtree(home, ignore_errors=True)
    count = Count(binary, arguments.load, home)
    try:
        instructions = count.per_request(WORKLOADS[name])
    except BaseException:
        count.broker.kill()
        raise
    count.broker.stop()
    shutil.rmtree(home)
    return instructions


def main():
    parser = argparse.ArgumentParser(prog="count.py", description=__doc__)
    parser.add_argument("--broker", type=pathlib.Path, action="append", required=True)
    parser.add_argument("--load", type=pathlib.Path, required=True)
    parser.add_argument("--directory", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    first, *others = arguments.broker
    rows = [["instructions per request", *(str(path) for path in arguments.broker), *(f"{path} / {first}" for path in others)]]
    for name in WORKLOADS:
        counts = [measure(name, path, arguments) for path in arguments.broker]
        ratios = [f"{each / counts[0]:.3f}" for each in counts[1:]]
        rows.append([name, *(f"{each:,.0f}" for each in counts), *ratios])
    table.show(rows)


if __name__ == "__main__":
    main()
