"""The tool differential's script, and its golden files.

cli.py expand   prints the script of tool calls for peer/run-tools
cli.py compare  holds what the calls left in $WORK/tools against golden/, or with $RECORD writes golden/

A golden file has a section per call: `=== name (exit CODE)`, what it printed, and after `---` what it wrote to stderr,
all normalised: what differs from run to run (addresses, ids, times, paths) is replaced by a word in angle brackets.
"""

import difflib
import itertools
import json
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
INPUTS = HERE / "inputs"
GOLDEN = HERE / "golden"
WORK = pathlib.Path(os.environ["WORK"])
BOOTSTRAP = os.environ["BOOTSTRAP"]
# A path that is nowhere in the answers of a broker that is not the harness's own.
DATA = os.path.join(os.environ["BROKER_HOME"] or "/no-home", "data")
# To work on a few calls: only those whose names begin so. The run then fails on the others, which are missing.
ONLY = os.environ.get("CLI_CALLS", "")
# Calls that read the broker's files need a broker of the harness.
NEEDS_FILES = "@DATA@"

RULES = [
    (re.compile(re.escape(BOOTSTRAP)), "<broker>"),
    (re.compile(re.escape(DATA)), "<data>"),
    (re.compile(re.escape(str(INPUTS))), "<inputs>"),
    (re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\]"), "<time>"),
    (re.compile(r"\b1[6-9]\d{11}\b"), "<ms>"),
    (re.compile(r"(TopicId:|Cluster ID:|ClusterId:)\s+[\w-]{22}"), r"\1 <id>"),
    (re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "-<uuid>"),
    (re.compile(r'("topicId"):"[\w-]{22}"'), r"\1:<id>"),
    (re.compile(r"(crc|CRC): \d+"), r"\1: <crc>"),
    (re.compile(r"(producerId): \d+"), r"\1: <id>"),
    (re.compile(r"console-consumer-\d+"), "console-consumer-<n>"),
    # The size of a batch of several records depends on the milliseconds between them, and so does where the next begins.
    (re.compile(r"^(baseOffset: .* count: (?!1 ).* size: )\d+"), r"\1<size>"),
    (re.compile(r"^(baseOffset: .* count: (?!1 ).* position: )[1-9]\d*"), r"\1<position>"),
    (re.compile(r"(adminclient|ClientId=console-consumer)-\d+"), r"\1-<n>"),
    (re.compile(r"deadlineMs=\S+, tries=\d+, nextAllowedTryMs=[^)]+"), "<tries>"),
    # Which of the client's timers ends an impatient call first depends on how quick the broker answers.
    (re.compile(r"TimeoutException: (Call\(|Timed out ).*"), "TimeoutException: <timed out>"),
    (re.compile(r"(timed out at|after) \d+( after \d+ attempt\(s\))?"), r"\1 <tries>"),
    # Of the controller's own log only its shape is the same everywhere.
    (re.compile(r"CONTROLLER://127.0.0.1:\d+"), "CONTROLLER://<controller>"),
    (re.compile(r"^(HighWatermark:\s+)\d+"), r"\1<offset>"),
    (re.compile(r"^(1\s+\S{22}\s+)\d+"), r"\1<offset>"),
    (re.compile(r"^(1\s+127.0.0.1\s+)\d+"), r"\1<port>"),
    (re.compile(r"(FinalizedVersionLevel: .*\sEpoch:) \d+$"), r"\1 <epoch>"),
    # The ids of consumer-protocol members are the clients' own.
    (re.compile(r"(?<![\w-])[\w-]{22}(?=\s+(/|instance))"), "<member>"),
    # Klamm serves the oldest versions too, which Kafka 4 has dropped.
    (re.compile(r"^(\s\w+\(\d+\): )\d+ to (?=\d+ \[usable: )"), r"\1<oldest> to "),
    # Columns are as wide as their widest cell.
    (re.compile(r"[ \t]+"), " "),
    # How long a transaction is open.
    (re.compile(r"((Ongoing|Prepare\w+|Complete\w+) \d+ <ms>) \d+"), r"\1 <duration>"),
]
# Settings the two brokers are given differently.
SETTINGS = {line.partition("=")[0] for line in (HERE.parents[1] / "peer" / "server.properties").read_text().splitlines()} | {"broker.id"}
SETTING = re.compile(r"^\s+([a-z0-9.]+)=.* synonyms=\{")
# One API of kafka-broker-api-versions; those Klamm is to serve are listed.
API = re.compile(r"^\s(\w+)\(\d+\): ")
SERVED = set((HERE / "served-apis").read_text().split())
# A finalized feature of kafka-features, and those Klamm has; a logger of kafka-configs, and the only one both brokers have.
FEATURE = re.compile(r"^Feature: (\S+)")
FEATURES = {"eligible.leader.replicas.version", "group.version", "metadata.version", "transaction.version"}
LOGGER = re.compile(r"^\s+(\S+)=[A-Z]+ sensitive=false synonyms=\{\}$")
LOGGERS = {"root"}
# What a consumer's own threads log comes whenever they come to it.
BACKGROUND = re.compile(r" \(org\.apache\.kafka\.clients\.consumer\.internals\.Consumer(HeartbeatRequest|Membership)Manager\)$")
# Rows of tables that come in no order; the last are of kafka-transactions describe-producers.
IN_NO_ORDER = re.compile(r"partition: |group-|pay-|\d+ \d+ -?\d+ -?\d+ <ms> ")
# The frames of a stack trace belong to the tool, not to the broker.
FRAME = re.compile(r"^\s*(at \S+\(|\.\.\. \d+ (common frames omitted|more))")


def calls():
    """The calls of the script, as (name, tool, arguments, stdin or None)."""
    for line in (HERE / "script").read_text().splitlines():
        if line and not line.startswith("#") and line.startswith(ONLY):
            name, tool, arguments, *stdin = re.split(r" \| ?", line)
            yield name, tool, arguments, stdin[0] if stdin else None


def expand():
    """Print the runner's script: placeholders filled in, the bootstrap server added, inputs made."""
    (WORK / "large").write_text("x" * 400_000 + "\n")
    words = {"@DATA@": DATA, "@INPUTS@": str(INPUTS), "@A249@": "a" * 249, "@A250@": "a" * 250}
    for name, tool, arguments, stdin in calls():
        if NEEDS_FILES in arguments and not os.environ["BROKER_HOME"]:
            continue
        for word, value in words.items():
            arguments = arguments.replace(word, value)
        server = f"--bootstrap-server {BOOTSTRAP}"
        if tool == "kafka-cluster":
            arguments = f"{arguments} {server}"
        elif tool != "kafka-dump-log":
            arguments = f"{server} {arguments}"
        fields = [name, tool, arguments]
        if stdin:
            fields.append(str(INPUTS / stdin if (INPUTS / stdin).exists() else WORK / stdin))
        print("\t".join(fields))


def _is_noise(line):
    setting, api = SETTING.match(line), API.match(line)
    feature, logger = FEATURE.match(line), LOGGER.match(line)
    return (
        FRAME.match(line)
        or BACKGROUND.search(line)
        or (setting and setting[1] in SETTINGS)
        or (api and api[1] not in SERVED)
        or (feature and feature[1] not in FEATURES)
        or (logger and logger[1] not in LOGGERS)
    )


def _sorted_json(line):
    """The partitions of kafka-log-dirs come in no order, nor do the members of a group and the topics of a transaction."""
    if line.startswith('{') and '"transactionPartitions":[{' in line:
        record = json.loads(line)
        record["value"]["data"]["transactionPartitions"].sort(key=lambda topic: topic["topic"])
        return json.dumps(record, separators=(",", ":"))
    if line.startswith('{"key":{"type":2') and '"members":[{' in line:
        record = json.loads(line)
        record["value"]["data"]["members"].sort(key=lambda member: member["memberId"])
        return json.dumps(record, separators=(",", ":"))
    if not line.startswith('{"brokers"'):
        return line
    answer = json.loads(line)
    for broker in answer["brokers"]:
        for directory in broker["logDirs"]:
            directory["logDir"] = "<data>"
            directory["partitions"].sort(key=lambda partition: partition["partition"])
    return json.dumps(answer)


def _sorted_quotas(line):
    """The quotas of one entity come in no order."""
    entity, separator, quotas = line.partition(" are ")
    if not line.startswith("Quota configs for "):
        return line
    return entity + separator + ", ".join(sorted(quotas.split(", ")))


def normalise(text):
    """Replace what differs between two runs of the same broker."""
    # The formatters of __consumer_offsets print one record behind another.
    text = text.replace('}{"key"', '}\n{"key"')
    lines = [_sorted_quotas(_sorted_json(line)) for line in text.splitlines() if not _is_noise(line)]
    for pattern, word in RULES:
        lines = [pattern.sub(word, line) for line in lines]
    return _sorted_runs([line.rstrip() for line in lines])


def _sorted_runs(lines):
    """Partitions as kafka-delete-records reports them come in no order, and neither do rows about groups, transactions
    and producers."""
    sorted_lines = []
    for in_no_order, run in itertools.groupby(lines, lambda line: bool(IN_NO_ORDER.match(line))):
        sorted_lines += sorted(run) if in_no_order else run
    return sorted_lines


def answer(name):
    """What a call answered, as the lines of its golden section."""
    read = lambda kind: (WORK / "tools" / f"{name}.{kind}").read_text(errors="replace")
    lines = [f"=== {name} (exit {read('exit').strip()})", *normalise(read("out"))]
    errors = normalise(read("err"))
    return lines + (["---", *errors] if errors else [])


def golden_sections():
    """Every golden section by the name of its call."""
    sections = {}
    for path in sorted(GOLDEN.iterdir()):
        for line in path.read_text().splitlines():
            if line.startswith("=== "):
                section = sections.setdefault(line.split()[1], [])
            section.append(line)
    return sections


def record():
    """Write the golden files, one for each group of calls."""
    groups = {}
    for name, *_ in calls():
        groups.setdefault(name.split(".")[0], []).extend(answer(name))
        print(f"PASS {name}")
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.iterdir():
        path.unlink()
    for group, lines in groups.items():
        (GOLDEN / group).write_text("\n".join(lines) + "\n")


def compare():
    """Print the verdict on each call, and below a failure how its answer differs."""
    golden = golden_sections()
    for name, _, arguments, _ in calls():
        if NEEDS_FILES in arguments and not os.environ["BROKER_HOME"]:
            print(f"SKIP {name}: reads the broker's files, which --bootstrap does not give")
            continue
        expected, actual = golden.get(name, []), answer(name)
        if expected == actual:
            print(f"PASS {name}")
            continue
        difference = [line for line in difflib.unified_diff(expected, actual, lineterm="", n=0) if not line.startswith(("---", "+++", "@@"))]
        print(f"FAIL {name}: {' / '.join(difference)[:300]}")
        print("\n".join("    " + line for line in difference))


if __name__ == "__main__":
    if sys.argv[1] == "expand":
        expand()
    elif os.environ["RECORD"]:
        record()
    else:
        compare()
