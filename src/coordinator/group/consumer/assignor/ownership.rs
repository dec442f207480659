//! Who owns each partition of the subscribed topics, while the uniform assignor decides.
//!
//! Members are numbers here, in the order of their ids; topics too. A partition has at most one owner, and the owner
//! subscribes to its topic, whatever assignments came in: members that came from the classic protocol can claim a
//! partition twice, or one that a topic does not have. The first claim by a subscriber holds.

use super::{Members, PartitionCounts};
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::protocol::ids::{PartitionIndex, TopicId};

pub(super) struct Ownership {
    /// In the order of ids.
    pub topics: Vec<OwnedTopic>,
}

pub(super) struct OwnedTopic {
    pub id: TopicId,
    /// The owner of each partition.
    pub owners: Vec<Option<usize>>,
}

impl Ownership {
    /// What members keep of what they had, when they only give up what is not theirs to have.
    pub fn new(members: &Members, counts: &PartitionCounts) -> Ownership {
        let topic = |(&id, &count)| OwnedTopic { id, owners: vec![None; count] };
        let mut ownership = Ownership { topics: counts.iter().map(topic).collect() };
        for (index, member) in members.values().enumerate() {
            let subscribed = member.assigned.iter().filter(|(topic, _)| member.topics.contains(topic));
            for (topic, partitions) in subscribed {
                let topic = ownership.position(*topic);
                for partition in partitions {
                    let owner = ownership.topics[topic].owners.get_mut(partition.0 as usize);
                    if let Some(owner @ None) = owner {
                        *owner = Some(index);
                    }
                }
            }
        }
        ownership
    }

    /// The number of a subscribed topic.
    pub fn position(&self, topic: TopicId) -> usize {
        let position = self.topics.binary_search_by_key(&topic, |topic| topic.id);
        position.expect("subscribed topics were counted")
    }

    pub fn partition_count(&self) -> usize {
        self.topics.iter().map(|topic| topic.owners.len()).sum()
    }

    /// What each member owns, by its number.
    pub fn into_assignments(self, member_count: usize) -> Vec<Assignment> {
        let mut assignments = vec![Assignment::new(); member_count];
        for topic in self.topics {
            for (partition, owner) in topic.owners.into_iter().enumerate() {
                let owner = owner.expect("every partition of a subscribed topic has an owner");
                assignments[owner].entry(topic.id).or_default().insert(PartitionIndex(partition as i32));
            }
        }
        assignments
    }
}
