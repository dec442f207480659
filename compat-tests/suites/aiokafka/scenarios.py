"""The scenarios of every client, on aiokafka."""

import asyncio
import os
import time

import aiokafka
import aiokafka.admin
import aiokafka.errors
import broker as brokers
import checks
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from checks import Skip, check, equal

BOOTSTRAP = os.environ["BOOTSTRAP"]
WAIT_SECONDS = 30


def scenario(name):
    """Declare a coroutine as the test `name`."""

    def register(coroutine):
        check(name)(lambda: asyncio.run(asyncio.wait_for(coroutine(), 3 * WAIT_SECONDS)))
        return coroutine

    return register


async def administer(action):
    admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    try:
        return await action(admin)
    finally:
        await admin.close()


async def create(topic, partitions=1, **config):
    """Create a topic; in names of settings an underscore stands for a dot."""
    settings = {key.replace("_", "."): value for key, value in config.items()}
    new = aiokafka.admin.NewTopic(topic, partitions, 1, topic_configs=settings)
    await administer(lambda admin: admin.create_topics([new]))


async def produce(topic, records, **config):
    """Produce (key, value, headers, timestamp) records to partition 0 and return their offsets."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True, linger_ms=5, **config)
    await producer.start()
    try:
        sent = [
            await producer.send(topic, value, key, partition=0, timestamp_ms=timestamp, headers=headers or [])
            for key, value, headers, timestamp in records
        ]
        return [(await future).offset for future in sent]
    finally:
        await producer.stop()


def plain(values):
    return [(None, value, None, None) for value in values]


def member(group, topic, **config):
    settings = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "heartbeat_interval_ms": 200, **config}
    return aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=group, **settings)


async def read(reader, count):
    """The next `count` records of a consumer."""
    return [await asyncio.wait_for(reader.getone(), WAIT_SECONDS) for _ in range(count)]


async def read_all(topic, count, **config):
    """The first `count` records of a topic's partition 0, read without a group."""
    reader = aiokafka.AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", **config)
    await reader.start()
    try:
        reader.assign([TopicPartition(topic, 0)])
        return await read(reader, count)
    finally:
        await reader.stop()


async def shares(members, wanted, what):
    """Wait until the members have as many partitions as wanted."""
    deadline = time.monotonic() + WAIT_SECONDS
    while [len(each.assignment()) for each in members] != wanted and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    equal([len(each.assignment()) for each in members], wanted, what)


def codec_check(codec):
    @scenario(f"codec.{codec}")
    async def codec_round_trip():
        topic = f"codec-{codec}"
        await create(topic)
        values = [f"value {number} of {codec}".encode() for number in range(500)]
        offsets = await produce(topic, plain(values), compression_type=None if codec == "none" else codec)
        equal(offsets, list(range(500)), "acknowledged offsets")
        equal([record.value for record in await read_all(topic, 500)], values, "values")


for name in ("none", "gzip", "snappy", "lz4", "zstd"):
    codec_check(name)


@scenario("headers.duplicate-keys")
async def duplicate_headers():
    await create("headers")
    headers = [("a", b"1"), ("b", b"2"), ("a", b"3")]
    await produce("headers", [(b"key", b"value", headers, None)])
    (record,) = await read_all("headers", 1)
    equal((record.key, list(record.headers)), (b"key", headers), "key and headers")


@scenario("rebalance.member-joins-and-leaves")
async def joins_and_leaves():
    await create("shared", 4)
    first, second = member("sharing", "shared"), member("sharing", "shared")
    await first.start()
    await shares([first], [4], "partitions of a lone member")
    await second.start()
    await shares([first, second], [2, 2], "partitions of two members")
    equal(len(first.assignment() | second.assignment()), 4, "partitions that have an owner")
    await second.stop()
    await shares([first], [4], "partitions after one has left")
    await first.stop()


@scenario("commit.resume")
async def commit_and_resume():
    await create("committed")
    await produce("committed", plain(str(number).encode() for number in range(10)))
    partition = TopicPartition("committed", 0)
    first = member("committers", "committed")
    await first.start()
    equal([record.value for record in await read(first, 4)], [b"0", b"1", b"2", b"3"], "values of the first member")
    await first.commit({partition: OffsetAndMetadata(4, "a word about it")})
    await first.stop()
    second = member("committers", "committed")
    await second.start()
    equal([record.value for record in await read(second, 6)], [b"4", b"5", b"6", b"7", b"8", b"9"], "values of the second member")
    equal(await second.committed(partition), 4, "the committed offset")
    await second.stop()
    offsets = await administer(lambda admin: admin.list_consumer_group_offsets("committers"))
    equal(offsets[partition].metadata, "a word about it", "the metadata of the commit")


@scenario("seek.by-time")
async def seek_by_time():
    await create("sought")
    base = int(time.time() * 1000) - 100_000
    await produce("sought", [(None, str(number).encode(), None, base + 10 * number) for number in range(10)])
    partition = TopicPartition("sought", 0)
    reader = member("seekers", "sought")
    await reader.start()
    await read(reader, 1)
    found = (await reader.offsets_for_times({partition: base + 45}))[partition]
    equal((found.offset, found.timestamp), (5, base + 50), "offset and time found")
    reader.seek(partition, found.offset)
    equal((await read(reader, 1))[0].value, b"5", "value after the seek")
    await reader.stop()


@scenario("admin.crud")
async def admin_crud():
    await create("managed", 3, retention_ms="3600000")

    async def manage(admin):
        (described,) = await admin.describe_topics(["managed"])
        equal(sorted(partition["partition"] for partition in described["partitions"]), [0, 1, 2], "partitions")
        await admin.create_partitions({"managed": aiokafka.admin.NewPartitions(5)})
        (described,) = await admin.describe_topics(["managed"])
        equal(len(described["partitions"]), 5, "partitions after growth")
        kind = aiokafka.admin.config_resource.ConfigResourceType.TOPIC
        resource = aiokafka.admin.config_resource.ConfigResource(kind, "managed", configs={"retention.ms": "7200000"})
        await admin.alter_configs([resource])
        asked = aiokafka.admin.config_resource.ConfigResource(kind, "managed")
        (answer,) = await admin.describe_configs([asked])
        entries = {entry[0]: entry[1] for entry in answer.resources[0][4]}
        equal(entries["retention.ms"], "7200000", "retention.ms")
        groups = await admin.list_consumer_groups()
        assert ("committers", "consumer") in [tuple(group[:2]) for group in groups], f"the group committers is not among {groups}"
        await admin.delete_topics(["managed"])
        assert "managed" not in await admin.list_topics(), "a deleted topic is listed"

    await administer(manage)


@scenario("large-message.round-trip")
async def large_message():
    await create("large", max_message_bytes="6000000")
    value = os.urandom(5_000_000)
    await produce("large", plain([value]), max_request_size=6_000_000)
    (record,) = await read_all("large", 1, max_partition_fetch_bytes=1_000_000)
    equal(record.value == value, True, "the value read is the value written")


@scenario("compaction.keeps-the-last-of-a-key")
async def compaction():
    await create("cleaned", cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.01")
    for key, value in ((b"a", b"old"), (b"a", b"new"), (b"b", b"only")):
        await produce("cleaned", [(key, value, None, None)])
        await asyncio.sleep(0.3)
    kept, deadline = [], time.monotonic() + WAIT_SECONDS
    while kept != [b"new", b"only"] and time.monotonic() < deadline:
        reader = aiokafka.AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest")
        await reader.start()
        reader.assign([TopicPartition("cleaned", 0)])
        kept = []
        while not kept or kept[-1] != b"only":
            kept += [record.value for record in await read(reader, 1)]
        await reader.stop()
    equal(kept, [b"new", b"only"], "values left")


@scenario("transactions.commit-and-abort")
async def commit_and_abort():
    await create("transacted")
    writer = aiokafka.AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id="transactor")
    await writer.start()
    values = [str(number).encode() for number in range(30)]
    for start in (0, 10, 20):
        await writer.begin_transaction()
        for value in values[start:start + 10]:
            await writer.send_and_wait("transacted", value, partition=0)
        await (writer.abort_transaction() if start == 10 else writer.commit_transaction())
    await writer.stop()
    committed = [record.value for record in await read_all("transacted", 20, isolation_level="read_committed")]
    equal(committed, values[:10] + values[20:], "committed values")
    written = [record.value for record in await read_all("transacted", 30, isolation_level="read_uncommitted")]
    equal(written, values, "values written")


@scenario("reconnect.after-kill")
async def reconnect():
    if not os.environ["BROKER_HOME"]:
        raise Skip("only a broker of the harness can be killed")
    await create("survived")
    broker = brokers.Broker(os.environ["BROKER_HOME"])
    writer = aiokafka.AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True, request_timeout_ms=60_000)
    await writer.start()
    reader = member("survivors", "survived", session_timeout_ms=10_000)
    await reader.start()
    for number in range(100):
        if number == 50:
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
        await asyncio.wait_for(writer.send_and_wait("survived", str(number).encode()), WAIT_SECONDS)
    values = [record.value for record in await read(reader, 100)]
    equal(values, [str(number).encode() for number in range(100)], "values read")
    await reader.commit()
    await writer.stop()
    await reader.stop()


if __name__ == "__main__":
    checks.run_all()
