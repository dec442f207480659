//! Transactions that a partition is about to learn of, while their coordinator is asked (KIP-890).
//!
//! A batch that opens a transaction here needs a guard which was given out before the coordinator was asked, and which no
//! other batch or marker of the producer has used up since. So a batch that was long under way cannot open a transaction
//! that nobody will end. In memory only: what is lost is asked for again. Kafka: `VerificationGuard`,
//! `VerificationStateEntry`, `UnifiedLog.maybeStartTransactionVerification`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::log::producer_state::ProducerEntry;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{ProducerEpoch, ProducerId, Timestamp};
use crate::protocol::summary::BatchSummary;

/// Verifications that a partition keeps. A coordinator's refusal leaves its one behind until it expires, and anybody can make
/// up producer ids.
pub(super) const MOST_VERIFICATIONS: usize = 5_000;

/// Stands for one verification: there are never two of the same value, whatever becomes of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(u64);

impl VerificationGuard {
    fn next() -> VerificationGuard {
        static LAST: AtomicU64 = AtomicU64::new(0);
        VerificationGuard(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What vouches for a batch that opens a transaction in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing is asked for: `transaction.partition.verification.enable=false`.
    Off,
    /// Without a guard only a transaction goes on that is ongoing here.
    Required(Option<VerificationGuard>),
}

/// A transactional batch that is about to be appended.
#[derive(Clone, Copy, Debug)]
pub struct Unverified {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    /// The producer bumps its epoch with every transaction (KIP-890).
    pub is_v2: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    guard: VerificationGuard,
    started: Timestamp,
    epoch: ProducerEpoch,
    /// Later batches must not come before it: their producer would wait for ever for the one that comes too late.
    lowest_sequence: i32,
    is_v2: bool,
}

/// The verifications under way in one partition.
#[derive(Debug, Default)]
pub(super) struct Verifications(BTreeMap<ProducerId, Entry>);

impl Verifications {
    /// Gives out a guard, the same one until it is used up; `None` when the transaction is ongoing and needs none.
    pub fn start(
        &mut self,
        batch: &Unverified,
        producer: Option<&ProducerEntry>,
        now: Timestamp,
    ) -> Result<Option<VerificationGuard>, ApiError> {
        if producer.is_some_and(|producer| batch.producer_epoch < producer.epoch) {
            return Err(ErrorCode::InvalidProducerEpoch.into());
        }
        if has_ongoing(producer, batch.producer_epoch) {
            return Ok(None);
        }
        if self.0.len() >= MOST_VERIFICATIONS && !self.0.contains_key(&batch.producer_id) {
            self.remove_oldest();
        }
        let entry = self.0.entry(batch.producer_id).or_insert_with(|| Entry {
            guard: VerificationGuard::next(),
            started: now,
            epoch: batch.producer_epoch,
            lowest_sequence: batch.base_sequence,
            is_v2: batch.is_v2,
        });
        if batch.producer_epoch > entry.epoch {
            (entry.epoch, entry.lowest_sequence) = (batch.producer_epoch, batch.base_sequence);
        } else if batch.producer_epoch == entry.epoch {
            entry.lowest_sequence = entry.lowest_sequence.min(batch.base_sequence);
        }
        Ok(Some(entry.guard))
    }

    /// Guards are given out in order. Whoever holds the oldest after so many others has most likely given up.
    #[cold]
    fn remove_oldest(&mut self) {
        let oldest = self.0.iter().min_by_key(|(_, entry)| entry.guard.0).map(|(producer, _)| *producer);
        oldest.and_then(|producer| self.0.remove(&producer));
    }

    /// Whether a client's batch is to be checked.
    pub fn concern(&self, batch: &BatchSummary) -> bool {
        batch.has_producer_id() && !batch.is_control && (batch.is_transactional || !self.0.is_empty())
    }

    /// Whether a client's batch may go on with a transaction, or open one. What is wrong with its epoch is told by the
    /// producer state.
    pub fn check(
        &self,
        batch: &BatchSummary,
        producer: Option<&ProducerEntry>,
        verification: Verification,
    ) -> Result<(), ApiError> {
        if producer.is_some_and(|producer| batch.producer_epoch < producer.epoch) {
            return Ok(());
        }
        let entry = self.0.get(&batch.producer_id);
        if let Verification::Required(guard) = verification
            && batch.is_transactional
            && !has_ongoing(producer, batch.producer_epoch)
            && (guard.is_none() || guard != entry.map(|entry| entry.guard))
        {
            let sentence = "Record was not part of an ongoing transaction";
            return Err(ApiError::new(ErrorCode::InvalidTxnState, sentence));
        }
        let Some(entry) = entry else { return Ok(()) };
        let is_known = producer.is_some_and(|producer| producer.last_batch().is_some());
        let skips_the_first = entry.is_v2 && batch.base_sequence != 0 && !is_known;
        if skips_the_first || batch.base_sequence > entry.lowest_sequence {
            return Err(ErrorCode::OutOfOrderSequenceNumber.into());
        }
        Ok(())
    }

    /// A transactional batch or a marker stands in the log: what was verified before it counts no longer.
    pub fn appended(&mut self, batch: &BatchSummary) {
        if !batch.is_transactional {
            return;
        }
        // KIP-890: a marker has the epoch of the next transaction, which may be verified before the marker gets here.
        let is_for_the_next =
            |entry: &Entry| entry.is_v2 && batch.is_control && batch.producer_epoch == entry.epoch;
        if !self.0.get(&batch.producer_id).is_some_and(is_for_the_next) {
            self.0.remove(&batch.producer_id);
        }
    }

    /// Forgets what was never finished.
    pub fn remove_expired(&mut self, now: Timestamp, expiration_ms: i64) {
        self.0.retain(|_, entry| now.since(entry.started) < expiration_ms);
    }
}

fn has_ongoing(producer: Option<&ProducerEntry>, epoch: ProducerEpoch) -> bool {
    producer.is_some_and(|producer| producer.current_txn_first_offset.is_some() && producer.epoch == epoch)
}
