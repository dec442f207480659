"""One application process, and a broker that is killed under it."""

import os
import pathlib
import signal
import subprocess

import broker as brokers
from checks import Skip
from topics import WAIT_SECONDS

BOOTSTRAP = os.environ["BOOTSTRAP"]
WORK = pathlib.Path(os.environ["WORK"])
LOGGING = f"-Dlog4j2.configurationFile={os.environ['COMPAT']}/peer/log4j2-tools.properties"
JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m"]
STARTED = []


class Application:
    """A main class with its arguments; what it prints is in WORK/NAME.out, its log in WORK/NAME.log."""

    def __init__(self, name, classpath, main, *arguments):
        self.name = name
        self.output, self.log = WORK / f"{name}.out", WORK / f"{name}.log"
        self.command = ["java", *JVM, LOGGING, "-cp", os.environ[classpath], main, *arguments]
        self.process = None

    def start(self):
        with open(self.output, "ab") as output, open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=log)
        STARTED.append(self)
        return self

    def wait(self):
        """Wait until the application ends by itself, and well."""
        try:
            code = self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{self.name} has not ended after {WAIT_SECONDS} s") from error
        assert code == 0, f"{self.name} ended with code {code}: {self.log.read_text(errors='replace')[-300:]}"

    def stop(self):
        """Ask for a clean stop and wait for it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT_SECONDS)

    def kill(self):
        """End the process, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def lines(self):
        return self.output.read_text(errors="replace").splitlines()


def kill_all():
    """End whatever a check has left."""
    for application in STARTED:
        application.kill()


def write_properties(name, settings):
    """A configuration file of the work directory."""
    path = WORK / f"{name}.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    return str(path)


def crash_broker():
    """Kill the broker, and start it again at once."""
    if not os.environ["BROKER_HOME"]:
        raise Skip("only a broker of the harness can be killed")
    if os.environ["SIDE"] == "official":
        raise Skip("a single node that is killed leaves transactions open")
    broker = brokers.Broker(os.environ["BROKER_HOME"])
    broker.kill()
    broker.start()


def first_difference(expected, actual):
    """Where two lists differ first, for a message."""
    index = next((index for index, (a, b) in enumerate(zip(expected, actual)) if a != b), min(len(expected), len(actual)))
    return f"{len(expected)} expected, {len(actual)} there, the first that differs is {index}: {expected[index:index + 1]} and {actual[index:index + 1]}"
