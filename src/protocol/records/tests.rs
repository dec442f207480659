use super::*;

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
