"""Runs the workloads against Klamm and its peers in turn and prints them side by side, with ratios and spread.

`scripts/bench` builds what this needs and calls it. Every workload of every round gets a fresh broker with an empty
directory; the sides alternate. What counts is the broker's CPU time: wall times of a shared machine and of a load
generator on the same cores are context. How a table is made of the samples is the business of report.py.
"""

import argparse
import pathlib
import shutil
import sys

import durability
import generator
import process
import report
import sides
from results import Results
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


def sides_of(workload, arguments, known):
    """The sides that take turns in a workload, Klamm first."""
    peers = [] if arguments.no_peer else getattr(WORKLOADS[workload], "peers", [sides.NEWEST, sides.Floor.name])
    chosen = [known[name] for name in dict.fromkeys(["klamm", *peers, *arguments.peer])]
    return [side for side in chosen if side.workloads is None or workload in side.workloads]


def run(arguments):
    """All rounds, the sides in turn. A side that fails in a workload is not tried in it again, and the run goes on."""
    known = sides.known(arguments)
    turns = {workload: sides_of(workload, arguments, known) for workload in arguments.only or WORKLOADS}
    results = Results(arguments.scale)
    results.machines.append(process.describe_machine())
    results.load_averages.append(process.load_average())
    taking_part = [side for side in known.values() if any(side in each for each in turns.values())]
    results.titles = {side.name: side.title for side in taking_part}
    results.durability = durability.compare(taking_part, arguments.directory)
    failed = set()
    for number in range(1, arguments.rounds + 1):
        for workload, side in ((workload, side) for workload, each in turns.items() for side in each):
            if (workload, side) in failed:
                continue
            print(f"round {number} of {arguments.rounds}: {workload}, {side.title}", file=sys.stderr)
            try:
                bench = Bench(side, arguments, arguments.directory / f"{side.name}-{workload}")
                stolen = process.Stolen()
                values = run_once(workload, bench)
                results.add(workload, side.name, values, stolen.percent())
            except (Exception, SystemExit) as error:
                failed.add((workload, side))
                results.failures.append(f"{workload}, {side.title}, round {number}: {error}")
                print(f"failed: {error}", file=sys.stderr)
            if arguments.output:
                results.write(arguments.output)
    return results


def run_once(workload, bench):
    try:
        values = WORKLOADS[workload](bench)
    except BaseException:
        bench.abandon()
        raise
    bench.close()
    shutil.rmtree(bench.home)
    return values


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__)
    for name in ["broker", "load", "cache", "directory", "peers"]:
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", action="append", choices=WORKLOADS)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--peer", action="append", choices=sides.OPTIONAL, default=[])
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--undisturbed", type=float)
    arguments = parser.parse_args()
    # The broker runs in its own directory: a relative path would point elsewhere.
    arguments.directory = arguments.directory.resolve()
    return arguments


def main():
    arguments = parse_arguments()
    results = run(arguments)
    report.show(results, arguments.undisturbed)
    sys.exit(1 if results.failures else 0)


if __name__ == "__main__":
    main()
