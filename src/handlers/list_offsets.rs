//! ListOffsets (key 2), v0-11: where a partition begins, ends, or reaches a point in time. What v0 answers instead is
//! [`segments`]'s.
//!
//! KIP-79 (by time), KIP-320 (epochs), KIP-734 (max timestamp), KIP-405, KIP-1005 and KIP-1023 (tiered storage,
//! of which there is none); v11 has the bytes of v10. Times are looked up off the worker, because that reads
//! segments. Kafka: `ReplicaManager.fetchOffset`, `UnifiedLog.fetchOffsetByTimestamp`.

pub mod segments;

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use kafka_protocol::protocol::buf::ByteBufMut;
use kafka_protocol::protocol::{Encodable, Message};

use super::context::RequestContext;
use super::error_codes::ErrorCodes;
use crate::protocol::errors::ErrorCode;
use crate::protocol::fetch::IsolationLevel;
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp};
use crate::replication::partition::check_epoch;
use crate::replication::replica::Replica;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
/// First offset that lies on this broker's disks (KIP-405); without tiered storage the log start.
const EARLIEST_LOCAL: i64 = -4;
/// Last offset that lies in tiered storage (KIP-1005); there is none.
const LATEST_TIERED: i64 = -5;

/// First offset that tiered storage lacks (KIP-1023); there is none either.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Replica id of a consumer, who sees nothing beyond the high watermark.
const CONSUMER: i32 = -1;

/// The response; v11 has the bytes of v10, where the codec crate ends.
pub struct Answer(ListOffsetsResponse);

impl Encodable for Answer {
    fn encode<B: ByteBufMut>(&self, buffer: &mut B, version: i16) -> anyhow::Result<()> {
        self.0.encode(buffer, version.min(ListOffsetsResponse::VERSIONS.max))
    }

    fn compute_size(&self, version: i16) -> anyhow::Result<usize> {
        self.0.compute_size(version.min(ListOffsetsResponse::VERSIONS.max))
    }
}

impl ErrorCodes for Answer {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.0.error_codes()
    }
}

/// An answer for one partition; `offset` -1 when nothing matches.
struct Found {
    timestamp: Timestamp,
    offset: Offset,
    epoch: LeaderEpoch,
}

impl Found {
    const NOTHING: Found =
        Found { timestamp: Timestamp::NONE, offset: Offset::NONE, epoch: LeaderEpoch::NONE };
}

pub async fn handle(context: &RequestContext, request: ListOffsetsRequest) -> anyhow::Result<Answer> {
    let isolation = match (request.replica_id.0, request.isolation_level) {
        (CONSUMER, 1) => Some(IsolationLevel::ReadCommitted),
        (CONSUMER, _) => Some(IsolationLevel::ReadUncommitted),
        _ => None,
    };
    let mut seen = HashSet::new();
    let mut duplicates = HashSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.clone(), partition.partition_index);
            if !seen.insert(key.clone()) {
                duplicates.insert(key);
            }
        }
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let duplicate = duplicates.contains(&(topic.name.clone(), partition.partition_index));
            let found = match duplicate {
                true => Err(ErrorCode::InvalidRequest),
                false => find(context, &topic.name, partition, isolation).await,
            };
            partitions.push(answer(context.version, partition.partition_index, found));
        }
        topics.push(
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions),
        );
    }
    Ok(Answer(ListOffsetsResponse::default().with_topics(topics)))
}

fn answer(version: i16, partition: i32, found: Result<Found, ErrorCode>) -> ListOffsetsPartitionResponse {
    let (code, found) = match found {
        Ok(found) => (ErrorCode::None, found),
        Err(code) => (code, Found::NOTHING),
    };
    ListOffsetsPartitionResponse::default()
        .with_partition_index(partition)
        .with_error_code(code.code())
        .with_timestamp(found.timestamp.0)
        .with_offset(found.offset.0)
        // KIP-320: from v4 on.
        .with_leader_epoch(if version >= 4 { found.epoch.0 } else { -1 })
}

async fn find(
    context: &RequestContext,
    topic: &str,
    partition: &ListOffsetsPartition,
    isolation: Option<IsolationLevel>,
) -> Result<Found, ErrorCode> {
    let needed_version = match partition.timestamp {
        EARLIEST_PENDING_UPLOAD => 11,
        LATEST_TIERED => 9,
        EARLIEST_LOCAL => 8,
        MAX_TIMESTAMP => 7,
        other if other < EARLIEST_PENDING_UPLOAD => i16::MAX,
        _ => 1,
    };
    if context.version < needed_version {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let (index, known_epoch) =
        (PartitionIndex(partition.partition_index), LeaderEpoch(partition.current_leader_epoch));
    // A tool that asks for the ends of all partitions makes no replica of those without a record.
    if let Some(epoch) = context.services.unused_by_name(topic, index) {
        check_epoch(known_epoch, epoch)?;
        return Ok(find_in_empty_log(partition.timestamp, epoch));
    }
    let replica = context.services.leader_by_name(topic, index)?;
    replica.check_epoch(known_epoch)?;
    // A follower or a debugging client sees the whole log.
    let limit = match isolation {
        Some(isolation) => replica.read_limit(isolation),
        None => replica.log_end_offset(),
    };
    match partition.timestamp {
        LATEST => Ok(Found { timestamp: Timestamp::NONE, offset: limit, epoch: replica.leader_epoch() }),
        EARLIEST | EARLIEST_LOCAL => {
            let offset = replica.log_start_offset();
            let epoch = replica.epoch_at(offset).unwrap_or(LeaderEpoch::NONE);
            Ok(Found { timestamp: Timestamp::NONE, offset, epoch })
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(Found::NOTHING),
        timestamp => search(replica, timestamp, limit).await,
    }
}

/// What a log answers that has begun with this leader epoch and has no record.
fn find_in_empty_log(timestamp: i64, epoch: LeaderEpoch) -> Found {
    match timestamp {
        LATEST | EARLIEST | EARLIEST_LOCAL => {
            Found { timestamp: Timestamp::NONE, offset: Offset::ZERO, epoch }
        }
        _ => Found::NOTHING,
    }
}

/// Looks into segments, so it leaves the worker.
async fn search(replica: Arc<Replica>, timestamp: i64, limit: Offset) -> Result<Found, ErrorCode> {
    let found = tokio::task::spawn_blocking(move || match timestamp {
        MAX_TIMESTAMP => replica.max_timestamp(limit),
        _ => replica.offset_for_time(Timestamp(timestamp), limit),
    });
    // The pool refuses work only while the broker stops.
    let found = found.await.map_err(|_| ErrorCode::NotLeaderOrFollower)??;
    Ok(found.map_or(Found::NOTHING, |record| Found {
        timestamp: record.timestamp,
        offset: record.offset,
        epoch: record.leader_epoch,
    }))
}
