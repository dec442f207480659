"""An agent (agent.py says what that is) on kafka-python, told to speak to a broker of an old version: python_agent.py VERSION."""

import os
import sys
import threading
import time

import kafka
import kafka.admin
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

import serve

VERSIONS = {"0.9": (0, 9), "0.10": (0, 10, 2), "0.11": (0, 11, 0)}
BASE = {"bootstrap_servers": os.environ["BOOTSTRAP"], "api_version": VERSIONS[sys.argv[1]]}
LARGEST_MESSAGE = 6_000_000
ASSIGNORS = {"RangeAssignor": RangePartitionAssignor, "RoundRobinAssignor": RoundRobinPartitionAssignor}


def consumer(**settings):
    base = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "fetch_max_wait_ms": 100, "max_partition_fetch_bytes": LARGEST_MESSAGE}
    return kafka.KafkaConsumer(**{**BASE, **base, **settings})


def line(record):
    has_time = record.timestamp is not None and record.timestamp_type is not None
    stamp = f"{'CL'[record.timestamp_type]}{record.timestamp}" if has_time else "-"
    return serve.field_line(record.partition, record.offset, stamp, record.key, record.value, record.headers or [])


class Member(threading.Thread, kafka.ConsumerRebalanceListener):
    """A member of a group, polling on a thread of its own; it commits what it has seen when told to and when it loses partitions."""

    def __init__(self, name, group, topic, assignor):
        super().__init__(daemon=True)
        self.lock, self.seen, self.positions, self.leaving = threading.Lock(), [], {}, False
        timing = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 300}
        self.consumer = consumer(group_id=group, client_id=name, partition_assignment_strategy=[ASSIGNORS[assignor]], **timing)
        self.consumer.subscribe([topic], listener=self)
        self.start()

    def run(self):
        while not self.leaving:
            with self.lock:
                for records in self.consumer.poll(50).values():
                    for record in records:
                        self.seen.append(line(record))
                        place = kafka.TopicPartition(record.topic, record.partition)
                        self.positions[place] = kafka.OffsetAndMetadata(record.offset + 1, "a word about it")
            # Whoever waits for the lock gets it.
            time.sleep(0.01)

    def look(self):
        with self.lock:
            assigned = ",".join(str(place.partition) for place in sorted(self.consumer.assignment()))
            lines, self.seen = [f"assigned\t{assigned}", *self.seen], []
            return lines

    def commit(self):
        with self.lock:
            self.consumer.commit(self.positions)

    def leave(self):
        with self.lock:
            self.leaving = True
            self.consumer.close(autocommit=False)

    def on_partitions_revoked(self, revoked):
        if self.positions:
            self.consumer.commit(self.positions)
            self.positions = {}

    def on_partitions_assigned(self, assigned):
        pass


class Client:
    """The commands."""

    def __init__(self):
        self.members, self.reader = {}, None

    def produce(self, topic, partition, codec, given):
        settings = {"compression_type": None if codec == "none" else codec, "acks": "all", "linger_ms": 20, "batch_size": 2000}
        patience = {"retries": 100, "max_in_flight_requests_per_connection": 1, "max_request_size": LARGEST_MESSAGE}
        producer = kafka.KafkaProducer(**BASE, **settings, **patience)
        try:
            futures = [
                producer.send(
                    topic, record.value, record.key, [(name, value) for name, value in record.headers] or None, int(partition), record.timestamp
                )
                for record in given
            ]
            return [future.get(serve.WAIT_SECONDS).offset for future in futures]
        finally:
            producer.close()

    def read(self, topic, partition, offset, count, seconds):
        self.reader = self.reader or consumer()
        place = kafka.TopicPartition(topic, int(partition))
        self.reader.assign([place])
        self.reader.seek(place, int(offset))
        lines, deadline = [], time.monotonic() + int(seconds)
        while len(lines) < int(count):
            assert time.monotonic() < deadline, f"only {len(lines)} records came"
            lines += [line(record) for records in self.reader.poll(100).values() for record in records]
        return lines

    def time(self, topic, partition, timestamp):
        place = kafka.TopicPartition(topic, int(partition))
        self.reader = self.reader or consumer()
        found = self.reader.offsets_for_times({place: int(timestamp)})[place]
        return [found.offset if found else -1]

    def join(self, name, group, topic, assignor):
        self.members[name] = Member(name, group, topic, assignor)

    def look(self, name):
        return self.members[name].look()

    def commit(self, name):
        self.members[name].commit()

    def leave(self, name):
        self.members.pop(name).leave()

    def committed(self, group, topic, partition):
        asking = consumer(group_id=group)
        found = asking.committed(kafka.TopicPartition(topic, int(partition)), metadata=True)
        asking.close(autocommit=False)
        return [f"{found.offset}\t{found.metadata}" if found else "-"]

    def create(self, topic, partitions):
        admin = kafka.KafkaAdminClient(**BASE)
        admin.create_topics([kafka.admin.NewTopic(topic, int(partitions), 1)])
        admin.close()

    def delete(self, topic):
        admin = kafka.KafkaAdminClient(**BASE)
        admin.delete_topics([topic])
        admin.close()


if __name__ == "__main__":
    serve.serve(Client())
