"""One broker process of the harness: Klamm or Apache Kafka, on a free loopback port, with a directory of its own.

The state of a broker is its home directory, so that a suite's script can kill and restart the broker `run` started:
HOME/broker.json (how it is launched), HOME/pid, HOME/exit-code, HOME/broker.log, HOME/data.

As a command: broker.py start|stop|kill HOME
"""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

import versions

READY = "Kafka Server started"
START_SECONDS = 60
STOP_SECONDS = 30
POLL_SECONDS = 0.01
# The JVM's exit code after SIGTERM; Klamm's own clean stop is 0.
JVM_SIGTERM = 143
CLUSTER_ID = "compat-tests-cluster-0"
KILLED = 137
PEER = versions.ROOT / "peer"
JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx768m"]


class BrokerError(Exception):
    """The broker did not do what the harness asked of it."""


def free_port():
    """Find a port nobody listens on, below the range outgoing connections take theirs from."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise BrokerError("find a free port between 20000 and 32000: none of 200 tries was free")


class Broker:
    """A broker with its home directory; everything it is lives in that directory."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.launch = json.loads((self.home / "broker.json").read_text())

    @classmethod
    def klamm(cls, home, binary, overrides, port=None):
        """Prepare a Klamm broker with an empty data directory, on `port` or a free one."""
        port, controller_port = port or free_port(), free_port()
        data = pathlib.Path(home) / "data"
        settings = {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(data),
            **overrides,
        }
        command = [str(binary)]
        for key, value in settings.items():
            command += ["--override", f"{key}={value}"]
        return cls._create(home, "klamm", port, command, [0])

    @classmethod
    def official(cls, home, cache, overrides, jvm=None, port=None, release=None):
        """Prepare an Apache Kafka broker with a freshly formatted data directory.

        `jvm` replaces the quick-start options, `release` (such as 3.9) the newest release.
        """
        version = versions.load()[f"kafka.broker.{release}" if release else "kafka.broker"]
        home = pathlib.Path(home)
        port, controller_port = port or free_port(), free_port()
        home.mkdir(parents=True, exist_ok=True)
        properties = home / "server.properties"
        text = (PEER / "server.properties").read_text()
        text = text.replace("@PORT@", str(port)).replace("@CONTROLLER_PORT@", str(controller_port))
        node_id = overrides.get("node.id", "1")
        text = text.replace("@DATA@", str(home / "data")).replace("@NODE_ID@", node_id)
        text += "".join(f"{key}={value}\n" for key, value in overrides.items())
        properties.write_text(text)
        command = _java(version, jvm or JVM) + ["kafka.Kafka", str(properties)]
        broker = cls._create(home, "official", port, command, [0, JVM_SIGTERM])
        _format(cache, version, properties, home / "data", node_id)
        return broker

    @classmethod
    def _create(cls, home, kind, port, command, clean_codes):
        home = pathlib.Path(home)
        home.mkdir(parents=True, exist_ok=True)
        launch = {"kind": kind, "port": port, "command": command, "clean_codes": clean_codes}
        (home / "broker.json").write_text(json.dumps(launch, indent=1))
        return cls(home)

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.launch['port']}"

    @property
    def log(self):
        return self.home / "broker.log"

    def start(self):
        """Start the process and wait until it says that it serves."""
        seen = self.log.stat().st_size if self.log.exists() else 0
        self.launch_process()
        self._wait(START_SECONDS, "start", lambda: self._said_ready(seen))

    def launch_process(self):
        """Start the process and wait only until it exists."""
        (self.home / "exit-code").unlink(missing_ok=True)
        # The shell stays as the parent, so the exit code is known whoever asks for the stop.
        script = '"$@" & echo $! >pid; wait $!; echo $? >exit-code'
        (self.home / "pid").unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            subprocess.Popen(
                ["bash", "-c", script, "broker", *self.launch["command"]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.home
            )
        self._wait(START_SECONDS, "launch", lambda: self._pid() is not None)

    def _said_ready(self, seen):
        code = self._exit_code()
        if code is not None:
            raise BrokerError(f"start {self.launch['kind']}: it ended with code {code}, see {self.log}\n{self._tail()}")
        with open(self.log, "rb") as log:
            log.seek(seen)
            return READY.encode() in log.read()

    def stop(self, number=signal.SIGTERM):
        """Ask for a clean stop and check that it was one."""
        self._signal(number)
        self._wait(STOP_SECONDS, "stop", lambda: self._exit_code() is not None)
        code = self._exit_code()
        if code not in self.launch["clean_codes"]:
            raise BrokerError(f"stop {self.launch['kind']}: exit code {code} after {number.name}\n{self._tail()}")

    def kill(self):
        """End the process with SIGKILL, as a crash would, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self._wait(STOP_SECONDS, "kill", lambda: self._exit_code() is not None)
        code = self._exit_code()
        if code != KILLED:
            raise BrokerError(f"kill {self.launch['kind']}: it had ended by itself with code {code}\n{self._tail()}")

    def running(self):
        """Whether the process was started and has not ended."""
        return self._pid() is not None and self._exit_code() is None

    def _signal(self, number):
        try:
            os.kill(self._pid(), number)
        except ProcessLookupError:
            pass

    def _pid(self):
        return self._number("pid")

    def _exit_code(self):
        return self._number("exit-code")

    def _number(self, name):
        """The number in a file of the home, or None while the file is not there or not written yet."""
        try:
            text = (self.home / name).read_text()
        except FileNotFoundError:
            return None
        return int(text) if text.endswith("\n") else None

    def _tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def _wait(self, seconds, verb, done):
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise BrokerError(f"{verb} {self.launch['kind']}: not done after {seconds} s, see {self.log}\n{self._tail()}")
            time.sleep(POLL_SECONDS)


def _java(version, jvm=JVM):
    classpath = subprocess.run([PEER / "classpath", version], check=True, capture_output=True, text=True).stdout.strip()
    # Each release reads the one property that its logging library knows.
    logging = [f"-Dlog4j2.configurationFile={PEER}/log4j2-broker.properties", f"-Dlog4j.configuration=file:{PEER}/log4j-broker.properties"]
    return ["java", *jvm, *logging, "-cp", classpath]


def _format(cache, version, properties, data, node_id):
    """Fill `data` with a formatted directory; formatting is slow, so the result is kept and copied."""
    template = pathlib.Path(cache) / "peer" / f"formatted-{version}-{node_id}"
    if not template.exists():
        format_command = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)]
        subprocess.run(_java(version) + format_command, check=True, capture_output=True)
        shutil.move(data, template)
    shutil.copytree(template, data)


def main():
    action, home = sys.argv[1:]
    broker = Broker(home)
    {"start": broker.start, "stop": broker.stop, "kill": broker.kill}[action]()


if __name__ == "__main__":
    try:
        main()
    except BrokerError as error:
        sys.exit(str(error))
