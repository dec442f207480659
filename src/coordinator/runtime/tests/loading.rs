//! What a start finds: views that the log proves, and views that it does not. Each ends in the state of the log.

use std::sync::Arc;

use super::bench::{
    Bench, Command, OF, PARTITION, RETENTION_MS, answer, durable, marker, pending, random_event,
    registers_of, view,
};
use crate::coordinator::runtime::SlotState;
use crate::env::clock::Clock;
use crate::protocol::batch::Compression;
use crate::protocol::ids::{LeaderEpoch, Offset, Timestamp, TopicId, Uuid};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord, Record, RecordIter};
use crate::protocol::summary::{BatchSummary, ControlType};
use crate::store::memory::MemoryView;
use crate::store::view::{Change, Patience, View};

/// A broker after `count` commits over three registers, one of them cleared again.
fn used(count: i64) -> Bench {
    let bench = Bench::new(true);
    for at in 0..count {
        bench.set(&format!("r{}", at % 3), &at.to_string()).now().ok().unwrap().unwrap();
    }
    bench.submit(Command::Set(vec![("r1".into(), None)])).now().ok().unwrap().unwrap();
    bench
}

fn view_of(bench: &Bench) -> MemoryView {
    let copy = MemoryView::default();
    copy.copy_from(&bench.view);
    copy
}

/// Starts over `bench`'s log with `view`; what it holds must be what the log says. Whether the view was believed.
#[track_caller]
fn check_start(bench: &Bench, view: MemoryView) -> bool {
    let canary = Change { key: b"canary", value: Some(b"") };
    if let Some(stamp) = view.stamp(OF).unwrap() {
        view.apply(OF, &mut [canary].into_iter(), &stamp, Patience::Wait).unwrap();
    }
    let started = Bench::over(bench.log.clone(), Arc::new(view), bench.clock.clone());
    started.lead();
    assert_eq!(started.runtime.led(), [(PARTITION, SlotState::Active)]);
    assert_eq!(started.read().unwrap(), bench.log.registers(i64::MAX));
    // The shard checks what is stored against what it has replayed.
    assert!(answer(&mut started.submit(Command::Get("r0".into()))).unwrap().is_ok());
    let believed = started.view.get(OF, b"canary", crate::store::view::Tier::Disk).unwrap().is_some();
    assert!(answer(&mut started.set("after", "1")).unwrap().is_ok());
    believed
}

#[test]
fn a_view_at_the_end_of_the_log_is_believed_however_old() {
    let bench = used(7);
    bench.clock.advance_ms(10 * RETENTION_MS);
    assert!(check_start(&bench, view_of(&bench)));
}

#[test]
fn a_view_behind_the_log_is_believed_and_the_rest_replayed() {
    let bench = used(7);
    let behind = view_of(&bench);
    bench.set("r2", "later").now().ok().unwrap().unwrap();
    bench.submit(Command::Set(vec![("r0".into(), None)])).now().ok().unwrap().unwrap();
    assert!(check_start(&bench, behind));
}

#[test]
fn no_view_is_rebuilt() {
    assert!(!check_start(&used(7), MemoryView::default()));
}

#[test]
fn a_view_ahead_of_the_log_is_dropped() {
    let bench = used(7);
    let ahead = view_of(&bench);
    let mut batches = bench.log.batches();
    batches.truncate(4);
    bench.log.set_batches(batches);
    assert!(!check_start(&bench, ahead));
}

#[test]
fn a_view_of_a_history_that_was_cut_off_is_dropped() {
    let bench = used(7);
    let other = view_of(&bench);
    let mut batches = bench.log.batches();
    batches.truncate(4);
    bench.log.set_batches(batches);
    let second = Bench::over(bench.log.clone(), Arc::new(MemoryView::default()), bench.clock.clone());
    second.lead();
    for at in 0..9 {
        second.set("other", &at.to_string()).now().ok().unwrap().unwrap();
    }
    assert!(!check_start(&bench, other), "the same offset and epoch, another CRC");
}

#[test]
fn a_view_that_was_dropped_stays_so_after_a_crash() {
    let bench = used(7);
    bench.view.flush().unwrap();
    let batches = bench.log.batches();
    bench.log.set_batches(batches[..4].to_vec());
    let second = Bench::over(bench.log.clone(), bench.view.clone(), bench.clock.clone());
    second.lead();
    let crashed = second.view.after_crash();
    assert_eq!(crashed.stamp(OF).unwrap(), None);
    assert!(!check_start(&bench, crashed));
}

#[test]
fn a_view_of_a_deleted_topic_is_dropped() {
    let bench = used(7);
    let old = view_of(&bench);
    *bench.log.topic_id.lock() = TopicId(Uuid::from_u128(2));
    assert!(!check_start(&bench, old));
}

#[test]
fn a_compacted_log_proves_a_view_by_epoch_while_tombstones_last() {
    let bench = used(7);
    let behind = view_of(&bench);
    bench.set("r1", "later").now().ok().unwrap().unwrap();
    bench.submit(Command::Set(vec![("r0".into(), None)])).now().ok().unwrap().unwrap();
    // The batch that the stamp names goes, and the tombstone behind it stays.
    bench.log.compact(|batch| batch.next_offset() == Offset(8));
    assert!(check_start(&bench, behind));

    let bench = used(7);
    let behind = view_of(&bench);
    bench.clock.advance_ms(10);
    bench.submit(Command::Set(vec![("r0".into(), None)])).now().ok().unwrap().unwrap();
    bench.set("r2", "later").now().ok().unwrap().unwrap();
    bench.clock.advance_ms(RETENTION_MS);
    // The tombstone behind the stamp goes: the view still has what it deleted.
    bench.log.compact(|batch| (1..9).contains(&batch.base_offset().0));
    assert!(!check_start(&bench, behind));
}

#[test]
fn an_idle_log_with_a_late_record_needs_no_rebuild() {
    let bench = used(7);
    let behind = view_of(&bench);
    bench.clock.advance_ms(10 * RETENTION_MS);
    bench.set("r2", "later").now().ok().unwrap().unwrap();
    assert!(check_start(&bench, behind), "nothing behind the stamp is older than the late record");
}

#[test]
fn another_epoch_where_the_batch_was_compacted_away_is_doubted() {
    let bench = used(7);
    let behind = view_of(&bench);
    bench.log.change_leader(false);
    bench.lead();
    bench.set("r2", "later").now().ok().unwrap().unwrap();
    bench.log.compact(|batch| batch.next_offset() <= Offset(8));
    assert!(!check_start(&bench, behind));
}

#[test]
fn compressed_and_foreign_records_are_replayed_or_passed_over() {
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bench = Bench::new(true);
        let mut builder = BatchBuilder::new(BatchHeader { compression, ..BatchHeader::default() });
        let record = |key, value| NewRecord {
            timestamp: Timestamp(1),
            key: Some(key),
            value: Some(value),
            headers: &[],
        };
        builder.push(&record(&b"r/a"[..], &b"1"[..]));
        builder.push(&record(b"u/unknown", b"1"));
        builder.push(&record(b"malformed", b"1"));
        builder.push(&NewRecord { key: None, ..record(b"", b"1") });
        builder.push(&record(b"r/b", b"1"));
        builder.push(&record(b"old/b", b"2"));
        builder.push(&record(b"\xff\xff\0\0\0\0\0\0\0\x01r/a", b"3"));
        bench.log.append_foreign(builder.build());
        let mut control = BatchBuilder::new(BatchHeader { control: true, ..BatchHeader::default() });
        control.push(&record(&[0, 0, 0, 5], b"r/c"));
        bench.log.append_foreign(control.build());
        let started = Bench::over(bench.log.clone(), Arc::default(), bench.clock.clone());
        started.lead();
        let read = started.read().unwrap();
        assert_eq!((read.len(), &read["b"][..]), (2, "2"));
        assert!(answer(&mut started.submit(Command::Get("b".into()))).unwrap().is_ok());
        let stored = |key: &[u8]| started.view.get(OF, key, crate::store::view::Tier::Disk).unwrap();
        assert!(stored(b"u/unknown").is_some(), "a later version may know it");
        assert!(stored(b"malformed").is_none());
        assert!(stored(b"old/b").is_none(), "the view has one version of a key");
        assert_eq!(started.view.stamp(OF).unwrap().unwrap().next_offset, Offset(8));
    }
}

#[test]
fn a_corrupt_batch_makes_the_partition_unavailable() {
    let bench = used(3);
    let mut batches = bench.log.batches();
    *batches[1].last_mut().unwrap() ^= 1;
    bench.log.set_batches(batches);
    let started = Bench::over(bench.log.clone(), Arc::default(), Clock::manual(Timestamp(0)));
    started.lead();
    assert_eq!(started.runtime.led(), [(PARTITION, SlotState::Failed)]);
    assert!(started.read().is_err());
}

#[test]
fn a_load_that_fails_is_tried_again_ever_more_rarely_until_the_log_is_closed() {
    let bench = used(3);
    bench.log.set_unreadable(true);
    let started = Bench::over(bench.log.clone(), Arc::default(), Clock::manual(Timestamp(0)));
    started.lead();
    let fail_again = || {
        assert_eq!(started.runtime.led(), [(PARTITION, SlotState::Failed)]);
        let pause_ms = started.runtime.next_deadline_ms() - started.clock.uptime_ms();
        started.clock.advance_ms(pause_ms);
        started.runtime.expire();
        assert_eq!(started.runtime.led(), [(PARTITION, SlotState::Loading)]);
        started.run_jobs();
        pause_ms
    };
    let pauses_ms: Vec<i64> = (0..8).map(|_| fail_again()).collect();
    assert_eq!(pauses_ms, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    bench.log.set_unreadable(false);
    fail_again();
    assert_eq!(started.runtime.led(), [(PARTITION, SlotState::Active)]);
    assert_eq!(started.read().unwrap(), bench.log.registers(i64::MAX));

    bench.log.set_unreadable(true);
    let other = Bench::over(bench.log.clone(), Arc::default(), Clock::manual(Timestamp(0)));
    other.lead();
    bench.log.close();
    other.clock.advance_ms(1_000);
    other.runtime.expire();
    assert_eq!(other.runtime.led(), [(PARTITION, SlotState::Failed)]);
    assert_eq!(other.runtime.next_deadline_ms(), i64::MAX);
}

#[test]
fn records_above_the_high_watermark_stay_out_of_the_view_at_a_load() {
    let bench = Bench::new(false);
    let _sets = [bench.set("a", "1"), bench.set("a", "2"), bench.set("b", "1")];
    bench.log.commit(1);
    bench.log.change_leader(false);
    bench.lead();
    assert_eq!(bench.view.stamp(OF).unwrap().unwrap().next_offset, Offset(1));
    assert_eq!(bench.read().unwrap(), bench.log.registers(1));
    let mut get = bench.submit(Command::Get("a".into()));
    assert_eq!(answer(&mut get), None, "it shows what is not committed");
    bench.log.commit(3);
    assert!(answer(&mut get).is_some());
    assert_eq!(bench.view_registers(), bench.log.registers(3));
}

#[test]
fn a_view_that_fails_during_the_load_is_replaced() {
    let bench = used(7);
    let broken = MemoryView::default();
    broken.set_mood(crate::store::memory::Mood { failed: true, ..Default::default() });
    let started = Bench::over(bench.log.clone(), Arc::new(broken), bench.clock.clone());
    started.lead();
    assert_eq!(started.read().unwrap(), bench.log.registers(i64::MAX));
}

#[test]
fn a_view_with_open_transactions_is_believed_and_what_ends_them_later_finds_them() {
    let bench = used(7);
    let writes = vec![pending(1, "r0", Some("x")), pending(2, "r2", None), pending(3, "r2", Some("z"))];
    bench.submit(Command::Write(writes)).now().ok().unwrap().unwrap();
    let behind = view_of(&bench);
    let ends = vec![marker(1, true), marker(3, false), durable("r1", Some("y"))];
    bench.submit(Command::Write(ends)).now().ok().unwrap().unwrap();
    let started = Bench::over(bench.log.clone(), Arc::new(behind), bench.clock.clone());
    started.lead();
    let read = started.read().unwrap();
    assert_eq!((&read["r0"][..], &read["r1"][..], &read["r2"][..]), ("x", "y", "5"));
    assert!(answer(&mut started.submit(Command::Write(vec![marker(2, true)]))).unwrap().is_ok());
    assert!(!started.read().unwrap().contains_key("r2"));
    assert_eq!(started.read().unwrap(), bench.log.registers(i64::MAX));
}

/// Transactions, some of which stay open, and other writes. A batch has one record, so compaction takes it or leaves it.
fn write_at_random(bench: &Bench, rng: &mut fastrand::Rng, count: usize) {
    for at in 0..count {
        let event = random_event(rng, &at.to_string());
        bench.submit(Command::Write(vec![event])).now().ok().unwrap().unwrap();
        bench.clock.advance_ms(1);
    }
}

/// What compaction leaves of `batches` at most: below the first open transaction nothing that was aborted, or that a
/// later committed record has taken the place of; `forgets` also what stays only for `delete.retention.ms`.
fn compacted(batches: &[Vec<u8>], forgets: bool) -> Vec<Vec<u8>> {
    let ends = |producer, from: usize| {
        let is_end =
            |at: &usize| view(&batches[*at]).is_control() && view(&batches[*at]).producer_id() == producer;
        (from + 1..batches.len()).find(is_end)
    };
    let is_commit = |at: usize| {
        let marker = BatchSummary::of(view(&batches[at])).unwrap().marker.unwrap();
        marker.control_type == ControlType::Commit
    };
    // Of a batch of a transaction: where it ends.
    let end_of = |at: usize| {
        let batch = view(&batches[at]);
        (batch.is_transactional() && !batch.is_control()).then(|| ends(batch.producer_id(), at))
    };
    let stable = (0..batches.len()).find(|at| end_of(*at) == Some(None)).unwrap_or(batches.len());
    let counts = |at: usize| end_of(at).is_none_or(|end| end.is_some_and(is_commit));
    let records = |at: usize| RecordIter::of(view(&batches[at])).map(Result::unwrap);
    let is_data = |at: usize| !view(&batches[at]).is_control();
    let is_superseded = |at: usize, key: Option<&[u8]>| {
        let later = (at + 1..stable).filter(|at| is_data(*at) && counts(*at));
        later.flat_map(records).any(|record| record.key == key)
    };
    let goes = |at: usize| {
        let is_gone =
            |record: Record<'_>| is_superseded(at, record.key) || (forgets && record.value.is_none());
        at < stable && is_data(at) && (!counts(at) || records(at).all(is_gone))
    };
    let is_needed =
        |marker: usize| (0..marker).any(|at| end_of(at) == Some(Some(marker)) && counts(at) && !goes(at));
    let stays = |at: usize| match is_data(at) {
        true => !goes(at),
        false => at >= stable || !forgets || is_needed(at),
    };
    (0..batches.len()).filter(|at| stays(*at)).map(|at| batches[at].clone()).collect()
}

#[test]
fn whatever_compaction_has_taken_a_start_comes_to_what_the_whole_log_says() {
    let mut removed_count = 0;
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bench = Bench::new(true);
        let count = rng.usize(1..50);
        write_at_random(&bench, &mut rng, count);
        let behind = if rng.bool() { view_of(&bench) } else { MemoryView::default() };
        let count = rng.usize(0..50);
        write_at_random(&bench, &mut rng, count);
        let forgets = rng.bool();
        if forgets {
            bench.clock.advance_ms(RETENTION_MS);
        }
        let whole = bench.log.batches();
        let left = compacted(&whole, forgets);
        removed_count += whole.len() - left.len();
        bench.log.compact(|batch| left.iter().all(|kept| view(kept).base_offset() != batch.base_offset()));
        assert_eq!(registers_of(&left), registers_of(&whole), "seed {seed}: what compaction may do");

        let started = Bench::over(bench.log.clone(), Arc::new(behind), bench.clock.clone());
        started.lead();
        assert_eq!(started.read().unwrap(), registers_of(&whole), "seed {seed}");
        let ends = (1..4).map(|producer| marker(producer, rng.bool())).collect();
        let ended = answer(&mut started.submit(Command::Write(ends)));
        assert!(ended.is_some_and(|answer| answer.is_ok()), "seed {seed}");
        let behind_end = bench.log.batches().split_off(left.len());
        let all: Vec<Vec<u8>> = whole.into_iter().chain(behind_end).collect();
        assert_eq!(started.read().unwrap(), registers_of(&all), "seed {seed}");
    }
    assert!(removed_count > 300, "{removed_count} batches are too few to mean anything");
}

#[test]
fn a_damaged_pending_record_has_the_view_rebuilt() {
    let bench = used(7);
    bench.submit(Command::Write(vec![pending(1, "r0", Some("x"))])).now().ok().unwrap().unwrap();
    let damaged = view_of(&bench);
    let change = Change { key: &[0xff, 0xff, 0], value: Some(b"") };
    let stamp = damaged.stamp(OF).unwrap().unwrap();
    damaged.apply(OF, &mut [change].into_iter(), &stamp, Patience::Wait).unwrap();
    let started = Bench::over(bench.log.clone(), Arc::new(damaged), bench.clock.clone());
    started.lead();
    assert_eq!(started.read().unwrap(), bench.log.registers(i64::MAX));
    let mut end = started.submit(Command::Write(vec![marker(1, true)]));
    assert!(answer(&mut end).is_some_and(|answer| answer.is_ok()));
    assert_eq!(started.read().unwrap()["r0"], "x");
}

#[test]
fn what_an_earlier_coordinator_left_undone_is_begun_when_all_that_was_replayed_is_committed() {
    let bench = Bench::new(false);
    let _tells = [bench.submit(Command::Tell("a".into())), bench.submit(Command::Tell("b".into()))];
    bench.log.commit(1);
    assert_eq!(*bench.told.lock(), [(LeaderEpoch(0), "a".into())]);
    bench.log.change_leader(false);
    bench.lead();
    assert_eq!(bench.told.lock().len(), 1, "b is not committed yet");
    bench.log.commit(2);
    assert_eq!(bench.told.lock()[1..], [(LeaderEpoch(1), "a".into()), (LeaderEpoch(1), "b".into())]);
    bench.log.change_leader(false);
    bench.lead();
    assert_eq!(bench.told.lock().len(), 5, "at once where all is committed");
}
