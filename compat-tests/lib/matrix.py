#!/usr/bin/env python3
"""The README's table of clients and scenarios, made from what each client's expected.tsv promises of Klamm.

matrix.py prints the table; matrix.py --bless writes it into the README. `run` checks that it is there.
"""

import pathlib
import sys

import outcomes
import suites
import versions

README = versions.ROOT.parent / "README.md"
BEGIN = "<!-- the scenario matrix: compat-tests/run checks it; compat-tests/lib/matrix.py --bless rewrites it -->\n"
END = "<!-- end of the scenario matrix -->\n"
# Every client runs these; a test's name is scenario.case.
SCENARIOS = ["codec", "headers", "rebalance", "commit", "seek", "admin", "large-message", "compaction", "reconnect", "transactions", "groups"]


def _cell(promises):
    kinds = [promise.partition(":")[0] for promise in promises]
    if "fail" in kinds:
        return "no"
    passed = kinds.count("pass")
    if not passed:
        return "-"
    return "yes" if passed == len(kinds) else f"{passed} of {len(kinds)}"


def table():
    """The lines of the table."""
    lines = ["| client | " + " | ".join(SCENARIOS) + " |", "| --- |" + " --- |" * len(SCENARIOS)]
    for suite in suites.load("full", None):
        expected = outcomes.read_expected(suite.path / "expected.tsv", "klamm")
        by_scenario = {scenario: [promise for name, promise in expected.items() if name.split(".")[0] == scenario] for scenario in SCENARIOS}
        if all(by_scenario.values()):
            lines.append(f"| {suite.client} | " + " | ".join(_cell(by_scenario[scenario]) for scenario in SCENARIOS) + " |")
    return lines


def _split(text):
    before, _, rest = text.partition(BEGIN)
    block, _, after = rest.partition(END)
    return before, block, after


def problem():
    """What is wrong with the README's table, or None."""
    _, block, _ = _split(README.read_text())
    if block.split("\n") == ["", *table(), "", ""]:
        return None
    return "the README's table of clients and scenarios is not what the expected.tsv files say: run compat-tests/lib/matrix.py --bless"


def bless():
    """Write the table into the README."""
    before, _, after = _split(README.read_text())
    README.write_text(before + BEGIN + "\n" + "\n".join(table()) + "\n\n" + END + after)


if __name__ == "__main__":
    if sys.argv[1:] == ["--bless"]:
        bless()
    else:
        print("\n".join(table()))
