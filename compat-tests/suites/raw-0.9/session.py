"""Connections of a 0.9 client, and the record of what was asked and answered on them."""

import re
import socket
import struct
import time
import zlib

import protocol

CLIENT_ID = "raw-0.9"
ANSWER_SECONDS = 10
SILENT_SECONDS = 0.3
READY_SECONDS = 30
# A member id of the classic protocol: the client id and a random UUID.
MEMBER = re.compile(re.escape(CLIENT_ID) + r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHOWN_BYTES = 40


class Connection:
    """One connection; `receive` gives one frame, or None if the broker closed it."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def send(self, key, version, body):
        self.correlation += 1
        header = struct.pack(">hhih", key, version, self.correlation, len(CLIENT_ID)) + CLIENT_ID.encode()
        self.send_raw(struct.pack(">i", len(header) + len(body)) + header + body)

    def send_raw(self, data):
        self.socket.sendall(data)

    def receive(self, seconds=ANSWER_SECONDS):
        self.socket.settimeout(seconds)
        try:
            size = self._exactly(4)
            return None if size is None else self._exactly(struct.unpack(">i", size)[0])
        except ConnectionError:
            return None

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                return None
            data += part
        return data


class Session:
    """A chapter of the story as it is told to one broker."""

    def __init__(self, address, apis):
        self.address = address
        self.apis = apis
        self.connections = {}
        self.members = []
        self.lines = []

    def connection(self, name):
        if name not in self.connections:
            self.connections[name] = Connection(self.address)
        return self.connections[name]

    def close(self):
        for connection in self.connections.values():
            connection.socket.close()

    def ask(self, title, *values, on="newer"):
        """A request of the preparation, not in the record; returns the answer's values."""
        api, connection = self.apis[title], self.connection(on)
        connection.send(api.key, api.version, protocol.encode(api.request, values))
        frame = connection.receive()
        assert frame is not None, f"{title}: the connection was closed"
        return protocol.Reader(frame[4:], self.mask).whole(api.answer)[1]

    def until(self, what, attempt):
        """Repeats a step of the preparation until it returns 0 as its error code."""
        deadline = time.monotonic() + READY_SECONDS
        while code := attempt():
            assert time.monotonic() < deadline, f"{what}: error {code}"
            time.sleep(0.02)

    def step(self, name, title, *values, on="old"):
        """Asks, and records both the request and the answer; returns the answer's values."""
        self.send(name, title, *values, on=on)
        return self.answer(title, on=on)

    def send(self, name, title, *values, on="old"):
        """Records and sends a request whose answer is for later."""
        api, connection = self.apis[title], self.connection(on)
        body = protocol.encode(api.request, values)
        self.lines += ["", f"## {name}"] if name else []
        self.lines.append(f"> {title} (key {api.key}, {on} connection)")
        self.show(protocol.Reader(body, self.mask, answer=False).whole(api.request)[0])
        connection.send(api.key, api.version, body)

    def answer(self, title, on="old"):
        connection = self.connection(on)
        frame = connection.receive()
        if frame is None:
            self.closed(on)
            return None
        reader = protocol.Reader(frame[4:], self.mask)
        lines, values = reader.whole(self.apis[title].answer)
        self.lines.append(f"< {title}{f', {len(frame)} bytes' if reader.exact else ''}")
        correlation = struct.unpack(">i", frame[:4])[0]
        shown = "that of the request" if correlation == connection.correlation else f"{correlation}, not {connection.correlation}"
        self.show([(0, "correlation_id", None, shown), *lines])
        return values

    def silence(self, name, title, *values, on="old"):
        """A request that has no answer: none comes in a while. That the connection is kept shows in the next step."""
        self.send(name, title, *values, on=on)
        try:
            frame = self.connection(on).receive(SILENT_SECONDS)
        except TimeoutError:
            self.lines.append("< nothing")
        else:
            self.lines.append("< closed" if frame is None else f"< {frame.hex()}")

    def raw(self, name, data, on):
        """Bytes that are no request of the protocol, on a connection of their own."""
        self.lines += ["", f"## {name}", f"> {data.hex()}"]
        self.connection(on).send_raw(data)
        frame = self.connection(on).receive()
        if frame is None:
            self.closed(on)
        else:
            self.lines.append(f"< {frame.hex()}")

    def closed(self, on):
        self.lines.append("< closed")
        self.connections.pop(on).socket.close()

    def mask(self, name, value):
        """What is shown of a value, and whether it is the same on every broker."""
        if name == "port" and value == self.address[1]:
            return "<port>", False
        if isinstance(value, str) and MEMBER.fullmatch(value):
            if value not in self.members:
                self.members.append(value)
            return f"<member {self.members.index(value) + 1}>", False
        return value, True

    def show(self, lines):
        for depth, name, raw, shown in lines:
            text = "." * 8 if raw is None else brief(raw)
            self.lines.append(f"  {'  ' * depth}{name}  {text}  {brief_value(shown)}".rstrip())


def brief(raw):
    if len(raw) <= SHOWN_BYTES:
        return raw.hex()
    return f"{raw[:SHOWN_BYTES].hex()}... ({len(raw)} bytes, CRC {zlib.crc32(raw):08x})"


def brief_value(value):
    text = value if isinstance(value, str) and value[:1] == "<" else repr(value) if isinstance(value, (bytes, type(None))) else str(value)
    return text if len(text) <= 80 else text[:60] + "..."
