//! UpdateFeatures (key 57), v0-2: finalizes feature levels, all of a request or none (KIP-584, KIP-1022).
//! Kafka: `FeatureControlManager.updateFeatures`.

use std::collections::HashSet;

use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::context::RequestContext;
use super::releases::Metadata;
use super::wire;
use crate::controller::{Answer, Command, FeatureUpdate, UpgradeType};
use crate::protocol::errors::ErrorCode;

pub async fn handle(
    context: &RequestContext,
    request: UpdateFeaturesRequest,
) -> anyhow::Result<UpdateFeaturesResponse> {
    if let Metadata::ZooKeeper { .. } = context.services.release.metadata {
        return Ok(refuse_each(&request));
    }
    let updates = request.feature_updates.iter().map(|update| FeatureUpdate {
        name: update.feature.to_string(),
        level: update.max_version_level,
        upgrade_type: upgrade_type(update, context.version),
    });
    let command =
        Command::UpdateFeatures { updates: updates.collect(), validate_only: request.validate_only };
    match context.services.quorum.propose(command).await {
        Ok(Answer::UpdateFeatures) => {}
        Ok(_) => anyhow::bail!("the controller answers another command"),
        Err(refusal) => {
            return Ok(UpdateFeaturesResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(refusal.wire_message()));
        }
    }
    let mut response = UpdateFeaturesResponse::default().with_error_message(None);
    if context.version <= 1 {
        // "NONE" is what Kafka says there.
        let results = request.feature_updates.iter().map(|update| {
            UpdatableFeatureResult::default()
                .with_feature(update.feature.clone())
                .with_error_message(Some(wire::text("NONE")))
        });
        response.results = results.collect();
    }
    Ok(response)
}

/// No release with ZooKeeper had a feature. Kafka: `KafkaController.validateFeatureUpdate`.
fn refuse_each(request: &UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let reason = "Could not apply finalized feature update because the provided feature is not supported.";
    // Each once: the sentence is much longer than what asks for it.
    let mut seen = HashSet::new();
    let updates = request.feature_updates.iter().filter(|update| seen.insert(&update.feature));
    let results = updates.map(|update| {
        UpdatableFeatureResult::default()
            .with_feature(update.feature.clone())
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_error_message(Some(wire::text(reason)))
    });
    UpdateFeaturesResponse::default().with_error_message(None).with_results(results.collect())
}

/// v0 says only whether the level may go down.
fn upgrade_type(update: &FeatureUpdateKey, version: i16) -> UpgradeType {
    match (version, update.allow_downgrade, update.upgrade_type) {
        (0, true, _) => UpgradeType::SafeDowngrade,
        (0, false, _) | (_, _, 1) => UpgradeType::Upgrade,
        (_, _, 2) => UpgradeType::SafeDowngrade,
        (_, _, 3) => UpgradeType::UnsafeDowngrade,
        _ => UpgradeType::Unknown,
    }
}
