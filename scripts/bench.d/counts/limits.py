"""The recorded figures, and whether a measured one may stand beside them.

limits.json has, for each build profile, the toolchain that its figures were recorded with and a limit for each measure:
a number is a figure that was recorded, which may be exceeded by 5 %; {"at most": number} is a bound, which is held as
written and which recording leaves alone.

Another compiler gives other instructions for the same source. Measures that depend on it are then held to 25 % only,
and count as skipped when they pass: what a new compiler costs is recorded on purpose, not found as a failure, and a
doubled cost still fails. All other measures are held as ever.
"""

import dataclasses
import json
import platform
import re
import subprocess

MARGIN = 0.05
FOREIGN_MARGIN = 0.25
BOUND = "at most"
# Figures from here on are told and recorded without fractions.
WHOLE_FROM = 1_000
# What a compiler says of itself in an executable, without what linkers and libraries add.
COMPILER = re.compile(r"(rustc version .*|GCC: .*)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """`outcome` is passed, failed or skipped; `text` is None when there is nothing to say."""

    outcome: str
    text: str | None = None


class Limits:
    """The limits of one profile."""

    def __init__(self, path, profile):
        self.path = path
        self.profile = profile
        self.profiles = json.loads(path.read_text()) if path.exists() else {}

    def verdict(self, measure, toolchain):
        recorded = self.profiles.get(self.profile, {})
        limit = recorded.get("measures", {}).get(measure.name)
        if limit is None:
            return Verdict("failed", f"{measure.name}: {number(measure.value)}, and no limit for it: scripts/count --record")
        if isinstance(limit, dict):
            return bounded(measure, limit[BOUND])
        return compared(measure, limit, recorded["toolchain"], toolchain)

    def record(self, measures, toolchain):
        """Make the measured figures the limits, but for bounds; measures that are gone go."""
        before = self.profiles.get(self.profile, {}).get("measures", {})
        limits = {}
        for measure in measures:
            limit = before.get(measure.name)
            digits = None if measure.value >= WHOLE_FROM else 2
            limits[measure.name] = limit if isinstance(limit, dict) else round(measure.value, digits)
        self.profiles[self.profile] = {"toolchain": toolchain, "measures": limits}
        text = json.dumps(self.profiles, indent=2)
        # A measure is a line.
        self.path.write_text(re.sub(r"\{\s+(\"at most\": [\d.]+)\s+\}", r"{\1}", text) + "\n")


def bounded(measure, bound):
    if measure.value <= bound:
        return Verdict("passed")
    return Verdict("failed", _lines(f"{measure.name}: {number(measure.value)}, at most {number(bound)} is allowed", measure))


def compared(measure, figure, recorded_toolchain, toolchain):
    foreign = measure.compiled and toolchain != recorded_toolchain
    margin = FOREIGN_MARGIN if foreign else MARGIN
    text = f"{measure.name}: {number(measure.value)}, recorded {number(figure)} ({_change(measure.value, figure)})"
    if measure.value > figure * (1 + margin):
        return Verdict("failed", _lines(f"{text}, more than {margin:.0%} above", measure))
    if foreign:
        built = "; ".join(sorted(set(recorded_toolchain) - set(toolchain)))
        return Verdict("skipped", f"{text} with {built}: held to {margin:.0%} only, scripts/count --record makes it exact")
    if measure.value < figure * (1 - margin):
        return Verdict("passed", f"{text}: better, scripts/count --record keeps it")
    return Verdict("passed")


def toolchain(binary):
    """What decides the instructions of a binary besides its source: compilers, C library, valgrind."""
    comments = subprocess.run(["readelf", "--string-dump=.comment", binary], capture_output=True, text=True, check=True).stdout
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return sorted({*COMPILER.findall(comments), " ".join(platform.libc_ver()), platform.machine(), valgrind})


def number(value):
    """As many digits as mean something."""
    return f"{value:,.0f}" if value >= WHOLE_FROM else f"{value:,.2f}"


def _change(value, figure):
    return f"{value / figure - 1:+.1%}" if figure else "recorded as none"


def _lines(text, measure):
    return "\n".join([text, *(f"    {part}" for part in measure.described_parts())])
