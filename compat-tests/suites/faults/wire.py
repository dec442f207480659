"""The few requests that the checks build by hand, byte by byte, to send them whole, cut, slowly or damaged."""

import socket
import struct

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS, INIT_PRODUCER_ID, DESCRIBE_CONFIGS = 0, 1, 2, 3, 18, 19, 22, 32
OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR = 8, 9, 10
ANSWER_SECONDS = 15


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = _crc_table()


def crc32c(data):
    """The checksum of record batches."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def string(text):
    """A string with its 16-bit length."""
    return struct.pack(">h", len(text)) + text.encode()


def varint(number):
    """A zigzag varint."""
    left, encoded = number << 1 ^ number >> 63, bytearray()
    while left >= 0x80:
        encoded.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*encoded, left])


def batch(value):
    """A record batch of one record."""
    record = b"\0" + varint(0) + varint(0) + varint(-1) + varint(len(value)) + value + varint(0)
    record = varint(len(record)) + record
    checked = struct.pack(">hiqqqhii", 0, 0, 0, 0, -1, -1, -1, 1) + record
    return struct.pack(">qiibI", 0, len(checked) + 9, -1, 2, crc32c(checked)) + checked


def frame(key, version, body, flexible=False):
    """A request with its length in front."""
    payload = struct.pack(">hhi", key, version, 7) + string("faults") + (b"\0" if flexible else b"") + body
    return struct.pack(">i", len(payload)) + payload


def api_versions():
    """ApiVersions v3."""
    return frame(API_VERSIONS, 3, b"\x07faults\x021\0", flexible=True)


def metadata(topic):
    """Metadata v4 of a topic, which is not created by that."""
    return frame(METADATA, 4, struct.pack(">i", 1) + string(topic) + b"\0")


def metadata_of_all():
    """Metadata v4 of every topic."""
    return frame(METADATA, 4, struct.pack(">i", -1) + b"\0")


def create_topic(topic, partitions):
    """CreateTopics v2."""
    body = struct.pack(">i", 1) + string(topic) + struct.pack(">ihii", partitions, 1, 0, 0) + struct.pack(">i?", 10_000, False)
    return frame(CREATE_TOPICS, 2, body)


def produce(topic, partition, value):
    """Produce v3 with acks=all."""
    records = batch(value)
    body = struct.pack(">hhii", -1, -1, 10_000, 1) + string(topic) + struct.pack(">iii", 1, partition, len(records)) + records
    return frame(PRODUCE, 3, body)


def fetch(topic, partition, offset, max_bytes, wait_ms=0):
    """Fetch v4 that waits for a byte as long as it is told."""
    body = struct.pack(">iiiibi", -1, wait_ms, 1, max_bytes, 0, 1) + string(topic) + struct.pack(">iiqi", 1, partition, offset, max_bytes)
    return frame(FETCH, 4, body)


def list_offsets(topic, partition, timestamp):
    """ListOffsets v1."""
    body = struct.pack(">ii", -1, 1) + string(topic) + struct.pack(">iiq", 1, partition, timestamp)
    return frame(LIST_OFFSETS, 1, body)


def init_producer_id():
    """InitProducerId v0 of an idempotent producer."""
    return frame(INIT_PRODUCER_ID, 0, struct.pack(">hi", -1, 60_000))


def describe_configs(topic):
    """DescribeConfigs v1 of a topic."""
    return frame(DESCRIBE_CONFIGS, 1, struct.pack(">ib", 1, 2) + string(topic) + struct.pack(">i?", -1, False))


def find_coordinator(group):
    """FindCoordinator v0."""
    return frame(FIND_COORDINATOR, 0, string(group))


def commit_offsets(group, topic, offsets):
    """OffsetCommit v2 of a simple consumer: offsets by partition of one topic."""
    partitions = b"".join(struct.pack(">iqh", partition, offset, 0) for partition, offset in offsets.items())
    body = string(group) + struct.pack(">ihqi", -1, 0, -1, 1) + string(topic) + struct.pack(">i", len(offsets)) + partitions
    return frame(OFFSET_COMMIT, 2, body)


def fetch_offsets(group, topic, partitions):
    """OffsetFetch v1 of partitions of one topic."""
    body = string(group) + struct.pack(">i", 1) + string(topic) + struct.pack(f">i{len(partitions)}i", len(partitions), *partitions)
    return frame(OFFSET_FETCH, 1, body)


class Connection:
    """A socket to a broker; frames go out as they are given."""

    def __init__(self, broker):
        self.socket = socket.create_connection(("127.0.0.1", broker.launch["port"]), timeout=ANSWER_SECONDS)

    def send(self, data):
        """Send all of it."""
        self.socket.sendall(data)

    def answer(self):
        """The next response behind its correlation id; None if the broker closed the connection instead."""
        head = self._exactly(4)
        payload = head and self._exactly(struct.unpack(">i", head)[0])
        return payload and payload[4:]

    def call(self, data):
        """Send a request and wait for its response."""
        self.send(data)
        answer = self.answer()
        assert answer is not None, "the broker closed the connection"
        return answer

    def is_closed(self):
        """Whether the broker ends the connection without another byte."""
        return self._exactly(1) is None

    def reset(self):
        """End the connection at once, leaving nothing behind in the kernel."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _exactly(self, size):
        received = b""
        while len(received) < size:
            try:
                part = self.socket.recv(size - len(received))
            except ConnectionError:
                return None
            if not part:
                return None
            received += part
        return received


def produced(answer, topic):
    """The error code and the offset in a Produce response of one partition."""
    return struct.unpack_from(">hq", answer, 4 + 2 + len(topic) + 4 + 4)


def created(answer, topic):
    """The error code in a CreateTopics response of one topic."""
    return struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic))[0]


def committed(answer, topic, count):
    """The error codes in an OffsetCommit response of `count` partitions of one topic."""
    begin = 4 + 2 + len(topic) + 4
    return {struct.unpack_from(">ih", answer, begin + 6 * index)[1] for index in range(count)}


def fetched_offsets(answer, topic, count):
    """Offset and error code by partition in an OffsetFetch response of one topic."""
    at, offsets = 4 + 2 + len(topic) + 4, {}
    for _ in range(count):
        partition, offset, length = struct.unpack_from(">iqh", answer, at)
        at += 14 + max(length, 0)
        offsets[partition] = offset, struct.unpack_from(">h", answer, at)[0]
        at += 2
    return offsets
