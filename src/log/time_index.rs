//! The sparse map from timestamp to offset of one segment.
//!
//! On disk `<base>.timeindex`: entries of 12 bytes, timestamp (i64) and relative offset (i32), both big-endian. An
//! entry (T, O) says that no record up to offset O is younger than T, and that the batch that ends with O holds a record
//! of T. Kafka: `TimeIndex`.

use crate::protocol::ids::{Offset, Timestamp};

/// Bytes of an entry on disk.
pub const ENTRY_SIZE: usize = 12;

/// A timestamp and the last offset of the batch it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp: Timestamp,
    pub offset: Offset,
}

/// All entries of a segment, on the heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeIndex {
    base_offset: Offset,
    /// Strictly growing.
    timestamps: Vec<i64>,
    /// Relative offsets, one for each timestamp, growing.
    offsets: Vec<u32>,
}

impl TimeIndex {
    pub fn new(base_offset: Offset) -> TimeIndex {
        TimeIndex { base_offset, timestamps: Vec::new(), offsets: Vec::new() }
    }

    /// From a file's content; `None` unless it can be a time index.
    pub fn decode(base_offset: Offset, bytes: &[u8]) -> Option<TimeIndex> {
        if !bytes.len().is_multiple_of(ENTRY_SIZE) {
            return None;
        }
        let mut index = TimeIndex::new(base_offset);
        for entry in bytes.chunks_exact(ENTRY_SIZE) {
            let timestamp = i64::from_be_bytes(entry[..8].try_into().expect("8 of 12 bytes"));
            let relative_offset = u32::from_be_bytes(entry[8..].try_into().expect("4 of 12 bytes"));
            let grows = index.timestamps.last().is_none_or(|last| *last < timestamp)
                && index.offsets.last().is_none_or(|last| *last < relative_offset);
            if !grows || timestamp < 0 || relative_offset > i32::MAX as u32 {
                return None;
            }
            index.timestamps.push(timestamp);
            index.offsets.push(relative_offset);
        }
        Some(index)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.timestamps.len() * ENTRY_SIZE);
        for (timestamp, relative_offset) in self.timestamps.iter().zip(&self.offsets) {
            bytes.extend_from_slice(&timestamp.to_be_bytes());
            bytes.extend_from_slice(&relative_offset.to_be_bytes());
        }
        bytes
    }

    /// Adds an entry when it is younger than the last one.
    pub fn maybe_append(&mut self, entry: TimestampOffset) {
        let newest = self.timestamps.last().copied().unwrap_or(Timestamp::NONE.0);
        if entry.timestamp.0 > newest {
            let relative_offset =
                u32::try_from(entry.offset - self.base_offset).expect("a segment rolls in time");
            self.timestamps.push(entry.timestamp.0);
            self.offsets.push(relative_offset);
        }
    }

    /// The last entry not younger than `target`: everything up to its offset is at most as young. Without one, the
    /// segment's base with no timestamp.
    pub fn lookup(&self, target: Timestamp) -> TimestampOffset {
        let after = self.timestamps.partition_point(|timestamp| *timestamp <= target.0);
        match after.checked_sub(1) {
            Some(index) => self.entry(index),
            None => TimestampOffset { timestamp: Timestamp::NONE, offset: self.base_offset },
        }
    }

    pub fn last(&self) -> Option<TimestampOffset> {
        self.timestamps.len().checked_sub(1).map(|index| self.entry(index))
    }

    pub fn entry_count(&self) -> usize {
        self.timestamps.len()
    }

    /// Forgets entries for `end` and behind.
    pub fn truncate_to(&mut self, end: Offset) {
        let kept_count = self
            .offsets
            .partition_point(|relative_offset| self.base_offset + i64::from(*relative_offset) < end);
        self.timestamps.truncate(kept_count);
        self.offsets.truncate(kept_count);
    }

    fn entry(&self, index: usize) -> TimestampOffset {
        TimestampOffset {
            timestamp: Timestamp(self.timestamps[index]),
            offset: self.base_offset + i64::from(self.offsets[index]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(timestamp: i64, offset: i64) -> TimestampOffset {
        TimestampOffset { timestamp: Timestamp(timestamp), offset: Offset(offset) }
    }

    #[test]
    fn only_younger_entries_are_added() {
        let mut index = TimeIndex::new(Offset(10));
        index.maybe_append(entry(-1, 10));
        assert_eq!(index.last(), None, "a segment without timestamps has no entries");
        index.maybe_append(entry(500, 12));
        index.maybe_append(entry(500, 12));
        index.maybe_append(entry(700, 20));
        assert_eq!(index.entry_count(), 2);
        assert_eq!(index.lookup(Timestamp(499)), entry(-1, 10));
        assert_eq!(index.lookup(Timestamp(500)), entry(500, 12));
        assert_eq!(index.lookup(Timestamp(9000)), entry(700, 20));
        assert_eq!(TimeIndex::decode(Offset(10), &index.encode()), Some(index.clone()));
        index.truncate_to(Offset(20));
        assert_eq!(index.last(), Some(entry(500, 12)));
    }

    #[test]
    fn a_file_that_cannot_be_a_time_index_is_refused() {
        let mut index = TimeIndex::new(Offset(0));
        index.maybe_append(entry(5, 1));
        let bytes = index.encode();
        assert_eq!(TimeIndex::decode(Offset(0), &bytes[..11]), None);
        assert_eq!(TimeIndex::decode(Offset(0), &[bytes.clone(), bytes].concat()), None);
    }
}
