//! From the decision to its end: what was prepared has the shell write a marker into each partition, and is completed
//! when all are written. Kafka: `TransactionMarkerChannelManager.addTxnMarkersToSend`, `TransactionMetadata.prepareComplete`.

use std::sync::Arc;

use super::command::{Response, WriteMarkers};
use super::metadata::TransactionMetadata;
use super::shard::TransactionShard;
use super::state::State;
use crate::coordinator::shard::{Now, Outcome, RequestId, TransactionalProducer};

/// Appends the decision; the markers follow when it is committed.
pub(super) fn prepare(
    shard: &TransactionShard,
    transactional_id: &Arc<str>,
    next: TransactionMetadata,
) -> Outcome<TransactionShard> {
    let effects = write_markers(transactional_id, &next).into_iter().collect();
    Outcome { effects, ..shard.append(transactional_id, next) }
}

/// The markers of what was decided; nothing in other states.
pub(super) fn write_markers(
    transactional_id: &Arc<str>,
    metadata: &TransactionMetadata,
) -> Option<WriteMarkers> {
    metadata.state.is_prepared().then(|| WriteMarkers {
        transactional_id: transactional_id.clone(),
        producer: metadata.producer,
        is_commit: metadata.state == State::PrepareCommit,
        transaction_version: metadata.client_version,
        partitions: metadata.partitions.iter().cloned().collect(),
    })
}

/// Whoever says it again, after an answer was lost, is told the same.
pub(super) fn written(
    shard: &TransactionShard,
    transactional_id: &Arc<str>,
    producer: TransactionalProducer,
    id: RequestId,
    now: Now,
) -> Outcome<TransactionShard> {
    let prepared = shard
        .transactions
        .get(transactional_id)
        .map(|entry| &entry.metadata)
        .filter(|metadata| metadata.state.is_prepared() && metadata.producer == producer);
    let Some(prepared) = prepared else { return Outcome::reply(id, Response::Done) };
    let mut outcome = shard.append(transactional_id, prepared.completed(now.wall));
    outcome.replies.push((id, Response::Done));
    outcome
}
