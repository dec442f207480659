"""VerifiableConsumer with each group protocol: members come and go, and every record is consumed once and in order."""

import collections
import json

from application import BOOTSTRAP, Application
from checks import check
from topics import Topics, wait_until

PARTITIONS = 4
RECORDS = 2000
TOPICS = Topics(BOOTSTRAP)


class Members:
    """The consumers of one group, and what they say."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.topic = f"verifiable-{protocol}"
        self.group = f"verifiable-{protocol}-group"
        self.written = 0
        TOPICS.create(self.topic, partitions=PARTITIONS)

    def join(self, name):
        arguments = ["--bootstrap-server", BOOTSTRAP, "--topic", self.topic, "--group-id", self.group, "--group-protocol", self.protocol, "--verbose"]
        return Application(f"{self.topic}-{name}", "TOOLS_CLASSPATH", "org.apache.kafka.tools.VerifiableConsumer", *arguments).start()

    def write(self):
        """More records, and wait until the group has committed them all."""
        values = range(self.written, self.written + RECORDS)
        TOPICS.write(self.topic, [(number % PARTITIONS, None, str(number)) for number in values])
        self.written += RECORDS
        ends = [self.written // PARTITIONS] * PARTITIONS
        wait_until(f"{ends} are committed", lambda: TOPICS.committed(self.group, self.topic) == ends)

    def check_consumed(self, members):
        """All members together had each record once, and each its records of a partition in order."""
        seen = collections.Counter()
        for member in members:
            last = collections.defaultdict(lambda: -1)
            for event in events(member, "record_data"):
                partition, offset = event["partition"], event["offset"]
                assert event["value"] == str(offset * PARTITIONS + partition), f"{partition}:{offset} has {event['value']}"
                assert offset > last[partition], f"{member.name} has {partition}:{offset} behind {last[partition]}"
                last[partition] = offset
                seen[partition, offset] += 1
            refused = [event for event in events(member, "offsets_committed") if not event["success"]]
            assert not refused, f"{member.name} could not commit: {refused[0]}"
        twice = [place for place, count in seen.items() if count > 1]
        assert not twice, f"{len(twice)} records were consumed twice, first {twice[0]}"
        assert len(seen) == self.written, f"{len(seen)} of {self.written} records were consumed"


def events(member, name):
    return [event for event in map(json.loads, member.lines()) if event["name"] == name]


def owned(member):
    """How many partitions a member has, by what it was assigned and what was revoked."""
    partitions = set()
    for event in map(json.loads, member.lines()):
        named = {partition["partition"] for partition in event.get("partitions", []) if event["name"].startswith("partitions_")}
        if event["name"] == "partitions_assigned":
            partitions |= named
        elif event["name"] == "partitions_revoked":
            partitions -= named
    return len(partitions)


def declare(protocol):
    @check(f"verifiable-consumer.{protocol}")
    def consumes():
        members = Members(protocol)
        first = members.join("first")
        wait_until("the first member has all partitions", lambda: owned(first) == PARTITIONS)
        members.write()
        second = members.join("second")
        wait_until("both members have partitions", lambda: (owned(first), owned(second)) == (PARTITIONS // 2, PARTITIONS // 2))
        members.write()
        first.stop()
        wait_until("the second member has all partitions", lambda: owned(second) == PARTITIONS)
        members.write()
        second.stop()
        members.check_consumed([first, second])


for each in ("classic", "consumer"):
    declare(each)
