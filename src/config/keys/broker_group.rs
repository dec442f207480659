//! Broker keys of groups, committed offsets and transactions (`GroupCoordinatorConfig`,
//! `TransactionStateManagerConfig`).

use crate::config::key::Check::*;
use crate::config::key::Class::{Applied, NoEffect, Refused};
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::*;

pub static KEYS: &[Key] = keys! {
    "add.partitions.to.txn.retry.backoff.max.ms" => Int, "100", AtLeast(0), ReadOnly, Applied,
        "Longest wait before a partition is verified with the transaction coordinator again.";
    "add.partitions.to.txn.retry.backoff.ms" => Int, "20", AtLeast(1), ReadOnly, Applied,
        "Wait before a partition is verified with the transaction coordinator again.";
    "group.consumer.assignment.interval.ms" => Int, "1000", AtLeast(0), ClusterWide, Applied,
        "Least time between two assignments of a consumer group.";
    internal "group.consumer.assignor.offload.enable" => Boolean, "true",
        Any, ClusterWide, NoEffect(INTERNAL),
        "Whether Kafka computes assignments of consumer groups on a background thread.";
    "group.consumer.assignors" => List, "uniform,range",
        EachOneOf(&[
            "uniform",
            "range",
            "org.apache.kafka.coordinator.group.assignor.UniformAssignor",
            "org.apache.kafka.coordinator.group.assignor.RangeAssignor",
        ]),
        ReadOnly, Applied,
        "Server-side assignors, the default first.";
    "group.consumer.heartbeat.interval.ms" => Int, "5000", AtLeast(1), ReadOnly, Applied,
        "Heartbeat interval told to members of consumer groups.";
    "group.consumer.max.assignment.interval.ms" => Int, "15000", AtLeast(0), ReadOnly, Applied,
        "Upper bound of a group's consumer.assignment.interval.ms.";
    "group.consumer.max.heartbeat.interval.ms" => Int, "15000", AtLeast(1), ReadOnly, Applied,
        "Upper bound of a group's consumer.heartbeat.interval.ms.";
    "group.consumer.max.session.timeout.ms" => Int, "60000", AtLeast(1), ReadOnly, Applied,
        "Upper bound of a group's consumer.session.timeout.ms.";
    "group.consumer.max.size" => Int, "2147483647", AtLeast(1), ReadOnly, Applied,
        "Most members of a consumer group.";
    "group.consumer.migration.policy" => String, "bidirectional",
        OneOfIgnoringCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), ReadOnly, Applied,
        "Which way groups may change between the classic and the consumer protocol while they have members.";
    "group.consumer.min.assignment.interval.ms" => Int, "0", AtLeast(0), ReadOnly, Applied,
        "Lower bound of a group's consumer.assignment.interval.ms.";
    "group.consumer.min.heartbeat.interval.ms" => Int, "5000", AtLeast(1), ReadOnly, Applied,
        "Lower bound of a group's consumer.heartbeat.interval.ms.";
    "group.consumer.min.session.timeout.ms" => Int, "45000", AtLeast(1), ReadOnly, Applied,
        "Lower bound of a group's consumer.session.timeout.ms.";
    internal "group.consumer.regex.refresh.interval.ms" => Int, "600000", AtLeast(10000), ReadOnly, Applied,
        "Time after which a subscribed pattern is matched against the topics again.";
    "group.consumer.session.timeout.ms" => Int, "45000", AtLeast(1), ReadOnly, Applied,
        "Time without a heartbeat after which a member of a consumer group is removed.";
    "group.coordinator.append.linger.ms" => Int, "-1", AtLeast(-1), ReadOnly, NoEffect(BUFFERS),
        "Time the group coordinator gathers records before it writes them.";
    "group.coordinator.background.threads" => Int, "2", AtLeast(1), ReadOnly, NoEffect(THREADS),
        "Kafka's background threads of the group coordinator.";
    "group.coordinator.cached.buffer.max.bytes" => Int, "1048588",
        AtLeast(524288), ClusterWide, NoEffect(BUFFERS),
        "Largest write buffer Kafka's group coordinator keeps.";
    "group.coordinator.rebalance.protocols" => List, "classic,consumer,streams",
        EachOneOf(&["consumer", "classic", "share", "streams"]), ReadOnly, Applied,
        "Group protocols that are served.";
    "group.coordinator.threads" => Int, "4", AtLeast(1), ReadOnly, NoEffect(THREADS),
        "Kafka's threads of the group coordinator.";
    "group.initial.rebalance.delay.ms" => Int, "3000", Any, ReadOnly, Applied,
        "Time a new classic group waits for further members before its first rebalance.";
    "group.max.session.timeout.ms" => Int, "1800000", Any, ReadOnly, Applied,
        "Longest session timeout a member of a classic group may ask for.";
    "group.max.size" => Int, "2147483647", AtLeast(1), ReadOnly, Applied,
        "Most members of a classic group.";
    "group.min.session.timeout.ms" => Int, "6000", Any, ReadOnly, Applied,
        "Shortest session timeout a member of a classic group may ask for.";
    "offset.metadata.max.bytes" => Int, "4096", Any, ReadOnly, Applied,
        "Largest metadata text of a committed offset.";
    "offsets.commit.timeout.ms" => Int, "5000", AtLeast(1), ReadOnly, Applied,
        "Time an offset commit waits for its replicas.";
    "offsets.load.buffer.size" => Int, "5242880", AtLeast(1), ReadOnly, NoEffect(BUFFERS),
        "Read buffer of Kafka's group coordinator when it loads.";
    "offsets.retention.check.interval.ms" => Long, "600000", AtLeast(1), ReadOnly, Applied,
        "Time between two looks for expired offsets.";
    "offsets.retention.minutes" => Int, "10080", AtLeast(1), ReadOnly, Applied,
        "Time after which the offsets of an empty group expire.";
    "offsets.topic.compression.codec" => Int, "0", Any, ReadOnly, Applied,
        "Codec of the offsets topic as its number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.";
    "offsets.topic.num.partitions" => Int, "50", AtLeast(1), ReadOnly, Applied,
        "Partitions of the offsets topic.";
    "offsets.topic.replication.factor" => Short, "3", AtLeast(1), ReadOnly, Applied,
        "Replicas of the offsets topic.";
    "offsets.topic.segment.bytes" => Int, "104857600", AtLeast(1), ReadOnly, Applied,
        "Segment size of the offsets topic.";
    "transaction.abort.timed.out.transaction.cleanup.interval.ms" => Int, "10000",
        AtLeast(1), ReadOnly, Applied,
        "Time between two looks for transactions that have timed out.";
    "transaction.max.timeout.ms" => Int, "900000", AtLeast(1), ReadOnly, Applied,
        "Longest timeout a transaction may ask for.";
    "transaction.partition.verification.enable" => Boolean, "true", Any, ClusterWide, Applied,
        "Whether a partition checks that a transaction is under way before it takes its records.";
    "transaction.remove.expired.transaction.cleanup.interval.ms" => Int, "3600000",
        AtLeast(1), ReadOnly, Applied,
        "Time between two looks for expired transactional ids.";
    "transaction.state.log.load.buffer.size" => Int, "5242880", AtLeast(1), ReadOnly, NoEffect(BUFFERS),
        "Read buffer of Kafka's transaction coordinator when it loads.";
    "transaction.state.log.min.isr" => Int, "2", AtLeast(1), ReadOnly, Applied,
        "In-sync replicas that a write to the transaction topic needs.";
    "transaction.state.log.num.partitions" => Int, "50", AtLeast(1), ReadOnly, Applied,
        "Partitions of the transaction topic.";
    "transaction.state.log.replication.factor" => Short, "3", AtLeast(1), ReadOnly, Applied,
        "Replicas of the transaction topic.";
    "transaction.state.log.segment.bytes" => Int, "104857600", AtLeast(1), ReadOnly, Applied,
        "Segment size of the transaction topic.";
    "transaction.two.phase.commit.enable" => Boolean, "false", Any, ReadOnly, Refused(TWO_PHASE),
        "Whether a transaction may be left to an outside coordinator without a timeout.";
    "transactional.id.expiration.ms" => Int, "604800000", AtLeast(1), ReadOnly, Applied,
        "Time without use after which a transactional id expires.";
};
