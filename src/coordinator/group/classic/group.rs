//! The state of one classic group, and the questions that rules ask of it. Kafka: `ClassicGroup`.
//!
//! Members are in persistent maps: a copy of the group, which every decision changes in place of the group itself, costs
//! a few pointers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use imbl::{OrdMap, OrdSet};

use super::member::{Member, Protocol};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Timestamp;

/// `protocol_type` of consumers.
pub const CONSUMER: &str = "consumer";

/// What the leader decided: bytes by member id.
pub type Assignments = Arc<BTreeMap<Arc<str>, Bytes>>;

/// The first rebalance of an empty group waits for further members (`group.initial.rebalance.delay.ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialDelay {
    pub delay_ms: i64,
    /// What is left of the rebalance timeout for further delays.
    pub remaining_ms: i64,
    /// Somebody joined since the delay began, so there will be another.
    pub member_added: bool,
}

/// Where the group is between two generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No members; offsets may remain.
    Empty,
    /// Members are to join again, until the deadline.
    PreparingRebalance {
        deadline_ms: i64,
        initial: Option<InitialDelay>,
    },
    /// The leader is to send the assignment; `storing` has come and is being committed.
    CompletingRebalance {
        storing: Option<Assignments>,
    },
    Stable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGroup {
    pub id: Arc<str>,
    pub phase: Phase,
    pub generation: i32,
    /// `None` for a group that only stores offsets.
    pub protocol_type: Option<Arc<str>>,
    /// Chosen for the generation.
    pub protocol: Option<Arc<str>>,
    pub leader: Option<Arc<str>>,
    /// When the phase began; `None` in old records.
    pub current_state_timestamp: Option<Timestamp>,
    pub members: OrdMap<Arc<str>, Member>,
    /// Member id by `group.instance.id`.
    pub static_members: OrdMap<Arc<str>, Arc<str>>,
    /// Ids that were given away and have not joined with it (KIP-394), and until when they may.
    pub pending_joins: OrdMap<Arc<str>, i64>,
    /// Until when members may owe SyncGroup (KAFKA-9752).
    pub sync_deadline_ms: Option<i64>,
    /// Topics that the members of a generation read; `None` when they cannot be known.
    pub subscribed_topics: Option<OrdSet<Arc<str>>>,
    /// Where the shard's deadlines list this group: at [`ClassicGroup::next_deadline`] or earlier.
    pub listed_ms: Option<i64>,
}

impl ClassicGroup {
    /// A group without members that has never had any.
    pub fn new(id: Arc<str>, created: Timestamp) -> ClassicGroup {
        ClassicGroup {
            id,
            phase: Phase::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            current_state_timestamp: Some(created),
            members: OrdMap::new(),
            static_members: OrdMap::new(),
            pending_joins: OrdMap::new(),
            sync_deadline_ms: None,
            subscribed_topics: None,
            listed_ms: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self.phase, Phase::Empty)
    }

    pub fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// The longest of its members.
    pub fn rebalance_timeout_ms(&self) -> i64 {
        i64::from(self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0))
    }

    pub fn awaiting_join_count(&self) -> usize {
        self.members.values().filter(|member| member.is_awaiting_join()).count()
    }

    pub fn has_all_members_joined(&self) -> bool {
        self.pending_joins.is_empty() && self.members.values().all(Member::is_awaiting_join)
    }

    /// Whether a join with these protocols fits the group: the same type, and one that all members can do.
    pub fn supports_protocols(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.all_support(&protocol.name))
    }

    fn all_support(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.supports(protocol))
    }

    /// The protocol with the most votes among those that all members can do.
    pub fn select_protocol(&self) -> Option<Arc<str>> {
        let (_, first) = self.members.get_min()?;
        let candidates: Vec<&Arc<str>> = first
            .protocols
            .iter()
            .map(|protocol| &protocol.name)
            .filter(|name| self.all_support(name))
            .collect();
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote =
                member.protocols.iter().map(|protocol| &protocol.name).find(|name| candidates.contains(name));
            if let Some(name) = vote {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.clone())
    }

    /// Whether this is the member it says it is: a static member's id changes with every restart, and the older
    /// ones are fenced.
    pub fn validate_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<&Member, ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if **current != *member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)
    }

    /// The earliest time at which [`super::timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<i64> {
        let phase = match &self.phase {
            Phase::PreparingRebalance { deadline_ms, .. } => Some(*deadline_ms),
            Phase::Empty | Phase::CompletingRebalance { .. } | Phase::Stable => None,
        };
        let sessions = self.members.values().filter_map(Member::failure_deadline);
        let pending = self.pending_joins.values().copied();
        sessions.chain(pending).chain(phase).chain(self.sync_deadline_ms).min()
    }

    /// Its state as tools are shown it.
    pub fn state_name(&self) -> &'static str {
        match &self.phase {
            Phase::Empty => "Empty",
            Phase::PreparingRebalance { .. } => "PreparingRebalance",
            Phase::CompletingRebalance { .. } => "CompletingRebalance",
            Phase::Stable => "Stable",
        }
    }
}
