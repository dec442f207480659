"""How the process starts, what stops it from starting, and how it ends."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import own
import wire
from checks import check, equal

NOBODY = 65534
MARKER = ".kafka_cleanshutdown"
RECOVERY = re.compile(r"WARN|ERROR|torn|rebuilding|deriving|damaged|beginning anew", re.IGNORECASE)
KAFKA_META = "#\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\ndirectory.id=aZ1kXW5cQj6dDYe3xVbS0w\nnode.id=1\nversion=1\n"


def run(arguments, **options):
    """Run a broker that is expected to end by itself."""
    return subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10, **options)


def refuses(broker, *named, **options):
    """Check that the start ends with an error and one line that names every one of `named`."""
    done = run(broker.launch["command"], **options)
    lines = done.stdout.splitlines()
    assert done.returncode > 0, f"it ended with {done.returncode}: {lines}"
    equal(len(lines), 1, f"the number of lines of {lines}")
    missing = [name for name in named if str(name) not in lines[0]]
    assert not missing, f"{lines[0]!r} does not name {missing}"


def beside(broker, name, overrides):
    """Another broker, given other settings than its own where `overrides` says so."""
    return own.prepare(name, {"log.dirs": str(broker.home / "data"), **overrides})


@check("process.version")
def _():
    done = run([own.BINARY, "--version"])
    assert done.returncode == 0 and re.fullmatch(r"klamm \S+ \(Apache Kafka 4\.4\)\n", done.stdout), done


@check("process.help")
def _():
    done = run([own.BINARY, "--help"])
    missing = [word for word in ["--override", "--temp", "--version", "server.properties", "KAFKA_"] if word not in done.stdout]
    assert done.returncode == 0 and not missing, f"{done} lacks {missing}"


@check("process.ready-lines")
def _():
    with own.running("ready") as broker:
        lines = [line for line in broker.log.read_text().splitlines() if "RECOVERY to RUNNING" in line or "Kafka Server started" in line]
        equal(len(lines), 2, "the number of ready lines")
        assert "Transitioning from RECOVERY to RUNNING" in lines[0] and "Kafka Server started" in lines[1], lines


def stops_cleanly(number):
    """Check that a signal is a clean stop, after which a start finds nothing to repair."""
    broker = own.prepare(f"stop-{number.name}")
    marker = broker.home / "data" / MARKER
    broker.start()
    own.round_trip(broker, "before")
    assert not marker.exists(), "the marker is there while the broker runs"
    broker.stop(number)
    assert marker.exists(), "a clean stop left no marker"
    said = broker.log.stat().st_size
    broker.start()
    again = broker.log.read_text()[said:]
    equal([line for line in again.splitlines() if RECOVERY.search(line)], [], "what the next start repaired")
    equal(own.kcat(broker, "-Q", "-t", "before:0:-1"), "before [0] offset 500\n", "the end of the log")
    broker.stop()


@check("process.sigterm")
def _():
    stops_cleanly(signal.SIGTERM)


@check("process.sigint")
def _():
    stops_cleanly(signal.SIGINT)


# The process is slow to say which signals it catches, so that this shows whether it does before it answers. strace watches
# from aside (-D): the process is the broker's.
SLOW_TO_CATCH = "strace -D -f -qq -o /dev/null -e trace=rt_sigaction -e inject=rt_sigaction:delay_enter=50000".split()


@check("process.sigterm-at-first-answer")
def _():
    broker = own.prepare("hardly-there", before=SLOW_TO_CATCH)
    with open(broker.log, "ab") as log, subprocess.Popen(broker.launch["command"], stdout=log, stderr=log) as process:
        try:
            await_answer(broker)
            process.terminate()
            equal(process.wait(10), 0, "the exit code")
        finally:
            process.kill()
    assert (broker.home / "data" / MARKER).exists(), "a clean stop left no marker"


def await_answer(broker):
    """Return as soon as a broker has answered, without a pause."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return wire.Connection(broker).call(wire.api_versions())
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "nothing listens"


@check("process.temp")
def _():
    parent = own.WORK / "temporary"
    parent.mkdir()
    broker = own.prepare("temp", before=["env", f"TMPDIR={parent}"], after=["--temp"])
    broker.start()
    own.round_trip(broker, "short-lived")
    assert list(parent.rglob("short-lived-0/*.log")), "the data is not in the temporary directory"
    broker.stop()
    equal(list(parent.iterdir()), [], "what is left in the temporary directory")
    assert not (broker.home / "data").exists(), "--temp wrote to log.dirs"


@check("process.default-directory")
def _():
    broker = own.prepare("default")
    command = broker.launch["command"]
    at = next(index for index, word in enumerate(command) if word.startswith("log.dirs="))
    broker.launch["command"] = command[: at - 1] + command[at + 1 :]
    broker.start()
    broker.stop()
    assert (broker.home / "klamm-data" / MARKER).exists(), "no data in ./klamm-data"


@check("process.directory-in-use")
def _():
    with own.running("owner") as broker:
        refuses(beside(broker, "intruder", {}), "log.dirs", broker.home / "data", ".lock")
        own.round_trip(broker, "undisturbed")


@check("process.port-in-use")
def _():
    with own.running("listens") as broker:
        listeners = f"PLAINTEXT://{broker.bootstrap},CONTROLLER://127.0.0.1:0"
        second = own.prepare("too-late", {"listeners": listeners})
        refuses(second, broker.bootstrap, "PLAINTEXT")
        own.round_trip(broker, "undisturbed")


@check("process.directory-not-writable")
def _():
    # Below a directory that everybody may enter, with a binary that everybody may run.
    with tempfile.TemporaryDirectory() as parent:
        parent = pathlib.Path(parent)
        parent.chmod(0o755)
        binary = shutil.copy(own.BINARY, parent / "klamm")
        (parent / "locked").mkdir(mode=0o755)
        unprivileged = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": parent}
        for directory in [parent / "locked", parent / "locked" / "below"]:
            broker = own.prepare(f"no-permission-{directory.name}", {"log.dirs": str(directory)})
            broker.launch["command"][0] = str(binary)
            refuses(broker, "log.dirs", directory, "Permission denied", **unprivileged)
        equal(os.listdir(parent / "locked"), [], "what is in the directory")


@check("process.directory-of-kafka")
def _():
    broker = own.prepare("kafkas")
    data = broker.home / "data"
    data.mkdir()
    (data / "meta.properties").write_text(KAFKA_META)
    refuses(broker, "log.dirs", data, "Apache Kafka")
    equal((data / "meta.properties").read_text(), KAFKA_META, "meta.properties afterwards")
    equal([path.name for path in data.iterdir() if path.name != ".lock"], ["meta.properties"], "the files of the directory")


@check("process.bad-values")
def _():
    for key, value in [("num.partitions", "many"), ("num.partitions", "0"), ("compression.type", "rar"), ("listeners", "nonsense")]:
        refuses(own.prepare("bad-value", {key: value}), key, value)
    environment = own.prepare("bad-environment", before=["env", "KAFKA_NUM_IO_THREADS=none"])
    refuses(environment, "num.io.threads", "none")
    for word in ["nothing.properties", "--nothing", "--override"]:
        refuses(own.prepare("bad-argument", after=[word]), word)
