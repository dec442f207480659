//! OffsetCommit (key 8), v2-10: how far a group has come, as records of `__consumer_offsets`.
//!
//! KIP-211 (retention: of the client's own up to v4), KIP-320 (v6: leader epochs), KIP-848 (v9, v10: topic ids). What
//! a group may commit is the coordinator's; here what does not exist is told apart from what does. Refused partitions
//! come first in an answer. Kafka: `KafkaApis.handleOffsetCommitRequest`, `OffsetCommitResponse.Builder`.

use std::sync::Arc;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitResponse, TopicName};

use super::context::RequestContext;
use super::wire::ByMention;
use crate::controller::{ClusterImage, TopicImage};
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::offsets::{CommitPartition, CommitRequest, CommitTopic};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId, Uuid};
use crate::protocol::offsets::{OffsetCommit, TOPIC_IDS_SINCE_VERSION};

pub async fn handle(context: &RequestContext, request: OffsetCommit) -> anyhow::Result<OffsetCommitResponse> {
    let OffsetCommit(request) = request;
    let mut sorted = Sorted::new(request.topics.len());
    let image = context.services.image();
    for topic in request.topics {
        sorted.add(&image, context.version, topic);
    }
    if !sorted.topics.is_empty() {
        let group: Arc<str> = request.group_id.as_str().into();
        let commit = CommitRequest {
            group: group.clone(),
            member_id: request.member_id.as_str().to_owned(),
            group_instance_id: request.group_instance_id.map(|id| id.as_str().to_owned()),
            generation: request.generation_id_or_member_epoch,
            version: context.version,
            retention_time_ms: request.retention_time_ms,
            topics: std::mem::take(&mut sorted.topics),
        };
        let answer = context.services.groups.submit(&group, Command::Commit(commit)).await;
        sorted.settle(answer);
    }
    Ok(OffsetCommitResponse::default().with_topics(sorted.into_answer()))
}

/// The partitions of a request: those that do not exist, and those that the coordinator decides.
struct Sorted {
    refused: ByMention<(TopicName, Uuid), OffsetCommitResponseTopic>,
    /// What the coordinator is asked for.
    topics: Vec<CommitTopic>,
    /// The answers to it, in the same order.
    answers: Vec<OffsetCommitResponseTopic>,
}

impl Sorted {
    fn new(topic_count: usize) -> Sorted {
        Sorted {
            refused: ByMention::new(),
            topics: Vec::with_capacity(topic_count),
            answers: Vec::with_capacity(topic_count),
        }
    }

    fn add(&mut self, image: &ClusterImage, version: i16, topic: OffsetCommitRequestTopic) {
        let found = if version >= TOPIC_IDS_SINCE_VERSION {
            image.topic_by_id(TopicId(topic.topic_id)).ok_or(ErrorCode::UnknownTopicId)
        } else {
            image.topic(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)
        };
        match found {
            Ok(found) => self.add_existing(found, topic),
            Err(code) => {
                let refused = self.refused(&topic.name, topic.topic_id);
                let partitions = topic.partitions.iter();
                refused.extend(partitions.map(|partition| answer(partition.partition_index, code)));
            }
        }
    }

    fn add_existing(&mut self, found: &TopicImage, topic: OffsetCommitRequestTopic) {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let index = partition.partition_index;
            if found.partition(PartitionIndex(index)).is_none() {
                let refused = self.refused(&topic.name, topic.topic_id);
                refused.push(answer(index, ErrorCode::UnknownTopicOrPartition));
                continue;
            }
            partitions.push(commit(partition));
            answers.push(answer(index, ErrorCode::None));
        }
        if partitions.is_empty() {
            return;
        }
        self.topics.push(CommitTopic { name: found.name.clone(), id: found.id, partitions });
        self.answers.push(
            OffsetCommitResponseTopic::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partitions(answers),
        );
    }

    fn refused(&mut self, name: &TopicName, id: Uuid) -> &mut Vec<OffsetCommitResponsePartition> {
        let make = || OffsetCommitResponseTopic::default().with_name(name.clone()).with_topic_id(id);
        &mut self.refused.topic((name.clone(), id), make).partitions
    }

    /// Takes in what the coordinator says.
    fn settle(&mut self, answer: Result<Response, ApiError>) {
        let partitions = self.answers.iter_mut().flat_map(|topic| &mut topic.partitions);
        match answer {
            Ok(Response::Commit(committed)) => {
                for (partition, code) in partitions.zip(committed.results) {
                    partition.error_code = code.code();
                }
            }
            Ok(other) => unreachable!("a commit is answered as one, not with {other:?}"),
            Err(error) => partitions.for_each(|partition| partition.error_code = error.code.code()),
        }
    }

    fn into_answer(mut self) -> Vec<OffsetCommitResponseTopic> {
        if self.refused.is_empty() {
            return self.answers;
        }
        for topic in std::mem::take(&mut self.answers) {
            self.refused(&topic.name, topic.topic_id).extend(topic.partitions);
        }
        self.refused.into_topics()
    }
}

fn commit(partition: OffsetCommitRequestPartition) -> CommitPartition {
    CommitPartition {
        partition: PartitionIndex(partition.partition_index),
        offset: Offset(partition.committed_offset),
        leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
        metadata: partition.committed_metadata.map_or_else(String::new, |text| text.as_str().to_owned()),
    }
}

fn answer(partition: i32, code: ErrorCode) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition::default().with_partition_index(partition).with_error_code(code.code())
}
