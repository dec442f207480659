//! Partitions of a transaction: added before, or by, the first records, or verified against what was added
//! (KIP-98, KIP-890). Kafka: `handleAddPartitionsToTransaction`, `handleVerifyPartitionsInTransaction`.

use super::command::{AddPartitionsRequest, Response, Soft};
use super::metadata::{EPOCH_BUMP_VERSION, TransactionMetadata};
use super::shard::{Entry, TransactionShard};
use super::state::State;
use crate::coordinator::shard::{Now, Outcome, RequestId};
use crate::protocol::errors::{ApiError, ErrorCode};

/// An error is that of every partition: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED,
/// CONCURRENT_TRANSACTIONS.
pub(super) fn add_partitions(
    shard: &TransactionShard,
    request: &AddPartitionsRequest,
    id: RequestId,
    now: Now,
) -> Result<Outcome<TransactionShard>, ApiError> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let entry =
        shard.transactions.get(&request.transactional_id).ok_or(ErrorCode::InvalidProducerIdMapping)?;
    if request.verify_only {
        return verify(entry, request, id);
    }
    if entry.is_pending() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    let current = &entry.metadata;
    check_producer(current, request)?;
    let is_ongoing = current.state == State::Ongoing;
    let added = vec![ErrorCode::None; request.partitions.len()];
    if is_ongoing && request.partitions.iter().all(|partition| current.partitions.contains(partition)) {
        return Ok(Outcome::reply(id, Response::AddPartitions(added)));
    }
    let client_version = if request.is_v2 { EPOCH_BUMP_VERSION } else { 0 };
    let next = current.with_partitions(&request.partitions, client_version, now.wall);
    let deadline_ms = now.uptime_ms.saturating_add(i64::from(next.timeout_ms));
    let mut outcome = shard.append(&request.transactional_id, next);
    if !is_ongoing {
        outcome.soft(Soft::Deadline { transactional_id: request.transactional_id.clone(), deadline_ms });
    }
    outcome.replies.push((id, Response::AddPartitions(added)));
    Ok(outcome)
}

/// What is being appended is not waited for: the partition checks again when it appends.
fn verify(
    entry: &Entry,
    request: &AddPartitionsRequest,
    id: RequestId,
) -> Result<Outcome<TransactionShard>, ApiError> {
    let current = &entry.metadata;
    check_producer(current, request)?;
    if current.state.is_prepared() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    let verified = request.partitions.iter().map(|partition| match current.partitions.contains(partition) {
        true => ErrorCode::None,
        false => ErrorCode::TransactionAbortable,
    });
    Ok(Outcome::reply(id, Response::AddPartitions(verified.collect())))
}

fn check_producer(current: &TransactionMetadata, request: &AddPartitionsRequest) -> Result<(), ApiError> {
    if current.producer.id != request.producer.id {
        return Err(ErrorCode::InvalidProducerIdMapping.into());
    }
    if current.producer.epoch != request.producer.epoch {
        return Err(ErrorCode::ProducerFenced.into());
    }
    Ok(())
}
