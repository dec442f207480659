"""An agent: a small program on a client of some age that stays, takes commands on its stdin, and answers on its stdout.

A command is a line of words with tabs between; one that writes is followed by a line for each record (records.py). An answer is
lines, and at last `ok` or `error` with what the client said. Starting a client is slow, asking it is not.

    produce TOPIC PARTITION CODEC COUNT    an offset for each record, or - from a client that does not tell
    transact TOPIC commit|abort COUNT      write to partition 0 in a transaction
    read TOPIC PARTITION OFFSET COUNT SECONDS
                                           the records from the offset on, committed ones only if the client knows of transactions
    time TOPIC PARTITION TIMESTAMP         the first offset of that time or a later one, or -1
    join NAME GROUP TOPIC ASSIGNOR         be a member of a group (RangeAssignor or RoundRobinAssignor) until told to leave
    look NAME                              `assigned` and its partitions, then the records it has seen since the last look
    commit NAME                            commit what it has seen, with the metadata `a word about it` if the client can
    leave NAME
    committed GROUP TOPIC PARTITION        the committed offset and its metadata, or -
    create TOPIC PARTITIONS | delete TOPIC
"""

import os
import pathlib
import queue
import subprocess
import threading

import records

# An agent gives up by itself before its answer is given up.
ANSWER_SECONDS = 60
READ_SECONDS = 30


class AgentError(Exception):
    """What a client said when it could not do what it was asked."""


class Agent:
    """A running agent of one client."""

    def __init__(self, client):
        self.client = client
        self.errors = open(pathlib.Path(os.environ["WORK"]) / f"{client.name}.stderr", "ab")
        self.process = subprocess.Popen(client.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, encoding="utf-8")
        self.lines = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put("error\tthe agent has ended")

    def tell(self, *words, given=()):
        """Send a command without waiting for its answer."""
        text = "\t".join(map(str, words)) + "\n" + "".join(record.line() + "\n" for record in given)
        try:
            self.process.stdin.write(text)
            self.process.stdin.flush()
        except BrokenPipeError:
            raise AgentError("the agent has ended") from None

    def hear(self):
        """The lines of the next answer."""
        heard = []
        while True:
            try:
                line = self.lines.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                self.kill()
                raise AgentError(f"no answer after {ANSWER_SECONDS} s") from None
            if line == "ok":
                return heard
            if line.startswith("error\t"):
                raise AgentError(line.removeprefix("error\t"))
            heard.append(line)

    def ask(self, *words, given=()):
        """Send a command and return the lines of its answer."""
        self.tell(*words, given=given)
        return self.hear()

    def produce(self, topic, partition, codec, given):
        """Write records; returns the offsets the client tells, None for each that it does not."""
        return [None if line == "-" else int(line) for line in self.ask("produce", topic, partition, codec, len(given), given=given)]

    def read(self, topic, partition, offset, count, seconds=READ_SECONDS):
        """Read `count` records or a few more, in at most `seconds`."""
        return [records.Seen.parse(line) for line in self.ask("read", topic, partition, offset, count, seconds)]

    def look(self, member):
        """The partitions a member has, and what it has seen since the last look: records, and what went wrong."""
        first, *rest = self.ask("look", member)
        assigned = first.split("\t")[1]
        seen = [records.Seen.parse(line) for line in rest if line.startswith("record\t")]
        return [int(partition) for partition in assigned.split(",") if partition], seen

    def kill(self):
        """End the process as a crash would."""
        self.process.kill()
        self.process.wait()

    def close(self):
        """End the process in peace: it ends when it hears no more."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        self.errors.close()
