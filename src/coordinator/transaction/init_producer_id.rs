//! InitProducerId with a transactional id: a new epoch for its producer, which fences all before it (KIP-98, KIP-360).
//!
//! What the producer before it has left open is aborted first; the request is to be sent again. Kafka:
//! `TransactionCoordinator.handleInitProducerId`, `prepareInitProducerIdTransit`.

use super::command::{InitProducerIdRequest, Response};
use super::markers;
use super::metadata::TransactionMetadata;
use super::shard::TransactionShard;
use super::state::State;
use crate::coordinator::shard::{Now, Outcome, RequestId, TransactionalProducer};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::ProducerId;

/// Errors: INVALID_REQUEST, INVALID_TRANSACTION_TIMEOUT, CONCURRENT_TRANSACTIONS, PRODUCER_FENCED.
pub(super) fn init_producer_id(
    shard: &TransactionShard,
    request: &InitProducerIdRequest,
    id: RequestId,
    now: Now,
) -> Result<Outcome<TransactionShard>, ApiError> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest.into());
    }
    if !(1..=shard.settings.transaction_max_timeout_ms).contains(&request.timeout_ms) {
        return Err(ErrorCode::InvalidTransactionTimeout.into());
    }
    let Some(entry) = shard.transactions.get(&request.transactional_id) else {
        return Ok(with_fresh_id(request, id, |fresh_id| {
            let new = TransactionMetadata::new(fresh_id, request.timeout_ms, now.wall);
            let first = new.bumped(None, request.timeout_ms, now.wall);
            initialize(shard, request, id, first.expect("the first epoch is there for whoever asks"))
        }));
    };
    if entry.is_pending() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    let current = &entry.metadata;
    if request.expected.is_some_and(|expected| !current.knows(expected)) {
        return Err(ErrorCode::ProducerFenced.into());
    }
    match current.state {
        State::Empty | State::CompleteCommit | State::CompleteAbort => {
            next_producer(shard, current, request, id, now)
        }
        State::Ongoing => Ok(fence(shard, current, request, id, now)),
        State::PrepareCommit | State::PrepareAbort => Err(ErrorCode::ConcurrentTransactions.into()),
    }
}

fn next_producer(
    shard: &TransactionShard,
    current: &TransactionMetadata,
    request: &InitProducerIdRequest,
    id: RequestId,
    now: Now,
) -> Result<Outcome<TransactionShard>, ApiError> {
    let expected = request.expected.map(|expected| expected.epoch);
    let is_current = expected.is_none_or(|expected| expected == current.producer.epoch);
    if current.is_epoch_exhausted() && is_current {
        return Ok(with_fresh_id(request, id, |fresh_id| {
            let next = current.rotated(fresh_id, expected, request.timeout_ms, now.wall);
            initialize(shard, request, id, next)
        }));
    }
    let next = current.bumped(expected, request.timeout_ms, now.wall)?;
    Ok(initialize(shard, request, id, next))
}

/// The epoch of the abort is told to nobody: the repeated request gets one more, or another id when none is left.
fn fence(
    shard: &TransactionShard,
    current: &TransactionMetadata,
    request: &InitProducerIdRequest,
    id: RequestId,
    now: Now,
) -> Outcome<TransactionShard> {
    let abort = |next_id| {
        let next = current.fenced(shard.version(), next_id, now.wall);
        let mut outcome = markers::prepare(shard, &request.transactional_id, next);
        outcome.replies.push((id, Response::ConcurrentTransactions));
        outcome
    };
    if current.is_epoch_exhausted() && shard.bumps_epochs() {
        return with_fresh_id(request, id, |fresh_id| abort(Some(fresh_id)));
    }
    abort(None)
}

fn initialize(
    shard: &TransactionShard,
    request: &InitProducerIdRequest,
    id: RequestId,
    next: TransactionMetadata,
) -> Outcome<TransactionShard> {
    let producer: TransactionalProducer = next.producer;
    let mut outcome = shard.append(&request.transactional_id, next);
    outcome.replies.push((id, Response::InitProducerId(producer)));
    outcome
}

fn with_fresh_id(
    request: &InitProducerIdRequest,
    id: RequestId,
    decide: impl FnOnce(ProducerId) -> Outcome<TransactionShard>,
) -> Outcome<TransactionShard> {
    match request.fresh_id {
        Some(fresh_id) => decide(fresh_id),
        None => Outcome::reply(id, Response::NeedsProducerId),
    }
}
