//! DeleteRecords (key 21), v0-2: moves log start offsets forward (KIP-107).
//!
//! A move is on disk before it is answered; the segments below it go with the next retention.
//! Kafka: `ReplicaManager.deleteRecords`.

use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::context::RequestContext;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{Offset, PartitionIndex};

pub async fn handle(
    context: &RequestContext,
    request: DeleteRecordsRequest,
) -> anyhow::Result<DeleteRecordsResponse> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = PartitionIndex(partition.partition_index);
            let moved = delete(context, &topic.name, index, Offset(partition.offset)).await;
            let (code, low_watermark) = match moved {
                Ok(low_watermark) => (ErrorCode::None, low_watermark),
                Err(code) => (code, Offset::NONE),
            };
            partitions.push(
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(partition.partition_index)
                    .with_low_watermark(low_watermark.0)
                    .with_error_code(code.code()),
            );
        }
        topics.push(
            DeleteRecordsTopicResult::default().with_name(topic.name.clone()).with_partitions(partitions),
        );
    }
    Ok(DeleteRecordsResponse::default().with_topics(topics))
}

async fn delete(
    context: &RequestContext,
    topic: &str,
    partition: PartitionIndex,
    before: Offset,
) -> Result<Offset, ErrorCode> {
    let image = context.services.image();
    let described = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    described.partition(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if described.internal {
        return Err(ErrorCode::InvalidTopicException);
    }
    // A compacted topic keeps the last value of each key, so its head is not for a client to cut.
    if !context.services.configs.topic(described).cleanup_delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let replica = context.services.leader_by_name(topic, partition)?;
    // The answer promises that the move survives a crash, so a checkpoint goes to disk first.
    let services = context.services.clone();
    tokio::task::spawn_blocking(move || services.replicas.delete_records(&replica, before))
        .await
        .map_err(|_| ErrorCode::NotLeaderOrFollower)?
        .map_err(|refusal| refusal.code)
}
