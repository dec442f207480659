//! DescribeProducers (key 61), v0: the idempotent and transactional producers that partitions remember (KIP-664).
//! Kafka: `KafkaApis.handleDescribeProducersRequest`, `UnifiedLog.activeProducers`.

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

pub async fn handle(
    context: &RequestContext,
    request: DescribeProducersRequest,
) -> anyhow::Result<DescribeProducersResponse> {
    let topics = request.topics.iter().map(|topic| {
        let unusable = check_topic(context, topic).err();
        let partitions = topic.partition_indexes.iter().map(|index| {
            let answer = PartitionResponse::default().with_partition_index(*index);
            if let Some(refusal) = &unusable {
                return answer
                    .with_error_code(refusal.code.code())
                    .with_error_message(refusal.wire_message());
            }
            let answer = answer.with_error_message(None);
            match producers(context, topic, PartitionIndex(*index)) {
                Ok(producers) => answer.with_active_producers(producers),
                Err(code) => answer.with_error_code(code.code()),
            }
        });
        TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    Ok(DescribeProducersResponse::default().with_topics(topics.collect()))
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
    let producers = replica.producers().ok_or(ErrorCode::KafkaStorageError)?;
    let describe = producers.into_iter().map(|producer| {
        let open = producer.current_txn_first_offset.map_or(-1, |offset| offset.0);
        ProducerState::default()
            .with_producer_id(wire::producer_id(producer.producer_id))
            .with_producer_epoch(producer.epoch.0.into())
            .with_last_sequence(producer.last_sequence())
            .with_last_timestamp(producer.last_timestamp.0)
            .with_coordinator_epoch(producer.coordinator_epoch)
            .with_current_txn_start_offset(open)
    });
    Ok(describe.collect())
}
