"""Gzip, Snappy and LZ4 as Kafka's clients frame them, written out here because the standard library has only the first.

Compressing takes the shortest way a format allows (literals alone); decompressing reads all of it, for the broker's answers.
"""

import gzip
import struct

GZIP, SNAPPY, LZ4 = 1, 2, 3
NAMES = {GZIP: "gzip", SNAPPY: "snappy", LZ4: "lz4"}
# The framing of snappy-java, which every Kafka client took over: a magic, two versions, then blocks led by their size.
XERIAL_HEADER = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
LZ4_MAGIC = b"\x04\x22\x4d\x18"
# Version 1, independent blocks, no checksums of content; blocks of at most 64 KiB.
LZ4_FLAGS = b"\x60\x40"
LZ4_STORED = 0x80000000
MASK = 0xFFFFFFFF
PRIMES = (2654435761, 2246822519, 3266489917, 668265263, 374761393)


def compress(codec, data, magic):
    """What a producer puts into the value of a wrapper message of format 0 or 1, or behind the header of a batch."""
    if codec == GZIP:
        return gzip.compress(data, mtime=0)
    return xerial(data) if codec == SNAPPY else lz4(data, old_checksum=magic == 0)


def decompress(codec, data):
    """(the data, what is to be said of the framing)"""
    if codec == GZIP:
        return gzip.decompress(data), "gzip"
    return _read_snappy(data) if codec == SNAPPY else _read_lz4(data)


def xerial(data):
    block = snappy_block(data)
    return XERIAL_HEADER + struct.pack(">i", len(block)) + block


def snappy_block(data):
    """One block of Snappy: its length, then nothing but literals of at most 60 bytes."""
    out = bytearray(_varint(len(data)))
    for start in range(0, len(data), 60):
        literal = data[start : start + 60]
        out.append(len(literal) - 1 << 2)
        out += literal
    return bytes(out)


def lz4(data, old_checksum):
    """A frame with one stored block. Kafka's format 0 has the checksum of the header taken over the magic too."""
    covered = LZ4_MAGIC + LZ4_FLAGS if old_checksum else LZ4_FLAGS
    head = LZ4_MAGIC + LZ4_FLAGS + bytes([xxhash32(covered) >> 8 & 0xFF])
    return head + struct.pack("<I", LZ4_STORED | len(data)) + data + struct.pack("<I", 0)


def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_snappy(data):
    if not data.startswith(XERIAL_HEADER[:8]):
        return _read_snappy_block(data), "snappy without blocks"
    out, position = b"", len(XERIAL_HEADER)
    while position < len(data):
        size = struct.unpack_from(">i", data, position)[0]
        out += _read_snappy_block(data[position + 4 : position + 4 + size])
        position += 4 + size
    return out, "snappy in xerial blocks"


def _read_snappy_block(block):
    size, shift, position = 0, 0, 0
    while True:
        byte = block[position]
        position += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    out = bytearray()
    while position < len(block):
        tag = block[position]
        position += 1
        if tag & 3 == 0:
            length = (tag >> 2) + 1
            if length > 60:
                wide = length - 60
                length = int.from_bytes(block[position : position + wide], "little") + 1
                position += wide
            out += block[position : position + length]
            position += length
            continue
        if tag & 3 == 1:
            length, distance = (tag >> 2 & 7) + 4, tag >> 5 << 8 | block[position]
            position += 1
        else:
            wide = 2 if tag & 3 == 2 else 4
            length, distance = (tag >> 2) + 1, int.from_bytes(block[position : position + wide], "little")
            position += wide
        _copy(out, distance, length)
    assert len(out) == size, f"{len(out)} bytes of Snappy, not {size}"
    return bytes(out)


def _copy(out, distance, length):
    assert 0 < distance <= len(out), f"a copy from {distance} before the end of {len(out)}"
    for _ in range(length):
        out.append(out[-distance])


def _read_lz4(data):
    assert data[:4] == LZ4_MAGIC, f"an LZ4 frame begins with {data[:4].hex()}"
    flags = data[4]
    end = 6 + (8 if flags & 8 else 0)
    given = data[end]
    if given == xxhash32(data[:end]) >> 8 & 0xFF:
        kind = "lz4 with the header checksum of format 0"
    elif given == xxhash32(data[4:end]) >> 8 & 0xFF:
        kind = "lz4 with the right header checksum"
    else:
        kind = "lz4 with a wrong header checksum"
    out, position = bytearray(), end + 1
    while True:
        size = struct.unpack_from("<I", data, position)[0]
        position += 4
        if size == 0:
            return bytes(out), kind
        block = data[position : position + (size & ~LZ4_STORED)]
        position += len(block) + (4 if flags & 16 else 0)
        if size & LZ4_STORED:
            out += block
        else:
            _read_lz4_block(out, block)


def _read_lz4_block(out, block):
    position = 0
    while position < len(block):
        token = block[position]
        position += 1
        length, position = _lz4_length(block, position, token >> 4)
        out += block[position : position + length]
        position += length
        if position == len(block):
            return
        distance = struct.unpack_from("<H", block, position)[0]
        length, position = _lz4_length(block, position + 2, token & 15)
        _copy(out, distance, length + 4)


def _lz4_length(block, position, length):
    if length < 15:
        return length, position
    while True:
        byte = block[position]
        position += 1
        length += byte
        if byte < 255:
            return length, position


def xxhash32(data):
    """XXH32 with seed 0, of fewer than 16 bytes: all that a frame header has."""
    assert len(data) < 16
    accumulator, position = PRIMES[4] + len(data) & MASK, 0
    while position + 4 <= len(data):
        accumulator = accumulator + struct.unpack_from("<I", data, position)[0] * PRIMES[2] & MASK
        accumulator = _rotate(accumulator, 17) * PRIMES[3] & MASK
        position += 4
    for byte in data[position:]:
        accumulator = accumulator + byte * PRIMES[4] & MASK
        accumulator = _rotate(accumulator, 11) * PRIMES[0] & MASK
    accumulator = (accumulator ^ accumulator >> 15) * PRIMES[1] & MASK
    accumulator = (accumulator ^ accumulator >> 13) * PRIMES[2] & MASK
    return accumulator ^ accumulator >> 16


def _rotate(value, bits):
    return (value << bits | value >> 32 - bits) & MASK


def zstd(data):
    """A Zstandard frame with one block as it is: magic, a single segment of a size of four bytes, then the last block."""
    assert len(data) < 1 << 17
    return struct.pack("<IBI", 0xFD2FB528, 0xA0, len(data)) + struct.pack("<I", len(data) << 3 | 1)[:3] + data
