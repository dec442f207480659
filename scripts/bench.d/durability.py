"""Asks brokers what they promise of an acknowledged record, so that no side is cheaper because it promises less.

The load generator asks for acks=all everywhere; what that means is a matter of the broker's settings. They are read from
the running broker (DescribeConfigs v1), not from what it was given.
"""

import shutil
import socket
import struct

import process

DESCRIBE_CONFIGS = 32
VERSION = 1
BROKER = 4
# Every broker of a run is the only one of its cluster.
NODE_ID = "1"
KEYS = ["log.flush.interval.messages", "log.flush.interval.ms", "min.insync.replicas"]
ANSWER_SECONDS = 30


def compare(sides, directory):
    """{side: what it promises, in one line}; fails unless all that can be asked promise the same."""
    promises = {}
    for side in sides:
        promises[side.name] = side.durability or _asked(side, directory / f"{side.name}-durability")
    if len({promises[side.name] for side in sides if not side.durability}) > 1:
        raise SystemExit(f"the sides do not promise the same of an acknowledged record: {promises}")
    return promises


def _asked(side, home):
    """What `side` answers when it is started as the workloads start it."""
    shutil.rmtree(home, ignore_errors=True)
    running = process.Process(side.prepare(home, {}))
    try:
        values = Answer(_ask(running.port)).settings()
    except BaseException:
        running.kill()
        raise
    running.stop()
    shutil.rmtree(home)
    return ", ".join(f"{key}={values[key]}" for key in KEYS)


def _ask(port):
    """The body of the answer about KEYS."""
    body = struct.pack(">hhih", DESCRIBE_CONFIGS, VERSION, 0, -1)
    body += struct.pack(">ib", 1, BROKER) + _string(NODE_ID) + struct.pack(">i", len(KEYS)) + b"".join(map(_string, KEYS))
    body += struct.pack(">?", False)  # include_synonyms
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        size_bytes = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))[0]
        return connection.recv(size_bytes, socket.MSG_WAITALL)


def _string(text):
    return struct.pack(">h", len(text)) + text.encode()


class Answer:
    """The fields of an answer in order."""

    def __init__(self, content):
        self.content = content
        self.position = 0

    def settings(self):
        """{key: value} of an answer about one broker; a key that it does not know raises a KeyError at its reader."""
        self.field(">iii")  # correlation id, throttle time, one result
        error_code = self.field(">h")
        if error_code:
            raise SystemExit(f"DescribeConfigs gave error code {error_code}: {self.string()}")
        self.string(), self.field(">b"), self.string()  # no message, type, name
        values = {}
        for _ in range(self.field(">i")):
            key = self.string()
            values[key] = self.string()
            self.field(">?b?")  # read-only, source, sensitive
            for _ in range(self.field(">i")):
                self.string(), self.string(), self.field(">b")  # a synonym
        return values

    def field(self, form):
        """The next field, or the last of several."""
        found = struct.unpack_from(form, self.content, self.position)
        self.position += struct.calcsize(form)
        return found[-1]

    def string(self):
        size_bytes = self.field(">h")
        if size_bytes < 0:
            return None
        self.position += size_bytes
        return self.content[self.position - size_bytes:self.position].decode()
