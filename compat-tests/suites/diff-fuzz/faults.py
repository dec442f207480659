"""Requests with one fault in their bytes: what a careless or hostile client may send."""

import dataclasses
import struct

from wire import TEXT, Writer, unsigned_varint

KINDS = [
    "null", "null", "truncated", "trailing", "count-plus", "count-minus", "count-huge", "count-negative", "text-length", "bad-utf8",
    "bool-2", "unknown-tag", "unknown-tag", "repeated-tag", "tags-out-of-order", "tag-size",
]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A kind of fault, and where: a fraction of the places in the message that could have it."""

    kind: str
    where: float


class FaultyWriter(Writer):
    """Counts the places for a fault, and writes it at the one that is chosen."""

    def __init__(self, version, flexible, kind, chosen):
        super().__init__(version, flexible)
        self.kind = kind
        self.chosen = chosen
        self.places = 0

    def here(self, kind):
        if kind != self.kind:
            return False
        self.places += 1
        return self.places - 1 == self.chosen

    def length(self, field, count, compact):
        if field.array and count is not None:
            wrong = {"count-plus": count + 1, "count-minus": max(count - 1, 0), "count-huge": 2**31 - 2, "count-negative": -2}
            for kind, changed in wrong.items():
                if self.here(kind):
                    return self.raw_length(changed, compact, ">i")
        elif not field.array and count is not None and self.here("text-length"):
            return self.raw_length(count + 1000, compact, ">i" if field.kind in ("bytes", "records") else ">h")
        return super().length(field, count, compact)

    def raw_length(self, count, compact, form):
        self.out += unsigned_varint((count + 1) & 0xFFFFFFFF) if compact else struct.pack(form, count)

    def element(self, field, value, compact):
        if field.fields is None and field.kind == "string" and value and self.here("bad-utf8"):
            value = b"\xff\xfe" + value.encode()[2:]
        super().element(field, value, compact)

    def scalar(self, field, value):
        if field.kind == "bool" and self.here("bool-2"):
            self.out += b"\x02"
        else:
            super().scalar(field, value)

    def tags(self, section):
        if self.here("unknown-tag"):
            section = section + [(10_000, b"unknown")]
        if self.here("repeated-tag"):
            section = section + [section[-1] if section else (10_000, b"a"), section[-1] if section else (10_000, b"a")]
        if self.here("tags-out-of-order"):
            section = [(10_001, b"a"), (10_000, b"b")] + section
        if section and self.here("tag-size"):
            tag, data = section[0]
            section = [(tag, data + b"\0")] + section[1:]
        super().tags(section)


def encode(message, version, values, fault):
    """The body of a request with a fault; None if it has no place for one of that kind."""
    flexible = version in message.flexible
    if fault.kind in ("truncated", "trailing"):
        writer = Writer(version, flexible)
        writer.message(message.fields, values)
        body = bytes(writer.out)
        return body[: int(len(body) * fault.where)] if fault.kind == "truncated" else body + b"\0" * (1 + int(fault.where * 8))
    counting = FaultyWriter(version, flexible, fault.kind, -1)
    counting.message(message.fields, values)
    if not counting.places:
        return None
    writer = FaultyWriter(version, flexible, fault.kind, int(counting.places * fault.where))
    writer.message(message.fields, values)
    return bytes(writer.out)


def nullable_places(fields, version, values, path=""):
    """Every (holder, field, path) that could be null on the wire but must not be in this version."""
    for field in fields:
        if version not in field.versions or values.get(field.name) is None:
            continue
        here = f"{path}{field.name}"
        if (field.array or field.kind in TEXT) and version not in field.nullable and version not in field.tagged:
            yield values, field, here
        if field.fields is not None:
            for inner in values[field.name] if field.array else [values[field.name]]:
                yield from nullable_places(field.fields, version, inner, here + ".")


def make_null(rng, message, version, values):
    """Makes one value null that must not be; says which, or None if there is none."""
    places = list(nullable_places(message.fields, version, values))
    if not places:
        return None
    holder, field, path = rng.choice(places)
    holder[field.name] = None
    return path
