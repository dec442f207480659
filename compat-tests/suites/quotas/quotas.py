"""What clients with a quota feel: they are slowed down to it, they are told, and nothing is lost."""

import os
import time

import checks
import confluent_kafka as ck
import confluent_kafka.admin as ck_admin
from checks import check, equal

BASE = {"bootstrap.servers": os.environ["BOOTSTRAP"], "broker.address.family": "v4"}
WAIT_SECONDS = 30
ADMIN = ck_admin.AdminClient(BASE)
RECORD = b"x" * 10_000
# At 100000 bytes a second, of which the first second is free.
RECORDS = 40
LEAST_SECONDS = 2


def throttled_client(client_id):
    """The settings of a client, and the list that its throttle times in seconds come to."""
    told = []
    return {**BASE, "client.id": client_id, "throttle_cb": lambda event: told.append(event.throttle_time)}, told


def create(admin, topic, partitions=1):
    (future,) = admin.create_topics([ck_admin.NewTopic(topic, partitions, 1)]).values()
    future.result(WAIT_SECONDS)


def produce(topic, config):
    """Produce the records one request after the other; the seconds it took."""
    producer = ck.Producer({**config, "linger.ms": 0, "batch.num.messages": 1, "max.in.flight": 1})
    began = time.monotonic()
    for _ in range(RECORDS):
        producer.produce(topic, RECORD, partition=0)
        producer.poll(0)
    equal(producer.flush(WAIT_SECONDS), 0, "records that were not sent in time")
    return time.monotonic() - began


def consume(topic, config):
    """Read all records; the seconds it took."""
    reader = ck.Consumer({**config, "group.id": "none", "enable.auto.commit": False, "max.partition.fetch.bytes": 20_000})
    reader.assign([ck.TopicPartition(topic, 0, 0)])
    began, offsets = time.monotonic(), []
    while len(offsets) < RECORDS and time.monotonic() < began + WAIT_SECONDS:
        message = reader.poll(0.5)
        if message is not None and not message.error():
            offsets.append(message.offset())
    seconds = time.monotonic() - began
    reader.close()
    equal(offsets, list(range(RECORDS)), "offsets read")
    return seconds


@check("quotas.producer")
def producer():
    create(ADMIN, "produced")
    config, told = throttled_client("slow-producer")
    seconds = produce("produced", config)
    assert seconds > LEAST_SECONDS, f"{RECORDS * len(RECORD)} bytes took only {seconds:.1f} s"
    assert told, "the producer was never told to rest"


@check("quotas.consumer")
def consumer():
    config, told = throttled_client("slow-consumer")
    seconds = consume("produced", config)
    assert seconds > LEAST_SECONDS, f"{RECORDS * len(RECORD)} bytes took only {seconds:.1f} s"
    assert told, "the consumer was never told to rest"


@check("quotas.time")
def busy():
    create(ADMIN, "busy")
    config, told = throttled_client("busy")
    producer = ck.Producer(config)
    for _ in range(3):
        producer.produce("busy", b"x", partition=0)
        equal(producer.flush(WAIT_SECONDS), 0, "records that were not sent in time")
    assert told, "the client was never told to rest"


@check("quotas.others")
def others():
    create(ADMIN, "free")
    config, told = throttled_client("free")
    produce("free", config)
    consume("free", config)
    equal(told, [], "throttle times of a client without a quota")


@check("quotas.partitions")
def partitions():
    # An old version of CreateTopics is not refused, but its client has to rest.
    admin = ck_admin.AdminClient({**BASE, "client.id": "slow-admin"})
    create(admin, "many", partitions=20)
    began = time.monotonic()
    create(admin, "one-more")
    seconds = time.monotonic() - began
    assert seconds > LEAST_SECONDS, f"the client rested only for {seconds:.1f} s"


if __name__ == "__main__":
    checks.run_all()
