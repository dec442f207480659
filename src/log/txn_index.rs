//! The aborted transactions of one segment.
//!
//! On disk `<base>.txnindex`, only where there are any: entries of 34 bytes, version (i16, 0), producer id, first offset,
//! last offset (of the abort marker) and the last stable offset at that time (i64 each), in the order of the markers. Kafka:
//! `TransactionIndex`, `AbortedTxn`.

use crate::protocol::ids::{Offset, ProducerId};

/// Bytes of an entry on disk.
pub const ENTRY_SIZE: usize = 34;

/// A transaction whose records a read_committed consumer must skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// Offset of the abort marker.
    pub last_offset: Offset,
    /// First offset that was still undecided after the marker.
    pub last_stable_offset: Offset,
}

impl AbortedTransaction {
    pub fn encode(&self) -> [u8; ENTRY_SIZE] {
        let mut bytes = [0; ENTRY_SIZE];
        let values = [self.producer_id.0, self.first_offset.0, self.last_offset.0, self.last_stable_offset.0];
        for (slot, value) in bytes[2..].chunks_exact_mut(8).zip(values) {
            slot.copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<AbortedTransaction> {
        let version = i16::from_be_bytes(bytes[..2].try_into().ok()?);
        let long = |at: usize| Some(i64::from_be_bytes(bytes[at..at + 8].try_into().ok()?));
        let entry = AbortedTransaction {
            producer_id: ProducerId(long(2)?),
            first_offset: Offset(long(10)?),
            last_offset: Offset(long(18)?),
            last_stable_offset: Offset(long(26)?),
        };
        (version == 0 && entry.first_offset <= entry.last_offset).then_some(entry)
    }
}

/// A file's content.
pub fn encode(entries: &[AbortedTransaction]) -> Vec<u8> {
    entries.iter().flat_map(AbortedTransaction::encode).collect()
}

/// All entries of a file; `None` when it is torn or damaged, and must be rebuilt.
pub fn decode(bytes: &[u8]) -> Option<Vec<AbortedTransaction>> {
    if !bytes.len().is_multiple_of(ENTRY_SIZE) {
        return None;
    }
    let entries: Vec<_> =
        bytes.chunks_exact(ENTRY_SIZE).map(AbortedTransaction::decode).collect::<Option<_>>()?;
    entries.is_sorted_by(|left, right| left.last_offset < right.last_offset).then_some(entries)
}

/// The transactions of a segment that touch `from..up_to`, and whether later segments cannot hold any more of them
/// (`TransactionIndex.collectAbortedTxns`).
pub fn overlapping(
    entries: &[AbortedTransaction],
    from: Offset,
    up_to: Offset,
) -> (Vec<AbortedTransaction>, bool) {
    let mut found = Vec::new();
    for entry in entries {
        if entry.last_offset >= from && entry.first_offset < up_to {
            found.push(*entry);
        }
        if entry.last_stable_offset >= up_to {
            return (found, true);
        }
    }
    (found, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aborted(first_offset: i64, last_offset: i64, last_stable_offset: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: ProducerId(9),
            first_offset: Offset(first_offset),
            last_offset: Offset(last_offset),
            last_stable_offset: Offset(last_stable_offset),
        }
    }

    #[test]
    fn entries_are_read_back_and_damage_is_seen() {
        let entries = [aborted(0, 10, 11), aborted(5, 20, 21)];
        let bytes = encode(&entries);
        assert_eq!(decode(&bytes), Some(entries.to_vec()));
        assert_eq!(decode(&bytes[..67]), None);
        assert_eq!(decode(&[&bytes[34..], &bytes[..34]].concat()), None, "markers are in order");
    }

    #[test]
    fn only_transactions_in_the_range_are_collected() {
        let entries = [aborted(0, 10, 5), aborted(12, 20, 21), aborted(15, 30, 31)];
        assert_eq!(overlapping(&entries, Offset(11), Offset(14)), (vec![entries[1]], true));
        assert_eq!(overlapping(&entries, Offset(0), Offset(100)), (entries.to_vec(), false));
    }
}
