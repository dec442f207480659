//! Registration of brokers (`ClusterControlManager.registerBroker`, `ReplicationControlManager.unregisterBroker`;
//! KIP-631, log directories KIP-858). Pure.

use std::collections::BTreeSet;

use crate::controller::command::{Answer, Inputs, Outcome, RegisterBroker};
use crate::controller::image::{ClusterImage, PartitionImage, TopicImage};
use crate::controller::partition_change::{Election, PartitionChange};
use crate::controller::records::{
    MetadataRecord, PartitionChangeRecord, RegisterBrokerRecord, UnregisterBrokerRecord,
};
use crate::controller::{configs, limits};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, Offset, PartitionIndex, Uuid};

pub(super) fn register(
    image: &ClusterImage,
    command: &RegisterBroker,
    inputs: &Inputs<'_>,
) -> Result<Outcome, ApiError> {
    if command.cluster_id != *image.cluster_id {
        let message =
            format!("Expected cluster ID {}, but got cluster ID {}", image.cluster_id, command.cluster_id);
        return Err(ApiError::new(ErrorCode::InconsistentClusterId, message));
    }
    check_directories(image, command)?;
    check_features(image, command)?;
    let known =
        image.broker(command.broker_id).filter(|broker| broker.incarnation_id == command.incarnation_id);
    let broker_epoch = known.map_or(inputs.next_offset, |broker| broker.epoch);
    let record = RegisterBrokerRecord {
        broker_id: command.broker_id,
        incarnation_id: command.incarnation_id,
        broker_epoch,
        endpoints: command.endpoints.clone(),
        features: command.features.clone(),
        rack: command.rack.clone(),
        fenced: known.map_or(command.fenced, |broker| broker.fenced),
        in_controlled_shutdown: known.is_some_and(|broker| broker.in_controlled_shutdown),
        directories: command.directories.clone(),
    };
    let unfenced = !record.fenced;
    let mut records = vec![MetadataRecord::RegisterBroker(record)];
    if known.is_none() && unfenced {
        records.extend(elections(image, command.broker_id));
    }
    Ok(Outcome { records, answer: Answer::RegisterBroker { broker_epoch } })
}

/// INVALID_REGISTRATION unless the directories are this broker's alone.
fn check_directories(image: &ClusterImage, command: &RegisterBroker) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::new(ErrorCode::InvalidRegistration, message));
    if command.directories.is_empty() {
        return refuse("No directories specified in request".to_owned());
    }
    // `DirectoryId.reserved`: the first hundred ids have meanings of their own.
    if command.directories.iter().any(|directory| directory.as_u128() < 100) {
        return refuse("Reserved directory ID in request".to_owned());
    }
    let distinct: BTreeSet<&Uuid> = command.directories.iter().collect();
    if distinct.len() != command.directories.len() {
        return refuse("Duplicate directory ID in request".to_owned());
    }
    for broker in image.brokers.values().filter(|broker| broker.id != command.broker_id) {
        if let Some(directory) = broker.directories.iter().find(|directory| distinct.contains(directory)) {
            let directory = crate::protocol::ids::uuid_text(*directory);
            return refuse(format!("Broker {} is already registered with directory {directory}", broker.id));
        }
    }
    Ok(())
}

/// UNSUPPORTED_VERSION unless the broker can run each finalized feature at its level.
fn check_features(image: &ClusterImage, command: &RegisterBroker) -> Result<(), ApiError> {
    for (name, level) in &image.features {
        let supported = command.features.iter().find(|feature| feature.name == *name);
        let (min_level, max_level) =
            supported.map_or((0, 0), |feature| (feature.min_level, feature.max_level));
        if *level < min_level || *level > max_level {
            let message = format!(
                "Unable to register because the broker does not support finalized version {level} of {name}. \
                 The broker wants a version between {min_level} and {max_level}, inclusive."
            );
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
        }
    }
    Ok(())
}

/// A new incarnation that may lead at once. What it leads gets a new leader epoch, because the end of its log
/// may be gone with its machine; what nobody leads gets it as leader, when it was in sync or is eligible.
fn elections(image: &ClusterImage, broker: BrokerId) -> impl Iterator<Item = MetadataRecord> {
    let changes = move |topic: &TopicImage, index: usize, partition: &PartitionImage| {
        let index = PartitionIndex(index as i32);
        if partition.leader == broker {
            let mut record = PartitionChangeRecord::new(topic.id, index);
            record.leader = Some(broker);
            return Some(MetadataRecord::PartitionChange(record));
        }
        let may_lead = |other: BrokerId| other == broker || image.is_active(other);
        let is_leaderless = partition.leader == BrokerId::NONE;
        is_leaderless
            .then(|| PartitionChange::of(image, topic, index, partition, &may_lead).build())
            .flatten()
    };
    image.topics.values().flat_map(move |topic| {
        let partitions = topic.partitions.iter().enumerate();
        partitions.filter_map(move |(index, partition)| changes(topic, index, partition))
    })
}

/// Forgets a broker, whether or not it runs: it leads nothing and is in sync with nothing until it registers again.
pub(super) fn unregister(
    image: &ClusterImage,
    broker: BrokerId,
    inputs: &Inputs<'_>,
) -> Result<Outcome, ApiError> {
    let Some(registered) = image.broker(broker) else {
        let message = format!("Broker ID {broker} is not currently registered");
        return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
    };
    let may_lead = |other: BrokerId| other != broker && image.is_active(other);
    let mut records = Vec::new();
    for topic in image.topics.values() {
        let config = configs::of_topic(topic, inputs.configs);
        for (index, partition) in topic.partitions.iter().enumerate() {
            if !partition.isr.contains(&broker) && partition.leader != broker {
                continue;
            }
            let index = PartitionIndex(index as i32);
            let mut change = PartitionChange::of(image, topic, index, partition, &may_lead);
            change.isr.retain(|other| *other != broker);
            change.min_insync_replicas = config.min_insync_replicas;
            if config.unclean_leader_election_enable {
                change.election = Election::Unclean;
            }
            records.extend(change.build());
        }
    }
    let record = UnregisterBrokerRecord { broker_id: broker, broker_epoch: registered.epoch };
    records.push(MetadataRecord::UnregisterBroker(record));
    limits::check_record_count(records.len())?;
    Ok(Outcome { records, answer: Answer::UnregisterBroker })
}

/// STALE_BROKER_EPOCH or BROKER_ID_NOT_REGISTERED unless `epoch` is the broker's (`checkBrokerEpoch`).
pub(super) fn check_epoch(image: &ClusterImage, broker: BrokerId, epoch: Offset) -> Result<(), ApiError> {
    let Some(registered) = image.broker(broker) else {
        let message = format!("No broker registration found for broker id {broker}");
        return Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message));
    };
    if registered.epoch != epoch {
        let message = format!("Expected broker epoch {}, but got broker epoch {epoch}", registered.epoch);
        return Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message));
    }
    Ok(())
}
