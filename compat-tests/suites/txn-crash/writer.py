"""Transactions of librdkafka, in this process: what Writer.java does, by another client."""

import threading
import time

import confluent_kafka as ck
from clients import BASE, PARTITIONS, SOURCE, Recorder

ABORT = 0.25
LEAVE_OPEN = 0.03
MOST_VALUES = 15
MOST_PAUSE_SECONDS = 0.03
TAKE_ID_SECONDS = 10
# How long one call may wait before it is made again.
CALL_SECONDS = 10
# How long after the end a transaction may still be asked for.
LATE_SECONDS = 60


class Writer(threading.Thread):
    """Writes transactions until it is stopped, one producer after another with the same transactional id."""

    NAME = "producer-librdkafka"

    def __init__(self, chance):
        super().__init__(name=self.NAME)
        self.chance = chance
        self.stopping = threading.Event()
        self.late_after = None

    def stop(self):
        self.late_after = self.late_after or time.monotonic() + LATE_SECONDS
        self.stopping.set()
        self.join()

    def run(self):
        life = 0
        while not self.stopping.is_set():
            _Life(f"{self.NAME}.{life}", self).run()
            life += 1

    def late(self):
        return self.late_after is not None and time.monotonic() > self.late_after


class _Life:
    """One producer, a client of its own in the history."""

    def __init__(self, client, writer):
        self.client = client
        self.writer = writer
        self.chance = writer.chance
        self.recorder = Recorder(client)
        settings = {"transactional.id": Writer.NAME, "transaction.timeout.ms": 15000, "socket.timeout.ms": 5000, "linger.ms": 2}
        self.producer = ck.Producer({**BASE, **settings})

    def run(self):
        try:
            self._take_id()
            number = 0
            while not self.writer.stopping.wait(self.chance.uniform(0, MOST_PAUSE_SECONDS)):
                if not self._transaction(f"{self.client}:{number}"):
                    break
                number += 1
        except ck.KafkaException:
            # Fenced, or without an answer for too long: the next producer takes its place.
            pass
        finally:
            # What is not sent must not follow the next producer's.
            self.producer.purge()
            self.recorder.file.close()

    def _take_id(self):
        since = time.monotonic_ns()
        self.producer.init_transactions(TAKE_ID_SECONDS)
        self.recorder.line("ready", since=since, **{"transactional-id": Writer.NAME})

    def _transaction(self, prefix):
        """One transaction; false if it is left open."""
        self.producer.begin_transaction()
        self.recorder.line("begin")
        for index in range(1 + self.chance.randrange(MOST_VALUES)):
            self._send(self.chance.randrange(PARTITIONS), f"{prefix}:{index}")
        end = self.chance.random()
        if end < LEAVE_OPEN:
            return False
        if end < LEAVE_OPEN + ABORT:
            self.recorder.line("abort")
            self._call(self.producer.abort_transaction)
        else:
            self.recorder.line("commit")
            self._commit()
        return True

    def _send(self, partition, value):
        self.recorder.line("send", partition=f"{SOURCE}-{partition}", value=value)

        def delivered(error, message):
            if not error and not self.recorder.file.closed:
                self.recorder.line("sent", value=value, offset=message.offset())

        self.producer.produce(SOURCE, value, partition=partition, callback=delivered)

    def _commit(self):
        try:
            self._call(self.producer.commit_transaction)
            self.recorder.line("committed")
        except ck.KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            # Whether it was committed nobody knows.
            self._call(self.producer.abort_transaction)

    def _call(self, function):
        """Call until there is an answer."""
        while True:
            try:
                return function(CALL_SECONDS)
            except ck.KafkaException as error:
                if not error.args[0].retriable() or self.writer.late():
                    raise
