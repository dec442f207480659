//! Format 2 to formats 0 and 1: what the log holds, for a consumer that knows no batches
//! (`org.apache.kafka.common.record.RecordsUtil.downConvert`).
//!
//! Headers are dropped, and so are control batches, which mean nothing to such a consumer. A compressed batch
//! becomes one wrapper of the same codec, an uncompressed one a message for each record.

use crate::protocol::batch::{Batch, BatchError, Compression, TimestampType};
use crate::protocol::compression::{self, DecompressError};
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
    /// What a batch holds is larger, uncompressed or as messages, than is reasonable.
    TooLarge,
    /// The log holds something else than batches of format 2, or bits of a batch have changed.
    Corrupt,
}

/// Where batches begin that a consumer may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Of the batches at the front that hold nothing to see.
    pub size_bytes: usize,
    /// Behind them; where the caller began when there are none.
    pub next_offset: Offset,
}

/// Looks behind control batches, and batches that compaction has emptied, at the front of whole batches. Stops before
/// what [`downgrade`] would convert or refuse.
pub fn skip_unseen(batches: &[u8], from: Offset) -> Skipped {
    let mut skipped = Skipped { size_bytes: 0, next_offset: from };
    while let Ok((batch, _)) = Batch::split_first(&batches[skipped.size_bytes..]) {
        let is_unseen = batch.is_control() || batch.record_count() == 0;
        if !is_unseen || !batch.crc_matches() {
            break;
        }
        skipped.size_bytes += batch.size();
        skipped.next_offset = batch.next_offset().max(skipped.next_offset);
    }
    skipped
}

/// Batches of format 2 as messages of an older format. Control batches, and batches that compaction has
/// emptied, are skipped. Records below `from` are left out where a batch is not compressed, because some
/// versions of librdkafka cannot skip them.
///
/// Stops before the messages pass `limit` bytes, but converts at least one batch that has messages. Stops also
/// before a batch that cannot be converted: only where there is no message to answer with is it an error. A
/// batch that is cut at the end is left alone.
///
/// `goes_on` is told what each batch took, in bytes uncompressed, and says whether another may follow.
pub fn downgrade(
    batches: &[u8],
    to: Magic,
    from: Offset,
    limit: usize,
    goes_on: &mut dyn FnMut(usize) -> bool,
) -> Result<Downgraded, DowngradeError> {
    downgrade_within(batches, to, from, limit, most_unpacked_bytes, goes_on)
}

/// The records of one batch, uncompressed, and the messages made of them: each at most as much. Of a topic with the
/// default `max.message.bytes`, this is not below what its compressed batches are held to when they are produced.
fn most_unpacked_bytes(batch: Batch<'_>) -> usize {
    (128 << 20) + batch.size()
}

/// [`downgrade`] with a bound on what a batch may come to.
pub(super) fn downgrade_within(
    batches: &[u8],
    to: Magic,
    from: Offset,
    limit: usize,
    most_unpacked_bytes: fn(Batch<'_>) -> usize,
    goes_on: &mut dyn FnMut(usize) -> bool,
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
        let most_bytes = most_unpacked_bytes(batch);
        let result = put_batch(batch, to, from, most_bytes, &mut converted.messages);
        let unpacked_bytes = result.unwrap_or_else(|error| match error {
            DowngradeError::UnsupportedCompression => batch.size(),
            DowngradeError::TooLarge | DowngradeError::Corrupt => most_bytes,
        });
        if size_before > 0 && (result.is_err() || converted.messages.len() > limit) {
            converted.messages.truncate(size_before);
            goes_on(unpacked_bytes);
            break;
        }
        let another_may_follow = goes_on(unpacked_bytes);
        result?;
        converted.source_size_bytes += batch.size();
        converted.next_offset = batch.next_offset();
        if !another_may_follow {
            break;
        }
    }
    Ok(converted)
}

/// Appends what a batch is in the older format: nothing, messages or a wrapper. Gives the bytes that were worked on.
fn put_batch(
    batch: Batch<'_>,
    to: Magic,
    from: Offset,
    most_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<usize, DowngradeError> {
    // Each message gets a CRC of its own, under which a bit that has changed would look right.
    if !batch.crc_matches() {
        return Err(DowngradeError::Corrupt);
    }
    if batch.is_control() {
        return Ok(batch.size());
    }
    match batch.compression() {
        Some(Compression::None) => {
            let size_before = out.len();
            let bounds = Bounds { from, most_bytes };
            put_records(batch, batch.records(), (to, Numbering::Absolute), bounds, out)?;
            Ok(batch.size().max(out.len() - size_before))
        }
        Some(codec @ (Compression::Gzip | Compression::Snappy | Compression::Lz4)) => {
            put_wrapper(batch, codec, to, Bounds { from, most_bytes }, out)
        }
        Some(Compression::Zstd) => Err(DowngradeError::UnsupportedCompression),
        None => Err(DowngradeError::Corrupt),
    }
}

/// All records, also those that the consumer has already: it gets a wrapper whole and skips them. Nothing, when
/// compaction has left it no other.
fn put_wrapper(
    batch: Batch<'_>,
    codec: Compression,
    to: Magic,
    bounds: Bounds,
    out: &mut Vec<u8>,
) -> Result<usize, DowngradeError> {
    let records = compression::decompress(codec, batch.records(), bounds.most_bytes);
    let records = records.map_err(|error| match error {
        DecompressError::TooLarge { .. } => DowngradeError::TooLarge,
        DecompressError::Corrupt(_) => DowngradeError::Corrupt,
    })?;
    let numbering = match to {
        Magic::V0 => Numbering::Absolute,
        Magic::V1 => Numbering::Relative,
    };
    let mut inner = Vec::new();
    let all = Bounds { from: Offset(i64::MIN), ..bounds };
    let written = put_records(batch, &records, (to, numbering), all, &mut inner)?;
    let unpacked_bytes = records.len().max(inner.len());
    drop(records);
    let Some(written) = written.filter(|written| written.last >= bounds.from) else {
        return Ok(unpacked_bytes);
    };
    let wrapper = NewMessage {
        magic: to,
        offset: written.last,
        compression: codec,
        timestamp_type: batch.timestamp_type(),
        timestamp: written.max_timestamp,
        contents: Contents { key: None, value: None },
    };
    wrapper::put(wrapper, &inner, out).map_err(|TooLarge| DowngradeError::TooLarge)?;
    Ok(unpacked_bytes)
}

/// What is written of a batch.
#[derive(Clone, Copy)]
struct Bounds {
    /// No record below.
    from: Offset,
    /// Of records, uncompressed, and of messages.
    most_bytes: usize,
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

/// Appends a message for each record at or above `bounds.from`; `None` when there is none. `records` is uncompressed.
///
/// The header has been vouched for, what is compressed has not. A batch that has lost no record counts its records
/// itself; in any other their offsets must grow, up to the last one of the header.
fn put_records(
    batch: Batch<'_>,
    records: &[u8],
    (to, numbering): (Magic, Numbering),
    bounds: Bounds,
    out: &mut Vec<u8>,
) -> Result<Option<Written>, DowngradeError> {
    let size_before = out.len();
    let last_delta = i64::from(batch.last_offset_delta());
    let is_whole = last_delta + 1 == i64::from(batch.record_count());
    let mut least_delta = 0_i64;
    let log_append_time = match batch.timestamp_type() {
        TimestampType::LogAppendTime => Some(batch.max_timestamp()),
        TimestampType::CreateTime => None,
    };
    let mut written: Option<Written> = None;
    for record in RecordIter::new(records, batch.record_count()) {
        let record = record.map_err(|_| DowngradeError::Corrupt)?;
        let delta = if is_whole { least_delta } else { i64::from(record.offset_delta) };
        if delta < least_delta || delta > last_delta {
            return Err(DowngradeError::Corrupt);
        }
        least_delta = delta + 1;
        let offset = Offset(batch.base_offset().0.saturating_add(delta));
        if offset < bounds.from {
            continue;
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
        message.put(out).map_err(|TooLarge| DowngradeError::TooLarge)?;
        if out.len() - size_before > bounds.most_bytes {
            return Err(DowngradeError::TooLarge);
        }
        let newest = written.map_or(Timestamp::NONE, |written| written.max_timestamp).max(timestamp);
        written = Some(Written { first, last: offset, max_timestamp: newest });
    }
    Ok(written)
}
