//! One member of a classic group. Kafka: `ClassicGroupMember`.

use std::sync::Arc;

use bytes::Bytes;

use super::join::JoinRequest;
use crate::coordinator::shard::{Now, RequestId};

/// An assignment protocol that a member can do, and what it tells the leader in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: Arc<str>,
    pub metadata: Bytes,
}

/// What a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaiting {
    Nothing,
    Join(RequestId),
    Sync(RequestId),
}

/// A member was heard of: its session lasts until this uptime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEvent {
    pub member_id: Arc<str>,
    pub session_deadline_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    /// As Java prints an address without a name: `/127.0.0.1`.
    pub client_host: Arc<str>,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// In the order of the member's preference.
    pub protocols: Arc<[Protocol]>,
    pub assignment: Bytes,
    pub awaiting: Awaiting,
    /// It has not been in a generation: it may be expired although its join waits.
    pub is_new: bool,
    /// It has the generation's join answer, and has not sent SyncGroup.
    pub owes_sync: bool,
    pub session_deadline_ms: i64,
}

/// How long the join of a new member waits. It does not know its id and cannot heartbeat; a client that has gone in the
/// meantime would be carried for ever.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

impl Member {
    pub fn joining(member_id: Arc<str>, request: &JoinRequest, id: RequestId, now: Now) -> Member {
        Member {
            member_id,
            instance_id: request.instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            awaiting: Awaiting::Join(id),
            is_new: true,
            owes_sync: false,
            session_deadline_ms: now.uptime_ms + NEW_MEMBER_JOIN_TIMEOUT_MS,
        }
    }

    pub fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    pub fn is_awaiting_join(&self) -> bool {
        matches!(self.awaiting, Awaiting::Join(_))
    }

    /// What it tells the leader in `protocol`; empty when it cannot do it.
    pub fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let found = self.protocols.iter().find(|offered| Some(&*offered.name) == protocol);
        found.map_or_else(Bytes::new, |offered| offered.metadata.clone())
    }

    pub fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|offered| &*offered.name == protocol)
    }

    /// When it has failed; `None` while it waits for an answer, which counts as being alive.
    pub fn failure_deadline(&self) -> Option<i64> {
        match self.awaiting {
            Awaiting::Nothing => Some(self.session_deadline_ms),
            Awaiting::Join(_) | Awaiting::Sync(_) => self.is_new.then_some(self.session_deadline_ms),
        }
    }

    pub fn restart_session(&mut self, now: Now) {
        self.session_deadline_ms = now.uptime_ms + i64::from(self.session_timeout_ms);
    }
}
