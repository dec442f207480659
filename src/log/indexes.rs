//! A segment's indexes on the heap, and the rule of when they get entries. Pure.

use crate::log::offset_index::{self, OffsetIndex};
use crate::log::scan::{BatchHeader, Defect, Reason};
use crate::log::time_index::{self, TimeIndex, TimestampOffset};
use crate::log::txn_index::AbortedTransaction;
use crate::protocol::ids::{LeaderEpoch, Offset, Timestamp};

/// Both indexes of a segment and what their next entries depend on.
#[derive(Debug)]
pub struct Indexes {
    pub offsets: OffsetIndex,
    pub times: TimeIndex,
    /// The largest timestamp so far; none is -1 at the base offset.
    pub largest: TimestampOffset,
    /// Behind the last batch; the base offset when there is none.
    pub next_offset: Offset,
    /// Leader epoch of the last batch.
    pub last_epoch: LeaderEpoch,
    /// Transactions whose abort markers stand in the segment.
    pub aborted: Vec<AbortedTransaction>,
    /// Bytes of batches since the last offset entry.
    pub size_since_entry_bytes: u64,
}

impl Indexes {
    pub fn new(base_offset: Offset) -> Indexes {
        Indexes {
            offsets: OffsetIndex::new(base_offset),
            times: TimeIndex::new(base_offset),
            largest: TimestampOffset { timestamp: Timestamp::NONE, offset: base_offset },
            next_offset: base_offset,
            last_epoch: LeaderEpoch::NONE,
            aborted: Vec::new(),
            size_since_entry_bytes: 0,
        }
    }

    /// Roughly, on the heap.
    pub fn size_bytes(&self) -> usize {
        self.offsets.entry_count() * offset_index::ENTRY_SIZE
            + self.times.entry_count() * time_index::ENTRY_SIZE
    }

    /// Whether the next batch can stand in this segment: offsets grow, and relative ones fit 31 bits.
    pub fn check(&self, batch: &BatchHeader, base_offset: Offset) -> Result<(), Defect> {
        let relative_offset = batch.span.last_offset().0.saturating_sub(base_offset.0);
        if batch.span.base_offset >= self.next_offset && relative_offset <= i64::from(i32::MAX) {
            return Ok(());
        }
        Err(Defect { position: batch.span.position, reason: Reason::OffsetOutOfOrder })
    }

    /// Takes note of the next batch, which was checked: Kafka's rule of when entries are due (`LogSegment.append`).
    pub fn note(&mut self, batch: &BatchHeader, index_interval_bytes: u64) {
        if batch.max_timestamp > self.largest.timestamp {
            let offset = batch.span.last_offset();
            self.largest = TimestampOffset { timestamp: batch.max_timestamp, offset };
        }
        if self.size_since_entry_bytes > index_interval_bytes {
            self.offsets.append(batch.span.last_offset(), batch.span.position);
            self.times.maybe_append(self.largest);
            self.size_since_entry_bytes = 0;
        }
        self.size_since_entry_bytes += batch.span.size_bytes;
        self.next_offset = batch.span.next_offset;
        self.last_epoch = batch.leader_epoch;
    }
}
