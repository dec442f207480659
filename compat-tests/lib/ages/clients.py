"""The clients of all ages: how the agent of each is started, and what the client can do."""

import dataclasses
import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
ALL_CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
OLD_CODECS = ALL_CODECS[:4]


@dataclasses.dataclass(frozen=True)
class Client:
    """One release of a client, or one version of the protocol it is told to speak.

    `magic` is the message format it writes. What it `can` do: `stamps` give records times of its own, `times` tell those it
    reads, `types` tell CreateTime from LogAppendTime, `headers`, `search` for offsets by time, `transactions` write them and read
    what is committed, `committed` only the latter, `admin`, `groups`, and `metadata` of commits.
    """

    name: str
    command: tuple
    magic: int
    codecs: tuple
    can: frozenset


def _can(words):
    return frozenset(words.split())


_BASIC = "groups metadata"
_STAMPS = f"{_BASIC} stamps times types"
_MODERN = f"{_STAMPS} search headers transactions committed admin"


def _java(release, magic, can, codecs=OLD_CODECS):
    return Client(f"java-{release}", (str(HERE / "java" / "run"), release), magic, codecs, _can(can))


_CLIENTS = [
    _java("0.9", 0, _BASIC),
    _java("0.10", 1, f"{_STAMPS} search"),
    _java("0.11", 2, _MODERN),
    _java("1.1", 2, _MODERN),
    _java("2.8", 2, _MODERN, ALL_CODECS),
    _java("3.9", 2, _MODERN, ALL_CODECS),
    _java("4.4", 2, _MODERN, ALL_CODECS),
]
CLIENTS = {client.name: client for client in _CLIENTS}
