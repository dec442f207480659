//! CreatePartitions (key 37), v0-3: more partitions for a topic (KIP-195), within the quota on partitions (KIP-599).
//! Kafka: `ControllerApis.createPartitions`.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};

use super::context::RequestContext;
use super::wire;
use crate::controller::{Answer, Command, CreatePartitions};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::BrokerId;

/// KIP-599: older versions are not refused.
const STRICT_QUOTA_SINCE: i16 = 3;

pub async fn handle(
    context: &RequestContext,
    request: CreatePartitionsRequest,
) -> anyhow::Result<CreatePartitionsResponse> {
    let mut results = Vec::with_capacity(request.topics.len());
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut paid = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let count = additional_count(context, topic);
        match context.take_partitions(count, STRICT_QUOTA_SINCE) {
            Ok(()) => {
                topics.push(wanted(topic));
                paid.push((topic.name.clone(), count));
            }
            Err(refusal) => results.push(describe(&topic.name, Err(refusal))),
        }
    }
    let command = Command::CreatePartitions { topics, validate_only: request.validate_only };
    let decided: Vec<CreatePartitionsTopicResult> = match context.services.quorum.propose(command).await {
        Ok(Answer::CreatePartitions(results)) => {
            results.into_iter().map(|(name, result)| describe(&name, result)).collect()
        }
        Ok(_) => anyhow::bail!("the controller answers another command"),
        Err(refusal) => {
            request.topics.iter().map(|topic| describe(&topic.name, Err(refusal.clone()))).collect()
        }
    };
    let refused = decided.iter().filter(|result| result.error_code != ErrorCode::None.code());
    let unused = refused.filter_map(|result| paid.iter().find(|(name, _)| *name == result.name));
    context.give_partitions_back(unused.map(|(_, count)| count).sum());
    results.extend(decided);
    Ok(CreatePartitionsResponse::default().with_results(results))
}

/// 0 for what the controller will refuse.
fn additional_count(context: &RequestContext, topic: &CreatePartitionsTopic) -> usize {
    let image = context.services.image();
    let present = image.topic(&topic.name).map(|topic| topic.partitions.len());
    present.map_or(0, |present| (topic.count.max(0) as usize).saturating_sub(present))
}

fn wanted(topic: &CreatePartitionsTopic) -> CreatePartitions {
    let assignments = topic.assignments.as_ref().map(|assignments| {
        let brokers = assignments
            .iter()
            .map(|assignment| assignment.broker_ids.iter().map(|broker| BrokerId(broker.0)).collect());
        brokers.collect()
    });
    CreatePartitions { name: topic.name.to_string(), count: topic.count, assignments }
}

fn describe(name: &str, result: Result<(), ApiError>) -> CreatePartitionsTopicResult {
    let answer = CreatePartitionsTopicResult::default().with_name(TopicName(wire::text(name)));
    match result {
        Ok(()) => answer,
        Err(refusal) => {
            answer.with_error_code(refusal.code.code()).with_error_message(refusal.wire_message())
        }
    }
}
