"""What a client of 0.9 reads in a message set, as lines; and the record batches that newer clients write beside it."""

import struct
import zlib

import message_sets
import old_codecs as codecs

CONTROL, TRANSACTIONAL = 32, 16
DAMAGE = (OSError, EOFError, ValueError, IndexError, AssertionError, struct.error, zlib.error)


class Rendered:
    """A message set as lines; `exact` if none of its bytes are the broker's own choice."""

    def __init__(self):
        self.lines = []
        self.exact = True

    def add(self, depth, name, raw, shown):
        self.lines.append((depth, name, raw, shown))


def render(data, answer):
    """The messages of a set, for what a reader makes of it.

    What a compressor made is shown decompressed. A cut message at the end is ignored, and shown only if it is all there is. So is a
    message whose offset was there before: Kafka sends a batch twice that comes right behind the marker of a transaction.
    """
    rendered, last = Rendered(), -1
    whole, cut = message_sets.split(data)
    # Kafka fills what it converts up to the size of what it has converted.
    rendered.exact = not answer or not data
    for each in whole:
        offset = message_sets.Message(each).offset
        if offset > last or not answer:
            _render_message(rendered, 0, each)
        last = offset
    if cut and not whole:
        rendered.add(0, "a cut message", b"", "")
    return rendered


def _render_message(rendered, depth, data):
    message = message_sets.Message(data)
    packed = message.codec in codecs.NAMES
    rendered.add(depth, "message", b"", "")
    rendered.add(depth + 1, "offset", data[:8], message.offset)
    rendered.add(depth + 1, "size", None if packed else data[8:12], "*" if packed else message.size)
    rendered.add(depth + 1, "crc", None if packed else data[12:16], "right" if message.crc_is_right else "wrong")
    rendered.add(depth + 1, "magic", data[16:17], message.magic)
    rendered.add(depth + 1, "attributes", data[17:18], message.attributes)
    rendered.add(depth + 1, "key", data[message.key_at : message.value_at], message.key)
    if not packed:
        rendered.add(depth + 1, "value", data[message.value_at :], message.value)
        return
    rendered.exact = False
    try:
        inner, framing = message.inner()
    except DAMAGE:
        rendered.add(depth + 1, "value", None, "damaged")
        return
    rendered.add(depth + 1, "value", None, framing)
    for each in inner:
        _render_message(rendered, depth + 2, each)


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = _crc32c_table()


def _crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _varint(value):
    out, value = bytearray(), (value << 1 ^ value >> 63) & 0xFFFFFFFFFFFFFFFF
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _record(delta, key, value, headers):
    body = b"\0" + _varint(0) + _varint(delta)
    for text in (key, value):
        body += _varint(-1) if text is None else _varint(len(text)) + text
    body += _varint(len(headers))
    for name, text in headers:
        body += _varint(len(name)) + name + _varint(len(text)) + text
    return _varint(len(body)) + body


def batch(timestamp, *values, keys=None, headers=(), attributes=0, pack=None, producer=(-1, -1, -1)):
    """A record batch of format 2, with the same headers on each record; `pack` compresses the records."""
    payload = b"".join(_record(number, keys[number] if keys else None, value, headers) for number, value in enumerate(values))
    payload = pack(payload) if pack else payload
    covered = struct.pack(">hiqqqhii", attributes, len(values) - 1, timestamp, timestamp, *producer, len(values)) + payload
    return struct.pack(">qiibI", 0, 9 + len(covered), -1, 2, _crc32c(covered)) + covered

