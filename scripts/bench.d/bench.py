"""Runs the workloads against Klamm and Apache Kafka in turn and prints both, their ratio and the spread.

`scripts/bench` builds what this needs and calls it. Every workload of every round gets a fresh broker with an empty
directory; Klamm and Apache Kafka alternate. What counts is the broker's CPU time: wall times of a shared machine and of
a load generator on the same cores are context.
"""

import argparse
import pathlib
import shutil
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "compat-tests/lib"))

import broker as brokers  # noqa: E402
import generator  # noqa: E402
import process  # noqa: E402
import table  # noqa: E402
import versions  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

# What bin/kafka-server-start.sh of a distribution gives the JVM.
JVM = [
    "-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true",
]


class Bench:
    """What one run of one workload may use: a broker, the load generator, checks."""

    def __init__(self, side, arguments, home):
        self.side = side
        self.arguments = arguments
        self.home = home
        self.running = None

    def broker(self):
        """Start the broker of this run; it lives until `close`."""
        if self.side == "klamm":
            prepared = brokers.Broker.klamm(self.home, self.arguments.broker, {})
        else:
            prepared = brokers.Broker.official(self.home, self.arguments.cache, {}, jvm=JVM)
        self.running = process.Process(prepared)
        return self.running

    def load(self, broker, command, **options):
        """Run the load generator; return the CPU seconds the broker spent meanwhile and what the generator says it did."""
        cpu = broker.cpu_seconds()
        done = generator.run(self.arguments.load, broker, command, **options)
        return broker.cpu_seconds() - cpu, done

    def scaled(self, count, multiple_of=1):
        """`count` under --scale."""
        return max(1, round(count * self.arguments.scale / multiple_of)) * multiple_of

    def expect(self, found, wanted, what):
        if found != wanted:
            raise SystemExit(f"{self.side}: {found} {what} where {wanted} are due, see {self.running.log}")

    def close(self):
        if self.running:
            self.running.stop()


def run(arguments):
    """All rounds; returns {metric: {side: [value, one per round]}}."""
    sides = ["klamm"] if arguments.no_peer else ["klamm", "official"]
    samples = {}
    for number in range(1, arguments.rounds + 1):
        for workload in arguments.only or WORKLOADS:
            for side in sides:
                print(f"round {number} of {arguments.rounds}: {workload}, {side}", file=sys.stderr)
                home = arguments.directory / f"{side}-{workload}"
                for metric, value in run_once(workload, Bench(side, arguments, home)).items():
                    samples.setdefault(metric, {}).setdefault(side, []).append(value)
    return samples


def run_once(workload, bench):
    # A failed run leaves its directory, log included, until the next one needs the place.
    shutil.rmtree(bench.home, ignore_errors=True)
    try:
        values = WORKLOADS[workload](bench)
    except BaseException:
        if bench.running:
            bench.running.kill()
        raise
    bench.close()
    shutil.rmtree(bench.home)
    return values


def number(value):
    """Three digits that mean something, thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(values):
    """The median and, in brackets, the least and the greatest value."""
    text = number(statistics.median(values))
    return f"{text} ({number(min(values))}-{number(max(values))})" if len(values) > 1 else text


def print_table(samples, arguments):
    sides = ["klamm"] if arguments.no_peer else ["klamm", "official"]
    kafka = f"Apache Kafka {versions.load()['kafka.broker']}"
    rows = [["median (least-greatest)", "Klamm", kafka, "Klamm / Kafka"] if len(sides) > 1 else ["median (least-greatest)", "Klamm"]]
    for metric, values in samples.items():
        row = [metric, *(cell(values[side]) for side in sides)]
        if len(sides) > 1:
            ours, theirs = (statistics.median(values[side]) for side in sides)
            row.append(f"{ours / theirs:.3f}" if theirs else "-")
        rows.append(row)
    table.show(rows)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__)
    for name in ["broker", "load", "cache", "directory"]:
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", action="append", choices=WORKLOADS)
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    # The broker runs in its own directory: a relative path would point elsewhere.
    arguments.directory = arguments.directory.resolve()
    return arguments


def main():
    arguments = parse_arguments()
    machine = process.describe_machine()
    samples = run(arguments)
    scale = "" if arguments.scale == 1 else f", volumes x {arguments.scale}"
    print(f"{machine}; rounds: {arguments.rounds}{scale}; records counted and read back with their CRCs")
    print_table(samples, arguments)


if __name__ == "__main__":
    main()
