//! One message: `offset size crc magic attributes [timestamp] key value`, the timestamp in format 1 only
//! (`org.apache.kafka.common.record.LegacyRecord`).

use crate::protocol::batch::{Compression, LOG_OVERHEAD, TimestampType};
use crate::protocol::ids::{Offset, Timestamp};
use crate::protocol::message_set::Magic;

/// Where the range covered by the CRC begins, counted from the CRC.
const MAGIC_AT: usize = 4;
const ATTRIBUTES_AT: usize = 5;
/// Format 1 only.
const TIMESTAMP_AT: usize = 6;
/// Bytes from the CRC to the last of a message of format 0 without key and value.
const LEAST_SIZE: usize = 14;

/// A declared size below that of the smallest message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSmall;

/// A key or value that passes the end of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overrun;

/// One whole message, borrowed. Only its size has been checked.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    offset: Offset,
    /// From the CRC on; at least [`LEAST_SIZE`] bytes.
    body: &'a [u8],
}

/// The two things a client has put into a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// The message at the front and what follows it; `None` when the bytes end inside it.
    pub fn split_first(bytes: &'a [u8]) -> Result<Option<(Message<'a>, &'a [u8])>, TooSmall> {
        let Some((header, rest)) = bytes.split_first_chunk::<LOG_OVERHEAD>() else { return Ok(None) };
        let [offset @ .., a, b, c, d] = *header;
        let size = usize::try_from(i32::from_be_bytes([a, b, c, d])).map_err(|_| TooSmall)?;
        if size < LEAST_SIZE {
            return Err(TooSmall);
        }
        let Some((body, rest)) = rest.split_at_checked(size) else { return Ok(None) };
        Ok(Some((Message { offset: Offset(i64::from_be_bytes(offset)), body }, rest)))
    }

    /// From the CRC on.
    pub fn bytes(&self) -> &'a [u8] {
        self.body
    }

    /// Absolute, or relative to the other inner messages of a wrapper of format 1.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Whether the CRC-32 over magic to value matches.
    pub fn crc_matches(&self) -> bool {
        let (stored, covered) = self.body.split_at(MAGIC_AT);
        crc32fast::hash(covered).to_be_bytes() == stored
    }

    /// `None` is neither format.
    pub fn magic(&self) -> Option<Magic> {
        Magic::from_id(self.body[MAGIC_AT])
    }

    /// `None` when the id names no codec.
    pub fn compression(&self) -> Option<Compression> {
        Compression::from_id(self.body[ATTRIBUTES_AT] & 7)
    }

    /// Format 0 knows no other than CreateTime, whatever its attributes say.
    pub fn timestamp_type(&self) -> TimestampType {
        match self.magic() {
            Some(Magic::V1) if self.body[ATTRIBUTES_AT] & 8 != 0 => TimestampType::LogAppendTime,
            Some(Magic::V0 | Magic::V1) | None => TimestampType::CreateTime,
        }
    }

    /// [`Timestamp::NONE`] in format 0.
    pub fn timestamp(&self) -> Timestamp {
        match (self.magic(), self.body[TIMESTAMP_AT..].first_chunk()) {
            (Some(Magic::V1), Some(bytes)) => Timestamp(i64::from_be_bytes(*bytes)),
            (Some(Magic::V0 | Magic::V1) | None, _) => Timestamp::NONE,
        }
    }

    /// Any negative size is null. What follows the value belongs to nobody, but Kafka lets it be.
    pub fn contents(&self) -> Result<Contents<'a>, Overrun> {
        let start = match self.magic() {
            Some(Magic::V0) | None => TIMESTAMP_AT,
            Some(Magic::V1) => TIMESTAMP_AT + 8,
        };
        let mut rest = self.body.get(start..).ok_or(Overrun)?;
        let key = take_nullable_bytes(&mut rest)?;
        let value = take_nullable_bytes(&mut rest)?;
        Ok(Contents { key, value })
    }
}

fn take_nullable_bytes<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Overrun> {
    let (size, rest) = bytes.split_first_chunk::<4>().ok_or(Overrun)?;
    *bytes = rest;
    let Ok(size) = usize::try_from(i32::from_be_bytes(*size)) else { return Ok(None) };
    let (value, rest) = rest.split_at_checked(size).ok_or(Overrun)?;
    *bytes = rest;
    Ok(Some(value))
}

/// A message to be written.
#[derive(Clone, Copy)]
pub(super) struct NewMessage<'a> {
    pub magic: Magic,
    pub offset: Offset,
    /// Of the value, which is compressed already.
    pub compression: Compression,
    /// Left out in format 0, as is the timestamp.
    pub timestamp_type: TimestampType,
    pub timestamp: Timestamp,
    pub contents: Contents<'a>,
}

/// The size of key or value does not fit the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl NewMessage<'_> {
    /// Appends the message to a set; writes nothing when it is too large.
    pub fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLarge> {
        let overhead = match self.magic {
            Magic::V0 => LEAST_SIZE,
            Magic::V1 => LEAST_SIZE + 8,
        };
        let Contents { key, value } = self.contents;
        let size = overhead + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let size = i32::try_from(size).map_err(|_| TooLarge)?;
        out.extend_from_slice(&self.offset.0.to_be_bytes());
        out.extend_from_slice(&size.to_be_bytes());
        let crc_at = out.len();
        out.extend_from_slice(&[0; MAGIC_AT]);
        out.extend_from_slice(&[self.magic.id(), self.attributes()]);
        match self.magic {
            Magic::V0 => {}
            Magic::V1 => out.extend_from_slice(&self.timestamp.0.to_be_bytes()),
        }
        put_nullable_bytes(out, key);
        put_nullable_bytes(out, value);
        let crc = crc32fast::hash(&out[crc_at + MAGIC_AT..]);
        out[crc_at..crc_at + MAGIC_AT].copy_from_slice(&crc.to_be_bytes());
        Ok(())
    }

    fn attributes(&self) -> u8 {
        let timestamp_type = match (self.magic, self.timestamp_type) {
            (Magic::V1, TimestampType::LogAppendTime) => 8,
            (Magic::V1, TimestampType::CreateTime) | (Magic::V0, _) => 0,
        };
        self.compression.id() | timestamp_type
    }
}

/// The size must have been checked to be below 2 GiB.
fn put_nullable_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else { return out.extend_from_slice(&(-1_i32).to_be_bytes()) };
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}
