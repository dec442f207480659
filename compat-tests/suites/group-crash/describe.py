"""DescribeGroups over a socket of its own: librdkafka's admin client does not survive a coordinator that dies under such a call."""

import socket
import struct

DESCRIBE_GROUPS = 15
ANSWER_SECONDS = 5


class Reader:
    """The fields of an answer in order."""

    def __init__(self, data):
        self.data = data

    def take(self, size):
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def string(self):
        return self.take(self.number(">h")).decode()

    def bytes(self):
        return self.take(self.number(">i"))


def describe(bootstrap, group):
    """The state of a group, the number of its members, and of the partitions they have; OSError if there is no answer."""
    host, port = bootstrap.split(":")
    body = struct.pack(">hhih", DESCRIBE_GROUPS, 0, 0, -1) + struct.pack(">ih", 1, len(group)) + group.encode()
    with socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        (size,) = struct.unpack(">i", _receive(connection, 4))
        answer = Reader(_receive(connection, size))
    answer.take(8)  # correlation id, number of groups
    error, _, state, _, _ = answer.number(">h"), answer.string(), answer.string(), answer.string(), answer.string()
    if error:
        return f"error {error}", 0, 0
    members = answer.number(">i")
    owned = 0
    for _ in range(members):
        for _ in range(3):
            answer.string()
        answer.bytes()
        owned += _partitions(Reader(answer.bytes()))
    return state, members, owned


def _partitions(assignment):
    """How many partitions an assignment of the protocol type consumer names."""
    if not assignment.data:
        return 0
    assignment.take(2)  # version
    count = 0
    for _ in range(assignment.number(">i")):
        assignment.string()
        partitions = assignment.number(">i")
        assignment.take(4 * partitions)
        count += partitions
    return count


def _receive(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("the connection ended before the answer")
        data += piece
    return data
