//! Which partitions a member of a group has, or should have. Kafka: `Assignment`, `MemberAssignment`.

use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::ids::{PartitionIndex, TopicId};

/// Partitions by topic. A topic without partitions is absent, so that equal assignments compare equal.
pub type Assignment = BTreeMap<TopicId, BTreeSet<PartitionIndex>>;
