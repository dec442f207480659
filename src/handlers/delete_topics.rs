//! DeleteTopics (key 20), v0-6, by name or id (KIP-516), within the quota on partitions (KIP-599); the topics are
//! gone when the answer leaves. Kafka: `ControllerApis.deleteTopics`.

use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};

use super::context::RequestContext;
use super::{quotas, wire};
use crate::controller::{Answer, Command, TopicReference};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::TopicId;
use crate::protocol::old::AnyVersion;

/// KIP-599: older versions are not refused.
const STRICT_QUOTA_SINCE: i16 = 5;

pub async fn handle(
    context: &RequestContext,
    AnyVersion(request): AnyVersion<DeleteTopicsRequest>,
) -> anyhow::Result<AnyVersion<DeleteTopicsResponse>> {
    let by_name = request.topic_names.iter().map(|name| TopicReference::Name(name.to_string()));
    let by_state = request.topics.iter().map(|topic| match &topic.name {
        Some(name) => TopicReference::Name(name.to_string()),
        None => TopicReference::Id(TopicId(topic.topic_id)),
    });
    let topics: Vec<TopicReference> = by_name.chain(by_state).collect();
    let refused = |topics: &[TopicReference], refusal: &ApiError| {
        let results = topics.iter().map(|topic| {
            let (name, id) = match topic {
                TopicReference::Name(name) => (Some(name.clone()), TopicId::ZERO),
                TopicReference::Id(id) => (None, *id),
            };
            describe(name, id, Err(refusal.clone()))
        });
        DeleteTopicsResponse::default().with_responses(results.collect())
    };
    if !context.services.config().metadata.delete_topic_enable {
        let code =
            if context.version < 3 { ErrorCode::InvalidRequest } else { ErrorCode::TopicDeletionDisabled };
        return Ok(AnyVersion(refused(&topics, &code.into())));
    }
    let (topics, throttled): (Vec<TopicReference>, Vec<TopicReference>) =
        topics.into_iter().partition(|topic| may_delete(context, topic));
    let mut response =
        match context.services.quorum.propose(Command::DeleteTopics { topics: topics.clone() }).await {
            Ok(Answer::DeleteTopics(results)) => {
                let results = results.into_iter().map(|(name, id, result)| describe(name, id, result));
                DeleteTopicsResponse::default().with_responses(results.collect())
            }
            Ok(_) => anyhow::bail!("the controller answers another command"),
            Err(refusal) => refused(&topics, &refusal),
        };
    response.responses.extend(refused(&throttled, &quotas::exceeded()).responses);
    Ok(AnyVersion(response))
}

/// A topic that does not exist costs nothing, and is the controller's to refuse.
fn may_delete(context: &RequestContext, topic: &TopicReference) -> bool {
    let image = context.services.image();
    let found = match topic {
        TopicReference::Name(name) => image.topic(name),
        TopicReference::Id(id) => image.topic_by_id(*id),
    };
    found.is_none_or(|topic| context.take_partitions(topic.partitions.len(), STRICT_QUOTA_SINCE).is_ok())
}

fn describe(name: Option<String>, id: TopicId, result: Result<(), ApiError>) -> DeletableTopicResult {
    let answer = DeletableTopicResult::default()
        .with_name(name.as_deref().map(|name| TopicName(wire::text(name))))
        .with_topic_id(id.0);
    match result {
        Ok(()) => answer,
        Err(refusal) => {
            answer.with_error_code(refusal.code.code()).with_error_message(refusal.wire_message())
        }
    }
}
