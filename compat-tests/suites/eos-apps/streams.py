"""Kafka Streams: the word count of its examples, and a job with state and a repartition topic that must be exact when killed."""

import collections
import random
import struct
import time

from application import BOOTSTRAP, WORK, Application, crash_broker, first_difference, write_properties
from checks import check
from topics import Topics, wait_until

WORDS = ["broker", "log", "offset", "leader", "epoch", "group", "member", "marker", "fetch", "produce"]
LINES = 400
SOURCES = 8
TALLIES = 5
PARTITIONS = 2
AMOUNTS = 3000
TOPICS = Topics(BOOTSTRAP)


@check("streams.word-count")
def word_count():
    chance = random.Random(1)
    lines = [" ".join(chance.choices(WORDS, k=8)) for _ in range(LINES)]
    TOPICS.create("streams-plaintext-input", "streams-wordcount-output", partitions=PARTITIONS)
    TOPICS.write("streams-plaintext-input", [(number % PARTITIONS, None, line) for number, line in enumerate(lines)])
    config = write_properties("word-count", {"bootstrap.servers": BOOTSTRAP, "state.dir": WORK / "word-count", "commit.interval.ms": 500})
    demo = Application("word-count", "STREAMS_CLASSPATH", "org.apache.kafka.streams.examples.wordcount.WordCountDemo", config).start()
    wait_until("the words are counted", lambda: TOPICS.count("streams-wordcount-output") >= LINES * 8)
    demo.stop()
    counted = collections.defaultdict(list)
    for message in (message for messages in TOPICS.read("streams-wordcount-output") for message in messages):
        counted[message.key().decode()].append(struct.unpack(">q", message.value())[0])
    expected = collections.Counter(word for line in lines for word in line.split())
    assert counted.keys() == expected.keys(), f"counted were {sorted(counted)}"
    for word, counts in counted.items():
        assert counts == list(range(1, expected[word] + 1)), f"{word}: {first_difference(list(range(1, expected[word] + 1)), counts)}"


class Amounts:
    """The input of the job, so far."""

    def __init__(self):
        self.chance = random.Random(2)
        self.written = []
        TOPICS.create("amounts", "tallies", partitions=PARTITIONS)

    def write(self):
        """More records, of which each source's stay in one partition."""
        more = []
        for number in range(len(self.written), len(self.written) + AMOUNTS):
            more.append((f"source-{number % SOURCES}", f"tally-{self.chance.randrange(TALLIES)}", number, self.chance.randrange(-50, 100)))
        values = [(number % SOURCES % PARTITIONS, source, f"{tally},{number},{amount}") for source, tally, number, amount in more]
        TOPICS.write("amounts", values)
        self.written += more

    def check_tallied(self):
        """Each record is in its tally once, in the order of its source, and count and sum are those up to it."""
        wait_until("all amounts are tallied", lambda: TOPICS.count("tallies") >= len(self.written))
        left = {number: (source, tally, amount) for source, tally, number, amount in self.written}
        state = collections.defaultdict(lambda: (0, 0))
        last = collections.defaultdict(lambda: -1)
        for message in (message for messages in TOPICS.read("tallies") for message in messages):
            tally, (source, number, count, total) = message.key().decode(), message.value().decode().split(",")
            expected = left.pop(int(number), "no amount, or one for the second time")
            assert expected[:2] == (source, tally), f"{tally} has {message.value()}, {number} is {expected}"
            assert last[source, tally] < int(number), f"{tally} has {number} of {source} behind {last[source, tally]}"
            last[source, tally] = int(number)
            before = state[tally]
            state[tally] = (before[0] + 1, before[1] + expected[2])
            assert state[tally] == (int(count), int(total)), f"{tally} has {message.value()}, which should make {state[tally]}"
        assert not left, f"{len(left)} amounts are not tallied"


class Job:
    """Two instances of the job, and its input."""

    def __init__(self):
        self.amounts = None
        self.instances = [self._instance(number) for number in range(2)]

    @staticmethod
    def _instance(number):
        settings = {
            "application.id": "tallies", "bootstrap.servers": BOOTSTRAP, "state.dir": WORK / f"tallies-{number}", "commit.interval.ms": 200,
            "statestore.cache.max.bytes": 0, "auto.offset.reset": "earliest", "consumer.session.timeout.ms": 6000,
            "consumer.heartbeat.interval.ms": 1000, "producer.transaction.timeout.ms": 10000, "producer.delivery.timeout.ms": 8000,
            "request.timeout.ms": 5000,
        }
        return Application(f"tallies-{number}", "STREAMS_CLASSPATH", "Tallies", write_properties(f"tallies-{number}", settings))

    def start(self):
        self.amounts = Amounts()
        for instance in self.instances:
            instance.start()

    def stop(self):
        for instance in self.instances:
            instance.stop()


JOB = Job()


@check("streams.exactly-once")
def exactly_once():
    JOB.start()
    JOB.amounts.write()
    JOB.amounts.check_tallied()


@check("streams.instance-killed")
def instance_killed():
    for instance in JOB.instances:
        JOB.amounts.write()
        time.sleep(1)
        instance.kill()
        instance.start()
    JOB.amounts.check_tallied()


@check("streams.broker-killed")
def broker_killed():
    for _ in range(3):
        JOB.amounts.write()
        time.sleep(0.5)
        crash_broker()
    JOB.amounts.check_tallied()


@check("streams.restart")
def restart():
    JOB.stop()
    JOB.amounts.write()
    for instance in JOB.instances:
        instance.start()
    JOB.amounts.check_tallied()
    JOB.stop()
