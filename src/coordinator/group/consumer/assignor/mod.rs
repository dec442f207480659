//! The server-side assignors of KIP-848: who of a group should have which partitions, as a pure function of who is
//! there, what they subscribe to and what they should have had so far.
//!
//! `range.rs` gives every member neighbouring partitions of each topic; `uniform.rs` gives members equal numbers of
//! partitions and moves few of them, with one builder for groups whose members agree on their topics (`homogeneous.rs`)
//! and one for all others (`heterogeneous.rs`, with `balancer.rs`), both over the owners in `ownership.rs`. Results are
//! those of Kafka 4.4's `RangeAssignor` and `UniformAssignor` when theirs walk members and topics in the order of ids;
//! Kafka walks hash tables, so it breaks ties otherwise from one group to the next.
//!
//! Nothing here walks members times partitions. Racks are told and, as in Kafka 4.4, not looked at.

mod balancer;
mod heterogeneous;
mod homogeneous;
mod ownership;
mod range;
mod uniform;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::coordinator::group::consumer::assignment::Assignment;
use crate::protocol::ids::TopicId;

/// The assignors a group can choose from, by `ServerAssignor` in a heartbeat or `group.consumer.assignors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    Uniform,
    Range,
}

impl Assignor {
    /// In the order of Kafka's default `group.consumer.assignors`: the first is what a group gets that does not ask.
    pub const ALL: [Assignor; 2] = [Assignor::Uniform, Assignor::Range];

    pub fn parse(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }
}

/// What an assignor knows of a member.
#[derive(Clone, Debug, Default)]
pub struct MemberSpec {
    pub instance_id: Option<Arc<str>>,
    pub rack: Option<Arc<str>>,
    /// The subscription, by name and by regex, resolved to topics that exist.
    pub topics: BTreeSet<TopicId>,
    /// What the member should have had so far: its target assignment, not what it has acknowledged.
    pub assigned: Assignment,
}

/// What an assignor knows of topics. Kafka: `SubscribedTopicDescriber`.
pub trait SubscribedTopics {
    /// `None` when there is no such topic.
    fn partition_count(&self, topic: TopicId) -> Option<usize>;
}

/// Why there is no assignment. Kafka: `PartitionAssignorException`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssignorError {
    TopicDoesNotExist(TopicId),
}

impl fmt::Display for AssignorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AssignorError::TopicDoesNotExist(topic) => write!(
                formatter,
                "Members are subscribed to topic {topic} which doesn't exist in the topic metadata."
            ),
        }
    }
}

impl std::error::Error for AssignorError {}

/// Members by id, what each should have had so far included.
type Members = BTreeMap<Arc<str>, MemberSpec>;

/// How many partitions each topic has that anybody subscribes to.
type PartitionCounts = BTreeMap<TopicId, usize>;

/// The target assignment of every member; who gets nothing is there with an empty one.
pub fn assign(
    assignor: Assignor,
    members: &BTreeMap<Arc<str>, MemberSpec>,
    topics: &dyn SubscribedTopics,
) -> Result<BTreeMap<Arc<str>, Assignment>, AssignorError> {
    let subscribed: BTreeSet<TopicId> =
        members.values().flat_map(|member| member.topics.iter().copied()).collect();
    let count = |topic: TopicId| match topics.partition_count(topic) {
        Some(count) => Ok((topic, count)),
        None => Err(AssignorError::TopicDoesNotExist(topic)),
    };
    let counts: PartitionCounts = subscribed.into_iter().map(count).collect::<Result<_, _>>()?;
    let assignments = match assignor {
        Assignor::Uniform => uniform::assign(members, &counts),
        Assignor::Range => range::assign(members, &counts),
    };
    assert_eq!(assignments.len(), members.len(), "every member gets an assignment, if an empty one");
    Ok(assignments)
}
