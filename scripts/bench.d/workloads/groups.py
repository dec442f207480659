"""Consumer groups: how soon many members settle, and what that costs."""

CHURN_MEMBERS = 500
CHURN_SECONDS = 20
REBALANCE_MEMBERS = [200, 500]
PARTITIONS_PER_MEMBER = 1
# Kafka's own defaults have members wait (3 s for more of them, up to 5 s between two heartbeats), which says nothing
# about the broker.
REBALANCE_SETTINGS = {
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.min.heartbeat.interval.ms": "1000",
    "group.consumer.heartbeat.interval.ms": "1000",
}
PROTOCOLS = {"classic": "false", "KIP-848": "true"}
REBALANCE_STEPS = {"all": "all join", "leave": "one leaves", "join": "one joins"}


def rebalance(bench):
    """Members join at once, then one leaves and one joins: until the assignment covers every partition once again."""
    samples = {}
    for protocol, is_consumer_group in PROTOCOLS.items():
        for members in REBALANCE_MEMBERS:
            # A broker for each: a JVM that is warm from one protocol is not so for the other.
            broker = bench.broker(REBALANCE_SETTINGS)
            count = bench.scaled(members)
            partitions = count * PARTITIONS_PER_MEMBER
            bench.load(broker, "create", topic="topic", partitions=partitions)
            options = {"topic": "topic", "partitions": partitions, "members": count, "consumer_group": is_consumer_group}
            load = bench.spawn(broker, "rebalance", **options)
            for step, label in REBALANCE_STEPS.items():
                cpu = broker.cpu_seconds()
                done = load.step(step)
                name = f"{protocol} group of {count}, {label}"
                samples[f"{name}: s"] = done["seconds"]
                samples[f"{name}: CPU ms"] = (broker.cpu_seconds() - cpu) * 1e3
                samples[f"{name}: requests"] = done["requests"]
            load.finish()
    return samples


def churn(bench):
    """One group whose members join all at once, then leave and crash at random, and then settle."""
    broker = bench.broker()
    members = bench.scaled(CHURN_MEMBERS)
    cpu, done = bench.load(broker, "churn", members=members, seconds=CHURN_SECONDS)
    return {
        f"{members} members join: s": done["join_seconds"],
        f"{members} members, {CHURN_SECONDS} s of churn: settled after s": done["settle_seconds"],
        f"{members} members, {CHURN_SECONDS} s of churn: CPU s": cpu,
        f"{members} members, {CHURN_SECONDS} s of churn: rebalances": done["generations"],
    }
