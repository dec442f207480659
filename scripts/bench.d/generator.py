"""Runs the load generator (scripts/bench.d/load) against a broker."""

import json
import subprocess

LOAD_SECONDS = 600


def run(binary, broker, command, **options):
    """Run one command of the generator to its end; return what it says it did."""
    words = [binary, command, "--address", broker.address]
    for name, value in options.items():
        words += ["--" + name.replace("_", "-"), str(value)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LOAD_SECONDS)
    if done.returncode != 0:
        raise SystemExit(f"{command} failed: {done.stderr.strip()}\nsee {broker.log}")
    return json.loads(done.stdout) if done.stdout else {}
