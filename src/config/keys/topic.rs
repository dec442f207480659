//! Topic keys of Kafka 4.4 (`LogConfig`, `TopicConfig`).

use crate::config::key::Check::*;
use crate::config::key::Class::{Applied, NoEffect, Refused};
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::{RESERVED, SHARE, TIERED, TIERED_OFF};

pub static KEYS: &[Key] = keys! {
    "cleanup.policy" => List, "delete", EachOneOf(&["compact", "delete"]), ClusterWide, Applied,
        "What happens to old segments: delete removes them by age and size, compact keeps the newest record \
         of each key; both may be given, and an empty list keeps everything.";
    "compression.gzip.level" => Int, "-1", GzipLevel, ClusterWide, Applied,
        "Level used when compression.type makes the broker compress with gzip; -1 is the library's default.";
    "compression.lz4.level" => Int, "9", Between(1, 17), ClusterWide, Applied,
        "Level used when compression.type makes the broker compress with lz4.";
    "compression.type" => String, "producer",
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), ClusterWide, Applied,
        "Codec that batches are stored in; producer keeps each batch as it came.";
    "compression.zstd.level" => Int, "3", Between(-131072, 22), ClusterWide, Applied,
        "Level used when compression.type makes the broker compress with zstd.";
    "delete.retention.ms" => Long, "86400000", AtLeast(0), ClusterWide, Applied,
        "How long a compacted topic keeps a delete marker, which bounds how slow a reader from offset 0 may \
         be and still see it.";
    "errors.deadletterqueue.group.enable" => Boolean, "false", Any, ClusterWide, NoEffect(SHARE),
        "Whether share groups may use the topic as a dead-letter queue.";
    "file.delete.delay.ms" => Long, "60000", AtLeast(0), ClusterWide, Applied,
        "How long the file of a removed segment stays on disk, for readers that still hold it.";
    "flush.messages" => Long, "9223372036854775807", AtLeast(1), ClusterWide, Applied,
        "Records after which the log is forced to disk; 1 makes every acknowledged write durable on this \
         machine.";
    "flush.ms" => Long, "9223372036854775807", AtLeast(0), ClusterWide, Applied,
        "Longest time a record stays in memory before the log is forced to disk.";
    "follower.replication.throttled.replicas" => List, "", ThrottledReplicas, ClusterWide, Applied,
        "Replicas whose fetching is held to the follower throttle rate, as partition:broker pairs or *.";
    "index.interval.bytes" => Int, "4096", AtLeast(0), ClusterWide, Applied,
        "Bytes of log between two entries of the offset index.";
    internal "internal.segment.bytes" => Int, null, AtLeast(1), ClusterWide, Applied,
        "Segment size without the lower bound that segment.bytes has; for tests.";
    "leader.replication.throttled.replicas" => List, "", ThrottledReplicas, ClusterWide, Applied,
        "Replicas whose serving is held to the leader throttle rate, as partition:broker pairs or *.";
    "local.retention.bytes" => Long, "-2", AtLeast(-2), ClusterWide, NoEffect(TIERED_OFF),
        "Size of the local part of a tiered log; -2 follows retention.bytes.";
    "local.retention.ms" => Long, "-2", AtLeast(-2), ClusterWide, NoEffect(TIERED_OFF),
        "Age of the local part of a tiered log; -2 follows retention.ms.";
    "max.compaction.lag.ms" => Long, "9223372036854775807", AtLeast(1), ClusterWide, Applied,
        "Longest time a record of a compacted topic may wait for compaction.";
    "max.decompressed.message.bytes" => Int, "2147483639", Between(1, 2147483639), ClusterWide, Applied,
        "Largest size a batch may have when the broker has to decompress it.";
    "max.message.bytes" => Int, "1048588", AtLeast(0), ClusterWide, Applied,
        "Largest batch the topic takes, compressed and with its header.";
    "message.timestamp.after.max.ms" => Long, "3600000", AtLeast(0), ClusterWide, Applied,
        "How far a record's own timestamp may lie after the broker's clock.";
    "message.timestamp.before.max.ms" => Long, "9223372036854775807", AtLeast(0), ClusterWide, Applied,
        "How far a record's own timestamp may lie before the broker's clock.";
    "message.timestamp.type" => String, "CreateTime",
        OneOf(&["CreateTime", "LogAppendTime"]), ClusterWide, Applied,
        "Whether records keep the producer's timestamp or get the broker's when they are appended.";
    "min.cleanable.dirty.ratio" => Double, "0.5", Ratio(0.0, 1.0), ClusterWide, Applied,
        "Share of the log that must be uncompacted before the cleaner works on it.";
    "min.compaction.lag.ms" => Long, "0", AtLeast(0), ClusterWide, Applied,
        "Shortest time a record of a compacted topic stays uncompacted.";
    "min.insync.replicas" => Int, "1", AtLeast(1), ClusterWide, Applied,
        "In-sync replicas that a write with acks=all needs; with fewer it is refused.";
    "preallocate" => Boolean, "false", Any, ClusterWide, NoEffect(RESERVED),
        "Whether a new segment's space on disk is reserved at once.";
    "remote.copy.lag.bytes" => Long, "-1", AtLeast(-1), ClusterWide, NoEffect(TIERED_OFF),
        "Bytes of rolled segments that stay local before they are copied to the remote store.";
    "remote.copy.lag.ms" => Long, "0", AtLeast(-1), ClusterWide, NoEffect(TIERED_OFF),
        "Time a rolled segment stays local before it is copied to the remote store.";
    "remote.log.copy.disable" => Boolean, "false", Any, ClusterWide, NoEffect(TIERED_OFF),
        "Whether a tiered topic stops copying segments to the remote store.";
    "remote.log.delete.on.disable" => Boolean, "false", Any, ClusterWide, NoEffect(TIERED_OFF),
        "Whether turning tiered storage off for the topic removes what the remote store holds.";
    "remote.storage.enable" => Boolean, "false", Any, ClusterWide, Refused(TIERED),
        "Whether the topic's old segments move to a remote store.";
    "retention.bytes" => Long, "-1", Any, ClusterWide, Applied,
        "Size per partition above which cleanup.policy=delete removes the oldest segments; negative is \
         without limit.";
    "retention.ms" => Long, "604800000", AtLeast(-1), ClusterWide, Applied,
        "Age above which cleanup.policy=delete removes segments; -1 is without limit.";
    "segment.bytes" => Int, "1073741824", AtLeast(1048576), ClusterWide, Applied,
        "Size at which a segment is closed and a new one begun.";
    "segment.index.bytes" => Int, "10485760", AtLeast(4), ClusterWide, Applied,
        "Size of an offset or time index at which a segment is closed.";
    "segment.jitter.ms" => Long, "0", AtLeast(0), ClusterWide, Applied,
        "Greatest random amount taken off segment.ms, so that segments do not all roll together.";
    "segment.ms" => Long, "604800000", AtLeast(1), ClusterWide, Applied,
        "Age at which a segment that holds data is closed and a new one begun.";
    "unclean.leader.election.enable" => Boolean, "false", Any, ClusterWide, Applied,
        "Whether a replica outside of the in-sync set may become leader when no other is alive, which can \
         lose records.";
};
