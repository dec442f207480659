"""Kafka's messages over bytes, driven by the definitions inside the jar of kafka-clients: any version, field by field.

Encoding keeps no rule a broker should check itself: a value may be null where the definition says it must not, and the
hooks of `Writer` may write a wrong length. Decoding is strict: what it cannot account for is a `Malformed` answer.
"""

import dataclasses
import json
import re
import struct
import uuid
import zipfile

FIXED = {"bool": ">?", "int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d"}
TEXT = ("string", "bytes", "records")


class Malformed(Exception):
    """Bytes that are not the message they should be."""


@dataclasses.dataclass
class Versions:
    """A range of versions as the definitions write it: `0`, `1-3`, `4+`, `none`."""

    first: int
    last: int

    @classmethod
    def parse(cls, text):
        if text is None or text == "none":
            return cls(1, 0)
        first, dash, last = text.partition("-")
        if dash:
            return cls(int(first), int(last))
        return cls(int(text[:-1]), 32767) if text.endswith("+") else cls(int(text), int(text))

    def __contains__(self, version):
        return self.first <= version <= self.last


@dataclasses.dataclass
class Field:
    """One field of a message, or of a struct inside it."""

    name: str
    # Without the `[]` of an array; the name of a struct where `fields` is set.
    kind: str
    array: bool
    versions: Versions
    nullable: Versions
    tagged: Versions
    tag: int | None
    flexible: Versions | None
    map_key: bool
    entity: str | None
    default: object
    fields: list | None


@dataclasses.dataclass
class Message:
    """A request or an answer of one API."""

    api_key: int
    name: str
    valid: Versions
    flexible: Versions
    fields: list


def load(jar):
    """The definitions in a jar of kafka-clients: {api key: (request, answer)}."""
    found = {}
    with zipfile.ZipFile(jar) as archive:
        for entry in archive.namelist():
            if re.fullmatch(r"common/message/\w+(Request|Response)\.json", entry):
                text = re.sub(r"(?m)^\s*//.*$", "", archive.read(entry).decode())
                raw = json.loads(text)
                if raw["validVersions"] != "none":
                    found.setdefault(raw["apiKey"], {})[raw["type"]] = _message(raw)
    return {key: (pair["request"], pair["response"]) for key, pair in found.items()}


def _message(raw):
    structs = {shared["name"]: shared["fields"] for shared in raw.get("commonStructs", [])}
    fields = [_field(field, structs) for field in raw["fields"]]
    return Message(raw["apiKey"], raw["name"], Versions.parse(raw["validVersions"]), Versions.parse(raw["flexibleVersions"]), fields)


def _field(raw, structs):
    kind = raw["type"]
    array = kind.startswith("[]")
    kind = kind.removeprefix("[]")
    inner = raw.get("fields") or structs.get(kind)
    return Field(
        name=raw["name"],
        kind=kind,
        array=array,
        versions=Versions.parse(raw["versions"]),
        nullable=Versions.parse(raw.get("nullableVersions")),
        tagged=Versions.parse(raw.get("taggedVersions")),
        tag=raw.get("tag"),
        flexible=Versions.parse(raw["flexibleVersions"]) if "flexibleVersions" in raw else None,
        map_key=raw.get("mapKey", False),
        entity=raw.get("entityType"),
        default=_default(raw, array, inner),
        fields=[_field(field, structs) for field in inner] if inner else None,
    )


def _default(raw, array, inner):
    """The value a field holds when nobody sets it."""
    given, kind = raw.get("default"), raw["type"]
    if given == "null":
        return None
    if array:
        return []
    if inner:
        return {}
    if kind == "string":
        return given or ""
    if kind in TEXT:
        return b""
    if kind == "uuid":
        return uuid.UUID(int=0)
    if kind == "bool":
        return given in (True, "true")
    if kind == "float64":
        return float(given or 0)
    return int(str(given), 0) if given not in (None, "") else 0


def unsigned_varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Writer:
    """Writes one message of one version. A fuzzer overrides `length`, `tags` and `scalar` to write what it should not."""

    def __init__(self, version, flexible):
        self.version = version
        self.flexible = flexible
        self.out = bytearray()

    def length(self, field, count, compact):
        """Writes the length of a text or an array; None is null."""
        if compact:
            self.out += unsigned_varint(0 if count is None else count + 1)
        else:
            wide = field.array or field.kind in ("bytes", "records")
            self.out += struct.pack(">i" if wide else ">h", -1 if count is None else count)

    def tags(self, section):
        """Writes a section of tagged fields: [(tag, bytes)] in the order of the tags."""
        self.out += unsigned_varint(len(section))
        for tag, data in section:
            self.out += unsigned_varint(tag) + unsigned_varint(len(data)) + data

    def scalar(self, field, value):
        self.out += struct.pack(FIXED[field.kind], value)

    def message(self, fields, values):
        tagged = []
        for field in fields:
            if self.version not in field.versions:
                continue
            value = values.get(field.name, field.default)
            if self.flexible and self.version in field.tagged:
                if value != field.default:
                    kept, self.out = self.out, bytearray()
                    self.value(field, value)
                    tagged.append((field.tag, bytes(self.out)))
                    self.out = kept
            else:
                self.value(field, value)
        if self.flexible:
            self.tags(sorted(tagged))

    def value(self, field, value):
        compact = self.flexible if field.flexible is None else self.version in field.flexible
        if field.array:
            self.length(field, None if value is None else len(value), compact)
            for element in value or []:
                self.element(field, element, compact)
        else:
            self.element(field, value, compact)

    def element(self, field, value, compact):
        if field.fields is not None:
            # A struct that may be null, or is where it must not be, is led by a byte that says which.
            if not field.array and (self.version in field.nullable or value is None):
                self.out += struct.pack(">b", -1 if value is None else 1)
            if value is not None:
                self.message(field.fields, value)
        elif field.kind in TEXT:
            data = value.encode() if isinstance(value, str) else value
            self.length(dataclasses.replace(field, array=False), None if data is None else len(data), compact)
            self.out += data or b""
        elif field.kind == "uuid":
            self.out += value.bytes
        else:
            self.scalar(field, value)


class Reader:
    """Reads one message of one version; every byte must be accounted for."""

    def __init__(self, data, version, flexible):
        self.data = data
        self.position = 0
        self.version = version
        self.flexible = flexible

    def take(self, count):
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise Malformed(f"{count} bytes at {self.position} of {len(self.data)}")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 28:
                raise Malformed("a varint of more than five bytes")

    def length(self, field, compact):
        if compact:
            return self.varint() - 1
        wide = field.array or field.kind in ("bytes", "records")
        return struct.unpack(">i", self.take(4))[0] if wide else struct.unpack(">h", self.take(2))[0]

    def message(self, fields):
        values, tagged = {}, {}
        for field in fields:
            if self.version not in field.versions:
                continue
            if self.flexible and self.version in field.tagged:
                tagged[field.tag] = field
                values[field.name] = field.default
            else:
                values[field.name] = self.value(field)
        if self.flexible:
            self.tags(tagged, values)
        return values

    def tags(self, tagged, values):
        last = -1
        for _ in range(self.varint()):
            tag, size = self.varint(), self.varint()
            if tag <= last:
                raise Malformed(f"tag {tag} after {last}")
            last, end = tag, self.position + size
            if tag not in tagged:
                raise Malformed(f"unknown tag {tag}")
            values[tagged[tag].name] = self.value(tagged[tag])
            if self.position != end:
                raise Malformed(f"tag {tag} is not {size} bytes long")

    def value(self, field):
        compact = self.flexible if field.flexible is None else self.version in field.flexible
        if not field.array:
            return self.element(field, compact)
        count = self.length(field, compact)
        if count < 0:
            return self.null(field)
        if count > len(self.data):
            raise Malformed(f"{count} elements of {field.name}")
        return [self.element(field, compact) for _ in range(count)]

    def null(self, field):
        if self.version not in field.nullable:
            raise Malformed(f"{field.name} is null")

    def element(self, field, compact):
        if field.fields is not None:
            if not field.array and self.version in field.nullable and struct.unpack(">b", self.take(1))[0] < 0:
                return None
            return self.message(field.fields)
        if field.kind in TEXT:
            count = self.length(dataclasses.replace(field, array=False), compact)
            if count < 0:
                return None if field.kind == "records" else self.null(field)
            data = self.take(count)
            return data.decode() if field.kind == "string" else data
        if field.kind == "uuid":
            return uuid.UUID(bytes=self.take(16))
        return struct.unpack(FIXED[field.kind], self.take(struct.calcsize(FIXED[field.kind])))[0]


def request_header(message, version, correlation_id, client_id):
    """The header of a request: version 2 where the request is flexible, 1 where it is not."""
    name = client_id.encode()
    header = struct.pack(">hhih", message.api_key, version, correlation_id, len(name)) + name
    return header + (b"\0" if version in message.flexible else b"")


def encode(message, version, values):
    """The body of a request, written without faults."""
    writer = Writer(version, version in message.flexible)
    writer.message(message.fields, values)
    return bytes(writer.out)


def decode(message, version, data, correlation_id):
    """An answer behind its header; raises Malformed for anything that is not one."""
    reader = Reader(data, version, version in message.flexible)
    if struct.unpack(">i", reader.take(4))[0] != correlation_id:
        raise Malformed("the correlation id is another request's")
    # ApiVersions answers always have the first header: its reader does not know the versions of the broker yet.
    if version in message.flexible and message.api_key != 18 and reader.take(1) != b"\0":
        raise Malformed("the header has tagged fields")
    values = reader.message(message.fields)
    if reader.position != len(data):
        raise Malformed(f"{len(data) - reader.position} bytes behind the end")
    return values
