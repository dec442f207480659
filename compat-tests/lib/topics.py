"""For suites written in Python: makes topics, fills them, and reads all that is committed in them, with confluent-kafka."""

import os
import time

import confluent_kafka as ck
import confluent_kafka.admin as ck_admin

ANSWER_SECONDS = 30
# With no broker nothing comes, and there is no need to wait for it long.
WAIT_SECONDS = 5 if os.environ["SIDE"] == "nobody" else 120
POLL_SECONDS = 0.2


def wait_until(what, done, seconds=WAIT_SECONDS):
    """Wait until `done` answers something true, and return that."""
    deadline = time.monotonic() + seconds
    while True:
        answer = done()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(POLL_SECONDS)


class Topics:
    """The topics of one broker."""

    def __init__(self, bootstrap):
        self.base = {"bootstrap.servers": bootstrap, "broker.address.family": "v4", "reconnect.backoff.max.ms": 200, "log_level": 0}
        self.admin = ck_admin.AdminClient(self.base)

    def create(self, *names, partitions, **config):
        new = [ck_admin.NewTopic(name, partitions, 1, config=config) for name in names]
        for future in self.admin.create_topics(new, request_timeout=min(ANSWER_SECONDS, WAIT_SECONDS)).values():
            future.result()

    def write(self, topic, records):
        """Write (partition, key, value) each, and wait for all acknowledgements."""
        failed = []
        producer = ck.Producer({**self.base, "enable.idempotence": True, "message.timeout.ms": WAIT_SECONDS * 1000})
        for partition, key, value in records:
            producer.produce(topic, value, key, partition, callback=lambda error, _: error and failed.append(error))
            while len(producer) > 50000:
                producer.poll(0.1)
            producer.poll(0)
        left = producer.flush(WAIT_SECONDS)
        assert not failed and not left, f"{left} records have no answer, {len(failed)} failed: {failed[:1]}"

    def config(self, topic, key):
        """The value of a topic's configuration."""
        resource = ck_admin.ConfigResource(ck_admin.ResourceType.TOPIC, topic)
        return self.admin.describe_configs([resource], request_timeout=ANSWER_SECONDS)[resource].result()[key].value

    def names(self):
        """The names of all topics."""
        return set(self.admin.list_topics(timeout=ANSWER_SECONDS).topics)

    def partitions(self, topic):
        """How many partitions a topic has; 0 for no such topic."""
        found = self.admin.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
        return 0 if found.error else len(found.partitions)

    def read(self, topic):
        """The committed messages of a topic, by partition, up to where transactions are open or the end."""
        settings = {"group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "error", "enable.partition.eof": True}
        consumer = ck.Consumer({**self.base, **settings, "isolation.level": "read_committed"})
        messages = [[] for _ in range(self.partitions(topic))]
        consumer.assign([ck.TopicPartition(topic, partition, ck.OFFSET_BEGINNING) for partition in range(len(messages))])
        left, deadline = set(range(len(messages))), time.monotonic() + WAIT_SECONDS
        while left:
            assert time.monotonic() < deadline, f"the end of {topic} was not reached in {left}"
            for message in consumer.consume(10000, 0.5):
                if not message.error():
                    messages[message.partition()].append(message)
                elif message.error().code() == ck.KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
                elif not message.error().retriable():
                    raise ck.KafkaException(message.error())
        consumer.close()
        return messages

    def count(self, topic):
        """How many committed messages a topic has."""
        return sum(map(len, self.read(topic)))

    def committed(self, group, topic):
        """A group's committed offsets by partition, None where there is none."""
        consumer = ck.Consumer({**self.base, "group.id": group, "enable.auto.commit": False})
        places = [ck.TopicPartition(topic, partition) for partition in range(self.partitions(topic))]
        offsets = [place.offset if place.offset >= 0 else None for place in consumer.committed(places, timeout=ANSWER_SECONDS)]
        consumer.close()
        return offsets
