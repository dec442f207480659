//! Produce v0-2: message sets, which become one record batch for each partition before they are appended as any other.
//!
//! Off the worker, because messages may be compressed and each has a CRC of its own; the connection's later requests
//! wait, so that they do not overtake it. What becomes of a message is `protocol::message_set`'s business, what the
//! topic says of the batch is `protocol::validate`'s. Kafka 3.9: `KafkaApis.handleProduceRequest`, `LogValidator`.

use std::ops::Range;
use std::sync::Arc;

use super::{ACKS_ALL, ACKS_LEADER, ACKS_NONE, Scratch, answer_work, append, find_replica, rules, settle};
use crate::handlers::context::RequestContext;
use crate::handlers::reply::{Handled, Held, Output, Work};
use crate::protocol::batch::Batch;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Timestamp;
use crate::protocol::message_set::{UpgradeRules, upgrade};
use crate::protocol::produce::{self, PartitionAnswer, PartitionRecords, ProduceRequest};
use crate::protocol::validate::most_decompressed_bytes;
use crate::replication::replica::Replica;
use crate::replication::transactions::Verification;

/// A converted batch has to pass the rules of a version that may have any codec: the topic's may be zstd.
const VERSION_OF_BATCHES: i16 = 12;

/// What the compressed sets of a request may be decompressed to together, beyond which the rest is refused. Kafka has no
/// such bound. It bounds the time of a turn too, and what is kept until all is converted: no record takes more bytes in
/// a batch than in a message, so that is the frame and this.
const MOST_DECOMPRESSED_BYTES: usize = 256 << 20;

/// Where the messages of a partition go, and where they stand in the frame; or why they go nowhere.
type Planned = Result<(Arc<Replica>, Range<usize>), ErrorCode>;

/// One batch, or nothing where there was no whole message; or why there is none.
type Converted = Result<(Arc<Replica>, Vec<u8>), PartitionAnswer>;

/// Answers once everything is converted and appended. The body begins at `body_start` of `frame`.
pub fn handle(context: &RequestContext, frame: &[u8], body_start: usize) -> Handled {
    let mut request = ProduceRequest::default();
    if produce::parse_before_batches(context.version, frame, body_start, &mut request).is_err() {
        return Handled::Close("a produce that cannot be read");
    }
    // The frame's buffer goes back to the connection.
    let (context, copy) = (context.clone(), frame.to_vec());
    Handled::Work(Work::holding(frame.len(), move |held| convert_and_append(context, request, copy, held)))
}

async fn convert_and_append(
    context: RequestContext,
    request: ProduceRequest,
    frame: Vec<u8>,
    held: Held,
) -> Output {
    let planned: Vec<Planned> =
        request.partitions.iter().map(|partition| plan(&context, &request, partition, &frame)).collect();
    let (version, clock) = (context.version, context.services.clock.clone());
    let convert = move || {
        // There may have been a queue for the turn, and there may be one for the worker.
        let now = clock.now();
        let mut left_bytes = MOST_DECOMPRESSED_BYTES;
        let converted =
            planned.into_iter().map(|planned| convert(version, planned, &frame, now, &mut left_bytes));
        (converted.collect::<Vec<Converted>>(), frame)
    };
    let Some((mut converted, frame)) = context.services.conversions.run(convert).await else {
        return Output::closing();
    };
    refuse_transactions(&mut converted);
    let mut scratch = Scratch { request, ..Scratch::default() };
    make_files(&context, &converted).await;
    append_all(&mut scratch, converted, context.services.clock.now());
    answer_work(context, scratch, frame, held).await
}

fn plan(
    context: &RequestContext,
    request: &ProduceRequest,
    partition: &PartitionRecords,
    frame: &[u8],
) -> Planned {
    let replica = find_replica(context, partition, frame);
    let is_known = !matches!(replica, Err(ErrorCode::UnknownTopicOrPartition));
    if is_known && !matches!(request.acks, ACKS_NONE | ACKS_LEADER | ACKS_ALL) {
        return Err(ErrorCode::InvalidRequiredAcks);
    }
    // Kafka fails on null and never answers.
    let records = partition.records.clone().ok_or(ErrorCode::UnknownServerError);
    Ok((replica?, records?))
}

fn convert(
    version: i16,
    planned: Planned,
    frame: &[u8],
    now: Timestamp,
    decompression_left_bytes: &mut usize,
) -> Converted {
    let (replica, range) = planned.map_err(PartitionAnswer::refused)?;
    let config = replica.config();
    let rules = rules(version, &replica, &config, now);
    let batch = upgrade(
        &frame[range],
        &UpgradeRules {
            compression: rules.compression,
            max_message_bytes: rules.max_message_bytes,
            most_decompressed_bytes: most_decompressed_bytes(&rules),
            compacted: rules.compacted,
            timestamp_type: rules.timestamp_type,
            timestamp_before_max_ms: rules.timestamp_before_max_ms,
            timestamp_after_max_ms: rules.timestamp_after_max_ms,
            now,
        },
        decompression_left_bytes,
    );
    drop(config);
    Ok((replica, batch?))
}

/// Kafka has never looked for the format in these versions, so a batch of format 2 may come; but there is no
/// transactional id to it, and then nothing of the request is appended.
fn refuse_transactions(converted: &mut [Converted]) {
    let is_transactional =
        |batch: &[u8]| Batch::split_first(batch).is_ok_and(|(batch, _)| batch.is_transactional());
    if converted.iter().flatten().any(|(_, batch)| is_transactional(batch)) {
        let refused = PartitionAnswer::refused(ErrorCode::TransactionalIdAuthorizationFailed);
        converted.fill(Err(refused));
    }
}

/// Partitions without files get them off the worker.
async fn make_files(context: &RequestContext, converted: &[Converted]) {
    let is_first = |replica: &Replica, batch: &[u8]| !batch.is_empty() && !replica.has_files();
    let appended = converted.iter().flatten().filter(|(replica, batch)| is_first(replica, batch));
    let fileless: Vec<Arc<Replica>> = appended.map(|(replica, _)| replica.clone()).collect();
    if !fileless.is_empty() {
        context.services.replicas.make_files(fileless).await;
    }
}

fn append_all(scratch: &mut Scratch, converted: Vec<Converted>, now: Timestamp) {
    let Scratch { request, answers, waiting, .. } = scratch;
    let terms = (request.acks, Verification::Required(None));
    for (index, converted) in converted.into_iter().enumerate() {
        let appended = converted.and_then(|(replica, mut batch)| {
            if batch.is_empty() {
                // Kafka takes it for a success without an offset.
                return Err(PartitionAnswer::refused(ErrorCode::None));
            }
            let record_count = Batch::split_first(&batch).map_or(0, |(batch, _)| batch.record_count());
            let appended = append(VERSION_OF_BATCHES, &replica, &mut batch, terms, now)?;
            replica.converted_up(record_count.unsigned_abs());
            Ok((replica, appended))
        });
        answers.push(settle(index, request.acks, appended, waiting));
    }
}
