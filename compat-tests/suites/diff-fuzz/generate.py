"""Random requests: each case is one request of one version with whatever it needs to find on the broker.

Everything follows from (seed, api key, number of the case), so a case is the same whatever other keys are served. Values
that only a running broker knows (topic ids, member ids, producer ids) stand as symbols, resolved for each side.
"""

import dataclasses
import random

import rules
from symbols import Member, ProducerId, TopicId

# Requests that change what they name: each case has topics and groups of its own.
CHANGES_TOPICS = {
    "Produce", "CreateTopics", "DeleteTopics", "DeleteRecords", "AlterConfigs", "IncrementalAlterConfigs", "CreatePartitions",
    "AlterPartitionReassignments", "AlterReplicaLogDirs", "AddPartitionsToTxn", "WriteTxnMarkers",
}
CHANGES_GROUPS = {
    "OffsetCommit", "JoinGroup", "LeaveGroup", "SyncGroup", "Heartbeat", "DeleteGroups", "OffsetDelete", "TxnOffsetCommit",
    "AddOffsetsToTxn", "ConsumerGroupHeartbeat",
}
# The fields that name what an element is about.
IDENTITY = [
    "Name", "Topic", "TopicId", "TopicName", "Partition", "PartitionIndex", "Index", "GroupId", "MemberId", "TransactionalId", "Entity",
    "ResourceType", "ResourceName",
]
TRANSACTION_KEYS = {24, 25, 26}
CONSUMER_GROUP_KEY = 68
SPARE_TOPIC_KINDS = ["plain", "plain", "plain", "compacted", "appended"]


@dataclasses.dataclass
class Case:
    """One request, and the topics, groups and transactional ids that must be there before it."""

    key: int
    version: int
    number: int
    values: dict
    topics: dict
    groups: dict
    transactions: dict
    fault: object = None
    # What is odd about it on purpose, for the list of differences: a field made null, an element that stands twice.
    label: str = "valid"

    @property
    def prefix(self):
        return f"x-{self.key}-{self.number}-"


class Context:
    """What the rules know of the case they make a value for."""

    def __init__(self, rng, api, key, version, number, served, now, packed):
        self.rng = rng
        self.api = api
        self.version = version
        self.served = served
        self.now = now
        # The topics that no case changes and most reads are of.
        self.filled = ["orders", "orders", "orders", "compacted", "trimmed", "settled"] + (["packed"] * 4 if packed else [])
        self.prefix = f"x-{key}-{number}-"
        self.odd_rate = rng.choice([0, 0, 0.08, 0.25])
        self.topics = {}
        self.groups = {}
        self.transactions = {}
        self.group_name = None
        self.transaction_name = None
        self.fresh_count = 0
        self.repeated = None

    def transactional(self):
        return TRANSACTION_KEYS <= self.served

    def fresh(self):
        """A name nothing on the broker has."""
        self.fresh_count += 1
        return f"{self.prefix}new{self.fresh_count}"

    def pick(self, normal, odd):
        chosen = self.rng.choice(odd if odd and self.rng.random() < self.odd_rate else normal)
        return chosen(self) if callable(chosen) else chosen

    def spare_topic(self):
        if self.topics and self.rng.random() < 0.3:
            return self.rng.choice(list(self.topics))
        name = f"{self.prefix}t{len(self.topics)}"
        self.topics[name] = self.rng.choice(SPARE_TOPIC_KINDS)
        return name

    def topic(self):
        """A topic that is there."""
        if self.api in CHANGES_TOPICS:
            return self.spare_topic()
        return self.rng.choice(self.filled)

    def topic_id(self):
        return TopicId(self.topic())

    def group(self):
        """A group that is there."""
        if self.api in CHANGES_GROUPS:
            kinds = ["committed", "joined", "joined"] + (["consumer"] * 2 if CONSUMER_GROUP_KEY in self.served else [])
            kind = "consumer" if self.api == "ConsumerGroupHeartbeat" and self.rng.random() < 0.6 else self.rng.choice(kinds)
            name = f"{self.prefix}g{len(self.groups)}"
            self.groups[name] = kind
        else:
            name = self.rng.choice(["g-committed", "g-joined"] + (["g-consumer"] if CONSUMER_GROUP_KEY in self.served else []))
            kind = name[2:]
        self.group_name, self.group_kind = name, kind
        return name

    def absent_group(self, name=None):
        self.group_name, self.group_kind = name if name is not None else self.fresh(), "absent"
        return self.group_name

    def member(self):
        """The member of the group that was named before, if it has one."""
        if self.group_name and self.group_kind in ("joined", "consumer"):
            return Member(self.group_name)
        return ""

    def generation(self):
        return 1 if self.group_name and self.group_kind in ("joined", "consumer") else -1

    def transaction(self):
        name = f"{self.prefix}x{len(self.transactions)}"
        self.transactions[name] = self.rng.choice(["initialized", "ongoing", "ongoing", "committed"])
        self.transaction_name = name
        return name

    def absent_transaction(self):
        self.transaction_name = None
        return self.fresh()

    def producer_id(self):
        return ProducerId(self.transaction_name) if self.transaction_name else 7_000_000

def cases(message, versions, count, seed, served, now, packed):
    """The cases of one API, spread over its versions; `packed` if there is a topic of batches of each codec."""
    api = message.name.removesuffix("Request")
    for number in range(count):
        rng = random.Random(f"{seed}/{message.api_key}/{number}")
        # The first round takes each version in turn, the newest first, so that even a short run sees them all.
        version = versions[-1 - number % len(versions)]
        context = Context(rng, api, message.api_key, version, number, served, now, packed)
        values = struct(context, message.fields, api)
        case = Case(message.api_key, version, number, values, context.topics, context.groups, context.transactions)
        if context.repeated:
            case.label = f"repeated {context.repeated}"
        yield case


def struct(context, fields, path):
    present = [field for field in fields if context.version in field.versions]
    made = rules.struct_for(context, path)
    values = dict(made or {})
    for field in present:
        if field.name not in values:
            values[field.name] = value(context, field, f"{path}.{field.name}")
    return values


def value(context, field, path):
    if not field.array:
        return element(context, field, path)
    if context.version in field.nullable and context.rng.random() < 0.15:
        return None
    low, high = rules.sizes_for(path)
    count = context.rng.randint(low, high)
    if context.rng.random() < context.odd_rate:
        count = 0
    elements = {}
    for _ in range(count):
        made = element(context, field, path)
        elements.setdefault(identity(made), made)
    elements = list(elements.values())
    if elements and not context.repeated and context.rng.random() < context.odd_rate / 2:
        elements.append(context.rng.choice(elements))
        context.repeated = path.partition(".")[2]
    return elements


def identity(element):
    """What tells an element of a list from the others: what it names, or all of it."""
    if isinstance(element, dict) and any(name in element for name in IDENTITY):
        return repr([element.get(name) for name in IDENTITY])
    return repr(element)


def element(context, field, path):
    if field.fields is not None:
        if not field.array and context.version in field.nullable and context.rng.random() < 0.6:
            return None
        return struct(context, field.fields, path)
    normal, odd = rules.values_for(path, field)
    nullable = not field.array and context.version in field.nullable
    if nullable and field.default is None and context.rng.random() < 0.3:
        return None
    chosen = context.pick(normal, odd + [None] if nullable else odd)
    if chosen is None and not nullable:
        return context.pick([each for each in normal if each is not None], [])
    return chosen
