//! UnregisterController (key 94), v0: forgets a controller that is gone. A controller registers when it starts, and those
//! that start are the voters, so there is nobody to forget: a voter of this build is the one that leads.
//! Kafka: `QuorumController.unregisterController`, `ClusterControlManager.unregisterController`.

use super::context::RequestContext;
use super::features;
use super::quorum_changes::Refusal;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::quorum_changes::UnregisterController;

/// Level of `metadata.version` that knows of it: 4.4-IV2.
const KNOWN_SINCE_METADATA_VERSION: i16 = 33;
const TOO_OLD: &str = "The current MetadataVersion is too old to support controller unregistration.";
const ACTIVE: &str = "Controller cannot unregister itself while it is active.";

pub async fn handle(context: &RequestContext, request: UnregisterController) -> anyhow::Result<Refusal> {
    let services = &context.services;
    if services.release.level(&services.image(), features::METADATA_VERSION) < KNOWN_SINCE_METADATA_VERSION {
        return Ok(Refusal(ApiError::new(ErrorCode::UnsupportedVersion, TOO_OLD)));
    }
    let id = request.controller_id;
    let voters = services.quorum.describe().voters;
    Ok(Refusal(match voters.iter().any(|voter| voter.id.0 == id) {
        true => ApiError::new(ErrorCode::InvalidRequest, ACTIVE),
        false => ApiError::new(
            ErrorCode::ControllerIdNotRegistered,
            format!("Controller ID {id} is not currently registered."),
        ),
    }))
}
