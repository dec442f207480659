"""Idempotent producers that count what was acknowledged, and a reader of everything that was stored."""

import threading
import time

import confluent_kafka as ck
import confluent_kafka.admin as ck_admin

TOPIC = "crash-records"
PARTITIONS = 4
PRODUCERS = 3
OUTSTANDING = 500
PAUSE_SECONDS = 0.02
BURST = 10
SETTLE_SECONDS = 60
READ_SECONDS = 60
PADDING = "x" * 200


class Producers:
    """Several producers, each numbering its records; a record is (producer, number), its place (partition, offset)."""

    def __init__(self, bootstrap):
        self.base = {"bootstrap.servers": bootstrap, "broker.address.family": "v4", "reconnect.backoff.max.ms": 200, "log_level": 0}
        self.acked = {}
        self.failed = []
        self.unsettled = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._produce, args=(producer,)) for producer in range(PRODUCERS)]
        topic = ck_admin.NewTopic(TOPIC, PARTITIONS, 1, config={"segment.bytes": "1048576"})
        admin = ck_admin.AdminClient(self.base)
        admin.create_topics([topic])[TOPIC].result(20)

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        """Send no more, and wait for the answers to what was sent."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _produce(self, producer):
        # No delivery timeout: what was sent must be answered in the end, whatever the broker goes through.
        settings = {"enable.idempotence": True, "message.timeout.ms": 0, "linger.ms": 2, "batch.num.messages": 20, "compression.codec": "lz4"}
        client = ck.Producer({**self.base, **settings})

        def delivered(record):
            def answer(error, message):
                if error:
                    self.failed.append(error)
                else:
                    self.acked[record] = (message.partition(), message.offset())

            return answer

        number = 0
        while not self.stopping.is_set():
            for _ in range(min(BURST, OUTSTANDING - len(client))):
                client.produce(TOPIC, f"{producer}:{number}:{PADDING}", partition=number % PARTITIONS, callback=delivered((producer, number)))
                number += 1
            client.poll(0)
            time.sleep(PAUSE_SECONDS)
        self.unsettled += client.flush(SETTLE_SECONDS)

    def read_all(self):
        """Every stored record with its place, in the order of each partition."""
        reader = ck.Consumer({**self.base, "group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "error", "check.crcs": True})
        ends = {p: reader.get_watermark_offsets(ck.TopicPartition(TOPIC, p), timeout=20)[1] for p in range(PARTITIONS)}
        left = sum(ends.values())
        reader.assign([ck.TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)])
        stored, deadline = [], time.monotonic() + READ_SECONDS
        while len(stored) < left and time.monotonic() < deadline:
            for message in reader.consume(1000, 0.5):
                if message.error():
                    raise ck.KafkaException(message.error())
                producer, number, _ = message.value().decode().split(":")
                stored.append(((int(producer), int(number)), (message.partition(), message.offset())))
        reader.close()
        assert len(stored) == left, f"{len(stored)} of {left} stored records could be read"
        return stored
