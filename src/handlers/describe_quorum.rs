//! DescribeQuorum (key 55), v0-2: who leads the metadata quorum and how far each member is (KIP-595, KIP-836,
//! KIP-853). Kafka: `KafkaRaftClient.handleDescribeQuorumRequest`.

use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::context::RequestContext;
use super::wire;
use crate::protocol::errors::ErrorCode;
use crate::raft::{MemberStatus, QuorumStatus};

/// The one partition that has a quorum.
const METADATA_TOPIC: &str = "__cluster_metadata";
const NOT_HERE: &str = "This server does not host this topic-partition.";
/// KIP-836: when each member was last seen.
const TIMES_SINCE: i16 = 1;
/// KIP-853: where the controllers listen, and messages beside errors.
const NODES_SINCE: i16 = 2;
const MESSAGES_SINCE: i16 = 2;

pub async fn handle(
    context: &RequestContext,
    request: DescribeQuorumRequest,
) -> anyhow::Result<DescribeQuorumResponse> {
    let asks_for_metadata = request.topics.len() == 1
        && request.topics[0].topic_name.as_str() == METADATA_TOPIC
        && request.topics[0].partitions.len() == 1
        && request.topics[0].partitions[0].partition_index == 0;
    if !asks_for_metadata {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let answer = PartitionData::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(ErrorCode::UnknownTopicOrPartition.code());
                match context.version < MESSAGES_SINCE {
                    true => answer,
                    false => answer.with_error_message(Some(wire::text(NOT_HERE))),
                }
            });
            TopicData::default().with_topic_name(topic.topic_name).with_partitions(partitions.collect())
        });
        return Ok(DescribeQuorumResponse::default().with_topics(topics.collect()));
    }
    let status = context.services.quorum.describe();
    let topic = TopicData::default()
        .with_topic_name(request.topics[0].topic_name.clone())
        .with_partitions(vec![describe(context, &status)]);
    let nodes = if context.version < NODES_SINCE { Vec::new() } else { nodes(context, &status) };
    Ok(DescribeQuorumResponse::default().with_topics(vec![topic]).with_nodes(nodes))
}

fn describe(context: &RequestContext, status: &QuorumStatus) -> PartitionData {
    let now = context.services.clock.now().0;
    let member = |member: &MemberStatus| {
        // The leader is where it is; the others report when they fetch.
        let seen = if member.id == status.leader { now } else { -1 };
        let state = ReplicaState::default()
            .with_replica_id(wire::broker_id(member.id))
            .with_log_end_offset(member.log_end_offset.0);
        match context.version < TIMES_SINCE {
            true => state,
            false => state.with_last_fetch_timestamp(seen).with_last_caught_up_timestamp(seen),
        }
    };
    PartitionData::default()
        .with_leader_id(wire::broker_id(status.leader))
        .with_leader_epoch(status.leader_epoch.0)
        .with_high_watermark(status.high_watermark.0)
        .with_current_voters(status.voters.iter().map(member).collect())
        .with_observers(status.observers.iter().map(member).collect())
}

/// Where the controllers listen; a node without a controller listener has no entry.
fn nodes(context: &RequestContext, status: &QuorumStatus) -> Vec<Node> {
    let config = context.services.config();
    let own = config.listeners.iter().filter(|listener| listener.controller).map(|listener| {
        Listener::default()
            .with_name(wire::text(&listener.name))
            .with_host(wire::text(listener.host.as_deref().unwrap_or("localhost")))
            .with_port(listener.port)
    });
    let listeners: Vec<Listener> = own.collect();
    let me = context.services.me;
    let is_voter = status.voters.iter().any(|voter| voter.id == me);
    match is_voter && !listeners.is_empty() {
        true => vec![Node::default().with_node_id(wire::broker_id(me)).with_listeners(listeners)],
        false => Vec::new(),
    }
}
