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

import generator
import process
import sides
import table
from workloads import WORKLOADS


class Bench:
    """What one run of one workload may use: a broker that it can restart, the load generator, checks."""

    def __init__(self, side, arguments, home):
        self.side = side
        self.arguments = arguments
        self.home = home
        self.prepared = None
        self.running = None
        self.loads = []

    def broker(self, settings=None):
        """Start a broker in an empty directory, with `settings` in Kafka's keys; it lives until the run ends.

        Another call ends the one before and begins anew.
        """
        self.close()
        # A failed run leaves its directory, log included, until the next one needs the place.
        shutil.rmtree(self.home, ignore_errors=True)
        self.prepared = self.side.prepare(self.home, settings or {})
        self.running = process.Process(self.prepared)
        return self.running

    def restart(self, kill=False):
        """Stop the broker, as an operator does or as a crash does, and start it again over the same data."""
        stopped, self.running = self.running, None
        stopped.kill() if kill else stopped.stop()
        self.running = process.Process(self.prepared)
        return self.running

    def load(self, broker, command, **options):
        """Run the load generator; return the CPU seconds the broker spent meanwhile and what the generator says it did.

        The option `limit_seconds` is not the generator's: it says how long the load may take.
        """
        cpu = broker.cpu_seconds()
        done = generator.run(self.arguments.load, broker, command, **options)
        return broker.cpu_seconds() - cpu, done

    def spawn(self, broker, command, **options):
        """Start a load beside others; its `finish()` waits for its end and returns what the generator says it did."""
        load = generator.Running(self.arguments.load, broker, command, options)
        self.loads.append(load)
        return load

    def scaled(self, count, multiple_of=1):
        """`count` under --scale."""
        return max(1, round(count * self.arguments.scale / multiple_of)) * multiple_of

    def expect(self, found, wanted, what):
        if found != wanted:
            raise SystemExit(f"{self.side.name}: {found} {what} where {wanted} are due, see {self.prepared.log}")

    def close(self):
        """End the broker cleanly; a load that still runs has been forgotten."""
        self._end_loads()
        if self.running:
            self.running.stop()
        self.running = None

    def abandon(self):
        """End everything at once, after a failure."""
        self._end_loads()
        if self.running:
            self.running.kill()
        self.running = None

    def _end_loads(self):
        for load in self.loads:
            load.kill()
        self.loads = []


def known_sides(arguments):
    """Every side that this run can measure, by name."""
    known = [sides.Klamm(arguments.broker), sides.Kafka(arguments.cache), sides.Kafka(arguments.cache, "3.9")]
    return {side.name: side for side in known}


def sides_of(workload, arguments):
    """The names of the sides that take turns in a workload, Klamm first."""
    peers = getattr(WORKLOADS[workload], "peers", [sides.NEWEST])
    return ["klamm"] if arguments.no_peer else ["klamm", *peers]


def run(arguments):
    """All rounds; returns {metric: {side: [value, one per round]}}."""
    known = known_sides(arguments)
    samples = {}
    for number in range(1, arguments.rounds + 1):
        for workload in arguments.only or WORKLOADS:
            for name in sides_of(workload, arguments):
                print(f"round {number} of {arguments.rounds}: {workload}, {name}", file=sys.stderr)
                home = arguments.directory / f"{name}-{workload}"
                for metric, value in run_once(workload, Bench(known[name], arguments, home)).items():
                    samples.setdefault(metric, {}).setdefault(name, []).append(value)
    return samples


def run_once(workload, bench):
    try:
        values = WORKLOADS[workload](bench)
    except BaseException:
        bench.abandon()
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
    """A column for each side that was measured; the ratio is Klamm's to that of the workload's first peer."""
    known = known_sides(arguments)
    names = [name for name in known if any(name in values for values in samples.values())]
    header = ["median (least-greatest)", *(known[name].title for name in names)]
    rows = [header + ["Klamm / Kafka"] if len(names) > 1 else header]
    for metric, values in samples.items():
        row = [metric, *(cell(values[name]) if name in values else "-" for name in names)]
        if len(names) > 1:
            ours, *theirs = (statistics.median(each) for each in values.values())
            row.append(f"{ours / theirs[0]:.3f}" if theirs and theirs[0] else "-")
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
