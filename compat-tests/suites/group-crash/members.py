"""The members of a group: they process records, commit, leave and come back; and a journal of what they were told."""

import threading
import time

import confluent_kafka as ck

TOPIC = "group-crash-records"
GROUP = "group-crash"
PARTITIONS = 6
MEMBERS = 3
SESSION_SECONDS = 6
# Also the time a rebalance waits for its members.
POLL_INTERVAL_SECONDS = 10
BATCH = 20


class Journal:
    """What the members have processed, and which commits were acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.processed = set()
        self.acked = {}
        self.attempted = {}
        self.commits = 0
        self.refused = 0
        self.backwards = []

    def process(self, messages):
        with self.lock:
            self.processed.update(message.value() for message in messages)

    def attempt(self, offsets):
        with self.lock:
            for partition, offset in offsets.items():
                self.attempted[partition] = max(offset, self.attempted.get(partition, 0))

    def acknowledge(self, offsets):
        """A commit was acknowledged: since members only go on from what is committed, it must be ahead of the last one."""
        with self.lock:
            self.commits += 1
            for partition, offset in offsets.items():
                if offset < self.acked.get(partition, 0):
                    self.backwards.append(f"partition {partition} was at {self.acked[partition]}, and a member went on to {offset}")
                self.acked[partition] = max(offset, self.acked.get(partition, 0))

    def refuse(self):
        with self.lock:
            self.refused += 1

    def snapshot(self):
        with self.lock:
            return dict(self.acked)


class Member(threading.Thread):
    """One place in the group; now and then its consumer leaves and another takes the place."""

    def __init__(self, number, base, journal, chance):
        super().__init__(name=f"member-{number}")
        self.settings = {
            **base, "client.id": self.name, "group.id": GROUP, "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "session.timeout.ms": SESSION_SECONDS * 1000, "heartbeat.interval.ms": 500,
            "max.poll.interval.ms": POLL_INTERVAL_SECONDS * 1000, "socket.timeout.ms": 5000,
        }
        self.journal = journal
        self.chance = chance
        self.stopping = threading.Event()
        # While it is set nobody leaves of its own accord, so that the group can be seen to settle.
        self.staying = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            consumer = ck.Consumer(self.settings)
            consumer.subscribe([TOPIC])
            leave_at = time.monotonic() + self.chance.uniform(1.0, 10.0)
            while not self.stopping.is_set() and (self.staying.is_set() or time.monotonic() < leave_at):
                self.step(consumer)
            consumer.close()

    def step(self, consumer):
        """Process some records and commit them."""
        messages = [message for message in consumer.consume(BATCH, 0.2) if not message.error()]
        if not messages:
            return
        self.journal.process(messages)
        offsets = {message.partition(): message.offset() + 1 for message in messages}
        self.journal.attempt(offsets)
        try:
            answers = consumer.commit(offsets=[ck.TopicPartition(TOPIC, p, offset) for p, offset in offsets.items()], asynchronous=False)
        except ck.KafkaException:
            # A rebalance has come between, or the broker is gone: the commit may or may not have happened.
            self.journal.refuse()
            return
        self.journal.acknowledge({answer.partition: answer.offset for answer in answers if not answer.error})


class Producer(threading.Thread):
    """Numbered records, as many as are taken."""

    def __init__(self, base):
        super().__init__(name="producer")
        settings = {"enable.idempotence": True, "message.timeout.ms": 0, "linger.ms": 5}
        self.client = ck.Producer({**base, **settings})
        self.acked = set()
        self.failed = []
        self.stopping = threading.Event()

    def run(self):
        number = 0
        while not self.stopping.wait(0.02):
            if len(self.client) < 200:
                for _ in range(5):
                    self.client.produce(TOPIC, str(number).encode(), partition=number % PARTITIONS, callback=self._delivered)
                    number += 1
            self.client.poll(0)
        self.client.flush(60)

    def _delivered(self, error, message):
        if error:
            self.failed.append(error)
        else:
            self.acked.add(message.value())
