//! Transactions in a log: what a read_committed consumer sees of random ones against a list, across segments, restarts and
//! lost indexes; and which batches may open one.

use std::collections::{BTreeMap, BTreeSet};

use rustix::io::Errno;

use super::compaction::transactional;
use super::*;
use crate::env::faults::{Operation, on};
use crate::log::segment::TXN_INDEX_SUFFIX;
use crate::log::verification::{MOST_VERIFICATIONS, Unverified, VerificationGuard};
use crate::protocol::control::end_transaction_marker;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{ProducerEpoch, ProducerId};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};
use crate::protocol::summary::{BatchSummary, ControlType};

/// A producer with a transaction at a time.
#[derive(Default)]
struct Writer {
    epoch: i16,
    sequence: i32,
    /// Offsets of the open transaction's records.
    open: Vec<i64>,
}

/// What the log should show.
#[derive(Default)]
struct Model {
    writers: BTreeMap<i64, Writer>,
    /// Offsets of records that count.
    committed: BTreeSet<i64>,
}

impl Model {
    fn stable_end(&self, log_end: Offset) -> Offset {
        let first_open = self.writers.values().filter_map(|writer| writer.open.first()).min();
        first_open.map_or(log_end, |first| Offset(*first))
    }

    fn visible(&self, from: i64, log_end: Offset) -> Vec<i64> {
        self.committed.range(from..self.stable_end(log_end).0).copied().collect()
    }
}

fn data(producer: i64, epoch: i16, sequence: i32, is_transactional: bool, count: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchHeader {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        transactional: is_transactional,
        ..BatchHeader::default()
    });
    for _ in 0..count {
        builder.push(&NewRecord { timestamp: NOW, key: None, value: Some(b"value"), headers: &[] });
    }
    builder.build()
}

fn step(log: &mut Log, model: &mut Model, random: &mut fastrand::Rng) {
    let producer = random.i64(0..4);
    let writer = model.writers.entry(producer).or_default();
    let count = random.i32(1..4);
    match random.u32(0..10) {
        // Somebody without transactions.
        0 => {
            let appended = append(log, &batch(count, 30, NOW.0, 1)).expect("append");
            model.committed.extend(appended.first_offset.0..=appended.last_offset.0);
        }
        1..7 => {
            let bytes = data(producer, writer.epoch, writer.sequence, true, count);
            let appended = append(log, &bytes).expect("append");
            writer.open.extend(appended.first_offset.0..=appended.last_offset.0);
            writer.sequence += count;
        }
        _ => {
            let (is_commit, is_v2) = (random.bool(), random.bool());
            // KIP-890: the marker fences what may still be under way.
            writer.epoch += i16::from(is_v2);
            writer.sequence = if is_v2 { 0 } else { writer.sequence };
            end(log, producer, writer.epoch, is_commit, if is_v2 { 2 } else { 0 }).expect("append a marker");
            let ended = std::mem::take(&mut writer.open);
            if is_commit {
                model.committed.extend(ended);
            }
        }
    }
}

fn end(
    log: &mut Log,
    producer: i64,
    epoch: i16,
    is_commit: bool,
    transaction_version: i16,
) -> Result<Appended, AppendError> {
    let producer = (ProducerId(producer), ProducerEpoch(epoch));
    let mut marker = end_transaction_marker(producer, is_commit, 0, NOW);
    let origin = Origin::TransactionCoordinator { transaction_version };
    log.append_as_leader(&mut marker, LeaderEpoch(1), origin, NOW)
}

/// Offsets of the records that a consumer makes of the log, as `CompletedFetch` does: each answer brings what it must skip.
fn consume(log: &mut Log, from: i64, max_size_bytes: usize) -> Vec<i64> {
    let log_end = log.log_end_offset();
    let stable_end = log.on_high_watermark(log_end);
    let limits = ReadLimits { max_size_bytes, up_to: stable_end, at_least_one: true };
    let (mut next, mut seen) = (Offset(from), Vec::new());
    while let Some((region, mut aborted)) = log.view().read_committed(next, limits).expect("read") {
        let mut bytes = vec![0; region.size_bytes];
        region.file.read_exact_at(&mut bytes, region.position).expect("read");
        let mut skipped = BTreeSet::new();
        let mut rest = &bytes[..];
        while let Ok((batch, after)) = Batch::split_first(rest) {
            let summary = BatchSummary::of(batch).expect("a batch");
            aborted.retain(|transaction| {
                let has_begun = transaction.first_offset <= summary.last_offset();
                if has_begun {
                    skipped.insert(transaction.producer_id);
                }
                !has_begun
            });
            if summary.is_control {
                if summary.marker.is_some_and(|marker| marker.control_type == ControlType::Abort) {
                    skipped.remove(&summary.producer_id);
                }
            } else if !(summary.is_transactional && skipped.contains(&summary.producer_id)) {
                seen.extend(summary.base_offset.0.max(from)..=summary.last_offset().0);
            }
            next = batch.next_offset();
            rest = after;
        }
        assert!(aborted.is_empty(), "an answer names what is in it: {aborted:?}");
    }
    assert_eq!(next.max(stable_end), stable_end);
    seen
}

fn compare(log: &mut Log, model: &Model, random: &mut fastrand::Rng) {
    let log_end = log.log_end_offset();
    assert_eq!(log.on_high_watermark(log_end), model.stable_end(log_end));
    for from in [0, random.i64(0..=model.stable_end(log_end).0)] {
        let max_size_bytes = random.usize(1..2000);
        assert_eq!(consume(log, from, max_size_bytes), model.visible(from, log_end), "from {from}");
    }
}

fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let partition = Partition::with(TopicConfig {
        segment_bytes: random.u32(400..3000),
        index_interval_bytes: random.u32(0..600),
        ..TopicConfig::default()
    });
    let mut log = partition.open_after_clean_stop();
    let mut model = Model::default();
    let mut recovery_point = Offset(0);
    for _ in 0..12 {
        for _ in 0..25 {
            step(&mut log, &mut model, &mut random);
        }
        compare(&mut log, &model, &mut random);
        log = match random.u32(0..5) {
            0 => {
                log.close().expect("close");
                partition.open_after_clean_stop()
            }
            1 => {
                let ticket = log.unflushed();
                ticket.flush().expect("flush");
                log.mark_flushed(&ticket);
                recovery_point = log.recovery_point();
                log
            }
            2 => {
                drop(log);
                Log::open(OpenOptions { recovery_point, ..partition.options() }, NOW).expect("open")
            }
            3 => {
                log.close().expect("close");
                lose_indexes(&partition, &mut random);
                partition.open_after_clean_stop()
            }
            _ => log,
        };
        compare(&mut log, &model, &mut random);
    }
}

/// Some segments lose all their indexes, some have a transaction index that is none.
fn lose_indexes(partition: &Partition, random: &mut fastrand::Rng) {
    for name in partition.names() {
        let Some(base) = name.strip_suffix(".log") else { continue };
        match random.u32(0..3) {
            0 => {
                for suffix in ["index", "timeindex", "txnindex"] {
                    std::fs::remove_file(partition.path(&format!("{base}.{suffix}"))).ok();
                }
            }
            1 => {
                let path = partition.path(&format!("{base}.txnindex"));
                if path.exists() {
                    std::fs::write(path, [1; 34]).expect("write");
                }
            }
            _ => {}
        }
    }
}

#[test]
fn a_committed_reader_sees_what_was_committed_whatever_becomes_of_the_log() {
    for seed in 0..40 {
        println!("seed {seed}");
        run(seed);
    }
}

/// A reader that is far behind must not load the indexes of all segments before it.
#[test]
fn segments_without_aborts_are_not_looked_into() {
    let partition = Partition::with(TopicConfig { segment_bytes: 400, ..TopicConfig::default() });
    let mut log = partition.open_after_clean_stop();
    for _ in 0..20 {
        append(&mut log, &batch(1, 200, NOW.0, 1)).expect("append");
    }
    log.close().expect("close");
    let log = partition.open_after_clean_stop();
    let view = log.view();
    let segments = view.segments();
    segments.iter().for_each(|segment| segment.set_indexes(None));
    // Whoever looked for the file would find this one.
    for segment in segments.iter() {
        std::fs::write(segment.path_of(TXN_INDEX_SUFFIX), "rubbish").expect("write");
    }
    let limits = ReadLimits { max_size_bytes: 300, up_to: log.log_end_offset(), at_least_one: true };
    let (_, aborted) = view.read_committed(Offset(0), limits).expect("read").expect("records");
    assert!(aborted.is_empty());
    let loaded = segments.iter().filter(|segment| segment.has_indexes_on_heap()).count();
    assert!(loaded <= 1, "{loaded} of {}", segments.len());
}

#[test]
fn a_committed_reader_of_a_log_without_aborts_reads_no_more_than_others() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    for _ in 0..3 {
        append(&mut log, &batch(1, 30, NOW.0, 1)).expect("append");
    }
    let _broken = on(Operation::Read, &partition.directory(), Errno::IO).inject();
    let limits = ReadLimits { max_size_bytes: 1, up_to: log.log_end_offset(), at_least_one: true };
    let (_, aborted) = log.view().read_committed(Offset(1), limits).expect("read").expect("a batch");
    assert!(aborted.is_empty());
}

#[test]
fn damage_in_a_segment_that_lost_its_indexes_leaves_the_rest_of_the_log_readable() {
    for position in [8, 70] {
        let partition = Partition::with(TopicConfig { segment_bytes: 600, ..TopicConfig::default() });
        let mut log = partition.open_after_clean_stop();
        let mut sequence = 0;
        while log.view().segment_count() < 3 {
            append(&mut log, &data(1, 0, sequence, true, 1)).expect("append");
            end(&mut log, 1, 0, false, 0).expect("append a marker");
            sequence += 1;
        }
        let end = log.log_end_offset();
        let second = log.view().segments()[1].base_offset();
        log.close().expect("close");
        for suffix in ["index", "timeindex", "txnindex"] {
            std::fs::remove_file(partition.path(&format!("{:020}.{suffix}", 0))).expect("remove");
        }
        let path = partition.path(&format!("{:020}.log", 0));
        let mut bytes = std::fs::read(&path).expect("read");
        let (first, _) = Batch::split_first(&bytes).expect("a batch");
        let second_batch = first.size();
        bytes[second_batch + position] ^= 0x40;
        std::fs::write(&path, bytes).expect("write");
        let log = partition.open_after_clean_stop();
        assert_eq!(log.log_end_offset(), end);
        let (_, aborted) = log.view().read_committed(second, up_to(end)).expect("read").expect("records");
        assert!(!aborted.is_empty());
    }
}

#[test]
fn a_log_start_that_passes_an_open_transaction_takes_the_stable_offset_along() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &transactional(1, 0, "a", "1")).expect("append");
    append(&mut log, &batch(3, 30, NOW.0, 1)).expect("append");
    assert_eq!(log.on_high_watermark(Offset(4)), Offset(0));
    log.set_log_start_offset(Offset(2)).expect("move");
    assert_eq!(log.on_high_watermark(Offset(4)), Offset(2));
    end(&mut log, 1, 0, false, 0).expect("append a marker");
    assert_eq!(log.on_high_watermark(Offset(4)), Offset(2), "the marker is not replicated");
    assert_eq!(log.on_high_watermark(Offset(5)), Offset(5));
}

fn unverified(producer: i64, epoch: i16, sequence: i32) -> Unverified {
    Unverified {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        is_v2: false,
    }
}

fn guard(log: &mut Log, producer: i64, epoch: i16, sequence: i32) -> Option<VerificationGuard> {
    log.start_verification(&unverified(producer, epoch, sequence), NOW).expect("not fenced")
}

/// The error of a batch of one record that is appended with a guard.
fn append_verified(log: &mut Log, bytes: &[u8], guard: Option<VerificationGuard>) -> ErrorCode {
    let origin = Origin::Client(Verification::Required(guard));
    match log.append_as_leader(&mut bytes.to_vec(), LeaderEpoch(1), origin, NOW) {
        Ok(_) => ErrorCode::None,
        Err(AppendError::Refused(error)) => error.code,
        Err(error) => panic!("{:#}", anyhow::Error::from(error)),
    }
}

#[test]
fn a_transaction_is_opened_with_the_guard_of_its_verification_only() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let first = data(1, 0, 0, true, 1);
    assert_eq!(append_verified(&mut log, &first, None), ErrorCode::InvalidTxnState);
    let of_another = guard(&mut log, 2, 0, 0);
    assert_eq!(append_verified(&mut log, &first, of_another), ErrorCode::InvalidTxnState);
    let own = guard(&mut log, 1, 0, 0);
    assert!(own.is_some());
    assert_eq!(guard(&mut log, 1, 0, 0), own, "a retry joins the verification that is under way");
    assert_eq!(append_verified(&mut log, &first, own), ErrorCode::None);
    assert_eq!(guard(&mut log, 1, 0, 1), None, "it is ongoing");
    assert_eq!(append_verified(&mut log, &data(1, 0, 1, true, 1), None), ErrorCode::None);
    assert_eq!(append_verified(&mut log, &first, None), ErrorCode::None, "a duplicate");
    let off = Origin::Client(Verification::Off);
    log.append_as_leader(&mut data(3, 0, 0, true, 1), LeaderEpoch(1), off, NOW).expect("nobody asks");
}

/// The coordinator has said yes, then the transaction was aborted, then the batch arrives.
#[test]
fn a_guard_does_not_outlive_a_marker() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let late = guard(&mut log, 1, 0, 0);
    end(&mut log, 1, 0, false, 0).expect("append a marker");
    assert_eq!(append_verified(&mut log, &data(1, 0, 0, true, 1), late), ErrorCode::InvalidTxnState);
    let fresh = guard(&mut log, 1, 0, 0);
    assert_ne!(fresh, late);
    assert_eq!(append_verified(&mut log, &data(1, 0, 0, true, 1), late), ErrorCode::InvalidTxnState);
    assert_eq!(append_verified(&mut log, &data(1, 0, 0, true, 1), fresh), ErrorCode::None);
    end(&mut log, 1, 1, false, 2).expect("append a marker");
    let fenced = log.start_verification(&unverified(1, 0, 1), NOW).expect_err("fenced");
    assert_eq!(fenced.code, ErrorCode::InvalidProducerEpoch);
    assert_eq!(append_verified(&mut log, &data(1, 0, 1, true, 1), fresh), ErrorCode::InvalidProducerEpoch);
}

/// A producer of KIP-890 may go on before the marker of its last transaction has reached all partitions.
#[test]
fn a_marker_leaves_the_guard_of_the_next_transaction_alone() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &data(1, 0, 0, true, 1)).expect("append");
    let v2 = |epoch| Unverified { is_v2: true, ..unverified(1, epoch, 0) };
    let next = log.start_verification(&v2(1), NOW).expect("not fenced");
    end(&mut log, 1, 1, true, 2).expect("append a marker");
    assert_eq!(append_verified(&mut log, &data(1, 1, 0, true, 1), next), ErrorCode::None);
    end(&mut log, 1, 2, true, 2).expect("append a marker");
    let late = log.start_verification(&v2(2), NOW).expect("not fenced");
    end(&mut log, 1, 3, false, 2).expect("append a marker");
    let fenced = append_verified(&mut log, &data(1, 2, 0, true, 1), late);
    assert_eq!(fenced, ErrorCode::InvalidProducerEpoch, "a marker of a later epoch");
}

#[test]
fn later_batches_wait_for_the_first_that_is_verified() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    guard(&mut log, 1, 0, 5);
    let own = guard(&mut log, 1, 0, 3);
    let gap = ErrorCode::OutOfOrderSequenceNumber;
    assert_eq!(append_verified(&mut log, &data(1, 0, 5, true, 1), own), gap);
    assert_eq!(append_verified(&mut log, &data(1, 0, 3, true, 1), own), ErrorCode::None);
    // A producer of KIP-890 begins every epoch with sequence 0.
    let v2 = Unverified { is_v2: true, ..unverified(2, 0, 4) };
    let own = log.start_verification(&v2, NOW).expect("not fenced");
    assert_eq!(append_verified(&mut log, &data(2, 0, 4, true, 1), own), gap);
    let own = log.start_verification(&unverified(2, 1, 0), NOW).expect("not fenced");
    assert_eq!(append_verified(&mut log, &data(2, 1, 0, true, 1), own), ErrorCode::None);
}

#[test]
fn verifications_that_are_never_finished_are_forgotten() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let own = guard(&mut log, 1, 0, 0);
    append(&mut log, &data(2, 0, 0, true, 1)).expect("append");
    log.remove_expired_producers(Timestamp(NOW.0 + 86_399_999));
    assert_eq!(guard(&mut log, 1, 0, 0), own);
    log.remove_expired_producers(Timestamp(NOW.0 + 86_400_000));
    assert_eq!(append_verified(&mut log, &data(1, 0, 0, true, 1), own), ErrorCode::InvalidTxnState);
    assert!(log.producers().entry(ProducerId(2)).is_some(), "its transaction is open");
    end(&mut log, 2, 0, true, 0).expect("append a marker");
    log.remove_expired_producers(Timestamp(NOW.0 + 86_400_000));
    assert!(log.producers().entry(ProducerId(2)).is_none());
}

#[test]
fn of_too_many_verifications_the_oldest_is_forgotten() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let guards: Vec<_> =
        (0..MOST_VERIFICATIONS as i64).map(|producer| guard(&mut log, producer, 0, 0)).collect();
    assert_eq!(guard(&mut log, 0, 0, 0), guards[0]);
    guard(&mut log, 1 << 40, 0, 0);
    let append = |log: &mut Log, producer| {
        append_verified(log, &data(producer, 0, 0, true, 1), guards[producer as usize])
    };
    assert_eq!(append(&mut log, 0), ErrorCode::InvalidTxnState);
    assert_eq!(append(&mut log, 1), ErrorCode::None);
    let again = guard(&mut log, 0, 0, 0);
    assert_eq!(append_verified(&mut log, &data(0, 0, 0, true, 1), again), ErrorCode::None);
}

#[test]
fn markers_are_checked_as_their_transaction_version_asks() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let refused = |result: Result<Appended, AppendError>| match result {
        Err(AppendError::Refused(error)) => error.code,
        other => panic!("{other:?}"),
    };
    append(&mut log, &data(1, 3, 0, true, 1)).expect("append");
    assert_eq!(refused(end(&mut log, 1, 2, false, 0)), ErrorCode::InvalidProducerEpoch);
    assert_eq!(refused(end(&mut log, 1, 3, false, 2)), ErrorCode::InvalidProducerEpoch, "it bumps");
    end(&mut log, 1, 4, false, 2).expect("append a marker");
    end(&mut log, 1, 4, false, 2).expect("a retry");
    let mut zombie = end_transaction_marker((ProducerId(1), ProducerEpoch(5)), true, -1, NOW);
    let origin = Origin::TransactionCoordinator { transaction_version: 2 };
    let fenced = refused(log.append_as_leader(&mut zombie, LeaderEpoch(1), origin, NOW));
    assert_eq!(fenced, ErrorCode::TransactionCoordinatorFenced);
}
