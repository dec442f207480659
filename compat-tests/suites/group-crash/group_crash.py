"""Kills the broker again and again under a group, and holds the group's offsets against what its members were told."""

import os
import random
import time

import broker as brokers
import checks
import confluent_kafka as ck
import confluent_kafka.admin as ck_admin
from checks import check
from describe import describe
from killing import kill_and_restart
from members import GROUP, MEMBERS, PARTITIONS, POLL_INTERVAL_SECONDS, SESSION_SECONDS, TOPIC, Journal, Member, Producer

KILLS = int(os.environ["KILLS"])
SEED = int(os.environ["SEED"])
BASE = {"bootstrap.servers": os.environ["BOOTSTRAP"], "broker.address.family": "v4", "reconnect.backoff.max.ms": 200, "log_level": 0}
ANSWER_SECONDS = 30
# Every so many rounds the group is left alone until it is stable.
SETTLE_EVERY = 5
# A member that was lost with the broker is missed after a session, and a rebalance waits that long for the others.
SETTLE_SECONDS = SESSION_SECONDS + POLL_INTERVAL_SECONDS + 5
CATCH_UP_SECONDS = 60


class Watch:
    """Looks at the group from outside, and remembers what was not as it must be."""

    def __init__(self, journal):
        self.journal = journal
        self.reader = ck.Consumer({**BASE, "group.id": GROUP, "enable.auto.commit": False})
        self.wrong = []
        self.looks = 0
        self.settled = []
        self.unsettled = []

    def committed(self):
        """The group's committed offsets by partition, asked until they are known."""
        partitions = [ck.TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)]
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return {each.partition: each.offset for each in self.reader.committed(partitions, timeout=5)}
            except ck.KafkaException:
                if time.monotonic() > deadline:
                    raise

    def look(self):
        """After a start: what was acknowledged before must be committed, and nothing may be that nobody asked for."""
        acked = self.journal.snapshot()
        committed = self.committed()
        self.looks += 1
        for partition, offset in acked.items():
            if committed[partition] < offset:
                self.wrong.append(f"partition {partition}: {offset} was acknowledged, {committed[partition]} is committed")
        for partition, offset in committed.items():
            if offset > self.journal.attempted.get(partition, 0):
                self.wrong.append(f"partition {partition}: {offset} is committed, but nobody asked for more than {self.journal.attempted.get(partition, 0)}")

    def settle(self, members):
        """Wait until all members are there and the group is stable, and remember how long that took."""
        for member in members:
            member.staying.set()
        started, state = time.monotonic(), "unknown"
        while time.monotonic() - started < SETTLE_SECONDS:
            try:
                state = describe(BASE["bootstrap.servers"], GROUP)
            except OSError as error:
                state = str(error)
            if state == ("Stable", MEMBERS, PARTITIONS):
                self.settled.append(time.monotonic() - started)
                break
            time.sleep(0.05)
        else:
            self.unsettled.append(f"after {SETTLE_SECONDS} s state, members and partitions are {state}")
        for member in members:
            member.staying.clear()

    def catch_up(self):
        """Wait until everything that was written is committed; return the offsets and the ends of the logs."""
        deadline = time.monotonic() + CATCH_UP_SECONDS
        ends = {p: self.reader.get_watermark_offsets(ck.TopicPartition(TOPIC, p), timeout=ANSWER_SECONDS)[1] for p in range(PARTITIONS)}
        committed = self.committed()
        while committed != ends and time.monotonic() < deadline:
            time.sleep(0.1)
            committed = self.committed()
        return committed, ends


def main():
    print(f"seed {SEED}, {KILLS} kills; run it again with SEED={SEED} KILLS={KILLS}", flush=True)
    chance = random.Random(SEED)
    broker = brokers.Broker(os.environ["BROKER_HOME"])
    admin = ck_admin.AdminClient(BASE)
    admin.create_topics([ck_admin.NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(ANSWER_SECONDS)
    journal, producer = Journal(), Producer(BASE)
    members = [Member(number, BASE, journal, random.Random(SEED + 1 + number)) for number in range(MEMBERS)]
    watch = Watch(journal)
    for thread in [producer, *members]:
        thread.start()
    kills, rounds, end = 0, 0, None
    try:
        watch.settle(members)
        while kills < KILLS:
            kills += kill_and_restart(broker, chance)
            watch.look()
            rounds += 1
            if rounds % SETTLE_EVERY == 0 or kills >= KILLS:
                watch.settle(members)
                watch.look()
        producer.stopping.set()
        producer.join()
        end = watch.catch_up()
    finally:
        for thread in [producer, *members]:
            thread.stopping.set()
        for thread in [producer, *members]:
            thread.join()
    settled = ", ".join(f"{seconds:.1f}" for seconds in watch.settled)
    print(f"{kills} kills, {journal.commits} commits acknowledged and {journal.refused} not, {len(producer.acked)} records, {watch.looks} looks")
    print(f"stable after {settled} s", flush=True)
    declare(journal, producer, watch, end)
    checks.run_all()


def declare(journal, producer, watch, end):
    """The checks, over what was seen and told."""

    @check("commits.enough")
    def enough():
        assert journal.commits >= 2 * KILLS, f"only {journal.commits} commits were acknowledged"
        assert watch.looks >= KILLS / 4, f"the offsets were looked at {watch.looks} times only"

    @check("commits.none-lost")
    def none_lost():
        assert journal.acked and not watch.wrong, f"{len(watch.wrong)} times, first: {watch.wrong[0]}"

    @check("commits.none-moved-back")
    def none_moved_back():
        assert journal.acked and not journal.backwards, f"{len(journal.backwards)} times, first: {journal.backwards[0]}"

    @check("records.all-processed")
    def all_processed():
        assert not producer.failed, f"the producer was told {producer.failed[0]}"
        missing = producer.acked - journal.processed
        assert producer.acked and not missing, f"{len(missing)} of {len(producer.acked)} acknowledged records were never processed"

    @check("group.stable-in-time")
    def stable_in_time():
        assert watch.settled and not watch.unsettled, f"{len(watch.unsettled)} times not: {watch.unsettled[0]}"

    @check("group.ends-at-the-end")
    def ends_at_the_end():
        committed, ends = end
        assert committed == ends, f"committed are {committed}, the logs end at {ends}"


if __name__ == "__main__":
    main()
