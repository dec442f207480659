"""A broker process that is measured: start to first answer, CPU, memory, context switches.

How a broker is prepared (command, settings, empty directory) is the business of compat-tests/lib/broker.py. Here it is
started without a shell in between and counts as started when it answers a request, not when it says so in its log.
"""

import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

# Long enough for a broker that recovers 10 GB, or closes 10,000 partitions.
START_SECONDS = 300
STOP_SECONDS = 120
PROBE_PAUSE_SECONDS = 0.0005
METADATA = 3


class Process:
    """One running broker."""

    def __init__(self, broker):
        """Start `broker` and wait for its first answer; `start_ms` and `start_cpu_ms` say what that took."""
        self.port = broker.launch["port"]
        self.log = broker.log
        self.clean_codes = broker.launch["clean_codes"]
        with open(self.log, "ab") as log:
            began = time.monotonic()
            self.child = subprocess.Popen(broker.launch["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=broker.home)
        try:
            self._wait_for_answer(began)
        except BaseException:
            self.kill()
            raise
        self.start_ms = (time.monotonic() - began) * 1e3
        self.start_cpu_ms = self.cpu_seconds() * 1e3

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def cpu_seconds(self):
        """User and system time of all its threads, ended ones too.

        That is utime + stime of /proc/PID/stat, but in nanoseconds instead of ticks of 10 ms: the process's CPU clock,
        whose id is made as clock_getcpuclockid(3) makes it.
        """
        return time.clock_gettime((~self.child.pid << 3) | 2)

    def memory_mib(self):
        """Resident memory: the process's own and the pages of files that it maps, its code among them."""
        return self._memory_mib("VmRSS")

    def anon_mib(self):
        """The part of the resident memory that is the process's own: heap and stacks."""
        return self._memory_mib("RssAnon")

    def file_mib(self):
        """The part of the resident memory that the kernel can take back: code and other mapped files."""
        return self._memory_mib("RssFile")

    def context_switches(self):
        """Thread id -> context switches so far, voluntary and not."""
        switches = {}
        for task in pathlib.Path(f"/proc/{self.child.pid}/task").iterdir():
            try:
                status = self._status(task / "status")
            except OSError:
                continue  # The thread ended between the listing and the reading.
            switches[task.name] = int(status["voluntary_ctxt_switches"]) + int(status["nonvoluntary_ctxt_switches"])
        return switches

    def stop(self):
        """Ask for a clean stop and wait for it."""
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise SystemExit(f"the broker did not stop within {STOP_SECONDS} s of SIGTERM, see {self.log}") from None
        if self.child.returncode not in self.clean_codes:
            raise SystemExit(f"the broker stopped with code {self.child.returncode}, see {self.log}")

    def kill(self):
        self.child.kill()
        self.child.wait()

    def _wait_for_answer(self, began):
        while not self._answers():
            if self.child.poll() is not None or time.monotonic() - began > START_SECONDS:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
                raise SystemExit(f"the broker ended or did not answer within {START_SECONDS} s:\n{tail}\nsee {self.log}")
            time.sleep(PROBE_PAUSE_SECONDS)

    def _answers(self):
        """Whether a Metadata v1 request is answered with at least one broker: a client can begin its work."""
        body = struct.pack(">hhih", METADATA, 1, 0, -1) + struct.pack(">i", 0)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS) as connection:
                connection.sendall(struct.pack(">i", len(body)) + body)
                answer = connection.recv(12, socket.MSG_WAITALL)
        except OSError:
            return False
        return len(answer) == 12 and struct.unpack(">iii", answer)[2] > 0

    def _memory_mib(self, name):
        return int(self._status(pathlib.Path(f"/proc/{self.child.pid}/status"))[name].split()[0]) / 1024

    @staticmethod
    def _status(path):
        lines = path.read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def describe_machine():
    """What else decides the figures, in a few words."""
    return f"{os.cpu_count()} CPUs, Linux {os.uname().release}"


def load_average():
    """How many threads wanted a CPU during the last minute."""
    return os.getloadavg()[0]


class Stolen:
    """The time for which threads of this machine were ready to run and its host ran another machine instead."""

    def __init__(self):
        self.began = self._ticks()

    def percent(self):
        """Of all the time of all CPUs since the beginning: 50 on two CPUs is one CPU that was never there."""
        stolen, every = (now - then for now, then in zip(self._ticks(), self.began))
        return 100 * stolen / max(1, every)

    @staticmethod
    def _ticks():
        """The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal; what follows is in user."""
        first = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0]
        ticks = [int(word) for word in first.split()[1:9]]
        return ticks[7], sum(ticks)
