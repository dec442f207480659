"""A file's lines go through a topic into another file, and the two files must be equal, whatever is killed or stopped."""

import os
import threading
import time

import broker as brokers
import checks
from checks import check
from worker import WORK, Worker, sink_config, source_config, wait_until

BURST_LINES = 400
BURSTS = 30
BURST_SECONDS = 0.1
# The broker is away while the writer goes on.
KILL_AFTER_BURSTS = 10


class Pipe:
    """A file that is written to, the topic its lines go through, and the file they end in."""

    def __init__(self, name):
        self.name = name
        self.source, self.sink = WORK / f"{name}.source", WORK / f"{name}.sink"
        self.source.touch()
        self.written = 0
        self.connectors = [source_config(f"{name}-source", self.source, name), sink_config(f"{name}-sink", self.sink, name)]

    def write(self, lines):
        with open(self.source, "a") as file:
            file.writelines(f"line {self.written + index} of {self.name}, {'x' * (index % 97)}\n" for index in range(lines))
        self.written += lines

    def write_bursts(self):
        """Append lines for a few seconds."""
        for _ in range(BURSTS):
            self.write(BURST_LINES)
            time.sleep(BURST_SECONDS)

    def check_equal(self, repeats_allowed=False):
        """The lines arrive, each once and in order; or in the order of their first arrivals, if lines may come again."""
        last_line = f"line {self.written - 1} of "
        wait_until(f"{self.sink.name} has the last line", lambda: self.sink.exists() and last_line in self.sink.read_text())
        source, sink = self.source.read_text().splitlines(), self.sink.read_text().splitlines()
        arrived = list(dict.fromkeys(sink)) if repeats_allowed else sink
        different = next((index for index, (a, b) in enumerate(zip(source, arrived)) if a != b), min(len(source), len(arrived)))
        assert source == arrived, f"of {len(source)} lines {len(arrived)} came, the first that differs is line {different}"


def kill_while_writing(pipe):
    """Kill the broker and start it again while lines are written."""
    broker = brokers.Broker(os.environ["BROKER_HOME"])
    writer = threading.Thread(target=pipe.write_bursts)
    writer.start()
    time.sleep(KILL_AFTER_BURSTS * BURST_SECONDS)
    broker.kill()
    time.sleep(KILL_AFTER_BURSTS * BURST_SECONDS)
    broker.start()
    writer.join()


def declare_kills(scenario, pipe, stop, start, repeats_allowed):
    """What a pipe must bear: its broker killed while no worker runs, and killed while it flows."""
    if not os.environ["BROKER_HOME"]:
        for name in ("broker-killed-between", "broker-killed"):
            print(f"SKIP {scenario}.{name}: only a broker of the harness can be killed", flush=True)
        return

    @check(f"{scenario}.broker-killed-between")
    def broker_killed_between():
        stop()
        kill_while_writing(pipe)
        start()
        pipe.check_equal()

    @check(f"{scenario}.broker-killed")
    def broker_killed():
        kill_while_writing(pipe)
        pipe.check_equal(repeats_allowed)


def declare_standalone(workers):
    """One worker without a group."""
    pipe = Pipe("standalone")
    worker = Worker.standalone("standalone", pipe.connectors)
    workers.append(worker)

    @check("standalone.lines")
    def lines():
        pipe.write(20000)
        worker.start()
        pipe.check_equal()

    @check("standalone.more-lines")
    def more_lines():
        pipe.write(1000)
        pipe.check_equal()

    @check("standalone.restart")
    def restart():
        worker.stop()
        pipe.write(1000)
        worker.start()
        pipe.check_equal()

    declare_kills("standalone", pipe, worker.stop, worker.start, repeats_allowed=False)


def declare_distributed(workers):
    """Two workers that share the tasks by the group protocol, and keep all they know in topics."""
    pipe = Pipe("distributed")
    first, second = Worker.distributed("first"), Worker.distributed("second")
    workers += [first, second]

    def wait_running(worker):
        for config in pipe.connectors:
            wait_until(f"{config['name']} runs", lambda: worker.runs(config["name"]))

    @check("distributed.lines")
    def lines():
        pipe.write(20000)
        first.start()
        for config in pipe.connectors:
            wait_until(f"{config['name']} is taken", lambda: first.ask(f"/connectors/{config['name']}/config", config))
        wait_running(first)
        pipe.check_equal()

    @check("distributed.second-worker")
    def second_worker():
        second.start()

        def shared():
            places = [place for config in pipe.connectors for place in first.states(config["name"])]
            return len(places) == 4 and {place for place in places} == {("RUNNING", first.address), ("RUNNING", second.address)}

        wait_until("both workers have work", shared)
        pipe.write(1000)
        pipe.check_equal()

    @check("distributed.first-worker-leaves")
    def first_worker_leaves():
        first.stop()

        def taken_over():
            places = [place for config in pipe.connectors for place in second.states(config["name"])]
            return places == [("RUNNING", second.address)] * 4

        wait_until("the second worker has all work", taken_over)
        pipe.write(1000)
        pipe.check_equal()

    # A distributed worker that finds no coordinator for a second gives its tasks up, and starts them again from the last
    # offsets it has committed: lines may come twice, and do so with Apache Kafka.
    declare_kills("distributed", pipe, second.stop, second.start, repeats_allowed=True)


def main():
    workers = []
    declare_standalone(workers)
    declare_distributed(workers)
    try:
        checks.run_all()
    finally:
        for worker in workers:
            worker.kill()


if __name__ == "__main__":
    main()
