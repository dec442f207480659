//! UnregisterController (key 94), v0: forgets a controller that is gone. A controller registers when it starts, and those
//! that start are the voters, so there is nobody to forget: a voter of this build is the one that leads.
//! Kafka: `QuorumController.unregisterController`, `ClusterControlManager.unregisterController`.

use super::context::RequestContext;
use super::quorum_changes::Refusal;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::quorum_changes::UnregisterController;

const ACTIVE: &str = "Controller cannot unregister itself while it is active.";

pub async fn handle(context: &RequestContext, request: UnregisterController) -> anyhow::Result<Refusal> {
    let id = request.controller_id;
    let voters = context.services.quorum.describe().voters;
    Ok(Refusal(match voters.iter().any(|voter| voter.id.0 == id) {
        true => ApiError::new(ErrorCode::InvalidRequest, ACTIVE),
        false => ApiError::new(
            ErrorCode::ControllerIdNotRegistered,
            format!("Controller ID {id} is not currently registered."),
        ),
    }))
}
