"""An admin client that creates, configures and deletes topics, and knows in which states each may be.

What was acknowledged leaves one possible state; an attempt without an answer may or may not have happened, so it leaves
two, and its topic is left alone from then on.
"""

import threading

import confluent_kafka as ck
import confluent_kafka.admin as ck_admin

ANSWER_SECONDS = 5
VERIFY_SECONDS = 20
GONE = None
# What a client is told when it did not hear the answer: the change may have happened.
UNHEARD = {"_TRANSPORT", "_TIMED_OUT", "_ALL_BROKERS_DOWN", "_DESTROY", "_DESTROY_BROKER", "REQUEST_TIMED_OUT", "NOT_CONTROLLER", "NETWORK_EXCEPTION"}


class MetadataClients:
    """One thread that changes topics; the state of a topic is its retention.ms, or GONE."""

    def __init__(self, bootstrap, chance):
        self.client = ck_admin.AdminClient(
            {"bootstrap.servers": bootstrap, "broker.address.family": "v4", "reconnect.backoff.max.ms": 200, "log_level": 0}
        )
        self.chance = chance
        self.possible = {}
        self.partitions = {}
        self.settled = []
        self.deleted = 0
        self.acked = 0
        self.wrong = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._change)

    def start(self):
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def _change(self):
        number = 0
        while not self.stopping.wait(0.02):
            number += 1
            action = self.chance.random()
            if action < 0.4 or not self.settled:
                self._create(f"crash-topic-{number}")
            else:
                topic = self.chance.choice(self.settled)
                if action < 0.75:
                    self._configure(topic, str(60_000 + number))
                elif self.chance.random() < 0.7:
                    self._delete(topic)
                else:
                    self._grow(topic)

    def _attempt(self, topic, futures, before, after):
        """Wait for the answer to a change, and keep in which states it leaves the topic; True if it was acknowledged."""
        (future,) = futures.values()
        try:
            future.result(ANSWER_SECONDS + 5)
        except ck.KafkaException as error:
            name = error.args[0].name()
            if name not in UNHEARD:
                # After an answer that got lost the client itself may ask again, and be told that it is so already.
                expected = {"TOPIC_ALREADY_EXISTS": before == GONE, "UNKNOWN_TOPIC_OR_PART": after == GONE, "INVALID_PARTITIONS": before == after}
                if not expected.get(name, False):
                    self.wrong.append(f"{topic} from {before} to {after}: {error}")
            self.possible[topic] = {before, after}
            if topic in self.settled:
                self.settled.remove(topic)
            return False
        self.possible[topic] = {after}
        self.acked += 1
        return True

    def _create(self, topic):
        retention, partitions = str(50_000 + len(self.possible)), self.chance.randint(1, 3)
        new = ck_admin.NewTopic(topic, partitions, 1, config={"retention.ms": retention})
        self.partitions[topic] = {partitions}
        if self._attempt(topic, self.client.create_topics([new], request_timeout=ANSWER_SECONDS), GONE, retention):
            self.settled.append(topic)

    def _configure(self, topic, retention):
        (before,) = self.possible[topic]
        entry = ck_admin.ConfigEntry("retention.ms", retention, incremental_operation=ck_admin.AlterConfigOpType.SET)
        resource = ck_admin.ConfigResource(ck_admin.ResourceType.TOPIC, topic, incremental_configs=[entry])
        self._attempt(topic, self.client.incremental_alter_configs([resource], request_timeout=ANSWER_SECONDS), before, retention)

    def _grow(self, topic):
        (state,), (count,) = self.possible[topic], self.partitions[topic]
        more = ck_admin.NewPartitions(topic, count + 1)
        acked = self._attempt(topic, self.client.create_partitions([more], request_timeout=ANSWER_SECONDS), state, state)
        self.partitions[topic] = {count + 1} if acked else {count, count + 1}

    def _delete(self, topic):
        (before,) = self.possible[topic]
        if self._attempt(topic, self.client.delete_topics([topic], request_timeout=ANSWER_SECONDS), before, GONE):
            self.settled.remove(topic)
            self.deleted += 1

    def _listed(self):
        return self.client.list_topics(timeout=VERIFY_SECONDS).topics

    def check_created(self):
        """Every topic that must exist does, with its partitions, and each has a leader."""
        listed = self._listed()
        certain = [topic for topic, states in self.possible.items() if GONE not in states]
        assert certain, "no topic must be there"
        for topic in certain:
            assert topic in listed, f"{topic} was created, but is not there"
        for topic in self.possible.keys() & listed.keys():
            count = len(listed[topic].partitions)
            assert count in self.partitions[topic], f"{topic} has {count} partitions, not one of {self.partitions[topic]}"
            leaders = {partition.leader for partition in listed[topic].partitions.values()}
            assert leaders == {1}, f"the leaders of {topic} are {leaders}"

    def check_deleted(self):
        """No topic that must be gone is there."""
        listed = self._listed()
        assert self.deleted, "no delete was acknowledged"
        back = [topic for topic, states in self.possible.items() if states == {GONE} and topic in listed]
        assert not back, f"{len(back)} deleted topics are there, the first is {back[0]}"

    def check_configs(self):
        """Every topic that is there has a config it was given last."""
        there = sorted(self.possible.keys() & self._listed().keys())
        resources = [ck_admin.ConfigResource(ck_admin.ResourceType.TOPIC, topic) for topic in there]
        for resource, future in self.client.describe_configs(resources).items():
            value = future.result(VERIFY_SECONDS)["retention.ms"].value
            assert value in self.possible[resource.name], f"retention.ms of {resource.name} is {value}, not one of {self.possible[resource.name]}"
