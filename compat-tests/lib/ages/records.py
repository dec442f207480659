"""Records as the agents write and read them: lines of fields with tabs between, `-` for null, bytes in Base64."""

import base64
import dataclasses
import random

# So many are written where nothing else matters: several batches of several records.
COUNT = 60


@dataclasses.dataclass(frozen=True)
class Record:
    """What a producer is given. `timestamp` is None for the client's clock; headers are pairs in order."""

    value: bytes | None
    key: bytes | None = None
    timestamp: int | None = None
    headers: tuple = ()

    @classmethod
    def parse(cls, line):
        timestamp, key, value, headers = line.split("\t")
        return cls(unfield(value), unfield(key), None if timestamp == "-" else int(timestamp), _pairs(headers))

    def line(self):
        headers = ",".join(f"{name}={field(value)}" for name, value in self.headers)
        return "\t".join(["-" if self.timestamp is None else str(self.timestamp), field(self.key), field(self.value), headers or "-"])


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a consumer was given. `stamp` is C or L (CreateTime, LogAppendTime; ? if the client does not tell) and the
    timestamp, or None if it has none."""

    partition: int
    offset: int
    stamp: str | None
    key: bytes | None
    value: bytes | None
    headers: tuple

    @classmethod
    def parse(cls, line):
        partition, offset, stamp, key, value, headers = line.split("\t")[1:]
        return cls(int(partition), int(offset), None if stamp == "-" else stamp, unfield(key), unfield(value), _pairs(headers))

    @property
    def timestamp(self):
        return None if self.stamp is None else int(self.stamp[1:])


def field(value):
    """Bytes or None as a field of a line."""
    return "-" if value is None else base64.b64encode(value).decode()


def unfield(text):
    """Bytes or None from a field of a line."""
    return None if text == "-" else base64.b64decode(text)


def _pairs(headers):
    pairs = [] if headers == "-" else [header.partition("=") for header in headers.split(",")]
    return tuple((name, unfield(value)) for name, _, value in pairs)


def make(seed, first_timestamp, count=COUNT):
    """Records of all kinds that `seed` decides: no key, no value, empty ones, long ones, headers, times 10 ms apart."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        value = f"{seed} {number} ".encode() * chance.choice([1, 1, 3, 40])
        key = chance.choice([None, b"", f"key {number % 7}".encode()])
        headers = (("a", b"1"), ("b", b""), ("a", b"3")) if number % 3 == 0 else ()
        # Not every client takes a record with neither key nor value.
        value = chance.choice([value, value, value, b"", b"" if key is None else None])
        made.append(Record(value, key, first_timestamp + 10 * number, headers))
    # The last one is told from all before it.
    made.append(Record(f"end of {seed}".encode(), b"end", first_timestamp + 10 * count, (("last", b"yes"),)))
    return made
