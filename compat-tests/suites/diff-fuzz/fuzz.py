"""A differential fuzz of single requests: Klamm and Apache Kafka get the same ones, and must answer alike.

Every API and version that both advertise gets random requests: valid ones, ones with values at the edge or beyond it, and ones
with a fault in their bytes. Each state-changing request has topics, groups and transactional ids of its own, so that one
difference does not cause the next. A difference that differences.tsv does not give a reason for fails the area it is in.

With RELEASE=3.9 the peer is the last release of Apache Kafka that served every client, and the requests are those of the versions
that it served and the newest does not. The suite diff-fuzz-old is that; it has reasons of its own beside those here.

Environment: SEED (any text, default 1), CASES (requests per API, default 40), KEYS (only these APIs), MESSAGES (compare the texts of
errors too), VERBOSE (count the answers, and list the reasons that nothing needed), PEER (HOST:PORT of a fresh Apache Kafka that
runs already).
"""

import dataclasses
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time
import uuid

import broker as brokers
import compare
import faults
import generate
import suites
import versions
import wire
from side import Side
from symbols import resolve

HERE = pathlib.Path(__file__).resolve().parent
# The areas are the tests of the suite; an API of no area is one of `others`.
AREAS = {
    "records": {0, 1, 2, 21, 23, 61},
    "metadata": {3, 18, 60, 75, 55, 64, 57, 80, 81, 94},
    "topics": {19, 20, 37, 43, 45, 46, 34, 35},
    "configs": {32, 33, 44, 74, 48, 49},
    "security": {29, 30, 31, 50, 51, 17, 36, 38, 39, 40, 41},
    "groups": {8, 9, 10, 11, 12, 13, 14, 15, 16, 42, 47, 68, 69},
    "transactions": {22, 24, 25, 26, 27, 28, 65, 66},
}
ANSWER_SECONDS = 3
FAULTY_SHARE = 0.3
# How many distinct differences are printed in full.
SHOWN = 60


@dataclasses.dataclass
class Difference:
    """What is the same for all requests that differ in the same way."""

    api: str
    what: str
    path: str
    kafka: str
    klamm: str
    versions: set = dataclasses.field(default_factory=set)
    count: int = 0
    example: str = ""

    @property
    def signature(self):
        return self.api, self.what, self.path, self.kafka, self.klamm

    def version_range(self):
        return f"{min(self.versions)}-{max(self.versions)}" if len(self.versions) > 1 else str(min(self.versions))

    def line(self):
        return "\t".join([self.api, self.version_range(), self.what, self.path, self.kafka, self.klamm])


class Known:
    """The list of differences with their reasons."""

    def __init__(self, paths):
        lines = [line for path in paths for line in path.read_text().splitlines() if line and not line.startswith("#")]
        self.rows = [line.split("\t") for line in lines]
        self.used = set()
        for row in self.rows:
            assert len(row) == 7 and row[6], f"a row is not api, versions, what, path, kafka, klamm, reason: {row}"

    def explains(self, difference):
        matching = [number for number, row in enumerate(self.rows) if self._matches(row, difference)]
        self.used.update(matching)
        return bool(matching)

    def unused(self):
        """The rows that nothing in this run needed, as those that Klamm has outgrown."""
        return [row for number, row in enumerate(self.rows) if number not in self.used]

    @staticmethod
    def _matches(row, difference):
        patterns = [re.escape(pattern).replace(r"\*", ".*") for pattern in (row[0], *row[2:6])]
        if not all(re.fullmatch(pattern, text) for text, pattern in zip(difference.signature, patterns)):
            return False
        return row[1] == "*" or all(version in wire.Versions.parse(row[1]) for version in difference.versions)


class Fuzz:
    """One run: the cases, both sides, and what was found."""

    def __init__(self, messages, newer, kafka, klamm):
        self.messages = messages
        # What the newest Apache Kafka serves, if the peer is an older one.
        self.newer = newer
        self.sides = [kafka, klamm]
        self.found = {}
        self.counts = {}
        self.outcomes = {}

    def cases(self, seed, count, only, now):
        """The cases of every API both sides serve, faults included."""
        kafka, klamm = self.sides
        served = self.served()
        for key in sorted(served & only if only else served):
            message = self.messages[key][0]
            first = max(kafka.ranges[key][0], klamm.ranges[key][0], message.valid.first)
            last = min(kafka.ranges[key][1], klamm.ranges[key][1], message.valid.last)
            versions_of_key = [version for version in range(first, last + 1) if not self.newer or self.is_old(key, version)]
            if not versions_of_key:
                continue
            for case in generate.cases(message, versions_of_key, count, seed, served, now, packed=bool(self.newer)):
                self.add_fault(case, message, seed)
                yield case

    def served(self):
        """The APIs that both serve. The consumer protocol is not one that an older Kafka has switched on."""
        both = set(self.sides[0].ranges) & set(self.sides[1].ranges)
        return both - {generate.CONSUMER_GROUP_KEY} if self.newer else both

    def is_old(self, key, version):
        """Whether the newest Apache Kafka does not serve a version any more."""
        return key not in self.newer or version not in self.newer[key][0].valid

    def add_fault(self, case, message, seed):
        rng = random.Random(f"fault/{seed}/{case.key}/{case.number}")
        if rng.random() >= FAULTY_SHARE:
            return
        kind = rng.choice(faults.KINDS)
        if kind == "null":
            path = faults.make_null(rng, message, case.version, case.values)
            case.label = f"null {path}" if path else case.label
        else:
            case.fault = faults.Fault(kind, rng.random())

    def run(self, case):
        """Sends a case to both sides at once and compares what becomes of it."""
        message = self.messages[case.key][0]
        # Acks 0 is answered by silence: what comes behind it shows that the connection was kept.
        silent = case.key == 0 and case.values.get("Acks") == 0
        waiting, requests = [], []
        for side in self.sides:
            values = resolve(case.values, side)
            body = faults.encode(message, case.version, values, case.fault) if case.fault else wire.encode(message, case.version, values)
            if body is None:
                case.fault, body = None, wire.encode(message, case.version, values)
            correlation = side.connection.send(message, case.version, body)
            if silent:
                probe = self.messages[18][0]
                correlation = side.connection.send(probe, 0, b"")
            waiting.append((side, correlation))
            requests.append(values)
        key, version = (18, 0) if silent else (case.key, case.version)
        outcomes = [side.connection.outcome(key, version, correlation, ANSWER_SECONDS) for side, correlation in waiting]
        self.compare(case, message, requests, outcomes, silent)

    def compare(self, case, message, requests, outcomes, silent):
        kafka, klamm = outcomes
        self.counts[case.key] = self.counts.get(case.key, 0) + 1
        self.outcomes[(case.key, kafka.kind)] = self.outcomes.get((case.key, kafka.kind), 0) + 1
        if kafka.kind != klamm.kind:
            inside = kafka.kind == "answered" and fails_inside(kafka.answer)
            found = [("", "UNKNOWN_SERVER_ERROR" if inside else kafka.kind, klamm.kind)]
        elif kafka.kind == "malformed":
            found = [("", "malformed", "malformed")]
        elif kafka.kind == "answered" and fails_inside(kafka.answer) and not fails_inside(klamm.answer):
            # What else is in such an answer is of no interest.
            found = [("", "UNKNOWN_SERVER_ERROR", klamm.kind)]
        elif kafka.kind == "answered" and not silent:
            served = self.served()
            messages_too = bool(os.environ.get("MESSAGES"))
            normalisers = [compare.Normaliser(side, case, served, messages_too) for side in self.sides]
            found = compare.differences(normalisers[0].struct(kafka.answer), normalisers[1].struct(klamm.answer))
        else:
            found = []
        for path, theirs, ours in found:
            self.note(case, message, requests, outcomes, path, str(theirs), str(ours))

    def note(self, case, message, requests, outcomes, path, theirs, ours):
        odd = [case.label] if case.label != "valid" else []
        what = ", ".join(odd + ([case.fault.kind] if case.fault else [])) or "valid"
        fresh = Difference(message.name.removesuffix("Request"), what, path, self.general(case, theirs), self.general(case, ours))
        difference = self.found.setdefault(fresh.signature, fresh)
        difference.versions.add(case.version)
        difference.count += 1
        example = self.describe(case, message, requests, outcomes)
        if not difference.example or len(example) < len(difference.example):
            difference.example = example

    def general(self, case, text):
        return text.replace(case.prefix, "x-").replace("\t", " ").replace("\n", " ")[:300]

    def describe(self, case, message, requests, outcomes):
        lines = [f"    {message.name} v{case.version}, case {case.number}" + (f", {case.fault}" if case.fault else "")]
        shown = json.dumps(printable(case.values))
        lines.append(f"    request {shown[:3000]}")
        for side, outcome in zip(self.sides, outcomes):
            answer = json.dumps(printable(outcome.answer)) if outcome.answer is not None else outcome.detail
            lines.append(f"    {side.name:<7} {outcome.kind} {answer[:3000]}")
        return "\n".join(lines)

    def compare_ranges(self):
        """Which versions are advertised, and what becomes of the others: the newest from the newest release, the oldest from the old."""
        kafka, klamm = self.sides
        for key in sorted(set(kafka.ranges) & set(klamm.ranges)):
            (first, last), (our_first, our_last) = kafka.ranges[key], klamm.ranges[key]
            if (our_first != first) if self.newer else (our_last != last or our_first > first):
                name = self.messages[key][0].name.removesuffix("Request")
                difference = Difference(name, "advertised", "", str(kafka.ranges[key]), str(klamm.ranges[key]), {0}, 1)
                self.found[difference.signature] = difference
        if self.newer:
            self.counts["versions"] = len(kafka.ranges)
            for key in sorted(set(kafka.ranges) - set(klamm.ranges)):
                difference = Difference(f"key {key}", "advertised", "", str(kafka.ranges[key]), "not advertised", {0}, 1)
                self.found[difference.signature] = difference
            return
        for key in [*sorted(set(kafka.ranges) & set(klamm.ranges)), 95, 127, 1000, -1, 32767]:
            self.probe_versions(key)

    def probe_versions(self, key):
        first, last = self.sides[0].ranges.get(key, (0, 0))
        known = self.messages.get(key, self.messages[3])[0]
        message = dataclasses.replace(known, api_key=key)
        ours = range(self.sides[1].ranges[key][0], self.sides[1].ranges[key][1] + 1) if key in self.sides[1].ranges else ()
        # What only Klamm serves is the concern of another peer.
        for version in {first - 1, last + 1, last + 2, 32767, -1, -32768}.difference(ours):
            kinds = []
            for side in self.sides:
                correlation = side.connection.send(message, version, wire.encode(message, max(first, 0), {}))
                kinds.append(side.connection.outcome(18, 0, correlation, ANSWER_SECONDS))
            kafka, klamm = kinds
            self.counts["versions"] = self.counts.get("versions", 0) + 1
            codes = [f"{outcome.kind} {(outcome.answer or {}).get('ErrorCode', '')}".strip() for outcome in (kafka, klamm)]
            if codes[0] != codes[1]:
                difference = Difference(f"key {key}", "unserved version", "", codes[0], codes[1], {version}, 1)
                self.found.setdefault(difference.signature, difference).versions.add(version)


def fails_inside(answer):
    """Whether an answer tells of an exception inside the broker."""
    if isinstance(answer, dict):
        return any(name.endswith("ErrorCode") and value == -1 or fails_inside(value) for name, value in answer.items())
    return isinstance(answer, list) and any(fails_inside(element) for element in answer)


def printable(value):
    if isinstance(value, dict):
        return {name: printable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [printable(inner) for inner in value]
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 100 else f"{value[:100].hex()}... ({len(value)} bytes)"
    if isinstance(value, uuid.UUID) or dataclasses.is_dataclass(value):
        text = str(value)
        return text if len(text) < 700 else text[:700] + "..."
    if isinstance(value, str) and len(value) > 400:
        return f"{value[:30]}... ({len(value)} characters)"
    return value


def definitions(release):
    """The messages of the pinned Kafka of a release, from the jar its broker runs with."""
    version = versions.load()[f"kafka.broker.{release}" if release else "kafka.broker"]
    classpath = subprocess.run([brokers.PEER / "classpath", version], check=True, capture_output=True, text=True).stdout.strip()
    jar = next(path for path in classpath.split(":") if f"kafka-clients-{version}.jar" in path)
    return wire.load(jar)


def area_of(api, messages):
    if api.startswith("key "):
        return "versions"
    key = next(key for key, (request, _) in messages.items() if request.name == f"{api}Request")
    return next((area for area, keys in AREAS.items() if key in keys), "others")


def report(fuzz, known, messages):
    """Prints every unexplained difference and one verdict per area."""
    wrong, explained = {}, 0
    for difference in sorted(fuzz.found.values(), key=lambda each: each.signature):
        area = "versions" if difference.what == "advertised" else area_of(difference.api, messages)
        if known.explains(difference):
            explained += difference.count
        else:
            wrong.setdefault(area, []).append(difference)
    for number, difference in enumerate(each for found in wrong.values() for each in found):
        print(f"\nDIFFERENCE, {difference.count} times: {difference.line()}")
        if number < int(os.environ.get("SHOWN", SHOWN)):
            print(difference.example)
    total = sum(fuzz.counts.values())
    print(f"\n{total} requests, {explained} differences with a reason, {sum(len(found) for found in wrong.values())} kinds without")
    for area in [*AREAS, "others", "versions"]:
        ran = sum(count for key, count in fuzz.counts.items() if key == area or key in AREAS.get(area, ()))
        if area == "others":
            grouped = set().union(*AREAS.values())
            ran = sum(count for key, count in fuzz.counts.items() if key != "versions" and key not in grouped)
        if area in wrong:
            print(f"FAIL {area}: {len(wrong[area])} kinds of difference without a reason, the first: {wrong[area][0].line()}")
        elif ran or area == "others":
            print(f"PASS {area}")
        print(f"    {area}: {ran} requests")


def main():
    seed, count = os.environ.get("SEED", "1"), int(os.environ.get("CASES", "40"))
    only = {int(key) for key in os.environ.get("KEYS", "").split()}
    now = int(time.time()) * 1000 - 3_600_000
    release = os.environ.get("RELEASE")
    suite = "diff-fuzz-old" if release else "diff-fuzz"
    messages, newer = definitions(release), definitions(None) if release else None
    peer = None
    address = os.environ.get("PEER")
    try:
        if not address:
            overrides = suites.load("full", [suite])[0].overrides
            peer = brokers.Broker.official(pathlib.Path(os.environ["WORK"]) / "peer", os.environ["CACHE"], overrides, release=release)
            peer.start()
            address = peer.bootstrap
        fuzz = Fuzz(messages, newer, Side("Kafka", address, messages, now), Side("Klamm", os.environ["BOOTSTRAP"], messages, now))
        cases = list(fuzz.cases(seed, count, only, now))
        started = time.monotonic()
        for side in fuzz.sides:
            side.prepare(cases, fuzz.served())
            print(f"{side.name} prepared after {time.monotonic() - started:.1f} s", flush=True)
        for case in cases:
            fuzz.run(case)
        if not only:
            fuzz.compare_ranges()
        print(f"seed {seed}, {count} requests per API, {time.monotonic() - started:.1f} s")
        if os.environ.get("VERBOSE"):
            print({f"{key} {kind}": number for (key, kind), number in sorted(fuzz.outcomes.items())})
        known = Known([HERE / "differences.tsv"] + ([HERE.parent / suite / "differences.tsv"] if release else []))
        report(fuzz, known, messages)
        if os.environ.get("VERBOSE"):
            print("not needed this time:", *("\t".join(row[:6]) for row in known.unused()), sep="\n    ")
    finally:
        if peer and peer.running():
            peer.kill()


if __name__ == "__main__":
    sys.exit(main())
