//! Broker keys that exist only as dynamic values (`QuotaConfig`, KIP-73): altered, never set by a file.

use crate::config::key::Check::AtLeast;
use crate::config::key::Class::{Applied, NoEffect};
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::ONE_BROKER;

pub static KEYS: &[Key] = keys! {
    "follower.replication.throttled.rate" => Long, "9223372036854775807",
        AtLeast(0), ClusterWide, NoEffect(ONE_BROKER),
        "Bytes a second that throttled followers together may fetch.";
    "leader.replication.throttled.rate" => Long, "9223372036854775807",
        AtLeast(0), ClusterWide, NoEffect(ONE_BROKER),
        "Bytes a second that throttled leaders together may serve.";
    "replica.alter.log.dirs.io.max.bytes.per.second" => Long, "9223372036854775807",
        AtLeast(0), ClusterWide, Applied,
        "Bytes a second that are copied when replicas move between directories.";
};
