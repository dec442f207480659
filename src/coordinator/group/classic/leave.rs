//! LeaveGroup: members go, several at once, by member id or (tools do so) by instance id. Kafka:
//! `GroupMetadataManager.classicGroupLeave`.

use std::sync::Arc;

use super::draft::Draft;
use super::group::Phase;
use crate::coordinator::group::command::Response;
use crate::coordinator::group::consumer::classic_member;
use crate::coordinator::group::groups::Group;
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Now, Outcome, RequestId};
use crate::protocol::errors::ErrorCode;

#[derive(Clone, Debug)]
pub struct LeaveRequest {
    pub group: Arc<str>,
    pub members: Vec<LeavingMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    /// Empty: whoever has the instance id.
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveResponse {
    /// About the request as a whole.
    pub error: ErrorCode,
    pub members: Vec<(LeavingMember, ErrorCode)>,
}

pub(in crate::coordinator::group) fn leave(
    shard: &GroupShard,
    request: LeaveRequest,
    id: RequestId,
    now: Now,
) -> Outcome<GroupShard> {
    if request.group.is_empty() {
        let response = LeaveResponse { error: ErrorCode::InvalidGroupId, members: Vec::new() };
        return Outcome::reply(id, Response::Leave(response));
    }
    if let Some(Group::Consumer(group)) = shard.groups.get(&request.group) {
        return classic_member::leave(shard, group, request, id, now);
    }
    let Some(group) = shard.classic(&request.group) else {
        let unknown = |member| (member, ErrorCode::UnknownMemberId);
        let members = request.members.into_iter().map(unknown).collect();
        return Outcome::reply(id, Response::Leave(LeaveResponse { error: ErrorCode::None, members }));
    };
    let mut draft = Draft::new(group.clone(), now, (shard.settings)());
    let members: Vec<(LeavingMember, ErrorCode)> = request
        .members
        .into_iter()
        .map(|member| {
            let error = draft.leave(&member).err().unwrap_or(ErrorCode::None);
            (member, error)
        })
        .collect();
    let somebody_left = members.iter().any(|(_, error)| *error == ErrorCode::None);
    draft.replies.push((id, Response::Leave(LeaveResponse { error: ErrorCode::None, members })));
    if somebody_left {
        match &draft.group.phase {
            Phase::Empty => {}
            Phase::PreparingRebalance { .. } => draft.complete_join_if_all_joined(),
            Phase::CompletingRebalance { .. } | Phase::Stable => draft.prepare_rebalance(),
        }
    }
    draft.finish()
}

impl Draft {
    fn leave(&mut self, member: &LeavingMember) -> Result<(), ErrorCode> {
        let instance_id = member.instance_id.as_deref();
        if member.member_id.is_empty() {
            let member_id =
                instance_id.and_then(|instance_id| self.group.static_members.get(instance_id)).cloned();
            self.remove(&member_id.ok_or(ErrorCode::UnknownMemberId)?);
            return Ok(());
        }
        if !self.group.pending_joins.contains_key(&member.member_id) {
            self.group.validate_member(&member.member_id, instance_id)?;
        }
        self.remove(&member.member_id);
        Ok(())
    }
}
