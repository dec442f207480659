//! The records inside a batch of format 2, uncompressed: read without allocation, and written.
//!
//! A record is `length attributes timestampDelta offsetDelta key value headers`, all numbers zigzag varints
//! (`org.apache.kafka.common.record.DefaultRecord`). Reading accepts what Kafka accepts: a length must be met
//! exactly, the count of a batch must be met exactly, any negative key or value length is null.

use crate::protocol::batch::{Batch, Compression, HEADER_SIZE, TimestampType};
use crate::protocol::compression::{self, Level};
use crate::protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

mod stream;

pub use stream::RecordStream;

/// Why bytes are not the records that a batch declares. Kafka answers INVALID_RECORD to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The bytes end inside a record, or before the declared count of records.
    Truncated,
    /// A varint has more bytes than its type allows.
    BadVarint,
    /// A record's fields do not fill its declared length exactly.
    BadLength,
    /// A count of headers is negative or larger than the record, or a header has no key.
    BadHeaders,
    /// Bytes follow the last declared record.
    TrailingBytes,
    /// A record of a compressed batch, or all of them together, are larger than is allowed.
    TooLarge,
    /// The bytes are not of the batch's codec.
    BadCompression,
}

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// A record without its contents: what most rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordShape {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    /// -1 is null.
    pub key_size: i64,
    /// -1 is null.
    pub value_size: i64,
}

impl Record<'_> {
    #[inline]
    pub fn shape(&self) -> RecordShape {
        let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
        RecordShape {
            timestamp_delta: self.timestamp_delta,
            offset_delta: self.offset_delta,
            key_size: size(self.key),
            value_size: size(self.value),
        }
    }
}

/// Headers of a record that has been read, in order, duplicates included.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    count: i32,
    bytes: &'a [u8],
}

impl Headers<'_> {
    /// How many are left.
    pub fn count(&self) -> i32 {
        self.count
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        let (key, value) = read_header(&mut self.bytes).expect("the headers were checked with their record");
        Some((key, value))
    }
}

fn read_header<'a>(bytes: &mut &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), RecordError> {
    let key = read_nullable_bytes(bytes)?.ok_or(RecordError::BadHeaders)?;
    Ok((key, read_nullable_bytes(bytes)?))
}

/// The records of a batch in order. Ends after an error, and after the declared count; what the count does
/// not cover is [`RecordError::TrailingBytes`].
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    bytes: &'a [u8],
    left: i32,
    failed: bool,
}

impl<'a> RecordIter<'a> {
    /// `records` is uncompressed; `count` is the batch's record count.
    pub fn new(records: &'a [u8], count: i32) -> RecordIter<'a> {
        RecordIter { bytes: records, left: count.max(0), failed: false }
    }

    /// The records of a batch that is not compressed.
    pub fn of(batch: Batch<'a>) -> RecordIter<'a> {
        debug_assert_eq!(batch.compression(), Some(Compression::None));
        RecordIter::new(batch.records(), batch.record_count())
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if self.left == 0 {
            if self.bytes.is_empty() {
                return None;
            }
            self.failed = true;
            return Some(Err(RecordError::TrailingBytes));
        }
        self.left -= 1;
        let record = read_record(&mut self.bytes);
        self.failed = record.is_err();
        Some(record)
    }
}

fn read_record<'a>(bytes: &mut &'a [u8]) -> Result<Record<'a>, RecordError> {
    let length = read_varint(bytes)?;
    let length = usize::try_from(length).map_err(|_| RecordError::BadLength)?;
    let (mut body, rest) = bytes.split_at_checked(length).ok_or(RecordError::Truncated)?;
    *bytes = rest;
    // A field that passes the end of its record contradicts the record's length, not the batch's.
    read_body(&mut body).map_err(|error| match error {
        RecordError::Truncated => RecordError::BadLength,
        other => other,
    })
}

fn read_body<'a>(body: &mut &'a [u8]) -> Result<Record<'a>, RecordError> {
    // Record attributes have no meaning yet; Kafka ignores them too.
    let (_attributes, rest) = body.split_first().ok_or(RecordError::Truncated)?;
    *body = rest;
    let timestamp_delta = read_varlong(body)?;
    let offset_delta = read_varint(body)?;
    let key = read_nullable_bytes(body)?;
    let value = read_nullable_bytes(body)?;
    let count = read_varint(body)?;
    if count < 0 || count as usize > body.len() {
        return Err(RecordError::BadHeaders);
    }
    let headers = Headers { count, bytes: body };
    for _ in 0..count {
        read_header(body)?;
    }
    if !body.is_empty() {
        return Err(RecordError::BadLength);
    }
    Ok(Record { timestamp_delta, offset_delta, key, value, headers })
}

#[inline]
fn read_nullable_bytes<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordError> {
    let Ok(size) = usize::try_from(read_varint(bytes)?) else { return Ok(None) };
    let (value, rest) = bytes.split_at_checked(size).ok_or(RecordError::Truncated)?;
    *bytes = rest;
    Ok(Some(value))
}

/// A zigzag varint of 32 bits.
#[inline]
pub fn read_varint(bytes: &mut &[u8]) -> Result<i32, RecordError> {
    let value = read_raw_varint(bytes, 5)? as u32;
    Ok((value >> 1) as i32 ^ -((value & 1) as i32))
}

/// A zigzag varint of 64 bits.
#[inline]
pub fn read_varlong(bytes: &mut &[u8]) -> Result<i64, RecordError> {
    let value = read_raw_varint(bytes, 10)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[inline]
fn read_raw_varint(bytes: &mut &[u8], most_bytes: u32) -> Result<u64, RecordError> {
    if let Some((&first, rest)) = bytes.split_first()
        && first < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(first));
    }
    let mut value = 0u64;
    for index in 0..most_bytes {
        let (&byte, rest) = bytes.split_first().ok_or(RecordError::Truncated)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(RecordError::BadVarint)
}

/// Writes a zigzag varint; a 32-bit value has the same bytes as a 64-bit one.
pub fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that [`put_varint`] writes.
pub fn varint_size(value: i64) -> usize {
    let value = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// What stands in the header of a batch to be written, besides what its records decide.
#[derive(Clone, Debug)]
pub struct BatchHeader {
    pub base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub compression: Compression,
    pub level: Level,
    pub timestamp_type: TimestampType,
    pub transactional: bool,
    pub control: bool,
    /// KIP-534: takes the place of the first timestamp.
    pub delete_horizon: Option<Timestamp>,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
}

impl Default for BatchHeader {
    fn default() -> BatchHeader {
        BatchHeader {
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            compression: Compression::None,
            level: Level::DEFAULT,
            timestamp_type: TimestampType::CreateTime,
            transactional: false,
            control: false,
            delete_horizon: None,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch(-1),
            base_sequence: -1,
        }
    }
}

impl BatchHeader {
    /// The header of a batch that is to be written anew: codec, level and delete horizon are the caller's.
    pub fn of(batch: Batch<'_>) -> BatchHeader {
        BatchHeader {
            base_offset: batch.base_offset(),
            leader_epoch: batch.leader_epoch(),
            timestamp_type: batch.timestamp_type(),
            transactional: batch.is_transactional(),
            control: batch.is_control(),
            producer_id: batch.producer_id(),
            producer_epoch: batch.producer_epoch(),
            base_sequence: batch.base_sequence(),
            ..BatchHeader::default()
        }
    }

    fn attributes(&self) -> i16 {
        let flag = |set: bool, bit: i16| if set { bit } else { 0 };
        i16::from(self.compression.id())
            | flag(self.timestamp_type == TimestampType::LogAppendTime, 8)
            | flag(self.transactional, 16)
            | flag(self.control, 32)
            | flag(self.delete_horizon.is_some(), 64)
    }
}

/// What a record has besides its key, value and headers: attributes, deltas, sizes and a count.
const MOST_NUMBERS_SIZE: usize = 1 + 10 + 4 * 5;

/// A record to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    pub timestamp: Timestamp,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

/// Encodes one batch. The first record's timestamp is the base of the others.
pub struct BatchBuilder {
    header: BatchHeader,
    records: Vec<u8>,
    body: Vec<u8>,
    count: i32,
    base_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    last_offset_delta: i32,
}

impl BatchBuilder {
    pub fn new(header: BatchHeader) -> BatchBuilder {
        let base_timestamp = header.delete_horizon;
        BatchBuilder {
            header,
            records: Vec::new(),
            body: Vec::new(),
            count: 0,
            base_timestamp,
            max_timestamp: Timestamp::NONE,
            last_offset_delta: -1,
        }
    }

    pub fn record_count(&self) -> i32 {
        self.count
    }

    /// Size of the batch if it were built uncompressed.
    pub fn uncompressed_size_bytes(&self) -> usize {
        HEADER_SIZE + self.records.len()
    }

    /// Appends a record at the next offset.
    pub fn push(&mut self, record: &NewRecord<'_>) {
        let offset_delta = self.last_offset_delta + 1;
        self.begin(offset_delta, record.timestamp, record.key, record.value);
        put_varint(&mut self.body, record.headers.len() as i64);
        for (key, value) in record.headers {
            put_nullable_bytes(&mut self.body, Some(key));
            put_nullable_bytes(&mut self.body, *value);
        }
        self.finish();
    }

    /// Appends a record read from another batch at `offset_delta`, which must be above those before.
    pub fn push_record(&mut self, offset_delta: i32, timestamp: Timestamp, record: &Record<'_>) {
        assert!(offset_delta > self.last_offset_delta, "offsets inside a batch grow");
        self.begin(offset_delta, timestamp, record.key, record.value);
        put_varint(&mut self.body, i64::from(record.headers.count));
        self.body.extend_from_slice(record.headers.bytes);
        self.finish();
    }

    fn begin(&mut self, offset_delta: i32, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>) {
        let base = *self.base_timestamp.get_or_insert(timestamp);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset_delta = offset_delta;
        self.count += 1;
        self.body.clear();
        let content_size = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        self.body.reserve(MOST_NUMBERS_SIZE + content_size);
        self.body.push(0);
        put_varint(&mut self.body, timestamp.0.wrapping_sub(base.0));
        put_varint(&mut self.body, i64::from(offset_delta));
        put_nullable_bytes(&mut self.body, key);
        put_nullable_bytes(&mut self.body, value);
    }

    fn finish(&mut self) {
        self.records.reserve(MOST_NUMBERS_SIZE + self.body.len());
        put_varint(&mut self.records, self.body.len() as i64);
        self.records.extend_from_slice(&self.body);
    }

    /// Compaction keeps the batch's last offset when its last record goes. Never below the last record's.
    pub fn set_last_offset_delta(&mut self, last_offset_delta: i32) {
        assert!(last_offset_delta >= self.last_offset_delta, "no record lies beyond the last offset");
        self.last_offset_delta = last_offset_delta;
    }

    /// Compaction keeps the batch's max timestamp with LogAppendTime; otherwise the records decide.
    pub fn set_max_timestamp(&mut self, max_timestamp: Timestamp) {
        self.max_timestamp = max_timestamp;
    }

    /// The batch with its CRC.
    pub fn build(self) -> Vec<u8> {
        let header = &self.header;
        let compressed;
        let records = match header.compression {
            Compression::None => &self.records,
            codec @ (Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd) => {
                compressed = compression::compress(codec, header.level, &self.records);
                &compressed
            }
        };
        let size = HEADER_SIZE + records.len();
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(&header.base_offset.0.to_be_bytes());
        let length = i32::try_from(size - 12).expect("a batch is shorter than 2 GiB");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&header.leader_epoch.0.to_be_bytes());
        out.push(2);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&header.attributes().to_be_bytes());
        out.extend_from_slice(&self.last_offset_delta.to_be_bytes());
        out.extend_from_slice(&self.base_timestamp.unwrap_or(Timestamp::NONE).0.to_be_bytes());
        out.extend_from_slice(&self.max_timestamp.0.to_be_bytes());
        out.extend_from_slice(&header.producer_id.0.to_be_bytes());
        out.extend_from_slice(&header.producer_epoch.0.to_be_bytes());
        out.extend_from_slice(&header.base_sequence.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(records);
        let crc = crc32c::crc32c(&out[21..]);
        out[17..21].copy_from_slice(&crc.to_be_bytes());
        out
    }
}

fn put_nullable_bytes(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else { return put_varint(out, -1) };
    put_varint(out, value.len() as i64);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests;
