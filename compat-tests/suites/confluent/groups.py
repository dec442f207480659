"""Scenarios of the Python client in consumer groups, and of a broker that is killed under it."""

import os
import time

import broker as brokers
import confluent_kafka as ck
from checks import Skip, check, equal
from client import ADMIN, BASE, consume, create, plain, produce

SETTLE_SECONDS = 30


def member(group, topic, **config):
    """A consumer that has subscribed; it joins while it is polled."""
    settings = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest", "heartbeat.interval.ms": 200}
    reader = ck.Consumer({**BASE, **settings, **config})
    reader.subscribe([topic])
    return reader


def read(reader, count):
    """The next `count` messages of a member."""
    messages, deadline = [], time.monotonic() + SETTLE_SECONDS
    while len(messages) < count and time.monotonic() < deadline:
        message = reader.poll(0.2)
        if message is not None and not message.error():
            messages.append(message)
    equal(len(messages), count, "number of messages read")
    return messages


def shares(members, wanted, what):
    """Poll the members until they have as many partitions as wanted; return the values they read meanwhile."""
    values, deadline = [], time.monotonic() + SETTLE_SECONDS
    while [len(each.assignment()) for each in members] != wanted and time.monotonic() < deadline:
        for each in members:
            message = each.poll(0.1)
            if message is not None and not message.error():
                values.append(message.value())
    equal([len(each.assignment()) for each in members], wanted, what)
    return values


@check("headers.duplicate-keys")
def duplicate_headers():
    create("headers")
    headers = [("a", b"1"), ("b", b"2"), ("a", b"3")]
    produce("headers", [(b"key", b"value", headers, None)])
    equal(consume("headers", 0, 1)[0].headers(), headers, "headers")


@check("rebalance.member-joins-and-leaves")
def joins_and_leaves():
    create("shared", 4)
    first = member("sharing", "shared")
    shares([first], [4], "partitions of a lone member")
    second = member("sharing", "shared")
    shares([first, second], [2, 2], "partitions of two members")
    equal(len({(p.topic, p.partition) for each in (first, second) for p in each.assignment()}), 4, "partitions that have an owner")
    second.close()
    shares([first], [4], "partitions after one has left")
    first.close()


@check("rebalance.cooperative")
def cooperative():
    create("cooperating", 4)
    config = {"partition.assignment.strategy": "cooperative-sticky"}
    first = member("cooperators", "cooperating", **config)
    shares([first], [4], "partitions of a lone member")
    second = member("cooperators", "cooperating", **config)
    shares([first, second], [2, 2], "partitions of two members")
    first.close()
    shares([second], [4], "partitions after one has left")
    second.close()


@check("rebalance.static-member-returns")
def static_member_returns():
    create("static", 4)
    first = member("statics", "static", **{"group.instance.id": "one"})
    shares([first], [4], "partitions of a lone member")
    second = member("statics", "static", **{"group.instance.id": "two"})
    shares([first, second], [2, 2], "partitions of two members")
    before = {p.partition for p in second.assignment()}
    second.close()
    second = member("statics", "static", **{"group.instance.id": "two"})
    shares([second], [2], "partitions of the member that came back")
    equal({p.partition for p in second.assignment()}, before, "partitions it has again")
    equal(len(first.assignment()), 2, "partitions of the member that stayed")
    first.close()
    second.close()


@check("commit.resume")
def commit_and_resume():
    create("committed")
    produce("committed", plain(str(number) for number in range(10)))
    first = member("committers", "committed")
    equal([message.value() for message in read(first, 4)], [b"0", b"1", b"2", b"3"], "values of the first member")
    first.commit(offsets=[ck.TopicPartition("committed", 0, 4, metadata="a word about it")], asynchronous=False)
    first.close()
    second = member("committers", "committed")
    equal([message.value() for message in read(second, 6)], [b"4", b"5", b"6", b"7", b"8", b"9"], "values of the second member")
    (stored,) = second.committed([ck.TopicPartition("committed", 0)], timeout=SETTLE_SECONDS)
    equal((stored.offset, stored.metadata), (4, "a word about it"), "the committed offset")
    second.close()


@check("seek.by-time")
def seek_by_time():
    create("sought")
    base = int(time.time() * 1000) - 100_000
    produce("sought", [(None, str(number), None, base + 10 * number) for number in range(10)])
    reader = member("seekers", "sought")
    read(reader, 1)
    (found,) = reader.offsets_for_times([ck.TopicPartition("sought", 0, base + 45)], timeout=SETTLE_SECONDS)
    equal(found.offset, 5, "offset at the time")
    reader.seek(found)
    equal(read(reader, 1)[0].value(), b"5", "value after the seek")
    reader.close()


@check("groups.consumer-protocol")
def consumer_protocol():
    create("reconciled", 4)
    # The broker says how often members of this protocol send heartbeats.
    settings = {**BASE, "group.id": "reconcilers", "group.protocol": "consumer", "enable.auto.commit": False}
    first, second = ck.Consumer(settings), ck.Consumer(settings)
    first.subscribe(["reconciled"])
    shares([first], [4], "partitions of a lone member")
    second.subscribe(["reconciled"])
    shares([first, second], [2, 2], "partitions of two members")
    equal(len({(p.topic, p.partition) for each in (first, second) for p in each.assignment()}), 4, "partitions that have an owner")
    group = ADMIN.describe_consumer_groups(["reconcilers"])["reconcilers"].result(SETTLE_SECONDS)
    equal((group.type, len(group.members)), (ck.ConsumerGroupType.CONSUMER, 2), "type of the group, and number of members")
    second.close()
    shares([first], [4], "partitions after one has left")
    first.close()


@check("transactions.commit-and-abort")
def commit_and_abort():
    create("transacted")
    writer = ck.Producer({**BASE, "transactional.id": "transactor"})
    writer.init_transactions(SETTLE_SECONDS)
    values, failed = [str(number).encode() for number in range(30)], []
    for start in (0, 10, 20):
        writer.begin_transaction()
        for value in values[start:start + 10]:
            writer.produce("transacted", value, partition=0, callback=lambda error, _: failed.append(error) if error else None)
        equal((writer.flush(SETTLE_SECONDS), failed), (0, []), "records without an answer, and errors")
        (writer.abort_transaction if start == 10 else writer.commit_transaction)(SETTLE_SECONDS)
    committed = consume("transacted", 0, 20, isolation_level="read_committed")
    equal([message.value() for message in committed], values[:10] + values[20:], "committed values")
    written = consume("transacted", 0, 30, isolation_level="read_uncommitted")
    equal([message.value() for message in written], values, "values written")


@check("reconnect.after-kill")
def reconnect():
    if not os.environ["BROKER_HOME"]:
        raise Skip("only a broker of the harness can be killed")
    create("survived")
    reader = member("survivors", "survived", **{"session.timeout.ms": 10_000})
    acked, failed = [], []
    writer = ck.Producer({**BASE, "enable.idempotence": True, "message.timeout.ms": 60_000, "reconnect.backoff.max.ms": 500})
    broker = brokers.Broker(os.environ["BROKER_HOME"])
    for number in range(100):
        if number == 50:
            writer.flush(SETTLE_SECONDS)
            broker.kill()
            broker.start()
        writer.produce("survived", str(number), callback=lambda error, message: (failed if error else acked).append(error or message.value()))
        writer.poll(0)
    equal(writer.flush(SETTLE_SECONDS), 0, "records without an answer")
    equal((failed, len(acked)), ([], 100), "records that failed and that were acknowledged")
    equal([message.value() for message in read(reader, 100)], [str(number).encode() for number in range(100)], "values read")
    reader.commit(asynchronous=False)
    reader.close()
