//! What a partition remembers of its idempotent and transactional producers (KIP-98, KIP-890), derived from
//! its log.
//!
//! Pure: [`ProducerState::check`] decides whether a batch may be appended, [`ProducerState::replay`] is the
//! only way a batch changes the state, for leaders, followers and recovery alike. Rules:
//! `ProducerStateManager`, `ProducerAppendInfo` and `ProducerStateEntry` of Kafka 4.4. Whether a transaction
//! was verified with its coordinator is decided in `verification.rs`.

use std::collections::BTreeMap;

use crate::log::verification::Verification;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::protocol::summary::{BatchSummary, ControlType, EndTransactionMarker};

/// Batches of a producer whose retry is recognised; as many as a client keeps in flight.
pub const REMEMBERED_BATCHES: usize = 5;

const NO_EPOCH: ProducerEpoch = ProducerEpoch(-1);
const NO_SEQUENCE: i32 = -1;

/// Who appends, and so how much is checked. Followers and recovery replay without a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A Produce request: sequences count, and what opens a transaction must be vouched for.
    Client(Verification),
    /// Offset commits: no sequences, epochs count.
    Coordinator,
    /// The end of a transaction of this `transaction.version`.
    TransactionCoordinator { transaction_version: i16 },
    /// The metadata log: no producers.
    RaftLeader,
}

/// What to do with a batch that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Append,
    /// The batch is in the log already, at these offsets; nothing is appended and the retry gets this answer.
    Duplicate {
        first_offset: Offset,
        last_offset: Offset,
        /// Kafka answers it as the log append time, whatever the topic's timestamp type.
        timestamp: Timestamp,
    },
}

/// A batch that a producer has appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMetadata {
    pub last_sequence: i32,
    pub last_offset: Offset,
    pub offset_delta: i32,
    pub timestamp: Timestamp,
}

impl BatchMetadata {
    pub fn first_offset(&self) -> Offset {
        self.last_offset + -i64::from(self.offset_delta)
    }

    /// `DefaultRecordBatch.decrementSequence`: 2^31-1 comes before 0.
    pub fn first_sequence(&self) -> i32 {
        if self.last_sequence < 0 {
            return NO_SEQUENCE;
        }
        ((i64::from(self.last_sequence) - i64::from(self.offset_delta)) & 0x7fff_ffff) as i32
    }
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    pub producer_id: ProducerId,
    pub epoch: ProducerEpoch,
    /// Of the coordinator that wrote the last marker, -1 before the first.
    pub coordinator_epoch: i32,
    /// Of the last batch or marker, by the producer's clock.
    pub last_timestamp: Timestamp,
    /// Where the open transaction began, if one is open.
    pub current_txn_first_offset: Option<Offset>,
    /// Oldest first, all of the current epoch, at most [`REMEMBERED_BATCHES`].
    batches: Vec<BatchMetadata>,
}

impl ProducerEntry {
    fn empty(producer_id: ProducerId) -> ProducerEntry {
        ProducerEntry {
            producer_id,
            epoch: NO_EPOCH,
            coordinator_epoch: -1,
            last_timestamp: Timestamp::NONE,
            current_txn_first_offset: None,
            batches: Vec::new(),
        }
    }

    /// As a snapshot has it: with at most one batch.
    pub fn restored(
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        coordinator_epoch: i32,
        last_timestamp: Timestamp,
        current_txn_first_offset: Option<Offset>,
        last_batch: Option<BatchMetadata>,
    ) -> ProducerEntry {
        let batches = last_batch.into_iter().collect();
        ProducerEntry {
            producer_id,
            epoch,
            coordinator_epoch,
            last_timestamp,
            current_txn_first_offset,
            batches,
        }
    }

    pub fn last_batch(&self) -> Option<&BatchMetadata> {
        self.batches.last()
    }

    /// -1 when the producer has no batch in this epoch.
    pub fn last_sequence(&self) -> i32 {
        self.last_batch().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    fn find_duplicate(&self, batch: &BatchSummary) -> Option<&BatchMetadata> {
        if batch.producer_epoch != self.epoch {
            return None;
        }
        let range = (batch.base_sequence, batch.last_sequence());
        self.batches.iter().find(|known| (known.first_sequence(), known.last_sequence) == range)
    }

    /// Sequences of an epoch have nothing to do with those of another.
    fn enter_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }

    fn add_batch(&mut self, batch: BatchMetadata) {
        if self.batches.len() == REMEMBERED_BATCHES {
            self.batches.remove(0);
        }
        self.batches.push(batch);
        self.last_timestamp = batch.timestamp;
    }

    fn is_expired(&self, now: Timestamp, expiration_ms: i64) -> bool {
        self.current_txn_first_offset.is_none() && now.since(self.last_timestamp) >= expiration_ms
    }
}

/// A transaction that a marker has ended on this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// Of the marker.
    pub last_offset: Offset,
    /// An aborted one goes into the transaction index.
    pub is_aborted: bool,
    /// The last stable offset that the marker leaves behind, once it is replicated.
    pub last_stable_offset: Offset,
}

/// All producers of one partition up to an offset of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerState {
    producers: BTreeMap<ProducerId, ProducerEntry>,
    /// Open transactions by first offset.
    ongoing: BTreeMap<Offset, ProducerId>,
    /// Ended transactions by first offset, with the offset of a marker that may not be replicated yet.
    unreplicated: BTreeMap<Offset, Offset>,
    end_offset: Offset,
}

impl ProducerState {
    /// No producers, at the start of a log or after all before `end_offset` is gone.
    pub fn starting_at(end_offset: Offset) -> ProducerState {
        ProducerState { end_offset, ..ProducerState::default() }
    }

    /// From a snapshot taken at `end_offset`; expired producers are left out.
    pub fn from_entries(
        entries: impl IntoIterator<Item = ProducerEntry>,
        end_offset: Offset,
        now: Timestamp,
        expiration_ms: i64,
    ) -> ProducerState {
        let mut state = ProducerState::starting_at(end_offset);
        for entry in entries {
            if entry.is_expired(now, expiration_ms) {
                continue;
            }
            if let Some(first_offset) = entry.current_txn_first_offset {
                state.ongoing.insert(first_offset, entry.producer_id);
            }
            state.producers.insert(entry.producer_id, entry);
        }
        state
    }

    /// Batches below this offset are in the state.
    pub fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// By producer id.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &ProducerEntry> {
        self.producers.values()
    }

    pub fn entry(&self, producer_id: ProducerId) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id)
    }

    /// Whether the batch may be appended at the end of the log. Reads only.
    pub fn check(&self, batch: &BatchSummary, origin: Origin) -> Result<Verdict, ApiError> {
        if !batch.has_producer_id() {
            return Ok(Verdict::Append);
        }
        let (is_client, transaction_version) = match origin {
            Origin::Client(_) => (true, 0),
            Origin::Coordinator | Origin::RaftLeader => (false, 0),
            Origin::TransactionCoordinator { transaction_version } => (false, transaction_version),
        };
        if batch.is_control {
            self.check_marker(batch, transaction_version)?;
            return Ok(Verdict::Append);
        }
        let Some(entry) = self.producers.get(&batch.producer_id) else {
            // Its records may all be deleted by now, so any sequence is accepted.
            return Ok(Verdict::Append);
        };
        if is_client && let Some(known) = entry.find_duplicate(batch) {
            return Ok(Verdict::Duplicate {
                first_offset: known.first_offset(),
                last_offset: known.last_offset,
                timestamp: known.timestamp,
            });
        }
        if batch.producer_epoch < entry.epoch {
            return Err(ErrorCode::InvalidProducerEpoch.into());
        }
        if is_client {
            check_sequence(entry, batch)?;
        }
        if entry.current_txn_first_offset.is_some() && !batch.is_transactional {
            return Err(ErrorCode::InvalidTxnState.into());
        }
        Ok(Verdict::Append)
    }

    /// Whether the marker may be appended. Since transaction version 2 a marker has a higher epoch than the
    /// transaction it ends (KIP-890), which tells a late one from a retry.
    fn check_marker(&self, batch: &BatchSummary, transaction_version: i16) -> Result<(), ApiError> {
        let Some(entry) = self.producers.get(&batch.producer_id) else { return Ok(()) };
        let is_retry = transaction_version >= 2
            && batch.producer_epoch == entry.epoch
            && (entry.current_txn_first_offset.is_none() || batch.producer_epoch.0 == i16::MAX);
        let is_fenced = if transaction_version >= 2 {
            batch.producer_epoch <= entry.epoch
        } else {
            batch.producer_epoch < entry.epoch
        };
        if is_fenced && !is_retry {
            return Err(ErrorCode::InvalidProducerEpoch.into());
        }
        match batch.marker {
            Some(marker) if entry.coordinator_epoch > marker.coordinator_epoch => {
                Err(ErrorCode::TransactionCoordinatorFenced.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes in a batch that stands in the log at `first_offset`; every batch, in order. Returns the
    /// transaction that it has ended.
    pub fn replay(&mut self, batch: &BatchSummary, first_offset: Offset) -> Option<CompletedTransaction> {
        let last_offset = Offset(first_offset.0.saturating_add(i64::from(batch.last_offset_delta)));
        self.end_offset = Offset(last_offset.0.saturating_add(1));
        if !batch.has_producer_id() {
            return None;
        }
        if batch.is_control {
            // Compaction may have removed the marker; then its whole transaction is gone as well.
            return self.replay_marker(batch, &batch.marker?, first_offset);
        }
        let entry = self
            .producers
            .entry(batch.producer_id)
            .or_insert_with(|| ProducerEntry::empty(batch.producer_id));
        entry.enter_epoch(batch.producer_epoch);
        entry.add_batch(BatchMetadata {
            last_sequence: batch.last_sequence(),
            last_offset,
            offset_delta: batch.last_offset_delta,
            timestamp: batch.max_timestamp,
        });
        if batch.is_transactional && entry.current_txn_first_offset.is_none() {
            entry.current_txn_first_offset = Some(first_offset);
            self.ongoing.insert(first_offset, batch.producer_id);
        }
        None
    }

    fn replay_marker(
        &mut self,
        batch: &BatchSummary,
        marker: &EndTransactionMarker,
        offset: Offset,
    ) -> Option<CompletedTransaction> {
        let entry = self
            .producers
            .entry(batch.producer_id)
            .or_insert_with(|| ProducerEntry::empty(batch.producer_id));
        entry.enter_epoch(batch.producer_epoch);
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = marker.timestamp;
        // A marker without a transaction changes nothing that a reader sees.
        let first_offset = entry.current_txn_first_offset.take()?;
        self.ongoing.remove(&first_offset);
        self.unreplicated.insert(first_offset, offset);
        let next_open = self.ongoing.first_key_value().map(|(first_offset, _)| *first_offset);
        Some(CompletedTransaction {
            producer_id: batch.producer_id,
            first_offset,
            last_offset: offset,
            is_aborted: match marker.control_type {
                ControlType::Abort => true,
                ControlType::Commit => false,
            },
            last_stable_offset: next_open.unwrap_or(self.end_offset),
        })
    }

    /// Remembers one more batch that lies before what a snapshot has of its producer, so that retries across
    /// a clean restart are recognised. Batches come from the log's end backwards; one that does not fit is
    /// ignored.
    pub fn recall(&mut self, batch: &BatchSummary) {
        if batch.is_control {
            return;
        }
        let Some(entry) = self.producers.get_mut(&batch.producer_id) else { return };
        let Some(oldest) = entry.batches.first() else { return };
        let fits = batch.producer_epoch == entry.epoch
            && batch.base_sequence >= 0
            && batch.last_offset() < oldest.first_offset()
            && in_sequence(batch.last_sequence(), oldest.first_sequence());
        if fits && entry.batches.len() < REMEMBERED_BATCHES {
            let metadata = BatchMetadata {
                last_sequence: batch.last_sequence(),
                last_offset: batch.last_offset(),
                offset_delta: batch.last_offset_delta,
                timestamp: batch.max_timestamp,
            };
            entry.batches.insert(0, metadata);
        }
    }

    /// Where the first transaction begins that is open, or ended by a marker above the high watermark. The
    /// last stable offset is this or the high watermark, whichever is lower.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        let undecided = self.first_undecided_offset();
        let unreplicated = self.unreplicated.first_key_value().map(|(first_offset, _)| *first_offset);
        match (undecided, unreplicated) {
            (Some(undecided), Some(unreplicated)) => Some(undecided.min(unreplicated)),
            (one, other) => one.or(other),
        }
    }

    /// Where the first open transaction begins.
    pub fn first_undecided_offset(&self) -> Option<Offset> {
        self.ongoing.first_key_value().map(|(first_offset, _)| *first_offset)
    }

    /// Markers below the high watermark are replicated.
    pub fn on_high_watermark(&mut self, high_watermark: Offset) {
        self.unreplicated.retain(|_, marker_offset| *marker_offset >= high_watermark);
    }

    /// Records below the log start are gone; what is known of their producers stays.
    pub fn on_log_start_offset(&mut self, log_start_offset: Offset) {
        self.on_high_watermark(log_start_offset);
        self.end_offset = self.end_offset.max(log_start_offset);
    }

    /// Forgets producers idle for `producer.id.expiration.ms`, but none with an open transaction. Returns how
    /// many.
    pub fn remove_expired(&mut self, now: Timestamp, expiration_ms: i64) -> usize {
        let before = self.producers.len();
        self.producers.retain(|_, entry| !entry.is_expired(now, expiration_ms));
        before - self.producers.len()
    }
}

fn check_sequence(entry: &ProducerEntry, batch: &BatchSummary) -> Result<(), ApiError> {
    let fits = if batch.producer_epoch == entry.epoch {
        // After a marker with a new epoch there is no last sequence, and 0 follows -1.
        in_sequence(entry.last_sequence(), batch.base_sequence)
    } else {
        batch.base_sequence == 0 || entry.epoch == NO_EPOCH
    };
    // Kafka answers the same to a gap and to a retry that is older than the remembered batches.
    if fits { Ok(()) } else { Err(ErrorCode::OutOfOrderSequenceNumber.into()) }
}

/// Whether `next` follows `last`; 0 follows 2^31-1.
fn in_sequence(last: i32, next: i32) -> bool {
    i64::from(next) == i64::from(last) + 1 || (next == 0 && last == i32::MAX)
}

#[cfg(test)]
mod tests;
