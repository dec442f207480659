//! Metadata (key 3), v0-13: brokers, topics and who leads what; creates topics on first use.
//!
//! KIP-4, KIP-516 (topic ids), KIP-430 (authorized operations), KIP-1102 (v13: an error code of the whole answer,
//! always 0 here). Unlike Kafka, which answers an error first, a topic made on first use is in the same answer.
//! Kafka: `KafkaApis.handleTopicMetadataRequest`, `AutoTopicCreationManager`.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};

use super::context::RequestContext;
use super::wire;
use crate::controller::topic_names;
use crate::controller::{ClusterImage, CreateTopic, PartitionImage, Partitioning, TopicImage};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::TopicId;

pub async fn handle(context: &RequestContext, request: MetadataRequest) -> anyhow::Result<MetadataResponse> {
    // v10 and v11 have room for topic ids, but Kafka looks topics up by id from v12 on only, and says nothing else then.
    let mut asked = request.topics.iter().flatten();
    if context.version < 12 && asked.any(|topic| topic.name.is_none() || !topic.topic_id.is_nil()) {
        return Ok(refuse_ids(&request));
    }
    let (topics, image) = describe_topics(context, &request).await;
    Ok(MetadataResponse::default()
        .with_brokers(brokers(&image, &context.connection.listener))
        .with_cluster_id(Some(wire::text(&image.cluster_id)))
        .with_controller_id(wire::broker_id(context.services.me))
        .with_topics(topics)
        .with_cluster_authorized_operations(match request.include_cluster_authorized_operations {
            true => wire::ALL_CLUSTER_OPERATIONS,
            false => wire::OPERATIONS_NOT_ASKED,
        }))
}

async fn describe_topics(
    context: &RequestContext,
    request: &MetadataRequest,
) -> (Vec<MetadataResponseTopic>, Arc<ClusterImage>) {
    let image = context.services.image();
    // v0 had no null list: an empty one asks for all.
    let asked = match &request.topics {
        Some(topics) if !(context.version == 0 && topics.is_empty()) => topics,
        _ => {
            let all = image.topics.values().map(|topic| describe(&image, request, topic)).collect();
            return (all, image);
        }
    };
    // One id makes it a request by ids: names beside it are not looked at.
    if asked.iter().any(|topic| !topic.topic_id.is_nil()) {
        let mut seen = HashSet::new();
        let ids = asked.iter().map(|topic| topic.topic_id).filter(|id| !id.is_nil() && seen.insert(*id));
        let topics = ids.map(|id| match image.topic_by_id(TopicId(id)) {
            Some(found) => describe(&image, request, found),
            None => failed(ErrorCode::UnknownTopicId).with_topic_id(id),
        });
        return (topics.collect(), image.clone());
    }
    let image = create_missing(context, request, image).await;
    let names: BTreeSet<&TopicName> = asked.iter().filter_map(|topic| topic.name.as_ref()).collect();
    let topics = names.into_iter().map(|name| match image.topic(name) {
        Some(found) => describe(&image, request, found),
        None => failed(missing(name))
            .with_name(Some(name.clone()))
            .with_topic_authorized_operations(operations(request)),
    });
    (topics.collect(), image.clone())
}

/// An error for every topic, and no word of the cluster.
fn refuse_ids(request: &MetadataRequest) -> MetadataResponse {
    let refused = request.topics.iter().flatten().map(|topic| {
        let name = topic.name.clone().unwrap_or_default();
        failed(ErrorCode::InvalidRequest).with_name(Some(name)).with_topic_id(topic.topic_id)
    });
    MetadataResponse::default().with_cluster_id(None).with_topics(refused.collect())
}

fn operations(request: &MetadataRequest) -> i32 {
    match request.include_topic_authorized_operations {
        true => wire::ALL_TOPIC_OPERATIONS,
        false => wire::OPERATIONS_NOT_ASKED,
    }
}

/// Why no topic has this name.
pub fn missing(name: &str) -> ErrorCode {
    match topic_names::validate(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    }
}

/// `auto.create.topics.enable`: makes the topics that are asked for by name and do not exist.
async fn create_missing(
    context: &RequestContext,
    request: &MetadataRequest,
    image: Arc<ClusterImage>,
) -> Arc<ClusterImage> {
    // The flag came with v4; requests before it always create.
    let allowed = context.version < 4 || request.allow_auto_topic_creation;
    if !allowed || !context.services.config().metadata.auto_create_topics_enable {
        return image;
    }
    let topics: Vec<CreateTopic> = request
        .topics
        .iter()
        .flatten()
        .filter_map(|topic| Some(topic.name.as_ref()?.as_str()))
        .filter(|name| image.topic(name).is_none() && topic_names::validate(name).is_ok())
        .filter_map(|name| context.services.topic_on_first_use(name))
        .collect();
    if topics.is_empty() {
        return image;
    }
    // KIP-599: who overdraws a quota by this has to rest, in any version.
    let default_count = context.services.config().metadata.num_partitions;
    context.take_partitions_freely(topics.iter().map(|topic| partition_count(topic, default_count)).sum());
    // Refusals (the topic has come meanwhile, no room for another) show as topics that do not exist.
    if let Err(error) = context.services.create_topics(topics).await {
        tracing::debug!(%error, "automatic topic creation refused");
    }
    context.services.image()
}

fn partition_count(topic: &CreateTopic, default_count: i32) -> usize {
    match &topic.partitioning {
        Partitioning::Counts { partition_count: -1, .. } => default_count.max(0) as usize,
        Partitioning::Counts { partition_count, .. } => (*partition_count).max(0) as usize,
        Partitioning::Manual { assignments, .. } => assignments.len(),
    }
}

fn brokers(image: &ClusterImage, listener: &str) -> Vec<MetadataResponseBroker> {
    image
        .brokers
        .values()
        .filter_map(|broker| {
            let endpoint = wire::endpoint(broker, listener)?;
            Some(
                MetadataResponseBroker::default()
                    .with_node_id(wire::broker_id(broker.id))
                    .with_host(wire::text(&endpoint.host))
                    .with_port(i32::from(endpoint.port))
                    .with_rack(broker.rack.as_deref().map(wire::text)),
            )
        })
        .collect()
}

fn failed(code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(code.code())
        .with_name(None)
        .with_topic_authorized_operations(wire::OPERATIONS_NOT_ASKED)
}

fn describe(image: &ClusterImage, request: &MetadataRequest, topic: &TopicImage) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(wire::text(&topic.name))))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic.internal)
        .with_partitions(
            topic
                .partitions
                .iter()
                .enumerate()
                .map(|(index, partition)| describe_partition(image, index, partition))
                .collect(),
        )
        .with_topic_authorized_operations(operations(request))
}

fn describe_partition(
    image: &ClusterImage,
    index: usize,
    partition: &PartitionImage,
) -> MetadataResponsePartition {
    let leader_is_known = image.broker(partition.leader).is_some();
    let error = if leader_is_known { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    MetadataResponsePartition::default()
        .with_error_code(error.code())
        .with_partition_index(index as i32)
        .with_leader_id(wire::broker_id(partition.leader))
        .with_leader_epoch(partition.leader_epoch.0)
        .with_replica_nodes(wire::broker_ids(&partition.replicas))
        .with_isr_nodes(wire::broker_ids(&partition.isr))
        .with_offline_replicas(
            partition
                .replicas
                .iter()
                .filter(|replica| image.broker(**replica).is_none())
                .map(|replica| wire::broker_id(*replica))
                .collect(),
        )
}
