//! A wrapper message: inner messages compressed together (`AbstractLegacyRecordBatch.DeepRecordsIterator`).
//!
//! In format 0 inner messages have absolute offsets; in format 1 offsets relative to the first, and the
//! wrapper has the absolute offset of the last. A wrapper of format 1 decides on the kind of its inner
//! timestamps, and LogAppendTime is the wrapper's own.

use crate::protocol::batch::Compression;
use crate::protocol::compression::{self, Level};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Offset;
use crate::protocol::message_set::message::{Contents, Message, NewMessage, TooLarge, TooSmall};
use crate::protocol::message_set::{Magic, lz4};

/// The inner message set, uncompressed, of a wrapper whose magic is known: at least one message, at most
/// `limit` bytes.
pub(super) fn open(
    wrapper: &Message<'_>,
    magic: Magic,
    codec: Compression,
    limit: usize,
) -> Result<Vec<u8>, ErrorCode> {
    // A wrapper without value, and zstd, which came with format 2 (KIP-110), are no wrappers to Kafka. Bytes
    // that are not of their codec get UNKNOWN_SERVER_ERROR from it, which tells a producer less.
    let value = wrapper.contents().ok().and_then(|contents| contents.value);
    let value = value.ok_or(ErrorCode::InvalidRecord)?;
    let inner = match (codec, magic) {
        (Compression::None | Compression::Zstd, _) => return Err(ErrorCode::InvalidRecord),
        (Compression::Lz4, Magic::V0) => {
            compression::decompress(codec, &lz4::with_right_checksum(value), limit)
        }
        (Compression::Gzip | Compression::Snappy, _) | (Compression::Lz4, Magic::V1) => {
            compression::decompress(codec, value, limit)
        }
    };
    let inner = inner.map_err(|_| ErrorCode::InvalidRecord)?;
    check_offsets(wrapper.offset(), magic, &inner)?;
    Ok(inner)
}

/// That there are inner messages, and that the wrapper's offset may be that of the last.
fn check_offsets(wrapper: Offset, magic: Magic, inner: &[u8]) -> Result<(), ErrorCode> {
    let mut last = None;
    let mut rest = inner;
    while let Some((message, behind)) =
        Message::split_first(rest).map_err(|TooSmall| ErrorCode::CorruptMessage)?
    {
        last = Some(message.offset());
        rest = behind;
    }
    let last = last.ok_or(ErrorCode::InvalidRecord)?;
    match magic {
        Magic::V0 => Ok(()),
        // Some versions of librdkafka leave it 0.
        Magic::V1 if wrapper == Offset::ZERO || last <= wrapper => Ok(()),
        Magic::V1 => Err(ErrorCode::InvalidRecord),
    }
}

/// Appends a wrapper to a set. `wrapper` has everything but the contents; `inner` is the inner message set.
pub(super) fn put(wrapper: NewMessage<'_>, inner: &[u8], out: &mut Vec<u8>) -> Result<(), TooLarge> {
    let mut value = compression::compress(wrapper.compression, Level::DEFAULT, inner);
    match (wrapper.compression, wrapper.magic) {
        (Compression::Lz4, Magic::V0) => lz4::put_wrong_checksum(&mut value),
        (
            Compression::None
            | Compression::Gzip
            | Compression::Snappy
            | Compression::Lz4
            | Compression::Zstd,
            Magic::V0 | Magic::V1,
        ) => {}
    }
    NewMessage { contents: Contents { key: None, value: Some(&value) }, ..wrapper }.put(out)
}
