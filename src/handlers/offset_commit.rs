//! OffsetCommit (key 8), v0-10: how far a group has come, as records of `__consumer_offsets`.
//!
//! KIP-211 (retention: of the client's own up to v4, from a time of its own in v1), KIP-320 (v6: leader epochs), KIP-848
//! (v9, v10: topic ids). v0 means offsets in ZooKeeper, and is refused. What a group may commit is the coordinator's,
//! which partitions exist [`committing`](super::committing)'s. Kafka: `KafkaApis.handleOffsetCommitRequest`, of 3.9 for
//! v0 and v1.

use std::sync::Arc;

use kafka_protocol::messages::OffsetCommitResponse;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use super::committing::{AnsweredTopic, NamedTopic, Sorted};
use super::context::RequestContext;
use crate::controller::ClusterImage;
use crate::coordinator::group::command::Command;
use crate::coordinator::group::offsets::{CommitPartition, CommitRequest};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Timestamp;
use crate::protocol::offsets::TOPIC_IDS_SINCE_VERSION;
use crate::protocol::offsets::commit::{OffsetCommit, OffsetCommitPartition, OffsetCommitTopic};
use crate::protocol::old::AnyVersion;

/// First version that a coordinator keeps.
const COORDINATOR_SINCE_VERSION: i16 = 1;

pub async fn handle(
    context: &RequestContext,
    request: OffsetCommit,
) -> anyhow::Result<AnyVersion<OffsetCommitResponse>> {
    let image = context.services.image();
    // Kafka sees that it has no ZooKeeper when it has found something to commit.
    if context.version < COORDINATOR_SINCE_VERSION && any_exists(&image, &request.topics) {
        return Ok(respond(refuse(request.topics, ErrorCode::UnsupportedVersion)));
    }
    let by_id = context.version >= TOPIC_IDS_SINCE_VERSION;
    let mut sorted = Sorted::new(&image, by_id, request.topics.into_iter().map(named));
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
    Ok(respond(sorted.into_answer()))
}

fn any_exists(image: &ClusterImage, topics: &[OffsetCommitTopic]) -> bool {
    topics.iter().any(|topic| {
        let found = image.topic(&topic.name);
        found.is_some_and(|found| topic.partitions.iter().any(|asked| found.partition(asked.index).is_some()))
    })
}

/// The same for all that is asked for.
fn refuse(topics: Vec<OffsetCommitTopic>, code: ErrorCode) -> Vec<AnsweredTopic> {
    let refused = topics.into_iter().map(|topic| AnsweredTopic {
        name: topic.name,
        id: topic.id,
        partitions: topic.partitions.iter().map(|partition| (partition.index.0, code)).collect(),
    });
    refused.collect()
}

fn named(topic: OffsetCommitTopic) -> NamedTopic {
    let partitions = topic.partitions.into_iter().map(commit).collect();
    NamedTopic { name: topic.name, id: topic.id, partitions }
}

fn commit(partition: OffsetCommitPartition) -> CommitPartition {
    CommitPartition {
        partition: partition.index,
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        commit_timestamp: Some(partition.commit_timestamp).filter(|timestamp| *timestamp != Timestamp::NONE),
        metadata: partition.metadata.map_or_else(String::new, |text| text.as_str().to_owned()),
    }
}

fn respond(topics: Vec<AnsweredTopic>) -> AnyVersion<OffsetCommitResponse> {
    let topics = topics.into_iter().map(answered);
    AnyVersion(OffsetCommitResponse::default().with_topics(topics.collect()))
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
