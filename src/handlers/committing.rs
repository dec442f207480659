//! What the commits of offsets have in common (OffsetCommit, TxnOffsetCommit): the partitions that do not exist are
//! told apart from those that the group's coordinator decides. Refused partitions come first in an answer. Kafka:
//! `OffsetCommitResponse.Builder`, `TxnOffsetCommitResponse.Builder`.

use kafka_protocol::messages::TopicName;

use super::wire::ByMention;
use crate::controller::{ClusterImage, TopicImage};
use crate::coordinator::group::command::Response;
use crate::coordinator::group::offsets::{CommitPartition, CommitTopic};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{TopicId, Uuid};

/// A topic of a request, which has the name or the id that its version gives it.
pub struct NamedTopic {
    pub name: TopicName,
    pub id: Uuid,
    pub partitions: Vec<CommitPartition>,
}

/// A topic of an answer, called as in the request.
#[derive(Debug, PartialEq, Eq)]
pub struct AnsweredTopic {
    pub name: TopicName,
    pub id: Uuid,
    /// The index of each partition, and whether it is committed.
    pub partitions: Vec<(i32, ErrorCode)>,
}

/// The partitions of a request: those that do not exist, and those that the coordinator decides.
pub struct Sorted {
    /// Whether the version calls topics by their ids.
    by_id: bool,
    refused: ByMention<(TopicName, Uuid), AnsweredTopic>,
    /// What the coordinator is asked for.
    topics: Vec<CommitTopic>,
    /// The answers to it, in the same order.
    answers: Vec<AnsweredTopic>,
}

impl Sorted {
    pub fn new(
        image: &ClusterImage,
        by_id: bool,
        topics: impl ExactSizeIterator<Item = NamedTopic>,
    ) -> Sorted {
        let count = topics.len();
        let mut sorted = Sorted {
            by_id,
            refused: ByMention::new(),
            topics: Vec::with_capacity(count),
            answers: Vec::with_capacity(count),
        };
        topics.for_each(|topic| sorted.add(image, topic));
        sorted
    }

    fn add(&mut self, image: &ClusterImage, topic: NamedTopic) {
        let found = if self.by_id {
            image.topic_by_id(TopicId(topic.id)).ok_or(ErrorCode::UnknownTopicId)
        } else {
            image.topic(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)
        };
        match found {
            Ok(found) => self.add_existing(found, topic),
            Err(code) => {
                let refused = self.refused(&topic.name, topic.id);
                refused.extend(topic.partitions.iter().map(|partition| (partition.partition.0, code)));
            }
        }
    }

    fn add_existing(&mut self, found: &TopicImage, topic: NamedTopic) {
        let NamedTopic { name, id, mut partitions } = topic;
        for absent in partitions.extract_if(.., |partition| found.partition(partition.partition).is_none()) {
            let refused = self.refused(&name, id);
            refused.push((absent.partition.0, ErrorCode::UnknownTopicOrPartition));
        }
        if partitions.is_empty() {
            return;
        }
        let answers = partitions.iter().map(|partition| (partition.partition.0, ErrorCode::None)).collect();
        self.topics.push(CommitTopic { name: found.name.clone(), id: found.id, partitions });
        self.answers.push(AnsweredTopic { name, id, partitions: answers });
    }

    fn refused(&mut self, name: &TopicName, id: Uuid) -> &mut Vec<(i32, ErrorCode)> {
        let make = || AnsweredTopic { name: name.clone(), id, partitions: Vec::new() };
        &mut self.refused.topic((name.clone(), id), make).partitions
    }

    /// What the coordinator is to decide, once; `None` for nothing.
    pub fn take_topics(&mut self) -> Option<Vec<CommitTopic>> {
        (!self.topics.is_empty()).then(|| std::mem::take(&mut self.topics))
    }

    /// Takes in what the coordinator says.
    pub fn settle(&mut self, answer: Result<Response, ApiError>) {
        let partitions = self.answers.iter_mut().flat_map(|topic| &mut topic.partitions);
        match answer {
            Ok(Response::Commit(committed)) => {
                for ((_, code), result) in partitions.zip(committed.results) {
                    *code = result;
                }
            }
            Ok(other) => unreachable!("a commit is answered as one, not with {other:?}"),
            Err(error) => partitions.for_each(|(_, code)| *code = error.code),
        }
    }

    pub fn into_answer(mut self) -> Vec<AnsweredTopic> {
        if self.refused.is_empty() {
            return self.answers;
        }
        for topic in std::mem::take(&mut self.answers) {
            self.refused(&topic.name, topic.id).extend(topic.partitions);
        }
        self.refused.into_topics()
    }
}
