//! Segments that go by time, by size and with the log start; deletion of the whole log.

use super::*;
use crate::log::read::ReadError;

/// Ten segments of two batches; the batches of segment `n` are `n` seconds old at `NOW` minus ten seconds.
fn ten_segments(config: TopicConfig) -> (Partition, Log) {
    let partition = Partition::with(TopicConfig { segment_bytes: 340, ..config });
    let mut log = partition.open_after_clean_stop();
    for index in 0..10 {
        for _ in 0..2 {
            let timestamp = NOW.0 - 10_000 + index * 1000;
            append(&mut log, &batch(5, 100, timestamp, 0)).expect("append");
        }
    }
    assert_eq!(log.view().segment_count(), 10);
    (partition, log)
}

fn forever() -> TopicConfig {
    TopicConfig { retention_ms: -1, retention_bytes: -1, file_delete_delay_ms: 500, ..TopicConfig::default() }
}

#[test]
fn old_segments_go_but_never_at_or_above_the_high_watermark() {
    let (partition, mut log) = ten_segments(TopicConfig { retention_ms: 7000, ..forever() });
    let removed = log.apply_retention(Offset(15), NOW).expect("apply retention");
    assert_eq!(removed.len(), 1, "the second segment reaches beyond the high watermark");
    assert_eq!(log.log_start_offset(), Offset(10));
    let removed = log.apply_retention(Offset(100), NOW).expect("apply retention");
    assert_eq!(removed.len(), 2);
    assert_eq!(log.log_start_offset(), Offset(30));
    assert_eq!(removed[0].remove_at, Timestamp(NOW.0 + 500));
    let deleted =
        |partition: &Partition| partition.names().iter().filter(|name| name.ends_with(".deleted")).count();
    assert!(deleted(&partition) >= 6);
    removed.iter().for_each(|segment| segment.remove_files().expect("remove"));
    let out_of_range = log.view().read(Offset(29), up_to(Offset(100)));
    assert!(matches!(out_of_range, Err(ReadError::OffsetOutOfRange { .. })));
    assert_eq!(offsets_from(&log.view(), Offset(30), Offset(100)).len(), 14);
    drop(log);
    let log = partition.open_after_crash().expect("open");
    assert_eq!(log.log_start_offset(), Offset(30), "the files tell the start");
    assert_eq!(deleted(&partition), 0);
}

#[test]
fn an_expired_log_keeps_an_empty_segment_that_remembers_the_end() {
    let (partition, mut log) = ten_segments(TopicConfig { retention_ms: 100, ..forever() });
    let removed = log.apply_retention(Offset(100), NOW).expect("apply retention");
    assert_eq!(removed.len(), 10);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(100), Offset(100)));
    assert!(log.apply_retention(Offset(100), NOW).expect("apply retention").is_empty());
    assert_eq!(log.view().size_bytes(), 0);
    for clean_shutdown in [false, true] {
        let epochs = log.epochs().clone();
        assert_eq!(epochs.to_text(), "0\n1\n1 100\n");
        log.close().expect("close");
        log = Log::open(OpenOptions { clean_shutdown, ..partition.options() }, NOW).expect("open");
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(100), Offset(100)));
        assert_eq!(log.epochs(), &epochs);
    }
    assert_eq!(append(&mut log, &batch(1, 5, 5, 0)).expect("append").first_offset, Offset(100));
}

#[test]
fn a_log_shrinks_to_its_size_and_not_below() {
    let (_partition, mut log) = ten_segments(TopicConfig { retention_bytes: 1000, ..forever() });
    let removed = log.apply_retention(Offset(100), NOW).expect("apply retention");
    assert_eq!(removed.len(), 6, "ten segments of 322 bytes; the next one to go would leave fewer than 1000");
    assert_eq!(log.view().size_bytes(), 4 * 322);
}

#[test]
fn deleted_records_take_whole_segments_with_them_under_any_policy() {
    let config = TopicConfig { cleanup_delete: false, cleanup_compact: true, ..forever() };
    let (partition, mut log) = ten_segments(config);
    assert!(log.apply_retention(Offset(100), NOW).expect("apply retention").is_empty());
    log.set_log_start_offset(Offset(37)).expect("delete records");
    assert!(log.set_log_start_offset(Offset(101)).is_err());
    assert_eq!(log.epochs().to_text(), "0\n1\n1 37\n");
    assert!(matches!(
        log.view().read(Offset(36), up_to(Offset(100))),
        Err(ReadError::OffsetOutOfRange { .. })
    ));
    let removed = log.apply_retention(Offset(100), NOW).expect("apply retention");
    assert_eq!(removed.iter().map(|segment| segment.base_offset.0).collect::<Vec<_>>(), [0, 10, 20]);
    assert_eq!(log.log_start_offset(), Offset(37));
    drop(log);
    let options = OpenOptions { log_start_offset: Offset(37), ..partition.options() };
    let log = Log::open(options, NOW).expect("open");
    assert_eq!(log.log_start_offset(), Offset(37));
    assert_eq!(offsets_from(&log.view(), Offset(37), Offset(100)).first(), Some(&(35, 40)));
}

#[test]
fn a_reader_keeps_what_it_has_found() {
    let (_partition, mut log) = ten_segments(TopicConfig { retention_ms: 100, ..forever() });
    let region = log.view().read(Offset(0), up_to(Offset(100))).expect("read").expect("records");
    for removed in log.apply_retention(Offset(100), NOW).expect("apply retention") {
        removed.remove_files().expect("remove");
    }
    let mut bytes = vec![0; region.size_bytes];
    region.file.read_exact_at(&mut bytes, region.position).expect("the file is held open");
    assert!(Batch::split_first(&bytes).expect("a batch").0.crc_matches());
}

#[test]
fn a_deleted_log_is_renamed_at_once_and_its_readers_are_told() {
    let (partition, log) = ten_segments(forever());
    let view = log.view();
    let removed = log.delete("0123456789abcdef", NOW).expect("delete").expect("it has files");
    assert_eq!(removed.path, partition.root.path().join("topic-0.0123456789abcdef-delete"));
    assert_eq!(removed.remove_at, Timestamp(NOW.0 + 500));
    assert!(!partition.directory().exists());
    assert!(removed.path.exists());
    crate::env::fs::remove_directory(&removed.path).expect("remove");
    // Open files may still be read; nothing is found anew.
    for from in [0, 50, 99] {
        match view.read(Offset(from), up_to(Offset(100))) {
            Ok(_) | Err(ReadError::Deleted) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let again = partition.open_after_clean_stop();
    assert_eq!(again.log_end_offset(), Offset(0));
}

#[test]
fn truncation_forgets_records_epochs_and_producers() {
    let (partition, mut log) = ten_segments(forever());
    let mut bytes = batch(5, 100, NOW.0, 0);
    log.append_as_leader(&mut bytes, LeaderEpoch(4), Origin::Client(Verification::Off), NOW).expect("append");
    log.truncate_to(Offset(100), NOW).expect("truncate");
    assert_eq!(log.epochs().latest().map(|entry| entry.epoch), Some(LeaderEpoch(1)));
    log.truncate_to(Offset(45), NOW).expect("truncate");
    assert_eq!(log.log_end_offset(), Offset(45));
    assert_eq!(log.view().segment_count(), 5);
    assert_eq!(offsets_from(&log.view(), Offset(0), Offset(45)).len(), 9);
    drop(log);
    let mut log = partition.open_after_crash().expect("open");
    assert_eq!(log.log_end_offset(), Offset(45));
    log.truncate_fully_and_start_at(Offset(1000), NOW).expect("start over");
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(1000), Offset(1000)));
    drop(log);
    let log = partition.open_after_crash().expect("open");
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(1000), Offset(1000)));
}
