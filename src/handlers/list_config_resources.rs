//! ListConfigResources (key 74), v0-1: what has, or may have, a configuration of its own (KIP-1142). v0 knows
//! client-metrics subscriptions only (KIP-1000). Kafka: `KafkaApis.handleListConfigResources`.

use kafka_protocol::messages::list_config_resources_response::ConfigResource as Listed;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::context::RequestContext;
use super::logger_levels::BROKER_LOGGER;
use super::wire;
use crate::config::resource::ResourceKind;
use crate::controller::ClusterImage;
use crate::protocol::errors::ErrorCode;

pub async fn handle(
    context: &RequestContext,
    request: ListConfigResourcesRequest,
) -> anyhow::Result<ListConfigResourcesResponse> {
    let client_metrics = ResourceKind::ClientMetrics.code();
    let supported = match context.version {
        0 => vec![client_metrics],
        _ => vec![
            ResourceKind::Topic.code(),
            ResourceKind::Broker.code(),
            BROKER_LOGGER,
            client_metrics,
            ResourceKind::Group.code(),
        ],
    };
    let unknown = request.resource_types.iter().any(|code| !supported.contains(code));
    if unknown {
        let code = ErrorCode::UnsupportedVersion.code();
        return Ok(ListConfigResourcesResponse::default().with_error_code(code));
    }
    let all = request.resource_types.is_empty();
    let wanted = supported.into_iter().filter(|code| all || request.resource_types.contains(code));
    let image = context.services.image();
    let resources = wanted.flat_map(|code| {
        names(&image, code)
            .into_iter()
            .map(move |name| Listed::default().with_resource_name(wire::text(&name)).with_resource_type(code))
    });
    Ok(ListConfigResourcesResponse::default().with_config_resources(resources.collect()))
}

/// Topics and brokers there are, groups and subscriptions that have a value of their own.
fn names(image: &ClusterImage, code: i8) -> Vec<String> {
    let configured = |kind: ResourceKind| {
        let resources = image.configs.keys().filter(|resource| resource.kind == kind);
        resources.map(|resource| resource.name.clone()).collect()
    };
    let brokers = || image.brokers.keys().map(|id| id.to_string()).collect();
    match ResourceKind::from_code(code) {
        Some(ResourceKind::Topic) => image.topics.keys().map(|name| name.to_string()).collect(),
        Some(ResourceKind::Broker) => brokers(),
        Some(kind @ (ResourceKind::ClientMetrics | ResourceKind::Group)) => configured(kind),
        None if code == BROKER_LOGGER => brokers(),
        None => Vec::new(),
    }
}
