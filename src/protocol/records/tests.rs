use super::*;
use crate::fuzz::smoke;
use crate::protocol::summary::{BatchSummary, ControlType, EndTransactionMarker};

/// A batch that Apache Kafka has written.
fn java_batch(name: &str) -> Vec<u8> {
    let line = include_str!("java-batches.txt")
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no batch {name}"));
    (0..line.len() / 2)
        .map(|index| u8::from_str_radix(&line[2 * index..2 * index + 2], 16).unwrap())
        .collect()
}

fn like_java(compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchHeader {
        leader_epoch: LeaderEpoch(5),
        compression,
        transactional: true,
        producer_id: ProducerId(77),
        producer_epoch: ProducerEpoch(2),
        base_sequence: 40,
        ..BatchHeader::default()
    });
    builder.push(&NewRecord {
        timestamp: Timestamp(1_700_000_000_000),
        key: Some(b"key"),
        value: Some(b"a value that repeats, repeats, repeats, repeats, repeats"),
        headers: &[(b"h", Some(b"1")), (b"h", None)],
    });
    builder.push(&NewRecord {
        timestamp: Timestamp(1_700_000_000_005),
        value: Some(b""),
        ..NewRecord::default()
    });
    builder.push(&NewRecord {
        timestamp: Timestamp(1_699_999_999_990),
        key: Some(b""),
        ..NewRecord::default()
    });
    builder.build()
}

#[test]
fn an_uncompressed_batch_is_what_java_writes() {
    assert_eq!(like_java(Compression::None), java_batch("none"));
}

#[test]
fn every_codec_of_java_is_read() {
    let plain = like_java(Compression::None);
    let (plain, _) = Batch::split_first(&plain).unwrap();
    for name in ["gzip", "snappy", "lz4", "zstd"] {
        let bytes = java_batch(name);
        let (batch, rest) = Batch::split_first(&bytes).unwrap();
        assert!(rest.is_empty() && batch.crc_matches(), "{name}");
        let codec = batch.compression().unwrap();
        let records = compression::decompress(codec, batch.records(), 1_000);
        assert_eq!(records.as_deref(), Ok(plain.records()), "{name}");
        assert_eq!(BatchSummary::of(batch), BatchSummary::of(plain), "{name}");
    }
}

#[test]
fn a_marker_of_java_is_read() {
    let bytes = java_batch("marker");
    let (batch, _) = Batch::split_first(&bytes).unwrap();
    let summary = BatchSummary::of(batch).unwrap();
    let marker = EndTransactionMarker {
        control_type: ControlType::Abort,
        coordinator_epoch: 9,
        timestamp: Timestamp(1234),
    };
    assert_eq!(summary.marker, Some(marker));
    assert!(summary.is_control && summary.is_transactional);
    assert_eq!((summary.base_offset, summary.last_offset()), (Offset(10), Offset(10)));
}

/// Both readers of records must agree, or a rule could be passed by one and broken for the other.
#[test]
fn the_stream_sees_what_the_iterator_sees() {
    let mut corpus = Vec::new();
    for bytes in [sample(BatchHeader::default()), java_batch("none"), java_batch("marker")] {
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        let mut input = vec![batch.record_count() as u8];
        input.extend_from_slice(batch.records());
        corpus.push(input);
    }
    smoke("records/stream", &corpus, 100_000, |input| {
        let Some((count, records)) = input.split_first() else { return };
        let count = i32::from(*count);
        let read: Vec<_> =
            RecordIter::new(records, count).map(|record| record.map(|it| it.shape())).collect();
        let streamed: Vec<_> = RecordStream::new(records, count, usize::MAX, usize::MAX).collect();
        assert_eq!(read.len(), streamed.len());
        for (read, streamed) in read.iter().zip(&streamed) {
            assert_eq!(read.as_ref().ok(), streamed.as_ref().ok());
        }
    });
}

#[test]
fn the_stream_refuses_records_that_are_too_large() {
    let bytes = sample(BatchHeader::default());
    let (batch, _) = Batch::split_first(&bytes).unwrap();
    let stream = |largest, most| {
        let last = RecordStream::new(batch.records(), 3, largest, most).last();
        last.unwrap().err()
    };
    assert_eq!(stream(1_000, 1_000), None);
    assert_eq!(stream(20, 1_000), Some(RecordError::TooLarge));
    assert_eq!(stream(1_000, 30), Some(RecordError::TooLarge));
}

fn sample(header: BatchHeader) -> Vec<u8> {
    let mut builder = BatchBuilder::new(header);
    builder.push(&NewRecord {
        timestamp: Timestamp(1_700_000_000_000),
        key: Some(b"key"),
        value: Some(b"value"),
        headers: &[(b"a", Some(b"1")), (b"a", None), (b"", Some(b""))],
    });
    builder.push(&NewRecord { timestamp: Timestamp(1_699_999_999_000), ..NewRecord::default() });
    builder.push(&NewRecord {
        timestamp: Timestamp(1_700_000_000_500),
        key: Some(b""),
        ..NewRecord::default()
    });
    builder.build()
}

#[test]
fn records_are_read_as_written() {
    let bytes = sample(BatchHeader { base_offset: Offset(10), ..BatchHeader::default() });
    let (batch, rest) = Batch::split_first(&bytes).unwrap();
    assert!(rest.is_empty() && batch.crc_matches());
    assert_eq!((batch.record_count(), batch.last_offset()), (3, Offset(12)));
    assert_eq!(batch.first_timestamp(), Timestamp(1_700_000_000_000));
    assert_eq!(batch.max_timestamp(), Timestamp(1_700_000_000_500));
    let records: Vec<Record<'_>> = RecordIter::of(batch).map(Result::unwrap).collect();
    assert_eq!(records[0].key, Some(b"key".as_slice()));
    let headers: Vec<_> = records[0].headers.collect();
    assert_eq!(headers, [(b"a".as_slice(), Some(b"1".as_slice())), (b"a", None), (b"", Some(b""))]);
    assert_eq!((records[1].timestamp_delta, records[1].offset_delta), (-1000, 1));
    assert_eq!((records[1].key, records[1].value), (None, None));
    assert_eq!((records[2].key, records[2].value), (Some(b"".as_slice()), None));
}

#[test]
fn compressed_batches_hold_the_same_records() {
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bytes = sample(BatchHeader { compression, ..BatchHeader::default() });
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        assert!(batch.crc_matches());
        assert_eq!(batch.compression(), Some(compression));
        let plain = compression::decompress(compression, batch.records(), 1000).unwrap();
        assert_eq!(RecordIter::new(&plain, 3).filter(Result::is_ok).count(), 3);
    }
}

#[test]
fn a_record_read_is_written_again_byte_for_byte() {
    let bytes = sample(BatchHeader::default());
    let (batch, _) = Batch::split_first(&bytes).unwrap();
    let mut builder = BatchBuilder::new(BatchHeader::of(batch));
    for record in RecordIter::of(batch) {
        let record = record.unwrap();
        let timestamp = Timestamp(batch.first_timestamp().0 + record.timestamp_delta);
        builder.push_record(record.offset_delta, timestamp, &record);
    }
    assert_eq!(builder.build(), bytes);
}

#[test]
fn records_cut_anywhere_are_refused() {
    let bytes = sample(BatchHeader::default());
    let (batch, _) = Batch::split_first(&bytes).unwrap();
    let records = batch.records();
    for end in 0..records.len() {
        let last = RecordIter::new(&records[..end], 3).last();
        assert!(matches!(last, Some(Err(_))), "cut at {end}");
    }
}

#[test]
fn the_count_must_be_met_exactly() {
    let bytes = sample(BatchHeader::default());
    let (batch, _) = Batch::split_first(&bytes).unwrap();
    let outcome = |count| RecordIter::new(batch.records(), count).last().unwrap().err();
    assert_eq!(outcome(2), Some(RecordError::TrailingBytes));
    assert_eq!(outcome(3), None);
    assert_eq!(outcome(4), Some(RecordError::Truncated));
}

#[test]
fn any_changed_byte_gives_records_or_an_error() {
    let bytes = sample(BatchHeader::default());
    let (batch, _) = Batch::split_first(&bytes).unwrap();
    for position in 0..batch.records().len() {
        for value in [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff] {
            let mut records = batch.records().to_vec();
            records[position] = value;
            for record in RecordIter::new(&records, 3).flatten() {
                let _ = record.headers.count();
            }
        }
    }
}

#[test]
fn lying_header_counts_are_refused() {
    // attributes, timestamp delta, offset delta, key, value, 2^31-1 headers.
    let body = [0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
    let mut record = vec![20];
    record.extend_from_slice(&body);
    let result = RecordIter::new(&record, 1).next().unwrap();
    assert_eq!(result.err(), Some(RecordError::BadHeaders));
}

#[test]
fn varints_are_read_as_written() {
    for value in [0, -1, 1, 63, -64, 64, i64::from(i32::MAX), i64::from(i32::MIN)] {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value);
        assert_eq!(bytes.len(), varint_size(value));
        assert_eq!(read_varint(&mut bytes.as_slice()), Ok(value as i32));
        assert_eq!(read_varlong(&mut bytes.as_slice()), Ok(value));
    }
    for value in [i64::MAX, i64::MIN] {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value);
        assert_eq!(read_varlong(&mut bytes.as_slice()), Ok(value));
        assert_eq!(read_varint(&mut bytes.as_slice()), Err(RecordError::BadVarint));
    }
    assert_eq!(read_varlong(&mut [0xff; 11].as_slice()), Err(RecordError::BadVarint));
}
