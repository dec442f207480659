//! How a broker makes itself known to the controller (KIP-631), and what a new cluster begins with.

use anyhow::{Context, bail};

use crate::config::broker::BrokerConfig;
use crate::config::dynamic::AlterOperation;
use crate::config::resource::ConfigResource;
use crate::controller::{
    Answer, Command, ConfigAlteration, Endpoint, FeatureUpdate, RegisterBroker, SupportedFeature, UpgradeType,
};
use crate::env::host;
use crate::handlers::features::{self, Feature};
use crate::handlers::releases::Release;
use crate::net::server::ListenerAddress;
use crate::protocol::errors::ApiError;
use crate::protocol::ids::{Offset, Uuid};
use crate::raft::Quorum;

const PLAINTEXT: i16 = 0;

/// What this broker announces. `bound` tells the ports that the system chose.
pub fn describe(
    config: &BrokerConfig,
    bound: &[ListenerAddress],
    directories: Vec<Uuid>,
    incarnation_id: Uuid,
) -> anyhow::Result<RegisterBroker> {
    let mut endpoints = Vec::with_capacity(config.advertised_listeners.len());
    for listener in &config.advertised_listeners {
        let host = match &listener.host {
            Some(host) => host.clone(),
            None => host::name().context("find the name of this machine")?,
        };
        let chosen = bound.iter().find(|address| *address.listener == *listener.name);
        let port = match (listener.port, chosen) {
            (0, Some(chosen)) => chosen.address.port(),
            (port, _) => port,
        };
        endpoints.push(Endpoint { name: listener.name.clone(), host, port, security_protocol: PLAINTEXT });
    }
    Ok(RegisterBroker {
        broker_id: config.node_id,
        cluster_id: String::new(),
        incarnation_id,
        endpoints,
        features: supported(features::SUPPORTED),
        rack: config.rack.clone(),
        directories,
        fenced: false,
    })
}

/// Features as the controller knows them.
pub fn supported(features: &[Feature]) -> Vec<SupportedFeature> {
    let features = features.iter().map(|feature| SupportedFeature {
        name: feature.name.to_owned(),
        min_level: feature.min_version,
        max_level: feature.max_version,
    });
    features.collect()
}

/// Registers, and gives a cluster without features those of `release`. Returns the broker's epoch.
pub async fn register(
    quorum: Quorum,
    mut registration: RegisterBroker,
    release: &Release,
) -> anyhow::Result<Offset> {
    let image = quorum.image();
    registration.cluster_id = image.cluster_id.to_string();
    let is_new = image.features.is_empty();
    let register = quorum.propose(Command::RegisterBroker(registration));
    // Proposed together, they are one entry and one write to the disk.
    let (answer, begun) =
        tokio::join!(register, async { if is_new { begin_cluster(&quorum, release).await } else { Ok(()) } });
    let answer = answer.context("register this broker")?;
    begun.context("set up a new cluster")?;
    let Answer::RegisterBroker { broker_epoch } = answer else {
        bail!("the controller answers a registration with {answer:?}");
    };
    Ok(broker_epoch)
}

/// What `kafka-storage format` writes for a new cluster: the level of each feature, and, as Kafka does once
/// eligible leader replicas are on (KIP-966), `min.insync.replicas` as the cluster's own value. The features come
/// last, because a cluster without them is one that has not begun.
async fn begin_cluster(quorum: &Quorum, release: &Release) -> Result<(), ApiError> {
    let operation = AlterOperation::Set("1".to_owned());
    let resource = ConfigAlteration {
        resource: ConfigResource::cluster_default(),
        operations: vec![("min.insync.replicas".to_owned(), operation)],
    };
    let levels = release.first_levels();
    let keeps_eligible_leaders = levels.iter().any(|(name, _)| *name == features::ELIGIBLE_LEADER_REPLICAS);
    let resources = if keeps_eligible_leaders { vec![resource] } else { Vec::new() };
    let configure = Command::IncrementalAlterConfigs { resources, validate_only: false };
    let updates = levels.iter().map(|(name, level)| FeatureUpdate {
        name: (*name).to_owned(),
        level: *level,
        upgrade_type: UpgradeType::Upgrade,
    });
    let update = Command::UpdateFeatures { updates: updates.collect(), validate_only: false };
    let (configured, updated) = tokio::try_join!(quorum.propose(configure), quorum.propose(update))?;
    match (configured, updated) {
        (Answer::AlterConfigs(configured), Answer::UpdateFeatures) => {
            configured.into_iter().try_for_each(|(_, result)| result)
        }
        answers => panic!("the controller answers other commands: {answers:?}"),
    }
}
