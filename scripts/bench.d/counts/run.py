"""One run of the counts: the binary under test, and how a broker of it is started behind a tool and ended."""

import contextlib
import shutil

import broker as brokers
import generator
import process


class Target:
    """A running broker, its directory, and the load generator."""

    def __init__(self, broker, home, generator_path):
        self.broker = broker
        self.home = home
        self.generator_path = generator_path

    def load(self, command, **options):
        return generator.run(self.generator_path, self.broker, command, **options)


class Run:
    """What the measures of one binary share."""

    def __init__(self, binary, generator_path, directory):
        self.binary = binary
        self.generator_path = generator_path
        self.home = directory / "count"

    @contextlib.contextmanager
    def target(self, tool=()):
        """A fresh broker behind the command line `tool`, stopped at the end.

        A failed one leaves its directory, log included, until the next one needs the place.
        """
        shutil.rmtree(self.home, ignore_errors=True)
        prepared = brokers.Broker.klamm(self.home, self.binary, {})
        prepared.launch["command"] = [*tool, *prepared.launch["command"]]
        running = process.Process(prepared)
        try:
            yield Target(running, self.home, self.generator_path)
        except BaseException:
            running.kill()
            raise
        running.stop()
        shutil.rmtree(self.home)
