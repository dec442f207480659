"""Writes the linker script that puts the functions of a start side by side.

`scripts/start-order` calls it. A broker starts under valgrind's callgrind in an empty directory, and once more over what
the first one left; what they ran up to the first answer and shortly after is the list. Without it each function brings
the 64 KiB and more around it into memory. What the compiler makes of a name (a hash, a suffix) is left open, so that the
list holds for other versions of compiler and dependencies; functions of the same name then come along.
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
import process  # noqa: E402

COUNTS = "callgrind.out"
VALGRIND = ["valgrind", "--tool=callgrind", "--demangle=no", "--compress-strings=no", f"--callgrind-out-file={COUNTS}"]
# What follows the first answer, such as the first round of chores, belongs to the start.
SETTLE_SECONDS = 3
# Rust's names end in a hash, or name the crate with one; the backend's suffixes have a number.
HASH = re.compile(r"17h[0-9a-f]{16}E.*")
CRATE_HASH = re.compile(r"Cs[0-9A-Za-z]+_(?=\d)")
SUFFIX = re.compile(r"\.llvm\.\d+")

HEAD = """\
/*
 * The functions that a start of the broker runs, side by side. Written by scripts/start-order; do not edit.
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


def functions(binary, home):
    """Names of the functions of `binary` that a start runs, as the linker knows them."""
    prepared = brokers.Broker.klamm(home, binary, {})
    prepared.launch["command"] = VALGRIND + prepared.launch["command"]
    names = set()
    for _ in ["in an empty directory", "over what is there"]:
        broker = process.Process(prepared)
        try:
            time.sleep(SETTLE_SECONDS)
            subprocess.run(["callgrind_control", "--dump", str(broker.child.pid)], check=True, capture_output=True)
        finally:
            broker.kill()
        dump = home / f"{COUNTS}.1"
        names |= names_in(dump.read_text(), binary)
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


def pattern(name):
    return SUFFIX.sub("*", CRATE_HASH.sub("Cs*_", HASH.sub("17h*", name)))


def main():
    parser = argparse.ArgumentParser(prog="start_order.py", description=__doc__)
    for name in ["broker", "directory", "output"]:
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    home = arguments.directory.resolve() / "start-order"
    shutil.rmtree(home, ignore_errors=True)
    names = functions(arguments.broker.resolve(), home)
    shutil.rmtree(home)
    # What the compiler takes for unlikely is in .text.unlikely.NAME.
    patterns = sorted({pattern(name) for name in names if re.fullmatch(r"(?!_GLOBAL__)[A-Za-z_][\w.$]*", name)})
    arguments.output.write_text(HEAD + "".join(f"    *(.text*.{each})\n" for each in patterns) + TAIL)
    print(f"{len(patterns)} names of {len(names)} functions in {arguments.output}")


if __name__ == "__main__":
    main()
