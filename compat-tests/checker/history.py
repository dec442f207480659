"""A history: what stock clients asked of a broker, and what they were told.

A history is one or more files of JSON lines, each line an object with the `client` it is from and an `event`. The lines of
a client stand in the order in which they happened to it, in one file. `time` is in nanoseconds, on a clock that all clients
share (CLOCK_MONOTONIC); if no line has it, the order of the lines is the order in time. Empty lines and lines that begin
with # say nothing. Partitions are written TOPIC-INDEX. Every value is sent once only; a producer that tries again what an
aborted transaction had makes a new value.

| event | fields | meaning |
| --- | --- | --- |
| ready | transactional-id, since | a producer has this id for its own; it began to ask for that at the time `since` |
| begin | | a transaction begins: the sends and the offsets up to its end are in it |
| send | partition, value | an idempotent producer is about to send; the order of these lines is the order of its sends |
| sent | value, offset | the send was acknowledged; a send without this may or may not have been done |
| commit | | the transaction is about to be committed |
| committed | | it is; without this line nobody knows |
| abort | | the transaction is about to be aborted, or it was never asked to commit and never will be |
| assigned | positions | the consumer goes on from other positions, by a rebalance or a seek: {partition: offset, or null if not known} |
| poll | isolation, records | one answer of poll to a consumer of that isolation.level: [[partition, offset, value], ...] |
| commit-offsets | group, generation, offsets | about to be committed, in the transaction if one is open: {partition: offset} |
| offsets-committed | | those outside of a transaction are; without this line nobody knows |
| read-offsets | group, offsets, since | what the broker says is committed, -1 for nothing; asked at the time `since` |
| end | | this read_committed consumer has read all partitions from their start to their end, after all else was over |
"""

import dataclasses
import json

COMMITTED = "read_committed"
UNCOMMITTED = "read_uncommitted"


class HistoryError(Exception):
    """The lines are no history."""


@dataclasses.dataclass
class Owner:
    """A producer that has taken a transactional id from whoever had it."""

    client: str
    transactional_id: str
    since: int
    time: int


@dataclasses.dataclass
class Transaction:
    """From begin to commit or abort."""

    client: str
    sends: list = dataclasses.field(default_factory=list)
    offsets: list = dataclasses.field(default_factory=list)
    # When it was asked, and when it was answered.
    commit_time: int | None = None
    committed_time: int | None = None

    @property
    def committed(self):
        """Whether it is known to be committed."""
        return self.committed_time is not None

    @property
    def aborted(self):
        """Whether it is known never to be committed. A transaction may be neither."""
        return self.commit_time is None


@dataclasses.dataclass
class Send:
    """One value on its way into one partition."""

    client: str
    partition: str
    value: str
    transaction: Transaction | None
    offset: int | None = None

    @property
    def acknowledged(self):
        """Whether the value must be there: its transaction counts, if it has one."""
        return self.transaction.committed if self.transaction else self.offset is not None

    @property
    def aborted(self):
        """Whether no read_committed consumer may ever get it."""
        return self.transaction is not None and self.transaction.aborted


@dataclasses.dataclass
class Read:
    """One record in an answer of poll."""

    client: str
    partition: str
    offset: int
    value: str
    isolation: str
    time: int

    def __str__(self):
        return f"{self.value} at {self.partition}:{self.offset}, read by {self.client}"


@dataclasses.dataclass
class Stretch:
    """What a consumer got between two changes of its positions."""

    client: str
    positions: dict
    reads: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class OffsetCommit:
    """Offsets of a group, by partition."""

    client: str
    group: str
    generation: int
    offsets: dict
    transaction: Transaction | None
    time: int
    answered: int | None = None

    @property
    def asked_time(self):
        """From when on it may be in effect; None if never."""
        if self.transaction:
            return None if self.transaction.aborted else self.transaction.commit_time
        return self.time

    @property
    def committed_time(self):
        """From when on it must be in effect; None if nobody knows."""
        return self.transaction.committed_time if self.transaction else self.answered


@dataclasses.dataclass
class OffsetRead:
    """What the broker said of a group's offsets."""

    client: str
    group: str
    offsets: dict
    since: int
    time: int


class History:
    """All that the anomalies look at."""

    def __init__(self):
        self.events = 0
        self.sends = {}
        self.owners = []
        self.transactions = []
        self.stretches = []
        self.offset_commits = []
        self.offset_reads = []
        self.ended = set()

    @property
    def reads(self):
        """Every record of every poll."""
        return (read for stretch in self.stretches for read in stretch.reads)

    def places(self):
        """Where each value is said to be, by acknowledgements and polls: {value: {(partition, offset)}}."""
        places = {}
        for send in self.sends.values():
            if send.offset is not None:
                places.setdefault(send.value, set()).add((send.partition, send.offset))
        for read in self.reads:
            places.setdefault(read.value, set()).add((read.partition, read.offset))
        return places

    def final_log(self):
        """What those who read to the end have read: {partition: {offset: value}}."""
        log = {}
        for read in self.reads:
            if read.client in self.ended:
                log.setdefault(read.partition, {})[read.offset] = read.value
        return log


class _Client:
    """What is open at one client while its lines are read."""

    def __init__(self, name):
        self.name = name
        self.transaction = None
        self.ending = None
        self.stretch = None
        self.offset_commit = None


class _Reader:
    """Builds the history from its lines; there is a method for each event."""

    def __init__(self):
        self.history = History()
        self.clients = {}

    def line(self, event, time):
        client = self.clients.setdefault(event["client"], _Client(event["client"]))
        handler = getattr(self, f"_{event['event'].replace('-', '_')}", None)
        if not handler:
            raise HistoryError(f"{event['event']} is no event")
        handler(client, event, time)
        self.history.events += 1

    def _ready(self, client, event, time):
        owner = Owner(client.name, event["transactional-id"], event.get("since", time), time)
        self.history.owners.append(owner)

    def _begin(self, client, _event, _time):
        client.transaction = Transaction(client.name)
        client.ending = None
        self.history.transactions.append(client.transaction)

    def _send(self, client, event, _time):
        send = Send(client.name, event["partition"], event["value"], client.transaction)
        if send.value in self.history.sends:
            raise HistoryError(f"{send.value} is sent twice")
        self.history.sends[send.value] = send
        if client.transaction:
            client.transaction.sends.append(send)

    def _sent(self, client, event, _time):
        send = self.history.sends.get(event["value"])
        if not send or send.client != client.name:
            raise HistoryError(f"{client.name} did not send {event['value']}")
        send.offset = event["offset"]

    def _commit(self, client, _event, time):
        if not client.transaction:
            raise HistoryError(f"{client.name} has no transaction to commit")
        client.transaction.commit_time = time
        client.ending, client.transaction = client.transaction, None

    def _committed(self, client, _event, time):
        self._ending(client).committed_time = time

    def _abort(self, client, _event, _time):
        client.transaction = None

    @staticmethod
    def _ending(client):
        if not client.ending:
            raise HistoryError(f"{client.name} asked for no commit")
        return client.ending

    def _assigned(self, client, event, _time):
        client.stretch = Stretch(client.name, event["positions"])
        self.history.stretches.append(client.stretch)

    def _poll(self, client, event, time):
        if event["isolation"] not in (COMMITTED, UNCOMMITTED):
            raise HistoryError(f"{event['isolation']} is no isolation.level")
        if not client.stretch:
            self._assigned(client, {"positions": {}}, time)
        for partition, offset, value in event["records"]:
            client.stretch.reads.append(Read(client.name, partition, offset, value, event["isolation"], time))

    def _commit_offsets(self, client, event, time):
        commit = OffsetCommit(client.name, event["group"], event["generation"], event["offsets"], client.transaction, time)
        self.history.offset_commits.append(commit)
        if client.transaction:
            client.transaction.offsets.append(commit)
        else:
            client.offset_commit = commit

    @staticmethod
    def _offsets_committed(client, _event, time):
        if not client.offset_commit:
            raise HistoryError(f"{client.name} asked for no commit of offsets")
        client.offset_commit.answered = time

    def _read_offsets(self, client, event, time):
        read = OffsetRead(client.name, event["group"], event["offsets"], event.get("since", time), time)
        self.history.offset_reads.append(read)

    def _end(self, client, _event, _time):
        if any(read.client == client.name and read.isolation != COMMITTED for read in self.history.reads):
            raise HistoryError(f"{client.name} has read to the end, but not {COMMITTED}")
        self.history.ended.add(client.name)


def read(paths):
    """Read the files of one history."""
    reader, timed, number = _Reader(), set(), 0
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for position, line in enumerate(lines, 1):
                if not line.strip() or line.startswith("#"):
                    continue
                number += 1
                try:
                    event = json.loads(line)
                    timed.add("time" in event)
                    reader.line(event, event.get("time", number))
                except (HistoryError, KeyError, TypeError, ValueError) as error:
                    raise HistoryError(f"{path}, line {position}: {error!r}") from error
    if len(timed) > 1 or (len(paths) > 1 and timed == {False}):
        raise HistoryError("the time must be on all lines or, in a history of one file, on none")
    if not reader.history.ended:
        raise HistoryError("no client has read to the end")
    return reader.history
