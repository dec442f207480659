//! DescribeCluster (key 60), v0-2: the brokers of the cluster (KIP-700). No broker is ever fenced here, so v2's wish
//! to see those (KIP-1073) changes nothing. Kafka: `AuthHelper.computeDescribeClusterResponse`.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::context::RequestContext;
use super::wire;
use crate::protocol::errors::ErrorCode;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub async fn handle(
    context: &RequestContext,
    request: DescribeClusterRequest,
) -> anyhow::Result<DescribeClusterResponse> {
    let image = context.services.image();
    let asked = if context.version >= 1 { request.endpoint_type } else { BROKERS };
    let config = context.services.config();
    let listener = config.listeners.iter().find(|listener| *listener.name == *context.connection.listener);
    let controller = listener.filter(|listener| listener.controller);
    // KIP-919: controllers are described by the controllers' own listener.
    let (here, there) =
        if controller.is_some() { ("CONTROLLER", "BROKER") } else { ("BROKER", "CONTROLLER") };
    if asked != if controller.is_some() { CONTROLLERS } else { BROKERS } {
        let (code, message) = match asked {
            BROKERS | CONTROLLERS => (
                ErrorCode::MismatchedEndpointType,
                format!(
                    "The request was sent to an endpoint of type {here}, but we wanted an endpoint of type {there}"
                ),
            ),
            unknown => (ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {unknown}")),
        };
        return Ok(DescribeClusterResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(wire::text(&message))));
    }
    let own = controller.map(|listener| {
        DescribeClusterBroker::default()
            .with_broker_id(wire::broker_id(context.services.me))
            .with_host(wire::text(listener.host.as_deref().unwrap_or("localhost")))
            .with_port(i32::from(listener.port))
    });
    let brokers = image.brokers.values().filter_map(|broker| {
        let endpoint = wire::endpoint(broker, &context.connection.listener)?;
        Some(
            DescribeClusterBroker::default()
                .with_broker_id(wire::broker_id(broker.id))
                .with_host(wire::text(&endpoint.host))
                .with_port(i32::from(endpoint.port))
                .with_rack(broker.rack.as_deref().map(wire::text)),
        )
    });
    Ok(DescribeClusterResponse::default()
        .with_endpoint_type(asked)
        .with_cluster_id(wire::text(&image.cluster_id))
        .with_controller_id(wire::broker_id(context.services.me))
        .with_brokers(own.into_iter().chain(brokers).collect())
        .with_cluster_authorized_operations(match request.include_cluster_authorized_operations {
            true => wire::ALL_CLUSTER_OPERATIONS,
            false => wire::OPERATIONS_NOT_ASKED,
        }))
}
