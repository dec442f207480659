//! A member leaves: for good, or a static one for a while and keeps what it has. Kafka:
//! `GroupMetadataManager.consumerGroupLeave`.

use std::sync::Arc;

use super::draft::Draft;
use super::group::{ConsumerGroup, STATIC_LEAVE_EPOCH};
use super::heartbeat::{check_instance, not_a_consumer_group, unknown_instance};
use super::request::{HeartbeatRequest, HeartbeatResponse};
use crate::coordinator::group::command::Response;
use crate::coordinator::group::groups::Group;
use crate::coordinator::group::records::consumer::{ConsumerRecord, CurrentAssignment, OwnedPartitions};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Now, Outcome, RequestId};
use crate::protocol::errors::{ApiError, ErrorCode};

pub(super) fn leave(
    shard: &GroupShard,
    request: &HeartbeatRequest,
    id: RequestId,
    now: Now,
) -> Result<Outcome<GroupShard>, ApiError> {
    let group = match shard.groups.get(&request.group) {
        Some(Group::Consumer(group)) => group,
        Some(Group::Classic(_)) => return Err(not_a_consumer_group(&request.group)),
        None => {
            let message = format!("Group {} not found.", request.group);
            return Err(ApiError::new(ErrorCode::GroupIdNotFound, message));
        }
    };
    let member_id = match &request.instance_id {
        None => {
            group.member(&request.member_id)?;
            &request.member_id
        }
        Some(instance_id) => {
            let owner = group.static_members.get(instance_id).ok_or_else(|| unknown_instance(instance_id))?;
            check_instance(owner, &request.member_id, instance_id)?;
            owner
        }
    };
    let mut draft = Draft::new(shard, ConsumerGroup::clone(group), Vec::new(), now);
    match request.instance_id.is_some() && request.member_epoch == STATIC_LEAVE_EPOCH {
        true => draft.leave_for_a_while(member_id)?,
        false => draft.fence(std::slice::from_ref(member_id)),
    }
    let mut outcome = draft.finish();
    let response = HeartbeatResponse {
        member_id: member_id.clone(),
        member_epoch: request.member_epoch,
        heartbeat_interval_ms: 0,
        assignment: None,
    };
    outcome.replies.push((id, Response::ConsumerHeartbeat(response)));
    Ok(outcome)
}

impl Draft {
    /// The member stays what it is until its session ends. What it has, its next self may commit for in any epoch.
    fn leave_for_a_while(&mut self, member_id: &Arc<str>) -> Result<(), ApiError> {
        let current = &self.group.member(member_id)?.current;
        let mut assigned = current.assigned.clone();
        assigned.values_mut().flat_map(|partitions| partitions.values_mut()).for_each(|epoch| *epoch = 0);
        let left = CurrentAssignment {
            member_epoch: STATIC_LEAVE_EPOCH,
            assigned,
            pending_revocation: OwnedPartitions::new(),
            ..CurrentAssignment::clone(current)
        };
        self.write(ConsumerRecord::Current(member_id.clone(), Some(Arc::new(left))));
        Ok(())
    }
}
