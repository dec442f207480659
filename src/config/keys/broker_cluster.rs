//! Broker keys of topics, metadata, replication and quotas (`ReplicationConfigs`, `MetadataLogConfig`,
//! `QuotaConfig`).

use crate::config::key::Check::*;
use crate::config::key::Class::{Applied, NoEffect, Refused};
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::*;

pub static KEYS: &[Key] = keys! {
    "alter.config.policy.class.name" => Class, null, Any, ReadOnly, Refused(PLUGIN),
        "Java class that may refuse configuration changes.";
    "alter.log.dirs.replication.quota.window.num" => Int, "11", AtLeast(1), ReadOnly, NoEffect(COPY_QUOTA),
        "Windows kept for the quota on moves between directories.";
    "alter.log.dirs.replication.quota.window.size.seconds" => Int, "1",
        AtLeast(1), ReadOnly, NoEffect(COPY_QUOTA),
        "Length of such a window.";
    "auto.create.topics.enable" => Boolean, "true", Any, ReadOnly, Applied,
        "Whether a topic that a client asks for is created.";
    "auto.leader.rebalance.enable" => Boolean, "true", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Whether leadership goes back to preferred replicas by itself.";
    "client.quota.callback.class" => Class, null, Any, ReadOnly, Refused(PLUGIN),
        "Java class that decides client quotas.";
    "controller.quota.window.num" => Int, "11", AtLeast(1), ReadOnly, Applied,
        "Windows kept for the quota on controller mutations.";
    "controller.quota.window.size.seconds" => Int, "1", AtLeast(1), ReadOnly, Applied,
        "Length of such a window.";
    "create.topic.policy.class.name" => Class, null, Any, ReadOnly, Refused(PLUGIN),
        "Java class that may refuse new topics.";
    "default.replication.factor" => Int, "1", Any, ReadOnly, Applied,
        "Replicas of a topic that is created without a count.";
    "delete.records.purgatory.purge.interval.requests" => Int, "1", Any, ReadOnly, NoEffect(PURGATORY),
        "Completed DeleteRecords after which Kafka's purgatory is swept.";
    "delete.topic.enable" => Boolean, "true", Any, ReadOnly, Applied,
        "Whether topics may be deleted.";
    internal "internal.metadata.delete.delay.millis" => Long, "60000", Any, ReadOnly, NoEffect(INTERNAL),
        "Time before a removed file of Kafka's metadata log is deleted.";
    internal "internal.metadata.log.segment.bytes" => Int, null, Any, ReadOnly, NoEffect(INTERNAL),
        "Segment size of Kafka's metadata log without its lower bound.";
    internal "internal.metadata.max.batch.size.in.bytes" => Int, "8388608", Any, ReadOnly, NoEffect(INTERNAL),
        "Largest batch of Kafka's metadata log.";
    "leader.imbalance.check.interval.seconds" => Long, "300", AtLeast(1), ReadOnly, NoEffect(ONE_BROKER),
        "Time between two looks for leadership that is not preferred.";
    "metadata.log.dir" => String, null, Any, ReadOnly, Applied,
        "Directory of the metadata log; unset, the first log directory.";
    "metadata.log.max.record.bytes.between.snapshots" => Long, "20971520", AtLeast(1), ReadOnly, Applied,
        "Bytes of metadata records after which a snapshot is written.";
    "metadata.log.max.snapshot.interval.ms" => Long, "3600000", AtLeast(0), ReadOnly, NoEffect(SNAPSHOT),
        "Time after which a snapshot is written if there are new records.";
    "metadata.log.segment.bytes" => Int, "1073741824", AtLeast(8388608), ReadOnly, Applied,
        "Size at which a segment of the metadata log is closed.";
    "metadata.log.segment.ms" => Long, "604800000", Any, ReadOnly, Applied,
        "Age at which a segment of the metadata log is closed.";
    "metadata.max.idle.interval.ms" => Int, "500", AtLeast(0), ReadOnly, NoEffect(SNAPSHOT),
        "Time between two no-op records of an idle controller.";
    "metadata.max.retention.bytes" => Long, "104857600", Any, ReadOnly, NoEffect(SNAPSHOT),
        "Size of metadata log and snapshots above which old ones go.";
    "metadata.max.retention.ms" => Long, "604800000", Any, ReadOnly, NoEffect(SNAPSHOT),
        "Age above which parts of the metadata log and snapshots go.";
    "num.partitions" => Int, "1", AtLeast(1), ReadOnly, Applied,
        "Partitions of a topic that is created without a count.";
    "num.replica.alter.log.dirs.threads" => Int, null, Any, ReadOnly, NoEffect(THREADS),
        "Threads that move replicas between directories.";
    "num.replica.fetchers" => Int, "1", AtLeast(1), ClusterWide, NoEffect(ONE_BROKER),
        "Fetcher threads for each source broker.";
    "producer.purgatory.purge.interval.requests" => Int, "1000", Any, ReadOnly, NoEffect(PURGATORY),
        "Completed produces after which Kafka's purgatory is swept.";
    "quota.window.num" => Int, "11", AtLeast(1), ReadOnly, Applied,
        "Windows kept for client quotas.";
    "quota.window.size.seconds" => Int, "1", AtLeast(1), ReadOnly, Applied,
        "Length of such a window.";
    "replica.fetch.backoff.ms" => Int, "1000", AtLeast(0), ReadOnly, NoEffect(ONE_BROKER),
        "Wait of a follower after a failed fetch.";
    "replica.fetch.max.bytes" => Int, "1048576", AtLeast(0), ReadOnly, NoEffect(ONE_BROKER),
        "Bytes a follower asks for from each partition.";
    "replica.fetch.min.bytes" => Int, "1", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Bytes a follower's fetch waits for.";
    "replica.fetch.response.max.bytes" => Int, "10485760", AtLeast(0), ReadOnly, NoEffect(ONE_BROKER),
        "Bytes a follower asks for in one fetch.";
    "replica.fetch.wait.max.ms" => Int, "500", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Longest wait of a follower's fetch.";
    "replica.high.watermark.checkpoint.interval.ms" => Long, "5000", Any, ReadOnly, Applied,
        "Time between two writes of the high watermarks.";
    "replica.lag.time.max.ms" => Long, "30000", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Time a follower may lag before it leaves the in-sync set.";
    "replica.selector.class" => String, null, Any, ReadOnly, NoEffect(ONE_BROKER),
        "Java class that chooses the replica a consumer reads from.";
    "replica.socket.receive.buffer.bytes" => Int, "65536", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Receive buffer of a follower's socket.";
    "replica.socket.timeout.ms" => Int, "30000", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Time a follower waits for an answer.";
    "replication.quota.window.num" => Int, "11", AtLeast(1), ReadOnly, NoEffect(COPY_QUOTA),
        "Windows kept for replication quotas.";
    "replication.quota.window.size.seconds" => Int, "1", AtLeast(1), ReadOnly, NoEffect(COPY_QUOTA),
        "Length of such a window.";
    internal "unclean.leader.election.interval.ms" => Long, "300000",
        AtLeast(1), ReadOnly, NoEffect(ONE_BROKER),
        "Time between two looks for partitions that need an unclean election.";
};
