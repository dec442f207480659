//! JoinGroup (key 11), v0-9: a consumer becomes a member of its group, and waits for the generation it is part of.
//! v1 has a rebalance timeout of its own (KIP-62), v4 gives a new member its id first (KIP-394), v5 knows static members
//! (KIP-345), v8 says why (KIP-800), v9 may skip the assignment (KIP-814). Kafka: `KafkaApis.handleJoinGroupRequest`.

use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::context::RequestContext;
use super::wire;
use crate::coordinator::group::classic::join::{JoinRequest, JoinResponse, JoinedMember};
use crate::coordinator::group::classic::member::Protocol;
use crate::coordinator::group::command::{Command, Response};
use crate::protocol::errors::ErrorCode;

/// The first version whose new members are told their id before they join.
const KNOWN_MEMBER_ID_FROM: i16 = 4;
/// The first version in which the names of protocol and type may be null.
const NULLABLE_PROTOCOL_FROM: i16 = 7;
const SKIP_ASSIGNMENT_FROM: i16 = 9;

pub async fn handle(
    context: &RequestContext,
    request: JoinGroupRequest,
) -> anyhow::Result<JoinGroupResponse> {
    let group = wire::shared(&request.group_id);
    let reason = request.reason.clone();
    let joined = if group.is_empty() {
        JoinResponse::error(&request.member_id, ErrorCode::InvalidGroupId)
    } else {
        let command = Command::Join(read(context, request));
        match context.services.groups.submit(&group, command).await {
            Ok(Response::Join(joined)) => joined,
            Ok(other) => unreachable!("the coordinator answers a join, not with {other:?}"),
            // As Kafka, which names no member when its coordinator cannot be asked.
            Err(error) => JoinResponse::error("", error.code),
        }
    };
    log(&group, reason.as_deref(), &joined);
    Ok(write(joined, context.version))
}

fn read(context: &RequestContext, request: JoinGroupRequest) -> JoinRequest {
    let protocols = request
        .protocols
        .iter()
        .map(|protocol| Protocol { name: wire::shared(&protocol.name), metadata: protocol.metadata.clone() });
    JoinRequest {
        group: wire::shared(&request.group_id),
        member_id: wire::shared(&request.member_id),
        instance_id: request.group_instance_id.as_ref().map(wire::shared),
        client_id: context.client_id.clone().unwrap_or_default(),
        client_host: wire::client_host(context.connection.peer.ip()).into(),
        fresh_uuid: context.services.rng.uuid(),
        protocol_type: wire::shared(&request.protocol_type),
        protocols: protocols.collect(),
        session_timeout_ms: request.session_timeout_ms,
        // v0 has one timeout for both.
        rebalance_timeout_ms: match context.version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        },
        requires_known_member_id: context.version >= KNOWN_MEMBER_ID_FROM,
        supports_skipping_assignment: context.version >= SKIP_ASSIGNMENT_FROM,
    }
}

fn log(group: &str, reason: Option<&str>, joined: &JoinResponse) {
    let reason = reason.filter(|reason| !reason.is_empty()).unwrap_or("not provided");
    if joined.error == ErrorCode::MemberIdRequired {
        tracing::info!(group, member = &*joined.member_id, reason, "new member is to join with its id");
    } else if joined.error == ErrorCode::None && joined.leader == joined.member_id {
        let (generation, member_count) = (joined.generation, joined.members.len());
        tracing::info!(group, generation, member_count, leader = &*joined.leader, reason, "stabilized group");
    }
}

fn write(joined: JoinResponse, version: i16) -> JoinGroupResponse {
    let members = joined.members.iter().map(write_member);
    let protocol = joined.protocol.as_deref().unwrap_or("");
    let protocol_is_null = protocol.is_empty() && version >= NULLABLE_PROTOCOL_FROM;
    JoinGroupResponse::default()
        .with_error_code(joined.error.code())
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.as_deref().map(wire::text))
        .with_protocol_name((!protocol_is_null).then(|| wire::text(protocol)))
        .with_leader(wire::text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(wire::text(&joined.member_id))
        .with_members(members.collect())
}

fn write_member(member: &JoinedMember) -> JoinGroupResponseMember {
    JoinGroupResponseMember::default()
        .with_member_id(wire::text(&member.member_id))
        .with_group_instance_id(member.instance_id.as_deref().map(wire::text))
        .with_metadata(member.metadata.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_protocol_is_empty_before_it_may_be_null() {
        let refused = JoinResponse::error("m", ErrorCode::UnknownMemberId);
        assert_eq!(write(refused.clone(), 6).protocol_name, Some(wire::text("")));
        assert_eq!(write(refused, 7).protocol_name, None);
    }
}
