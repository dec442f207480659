"""Writes the linker script that puts the functions of a start side by side, and behind them those of common requests.

`scripts/start-order` calls it. A broker starts under valgrind's callgrind in an empty directory, and once more over what
the first one left; what they ran up to the first answer and shortly after is the first list. Without it each function
brings the 64 KiB and more around it into memory. Then it serves loads, each twice; what the second ones ran is the other
list. A broker that has little to do finds its code in no cache of the CPU: what stands together takes fewer pages and
lines of them. What the compiler makes of a name (a hash, a suffix) is left open, so that the list holds for other
versions of compiler and dependencies; functions of the same name then come along.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "compat-tests/lib"))

import broker as brokers  # noqa: E402
import generator  # noqa: E402
import process  # noqa: E402
from workloads.loads import BATCH_RECORDS, BATCH_VALUE_BYTES, SMALL_VALUE_BYTES  # noqa: E402

COUNTS = "callgrind.out"
VALGRIND = ["valgrind", "--tool=callgrind", "--demangle=no", "--compress-strings=no", f"--callgrind-out-file={COUNTS}"]
# What follows the first answer, such as the first round of chores, belongs to the start.
SETTLE_SECONDS = 3
# Under callgrind a request takes some fifty times as long as without.
REQUESTS = 200
TRANSACTIONS = 20
PACE_PER_SECOND = 50
PACE_SECONDS = 4
# Rust's names end in a hash, or name the crate with one; the backend's suffixes have a number.
HASH = re.compile(r"17h[0-9a-f]{16}E.*")
CRATE_HASH = re.compile(r"Cs[0-9A-Za-z]+_(?=\d)")
SUFFIX = re.compile(r"\.llvm\.\d+")

HEAD = """\
/*
 * The functions that a start of the broker runs, and behind them those of common requests, side by side. Written by
 * scripts/start-order; do not edit.
 *
 * The file adds to the linker's own layout (INSERT), for lld and GNU ld. A name that is not there any more is ignored.
 */
SECTIONS
{
  .text :
  {
    *libstdc++.a:*(.text.startup .text.startup.*)
"""
TAIL = """\
  }
}
INSERT BEFORE .fini;
"""


def functions(binary, load, home):
    """Names of the functions of `binary` that a start runs, and of those that requests run, as the linker knows them."""
    prepared = brokers.Broker.klamm(home, binary, {})
    prepared.launch["command"] = VALGRIND + prepared.launch["command"]
    of_start = set()
    of_requests = set()
    for is_last in [False, True]:
        broker = process.Process(prepared)
        dumps = Dumps(broker, binary, home)
        try:
            time.sleep(SETTLE_SECONDS)
            of_start |= dumps.names()
            if is_last:
                # A first load makes files, groups and caches; only what every other one runs is wanted.
                for number in range(2):
                    of_requests = set()
                    for run in loads(load, broker, number):
                        dumps.names()
                        run()
                        of_requests |= dumps.names()
        finally:
            broker.kill()
    return of_start, of_requests


def loads(load, broker, number):
    """The loads, each a function to call; what is done before it yields one is not part of it."""
    produced = {"partitions": 1, "connections": 1, "in_flight": 1, "requests": REQUESTS, "codec": "none"}

    def make(command, topic, **options):
        generator.run(load, broker, "create", topic=topic, partitions=1)
        return lambda: generator.run(load, broker, command, topic=topic, **options)

    batches = {"records": BATCH_RECORDS, "value_bytes": BATCH_VALUE_BYTES, "idempotent": "true"}
    small = {"records": 1, "value_bytes": SMALL_VALUE_BYTES, "idempotent": "false"}
    yield make("produce", f"batches-{number}", **produced, **batches)
    yield lambda: generator.run(load, broker, "consume", topic=f"batches-{number}", partitions=1, check_crc="false")
    yield make("produce", f"small-{number}", **produced, **small)
    yield make("pace", f"pace-{number}", rate=PACE_PER_SECOND, seconds=PACE_SECONDS, value_bytes=SMALL_VALUE_BYTES)
    yield make("commit", f"offsets-{number}", connections=1, in_flight=1, requests=REQUESTS)
    yield make(
        "transactions", f"transactions-{number}", producers=1, partitions=1, transactions=TRANSACTIONS, records=1,
        value_bytes=SMALL_VALUE_BYTES, classic="false",
    )


class Dumps:
    """What callgrind tells of a broker from one asking to the next."""

    def __init__(self, broker, binary, home):
        self.broker = broker
        self.binary = binary
        self.home = home
        self.count = 0

    def names(self):
        """The functions that ran since."""
        subprocess.run(["callgrind_control", "--dump", str(self.broker.child.pid)], check=True, capture_output=True)
        self.count += 1
        dump = self.home / f"{COUNTS}.{self.count}"
        names = names_in(dump.read_text(), self.binary)
        dump.unlink()
        return names


def names_in(dump, binary):
    """The functions of the object `binary` in what callgrind wrote."""
    names = set()
    is_ours = False
    for line in dump.splitlines():
        if line.startswith("ob="):
            is_ours = line == f"ob={binary}"
        elif is_ours and line.startswith("fn="):
            # A function that calls itself has its depth behind its name.
            names.add(line[3:].split("'")[0])
    return names


def patterns(names):
    """What the linker script has for these, in order."""
    # What the compiler takes for unlikely is in .text.unlikely.NAME.
    return sorted({pattern(name) for name in names if re.fullmatch(r"(?!_GLOBAL__)[A-Za-z_][\w.$]*", name)})


def pattern(name):
    return SUFFIX.sub("*", CRATE_HASH.sub("Cs*_", HASH.sub("17h*", name)))


def main():
    parser = argparse.ArgumentParser(prog="start_order.py", description=__doc__)
    for name in ["broker", "load", "directory", "output"]:
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    home = arguments.directory.resolve() / "start-order"
    shutil.rmtree(home, ignore_errors=True)
    of_start, of_requests = functions(arguments.broker.resolve(), arguments.load.resolve(), home)
    shutil.rmtree(home)
    # What both run stands in between, next to either.
    groups = [patterns(of_start - of_requests), patterns(of_start & of_requests), patterns(of_requests - of_start)]
    lines = [f"    *(.text*.{each})\n" for group in groups for each in group]
    arguments.output.write_text(HEAD + "".join(lines) + TAIL)
    print(f"{len(of_start)} functions of a start and {len(of_requests)} of requests in {len(lines)} lines of {arguments.output}")


if __name__ == "__main__":
    main()
