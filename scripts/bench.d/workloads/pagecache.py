"""Keeps the page cache full, as it is on a machine whose log is larger than its memory.

What fills it is a sparse file that is read ahead again and again: it takes no disk, its pages are clean, and so the
kernel takes them back as soon as anything else wants memory. No process runs short.
"""

import os
import threading

# What the kernel reads ahead at once everywhere.
SLICE_BYTES = 128 * 1024
PAUSE_SECONDS = 0.05
# At this rate the pages that a load displaces are replaced sooner than they can pile up.
REFILL_BYTES_PER_SECOND = 2 * 1024**3


def memory():
    """Bytes of memory: all of it, and what nothing uses."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        fields = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    return fields["MemTotal"], fields["MemFree"]


class FullPageCache:
    """A context in which `size_bytes` of the page cache are in use, or as many as there is room for."""

    def __init__(self, path, size_bytes):
        self.path = path
        self.size_bytes = size_bytes // SLICE_BYTES * SLICE_BYTES
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._refill)

    def __enter__(self):
        self.file = os.open(self.path, os.O_CREAT | os.O_RDWR)
        os.ftruncate(self.file, self.size_bytes)
        self._read_ahead(0, self.size_bytes)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        os.close(self.file)
        os.unlink(self.path)

    def _refill(self):
        """Read ahead what was displaced; what is in the cache costs a look only."""
        share = int(REFILL_BYTES_PER_SECOND * PAUSE_SECONDS) // SLICE_BYTES * SLICE_BYTES
        at = 0
        while not self.ending.wait(PAUSE_SECONDS):
            self._read_ahead(at, min(at + share, self.size_bytes))
            at = at + share if at + share < self.size_bytes else 0

    def _read_ahead(self, begin, end):
        for at in range(begin, end, SLICE_BYTES):
            os.posix_fadvise(self.file, at, SLICE_BYTES, os.POSIX_FADV_WILLNEED)
