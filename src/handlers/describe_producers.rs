//! DescribeProducers (key 61), v0: the idempotent and transactional producers that partitions remember (KIP-664).
//!
//! A request of a few bytes can ask for all producers there are, again and again: a partition is described once, and an
//! answer does not go on for ever. Kafka: `KafkaApis.handleDescribeProducersRequest`, `UnifiedLog.activeProducers`.

use std::collections::BTreeSet;

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

use super::context::RequestContext;
use super::wire;
use crate::controller::topic_names;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::PartitionIndex;
use crate::replication::replica::ProducerEntry;

/// Once an answer has so many producers, the partitions that follow are refused.
const MAX_PRODUCER_COUNT: usize = 100_000;

pub async fn handle(
    context: &RequestContext,
    request: DescribeProducersRequest,
) -> anyhow::Result<DescribeProducersResponse> {
    let describe = |topic: &TopicRequest, partition| {
        check_topic(context, topic)?;
        Ok(producers(context, topic, partition)?)
    };
    Ok(respond(&request, MAX_PRODUCER_COUNT, describe))
}

/// The answer, each partition in it once.
fn respond(
    request: &DescribeProducersRequest,
    max_producer_count: usize,
    describe: impl Fn(&TopicRequest, PartitionIndex) -> Result<Vec<ProducerState>, ApiError>,
) -> DescribeProducersResponse {
    let mut seen = BTreeSet::new();
    let mut producer_count = 0;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::new();
        for index in &topic.partition_indexes {
            if !seen.insert((topic.name.as_str(), *index)) {
                continue;
            }
            let described = if producer_count >= max_producer_count {
                let sentence = "The answer is too large; ask for fewer partitions at once.";
                Err(ApiError::new(ErrorCode::PolicyViolation, sentence))
            } else {
                describe(topic, PartitionIndex(*index))
            };
            let answer = PartitionResponse::default().with_partition_index(*index);
            partitions.push(match described {
                Ok(producers) => {
                    producer_count += producers.len();
                    answer.with_error_message(None).with_active_producers(producers)
                }
                Err(refusal) => {
                    answer.with_error_code(refusal.code.code()).with_error_message(refusal.wire_message())
                }
            });
        }
        topics.push(TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions));
    }
    DescribeProducersResponse::default().with_topics(topics)
}

fn check_topic(context: &RequestContext, topic: &TopicRequest) -> Result<(), ApiError> {
    topic_names::validate(&topic.name)?;
    if context.services.image().topic(&topic.name).is_none() {
        let sentence = "This server does not host this topic-partition.";
        return Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, sentence));
    }
    Ok(())
}

fn producers(
    context: &RequestContext,
    topic: &TopicRequest,
    partition: PartitionIndex,
) -> Result<Vec<ProducerState>, ErrorCode> {
    let replica = context.services.leader_by_name(&topic.name, partition)?;
    // No more is copied than is told: appends wait meanwhile.
    replica.producers(state).ok_or(ErrorCode::KafkaStorageError)
}

fn state(producer: &ProducerEntry) -> ProducerState {
    let open = producer.current_txn_first_offset.map_or(-1, |offset| offset.0);
    ProducerState::default()
        .with_producer_id(wire::producer_id(producer.producer_id))
        .with_producer_epoch(producer.epoch.0.into())
        .with_last_sequence(producer.last_sequence())
        .with_last_timestamp(producer.last_timestamp.0)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(open)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    fn request(topics: &[(&'static str, &[i32])]) -> DescribeProducersRequest {
        let topics = topics.iter().map(|(name, indexes)| {
            let name = TopicName(StrBytes::from_static_str(name));
            TopicRequest::default().with_name(name).with_partition_indexes(indexes.to_vec())
        });
        DescribeProducersRequest::default().with_topics(topics.collect())
    }

    /// By topic, the partitions that were answered with their errors.
    fn answered(request: &DescribeProducersRequest, max_producer_count: usize) -> Vec<Vec<(i32, i16)>> {
        let two = |_: &TopicRequest, _| Ok(vec![ProducerState::default(); 2]);
        let response = respond(request, max_producer_count, two);
        let partitions = response.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|partition| (partition.partition_index, partition.error_code)).collect()
        });
        partitions.collect()
    }

    #[test]
    fn a_partition_is_described_once_however_often_it_is_named() {
        let request = request(&[("t", &[0, 1, 0, 0]), ("u", &[0]), ("t", &[1, 2])]);
        assert_eq!(answered(&request, 100), [vec![(0, 0), (1, 0)], vec![(0, 0)], vec![(2, 0)]]);
    }

    #[test]
    fn an_answer_that_is_large_enough_refuses_the_partitions_that_follow() {
        let refused = ErrorCode::PolicyViolation.code();
        let request = request(&[("t", &[0, 1, 2]), ("u", &[0])]);
        assert_eq!(answered(&request, 3), [vec![(0, 0), (1, 0), (2, refused)], vec![(0, refused)]]);
    }
}
