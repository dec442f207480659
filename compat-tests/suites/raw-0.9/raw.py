"""Tells a broker what a client of 0.9.0.1 would: fixed versions, message format 0, and never a word of ApiVersions.

Each chapter of story.py is a test. Its requests and the answers of Apache Kafka 3.9.2, the last release that serves such a client,
stand in golden/, byte for byte; the broker's answers must be the same. Only what must differ is left out: ports, member ids, what
a compressor made (it is shown decompressed), and where a limit cuts the last message.

With RECORD the files of golden/ are written anew.
"""

import difflib
import os
import pathlib
import sys
import time
import traceback

import protocol
import story
from session import Session

GOLDEN = pathlib.Path(__file__).parent / "golden"


def tell(chapter, address, apis):
    session = Session(address, apis)
    try:
        chapter(session)
    finally:
        session.close()
    about = [f"# {line.strip()}".rstrip() for line in chapter.__doc__.splitlines()]
    return "\n".join(about + session.lines) + "\n"


def verdict(name, text):
    """Prints whether what was told is what is on record, and how not."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("RECORD"):
        path.write_text(text)
    pathlib.Path(os.environ["WORK"], path.name).write_text(text)
    golden, told = path.read_text().splitlines(), text.splitlines()
    if golden == told:
        print(f"PASS {name}", flush=True)
        return
    changed = list(difflib.unified_diff(golden, told, "Apache Kafka 3.9.2", "this broker", n=12, lineterm=""))
    print("\n".join(changed))
    number = next((index for index, (one, other) in enumerate(zip(golden, told)) if one != other), min(len(golden), len(told)))
    step = next((line[3:] for line in reversed(golden[: number + 1]) if line.startswith("## ")), "the beginning")
    lines = [each[number].strip() if number < len(each) else "the end" for each in (golden, told)]
    print(f"FAIL {name}: in {step}: {lines[0]} is on record, this is {lines[1]}", flush=True)


def main():
    if not os.environ["BROKER_HOME"] and os.environ["SIDE"] != "nobody":
        for name in story.CHAPTERS:
            print(f"SKIP {name}: the record is of a broker that has only the topics and groups of the story")
        return
    host, _, port = os.environ["BOOTSTRAP"].rpartition(":")
    address, apis = (host, int(port)), protocol.load()
    started = time.monotonic()
    session = Session(address, apis)
    story.prepare(session)
    session.close()
    print(f"prepared after {time.monotonic() - started:.1f} s", flush=True)
    for name, chapter in story.CHAPTERS.items():
        try:
            verdict(name, tell(chapter, address, apis))
        except Exception as error:  # a chapter may break in any way, and each is a verdict
            traceback.print_exc(file=sys.stdout)
            print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
    print(f"told after {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
