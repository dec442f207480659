"""What the scenarios of the Python client share: an admin client, producing and reading."""

import os
import time

import confluent_kafka as ck
import confluent_kafka.admin as ck_admin
from checks import equal

BOOTSTRAP = os.environ["BOOTSTRAP"]
BASE = {"bootstrap.servers": BOOTSTRAP, "broker.address.family": "v4"}
WAIT_SECONDS = 20
ADMIN = ck_admin.AdminClient(BASE)


def result(futures):
    """The results of the futures an admin call returns, by their keys."""
    return {key: future.result(WAIT_SECONDS) for key, future in futures.items()}


def error_code(futures):
    """The name of the error the only future ends with."""
    (future,) = futures.values()
    try:
        future.result(WAIT_SECONDS)
    except ck.KafkaException as error:
        return error.args[0].name()
    return "no error"


def create(topic, partitions=1, **config):
    """Create a topic; in names of settings an underscore stands for a dot."""
    settings = {key.replace("_", "."): value for key, value in config.items()}
    result(ADMIN.create_topics([ck_admin.NewTopic(topic, partitions, 1, config=settings)]))


def produce(topic, records, **config):
    """Produce (key, value, headers, timestamp) records to partition 0 and return their offsets as acknowledged."""
    offsets, errors = [], []

    def delivered(error, message):
        (errors if error else offsets).append(error or message.offset())

    producer = ck.Producer({**BASE, "linger.ms": 20, **{key.replace("_", "."): value for key, value in config.items()}})
    for key, value, headers, timestamp in records:
        producer.produce(topic, value, key, 0, delivered, headers=headers, **({"timestamp": timestamp} if timestamp else {}))
    producer.flush(WAIT_SECONDS)
    if errors:
        raise ck.KafkaException(errors[0])
    return offsets


def plain(values):
    return [(None, value, None, None) for value in values]


def consumer(**config):
    return ck.Consumer({**BASE, "group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "error", **config})


def consume(topic, start, count, partition=0, **config):
    """Read `count` messages of a partition from an offset on."""
    reader = consumer(**{key.replace("_", "."): value for key, value in config.items()})
    reader.assign([ck.TopicPartition(topic, partition, start)])
    messages, deadline = [], time.monotonic() + WAIT_SECONDS
    while len(messages) < count and time.monotonic() < deadline:
        message = reader.poll(0.5)
        if message is not None:
            if message.error():
                raise ck.KafkaException(message.error())
            messages.append(message)
    reader.close()
    equal(len(messages), count, "number of messages read")
    return messages
