"""What a suite's tests did, held against what its expected.tsv says they do.

A suite prints one line per test: `PASS name`, `FAIL name: reason` or `SKIP name: reason`.
expected.tsv has one line per test of the suite's full list: name, `pass` | `fail:ISSUE reason` | `na:REASON`,
and optionally a third column with the same for Apache Kafka where that differs.
"""

import dataclasses
import re

LINE = re.compile(r"^(PASS|FAIL|SKIP) ([^\s:]+)(?:: (.*))?$")


@dataclasses.dataclass
class Outcome:
    """One test's verdict: passed, failed or skipped, and why if it did not pass."""

    name: str
    verdict: str
    reason: str


def read_log(path):
    """The last line each test printed, as {name: (result, reason)}."""
    results = {}
    if not path.exists():
        return results
    for line in path.read_text(errors="replace").splitlines():
        match = LINE.match(line)
        if match:
            results[match[2]] = (match[1], match[3] or "")
    return results


def read_expected(path, side):
    """What expected.tsv promises for a side, as {name: promise}."""
    expected = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            columns = line.split("\t")
            expected[columns[0]] = columns[2] if side == "official" and len(columns) > 2 else columns[1]
    return expected


def judge(expected, results, side, skips_allowed):
    """Hold results against promises; whatever is not as promised has failed."""
    outcomes = []
    for name, promise in expected.items():
        result, reason = results.get(name, ("MISSING", "listed in expected.tsv, but did not run"))
        outcomes.append(_verdict(name, promise, result, reason, side, skips_allowed))
    for name in results.keys() - expected.keys():
        outcomes.append(Outcome(name, "failed", "ran, but is not listed in expected.tsv"))
    if not results and side != "nobody":
        outcomes.append(Outcome("suite", "failed", "ran 0 tests"))
    return outcomes


def _verdict(name, promise, result, reason, side, skips_allowed):
    if side == "nobody":
        # With no broker a test must not pass: one that does proves nothing about a broker.
        if result == "PASS":
            return Outcome(name, "failed", "passes with no broker, so it proves nothing")
        return Outcome(name, "passed", "")
    kind, _, why = promise.partition(":")
    if kind == "na":
        return Outcome(name, "skipped", why)
    if result == "SKIP" and skips_allowed:
        return Outcome(name, "skipped", reason)
    if kind == "fail" and result == "FAIL":
        return Outcome(name, "skipped", f"fails as expected: {why}")
    if kind == "fail" and result == "PASS":
        return Outcome(name, "failed", f"passes, but is expected to fail ({why}): update expected.tsv")
    if result == "PASS":
        return Outcome(name, "passed", "")
    return Outcome(name, "failed", f"{result.lower()}: {reason}" if result != "FAIL" else reason)
