//! OffsetDelete (key 47), v0: forgets what a group has committed for single partitions (KIP-496).
//!
//! Refused partitions come first in an answer. Kafka: `KafkaApis.handleOffsetDeleteRequest`,
//! `OffsetDeleteResponse.Builder`.

use std::sync::Arc;

use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{GroupId, OffsetDeleteRequest, OffsetDeleteResponse, TopicName};

use super::context::RequestContext;
use super::wire::ByMention;
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::offsets::DeleteOffsetsRequest;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::PartitionIndex;

type Answers = ByMention<TopicName, OffsetDeleteResponseTopic>;

pub async fn handle(
    context: &RequestContext,
    request: OffsetDeleteRequest,
) -> anyhow::Result<OffsetDeleteResponse> {
    let image = context.services.image();
    let mut answers = Answers::new();
    let mut names = Vec::new();
    let mut topics: Vec<(Arc<str>, Vec<PartitionIndex>)> = Vec::new();
    for topic in request.topics {
        let found = image.topic(&topic.name);
        let partitions = topic.partitions.iter().map(|partition| PartitionIndex(partition.partition_index));
        let (known, unknown): (Vec<_>, Vec<_>) =
            partitions.partition(|index| found.is_some_and(|found| found.partition(*index).is_some()));
        for index in unknown {
            add(&mut answers, &topic.name, index, ErrorCode::UnknownTopicOrPartition);
        }
        if let Some(found) = found.filter(|_| !known.is_empty()) {
            names.push(topic.name);
            topics.push((found.name.clone(), known));
        }
    }
    let partitions: Vec<Vec<PartitionIndex>> = topics.iter().map(|(_, known)| known.clone()).collect();
    match delete(context, &request.group_id, topics).await {
        Ok(results) => {
            let mut results = results.into_iter();
            for (name, partitions) in names.iter().zip(partitions) {
                for (index, code) in partitions.into_iter().zip(results.by_ref()) {
                    add(&mut answers, name, index, code);
                }
            }
            Ok(OffsetDeleteResponse::default().with_topics(answers.into_topics()))
        }
        Err(error) => Ok(OffsetDeleteResponse::default().with_error_code(error.code.code())),
    }
}

/// One result for each partition, in order.
async fn delete(
    context: &RequestContext,
    group_id: &GroupId,
    topics: Vec<(Arc<str>, Vec<PartitionIndex>)>,
) -> Result<Vec<ErrorCode>, ApiError> {
    if group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId.into());
    }
    let request = DeleteOffsetsRequest { group: group_id.as_str().into(), topics };
    let commands = vec![(group_id.0.clone(), Command::DeleteOffsets(request))];
    let submitted = context.services.groups.submit_to_read(commands).await.remove(0);
    match submitted.await? {
        Response::DeleteOffsets(deleted) => Ok(deleted.results),
        other => unreachable!("a deletion is answered as one, not with {other:?}"),
    }
}

fn add(answers: &mut Answers, name: &TopicName, index: PartitionIndex, code: ErrorCode) {
    let topic = answers.topic(name.clone(), || OffsetDeleteResponseTopic::default().with_name(name.clone()));
    topic.partitions.push(
        OffsetDeleteResponsePartition::default().with_partition_index(index.0).with_error_code(code.code()),
    );
}
