//! Disks that are full or broken, and file descriptors that run out.

use rustix::io::Errno;

use super::compaction::{end_transaction, transactional};
use super::*;
use crate::env::faults::{Operation, on};
use crate::protocol::summary::ControlType;

#[test]
fn a_full_disk_refuses_the_append_and_space_brings_it_back() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &batch(1, 100, 5, 0)).expect("append");
    for written_size in [0, 1, 80, 160] {
        let full = on(Operation::Write, &partition.directory(), Errno::NOSPC).writing(written_size).inject();
        let refused = append(&mut log, &batch(1, 100, 6, 0));
        assert!(matches!(refused, Err(AppendError::NoSpace(_))), "{refused:?}");
        assert_eq!(offsets_from(&log.view(), Offset(0), log.log_end_offset()).len(), 1, "reads go on");
        let size = std::fs::metadata(partition.path("00000000000000000000.log")).expect("stat").len();
        assert_eq!(size, log.view().size_bytes(), "what was written is cut off again");
        drop(full);
    }
    assert_eq!(append(&mut log, &batch(1, 100, 6, 0)).expect("append").first_offset, Offset(1));
    drop(log);
    assert_eq!(partition.open_after_crash().expect("open").log_end_offset(), Offset(2));
}

#[test]
fn a_failed_write_fails_the_log_and_recovery_finds_the_whole_batches() {
    let partition = Partition::new();
    for written_size in [0, 70, 161] {
        let mut log = partition.open_after_crash().expect("open");
        let end = log.log_end_offset();
        append(&mut log, &batch(1, 100, 5, 0)).expect("append");
        let broken = on(Operation::Write, &partition.directory(), Errno::IO).writing(written_size).inject();
        assert!(matches!(append(&mut log, &batch(1, 100, 6, 0)), Err(AppendError::Failed(_))));
        drop(broken);
        assert!(log.is_failed());
        assert!(
            matches!(append(&mut log, &batch(1, 100, 6, 0)), Err(AppendError::Failed(_))),
            "it stays failed"
        );
        assert_eq!(log.log_end_offset(), end + 1);
        log.close().expect_err("a failed log is not closed in order");
        // The failed write may have reached the disk whole, but here its remains are cut off at once.
        assert_eq!(partition.open_after_crash().expect("open").log_end_offset(), end + 1);
    }
}

#[test]
fn a_full_disk_that_cannot_even_be_cut_fails_the_log() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &batch(1, 100, 5, 0)).expect("append");
    let _full = on(Operation::Write, &partition.directory(), Errno::NOSPC).writing(9).inject();
    let _broken = on(Operation::Truncate, &partition.directory(), Errno::IO).inject();
    assert!(matches!(append(&mut log, &batch(1, 100, 6, 0)), Err(AppendError::Failed(_))));
    assert!(log.is_failed());
}

#[test]
fn a_roll_without_space_refuses_the_append_only() {
    let partition = Partition::with(TopicConfig { segment_bytes: 1000, ..Partition::new().config });
    let mut log = partition.open_after_clean_stop();
    for _ in 0..6 {
        append(&mut log, &batch(1, 100, 5, 0)).expect("append");
    }
    for errno in [Errno::NOSPC, Errno::MFILE] {
        let full = on(Operation::Open, &partition.directory(), errno).inject();
        assert!(matches!(append(&mut log, &batch(1, 100, 5, 0)), Err(AppendError::NoSpace(_))));
        drop(full);
        assert_eq!(log.view().segment_count(), 1);
    }
    assert!(append(&mut log, &batch(1, 100, 5, 0)).expect("append").has_rolled);
    assert_eq!(offsets_from(&log.view(), Offset(0), Offset(7)).len(), 7);
}

#[test]
fn a_roll_whose_indexes_find_no_space_still_rolls() {
    let partition = Partition::with(TopicConfig { segment_bytes: 1000, ..Partition::new().config });
    let mut log = partition.open_after_clean_stop();
    for _ in 0..6 {
        append(&mut log, &batch(1, 100, 5, 0)).expect("append");
    }
    let index = partition.path("00000000000000000000.index");
    let full = on(Operation::Write, &index, Errno::NOSPC).inject();
    assert!(append(&mut log, &batch(1, 100, 5, 0)).expect("append").has_rolled);
    drop(full);
    assert_eq!(std::fs::metadata(&index).expect("made with the segment").len(), 0);
    assert_eq!(offsets_from(&log.view(), Offset(0), Offset(7)).len(), 7);
    drop(log);
    let log = partition.open_after_crash().expect("open");
    assert_eq!(offsets_from(&log.view(), Offset(0), Offset(7)).len(), 7);
}

#[test]
fn a_first_append_without_space_leaves_an_empty_log() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    for after in 0..2 {
        let full = on(Operation::Open, &partition.directory(), Errno::NOSPC).after(after).inject();
        assert!(matches!(append(&mut log, &batch(1, 100, 5, 0)), Err(AppendError::NoSpace(_))));
        drop(full);
        assert_eq!(partition.open_after_crash().expect("open").log_end_offset(), Offset(0));
    }
    append(&mut log, &batch(1, 100, 5, 0)).expect("append");
}

#[test]
fn a_flush_that_fails_is_told() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &batch(1, 100, 5, 0)).expect("append");
    let ticket = log.unflushed();
    assert!(!ticket.is_empty());
    let broken = on(Operation::Sync, &partition.directory(), Errno::IO).times(1).inject();
    ticket.flush().expect_err("the disk said no");
    drop(broken);
    assert_eq!(log.recovery_point(), Offset(0));
    let ticket = log.unflushed();
    ticket.flush().expect("flush");
    log.mark_flushed(&ticket);
    assert_eq!(log.recovery_point(), Offset(1));
    assert!(log.unflushed().is_empty());
}

#[test]
fn a_ticket_from_before_a_truncation_marks_nothing() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &batch(5, 100, 5, 0)).expect("append");
    append(&mut log, &batch(5, 100, 5, 0)).expect("append");
    let ticket = log.unflushed();
    ticket.flush().expect("flush");
    log.truncate_to(Offset(5), NOW).expect("truncate");
    append(&mut log, &batch(5, 100, 5, 1)).expect("append");
    log.mark_flushed(&ticket);
    assert_eq!(log.recovery_point(), Offset(0));
}

#[test]
fn few_descriptors_serve_many_segments() {
    let mut partition = Partition::with(TopicConfig { segment_bytes: 1000, ..Partition::new().config });
    partition.files = FileCache::new(3);
    let mut log = partition.open_after_clean_stop();
    for index in 0..100 {
        append(&mut log, &batch(1, 100, 1000 + index, 0)).expect("append");
    }
    assert!(log.view().segment_count() > 10);
    for _ in 0..3 {
        assert_eq!(offsets_from(&log.view(), Offset(0), Offset(100)).len(), 100);
        assert!(partition.files.open_count() <= 4, "{}", partition.files.open_count());
    }
    append(&mut log, &batch(1, 100, 5000, 0)).expect("append");
    log.close().expect("close");
    let log = partition.open_after_clean_stop();
    assert_eq!(offsets_from(&log.view(), Offset(0), Offset(101)).len(), 101);
}

/// A log that rolls with the next append, whose only segment holds an aborted transaction.
fn with_an_aborted_transaction() -> (Partition, Log) {
    let partition = Partition::with(TopicConfig { segment_bytes: 1000, ..Partition::new().config });
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &transactional(5, 0, "key", "aborted")).expect("append");
    end_transaction(&mut log, 5, ControlType::Abort);
    append(&mut log, &batch(1, 700, NOW.0, 0)).expect("append");
    (partition, log)
}

fn aborted_count(log: &Log) -> usize {
    log.view().aborted_transactions(Offset(0), log.log_end_offset()).expect("read").len()
}

#[test]
fn a_transaction_index_without_space_is_written_by_a_later_flush() {
    for index in [".txnindex", ".index", ".timeindex"] {
        let (partition, mut log) = with_an_aborted_transaction();
        let full =
            on(Operation::Open, &partition.path(&format!("00000000000000000000{index}.tmp")), Errno::NOSPC)
                .inject();
        assert!(append(&mut log, &batch(1, 700, NOW.0, 0)).expect("append").has_rolled);
        let ticket = log.unflushed();
        ticket.flush().expect("flush");
        assert_eq!(ticket.up_to(), Offset(4), "the records themselves are on disk");
        log.mark_flushed(&ticket);
        assert_eq!(log.recovery_point(), Offset(0), "{index}: a crash would lose what was aborted");
        drop(full);
        let ticket = log.unflushed_sealed();
        ticket.flush().expect("flush");
        log.mark_flushed(&ticket);
        assert_eq!(log.recovery_point(), Offset(3));
        drop(log);
        let options = OpenOptions { recovery_point: Offset(3), ..partition.options() };
        assert_eq!(aborted_count(&Log::open(options, NOW).expect("open")), 1);
    }
}

#[test]
fn a_transaction_index_without_space_is_written_by_a_clean_stop() {
    let (partition, mut log) = with_an_aborted_transaction();
    let path = partition.path("00000000000000000000.txnindex.tmp");
    let full = on(Operation::Open, &path, Errno::NOSPC).inject();
    assert!(append(&mut log, &batch(1, 700, NOW.0, 0)).expect("append").has_rolled);
    log.close().expect_err("no start could trust these files");
    drop(full);
    let mut log = partition.open_after_crash().expect("open");
    assert_eq!(aborted_count(&log), 1);
    append(&mut log, &transactional(6, 0, "key", "aborted")).expect("append");
    end_transaction(&mut log, 6, ControlType::Abort);
    let full =
        on(Operation::Open, &partition.path("00000000000000000003.txnindex.tmp"), Errno::NOSPC).inject();
    assert!(append(&mut log, &batch(1, 700, NOW.0, 0)).expect("append").has_rolled);
    drop(full);
    log.close().expect("close");
    assert_eq!(aborted_count(&partition.open_after_clean_stop()), 2);
}

#[test]
fn a_flush_does_not_move_the_recovery_point_into_a_segment_with_aborted_transactions() {
    let (partition, mut log) = with_an_aborted_transaction();
    let ticket = log.unflushed();
    ticket.flush().expect("flush");
    log.mark_flushed(&ticket);
    assert_eq!(log.recovery_point(), Offset(0));
    let path = partition.path("00000000000000000000.txnindex.tmp");
    let full = on(Operation::Open, &path, Errno::NOSPC).inject();
    assert!(append(&mut log, &batch(1, 700, NOW.0, 0)).expect("append").has_rolled);
    let options = OpenOptions { recovery_point: log.recovery_point(), ..partition.options() };
    drop((log, full));
    assert_eq!(aborted_count(&Log::open(options, NOW).expect("open")), 1);
}

#[test]
fn a_transaction_index_that_fails_to_sync_fails_the_flush() {
    let suffix = "00000000000000000000.txnindex";
    for operation in [Operation::Open, Operation::Sync] {
        let (partition, mut log) = with_an_aborted_transaction();
        append(&mut log, &batch(1, 700, NOW.0, 0)).expect("append");
        let ticket = log.unflushed_sealed();
        let broken = on(operation, &partition.path(suffix), Errno::IO).inject();
        ticket.flush().expect_err("the disk said no");
        drop(broken);
        ticket.flush().expect("flush");
    }
}
