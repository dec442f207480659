//! Broker keys of share groups (KIP-932) and streams groups (KIP-1071), which this build does not serve.

use crate::config::key::Check::*;
use crate::config::key::Class::NoEffect;
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::{SHARE, STREAMS};

pub static KEYS: &[Key] = keys! {
    "errors.deadletterqueue.auto.create.topics.enable" => Boolean, "false", Any, ClusterWide, NoEffect(SHARE),
        "Whether a dead-letter topic is created when it is first needed.";
    "errors.deadletterqueue.topic.name.prefix" => String, "dlq.", Any, ClusterWide, NoEffect(SHARE),
        "What the names of dead-letter topics begin with.";
    "group.share.assignment.interval.ms" => Int, "1000", AtLeast(0), ClusterWide, NoEffect(SHARE),
        "Least time between two assignments of a share group.";
    internal "group.share.assignor.offload.enable" => Boolean, "true", Any, ClusterWide, NoEffect(SHARE),
        "Whether Kafka computes assignments of share groups on a background thread.";
    "group.share.assignors" => List, "simple", Any, ReadOnly, NoEffect(SHARE),
        "Server-side assignors of share groups.";
    "group.share.delivery.count.limit" => Int, "5", Between(2, 10), ReadOnly, NoEffect(SHARE),
        "Deliveries after which a record is given up.";
    internal "group.share.dlq.manager.class.name" => String,
        "org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager",
        Any, ReadOnly, NoEffect(SHARE),
        "Java class that writes dead letters.";
    "group.share.heartbeat.interval.ms" => Int, "5000", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Heartbeat interval told to members of share groups.";
    internal "group.share.initialize.retry.interval.ms" => Int, "30000",
        AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Wait before the state of a share partition is initialized again.";
    "group.share.max.assignment.interval.ms" => Int, "15000", AtLeast(0), ReadOnly, NoEffect(SHARE),
        "Upper bound of a group's share.assignment.interval.ms.";
    "group.share.max.delivery.count.limit" => Int, "10", Between(5, 25), ReadOnly, NoEffect(SHARE),
        "Upper bound of a group's share.delivery.count.limit.";
    "group.share.max.heartbeat.interval.ms" => Int, "15000", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Upper bound of a group's share.heartbeat.interval.ms.";
    "group.share.max.partition.max.record.locks" => Int, "4000",
        Between(2000, 10000), ReadOnly, NoEffect(SHARE),
        "Upper bound of a group's share.partition.max.record.locks.";
    "group.share.max.record.lock.duration.ms" => Int, "60000",
        Between(30000, 3600000), ReadOnly, NoEffect(SHARE),
        "Upper bound of a group's share.record.lock.duration.ms.";
    "group.share.max.session.timeout.ms" => Int, "60000", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Upper bound of a group's share.session.timeout.ms.";
    "group.share.max.share.sessions" => Int, "2000", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Share sessions that are kept.";
    "group.share.max.size" => Int, "200", Between(1, 1000), ReadOnly, NoEffect(SHARE),
        "Most members of a share group.";
    "group.share.min.assignment.interval.ms" => Int, "0", AtLeast(0), ReadOnly, NoEffect(SHARE),
        "Lower bound of a group's share.assignment.interval.ms.";
    "group.share.min.delivery.count.limit" => Int, "2", Between(2, 5), ReadOnly, NoEffect(SHARE),
        "Lower bound of a group's share.delivery.count.limit.";
    "group.share.min.heartbeat.interval.ms" => Int, "5000", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Lower bound of a group's share.heartbeat.interval.ms.";
    "group.share.min.partition.max.record.locks" => Int, "100", Between(100, 2000), ReadOnly, NoEffect(SHARE),
        "Lower bound of a group's share.partition.max.record.locks.";
    "group.share.min.record.lock.duration.ms" => Int, "15000",
        Between(1000, 30000), ReadOnly, NoEffect(SHARE),
        "Lower bound of a group's share.record.lock.duration.ms.";
    "group.share.min.session.timeout.ms" => Int, "45000", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Lower bound of a group's share.session.timeout.ms.";
    "group.share.partition.max.record.locks" => Int, "2000", Between(100, 10000), ReadOnly, NoEffect(SHARE),
        "Records of a share partition that may be acquired at a time.";
    internal "group.share.persister.class.name" => String,
        "org.apache.kafka.server.share.persister.DefaultStatePersister",
        Any, ReadOnly, NoEffect(SHARE),
        "Java class that persists the state of share groups.";
    "group.share.record.lock.duration.ms" => Int, "30000", Between(1000, 3600000), ReadOnly, NoEffect(SHARE),
        "Time a consumer has to acknowledge a record.";
    "group.share.session.timeout.ms" => Int, "45000", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Time without a heartbeat after which a member of a share group is removed.";
    internal "group.streams.acceptable.recovery.lag" => Long, "10000",
        AtLeast(0), ReadOnly, NoEffect(STREAMS),
        "Lag below which a task counts as caught up.";
    "group.streams.assignment.interval.ms" => Int, "1000", AtLeast(0), ClusterWide, NoEffect(STREAMS),
        "Least time between two assignments of a streams group.";
    internal "group.streams.assignor.offload.enable" => Boolean, "true", Any, ClusterWide, NoEffect(STREAMS),
        "Whether Kafka computes assignments of streams groups on a background thread.";
    "group.streams.assignors" => List, "sticky", Any, ReadOnly, NoEffect(STREAMS),
        "Server-side assignors of streams groups.";
    "group.streams.heartbeat.interval.ms" => Int, "5000", AtLeast(1), ReadOnly, NoEffect(STREAMS),
        "Heartbeat interval told to members of streams groups.";
    "group.streams.initial.rebalance.delay.ms" => Int, "3000", AtLeast(0), ReadOnly, NoEffect(STREAMS),
        "Time a new streams group waits for further members.";
    "group.streams.max.assignment.interval.ms" => Int, "15000", AtLeast(0), ReadOnly, NoEffect(STREAMS),
        "Upper bound of a group's streams.assignment.interval.ms.";
    "group.streams.max.heartbeat.interval.ms" => Int, "15000", AtLeast(1), ReadOnly, NoEffect(STREAMS),
        "Upper bound of a group's streams.heartbeat.interval.ms.";
    "group.streams.max.session.timeout.ms" => Int, "60000", AtLeast(1), ReadOnly, NoEffect(STREAMS),
        "Upper bound of a group's streams.session.timeout.ms.";
    "group.streams.max.size" => Int, "2147483647", AtLeast(1), ReadOnly, NoEffect(STREAMS),
        "Most members of a streams group.";
    "group.streams.max.standby.replicas" => Int, "2", AtLeast(0), ReadOnly, NoEffect(STREAMS),
        "Upper bound of a group's streams.num.standby.replicas.";
    internal "group.streams.max.warmup.replicas" => Int, "20", AtLeast(0), ReadOnly, NoEffect(STREAMS),
        "Upper bound of a group's streams.num.warmup.replicas.";
    "group.streams.min.assignment.interval.ms" => Int, "0", AtLeast(0), ReadOnly, NoEffect(STREAMS),
        "Lower bound of a group's streams.assignment.interval.ms.";
    "group.streams.min.heartbeat.interval.ms" => Int, "5000", AtLeast(1), ReadOnly, NoEffect(STREAMS),
        "Lower bound of a group's streams.heartbeat.interval.ms.";
    "group.streams.min.session.timeout.ms" => Int, "45000", AtLeast(1), ReadOnly, NoEffect(STREAMS),
        "Lower bound of a group's streams.session.timeout.ms.";
    internal "group.streams.min.task.offset.interval.ms" => Int, "15000",
        AtLeast(1), ReadOnly, NoEffect(STREAMS),
        "Lower bound of a group's streams.task.offset.interval.ms.";
    "group.streams.num.standby.replicas" => Int, "0", AtLeast(0), ReadOnly, NoEffect(STREAMS),
        "Standby copies of each stateful task.";
    internal "group.streams.num.warmup.replicas" => Int, "2", AtLeast(0), ReadOnly, NoEffect(STREAMS),
        "Extra copies that warm up at a time.";
    "group.streams.rack.aware.assignment.tags" => List, "", Any, ReadOnly, NoEffect(STREAMS),
        "Client tags over which standby copies are spread.";
    "group.streams.session.timeout.ms" => Int, "45000", AtLeast(1), ReadOnly, NoEffect(STREAMS),
        "Time without a heartbeat after which a member of a streams group is removed.";
    internal "group.streams.task.offset.interval.ms" => Int, "60000", AtLeast(1), ReadOnly, NoEffect(STREAMS),
        "Time between two reports of a task's offsets.";
    "group.streams.topology.description.plugin.class" => Class, null, Any, ReadOnly, NoEffect(STREAMS),
        "Java class that keeps descriptions of topologies.";
    "share.coordinator.append.linger.ms" => Int, "-1", AtLeast(-1), ReadOnly, NoEffect(SHARE),
        "Time the share coordinator gathers records before it writes them.";
    "share.coordinator.cached.buffer.max.bytes" => Int, "1048588",
        AtLeast(524288), ClusterWide, NoEffect(SHARE),
        "Largest write buffer Kafka's share coordinator keeps.";
    internal "share.coordinator.cold.partition.snapshot.interval.ms" => Int, "300000",
        AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Time after which the state of an unused share partition is written as a snapshot.";
    "share.coordinator.load.buffer.size" => Int, "5242880", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Read buffer of Kafka's share coordinator when it loads.";
    "share.coordinator.snapshot.update.records.per.snapshot" => Int, "500",
        Between(0, 500), ReadOnly, NoEffect(SHARE),
        "Updates of a share partition's state between two snapshots.";
    "share.coordinator.state.topic.compression.codec" => Int, "0", Any, ReadOnly, NoEffect(SHARE),
        "Codec of the share state topic as its number.";
    "share.coordinator.state.topic.min.isr" => Short, "2", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "In-sync replicas that a write to the share state topic needs.";
    "share.coordinator.state.topic.num.partitions" => Int, "50", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Partitions of the share state topic.";
    internal "share.coordinator.state.topic.prune.interval.ms" => Int, "300000",
        AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Time between two removals of old share state.";
    "share.coordinator.state.topic.replication.factor" => Short, "3", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Replicas of the share state topic.";
    "share.coordinator.state.topic.segment.bytes" => Int, "104857600", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Segment size of the share state topic.";
    "share.coordinator.threads" => Int, "1", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Kafka's threads of the share coordinator.";
    "share.coordinator.write.timeout.ms" => Int, "5000", AtLeast(1), ReadOnly, NoEffect(SHARE),
        "Time a write of the share coordinator waits for its replicas.";
    "share.fetch.purgatory.purge.interval.requests" => Int, "1000", Any, ReadOnly, NoEffect(SHARE),
        "Completed share fetches after which Kafka's purgatory is swept.";
};
