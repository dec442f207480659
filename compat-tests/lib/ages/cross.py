"""Clients of all ages on one broker at once: each writes, and each reads what each wrote. cross.py CLIENT...

Every client writes each codec it has to a partition of topics of its own, some with the producer's times, some with the
broker's. What lies in them is read from outside with confluent-kafka, held against what was given, and then against what each
client shows of it, record by record: offset, key, value, and timestamp, its type and headers where the client knows of them.
"""

import concurrent.futures
import os
import sys
import time

import agent as agents
import checks
import clients
import records
import topics

TOPICS = topics.Topics(os.environ["BOOTSTRAP"])
CLIENTS = [clients.CLIENTS[name] for name in sys.argv[1:]]
# Two cores: more at once would only be slower each.
AT_ONCE = 3
# Headers the reference shows as pairs, types of timestamps as numbers.
TYPES = {0: "C", 1: "C", 2: "L"}
KINDS = {"own": {}, "late": {"message.timestamp.type": "LogAppendTime"}}
# A client that reads only whole topics has to know all codecs of one.
PARTITIONS = {"basic": ("none", "gzip"), "more": ("snappy", "lz4", "zstd")}
PLAIN, COMMITTED, ABORTED = "plain", "committed", "aborted"
# A client that does not know the error asks again and again; it is not waited for long.
REFUSED_SECONDS = 5


def seen(message):
    """A message of confluent-kafka as an agent would tell it."""
    kind, timestamp = message.timestamp()
    headers = tuple((name, value) for name, value in message.headers() or [])
    return records.Seen(message.partition(), message.offset(), f"{TYPES[kind]}{timestamp}", message.key(), message.value(), headers)


class Written:
    """What one client has written, by topic and partition, as it lies there."""

    def __init__(self, agent, start_ms):
        self.agent, self.client, self.start_ms = agent, agent.client, start_ms
        # By topic, partition and codec.
        self.stored, self.problem = {}, None

    def write(self):
        """Write all; what goes wrong is told by every check of these topics."""
        try:
            for kind, config in KINDS.items():
                for name, codecs in PARTITIONS.items():
                    self._fill(kind, f"{kind}-{name}-{self.client.name}", config, [codec for codec in codecs if codec in self.client.codecs])
        except Exception as error:  # a writer may fail in any way
            self.problem = f"{self.client.name} could not write: {type(error).__name__}: {error}"

    def _fill(self, kind, topic, config, codecs):
        """Write one topic, a partition with each codec."""
        if not codecs:
            return
        TOPICS.create(topic, partitions=len(codecs), **config)
        given = [self._write(topic, partition, codec) for partition, codec in enumerate(codecs)]
        for partition, messages in enumerate(TOPICS.read(topic)):
            stored = [seen(message) for message in messages]
            self.stored[topic, partition, codecs[partition]] = stored
            self._hold(kind, stored, given[partition])

    def _write(self, topic, partition, codec):
        given = [self.client.adapt(record) for record in records.make(f"{topic} {codec}", self.start_ms - 100_000)]
        offsets = self.agent.produce(topic, partition, codec, given)
        told = [offset for offset in offsets if offset is not None]
        checks.equal(told, list(range(len(told))), f"offsets that {self.client.name} was told")
        return given

    def _hold(self, kind, stored, given):
        """Hold what lies in a partition against what was given."""
        content = [(found.offset, found.key, found.value, found.headers) for found in stored]
        checks.equal(content, [(number, record.key, record.value, record.headers) for number, record in enumerate(given)], "what is stored")
        end_ms = int(time.time() * 1000)
        if kind == "late" or ("stamps" not in self.client.can and self.client.magic > 0):
            outside = [found.stamp for found in stored if not self.start_ms <= found.timestamp <= end_ms]
            checks.equal(outside, [], "timestamps that are not of this test")
        else:
            # Format 0 has no timestamps.
            wanted = [record.timestamp if "stamps" in self.client.can else -1 for record in given]
            checks.equal([found.timestamp for found in stored], wanted, "timestamps stored")
        checks.equal({found.stamp[0] for found in stored}, {"L" if kind == "late" else "C"}, "types of timestamps")


def reads(reader, written):
    """Hold what a client shows of what another wrote against what lies there."""
    assert written.problem is None, written.problem
    for (topic, partition, codec), stored in written.stored.items():
        if codec in reader.client.codecs:
            hold(reader, topic, partition, stored)


def hold(reader, topic, partition, stored):
    """Hold what a client shows of a partition against what lies there."""
    shown = [reader.client.glimpse(one) for one in reader.read(topic, partition, 0, len(stored))]
    for found, one in zip(shown, map(reader.client.glimpse, stored), strict=True):
        checks.equal(found, one, f"record {one.offset} of {topic}-{partition}")


def write_transactions(agent):
    """Write plain records, committed and aborted ones to one partition; returns all that are records, and which of them count."""
    TOPICS.create("transacted", partitions=1)
    stored, counting, offset, now_ms = [], [], 0, int(time.time() * 1000)
    for number, (kind, count) in enumerate([(PLAIN, 5), (COMMITTED, 4), (ABORTED, 3), (ABORTED, 1), (PLAIN, 3), (COMMITTED, 1), (ABORTED, 9), (PLAIN, 2)]):
        given = [records.Record(f"{kind} {number} {index}".encode(), b"key", now_ms + number) for index in range(count)]
        if kind == PLAIN:
            agent.produce("transacted", 0, "gzip", given)
        else:
            agent.ask("transact", "transacted", "commit" if kind == COMMITTED else "abort", count, given=given)
        for record in given:
            one = records.Seen(0, offset, f"C{record.timestamp}", record.key, record.value, ())
            stored.append(one)
            if kind != ABORTED:
                counting.append(one)
            offset += 1
        # The marker of a transaction has an offset, and no client may see it.
        offset += kind != PLAIN
    return stored, counting


def write_zstd(agent):
    """Write to a topic that says it is compressed with zstd: a Fetch older than version 10 is refused it (error 76)."""
    TOPICS.create("zstd", partitions=1, **{"compression.type": "zstd"})
    agent.produce("zstd", 0, "zstd", [records.Record(b"value")])


def refused(reader, written):
    """A client that is too old for zstd gets none, and what else there is as before. Those that do not know error 76 stumble over
    it, or ask again and again."""
    assert written.problem is None, written.problem
    try:
        found = reader.read("zstd", 0, 0, 1, REFUSED_SECONDS)
    except agents.AgentError as error:
        assert "names" not in reader.client.can or "UNSUPPORTED_COMPRESSION_TYPE" in str(error), f"it says only: {error}"
    else:
        raise AssertionError(f"it was given {found}")
    (topic, partition, _), stored = next(iter(written.stored.items()))
    hold(reader, topic, partition, stored)


class Room:
    """The agents, and the checks between them; those of a few readers run at once."""

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        self.agents = {client.name: agents.Agent(client) for client in CLIENTS}
        self.written = {name: Written(agent, int(time.time() * 1000)) for name, agent in self.agents.items()}

    def prepare(self):
        list(self.pool.map(Written.write, self.written.values()))

    def check(self, reader, waiting):
        """All checks of one reader, whose agent does one thing at a time."""
        for name, function in waiting:
            checks.run(name, function)
        reader.close()

    def run(self):
        """Run the checks of all readers."""
        self.prepare()
        newest = next(agent for agent in reversed(self.agents.values()) if "zstd" in agent.client.codecs)
        try:
            stored, counting = write_transactions(newest)
            write_zstd(newest)
        except Exception as error:  # then every check of them fails, with this as the reason
            stored, counting = error, error
        jobs = [self.pool.submit(self.check, reader, self.of(reader, stored, counting)) for reader in self.agents.values()]
        for job in jobs:
            job.result()

    def of(self, reader, stored, counting):
        """The checks of one reader: (name, function)."""
        name = reader.client.name
        waiting = [(f"cross.{name}-reads-{other}", lambda written=written: reads(reader, written)) for other, written in self.written.items()]
        right = counting if "committed" in reader.client.can else stored
        if "markers" not in reader.client.can:
            waiting.append((f"transactions.{name}", lambda: hold_transactions(reader, right)))
        if "zstd" not in reader.client.codecs:
            waiting.append((f"zstd.{name}-is-refused", lambda: refused(reader, self.written[name])))
        return waiting


def hold_transactions(reader, right):
    """No marker is shown, and no aborted record to a client that knows of transactions."""
    if isinstance(right, Exception):
        raise right
    if os.environ["SIDE"] != "official":
        hold(reader, "transacted", 0, right)
        return
    # Apache Kafka 3.9 converts the first batch behind a marker twice when an old fetch begins with the marker.
    shown = {}
    while len(shown) < len(right):
        start = max((one.offset for one in shown), default=-1) + 1
        shown |= dict.fromkeys(reader.client.glimpse(one) for one in reader.read("transacted", 0, start, min(len(right) - len(shown), 3)))
    checks.equal(list(shown), [reader.client.glimpse(one) for one in right], "records of all transactions")


if __name__ == "__main__":
    Room().run()
