"""Idle: what connections and partitions cost that nobody uses. A broker without any is measured by `start`."""

import resource
import time

CONNECTIONS = 10_000
TOPICS = 10
PARTITIONS = 1_000
SETTLE_SECONDS = 3
IDLE_SECONDS = 10
# What a JVM has open besides partitions and connections, generously.
OTHER_DESCRIPTORS = 600


def idle(bench):
    """10,000 connections, each of which has asked what a client asks first, and as many partitions."""
    connections = bench.scaled(CONNECTIONS)
    # Apache Kafka keeps a file of every partition open. Where descriptors are short, all sides get fewer partitions.
    topics = min(bench.scaled(TOPICS), (raise_descriptor_limit() - connections - OTHER_DESCRIPTORS) // PARTITIONS)
    broker = bench.broker()
    bench.load(broker, "create-many", topic="many", topics=topics, partitions=PARTITIONS)
    time.sleep(SETTLE_SECONDS)
    memory = broker.memory_mib()
    load = bench.spawn(broker, "idle", topic="many-0", connections=connections)
    load.said()
    time.sleep(SETTLE_SECONDS)
    cpu, switches, began = broker.cpu_seconds(), broker.context_switches(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    seconds = time.monotonic() - began
    spent = broker.cpu_seconds() - cpu
    later = broker.context_switches()
    held = broker.memory_mib()
    load.finish()
    name = f"idle, {connections:,} connections, {topics * PARTITIONS:,} partitions"
    return {
        f"{name}: CPU, % of a core": spent / seconds * 100,
        f"{name}: context switches/s": sum(count - switches.get(thread, 0) for thread, count in later.items()) / seconds,
        f"{name}: memory, MiB": held,
        f"{name}: memory of a connection, KiB": (held - memory) * 1024 / connections,
    }


def raise_descriptor_limit():
    """Let broker and generator have as many descriptors as the machine allows; both inherit the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
