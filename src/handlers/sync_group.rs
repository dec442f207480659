//! SyncGroup (key 14), v0-5: the leader hands in the assignment of its generation, everyone fetches their part of it. v5
//! names the protocol that the client believes in (KIP-559). Kafka: `KafkaApis.handleSyncGroupRequest`.

use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::context::RequestContext;
use super::wire;
use crate::coordinator::group::classic::sync::{SyncRequest, SyncResponse};
use crate::coordinator::group::command::{Command, Response};
use crate::protocol::errors::{ApiError, ErrorCode};

/// The first version that must name protocol and type.
const NAMES_PROTOCOL_FROM: i16 = 5;

pub async fn handle(
    context: &RequestContext,
    request: SyncGroupRequest,
) -> anyhow::Result<SyncGroupResponse> {
    let synced = sync(context, request).await.unwrap_or_else(|error| SyncResponse::error(error.code));
    Ok(SyncGroupResponse::default()
        .with_error_code(synced.error.code())
        .with_protocol_type(synced.protocol_type.as_deref().map(wire::text))
        .with_protocol_name(synced.protocol.as_deref().map(wire::text))
        .with_assignment(synced.assignment))
}

async fn sync(context: &RequestContext, request: SyncGroupRequest) -> Result<SyncResponse, ApiError> {
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if context.version >= NAMES_PROTOCOL_FROM && !names_protocol {
        return Err(ErrorCode::InconsistentGroupProtocol.into());
    }
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId.into());
    }
    let group = wire::shared(&request.group_id);
    let (generation, member_count) = (request.generation_id, request.assignments.len());
    let member_id = request.member_id.clone();
    let submitted = context.services.groups.submit(&group, Command::Sync(read(request)));
    let synced = match submitted.await? {
        Response::Sync(synced) => synced,
        other => unreachable!("the coordinator answers a sync, not with {other:?}"),
    };
    // Only a leader has assignments to send.
    if member_count > 0 && synced.error == ErrorCode::None {
        tracing::info!(
            group = &*group,
            generation,
            leader = &*member_id,
            member_count,
            "assignment received from leader"
        );
    }
    Ok(synced)
}

fn read(request: SyncGroupRequest) -> SyncRequest {
    let assignments = request
        .assignments
        .iter()
        .map(|assignment| (wire::shared(&assignment.member_id), assignment.assignment.clone()));
    SyncRequest {
        group: wire::shared(&request.group_id),
        member_id: wire::shared(&request.member_id),
        instance_id: request.group_instance_id.as_ref().map(wire::shared),
        generation: request.generation_id,
        protocol_type: request.protocol_type.as_ref().map(wire::shared),
        protocol: request.protocol_name.as_ref().map(wire::shared),
        assignments: assignments.collect(),
    }
}
