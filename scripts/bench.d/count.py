"""Counts what a broker's work costs where a clock would only guess, and holds the figures to recorded limits.

`scripts/count` builds what this needs and calls it. What is counted, and how, is the business of counts/; here the
figures are shown, compared or recorded.
"""

import argparse
import os
import pathlib
import resource
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "compat-tests/lib"))

import counts  # noqa: E402
import table  # noqa: E402
from counts import limits  # noqa: E402
from counts.run import Run  # noqa: E402

LIMITS = HERE / "counts/limits.json"
# cargo's folder -> the profile that it builds there.
PROFILES = {"debug": "dev", "release": "release"}


def measured(binary, arguments):
    """All measures of one binary."""
    run = Run(binary, arguments.load, arguments.directory)
    measures = []
    for kind in arguments.only or counts.KINDS:
        began = time.monotonic()
        measures += counts.KINDS[kind].measure(run)
        print(f"{kind} of {binary}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return measures


def show(binaries, figures):
    """`figures`: for each binary the same measures."""
    first = binaries[0]
    rows = [["measure", *map(str, binaries), *(f"{path} / {first}" for path in binaries[1:])]]
    for of_each in zip(*figures):
        values = [measure.value for measure in of_each]
        ratios = [f"{value / values[0]:.3f}" if values[0] else "-" for value in values[1:]]
        rows.append([of_each[0].name, *map(limits.number, values), *ratios])
    table.show(rows)


def check(measures, recorded, toolchain):
    """Print what is to be said and the sum; return whether nothing failed."""
    outcomes = {"passed": 0, "failed": 0, "skipped": 0}
    for measure in measures:
        verdict = recorded.verdict(measure, toolchain)
        outcomes[verdict.outcome] += 1
        if verdict.text:
            print(f"{verdict.outcome}: {verdict.text}")
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
    return outcomes["failed"] == 0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="count.py", description=__doc__)
    parser.add_argument("--broker", type=pathlib.Path, action="append", required=True)
    parser.add_argument("--load", type=pathlib.Path, required=True)
    parser.add_argument("--directory", type=pathlib.Path, required=True)
    parser.add_argument("--profile", choices=PROFILES.values())
    parser.add_argument("--only", action="append", choices=counts.KINDS)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    if arguments.check or arguments.record:
        if len(arguments.broker) > 1 or arguments.record and arguments.only:
            parser.error("--check and --record take one broker, --record all measures")
        arguments.profile = arguments.profile or PROFILES.get(arguments.broker[0].parent.name)
        if not arguments.profile:
            parser.error(f"{arguments.broker[0]} is in no folder of cargo's: name its --profile, dev or release")
    return arguments


def main():
    arguments = parse_arguments()
    # One core for all: the broker has one worker, and it and the load take turns.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    figures = [measured(path, arguments) for path in arguments.broker]
    show(arguments.broker, figures)
    if arguments.check or arguments.record:
        recorded = limits.Limits(LIMITS, arguments.profile)
        toolchain = limits.toolchain(arguments.broker[0])
        if arguments.record:
            recorded.record(figures[0], toolchain)
        if not check(figures[0], recorded, toolchain):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
