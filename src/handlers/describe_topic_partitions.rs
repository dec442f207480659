//! DescribeTopicPartitions (key 75), v0: topics page by page, with eligible leader replicas (KIP-966).
//! Kafka: `DescribeTopicPartitionsRequestHandler`.

use std::collections::BTreeSet;

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName};

use super::context::RequestContext;
use super::metadata::missing;
use super::wire;
use crate::controller::{ClusterImage, PartitionImage, TopicImage};
use crate::protocol::errors::ErrorCode;

pub async fn handle(
    context: &RequestContext,
    request: DescribeTopicPartitionsRequest,
) -> anyhow::Result<DescribeTopicPartitionsResponse> {
    let image = context.services.image();
    let cursor_topic = request.cursor.as_ref().map_or("", |cursor| cursor.topic_name.as_str());
    let cursor_partition = request.cursor.as_ref().map_or(0, |cursor| cursor.partition_index);
    let all_topics = request.topics.is_empty();
    let names: BTreeSet<&str> = if all_topics {
        image.topics.values().map(|topic| &*topic.name).filter(|name| *name >= cursor_topic).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.as_str()).filter(|name| *name >= cursor_topic).collect()
    };
    let cursor_is_missing = !all_topics && request.cursor.is_some() && !names.contains(cursor_topic);
    if cursor_is_missing || cursor_partition < 0 {
        let refused = request.topics.iter().map(|topic| {
            failed(ErrorCode::InvalidRequest, &topic.name)
                .with_topic_authorized_operations(wire::OPERATIONS_NOT_ASKED)
        });
        return Ok(DescribeTopicPartitionsResponse::default().with_topics(refused.collect()));
    }
    let limit = context.services.config().network.max_request_partition_size_limit;
    let limit = limit.min(request.response_partition_limit.max(0) as usize).max(1);
    let first = |name: &str| if name == cursor_topic { cursor_partition as usize } else { 0 };
    Ok(describe_pages(&image, names, first, limit, all_topics))
}

/// Describes `names` in order until `limit` partitions are in the answer; `first` gives the partition that a
/// topic begins at.
fn describe_pages(
    image: &ClusterImage,
    names: BTreeSet<&str>,
    first: impl Fn(&str) -> usize,
    limit: usize,
    skip_missing: bool,
) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut remaining = limit;
    for name in names {
        if remaining == 0 {
            return response.with_next_cursor(Some(cursor(name, 0)));
        }
        let Some(topic) = image.topic(name) else {
            if !skip_missing {
                response.topics.push(failed(missing(name), name));
            }
            continue;
        };
        let first = first(name).min(topic.partitions.len());
        let end = topic.partitions.len().min(first + remaining);
        response.topics.push(describe(image, topic, first..end));
        remaining -= end - first;
        if end < topic.partitions.len() {
            return response.with_next_cursor(Some(cursor(name, end)));
        }
    }
    response
}

fn cursor(topic: &str, partition: usize) -> Cursor {
    Cursor::default().with_topic_name(TopicName(wire::text(topic))).with_partition_index(partition as i32)
}

fn failed(code: ErrorCode, name: &str) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code.code())
        .with_name(Some(TopicName(wire::text(name))))
        .with_topic_authorized_operations(wire::ALL_TOPIC_OPERATIONS)
}

fn describe(
    image: &ClusterImage,
    topic: &TopicImage,
    range: std::ops::Range<usize>,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = range.map(|index| describe_partition(image, index, &topic.partitions[index]));
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(wire::text(&topic.name))))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(wire::ALL_TOPIC_OPERATIONS)
}

fn describe_partition(
    image: &ClusterImage,
    index: usize,
    partition: &PartitionImage,
) -> DescribeTopicPartitionsResponsePartition {
    let is_offline = |broker: &&crate::protocol::ids::BrokerId| image.broker(**broker).is_none();
    DescribeTopicPartitionsResponsePartition::default()
        .with_partition_index(index as i32)
        .with_leader_id(wire::broker_id(partition.leader))
        .with_leader_epoch(partition.leader_epoch.0)
        .with_replica_nodes(wire::broker_ids(&partition.replicas))
        .with_isr_nodes(wire::broker_ids(&partition.isr))
        .with_eligible_leader_replicas(Some(wire::broker_ids(&partition.elr)))
        .with_last_known_elr(Some(wire::broker_ids(&partition.last_known_elr)))
        .with_offline_replicas(
            partition.replicas.iter().filter(is_offline).map(|broker| wire::broker_id(*broker)).collect(),
        )
}
