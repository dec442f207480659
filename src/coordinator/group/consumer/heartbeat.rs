//! ConsumerGroupHeartbeat of a member that joins or stays: its epoch is checked, what it says of itself is stored, the
//! group's targets are made when they are due, and the member goes one step towards its own. Most heartbeats change
//! nothing but a session, and write nothing. Kafka: `GroupMetadataManager.consumerGroupHeartbeat`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::assignment::Assignment;
use super::draft::Draft;
use super::group::{ConsumerGroup, GroupEvent, Member, Owed, RebalanceTimer, STATIC_LEAVE_EPOCH};
use super::leave::leave;
use super::migrate::upgrade;
use super::reconcile::Reconciliation;
use super::request::{HeartbeatRequest, HeartbeatResponse};
use super::topics::topic_ids;
use crate::coordinator::group::command::Response;
use crate::coordinator::group::groups::Group;
use crate::coordinator::group::records::Record;
use crate::coordinator::group::records::consumer::{
    ConsumerRecord, CurrentAssignment, MemberMetadata, MemberState, OwnedPartitions,
};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Now, Outcome, RequestId};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::uuid_text;

pub(in crate::coordinator::group) fn heartbeat(
    shard: &GroupShard,
    request: HeartbeatRequest,
    id: RequestId,
    now: Now,
) -> Result<Outcome<GroupShard>, ApiError> {
    request.validate(&(shard.settings)())?;
    if request.is_leaving() {
        return leave(shard, &request, id, now);
    }
    let mut draft = open(shard, &request, now)?;
    let response = draft.heartbeat(&request)?;
    let mut outcome = draft.finish();
    outcome.replies.push((id, Response::ConsumerHeartbeat(response)));
    Ok(outcome)
}

/// The group that the request is about. A join makes one that does not exist, takes the place of a classic group that
/// nobody is a member of, and turns one with members into a consumer group.
fn open(shard: &GroupShard, request: &HeartbeatRequest, now: Now) -> Result<Draft, ApiError> {
    let draft = |group, before| Draft::new(shard, group, before, now);
    let created = || ConsumerGroup::new(request.group.clone());
    match shard.groups.get(&request.group) {
        Some(Group::Consumer(group)) => Ok(draft(ConsumerGroup::clone(group), Vec::new())),
        None if request.is_joining() => Ok(draft(created(), Vec::new())),
        None => Err(ApiError::new(
            ErrorCode::GroupIdNotFound,
            format!("Consumer group {} not found.", request.group),
        )),
        Some(Group::Classic(classic)) if request.is_joining() && classic.is_empty() => {
            Ok(draft(created(), vec![Record::Group(request.group.clone(), None)]))
        }
        Some(Group::Classic(classic)) if request.is_joining() => upgrade(shard, classic, now),
        Some(Group::Classic(_)) => Err(not_a_consumer_group(&request.group)),
    }
}

pub(super) fn not_a_consumer_group(group: &str) -> ApiError {
    ApiError::new(ErrorCode::GroupIdNotFound, format!("Group {group} is not a consumer group."))
}

impl Draft {
    fn heartbeat(&mut self, request: &HeartbeatRequest) -> Result<HeartbeatResponse, ApiError> {
        self.check_size(&request.member_id, request.instance_id.as_deref())?;
        let assignor_before = self.assignor();
        let member_id = match request.member_id.is_empty() {
            true => Arc::from(uuid_text(request.fresh_uuid)),
            false => request.member_id.clone(),
        };
        let before = match &request.instance_id {
            None => self.dynamic_member(&member_id, request)?,
            Some(instance_id) => self.static_member(&member_id, instance_id, request)?,
        };
        let has_resolved = self.resolve_left_regexes();
        let has_changed_topics = self.store_metadata(&member_id, &before, request);
        if before.metadata.classic.is_some() {
            // It owes nothing to the protocol that it has left.
            for owed in [Owed::Join, Owed::Sync] {
                self.note(GroupEvent::Owes { member_id: member_id.clone(), owed, deadline_ms: None });
            }
        }
        let has_changed_regex = self.update_regex(&before.metadata, &member_id)?;
        let has_refreshed = self.refresh_regexes()? || has_resolved;
        let has_changed_assignor = assignor_before != self.assignor();
        let has_changed_subscription = has_changed_topics || has_changed_regex;
        self.refresh_subscription(has_changed_subscription || has_refreshed || has_changed_assignor);
        self.update_targets()?;
        self.reconcile(&member_id, has_changed_subscription, request.owned.as_ref())?;
        self.heard(&member_id);
        let after = self.group.member(&member_id)?;
        let tells_assignment =
            request.is_joining() || request.is_full() || before.current.assigned != after.current.assigned;
        Ok(HeartbeatResponse {
            member_id,
            member_epoch: after.epoch(),
            heartbeat_interval_ms: self.own.heartbeat_interval_ms,
            assignment: tells_assignment.then(|| partitions(&after.current.assigned)),
        })
    }

    /// `group.consumer.max.size`
    pub(super) fn check_size(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ApiError> {
        let (group, limit) = (&self.group, self.settings.group_consumer_max_size);
        let is_member = group.members.contains_key(member_id)
            || instance_id.is_some_and(|instance| group.static_members.contains_key(instance));
        if is_member || group.members.len() < limit {
            return Ok(());
        }
        let message = format!("The consumer group has reached its maximum capacity of {limit} members.");
        Err(ApiError::new(ErrorCode::GroupMaxSizeReached, message))
    }

    fn dynamic_member(&self, member_id: &Arc<str>, request: &HeartbeatRequest) -> Result<Member, ApiError> {
        let member = match self.group.members.get(member_id) {
            None if request.is_joining() => return Ok(Member::unknown()),
            Some(_) | None => self.group.member(member_id)?,
        };
        check_epoch(member, request)?;
        Ok(member.clone())
    }

    /// A static member that has left for a while comes back under a new id, and has what it had.
    fn static_member(
        &mut self,
        member_id: &Arc<str>,
        instance_id: &str,
        request: &HeartbeatRequest,
    ) -> Result<Member, ApiError> {
        let existing = self.group.static_member(instance_id).map(|(id, member)| (id.clone(), member.clone()));
        let Some((owner_id, owner)) = existing else {
            return match request.is_joining() {
                true => Ok(self.group.members.get(member_id).cloned().unwrap_or_else(Member::unknown)),
                false => Err(unknown_instance(instance_id)),
            };
        };
        if !request.is_joining() {
            check_instance(&owner_id, member_id, instance_id)?;
            check_epoch(&owner, request)?;
            return Ok(owner);
        }
        if owner.epoch() != STATIC_LEAVE_EPOCH && owner.metadata.classic.is_none() {
            let message = format!(
                "Static member {member_id} with instance id {instance_id} cannot join the group because the instance \
                 id is owned by {owner_id} member."
            );
            return Err(ApiError::new(ErrorCode::UnreleasedInstanceId, message));
        }
        Ok(self.replace(&owner_id, &owner, member_id))
    }

    /// `member_id` is from here on what another member was.
    pub(super) fn replace(&mut self, owner_id: &Arc<str>, owner: &Member, member_id: &Arc<str>) -> Member {
        let current = CurrentAssignment {
            member_epoch: 0,
            previous_member_epoch: 0,
            ..CurrentAssignment::clone(&owner.current)
        };
        let member = Member { metadata: owner.metadata.clone(), current: Arc::new(current) };
        let target = self.group.targets.get(owner_id).cloned().unwrap_or_default();
        self.remove(owner_id);
        self.write(ConsumerRecord::Member(member_id.clone(), Some(member.metadata.clone())));
        self.write(ConsumerRecord::Target(member_id.clone(), Some(target)));
        self.write(ConsumerRecord::Current(member_id.clone(), Some(member.current.clone())));
        member
    }

    /// Stores what the member says of itself, if it is new. Whether it names other topics than before.
    fn store_metadata(&mut self, member_id: &Arc<str>, before: &Member, request: &HeartbeatRequest) -> bool {
        if self.group.members.contains_key(member_id) && request.repeats(&before.metadata) {
            return false;
        }
        self.store(member_id, before, request.metadata(&before.metadata))
    }

    /// Stores what a member is known as. Whether it names other topics than before.
    pub(super) fn store(&mut self, member_id: &Arc<str>, before: &Member, metadata: MemberMetadata) -> bool {
        if self.group.members.get(member_id).is_some_and(|member| *member.metadata == metadata) {
            return metadata.subscribed_topics != before.metadata.subscribed_topics;
        }
        let has_changed_topics = metadata.subscribed_topics != before.metadata.subscribed_topics;
        self.write(ConsumerRecord::Member(member_id.clone(), Some(Arc::new(metadata))));
        has_changed_topics
    }

    /// Moves the member towards its target, by one step.
    pub(super) fn reconcile(
        &mut self,
        member_id: &Arc<str>,
        has_subscription_changed: bool,
        owned: Option<&Assignment>,
    ) -> Result<(), ApiError> {
        let group = &self.group;
        let member = group.member(member_id)?;
        let target_epoch = group.target_epoch.epoch;
        if !has_subscription_changed && member.current.is_reconciled_to(target_epoch) {
            return Ok(());
        }
        let nothing = Assignment::new();
        let subscribed: BTreeSet<_> = topic_ids(group.topics_of(&member.metadata), &*self.topics);
        let next = Reconciliation {
            current: &member.current,
            target_epoch,
            target: group.targets.get(member_id).map_or(&nothing, |target| &**target),
            subscribed: &subscribed,
            has_subscription_changed,
            owned,
            is_free: &|topic, partition| !group.owners.contains_key(&(topic, partition)),
        }
        .step()?;
        if next == *member.current {
            return Ok(());
        }
        let is_classic = member.metadata.classic.is_some();
        let timer = (next.state == MemberState::UnrevokedPartitions).then(|| RebalanceTimer {
            deadline_ms: self.now.uptime_ms + i64::from(member.metadata.rebalance_timeout_ms.max(0)),
            member_epoch: next.member_epoch,
        });
        self.write(ConsumerRecord::Current(member_id.clone(), Some(Arc::new(next))));
        if !is_classic {
            self.note(GroupEvent::Rebalancing { member_id: member_id.clone(), timer });
        }
        Ok(())
    }
}

/// A member has the epoch that it was given last, or joins again, or has not heard of its last epoch: then it has nothing
/// that it should not have.
fn check_epoch(member: &Member, request: &HeartbeatRequest) -> Result<(), ApiError> {
    let (received, known) = (request.member_epoch, member.epoch());
    if request.is_joining() || received == known {
        return Ok(());
    }
    let may_be_lost = received == member.current.previous_member_epoch
        && request.owned.as_ref().is_some_and(|owned| is_part_of(owned, &member.current.assigned));
    if received < known && may_be_lost {
        return Ok(());
    }
    let differs = if received > known { "greater" } else { "smaller" };
    let message = format!(
        "The consumer group member has a {differs} member epoch ({received}) than the one known by the group \
         coordinator ({known}). The member must abandon all its partitions and rejoin."
    );
    Err(ApiError::new(ErrorCode::FencedMemberEpoch, message))
}

fn is_part_of(owned: &Assignment, assigned: &OwnedPartitions) -> bool {
    owned.iter().all(|(topic, partitions)| {
        assigned
            .get(topic)
            .is_some_and(|assigned| partitions.iter().all(|partition| assigned.contains_key(partition)))
    })
}

pub(super) fn check_instance(owner_id: &str, member_id: &str, instance_id: &str) -> Result<(), ApiError> {
    if owner_id == member_id {
        return Ok(());
    }
    let message =
        format!("Static member {member_id} with instance id {instance_id} was fenced by member {owner_id}.");
    Err(ApiError::new(ErrorCode::FencedInstanceId, message))
}

pub(super) fn unknown_instance(instance_id: &str) -> ApiError {
    ApiError::new(ErrorCode::UnknownMemberId, format!("Instance id {instance_id} is unknown."))
}

pub(super) fn partitions(owned: &OwnedPartitions) -> Assignment {
    owned.iter().map(|(topic, partitions)| (*topic, partitions.keys().copied().collect())).collect()
}
