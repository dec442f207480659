//! The `range` assignor: each member gets neighbouring partitions of each of its topics. Kafka: `RangeAssignor`.
//!
//! A topic's partitions are cut in as many ranges as it has subscribers, the first ones longer by one where they do not
//! come out even. Members take their ranges in one order for all topics, so topics with equally many partitions and the
//! same subscribers are co-partitioned: partition n of each goes to the same member. What members had is not looked
//! at; they keep what they have as far as their place in the order stays. Static members come first, by
//! instance id, so that a restart under another member id moves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{MemberSpec, Members, PartitionCounts};
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::protocol::ids::{PartitionIndex, TopicId};

/// What is left of a topic for the subscribers whose turn is yet to come.
#[derive(Default)]
struct Remaining {
    partitions: usize,
    subscribers: usize,
    next: usize,
}

impl Remaining {
    /// The next subscriber's range.
    fn take(&mut self) -> BTreeSet<PartitionIndex> {
        // Dividing what is left again at each turn puts the longer ranges first.
        let size = self.partitions.div_ceil(self.subscribers);
        let range = self.next..self.next + size;
        self.partitions -= size;
        self.subscribers -= 1;
        self.next = range.end;
        range.map(|index| PartitionIndex(index as i32)).collect()
    }
}

pub(super) fn assign(members: &Members, counts: &PartitionCounts) -> BTreeMap<Arc<str>, Assignment> {
    let topic = |(&topic, &partitions)| (topic, Remaining { partitions, ..Remaining::default() });
    let mut remaining: BTreeMap<TopicId, Remaining> = counts.iter().map(topic).collect();
    for topic in members.values().flat_map(|member| &member.topics) {
        remaining.get_mut(topic).expect("subscribed topics were counted").subscribers += 1;
    }

    let mut in_order: Vec<(&Arc<str>, &MemberSpec)> = members.iter().collect();
    in_order.sort_by_key(|(id, member)| match &member.instance_id {
        Some(instance_id) => (false, instance_id),
        None => (true, *id),
    });

    let mut assignments = BTreeMap::new();
    for (id, member) in in_order {
        let mut assignment = Assignment::new();
        for topic in &member.topics {
            let range = remaining.get_mut(topic).expect("subscribed topics were counted").take();
            if !range.is_empty() {
                assignment.insert(*topic, range);
            }
        }
        assignments.insert(id.clone(), assignment);
    }
    assignments
}
