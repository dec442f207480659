use super::*;
use crate::fuzz::memory::allocated_by;
use crate::fuzz::smoke;
use crate::protocol::ids::{LeaderEpoch, ProducerEpoch, ProducerId};
use crate::protocol::records::NewRecord;

const NOW: i64 = 1_700_000_000_000;
const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn rules() -> ProduceRules<'static> {
    ProduceRules {
        api_version: 13,
        topic: "orders",
        partition: PartitionIndex(3),
        compacted: false,
        compression: None,
        max_message_bytes: 1_048_588,
        max_decompressed_message_bytes: i32::MAX as usize,
        segment_size_bytes: 1 << 30,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        now: Timestamp(NOW),
    }
}

fn batch_of(header: BatchHeader, records: &[(i64, Option<&[u8]>)]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(header);
    for (timestamp, key) in records {
        builder.push(&NewRecord {
            timestamp: Timestamp(*timestamp),
            key: *key,
            value: Some(b"value"),
            headers: &[(b"h", Some(b"1"))],
        });
    }
    builder.build()
}

fn plain() -> Vec<u8> {
    batch_of(BatchHeader::default(), &[(NOW, Some(b"k")), (NOW + 5, None), (NOW - 5, Some(b""))])
}

fn compressed(compression: Compression) -> Vec<u8> {
    let header = BatchHeader { compression, ..BatchHeader::default() };
    batch_of(header, &[(NOW, Some(b"k")), (NOW + 5, None), (NOW - 5, Some(b""))])
}

/// Changes header bytes and makes the CRC right again.
fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    let (mut batch, _) = BatchMut::split_first(&mut bytes).unwrap();
    batch.seal();
    bytes
}

fn code(mut bytes: Vec<u8>, rules: &ProduceRules<'_>) -> ErrorCode {
    match validate_produce(&mut bytes, rules) {
        Ok(_) => ErrorCode::None,
        Err(refusal) => refusal.error.code,
    }
}

#[test]
fn an_honest_batch_stays_as_it_is() {
    for original in [plain(), compressed(Compression::Lz4), compressed(Compression::Zstd)] {
        let mut bytes = original.clone();
        let validated = validate_produce(&mut bytes, &rules()).unwrap();
        assert_eq!(bytes, original);
        assert_eq!(validated.size_bytes, original.len());
        assert_eq!(validated.replacement, None);
        assert_eq!(validated.summary.max_timestamp, Timestamp(NOW + 5));
        assert_eq!(validated.summary.record_count, 3);
        assert_eq!(validated.summary.leader_epoch, LeaderEpoch::NONE);
    }
    let validated = validate_produce(&mut plain(), &rules()).unwrap();
    assert_eq!(validated.max_timestamp_offset_delta, Some(1));
}

#[test]
fn exactly_one_whole_batch_is_accepted() {
    assert_eq!(code(Vec::new(), &rules()), ErrorCode::InvalidRecord);
    assert_eq!(code([plain(), plain()].concat(), &rules()), ErrorCode::InvalidRecord);
    let bytes = plain();
    for end in 0..bytes.len() {
        assert_eq!(code(bytes[..end].to_vec(), &rules()), ErrorCode::InvalidRecord, "cut at {end}");
    }
}

#[test]
fn a_torn_second_batch_is_ignored() {
    let whole = plain();
    for end in [1, 11, 16, 40, whole.len() - 1] {
        let mut bytes = [whole.as_slice(), &whole[..end]].concat();
        let validated = validate_produce(&mut bytes, &rules()).unwrap();
        assert_eq!(validated.size_bytes, whole.len());
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    let bytes = plain();
    for position in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[position] ^= 0x40;
        let expected = match position {
            0..8 => ErrorCode::InvalidRecord,
            // The leader epoch is the broker's.
            12..16 => ErrorCode::None,
            _ => ErrorCode::CorruptMessage,
        };
        // A length that grows reads like a torn batch, one that turns negative is corrupt.
        if (8..12).contains(&position) {
            assert_ne!(code(flipped, &rules()), ErrorCode::None, "length byte {position}");
            continue;
        }
        assert_eq!(code(flipped, &rules()), expected, "byte {position}");
    }
}

#[test]
fn old_formats_and_lengths_that_lie_are_refused() {
    let mut bytes = plain();
    bytes[16] = 1;
    assert_eq!(code(bytes.clone(), &rules()), ErrorCode::InvalidRecord);
    bytes[16] = 3;
    assert_eq!(code(bytes, &rules()), ErrorCode::CorruptMessage);
    for length in [-1i32, 0, 13, 48] {
        let mut bytes = plain();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        assert_eq!(code(bytes, &rules()), ErrorCode::CorruptMessage, "length {length}");
    }
}

#[test]
fn header_fields_that_lie_are_refused() {
    let cases: [(&str, usize, &[u8], ErrorCode); 8] = [
        ("last offset delta too large", 23, &5i32.to_be_bytes(), ErrorCode::InvalidRecord),
        ("last offset delta negative", 23, &(-1i32).to_be_bytes(), ErrorCode::InvalidRecord),
        ("count too large", 57, &4i32.to_be_bytes(), ErrorCode::InvalidRecord),
        ("count zero", 57, &0i32.to_be_bytes(), ErrorCode::InvalidRecord),
        ("count negative", 57, &(-3i32).to_be_bytes(), ErrorCode::InvalidRecord),
        ("control batch", 21, &0x20i16.to_be_bytes(), ErrorCode::InvalidRecord),
        ("producer id without sequence", 43, &7i64.to_be_bytes(), ErrorCode::InvalidRecord),
        ("codec 5", 21, &5i16.to_be_bytes(), ErrorCode::UnsupportedCompressionType),
    ];
    for (name, at, with, expected) in cases {
        assert_eq!(code(patched(plain(), at, with), &rules()), expected, "{name}");
    }
}

#[test]
fn count_and_last_offset_that_agree_must_also_agree_with_the_records() {
    for count in [2i32, 4, i32::MAX] {
        let bytes = patched(plain(), 57, &count.to_be_bytes());
        let bytes = patched(bytes, 23, &(count - 1).to_be_bytes());
        assert_eq!(code(bytes, &rules()), ErrorCode::InvalidRecord, "{count}");
    }
}

#[test]
fn zstd_needs_version_7() {
    let old = ProduceRules { api_version: 6, ..rules() };
    assert_eq!(code(compressed(Compression::Zstd), &old), ErrorCode::UnsupportedCompressionType);
    assert_eq!(code(compressed(Compression::Lz4), &old), ErrorCode::None);
}

#[test]
fn size_limits_are_inclusive() {
    let size = plain().len();
    let exact = ProduceRules { max_message_bytes: size, segment_size_bytes: size, ..rules() };
    assert_eq!(code(plain(), &exact), ErrorCode::None);
    let below = ProduceRules { max_message_bytes: size - 1, ..rules() };
    assert_eq!(code(plain(), &below), ErrorCode::MessageTooLarge);
    let segment = ProduceRules { segment_size_bytes: size - 1, ..rules() };
    assert_eq!(code(plain(), &segment), ErrorCode::RecordListTooLarge);
}

#[test]
fn compacted_topics_name_the_records_without_a_key() {
    let compacted = ProduceRules { compacted: true, ..rules() };
    for mut bytes in [plain(), compressed(Compression::Snappy)] {
        let refusal = validate_produce(&mut bytes, &compacted).unwrap_err();
        assert_eq!(refusal.error.code, ErrorCode::InvalidRecord);
        let message = "Compacted topic cannot accept message without key in topic partition orders-3";
        let expected = RecordFailure { batch_index: 1, message: Some(message.to_owned()) };
        assert_eq!(refusal.record_errors, [expected]);
        assert_eq!(
            refusal.error.message.as_deref(),
            Some(
                "One or more records have been rejected due to 1 record errors in total, and only showing \
                 the first three errors at most: [RecordError(batchIndex=1, message='Compacted topic cannot \
                 accept message without key in topic partition orders-3')]"
            )
        );
    }
    let keyed = batch_of(BatchHeader::default(), &[(NOW, Some(b"k")), (NOW, Some(b""))]);
    assert_eq!(code(keyed, &compacted), ErrorCode::None);
}

#[test]
fn timestamps_out_of_bounds_are_named() {
    let bounded = ProduceRules { timestamp_before_max_ms: 1000, timestamp_after_max_ms: 2000, ..rules() };
    let times = [(NOW - 1001, None), (NOW - 1000, None), (NOW + 2000, None), (NOW + 2001, None)];
    for compression in [Compression::None, Compression::Gzip] {
        let mut bytes = batch_of(BatchHeader { compression, ..BatchHeader::default() }, &times);
        let refusal = validate_produce(&mut bytes, &bounded).unwrap_err();
        assert_eq!(refusal.error.code, ErrorCode::InvalidTimestamp);
        assert_eq!(
            refusal.error.message.as_deref(),
            Some("One or more records have been rejected due to invalid timestamp")
        );
        let indexes: Vec<i32> = refusal.record_errors.iter().map(|failure| failure.batch_index).collect();
        assert_eq!(indexes, [0, 3]);
        let expected = format!(
            "Timestamp {} of message with offset 3 is out of range. The timestamp should be within [{}, {}]",
            NOW + 2001,
            NOW - 1000,
            NOW + 2000
        );
        assert_eq!(refusal.record_errors[1].message.as_deref(), Some(expected.as_str()));
    }
}

#[test]
fn a_missing_timestamp_is_never_out_of_bounds() {
    let bounded = ProduceRules { timestamp_before_max_ms: 0, timestamp_after_max_ms: 0, ..rules() };
    for compression in [Compression::None, Compression::Zstd] {
        let header = BatchHeader { compression, ..BatchHeader::default() };
        assert_eq!(code(batch_of(header, &[(-1, None), (-1, None)]), &bounded), ErrorCode::None);
    }
}

#[test]
fn a_max_timestamp_that_lies_is_put_right() {
    let lie = patched(plain(), 35, &(NOW + 3).to_be_bytes());
    let mut bytes = lie.clone();
    let validated = validate_produce(&mut bytes, &rules()).unwrap();
    assert_eq!(validated.summary.max_timestamp, Timestamp(NOW + 5));
    assert_eq!(bytes, plain());
    // Compressed: only a max below the first timestamp is known to be a lie.
    let mut bytes = patched(compressed(Compression::Gzip), 35, &(-1i64).to_be_bytes());
    let validated = validate_produce(&mut bytes, &rules()).unwrap();
    assert_eq!(validated.summary.max_timestamp, Timestamp(NOW + 5));
    assert_eq!(bytes, compressed(Compression::Gzip));
}

#[test]
fn log_append_time_replaces_the_producers() {
    let stamped = ProduceRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    for mut bytes in [plain(), compressed(Compression::Lz4)] {
        let validated = validate_produce(&mut bytes, &stamped).unwrap();
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        assert!(batch.crc_matches());
        assert_eq!(batch.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(batch.max_timestamp(), Timestamp(NOW));
        assert_eq!(validated.summary.max_timestamp, Timestamp(NOW));
    }
}

#[test]
fn a_producer_must_not_set_log_append_time() {
    let stamped = ProduceRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    for bytes in [plain(), compressed(Compression::Snappy)] {
        let attributes = i16::from_be_bytes([bytes[21], bytes[22]]) | 8;
        let mut claimed = patched(bytes, 21, &attributes.to_be_bytes());
        let refusal = validate_produce(&mut claimed.clone(), &stamped).unwrap_err();
        assert_eq!(refusal.error.code, ErrorCode::InvalidTimestamp);
        assert_eq!(refusal.record_errors.len(), 3);
        let expected = format!(
            "Invalid timestamp type in message DefaultRecord(offset=1, timestamp={}, key=-1 bytes, value=5 \
             bytes). Producer should not set timestamp type to LogAppendTime.",
            NOW + 5
        );
        assert_eq!(refusal.record_errors[1].message.as_deref(), Some(expected.as_str()));
        // Kafka lets a topic with CreateTime put it right instead.
        validate_produce(&mut claimed, &rules()).unwrap();
        let (batch, _) = Batch::split_first(&claimed).unwrap();
        assert!(batch.crc_matches());
        assert_eq!(batch.timestamp_type(), TimestampType::CreateTime);
    }
}

#[test]
fn another_codec_than_the_producers_rewrites_the_batch() {
    let header = BatchHeader {
        producer_id: ProducerId(9),
        producer_epoch: ProducerEpoch(2),
        base_sequence: 40,
        transactional: true,
        ..BatchHeader::default()
    };
    let records: [(i64, Option<&[u8]>); 2] = [(NOW, Some(b"k")), (NOW + 5, None)];
    let uncompressed = batch_of(header.clone(), &records);
    for target in CODECS {
        let rules = ProduceRules { compression: Some((target, Level::DEFAULT)), ..rules() };
        let validated = validate_produce(&mut uncompressed.clone(), &rules).unwrap();
        let replacement = validated.replacement.unwrap();
        let (batch, rest) = Batch::split_first(&replacement).unwrap();
        assert!(rest.is_empty() && batch.crc_matches());
        assert_eq!(batch.compression(), Some(target));
        assert_eq!(validated.size_bytes, uncompressed.len());
        assert_eq!(
            validated.summary,
            BatchSummary::of(Batch::split_first(&uncompressed).unwrap().0).unwrap()
        );
        // And back again.
        let none = ProduceRules { compression: Some((Compression::None, Level::DEFAULT)), ..rules };
        let back = validate_produce(&mut replacement.clone(), &none).unwrap();
        assert_eq!(back.replacement.as_deref(), Some(uncompressed.as_slice()));
    }
    let same = ProduceRules { compression: Some((Compression::None, Level::DEFAULT)), ..rules() };
    assert_eq!(validate_produce(&mut uncompressed.clone(), &same).unwrap().replacement, None);
}

#[test]
fn offset_deltas_that_lie_are_put_right() {
    let mut builder = BatchBuilder::new(BatchHeader::default());
    let good = plain();
    let (batch, _) = Batch::split_first(&good).unwrap();
    let records: Vec<_> = RecordIter::of(batch).map(Result::unwrap).collect();
    for (record, offset_delta) in records.iter().zip([3, 5, 6]) {
        let timestamp = Timestamp(batch.first_timestamp().0 + record.timestamp_delta);
        builder.push_record(offset_delta, timestamp, record);
    }
    let bytes = patched(builder.build(), 23, &2i32.to_be_bytes());
    let validated = validate_produce(&mut bytes.clone(), &rules()).unwrap();
    assert_eq!(validated.replacement.as_deref(), Some(good.as_slice()));
}

#[test]
fn a_compressed_batch_that_cannot_be_read_is_refused_where_it_must_be_read() {
    let compacted = ProduceRules { compacted: true, ..rules() };
    for codec in CODECS {
        let bytes = compressed(codec);
        let broken = patched(bytes.clone(), bytes.len() - 12, &[0xaa; 12]);
        assert_ne!(code(broken, &compacted), ErrorCode::None, "{codec:?}");
    }
}

#[test]
fn a_bomb_is_looked_at_in_constant_memory() {
    let value = vec![0; 48 << 20];
    let compacted = ProduceRules { compacted: true, ..rules() };
    for compression in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let header = BatchHeader { compression, ..BatchHeader::default() };
        let mut builder = BatchBuilder::new(header);
        builder.push(&NewRecord { value: Some(&value), ..NewRecord::default() });
        let mut bytes = builder.build();
        let (result, allocated) = allocated_by(|| validate_produce(&mut bytes, &compacted));
        assert_eq!(result.unwrap_err().record_errors.len(), 1, "{compression:?}");
        assert!(allocated < 2 << 20, "{compression:?} allocated {allocated}");
        let small = ProduceRules { max_decompressed_message_bytes: 1 << 20, ..compacted };
        assert_eq!(code(bytes, &small), ErrorCode::InvalidRecord, "{compression:?}");
    }
}

#[test]
fn a_batch_of_failures_names_only_the_first_of_them() {
    let mut builder = BatchBuilder::new(BatchHeader::default());
    for _ in 0..3 * MOST_RECORD_ERRORS {
        builder.push(&NewRecord::default());
    }
    let compacted = ProduceRules { compacted: true, ..rules() };
    let refusal = validate_produce(&mut builder.build(), &compacted).unwrap_err();
    assert_eq!(refusal.record_errors.len(), MOST_RECORD_ERRORS);
    assert!(refusal.error.message.unwrap().contains("due to 3000 record errors in total"));
}

/// What is accepted is a sound batch that is accepted again unchanged, and costs no more than its bytes allow.
#[test]
fn whatever_is_accepted_is_sound() {
    let mut corpus = Vec::new();
    for bytes in [plain(), compressed(Compression::Gzip), compressed(Compression::Snappy)]
        .into_iter()
        .chain([compressed(Compression::Lz4), compressed(Compression::Zstd)])
    {
        for rule in 0..5u8 {
            corpus.push([&[rule], bytes.as_slice()].concat());
        }
    }
    smoke("validate", &corpus, 30_000, |input| {
        let Some((rule, records)) = input.split_first() else { return };
        let mut records = records.to_vec();
        // A wrong CRC ends the check early; most inputs get a right one.
        if rule % 16 < 14
            && let Ok((mut batch, _)) = BatchMut::split_first(&mut records)
        {
            batch.seal();
        }
        let rules = match rule % 5 {
            0 => rules(),
            1 => ProduceRules { compacted: true, ..rules() },
            2 => ProduceRules { compression: Some((Compression::Zstd, Level::DEFAULT)), ..rules() },
            3 => ProduceRules { compression: Some((Compression::None, Level::DEFAULT)), ..rules() },
            _ => ProduceRules {
                timestamp_type: TimestampType::LogAppendTime,
                timestamp_before_max_ms: 10,
                ..rules()
            },
        };
        let (result, allocated) = allocated_by(|| validate_produce(&mut records, &rules));
        // An LZ4 frame may ask for a block of 8 MiB; a gigabyte cannot come out of a kilobyte.
        assert!(allocated <= (48 << 20) + 4_000 * input.len(), "allocated {allocated}");
        let Ok(validated) = result else { return };
        let mut written = validated.replacement.unwrap_or_else(|| records[..validated.size_bytes].to_vec());
        let (batch, rest) = Batch::split_first(&written).expect("a whole batch");
        assert!(rest.is_empty() && batch.crc_matches());
        assert_eq!(BatchSummary::of(batch), Ok(validated.summary));
        assert_eq!(batch.record_count(), batch.last_offset_delta() + 1);
        if rules.timestamp_type == TimestampType::CreateTime {
            let before = written.clone();
            let again = validate_produce(&mut written, &rules).expect("accepted again");
            assert_eq!((again.replacement, written), (None, before));
        }
    });
}
