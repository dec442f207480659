"""Runs librdkafka's test runner, one process per test number, and says what each listed test did.

The runner picks tests by number, several tests may share one; each test is judged by its line in the runner's summary.
A part of a test (0081_admin/do_test_CreateTopics) has a process of its own, and must be seen to have run.
"""

import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess

import outcomes

SUITE = pathlib.Path(os.environ["SUITE"])
WORK = pathlib.Path(os.environ["WORK"])
CACHE = pathlib.Path(os.environ["CACHE"])
SIDE = os.environ["SIDE"]
# A runner works with one kind of broker: `default`, or `noautocreate` for tests of topics that must stay missing.
SCENARIO = os.environ["SCENARIO"]
# The runner enforces its own limits per test; this one ends a runner that hangs.
PROCESS_SECONDS = 60 if SIDE == "nobody" else 900
# Machines that run this are slower than the ones the limits in the tests were chosen on.
TIMEOUT_MULTIPLIER = 1 if SIDE == "nobody" else 3
LISTED = re.compile(r"^    _TEST\((\w+)", re.MULTILINE)
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
SUMMARY = re.compile(r"^\| (\w+) +\| +(PASSED|FAILED|SKIPPED|RUNNING)\b", re.MULTILINE)


def main():
    directory = CACHE / f"librdkafka-{pinned('librdkafka')}" / "tests"
    configuration = WORK / "test.conf"
    configuration.write_text(
        f"bootstrap.servers={os.environ['BOOTSTRAP']}\nbroker.address.family=v4\n"
        f"test.topic.random=true\ntest.timeout.multiplier={TIMEOUT_MULTIPLIER}\n"
    )
    expected = outcomes.read_expected(SUITE / "expected.tsv", SIDE)
    wanted = [name for name, promise in expected.items() if not promise.startswith("na:") and name != "runner.list"]
    say_whether_all_are_listed(directory, expected)
    processes = {}
    for name in wanted:
        processes.setdefault(process_of(name), []).append(name)
    with concurrent.futures.ThreadPoolExecutor(int(os.environ["JOBS"])) as pool:
        outputs = pool.map(lambda process: run(directory, configuration, *process), processes)
        for (_, part), names, output in zip(processes, processes.values(), outputs):
            tell(output, part, names)


def pinned(name):
    lock = (pathlib.Path(os.environ["COMPAT"]) / "versions.lock").read_text()
    return re.search(rf"^{re.escape(name)}=(.*)$", lock, re.MULTILINE)[1]


def process_of(name):
    """The number and the part of a test; it is listed as scenario.number_name or scenario.number_name/part."""
    test, _, part = name.split(".")[1].partition("/")
    return test.split("_")[0], part


def say_whether_all_are_listed(directory, expected):
    """The suite of the default scenario lists every test of the runner, so that a new one is not overlooked."""
    if SCENARIO != "default":
        return
    tests = set(LISTED.findall((directory / "test.c").read_text()))
    listed = {name.split(".")[1].partition("/")[0] for name in expected} - {"list"}
    if tests == listed and SIDE != "nobody":
        print("PASS runner.list", flush=True)
    else:
        print(f"FAIL runner.list: {sorted(tests ^ listed)} are in test.c or expected.tsv, not in both", flush=True)


def run(directory, configuration, number, part):
    """The output of the runner for one number, or for one part of it."""
    environment = {
        **os.environ,
        "BROKERS": os.environ["BOOTSTRAP"],
        "LD_LIBRARY_PATH": f"{directory.parent}/src:{directory.parent}/src-cpp",
        "RDKAFKA_TEST_CONF": str(configuration),
        "TESTS": number,
        "TEST_KAFKA_VERSION": "4.1.0",
        "TEST_LEVEL": "2",
    }
    if part:
        environment["SUBTESTS"] = part
    output = WORK / "-".join(filter(None, (number, part)))
    with open(output, "w") as log:
        process = subprocess.Popen(
            ["./test-runner", "-p1", "-L", "-s", SCENARIO], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True
        )
        try:
            process.wait(PROCESS_SECONDS)
        except subprocess.TimeoutExpired:
            log.write(f"ended after {PROCESS_SECONDS} s\n")
        finally:
            # A test may start programs of its own, and they are in its session.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
    return output


def tell(output, part, names):
    """Print the verdict on each test of one runner; a reason is the runner's own."""
    text = ESCAPE.sub("", output.read_text(errors="replace"))
    summary = dict(SUMMARY.findall(text))
    for name in names:
        state = summary.get(name.split(".")[1].partition("/")[0], "ENDED")
        if state == "PASSED" and part and not re.search(rf"\[ {part}[^\n]*: PASS ", text):
            state = "DID NOT RUN"
        if state == "PASSED":
            print(f"PASS {name}", flush=True)
        elif state == "SKIPPED":
            print(f"SKIP {name}: {reason(text, r'SKIP')}", flush=True)
        else:
            print(f"FAIL {name}: {state.lower()}: {reason(text, r'TEST FAILURE|FAILED|failed at|Assertion|ended after')}", flush=True)


def reason(text, pattern):
    """The first lines that say why, on one line."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if re.search(pattern, line):
            return " ".join(" ".join(lines[index:index + 4]).split())[:400]
    return " ".join((lines or ["it said nothing"])[-1].split())[:400]


if __name__ == "__main__":
    main()
