//! What compaction keeps of a batch. Pure.
//!
//! A batch keeps its first and last offset, its producer's epoch and sequences, and its codec, however few of its
//! records stay. Tombstones and markers of transactions that are gone get a delete horizon when a round first meets
//! them, and go when that has passed (KIP-534). Kafka: `Cleaner.cleanInto`, `MemoryRecords.filterTo`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use crate::log::compaction::offset_map::OffsetMap;
use crate::log::compaction::transactions::Transactions;
use crate::log::txn_index::AbortedTransaction;
use crate::protocol::batch::{Batch, Compression, TimestampType};
use crate::protocol::compression::{self, DecompressError};
use crate::protocol::ids::{Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::protocol::records::{BatchBuilder, BatchHeader, Record, RecordError, RecordIter};
use crate::protocol::summary::BatchSummary;

/// A batch that decompresses to more is not cleaned: one batch must not cost more memory.
const MOST_DECOMPRESSED_BYTES: usize = 256 << 20;

/// Where the log knows a producer from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastRecord {
    /// The batch that ends here holds its last sequence.
    Data(Offset),
    /// Only a marker is known, which holds its epoch.
    Marker(ProducerEpoch),
}

/// What a round judges by.
pub(super) struct Rules<'a> {
    pub keys: &'a OffsetMap,
    pub producers: &'a HashMap<ProducerId, LastRecord>,
    /// Where the round ends: the batch before it stays, so that the offset is not lost.
    pub up_to: Offset,
    pub now: Timestamp,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
}

/// What stays of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Retained {
    Nothing,
    /// All of it, byte by byte.
    AsItIs,
    Rewritten(Vec<u8>),
}

/// Why a batch cannot be cleaned.
#[derive(Debug)]
pub(super) enum RetainError {
    UnknownCodec,
    Decompress(DecompressError),
    Records(RecordError),
    /// Its records do not stand in the order of their offsets.
    OffsetOutOfOrder,
}

impl fmt::Display for RetainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RetainError::UnknownCodec => formatter.write_str("its attributes name no codec"),
            RetainError::Decompress(error) => error.fmt(formatter),
            RetainError::Records(error) => write!(formatter, "its records cannot be read: {error:?}"),
            RetainError::OffsetOutOfOrder => formatter.write_str("its offsets are out of order"),
        }
    }
}

/// The verdict on a batch, and the aborted transaction whose marker it is, when readers still need to know of that.
pub(super) fn retain(
    batch: Batch<'_>,
    summary: &BatchSummary,
    transactions: &mut Transactions,
    rules: &Rules<'_>,
) -> Result<(Retained, Option<AbortedTransaction>), RetainError> {
    let horizon = batch.has_delete_horizon().then(|| batch.first_timestamp());
    if !summary.is_control {
        let is_aborted = transactions.is_aborted(summary);
        let retained = rules.apply(
            batch,
            summary,
            Judged { horizon, is_discarded: is_aborted, is_empty_marker: false },
        )?;
        return Ok((retained, None));
    }
    let verdict = transactions.on_marker(summary);
    let is_discarded = verdict.can_be_discarded && horizon.is_some_and(|horizon| horizon <= rules.now);
    let judged = Judged { horizon, is_discarded, is_empty_marker: verdict.can_be_discarded };
    Ok((rules.apply(batch, summary, judged)?, verdict.aborted))
}

/// A batch in the light of its transaction.
struct Judged {
    horizon: Option<Timestamp>,
    /// None of its records may stay.
    is_discarded: bool,
    /// It ends a transaction that has no records left.
    is_empty_marker: bool,
}

impl Rules<'_> {
    fn apply(
        &self,
        batch: Batch<'_>,
        summary: &BatchSummary,
        judged: Judged,
    ) -> Result<Retained, RetainError> {
        let stays_empty = self.is_last_of_producer(summary) || batch.next_offset() == self.up_to;
        if judged.is_discarded {
            return Ok(if stays_empty { Retained::Rewritten(empty(batch)) } else { Retained::Nothing });
        }
        let records = uncompressed_records(batch)?;
        let mut stays = Vec::new();
        let mut has_tombstones = false;
        for record in RecordIter::new(&records, batch.record_count()) {
            let record = record.map_err(RetainError::Records)?;
            let is_kept = summary.is_control || self.keeps(batch.base_offset(), &record, judged.horizon);
            has_tombstones |= is_kept && record.value.is_none();
            stays.push(is_kept);
        }
        if !stays.contains(&true) {
            return Ok(if stays_empty { Retained::Rewritten(empty(batch)) } else { Retained::Nothing });
        }
        let gets_horizon = (has_tombstones || judged.is_empty_marker) && judged.horizon.is_none();
        if !gets_horizon && !stays.contains(&false) {
            return Ok(Retained::AsItIs);
        }
        let horizon = match gets_horizon {
            true => Some(Timestamp(self.now.0.saturating_add(self.delete_retention_ms))),
            false => judged.horizon,
        };
        rewrite(batch, &records, &stays, horizon).map(Retained::Rewritten)
    }

    fn keeps(&self, base_offset: Offset, record: &Record<'_>, horizon: Option<Timestamp>) -> bool {
        let offset = Offset(base_offset.0.saturating_add(i64::from(record.offset_delta)));
        if self.keys.latest_offset().is_none_or(|latest| offset > latest) {
            return true;
        }
        // A record without a key can be superseded by none and is nobody's newest: the topic was not always compacted.
        let Some(key) = record.key else { return false };
        let is_newest = self.keys.get(key).is_none_or(|newest| offset >= newest);
        is_newest && (record.value.is_some() || horizon.is_none_or(|horizon| self.now < horizon))
    }

    /// Its sequence or epoch must be found again when the log is read from the start.
    fn is_last_of_producer(&self, batch: &BatchSummary) -> bool {
        batch.has_producer_id()
            && match self.producers.get(&batch.producer_id) {
                Some(LastRecord::Data(last_offset)) => batch.last_offset() == *last_offset,
                Some(LastRecord::Marker(epoch)) => batch.is_control && batch.producer_epoch == *epoch,
                None => false,
            }
    }
}

/// The records of a batch as they were before they were compressed.
pub(super) fn uncompressed_records(batch: Batch<'_>) -> Result<Cow<'_, [u8]>, RetainError> {
    match batch.compression().ok_or(RetainError::UnknownCodec)? {
        Compression::None => Ok(Cow::Borrowed(batch.records())),
        codec @ (Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd) => {
            let records = compression::decompress(codec, batch.records(), MOST_DECOMPRESSED_BYTES);
            records.map(Cow::Owned).map_err(RetainError::Decompress)
        }
    }
}

/// The batch with the records that stay.
fn rewrite(
    batch: Batch<'_>,
    records: &[u8],
    stays: &[bool],
    delete_horizon: Option<Timestamp>,
) -> Result<Vec<u8>, RetainError> {
    let compression = batch.compression().ok_or(RetainError::UnknownCodec)?;
    let mut builder =
        BatchBuilder::new(BatchHeader { compression, delete_horizon, ..BatchHeader::of(batch) });
    let mut least_delta = 0;
    for (record, _) in RecordIter::new(records, batch.record_count()).zip(stays).filter(|(_, stays)| **stays)
    {
        let record = record.map_err(RetainError::Records)?;
        if record.offset_delta < least_delta || record.offset_delta > batch.last_offset_delta() {
            return Err(RetainError::OffsetOutOfOrder);
        }
        least_delta = record.offset_delta.saturating_add(1);
        // KIP-32: with LogAppendTime the time of the batch is that of all its records.
        let timestamp = match batch.timestamp_type() {
            TimestampType::LogAppendTime => batch.max_timestamp(),
            TimestampType::CreateTime => {
                Timestamp(batch.first_timestamp().0.wrapping_add(record.timestamp_delta))
            }
        };
        builder.push_record(record.offset_delta, timestamp, &record);
    }
    builder.set_last_offset_delta(batch.last_offset_delta());
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        builder.set_max_timestamp(batch.max_timestamp());
    }
    Ok(builder.build())
}

/// The batch without any record; what it told of offsets, time and producer stays (`DefaultRecordBatch.writeEmptyHeader`).
fn empty(batch: Batch<'_>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchHeader::of(batch));
    builder.set_last_offset_delta(batch.last_offset_delta());
    builder.set_max_timestamp(batch.max_timestamp());
    builder.build()
}

#[cfg(test)]
mod tests;
