//! DescribeConfigs (key 32), v0-4: every key of a resource with its value and where it comes from (KIP-133,
//! KIP-226, KIP-569), and the levels of the loggers (KIP-412). Kafka: `ConfigHelper`.

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
    let results = request.resources.iter().map(|resource| {
        let names: Option<Vec<&str>> =
            resource.configuration_keys.as_ref().map(|keys| keys.iter().map(|key| key.as_str()).collect());
        let wanted = Wanted {
            names: names.as_deref(),
            synonyms: request.include_synonyms,
            documentation: request.include_documentation,
        };
        let described = match resource.resource_type {
            BROKER_LOGGER => {
                let (services, name) = (&context.services, resource.resource_name.as_str());
                logger_levels::describe(&services.loggers, services.me, name, &wanted)
            }
            _ => {
                describe(context, resource, &wanted).map(|entries| entries.into_iter().map(encode).collect())
            }
        };
        answer(resource, described)
    });
    Ok(AnyVersion(DescribeConfigsResponse::default().with_results(results.collect())))
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
