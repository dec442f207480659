"""Groups whose members are of different ages: groups.py

A group of each `Mix` is joined by some at once, by one more, left by one, and one of it is killed; behind each change the
members share all partitions between them, and every record written then is seen by one of them. What they committed at the end is
the end of every partition. A `handover` goes along all clients: each resumes where the one before it, of another age, has
committed, and commits for the next.
"""

import dataclasses
import os
import sys

import agent as agents
import checks
import clients
import topics

TOPICS = topics.Topics(os.environ["BOOTSTRAP"])
PARTITIONS = 6
PER_PHASE = 60


@dataclasses.dataclass(frozen=True)
class Mix:
    """Who founds a group, who joins it then, who of them leaves, and who is killed."""

    name: str
    assignor: str
    founders: tuple
    joins: str
    leaves: str
    dies: str


# An old leader assigns for new members and the other way round: the founder that comes first leads.
MIXES = [
    Mix("oldest-leads-newest", "RangeAssignor", ("java-0.9", "java-4.4"), "java-0.10", "java-4.4", "java-0.9"),
    Mix("newest-leads-oldest", "RoundRobinAssignor", ("java-4.4", "java-0.9"), "java-0.11", "java-0.9", "java-4.4"),
    Mix("librdkafka-and-java", "RangeAssignor", ("kcat-0.9", "java-1.1"), "java-0.9", "kcat-0.9", "java-1.1"),
    Mix("python-and-java", "RoundRobinAssignor", ("python-0.9", "java-2.8"), "python-0.11", "java-2.8", "python-0.9"),
    Mix("go-and-java", "RangeAssignor", ("sarama-0.10", "java-0.9", "franz-0.9"), "java-3.9", "java-0.9", "franz-0.9"),
    Mix("all-sorts", "RoundRobinAssignor", ("java-0.9", "python-0.10", "franz-0.11", "kcat-0.9"), "sarama-2.0", "python-0.10", "franz-0.11"),
]
# No two neighbours are of one age or one client.
HANDOVER = (
    "java-0.9 java-4.4 python-0.9 franz-0.11 kafkajs-1.4 java-0.10 sarama-2.0 kcat-0.9 java-1.1 franz-0.9 python-0.11 java-3.9 "
    "sarama-0.10 kafkajs-1.12 java-0.11 python-0.10 java-2.8 sarama-0.11 franz-0.10 java-4.4 java-0.9"
).split()


class Group:
    """A group of agents, and all that its members have seen."""

    def __init__(self, mix):
        self.mix, self.topic, self.agents, self.seen, self.written = mix, f"mixed-{mix.name}", {}, set(), 0
        TOPICS.create(self.topic, partitions=PARTITIONS)

    def join(self, name):
        self.agents[name] = agents.Agent(clients.CLIENTS[name])
        self.agents[name].ask("join", name, self.mix.name, self.topic, self.mix.assignor)

    def leave(self, name):
        self.agents[name].ask("leave", name)
        self.agents.pop(name).close()

    def kill(self, name):
        self.agents.pop(name).kill()

    def look(self):
        """The partitions each member has; what they have seen is kept."""
        shares = []
        for name, agent in self.agents.items():
            partitions, found = agent.look(name)
            shares.append(partitions)
            self.seen |= {(one.partition, one.value) for one in found}
        return shares

    def settled(self):
        """Whether each partition has one owner and each member a partition."""
        shares = self.look()
        return sorted(sum(shares, [])) == list(range(PARTITIONS)) and all(shares)

    def phase(self, what):
        """Wait for the members to share the partitions, write records, and wait until they are seen."""
        topics.wait_until(f"{len(self.agents)} members share all partitions, {what}", self.settled)
        new = [(number % PARTITIONS, None, b"%d" % number) for number in range(self.written, self.written + PER_PHASE)]
        TOPICS.write(self.topic, new)
        self.written += PER_PHASE
        wanted = {(partition, value) for partition, _, value in new}
        topics.wait_until(f"all of {PER_PHASE} records are seen, {what}", lambda: self.look() and wanted <= self.seen)

    def close(self):
        for agent in self.agents.values():
            agent.close()


def mixed(mix):
    """The life of one mix."""
    group = Group(mix)
    try:
        for name in mix.founders:
            group.join(name)
            topics.wait_until(f"{name} has partitions", lambda: all(group.look()))
        group.phase("at first")
        group.join(mix.joins)
        group.phase(f"when {mix.joins} has joined")
        group.leave(mix.leaves)
        group.phase(f"when {mix.leaves} has left")
        group.kill(mix.dies)
        group.phase(f"when {mix.dies} was killed")
        for name in list(group.agents):
            group.agents[name].ask("commit", name)
            group.leave(name)
        end = group.written // PARTITIONS
        checks.equal(TOPICS.committed(mix.name, group.topic), [end] * PARTITIONS, "committed offsets")
    finally:
        group.close()


class Handover:
    """One group that has one member at a time."""

    def __init__(self):
        self.done = 0

    def turn(self, name):
        """Let a client go on where the one before has committed; it sees what is new and nothing else."""
        if not self.done:
            TOPICS.create("handed", partitions=1)
        new = [b"%d %d" % (self.done, number) for number in range(10)]
        TOPICS.write("handed", [(0, None, value) for value in new])
        agent, seen = agents.Agent(clients.CLIENTS[name]), []
        try:
            agent.ask("join", name, "handover", "handed", "RangeAssignor")

            def enough():
                seen.extend(one.value for one in agent.look(name)[1])
                return len(seen) >= len(new)

            topics.wait_until(f"{name} has seen {len(new)} records", enough)
            agent.ask("commit", name)
            agent.ask("leave", name)
        finally:
            agent.close()
        checks.equal(seen, new, f"what {name} has seen")
        self.done += 1
        checks.equal(TOPICS.committed("handover", "handed"), [len(new) * self.done], f"what {name} has committed")


if __name__ == "__main__":
    wanted = sys.argv[1:] or [mix.name for mix in MIXES]
    for mix in MIXES:
        if mix.name in wanted:
            checks.run(f"mixed.{mix.name}", lambda mix=mix: mixed(mix))
    if not sys.argv[1:]:
        handover = Handover()
        for number, name in enumerate(HANDOVER, 1):
            checks.run(f"handover.{number:02}-{name}", lambda name=name: handover.turn(name))
