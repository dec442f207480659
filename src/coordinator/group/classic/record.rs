//! A group as its record in `__consumer_offsets`, and back. Kafka: `GroupCoordinatorRecordHelpers.newGroupMetadataRecord`,
//! `GroupMetadataManager.replay(GroupMetadataKey, GroupMetadataValue)`.

use std::sync::Arc;

use imbl::OrdMap;

use super::commit::subscribed_topics;
use super::group::{Assignments, ClassicGroup, Phase};
use super::member::{Awaiting, Member, Protocol};
use crate::coordinator::group::records::{GroupValue, MemberValue};
use crate::protocol::ids::Timestamp;

impl ClassicGroup {
    /// The group as the log keeps it, with the assignments of its members or with these.
    pub fn to_record(&self, assignments: Option<&Assignments>) -> GroupValue {
        let member = |member: &Member| MemberValue {
            member_id: member.member_id.to_string(),
            group_instance_id: member.instance_id.as_deref().map(str::to_owned),
            client_id: member.client_id.to_string(),
            client_host: member.client_host.to_string(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(self.protocol.as_deref()),
            assignment: match assignments {
                None => member.assignment.clone(),
                Some(assignments) => assignments.get(&member.member_id).cloned().unwrap_or_default(),
            },
        };
        GroupValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or("").to_owned(),
            generation: self.generation,
            protocol: self.protocol.as_deref().map(str::to_owned),
            leader: self.leader.as_deref().map(str::to_owned),
            current_state_timestamp: self.current_state_timestamp.unwrap_or(Timestamp::NONE),
            members: self.members.values().map(member).collect(),
        }
    }

    /// The group as a coordinator finds it in the log: stable, or without members. What its members can do
    /// besides the chosen protocol, and who was waiting, is not in the log.
    pub fn from_record(id: Arc<str>, value: &GroupValue) -> ClassicGroup {
        let protocol = value.protocol.as_deref().map(Arc::from);
        let name: Arc<str> = protocol.clone().unwrap_or_else(|| Arc::from(""));
        let members: OrdMap<Arc<str>, Member> = value
            .members
            .iter()
            .map(|stored| load_member(stored, &name))
            .map(|member| (member.member_id.clone(), member))
            .collect();
        let instance = |member: &Member| Some((member.instance_id.clone()?, member.member_id.clone()));
        let mut group = ClassicGroup {
            phase: if members.is_empty() { Phase::Empty } else { Phase::Stable },
            generation: value.generation,
            protocol_type: Some(value.protocol_type.as_str()).filter(|text| !text.is_empty()).map(Arc::from),
            protocol,
            leader: value.leader.as_deref().map(Arc::from),
            current_state_timestamp: Some(value.current_state_timestamp).filter(|at| *at != Timestamp::NONE),
            static_members: members.values().filter_map(instance).collect(),
            members,
            ..ClassicGroup::new(id, Timestamp::NONE)
        };
        group.subscribed_topics = subscribed_topics(&group);
        group
    }
}

fn load_member(stored: &MemberValue, protocol: &Arc<str>) -> Member {
    let offered = Protocol { name: protocol.clone(), metadata: stored.subscription.clone() };
    Member {
        member_id: Arc::from(stored.member_id.as_str()),
        instance_id: stored.group_instance_id.as_deref().map(Arc::from),
        client_id: Arc::from(stored.client_id.as_str()),
        client_host: Arc::from(stored.client_host.as_str()),
        // Records of version 0 have no rebalance timeout.
        rebalance_timeout_ms: match stored.rebalance_timeout_ms {
            -1 => stored.session_timeout_ms,
            timeout_ms => timeout_ms,
        },
        session_timeout_ms: stored.session_timeout_ms,
        protocols: Arc::from([offered]),
        assignment: stored.assignment.clone(),
        awaiting: Awaiting::Nothing,
        is_new: false,
        owes_sync: false,
        // The session begins when the shard is loaded.
        session_deadline_ms: 0,
    }
}
