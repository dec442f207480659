//! Formats 0 and 1 to format 2: what an old producer sends, as one batch.
//!
//! The rules and their order are those of `UnifiedLog.analyzeAndValidateRecords` and `LogValidator` of Kafka
//! 3.9. What they say of the batch that is written is left to
//! [`validate_produce`](crate::protocol::validate::validate_produce), which it passes like any other; only a batch
//! beyond the topic's size is refused here already, so that nobody has to keep it until then.

use crate::protocol::batch::{Batch, BatchError, Compression, TimestampType};
use crate::protocol::compression::Level;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Timestamp;
use crate::protocol::message_set::message::{Message, Overrun};
use crate::protocol::message_set::{Magic, wrapper};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};
use crate::protocol::validate::{ProduceError, next_batch_size};

/// Bytes that deflate makes of one byte, at most. The other codecs of wrappers make fewer.
const MOST_RATIO: usize = 1032;

/// What converting up needs to know of the topic. The fields mean what they mean in
/// [`ProduceRules`](crate::protocol::validate::ProduceRules).
#[derive(Clone, Copy, Debug)]
pub struct UpgradeRules {
    /// `None` is the producer's codec.
    pub compression: Option<(Compression, Level)>,
    /// Of each message as it was sent, wrappers as a whole, and of the batch that they become.
    pub max_message_bytes: usize,
    /// All inner messages of a wrapper together.
    pub most_decompressed_bytes: usize,
    pub compacted: bool,
    pub timestamp_type: TimestampType,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub now: Timestamp,
}

/// All messages of one partition of a Produce request (v0-2) as one batch of format 2: base offset 0, no
/// producer, no leader epoch, CreateTime, CRC written. Empty when there is no whole message, which Kafka takes
/// for a success.
///
/// The batch is not vouched for: `validate_produce` must follow, of a Produce version that knows zstd (7 or
/// later), because the topic's codec may be that. It also gives the batch LogAppendTime where the topic wants it.
///
/// Kafka has never looked for the format in these versions: one batch of format 2 comes back as it is, for
/// `validate_produce` to judge.
///
/// `decompression_left_bytes` is what the wrappers of all sets of a request may give together. The one that uses it up
/// is converted; those that follow are refused as too large.
pub fn upgrade(
    messages: &[u8],
    rules: &UpgradeRules,
    decompression_left_bytes: &mut usize,
) -> Result<Vec<u8>, ProduceError> {
    let Some(set) = analyze(messages, rules)? else { return Ok(Vec::new()) };
    // "Compressed outer record has more than one batch", and so for format 2.
    if set.count > 1 && (set.magic.is_none() || set.codec != Compression::None) {
        return Err(ErrorCode::InvalidRecord.into());
    }
    let Some(magic) = set.magic else { return Ok(set.entries.to_vec()) };
    let (compression, level) = rules.compression.unwrap_or((set.codec, Level::DEFAULT));
    let mut conversion = Conversion {
        rules,
        magic,
        compression,
        builder: BatchBuilder::new(BatchHeader { compression, level, ..BatchHeader::default() }),
        decompression_left_bytes,
        refused: Refused::default(),
        has_negative_time: false,
    };
    let mut rest = set.entries;
    while let Ok(Some((message, behind))) = Message::split_first(rest) {
        conversion.push_outer(&message, set.codec)?;
        rest = behind;
    }
    // Kafka's writer of batches throws at it, when all other rules have been looked at.
    if conversion.has_negative_time {
        return Err(ErrorCode::InvalidTimestamp.into());
    }
    let batch = conversion.builder.build();
    match batch.len() > rules.max_message_bytes {
        true => Err(ErrorCode::MessageTooLarge.into()),
        false => Ok(batch),
    }
}

/// What a message set is made of, from its headers alone.
struct Analyzed<'a> {
    /// The whole messages, without what is cut at the end.
    entries: &'a [u8],
    count: usize,
    /// Of the first; `None` is format 2.
    magic: Option<Magic>,
    /// Of the last that is compressed.
    codec: Compression,
}

/// `UnifiedLog.analyzeAndValidateRecords`; `None` when there is no whole message.
fn analyze<'a>(messages: &'a [u8], rules: &UpgradeRules) -> Result<Option<Analyzed<'a>>, ProduceError> {
    let mut count = 0;
    let mut codec = Compression::None;
    let mut rest = messages;
    while let Some(size) = next_batch_size(rest)? {
        let (entry, behind) = rest.split_at(size);
        match check_entry(entry, rules)? {
            Compression::None => {}
            compressed @ (Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd) => {
                codec = compressed;
            }
        }
        count += 1;
        rest = behind;
    }
    let entries = &messages[..messages.len() - rest.len()];
    if entries.is_empty() {
        return Ok(None);
    }
    Ok(Some(Analyzed { entries, count, magic: magic_of(entries), codec }))
}

/// Size, CRC and codec of one message, or of a batch of format 2, which begins at offset 0.
fn check_entry(entry: &[u8], rules: &UpgradeRules) -> Result<Compression, ErrorCode> {
    if magic_of(entry).is_none() && !entry.starts_with(&0_i64.to_be_bytes()) {
        return Err(ErrorCode::InvalidRecord);
    }
    if entry.len() > rules.max_message_bytes {
        return Err(ErrorCode::MessageTooLarge);
    }
    let (crc_matches, codec) = match (Batch::split_first(entry), Message::split_first(entry)) {
        (Ok((batch, _)), _) => (batch.crc_matches(), batch.compression()),
        (Err(BatchError::BadMagic(_)), Ok(Some((message, _)))) => {
            (message.crc_matches(), message.compression())
        }
        (Err(_), _) => return Err(ErrorCode::CorruptMessage),
    };
    if !crc_matches {
        return Err(ErrorCode::CorruptMessage);
    }
    codec.ok_or(ErrorCode::UnsupportedCompressionType)
}

/// Of a whole message; `None` is format 2, because [`next_batch_size`] lets no other pass.
fn magic_of(entry: &[u8]) -> Option<Magic> {
    Magic::from_id(entry[16])
}

/// Why messages that go in or out together are refused (`LogValidator.processRecordErrors`).
#[derive(Clone, Copy, Debug, Default)]
struct Refused {
    /// No key in a compacted topic, or another magic than the wrapper's.
    invalid: bool,
    timestamp: bool,
}

impl Refused {
    fn answer(self) -> Result<(), ErrorCode> {
        match self {
            Refused { timestamp: true, .. } => Err(ErrorCode::InvalidTimestamp),
            Refused { invalid: true, .. } => Err(ErrorCode::InvalidRecord),
            Refused { invalid: false, timestamp: false } => Ok(()),
        }
    }
}

/// When a message was made, as its wrapper has it where there is one.
#[derive(Clone, Copy)]
struct Time {
    timestamp_type: TimestampType,
    timestamp: Timestamp,
}

/// A batch in the making.
struct Conversion<'a> {
    rules: &'a UpgradeRules,
    /// Of the first message, and so of all.
    magic: Magic,
    /// Of the batch.
    compression: Compression,
    builder: BatchBuilder,
    decompression_left_bytes: &'a mut usize,
    refused: Refused,
    /// Below [`Timestamp::NONE`].
    has_negative_time: bool,
}

impl Conversion<'_> {
    /// Adds a message of the set, or all inner messages of a wrapper.
    fn push_outer(&mut self, message: &Message<'_>, codec: Compression) -> Result<(), ErrorCode> {
        if message.magic() != Some(self.magic) {
            return Err(ErrorCode::InvalidRecord);
        }
        if codec == Compression::None {
            let time = Time { timestamp_type: message.timestamp_type(), timestamp: message.timestamp() };
            self.push(message, time)?;
            return self.refused.answer();
        }
        let inner = self.open(message, codec)?;
        let mut rest = inner.as_slice();
        while let Ok(Some((inner, behind))) = Message::split_first(rest) {
            self.push_inner(&inner, message)?;
            rest = behind;
        }
        self.refused.answer()
    }

    fn open(&mut self, message: &Message<'_>, codec: Compression) -> Result<Vec<u8>, ErrorCode> {
        if *self.decompression_left_bytes == 0 {
            return Err(ErrorCode::MessageTooLarge);
        }
        let limit = self.rules.most_decompressed_bytes;
        let inner = wrapper::open(message, self.magic, codec, limit);
        let spent_bytes = match &inner {
            Ok(inner) => inner.len(),
            // Nobody has counted what came out before it was refused.
            Err(_) => message.bytes().len().saturating_mul(MOST_RATIO).min(limit),
        };
        *self.decompression_left_bytes = self.decompression_left_bytes.saturating_sub(spent_bytes);
        inner
    }

    fn push_inner(&mut self, inner: &Message<'_>, wrapper: &Message<'_>) -> Result<(), ErrorCode> {
        // A wrapper in a wrapper.
        if inner.compression() != Some(Compression::None) {
            return Err(ErrorCode::InvalidRecord);
        }
        if inner.magic() != Some(self.magic) {
            self.refused.invalid = true;
            return Ok(());
        }
        if !inner.crc_matches() {
            return Err(ErrorCode::CorruptMessage);
        }
        let timestamp_type = wrapper.timestamp_type();
        let timestamp = match timestamp_type {
            TimestampType::LogAppendTime => wrapper.timestamp(),
            TimestampType::CreateTime => inner.timestamp(),
        };
        self.push(inner, Time { timestamp_type, timestamp })
    }

    /// `LogValidator.validateRecord`, and the record itself when nothing has been refused.
    fn push(&mut self, message: &Message<'_>, time: Time) -> Result<(), ErrorCode> {
        let contents = message.contents().map_err(|Overrun| ErrorCode::InvalidRecord)?;
        if self.rules.compacted && contents.key.is_none() {
            self.refused.invalid = true;
        } else if is_refused(time, self.rules) {
            self.refused.timestamp = true;
        }
        self.has_negative_time |= time.timestamp < Timestamp::NONE;
        // What is never written is looked at to the end all the same: other errors come first.
        if self.refused.answer().is_ok() && !self.is_too_large() {
            self.builder.push(&NewRecord {
                timestamp: time.timestamp,
                key: contents.key,
                value: contents.value,
                headers: &[],
            });
        }
        Ok(())
    }

    /// Whether no further record can make a batch of it that the topic takes.
    fn is_too_large(&self) -> bool {
        self.compression == Compression::None
            && self.builder.uncompressed_size_bytes() > self.rules.max_message_bytes
    }
}

/// `LogValidator.validateTimestamp`.
fn is_refused(time: Time, rules: &UpgradeRules) -> bool {
    if rules.timestamp_type == TimestampType::CreateTime && time.timestamp != Timestamp::NONE {
        let age = rules.now.0.wrapping_sub(time.timestamp.0);
        return age > rules.timestamp_before_max_ms || age.wrapping_neg() > rules.timestamp_after_max_ms;
    }
    time.timestamp_type == TimestampType::LogAppendTime
}
