//! What DescribeGroups and ListGroups show of a group. Kafka: `GroupMetadataManager.describeGroups`, `listGroups`.

use std::sync::Arc;

use bytes::Bytes;

use super::group::{ClassicGroup, Phase};
use super::member::Member;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    pub state: &'static str,
    pub protocol_type: Arc<str>,
    /// Of a stable group; empty else.
    pub protocol: Arc<str>,
    pub members: Vec<MemberDescription>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// Of a stable group; empty else.
    pub metadata: Bytes,
    pub assignment: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub group: Arc<str>,
    pub protocol_type: Arc<str>,
    pub state: &'static str,
    /// `Group.GroupType`, as tools are shown it.
    pub group_type: &'static str,
}

/// The type of classic groups.
const CLASSIC: &str = "classic";

impl ClassicGroup {
    pub fn describe(&self) -> GroupDescription {
        let protocol = match &self.phase {
            Phase::Stable => self.protocol.clone(),
            Phase::Empty | Phase::PreparingRebalance { .. } | Phase::CompletingRebalance { .. } => None,
        };
        let member = |member: &Member| MemberDescription {
            member_id: member.member_id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.metadata(protocol.as_deref()),
            assignment: member.assignment.clone(),
        };
        GroupDescription {
            state: self.state_name(),
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| Arc::from("")),
            members: self.members.values().map(member).collect(),
            protocol: protocol.clone().unwrap_or_else(|| Arc::from("")),
        }
    }

    pub fn list(&self) -> ListedGroup {
        ListedGroup {
            group: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| Arc::from("")),
            state: self.state_name(),
            group_type: CLASSIC,
        }
    }
}
