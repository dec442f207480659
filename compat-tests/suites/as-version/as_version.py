"""Klamm under --as-version, one broker for each release. `quick` or `clients` says which checks.

The recorded answers and the way to ask for one come from scripts/releases.
"""

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import broker as brokers
import versions

WORK = pathlib.Path(os.environ["WORK"])
BINARY = json.loads((pathlib.Path(os.environ["BROKER_HOME"]) / "broker.json").read_text())["command"][0]
# Share groups and streams groups.
LACKED_KEYS = {*range(76, 80), *range(83, 94)}
LACKED_FEATURES = {"share.version", "streams.version"}
TOOL_SECONDS = 60
# What came with which release, as kafkatest's client_compatibility_features_test says.
SINCE = {
    "create-topics-supported": "0.10.1",
    "offsets-for-times-supported": "0.10.1",
    "cluster-id-supported": "0.10.1",
    "describe-acls-supported": "0.11.0",
    "describe-configs-supported": "0.11.0",
    "idempotent-producer-supported": "0.11.0",
}
UNTIL = {"expect-record-too-large-exception": "0.10.1"}
FOUND = {
    "3.9": ["0.10.0", "0.10.1", "0.10.2", "0.11.0", "1.0", "2.1", "2.8", "3.2", "3.9", "4.0"],
    "4.3": ["2.1", "2.4", "2.8", "3.3", "3.9", "4.0", "4.4"],
}
MISSED = [
    ("3.9", "0.10.0", "create-topics-supported"),
    ("3.9", "0.10.0", "expect-record-too-large-exception"),
    ("3.9", "0.10.0", "offsets-for-times-supported"),
    ("3.9", "0.10.1", "cluster-id-supported"),
    ("3.9", "0.10.2", "describe-acls-supported"),
    ("3.9", "0.10.2", "idempotent-producer-supported"),
    ("3.9", "0.11.0", "describe-configs-supported"),
    ("4.3", "2.1", "create-topics-supported"),
]
KCAT = ["0.10.0", "0.10.2", "0.11.0", "2.0", "2.8", "3.9", "4.4"]
KGO = [
    ("0.11.0", "TestClient_Produce"),
    ("1.1", "TestGroupSimple"),
    ("2.8", "TestGroupETL"),
    ("2.8", "TestTxnEtl"),
    ("3.9", "TestGroupETL"),
    ("4.0", "TestGroupETL"),
]


def recording():
    """scripts/releases as a module."""
    loader = importlib.machinery.SourceFileLoader("releases", str(versions.ROOT.parent / "scripts/releases"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("releases", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


RECORDING = recording()
RECORDED = RECORDING.read_file()
RELEASES = list(RECORDING.RELEASES)


@contextlib.contextmanager
def running(release, name=None):
    """A broker that passes for `release` while the block runs."""
    broker = brokers.Broker.klamm(WORK / (name or release), BINARY, {"group.initial.rebalance.delay.ms": "0"})
    broker.launch["command"] += ["--as-version", release]
    broker.start()
    try:
        yield broker
        broker.stop()
    finally:
        if broker.running():
            broker.kill()


def outcome(name, check):
    """Prints how a check ended, which says why it failed or says nothing."""
    try:
        reason = check()
    except (AssertionError, OSError, RECORDING.RecordError, brokers.BrokerError, subprocess.SubprocessError) as error:
        reason = f"{type(error).__name__} {error}"
    text = " ".join(str(reason).split())[:400]
    print(f"FAIL {name}: {text}" if reason else f"PASS {name}", flush=True)


def differs(what, expected, told):
    if expected != told:
        return f"{what}: recorded {sorted(set(expected) - set(told))}, told {sorted(set(told) - set(expected))}"
    return None


def tells_what_was_recorded(release):
    """What Klamm says in the recorded release's words, but for what it lacks."""
    lines = {line.split()[0]: line.split()[1:] for line in RECORDED[release]}
    with running(release) as broker:
        told = RECORDING.describe(release, broker.launch["port"])
    told = {line.split()[0]: line.split()[1:] for line in told}
    for what in ("release", "unserved", "unknown-version"):
        if lines[what] != told[what]:
            return f"{what}: recorded {lines[what]}, told {told[what]}"
    apis = [word for word in lines["apis"] if int(word.split(":")[0]) not in LACKED_KEYS]
    difference = differs("apis", apis, told["apis"])
    for what in ("supported", "finalized"):
        known = [word for word in lines[what] if word.split(":")[0] not in LACKED_FEATURES]
        difference = difference or differs(what, known, told[what])
    return difference


def at_least(release, since):
    return RELEASES.index(release) >= RELEASES.index(since)


def flags(release):
    """What ClientCompatibilityTest shall find in a release."""
    fits = {flag: at_least(release, since) for flag, since in SINCE.items()}
    return fits | {flag: not at_least(release, until) for flag, until in UNTIL.items()}


def compatibility_check(version, broker, expected):
    """Runs ClientCompatibilityTest of a release of the tools; gives its exit code and the end of what it said."""
    arguments = ["--bootstrap-server", broker.bootstrap, "--num-cluster-nodes", "1", "--topic", "compatibility"]
    for flag, value in expected.items():
        arguments += [f"--{flag}", str(value)]
    command = [str(brokers.PEER / "tool"), version, "org.apache.kafka.tools.ClientCompatibilityTest", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_SECONDS)
    return ended.returncode, (ended.stdout + ended.stderr)[-600:]


def finds(version, release):
    """The flags that the release implies are found, and none but these."""
    with running(release, f"{release}-{version}") as broker:
        expected = flags(release)
        code, said = compatibility_check(version, broker, expected)
        if code != 0:
            return f"the check of {version} fails: {said}"
    return None


def misses(version, release, flag):
    """The check fails when it is told the opposite of what the release had."""
    with running(release, f"{release}-{version}-{flag}") as broker:
        code, said = compatibility_check(version, broker, flags(release) | {flag: not flags(release)[flag]})
        return None if code != 0 else f"the check passes with {flag} the wrong way: {said}"


def unknown_release():
    """A release that does not exist stops the start, and the line names those that do."""
    ended = subprocess.run([BINARY, "--temp", "--as-version", "5.0"], capture_output=True, text=True, timeout=TOOL_SECONDS)
    lines = ended.stderr.splitlines()
    said_all = len(lines) == 1 and all(f" {name}" in lines[0] for name in RELEASES)
    return None if ended.returncode == 1 and said_all else f"code {ended.returncode}: {ended.stderr}"


def quick():
    pinned = versions.load()
    outcome("unknown-release", unknown_release)
    for release in RELEASES:
        outcome(f"tells.{release}", lambda release=release: tells_what_was_recorded(release))
    outcome("compatibility.3.9.on.1.1", lambda: finds(pinned["kafka-clients.3.9"], "1.1"))


def kcat_round_trip(release):
    """kcat lists, produces and reads back what it produced."""
    with running(release, f"{release}-kcat") as broker:
        lines = "".join(f"line {number}\n" for number in range(1000))
        kcat = ["kcat", "-b", broker.bootstrap, "-X", "api.version.request=true"]
        produce = [*kcat, "-P", "-t", "kcat", "-z", "gzip", "-X", "topic.partitioner=consistent"]
        subprocess.run(produce, input=lines, text=True, check=True, capture_output=True, timeout=TOOL_SECONDS)
        consume = [*kcat, "-C", "-t", "kcat", "-e", "-q", "-o", "beginning"]
        read = subprocess.run(consume, text=True, check=True, capture_output=True, timeout=TOOL_SECONDS).stdout
    return None if sorted(read.splitlines()) == sorted(lines.splitlines()) else f"{len(read.splitlines())} lines of 1000 come back"


def kgo_test(release, test):
    """A test of franz-go, which looks for what a broker has and leaves the rest out."""
    copy = pathlib.Path(os.environ["CACHE"]) / f"franz-go-{versions.load()['franz-go']}"
    with running(release, f"{release}-{test}") as broker:
        settings = {"KGO_SEEDS": broker.bootstrap, "KGO_TEST_RF": "1", "KGO_TEST_RECORDS": "2000", "KGO_LOG_LEVEL": "none"}
        command = [copy / "kgo.test", "-test.v", f"-test.timeout={TOOL_SECONDS}s", "-test.run", f"^{test}$"]
        directory = copy / "source/pkg/kgo"
        ended = subprocess.run(command, cwd=directory, env=os.environ | settings, capture_output=True, text=True)
    passed = ended.returncode == 0 and f"--- PASS: {test} " in ended.stdout
    return None if passed else f"code {ended.returncode}: {ended.stdout[-300:]}"


def clients():
    pinned = versions.load()
    tools = {"3.9": pinned["kafka-clients.3.9"], "4.3": pinned["kafka.tools"]}
    # Each release of the tools speaks to brokers since these: 0.10.0 and 2.1.
    for line, releases in FOUND.items():
        for release in releases:
            outcome(f"compatibility.{line}.on.{release}", lambda: finds(tools[line], release))
    for line, release, flag in MISSED:
        outcome(f"misfit.{line}.on.{release}.{flag}", lambda: misses(tools[line], release, flag))
    for release in KCAT:
        outcome(f"kcat.{release}", lambda: kcat_round_trip(release))
    for release, test in KGO:
        outcome(f"kgo.{release}.{test}", lambda: kgo_test(release, test))


def main():
    {"quick": quick, "clients": clients}[sys.argv[1]]()


if __name__ == "__main__":
    main()
