"""Has the checker read histories made by hand: sound ones, and ones with exactly one anomaly each, named as their file."""

import os
import pathlib
import subprocess
import sys

import checks

HERE = pathlib.Path(__file__).resolve().parent
CHECKER = pathlib.Path(os.environ["COMPAT"]) / "checker"
sys.path.insert(0, str(CHECKER))

import anomalies  # noqa: E402


def run(path):
    """The exit code of the checker, the names of what it found, and all that it said."""
    done = subprocess.run([CHECKER / "check", path], capture_output=True, text=True)
    return done.returncode, {line.partition(":")[0] for line in done.stdout.splitlines()[:-1]}, done.stdout + done.stderr


def declare(path, code, found):
    """A check for one history: with this code the checker must end, and this it must find."""

    @checks.check(f"{path.parent.name}.{path.stem}")
    def verdict():
        answer = run(path)
        assert answer[:2] == (code, found), f"code {answer[0]}, not {code}: {answer[2]}"


def main():
    for path in sorted(HERE.glob("good/*.jsonl")):
        declare(path, 0, set())
    bad = sorted(HERE.glob("bad/*.jsonl"))
    for path in bad:
        declare(path, 1, {path.name.split(".")[0]})
    for path in sorted(HERE.glob("malformed/*.jsonl")):
        declare(path, 2, set())

    @checks.check("bad.all-anomalies")
    def all_anomalies():
        checks.equal({path.name.split(".")[0] for path in bad}, set(anomalies.NAMES), "the set of planted anomalies")

    checks.run_all()


if __name__ == "__main__":
    main()
