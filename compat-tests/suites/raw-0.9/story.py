"""The story: what the client asks, chapter by chapter. Every chapter has topics and groups of its own."""

import time

import messages
import old_codecs as codecs
from message_sets import message, message_set, wrapper

CHAPTERS = {}
# Of the records with timestamps, which a client of 0.9 never sees.
NOW = int(time.time() * 1000)
ALL = 2**31 - 1
# A topic and its configs; one partition each but `pair`.
TOPICS = {
    "metadata-pair": {},
    "produced": {},
    "produced-small": {"max.message.bytes": "500"},
    "produced-compacted": {"cleanup.policy": "compact"},
    "produced-appended": {"message.timestamp.type": "LogAppendTime"},
    "packed-gzip": {},
    "packed-snappy": {},
    "packed-lz4": {},
    "packed-odd": {},
    "packed-small": {"max.message.bytes": "500"},
    "packed-compacted": {"cleanup.policy": "compact"},
    "repacked-gzip": {"compression.type": "gzip"},
    "repacked-none": {"compression.type": "uncompressed"},
    "fetched": {},
    "fetched-other": {},
    "awaited": {},
    "limited": {},
    # The least that Apache Kafka 4 takes.
    "rolled": {"segment.bytes": "1048576"},
    "trimmed": {},
    "committed": {},
    "newer": {"message.timestamp.type": "CreateTime"},
    "newer-zstd": {},
    "settled": {},
    "ended": {},
}
TWO_PARTITIONS = {"metadata-pair", "produced", "fetched", "committed"}


def chapter(name):
    """Declares a function as the chapter `name`; its doc string heads the record."""

    def register(function):
        CHAPTERS[name] = function
        return function

    return register


def prepare(s):
    """Creates the topics, and waits until the broker leads them and coordinates."""
    topics = []
    for name, configs in TOPICS.items():
        configs = [(key, value) for key, value in {"retention.ms": "-1", **configs}.items()]
        topics.append((name, 2 if name in TWO_PARTITIONS else 1, 1, [], configs))
    answer = s.ask("CreateTopics v2", topics, 30_000, False)
    assert all(topic["error_code"] == 0 for topic in answer["topics"]), f"create topics: {answer}"
    for name, count, *_ in topics:
        for partition in range(count):
            s.until(f"lead {name}", lambda: errors(s.ask("ListOffsets v0", -1, [(name, [(partition, -1, 1)])])))
    s.until("coordinate groups", lambda: s.ask("GroupCoordinator v0", "any")["error_code"])
    s.until("read offsets", lambda: errors(s.ask("OffsetFetch v1", "any", [("committed", [0])])))
    s.until("coordinate transactions", lambda: s.ask("FindCoordinator v1", "any", 1)["error_code"])


def errors(answer):
    return next((part["error_code"] for topic in answer["topics"] for part in topic["partitions"] if part["error_code"]), 0)


def produce(topic, records, partition=0, acks=1):
    return acks, 1000, [(topic, [(partition, records)])]


def fetch(topic, offset, partition=0, max_bytes=ALL, max_wait_ms=0, min_bytes=0):
    return -1, max_wait_ms, min_bytes, [(topic, [(partition, offset, max_bytes)])]


def list_offsets(topic, timestamp, count, partition=0):
    return -1, [(topic, [(partition, timestamp, count)])]


@chapter("metadata")
def metadata(s):
    """Metadata v0 and GroupCoordinator v0."""
    s.step("a-topic", "Metadata v0", ["metadata-pair"])
    s.step("unknown-topics", "Metadata v0", ["absent", "metadata-pair", "not a name", ""])
    s.step("the-same-twice", "Metadata v0", ["produced", "produced"])
    s.step("all-topics", "Metadata v0", [])
    s.step("coordinator", "GroupCoordinator v0", "some-group")
    s.step("coordinator-of-no-name", "GroupCoordinator v0", "")


@chapter("produce")
def produce_plain(s):
    """Produce v0 and v1 without compression, and what the log has of it then."""
    s.step("one-message", "Produce v1", *produce("produced", message(b"one", b"key")))
    s.step("version-0", "Produce v0", *produce("produced", message(b"two")))
    s.step("acks-all", "Produce v1", *produce("produced", message_set(b"three", b"four"), acks=-1))
    s.silence("acks-0", "Produce v1", *produce("produced", message(b"five"), acks=0))
    s.step("null-and-empty", "Produce v1", *produce("produced", message(None, b"") + message(b"", None) + message(None, None)))
    s.step("offsets-are-the-brokers", "Produce v1", *produce("produced", message(b"a", offset=900) + message(b"b", offset=3)))
    s.step("several-partitions", "Produce v1", 1, 1000, [
        ("produced", [(0, message(b"here")), (1, message(b"there")), (7, message(b"nowhere"))]), ("produced-appended", [(0, message(b"now"))]),
        ("absent", [(0, message(b"nowhere"))]),
    ])
    s.step("unknown-topic-version-0", "Produce v0", *produce("absent", message(b"x")))
    s.step("bad-acks", "Produce v1", *produce("produced", message(b"x"), acks=2))
    s.step("no-topics", "Produce v1", 1, 1000, [])
    s.step("no-records", "Produce v1", *produce("produced", b""))
    s.step("zeros", "Produce v1", *produce("produced", b"\0" * 40))
    s.step("corrupt", "Produce v1", *produce("produced", message(b"x", crc_off_by=1)))
    s.step("corrupt-second", "Produce v0", *produce("produced", message(b"x") + message(b"y", crc_off_by=1)))
    s.step("cut-message-behind", "Produce v1", *produce("produced", message(b"whole") + message(b"cut")[:-1]))
    s.step("too-large", "Produce v1", *produce("produced-small", message(b"x" * 500)))
    s.step("as-large-as-may-be", "Produce v1", *produce("produced-small", message(b"x" * 400)))
    s.step("too-large-with-others", "Produce v1", *produce("produced-small", message(b"x" * 250) + message(b"y" * 250)))
    s.step("compacted-without-key", "Produce v1", *produce("produced-compacted", message(b"x")))
    s.step("compacted", "Produce v1", *produce("produced-compacted", message(b"x", b"key") + message(None, b"key")))
    s.step("what-is-there", "Fetch v1", *fetch("produced", 0))
    s.step("what-is-there-version-0", "Fetch v0", *fetch("produced", 0, partition=1))
    s.step("what-is-there-compacted", "Fetch v1", *fetch("produced-compacted", 0))
    s.step("what-is-there-appended", "Fetch v1", *fetch("produced-appended", 0))
    s.step("what-is-there-small", "Fetch v1", *fetch("produced-small", 0))


def _packed(s, codec):
    topic = f"packed-{codecs.NAMES[codec]}"
    s.step("wrapper", "Produce v1", *produce(topic, wrapper(codec, message_set(b"one" * 40, b"two", b"three"), offset=2)))
    s.step("wrapper-version-0", "Produce v0", *produce(topic, wrapper(codec, message(b"four", b"key"))))
    s.step("wrapper-acks-all", "Produce v1", *produce(topic, wrapper(codec, message_set(b"five", b"six"), offset=1), acks=-1))
    s.step("plain-behind", "Produce v1", *produce(topic, message(b"seven")))
    s.step("from-the-start", "Fetch v1", *fetch(topic, 0))
    s.step("from-within-the-first", "Fetch v1", *fetch(topic, 1))
    s.step("from-the-last-of-a-wrapper", "Fetch v0", *fetch(topic, 5))
    s.step("end", "ListOffsets v0", *list_offsets(topic, -1, 1))
    s.step("damaged", "Produce v1", *produce(topic, wrapper(codec, message_set(b"x"))[:-1] + b"?"))
    s.step("damaged-inside", "Produce v1", *produce(topic, wrapper(codec, message(b"x", crc_off_by=1))))
    s.step("nothing-inside", "Produce v1", *produce(topic, wrapper(codec, b"")))
    s.step("end-again", "ListOffsets v0", *list_offsets(topic, -1, 1))


@chapter("gzip")
def packed_gzip(s):
    """Wrapper messages of gzip."""
    _packed(s, codecs.GZIP)


@chapter("snappy")
def packed_snappy(s):
    """Wrapper messages of Snappy, in the blocks of snappy-java."""
    _packed(s, codecs.SNAPPY)


@chapter("lz4")
def packed_lz4(s):
    """Wrapper messages of LZ4, with the header checksum of format 0, which is not the one of the LZ4 frame format."""
    _packed(s, codecs.LZ4)
    inner = message_set(b"right")
    s.step("right-checksum", "Produce v1", *produce("packed-odd", wrapper(codecs.LZ4, None, value=codecs.lz4(inner, old_checksum=False))))
    s.step("right-checksum-read", "Fetch v1", *fetch("packed-odd", 0))


@chapter("wrappers")
def wrappers(s):
    """What may and may not be wrapped."""
    gzip = codecs.GZIP
    block = codecs.snappy_block(message_set(b"no", b"blocks"))
    s.step("snappy-without-blocks", "Produce v1", *produce("packed-odd", wrapper(codecs.SNAPPY, None, offset=1, value=block)))
    s.step("inner-offsets-from-7", "Produce v1", *produce("packed-odd", wrapper(gzip, message_set(b"a", b"b", first=7))))
    s.step("inner-offsets-all-0", "Produce v1", *produce("packed-odd", wrapper(gzip, message(b"a") + message(b"b"))))
    s.step("two-wrappers", "Produce v1", *produce("packed-odd", wrapper(gzip, message_set(b"a")) + wrapper(gzip, message_set(b"b"))))
    s.step("wrapper-behind-plain", "Produce v1", *produce("packed-odd", message(b"a") + wrapper(gzip, message_set(b"b"))))
    s.step("plain-behind-wrapper", "Produce v1", *produce("packed-odd", wrapper(gzip, message_set(b"a")) + message(b"b")))
    s.step("wrapped-twice", "Produce v1", *produce("packed-odd", wrapper(gzip, wrapper(gzip, message_set(b"a")))))
    s.step("no-value", "Produce v1", *produce("packed-odd", message(None, attributes=gzip)))
    s.step("zstd", "Produce v1", *produce("packed-odd", message(b"x", attributes=4)))
    s.step("too-large-when-packed", "Produce v1", *produce("packed-small", wrapper(codecs.LZ4, message_set(b"x" * 600))))
    s.step("large-but-packed", "Produce v1", *produce("packed-small", wrapper(gzip, message_set(b"x" * 600, b"y"))))
    s.step("compacted-without-key", "Produce v1", *produce("packed-compacted", wrapper(gzip, message(b"x", b"key") + message(b"y", offset=1))))
    s.step("compacted", "Produce v1", *produce("packed-compacted", wrapper(gzip, message(b"x", b"key"))))
    s.step("packed-by-the-broker", "Produce v1", *produce("repacked-gzip", message_set(b"a", b"b")))
    s.step("packed-anew-by-the-broker", "Produce v1", *produce("repacked-gzip", wrapper(codecs.SNAPPY, message_set(b"c", b"d"))))
    s.step("unpacked-by-the-broker", "Produce v1", *produce("repacked-none", wrapper(codecs.SNAPPY, message_set(b"a", b"b"))))
    for topic in ("packed-odd", "packed-small", "packed-compacted", "repacked-gzip", "repacked-none"):
        s.step(f"read-{topic}", "Fetch v1", *fetch(topic, 0))


@chapter("fetch")
def fetch_plain(s):
    """Fetch v0 and v1: where it starts, what is not there, and how it waits."""
    for values in ((b"zero", b"one", b"two"), (b"three",), (b"four", b"five")):
        s.ask("Produce v1", *produce("fetched", message_set(*values)))
    s.ask("Produce v1", *produce("fetched-other", message_set(b"other")))
    for version in ("Fetch v0", "Fetch v1"):
        s.step("from-the-start", version, *fetch("fetched", 0))
        s.step("from-within", version, *fetch("fetched", 1))
        s.step("from-the-second", version, *fetch("fetched", 3))
        s.step("at-the-end", version, *fetch("fetched", 6))
        s.step("beyond-the-end", version, *fetch("fetched", 7))
        s.step("below-the-start", version, *fetch("fetched", -1))
        s.step("empty-partition", version, *fetch("fetched", 0, partition=1))
        s.step("beyond-an-empty-partition", version, *fetch("fetched", 1, partition=1))
        s.step("unknown-partition", version, *fetch("fetched", 0, partition=2))
        s.step("unknown-topic", version, *fetch("absent", 0))
    wanted = [("fetched", [(0, 4, ALL), (1, 0, ALL)]), ("fetched-other", [(0, 0, ALL)]), ("absent", [(0, 0, ALL)])]
    s.step("several", "Fetch v1", -1, 0, 0, wanted)
    s.step("no-topics", "Fetch v1", -1, 0, 0, [])
    s.step("as-a-debugging-tool", "Fetch v1", -2, 0, 0, [("fetched", [(0, 5, ALL)])])
    s.step("nothing-in-time", "Fetch v1", *fetch("awaited", 0, max_wait_ms=100, min_bytes=1))
    s.send("waits-for-one", "Fetch v1", *fetch("awaited", 0, max_wait_ms=20_000, min_bytes=1))
    s.ask("Produce v1", *produce("awaited", message(b"worth the wait")))
    s.answer("Fetch v1")


@chapter("limits")
def limits(s):
    """Fetch v0 and v1 with a limit: nothing where the log's first batch does not fit, and what fits where it does."""
    s.ask("Produce v1", *produce("limited", message(b"x" * 1000)))
    s.ask("Produce v1", *produce("limited", message(b"y" * 10)))
    s.ask("Produce v1", *produce("limited", message(b"z" * 2000)))
    for version in ("Fetch v0", "Fetch v1"):
        for limit in (0, 1, 11, 12, 60, 500, 1069):
            s.step(f"the-first-not-in-{limit}", version, *fetch("limited", 0, max_bytes=limit))
        s.step("just-the-first", version, *fetch("limited", 0, max_bytes=1070))
        s.step("the-first-and-a-part", version, *fetch("limited", 0, max_bytes=1100))
        s.step("two-and-a-part", version, *fetch("limited", 0, max_bytes=2000))
        s.step("from-the-second", version, *fetch("limited", 1, max_bytes=2000))
        s.step("the-last-not-in-1500", version, *fetch("limited", 2, max_bytes=1500, max_wait_ms=100, min_bytes=1))


@chapter("list-offsets")
def offsets(s):
    """ListOffsets v0: the starts of segments, from the end to the beginning."""
    for version in ("empty", "filled"):
        for timestamp, what in ((-1, "latest"), (-2, "earliest"), (0, "of-1970"), (2**62, "of-the-future")):
            for count in (1, 2, 100):
                s.step(f"{version}-{what}-{count}", "ListOffsets v0", *list_offsets("rolled", timestamp, count))
        # No two of them fit into a segment.
        for number in range(3):
            s.ask("Produce v1", *produce("rolled", message(b"%d" % number * 600_000)))
    s.step("none-wanted", "ListOffsets v0", *list_offsets("rolled", -1, 0))
    s.step("no-such-time", "ListOffsets v0", *list_offsets("rolled", -5, 1))
    s.step("unknown-partition", "ListOffsets v0", *list_offsets("rolled", -1, 1, partition=1))
    s.step("unknown-topic", "ListOffsets v0", *list_offsets("absent", -1, 1))
    s.step("several", "ListOffsets v0", -1, [("rolled", [(0, -1, 1), (5, -1, 1)]), ("absent", [(0, -2, 1)])])
    s.step("no-topics", "ListOffsets v0", -1, [])
    s.ask("Produce v1", *produce("trimmed", message_set(b"a", b"b", b"c", b"d")))
    s.ask("DeleteRecords v0", [("trimmed", [(0, 2)])], 10_000)
    for timestamp in (-1, -2, 2**62):
        s.step(f"trimmed-{timestamp}", "ListOffsets v0", *list_offsets("trimmed", timestamp, 10))
    s.step("fetch-what-was-trimmed", "Fetch v1", *fetch("trimmed", 1))
    s.step("fetch-what-is-left", "Fetch v1", *fetch("trimmed", 2))


@chapter("commits")
def commits(s):
    """OffsetCommit v0 to v2 and OffsetFetch v0 and v1, by consumers that are in no group."""
    both = [("committed", [(0, 7, "seven"), (1, 8, "")])]
    s.step("version-0", "OffsetCommit v0", "c-0", both)
    s.step("version-0-read", "OffsetFetch v0", "c-0", [("committed", [0])])
    s.step("version-0-unknown", "OffsetCommit v0", "c-0", [("absent", [(0, 1, "")]), ("committed", [(9, 1, "")])])
    s.step("version-0-unknown-read", "OffsetFetch v0", "c-0", [("absent", [0]), ("committed", [1, 9])])
    s.step("version-0-nothing", "OffsetCommit v0", "c-0", [])
    s.step("version-0-nothing-read", "OffsetFetch v0", "c-0", [])
    s.step("version-1", "OffsetCommit v1", "c-1", -1, "", [("committed", [(0, 7, -1, "seven"), (1, 8, 1000, "")])])
    s.step("version-1-read", "OffsetFetch v1", "c-1", [("committed", [0, 1, 9]), ("absent", [0])])
    s.step("version-1-unknown", "OffsetCommit v1", "c-1", -1, "", [("absent", [(0, 1, -1, "")]), ("committed", [(9, 1, -1, ""), (0, 9, -1, None)])])
    s.step("version-1-read-again", "OffsetFetch v1", "c-1", [("committed", [0])])
    s.step("version-2", "OffsetCommit v2", "c-2", -1, "", -1, both)
    s.step("version-2-retention", "OffsetCommit v2", "c-2", -1, "", 86_400_000, [("committed", [(1, 9, "kept for a day")])])
    s.step("version-2-read", "OffsetFetch v1", "c-2", [("committed", [0, 1])])
    s.step("metadata-too-large", "OffsetCommit v2", "c-2", -1, "", -1, [("committed", [(0, 10, "m" * 4097), (1, 10, "m" * 4096)])])
    s.step("negative-offset", "OffsetCommit v2", "c-2", -1, "", -1, [("committed", [(0, -1, "")])])
    s.step("what-holds", "OffsetFetch v1", "c-2", [("committed", [0])])
    s.step("no-such-member", "OffsetCommit v2", "c-2", 1, "nobody", -1, both)
    s.step("no-such-member-version-1", "OffsetCommit v1", "c-2", 1, "nobody", [("committed", [(0, 1, -1, "")])])
    s.step("no-such-group", "OffsetCommit v2", "c-none", 1, "nobody", -1, both)
    s.step("no-such-group-read", "OffsetFetch v1", "c-none", [("committed", [0])])
    s.step("group-without-a-name", "OffsetCommit v2", "", -1, "", -1, both)
    s.step("group-without-a-name-read", "OffsetFetch v1", "", [("committed", [0])])
    s.step("nothing", "OffsetCommit v2", "c-2", -1, "", -1, [])
    s.step("nothing-read", "OffsetFetch v1", "c-2", [])


def subscription(note):
    """What a consumer tells its group: version 0, one topic, and a note of its own."""
    return b"\0\0" + b"\0\0\0\x01" + b"\0\x09committed" + len(note).to_bytes(4, "big") + note


def join(group, member="", timeout_ms=30_000, kind="consumer", protocols=(("range", subscription(b"note")),)):
    return group, timeout_ms, member, kind, list(protocols)


@chapter("groups")
def groups(s):
    """A group of two members, from the first join to the last leave."""
    one = s.step("first-joins", "JoinGroup v0", *join("g"), on="first")["member_id"]
    s.step("not-synced-yet", "DescribeGroups v0", ["g"])
    s.step("heartbeat-before-sync", "Heartbeat v0", "g", 1, one, on="first")
    s.step("first-assigns", "SyncGroup v0", "g", 1, one, [(one, b"all of it")], on="first")
    s.step("first-beats", "Heartbeat v0", "g", 1, one, on="first")
    s.step("described", "DescribeGroups v0", ["g", "no-such-group"])
    s.step("commits", "OffsetCommit v2", "g", 1, one, -1, [("committed", [(0, 3, "of one")])], on="first")
    s.step("commits-version-1", "OffsetCommit v1", "g", 1, one, [("committed", [(1, 4, -1, "of one")])], on="first")
    protocols = [("roundrobin", subscription(b"too")), ("range", subscription(b"me too"))]
    s.send("second-joins", "JoinGroup v0", *join("g", protocols=protocols), on="second")
    s.until("rebalance", lambda: s.ask("Heartbeat v0", "g", 1, one, on="waiting")["error_code"] != 27)
    s.step("first-is-told", "Heartbeat v0", "g", 1, one, on="first")
    s.step("commits-while-rebalancing", "OffsetCommit v2", "g", 1, one, -1, [("committed", [(0, 5, "late")])], on="first")
    s.send("first-joins-again", "JoinGroup v0", *join("g", one), on="first")
    s.answer("JoinGroup v0", on="first")
    two = s.answer("JoinGroup v0", on="second")["member_id"]
    s.send("second-waits-for-its-part", "SyncGroup v0", "g", 2, two, [], on="second")
    s.step("first-gives-parts", "SyncGroup v0", "g", 2, one, [(one, b"half"), (two, b"the other half")], on="first")
    s.answer("SyncGroup v0", on="second")
    s.step("described-with-two", "DescribeGroups v0", ["g"])
    s.step("synced-again", "SyncGroup v0", "g", 2, two, [], on="second")
    s.step("second-commits", "OffsetCommit v2", "g", 2, two, -1, [("committed", [(1, 6, "of two")])], on="second")
    s.step("what-they-committed", "OffsetFetch v1", "g", [("committed", [0, 1])])
    s.step("simple-commit-beside-members", "OffsetCommit v2", "g", -1, "", -1, [("committed", [(0, 1, "")])])
    s.step("second-leaves", "LeaveGroup v0", "g", two, on="second")
    s.step("first-is-told-again", "Heartbeat v0", "g", 2, one, on="first")
    s.step("first-joins-alone", "JoinGroup v0", *join("g", one), on="first")
    s.step("first-leaves", "LeaveGroup v0", "g", one, on="first")
    s.step("nobody-is-left", "DescribeGroups v0", ["g"])
    s.step("offsets-are-kept", "OffsetFetch v1", "g", [("committed", [0, 1])])
    early = s.ask("JoinGroup v0", *join("g-early"), on="first")["member_id"]
    s.send("second-joins-before-the-first-has-assigned", "JoinGroup v0", *join("g-early"), on="second")
    s.until("rebalance", lambda: s.ask("Heartbeat v0", "g-early", 1, early, on="waiting")["error_code"] != 27)
    s.step("described-while-rebalancing", "DescribeGroups v0", ["g-early"])
    s.step("first-assigns-too-late", "SyncGroup v0", "g-early", 1, early, [(early, b"all of it")], on="first")
    s.step("first-leaves-meanwhile", "LeaveGroup v0", "g-early", early, on="first")
    late = s.answer("JoinGroup v0", on="second")["member_id"]
    s.step("second-leaves-too", "LeaveGroup v0", "g-early", late, on="second")


@chapter("group-errors")
def group_errors(s):
    """What a group refuses."""
    one = s.ask("JoinGroup v0", *join("e"), on="first")["member_id"]
    s.ask("SyncGroup v0", "e", 1, one, [(one, b"all")], on="first")
    s.step("member-the-group-has-not", "JoinGroup v0", *join("e", "nobody"), on="first")
    s.step("another-protocol-type", "JoinGroup v0", *join("e", kind="connect"))
    s.step("no-protocol-in-common", "JoinGroup v0", *join("e", protocols=[("other", subscription(b""))]))
    s.step("session-too-short", "JoinGroup v0", *join("e-short", timeout_ms=100))
    s.step("session-too-long", "JoinGroup v0", *join("e-long", timeout_ms=1_800_001))
    s.step("group-without-a-name", "JoinGroup v0", *join(""))
    s.step("member-of-no-group", "JoinGroup v0", *join("e-none", "nobody"))
    s.step("no-protocols", "JoinGroup v0", *join("e", protocols=[]))
    s.step("no-protocol-type", "JoinGroup v0", *join("e", kind=""))
    for name, generation, member in (("old-generation", 0, one), ("next-generation", 2, one), ("no-such-member", 1, "nobody"), ("no-member", 1, "")):
        s.step(f"heartbeat-{name}", "Heartbeat v0", "e", generation, member)
        s.step(f"sync-{name}", "SyncGroup v0", "e", generation, member, [])
        s.step(f"commit-{name}", "OffsetCommit v2", "e", generation, member, -1, [("committed", [(0, 1, "")])])
    s.step("leave-no-such-member", "LeaveGroup v0", "e", "nobody")
    s.step("leave-no-such-group", "LeaveGroup v0", "e-none", "nobody")
    s.step("heartbeat-no-such-group", "Heartbeat v0", "e-none", 1, "nobody")
    s.step("sync-no-such-group", "SyncGroup v0", "e-none", 1, "nobody", [])
    s.step("heartbeat-group-without-a-name", "Heartbeat v0", "", 1, "nobody")
    s.step("describe-group-without-a-name", "DescribeGroups v0", [""])
    s.step("describe-nothing", "DescribeGroups v0", [])
    s.step("it-still-lives", "Heartbeat v0", "e", 1, one, on="first")
    s.ask("LeaveGroup v0", "e", one, on="first")


@chapter("list-groups")
def list_groups(s):
    """ListGroups v0: what the chapters before left, and a group of another kind."""
    one = s.ask("JoinGroup v0", *join("l", kind="connect"), on="first")["member_id"]
    s.ask("SyncGroup v0", "l", 1, one, [(one, b"all")], on="first")
    s.step("groups", "ListGroups v0")
    s.step("a-group-of-another-kind", "DescribeGroups v0", ["l"])
    s.ask("LeaveGroup v0", "l", one, on="first")


def produce_newer(s, topic, records, transaction=None, acks=-1):
    """A batch of a newer client. What a transaction added to a partition may have to wait for."""
    s.until(f"produce to {topic}", lambda: errors(s.ask("Produce v7", transaction, acks, 10_000, [(topic, [(0, records)])])))


@chapter("newer-records")
def newer_records(s):
    """Records of newer clients: what has no place in format 0 is left out of it."""
    headers = [(b"name", b"value")]
    produce_newer(s, "newer", messages.batch(NOW, b"one", b"two", keys=[b"k", None], headers=headers))
    produce_newer(s, "newer", messages.batch(NOW, b"three", attributes=codecs.GZIP, pack=lambda data: codecs.compress(codecs.GZIP, data, 2)))
    packed = messages.batch(NOW, b"four", b"five", headers=headers, attributes=codecs.LZ4, pack=lambda data: codecs.lz4(data, old_checksum=False))
    produce_newer(s, "newer", packed)
    produce_newer(s, "newer", messages.batch(NOW, b"six", attributes=codecs.SNAPPY, pack=codecs.xerial))
    for version in ("Fetch v0", "Fetch v1"):
        s.step("all", version, *fetch("newer", 0))
        s.step("from-within-a-batch", version, *fetch("newer", 1))
        s.step("from-within-a-packed-batch", version, *fetch("newer", 4))
    produce_newer(s, "newer-zstd", messages.batch(NOW, b"before"))
    produce_newer(s, "newer-zstd", messages.batch(NOW, b"zstd", attributes=4, pack=codecs.zstd))
    produce_newer(s, "newer-zstd", messages.batch(NOW, b"behind"))
    for version in ("Fetch v0", "Fetch v1"):
        s.step("zstd-behind-a-plain-batch", version, *fetch("newer-zstd", 0))
        s.step("zstd-first", version, *fetch("newer-zstd", 1))
        s.step("behind-zstd", version, *fetch("newer-zstd", 2))


def transact(s, name, topic, values, end):
    """A transaction: committed, aborted, or left open (None)."""
    answer = {}

    def initialize():
        answer.update(s.ask("InitProducerId v0", name, 60_000))
        return answer["error_code"]

    s.until(f"initialize {name}", initialize)
    producer = answer["producer_id"], answer["producer_epoch"]
    s.until(f"begin {name}", lambda: errors(s.ask("AddPartitionsToTxn v0", name, *producer, [(topic, [0])])))
    batch = messages.batch(NOW, *values, attributes=messages.TRANSACTIONAL, producer=(*producer, 0))
    produce_newer(s, topic, batch, name)
    if end is not None:
        s.until(f"end {name}", lambda: s.ask("EndTxn v0", name, *producer, end)["error_code"])


@chapter("transactions")
def transactions(s):
    """Transactions as a client sees them that knows of none: every message, no marker, up to the high watermark.

    Where there is nothing but a marker Kafka answers with a cut message, by which a client takes its limit for too small. That is not told.
    """
    transact(s, "t-1", "settled", (b"committed", b"too"), True)
    s.until("marker", lambda: s.ask("ListOffsets v0", *list_offsets("settled", -1, 1))["topics"][0]["partitions"][0]["offsets"] != [3])
    transact(s, "t-2", "settled", (b"aborted",), False)
    s.until("marker", lambda: s.ask("ListOffsets v0", *list_offsets("settled", -1, 1))["topics"][0]["partitions"][0]["offsets"] != [5])
    produce_newer(s, "settled", messages.batch(NOW, b"plain"))
    transact(s, "t-3", "settled", (b"open",), None)
    for version in ("Fetch v0", "Fetch v1"):
        s.step("all", version, *fetch("settled", 0))
        s.step("from-a-marker", version, *fetch("settled", 2))
        s.step("the-open-one", version, *fetch("settled", 6))
    s.step("end", "ListOffsets v0", *list_offsets("settled", -1, 10))
    transact(s, "t-4", "ended", (b"only",), True)
    s.until("marker", lambda: s.ask("ListOffsets v0", *list_offsets("ended", -1, 1))["topics"][0]["partitions"][0]["offsets"] != [2])
    for version in ("Fetch v0", "Fetch v1"):
        s.step("with-a-marker-at-the-end", version, *fetch("ended", 0))


def request(key, version, body=b"", client_id=b"raw-0.9"):
    """A frame by hand."""
    name = b"\xff\xff" if client_id is None else len(client_id).to_bytes(2, "big") + client_id
    data = key.to_bytes(2, "big", signed=True) + version.to_bytes(2, "big", signed=True) + b"\0\0\0\x09" + name + body
    return len(data).to_bytes(4, "big") + data


@chapter("frames")
def frames(s):
    """Frames that are odd, each on a connection of its own."""
    one_group = b"\0\x05group"
    s.raw("no-client-id", request(12, 0, one_group + b"\0\0\0\x01\0\x06member", None), "a")
    s.raw("empty-client-id", request(12, 0, one_group + b"\0\0\0\x01\0\x06member", b""), "b")
    s.raw("unknown-key", request(999, 0), "c")
    s.raw("negative-key", request(-1, 0), "d")
    s.raw("version-not-served", request(3, 99, b"\0\0\0\0"), "e")
    s.raw("negative-version", request(3, -1, b"\0\0\0\0"), "f")
    s.raw("nothing-behind-the-header", request(12, 0), "g")
    s.raw("cut-text", request(12, 0, b"\0\x50group"), "h")
    s.raw("null-group", request(12, 0, b"\xff\xff\0\0\0\x01\0\x06member"), "i")
    s.raw("more-than-the-request", request(12, 0, one_group + b"\0\0\0\x01\0\x06member" + b"more"), "j")
    s.raw("count-beyond-the-frame", request(3, 0, b"\x7f\xff\xff\xff"), "k")
    s.raw("negative-size", b"\xff\xff\xff\xff", "l")
    s.raw("size-beyond-the-limit", b"\x7f\xff\xff\xff", "m")
    s.raw("empty-frame", b"\0\0\0\0", "n")
