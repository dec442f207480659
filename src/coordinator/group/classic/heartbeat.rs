//! Heartbeat: a member lives, and learns whether it must join again. The most frequent request of all, so it changes one
//! number and copies nothing. Kafka: `GroupMetadataManager.classicGroupHeartbeat`.

use std::sync::Arc;

use super::group::{ClassicGroup, Phase};
use super::member::{Member, MemberEvent};
use crate::coordinator::group::command::{Response, Soft};
use crate::coordinator::group::consumer::classic_member;
use crate::coordinator::group::groups::Group;
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Now, Outcome, RequestId};
use crate::protocol::errors::ErrorCode;

#[derive(Clone, Debug)]
pub struct HeartbeatRequest {
    pub group: Arc<str>,
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub generation: i32,
}

pub(in crate::coordinator::group) fn heartbeat(
    shard: &GroupShard,
    request: HeartbeatRequest,
    id: RequestId,
    now: Now,
) -> Outcome<GroupShard> {
    if let Some(Group::Consumer(group)) = shard.groups.get(&request.group) {
        return classic_member::heartbeat(shard, group, &request, id, now);
    }
    let (group, member) = match find(shard, &request) {
        Ok(found) => found,
        Err(error) => return Outcome::reply(id, Response::Heartbeat(Err(error))),
    };
    let answer = match &group.phase {
        Phase::Empty => return Outcome::reply(id, Response::Heartbeat(Err(ErrorCode::UnknownMemberId))),
        Phase::PreparingRebalance { .. } => Err(ErrorCode::RebalanceInProgress),
        Phase::CompletingRebalance { .. } | Phase::Stable => Ok(()),
    };
    let mut outcome = Outcome::reply(id, Response::Heartbeat(answer));
    outcome.soft(Soft::Member { group: group.id.clone(), event: member.heard(now) });
    outcome
}

fn find<'a>(
    shard: &'a GroupShard,
    request: &HeartbeatRequest,
) -> Result<(&'a ClassicGroup, &'a Member), ErrorCode> {
    if request.group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let group = shard.classic(&request.group).ok_or(ErrorCode::UnknownMemberId)?;
    let member = group.validate_member(&request.member_id, request.instance_id.as_deref())?;
    match request.generation == group.generation {
        true => Ok((group, member)),
        false => Err(ErrorCode::IllegalGeneration),
    }
}

impl Member {
    pub(super) fn heard(&self, now: Now) -> MemberEvent {
        let session_deadline_ms = now.uptime_ms + i64::from(self.session_timeout_ms);
        MemberEvent { member_id: self.member_id.clone(), session_deadline_ms }
    }
}
