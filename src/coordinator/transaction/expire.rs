//! What time does: a transaction that takes too long is aborted and its producer fenced, and a transactional id that
//! nobody has used for long is forgotten (`transactional.id.expiration.ms`).
//!
//! Both are looked at in intervals, as in Kafka. A refused abort waits for the next look. Kafka:
//! `abortTimedOutTransactions`, `TransactionStateManager.removeExpiredTransactionalIds`.

use std::sync::Arc;

use super::command::{Command, Soft};
use super::markers;
use super::records::Record;
use super::shard::TransactionShard;
use super::state::State;
use crate::coordinator::shard::{Now, Outcome};
use crate::protocol::ids::Timestamp;

/// Ids that one look forgets; the next look follows soon while there are more.
pub(super) const MOST_EXPIRED_AT_ONCE: usize = 500;
/// Pause between two such looks, in which the requests of the shard have their turn.
const PAUSE_MS: i64 = 5;

/// On the monotonic clock.
pub(super) fn next_deadline(shard: &TransactionShard) -> Option<i64> {
    let next_abort_ms = shard.deadlines.first().map(|(deadline_ms, _)| look_after(shard, *deadline_ms));
    let next_expiry_ms = Some(shard.next_expiry_ms).filter(|_| !shard.transactions.is_empty());
    next_abort_ms.into_iter().chain(next_expiry_ms).min()
}

/// The first look for timed-out transactions after a time.
fn look_after(shard: &TransactionShard, time_ms: i64) -> i64 {
    let interval_ms =
        i64::from(shard.settings.transaction_abort_timed_out_transaction_cleanup_interval_ms).max(1);
    (time_ms.div_euclid(interval_ms)).saturating_add(1).saturating_mul(interval_ms)
}

/// The deadlines at or before `now`, one at a time.
pub(super) fn expire(shard: &TransactionShard, now: Now) -> Outcome<TransactionShard> {
    let timed_out = shard.deadlines.first();
    if let Some((_, id)) =
        timed_out.filter(|(deadline_ms, _)| look_after(shard, *deadline_ms) <= now.uptime_ms)
    {
        return abort(shard, id, now);
    }
    if shard.next_expiry_ms <= now.uptime_ms && !shard.transactions.is_empty() {
        return expire_ids(shard, now);
    }
    Outcome::nothing()
}

/// A producer id whose epochs are used up is not followed by another one here, where Kafka draws one: the epoch that only
/// fences stays until InitProducerId brings a fresh id.
fn abort(shard: &TransactionShard, transactional_id: &Arc<str>, now: Now) -> Outcome<TransactionShard> {
    let entry = &shard.transactions[transactional_id];
    if entry.is_pending() || entry.metadata.state != State::Ongoing {
        return put_off(shard, Some(transactional_id.clone()), now);
    }
    let next = entry.metadata.fenced(shard.version(), None, now.wall);
    let mut outcome = markers::prepare(shard, transactional_id, next);
    let transactional_id = Some(transactional_id.clone());
    outcome.on_failed = Some(Box::new(move |_| Command::PutOff { transactional_id }));
    outcome
}

fn expire_ids(shard: &TransactionShard, now: Now) -> Outcome<TransactionShard> {
    let horizon =
        Timestamp(now.wall.0.saturating_sub(i64::from(shard.settings.transactional_id_expiration_ms)));
    let mut expired = shard
        .idle
        .iter()
        .take_while(|(last_update, _)| *last_update <= horizon)
        .filter(|(_, id)| !shard.transactions[id].is_pending())
        .map(|(_, id)| id);
    let mut outcome = Outcome::nothing();
    for transactional_id in expired.by_ref().take(MOST_EXPIRED_AT_ONCE) {
        outcome.durable(Record { transactional_id: transactional_id.clone(), value: None });
    }
    let next_ms = match expired.next() {
        Some(_) => now.uptime_ms.saturating_add(PAUSE_MS),
        None => next_expiry(shard, now),
    };
    outcome.soft(Soft::ExpiryLooked { next_ms });
    outcome.on_failed = Some(Box::new(|_| Command::PutOff { transactional_id: None }));
    outcome
}

/// When ids are looked through next, after `now`.
pub(super) fn next_expiry(shard: &TransactionShard, now: Now) -> i64 {
    let interval_ms = shard.settings.transaction_remove_expired_transaction_cleanup_interval_ms;
    now.uptime_ms.saturating_add(i64::from(interval_ms).max(1))
}

/// What is due waits for the next look. `None`: the ids that may expire.
pub(super) fn put_off(
    shard: &TransactionShard,
    transactional_id: Option<Arc<str>>,
    now: Now,
) -> Outcome<TransactionShard> {
    let mut outcome = Outcome::nothing();
    outcome.soft(match transactional_id {
        Some(transactional_id) => Soft::Deadline { transactional_id, deadline_ms: now.uptime_ms },
        None => Soft::ExpiryLooked { next_ms: next_expiry(shard, now) },
    });
    outcome
}
