"""The agent's side of the conversation (agent.py), for clients that are driven from Python."""

import sys

import records

WAIT_SECONDS = 30


def field_line(partition, offset, stamp, key, value, headers):
    """A record that was read, as a line of an answer."""
    pairs = ",".join(f"{name}={records.field(content)}" for name, content in headers) or "-"
    return "\t".join(["record", str(partition), str(offset), stamp, records.field(key), records.field(value), pairs])


def serve(client):
    """Answer commands with the methods of `client`, each of which returns lines or None, until there are no more."""
    for command in sys.stdin:
        word, *arguments = command.rstrip("\n").split("\t")
        try:
            if word == "produce":
                given = [records.Record.parse(sys.stdin.readline().rstrip("\n")) for _ in range(int(arguments.pop()))]
                arguments.append(given)
            for line in getattr(client, word)(*arguments) or []:
                print(line)
            print("ok")
        except Exception as error:  # whatever a client raises is an answer
            print(f"error\t{' '.join(f'{type(error).__name__}: {error}'.split())}")
        sys.stdout.flush()
