"""The brokers that can be measured side by side, and how each of them is prepared.

A side prepares a broker in an empty directory and does not start it. All sides get the same settings, in Kafka's keys.
What a peer of `--peer` needs is built by peers/NAME/build.
"""

import pathlib
import signal
import subprocess
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
# The same of bin/kafka-producer-perf-test.sh.
TOOL_JVM = ["-Xmx512M", *JVM[2:]]
# The side that Klamm is compared with unless a workload names others.
NEWEST = "kafka"


def java(version, main):
    """The command that runs a main class of Kafka's tools, as the scripts of its distribution do."""
    classpath = subprocess.run([brokers.PEER / "classpath", version], check=True, capture_output=True, text=True).stdout.strip()
    logging = f"-Dlog4j2.configurationFile={brokers.PEER}/log4j2-tools.properties"
    return ["java", *TOOL_JVM, logging, "-cp", classpath, main]


class Side:
    """What every side has; a subclass sets the name, the title of its column and how it is prepared."""

    # The workloads that it can run, or None for all.
    workloads = None
    # What it says of durability when it cannot be asked for its settings.
    durability = None


class Klamm(Side):
    """The broker under test."""

    name = "klamm"
    title = "Klamm"

    def __init__(self, binary):
        self.binary = binary

    def prepare(self, home, settings):
        return brokers.Broker.klamm(home, self.binary, settings)


class Kafka(Side):
    """Apache Kafka with the JVM options of its distribution: the newest release, or one of an earlier line (`3.9`)."""

    def __init__(self, cache, release=None):
        self.cache = cache
        self.release = release
        self.name = f"{NEWEST}-{release}" if release else NEWEST
        self.title = "Apache Kafka " + versions.load()[f"kafka.broker.{release}" if release else "kafka.broker"]

    def prepare(self, home, settings):
        return brokers.Broker.official(home, self.cache, settings, jvm=JVM, release=self.release)


class Program:
    """A broker that is nothing but a command with a port; it has what process.Process wants of one."""

    def __init__(self, home, command, port, clean_codes=(0,)):
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.log = self.home / "broker.log"
        self.launch = {"port": port, "command": [str(word) for word in command], "clean_codes": clean_codes}


class KfakeInMemory(Side):
    """franz-go's fake Kafka in one process, in memory as its users run it; it knows few settings and ignores the others."""

    name = "kfake"
    title = "kfake (in memory)"
    durability = "in memory"
    data = []

    def __init__(self, binaries):
        self.binary = binaries / "kfake"

    def prepare(self, home, settings):
        port = brokers.free_port()
        command = [self.binary, "-port", port, *self.data]
        for key, value in settings.items():
            command += ["-override", f"{key}={value}"]
        return Program(home, command, port)


class KfakeOnDisk(KfakeInMemory):
    """The same with a log in its directory, which it writes without fsync, as Kafka does."""

    name = "kfake-disk"
    title = "kfake (on disk)"
    durability = "written, no fsync"
    data = ["-data-dir", "data"]


class Floor(Side):
    """The least that a broker with a log on disk can do (klamm-load floor); it serves a few workloads only."""

    name = "floor"
    title = "floor"
    workloads = ["produce", "idempotent", "large", "codecs", "small", "pace"]
    durability = "written, no fsync"

    def __init__(self, load):
        self.load = load

    def prepare(self, home, settings):
        port = brokers.free_port()
        return Program(home, [self.load, "floor", "--port", port, "--data", "data"], port, clean_codes=[-signal.SIGTERM])


# What `--peer` knows; Apache Kafka and the floor are there without it, unless the run is without Kafka.
OPTIONAL = [KfakeInMemory.name, KfakeOnDisk.name, Floor.name]
# The order of the columns.
ORDER = [Klamm.name, NEWEST, *OPTIONAL]


def known(arguments):
    """Every side that a run with these arguments can measure, by name."""
    every = [Klamm(arguments.broker), Kafka(arguments.cache), Kafka(arguments.cache, "3.9")]
    every.append(Floor(arguments.load))
    every += [Kfake(arguments.peers) for Kfake in (KfakeInMemory, KfakeOnDisk)]
    return {side.name: side for side in every}


def column(name):
    """Where the column of a side stands; an earlier release of Kafka stands where the newest does."""
    return ORDER.index(NEWEST if name.startswith(f"{NEWEST}-") else name)
