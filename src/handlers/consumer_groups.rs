//! Whether consumer groups of KIP-848 are served at all. Kafka: `KafkaApis.isConsumerGroupProtocolEnabled`.

use super::context::RequestContext;
use super::features::GROUP_VERSION;
use crate::protocol::errors::{ApiError, ErrorCode};

const PROTOCOL: &str = "consumer";

/// Refused while the cluster's feature level or this broker's `group.coordinator.rebalance.protocols` says so.
pub fn check_enabled(context: &RequestContext) -> Result<(), ApiError> {
    let services = &context.services;
    let is_finalized = services.release.level(&services.image(), GROUP_VERSION) >= 1;
    let settings = services.configs.group();
    let is_configured = settings.group_coordinator_rebalance_protocols.iter().any(|name| name == PROTOCOL);
    match is_finalized && is_configured {
        true => Ok(()),
        false => Err(ErrorCode::UnsupportedVersion.into()),
    }
}
