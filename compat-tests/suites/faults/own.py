"""Brokers of a check's own, and the stock client that must fare well beside whatever is done to them."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import time

import broker as brokers

WORK = pathlib.Path(os.environ["WORK"])
BINARY = json.loads((pathlib.Path(os.environ["BROKER_HOME"]) / "broker.json").read_text())["command"][0]
STARTED = []


def prepare(name, overrides=None, before=(), after=()):
    """A broker in a directory of its own that is not started; `before` and `after` stand around its command."""
    broker = brokers.Broker.klamm(WORK / name, BINARY, overrides or {})
    broker.launch["command"] = [*before, *broker.launch["command"], *after]
    STARTED.append(broker)
    return broker


@contextlib.contextmanager
def running(name, overrides=None, before=()):
    """A broker that serves while the block runs, and must not have ended or panicked at its end."""
    broker = prepare(name, overrides, before)
    broker.start()
    try:
        yield broker
        assert broker.running(), f"the broker ended: {tail(broker)}"
        broker.stop()
        assert "panicked" not in broker.log.read_text(), "the broker panicked"
    finally:
        if broker.running():
            broker.kill()


def kill_all():
    """End every broker that still runs."""
    for broker in STARTED:
        if broker.running():
            broker.kill()


def tail(broker):
    """The end of what a broker said."""
    return broker.log.read_text().splitlines()[-3:]


def pid(broker):
    """The broker's process."""
    return int((broker.home / "pid").read_text())


def resident_kb(broker):
    """VmRSS of a broker."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid(broker)}/status").read_text())[1])


def kcat(broker, *arguments, text=None, seconds=30):
    """Run kcat and return what it printed; raise if it fails."""
    command = ["kcat", "-b", broker.bootstrap, "-X", "broker.address.family=v4", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"kcat {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-300:]}"
    return done.stdout


def round_trip(broker, topic):
    """Produce to a fresh topic and read it back with the stock client; how many seconds that took."""
    begun = time.monotonic()
    lines = "".join(f"{topic} line {number}\n" for number in range(500))
    kcat(broker, "-P", "-t", topic, "-p", "0", text=lines)
    read = kcat(broker, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q")
    assert read == lines, f"{topic} reads differently: {read[:100]!r}"
    return time.monotonic() - begun


def note(name, *measured):
    """Print what a check measured."""
    print(f"NOTE {name}: {'; '.join(measured)}", flush=True)
