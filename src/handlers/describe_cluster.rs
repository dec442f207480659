//! DescribeCluster (key 60), v0-2: the brokers or controllers of the cluster (KIP-700, KIP-919, KIP-1073).

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
    let endpoint_type = if context.version >= 1 { request.endpoint_type } else { BROKERS };
    if endpoint_type != BROKERS {
        // KIP-919: controllers are described by the controllers' own listener.
        let (code, message) = match endpoint_type {
            CONTROLLERS => (
                ErrorCode::MismatchedEndpointType,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
            ),
            _ => (ErrorCode::UnsupportedEndpointType, "Unsupported endpoint type"),
        };
        return Ok(DescribeClusterResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(wire::text(message))));
    }
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
        .with_endpoint_type(BROKERS)
        .with_cluster_id(wire::text(&image.cluster_id))
        .with_controller_id(wire::broker_id(context.services.me))
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(match request.include_cluster_authorized_operations {
            true => wire::ALL_CLUSTER_OPERATIONS,
            false => wire::OPERATIONS_NOT_ASKED,
        }))
}
