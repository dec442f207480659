"""The script of a tool differential, and its golden files.

tool_calls.py expand SUITE   prints the script of tool calls for peer/run-tools
tool_calls.py compare SUITE  holds what the calls left in $WORK/tools against golden/, or with $RECORD writes golden/

SUITE is the directory with script and golden/. A line of the script is name | tool | arguments | stdin (a file of
suites/cli/inputs) | when to stop a tool that does not end by itself (peer/ToolRunner.java). --bootstrap-server is added to
the arguments unless they name the broker by @BROKER@.

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

ROOT = pathlib.Path(__file__).resolve().parents[1]
SUITE = pathlib.Path(sys.argv[2])
INPUTS = ROOT / "suites" / "cli" / "inputs"
GOLDEN = SUITE / "golden"
WORK = pathlib.Path(os.environ["WORK"])
BOOTSTRAP = os.environ["BOOTSTRAP"]
# A path that is nowhere in the answers of a broker that is not the harness's own.
DATA = os.path.join(os.environ["BROKER_HOME"] or "/no-home", "data")
# To work on a few calls: only those whose names begin so. The run then fails on the others, which are missing.
ONLY = os.environ.get("CLI_CALLS", "")
# Calls that read the broker's files need a broker of the harness.
NEEDS_FILES = "@DATA@"
WITHOUT_SERVER = ("kafka-dump-log", "kafka-mirror-maker")
SERVER = "--bootstrap-server @BROKER@"

# Whether the answers are those of another release of Apache Kafka than the newest.
OLD_PEER = "\npeer=" in (SUITE / "profile").read_text()

RULES = [
    (re.compile(re.escape(BOOTSTRAP)), "<broker>"),
    (re.compile(re.escape(DATA)), "<data>"),
    (re.compile(re.escape(str(INPUTS))), "<inputs>"),
    (re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\]"), "<time>"),
    (re.compile(r"\b1[6-9]\d{11}\b"), "<ms>"),
    (re.compile(r"(TopicId:|Cluster ID:|ClusterId:)\s+[\w-]{22}"), r"\1 <id>"),
    (re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "-<uuid>"),
    (re.compile(r'("topicId"):"[\w-]{22}"'), r"\1:<id>"),
    # Klamm serves clients of any age, so of an API's versions only the highest and the one to be used are the same. A
    # release of Kafka that is older than the newest has other highest ones too.
    (re.compile(r"^(\s\w+\(\d+\):) (\d+ to )?(?=\d+ \[usable: )"), r"\1 to "),
    *([(re.compile(r"^(\s\w+\(\d+\):) to \d+ (?=\[usable: )"), r"\1 ")] if OLD_PEER else []),
    (re.compile(r"(crc|CRC): \d+"), r"\1: <crc>"),
    (re.compile(r"(producerId): \d+"), r"\1: <id>"),
    (re.compile(r"(console-consumer|test-group)-\d+"), r"\1-<n>"),
    # The size of a batch of several records depends on the milliseconds between them, and so does where the next begins.
    (re.compile(r"^(baseOffset: .* count: (?!1 ).* size: )\d+"), r"\1<size>"),
    (re.compile(r"^(baseOffset: .* count: (?!1 ).* position: )[1-9]\d*"), r"\1<position>"),
    # Older tools say it of each record.
    (re.compile(r"^(\| offset: .* position: )[1-9]\d*"), r"\1<position>"),
    (re.compile(r"(batchSize: |^offset: \d+ position: (?=\d+ \w))[1-9]\d*"), r"\1<size>"),
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
    # Of what the performance tools measure, only the count is the same everywhere.
    (re.compile(r"^(\d+ records sent), .*"), r"\1, <measured>"),
    (re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}, .*?, (\d+), [\d.]+(, .*)?$"), r"<measured>, \1 messages"),
    (re.compile(r'("avg_throughput"):[\d.]+'), r"\1:<measured>"),
    (re.compile(r"^(Avg latency:|Percentiles:|\d+\t) *[\d.].*"), r"\1 <measured>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}(?=: )"), "<time>"),
    # The ids of consumer-protocol members are the clients' own.
    (re.compile(r"(?<![\w-])[\w-]{22}(?=\s+(/|instance))"), "<member>"),
    # Columns are as wide as their widest cell.
    (re.compile(r"[ \t]+"), " "),
    # How long a transaction is open.
    (re.compile(r"((Ongoing|Prepare\w+|Complete\w+) \d+ <ms>) \d+"), r"\1 <duration>"),
]
# Settings the two brokers are given differently.
SETTINGS = {line.partition("=")[0] for line in (ROOT / "peer" / "server.properties").read_text().splitlines()} | {"broker.id"}
SETTING = re.compile(r"^\s+([a-z0-9.]+)=.* synonyms=\{")
# One API of kafka-broker-api-versions; those Klamm is to serve are listed.
API = re.compile(r"^\s(\w+)\(\d+\): ")
SERVED = set((ROOT / "suites" / "cli" / "served-apis").read_text().split())
# A finalized feature of kafka-features, and those Klamm has; a logger of kafka-configs, and the only one both brokers have.
FEATURE = re.compile(r"^Feature: (\S+)")
FEATURES = {"eligible.leader.replicas.version", "group.version", "metadata.version", "transaction.version"}
LOGGER = re.compile(r"^\s+(\S+)=[A-Z]+ sensitive=false synonyms=\{\}$")
LOGGERS = {"root"}
# What a consumer's own threads log comes whenever they come to it.
BACKGROUND = re.compile(r" \(org\.apache\.kafka\.clients\.consumer\.internals\.Consumer(HeartbeatRequest|Membership)Manager\)$")
# The first mirror maker says so if it was waiting for records when it was told to end.
WOKEN = re.compile(r"\[.*\] WARN +\(kafka\.utils\.CoreUtils\$\)$|org\.apache\.kafka\.common\.errors\.WakeupException$")
# How often a client has to ask for a topic or a coordinator that was just created, or is not there.
CREATION = re.compile(
    r" correlation id \d+ : \{.*=(LEADER_NOT_AVAILABLE|UNKNOWN_TOPIC_OR_PARTITION)\} "
    r"|Got error produce response .* NOT_LEADER_OR_FOLLOWER |Received invalid metadata error in produce request "
    r"|Offset commit failed .*: This is not the correct coordinator"
)
# Rows of tables that come in no order; the last are of kafka-transactions describe-producers. Tools before 3.0 show settings
# and the offsets of partitions as they come.
IN_NO_ORDER = re.compile(r"partition: |[\w.-]+:\d+:[\d,-]*$|group-|console-consumer-|test-group-|pay-| [a-z0-9.]+=.* synonyms=|\d+ \d+ -?\d+ -?\d+ <ms> ")
# The options a tool lists when it is used wrongly, and the frames of a stack trace, belong to the tool, not to the broker.
USAGE = re.compile(r"Option\s+Description")
FRAME = re.compile(r"^\s*(at \S+\(|\.\.\. \d+ (common frames omitted|more))")


def calls():
    """The calls of the script, as (name, tool, arguments, stdin or "", when to stop it or "")."""
    for line in (SUITE / "script").read_text().splitlines():
        if line and not line.startswith("#") and line.startswith(ONLY):
            name, tool, arguments, stdin, stop, *_ = [field.strip() for field in re.split(r" \|(?= |$)", line)] + ["", ""]
            yield name, tool, arguments, stdin, stop


def expand():
    """Print the runner's script: placeholders filled in, the bootstrap server added, inputs made."""
    (WORK / "large").write_text("x" * 400_000 + "\n")
    (WORK / "mirror-consumer.properties").write_text(f"bootstrap.servers={BOOTSTRAP}\ngroup.id=group-mirror\nauto.offset.reset=earliest\n")
    (WORK / "mirror-producer.properties").write_text(f"bootstrap.servers={BOOTSTRAP}\n")
    words = {"@BROKER@": BOOTSTRAP, "@WORK@": str(WORK), "@DATA@": DATA, "@INPUTS@": str(INPUTS), "@A249@": "a" * 249, "@A250@": "a" * 250}
    for name, tool, arguments, stdin, stop in calls():
        if NEEDS_FILES in arguments and not os.environ["BROKER_HOME"]:
            continue
        if tool == "kafka-cluster":
            arguments = f"{arguments} {SERVER}"
        elif tool not in WITHOUT_SERVER and "@BROKER@" not in arguments:
            arguments = f"{SERVER} {arguments}"
        for word, value in words.items():
            arguments = arguments.replace(word, value)
        if stdin:
            stdin = str(INPUTS / stdin if (INPUTS / stdin).exists() else WORK / stdin)
        print("\t".join([name, tool, arguments, stdin, stop]).rstrip("\t"))


def _is_noise(line):
    setting, api = SETTING.match(line), API.match(line)
    feature, logger = FEATURE.match(line), LOGGER.match(line)
    return (
        FRAME.match(line)
        or BACKGROUND.search(line)
        or CREATION.search(line)
        or WOKEN.match(line)
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
    if not line.startswith(('{"brokers"', '{"version":1,"brokers"')):
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


def _without_usage(lines):
    """The lines before the list of a tool's options, which comes last."""
    return itertools.takewhile(lambda line: not USAGE.match(line), lines)


def normalise(text):
    """Replace what differs between two runs of the same broker."""
    # The formatters of __consumer_offsets print one record behind another.
    text = text.replace('}{"key"', '}\n{"key"')
    lines = [_sorted_quotas(_sorted_json(line)) for line in _without_usage(text.splitlines()) if not _is_noise(line)]
    for pattern, word in RULES:
        lines = [pattern.sub(word, line) for line in lines]
    return _sorted_runs([line.rstrip() for line in lines])


def _sorted_runs(lines):
    """Partitions as kafka-delete-records reports them come in no order, and neither do rows about groups, settings,
    transactions and producers."""
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
    return {name: _sorted_runs(section) for name, section in sections.items()}


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
    for name, _, arguments, *_ in calls():
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
