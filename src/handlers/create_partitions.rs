//! CreatePartitions (key 37), v0-3: more partitions for a topic (KIP-195).
//! Kafka: `ControllerApis.createPartitions`.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};

use super::context::RequestContext;
use super::wire;
use crate::controller::{Answer, Command, CreatePartitions};
use crate::protocol::errors::ApiError;
use crate::protocol::ids::BrokerId;

pub async fn handle(
    context: &RequestContext,
    request: CreatePartitionsRequest,
) -> anyhow::Result<CreatePartitionsResponse> {
    let command = Command::CreatePartitions {
        topics: request.topics.iter().map(wanted).collect(),
        validate_only: request.validate_only,
    };
    let results = match context.services.quorum.propose(command).await {
        Ok(Answer::CreatePartitions(results)) => {
            results.into_iter().map(|(name, result)| describe(&name, result)).collect()
        }
        Ok(_) => anyhow::bail!("the controller answers another command"),
        Err(refusal) => {
            request.topics.iter().map(|topic| describe(&topic.name, Err(refusal.clone()))).collect()
        }
    };
    Ok(CreatePartitionsResponse::default().with_results(results))
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
