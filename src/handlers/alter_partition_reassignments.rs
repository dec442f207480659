//! AlterPartitionReassignments (key 45), v0-1: moves partitions to other replicas, or stops a move (KIP-455); v1 can
//! forbid that the replication factor changes (KIP-860). Kafka:
//! `ReplicationControlManager.alterPartitionReassignments`.

use kafka_protocol::messages::alter_partition_reassignments_request::ReassignableTopic;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, TopicName,
};

use super::context::RequestContext;
use super::wire;
use crate::controller::{Answer, Command, PartitionReassignment};
use crate::protocol::errors::ApiError;
use crate::protocol::ids::{BrokerId, PartitionIndex};

pub async fn handle(
    context: &RequestContext,
    request: AlterPartitionReassignmentsRequest,
) -> anyhow::Result<AlterPartitionReassignmentsResponse> {
    // Kafka answers a request for nothing without having looked at it.
    if request.topics.is_empty() {
        return Ok(AlterPartitionReassignmentsResponse::default());
    }
    let allowed = context.version == 0 || request.allow_replication_factor_change;
    let command = Command::AlterPartitionReassignments {
        topics: request.topics.iter().map(wanted).collect(),
        allow_replication_factor_change: allowed,
    };
    let results = match context.services.quorum.propose(command).await {
        Ok(Answer::AlterPartitionReassignments(results)) => results,
        Ok(_) => anyhow::bail!("the controller answers another command"),
        Err(refusal) => {
            return Ok(AlterPartitionReassignmentsResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(refusal.wire_message()));
        }
    };
    let responses = results.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(partition, result)| describe(partition, result));
        ReassignableTopicResponse::default()
            .with_name(TopicName(wire::text(&topic)))
            .with_partitions(partitions.collect())
    });
    let mut response = AlterPartitionReassignmentsResponse::default()
        .with_error_message(None)
        .with_responses(responses.collect());
    if context.version > 0 {
        response.allow_replication_factor_change = allowed;
    }
    Ok(response)
}

fn wanted(topic: &ReassignableTopic) -> (String, Vec<PartitionReassignment>) {
    let partitions = topic.partitions.iter().map(|partition| PartitionReassignment {
        partition: PartitionIndex(partition.partition_index),
        replicas: partition
            .replicas
            .as_ref()
            .map(|replicas| replicas.iter().map(|broker| BrokerId(broker.0)).collect()),
    });
    (topic.name.to_string(), partitions.collect())
}

fn describe(partition: PartitionIndex, result: Result<(), ApiError>) -> ReassignablePartitionResponse {
    let answer = ReassignablePartitionResponse::default().with_partition_index(partition.0);
    match result {
        Ok(()) => answer.with_error_message(None),
        Err(refusal) => {
            answer.with_error_code(refusal.code.code()).with_error_message(refusal.wire_message())
        }
    }
}
