"""Runs the load generator (scripts/bench.d/load) against a broker, to its end or beside other loads."""

import json
import os
import subprocess

LOAD_SECONDS = 1200


class Running:
    """A load that is under way."""

    def __init__(self, binary, broker, command, options):
        self.command = command
        self.log = broker.log
        words = [binary, command, "--address", broker.address]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        quiet = {**os.environ, "RUST_BACKTRACE": "0"}
        pipe = subprocess.PIPE
        self.child = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=quiet)

    def running(self):
        return self.child.poll() is None

    def said(self):
        """Wait for the line that a command like `idle` prints in the midst of its work, and return what it says."""
        line = self.child.stdout.readline()
        return json.loads(line) if line else self.finish()

    def step(self, name):
        """Have a command that works in steps do the next one; return what it says it did."""
        try:
            self.child.stdin.write(name + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass  # It has ended; `said` tells why.
        return self.said()

    def finish(self, limit_seconds=LOAD_SECONDS):
        """End its input and wait for its own end, at most `limit_seconds` from here on; return what it says it did."""
        try:
            output, errors = self.child.communicate(timeout=limit_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise SystemExit(f"{self.command} did not end within {limit_seconds} s, see {self.log}") from None
        if self.child.returncode != 0:
            raise SystemExit(f"{self.command} failed: {errors.strip()}, see {self.log}")
        return json.loads(output) if output else {}

    def kill(self):
        """End it, if it has not ended, and forget what it did."""
        self.child.kill()
        self.child.wait()


def run(binary, broker, command, limit_seconds=LOAD_SECONDS, **options):
    """Run one command of the generator to its end; return what it says it did."""
    return Running(binary, broker, command, options).finish(limit_seconds)
