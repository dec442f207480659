"""Values of a request that differ from broker to broker: resolved against the side they are sent to."""

import dataclasses

UNKNOWN_PRODUCER = 7_000_001


@dataclasses.dataclass(frozen=True)
class TopicId:
    """The id of a topic by its name."""

    topic: str

    def resolve(self, side):
        return side.topic_ids[self.topic]


@dataclasses.dataclass(frozen=True)
class Member:
    """The member id of the only member of a group."""

    group: str

    def resolve(self, side):
        return side.members.get(self.group, "never-joined")


@dataclasses.dataclass(frozen=True)
class ProducerId:
    """The producer id a transactional id was given."""

    transaction: str

    def resolve(self, side):
        return side.producer_ids.get(self.transaction, UNKNOWN_PRODUCER)


@dataclasses.dataclass(frozen=True)
class LogDirectory:
    """The directory the broker keeps its partitions in."""

    def resolve(self, side):
        return side.log_directory


@dataclasses.dataclass(frozen=True)
class ClusterId:
    """The id of the broker's cluster."""

    def resolve(self, side):
        return side.cluster_id


@dataclasses.dataclass(frozen=True)
class Records:
    """A record batch, perhaps of the producer of a transactional id."""

    batch: object
    transaction: str | None = None

    def resolve(self, side):
        if self.transaction is None:
            return self.batch.encode(self.batch.producer_id)
        return self.batch.encode(ProducerId(self.transaction).resolve(side))


SYMBOLS = (TopicId, Member, ProducerId, LogDirectory, ClusterId, Records)


def resolve(value, side):
    """A request's values with every symbol replaced."""
    if isinstance(value, SYMBOLS):
        return value.resolve(side)
    if isinstance(value, dict):
        return {name: resolve(inner, side) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, side) for inner in value]
    return value
