//! The `<offset>.snapshot` file beside a segment: producer state as Kafka's `ProducerSnapshot` version 1,
//! which `kafka-dump-log` reads.
//!
//! Pure: bytes to entries and back. Layout: version (2), CRC-32C of the rest (4), count (4), then 46 bytes a
//! producer, without room for more than its last batch.

use crate::log::producer_state::{BatchMetadata, ProducerEntry};
use crate::protocol::ids::{Offset, ProducerEpoch, ProducerId, Timestamp};

const VERSION: i16 = 1;
const CRC_POSITION: usize = 2;
/// Where the bytes begin that the CRC covers.
const ENTRIES_POSITION: usize = 6;
const HEADER_SIZE: usize = 10;
const ENTRY_SIZE: usize = 46;

/// Why a file is not a snapshot. An older one, or the log itself, must serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorruptSnapshot {
    /// The size is not what the count of producers makes it.
    BadSize,
    UnknownVersion(i16),
    BadCrc,
}

/// The file's bytes.
pub fn encode<'a>(entries: impl ExactSizeIterator<Item = &'a ProducerEntry>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_SIZE + entries.len() * ENTRY_SIZE);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        let last_batch = entry.last_batch();
        out.extend_from_slice(&entry.producer_id.0.to_be_bytes());
        out.extend_from_slice(&entry.epoch.0.to_be_bytes());
        out.extend_from_slice(&entry.last_sequence().to_be_bytes());
        out.extend_from_slice(&last_batch.map_or(-1, |batch| batch.last_offset.0).to_be_bytes());
        out.extend_from_slice(&last_batch.map_or(0, |batch| batch.offset_delta).to_be_bytes());
        out.extend_from_slice(&entry.last_timestamp.0.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.current_txn_first_offset.unwrap_or(Offset::NONE).0.to_be_bytes());
    }
    let crc = crc32c::crc32c(&out[ENTRIES_POSITION..]);
    out[CRC_POSITION..ENTRIES_POSITION].copy_from_slice(&crc.to_be_bytes());
    out
}

/// The producers of a snapshot file.
pub fn decode(bytes: &[u8]) -> Result<Vec<ProducerEntry>, CorruptSnapshot> {
    let (header, entries) = bytes.split_first_chunk::<HEADER_SIZE>().ok_or(CorruptSnapshot::BadSize)?;
    let version = i16::from_be_bytes([header[0], header[1]]);
    if version != VERSION {
        return Err(CorruptSnapshot::UnknownVersion(version));
    }
    let crc = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
    if crc != crc32c::crc32c(&bytes[ENTRIES_POSITION..]) {
        return Err(CorruptSnapshot::BadCrc);
    }
    let count = i32::from_be_bytes([header[6], header[7], header[8], header[9]]);
    if i64::from(count) * ENTRY_SIZE as i64 != entries.len() as i64 {
        return Err(CorruptSnapshot::BadSize);
    }
    Ok(entries.chunks_exact(ENTRY_SIZE).map(decode_entry).collect())
}

fn decode_entry(bytes: &[u8]) -> ProducerEntry {
    fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
        bytes[at..at + N].try_into().expect("an entry has its fixed size")
    }
    let timestamp = Timestamp(i64::from_be_bytes(field(bytes, 26)));
    let last_batch = BatchMetadata {
        last_sequence: i32::from_be_bytes(field(bytes, 10)),
        last_offset: Offset(i64::from_be_bytes(field(bytes, 14))),
        offset_delta: i32::from_be_bytes(field(bytes, 22)),
        timestamp,
    };
    let txn_first_offset = Offset(i64::from_be_bytes(field(bytes, 38)));
    ProducerEntry::restored(
        ProducerId(i64::from_be_bytes(field(bytes, 0))),
        ProducerEpoch(i16::from_be_bytes(field(bytes, 8))),
        i32::from_be_bytes(field(bytes, 34)),
        timestamp,
        (txn_first_offset >= Offset::ZERO).then_some(txn_first_offset),
        (last_batch.last_offset >= Offset::ZERO).then_some(last_batch),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<ProducerEntry> {
        let batch = BatchMetadata {
            last_sequence: 7,
            last_offset: Offset(99),
            offset_delta: 3,
            timestamp: Timestamp(1000),
        };
        let idempotent =
            ProducerEntry::restored(ProducerId(4), ProducerEpoch(0), -1, Timestamp(1000), None, Some(batch));
        let transactional = ProducerEntry::restored(
            ProducerId(5),
            ProducerEpoch(3),
            12,
            Timestamp(2000),
            Some(Offset(50)),
            None,
        );
        vec![idempotent, transactional]
    }

    #[test]
    fn entries_are_read_as_written() {
        let bytes = encode(entries().iter());
        assert_eq!(bytes.len(), HEADER_SIZE + 2 * ENTRY_SIZE);
        assert_eq!(decode(&bytes), Ok(entries()));
        assert_eq!(decode(&encode([].iter())), Ok(Vec::new()));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_noticed() {
        let bytes = encode(entries().iter());
        for position in 0..bytes.len() {
            assert!(decode(&bytes[..position]).is_err(), "cut at {position}");
            let mut flipped = bytes.clone();
            flipped[position] ^= 1;
            assert!(decode(&flipped).is_err(), "byte {position}");
        }
        assert!(decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn a_count_that_lies_allocates_nothing() {
        let mut bytes = encode([].iter());
        bytes[6..10].copy_from_slice(&i32::MAX.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[ENTRIES_POSITION..]);
        bytes[CRC_POSITION..ENTRIES_POSITION].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(decode(&bytes), Err(CorruptSnapshot::BadSize));
    }
}
