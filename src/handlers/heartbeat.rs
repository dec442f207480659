//! Heartbeat (key 12), v0-4: a member lives, and hears whether its group rebalances. v3 knows static members (KIP-345).
//! Kafka: `KafkaApis.handleHeartbeatRequest`.

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::context::RequestContext;
use super::wire;
use crate::coordinator::group::classic;
use crate::coordinator::group::command::{Command, Response};
use crate::protocol::errors::{ApiError, ErrorCode};

pub async fn handle(
    context: &RequestContext,
    request: HeartbeatRequest,
) -> anyhow::Result<HeartbeatResponse> {
    let code = match beat(context, request).await {
        Ok(()) => ErrorCode::None,
        // As Kafka: who beats while the group is read must not take it for lost.
        Err(error) if error.code == ErrorCode::CoordinatorLoadInProgress => ErrorCode::None,
        Err(error) => error.code,
    };
    Ok(HeartbeatResponse::default().with_error_code(code.code()))
}

async fn beat(context: &RequestContext, request: HeartbeatRequest) -> Result<(), ApiError> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId.into());
    }
    let command = Command::Heartbeat(classic::HeartbeatRequest {
        group: wire::shared(&request.group_id),
        member_id: wire::shared(&request.member_id),
        instance_id: request.group_instance_id.as_ref().map(wire::shared),
        generation: request.generation_id,
    });
    match context.services.groups.submit(&request.group_id, command).await? {
        Response::Heartbeat(answer) => answer.map_err(ApiError::from),
        other => unreachable!("the coordinator answers a heartbeat, not with {other:?}"),
    }
}
