"""Message sets of formats 0 and 1, which clients before 0.11 wrote: messages, and the wrappers that hold compressed ones."""

import struct
import zlib

import old_codecs as codecs

HEAD_BYTES = 12
# CRC, magic, attributes, and the sizes of key and value.
LEAST_SIZE = 14


def message(value, key=None, offset=0, attributes=0, magic=0, timestamp=-1, crc_off_by=0):
    """One message with its offset and size; format 1 has a timestamp."""
    body = struct.pack(">bb", magic, attributes)
    if magic > 0:
        body += struct.pack(">q", timestamp)
    for text in (key, value):
        body += struct.pack(">i", -1) if text is None else struct.pack(">i", len(text)) + text
    crc = zlib.crc32(body) + crc_off_by & 0xFFFFFFFF
    return struct.pack(">qiI", offset, 4 + len(body), crc) + body


def message_set(*values, first=0, **options):
    """Messages without keys, at relative offsets from `first`, as a producer numbers them inside a wrapper."""
    return b"".join(message(value, offset=first + number, **options) for number, value in enumerate(values))


def wrapper(codec, inner, offset=0, value=None, magic=0, **options):
    """A message whose value is a compressed message set, or another value in the place of one."""
    if value is None:
        value = codecs.compress(codec, inner, magic)
    return message(value, offset=offset, attributes=codec, magic=magic, **options)


def split(data):
    """The whole messages of a set, and whether there is a part of one behind them, or what is none."""
    found, position = [], 0
    while position + HEAD_BYTES <= len(data):
        size = struct.unpack_from(">i", data, position + 8)[0]
        end = position + HEAD_BYTES + size
        if size < LEAST_SIZE or end > len(data):
            break
        found.append(data[position:end])
        position = end
    return found, position < len(data)


class Message:
    """What one message says."""

    def __init__(self, data):
        self.offset, self.size, self.crc, self.magic, self.attributes = struct.unpack_from(">qiIbb", data)
        self.crc_is_right = self.crc == zlib.crc32(data[16:])
        self.timestamp = struct.unpack_from(">q", data, 18)[0] if self.magic else None
        # Where the key and the value begin.
        self.key_at = 26 if self.magic else 18
        self.key, self.value_at = _text(data, self.key_at)
        self.value, end = _text(data, self.value_at)
        if end != len(data):
            raise ValueError(f"{len(data) - end} bytes behind the value of a message")

    @property
    def codec(self):
        """The codec of a wrapper, or 0."""
        return self.attributes & 7 if self.value is not None else 0

    def inner(self):
        """The messages in a wrapper, and what is to be said of its framing."""
        data, framing = codecs.decompress(self.codec, self.value)
        found, cut = split(data)
        if cut:
            raise ValueError("a cut message in a wrapper")
        return found, framing


def _text(data, position):
    size = struct.unpack_from(">i", data, position)[0]
    if size < 0:
        return None, position + 4
    return data[position + 4 : position + 4 + size], position + 4 + size
