//! Looking records up by their time.

use super::*;
use crate::log::by_time::{FoundByTime, TimeLimits};
use crate::protocol::batch::Compression;
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};

fn batch_at(timestamps: &[i64], compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchHeader { compression, ..BatchHeader::default() });
    for timestamp in timestamps {
        builder.push(&NewRecord {
            timestamp: Timestamp(*timestamp),
            key: None,
            value: Some(b"v"),
            headers: &[],
        });
    }
    builder.build()
}

fn limits(end: i64) -> TimeLimits {
    TimeLimits { up_to: Offset(end), max_decompressed_bytes: 1 << 20 }
}

fn found(timestamp: i64, offset: i64) -> Option<FoundByTime> {
    Some(FoundByTime {
        timestamp: Timestamp(timestamp),
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(1),
    })
}

#[test]
fn a_record_is_found_exactly_inside_its_batch_with_every_codec() {
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for codec in codecs {
        let partition = Partition::new();
        let mut log = partition.open_after_clean_stop();
        append(&mut log, &batch_at(&[100, 300, 200], codec)).expect("append");
        append(&mut log, &batch_at(&[250, 400], codec)).expect("append");
        let view = log.view();
        let at = |target, end| view.offset_for_time(Timestamp(target), limits(end)).expect("search");
        assert_eq!(at(0, 5), found(100, 0));
        assert_eq!(at(101, 5), found(300, 1));
        assert_eq!(at(300, 5), found(300, 1));
        assert_eq!(at(301, 5), found(400, 4));
        assert_eq!(at(401, 5), None);
        assert_eq!(at(301, 3), None, "behind the bound");
        assert_eq!(view.max_timestamp(limits(5)).expect("search"), found(400, 4));
        assert_eq!(view.max_timestamp(limits(3)).expect("search"), None);
        log.set_log_start_offset(Offset(2)).expect("move the log start");
        let at = |target| view.offset_for_time(Timestamp(target), limits(5)).expect("search");
        assert_eq!(at(0), found(200, 2), "deleted records are not found");
    }
}

#[test]
fn a_batch_too_large_to_look_into_is_answered_by_its_start() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &batch_at(&[100, 300], Compression::Gzip)).expect("append");
    let limits = TimeLimits { up_to: Offset(2), max_decompressed_bytes: 3 };
    assert_eq!(log.view().offset_for_time(Timestamp(300), limits).expect("search"), found(300, 0));
}

#[test]
fn a_search_agrees_with_a_scan_over_segments_restarts_and_lost_indexes() {
    let partition = Partition::with(TopicConfig {
        segment_bytes: 900,
        index_interval_bytes: 150,
        ..Partition::new().config
    });
    let mut log = partition.open_after_clean_stop();
    let mut random = fastrand::Rng::with_seed(5);
    let mut records = Vec::new();
    for index in 0..80 {
        let timestamps: Vec<i64> =
            (0..random.usize(1..5)).map(|_| 1000 + index * 10 + random.i64(-60..60)).collect();
        records.extend(&timestamps);
        append(&mut log, &batch_at(&timestamps, Compression::None)).expect("append");
    }
    let check = |log: &Log| {
        for target in 900..1900 {
            let expected = records.iter().position(|timestamp| *timestamp >= target);
            let expected = expected.and_then(|offset| found(records[offset], offset as i64));
            let end = log.log_end_offset().0;
            let answered = log.view().offset_for_time(Timestamp(target), limits(end)).expect("search");
            assert_eq!(answered, expected, "target {target}");
        }
    };
    check(&log);
    log.close().expect("close");
    check(&partition.open_after_clean_stop());
    for name in partition.names().iter().filter(|name| name.ends_with("index")) {
        std::fs::remove_file(partition.path(name)).expect("remove");
    }
    check(&partition.open_after_clean_stop());
    check(&partition.open_after_crash().expect("open"));
}
