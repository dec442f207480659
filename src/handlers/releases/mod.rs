//! Which release of Apache Kafka this broker passes for (`--as-version`): what ApiVersions tells, what is answered at
//! all, and which features are on. Without the option it is Klamm's own, with everything that is served.
//!
//! `recorded.txt` says what the broker of each release advertises; a release here is that, met with what Klamm serves.
//! Nothing else hangs on the release. What a client may send and is sent follows from the version of each message: a
//! client of a broker of 0.10 sends no record headers because it knows no version that has them. KIP-35, KIP-584.

use std::sync::LazyLock;

use super::cluster_control;
use super::features::{self, Feature};
use super::table::{self, Api};
use crate::controller::ClusterImage;

mod recorded;
#[cfg(test)]
mod tests;

pub use recorded::Metadata;
use recorded::Recorded;

/// The lowest level of `metadata.version` there is. A cluster that begins as a release with ZooKeeper has it, so that
/// every later release can take the cluster over.
const FIRST_METADATA_VERSION: i16 = 7;
/// How members of the controllers' quorum come and go.
const KRAFT_VERSION: &str = "kraft.version";

/// What a broker advertises.
#[derive(Debug)]
pub struct Release {
    /// As `--as-version` names it.
    pub name: &'static str,
    /// Where its features are kept.
    pub metadata: Metadata,
    /// What is served, by key.
    pub apis: Vec<Api>,
    /// Features that ApiVersions tells, by name.
    pub supported: Vec<Feature>,
    /// Whether the refusal of an unknown version of ApiVersions names the versions there are (KIP-511).
    pub refuses_with_range: bool,
    /// What a cluster that begins under this release finalizes.
    finalized: Vec<(&'static str, i16)>,
}

static KLAMM: LazyLock<Release> = LazyLock::new(|| Release {
    name: "Klamm",
    metadata: Metadata::Kraft,
    apis: table::APIS.to_vec(),
    supported: features::SUPPORTED.to_vec(),
    refuses_with_range: true,
    finalized: features::SUPPORTED.iter().map(|feature| (feature.name, feature.max_version)).collect(),
});

static KAFKA: LazyLock<Vec<Release>> =
    LazyLock::new(|| recorded::all().iter().map(Release::from_recorded).collect());

impl Release {
    /// Everything that Klamm serves.
    pub fn klamm() -> &'static Release {
        &KLAMM
    }

    /// The release that `--as-version` names. 0.10 and 0.11 stand for the newest of their line. The error is a sentence
    /// that names what is allowed.
    pub fn named(name: &str) -> Result<&'static Release, String> {
        let is_line_of = |release: &Release| release.name.starts_with(&format!("{name}."));
        let exact = KAFKA.iter().find(|release| release.name == name);
        // A line has two numbers only before 1.0: "2" names nothing.
        let newest = || KAFKA.iter().rev().find(|release| name.starts_with("0.1") && is_line_of(release));
        exact.or_else(newest).ok_or_else(|| {
            let names: Vec<&str> = KAFKA.iter().map(|release| release.name).collect();
            format!("--as-version {name}: Klamm passes for Apache Kafka {}", names.join(", "))
        })
    }

    fn from_recorded(recorded: &Recorded) -> Release {
        let served = |api: &Api| {
            let (_, advertised) = recorded.apis.iter().find(|(key, _)| *key == api.key)?;
            let mut row = api.within(advertised.clone())?;
            if let Some((_, unserved)) = recorded.unserved.iter().find(|(key, _)| *key == api.key) {
                row.min_version = row.min_version.max(unserved.end() + 1);
            }
            Some(row)
        };
        // What Klamm lacks cannot be told: a client picks its protocols by the levels. That of the quorum is for tools, and
        // stays at 0, which is not told.
        let is_known = |name: &str| {
            name == KRAFT_VERSION || features::SUPPORTED.iter().any(|feature| feature.name == name)
        };
        let rows = table::APIS.iter().chain(cluster_control::APIS);
        let mut apis: Vec<Api> = rows.filter_map(served).collect();
        apis.sort_unstable_by_key(|api| api.key);
        Release {
            name: recorded.name,
            metadata: recorded.metadata,
            apis,
            supported: recorded.supported.iter().filter(|feature| is_known(feature.name)).copied().collect(),
            refuses_with_range: recorded.refuses_with_range,
            finalized: match recorded.metadata {
                Metadata::ZooKeeper { .. } => vec![(features::METADATA_VERSION, FIRST_METADATA_VERSION)],
                Metadata::Kraft => {
                    recorded.finalized.iter().filter(|(name, _)| is_known(name)).copied().collect()
                }
            },
        }
    }

    /// What UpdateFeatures may ask for, and a new cluster begins with: never beyond what this build registers with, or
    /// the cluster could not be started again.
    pub fn allowed_levels(&self) -> Vec<Feature> {
        match self.metadata {
            Metadata::Kraft => {
                let own_level = |feature: &Feature| {
                    let own = features::SUPPORTED.iter().find(|own| own.name == feature.name)?;
                    let min_version = feature.min_version.max(own.min_version);
                    Some(Feature {
                        min_version,
                        max_version: feature.max_version.min(own.max_version),
                        ..*own
                    })
                };
                self.supported.iter().filter_map(own_level).collect()
            }
            Metadata::ZooKeeper { .. } => {
                let at = FIRST_METADATA_VERSION;
                vec![Feature { name: features::METADATA_VERSION, min_version: at, max_version: at }]
            }
        }
    }

    /// The level of each feature when a cluster begins under this release.
    pub fn first_levels(&self) -> &[(&'static str, i16)] {
        &self.finalized
    }

    /// The finalized level of a feature, 0 when it is off. A cluster that has been further is seen as far as the release
    /// goes.
    pub fn level(&self, image: &ClusterImage, name: &str) -> i16 {
        let Some(feature) = self.supported.iter().find(|feature| feature.name == name) else { return 0 };
        image.features.get(name).map_or(0, |level| *level.min(&feature.max_version))
    }

    /// Finalized features with their levels, by name, and the epoch of all of them, as ApiVersions tells them.
    pub fn finalized(&self, image: &ClusterImage) -> (i64, Vec<(&'static str, i16)>) {
        let levels = self.supported.iter().map(|feature| (feature.name, self.level(image, feature.name)));
        let epoch = match self.metadata {
            Metadata::Kraft => image.applied.0,
            Metadata::ZooKeeper { features_epoch } => features_epoch,
        };
        (epoch, levels.filter(|(_, level)| *level > 0).collect())
    }
}
