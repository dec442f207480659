"""Start: from an empty directory to the first answer, and what an idle broker costs."""

import time

SETTLE_SECONDS = 2
IDLE_SECONDS = 3


def start(bench):
    """Cold start in an empty directory, then an idle broker."""
    broker = bench.broker()
    samples = {"start to first answer, ms": broker.start_ms, "start CPU, ms": broker.start_cpu_ms}
    time.sleep(SETTLE_SECONDS)
    cpu, switches, began = broker.cpu_seconds(), broker.context_switches(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    seconds = time.monotonic() - began
    samples["idle CPU, % of a core"] = (broker.cpu_seconds() - cpu) / seconds * 100
    later = broker.context_switches()
    samples["idle context switches/s"] = sum(count - switches.get(thread, 0) for thread, count in later.items()) / seconds
    samples["memory after start, MiB"] = broker.memory_mib()
    return samples
