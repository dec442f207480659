"""The counts: figures that a busy machine does not change, so that a gate may hold them.

One file for each kind of measure; its `measure(run)` yields them. limits.py compares them with what is recorded.
"""

from . import idle, instructions, memory, syscalls

KINDS = {"idle": idle, "memory": memory, "syscalls": syscalls, "instructions": instructions}
