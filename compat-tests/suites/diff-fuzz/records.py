"""Record batches by hand: good ones, and each way a batch can be wrong that a broker is to notice."""

import dataclasses
import gzip
import struct

from wire import unsigned_varint

BATCH_HEADER_BYTES = 61


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def varint(value):
    """A signed varint, zigzag."""
    return unsigned_varint((value << 1 ^ value >> 63) & 0xFFFFFFFFFFFFFFFF)


def record(offset_delta, key, value, timestamp_delta=0, headers=()):
    body = b"\0" + varint(timestamp_delta) + varint(offset_delta)
    for text in (key, value):
        body += varint(-1) if text is None else varint(len(text)) + text
    body += varint(len(headers))
    for name, text in headers:
        body += varint(len(name)) + name + (varint(-1) if text is None else varint(len(text)) + text)
    return varint(len(body)) + body


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a batch says; `None` for a count takes the true one."""

    timestamp: int
    values: tuple = (b"one",)
    keyed: bool = True
    attributes: int = 0
    magic: int = 2
    base_offset: int = 0
    leader_epoch: int = -1
    producer_id: object = -1
    producer_epoch: int = -1
    base_sequence: int = -1
    count: int | None = None
    last_offset_delta: int | None = None
    max_timestamp: int | None = None
    first_offset_delta: int = 0
    crc_off_by: int = 0
    length_off_by: int = 0
    cut: int = 0
    behind: bytes = b""

    def encode(self, producer_id=-1):
        """The batch as bytes."""
        payload = b"".join(
            record(self.first_offset_delta + index, b"key-%d" % index if self.keyed else None, value, index)
            for index, value in enumerate(self.values)
        )
        if self.attributes & 7 == 1:
            payload = gzip.compress(payload, mtime=0)
        count = len(self.values) if self.count is None else self.count
        last = len(self.values) - 1 if self.last_offset_delta is None else self.last_offset_delta
        newest = self.timestamp + max(len(self.values) - 1, 0) if self.max_timestamp is None else self.max_timestamp
        covered = struct.pack(
            ">hiqqqhii", self.attributes, last, self.timestamp, newest, producer_id, self.producer_epoch, self.base_sequence, count
        )
        covered += payload
        crc = (crc32c(covered) + self.crc_off_by) & 0xFFFFFFFF
        size = BATCH_HEADER_BYTES - 12 + len(payload) + self.length_off_by
        head = struct.pack(">qiibI", self.base_offset, size, self.leader_epoch, self.magic, crc)
        whole = head + covered + self.behind
        return whole[: len(whole) - self.cut]


def good(now):
    """Batches that every partition takes which takes keyed records."""
    return [
        Batch(now),
        Batch(now, values=(b"one", b"two", None)),
        Batch(now, values=(b"one", b"two"), attributes=1),
        Batch(now, values=(b"",)),
        Batch(now, leader_epoch=5),
    ]


def odd(now):
    """Batches with one thing about them that a broker may refuse."""
    day = 24 * 3600 * 1000
    return [
        Batch(now, base_offset=77),
        Batch(now, keyed=False),
        Batch(now, keyed=False, attributes=1),
        Batch(now, values=()),
        Batch(now, values=(), count=1),
        Batch(now, values=(b"one", b"two"), count=1),
        Batch(now, values=(b"one",), count=2),
        Batch(now, count=-1),
        Batch(now, values=(b"one", b"two"), last_offset_delta=0),
        Batch(now, values=(b"one", b"two"), last_offset_delta=5),
        Batch(now, last_offset_delta=-1),
        Batch(now, first_offset_delta=1),
        Batch(now, crc_off_by=1),
        Batch(now, length_off_by=1),
        Batch(now, length_off_by=-1),
        Batch(now, length_off_by=-40),
        Batch(now, cut=1),
        Batch(now, cut=40),
        Batch(now, behind=b"\0"),
        Batch(now, behind=b"\0" * 17),
        Batch(now, magic=0),
        Batch(now, magic=1),
        Batch(now, magic=3),
        Batch(now, magic=-1),
        Batch(now, attributes=5),
        Batch(now, attributes=7),
        Batch(now, attributes=2),
        Batch(now, attributes=4),
        Batch(now, attributes=8),
        Batch(now, attributes=16),
        Batch(now, attributes=32),
        Batch(now, attributes=48),
        Batch(now, attributes=64),
        Batch(now, attributes=256),
        Batch(now + 30 * day),
        Batch(-1),
        Batch(-2),
        Batch(now, max_timestamp=-1),
        Batch(now, max_timestamp=now + 30 * day),
        Batch(now, values=(b"x" * 1_100_000,)),
        Batch(now, values=(b"x" * 1_100_000,), attributes=1),
        Batch(now, producer_id=5_000_000, producer_epoch=0, base_sequence=0),
        Batch(now, producer_id=5_000_000, producer_epoch=0, base_sequence=3),
        Batch(now, producer_id=5_000_000, producer_epoch=-1, base_sequence=0),
        Batch(now, producer_id=5_000_000, producer_epoch=0, base_sequence=-1),
        Batch(now, producer_id=-1, producer_epoch=0, base_sequence=0),
        Batch(now, producer_id=5_000_000, producer_epoch=0, base_sequence=0, keyed=False),
        Batch(now, producer_id=5_000_000, producer_epoch=0, base_sequence=2147483647, values=(b"one", b"two")),
        Batch(now, producer_id=5_000_000, producer_epoch=0, base_sequence=0, attributes=16),
        Batch(now, producer_id=5_000_000, producer_epoch=0, base_sequence=0, behind=Batch(now).encode()),
        Batch(now, behind=Batch(now).encode()),
        Batch(now, behind=Batch(now, crc_off_by=1).encode()),
    ]
