//! What producer state, indexes and epochs need to know of a batch: its header as a value, and the marker in
//! it when it ends a transaction (KIP-98).

use crate::protocol::batch::{Batch, Compression, add_sequence};
use crate::protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::protocol::records::{RecordError, RecordIter};

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    Abort,
    Commit,
}

/// The control record that ends a transaction (`EndTransactionMarker`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    pub control_type: ControlType,
    pub coordinator_epoch: i32,
    /// Time of the marker's record.
    pub timestamp: Timestamp,
}

/// A batch without its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSummary {
    pub base_offset: Offset,
    pub last_offset_delta: i32,
    pub record_count: i32,
    pub leader_epoch: LeaderEpoch,
    pub max_timestamp: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub is_transactional: bool,
    pub is_control: bool,
    /// Only in a control batch; `None` there means another kind of control record, or a marker that
    /// compaction has removed.
    pub marker: Option<EndTransactionMarker>,
}

impl BatchSummary {
    /// Reads the header, and the first record of a control batch, which must not be broken.
    pub fn of(batch: Batch<'_>) -> Result<BatchSummary, RecordError> {
        Ok(BatchSummary {
            base_offset: batch.base_offset(),
            last_offset_delta: batch.last_offset_delta(),
            record_count: batch.record_count(),
            leader_epoch: batch.leader_epoch(),
            max_timestamp: batch.max_timestamp(),
            producer_id: batch.producer_id(),
            producer_epoch: batch.producer_epoch(),
            base_sequence: batch.base_sequence(),
            is_transactional: batch.is_transactional(),
            is_control: batch.is_control(),
            marker: if batch.is_control() { read_marker(batch)? } else { None },
        })
    }

    /// As [`Batch::last_offset`].
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.saturating_add(i64::from(self.last_offset_delta)))
    }

    /// Sequence of the last record, -1 without sequences.
    pub fn last_sequence(&self) -> i32 {
        add_sequence(self.base_sequence, self.last_offset_delta)
    }

    pub fn has_producer_id(&self) -> bool {
        self.producer_id.0 > ProducerId::NONE.0
    }
}

/// The key of a control record is `version type`, the value of a marker `version coordinatorEpoch`, both with
/// more fields in later versions.
fn read_marker(batch: Batch<'_>) -> Result<Option<EndTransactionMarker>, RecordError> {
    // Brokers write them, and never compressed.
    if batch.compression() != Some(Compression::None) {
        return Err(RecordError::BadCompression);
    }
    let Some(record) = RecordIter::of(batch).next() else { return Ok(None) };
    let record = record?;
    let Some(&[_, _, type_high, type_low, ..]) = record.key else { return Err(RecordError::BadLength) };
    let control_type = match i16::from_be_bytes([type_high, type_low]) {
        0 => ControlType::Abort,
        1 => ControlType::Commit,
        // Leader changes, snapshot headers and what later versions add do not end a transaction.
        _ => return Ok(None),
    };
    let Some(&[_, _, a, b, c, d, ..]) = record.value else { return Err(RecordError::BadLength) };
    let timestamp = Timestamp(batch.first_timestamp().0.wrapping_add(record.timestamp_delta));
    Ok(Some(EndTransactionMarker {
        control_type,
        coordinator_epoch: i32::from_be_bytes([a, b, c, d]),
        timestamp,
    }))
}
