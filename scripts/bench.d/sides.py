"""The brokers that can be measured side by side, and how each of them is prepared.

A side prepares a broker in an empty directory and does not start it. All sides get the same settings, in Kafka's keys.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "compat-tests/lib"))

import broker as brokers  # noqa: E402
import versions  # noqa: E402

# What bin/kafka-server-start.sh of a distribution gives the JVM.
JVM = [
    "-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true",
]


# The side that Klamm is compared with unless a workload names others.
NEWEST = "kafka"


class Klamm:
    """The broker under test."""

    name = "klamm"
    title = "Klamm"

    def __init__(self, binary):
        self.binary = binary

    def prepare(self, home, settings):
        return brokers.Broker.klamm(home, self.binary, settings)


class Kafka:
    """Apache Kafka with the JVM options of its distribution: the newest release, or one of an earlier line (`3.9`)."""

    def __init__(self, cache, release=None):
        self.cache = cache
        self.release = release
        self.name = f"{NEWEST}-{release}" if release else NEWEST
        self.title = "Apache Kafka " + versions.load()[f"kafka.broker.{release}" if release else "kafka.broker"]

    def prepare(self, home, settings):
        return brokers.Broker.official(home, self.cache, settings, jvm=JVM, release=self.release)
