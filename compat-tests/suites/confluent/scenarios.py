"""Scenarios of the Python client: admin, idempotent produce with each codec, consume by assignment, times, large records."""

import os
import time

import checks
import confluent_kafka as ck
import confluent_kafka.admin as ck_admin
from checks import check, equal
from client import ADMIN, BASE, BOOTSTRAP, WAIT_SECONDS, consume, consumer, create, error_code, plain, produce, result


def config_of(topic):
    resource = ck_admin.ConfigResource(ck_admin.ResourceType.TOPIC, topic)
    (entries,) = result(ADMIN.describe_configs([resource])).values()
    return {name: (entry.value, entry.source) for name, entry in entries.items()}


@check("admin.create-topic")
def create_topic():
    create("created", 3, retention_ms="3600000")
    topic = ADMIN.list_topics("created", WAIT_SECONDS).topics["created"]
    equal(sorted(topic.partitions), [0, 1, 2], "partitions")
    equal([partition.leader for partition in topic.partitions.values()], [1, 1, 1], "leaders")


@check("admin.create-errors")
def create_errors():
    new = ck_admin.NewTopic
    equal(error_code(ADMIN.create_topics([new("created", 1, 1)])), "TOPIC_ALREADY_EXISTS", "an existing topic's error")
    equal(error_code(ADMIN.create_topics([new("bad name", 1, 1)])), "TOPIC_EXCEPTION", "a bad name's error")
    equal(error_code(ADMIN.create_topics([new("none", 1, 5)])), "INVALID_REPLICATION_FACTOR", "a bad factor's error")
    equal(error_code(ADMIN.create_topics([new("none", 1, 1, config={"no.such": "1"})])), "INVALID_CONFIG", "an unknown config's error")


@check("admin.validate-only")
def validate_only():
    result(ADMIN.create_topics([ck_admin.NewTopic("validated", 1, 1)], validate_only=True))
    assert "validated" not in ADMIN.list_topics(timeout=WAIT_SECONDS).topics, "a topic that was only validated exists"


@check("admin.usable-when-created")
def usable_when_created():
    for number in range(10):
        create(f"fresh-{number}", 4)
        equal(produce(f"fresh-{number}", plain(["value"]), retries=0), [0], "offset of the first record")


@check("admin.create-partitions")
def create_partitions():
    create("grown", 1)
    result(ADMIN.create_partitions([ck_admin.NewPartitions("grown", 4)]))
    equal(len(ADMIN.list_topics("grown", WAIT_SECONDS).topics["grown"].partitions), 4, "partitions after growth")
    equal(error_code(ADMIN.create_partitions([ck_admin.NewPartitions("grown", 2)])), "INVALID_PARTITIONS", "shrinking's error")


@check("admin.configs")
def configs():
    create("configured", 1, retention_ms="3600000")
    equal(config_of("configured")["retention.ms"], ("3600000", ck_admin.ConfigSource.DYNAMIC_TOPIC_CONFIG.value), "retention.ms")
    equal(config_of("configured")["segment.bytes"], ("1073741824", ck_admin.ConfigSource.DEFAULT_CONFIG.value), "segment.bytes")
    operation = ck_admin.AlterConfigOpType
    entries = [
        ck_admin.ConfigEntry("retention.ms", None, incremental_operation=operation.DELETE),
        ck_admin.ConfigEntry("cleanup.policy", "compact", incremental_operation=operation.APPEND),
        ck_admin.ConfigEntry("max.message.bytes", "5000", incremental_operation=operation.SET),
    ]
    resource = ck_admin.ConfigResource(ck_admin.ResourceType.TOPIC, "configured", incremental_configs=entries)
    result(ADMIN.incremental_alter_configs([resource]))
    changed = {name: config_of("configured")[name][0] for name in ("retention.ms", "cleanup.policy", "max.message.bytes")}
    equal(changed, {"retention.ms": "604800000", "cleanup.policy": "delete,compact", "max.message.bytes": "5000"}, "the changed configs")


@check("admin.configs-apply-at-once")
def configs_apply_at_once():
    create("limited")
    equal(len(produce("limited", plain(["x" * 9000]))), 1, "records accepted before the limit")
    entry = ck_admin.ConfigEntry("max.message.bytes", "5000", incremental_operation=ck_admin.AlterConfigOpType.SET)
    result(ADMIN.incremental_alter_configs([ck_admin.ConfigResource(ck_admin.ResourceType.TOPIC, "limited", incremental_configs=[entry])]))
    try:
        produce("limited", plain(["x" * 9000]))
    except ck.KafkaException as error:
        equal(error.args[0].name(), "MSG_SIZE_TOO_LARGE", "error after the limit")
        return
    raise AssertionError("a record above the new limit was accepted")


@check("admin.describe-cluster")
def describe_cluster():
    cluster = ADMIN.describe_cluster().result(WAIT_SECONDS)
    equal([f"{node.host}:{node.port}" for node in cluster.nodes], [BOOTSTRAP], "nodes")
    equal(cluster.controller.id, 1, "controller")


@check("admin.describe-topics")
def describe_topics():
    described = result(ADMIN.describe_topics(ck.TopicCollection(["created"])))["created"]
    equal([(p.id, p.leader.id, len(p.isr)) for p in described.partitions], [(0, 1, 1), (1, 1, 1), (2, 1, 1)], "partitions")


@check("admin.list-offsets")
def list_offsets():
    create("listed")
    produce("listed", plain(str(number) for number in range(5)))
    spec, partition = ck_admin.OffsetSpec, ck.TopicPartition("listed", 0)
    found = [result(ADMIN.list_offsets({partition: which}))[partition].offset for which in (spec.earliest(), spec.latest())]
    equal(found, [0, 5], "earliest and latest")


@check("admin.delete-records")
def delete_records():
    create("trimmed")
    produce("trimmed", plain(str(number) for number in range(10)))
    deleted = result(ADMIN.delete_records([ck.TopicPartition("trimmed", 0, 6)]))
    equal([answer.low_watermark for answer in deleted.values()], [6], "low watermark")
    equal(consume("trimmed", ck.OFFSET_BEGINNING, 1)[0].offset(), 6, "first offset")


@check("admin.delete-topic")
def delete_topic():
    create("deleted")
    produce("deleted", plain(["value"]))
    result(ADMIN.delete_topics(["deleted"]))
    assert "deleted" not in ADMIN.list_topics(timeout=WAIT_SECONDS).topics, "a deleted topic is listed"
    equal(error_code(ADMIN.delete_topics(["deleted"])), "UNKNOWN_TOPIC_OR_PART", "error of deleting it again")
    create("deleted")
    equal(produce("deleted", plain(["other"])), [0], "first offset of the topic created anew")


def codec_check(codec):
    @check(f"codec.{codec}")
    def codec_round_trip():
        create(f"codec-{codec}")
        values = [f"value {number} of {codec}".encode() for number in range(2000)]
        offsets = produce(f"codec-{codec}", plain(values), compression_codec=codec, enable_idempotence=True, batch_num_messages=100)
        equal(offsets, list(range(2000)), "acknowledged offsets")
        equal([message.value() for message in consume(f"codec-{codec}", 0, 2000, check_crcs=True)], values, "values")


for name in ("none", "gzip", "snappy", "lz4", "zstd"):
    codec_check(name)


@check("records.keys-headers-timestamps")
def keys_headers_timestamps():
    create("full")
    now = int(time.time() * 1000)
    headers = [("a", b"1"), ("b", None), ("a", b"")]
    produce("full", [(b"key", b"value", headers, now - 5000), (b"key", None, None, now), (None, b"", None, now + 10)])
    first, second, third = consume("full", 0, 3)
    equal((first.key(), first.value(), first.headers()), (b"key", b"value", headers), "first record")
    equal((second.key(), second.value(), third.key(), third.value()), (b"key", None, None, b""), "tombstone and empty value")
    equal([message.timestamp() for message in (first, third)], [(ck.TIMESTAMP_CREATE_TIME, now - 5000), (ck.TIMESTAMP_CREATE_TIME, now + 10)], "timestamps")


@check("records.log-append-time")
def log_append_time():
    create("appended", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    produce("appended", [(None, b"value", None, 1)])
    kind, timestamp = consume("appended", 0, 1)[0].timestamp()
    equal(kind, ck.TIMESTAMP_LOG_APPEND_TIME, "kind of timestamp")
    assert before <= timestamp <= int(time.time() * 1000), f"the broker's timestamp {timestamp} is not the time of the append"


@check("consume.from-timestamp")
def from_timestamp():
    create("timed")
    base = int(time.time() * 1000) - 100_000
    # One batch: the answer must be exact inside it.
    produce("timed", [(None, str(number), None, base + 10 * number) for number in range(100)], compression_codec="lz4")
    reader = consumer()
    asked = {5: 1, 990: 99, 991: -1, 500: 50}
    for offset_ms, expected in asked.items():
        (found,) = reader.offsets_for_times([ck.TopicPartition("timed", 0, base + offset_ms)], timeout=WAIT_SECONDS)
        equal(found.offset, expected, f"offset at {offset_ms} ms")
    reader.close()
    equal(consume("timed", 50, 1)[0].value(), b"50", "value at the offset found")


@check("consume.watermarks")
def watermarks():
    reader = consumer()
    equal(reader.get_watermark_offsets(ck.TopicPartition("trimmed", 0), timeout=WAIT_SECONDS), (6, 10), "watermarks")
    reader.close()


@check("consume.seek")
def seek():
    reader = consumer()
    reader.assign([ck.TopicPartition("codec-gzip", 0, 1990)])
    equal(reader.poll(WAIT_SECONDS).offset(), 1990, "offset assigned")
    reader.seek(ck.TopicPartition("codec-gzip", 0, 3))
    message = reader.poll(WAIT_SECONDS)
    equal((message.offset(), message.value()), (3, b"value 3 of gzip"), "message after the seek")
    reader.close()


@check("consume.out-of-range")
def out_of_range():
    try:
        consume("trimmed", 2, 1)
    except ck.KafkaException as error:
        equal(error.args[0].name(), "_AUTO_OFFSET_RESET", "error below the log start")
        return
    raise AssertionError("an offset below the log start was read")


@check("consume.many-partitions")
def many_partitions():
    create("many", 12)
    producer = ck.Producer(BASE)
    for number in range(1200):
        producer.produce("many", str(number), partition=number % 12)
    equal(producer.flush(WAIT_SECONDS), 0, "records not delivered")
    reader = consumer()
    reader.assign([ck.TopicPartition("many", partition, 0) for partition in range(12)])
    read = {partition: [] for partition in range(12)}
    for message in reader.consume(1200, WAIT_SECONDS):
        read[message.partition()].append(int(message.value()))
    reader.close()
    equal(read, {partition: list(range(partition, 1200, 12)) for partition in range(12)}, "records by partition")


@check("consume.long-poll")
def long_poll():
    create("awaited")
    reader = consumer(**{"fetch.wait.max.ms": 5000})
    reader.assign([ck.TopicPartition("awaited", 0, 0)])
    equal(reader.poll(0.5), None, "message of an empty topic")
    produce("awaited", plain([b"at last"]))
    equal(reader.poll(3).value(), b"at last", "message that ended the wait")
    reader.close()


@check("large-message.accepted")
def large_message():
    create("large", max_message_bytes="12000000")
    value = os.urandom(10_000_000)
    produce("large", plain([value]), message_max_bytes=12_000_000)
    equal(consume("large", 0, 1)[0].value() == value, True, "the value read is the value written")


@check("large-message.refused")
def large_message_refused():
    create("small", max_message_bytes="10000")
    try:
        produce("small", plain(["x" * 20_000]))
    except ck.KafkaException as error:
        equal(error.args[0].name(), "MSG_SIZE_TOO_LARGE", "error")
        return
    raise AssertionError("a record above max.message.bytes was accepted")


def read_to_end(topic):
    """Every message of partition 0 of a topic that is not empty."""
    reader = consumer()
    reader.assign([ck.TopicPartition(topic, 0, ck.OFFSET_BEGINNING)])
    _, end = reader.get_watermark_offsets(ck.TopicPartition(topic, 0), WAIT_SECONDS)
    messages, deadline = [], time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and not (messages and messages[-1].offset() == end - 1):
        message = reader.poll(0.5)
        if message is not None:
            if message.error():
                raise ck.KafkaException(message.error())
            messages.append(message)
    reader.close()
    return [(message.offset(), message.key().decode(), message.value() and message.value().decode()) for message in messages]


@check("compaction.latest-values")
def compaction():
    create("compacted", cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.01", delete_retention_ms="100")
    # Each record is a second younger than the one before, so that each has a segment of its own.
    begin = int(time.time() * 1000) - 3_600_000
    history = [("a", "1"), ("b", "1"), ("gone", "1"), ("a", "2"), ("gone", None), ("b", "2"), ("a", "3")]
    written = 0

    def write(key, value):
        nonlocal written
        equal(produce("compacted", [(key, value, None, begin + 1000 * written)]), [written], "offset")
        written += 1

    for key, value in history:
        write(key, value)
    # A delete marker goes in a round after its horizon, and a round needs something dirty.
    deadline = time.monotonic() + 60
    while True:
        write("tick", "tock")
        found = read_to_end("compacted")
        kept = [message for message in found if message[1] != "tick"]
        if kept == [(5, "b", "2"), (6, "a", "3")] and len(found) < written:
            break
        assert time.monotonic() < deadline, f"after a minute the topic still holds {found}"
        time.sleep(0.3)
    equal(consumer().get_watermark_offsets(ck.TopicPartition("compacted", 0), WAIT_SECONDS), (0, written), "watermarks")


@check("compaction.keyless-refused")
def keyless_record_refused():
    create("keyed-only", cleanup_policy="compact")
    try:
        produce("keyed-only", plain(["no key"]))
    except ck.KafkaException as error:
        equal(error.args[0].name(), "INVALID_RECORD", "error")
        return
    raise AssertionError("a record without a key was accepted by a compacted topic")


if __name__ == "__main__":
    import groups  # noqa: F401  its checks come last: one of them kills the broker

    checks.run_all()
