//! ListPartitionReassignments (key 46), v0: the partitions that are on their way to other replicas (KIP-455).
//! Kafka: `ReplicationControlManager.listPartitionReassignments`.

use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};

use super::context::RequestContext;
use super::wire;
use crate::controller::{PartitionImage, TopicImage};
use crate::protocol::ids::PartitionIndex;

pub async fn handle(
    context: &RequestContext,
    request: ListPartitionReassignmentsRequest,
) -> anyhow::Result<ListPartitionReassignmentsResponse> {
    let image = context.services.image();
    let topics: Vec<OngoingTopicReassignment> = match &request.topics {
        Some(topics) => topics
            .iter()
            .filter_map(|asked| {
                let topic = image.topic(&asked.name)?;
                under_way(topic, asked.partition_indexes.iter().copied())
            })
            .collect(),
        None => image
            .topics
            .values()
            .filter_map(|topic| under_way(topic, 0..topic.partitions.len() as i32))
            .collect(),
    };
    Ok(ListPartitionReassignmentsResponse::default().with_error_message(None).with_topics(topics))
}

/// `None` when none of the partitions moves.
fn under_way(topic: &TopicImage, indexes: impl Iterator<Item = i32>) -> Option<OngoingTopicReassignment> {
    let moving = |partition: &PartitionImage| {
        !partition.adding_replicas.is_empty() || !partition.removing_replicas.is_empty()
    };
    let found = indexes.filter_map(|index| {
        let partition = topic.partition(PartitionIndex(index)).filter(|partition| moving(partition))?;
        let reassignment = OngoingPartitionReassignment::default()
            .with_partition_index(index)
            .with_replicas(wire::broker_ids(&partition.replicas))
            .with_adding_replicas(wire::broker_ids(&partition.adding_replicas))
            .with_removing_replicas(wire::broker_ids(&partition.removing_replicas));
        Some(reassignment)
    });
    let partitions: Vec<OngoingPartitionReassignment> = found.collect();
    (!partitions.is_empty()).then(|| {
        OngoingTopicReassignment::default()
            .with_name(TopicName(wire::text(&topic.name)))
            .with_partitions(partitions)
    })
}
