//! SyncGroup, Heartbeat and LeaveGroup of members that use the classic protocol in a consumer group. Kafka:
//! `classicGroupSyncToConsumerGroup`, `classicGroupHeartbeatToConsumerGroup`, `classicGroupLeaveToConsumerGroup`.

use std::sync::Arc;

use super::draft::Draft;
use super::embedded;
use super::group::{ConsumerGroup, GroupEvent, Member, Owed};
use super::heartbeat::{check_instance, partitions, unknown_instance};
use crate::coordinator::group::classic::HeartbeatRequest;
use crate::coordinator::group::classic::group::CONSUMER;
use crate::coordinator::group::classic::leave::{LeaveRequest, LeaveResponse, LeavingMember};
use crate::coordinator::group::classic::sync::{SyncRequest, SyncResponse};
use crate::coordinator::group::command::Response;
use crate::coordinator::group::records::consumer::{ClassicMetadata, MemberState};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Now, Outcome, RequestId};
use crate::protocol::errors::{ApiError, ErrorCode};

pub(in crate::coordinator::group) fn sync(
    shard: &GroupShard,
    group: &ConsumerGroup,
    request: &SyncRequest,
    id: RequestId,
    now: Now,
) -> Outcome<GroupShard> {
    let mut draft = Draft::new(shard, group.clone(), Vec::new(), now);
    let response = draft.sync_classic(request).unwrap_or_else(|error| SyncResponse::error(error.code));
    let mut outcome = draft.finish();
    outcome.replies.push((id, Response::Sync(response)));
    outcome
}

pub(in crate::coordinator::group) fn heartbeat(
    shard: &GroupShard,
    group: &ConsumerGroup,
    request: &HeartbeatRequest,
    id: RequestId,
    now: Now,
) -> Outcome<GroupShard> {
    let mut draft = Draft::new(shard, group.clone(), Vec::new(), now);
    let answer = draft.beat_classic(request);
    let mut outcome = draft.finish();
    outcome.replies.push((id, Response::Heartbeat(answer)));
    outcome
}

pub(in crate::coordinator::group) fn leave(
    shard: &GroupShard,
    group: &ConsumerGroup,
    request: LeaveRequest,
    id: RequestId,
    now: Now,
) -> Outcome<GroupShard> {
    let mut draft = Draft::new(shard, group.clone(), Vec::new(), now);
    let mut leaving: Vec<Arc<str>> = Vec::new();
    let mut members = Vec::new();
    for member in request.members {
        match draft.leaving_member(&member) {
            // One that is named twice is gone once.
            Ok(id) => {
                if !leaving.contains(&id) {
                    leaving.push(id);
                }
                members.push((member, ErrorCode::None));
            }
            Err(error) => members.push((member, error.code)),
        }
    }
    if !leaving.is_empty() {
        draft.fence(&leaving);
    }
    let mut outcome = draft.finish();
    outcome.replies.push((id, Response::Leave(LeaveResponse { error: ErrorCode::None, members })));
    outcome
}

fn classic(member: &Member) -> Result<&ClassicMetadata, ApiError> {
    member.metadata.classic.as_ref().ok_or_else(|| ErrorCode::UnknownMemberId.into())
}

impl Draft {
    /// The member that a request of the classic protocol is about.
    fn classic_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<Member, ApiError> {
        let Some(instance_id) = instance_id else { return self.group.member(member_id).cloned() };
        let (owner_id, owner) =
            self.group.static_member(instance_id).ok_or_else(|| unknown_instance(instance_id))?;
        check_instance(owner_id, member_id, instance_id)?;
        Ok(owner.clone())
    }

    fn sync_classic(&mut self, request: &SyncRequest) -> Result<SyncResponse, ApiError> {
        let member = self.classic_member(&request.member_id, request.instance_id.as_deref())?;
        let metadata = classic(&member)?;
        if request.generation != member.epoch() {
            return Err(ErrorCode::IllegalGeneration.into());
        }
        let protocol = metadata.protocols.first().map(|protocol| &protocol.name);
        let other_type = request.protocol_type.as_deref().is_some_and(|asked| asked != CONSUMER);
        let other_protocol = request.protocol.as_ref().is_some_and(|asked| Some(asked) != protocol);
        if other_type || other_protocol {
            return Err(ErrorCode::InconsistentGroupProtocol.into());
        }
        // One that is to give up partitions has joined already, and does that first.
        if self.group.target_epoch.epoch > member.epoch()
            && member.current.state != MemberState::UnrevokedPartitions
        {
            self.owes_join(&request.member_id, &member);
            return Err(ErrorCode::RebalanceInProgress.into());
        }
        let subscription = metadata.protocols.first().map_or(&[][..], |protocol| &protocol.metadata);
        let version = embedded::version_of(subscription).map_err(|_| ErrorCode::UnknownServerError)?;
        self.note(GroupEvent::Owes {
            member_id: request.member_id.clone(),
            owed: Owed::Sync,
            deadline_ms: None,
        });
        self.heard(&request.member_id);
        let assigned = partitions(&member.current.assigned);
        Ok(SyncResponse {
            error: ErrorCode::None,
            protocol_type: request.protocol_type.clone(),
            protocol: request.protocol.clone(),
            assignment: embedded::write_assignment(&assigned, version, &*self.topics),
        })
    }

    fn beat_classic(&mut self, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        let member = self.classic_member(&request.member_id, request.instance_id.as_deref());
        let member = member.map_err(|error| error.code)?;
        classic(&member).map_err(|error| error.code)?;
        if request.generation != member.epoch() {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.heard(&request.member_id);
        let is_to_rejoin = match member.current.state {
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !self.group.waits_for_others(&request.member_id, &member),
            MemberState::Stable | MemberState::Unknown => false,
        };
        if member.epoch() < self.group.target_epoch.epoch || is_to_rejoin {
            self.owes_join(&request.member_id, &member);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// The member is told to join again, and has its rebalance timeout for it from the first time on.
    fn owes_join(&mut self, member_id: &Arc<str>, member: &Member) {
        let is_told =
            self.group.timers.get(member_id).is_some_and(|timers| timers.join_deadline_ms.is_some());
        if !is_told {
            let deadline_ms = self.now.uptime_ms + i64::from(member.metadata.rebalance_timeout_ms.max(0));
            self.note(GroupEvent::Owes {
                member_id: member_id.clone(),
                owed: Owed::Join,
                deadline_ms: Some(deadline_ms),
            });
        }
    }

    /// The id of a member that leaves by LeaveGroup: of either protocol, as tools take any member out. They name static
    /// members by their instance alone.
    fn leaving_member(&self, leaving: &LeavingMember) -> Result<Arc<str>, ApiError> {
        let Some(instance_id) = &leaving.instance_id else {
            self.group.member(&leaving.member_id)?;
            return Ok(leaving.member_id.clone());
        };
        let (owner_id, _) =
            self.group.static_member(instance_id).ok_or_else(|| unknown_instance(instance_id))?;
        if !leaving.member_id.is_empty() {
            check_instance(owner_id, &leaving.member_id, instance_id)?;
        }
        Ok(owner_id.clone())
    }
}

impl ConsumerGroup {
    /// Whether the member waits for a partition that somebody else has not given up.
    fn waits_for_others(&self, member_id: &Arc<str>, member: &Member) -> bool {
        let Some(target) = self.targets.get(member_id) else { return false };
        target.iter().any(|(topic, partitions)| {
            let assigned = member.current.assigned.get(topic);
            partitions.iter().any(|partition| {
                let has = assigned.is_some_and(|assigned| assigned.contains_key(partition));
                !has && self.owners.contains_key(&(*topic, *partition))
            })
        })
    }
}
