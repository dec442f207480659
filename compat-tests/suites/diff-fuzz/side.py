"""One broker of the comparison: its connection, and what was prepared on it, which is the same on both."""

import dataclasses
import itertools
import socket
import struct
import time

import records
import wire
from symbols import resolve

CLIENT_ID = "diff-fuzz"
SETUP_SECONDS = 60
TOPICS_PER_REQUEST = 100
SESSION_TIMEOUT_MS = 1_800_000
SUBSCRIPTION = b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff"

# The topics that no case changes: name -> (partitions, configs).
TOPICS = {
    "orders": (3, {}),
    "compacted": (1, {"cleanup.policy": "compact"}),
    "appended": (1, {"message.timestamp.type": "LogAppendTime"}),
    "trimmed": (1, {}),
    # Where the transactions of the cases write.
    "ledger": (1, {}),
    # Committed, aborted and open transactions, if both brokers have them.
    "settled": (1, {}),
    # Batches of every codec.
    "packed": (1, {}),
}
SPARE_CONFIGS = {"plain": {}, "compacted": {"cleanup.policy": "compact"}, "appended": {"message.timestamp.type": "LogAppendTime"}}


@dataclasses.dataclass
class Outcome:
    """What became of a request: `answered`, `closed`, `silent` (no answer in time) or `malformed`."""

    kind: str
    answer: dict | None = None
    detail: str = ""


class Connection:
    """A raw connection that is opened anew after it was closed."""

    def __init__(self, address, messages):
        self.address = address
        self.messages = messages
        self.socket = None
        self.correlations = itertools.count(1)

    def open(self):
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=10)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def send(self, message, version, body):
        """Sends a frame and returns its correlation id; what a broker that closed makes of it is seen by `receive`."""
        self.open()
        correlation = next(self.correlations)
        frame = wire.request_header(message, version, correlation, CLIENT_ID) + body
        try:
            self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        except OSError:
            pass
        return correlation

    def receive(self, seconds):
        """One frame, or None when the broker closed the connection; raises TimeoutError."""
        self.socket.settimeout(seconds)
        try:
            head = self._exactly(4)
            return None if head is None else self._exactly(struct.unpack(">i", head)[0])
        except ConnectionError:
            return None

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                return None
            data += part
        return bytes(data)

    def outcome(self, key, version, correlation, seconds):
        """Waits for what becomes of a request that was sent."""
        try:
            frame = self.receive(seconds)
        except TimeoutError:
            self.close()
            return Outcome("silent")
        if frame is None:
            self.close()
            return Outcome("closed")
        try:
            return Outcome("answered", wire.decode(self.messages[key][1], version, frame, correlation))
        except (wire.Malformed, UnicodeDecodeError, struct.error) as error:
            self.close()
            return Outcome("malformed", detail=f"{error}: {frame[:200].hex()}")


class Side:
    """A broker, with the values that the symbols of a request stand for."""

    def __init__(self, name, bootstrap, messages, now):
        host, _, port = bootstrap.rpartition(":")
        self.name = name
        self.port = int(port)
        self.now = now
        self.messages = messages
        self.connection = Connection((host, self.port), messages)
        self.topic_ids = {}
        self.members = {}
        self.producer_ids = {}
        self.log_directory = self.cluster_id = None
        answer = self.call(18, 3, {"ClientSoftwareName": CLIENT_ID, "ClientSoftwareVersion": "1"})
        self.ranges = {entry["ApiKey"]: (entry["MinVersion"], entry["MaxVersion"]) for entry in answer["ApiKeys"]}

    def call(self, key, version, values):
        """A request of the preparation, which must be answered."""
        message = self.messages[key][0]
        correlation = self.connection.send(message, version, wire.encode(message, version, resolve(values, self)))
        outcome = self.connection.outcome(key, version, correlation, SETUP_SECONDS)
        assert outcome.kind == "answered", f"{message.name} v{version} of {self.name} while preparing: {outcome}"
        return outcome.answer

    def until(self, what, attempt):
        """Repeats a step while the broker says to try again: `attempt` returns an error code."""
        deadline = time.monotonic() + SETUP_SECONDS
        while (code := attempt()) != 0:
            assert time.monotonic() < deadline, f"{what} on {self.name}: error {code}"
            time.sleep(0.02)

    def prepare(self, cases, served):
        """Makes all that the cases find there: the fixed things, and the spare ones of each case."""
        spare = {name: kind for case in cases for name, kind in case.topics.items()}
        self.create_topics({**TOPICS, **{name: (2, SPARE_CONFIGS[kind]) for name, kind in spare.items()}})
        for name in spare:
            self.produce({name: {0: [records.Batch(self.now, values=(b"a", b"b", b"c", b"d", b"e"))]}})
        self.fill_topics()
        self.learn_ids()
        groups = {"g-committed": "committed", "g-joined": "joined"}
        groups.update({name: kind for case in cases for name, kind in case.groups.items()})
        if 68 in served:
            groups["g-consumer"] = "consumer"
        # The first question for a coordinator creates the topic it lives on.
        for key_type in [0, 1] if 26 in served else [0]:
            ask = {"KeyType": key_type, "CoordinatorKeys": ["g-committed"]}
            self.until("find coordinator", lambda ask=ask: self.call(10, 4, ask)["Coordinators"][0]["ErrorCode"])
        for name, kind in groups.items():
            self.prepare_group(name, kind)
        for name, state in ((name, state) for case in cases for name, state in case.transactions.items()):
            self.prepare_transaction(name, state)
        if 26 in served:
            for name, state in (("t-committed", "committed"), ("t-aborted", "aborted"), ("t-ongoing", "ongoing")):
                self.prepare_transaction(name, state, "settled")
        self.prepare_entities()
        # The first producer ids come from a block that Kafka's broker has yet to ask its controller for.
        self.until("producer ids", lambda: self.call(22, 4, {"TransactionalId": None, "TransactionTimeoutMs": 60_000})["ErrorCode"])

    def create_topics(self, topics):
        names = list(topics)
        for start in range(0, len(names), TOPICS_PER_REQUEST):
            wanted = []
            for name in names[start : start + TOPICS_PER_REQUEST]:
                partitions, configs = topics[name]
                configs = [{"Name": key, "Value": value} for key, value in configs.items()]
                wanted.append({"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1, "Configs": configs})
            answer = self.call(19, 7, {"Topics": wanted, "timeoutMs": 60_000})
            for topic in answer["Topics"]:
                assert topic["ErrorCode"] == 0, f"create {topic} on {self.name}"

    def produce(self, topics):
        """Appends batches: {topic: {partition: [batch]}}, one request for each round of batches."""
        queues = [[(topic, part, batch) for batch in batches] for topic, parts in topics.items() for part, batches in parts.items()]
        for batches in itertools.zip_longest(*queues):
            data = []
            for topic, part, batch in filter(None, batches):
                data.append({"Name": topic, "PartitionData": [{"Index": part, "Records": batch.encode()}]})
            self.until("produce", lambda data=data: self._produce_once(data))

    def _produce_once(self, data, transactional_id=None):
        answer = self.call(0, 9, {"TransactionalId": transactional_id, "Acks": -1, "TimeoutMs": 30_000, "TopicData": data})
        return next((part["ErrorCode"] for topic in answer["Responses"] for part in topic["PartitionResponses"] if part["ErrorCode"]), 0)

    def fill_topics(self):
        now = self.now
        ten = [records.Batch(now + 1000 * number, values=(b"a", b"b", b"c")) for number in range(3)] + [records.Batch(now + 500)]
        self.produce({"orders": {0: ten, 1: [records.Batch(now + 7, values=(b"only",), attributes=1)]}})
        self.produce({"packed": {0: [records.Batch(now + codec, values=(b"a" * 50, b"b", b"c"), attributes=codec) for codec in (1, 2, 3, 0, 4, 1)]}})
        self.produce({"compacted": {0: [records.Batch(now)]}, "appended": {0: [records.Batch(now, values=(b"a", b"b"))]}})
        self.produce({"trimmed": {0: [records.Batch(now, values=(b"a", b"b", b"c"))] * 3}})
        head = {"Name": "trimmed", "Partitions": [{"PartitionIndex": 0, "Offset": 4}]}
        answer = self.call(21, 2, {"Topics": [head], "TimeoutMs": 30_000})
        assert answer["Topics"][0]["Partitions"][0]["ErrorCode"] == 0, f"trim on {self.name}: {answer}"

    def learn_ids(self):
        answer = self.call(3, 12, {"Topics": None})
        self.topic_ids = {topic["Name"]: topic["TopicId"] for topic in answer["Topics"]}
        self.cluster_id = answer["ClusterId"]
        self.log_directory = self.call(35, 4, {"Topics": []})["Results"][0]["LogDir"]

    def prepare_group(self, name, kind):
        if kind == "consumer":
            self.join_consumer_group(name)
            return
        if kind == "joined":
            self.join_group(name)
        member = {"MemberId": self.members[name], "GenerationIdOrMemberEpoch": 1} if kind == "joined" else {"GenerationIdOrMemberEpoch": -1}
        offsets = [{"PartitionIndex": part, "CommittedOffset": 3 + part, "CommittedMetadata": "prepared"} for part in (0, 1)]
        self.until(f"commit of {name}", lambda: self._commit(name, member, offsets))

    def _commit(self, name, member, offsets):
        answer = self.call(8, 8, {"GroupId": name, **member, "Topics": [{"Name": "orders", "Partitions": offsets}]})
        return answer["Topics"][0]["Partitions"][0]["ErrorCode"]

    def join_group(self, name):
        request = {
            "GroupId": name, "SessionTimeoutMs": SESSION_TIMEOUT_MS, "RebalanceTimeoutMs": 60_000, "ProtocolType": "consumer",
            "Protocols": [{"Name": "range", "Metadata": SUBSCRIPTION}],
        }
        self.until(f"join of {name}", lambda: self._join(name, request))
        assignments = [{"MemberId": self.members[name], "Assignment": b"assigned"}]
        answer = self.call(14, 3, {"GroupId": name, "GenerationId": 1, "MemberId": self.members[name], "Assignments": assignments})
        assert answer["ErrorCode"] == 0, f"sync {name} on {self.name}: {answer}"

    def _join(self, name, request):
        answer = self.call(11, 3, request)
        self.members[name] = answer["MemberId"]
        return answer["ErrorCode"]

    def join_consumer_group(self, name):
        self.members[name] = f"member-of-{name}"
        request = {
            "GroupId": name, "MemberId": self.members[name], "MemberEpoch": 0, "RebalanceTimeoutMs": 60_000,
            "SubscribedTopicNames": ["orders"], "TopicPartitions": [],
        }
        self.until(f"heartbeat of {name}", lambda: self.call(68, 1, request)["ErrorCode"])

    def prepare_transaction(self, name, state, topic="ledger"):
        answers = {}

        def initialize():
            answers["id"] = self.call(22, 4, {"TransactionalId": name, "TransactionTimeoutMs": 900_000})
            return answers["id"]["ErrorCode"]

        self.until(f"initialize {name}", initialize)
        producer = answers["id"]["ProducerId"]
        self.producer_ids[name] = producer
        if state == "initialized":
            return
        add = {"V3AndBelowTransactionalId": name, "V3AndBelowProducerId": producer, "V3AndBelowProducerEpoch": 0,
               "V3AndBelowTopics": [{"Name": topic, "Partitions": [0]}]}

        def begin():
            result = self.call(24, 3, add)["ResultsByTopicV3AndBelow"][0]
            return result["ResultsByPartition"][0]["PartitionErrorCode"]

        self.until(f"begin {name}", begin)
        if topic == "settled":
            batch = records.Batch(self.now, values=(b"a", b"b"), attributes=16, producer_epoch=0, base_sequence=0).encode(producer)
            data = [{"Name": topic, "PartitionData": [{"Index": 0, "Records": batch}]}]
            self.until(f"write of {name}", lambda: self._produce_once(data, name))
        if state != "ongoing":
            before = self.end_offset(topic)
            end = {"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": 0, "Committed": state == "committed"}
            self.until(f"end {name}", lambda: self.call(26, 3, end)["ErrorCode"])
            if topic == "settled":
                # The marker is written after the answer, and is to stand before what comes next.
                self.until(f"marker of {name}", lambda: self.end_offset(topic) == before)

    def end_offset(self, topic):
        ask = {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]}
        return self.call(2, 5, ask)["Topics"][0]["Partitions"][0]["Offset"]

    def prepare_entities(self):
        """What the describing requests are to find: a quota, a credential, a subscription, a group's config."""
        entity = [{"EntityType": "user", "EntityName": "u-prepared"}]
        quota = {"Entity": entity, "Ops": [{"Key": "producer_byte_rate", "Value": 1e9, "Remove": False}]}
        self.call(49, 1, {"Entries": [quota]})
        password = {"Name": "u-prepared", "Mechanism": 1, "Iterations": 4096, "Salt": b"salt", "SaltedPassword": b"password"}
        self.call(51, 0, {"Upsertions": [password]})
        prefix = {"Name": "metrics", "ConfigOperation": 0, "Value": "org."}
        metrics = {"ResourceType": 16, "ResourceName": "m-prepared", "Configs": [prefix]}
        session = {"Name": "consumer.session.timeout.ms", "ConfigOperation": 0, "Value": "50000"}
        self.call(44, 1, {"Resources": [metrics, {"ResourceType": 32, "ResourceName": "g-prepared", "Configs": [session]}]})
