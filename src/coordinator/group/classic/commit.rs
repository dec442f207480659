//! What committed offsets ask of their group: who may commit, what members read, what may expire or be deleted. Kafka:
//! `ClassicGroup.validateOffsetCommit`, `isSubscribedToTopic`, `offsetExpirationCondition` (KIP-211, KIP-447, KIP-496).

use std::sync::Arc;

use imbl::OrdSet;

use super::group::{ClassicGroup, Phase};
use super::member::MemberEvent;
use crate::coordinator::shard::Now;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Timestamp;

/// From when on the retention time of an offset counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetExpiration {
    /// Members are there, and what they read is not known.
    Never,
    /// Since each offset's commit. Offsets of topics that members read stay.
    SinceCommit,
    /// Since the group has been empty, for all of its offsets.
    Since(Timestamp),
}

impl ClassicGroup {
    /// Whether this member may commit. Tools and consumers without a group commit with generation -1 while nobody is
    /// a member.
    pub fn validate_offset_commit(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.is_empty() {
            return Ok(());
        }
        if generation >= 0 || !member_id.is_empty() || instance_id.is_some() {
            self.validate_member(member_id, instance_id)?;
            if generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else {
            return Err(ErrorCode::UnknownMemberId);
        }
        match &self.phase {
            // It knows of the new generation, so it has been told to sync first.
            Phase::CompletingRebalance { .. } => Err(ErrorCode::RebalanceInProgress),
            Phase::Empty | Phase::PreparingRebalance { .. } | Phase::Stable => Ok(()),
        }
    }

    /// KIP-447: whether this member may commit in its transaction. Producers that tell nothing of their group are taken
    /// at their word, and members may commit while the group rebalances.
    pub fn validate_transactional_commit(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        let tells_nothing = member_id.is_empty() && instance_id.is_none();
        if generation < 0 && (self.is_empty() || tells_nothing) {
            return Ok(());
        }
        self.validate_member(member_id, instance_id)?;
        match generation == self.generation {
            true => Ok(()),
            false => Err(ErrorCode::IllegalGeneration),
        }
    }

    /// A commit shows that the member lives, as a heartbeat does.
    pub fn session_touched(&self, member_id: &str, now: Now) -> Option<MemberEvent> {
        self.members.get(member_id).map(|member| member.heard(now))
    }

    /// KIP-496: whether members read `topic`. A consumer group whose topics are not known reads all of them.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    pub fn offset_expiration(&self) -> OffsetExpiration {
        if self.protocol_type.is_none() {
            return OffsetExpiration::SinceCommit;
        }
        match &self.phase {
            Phase::Empty => {
                self.current_state_timestamp.map_or(OffsetExpiration::SinceCommit, OffsetExpiration::Since)
            }
            Phase::Stable if self.uses_consumer_protocol() && self.subscribed_topics.is_some() => {
                OffsetExpiration::SinceCommit
            }
            Phase::Stable | Phase::PreparingRebalance { .. } | Phase::CompletingRebalance { .. } => {
                OffsetExpiration::Never
            }
        }
    }

    /// DeleteGroups takes groups without members.
    pub fn validate_delete(&self) -> Result<(), ErrorCode> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// OffsetDelete also takes topics that members of a consumer group do not read.
    pub fn validate_offset_delete(&self) -> Result<(), ErrorCode> {
        match self.is_empty() || self.uses_consumer_protocol() {
            true => Ok(()),
            false => Err(ErrorCode::NonEmptyGroup),
        }
    }
}

/// The topics that consumers name in what they tell their leader. `None` when the group is no consumer group, or
/// when one of them cannot be read.
pub(super) fn subscribed_topics(group: &ClassicGroup) -> Option<OrdSet<Arc<str>>> {
    if !group.uses_consumer_protocol() {
        return None;
    }
    if group.members.is_empty() {
        return Some(OrdSet::new());
    }
    let protocol = group.protocol.as_deref()?;
    let mut topics = OrdSet::new();
    for member in group.members.values() {
        read_topics(&member.metadata(Some(protocol)), &mut topics)?;
    }
    Some(topics)
}

/// Every version of `ConsumerProtocolSubscription` begins with its version and the names of topics.
fn read_topics(mut bytes: &[u8], topics: &mut OrdSet<Arc<str>>) -> Option<()> {
    let version = i16::from_be_bytes(*take(&mut bytes)?);
    let count = i32::from_be_bytes(*take(&mut bytes)?);
    if version < 0 || count < 0 {
        return None;
    }
    for _ in 0..count {
        let length = usize::try_from(i16::from_be_bytes(*take(&mut bytes)?)).ok()?;
        let (name, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        topics.insert(Arc::from(std::str::from_utf8(name).ok()?));
    }
    Some(())
}

fn take<'a, const LENGTH: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; LENGTH]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}
