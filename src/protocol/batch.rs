//! A record batch (format 2, KIP-98) seen over bytes that somebody else owns.
//!
//! Reading never allocates and never trusts a length it has not compared with the bytes at hand. Batches
//! stay opaque: only `baseOffset` and `partitionLeaderEpoch`, which the CRC does not cover, are patched in
//! place; whatever changes more must recompute the CRC with [`BatchMut::seal`].
//!
//! Layout: `org.apache.kafka.common.record.DefaultRecordBatch`.

use crate::protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// Bytes up to and with the record count; a batch is never shorter.
pub const HEADER_SIZE: usize = 61;
/// Bytes of `baseOffset` and `batchLength`, which every format of log entry begins with.
pub const LOG_OVERHEAD: usize = 12;
/// Where the range covered by the CRC begins.
const CRC_START: usize = 21;

/// Codec of a batch's records, bits 0-2 of the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    /// From the id on the wire; `None` for 5, 6 and 7.
    pub fn from_id(id: u8) -> Option<Compression> {
        match id {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The id on the wire.
    pub fn id(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }
}

/// Whose clock a record's timestamp comes from, bit 3 of the attributes (KIP-32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// Why bytes are not a batch of format 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// Fewer bytes than the header or the declared length: a torn tail, when it is the last of a log.
    Truncated,
    /// A declared length below the header's size.
    BadLength,
    /// Format 0 or 1, or one that does not exist.
    BadMagic(u8),
    /// The CRC-32C does not match.
    BadCrc,
    /// `lastOffsetDelta` and `recordCount` cannot both be true, or one of them is negative.
    BadCount,
}

/// One whole batch, borrowed. Its bytes are exactly `baseOffset` to the last record.
#[derive(Clone, Copy)]
pub struct Batch<'a>(&'a [u8]);

fn read<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has the array's length")
}

impl<'a> Batch<'a> {
    /// The batch that begins at the first byte of `bytes`, and what follows it. Checks that it is whole and
    /// of format 2, not its CRC.
    pub fn split_first(bytes: &'a [u8]) -> Result<(Batch<'a>, &'a [u8]), BatchError> {
        if bytes.len() < LOG_OVERHEAD + 5 {
            return Err(BatchError::Truncated);
        }
        let length = i32::from_be_bytes(read(bytes, 8));
        // Formats 0 and 1 keep their magic at the same place, and may be shorter than our header.
        let magic = bytes[16];
        if magic != 2 {
            return Err(BatchError::BadMagic(magic));
        }
        if length < (HEADER_SIZE - LOG_OVERHEAD) as i32 {
            return Err(BatchError::BadLength);
        }
        let size = LOG_OVERHEAD + length as usize;
        if bytes.len() < size {
            return Err(BatchError::Truncated);
        }
        let (batch, rest) = bytes.split_at(size);
        Ok((Batch(batch), rest))
    }

    /// All bytes of the batch.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Size on the wire and on disk in bytes, header included.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    pub fn base_offset(&self) -> Offset {
        Offset(i64::from_be_bytes(read(self.0, 0)))
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(i32::from_be_bytes(read(self.0, 12)))
    }

    pub fn stored_crc(&self) -> u32 {
        u32::from_be_bytes(read(self.0, 17))
    }

    /// Whether the CRC-32C over attributes to last record matches.
    pub fn crc_matches(&self) -> bool {
        crc32c::crc32c(&self.0[CRC_START..]) == self.stored_crc()
    }

    pub fn attributes(&self) -> i16 {
        i16::from_be_bytes(read(self.0, 21))
    }

    /// `None` when the id names no codec.
    pub fn compression(&self) -> Option<Compression> {
        Compression::from_id((self.attributes() & 7) as u8)
    }

    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes() & 8 != 0 { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes() & 16 != 0
    }

    /// A transaction marker or a leader change, not client data.
    pub fn is_control(&self) -> bool {
        self.attributes() & 32 != 0
    }

    /// Set by compaction: `first_timestamp` is then the delete horizon (KIP-534).
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes() & 64 != 0
    }

    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(read(self.0, 23))
    }

    /// Offset of the last record, also when compaction has removed it. The CRC does not cover the base offset,
    /// so it may lie; an end beyond 2^63-1 stays there.
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset().0.saturating_add(i64::from(self.last_offset_delta())))
    }

    /// One above [`Batch::last_offset`], or 2^63-1.
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    pub fn first_timestamp(&self) -> Timestamp {
        Timestamp(i64::from_be_bytes(read(self.0, 27)))
    }

    pub fn max_timestamp(&self) -> Timestamp {
        Timestamp(i64::from_be_bytes(read(self.0, 35)))
    }

    pub fn producer_id(&self) -> ProducerId {
        ProducerId(i64::from_be_bytes(read(self.0, 43)))
    }

    pub fn producer_epoch(&self) -> ProducerEpoch {
        ProducerEpoch(i16::from_be_bytes(read(self.0, 51)))
    }

    /// Sequence of the first record, -1 without idempotence.
    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(read(self.0, 53))
    }

    /// Sequence of the last record; wraps from 2^31-1 to 0.
    pub fn last_sequence(&self) -> i32 {
        add_sequence(self.base_sequence(), self.last_offset_delta())
    }

    pub fn record_count(&self) -> i32 {
        i32::from_be_bytes(read(self.0, 57))
    }

    /// The records, compressed as the attributes say.
    pub fn records(&self) -> &'a [u8] {
        &self.0[HEADER_SIZE..]
    }
}

/// `sequence` moved on by `count`; 0 follows 2^31-1 (`DefaultRecordBatch.incrementSequence`).
pub fn add_sequence(sequence: i32, count: i32) -> i32 {
    if sequence < 0 { sequence } else { ((i64::from(sequence) + i64::from(count)) & 0x7fff_ffff) as i32 }
}

/// One whole batch that may be patched in place.
pub struct BatchMut<'a>(&'a mut [u8]);

impl<'a> BatchMut<'a> {
    /// As [`Batch::split_first`].
    pub fn split_first(bytes: &'a mut [u8]) -> Result<(BatchMut<'a>, &'a mut [u8]), BatchError> {
        let size = Batch::split_first(bytes)?.0.size();
        let (batch, rest) = bytes.split_at_mut(size);
        Ok((BatchMut(batch), rest))
    }

    pub fn as_batch(&self) -> Batch<'_> {
        Batch(self.0)
    }

    /// Outside the CRC.
    pub fn set_base_offset(&mut self, offset: Offset) {
        self.0[0..8].copy_from_slice(&offset.0.to_be_bytes());
    }

    /// Outside the CRC.
    pub fn set_leader_epoch(&mut self, epoch: LeaderEpoch) {
        self.0[12..16].copy_from_slice(&epoch.0.to_be_bytes());
    }

    /// KIP-32: the broker's time replaces the producer's. Breaks the CRC until [`BatchMut::seal`].
    pub fn set_log_append_time(&mut self, now: Timestamp) {
        let attributes = self.as_batch().attributes() | 8;
        self.0[21..23].copy_from_slice(&attributes.to_be_bytes());
        self.0[35..43].copy_from_slice(&now.0.to_be_bytes());
    }

    /// KIP-32: the times of the records count, the newest of which is `max_timestamp`. Breaks the CRC until
    /// [`BatchMut::seal`].
    pub fn set_create_time(&mut self, max_timestamp: Timestamp) {
        let attributes = self.as_batch().attributes() & !8;
        self.0[21..23].copy_from_slice(&attributes.to_be_bytes());
        self.0[35..43].copy_from_slice(&max_timestamp.0.to_be_bytes());
    }

    /// Breaks the CRC until [`BatchMut::seal`].
    pub fn set_max_timestamp(&mut self, timestamp: Timestamp) {
        self.0[35..43].copy_from_slice(&timestamp.0.to_be_bytes());
    }

    /// Writes the CRC of the batch as it stands.
    pub fn seal(&mut self) {
        let crc = crc32c::crc32c(&self.0[CRC_START..]);
        self.0[17..21].copy_from_slice(&crc.to_be_bytes());
    }
}
