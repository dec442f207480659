//! From the decision to its end: what was prepared has the shell write a marker into each partition, and is completed
//! when all are written. Kafka: `TransactionMarkerChannelManager.addTxnMarkersToSend`, `TransactionMetadata.prepareComplete`.

use std::sync::Arc;

use super::command::{Response, Transition, WriteMarkers};
use super::metadata::TransactionMetadata;
use super::shard::TransactionShard;
use super::state::State;
use crate::coordinator::shard::{Now, Outcome, RequestId};
use crate::protocol::errors::{ApiError, ErrorCode};

/// Appends the decision; the markers follow when it is committed.
pub(super) fn prepare(
    shard: &TransactionShard,
    transactional_id: &Arc<str>,
    next: TransactionMetadata,
) -> Outcome<TransactionShard> {
    let effects = write_markers(transactional_id, &next, shard.next_transition()).into_iter().collect();
    Outcome { effects, ..shard.append(transactional_id, next) }
}

/// The markers of what was decided; nothing in other states.
pub(super) fn write_markers(
    transactional_id: &Arc<str>,
    metadata: &TransactionMetadata,
    transition: Transition,
) -> Option<WriteMarkers> {
    metadata.state.is_prepared().then(|| WriteMarkers {
        transactional_id: transactional_id.clone(),
        transition,
        producer: metadata.producer,
        is_commit: metadata.state == State::PrepareCommit,
        transaction_version: metadata.client_version,
        partitions: metadata.partitions.iter().cloned().collect(),
    })
}

/// Whoever says it again, after an answer was lost, is told the same, whatever the id has become since.
///
/// Errors: COORDINATOR_NOT_AVAILABLE while the decision can still be taken back; it is to be said again.
pub(super) fn written(
    shard: &TransactionShard,
    transactional_id: &Arc<str>,
    transition: Transition,
    id: RequestId,
    now: Now,
) -> Result<Outcome<TransactionShard>, ApiError> {
    let prepared = shard
        .transactions
        .get(transactional_id)
        .filter(|entry| entry.metadata.state.is_prepared() && shard.transition_of(entry) == transition);
    let Some(prepared) = prepared else { return Ok(Outcome::reply(id, Response::Done)) };
    if prepared.is_uncommitted() {
        return Err(ErrorCode::CoordinatorNotAvailable.into());
    }
    let mut outcome = shard.append(transactional_id, prepared.metadata.completed(now.wall));
    outcome.replies.push((id, Response::Done));
    Ok(outcome)
}
