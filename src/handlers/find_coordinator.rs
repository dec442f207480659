//! FindCoordinator (key 10), v0-6: the broker that leads a group's partition of `__consumer_offsets`, or that of a
//! transactional id in `__transaction_state`.
//!
//! KIP-699 (v4: many keys in one request), KIP-98 (transactional ids) and KIP-932 (v6: share groups), for which there
//! is no coordinator here. The first question creates the topic, and is answered when it can be used,
//! where Kafka answers COORDINATOR_NOT_AVAILABLE. Kafka: `KafkaApis.handleFindCoordinatorRequest`.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::context::RequestContext;
use super::{groups, transactions, wire};
use crate::controller::ClusterImage;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{BrokerId, PartitionIndex, parse_uuid_text};

/// First version with many keys.
const KEYS_SINCE_VERSION: i16 = 4;
/// First version that knows share groups.
const SHARE_SINCE_VERSION: i16 = 6;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// Kafka's sentences for the errors of this message (`Errors.message`).
const NO_ERROR: &str = "NONE";
const NOT_AVAILABLE: &str = "The coordinator is not available.";
const INVALID: &str = "This most likely occurs because of a request being malformed by the client library or the \
    message was sent to an incompatible broker. See the broker logs for more details.";

pub async fn handle(
    context: &RequestContext,
    request: FindCoordinatorRequest,
) -> anyhow::Result<FindCoordinatorResponse> {
    let key_type = request.key_type;
    if context.version < KEYS_SINCE_VERSION {
        let ready = prepare(context, key_type, &[&*request.key]).await;
        return Ok(answer_one(ready.and_then(|()| find(context, key_type, &request.key))));
    }
    let keys: Vec<&str> = request.coordinator_keys.iter().map(|key| &**key).collect();
    let ready = prepare(context, key_type, &keys).await;
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        let found = ready.and_then(|()| find(context, key_type, &key));
        answer(key_type, key, found)
    });
    Ok(FindCoordinatorResponse::default().with_coordinators(coordinators.collect()))
}

/// Has the topic of these keys created if it can be.
async fn prepare(context: &RequestContext, key_type: i8, keys: &[&str]) -> Result<(), ErrorCode> {
    match key_type {
        GROUP => context.services.groups.ensure_topic(keys).await,
        TRANSACTION => context.services.transactions.ensure_topic(keys).await,
        _ => Ok(()),
    }
}

/// Where a coordinator is reached.
struct Node {
    id: BrokerId,
    host: StrBytes,
    port: i32,
}

impl Node {
    fn none() -> Node {
        Node { id: BrokerId::NONE, host: StrBytes::new(), port: -1 }
    }
}

fn find(context: &RequestContext, key_type: i8, key: &str) -> Result<Node, ErrorCode> {
    let services = &context.services;
    let image = services.image();
    match key_type {
        GROUP => {
            let partition = services.groups.partition_of(&image, key)?;
            find_leader(context, &image, groups::TOPIC, partition)
        }
        TRANSACTION => {
            let partition = services.transactions.partition_of(&image, key)?;
            find_leader(context, &image, transactions::TOPIC, partition)
        }
        SHARE if context.version >= SHARE_SINCE_VERSION && is_share_key(key) => {
            Err(ErrorCode::CoordinatorNotAvailable)
        }
        _ => Err(ErrorCode::InvalidRequest),
    }
}

fn find_leader(
    context: &RequestContext,
    image: &ClusterImage,
    topic: &str,
    partition: PartitionIndex,
) -> Result<Node, ErrorCode> {
    let leader = image.partition(topic, partition).map(|partition| partition.leader);
    leader
        .and_then(|leader| node(image, leader, &context.connection.listener))
        .ok_or(ErrorCode::CoordinatorNotAvailable)
}

fn node(image: &ClusterImage, broker: BrokerId, listener: &str) -> Option<Node> {
    let endpoint = wire::endpoint(image.broker(broker)?, listener)?;
    Some(Node { id: broker, host: wire::text(&endpoint.host), port: i32::from(endpoint.port) })
}

/// Whether `key` is `group:topic id:partition`. Kafka: `SharePartitionKey.validate`.
fn is_share_key(key: &str) -> bool {
    let mut parts = key.split(':');
    let (Some(group), Some(topic_id), Some(partition), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let has_topic = parse_uuid_text(topic_id).is_some_and(|id| !id.is_nil());
    !group.is_empty() && has_topic && partition.parse::<i32>().is_ok()
}

/// Versions with one key say every error in a sentence, and success too.
fn answer_one(found: Result<Node, ErrorCode>) -> FindCoordinatorResponse {
    let (code, message, node) = match found {
        Ok(node) => (ErrorCode::None, NO_ERROR, node),
        Err(code @ ErrorCode::InvalidRequest) => (code, INVALID, Node::none()),
        Err(code) => (code, NOT_AVAILABLE, Node::none()),
    };
    FindCoordinatorResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_static_str(message)))
        .with_node_id(wire::broker_id(node.id))
        .with_host(node.host)
        .with_port(node.port)
}

/// Versions with many keys say it of key types that do not exist only.
fn answer(key_type: i8, key: StrBytes, found: Result<Node, ErrorCode>) -> Coordinator {
    let message = if (GROUP..=SHARE).contains(&key_type) { "" } else { INVALID };
    let (code, node) = match found {
        Ok(node) => (ErrorCode::None, node),
        Err(code) => (code, Node::none()),
    };
    Coordinator::default()
        .with_key(key)
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_static_str(message)))
        .with_node_id(wire::broker_id(node.id))
        .with_host(node.host)
        .with_port(node.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_key_is_group_topic_id_and_partition() {
        assert!(is_share_key("g:AAAAAAAAAAAAAAAAAAAAAQ:7"));
        for key in [
            "g",
            "",
            "g:AAAAAAAAAAAAAAAAAAAAAQ",
            "g:AAAAAAAAAAAAAAAAAAAAAQ:x",
            "g:AAAAAAAAAAAAAAAAAAAAAQ:7:8",
            ":AAAAAAAAAAAAAAAAAAAAAQ:7",
            "g:AAAAAAAAAAAAAAAAAAAAAA:7",
            "g:!:7",
        ] {
            assert!(!is_share_key(key), "{key}");
        }
    }
}
