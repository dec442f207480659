//! Finalized feature levels (`FeatureControlManager`, KIP-584). Pure.

use crate::controller::command::{Answer, FeatureUpdate, Outcome};
use crate::controller::image::ClusterImage;
use crate::controller::records::{FeatureLevelRecord, MetadataRecord};
use crate::protocol::errors::{ApiError, ErrorCode};

pub(super) fn update(
    image: &ClusterImage,
    updates: &[FeatureUpdate],
    validate_only: bool,
) -> Result<Outcome, ApiError> {
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(updates.len());
    for update in updates {
        let result = check(image, update);
        if result.is_ok() && image.features.get(&update.name).copied().unwrap_or(0) != update.level {
            let record = FeatureLevelRecord { name: update.name.clone(), level: update.level };
            records.push(MetadataRecord::FeatureLevel(record));
        }
        results.push((update.name.clone(), result));
    }
    // KIP-584: a request that cannot be applied as a whole is not applied at all.
    if validate_only || results.iter().any(|(_, result)| result.is_err()) {
        records.clear();
    }
    Ok(Outcome { records, answer: Answer::UpdateFeatures(results) })
}

fn check(image: &ClusterImage, update: &FeatureUpdate) -> Result<(), ApiError> {
    let refuse = |reason: String| {
        let message =
            format!("Invalid update version {} for feature {}. {reason}", update.level, update.name);
        Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message))
    };
    if update.level < 0 {
        return refuse("A feature version cannot be less than 0.".to_owned());
    }
    for broker in image.brokers.values() {
        let supported = broker.features.iter().find(|feature| feature.name == update.name);
        let (min_level, max_level) =
            supported.map_or((0, 0), |feature| (feature.min_level, feature.max_level));
        if update.level != 0 && (update.level < min_level || update.level > max_level) {
            return refuse(format!("Broker {} only supports versions {min_level}-{max_level}", broker.id));
        }
    }
    let current = image.features.get(&update.name).copied().unwrap_or(0);
    if update.level < current && !update.allow_downgrade {
        return refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to either \
                       safe or unsafe downgrade."
                .to_owned(),
        );
    }
    Ok(())
}
