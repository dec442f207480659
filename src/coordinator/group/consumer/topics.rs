//! What groups know of the cluster: its topics, and the settings of a group that has its own.
//!
//! Nobody calls the groups when topics change. A group remembers the version that it has seen and looks again at the
//! first heartbeat after a change. Kafka: `CoordinatorMetadataImage`, `GroupConfigManager`, `Utils.computeTopicHash`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use twox_hash::XxHash3_64;

use super::assignor::SubscribedTopics;
use crate::config::broker::GroupSettings;
use crate::config::group;
use crate::protocol::ids::{PartitionIndex, TopicId};

/// The topics of the moment.
pub type CurrentTopics = Arc<dyn Fn() -> Arc<dyn Topics> + Send + Sync>;

/// The settings of the moment of one group.
pub type CurrentConsumerSettings = Arc<dyn Fn(&str) -> ConsumerSettings + Send + Sync>;

/// What may be set for a single group: its own value, or the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerSettings {
    pub session_timeout_ms: i64,
    pub heartbeat_interval_ms: i32,
    /// Least time between two target assignments (KIP-1263).
    pub assignment_interval_ms: i64,
}

impl ConsumerSettings {
    /// `own` is what was set on the group itself.
    pub fn resolve(own: Option<&BTreeMap<String, String>>, settings: &GroupSettings) -> ConsumerSettings {
        // The controller has checked each value when it was set.
        let set = |name: &str| {
            let text = own?.get(name)?;
            group::find(name)?.parse(text).ok()?.integer()
        };
        let or = |name, default: i32| set(name).unwrap_or(i64::from(default));
        let heartbeat_interval_ms =
            or("consumer.heartbeat.interval.ms", settings.group_consumer_heartbeat_interval_ms);
        ConsumerSettings {
            session_timeout_ms: or("consumer.session.timeout.ms", settings.group_consumer_session_timeout_ms),
            heartbeat_interval_ms: i32::try_from(heartbeat_interval_ms).unwrap_or(i32::MAX),
            assignment_interval_ms: or(
                "consumer.assignment.interval.ms",
                settings.group_consumer_assignment_interval_ms,
            ),
        }
    }
}

/// What a shard asks beside its own settings.
#[derive(Clone)]
pub struct Surroundings {
    pub topics: CurrentTopics,
    pub consumer_settings: CurrentConsumerSettings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicShape {
    pub id: TopicId,
    pub partition_count: usize,
}

/// One version of the cluster's topics.
pub trait Topics: Send + Sync {
    /// Grows whenever something of this differs.
    fn version(&self) -> i64;

    /// The version at which the last topic was created, or one between that and the present one.
    fn created_version(&self) -> i64;

    fn by_name(&self, name: &str) -> Option<TopicShape>;

    fn name_of(&self, id: TopicId) -> Option<Arc<str>>;

    /// The racks of a partition's replicas, as often as each stands there.
    fn racks(&self, name: &str, partition: PartitionIndex) -> Vec<&str>;

    fn names(&self) -> Box<dyn Iterator<Item = &Arc<str>> + '_>;
}

/// The ids of those of `names` that exist.
pub fn topic_ids<'a>(names: impl Iterator<Item = &'a Arc<str>>, topics: &dyn Topics) -> BTreeSet<TopicId> {
    names.filter_map(|name| Some(topics.by_name(name)?.id)).collect()
}

/// A hash that differs when what matters of the named topics differs (KIP-1101). Names that do not exist do not count; 0
/// without any. `names` are in the order of their bytes.
pub fn metadata_hash<'a>(names: impl Iterator<Item = &'a Arc<str>>, topics: &dyn Topics) -> i64 {
    let mut hashes = Vec::new();
    for name in names {
        if let Some(shape) = topics.by_name(name) {
            hashes.extend(topic_hash(name, shape, topics).to_le_bytes());
        }
    }
    if hashes.is_empty() { 0 } else { XxHash3_64::oneshot(&hashes).cast_signed() }
}

/// The bytes are those that Kafka feeds its hash, or the first heartbeat after a coordinator moved between the two would
/// begin a rebalance.
fn topic_hash(name: &str, shape: TopicShape, topics: &dyn Topics) -> i64 {
    let mut bytes = Vec::with_capacity(40 + 2 * name.len() + 4 * shape.partition_count);
    let (most, least) = shape.id.0.as_u64_pair();
    bytes.push(0); // Version of the hash.
    bytes.extend(most.to_le_bytes());
    bytes.extend(least.to_le_bytes());
    put_text(&mut bytes, name);
    bytes.extend((shape.partition_count as i32).to_le_bytes());
    for partition in 0..shape.partition_count as i32 {
        bytes.extend(partition.to_le_bytes());
        let mut racks = topics.racks(name, PartitionIndex(partition));
        racks.sort_unstable();
        for rack in racks {
            bytes.extend((rack.encode_utf16().count() as i32).to_le_bytes());
            put_text(&mut bytes, rack);
        }
    }
    XxHash3_64::oneshot(&bytes).cast_signed()
}

/// UTF-16 units, then how many there are.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let start = bytes.len();
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    let count = (bytes.len() - start) / 2;
    bytes.extend((count as i32).to_le_bytes());
}

impl SubscribedTopics for &dyn Topics {
    fn partition_count(&self, topic: TopicId) -> Option<usize> {
        let name = self.name_of(topic)?;
        self.by_name(&name).map(|shape| shape.partition_count)
    }
}

#[cfg(test)]
pub(in crate::coordinator::group) mod tests;
