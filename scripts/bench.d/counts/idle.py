"""What an idle broker has and does: threads, and context switches, which are the times that anything wakes up.

Once as it starts, once after a first request about a group, which opens RocksDB.
"""

import time

from . import requests
from .measure import Measure

SETTLE_SECONDS = 2
IDLE_SECONDS = 3


def measure(run):
    with run.target() as target:
        yield from _measure(target.broker, "idle after the start")
        requests.commit(target, 0, 1)()
        yield from _measure(target.broker, "idle after a group's request")


def _measure(broker, name):
    time.sleep(SETTLE_SECONDS)
    before = broker.context_switches()
    time.sleep(IDLE_SECONDS)
    after = broker.context_switches()
    switches = {f"thread {thread}": count - before.get(thread, 0) for thread, count in after.items()}
    yield Measure(f"{name}: threads", len(after))
    yield Measure(f"{name}: context switches in {IDLE_SECONDS} s", sum(switches.values()), switches)
