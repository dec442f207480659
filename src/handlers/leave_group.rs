//! LeaveGroup (key 13), v0-5: members go. v3 takes several, static ones by their instance id as well (KIP-345), v5 says why
//! (KIP-800). Kafka: `KafkaApis.handleLeaveGroupRequest`.

use std::sync::Arc;

use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::context::RequestContext;
use super::wire;
use crate::coordinator::group::classic::leave::{LeaveRequest, LeaveResponse, LeavingMember};
use crate::coordinator::group::command::{Command, Response};
use crate::protocol::errors::{ApiError, ErrorCode};

/// The first version with a list of members.
const SEVERAL_MEMBERS_FROM: i16 = 3;

pub async fn handle(
    context: &RequestContext,
    request: LeaveGroupRequest,
) -> anyhow::Result<LeaveGroupResponse> {
    let group = wire::shared(&request.group_id);
    let members = leaving(&request, context.version);
    let left = match leave(context, &group, members).await {
        Ok(left) => left,
        Err(error) => LeaveResponse { error: error.code, members: Vec::new() },
    };
    log(&group, &request, &left);
    Ok(write(left, context.version))
}

async fn leave(
    context: &RequestContext,
    group: &Arc<str>,
    members: Vec<LeavingMember>,
) -> Result<LeaveResponse, ApiError> {
    if group.is_empty() {
        return Err(ErrorCode::InvalidGroupId.into());
    }
    let command = Command::Leave(LeaveRequest { group: group.clone(), members });
    match context.services.groups.submit(group, command).await? {
        Response::Leave(left) => Ok(left),
        other => unreachable!("the coordinator answers a leave, not with {other:?}"),
    }
}

fn leaving(request: &LeaveGroupRequest, version: i16) -> Vec<LeavingMember> {
    if version < SEVERAL_MEMBERS_FROM {
        return vec![LeavingMember { member_id: wire::shared(&request.member_id), instance_id: None }];
    }
    let leaving = request.members.iter().map(|member| LeavingMember {
        member_id: wire::shared(&member.member_id),
        instance_id: member.group_instance_id.as_ref().map(wire::shared),
    });
    leaving.collect()
}

fn log(group: &str, request: &LeaveGroupRequest, left: &LeaveResponse) {
    for (index, (member, error)) in left.members.iter().enumerate() {
        if *error == ErrorCode::None {
            // The answer has the members in the order of the request; the single one of old versions gives no reason.
            let reason = request.members.get(index).and_then(|member| member.reason.as_deref());
            let reason = reason.filter(|reason| !reason.is_empty()).unwrap_or("not provided");
            let instance = member.instance_id.as_deref();
            tracing::info!(group, member = &*member.member_id, instance, reason, "member has left group");
        }
    }
}

fn write(left: LeaveResponse, version: i16) -> LeaveGroupResponse {
    if version < SEVERAL_MEMBERS_FROM {
        let of_member = left.members.first().map_or(ErrorCode::None, |(_, error)| *error);
        let error = if left.error == ErrorCode::None { of_member } else { left.error };
        return LeaveGroupResponse::default().with_error_code(error.code());
    }
    let members = left.members.iter().map(|(member, error)| {
        MemberResponse::default()
            .with_member_id(wire::text(&member.member_id))
            .with_group_instance_id(member.instance_id.as_deref().map(wire::text))
            .with_error_code(error.code())
    });
    LeaveGroupResponse::default().with_error_code(left.error.code()).with_members(members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_member_of_an_old_version_has_its_error_at_the_top() {
        let member = LeavingMember { member_id: "m".into(), instance_id: None };
        let left =
            LeaveResponse { error: ErrorCode::None, members: vec![(member, ErrorCode::UnknownMemberId)] };
        let old = write(left.clone(), 2);
        assert_eq!((old.error_code, old.members.len()), (ErrorCode::UnknownMemberId.code(), 0));
        let new = write(left, 3);
        assert_eq!((new.error_code, new.members[0].error_code), (0, ErrorCode::UnknownMemberId.code()));
    }
}
