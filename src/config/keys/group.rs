//! Group keys of Kafka 4.4 (`GroupConfig`).

use crate::config::key::Check::*;
use crate::config::key::Class::{Applied, NoEffect};
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::{INTERNAL, SHARE, STREAMS};

pub static KEYS: &[Key] = keys! {
    "consumer.assignment.interval.ms" => Int, "1000", AtLeast(0), ClusterWide, Applied,
        "Least time between two assignments of the consumer group.";
    internal "consumer.assignor.offload.enable" => Boolean, "true", Any, ClusterWide, NoEffect(INTERNAL),
        "Whether Kafka computes assignments on a background thread.";
    "consumer.heartbeat.interval.ms" => Int, "5000", AtLeast(1), ClusterWide, Applied,
        "Heartbeat interval told to members of the consumer group.";
    "consumer.session.timeout.ms" => Int, "45000", AtLeast(1), ClusterWide, Applied,
        "Time without a heartbeat after which a member of the consumer group is removed.";
    "errors.deadletterqueue.copy.record.enable" => Boolean, "false", Any, ClusterWide, NoEffect(SHARE),
        "Whether a dead letter holds the record itself.";
    "errors.deadletterqueue.topic.name" => String, "", Any, ClusterWide, NoEffect(SHARE),
        "Dead-letter topic of the share group.";
    "share.assignment.interval.ms" => Int, "1000", AtLeast(0), ClusterWide, NoEffect(SHARE),
        "Least time between two assignments of the share group.";
    internal "share.assignor.offload.enable" => Boolean, "true", Any, ClusterWide, NoEffect(SHARE),
        "Whether Kafka computes assignments on a background thread.";
    "share.auto.offset.reset" => String, "latest", ShareOffsetReset, ClusterWide, NoEffect(SHARE),
        "Where the share group begins: earliest, latest, or a duration ago.";
    "share.delivery.count.limit" => Int, "5", AtLeast(2), ClusterWide, NoEffect(SHARE),
        "Deliveries after which a record is given up.";
    "share.heartbeat.interval.ms" => Int, "5000", AtLeast(1), ClusterWide, NoEffect(SHARE),
        "Heartbeat interval told to members of the share group.";
    "share.isolation.level" => String, "read_uncommitted",
        OneOf(&["read_committed", "read_uncommitted"]), ClusterWide, NoEffect(SHARE),
        "Whether the share group sees records of open and aborted transactions.";
    "share.partition.max.record.locks" => Int, "2000", AtLeast(100), ClusterWide, NoEffect(SHARE),
        "Records of a partition that may be acquired at a time.";
    "share.record.lock.duration.ms" => Int, "30000", AtLeast(1000), ClusterWide, NoEffect(SHARE),
        "Time a consumer has to acknowledge a record.";
    "share.renew.acknowledge.enable" => Boolean, "true", Any, ClusterWide, NoEffect(SHARE),
        "Whether a consumer may extend that time.";
    "share.session.timeout.ms" => Int, "45000", AtLeast(1), ClusterWide, NoEffect(SHARE),
        "Time without a heartbeat after which a member of the share group is removed.";
    internal "streams.acceptable.recovery.lag" => Long, "10000", AtLeast(0), ClusterWide, NoEffect(STREAMS),
        "Lag below which a task counts as caught up.";
    "streams.assignment.interval.ms" => Int, "1000", AtLeast(0), ClusterWide, NoEffect(STREAMS),
        "Least time between two assignments of the streams group.";
    "streams.assignor.name" => String, null, Any, ClusterWide, NoEffect(STREAMS),
        "Assignor of the streams group; unset, the broker's first.";
    internal "streams.assignor.offload.enable" => Boolean, "true", Any, ClusterWide, NoEffect(STREAMS),
        "Whether Kafka computes assignments on a background thread.";
    "streams.heartbeat.interval.ms" => Int, "5000", AtLeast(1), ClusterWide, NoEffect(STREAMS),
        "Heartbeat interval told to members of the streams group.";
    "streams.initial.rebalance.delay.ms" => Int, "3000", AtLeast(0), ClusterWide, NoEffect(STREAMS),
        "Time the new streams group waits for further members.";
    "streams.num.standby.replicas" => Int, "0", AtLeast(0), ClusterWide, NoEffect(STREAMS),
        "Standby copies of each stateful task.";
    internal "streams.num.warmup.replicas" => Int, "2", AtLeast(0), ClusterWide, NoEffect(STREAMS),
        "Extra copies that warm up at a time.";
    "streams.rack.aware.assignment.tags" => List, "", Any, ClusterWide, NoEffect(STREAMS),
        "Client tags over which standby copies are spread.";
    "streams.session.timeout.ms" => Int, "45000", AtLeast(1), ClusterWide, NoEffect(STREAMS),
        "Time without a heartbeat after which a member of the streams group is removed.";
    internal "streams.task.offset.interval.ms" => Int, "60000", AtLeast(1), ClusterWide, NoEffect(STREAMS),
        "Time between two reports of a task's offsets.";
};
