//! The sparse map from offset to file position of one segment.
//!
//! On disk `<base>.index`: entries of 8 bytes, relative offset (i32) and position (i32), both big-endian. An entry
//! names the last offset of the batch that begins at the position. Kafka: `OffsetIndex`.

use crate::protocol::ids::Offset;

/// Bytes of an entry on disk.
pub const ENTRY_SIZE: usize = 8;

/// An entry with its offset made absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetPosition {
    pub offset: Offset,
    pub position: u64,
}

/// All entries of a segment, on the heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetIndex {
    base_offset: Offset,
    /// Relative offset and position, both strictly growing.
    entries: Vec<(u32, u32)>,
}

impl OffsetIndex {
    pub fn new(base_offset: Offset) -> OffsetIndex {
        OffsetIndex { base_offset, entries: Vec::new() }
    }

    /// From a file's content; `None` unless it can be the index of a segment of `segment_size_bytes`.
    pub fn decode(base_offset: Offset, bytes: &[u8], segment_size_bytes: u64) -> Option<OffsetIndex> {
        if !bytes.len().is_multiple_of(ENTRY_SIZE) {
            return None;
        }
        let mut entries: Vec<(u32, u32)> = Vec::with_capacity(bytes.len() / ENTRY_SIZE);
        for entry in bytes.chunks_exact(ENTRY_SIZE) {
            let relative_offset = u32::from_be_bytes(entry[..4].try_into().expect("half of 8 bytes"));
            let position = u32::from_be_bytes(entry[4..].try_into().expect("half of 8 bytes"));
            let grows = entries.last().is_none_or(|last| last.0 < relative_offset && last.1 < position);
            if !grows || relative_offset > i32::MAX as u32 || u64::from(position) >= segment_size_bytes {
                return None;
            }
            entries.push((relative_offset, position));
        }
        Some(OffsetIndex { base_offset, entries })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY_SIZE);
        for (relative_offset, position) in &self.entries {
            bytes.extend_from_slice(&relative_offset.to_be_bytes());
            bytes.extend_from_slice(&position.to_be_bytes());
        }
        bytes
    }

    /// Adds the batch that begins at `position` and ends with `last_offset`.
    pub fn append(&mut self, last_offset: Offset, position: u64) {
        let relative_offset = u32::try_from(last_offset - self.base_offset).expect("a segment rolls in time");
        let position = u32::try_from(position).expect("a segment is smaller than 2 GiB");
        debug_assert!(self.entries.last().is_none_or(|last| last.0 < relative_offset && last.1 < position));
        self.entries.push((relative_offset, position));
    }

    /// Where to begin looking for `target`: the last entry at or before it, else the segment's start.
    pub fn lookup(&self, target: Offset) -> OffsetPosition {
        let after = self.entries.partition_point(|entry| self.base_offset + i64::from(entry.0) <= target);
        match after.checked_sub(1) {
            Some(index) => self.entry(index),
            None => OffsetPosition { offset: self.base_offset, position: 0 },
        }
    }

    /// The last batch start at or before `position` that the index knows; 0 when it knows none.
    pub fn position_at_or_before(&self, position: u64) -> u64 {
        let after = self.entries.partition_point(|entry| u64::from(entry.1) <= position);
        after.checked_sub(1).map_or(0, |index| u64::from(self.entries[index].1))
    }

    pub fn last(&self) -> Option<OffsetPosition> {
        self.entries.len().checked_sub(1).map(|index| self.entry(index))
    }

    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// Forgets what lies at `position` and behind.
    pub fn truncate_to_position(&mut self, position: u64) {
        let kept_count = self.entries.partition_point(|entry| u64::from(entry.1) < position);
        self.entries.truncate(kept_count);
    }

    fn entry(&self, index: usize) -> OffsetPosition {
        let (relative_offset, position) = self.entries[index];
        OffsetPosition {
            offset: self.base_offset + i64::from(relative_offset),
            position: u64::from(position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookup_answers_the_last_entry_at_or_before_the_target() {
        let mut index = OffsetIndex::new(Offset(100));
        assert_eq!(index.lookup(Offset(500)), OffsetPosition { offset: Offset(100), position: 0 });
        index.append(Offset(109), 4096);
        index.append(Offset(120), 9000);
        assert_eq!(index.lookup(Offset(108)).position, 0);
        assert_eq!(index.lookup(Offset(109)).position, 4096);
        assert_eq!(index.lookup(Offset(119)).position, 4096);
        assert_eq!(index.lookup(Offset(5000)), OffsetPosition { offset: Offset(120), position: 9000 });
        assert_eq!(index.position_at_or_before(4095), 0);
        assert_eq!(index.position_at_or_before(8999), 4096);
        index.truncate_to_position(9000);
        assert_eq!(index.entry_count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_the_index_is_refused() {
        let mut index = OffsetIndex::new(Offset(7));
        index.append(Offset(9), 70);
        index.append(Offset(11), 140);
        let bytes = index.encode();
        assert_eq!(OffsetIndex::decode(Offset(7), &bytes, 141), Some(index));
        assert_eq!(OffsetIndex::decode(Offset(7), &bytes, 140), None, "an entry behind the end");
        assert_eq!(OffsetIndex::decode(Offset(7), &bytes[..15], 141), None, "a torn entry");
        let twice = [&bytes[..8], &bytes[..8]].concat();
        assert_eq!(OffsetIndex::decode(Offset(7), &twice, 141), None, "entries that do not grow");
    }
}
