//! Groups that change their protocol while they have members: the first consumer-protocol member of a classic group makes
//! it a consumer group, and the last one to leave makes it a classic one again. Kafka: `convertToConsumerGroup`,
//! `ConsumerGroup.fromClassicGroup`, `convertToClassicGroup`, `ClassicGroup.fromConsumerGroup`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::assignment::Assignment;
use super::draft::Draft;
use super::embedded;
use super::group::{ConsumerGroup, Member};
use super::topics::metadata_hash;
use crate::config::broker::GroupSettings;
use crate::coordinator::group::classic::group::{CONSUMER, ClassicGroup, Phase};
use crate::coordinator::group::classic::join::JoinResponse;
use crate::coordinator::group::classic::member::{Awaiting, Member as ClassicMember};
use crate::coordinator::group::classic::sync::SyncResponse;
use crate::coordinator::group::command::Response;
use crate::coordinator::group::records::Record;
use crate::coordinator::group::records::consumer::{
    ClassicMetadata, ConsumerRecord, CurrentAssignment, GroupEpoch, MemberMetadata, MemberState, TargetEpoch,
};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Now, RequestId};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::Timestamp;
use crate::protocol::wire::Malformed;

/// `group.consumer.migration.policy`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::coordinator::group) struct Policy {
    pub may_upgrade: bool,
    pub may_downgrade: bool,
}

impl Policy {
    pub fn of(settings: &GroupSettings) -> Policy {
        let is = |name| settings.group_consumer_migration_policy.eq_ignore_ascii_case(name);
        let both = is("BIDIRECTIONAL");
        Policy { may_upgrade: both || is("UPGRADE"), may_downgrade: both || is("DOWNGRADE") }
    }
}

/// A consumer group in the place of a classic one: its members have what they had, in the epoch of their generation, and
/// those that wait are told to join anew.
pub(super) fn upgrade(shard: &GroupShard, classic: &ClassicGroup, now: Now) -> Result<Draft, ApiError> {
    check_upgrade(classic, &(shard.settings)())?;
    let tombstone = Record::Group(classic.id.clone(), None);
    let mut draft = Draft::new(shard, ConsumerGroup::new(classic.id.clone()), vec![tombstone], now);
    let members = classic.members.values().map(|member| Ok((member, draft.upgraded(classic, member)?)));
    let members = members.collect::<Result<Vec<_>, Refusal>>().map_err(|refusal| {
        ApiError::new(
            ErrorCode::GroupIdNotFound,
            format!("Cannot upgrade classic group {} to consumer group because {}.", classic.id, refusal.0),
        )
    })?;
    for (member, (metadata, _)) in &members {
        draft.write(ConsumerRecord::Member(member.member_id.clone(), Some(metadata.clone())));
    }
    let hash = metadata_hash(draft.group.subscribed_topics.keys(), &*draft.topics);
    draft.write(ConsumerRecord::Epoch(Some(GroupEpoch { epoch: classic.generation, metadata_hash: hash })));
    for (member, (_, assigned)) in &members {
        draft.write(ConsumerRecord::Target(member.member_id.clone(), Some(assigned.clone())));
    }
    let made = TargetEpoch { epoch: classic.generation, timestamp: Timestamp(0) };
    draft.write(ConsumerRecord::TargetEpoch(Some(made)));
    for (member, (_, assigned)) in members {
        let current = stable(assigned.as_ref(), classic.generation);
        draft.write(ConsumerRecord::Current(member.member_id.clone(), Some(Arc::new(current))));
        draft.heard(&member.member_id);
        draft.tell_to_rejoin(member);
    }
    Ok(draft)
}

/// Why a member's bytes cannot be taken over.
struct Refusal(&'static str);

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Refusal {
        Refusal("the embedded consumer protocol is malformed")
    }
}

const CUSTOM_ASSIGNOR: Refusal = Refusal(
    "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor \
     before re-attempting the upgrade",
);

fn check_upgrade(classic: &ClassicGroup, settings: &GroupSettings) -> Result<(), ApiError> {
    let reason = if !Policy::of(settings).may_upgrade {
        "online upgrade is disabled"
    } else if !classic.uses_consumer_protocol() {
        "the group does not use the consumer embedded protocol"
    } else if classic.members.len() > settings.group_consumer_max_size {
        "the group size exceeds the consumer group maximum size"
    } else {
        return Ok(());
    };
    let message = format!("Cannot upgrade classic group {} to consumer group because {reason}.", classic.id);
    Err(ApiError::new(ErrorCode::GroupIdNotFound, message))
}

/// What a member had has been its own since the generation.
fn stable(assigned: &Assignment, generation: i32) -> CurrentAssignment {
    let since = |(topic, partitions): (&_, &std::collections::BTreeSet<_>)| {
        (*topic, partitions.iter().map(|partition| (*partition, generation)).collect())
    };
    CurrentAssignment {
        member_epoch: generation,
        previous_member_epoch: generation,
        state: MemberState::Stable,
        assigned: assigned.iter().map(since).collect(),
        ..CurrentAssignment::new()
    }
}

impl Draft {
    /// A member of a classic group as one of a consumer group, and its partitions.
    fn upgraded(
        &self,
        classic: &ClassicGroup,
        member: &ClassicMember,
    ) -> Result<(Arc<MemberMetadata>, Arc<Assignment>), Refusal> {
        let assigned = if member.assignment.is_empty() {
            // It has joined and has not synced yet.
            Assignment::new()
        } else {
            let embedded = embedded::read_assignment(&member.assignment)?;
            if embedded.has_user_data {
                return Err(CUSTOM_ASSIGNOR);
            }
            embedded::by_topic_id(&embedded.partitions, &*self.topics)
        };
        // Before its first generation the group has not chosen a protocol.
        let chosen = classic.protocol.clone().or_else(|| classic.select_protocol());
        let subscription = embedded::read_subscription(&member.metadata(chosen.as_deref()))?;
        let protocols = member.protocols.clone();
        let metadata = MemberMetadata {
            instance_id: member.instance_id.clone(),
            rack_id: subscription.rack_id,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            subscribed_topics: subscription.topics,
            subscribed_regex: None,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            server_assignor: None,
            classic: Some(ClassicMetadata { session_timeout_ms: member.session_timeout_ms, protocols }),
        };
        Ok((Arc::new(metadata), Arc::new(assigned)))
    }

    fn tell_to_rejoin(&mut self, member: &ClassicMember) {
        let error = ErrorCode::RebalanceInProgress;
        match member.awaiting {
            Awaiting::Nothing => {}
            Awaiting::Join(request) => {
                self.reply(request, Response::Join(JoinResponse::error(&member.member_id, error)));
            }
            Awaiting::Sync(request) => self.reply(request, Response::Sync(SyncResponse::error(error))),
        }
    }

    /// Whether only members of the classic protocol are left without these, and the group may be theirs.
    pub(super) fn is_to_downgrade(&self, without: &[Arc<str>]) -> bool {
        let left = || self.group.members.iter().filter(|(id, _)| !without.contains(id));
        let count = left().count();
        count > 0
            && left().all(|(_, member)| member.metadata.classic.is_some())
            && Policy::of(&self.settings).may_downgrade
            && count <= self.settings.group_max_size
    }

    /// Makes the group a classic one without these members. `rebalances`: its members are asked to join anew.
    pub(super) fn downgrade(
        &mut self,
        without: &[Arc<str>],
        generation: i32,
        rebalances: bool,
    ) -> Result<(), ApiError> {
        let classic = self.downgraded(without, generation).map_err(|cause| {
            let message = format!("Cannot downgrade the classic group {}: {cause}.", self.group.id);
            ApiError::new(ErrorCode::GroupIdNotFound, message)
        })?;
        let tombstones = self.group.tombstones();
        self.become_classic(tombstones, classic, rebalances);
        Ok(())
    }

    fn downgraded(&self, without: &[Arc<str>], generation: i32) -> Result<ClassicGroup, Malformed> {
        let mut classic = ClassicGroup::new(self.group.id.clone(), self.now.wall);
        classic.phase = Phase::Stable;
        classic.generation = generation;
        classic.protocol_type = Some(Arc::from(CONSUMER));
        for (id, member) in self.group.members.iter().filter(|(id, _)| !without.contains(id)) {
            let Some(member) = self.downgraded_member(id, member) else { continue };
            if let Some(instance_id) = &member.instance_id {
                classic.static_members.insert(instance_id.clone(), id.clone());
            }
            classic.members.insert(id.clone(), member);
        }
        classic.leader = classic.members.keys().next().cloned();
        classic.protocol = classic.select_protocol();
        let mut assignments: BTreeMap<Arc<str>, Bytes> = BTreeMap::new();
        for (id, member) in &classic.members {
            let nothing = Arc::default();
            let target = self.group.targets.get(id).unwrap_or(&nothing);
            let version = embedded::version_of(&member.metadata(classic.protocol.as_deref()))?;
            let bytes = embedded::write_assignment(target, version, &*self.topics);
            assignments.insert(id.clone(), bytes);
        }
        for (id, bytes) in assignments {
            classic.members.get_mut(&id).expect("the id is one of the members'").assignment = bytes;
        }
        // As a coordinator finds it in the log, with what its members can do besides.
        let stored = ClassicGroup::from_record(classic.id.clone(), &classic.to_record(None));
        classic.subscribed_topics = stored.subscribed_topics;
        Ok(classic)
    }

    /// `None` for a member that does not use the classic protocol.
    fn downgraded_member(&self, id: &Arc<str>, member: &Member) -> Option<ClassicMember> {
        let metadata = &member.metadata;
        let classic = metadata.classic.as_ref()?;
        Some(ClassicMember {
            member_id: id.clone(),
            instance_id: metadata.instance_id.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            rebalance_timeout_ms: metadata.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic.protocols.clone(),
            assignment: Bytes::new(),
            awaiting: Awaiting::Nothing,
            is_new: false,
            owes_sync: false,
            session_deadline_ms: self.now.uptime_ms + i64::from(classic.session_timeout_ms),
        })
    }

    fn reply(&mut self, request: RequestId, response: Response) {
        self.replies.push((request, response));
    }
}
