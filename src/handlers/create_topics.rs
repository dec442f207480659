//! CreateTopics (key 19), v0-7 (KIP-4, KIP-464 defaults, KIP-525 configs in the answer, KIP-516 ids,
//! KIP-599 quota on partitions).
//!
//! Whatever the version, -1 leaves a count to the broker, as with Kafka. The controller decides; a topic can be used when its answer leaves. Kafka: `ControllerApis.createTopics`.

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};

use super::context::RequestContext;
use super::wire;
use crate::config::describe::Wanted;
use crate::controller::{Answer, Command, CreateTopic, CreatedTopic, Partitioning};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::BrokerId;
use crate::protocol::old::AnyVersion;

/// KIP-599: older versions are not refused.
const STRICT_QUOTA_SINCE: i16 = 6;

pub async fn handle(
    context: &RequestContext,
    AnyVersion(request): AnyVersion<CreateTopicsRequest>,
) -> anyhow::Result<AnyVersion<CreateTopicsResponse>> {
    let mut results = Vec::with_capacity(request.topics.len());
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        match context.take_partitions(partition_count(context, topic), STRICT_QUOTA_SINCE) {
            Ok(()) => topics.push(wanted(topic)),
            Err(refusal) => results.push(describe(context, &topic.name, Err(refusal))),
        }
    }
    let command = Command::CreateTopics { topics, validate_only: request.validate_only };
    let decided: Vec<CreatableTopicResult> = match context.services.quorum.propose(command).await {
        Ok(Answer::CreateTopics(results)) => {
            results.into_iter().map(|(name, result)| describe(context, &name, result)).collect()
        }
        Ok(_) => anyhow::bail!("the controller answers another command"),
        // The command as a whole was refused, so every topic is.
        Err(refusal) => {
            let refused = |topic: &CreatableTopic| describe(context, &topic.name, Err(refusal.clone()));
            request.topics.iter().map(refused).collect()
        }
    };
    results.extend(decided);
    give_back(context, &request, &results);
    Ok(AnyVersion(CreateTopicsResponse::default().with_topics(results)))
}

fn partition_count(context: &RequestContext, topic: &CreatableTopic) -> usize {
    let default_count = || context.services.config().metadata.num_partitions;
    match (topic.assignments.len(), topic.num_partitions) {
        (0, -1) => default_count().max(0) as usize,
        (0, count) => count.max(0) as usize,
        (count, _) => count,
    }
}

/// Topics that the controller refused cost nothing; one that the quota refused has not been paid for.
fn give_back(context: &RequestContext, request: &CreateTopicsRequest, results: &[CreatableTopicResult]) {
    let free = [ErrorCode::None.code(), ErrorCode::ThrottlingQuotaExceeded.code()];
    let refused = results.iter().filter(|result| !free.contains(&result.error_code));
    let topics = refused.filter_map(|result| request.topics.iter().find(|topic| topic.name == result.name));
    context.give_partitions_back(topics.map(|topic| partition_count(context, topic)).sum());
}

fn wanted(topic: &CreatableTopic) -> CreateTopic {
    let partitioning = if topic.assignments.is_empty() {
        Partitioning::Counts {
            partition_count: topic.num_partitions,
            replication_factor: topic.replication_factor,
        }
    } else {
        let assignments = topic.assignments.iter().map(|assignment| {
            let brokers = assignment.broker_ids.iter().map(|broker| BrokerId(broker.0));
            (assignment.partition_index, brokers.collect())
        });
        Partitioning::Manual {
            assignments: assignments.collect(),
            counts: (topic.num_partitions, topic.replication_factor),
        }
    };
    let configs = topic
        .configs
        .iter()
        .map(|config| (config.name.to_string(), config.value.as_ref().map(|value| value.to_string())));
    CreateTopic { name: topic.name.to_string(), partitioning, configs: configs.collect() }
}

fn describe(
    context: &RequestContext,
    name: &str,
    result: Result<CreatedTopic, ApiError>,
) -> CreatableTopicResult {
    let answer = CreatableTopicResult::default().with_name(TopicName(wire::text(name)));
    match result {
        Ok(created) => {
            let configs = context.services.configs.describe_topic(&created.overrides, &Wanted::default());
            let configs = configs.into_iter().map(|entry| {
                CreatableTopicConfigs::default()
                    .with_name(entry.name.into())
                    .with_value(entry.value.map(Into::into))
                    .with_read_only(entry.read_only)
                    .with_config_source(entry.source.wire_id())
                    .with_is_sensitive(entry.sensitive)
            });
            answer
                .with_topic_id(created.id.0)
                .with_error_code(ErrorCode::None.code())
                .with_error_message(None)
                .with_num_partitions(created.partition_count)
                .with_replication_factor(created.replication_factor)
                .with_configs(Some(configs.collect()))
        }
        Err(refusal) => answer
            .with_error_code(refusal.code.code())
            .with_error_message(refusal.wire_message())
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_configs(Some(Vec::new())),
    }
}
