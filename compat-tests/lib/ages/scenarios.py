"""The scenarios of every client, on the agent of one of them: scenarios.py CLIENT. Topics are made, and what was written is looked
at from outside, with confluent-kafka, so that a client without means for that can be tried."""

import os
import random
import sys
import time

import agent as agents
import broker as brokers
import checks
import clients
import records
import topics
from records import Record

CLIENT = clients.CLIENTS[sys.argv[1]]
TOPICS = topics.Topics(os.environ["BOOTSTRAP"])
AGENT = agents.Agent(CLIENT)
ASSIGNOR = "RangeAssignor"


def now_ms():
    return int(time.time() * 1000)


def able(ability):
    """Declare a check only for clients with the ability; for others expected.tsv has the reason."""
    return checks.check if ability in CLIENT.can else lambda name: lambda function: function


def produce(topic, given, codec="none"):
    """Write records without what this client cannot say of them."""
    offsets = AGENT.produce(topic, 0, codec, [CLIENT.adapt(record) for record in given])
    told = [offset for offset in offsets if offset is not None]
    checks.equal(told, list(range(told[0], told[0] + len(given))) if told else [], "acknowledged offsets")


def hold(seen, given, first_offset=0, what="records"):
    """Hold what this client read against what it had written."""
    for number, (found, record) in enumerate(zip(seen, map(CLIENT.adapt, given), strict=True)):
        place = f"of record {number} of the {what}"
        checks.equal(found.offset, first_offset + number, f"offset {place}")
        checks.equal((found.key, found.value), (record.key, record.value), f"key and value {place}")
        if "headers" in CLIENT.can:
            checks.equal(found.headers, record.headers, f"headers {place}")
        if {"stamps", "times"} <= CLIENT.can:
            checks.equal(found.timestamp, record.timestamp, f"timestamp {place}")
            checks.equal(found.stamp[0] in "C?", True, f"whether CreateTime is the type {place}")


def round_trip(codec):
    topic = f"codec-{codec}"
    given = records.make(topic, now_ms() - 100_000, 300)
    TOPICS.create(topic, partitions=1)
    produce(topic, given, codec)
    hold(AGENT.read(topic, 0, 0, len(given)), given)
    # An offset amid a batch.
    hold(AGENT.read(topic, 0, 101, 50)[:50], given[101:151], 101, "records from offset 101 on")


for each in CLIENT.codecs:
    checks.check(f"codec.{each}")(lambda codec=each: round_trip(codec))


@checks.check("records.null-and-empty")
def nulls():
    TOPICS.create("nulls", partitions=1)
    start = now_ms()
    # Not every client takes a record with neither key nor value.
    given = [Record(value, key, start) for value in (None, b"", b"value") for key in (None, b"", b"key") if value is not None or key]
    produce("nulls", given)
    hold(AGENT.read("nulls", 0, 0, len(given)), given)


@able("headers")("headers.duplicate-keys")
def duplicate_headers():
    TOPICS.create("headers", partitions=1)
    given = [Record(b"value", b"key", now_ms(), (("a", b"1"), ("b", b"2"), ("a", b"3")))]
    produce("headers", given)
    hold(AGENT.read("headers", 0, 0, 1), given)


@checks.check("timestamps.as-stored")
def stored_timestamps():
    """What is stored is what the client gave or its clock said; format 0 has no timestamps."""
    TOPICS.create("stamped", partitions=1)
    before = now_ms()
    given = [Record(b"%d" % number, None, before - 1000 + number if "stamps" in CLIENT.can else None) for number in range(5)]
    produce("stamped", given)
    stored = [message.timestamp() for message in TOPICS.read("stamped")[0]]
    if "stamps" in CLIENT.can:
        checks.equal(stored, [(1, record.timestamp) for record in given], "types and timestamps")
    elif CLIENT.magic == 0:
        checks.equal(stored, [(1, -1)] * 5, "types and timestamps")
    else:
        checks.equal([kind for kind, value in stored if before <= value <= now_ms()], [1] * 5, "types of timestamps between start and end")


@checks.check("timestamps.log-append-time")
def log_append_time():
    TOPICS.create("appended", partitions=1, **{"message.timestamp.type": "LogAppendTime"})
    before = now_ms()
    given = []
    for codec in CLIENT.codecs:
        batch = [Record(f"{codec} {number}".encode(), None, before - 5000) for number in range(5)]
        produce("appended", batch, codec)
        given += batch
    stored = [message.timestamp() for message in TOPICS.read("appended")[0]]
    checks.equal([kind for kind, value in stored if before <= value <= now_ms()], [2] * len(given), "types of records with the broker's time")
    seen = AGENT.read("appended", 0, 0, len(given))
    checks.equal([found.value for found in seen], [record.value for record in given], "values")
    if "times" in CLIENT.can:
        checks.equal([found.timestamp for found in seen], [value for _, value in stored], "timestamps read")
    if "types" in CLIENT.can:
        checks.equal({found.stamp[0] for found in seen}, {"L"}, "types read")


def shares(*members):
    return [len(AGENT.look(member)[0]) for member in members]


@able("groups")("rebalance.member-joins-and-leaves")
def joins_and_leaves():
    TOPICS.create("shared", partitions=4)
    AGENT.ask("join", "first", "sharing", "shared", ASSIGNOR)
    topics.wait_until("a lone member has 4 partitions", lambda: shares("first") == [4])
    AGENT.ask("join", "second", "sharing", "shared", ASSIGNOR)
    topics.wait_until("two members have 2 partitions each", lambda: shares("first", "second") == [2, 2])
    checks.equal(sorted(AGENT.look("first")[0] + AGENT.look("second")[0]), [0, 1, 2, 3], "partitions that have an owner")
    AGENT.ask("leave", "second")
    topics.wait_until("the member that stays has 4 partitions", lambda: shares("first") == [4])
    AGENT.ask("leave", "first")


class Watch:
    """A member of a group and all that it has seen."""

    def __init__(self, name, group, topic):
        self.name, self.seen = name, []
        AGENT.ask("join", name, group, topic, ASSIGNOR)

    def values(self):
        self.seen += [found.value for found in AGENT.look(self.name)[1]]
        return self.seen


def numbers(start, end):
    return [b"%d" % number for number in range(start, end)]


@able("groups")("commit.resume")
def commit_and_resume():
    TOPICS.create("committed", partitions=1)
    produce("committed", [Record(value) for value in numbers(0, 10)])
    first = Watch("first", "committers", "committed")
    topics.wait_until("the first member has seen 10 values", lambda: len(first.values()) >= 10)
    checks.equal(first.seen, numbers(0, 10), "values of the first member")
    AGENT.ask("commit", "first")
    AGENT.ask("leave", "first")
    checks.equal(TOPICS.committed("committers", "committed"), [10], "the committed offset")
    if "metadata" in CLIENT.can:
        checks.equal(AGENT.ask("committed", "committers", "committed", 0), ["10\ta word about it"], "the committed offset and its metadata")
        checks.equal(AGENT.ask("committed", "nobody", "committed", 0), ["-"], "the committed offset of a group that is not")
    produce("committed", [Record(value) for value in numbers(10, 20)])
    second = Watch("second", "committers", "committed")
    topics.wait_until("the second member has seen 10 values", lambda: len(second.values()) >= 10)
    checks.equal(second.seen, numbers(10, 20), "values of the second member")
    AGENT.ask("leave", "second")


@able("search")("seek.by-time")
def seek_by_time():
    TOPICS.create("sought", partitions=1)
    base = now_ms() - 100_000
    for start, codec in ((0, "none"), (10, "gzip")):
        produce("sought", [Record(value, None, base + 10 * int(value)) for value in numbers(start, start + 10)], codec)
    for wanted, offset in ((base, 0), (base + 45, 5), (base + 150, 15), (base + 190, 19), (base + 191, -1)):
        checks.equal(AGENT.ask("time", "sought", 0, wanted), [str(offset)], f"offset {wanted - base} ms after the first")


@able("admin")("admin.crud")
def admin():
    AGENT.ask("create", "managed", 3)
    checks.equal(TOPICS.partitions("managed"), 3, "partitions")
    AGENT.ask("delete", "managed")
    topics.wait_until("a deleted topic is not listed", lambda: "managed" not in TOPICS.names())


@checks.check("large-message.round-trip")
def large_message():
    TOPICS.create("large", partitions=1, **{"max.message.bytes": "6000000"})
    given = [Record(random.Random(0).randbytes(5_000_000), b"large", now_ms()), Record(b"small", b"small", now_ms())]
    for record in given:
        produce("large", [record])
    hold(AGENT.read("large", 0, 0, 2), given)


@checks.check("compaction.keeps-the-last-of-a-key")
def compaction():
    TOPICS.create("cleaned", partitions=1, **{"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"})
    for key, value in ((b"a", b"old"), (b"a", b"new"), (b"b", b"only")):
        produce("cleaned", [Record(value, key)])
        time.sleep(0.3)
    topics.wait_until("only the last value of each key is left", lambda: [found.offset for found in AGENT.read("cleaned", 0, 0, 2)] == [1, 2])
    checks.equal([found.value for found in AGENT.read("cleaned", 0, 0, 2)], [b"new", b"only"], "values left")


@able("transactions")("transactions.commit-and-abort")
def transactions():
    TOPICS.create("transacted", partitions=1)
    for start, end in ((0, "commit"), (10, "abort"), (20, "commit")):
        AGENT.ask("transact", "transacted", end, 10, given=[Record(value) for value in numbers(start, start + 10)])
    seen = AGENT.read("transacted", 0, 0, 20)
    checks.equal([found.value for found in seen], numbers(0, 10) + numbers(20, 30), "committed values")


@checks.check("reconnect.after-kill")
def reconnect():
    home = os.environ["BROKER_HOME"]
    if not home:
        raise checks.Skip("only a broker of the harness can be killed")
    broker = brokers.Broker(home)
    TOPICS.create("survived", partitions=1)
    reader = Watch("survivor", "survivors", "survived") if "groups" in CLIENT.can else None
    produce("survived", [Record(value) for value in numbers(0, 50)])
    if reader:
        topics.wait_until("50 values", lambda: len(set(reader.values())) >= 50)
    broker.kill()
    broker.start()
    produce("survived", [Record(value) for value in numbers(50, 100)])
    if reader:
        topics.wait_until("100 values", lambda: len(set(reader.values())) >= 100)
        checks.equal(list(dict.fromkeys(reader.seen)), numbers(0, 100), "distinct values the member has seen")
        AGENT.ask("leave", "survivor")
    checks.equal([found.value for found in AGENT.read("survived", 0, 0, 100)], numbers(0, 100), "values read")


checks.run_all()
AGENT.close()
