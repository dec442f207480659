"""A broker under valgrind's callgrind, and what the dumps of callgrind say.

A dump tells how many instructions ran and how often each function called each other function. Nothing here knows what
is asked of the broker.
"""

import collections
import re
import subprocess

OUT = "callgrind.out"
# The start is not counted, so counting need not slow it down.
COMMAND = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={OUT}"]
# The way through RocksDB's memtable is not counted: RocksDB draws how many levels the skip list gets, which makes a
# commit of one process 5 % dearer than that of another. The other costs of each get and put are counted.
# A function to toggle at switches collecting off from the start, so what switches it on again comes last.
COMMAND += ["--toggle-collect=*SkipListRep::InsertKey*", "--toggle-collect=*SkipListRep::Get*", "--collect-atstart=yes"]
# What allocates: mimalloc for Rust, the C library and operator new for RocksDB. One of them may call another: only
# calls from outside count.
ALLOCATORS = ["mi_*alloc*", "malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "operator new*"]
ALLOCATOR = re.compile(r"(mi_\w*alloc\w*|malloc|calloc|realloc|aligned_alloc|posix_memalign|operator new.*)$")
INSIDE = re.compile(r"(_?mi_\w+|malloc|calloc|realloc|aligned_alloc|posix_memalign|operator new.*|_\w*int_\w*alloc\w*)$")
# Callers that are kept for each call of an allocator, so that a failure names where it comes from.
CALLERS = 12
COMMAND += [f"--separate-callers{CALLERS}={function}" for function in ALLOCATORS]
# The frames of ours that name a place.
NAMED_FRAMES = 2


class Callgrind:
    """Counts what a broker that was started behind COMMAND does; counting begins with `begin`."""

    def __init__(self, target):
        self.process_id = target.broker.child.pid
        self.home = target.home
        self.dump_count = 0

    def begin(self):
        self._control("--instr=on")

    def count(self, load):
        """What the broker does while `load` runs."""
        self._control("--zero")
        load()
        self._control("--dump")
        self.dump_count += 1
        path = self.home / f"{OUT}.{self.dump_count}"
        counted = Dump(path.read_text())
        path.unlink()
        return counted

    def _control(self, option):
        """Have callgrind_control do `option` to the broker; it returns when that is done."""
        subprocess.run(["callgrind_control", option, str(self.process_id)], check=True, capture_output=True)


class Dump:
    """`instructions`: all that ran. `allocations`: place -> calls of an allocator."""

    def __init__(self, text):
        self.instructions = int(re.search(r"^summary: (\d+)", text, re.MULTILINE)[1])
        self.allocations = collections.Counter()
        names = {}
        caller = callee = None
        for line in text.splitlines():
            if line.startswith("fn="):
                caller = _name(names, line[3:])
            elif line.startswith("cfn="):
                callee = _name(names, line[4:])
            elif line.startswith("calls="):
                function, *callers = callee.split("'")
                if ALLOCATOR.match(function) and not INSIDE.match(caller.split("'")[0]):
                    self.allocations[_place(function, callers)] += int(line[6:].split()[0])


def least(counters):
    """Of each place the least count."""
    first, *others = counters
    return collections.Counter({place: min(count, *(other[place] for other in others)) for place, count in first.items()})


def _name(names, reference):
    """A name is written once, as `(id) name`; later it is `(id)`."""
    identity, _, name = reference.partition(" ")
    if name:
        names[identity] = name
    return names[identity]


def _place(function, callers):
    """Where an allocation comes from: the innermost functions of ours, or who called if none is."""
    ours = [caller for caller in callers if caller.startswith(("klamm::", "<klamm::"))]
    return " < ".join([function, *(ours or callers)[:NAMED_FRAMES]])
