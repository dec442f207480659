//! An image as records: what replays to it from nothing. Pure (`MetadataImage.write`).

use crate::controller::image::{BrokerImage, ClusterImage, TopicImage};
use crate::controller::records::{
    ClientQuotaRecord, ConfigRecord, FeatureLevelRecord, MetadataRecord, ProducerIdsRecord,
    RegisterBrokerRecord, TopicRecord, UserScramCredentialRecord,
};
use crate::protocol::ids::{BrokerId, Offset, PartitionIndex};
use crate::security::scram::ScramCredential;

/// The records that make `image`, in an order in which they can be replayed.
pub fn snapshot_records(image: &ClusterImage) -> impl Iterator<Item = MetadataRecord> + '_ {
    let features = image.features.iter().map(|(name, level)| {
        MetadataRecord::FeatureLevel(FeatureLevelRecord { name: name.clone(), level: *level })
    });
    let brokers = image.brokers.values().map(|broker| broker_record(broker));
    let topics = image.topics.values().flat_map(|topic| topic_records(topic));
    let configs = image.configs.iter().flat_map(|(resource, values)| {
        values.iter().map(|(name, value)| {
            MetadataRecord::Config(ConfigRecord {
                resource_type: resource.kind.code(),
                resource_name: resource.name.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            })
        })
    });
    let quotas = image.client_quotas.iter().flat_map(|(entity, values)| {
        values.iter().map(|(key, value)| {
            let (entity, key, value) = (entity.clone(), key.clone(), Some(*value));
            MetadataRecord::ClientQuota(ClientQuotaRecord { entity, key, value })
        })
    });
    let credentials = image.scram_credentials.iter().map(|((name, mechanism), credential)| {
        MetadataRecord::UserScramCredential(UserScramCredentialRecord {
            name: name.clone(),
            mechanism: *mechanism,
            credential: ScramCredential::clone(credential),
        })
    });
    // Who took the last block is forgotten; that it is taken is not.
    let producer_ids =
        (image.next_producer_id.0 > 0).then_some(MetadataRecord::ProducerIds(ProducerIdsRecord {
            broker_id: BrokerId::NONE,
            broker_epoch: Offset::NONE,
            next_producer_id: image.next_producer_id,
        }));
    features.chain(brokers).chain(topics).chain(configs).chain(quotas).chain(credentials).chain(producer_ids)
}

fn broker_record(broker: &BrokerImage) -> MetadataRecord {
    MetadataRecord::RegisterBroker(RegisterBrokerRecord {
        broker_id: broker.id,
        incarnation_id: broker.incarnation_id,
        broker_epoch: broker.epoch,
        endpoints: broker.endpoints.clone(),
        features: broker.features.clone(),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        directories: broker.directories.clone(),
    })
}

fn topic_records(topic: &TopicImage) -> impl Iterator<Item = MetadataRecord> + '_ {
    let created = MetadataRecord::Topic(TopicRecord { name: topic.name.to_string(), topic_id: topic.id });
    let partitions = topic.partitions.iter().enumerate().map(|(index, partition)| {
        MetadataRecord::Partition(partition.to_record(topic.id, PartitionIndex(index as i32)))
    });
    std::iter::once(created).chain(partitions)
}
