//! What ConsumerGroupDescribe and ListGroups show of a group. Kafka: `ConsumerGroup.asDescribedGroup`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::assignment::Assignment;
use super::assignor::Assignor;
use super::group::{ConsumerGroup, GroupState, Member};
use super::target::configured_assignors;
use crate::config::broker::GroupSettings;
use crate::coordinator::group::classic::describe::ListedGroup;
use crate::coordinator::group::records::consumer::CurrentAssignment;

/// Type and protocol type of consumer groups.
const CONSUMER: &str = "consumer";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupDescription {
    pub state: &'static str,
    pub epoch: i32,
    pub assignment_epoch: i32,
    /// The one that most members ask for, or the broker's first.
    pub assignor: Arc<str>,
    pub members: Vec<MemberDescription>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    pub member_epoch: i32,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscribed_topics: BTreeSet<Arc<str>>,
    pub subscribed_regex: Option<Arc<str>>,
    /// With what is still to be given up.
    pub assignment: Assignment,
    pub target: Assignment,
    pub uses_classic_protocol: bool,
}

impl GroupState {
    /// As tools are shown it.
    pub fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::Assigning => "Assigning",
            GroupState::Reconciling => "Reconciling",
            GroupState::Stable => "Stable",
        }
    }
}

impl ConsumerGroup {
    pub fn describe(&self, settings: &GroupSettings) -> ConsumerGroupDescription {
        let default = || configured_assignors(settings).next().map_or("", Assignor::name);
        ConsumerGroupDescription {
            state: self.state().name(),
            epoch: self.epoch,
            assignment_epoch: self.target_epoch.epoch,
            assignor: self.preferred_assignor().cloned().unwrap_or_else(|| Arc::from(default())),
            members: self.members.iter().map(|(id, member)| self.describe_member(id, member)).collect(),
        }
    }

    pub fn list(&self) -> ListedGroup {
        ListedGroup {
            group: self.id.clone(),
            protocol_type: Arc::from(CONSUMER),
            state: self.state().name(),
            group_type: CONSUMER,
        }
    }

    fn describe_member(&self, id: &Arc<str>, member: &Member) -> MemberDescription {
        let metadata = &member.metadata;
        MemberDescription {
            member_id: id.clone(),
            instance_id: metadata.instance_id.clone(),
            rack_id: metadata.rack_id.clone(),
            member_epoch: member.epoch(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            subscribed_topics: metadata.subscribed_topics.clone(),
            subscribed_regex: metadata.subscribed_regex.clone(),
            assignment: owned(&member.current),
            target: self.targets.get(id).map(|target| Assignment::clone(target)).unwrap_or_default(),
            uses_classic_protocol: metadata.classic.is_some(),
        }
    }
}

fn owned(current: &CurrentAssignment) -> Assignment {
    let mut owned = Assignment::new();
    for (topic, partitions) in current.assigned.iter().chain(&current.pending_revocation) {
        owned.entry(*topic).or_default().extend(partitions.keys());
    }
    owned
}
