//! EndTxn: commits or aborts. Version 5 bumps the epoch with every transaction (KIP-890), which changes what a
//! repeated request looks like; older versions go by the state alone. Kafka: `endTransaction`, `endTransactionWithTV1`.

use super::command::{EndTransactionRequest, Response};
use super::markers;
use super::metadata::{EPOCH_BUMP_VERSION, Ending, FENCING_EPOCH, TransactionMetadata, is_exhausted};
use super::shard::{Entry, TransactionShard};
use super::state::State;
use crate::coordinator::shard::{Now, Outcome, RequestId};
use crate::protocol::errors::{ApiError, ErrorCode};

/// Errors: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS, INVALID_TXN_STATE.
pub(super) fn end_transaction(
    shard: &TransactionShard,
    request: &EndTransactionRequest,
    id: RequestId,
    now: Now,
) -> Result<Outcome<TransactionShard>, ApiError> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let entry =
        shard.transactions.get(&request.transactional_id).ok_or(ErrorCode::InvalidProducerIdMapping)?;
    let ending = if request.is_commit { Ending::Commit } else { Ending::Abort };
    let verdict =
        if request.is_v2 { judge_v2(entry, request, ending)? } else { judge_v1(entry, request, ending)? };
    let current = &entry.metadata;
    let next = match verdict {
        Verdict::Done => return Ok(Outcome::reply(id, Response::EndTransaction(current.producer))),
        Verdict::End if !request.is_v2 => current.prepared(ending, now.wall),
        Verdict::End if !current.is_epoch_exhausted() => current.prepared_with_bump(ending, None, now.wall),
        Verdict::End => match request.fresh_id {
            Some(fresh_id) => current.prepared_with_bump(ending, Some(fresh_id), now.wall),
            None => return Ok(Outcome::reply(id, Response::NeedsProducerId)),
        },
    };
    let producer = next.after_completion();
    let mut outcome = markers::prepare(shard, &request.transactional_id, next);
    outcome.replies.push((id, Response::EndTransaction(producer)));
    Ok(outcome)
}

enum Verdict {
    /// A repeated request.
    Done,
    End,
}

/// The producer keeps its epoch: what is asked for again looks as it did the first time.
fn judge_v1(entry: &Entry, request: &EndTransactionRequest, ending: Ending) -> Result<Verdict, ApiError> {
    let current = &entry.metadata;
    if current.producer.id != request.producer.id {
        return Err(ErrorCode::InvalidProducerIdMapping.into());
    }
    if current.producer.epoch != request.producer.epoch {
        return Err(ErrorCode::ProducerFenced.into());
    }
    if entry.is_pending() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    match (current.state, ending) {
        (State::Ongoing, _) => Ok(Verdict::End),
        (State::CompleteCommit, Ending::Commit) | (State::CompleteAbort, Ending::Abort) => Ok(Verdict::Done),
        (State::CompleteCommit, Ending::Abort)
        | (State::CompleteAbort, Ending::Commit)
        | (State::Empty, Ending::Commit | Ending::Abort) => Err(ErrorCode::InvalidTxnState.into()),
        (State::PrepareCommit | State::PrepareAbort, _) => Err(ErrorCode::ConcurrentTransactions.into()),
    }
}

/// The epoch tells a repeated request from the next one: it is one lower, or the last one of the id before.
fn judge_v2(entry: &Entry, request: &EndTransactionRequest, ending: Ending) -> Result<Verdict, ApiError> {
    if entry.is_pending() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    let current = &entry.metadata;
    let retries_rotation = retries_rotation(current, request);
    if current.producer.id != request.producer.id && !retries_rotation {
        return Err(ErrorCode::InvalidProducerIdMapping.into());
    }
    let is_complete = matches!(current.state, State::CompleteCommit | State::CompleteAbort);
    // A transaction that an older client ended has bumped nothing: one epoch below is then who was fenced. Kafka 4.4
    // does not look, and lets both producers go on in one epoch.
    let has_bumped = current.client_version >= EPOCH_BUMP_VERSION;
    let is_retry = is_complete && has_bumped && (retries_rotation || retries_bump(current, request));
    if current.producer.epoch != request.producer.epoch && !is_retry {
        return Err(ErrorCode::ProducerFenced.into());
    }
    match (current.state, ending) {
        (State::Ongoing, _) => Ok(Verdict::End),
        (State::Empty, Ending::Abort) => Ok(Verdict::End),
        (State::CompleteCommit, Ending::Commit) | (State::CompleteAbort, Ending::Abort) if is_retry => {
            Ok(Verdict::Done)
        }
        (State::CompleteCommit | State::CompleteAbort, Ending::Abort) if !is_retry => Ok(Verdict::End),
        (State::Empty | State::CompleteCommit | State::CompleteAbort, Ending::Commit | Ending::Abort) => {
            Err(ErrorCode::InvalidTxnState.into())
        }
        (State::PrepareCommit | State::PrepareAbort, _) => Err(ErrorCode::ConcurrentTransactions.into()),
    }
}

/// The epoch that only fences is told to nobody.
fn retries_bump(current: &TransactionMetadata, request: &EndTransactionRequest) -> bool {
    let current = current.producer;
    request.producer.epoch.0.checked_add(1) == Some(current.epoch.0) && current.epoch != FENCING_EPOCH
}

/// The producer has not heard that its id has changed, because the last epoch was used up.
fn retries_rotation(current: &TransactionMetadata, request: &EndTransactionRequest) -> bool {
    current.previous_id == request.producer.id
        && current.producer.id != request.producer.id
        && current.producer.epoch.0 == 0
        && is_exhausted(request.producer.epoch)
        && request.producer.epoch != FENCING_EPOCH
}
