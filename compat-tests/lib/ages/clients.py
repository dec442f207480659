"""The clients of all ages: how the agent of each is started, and what the client can do."""

import dataclasses
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ALL_CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
OLD_CODECS = ALL_CODECS[:4]


@dataclasses.dataclass(frozen=True)
class Client:
    """One release of a client, or one version of the protocol it is told to speak.

    `magic` is the message format it writes. What it `can` do:

    groups        be a member of one; `metadata`: say a word with a commit, and ask for it
    admin         make and delete topics
    empty         tell empty keys and values from none
    headers       write and show them
    stamps        give records times of its own
    times         show those of the records it reads; `types`: and whether they are the producer's or the broker's
    search        find offsets by time
    transactions  write them
    committed     read only what is committed
    markers       (cannot but) show the markers of transactions as records, not knowing what they are
    names         tell errors of a fetch that are younger than the version it speaks
    """

    name: str
    command: tuple
    magic: int
    codecs: tuple
    can: frozenset

    def adapt(self, record):
        """The record without what this client cannot say."""
        kept = {"timestamp": record.timestamp if "stamps" in self.can else None, "headers": record.headers if "headers" in self.can else ()}
        if "empty" not in self.can:
            kept |= {"key": record.key or None, "value": record.value or None}
        return dataclasses.replace(record, **kept)

    def glimpse(self, seen):
        """A record in a partition as this client shows it: without what it knows nothing of."""
        stamp = seen.stamp if "types" in self.can else f"?{seen.timestamp}"
        return dataclasses.replace(seen, stamp=stamp if "times" in self.can else None, headers=seen.headers if "headers" in self.can else ())


def _can(words):
    return frozenset(words.split())


_OLD = "groups empty"
_TIMED = f"{_OLD} stamps times types search"
_MODERN = f"{_TIMED} headers transactions committed admin"


def _java(release, magic, can, codecs=OLD_CODECS):
    return Client(f"java-{release}", (str(HERE / "java" / "run"), release), magic, codecs, _can(can))


def _python(version, magic, can):
    # Debian's Python has Debian's kafka-python.
    return Client(f"python-{version}", ("/usr/bin/python3", str(HERE / "python_agent.py"), version), magic, OLD_CODECS, _can(can))


def _go(name, version, magic, can, codecs):
    return Client(f"{name}-{version}", (str(HERE / "go"), f"{name}-agent", version), magic, codecs, _can(can))


def _sarama(version, magic, can, codecs=OLD_CODECS):
    return _go("sarama", version, magic, can, codecs)


def _franz(version, magic, can, codecs=OLD_CODECS):
    return _go("franz", version, magic, can, codecs)


def _kafkajs(release, magic, can):
    return Client(f"kafkajs-{release}", (str(HERE / "js" / "run"), release), magic, ALL_CODECS[:2], _can(can))


def _kcat(version, magic, can):
    return Client(f"kcat-{version}", (sys.executable, str(HERE / "kcat_agent.py"), version), magic, OLD_CODECS, _can(can))


_CLIENTS = [
    _java("0.9", 0, f"{_OLD} metadata"),
    _java("0.10", 1, f"{_TIMED} metadata"),
    _java("0.11", 2, f"{_MODERN} metadata"),
    _java("1.1", 2, f"{_MODERN} metadata"),
    _java("2.8", 2, f"{_MODERN} metadata", ALL_CODECS),
    _java("3.9", 2, f"{_MODERN} metadata", ALL_CODECS),
    _java("4.4", 2, f"{_MODERN} metadata", ALL_CODECS),
    _python("0.9", 0, f"{_OLD} metadata"),
    _python("0.10", 1, f"{_TIMED} metadata admin"),
    _python("0.11", 2, f"{_TIMED} metadata admin headers markers"),
    # sarama compresses with LZ4, and knows groups, only when it is told of a broker that is young enough.
    _sarama("0.9", 0, "empty metadata", ALL_CODECS[:3]),
    _sarama("0.10", 1, f"{_OLD} metadata admin stamps times search"),
    _sarama("0.11", 2, f"{_OLD} metadata admin stamps times search headers committed"),
    _sarama("1.0", 2, f"{_OLD} metadata admin stamps times search headers committed"),
    _sarama("2.0", 2, f"{_OLD} metadata admin stamps times search headers committed"),
    # Nor does franz-go read LZ4 as message format 0 frames it.
    _franz("0.9", 0, f"{_OLD} names", ALL_CODECS[:3]),
    _franz("0.10", 1, f"{_TIMED} admin names"),
    _franz("0.11", 2, f"{_MODERN} names"),
    # Of several headers with one name kafkajs 1 keeps the last, and it shows the producer's time where the broker's counts.
    _kafkajs("1.4", 2, f"{_OLD} stamps admin markers"),
    _kafkajs("1.12", 2, f"{_OLD} stamps admin committed"),
    # Told of 0.10 or newer, librdkafka asks for versions all the same.
    _kcat("0.9", 0, "groups"),
]
CLIENTS = {client.name: client for client in _CLIENTS}
