//! Whether a partition accepts the records of a Produce request, decided before any lock is taken.
//!
//! The rules and their order are those of `ProduceRequest.validateRecords`,
//! `UnifiedLog.analyzeAndValidateRecords` and `LogValidator`, for format 2 only. Unlike Kafka, a compressed
//! batch is decompressed only where the answer depends on its records: compacted topics, another codec than
//! the producer's, a bound on old timestamps, or a header that contradicts itself. Offsets and leader epochs
//! are not this file's business: they are patched by the log, outside the CRC.

use std::io::{self, Read};

use crate::protocol::batch::{Batch, BatchMut, Compression, LOG_OVERHEAD, TimestampType};
use crate::protocol::compression::{self, Level};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{Offset, PartitionIndex, Timestamp};
use crate::protocol::produce::RecordFailure;
use crate::protocol::records::{
    BatchBuilder, BatchHeader, RecordError, RecordIter, RecordShape, RecordStream,
};
use crate::protocol::summary::BatchSummary;

/// What a topic demands of its records.
#[derive(Clone, Copy, Debug)]
pub struct ProduceRules<'a> {
    /// Of the Produce request.
    pub api_version: i16,
    /// For messages only.
    pub topic: &'a str,
    /// For messages only.
    pub partition: PartitionIndex,
    /// `cleanup.policy` has `compact`: every record needs a key.
    pub compacted: bool,
    /// `compression.type`; `None` is `producer`.
    pub compression: Option<(Compression, Level)>,
    /// `max.message.bytes`, of a whole batch.
    pub max_message_bytes: usize,
    /// `max.decompressed.message.bytes`, of one record in a compressed batch.
    pub max_decompressed_message_bytes: usize,
    /// `segment.bytes`: no batch may be larger than a segment.
    pub segment_size_bytes: usize,
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`; `i64::MAX` is no bound.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`; `i64::MAX` is no bound.
    pub timestamp_after_max_ms: i64,
    pub now: Timestamp,
}

/// Records that may be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated {
    /// Of the batch as it is to be written; its base offset is 0.
    pub summary: BatchSummary,
    /// The first record with the max timestamp, where the records were looked at.
    pub max_timestamp_offset_delta: Option<i32>,
    /// The batch is the first so many bytes of the input; Kafka ignores a torn second batch behind it.
    pub size_bytes: usize,
    /// The batch to append instead of the input, where the topic's rules change its size.
    pub replacement: Option<Vec<u8>>,
}

/// Records that are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceError {
    /// With a message only where Kafka sends one.
    pub error: ApiError,
    /// At most [`MOST_RECORD_ERRORS`].
    pub record_errors: Vec<RecordFailure>,
}

/// Records named in one answer. Kafka has no limit; a batch of a million bad records would cost us a hundred
/// times its bytes.
pub const MOST_RECORD_ERRORS: usize = 1_000;

impl From<ErrorCode> for ProduceError {
    fn from(code: ErrorCode) -> ProduceError {
        ApiError::from(code).into()
    }
}

impl From<ApiError> for ProduceError {
    fn from(error: ApiError) -> ProduceError {
        ProduceError { error, record_errors: Vec::new() }
    }
}

/// Checks the records of one partition, and patches timestamps in place where the rules ask for it.
pub fn validate_produce(records: &mut [u8], rules: &ProduceRules<'_>) -> Result<Validated, ProduceError> {
    let batch = only_batch(records, rules.api_version)?;
    let codec = check_header(batch, rules)?;
    let (target, level) = rules.compression.unwrap_or((codec, Level::DEFAULT));
    let size_bytes = batch.size();
    let decompressed;
    let (scan, plain) = if codec == Compression::None {
        (scan_records(batch, batch.records(), rules)?, batch.records())
    } else if target != codec {
        decompressed = decompress_records(batch, codec, rules)?;
        (scan_records(batch, &decompressed, rules)?, decompressed.as_slice())
    } else {
        let scan = if depends_on_records(batch, rules) {
            scan(batch, || stream(batch, codec, rules), rules)?
        } else {
            Scan::of_header(batch)
        };
        // Kafka gives records with odd offset deltas the offsets they should have.
        decompressed = if scan.sequential { Vec::new() } else { decompress_records(batch, codec, rules)? };
        (scan, decompressed.as_slice())
    };
    let max_timestamp_offset_delta = scan.max_timestamp_offset_delta;
    if target != codec || !scan.sequential {
        let replacement = rebuild(batch, plain, (target, level), rules)?;
        let (batch, _) = Batch::split_first(&replacement).expect("the builder writes a whole batch");
        let summary = accept(batch, rules)?;
        return Ok(Validated {
            summary,
            max_timestamp_offset_delta,
            size_bytes,
            replacement: Some(replacement),
        });
    }
    let (mut batch, _) = BatchMut::split_first(records).expect("the batch was whole before");
    set_timestamps(&mut batch, scan.max_timestamp, rules);
    let summary = accept(batch.as_batch(), rules)?;
    Ok(Validated { summary, max_timestamp_offset_delta, size_bytes, replacement: None })
}

/// The one batch of a Produce request (v3 and later), as `ByteBufferLogInputStream` cuts it. What is wrong with it is found
/// before the log is looked for (`ProduceRequest.validateRecords`).
pub fn only_batch(records: &[u8], api_version: i16) -> Result<Batch<'_>, ProduceError> {
    let size = next_batch_size(records)?.ok_or(ErrorCode::InvalidRecord)?;
    if records[16] != 2 {
        return Err(ErrorCode::InvalidRecord.into());
    }
    let Ok((batch, rest)) = Batch::split_first(&records[..size]) else {
        return Err(ErrorCode::CorruptMessage.into());
    };
    debug_assert!(rest.is_empty());
    // KIP-110: clients that old cannot have agreed with their consumers on zstd.
    if api_version < 7 && batch.compression() == Some(Compression::Zstd) {
        return Err(ErrorCode::UnsupportedCompressionType.into());
    }
    if next_batch_size(&records[size..])?.is_some() {
        return Err(ErrorCode::InvalidRecord.into());
    }
    Ok(batch)
}

/// Size of the whole batch of any format at the front; `None` when the bytes end inside it.
pub(in crate::protocol) fn next_batch_size(records: &[u8]) -> Result<Option<usize>, ProduceError> {
    /// Bytes of a record of format 0 without key and value.
    const LEAST_LENGTH: i32 = 14;
    if records.len() < LOG_OVERHEAD {
        return Ok(None);
    }
    let length = i32::from_be_bytes([records[8], records[9], records[10], records[11]]);
    if length < LEAST_LENGTH {
        return Err(ErrorCode::CorruptMessage.into());
    }
    let Some(&magic) = records.get(16) else { return Ok(None) };
    if magic > 2 {
        return Err(ErrorCode::CorruptMessage.into());
    }
    let size = LOG_OVERHEAD + length as usize;
    Ok((size <= records.len()).then_some(size))
}

fn check_header(batch: Batch<'_>, rules: &ProduceRules<'_>) -> Result<Compression, ProduceError> {
    if batch.base_offset() != Offset::ZERO {
        return Err(ErrorCode::InvalidRecord.into());
    }
    if batch.size() > rules.max_message_bytes {
        return Err(ErrorCode::MessageTooLarge.into());
    }
    if !batch.crc_matches() {
        return Err(ErrorCode::CorruptMessage.into());
    }
    let codec = batch.compression().ok_or(ErrorCode::UnsupportedCompressionType)?;
    let count = batch.record_count();
    if count <= 0 || i64::from(batch.last_offset_delta()) + 1 != i64::from(count) {
        return Err(ErrorCode::InvalidRecord.into());
    }
    if batch.is_control() {
        return Err(ErrorCode::InvalidRecord.into());
    }
    if batch.producer_id().0 > -1 && batch.base_sequence() < 0 {
        return Err(ErrorCode::InvalidRecord.into());
    }
    Ok(codec)
}

/// What may be said of a batch only as it is to be written.
fn accept(batch: Batch<'_>, rules: &ProduceRules<'_>) -> Result<BatchSummary, ProduceError> {
    if batch.size() > rules.max_message_bytes {
        return Err(ErrorCode::MessageTooLarge.into());
    }
    if batch.size() > rules.segment_size_bytes {
        return Err(ErrorCode::RecordListTooLarge.into());
    }
    BatchSummary::of(batch).map_err(|_| ErrorCode::InvalidRecord.into())
}

/// All records of one compressed batch together. Kafka has no such limit; producers stay far below it.
pub fn most_decompressed_bytes(rules: &ProduceRules<'_>) -> usize {
    (64 << 20) + rules.max_message_bytes.saturating_mul(16).min(1 << 30)
}

fn decompress_records(
    batch: Batch<'_>,
    codec: Compression,
    rules: &ProduceRules<'_>,
) -> Result<Vec<u8>, ProduceError> {
    // Kafka answers UNKNOWN_SERVER_ERROR to bytes that are not of their codec, which tells a producer less.
    compression::decompress(codec, batch.records(), most_decompressed_bytes(rules))
        .map_err(|_| ErrorCode::InvalidRecord.into())
}

/// The shapes of the records of a compressed batch.
fn stream<'a>(
    batch: Batch<'a>,
    codec: Compression,
    rules: &ProduceRules<'_>,
) -> RecordStream<Box<dyn Read + 'a>> {
    let largest = rules.max_decompressed_message_bytes;
    match compression::reader(codec, batch.records()) {
        Ok(reader) => {
            RecordStream::new(reader, batch.record_count(), largest, most_decompressed_bytes(rules))
        }
        // A decoder that cannot even begin: no byte comes out, and the first record is missing.
        Err(_) => RecordStream::new(Box::new(io::empty()), batch.record_count(), largest, 0),
    }
}

/// `LogValidator.buildRecordsAndAssignOffsets`: the same records in another codec, offsets from 0.
fn rebuild(
    batch: Batch<'_>,
    records: &[u8],
    (compression, level): (Compression, Level),
    rules: &ProduceRules<'_>,
) -> Result<Vec<u8>, ProduceError> {
    let timestamp_type = rules.timestamp_type;
    let mut builder =
        BatchBuilder::new(BatchHeader { compression, level, timestamp_type, ..BatchHeader::of(batch) });
    let times = RecordTimes::of(batch);
    for (index, record) in RecordIter::new(records, batch.record_count()).enumerate() {
        let record = record.map_err(|_| ErrorCode::InvalidRecord)?;
        builder.push_record(index as i32, times.of_record(&record.shape()), &record);
    }
    if timestamp_type == TimestampType::LogAppendTime {
        builder.set_max_timestamp(rules.now);
    }
    Ok(builder.build())
}

/// Whether the header of a compressed batch cannot answer for its records.
fn depends_on_records(batch: Batch<'_>, rules: &ProduceRules<'_>) -> bool {
    if rules.compacted || batch.timestamp_type() == TimestampType::LogAppendTime {
        return true;
    }
    match rules.timestamp_type {
        TimestampType::LogAppendTime => false,
        // The max timestamp says nothing of the oldest record, and a max below the first is a lie.
        TimestampType::CreateTime => {
            rules.timestamp_before_max_ms != i64::MAX
                || batch.max_timestamp() < batch.first_timestamp()
                || out_of_bounds(batch.max_timestamp(), rules)
        }
    }
}

/// What looking at all records has found.
#[derive(Clone, Copy, Debug)]
struct Scan {
    max_timestamp: Timestamp,
    max_timestamp_offset_delta: Option<i32>,
    /// Offset deltas are 0, 1, 2 and so on.
    sequential: bool,
}

impl Scan {
    /// Of a compressed batch whose header is taken at its word.
    fn of_header(batch: Batch<'_>) -> Scan {
        Scan { max_timestamp: batch.max_timestamp(), max_timestamp_offset_delta: None, sequential: true }
    }
}

fn scan_records(batch: Batch<'_>, records: &[u8], rules: &ProduceRules<'_>) -> Result<Scan, ProduceError> {
    let shapes = || {
        let records = RecordIter::new(records, batch.record_count());
        records.map(|record| record.map(|record| record.shape()))
    };
    scan(batch, shapes, rules)
}

/// Looks at every record: 12-14 ns each, which an uncompressed batch can always afford. `records` gives them
/// again from the first when there is something to tell of them.
fn scan<I>(batch: Batch<'_>, records: impl Fn() -> I, rules: &ProduceRules<'_>) -> Result<Scan, ProduceError>
where
    I: Iterator<Item = Result<RecordShape, RecordError>>,
{
    let times = RecordTimes::of(batch);
    let mut scan =
        Scan { max_timestamp: Timestamp::NONE, max_timestamp_offset_delta: None, sequential: true };
    let mut failed = false;
    for (index, record) in records().enumerate() {
        let record = record.map_err(|_| ErrorCode::InvalidRecord)?;
        let timestamp = times.of_record(&record);
        failed |= record_failure(&record, timestamp, batch, rules).is_some();
        if timestamp > scan.max_timestamp {
            scan.max_timestamp = timestamp;
            scan.max_timestamp_offset_delta = Some(record.offset_delta);
        }
        scan.sequential &= record.offset_delta as usize == index;
    }
    if failed { Err(collect_failures(batch, records(), rules)) } else { Ok(scan) }
}

/// The time of a record: its own, or the batch's when that is LogAppendTime.
struct RecordTimes {
    first: Timestamp,
    log_append_time: Option<Timestamp>,
}

impl RecordTimes {
    fn of(batch: Batch<'_>) -> RecordTimes {
        let log_append_time = match batch.timestamp_type() {
            TimestampType::LogAppendTime => Some(batch.max_timestamp()),
            TimestampType::CreateTime => None,
        };
        RecordTimes { first: batch.first_timestamp(), log_append_time }
    }

    #[inline]
    fn of_record(&self, record: &RecordShape) -> Timestamp {
        self.log_append_time.unwrap_or(Timestamp(self.first.0.wrapping_add(record.timestamp_delta)))
    }
}

/// Why a record is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    NoKey,
    TimestampOutOfBounds,
    LogAppendTimeFromProducer,
}

#[inline]
fn record_failure(
    record: &RecordShape,
    timestamp: Timestamp,
    batch: Batch<'_>,
    rules: &ProduceRules<'_>,
) -> Option<Failure> {
    if rules.compacted && record.key_size < 0 {
        return Some(Failure::NoKey);
    }
    if rules.timestamp_type == TimestampType::CreateTime && timestamp != Timestamp::NONE {
        return out_of_bounds(timestamp, rules).then_some(Failure::TimestampOutOfBounds);
    }
    (batch.timestamp_type() == TimestampType::LogAppendTime).then_some(Failure::LogAppendTimeFromProducer)
}

/// `LogValidator.recordHasInvalidTimestamp`, overflow included.
#[inline]
fn out_of_bounds(timestamp: Timestamp, rules: &ProduceRules<'_>) -> bool {
    if timestamp == Timestamp::NONE {
        return false;
    }
    let age = rules.now.0.wrapping_sub(timestamp.0);
    age > rules.timestamp_before_max_ms || age.wrapping_neg() > rules.timestamp_after_max_ms
}

/// The answer for a batch in which at least one record fails (KIP-467), in Kafka's words.
#[cold]
fn collect_failures(
    batch: Batch<'_>,
    records: impl Iterator<Item = Result<RecordShape, RecordError>>,
    rules: &ProduceRules<'_>,
) -> ProduceError {
    let times = RecordTimes::of(batch);
    let mut failures = Vec::new();
    let mut count = 0usize;
    let mut timestamps_fail = false;
    for (index, record) in records.enumerate() {
        let Ok(record) = record else { return ErrorCode::InvalidRecord.into() };
        let timestamp = times.of_record(&record);
        let Some(failure) = record_failure(&record, timestamp, batch, rules) else { continue };
        count += 1;
        timestamps_fail |= failure != Failure::NoKey;
        if failures.len() < MOST_RECORD_ERRORS {
            let message = Some(failure_message(failure, &record, timestamp, rules));
            failures.push(RecordFailure { batch_index: index as i32, message });
        }
    }
    if timestamps_fail {
        let message = "One or more records have been rejected due to invalid timestamp";
        return ProduceError {
            error: ApiError::new(ErrorCode::InvalidTimestamp, message),
            record_errors: failures,
        };
    }
    let shown: Vec<String> = failures.iter().take(3).map(failure_text).collect();
    let message = format!(
        "One or more records have been rejected due to {count} record errors in total, and only showing \
         the first three errors at most: [{}]",
        shown.join(", ")
    );
    ProduceError { error: ApiError::new(ErrorCode::InvalidRecord, message), record_errors: failures }
}

/// `ProduceResponse.RecordError.toString`.
fn failure_text(failure: &RecordFailure) -> String {
    let message = failure.message.as_deref().map_or("null".to_owned(), |message| format!("'{message}'"));
    format!("RecordError(batchIndex={}, message={message})", failure.batch_index)
}

fn failure_message(
    failure: Failure,
    record: &RecordShape,
    timestamp: Timestamp,
    rules: &ProduceRules<'_>,
) -> String {
    match failure {
        Failure::NoKey => format!(
            "Compacted topic cannot accept message without key in topic partition {}-{}",
            rules.topic, rules.partition
        ),
        Failure::TimestampOutOfBounds => format!(
            "Timestamp {timestamp} of message with offset {} is out of range. The timestamp should be within \
             [{}, {}]",
            record.offset_delta,
            rules.now.0.wrapping_sub(rules.timestamp_before_max_ms),
            rules.now.0.wrapping_add(rules.timestamp_after_max_ms),
        ),
        Failure::LogAppendTimeFromProducer => format!(
            "Invalid timestamp type in message DefaultRecord(offset={}, timestamp={timestamp}, key={} bytes, \
             value={} bytes). Producer should not set timestamp type to LogAppendTime.",
            record.offset_delta, record.key_size, record.value_size,
        ),
    }
}

/// `DefaultRecordBatch.setMaxTimestamp`: the CRC is computed again only when something changes.
fn set_timestamps(batch: &mut BatchMut<'_>, max_timestamp: Timestamp, rules: &ProduceRules<'_>) {
    let current = (batch.as_batch().timestamp_type(), batch.as_batch().max_timestamp());
    match rules.timestamp_type {
        TimestampType::LogAppendTime if current == (TimestampType::LogAppendTime, rules.now) => {}
        TimestampType::LogAppendTime => {
            batch.set_log_append_time(rules.now);
            batch.seal();
        }
        TimestampType::CreateTime if current == (TimestampType::CreateTime, max_timestamp) => {}
        TimestampType::CreateTime => {
            batch.set_create_time(max_timestamp);
            batch.seal();
        }
    }
}

#[cfg(test)]
mod tests;
