"""Record batches by hand: good ones, and each way a batch can be wrong that a broker is to notice."""

import dataclasses
import struct

import old_codecs as codecs
from message_sets import message, message_set, wrapper
from wire import unsigned_varint

BATCH_HEADER_BYTES = 61
# The version of Produce from which on records are batches, and not message sets.
FIRST_VERSION_OF_BATCHES = 3
ZSTD = 4


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
    # False leaves records as they are, whatever codec the attributes name.
    packed: bool = True

    def encode(self, producer_id=-1):
        """The batch as bytes."""
        payload = b"".join(
            record(self.first_offset_delta + index, b"key-%d" % index if self.keyed else None, value, index)
            for index, value in enumerate(self.values)
        )
        if self.packed and self.attributes & 7:
            payload = codecs.zstd(payload) if self.attributes & 7 == ZSTD else codecs.compress(self.attributes & 7, payload, self.magic)
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
        Batch(now, attributes=5, packed=False),
        Batch(now, attributes=7, packed=False),
        Batch(now, attributes=2, packed=False),
        Batch(now, attributes=4, packed=False),
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


def good_sets(now, version):
    """Message sets that every partition takes which takes keyed messages: format 1 from Produce v2 on, format 0 before."""
    magic, base = (1, {"magic": 1, "timestamp": now}) if version == 2 else (0, {})
    inner = message(b"one", b"a", **base) + message(None, b"b", offset=1, **base) + message(b"three" * 30, b"c", offset=2, **base)
    plain = [
        message(b"one", b"key", **base),
        message(b"one", b"a", **base) + message(None, b"b", **base) + message(b"", b"", **base),
        message(b"one", b"key", offset=77, **base),
    ]
    return plain + [wrapper(codec, inner, offset=offset, **base) for codec in codecs.NAMES for offset in (2, 0)] + [
        wrapper(codecs.LZ4, None, value=codecs.lz4(inner, old_checksum=magic == 1), **base),
        wrapper(codecs.SNAPPY, None, value=codecs.snappy_block(inner), **base),
    ]


def odd_sets(now, version):
    """Message sets with one thing about them that a broker may refuse."""
    day = 24 * 3600 * 1000
    base = {"magic": 1, "timestamp": now} if version == 2 else {}
    other = {} if version == 2 else {"magic": 1, "timestamp": now}
    one = message(b"one", b"key", **base)
    packed = wrapper(codecs.GZIP, one, **base)
    sets = [
        message(b"one", **base), message_set(b"one", b"two", **base), wrapper(codecs.GZIP, message_set(b"one", b"two", **base), **base),
        message(b"one", b"key", **other), one + message(b"two", b"key", **other), message(b"two", b"key", **other) + one,
        wrapper(codecs.GZIP, one, **other), wrapper(codecs.GZIP, message(b"one", b"key", **other), **base),
        message(b"one", b"key", magic=2), message(b"one", b"key", magic=3), message(b"one", b"key", magic=-1),
        message(b"one", b"key", crc_off_by=1, **base), one + message(b"two", b"key", crc_off_by=1, **base),
        wrapper(codecs.GZIP, message(b"one", b"key", crc_off_by=1, **base), **base), wrapper(codecs.GZIP, one, crc_off_by=1, **base),
        one[:-1], one + one[:-1], one[:11], one[:17], one + b"\0", packed[:-5], packed + packed, packed + one, one + packed,
        wrapper(codecs.GZIP, packed, **base), wrapper(codecs.GZIP, b"", **base), wrapper(codecs.GZIP, one[:-1], **base),
        wrapper(codecs.GZIP, one + one[:-1], **base), wrapper(codecs.GZIP, message_set(b"a", b"b", first=7, **base), **base),
        wrapper(codecs.GZIP, message(b"one", b"a", offset=5, **base) + message(b"two", b"b", offset=3, **base), **base),
        wrapper(codecs.GZIP, None, value=b"", **base), message(None, b"key", attributes=1, **base),
        wrapper(ZSTD, None, value=codecs.zstd(one), **base), message(b"one", b"key", attributes=8, **base),
        message(b"one", b"key", attributes=16, **base), message(b"x" * 1_100_000, b"key", **base),
        wrapper(codecs.GZIP, message(b"x" * 1_100_000, b"key", **base), **base), Batch(now).encode(), Batch(now, attributes=1).encode(),
        one + Batch(now).encode(), message(b"one", b"key", offset=-1, **base), message(b"one", b"key", offset=2**63 - 1, **base),
    ]
    if version == 2:
        times = [-1, -2, 0, now + 30 * day, now - 3000 * day, 2**63 - 1]
        sets += [message(b"one", b"key", magic=1, timestamp=time) for time in times]
        sets += [wrapper(codecs.LZ4, message(b"one", b"key", magic=1, timestamp=time), magic=1, timestamp=now) for time in times]
    return sets
