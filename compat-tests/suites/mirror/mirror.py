"""Topics and group offsets go from the broker (here) to Apache Kafka (there) and back, and each copy must be the original."""

import os
import pathlib
import signal
import subprocess
import time

import broker as brokers
import checks
import confluent_kafka as ck
from checks import Skip, check
from topics import Topics, wait_until

WORK = pathlib.Path(os.environ["WORK"])
JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx384m"]
PARTITIONS = 3
RECORDS = 3000
# The settings of the workers that write to one end.
WORKER = {
    "exactly.once.source.support": "enabled", "producer.transaction.timeout.ms": 10000, "offset.flush.interval.ms": 1000,
    # A worker that is gone is replaced at once, not after five minutes.
    "scheduled.rebalance.max.delay.ms": 0, "session.timeout.ms": 6000, "heartbeat.interval.ms": 1000,
}
GROUP = "readers-of-orders"
STOP_SECONDS = 60


class Mirror:
    """The MirrorMaker process, in both directions."""

    def __init__(self, here, there):
        port = brokers.free_port()
        settings = {
            "clusters": "here, there", "here.bootstrap.servers": here, "there.bootstrap.servers": there,
            "here->there.enabled": "true", "here->there.topics": "orders", "here->there.groups": GROUP,
            "there->here.enabled": "true", "there->here.topics": "invoices",
            "sync.group.offsets.enabled": "true", "sync.group.offsets.interval.seconds": 1, "emit.checkpoints.interval.seconds": 1,
            "refresh.topics.interval.seconds": 2, "refresh.groups.interval.seconds": 2, "sync.topic.configs.interval.seconds": 2,
            # Each record makes its offset known for the translation of group offsets.
            "offset.lag.max": 0, "replication.factor": 1,
            "dedicated.mode.enable.internal.rest": "true", "listeners": f"http://127.0.0.1:{port}",
        }
        for end in ("here", "there"):
            settings |= {f"{end}.{key}": value for key, value in WORKER.items()}
        for topic in ("checkpoints.topic", "heartbeats.topic", "offset-syncs.topic", "config.storage", "offset.storage", "status.storage"):
            settings[f"{topic}.replication.factor"] = 1
        properties = WORK / "mirror.properties"
        properties.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        logging = f"-Dlog4j2.configurationFile={os.environ['COMPAT']}/peer/log4j2-tools.properties"
        main = "org.apache.kafka.connect.mirror.MirrorMaker"
        self.command = ["java", *JVM, logging, "-cp", os.environ["MIRROR_CLASSPATH"], main, str(properties)]
        self.process = None

    def start(self):
        with open(WORK / "mirror.log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_SECONDS)

    def kill(self):
        """End the process, if it still runs."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Way:
    """One topic and its copy at the other end."""

    def __init__(self, name, source, source_name, target):
        self.name, self.copy = name, f"{source_name}.{name}"
        self.source, self.target = source, target
        self.written = 0

    def write(self):
        values = range(self.written, self.written + RECORDS)
        self.source.write(self.name, [(number % PARTITIONS, f"key-{number % 11}" if number % 5 else None, f"{self.name}-{number}") for number in values])
        self.written += RECORDS

    def check_equal(self):
        """The copy has the same records in the same partitions, each once and in order."""
        wait_until(f"{self.copy} is there", lambda: self.target.partitions(self.copy) == PARTITIONS)
        wait_until(f"{self.copy} has {self.written} records", lambda: self.target.count(self.copy) >= self.written)
        for partition, (source, copy) in enumerate(zip(self.source.read(self.name), self.target.read(self.copy))):
            source, copy = ([(message.timestamp(), message.key(), message.value()) for message in messages] for messages in (source, copy))
            different = next((index for index, (a, b) in enumerate(zip(source, copy)) if a != b), min(len(source), len(copy)))
            assert source == copy, f"{self.copy}-{partition}: {len(source)} records, {len(copy)} copies, the first that differs is {different}"


def commit_all(topics):
    """Have the group's offsets committed by one who has read all orders."""
    consumer = ck.Consumer({**topics.base, "group.id": GROUP, "enable.auto.commit": False})
    ends = [messages[-1].offset() + 1 for messages in topics.read("orders")]
    consumer.commit(offsets=[ck.TopicPartition("orders", partition, end) for partition, end in enumerate(ends)], asynchronous=False)
    consumer.close()


def declare(here, there, mirror):
    """The checks, from one to the next more of what a mirror must bear."""
    orders, invoices = Way("orders", here, "here", there), Way("invoices", there, "there", here)
    ways = [orders, invoices]

    def write():
        for way in ways:
            way.write()

    def check_equal():
        for way in ways:
            way.check_equal()

    @check("mirror.to-kafka")
    def to_kafka():
        here.create("orders", partitions=PARTITIONS, **{"retention.ms": "7654321"})
        there.create("invoices", partitions=PARTITIONS, **{"retention.ms": "7654321"})
        mirror.start()
        orders.write()
        orders.check_equal()

    @check("mirror.from-kafka")
    def from_kafka():
        invoices.write()
        invoices.check_equal()

    @check("mirror.topic-configs")
    def topic_configs():
        for way in ways:
            wait_until(f"{way.copy} has the retention of {way.name}", lambda: way.target.config(way.copy, "retention.ms") == "7654321")

    @check("mirror.group-offsets")
    def group_offsets():
        commit_all(here)
        wait_until("the group has read all copies", lambda: following() == [0] * PARTITIONS)
        orders.write()
        orders.check_equal()
        assert following() == [RECORDS // PARTITIONS] * PARTITIONS, f"the group would get {following()} more records"

    def following():
        """How many copies of each partition the group has before it."""
        offsets = there.committed(GROUP, "here.orders")
        copies = there.read("here.orders")
        return [sum(message.offset() >= (offset or 0) for message in messages) for offset, messages in zip(offsets, copies)]

    @check("mirror.restart")
    def restart():
        mirror.stop()
        write()
        mirror.start()
        check_equal()

    @check("mirror.killed")
    def killed():
        write()
        time.sleep(1)
        mirror.kill()
        write()
        mirror.start()
        check_equal()

    @check("mirror.broker-killed")
    def broker_killed():
        if not os.environ["BROKER_HOME"]:
            raise Skip("only a broker of the harness can be killed")
        if os.environ["SIDE"] == "official":
            raise Skip("a single node that is killed leaves transactions open")
        broker = brokers.Broker(os.environ["BROKER_HOME"])
        for _ in range(3):
            write()
            broker.kill()
            broker.start()
        write()
        check_equal()


def main():
    other = brokers.Broker.official(WORK / "there", os.environ["CACHE"], {})
    if os.environ["SIDE"] != "nobody":
        other.start()
    mirror = Mirror(os.environ["BOOTSTRAP"], other.bootstrap)
    declare(Topics(os.environ["BOOTSTRAP"]), Topics(other.bootstrap), mirror)
    try:
        checks.run_all()
    finally:
        mirror.kill()
        if other.running():
            other.kill()


if __name__ == "__main__":
    main()
