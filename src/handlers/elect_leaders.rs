//! ElectLeaders (key 43), v0-2: the preferred leaders, or with v1 any leader where there is none (KIP-183, KIP-460).
//! Kafka: `ReplicationControlManager.electLeaders`.

use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};

use super::context::RequestContext;
use super::wire;
use crate::controller::{Answer, Command, ElectionType};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::PartitionIndex;

pub async fn handle(
    context: &RequestContext,
    request: ElectLeadersRequest,
) -> anyhow::Result<ElectLeadersResponse> {
    let election = match request.election_type {
        0 => ElectionType::Preferred,
        1 => ElectionType::Unclean,
        unknown => {
            let sentence = format!("Unknown election type {unknown}");
            return Ok(refuse(&request, &ApiError::new(ErrorCode::InvalidRequest, sentence)));
        }
    };
    let partitions = request.topic_partitions.as_ref().map(|topics| {
        let topics = topics.iter().map(|topic| {
            (topic.topic.to_string(), topic.partitions.iter().copied().map(PartitionIndex).collect())
        });
        topics.collect()
    });
    let results = match context.services.quorum.propose(Command::ElectLeaders { election, partitions }).await
    {
        Ok(Answer::ElectLeaders(results)) => results,
        Ok(_) => anyhow::bail!("the controller answers another command"),
        Err(refusal) => return Ok(refuse(&request, &refusal)),
    };
    let results = results.into_iter().map(|(topic, elected)| {
        let elected =
            elected.into_iter().map(|(partition, result)| describe(partition.0, result.err().as_ref()));
        ReplicaElectionResult::default()
            .with_topic(TopicName(wire::text(&topic)))
            .with_partition_result(elected.collect())
    });
    Ok(ElectLeadersResponse::default().with_replica_election_results(results.collect()))
}

fn describe(partition: i32, refusal: Option<&ApiError>) -> PartitionResult {
    let result = PartitionResult::default().with_partition_id(partition);
    match refusal {
        None => result,
        Some(refusal) => {
            result.with_error_code(refusal.code.code()).with_error_message(refusal.wire_message())
        }
    }
}

/// The whole request is refused, and so is each partition it names: v0 has no other place to say so.
fn refuse(request: &ElectLeadersRequest, refusal: &ApiError) -> ElectLeadersResponse {
    let results = request.topic_partitions.iter().flatten().map(|topic| {
        let refused = topic.partitions.iter().map(|partition| describe(*partition, Some(refusal)));
        ReplicaElectionResult::default()
            .with_topic(topic.topic.clone())
            .with_partition_result(refused.collect())
    });
    ElectLeadersResponse::default()
        .with_error_code(refusal.code.code())
        .with_replica_election_results(results.collect())
}
