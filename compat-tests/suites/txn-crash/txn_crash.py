"""Kills the broker again and again under transactions of stock clients, and has the history of all of them checked."""

import collections
import os
import random
import time

import anomalies
import broker as brokers
import checks
import clients
import history as histories
from checks import check
from killing import kill_and_restart
from writer import Writer

KILLS = int(os.environ["KILLS"])
SEED = int(os.environ["SEED"])
# A run without kills.
UNDISTURBED_SECONDS = 30
# At least this many transactions must have been committed in each role, or the run shows nothing.
ENOUGH = max(5, KILLS // 2)


class Run:
    """What the checks look at."""

    def __init__(self):
        self.watch = None
        self.problem = None
        self.hanging = None
        self.history = None
        self.anomalies = {}


def crash(run, processes, writer):
    """Kill the broker under the clients, let them finish, and read all that is there."""
    chance = random.Random(SEED)
    broker = brokers.Broker(os.environ["BROKER_HOME"])
    kills = 0
    if not KILLS:
        time.sleep(UNDISTURBED_SECONDS)
    while kills < KILLS:
        kills += kill_and_restart(broker, chance)
        run.watch.look()
    writer.stop()
    order(processes, "quiet")
    last = clients.LastReader()
    run.hanging = wait_settled(last, [clients.SOURCE])
    written = last.read([clients.SOURCE])
    clients.wait_until("the copiers are through", lambda: through(written, run.watch.look()))
    order(processes, "stop")
    for process in processes:
        assert process.process.wait(clients.ANSWER_SECONDS) == 0, f"the clients {process.release} ended with {process.process.returncode}"
    run.hanging = run.hanging or wait_settled(last, clients.TOPICS)
    last.read(list(clients.GROUPS.values()))
    last.end()


def order(processes, word):
    for process in processes:
        process.ask(word)
    for process in processes:
        process.wait_answer(word)


def wait_settled(last, topics):
    """Wait until no transaction is open; the partitions where one stays so."""
    try:
        clients.wait_until("all transactions have ended", lambda: not last.open_partitions(topics))
    except AssertionError:
        return last.open_partitions(topics)
    return None


def through(written, committed):
    """Whether each group has committed all that was written."""
    ends = {int(partition.rpartition("-")[2]): values[-1][0] + 1 for partition, values in written.items() if values}
    return all(offsets[partition] >= end for offsets in committed.values() for partition, end in ends.items())


def main():
    print(f"seed {SEED}, {KILLS} kills; run it again with SEED={SEED} KILLS={KILLS}", flush=True)
    clients.HISTORY.mkdir()
    clients.create_topics()
    run = Run()
    run.watch = clients.OffsetWatch()
    processes = [clients.Clients(release, SEED + number) for number, release in enumerate(clients.RELEASES)]
    writer = Writer(random.Random(SEED - 1))
    try:
        writer.start()
        crash(run, processes, writer)
    except AssertionError as error:
        run.problem = error
    finally:
        writer.stop()
        for process in processes:
            process.kill()
        run.watch.recorder.file.close()
    if not run.problem:
        run.history = histories.read(sorted(clients.HISTORY.glob("*.jsonl")))
        run.anomalies = anomalies.find_all(run.history)
        summarize(run.history)
    declare(run)
    checks.run_all()


def role(client):
    """A client's name without the number of its life: its place in the suite."""
    return client.rpartition(".")[0]


def count(history, wanted):
    """How many transactions of each role are as wanted."""
    return collections.Counter(role(transaction.client) for transaction in history.transactions if wanted(transaction))


def summarize(history):
    committed = count(history, lambda transaction: transaction.committed)
    aborted = count(history, lambda transaction: transaction.aborted)
    unknown = count(history, lambda transaction: not transaction.committed and not transaction.aborted)
    for name in sorted(committed | aborted | unknown):
        print(f"    {name}: {committed[name]} committed, {aborted[name]} aborted, {unknown[name]} unknown")
    print(f"    {history.events} events, {len(history.sends)} sends, {len(history.offset_reads)} looks at offsets", flush=True)


def declare(run):
    """The checks, over the history."""

    @check("clients.finished")
    def finished():
        assert not run.problem, run.problem

    @check("clients.enough")
    def enough():
        committed = count(run.history, lambda transaction: transaction.committed)
        assert committed[Writer.NAME] >= ENOUGH, f"{Writer.NAME} committed {committed[Writer.NAME]} transactions only"
        for release in clients.RELEASES:
            for place in ("producer-{}-0", "producer-{}-1", "copier-{}-0", "copier-{}-1", "fighter-{}"):
                name = place.format(release)
                assert committed[name] >= ENOUGH, f"{name} committed {committed[name]} transactions only"

    @check("transactions.none-hangs")
    def none_hangs():
        assert run.history and not run.hanging, f"held back are {run.hanging}"

    for name in anomalies.NAMES:
        declare_anomaly(run, name)

    for group, sink in clients.GROUPS.items():
        declare_copies(run, group, sink)


def declare_anomaly(run, name):
    @check(f"history.no-{name}")
    def none():
        cases = run.anomalies[name]
        assert not cases, f"{len(cases)} times, first: {cases[0]}"


def declare_copies(run, group, sink):
    @check(f"{group}.exactly-once")
    def exactly_once():
        final = run.history.final_log()
        for partition in range(clients.PARTITIONS):
            source, copies = (final.get(f"{topic}-{partition}", {}) for topic in (clients.SOURCE, sink))
            written = [source[offset] for offset in sorted(source)]
            copied = [copies[offset].partition("<")[0] for offset in sorted(copies)]
            assert written, f"nothing was written to partition {partition}"
            different = next((index for index, (a, b) in enumerate(zip(written, copied)) if a != b), min(len(written), len(copied)))
            assert written == copied, f"partition {partition}: {len(written)} values, {len(copied)} copies, the first that differs is {different}"


if __name__ == "__main__":
    main()
