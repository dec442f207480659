//! A process that dies in the middle of a round: whichever file operation is its last, the next start finds every key.

use rustix::io::Errno;

use super::*;
use crate::env::faults::{Operation, on};

/// A log with something to clean in several groups, transactions included.
fn write_history() -> (Partition, Log) {
    let partition = Partition::with(TopicConfig { segment_bytes: 400, ..compacted() });
    let mut log = partition.open_after_clean_stop();
    for index in 0..12 {
        put(&mut log, &format!("key {}", index % 4), Some(&format!("value {index}")));
        if index % 4 == 0 {
            let producer = 100 + index;
            append(&mut log, &transactional(producer, 0, "key 1", "aborted")).expect("append");
            end_transaction(&mut log, producer, ControlType::Abort);
        }
        put(&mut log, &format!("only {index}"), Some("once"));
    }
    put(&mut log, "key 2", None);
    let filler = "x".repeat(250);
    put(&mut log, "filler", Some(&filler));
    put(&mut log, "filler", Some(&filler));
    (partition, log)
}

/// What a read_committed reader ends up with.
fn committed_table(log: &Log) -> BTreeMap<String, String> {
    let end = log.log_end_offset();
    let aborted = log.view().aborted_transactions(Offset(0), end).expect("read");
    let mut table = BTreeMap::new();
    for (offset, key, value) in contents(log) {
        // Every transaction of this history is one record, and its own producer's.
        if aborted.iter().any(|transaction| transaction.first_offset == Offset(offset)) {
            continue;
        }
        match value {
            Some(value) => drop(table.insert(key, value)),
            None => drop(table.remove(&key)),
        }
    }
    table
}

fn check_reopened(partition: &Partition, expected: &BTreeMap<String, String>, end: Offset, context: &str) {
    let log = partition.open_after_crash().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(log.log_end_offset(), end, "{context}");
    assert_eq!(log.log_start_offset(), Offset(0), "{context}");
    assert_eq!(&committed_table(&log), expected, "{context}");
    let is_temporary =
        |name: &String| [".cleaned", ".swap", ".deleted"].iter().any(|end| name.ends_with(end));
    assert!(!partition.names().iter().any(is_temporary), "{context}: {:?}", partition.names());
    log.close().expect("close");
    let log = partition.open_after_clean_stop();
    assert_eq!(&committed_table(&log), expected, "{context}, opened once more");
}

#[test]
fn a_round_that_dies_at_any_operation_loses_nothing() {
    for operation in [
        Operation::Open,
        Operation::Read,
        Operation::Write,
        Operation::Sync,
        Operation::Truncate,
        Operation::Rename,
    ] {
        let mut is_through = false;
        // Reads are many and change nothing.
        let step = if operation == Operation::Read { 9 } else { 1 };
        for spared_count in (0..).step_by(step) {
            let (partition, mut log) = write_history();
            let (expected, end) = (committed_table(&log), log.log_end_offset());
            // Everything after the first fault fails, so that nothing is tidied up, as after a kill.
            let fault = on(operation, &partition.directory(), Errno::IO).after(spared_count).inject();
            let outcome = clean(&mut log, None, NOW);
            drop(fault);
            is_through = outcome.is_ok();
            let context = format!("{operation:?} after {spared_count}: {outcome:?}");
            if !log.is_failed() {
                assert_eq!(committed_table(&log), expected, "the log in use, {context}");
            }
            drop(log);
            check_reopened(&partition, &expected, end, &context);
            if is_through {
                break;
            }
        }
        assert!(is_through);
    }
}

#[test]
fn a_round_goes_on_after_a_fault_that_has_passed() {
    for operation in [Operation::Open, Operation::Write, Operation::Sync, Operation::Truncate] {
        for spared_count in (0..40).step_by(3) {
            let (partition, mut log) = write_history();
            let (expected, end) = (committed_table(&log), log.log_end_offset());
            let fault =
                on(operation, &partition.directory(), Errno::NOSPC).after(spared_count).times(1).inject();
            let first = clean(&mut log, None, NOW);
            drop(fault);
            assert!(!log.is_failed(), "a full disk stops no partition");
            let context = format!("{operation:?} after {spared_count}: {first:?}");
            clean(&mut log, None, NOW).expect("clean");
            assert_eq!(committed_table(&log), expected, "{context}");
            drop(log);
            check_reopened(&partition, &expected, end, &context);
        }
    }
}

/// Stages of a swap as a kill leaves them, and then a start that is killed as well.
#[test]
fn a_start_that_dies_while_it_completes_a_swap_is_completed_by_the_next() {
    for killed_after in 0.. {
        let (partition, mut log) = write_history();
        let (expected, end) = (committed_table(&log), log.log_end_offset());
        // Four renames make the files `.swap`; these are the ones after them.
        let fault = on(Operation::Rename, &partition.directory(), Errno::IO).after(4 + killed_after).inject();
        let outcome = clean(&mut log, None, NOW);
        drop((fault, log));
        for start_dies_after in 0.. {
            let fault =
                on(Operation::Rename, &partition.directory(), Errno::IO).after(start_dies_after).inject();
            let opened = partition.open_after_crash();
            drop(fault);
            if opened.is_ok() {
                break;
            }
        }
        check_reopened(&partition, &expected, end, &format!("killed after {killed_after}"));
        if outcome.is_ok() {
            break;
        }
    }
}

#[test]
fn leftovers_of_a_discarded_swap_are_no_swap() {
    let (partition, log) = write_history();
    let (expected, end) = (committed_table(&log), log.log_end_offset());
    let mut pace = |_| ControlFlow::Continue(());
    let found = dirt(&log, None, NOW);
    let mut round = Round::begin(log.compaction_source(), found, options(NOW), &mut pace).expect("begin");
    let group = round.next_group().expect("clean").expect("a group");
    let copies: Vec<(String, Vec<u8>)> = partition
        .names()
        .into_iter()
        .filter(|name| name.ends_with(".cleaned"))
        .map(|name| (name.replace(".cleaned", ".swap"), std::fs::read(partition.path(&name)).expect("read")))
        .collect();
    assert_eq!(copies.len(), 4, "{:?}", partition.names());
    group.discard().expect("discard");
    drop((round, log));
    // In the order in which they are discarded.
    let order = [".log.swap", ".txnindex.swap", ".timeindex.swap", ".index.swap"];
    for first_left in 1..order.len() {
        for (name, bytes) in copies.iter().filter(|(name, _)| {
            order[first_left..].iter().any(|end| {
                name.strip_suffix(end).is_some_and(|base| base.bytes().all(|byte| byte.is_ascii_digit()))
            })
        }) {
            std::fs::write(partition.path(name), bytes).expect("write");
        }
        check_reopened(&partition, &expected, end, &format!("left from {first_left}"));
    }
}

#[test]
fn a_swap_that_cannot_be_made_ready_leaves_no_swap() {
    for operation in [Operation::Rename, Operation::Sync] {
        for spared_count in 0.. {
            let (partition, mut log) = write_history();
            let before = contents(&log);
            let mut pace = |_| ControlFlow::Continue(());
            let found = dirt(&log, None, NOW);
            let mut round =
                Round::begin(log.compaction_source(), found, options(NOW), &mut pace).expect("begin");
            let group = round.next_group().expect("clean").expect("a group");
            let fault =
                on(operation, &partition.directory(), Errno::IO).after(spared_count).times(1).inject();
            let swapped = log.swap_in(&group, NOW);
            drop(fault);
            // Four renames and one sync make it ready.
            let is_making_ready = spared_count < if operation == Operation::Rename { 4 } else { 1 };
            if !is_making_ready {
                break;
            }
            assert!(matches!(swapped, Ok(Swapped::NotReady(_))), "{operation:?} after {spared_count}");
            assert!(!log.is_failed());
            assert_eq!(contents(&log), before);
            let is_left = |name: &String| name.ends_with(".swap") || name.ends_with(".cleaned");
            assert!(!partition.names().iter().any(is_left), "{:?}", partition.names());
        }
    }
}

#[test]
fn a_swap_file_that_cannot_be_read_replaces_nothing() {
    let (partition, log) = write_history();
    let (expected, end) = (committed_table(&log), log.log_end_offset());
    let mut pace = |_| ControlFlow::Continue(());
    let found = dirt(&log, None, NOW);
    let mut round = Round::begin(log.compaction_source(), found, options(NOW), &mut pace).expect("begin");
    round.next_group().expect("clean").expect("a group");
    drop((round, log));
    for name in partition.names().iter().filter(|name| name.ends_with(".cleaned")) {
        let swapped = name.replace(".cleaned", ".swap");
        std::fs::rename(partition.path(name), partition.path(&swapped)).expect("rename");
    }
    let names = partition.names();
    let swap = partition.path("00000000000000000000.log.swap");
    let whole = std::fs::read(&swap).expect("read");
    for operation in [Operation::Open, Operation::Read] {
        let broken = on(operation, &swap, Errno::IO).inject();
        assert!(matches!(partition.open_after_crash(), Err(OpenError::Io(_))));
        drop(broken);
        assert_eq!(partition.names(), names, "{operation:?}");
    }
    let mut damaged = whole.clone();
    damaged[16] = 77;
    for bytes in [&damaged, &whole[..whole.len() - 1]] {
        std::fs::write(&swap, bytes).expect("write");
        assert!(matches!(partition.open_after_crash(), Err(OpenError::Corrupt { .. })));
        assert_eq!(partition.names(), names);
    }
    std::fs::write(&swap, &whole).expect("write");
    check_reopened(&partition, &expected, end, "whole again");
}
