use super::*;
use crate::log::compaction::offset_map::MapLimits;
use crate::protocol::compression::Level;
use crate::protocol::ids::LeaderEpoch;
use crate::protocol::records::NewRecord;
use crate::protocol::summary::{ControlType, EndTransactionMarker};

const NOW: Timestamp = Timestamp(1_000_000);
const DELETE_RETENTION_MS: i64 = 5000;

/// `("k", Some("v"))` is a record, `("k", None)` a tombstone; they are a millisecond apart.
type Pair<'a> = (&'a str, Option<&'a str>);

fn header() -> BatchHeader {
    BatchHeader {
        base_offset: Offset(10),
        leader_epoch: LeaderEpoch(3),
        producer_id: ProducerId(77),
        producer_epoch: ProducerEpoch(2),
        base_sequence: 40,
        ..BatchHeader::default()
    }
}

fn build(header: BatchHeader, records: &[Pair<'_>]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(header);
    for (index, (key, value)) in records.iter().enumerate() {
        builder.push(&NewRecord {
            timestamp: Timestamp(5000 + index as i64),
            key: (!key.is_empty()).then_some(key.as_bytes()),
            value: value.map(str::as_bytes),
            headers: &[(b"h", Some(b"x"))],
        });
    }
    builder.build()
}

/// A log that has these keys at these offsets, and nothing else up to `latest`.
fn keys(newest: &[(&str, i64)], latest: i64) -> OffsetMap {
    let limits = MapLimits { memory_bytes: 1 << 20, load_factor: 0.9 };
    let mut map = OffsetMap::new(limits, 1000, [1, 2]);
    for (key, offset) in newest {
        assert!(map.put(key.as_bytes(), Offset(*offset)));
    }
    map.seen_to(Offset(latest));
    map
}

fn judge(batch: &[u8], keys: &OffsetMap, now: Timestamp) -> Retained {
    judge_with(batch, keys, now, &[], 1000).expect("a good batch")
}

fn judge_with(
    batch: &[u8],
    keys: &OffsetMap,
    now: Timestamp,
    producers: &[(i64, LastRecord)],
    up_to: i64,
) -> Result<Retained, RetainError> {
    let producers = producers.iter().map(|(id, last)| (ProducerId(*id), *last)).collect();
    let up_to = Offset(up_to);
    let rules = Rules { keys, producers: &producers, up_to, now, delete_retention_ms: DELETE_RETENTION_MS };
    let batch = Batch::split_first(batch).expect("whole").0;
    let summary = BatchSummary::of(batch).expect("a batch");
    retain(batch, &summary, &mut Transactions::default(), &rules).map(|(retained, _)| retained)
}

/// Offset, timestamp, key and value of each record.
fn records(bytes: &[u8]) -> Vec<(i64, i64, String, Option<String>)> {
    let batch = Batch::split_first(bytes).expect("whole").0;
    let records = uncompressed_records(batch).expect("decompress");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    RecordIter::new(&records, batch.record_count())
        .map(|record| {
            let record = record.expect("a record");
            assert_eq!(record.headers.count(), 1, "headers stay");
            (
                batch.base_offset().0 + i64::from(record.offset_delta),
                batch.first_timestamp().0 + record.timestamp_delta,
                record.key.map(text).unwrap_or_default(),
                record.value.map(text),
            )
        })
        .collect()
}

fn rewritten(retained: Retained) -> Vec<u8> {
    match retained {
        Retained::Rewritten(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn superseded_records_go_and_the_frame_stays() {
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for compression in codecs {
        let header = BatchHeader { compression, level: Level::DEFAULT, ..header() };
        let bytes = build(header, &[("a", Some("1")), ("b", Some("2")), ("a", Some("3")), ("c", Some("4"))]);
        let map = keys(&[("a", 12), ("b", 11), ("c", 500)], 600);
        let cleaned = rewritten(judge(&bytes, &map, NOW));
        let expected =
            [(11, 5001, "b".to_owned(), Some("2".to_owned())), (12, 5002, "a".into(), Some("3".into()))];
        assert_eq!(records(&cleaned), expected);
        let batch = Batch::split_first(&cleaned).expect("whole").0;
        assert!(batch.crc_matches());
        assert_eq!((batch.base_offset(), batch.last_offset()), (Offset(10), Offset(13)));
        assert_eq!((batch.producer_id(), batch.producer_epoch()), (ProducerId(77), ProducerEpoch(2)));
        assert_eq!((batch.base_sequence(), batch.last_sequence()), (40, 43));
        assert_eq!((batch.leader_epoch(), batch.compression()), (LeaderEpoch(3), Some(compression)));
        assert_eq!(batch.max_timestamp(), Timestamp(5002), "of the records that stay");
        assert_eq!(judge(&cleaned, &map, NOW), Retained::AsItIs, "there is nothing more to win");
    }
}

#[test]
fn log_append_time_stays_the_time_of_all_records() {
    let mut bytes = build(header(), &[("a", Some("1")), ("b", Some("2"))]);
    let mut batch = crate::protocol::batch::BatchMut::split_first(&mut bytes).expect("whole").0;
    batch.set_log_append_time(Timestamp(9000));
    batch.seal();
    let cleaned = rewritten(judge(&bytes, &keys(&[("a", 500)], 600), NOW));
    assert_eq!(records(&cleaned), [(11, 9000, "b".to_owned(), Some("2".to_owned()))]);
    let batch = Batch::split_first(&cleaned).expect("whole").0;
    assert_eq!(
        (batch.max_timestamp(), batch.timestamp_type()),
        (Timestamp(9000), TimestampType::LogAppendTime)
    );
}

#[test]
fn what_the_map_has_not_seen_stays() {
    let bytes = build(header(), &[("a", Some("1")), ("", Some("2")), ("b", None)]);
    let untouched = rewritten(judge(&bytes, &keys(&[("a", 500)], 9), NOW));
    assert_eq!(records(&untouched).len(), 3, "rewritten for the horizon of its tombstone only");
    let cleaned = rewritten(judge(&bytes, &keys(&[("a", 500)], 10), NOW));
    assert_eq!(records(&cleaned).iter().map(|record| record.0).collect::<Vec<_>>(), [11, 12]);
}

#[test]
fn a_record_without_a_key_goes() {
    let bytes = build(header(), &[("", Some("1")), ("b", Some("2"))]);
    let cleaned = rewritten(judge(&bytes, &keys(&[], 600), NOW));
    assert_eq!(records(&cleaned).iter().map(|record| record.0).collect::<Vec<_>>(), [11]);
}

/// KIP-534.
#[test]
fn a_tombstone_gets_a_horizon_and_goes_when_it_has_passed() {
    let bytes = build(header(), &[("a", Some("1")), ("b", None), ("c", Some("2"))]);
    let map = keys(&[("a", 10), ("b", 11), ("c", 12)], 600);
    let first = rewritten(judge(&bytes, &map, NOW));
    let batch = Batch::split_first(&first).expect("whole").0;
    assert!(batch.has_delete_horizon() && batch.crc_matches());
    assert_eq!(batch.first_timestamp(), Timestamp(NOW.0 + DELETE_RETENTION_MS));
    let times: Vec<i64> = records(&first).iter().map(|record| record.1).collect();
    assert_eq!(times, [5000, 5001, 5002], "the records keep their times");
    let before = Timestamp(NOW.0 + DELETE_RETENTION_MS - 1);
    assert_eq!(judge(&first, &map, before), Retained::AsItIs, "the horizon is set once");
    let second = rewritten(judge(&first, &map, Timestamp(NOW.0 + DELETE_RETENTION_MS)));
    let offsets: Vec<(i64, i64)> = records(&second).iter().map(|record| (record.0, record.1)).collect();
    assert_eq!(offsets, [(10, 5000), (12, 5002)]);
    assert!(Batch::split_first(&second).expect("whole").0.has_delete_horizon());
}

#[test]
fn a_batch_without_records_stays_for_its_producer_or_as_the_end_of_the_round() {
    let bytes = build(header(), &[("a", Some("1")), ("a", Some("2"))]);
    let map = keys(&[("a", 500)], 600);
    assert_eq!(judge(&bytes, &map, NOW), Retained::Nothing);
    let last_of_producer = |last| judge_with(&bytes, &map, NOW, &[(77, last)], 1000).expect("good");
    assert_eq!(last_of_producer(LastRecord::Data(Offset(10))), Retained::Nothing);
    assert_eq!(last_of_producer(LastRecord::Marker(ProducerEpoch(2))), Retained::Nothing, "it is no marker");
    let kept = rewritten(last_of_producer(LastRecord::Data(Offset(11))));
    assert_eq!(kept, rewritten(judge_with(&bytes, &map, NOW, &[], 12).expect("good")));
    let batch = Batch::split_first(&kept).expect("whole").0;
    assert!(batch.crc_matches());
    assert_eq!((batch.record_count(), batch.size()), (0, crate::protocol::batch::HEADER_SIZE));
    assert_eq!((batch.base_offset(), batch.last_offset()), (Offset(10), Offset(11)));
    assert_eq!((batch.producer_epoch(), batch.last_sequence()), (ProducerEpoch(2), 41));
    assert_eq!(batch.max_timestamp(), Timestamp(5001));
    assert_eq!(judge(&kept, &map, NOW), Retained::Nothing, "until its producer moves on");
}

fn marker(control_type: ControlType) -> Vec<u8> {
    let header = BatchHeader { transactional: true, control: true, base_sequence: -1, ..header() };
    let mut builder = BatchBuilder::new(header);
    let key = [0, 0, 0, control_type as u8];
    let record =
        NewRecord { timestamp: Timestamp(7000), key: Some(&key), value: Some(&[0; 6]), headers: &[] };
    builder.push(&record);
    builder.build()
}

#[test]
fn a_marker_goes_when_its_transaction_and_its_horizon_are_gone() {
    let map = keys(&[], 600);
    for control_type in [ControlType::Commit, ControlType::Abort] {
        let bytes = marker(control_type);
        let first = rewritten(judge(&bytes, &map, NOW));
        let batch = Batch::split_first(&first).expect("whole").0;
        assert!(batch.has_delete_horizon() && batch.is_control() && batch.is_transactional());
        let read = BatchSummary::of(batch).expect("a batch").marker;
        let timestamp = Timestamp(7000);
        assert_eq!(read, Some(EndTransactionMarker { control_type, coordinator_epoch: 0, timestamp }));
        let horizon = batch.first_timestamp();
        assert_eq!(judge(&first, &map, Timestamp(horizon.0 - 1)), Retained::AsItIs);
        assert_eq!(judge(&first, &map, horizon), Retained::Nothing);
        let last = [(77, LastRecord::Marker(ProducerEpoch(2)))];
        let kept = rewritten(judge_with(&first, &map, horizon, &last, 1000).expect("good"));
        let kept = Batch::split_first(&kept).expect("whole").0;
        assert!(kept.record_count() == 0 && kept.is_control(), "its epoch still fences");
    }
}

#[test]
fn a_marker_stays_as_long_as_its_transaction() {
    let map = keys(&[("a", 10)], 600);
    let data = build(BatchHeader { transactional: true, ..header() }, &[("a", Some("1"))]);
    let producers = HashMap::new();
    let rules =
        Rules { keys: &map, producers: &producers, up_to: Offset(1000), now: NOW, delete_retention_ms: 0 };
    let aborted = AbortedTransaction {
        producer_id: ProducerId(77),
        first_offset: Offset(10),
        last_offset: Offset(10),
        last_stable_offset: Offset(11),
    };
    for (is_aborted, control_type) in [(false, ControlType::Commit), (true, ControlType::Abort)] {
        let mut transactions = Transactions::default();
        if is_aborted {
            transactions.expect(&[aborted]);
        }
        let mut judge = |bytes: &[u8]| {
            let batch = Batch::split_first(bytes).expect("whole").0;
            let summary = BatchSummary::of(batch).expect("a batch");
            retain(batch, &summary, &mut transactions, &rules).expect("good")
        };
        let records = if is_aborted { Retained::Nothing } else { Retained::AsItIs };
        assert_eq!(judge(&data), (records, None));
        let still_known = is_aborted.then_some(aborted);
        assert_eq!(judge(&marker(control_type)), (Retained::AsItIs, still_known));
    }
}

#[test]
fn a_batch_that_lies_is_an_error_and_no_panic() {
    let good =
        build(BatchHeader { compression: Compression::Zstd, ..header() }, &[("a", Some("1")), ("b", None)]);
    let plain = build(header(), &[("a", Some("1")), ("b", Some("2")), ("a", Some("3"))]);
    let map = keys(&[("a", 12)], 600);
    for bytes in [good, plain] {
        for position in 21..bytes.len() {
            for bit in 0..8 {
                let mut lying = bytes.clone();
                lying[position] ^= 1 << bit;
                // The scan has checked the CRC; here it is as if somebody had sealed the lie.
                let Ok(batch) = Batch::split_first(&lying) else { continue };
                if batch.0.last_offset_delta() < 0 || BatchSummary::of(batch.0).is_err() {
                    continue;
                }
                drop(judge_with(&lying, &map, NOW, &[(77, LastRecord::Data(Offset(12)))], 1000));
            }
        }
    }
}
