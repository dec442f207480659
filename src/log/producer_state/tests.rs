use super::*;
use crate::log::producer_snapshot;
use crate::log::verification::Verification;
use crate::protocol::ids::LeaderEpoch;

const CLIENT: Origin = Origin::Client(Verification::Off);

/// A batch of a producer; `sequence` is the first record's.
fn batch(producer_id: i64, epoch: i16, sequence: i32, count: i32) -> BatchSummary {
    BatchSummary {
        base_offset: Offset::ZERO,
        last_offset_delta: count - 1,
        record_count: count,
        leader_epoch: LeaderEpoch(0),
        max_timestamp: Timestamp(1_000),
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        is_transactional: false,
        is_control: false,
        marker: None,
    }
}

fn transactional(producer_id: i64, epoch: i16, sequence: i32, count: i32) -> BatchSummary {
    BatchSummary { is_transactional: true, ..batch(producer_id, epoch, sequence, count) }
}

fn marker(producer_id: i64, epoch: i16, control_type: ControlType, coordinator_epoch: i32) -> BatchSummary {
    let marker = EndTransactionMarker { control_type, coordinator_epoch, timestamp: Timestamp(2_000) };
    BatchSummary { is_control: true, marker: Some(marker), ..transactional(producer_id, epoch, -1, 1) }
}

fn code(result: Result<Verdict, ApiError>) -> ErrorCode {
    result.map_or_else(|error| error.code, |_| ErrorCode::None)
}

/// Checks as a client and appends at the end; panics when refused.
fn append(state: &mut ProducerState, batch: BatchSummary) -> Offset {
    let origin = if batch.is_control { Origin::Coordinator } else { CLIENT };
    assert_eq!(state.check(&batch, origin), Ok(Verdict::Append), "{batch:?}");
    let first_offset = state.end_offset();
    state.replay(&batch, first_offset);
    first_offset
}

#[test]
fn batches_without_a_producer_id_only_move_the_end() {
    let mut state = ProducerState::starting_at(Offset(10));
    assert_eq!(append(&mut state, batch(-1, -1, -1, 5)), Offset(10));
    assert_eq!((state.end_offset(), state.entries().len()), (Offset(15), 0));
}

#[test]
fn sequences_follow_each_other() {
    let mut state = ProducerState::default();
    append(&mut state, batch(1, 0, 0, 3));
    append(&mut state, batch(1, 0, 3, 2));
    let gap = state.check(&batch(1, 0, 6, 1), CLIENT);
    assert_eq!(code(gap), ErrorCode::OutOfOrderSequenceNumber);
    let overlap = state.check(&batch(1, 0, 4, 3), CLIENT);
    assert_eq!(code(overlap), ErrorCode::OutOfOrderSequenceNumber);
    append(&mut state, batch(1, 0, 5, 1));
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    let mut state = ProducerState::default();
    append(&mut state, batch(1, 4, 77, 1));
    append(&mut state, batch(1, 4, 78, 1));
}

#[test]
fn five_batches_are_remembered() {
    let mut state = ProducerState::default();
    for index in 0..7 {
        append(&mut state, batch(1, 0, index * 2, 2));
    }
    for index in 0..7 {
        let retry = state.check(&batch(1, 0, index * 2, 2), CLIENT);
        if index < 2 {
            assert_eq!(code(retry), ErrorCode::OutOfOrderSequenceNumber, "batch {index}");
            continue;
        }
        let first_offset = Offset(i64::from(index) * 2);
        let expected =
            Verdict::Duplicate { first_offset, last_offset: first_offset + 1, timestamp: Timestamp(1_000) };
        assert_eq!(retry, Ok(expected), "batch {index}");
    }
    // The same first sequence with another count is not the same batch.
    let other = state.check(&batch(1, 0, 12, 1), CLIENT);
    assert_eq!(code(other), ErrorCode::OutOfOrderSequenceNumber);
}

#[test]
fn sequences_wrap_to_zero() {
    let mut state = ProducerState::default();
    append(&mut state, batch(1, 0, i32::MAX - 1, 1));
    let across = batch(1, 0, i32::MAX, 3);
    assert_eq!(across.last_sequence(), 1);
    append(&mut state, across);
    assert!(matches!(state.check(&across, CLIENT), Ok(Verdict::Duplicate { .. })));
    append(&mut state, batch(1, 0, 2, 1));
    let mut exact = ProducerState::default();
    append(&mut exact, batch(1, 0, i32::MAX, 1));
    append(&mut exact, batch(1, 0, 0, 1));
}

#[test]
fn a_new_epoch_begins_at_zero_and_fences_the_old() {
    let mut state = ProducerState::default();
    append(&mut state, batch(1, 3, 0, 1));
    let late = state.check(&batch(1, 4, 1, 1), CLIENT);
    assert_eq!(code(late), ErrorCode::OutOfOrderSequenceNumber);
    append(&mut state, batch(1, 4, 0, 1));
    let old = state.check(&batch(1, 3, 1, 1), CLIENT);
    assert_eq!(code(old), ErrorCode::InvalidProducerEpoch);
    let retry_of_old = state.check(&batch(1, 3, 0, 1), CLIENT);
    assert_eq!(code(retry_of_old), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn the_coordinator_writes_without_sequences_but_with_epochs() {
    let mut state = ProducerState::default();
    append(&mut state, transactional(1, 3, 0, 1));
    let commit_of_offsets = transactional(1, 3, -1, 1);
    assert_eq!(state.check(&commit_of_offsets, Origin::Coordinator), Ok(Verdict::Append));
    let fenced = transactional(1, 2, -1, 1);
    assert_eq!(code(state.check(&fenced, Origin::Coordinator)), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn an_open_transaction_refuses_plain_batches() {
    let mut state = ProducerState::default();
    append(&mut state, transactional(1, 0, 0, 1));
    assert_eq!(code(state.check(&batch(1, 0, 1, 1), CLIENT)), ErrorCode::InvalidTxnState);
    append(&mut state, marker(1, 0, ControlType::Commit, 0));
    append(&mut state, batch(1, 0, 1, 1));
}

#[test]
fn transactions_hold_back_the_last_stable_offset() {
    let mut state = ProducerState::default();
    append(&mut state, batch(9, 0, 0, 5));
    append(&mut state, transactional(1, 0, 0, 5));
    append(&mut state, transactional(2, 0, 0, 5));
    append(&mut state, transactional(1, 0, 5, 5));
    assert_eq!(state.first_unstable_offset(), Some(Offset(5)));

    let aborted = state.replay(&marker(1, 0, ControlType::Abort, 7), Offset(20)).unwrap();
    assert_eq!(
        aborted,
        CompletedTransaction {
            producer_id: ProducerId(1),
            first_offset: Offset(5),
            last_offset: Offset(20),
            is_aborted: true,
            last_stable_offset: Offset(10),
        }
    );
    assert_eq!(state.first_undecided_offset(), Some(Offset(10)));
    assert_eq!(state.first_unstable_offset(), Some(Offset(5)), "the marker is not replicated");
    state.on_high_watermark(Offset(20));
    assert_eq!(state.first_unstable_offset(), Some(Offset(5)), "the marker is at the high watermark");
    state.on_high_watermark(Offset(21));
    assert_eq!(state.first_unstable_offset(), Some(Offset(10)));

    let committed = state.replay(&marker(2, 0, ControlType::Commit, 7), Offset(21)).unwrap();
    assert_eq!((committed.is_aborted, committed.last_stable_offset), (false, Offset(22)));
    state.on_high_watermark(Offset(22));
    assert_eq!(state.first_unstable_offset(), None);
}

#[test]
fn a_marker_without_a_transaction_completes_nothing() {
    let mut state = ProducerState::default();
    assert_eq!(state.replay(&marker(1, 2, ControlType::Abort, 3), Offset::ZERO), None);
    let entry = state.entry(ProducerId(1)).unwrap();
    assert_eq!((entry.epoch, entry.coordinator_epoch), (ProducerEpoch(2), 3));
    assert_eq!(entry.last_timestamp, Timestamp(2_000));
    // Nothing but 0 can follow: the epoch is known, its sequences are not.
    assert_eq!(code(state.check(&batch(1, 2, 5, 1), CLIENT)), ErrorCode::OutOfOrderSequenceNumber);
    append(&mut state, batch(1, 2, 0, 1));
}

#[test]
fn a_marker_keeps_the_sequences_of_its_epoch() {
    let mut state = ProducerState::default();
    append(&mut state, transactional(1, 0, 0, 2));
    append(&mut state, marker(1, 0, ControlType::Commit, 0));
    append(&mut state, transactional(1, 0, 2, 2));
    // Transaction version 2: the marker's epoch is one higher, and sequences begin again.
    append(&mut state, marker(1, 1, ControlType::Commit, 0));
    assert_eq!(code(state.check(&transactional(1, 1, 4, 1), CLIENT)), ErrorCode::OutOfOrderSequenceNumber);
    append(&mut state, transactional(1, 1, 0, 1));
}

#[test]
fn a_zombie_coordinator_is_fenced() {
    let mut state = ProducerState::default();
    append(&mut state, transactional(1, 0, 0, 1));
    append(&mut state, marker(1, 0, ControlType::Commit, 5));
    let zombie = marker(1, 0, ControlType::Abort, 4);
    assert_eq!(code(state.check(&zombie, Origin::Coordinator)), ErrorCode::TransactionCoordinatorFenced);
    let old_epoch = marker(1, -1, ControlType::Abort, 6);
    assert_eq!(code(state.check(&old_epoch, Origin::Coordinator)), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn a_marker_of_version_2_needs_a_higher_epoch_unless_it_is_a_retry() {
    let mut state = ProducerState::default();
    append(&mut state, transactional(1, 4, 0, 1));
    let late = marker(1, 4, ControlType::Commit, 0);
    assert_eq!(
        state.check_marker(&late, 2).map_err(|error| error.code),
        Err(ErrorCode::InvalidProducerEpoch)
    );
    assert_eq!(state.check_marker(&late, 1), Ok(()));
    let bumped = marker(1, 5, ControlType::Commit, 0);
    assert_eq!(state.check_marker(&bumped, 2), Ok(()));
    append(&mut state, bumped);
    assert_eq!(state.check_marker(&bumped, 2), Ok(()), "a retry of the same marker");
    append(&mut state, transactional(1, 5, 0, 1));
    assert_eq!(
        state.check_marker(&bumped, 2).map_err(|error| error.code),
        Err(ErrorCode::InvalidProducerEpoch),
        "late, in the next transaction"
    );
}

#[test]
fn a_control_batch_without_its_marker_changes_no_producer() {
    let mut state = ProducerState::default();
    append(&mut state, transactional(1, 0, 0, 1));
    let cleaned = BatchSummary { marker: None, ..marker(1, 0, ControlType::Commit, 0) };
    assert_eq!(state.replay(&cleaned, Offset(1)), None);
    assert_eq!((state.first_undecided_offset(), state.end_offset()), (Some(Offset(0)), Offset(2)));
}

#[test]
fn idle_producers_expire_but_not_inside_a_transaction() {
    let mut state = ProducerState::default();
    append(&mut state, batch(1, 0, 0, 1));
    append(&mut state, transactional(2, 0, 0, 1));
    assert_eq!(state.remove_expired(Timestamp(1_999), 1_000), 0);
    assert_eq!(state.remove_expired(Timestamp(2_000), 1_000), 1);
    assert!(state.entry(ProducerId(1)).is_none() && state.entry(ProducerId(2)).is_some());
}

#[test]
fn a_snapshot_brings_back_the_last_batch_and_the_log_the_rest() {
    let mut state = ProducerState::default();
    let mut batches = Vec::new();
    for index in 0..8 {
        let written = BatchSummary { base_offset: state.end_offset(), ..batch(1, 0, index * 2, 2) };
        append(&mut state, written);
        batches.push(written);
        // Another producer and no producer in between.
        let other = BatchSummary { base_offset: state.end_offset(), ..batch(2, 0, index, 1) };
        append(&mut state, other);
        batches.push(other);
        append(&mut state, batch(-1, -1, -1, 1));
    }
    append(&mut state, transactional(3, 1, 0, 1));
    let bytes = producer_snapshot::encode(state.entries());
    let entries = producer_snapshot::decode(&bytes).unwrap();
    let mut restored = ProducerState::from_entries(entries, state.end_offset(), Timestamp(1_500), 86_400_000);
    assert_eq!(restored.first_unstable_offset(), state.first_unstable_offset());
    assert_eq!(restored.end_offset(), state.end_offset());
    let older = batch(1, 0, 10, 2);
    assert_eq!(code(restored.check(&older, CLIENT)), ErrorCode::OutOfOrderSequenceNumber);
    for written in batches.iter().rev() {
        restored.recall(written);
    }
    assert_eq!(restored, state);
    assert_eq!(restored.check(&older, CLIENT), state.check(&older, CLIENT));
}

#[test]
fn expired_producers_are_not_restored() {
    let mut state = ProducerState::default();
    append(&mut state, batch(1, 0, 0, 1));
    let entries: Vec<ProducerEntry> = state.entries().cloned().collect();
    let restored = ProducerState::from_entries(entries, Offset(1), Timestamp(3_000), 1_000);
    assert_eq!(restored, ProducerState::starting_at(Offset(1)));
}

#[test]
fn a_log_start_beyond_the_end_moves_the_end() {
    let mut state = ProducerState::default();
    append(&mut state, transactional(1, 0, 0, 1));
    append(&mut state, marker(1, 0, ControlType::Commit, 0));
    state.on_log_start_offset(Offset(10));
    assert_eq!((state.end_offset(), state.first_unstable_offset()), (Offset(10), None));
    assert!(state.entry(ProducerId(1)).is_some());
}

/// The rules told again over the whole history of a partition, without any bookkeeping.
struct Model {
    history: Vec<(BatchSummary, Offset)>,
}

impl Model {
    fn check(&self, batch: &BatchSummary) -> Result<Verdict, ErrorCode> {
        let of_producer: Vec<&(BatchSummary, Offset)> =
            self.history.iter().filter(|(known, _)| known.producer_id == batch.producer_id).collect();
        let Some((last, _)) = of_producer.last() else { return Ok(Verdict::Append) };
        let epoch = last.producer_epoch;
        let of_epoch: Vec<&(BatchSummary, Offset)> = of_producer
            .iter()
            .rev()
            .take_while(|(known, _)| known.producer_epoch == epoch)
            .filter(|(known, _)| !known.is_control)
            .copied()
            .collect();
        if batch.producer_epoch == epoch {
            for (known, first_offset) in of_epoch.iter().take(5) {
                if known.base_sequence == batch.base_sequence && known.record_count == batch.record_count {
                    return Ok(Verdict::Duplicate {
                        first_offset: *first_offset,
                        last_offset: *first_offset + i64::from(known.last_offset_delta),
                        timestamp: known.max_timestamp,
                    });
                }
            }
        }
        if batch.producer_epoch < epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        let next = match of_epoch.first() {
            Some((known, _)) if batch.producer_epoch == epoch => {
                (i64::from(known.base_sequence) + i64::from(known.record_count)) % (1 << 31)
            }
            _ => 0,
        };
        if next != i64::from(batch.base_sequence) {
            return Err(ErrorCode::OutOfOrderSequenceNumber);
        }
        let open = of_producer.last().is_some_and(|(known, _)| known.is_transactional && !known.is_control);
        if open && !batch.is_transactional {
            return Err(ErrorCode::InvalidTxnState);
        }
        Ok(Verdict::Append)
    }

    fn first_undecided(&self) -> Option<Offset> {
        let mut open: BTreeMap<ProducerId, Offset> = BTreeMap::new();
        for (batch, first_offset) in &self.history {
            if batch.is_control {
                open.remove(&batch.producer_id);
            } else if batch.is_transactional {
                open.entry(batch.producer_id).or_insert(*first_offset);
            }
        }
        open.into_values().min()
    }
}

#[test]
fn the_state_agrees_with_a_naive_model() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut state = ProducerState::default();
        let mut model = Model { history: Vec::new() };
        // Near the wrap in some runs.
        let mut next = [if seed % 3 == 0 { i32::MAX - 10 } else { 0 }; 3];
        let mut epochs = [0i16; 3];
        for step in 0..300 {
            let producer = rng.usize(..3);
            let control_type = if rng.bool() { ControlType::Commit } else { ControlType::Abort };
            if rng.u8(..) < 30 {
                let end = marker(producer as i64, epochs[producer], control_type, 0);
                let at = state.end_offset();
                state.replay(&end, at);
                model.history.push((end, at));
                continue;
            }
            let epoch = epochs[producer] + [0, 0, 0, 0, 0, 0, 1, -1][rng.usize(..8)];
            let back = [0, 0, 0, 0, 1, 2, 4, 6, 9][rng.usize(..9)];
            let sequence = if epoch > epochs[producer] { 0 } else { (next[producer] - back).max(0) };
            let mut tried = batch(producer as i64, epoch, sequence, rng.i32(1..3));
            tried.is_transactional = rng.u8(..) < 120;
            tried.max_timestamp = Timestamp(step);
            let verdict = state.check(&tried, CLIENT);
            let expected = model.check(&tried);
            assert_eq!(verdict.clone().map_err(|error| error.code), expected, "seed {seed} step {step}");
            if verdict == Ok(Verdict::Append) {
                let at = state.end_offset();
                state.replay(&tried, at);
                model.history.push((tried, at));
                epochs[producer] = epoch;
                next[producer] = ((i64::from(sequence) + i64::from(tried.record_count)) % (1 << 31)) as i32;
            }
            assert_eq!(state.first_undecided_offset(), model.first_undecided(), "seed {seed} step {step}");
        }
    }
}
