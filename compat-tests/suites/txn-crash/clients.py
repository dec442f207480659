"""The clients of the transactions (Clients.java, a process for each release), and those that look at the broker from outside."""

import json
import os
import pathlib
import subprocess
import time

import confluent_kafka as ck
import confluent_kafka.admin as ck_admin

WORK = pathlib.Path(os.environ["WORK"])
HISTORY = WORK / "history"
BASE = {"bootstrap.servers": os.environ["BOOTSTRAP"], "broker.address.family": "v4", "reconnect.backoff.max.ms": 200, "log_level": 0}
SOURCE = "txn-source"
PARTITIONS = 4
# Each release with the group protocol of its copiers.
RELEASES = {"4.4": os.environ.get("GROUP_PROTOCOL", "consumer"), "3.9": "classic"}
GROUPS = {f"copiers-{release}": f"txn-sink-{release}" for release in RELEASES}
TOPICS = [SOURCE, *GROUPS.values()]
JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx192m"]
ANSWER_SECONDS = 30
# A transaction that was left open ends with its timeout of 15 s, if its producer does not come back; then there is the work left.
ORDER_SECONDS = 120
POLL_SECONDS = 0.1


def wait_until(what, done, seconds=ORDER_SECONDS):
    """Wait until `done` answers something true."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(POLL_SECONDS)


def create_topics():
    admin = ck_admin.AdminClient(BASE)
    for future in admin.create_topics([ck_admin.NewTopic(topic, PARTITIONS, 1) for topic in TOPICS]).values():
        future.result(ANSWER_SECONDS)


class Clients:
    """The clients of one release."""

    def __init__(self, release, seed):
        self.release = release
        self.output = WORK / f"clients-{release}.out"
        classpath = os.environ[f"CLASSPATH_{release.replace('.', '_')}"]
        arguments = [BASE["bootstrap.servers"], release, str(HISTORY), str(seed), RELEASES[release]]
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                ["java", *JVM, "-cp", classpath, "Clients", *arguments], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
            )

    def ask(self, order):
        self.process.stdin.write(f"{order}\n".encode())
        self.process.stdin.flush()

    def wait_answer(self, order):
        """Wait until the clients have done as ordered."""
        wait_until(f"{order} at the clients {self.release}", lambda: self.process.poll() is not None or order in self.words())
        assert order in self.words(), f"the clients {self.release} ended: {self.words()[-1:]}"

    def words(self):
        return self.output.read_text(errors="replace").splitlines()

    def kill(self):
        """End the process, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Recorder:
    """One client's file of the history."""

    def __init__(self, client):
        self.client = client
        self.file = open(HISTORY / f"{client}.jsonl", "w", encoding="utf-8")

    def line(self, event, **fields):
        self.file.write(json.dumps({"client": self.client, "event": event, "time": time.monotonic_ns(), **fields}) + "\n")


class OffsetWatch:
    """Asks what the groups have committed."""

    def __init__(self):
        self.recorder = Recorder("watch")
        self.looks = 0
        self.readers = {group: ck.Consumer({**BASE, "group.id": group, "enable.auto.commit": False}) for group in GROUPS}

    def look(self):
        return {group: self.committed(group) for group in GROUPS}

    def committed(self, group):
        """The committed offsets by partition, asked until they are known; they are not while transactions with some are open."""
        partitions = [ck.TopicPartition(SOURCE, partition) for partition in range(PARTITIONS)]
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            since = time.monotonic_ns()
            try:
                answer = self.readers[group].committed(partitions, timeout=5)
                break
            except ck.KafkaException:
                if time.monotonic() > deadline:
                    raise
        # librdkafka says -1001 for no offset.
        offsets = {each.partition: max(each.offset, -1) for each in answer}
        named = {f"{SOURCE}-{partition}": offset for partition, offset in offsets.items()}
        self.recorder.line("read-offsets", group=group, offsets=named, since=since)
        self.looks += 1
        return offsets


class LastReader:
    """Reads all there is when the producers are done."""

    def __init__(self):
        self.recorder = Recorder("last")
        self.admin = ck_admin.AdminClient(BASE)

    def open_partitions(self, topics):
        """The partitions that an open transaction holds back: {partition: (last stable offset, end)}."""
        ends = [self._ends(topics, level) for level in (ck.IsolationLevel.READ_COMMITTED, ck.IsolationLevel.READ_UNCOMMITTED)]
        return {place: (stable, ends[1][place]) for place, stable in ends[0].items() if stable != ends[1][place]}

    def _ends(self, topics, level):
        wanted = {ck.TopicPartition(topic, p): ck_admin.OffsetSpec.latest() for topic in topics for p in range(PARTITIONS)}
        futures = self.admin.list_offsets(wanted, isolation_level=level, request_timeout=ANSWER_SECONDS)
        return {f"{place.topic}-{place.partition}": future.result().offset for place, future in futures.items()}

    def read(self, topics):
        """All values of some topics: {partition: [(offset, value), ...]}."""
        settings = {"group.id": "last", "enable.auto.commit": False, "auto.offset.reset": "error", "enable.partition.eof": True, "check.crcs": True}
        consumer = ck.Consumer({**BASE, **settings})
        left = {(topic, partition) for topic in topics for partition in range(PARTITIONS)}
        values = {f"{topic}-{partition}": [] for topic, partition in left}
        self.recorder.line("assigned", positions=dict.fromkeys(values, 0))
        consumer.assign([ck.TopicPartition(topic, partition, 0) for topic, partition in left])
        deadline = time.monotonic() + ORDER_SECONDS
        while left and time.monotonic() < deadline:
            records = []
            for message in consumer.consume(1000, 0.5):
                if not message.error():
                    records.append((f"{message.topic()}-{message.partition()}", message.offset(), message.value().decode()))
                elif message.error().code() == ck.KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
                else:
                    raise ck.KafkaException(message.error())
            self.recorder.line("poll", isolation="read_committed", records=records)
            for partition, offset, value in records:
                values[partition].append((offset, value))
        consumer.close()
        assert not left, f"the end of {left} was not reached"
        return values

    def end(self):
        self.recorder.line("end")
        self.recorder.file.close()
