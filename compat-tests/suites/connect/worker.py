"""One Connect worker process, and its REST interface."""

import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

import broker as brokers

BOOTSTRAP = os.environ["BOOTSTRAP"]
WORK = pathlib.Path(os.environ["WORK"])
PEER = pathlib.Path(os.environ["COMPAT"]) / "peer"
JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m"]
# With no broker nothing comes, and there is no need to wait for it long.
WAIT_SECONDS = 15 if os.environ["SIDE"] == "nobody" else 90
POLL_SECONDS = 0.2
COMMON = {
    "bootstrap.servers": BOOTSTRAP,
    "offset.flush.interval.ms": "1000",
    "plugin.discovery": "service_load",
    # A kill leaves requests whose outcome nobody knows; only an idempotent producer may send them again unharmed.
    "producer.enable.idempotence": "true",
    "producer.max.in.flight.requests.per.connection": "1",
}
STRING = "org.apache.kafka.connect.storage.StringConverter"


def wait_until(what, done):
    """Wait until `done` answers something true, and return that."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        answer = done()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not after {WAIT_SECONDS} s: {what}"
        time.sleep(POLL_SECONDS)


def source_config(name, file, topic):
    """A connector that reads the lines of a file into a topic."""
    return {"name": name, "connector.class": "FileStreamSource", "tasks.max": "1", "file": str(file), "topic": topic}


def sink_config(name, file, topic):
    """A connector that appends the records of a topic to a file."""
    return {"name": name, "connector.class": "FileStreamSink", "tasks.max": "1", "file": str(file), "topics": topic}


class Worker:
    """A worker in one of its two modes; its log is WORK/NAME.log."""

    def __init__(self, name, main, settings, connectors=()):
        self.name = name
        self.address = f"127.0.0.1:{brokers.free_port()}"
        files = [self._write(name, {**COMMON, **settings, "listeners": f"http://{self.address}"})]
        files += [self._write(f"{name}-{config['name']}", config) for config in connectors]
        logging = f"-Dlog4j2.configurationFile={PEER}/log4j2-tools.properties"
        self.command = ["java", *JVM, logging, "-cp", os.environ["CLASSPATH"], f"org.apache.kafka.connect.cli.{main}", *files]
        self.process = None

    @classmethod
    def standalone(cls, name, connectors):
        """A worker on its own, with offsets of sources in a file."""
        offsets = WORK / f"{name}.offsets"
        settings = {"key.converter": STRING, "value.converter": STRING, "offset.storage.file.filename": str(offsets)}
        return cls(name, "ConnectStandalone", settings, connectors)

    @classmethod
    def distributed(cls, name):
        """A member of the worker group, with all its state in topics."""
        json_converter = "org.apache.kafka.connect.json.JsonConverter"
        settings = {"group.id": "connect-workers", "key.converter": json_converter, "value.converter": json_converter}
        for kind in ("config", "offset", "status"):
            settings[f"{kind}.storage.topic"] = f"connect-{kind}"
            settings[f"{kind}.storage.replication.factor"] = "1"
        # A worker that is gone is replaced at once, not after five minutes.
        settings["scheduled.rebalance.max.delay.ms"] = "0"
        return cls(name, "ConnectDistributed", settings)

    @staticmethod
    def _write(name, settings):
        path = WORK / f"{name}.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return str(path)

    def start(self):
        with open(WORK / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self):
        """Ask for a clean stop and wait for it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT_SECONDS)

    def kill(self):
        """End the process, if it still runs."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def ask(self, path, config=None):
        """The answer to GET, or to PUT of a configuration; None while the worker does not answer or has no such thing."""
        data = json.dumps(config).encode() if config else None
        request = urllib.request.Request(
            f"http://{self.address}{path}", data, {"Content-Type": "application/json"}, method="PUT" if config else "GET"
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)
        except (urllib.error.URLError, OSError):
            return None

    def states(self, connector):
        """[(state, worker)] of a connector and of its tasks."""
        status = self.ask(f"/connectors/{connector}/status") or {"connector": {}, "tasks": []}
        parts = [status["connector"], *status["tasks"]]
        return [(part.get("state"), part.get("worker_id")) for part in parts]

    def runs(self, connector):
        """Whether a connector and its one task run."""
        return [state for state, _ in self.states(connector)] == ["RUNNING", "RUNNING"]
