//! OffsetCommit (key 8), v2-10: how far a group has come, as records of `__consumer_offsets`.
//!
//! KIP-211 (retention: of the client's own up to v4), KIP-320 (v6: leader epochs), KIP-848 (v9, v10: topic ids). What
//! a group may commit is the coordinator's, which partitions exist [`committing`](super::committing)'s. Kafka:
//! `KafkaApis.handleOffsetCommitRequest`.

use std::sync::Arc;

use kafka_protocol::messages::OffsetCommitResponse;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use super::committing::{AnsweredTopic, NamedTopic, Sorted};
use super::context::RequestContext;
use crate::coordinator::group::command::Command;
use crate::coordinator::group::offsets::{CommitPartition, CommitRequest};
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use crate::protocol::offsets::{OffsetCommit, TOPIC_IDS_SINCE_VERSION};

pub async fn handle(context: &RequestContext, request: OffsetCommit) -> anyhow::Result<OffsetCommitResponse> {
    let OffsetCommit(request) = request;
    let by_id = context.version >= TOPIC_IDS_SINCE_VERSION;
    let mut sorted = Sorted::new(&context.services.image(), by_id, request.topics.into_iter().map(named));
    if let Some(topics) = sorted.take_topics() {
        let group: Arc<str> = request.group_id.as_str().into();
        let commit = CommitRequest {
            group: group.clone(),
            member_id: request.member_id.as_str().to_owned(),
            group_instance_id: request.group_instance_id.map(|id| id.as_str().to_owned()),
            generation: request.generation_id_or_member_epoch,
            version: context.version,
            retention_time_ms: request.retention_time_ms,
            topics,
        };
        sorted.settle(context.services.groups.submit(&group, Command::Commit(commit)).await);
    }
    let topics = sorted.into_answer().into_iter().map(answered);
    Ok(OffsetCommitResponse::default().with_topics(topics.collect()))
}

fn named(topic: OffsetCommitRequestTopic) -> NamedTopic {
    let partitions = topic.partitions.into_iter().map(commit).collect();
    NamedTopic { name: topic.name, id: topic.topic_id, partitions }
}

fn commit(partition: OffsetCommitRequestPartition) -> CommitPartition {
    CommitPartition {
        partition: PartitionIndex(partition.partition_index),
        offset: Offset(partition.committed_offset),
        leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
        metadata: partition.committed_metadata.map_or_else(String::new, |text| text.as_str().to_owned()),
    }
}

fn answered(topic: AnsweredTopic) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.into_iter().map(|(index, code)| {
        OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code.code())
    });
    OffsetCommitResponseTopic::default()
        .with_name(topic.name)
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}
