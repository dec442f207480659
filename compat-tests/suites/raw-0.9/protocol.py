"""The protocol of messages.txt over bytes: requests written from values, answers read field by field with the bytes of each."""

import pathlib
import re
import struct

import messages

FIXED = {"int8": ">b", "int16": ">h", "int32": ">i", "int64": ">q", "bool": ">?"}
# What tells one element of an array from another is in it; the order in which a broker's hash map gives them is not compared.
UNORDERED = {"topics", "partitions", "members", "groups", "brokers"}


class Api:
    """One version of one request and its answer."""

    def __init__(self, key, name, version):
        self.key = key
        self.name = name
        self.version = version
        self.request = self.answer = ()

    @property
    def title(self):
        return f"{self.name} v{self.version}"


def load():
    """{title: Api} of messages.txt."""
    found, api = {}, None
    for line in (pathlib.Path(__file__).parent / "messages.txt").read_text().splitlines():
        if match := re.fullmatch(r"(\d+) (\w+) v(\d+)", line):
            api = Api(int(match[1]), match[2], int(match[3]))
            found[api.title] = api
        elif line.startswith(">"):
            api.request = _fields(line[1:])
        elif line.startswith("<"):
            api.answer = _fields(line[1:])
    return found


def _fields(text):
    fields, rest = _struct(re.findall(r"\w+:|\w+|\[|\]", text))
    assert not rest, f"cannot read {text}"
    return fields


def _struct(tokens):
    """[(name, type)] up to a closing bracket; a type is a name, ["array", type], or a list of fields inside of one."""
    fields = []
    while tokens and tokens[0] != "]":
        name, tokens = tokens[0].rstrip(":"), tokens[1:]
        kind, tokens = _type(tokens)
        fields.append((name, kind))
    return fields, tokens


def _type(tokens):
    if tokens[0] != "[":
        return tokens[0], tokens[1:]
    if tokens[1].endswith(":"):
        inner, tokens = _struct(tokens[1:])
    else:
        inner, tokens = _type(tokens[1:])
    assert tokens[0] == "]"
    return ("array", inner), tokens[1:]


def encode(fields, values):
    """A struct from its values in order."""
    assert len(fields) == len(values), f"{values} for {fields}"
    return b"".join(_encode(kind, value) for (_, kind), value in zip(fields, values))


def _encode(kind, value):
    if isinstance(kind, tuple):
        elements = [encode(kind[1], each) if isinstance(kind[1], list) else _encode(kind[1], each) for each in value]
        return struct.pack(">i", len(value)) + b"".join(elements)
    if kind in FIXED:
        return struct.pack(FIXED[kind], value)
    width = ">h" if kind == "string" else ">i"
    if value is None:
        return struct.pack(width, -1)
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(width, len(data)) + data


class Reader:
    """Reads an answer (or a request) and shows it as lines (depth, name, bytes, value); bytes of None are the broker's own and not compared.

    `mask` is asked for each text and number by the name of its field: (shown, whether the bytes are compared).
    """

    def __init__(self, data, mask, answer=True):
        self.data = data
        self.is_answer = answer
        self.position = 0
        self.mask = mask
        self.values = {}
        self.exact = True

    def take(self, count):
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise ValueError(f"{count} bytes wanted at {self.position} of {len(self.data)}")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def whole(self, fields):
        lines, values = self.struct(fields, 0)
        if self.position != len(self.data):
            raise ValueError(f"{len(self.data) - self.position} bytes behind the end")
        return lines, values

    def struct(self, fields, depth):
        lines, values = [], {}
        for name, kind in fields:
            more, values[name] = self.value(name, kind, depth)
            lines += more
        return lines, values

    def value(self, name, kind, depth):
        if isinstance(kind, tuple):
            return self.array(name, kind[1], depth)
        if kind in FIXED:
            raw = self.take(struct.calcsize(FIXED[kind]))
            value = struct.unpack(FIXED[kind], raw)[0]
            return [self.line(depth, name, raw, value)], value
        head = self.take(2 if kind == "string" else 4)
        size = struct.unpack(">h" if kind == "string" else ">i", head)[0]
        data = None if size < 0 else self.take(size)
        if kind == "records":
            # Beside error 76 Kafka says null where beside every other error it says that there are none.
            return self.records(name, struct.pack(">i", max(size, 0)), data or b"", depth), data
        value = data.decode() if kind == "string" and data is not None else data
        return [self.line(depth, name, head + (data or b""), value)], value

    def line(self, depth, name, raw, value):
        shown, exact = self.mask(name, value)
        self.exact = self.exact and exact
        return depth, name, raw if exact else None, shown

    def records(self, name, head, data, depth):
        rendered = messages.render(data, self.is_answer)
        self.exact = self.exact and rendered.exact
        first = (depth, name, head if rendered.exact else None, f"{len(data)} bytes" if rendered.exact else "")
        return [first, *((depth + 1 + inner, *rest) for inner, *rest in rendered.lines)]

    def array(self, name, kind, depth):
        head = self.take(4)
        count = struct.unpack(">i", head)[0]
        elements, values = [], []
        for _ in range(count):
            if isinstance(kind, list):
                lines, value = self.struct(kind, depth + 2)
                lines.insert(0, (depth + 1, "-", b"", ""))
            else:
                lines, value = self.value("-", kind, depth + 1)
            elements.append(lines)
            values.append(value)
        if name in UNORDERED:
            elements.sort(key=repr)
        return [(depth, name, head, f"{count} elements"), *(line for lines in elements for line in lines)], values
