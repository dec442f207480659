//! OffsetForLeaderEpoch (key 23), v0-4: where a leader epoch ended, so that a client finds out what was
//! truncated under it (KIP-101, KIP-320). Kafka: `Partition.lastOffsetForLeaderEpoch`.

use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::context::RequestContext;
use crate::protocol::errors::ErrorCode;
use crate::protocol::fetch::EpochAndOffset;
use crate::protocol::ids::{LeaderEpoch, PartitionIndex};
use crate::protocol::old::AnyVersion;

pub async fn handle(
    context: &RequestContext,
    AnyVersion(request): AnyVersion<OffsetForLeaderEpochRequest>,
) -> anyhow::Result<AnyVersion<OffsetForLeaderEpochResponse>> {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let end = find(context, &topic.topic, partition);
            answer(partition.partition, end)
        });
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic.clone())
            .with_partitions(partitions.collect())
    });
    Ok(AnyVersion(OffsetForLeaderEpochResponse::default().with_topics(topics.collect())))
}

/// `None` when the log knows no such epoch.
fn find(
    context: &RequestContext,
    topic: &str,
    partition: &OffsetForLeaderPartition,
) -> Result<Option<EpochAndOffset>, ErrorCode> {
    let replica = context.services.leader_by_name(topic, PartitionIndex(partition.partition))?;
    replica.check_epoch(LeaderEpoch(partition.current_leader_epoch))?;
    Ok(replica.epoch_end(LeaderEpoch(partition.leader_epoch)))
}

fn answer(partition: i32, end: Result<Option<EpochAndOffset>, ErrorCode>) -> EpochEndOffset {
    let unknown =
        EpochEndOffset::default().with_partition(partition).with_leader_epoch(-1).with_end_offset(-1);
    match end {
        Ok(Some(end)) => unknown.with_leader_epoch(end.epoch.0).with_end_offset(end.end_offset.0),
        Ok(None) => unknown,
        Err(code) => unknown.with_error_code(code.code()),
    }
}
