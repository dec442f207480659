"""System calls of a request, by name, under strace.

Like the instructions: what a load of MANY requests makes less what one of FEW makes. With one request in flight a read
brings one request, so what a read costs is not shared: this is the most that a request makes.
"""

import collections
import re
import time

from . import requests
from .measure import Measure

MANY = 1_000
FEW = 100
TRACE = "syscalls"
# strace is a grandchild (-D), so that the child is the broker itself.
COMMAND = ["strace", "-D", "-f", "-qq", "-o", TRACE, "-s", "0", "-e", "signal=none"]
# A call begins with the thread's id and its name; the rest of a call that another thread cut in two does not.
CALL = re.compile(r"^\d+ +(\w+)\(", re.MULTILINE)
QUIET_SECONDS = 0.1


def measure(run):
    for name, workload in requests.WORKLOADS.items():
        with run.target(COMMAND) as target:
            workload(target, 0, FEW)()  # What happens once happens here.
            many = _calls(target, workload(target, 1, MANY))
            many.subtract(_calls(target, workload(target, 2, FEW)))
        calls = {call: count / (MANY - FEW) for call, count in many.items()}
        yield Measure(f"{name}: system calls", sum(calls.values()), calls)


def _calls(target, load):
    """Name -> calls of all threads while `load` runs."""
    begin = _settled_size_bytes(target.home / TRACE)
    load()
    end = _settled_size_bytes(target.home / TRACE)
    with open(target.home / TRACE, "rb") as trace:
        trace.seek(begin)
        return collections.Counter(CALL.findall(trace.read(end - begin).decode(errors="replace")))


def _settled_size_bytes(trace):
    """The size of the trace once it does not grow: strace may be behind its process."""
    size_bytes = -1
    while (grown := trace.stat().st_size) != size_bytes:
        size_bytes = grown
        time.sleep(QUIET_SECONDS)
    return size_bytes
