//! ConsumerGroupHeartbeat (key 68), v0-1, KIP-848: a member of a consumer group joins, stays, leaves, and hears which
//! partitions are its own. From v1 on members choose their ids, and may read by a regular expression. Kafka:
//! `KafkaApis.handleConsumerGroupHeartbeat`.

use kafka_protocol::messages::consumer_group_heartbeat_request;
use kafka_protocol::messages::consumer_group_heartbeat_response::{self, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::context::RequestContext;
use super::{consumer_groups, wire};
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::coordinator::group::consumer::{HeartbeatRequest, HeartbeatResponse};
use crate::protocol::errors::ApiError;
use crate::protocol::ids::{PartitionIndex, TopicId};

pub async fn handle(
    context: &RequestContext,
    request: ConsumerGroupHeartbeatRequest,
) -> anyhow::Result<ConsumerGroupHeartbeatResponse> {
    Ok(match beat(context, request).await {
        Ok(response) => write(response),
        Err(error) => ConsumerGroupHeartbeatResponse::default()
            .with_error_code(error.code.code())
            .with_error_message(error.wire_message()),
    })
}

async fn beat(
    context: &RequestContext,
    request: ConsumerGroupHeartbeatRequest,
) -> Result<HeartbeatResponse, ApiError> {
    consumer_groups::check_enabled(context)?;
    let request = read(context, request);
    // What is refused whatever the group is, is refused before there is a coordinator.
    request.validate(&context.services.configs.group())?;
    let group = request.group.clone();
    match context.services.groups.submit(&group, Command::ConsumerHeartbeat(request)).await? {
        Response::ConsumerHeartbeat(response) => Ok(response),
        other => unreachable!("the coordinator answers a heartbeat, not with {other:?}"),
    }
}

fn read(context: &RequestContext, request: ConsumerGroupHeartbeatRequest) -> HeartbeatRequest {
    let names = |names: Vec<_>| {
        names.iter().map(|name: &kafka_protocol::messages::TopicName| wire::shared(name)).collect()
    };
    HeartbeatRequest {
        version: context.version,
        group: wire::shared(&request.group_id),
        member_id: wire::shared(&request.member_id),
        member_epoch: request.member_epoch,
        instance_id: request.instance_id.as_ref().map(wire::shared),
        rack_id: request.rack_id.as_ref().map(wire::shared),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        client_id: context.client_id.clone().unwrap_or_default(),
        client_host: wire::client_host(context.connection.peer.ip()).into(),
        subscribed_topics: request.subscribed_topic_names.map(names),
        subscribed_regex: request.subscribed_topic_regex.as_ref().map(wire::shared),
        server_assignor: request.server_assignor.as_ref().map(wire::shared),
        owned: request.topic_partitions.map(read_owned),
        fresh_uuid: context.services.rng.uuid(),
    }
}

fn read_owned(topics: Vec<consumer_group_heartbeat_request::TopicPartitions>) -> Assignment {
    let mut owned = Assignment::new();
    for topic in topics {
        let partitions = topic.partitions.into_iter().map(PartitionIndex);
        owned.entry(TopicId(topic.topic_id)).or_default().extend(partitions);
    }
    owned
}

fn write(response: HeartbeatResponse) -> ConsumerGroupHeartbeatResponse {
    let topic = |(topic, partitions): (TopicId, std::collections::BTreeSet<PartitionIndex>)| {
        TopicPartitions::default()
            .with_topic_id(topic.0)
            .with_partitions(partitions.into_iter().map(|partition| partition.0).collect())
    };
    let assignment = response.assignment.map(|assignment| {
        consumer_group_heartbeat_response::Assignment::default()
            .with_topic_partitions(assignment.into_iter().map(topic).collect())
    });
    ConsumerGroupHeartbeatResponse::default()
        .with_member_id(Some(wire::text(&response.member_id)))
        .with_member_epoch(response.member_epoch)
        .with_heartbeat_interval_ms(response.heartbeat_interval_ms)
        .with_assignment(assignment)
}
