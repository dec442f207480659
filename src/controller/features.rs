//! Finalized feature levels (`FeatureControlManager`, KIP-584). Pure.

use std::iter;

use crate::controller::command::{Answer, FeatureUpdate, Inputs, Outcome, UpgradeType};
use crate::controller::image::ClusterImage;
use crate::controller::records::{FeatureLevelRecord, MetadataRecord};
use crate::protocol::errors::{ApiError, ErrorCode};

const METADATA_VERSION: &str = "metadata.version";
/// Kafka's features besides (`Feature`). Level 0, off, is one that every node supports of each of them.
const KAFKAS: &[&str] = &[
    "eligible.leader.replicas.version",
    "group.version",
    "kraft.version",
    "share.version",
    "streams.version",
    "transaction.version",
];

/// UpdateFeatures: all of the updates, or none and the first refusal by feature name.
pub(super) fn update(
    image: &ClusterImage,
    updates: &[FeatureUpdate],
    validate_only: bool,
    inputs: &Inputs<'_>,
) -> Result<Outcome, ApiError> {
    let mut by_name: Vec<&FeatureUpdate> = updates.iter().collect();
    by_name.sort_by(|one, other| one.name.cmp(&other.name));
    let mut records = Vec::new();
    for update in by_name {
        check(image, update, inputs).map_err(|reason| {
            let message = format!(
                "The update failed for all features since the following feature had an error: {reason}"
            );
            ApiError::new(ErrorCode::InvalidUpdateVersion, message)
        })?;
        if update.level != level(image, &update.name) {
            let record = FeatureLevelRecord { name: update.name.clone(), level: update.level };
            records.push(MetadataRecord::FeatureLevel(record));
        }
    }
    if validate_only {
        records.clear();
    }
    Ok(Outcome { records, answer: Answer::UpdateFeatures })
}

/// The level that is finalized; 0 is none.
fn level(image: &ClusterImage, feature: &str) -> i16 {
    image.features.get(feature).copied().unwrap_or(0)
}

/// Why a level cannot be had, as a sentence.
fn check(image: &ClusterImage, update: &FeatureUpdate, inputs: &Inputs<'_>) -> Result<(), String> {
    let refuse = |reason: String| {
        Err(format!("Invalid update version {} for feature {}. {reason}", update.level, update.name))
    };
    if update.upgrade_type == UpgradeType::Unknown {
        return refuse("The controller does not support the given upgrade type.".to_owned());
    }
    if update.level < 0 {
        return refuse("A feature version cannot be less than 0.".to_owned());
    }
    if let Some(reason) = unsupported(image, update, inputs) {
        return refuse(reason);
    }
    let current = level(image, &update.name);
    let is_upgrade = update.upgrade_type == UpgradeType::Upgrade;
    if update.level < current && is_upgrade {
        return refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade."
                .to_owned(),
        );
    }
    if update.level > current && !is_upgrade {
        return refuse("Can't downgrade to a newer version.".to_owned());
    }
    // The records of this level are those that are written; no release before could read them.
    if update.name == METADATA_VERSION && update.level < current {
        let reason = match update.upgrade_type {
            UpgradeType::UnsafeDowngrade => "Unsafe metadata downgrade is not supported in this version.",
            UpgradeType::Unknown | UpgradeType::Upgrade | UpgradeType::SafeDowngrade => {
                "Refusing to perform the requested downgrade because it might delete metadata information."
            }
        };
        let level = update.level;
        return Err(format!("Unsupported metadata.version downgrade from {current} to {level}. {reason}"));
    }
    if update.name != METADATA_VERSION && !KAFKAS.contains(&update.name.as_str()) {
        return refuse(format!("Feature {} not found.", update.name));
    }
    Ok(())
}

/// Who cannot run the level. This node is asked first, as a controller: it is one also while no broker is registered,
/// and could not register with a level beyond its own.
fn unsupported(image: &ClusterImage, update: &FeatureUpdate, inputs: &Inputs<'_>) -> Option<String> {
    let me = inputs.configs.config().node_id;
    let own = (format!("Local controller {me}"), inputs.supported_features);
    let brokers = image.brokers.values();
    let brokers = brokers.map(|broker| (format!("Broker {}", broker.id), broker.features.as_slice()));
    iter::once(own).chain(brokers).find_map(|(node, features)| {
        let supported = features.iter().find(|feature| feature.name == update.name);
        let (least, most) = supported.map_or((0, 0), |feature| (feature.min_level, feature.max_level));
        if (least..=most).contains(&update.level) {
            return None;
        }
        Some(match most {
            0 => format!("{node} does not support this feature."),
            _ => format!("{node} only supports versions {least}-{most}"),
        })
    })
}
