//! Broker keys of the partition logs and their cleaner, most of them defaults for topics (`ServerLogConfigs`,
//! `CleanerConfig`).

use crate::config::key::Check::*;
use crate::config::key::Class::{Applied, NoEffect, Refused};
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::*;

pub static KEYS: &[Key] = keys! {
    "compression.gzip.level" => Int, "-1", GzipLevel, ClusterWide, Applied,
        "Default of the topic key of the same name.";
    "compression.lz4.level" => Int, "9", Between(1, 17), ClusterWide, Applied,
        "Default of the topic key of the same name.";
    "compression.type" => String, "producer",
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), ClusterWide, Applied,
        "Default of the topic key of the same name.";
    "compression.zstd.level" => Int, "3", Between(-131072, 22), ClusterWide, Applied,
        "Default of the topic key of the same name.";
    "cordoned.log.dirs" => List, "", Any, PerBroker, Refused(CORDON),
        "Log directories that get no new partitions.";
    "log.cleaner.backoff.ms" => Long, "15000", AtLeast(0), ClusterWide, Applied,
        "Time the cleaner sleeps when no log needs it.";
    "log.cleaner.dedupe.buffer.size" => Long, "134217728", Any, ClusterWide, Applied,
        "Most memory of the cleaner's key map, which takes 24 bytes for each key of a log's dirty part.";
    "log.cleaner.delete.retention.ms" => Long, "86400000", AtLeast(0), ClusterWide, Applied,
        "Default of the topic key delete.retention.ms.";
    "log.cleaner.enable" => Boolean, "true", Any, ReadOnly, Applied,
        "Whether compacted topics are compacted.";
    "log.cleaner.io.buffer.load.factor" => Double, "0.9", Any, ClusterWide, Applied,
        "How full the cleaner's key map may get; fuller is slower.";
    "log.cleaner.io.buffer.size" => Int, "524288", AtLeast(0), ClusterWide, NoEffect(CLEANER),
        "Memory of all Kafka cleaner threads for reading and writing.";
    "log.cleaner.io.max.bytes.per.second" => Double, "1.7976931348623157E308", Any, ClusterWide, Applied,
        "Most bytes a second the cleaner reads and writes.";
    "log.cleaner.max.compaction.lag.ms" => Long, "9223372036854775807", AtLeast(1), ClusterWide, Applied,
        "Default of the topic key max.compaction.lag.ms.";
    "log.cleaner.min.cleanable.ratio" => Double, "0.5", Ratio(0.0, 1.0), ClusterWide, Applied,
        "Default of the topic key min.cleanable.dirty.ratio.";
    "log.cleaner.min.compaction.lag.ms" => Long, "0", AtLeast(0), ClusterWide, Applied,
        "Default of the topic key min.compaction.lag.ms.";
    "log.cleaner.threads" => Int, "1", AtLeast(0), ClusterWide, NoEffect(CLEANER),
        "Kafka's cleaner threads.";
    "log.cleanup.policy" => List, "delete", EachOneOf(&["compact", "delete"]), ClusterWide, Applied,
        "Default of the topic key cleanup.policy.";
    "log.dir" => List, "/tmp/kafka-logs", Any, ReadOnly, Applied,
        "Directory of the data, used when log.dirs is not set.";
    "log.dir.failure.timeout.ms" => Long, "30000", AtLeast(1), ReadOnly, NoEffect(ONE_BROKER),
        "Time a broker may fail to tell the controller of a failed directory before it stops.";
    "log.dirs" => List, null, Any, ReadOnly, Applied,
        "Directories of the data, between which partitions are spread.";
    "log.flush.interval.messages" => Long, "9223372036854775807", AtLeast(1), ClusterWide, Applied,
        "Default of the topic key flush.messages.";
    "log.flush.interval.ms" => Long, null, Any, ClusterWide, Applied,
        "Default of the topic key flush.ms; unset, log.flush.scheduler.interval.ms counts.";
    "log.flush.offset.checkpoint.interval.ms" => Int, "60000", AtLeast(0), ReadOnly, Applied,
        "Time between two writes of the recovery points.";
    "log.flush.scheduler.interval.ms" => Long, "9223372036854775807", Any, ReadOnly, Applied,
        "Time between two looks for logs that must be forced to disk.";
    "log.flush.start.offset.checkpoint.interval.ms" => Int, "60000", AtLeast(0), ReadOnly, Applied,
        "Time between two writes of the log start offsets.";
    "log.index.interval.bytes" => Int, "4096", AtLeast(0), ClusterWide, Applied,
        "Default of the topic key index.interval.bytes.";
    "log.index.size.max.bytes" => Int, "10485760", AtLeast(4), ClusterWide, Applied,
        "Default of the topic key segment.index.bytes.";
    internal "log.initial.task.delay.ms" => Long, "30000", AtLeast(0), ReadOnly, NoEffect(INTERNAL),
        "Time after the start before Kafka's log tasks first run.";
    "log.local.retention.bytes" => Long, "-2", AtLeast(-2), ClusterWide, NoEffect(TIERED_OFF),
        "Default of the topic key local.retention.bytes.";
    "log.local.retention.ms" => Long, "-2", AtLeast(-2), ClusterWide, NoEffect(TIERED_OFF),
        "Default of the topic key local.retention.ms.";
    "log.message.timestamp.after.max.ms" => Long, "3600000", AtLeast(0), ClusterWide, Applied,
        "Default of the topic key message.timestamp.after.max.ms.";
    "log.message.timestamp.before.max.ms" => Long, "9223372036854775807", AtLeast(0), ClusterWide, Applied,
        "Default of the topic key message.timestamp.before.max.ms.";
    "log.message.timestamp.type" => String, "CreateTime",
        OneOf(&["CreateTime", "LogAppendTime"]), ClusterWide, Applied,
        "Default of the topic key message.timestamp.type.";
    "log.preallocate" => Boolean, "false", Any, ClusterWide, NoEffect(RESERVED),
        "Default of the topic key preallocate.";
    "log.remote.copy.lag.bytes" => Long, "-1", AtLeast(-1), ClusterWide, NoEffect(TIERED_OFF),
        "Default of the topic key remote.copy.lag.bytes.";
    "log.remote.copy.lag.ms" => Long, "0", AtLeast(-1), ClusterWide, NoEffect(TIERED_OFF),
        "Default of the topic key remote.copy.lag.ms.";
    "log.retention.bytes" => Long, "-1", Any, ClusterWide, Applied,
        "Default of the topic key retention.bytes.";
    "log.retention.check.interval.ms" => Long, "300000", AtLeast(1), ReadOnly, Applied,
        "Time between two looks for segments that retention removes.";
    "log.retention.hours" => Int, "168", Any, ReadOnly, Applied,
        "Default of the topic key retention.ms in hours; minutes and milliseconds go before it.";
    "log.retention.minutes" => Int, null, Any, ReadOnly, Applied,
        "Default of the topic key retention.ms in minutes; milliseconds go before it.";
    "log.retention.ms" => Long, null, Any, ClusterWide, Applied,
        "Default of the topic key retention.ms; unset, log.retention.minutes and then log.retention.hours \
         count.";
    "log.roll.hours" => Int, "168", AtLeast(1), ReadOnly, Applied,
        "Default of the topic key segment.ms in hours; milliseconds go before it.";
    "log.roll.jitter.hours" => Int, "0", AtLeast(0), ReadOnly, Applied,
        "Default of the topic key segment.jitter.ms in hours; milliseconds go before it.";
    "log.roll.jitter.ms" => Long, null, Any, ClusterWide, Applied,
        "Default of the topic key segment.jitter.ms; unset, log.roll.jitter.hours counts.";
    "log.roll.ms" => Long, null, Any, ClusterWide, Applied,
        "Default of the topic key segment.ms; unset, log.roll.hours counts.";
    "log.segment.bytes" => Int, "1073741824", AtLeast(1048576), ClusterWide, Applied,
        "Default of the topic key segment.bytes.";
    "log.segment.delete.delay.ms" => Long, "60000", AtLeast(0), ClusterWide, Applied,
        "Default of the topic key file.delete.delay.ms.";
    "max.decompressed.message.bytes" => Int, "2147483639", Between(1, 2147483639), ClusterWide, Applied,
        "Default of the topic key of the same name.";
    "message.max.bytes" => Int, "1048588", AtLeast(0), ClusterWide, Applied,
        "Default of the topic key max.message.bytes.";
    "min.insync.replicas" => Int, "1", AtLeast(1), ClusterWide, Applied,
        "Default of the topic key of the same name.";
    "num.recovery.threads.per.data.dir" => Int, "2", AtLeast(1), ClusterWide, NoEffect(THREADS),
        "Threads that load and flush the logs of a directory.";
    internal "producer.id.expiration.check.interval.ms" => Int, "600000",
        AtLeast(1), ReadOnly, Applied,
        "Time between two looks for expired producer ids.";
    "producer.id.expiration.ms" => Int, "86400000", AtLeast(1), ClusterWide, Applied,
        "Time without a write after which a partition forgets a producer id.";
    "unclean.leader.election.enable" => Boolean, "false", Any, ClusterWide, Applied,
        "Default of the topic key of the same name.";
};
