"""An agent (agent.py says what that is) that runs kcat for each command, its librdkafka told not to ask for versions but to
speak to a broker of an old version: kcat_agent.py VERSION."""

import os
import pathlib
import re
import subprocess
import sys

import serve

VERSION = {"0.9": "0.9.0.1"}[sys.argv[1]]
KCAT = [
    "kcat", "-b", os.environ["BOOTSTRAP"], "-X", "broker.address.family=v4", "-X", "api.version.request=false", "-X",
    f"broker.version.fallback={VERSION}", "-X", "message.max.bytes=6000000", "-X", "fetch.message.max.bytes=6000000", "-X", "check.crcs=true",
    "-X", "fetch.wait.max.ms=100", "-X", "reconnect.backoff.max.ms=500",
]
# Lengths stand before the key and the value, so that these may be any bytes; -1 is the length of none.
FORMAT = r"%p\t%o\t%K\t%S\t%k%s\n"
KEY_END, RECORD_END = b"~key~", b"~end~"
ASSIGNORS = {"RangeAssignor": "range", "RoundRobinAssignor": "roundrobin"}


def lines(output):
    """What kcat printed in FORMAT, as the lines of an answer; a record that is not yet whole is left out."""
    found, start = [], 0
    while (heading := re.compile(rb"(-?\d+)\t(-?\d+)\t(-?\d+)\t(-?\d+)\t").match(output, start)):
        partition, offset, key_size, value_size = map(int, heading.groups())
        middle = heading.end() + max(key_size, 0)
        end = middle + max(value_size, 0)
        if len(output) <= end:
            break
        key = None if key_size < 0 else output[heading.end() : middle]
        value = None if value_size < 0 else output[middle:end]
        found.append(serve.field_line(partition, offset, "-", key, value, []))
        start = end + 1
    return found, start


class Member:
    """A kcat that is a member of a group. It commits by itself, the last time when it ends."""

    def __init__(self, name, group, topic, assignor):
        self.files = {end: pathlib.Path(os.environ["WORK"]) / f"{group}-{name}-{VERSION}.{end}" for end in ("out", "err")}
        self.done = 0
        timing = ["-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=300", "-X", f"client.id={name}", "-X", "auto.offset.reset=earliest"]
        with open(self.files["out"], "wb") as out, open(self.files["err"], "wb") as err:
            strategy = ["-X", f"partition.assignment.strategy={ASSIGNORS[assignor]}"]
            self.process = subprocess.Popen([*KCAT, *timing, *strategy, "-E", "-u", "-f", FORMAT, "-G", group, topic], stdout=out, stderr=err)

    def look(self):
        rebalances = re.findall(r"rebalanced .*: (assigned|revoked): ?(.*)", self.files["err"].read_text())
        word, places = rebalances[-1] if rebalances else ("revoked", "")
        assigned = ",".join(sorted(re.findall(r"\[(\d+)\]", places), key=int)) if word == "assigned" else ""
        found, size = lines(self.files["out"].read_bytes()[self.done :])
        self.done += size
        return [f"assigned\t{assigned}", *found]

    def leave(self):
        self.process.terminate()
        self.process.wait(serve.WAIT_SECONDS)


class Client:
    """The commands."""

    def __init__(self):
        self.members = {}

    def _run(self, *arguments, given=b"", seconds=serve.WAIT_SECONDS):
        try:
            done = subprocess.run([*KCAT, *arguments], input=given, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"kcat did not end and said: {(late.stderr or b'').decode(errors='replace')}") from None
        assert done.returncode == 0 and b"ERROR" not in done.stderr, done.stderr.decode(errors="replace")
        return done.stdout

    def produce(self, topic, partition, codec, given):
        text = b"".join((record.key or b"") + KEY_END + (record.value or b"") + RECORD_END for record in given)
        batches = ["-X", "linger.ms=20", "-X", "batch.num.messages=25"]
        ends = ["-K", KEY_END.decode(), "-D", RECORD_END.decode()]
        self._run("-P", "-t", topic, "-p", partition, "-z", codec, "-Z", *ends, *batches, given=text)
        return ["-"] * len(given)

    def read(self, topic, partition, offset, count, seconds):
        return lines(self._run("-C", "-t", topic, "-p", partition, "-o", offset, "-c", count, "-q", "-u", "-f", FORMAT, seconds=int(seconds)))[0]

    def join(self, name, group, topic, assignor):
        self.members[name] = Member(name, group, topic, assignor)

    def look(self, name):
        return self.members[name].look()

    def commit(self, name):
        # kcat has no word for it; it commits when it leaves.
        pass

    def leave(self, name):
        self.members.pop(name).leave()


if __name__ == "__main__":
    client = Client()
    serve.serve(client)
    for name in list(client.members):
        client.leave(name)
