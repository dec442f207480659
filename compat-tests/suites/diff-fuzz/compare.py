"""Holds two answers to one request against each other: field by field, arrays by the keys of their elements."""

import hashlib
import itertools
import re
import struct
import uuid

import message_sets
import old_codecs
import records
import rules

# The first of these that an element has tells it from its neighbours.
KEYS = [
    "PartitionIndex", "Partition", "Index", "ApiKey", "GroupId", "TransactionalId", "TopicId", "Name", "Topic", "TopicName", "ResourceName",
    "User", "Key", "MemberId", "BrokerId", "NodeId", "LogDir", "EntityType", "Entity", "ProducerId",
]
# Ids that the cases send, and that no topic has.
OF_THE_CASES = {rules.ZERO_UUID, rules.UNKNOWN_UUID, rules.METADATA_TOPIC_ID}
# The records of the preparation are dated an hour back.
MARKERS_SINCE_MS = 1_800_000
FETCH, API_VERSIONS, DESCRIBE_QUORUM = 1, 18, 55
# The version of Fetch from which on records are batches, and not message sets.
FIRST_FETCH_OF_BATCHES = 4
LOG_APPEND_TIME = 8
# A member id that a broker made: with a random UUID at its end, or nothing but one in base 64.
MADE_MEMBER = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$|^[\w-]{22}$")
# The attribute of a batch that holds a marker of a transaction.
CONTROL = 32
# What is a time or a size of this broker alone: only its sign is compared.
SIGN_ONLY = {
    "LogAppendTimeMs", "TotalBytes", "UsableBytes", "LastTimestamp", "TransactionStartTimeMs", "LastFetchTimestamp",
    "LastCaughtUpTimestamp", "SessionId", "ProducerId", "SessionLifetimeMs", "LogEndOffset",
    "StartOffset", "PartitionSize", "FinalizedFeaturesEpoch", "LastFetchedTimestamp", "MetadataVersion",
}
TEXT_ONLY = {"ErrorMessage", "BatchIndexErrorMessage", "PartitionErrorMessage", "Documentation"}


class Normaliser:
    """Replaces what must differ between brokers by what it stands for."""

    def __init__(self, side, case, served, messages_too):
        self.side = side
        self.case = case
        self.served = served
        self.messages_too = messages_too
        self.names = {identity: name for name, identity in side.topic_ids.items()}
        self.members = {identity: name for name, identity in side.members.items()}
        self.producers = {identity: name for name, identity in side.producer_ids.items()}

    def struct(self, values):
        if self.case.key == API_VERSIONS and "ApiKey" in values:
            # Klamm begins where the oldest clients do; see compare_ranges.
            values = {**values, "MinVersion": 0}
        return {name: self.field(name, value) for name, value in values.items()}

    def field(self, name, value):
        if isinstance(value, dict):
            return self.struct(value)
        if isinstance(value, list):
            kept = [self.field(name, element) for element in value if not self.foreign(element) and not nothing_asked(element)]
            kept = merged(kept) if name == "Responses" and self.case.key == FETCH else kept
            return sorted(kept, key=repr) if kept and not isinstance(kept[0], dict) else kept
        if isinstance(value, uuid.UUID):
            return self.identity(value)
        if isinstance(value, bytes) and name == "Records" and self.case.version < FIRST_FETCH_OF_BATCHES:
            return comparable_messages(value)
        if isinstance(value, bytes):
            value = comparable_batches(value) if name == "Records" else value
            return f"{len(value)} bytes {hashlib.sha256(value).hexdigest()[:8]}"
        if isinstance(value, str):
            return self.text(name, value)
        if (name in SIGN_ONLY or name in ("HighWatermark", "LeaderEpoch") and self.case.key == DESCRIBE_QUORUM) and isinstance(value, int):
            known = self.producers if name == "ProducerId" else {}
            return known.get(value, "positive") if value > 0 else value
        if name == "Timestamp" and value > self.side.now + MARKERS_SINCE_MS:
            return "<time of a marker>"
        if name == "Port" and value > 0:
            return "<port>" if value == self.side.port or self.case.key == DESCRIBE_QUORUM else value
        return value

    def foreign(self, element):
        """Whether an element of a list belongs to another case: what exists besides is no concern of this one."""
        if not isinstance(element, dict):
            return False
        if self.case.key == API_VERSIONS and "ApiKey" in element and element["ApiKey"] not in self.served:
            return True
        texts = [value for value in element.values() if isinstance(value, str)]
        for inner in element.get("Entity") or []:
            texts.append(inner["EntityName"] or "")
        # A name with replaced bytes is what Kafka made of another case's bad UTF-8.
        return any("\ufffd" in text or text.startswith("x-") and not text.startswith(self.case.prefix) for text in texts)

    def identity(self, value):
        if value in OF_THE_CASES:
            return str(value)
        return f"<id of {self.names[value]}>" if value in self.names else "<an id>"

    def text(self, name, value):
        if name in TEXT_ONLY and not self.messages_too:
            return "text" if value else value
        for known, shown in ((self.side.cluster_id, "<cluster>"), (self.side.log_directory, "<log directory>")):
            if known and known in value:
                value = value.replace(known, shown)
        if value in self.members:
            return f"<member of {self.members[value]}>"
        if name in ("MemberId", "Leader") and MADE_MEMBER.search(value):
            return "<a member>"
        return value


def nothing_asked(element):
    """Whether this is a topic without partitions: the request asked for none, and some of Kafka's answers leave it out."""
    if not isinstance(element, dict) or "ErrorCode" in element:
        return False
    return element.get("Partitions") == [] or element.get("ResultsByPartition") == []


def merged(topics):
    """The topics of a fetch, each once: Kafka puts partitions in error behind the others, with their topic again."""
    found = {}
    for topic in topics:
        first = found.setdefault(topic.get("Topic") or topic.get("TopicId"), topic)
        if first is not topic:
            first["Partitions"] = first["Partitions"] + topic["Partitions"]
    return list(found.values())


def comparable_batches(data):
    """Record batches without the part of one at the end (where a limit cuts is no concern of a reader), and without the
    producer ids and times that are a broker's own."""
    data, position = bytearray(data), 0
    while position + records.BATCH_HEADER_BYTES <= len(data):
        size = 12 + struct.unpack_from(">i", data, position + 8)[0]
        if position + size > len(data):
            break
        attributes, producer_id = struct.unpack_from(">h", data, position + 21)[0], struct.unpack_from(">q", data, position + 43)[0]
        if producer_id >= 0:
            data[position + 17 : position + 21] = bytes(4)
            data[position + 43 : position + 51] = bytes(8)
        if attributes & CONTROL:
            data[position + 27 : position + 43] = bytes(16)
        position += size
    return bytes(data[:position])


def comparable_messages(data):
    """What a reader makes of a message set: whole messages, decompressed, each once (Kafka sends a batch twice that comes right
    behind the marker of a transaction)."""
    whole, cut = message_sets.split(data)
    shown, last = [], -1
    for each in map(message_sets.Message, whole):
        if each.offset > last:
            shown.append(comparable_message(each))
        last = each.offset
    return tuple(shown) or (("a cut message",) if cut else ())


def comparable_message(message):
    value = message.value
    if message.codec in old_codecs.NAMES:
        inner, framing = message.inner()
        value = f"{framing}: {', '.join(comparable_message(message_sets.Message(each)) for each in inner)}"
    elif value is not None and len(value) > 40:
        value = f"{len(value)} bytes {hashlib.sha256(value).hexdigest()[:8]}"
    time = "<time>" if message.attributes & LOG_APPEND_TIME else message.timestamp
    crc = "" if message.crc_is_right else ", wrong CRC"
    return f"{message.offset}: magic {message.magic}, attributes {message.attributes}, {time}, {message.key}, {value}{crc}"


def differences(kafka, klamm, path=""):
    """Every (path, Kafka's value, Klamm's value) where two normalised answers differ."""
    if isinstance(kafka, tuple) and isinstance(klamm, tuple):
        # Where a limit ends a message set is no concern of a reader, if only it is not before the first message.
        pairs = [*zip(kafka, klamm)] if kafka and klamm else [*itertools.zip_longest(kafka[:1], klamm[:1])]
        yield from ((path, one, other) for one, other in pairs if one != other)
    elif isinstance(kafka, dict) and isinstance(klamm, dict):
        for name in kafka:
            yield from differences(kafka[name], klamm.get(name), f"{path}.{name}" if path else name)
    elif isinstance(kafka, list) and isinstance(klamm, list):
        yield from lists(kafka, klamm, path)
    elif repr(kafka) != repr(klamm):
        yield path, kafka, klamm


def lists(kafka, klamm, path):
    ours, theirs = keyed(klamm), keyed(kafka)
    if theirs is None or ours is None:
        if len(kafka) != len(klamm) or not all(isinstance(element, dict) for element in kafka + klamm):
            if sorted(map(repr, kafka)) != sorted(map(repr, klamm)):
                yield f"{path}[]", shape(kafka), shape(klamm)
            return
        for one, other in zip(sorted(kafka, key=repr), sorted(klamm, key=repr)):
            yield from differences(one, other, f"{path}[]")
        return
    if theirs.keys() != ours.keys():
        yield f"{path}[]", shape(kafka, theirs.keys() - ours.keys()), shape(klamm, ours.keys() - theirs.keys())
    for key in sorted(theirs.keys() & ours.keys()):
        # Of a config it matters which one it is: the reasons are the key's own.
        yield from differences(theirs[key], ours[key], f"{path}[{theirs[key]['Name']}]" if path.endswith("Configs") else f"{path}[]")


def keyed(elements):
    """The elements by what tells them apart, or None if nothing does."""
    if not elements or not all(isinstance(element, dict) for element in elements):
        return {} if not elements else None
    for name in KEYS:
        if name in elements[0]:
            kind = elements[0].get("ResourceType") is not None and "ResourceName" in elements[0]
            found = {repr((element["ResourceType"], element["ResourceName"]) if kind else element[name]): element for element in elements}
            if len(found) == len(elements):
                return found
    return None


def shape(elements, only=None):
    """A list in a few words."""
    if only is not None:
        return f"{len(elements)} elements, alone: {sorted(only)[:4]}" if only else f"{len(elements)} elements"
    if all(not isinstance(element, dict) for element in elements):
        return f"{elements[:12]}"
    return f"{len(elements)} elements"
