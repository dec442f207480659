//! Format 2 to formats 0 and 1: what the log holds, for a consumer that knows no batches
//! (`org.apache.kafka.common.record.RecordsUtil.downConvert`).
//!
//! Headers are dropped, and so are control batches, which mean nothing to such a consumer. A compressed batch
//! becomes one wrapper of the same codec, an uncompressed one a message for each record.

use crate::protocol::batch::{Batch, BatchError, Compression, TimestampType};
use crate::protocol::compression;
use crate::protocol::ids::{Offset, Timestamp};
use crate::protocol::message_set::message::{Contents, NewMessage, TooLarge};
use crate::protocol::message_set::{Magic, wrapper};
use crate::protocol::records::RecordIter;

/// Messages converted down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downgraded {
    /// Whole messages.
    pub messages: Vec<u8>,
    /// Of the batches that were converted or skipped.
    pub source_size_bytes: usize,
    /// Behind the last of those batches; where the caller began when there are none.
    pub next_offset: Offset,
}

/// Why the first batch that is not skipped cannot be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DowngradeError {
    /// zstd came with format 2 (KIP-110): UNSUPPORTED_COMPRESSION_TYPE.
    UnsupportedCompression,
    /// The log holds something else than batches of format 2, or a batch decompresses beyond reason.
    Corrupt,
}

/// Batches of format 2 as messages of an older format. Control batches, and batches that compaction has
/// emptied, are skipped. Records below `from` are left out where a batch is not compressed, because some
/// versions of librdkafka cannot skip them.
///
/// Stops before the messages pass `limit` bytes, but converts at least one batch that has messages. Stops also
/// before a batch that cannot be converted: only where there is no message to answer with is it an error. A
/// batch that is cut at the end is left alone.
pub fn downgrade(
    batches: &[u8],
    to: Magic,
    from: Offset,
    limit: usize,
) -> Result<Downgraded, DowngradeError> {
    downgrade_within(batches, to, from, limit, most_decompressed_bytes)
}

/// The records of one compressed batch, when they are uncompressed. Of a topic with the default
/// `max.message.bytes`, this is never below what its batches are held to when they are produced.
fn most_decompressed_bytes(batch: Batch<'_>) -> usize {
    (80 << 20) + batch.size().saturating_mul(16).min(1 << 30)
}

/// [`downgrade`] with a bound on what may be decompressed.
pub(super) fn downgrade_within(
    batches: &[u8],
    to: Magic,
    from: Offset,
    limit: usize,
    most_decompressed_bytes: fn(Batch<'_>) -> usize,
) -> Result<Downgraded, DowngradeError> {
    let mut converted = Downgraded { messages: Vec::new(), source_size_bytes: 0, next_offset: from };
    let mut rest = batches;
    while !rest.is_empty() {
        let size_before = converted.messages.len();
        let batch = match Batch::split_first(rest) {
            Ok((batch, behind)) => {
                rest = behind;
                batch
            }
            Err(BatchError::Truncated) => break,
            Err(
                BatchError::BadLength | BatchError::BadMagic(_) | BatchError::BadCrc | BatchError::BadCount,
            ) => {
                if size_before > 0 {
                    break;
                }
                return Err(DowngradeError::Corrupt);
            }
        };
        let most_bytes = most_decompressed_bytes(batch);
        let result = put_batch(batch, to, from, most_bytes, &mut converted.messages);
        if size_before > 0 && (result.is_err() || converted.messages.len() > limit) {
            converted.messages.truncate(size_before);
            break;
        }
        result?;
        converted.source_size_bytes += batch.size();
        converted.next_offset = batch.next_offset();
    }
    Ok(converted)
}

/// Appends what a batch is in the older format: nothing, messages or a wrapper.
fn put_batch(
    batch: Batch<'_>,
    to: Magic,
    from: Offset,
    most_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), DowngradeError> {
    if batch.is_control() {
        return Ok(());
    }
    match batch.compression() {
        Some(Compression::None) => {
            put_records(batch, batch.records(), (to, Numbering::Absolute), from, out)?;
            Ok(())
        }
        Some(codec @ (Compression::Gzip | Compression::Snappy | Compression::Lz4)) => {
            put_wrapper(batch, codec, to, most_bytes, out)
        }
        Some(Compression::Zstd) => Err(DowngradeError::UnsupportedCompression),
        None => Err(DowngradeError::Corrupt),
    }
}

/// All records, also those that the consumer has already: it gets a wrapper whole and skips them.
fn put_wrapper(
    batch: Batch<'_>,
    codec: Compression,
    to: Magic,
    most_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), DowngradeError> {
    let records = compression::decompress(codec, batch.records(), most_bytes);
    let records = records.map_err(|_| DowngradeError::Corrupt)?;
    let numbering = match to {
        Magic::V0 => Numbering::Absolute,
        Magic::V1 => Numbering::Relative,
    };
    let mut inner = Vec::new();
    let Some(written) = put_records(batch, &records, (to, numbering), Offset(i64::MIN), &mut inner)? else {
        return Ok(());
    };
    drop(records);
    let wrapper = NewMessage {
        magic: to,
        offset: written.last,
        compression: codec,
        timestamp_type: batch.timestamp_type(),
        timestamp: written.max_timestamp,
        contents: Contents { key: None, value: None },
    };
    wrapper::put(wrapper, &inner, out).map_err(|TooLarge| DowngradeError::Corrupt)
}

/// What the offsets of messages count from.
#[derive(Clone, Copy)]
enum Numbering {
    Absolute,
    /// From the first record that is left (KIP-31).
    Relative,
}

/// The messages that a batch has given.
#[derive(Clone, Copy)]
struct Written {
    first: Offset,
    last: Offset,
    max_timestamp: Timestamp,
}

/// Appends a message for each record at or above `from`; `None` when there is none. `records` is uncompressed.
fn put_records(
    batch: Batch<'_>,
    records: &[u8],
    (to, numbering): (Magic, Numbering),
    from: Offset,
    out: &mut Vec<u8>,
) -> Result<Option<Written>, DowngradeError> {
    let log_append_time = match batch.timestamp_type() {
        TimestampType::LogAppendTime => Some(batch.max_timestamp()),
        TimestampType::CreateTime => None,
    };
    let mut written: Option<Written> = None;
    for record in RecordIter::new(records, batch.record_count()) {
        let record = record.map_err(|_| DowngradeError::Corrupt)?;
        let offset = Offset(batch.base_offset().0.wrapping_add(i64::from(record.offset_delta)));
        if offset < from {
            continue;
        }
        if written.is_some_and(|written| offset <= written.last) {
            return Err(DowngradeError::Corrupt);
        }
        let timestamp = log_append_time
            .unwrap_or(Timestamp(batch.first_timestamp().0.wrapping_add(record.timestamp_delta)));
        let first = written.map_or(offset, |written| written.first);
        let message = NewMessage {
            magic: to,
            offset: match numbering {
                Numbering::Absolute => offset,
                Numbering::Relative => Offset(offset.0.wrapping_sub(first.0)),
            },
            compression: Compression::None,
            timestamp_type: batch.timestamp_type(),
            timestamp,
            contents: Contents { key: record.key, value: record.value },
        };
        message.put(out).map_err(|TooLarge| DowngradeError::Corrupt)?;
        let newest = written.map_or(Timestamp::NONE, |written| written.max_timestamp).max(timestamp);
        written = Some(Written { first, last: offset, max_timestamp: newest });
    }
    Ok(written)
}
