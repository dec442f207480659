//! DescribeConfigs (key 32), v0-4: every key of a resource with its value and where it comes from (KIP-133,
//! KIP-226, KIP-569), and the levels of the loggers (KIP-412). Kafka: `ConfigHelper`.
//!
//! A request of a few bytes can ask for every key with its documentation, again and again, and even of groups that nobody
//! has heard of: a resource is described as a whole once, and an answer does not go on for ever.

use std::collections::HashSet;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::context::RequestContext;
use super::logger_levels::{self, BROKER_LOGGER};
use super::wire;
use crate::config::describe::{self, Entry, Wanted};
use crate::config::resource::{ConfigResource, ResourceKind};
use crate::controller::topic_names;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::old::AnyVersion;

/// Once an answer has so many entries, the resources that follow are refused: thousands of topics with all keys.
const MAX_ENTRY_COUNT: usize = 250_000;

pub async fn handle(
    context: &RequestContext,
    AnyVersion(request): AnyVersion<DescribeConfigsRequest>,
) -> anyhow::Result<AnyVersion<DescribeConfigsResponse>> {
    let is_known = |kind| kind == BROKER_LOGGER || ResourceKind::from_code(kind).is_some();
    if let Some(unknown) = request.resources.iter().find(|resource| !is_known(resource.resource_type)) {
        // Kafka refuses the request as a whole.
        let message = format!("Unexpected resource type {}", unknown.resource_type);
        let refusal = ApiError::new(ErrorCode::InvalidRequest, message);
        let results = request.resources.iter().map(|resource| answer(resource, Err(refusal.clone())));
        return Ok(AnyVersion(DescribeConfigsResponse::default().with_results(results.collect())));
    }
    let describe = |resource: &DescribeConfigsResource| {
        let names: Option<Vec<&str>> =
            resource.configuration_keys.as_ref().map(|keys| keys.iter().map(|key| key.as_str()).collect());
        let wanted = Wanted {
            names: names.as_deref(),
            synonyms: request.include_synonyms,
            documentation: request.include_documentation,
        };
        match resource.resource_type {
            BROKER_LOGGER => {
                let (services, name) = (&context.services, resource.resource_name.as_str());
                logger_levels::describe(&services.loggers, services.me, name, &wanted)
            }
            _ => {
                describe(context, resource, &wanted).map(|entries| entries.into_iter().map(encode).collect())
            }
        }
    };
    Ok(AnyVersion(respond(&request, MAX_ENTRY_COUNT, describe)))
}

/// The answer, each resource in it as a whole once.
fn respond(
    request: &DescribeConfigsRequest,
    max_entry_count: usize,
    describe: impl Fn(&DescribeConfigsResource) -> Result<Vec<DescribeConfigsResourceResult>, ApiError>,
) -> DescribeConfigsResponse {
    let mut whole = HashSet::new();
    let mut entry_count = 0;
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let wants_all = resource.configuration_keys.as_ref().is_none_or(|keys| keys.is_empty());
        if wants_all && !whole.insert((resource.resource_type, resource.resource_name.as_str())) {
            continue;
        }
        let described = if entry_count >= max_entry_count {
            let sentence = "The answer is too large; ask for fewer resources at once.";
            Err(ApiError::new(ErrorCode::PolicyViolation, sentence))
        } else {
            describe(resource)
        };
        entry_count += described.as_ref().map_or(0, Vec::len);
        results.push(answer(resource, described));
    }
    DescribeConfigsResponse::default().with_results(results)
}

fn describe(
    context: &RequestContext,
    resource: &DescribeConfigsResource,
    wanted: &Wanted<'_>,
) -> Result<Vec<Entry>, ApiError> {
    let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    let name = resource.resource_name.as_str();
    let image = context.services.image();
    let configs = &context.services.configs;
    let own = |kind| {
        let resource = ConfigResource { kind, name: name.to_owned() };
        image.config(&resource).cloned().unwrap_or_default()
    };
    match ResourceKind::from_code(resource.resource_type) {
        Some(ResourceKind::Topic) => {
            topic_names::validate(name)?;
            // Kafka sends an empty sentence, which clients show; in place of none they show one of their own.
            let unknown = || ApiError::new(ErrorCode::UnknownTopicOrPartition, "");
            Ok(configs.describe_topic(&image.topic(name).ok_or_else(unknown)?.overrides, wanted))
        }
        Some(ResourceKind::Broker) if name.is_empty() => Ok(configs.describe_cluster_default(wanted)),
        Some(ResourceKind::Broker) => {
            let me = context.services.me;
            match name.parse::<i32>() {
                Ok(id) if id == me.0 => Ok(configs.describe_broker(wanted)),
                Ok(_) => invalid(format!(
                    "Unexpected broker id, expected {me} or empty string, but received {name}"
                )),
                Err(_) => invalid(format!("Broker id must be an integer, but it is: {name}")),
            }
        }
        Some(ResourceKind::ClientMetrics) if name.is_empty() => {
            invalid("Client metrics subscription name must not be empty".to_owned())
        }
        Some(ResourceKind::ClientMetrics) => {
            Ok(describe::client_metrics(&own(ResourceKind::ClientMetrics), wanted))
        }
        Some(ResourceKind::Group) if name.is_empty() => invalid("Group name must not be empty".to_owned()),
        Some(ResourceKind::Group) => Ok(configs.describe_group(&own(ResourceKind::Group), wanted)),
        None => Err(ErrorCode::InvalidRequest.into()),
    }
}

fn answer(
    resource: &DescribeConfigsResource,
    described: Result<Vec<DescribeConfigsResourceResult>, ApiError>,
) -> DescribeConfigsResult {
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone());
    match described {
        Ok(entries) => result.with_configs(entries),
        Err(refusal) => {
            // Never null, also of a topic that does not exist.
            let message = refusal.wire_message().unwrap_or_default();
            result.with_error_code(refusal.code.code()).with_error_message(Some(message))
        }
    }
}

fn encode(entry: Entry) -> DescribeConfigsResourceResult {
    let synonyms = entry.synonyms.into_iter().map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(synonym.name.into())
            .with_value(synonym.value.map(Into::into))
            .with_source(synonym.source.wire_id())
    });
    DescribeConfigsResourceResult::default()
        .with_name(entry.name.into())
        .with_value(entry.value.map(Into::into))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source.wire_id())
        .with_is_sensitive(entry.sensitive)
        .with_synonyms(synonyms.collect())
        .with_config_type(entry.type_id)
        .with_documentation(entry.documentation.map(wire::text))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    const TOPIC: i8 = 2;

    fn resource(name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
        let keys = keys.map(|keys| keys.iter().map(|key| wire::text(key)).collect::<Vec<StrBytes>>());
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(wire::text(name))
            .with_configuration_keys(keys)
    }

    /// The resources that were answered with their errors, each of which has two entries.
    fn answered(resources: Vec<DescribeConfigsResource>, max_entry_count: usize) -> Vec<(String, i16)> {
        let request = DescribeConfigsRequest::default().with_resources(resources);
        let two = |_: &DescribeConfigsResource| Ok(vec![DescribeConfigsResourceResult::default(); 2]);
        let results = respond(&request, max_entry_count, two).results;
        results.into_iter().map(|result| (result.resource_name.to_string(), result.error_code)).collect()
    }

    #[test]
    fn a_resource_is_described_as_a_whole_once() {
        let asked = vec![
            resource("t", None),
            resource("u", None),
            resource("t", Some(&[])),
            resource("t", Some(&["retention.ms"])),
            resource("t", None),
        ];
        assert_eq!(
            answered(asked, 100),
            [("t", 0), ("u", 0), ("t", 0)].map(|(name, code)| (name.into(), code))
        );
    }

    #[test]
    fn an_answer_that_is_large_enough_refuses_the_resources_that_follow() {
        let refused = ErrorCode::PolicyViolation.code();
        let asked = ["t", "u", "v"].map(|name| resource(name, None)).into();
        assert_eq!(
            answered(asked, 3),
            [("t", 0), ("u", 0), ("v", refused)].map(|(name, code)| (name.into(), code))
        );
    }
}
