//! Single situations, one at a time.

use std::sync::atomic::{AtomicI64, Ordering};

use super::bench::{
    Bench, COMMIT_TIMEOUT_MS, Command, Fate, OF, PARTITION, Response, answer, durable, marker, now, pending,
    view,
};
use crate::coordinator::runtime::SlotState;
use crate::coordinator::shard::Stored;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Offset;
use crate::protocol::summary::{BatchSummary, ControlType};
use crate::store::memory::Mood;
use crate::store::view::View;

const COUNT_1: Option<Result<Response, ErrorCode>> = Some(Ok(Response::Count(1)));

#[test]
fn alone_an_answer_is_there_at_once() {
    let bench = Bench::new(true);
    assert!(matches!(bench.set("a", "1").now(), Ok(Ok(Response::Count(1)))));
    assert_eq!(bench.read().unwrap(), bench.log.registers(1));
    let got = bench.submit(Command::Get("a".into())).now();
    assert!(matches!(got, Ok(Ok(Response::Value(Some(value)))) if value == "1"));
}

#[test]
fn no_answer_leaves_before_the_high_watermark_and_readers_see_what_is_below_it() {
    let bench = Bench::new(false);
    let mut set = bench.set("a", "1");
    let mut get = bench.submit(Command::Get("a".into()));
    let mut fail = bench.submit(Command::Fail);
    assert_eq!((answer(&mut set), answer(&mut get), answer(&mut fail)), (None, None, None));
    assert!(bench.read().unwrap().is_empty());
    bench.log.commit(1);
    assert_eq!(answer(&mut set), COUNT_1);
    assert_eq!(answer(&mut get), Some(Ok(Response::Value(Some("1".into())))));
    assert_eq!(answer(&mut fail), Some(Err(ErrorCode::InvalidRequest)));
    assert_eq!(bench.read().unwrap(), bench.log.registers(1));
}

#[test]
fn an_inspection_waits_for_what_it_may_have_seen() {
    let bench = Bench::new(false);
    let inspect = || bench.runtime.inspect(PARTITION, |shard| Ok(shard.values.len()));
    assert_eq!(now(inspect()), Some(Ok(0)));
    let _set = bench.set("a", "1");
    let mut inspection = Box::pin(inspect());
    assert_eq!(super::bench::poll(inspection.as_mut()), None);
    bench.log.commit(1);
    assert_eq!(super::bench::poll(inspection.as_mut()), Some(Ok(1)));
}

#[test]
fn a_reading_of_the_newest_sees_what_is_not_committed_and_waits_for_it() {
    let bench = Bench::new(false);
    let read = || {
        let look = |count: &usize, stored: &dyn Stored| Ok((*count, stored.get(b"r/a")?));
        bench.runtime.read_newest(PARTITION, |shard| Ok(shard.values.len()), look)
    };
    assert_eq!(now(read()), Some(Ok((0, None))));
    let _set = bench.set("a", "1");
    let mut reading = Box::pin(read());
    let refusal = ErrorCode::GroupIdNotFound;
    let nothing = |_: &(), _: &dyn Stored| Ok(());
    let mut refused = Box::pin(bench.runtime.read_newest(PARTITION, |_| Err(refusal.into()), nothing));
    assert_eq!(super::bench::poll(reading.as_mut()), None);
    assert_eq!(
        super::bench::poll(refused.as_mut()),
        None,
        "a refusal, too, may come from what can be taken back"
    );
    let _again = bench.set("a", "2");
    bench.log.commit(1);
    assert_eq!(super::bench::poll(reading.as_mut()), Some(Ok((1, Some(b"1".to_vec())))));
    assert_eq!(super::bench::poll(refused.as_mut()), Some(Err(refusal.into())));
}

#[test]
fn a_refused_append_has_changed_nothing_and_says_so_in_kafkas_code() {
    for (code, told) in [
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::RecordListTooLarge, ErrorCode::UnknownServerError),
        (ErrorCode::CorruptMessage, ErrorCode::CorruptMessage),
    ] {
        let bench = Bench::new(true);
        bench.log.next_appends([Fate::Refused(code)]);
        assert_eq!(answer(&mut bench.set("a", "1")), Some(Err(told)));
        assert!(bench.read().unwrap().is_empty());
        bench.log.next_appends([Fate::Refused(code)]);
        let mut twice = bench.submit(Command::SetTwice("b".into()));
        assert_eq!(answer(&mut twice), Some(Ok(Response::Refused(told))), "on_failed was decided");
        assert_eq!(answer(&mut bench.set("a", "1")), COUNT_1);
    }
}

#[test]
fn what_follows_a_commit_is_decided_after_it() {
    for is_alone in [true, false] {
        let bench = Bench::new(is_alone);
        let mut twice = bench.submit(Command::SetTwice("a".into()));
        if !is_alone {
            assert_eq!((bench.log.end(), answer(&mut twice)), (1, None));
            bench.log.commit(1);
            assert_eq!((bench.log.end(), answer(&mut twice)), (2, None));
            bench.log.commit(2);
        }
        assert_eq!(answer(&mut twice), COUNT_1);
        assert_eq!(bench.read().unwrap()["a"], "second");
    }
}

#[test]
fn parked_requests_are_answered_by_the_outcome_that_names_them() {
    let bench = Bench::new(false);
    let mut waits = [bench.submit(Command::Wait), bench.submit(Command::Wait)];
    let forgotten = bench.submit(Command::Wait);
    drop(forgotten);
    let mut release = bench.submit(Command::Release);
    bench.log.commit(2);
    assert!(waits.iter_mut().all(|wait| answer(wait).is_none()), "one of the three records is not committed");
    bench.log.commit(3);
    for wait in &mut waits {
        assert_eq!(answer(wait), Some(Ok(Response::Count(3))));
    }
    assert_eq!(answer(&mut release), Some(Ok(Response::Count(3))));
}

#[test]
fn a_refused_append_leaves_those_parked_who_were_parked() {
    let bench = Bench::new(true);
    let mut waits = bench.submit(Command::Wait);
    bench.log.next_appends([Fate::Refused(ErrorCode::NotEnoughReplicas)]);
    let mut refused = bench.submit(Command::Release);
    assert_eq!(answer(&mut refused), Some(Err(ErrorCode::CoordinatorNotAvailable)));
    assert_eq!(answer(&mut waits), None, "nothing has happened to it");
    assert_eq!(answer(&mut bench.submit(Command::Release)), COUNT_1);
    assert_eq!(answer(&mut waits), COUNT_1);
}

#[test]
fn an_unknown_outcome_ends_the_term() {
    let bench = Bench::new(false);
    let mut waits = bench.submit(Command::Wait);
    let mut earlier = bench.set("a", "1");
    bench.log.next_appends([Fate::Unknown]);
    let mut doubtful = bench.submit(Command::SetTwice("b".into()));
    for submitted in [&mut waits, &mut earlier, &mut doubtful, &mut bench.set("c", "1")] {
        assert_eq!(answer(submitted), Some(Err(ErrorCode::NotCoordinator)));
    }
    assert_eq!(bench.runtime.led(), [(PARTITION, SlotState::Failed)]);
    bench.log.change_leader(false);
    bench.log.commit(2);
    bench.lead();
    assert_eq!(bench.read().unwrap(), bench.log.registers(2), "what was in the log counts");
}

#[test]
fn a_lost_term_fails_all_who_wait_and_the_next_begins_with_the_log() {
    let bench = Bench::new(false);
    let mut sets = [bench.set("a", "1"), bench.set("b", "1")];
    bench.log.commit(1);
    let mut waits = bench.submit(Command::Wait);
    bench.runtime.resign(PARTITION);
    assert_eq!(answer(&mut sets[0]), COUNT_1);
    assert_eq!(answer(&mut sets[1]), Some(Err(ErrorCode::NotCoordinator)));
    assert_eq!(answer(&mut waits), Some(Err(ErrorCode::NotCoordinator)));
    assert_eq!(answer(&mut bench.set("c", "1")), Some(Err(ErrorCode::NotCoordinator)));
    assert_eq!(bench.read(), Err(ErrorCode::NotCoordinator.into()));
    bench.log.change_leader(true);
    bench.lead();
    assert_eq!(answer(&mut bench.submit(Command::Get("b".into()))), Some(Ok(Response::Value(None))));
}

#[test]
fn a_coordinator_of_an_older_term_cannot_append() {
    let bench = Bench::new(false);
    bench.log.change_leader(false);
    assert_eq!(answer(&mut bench.set("a", "1")), Some(Err(ErrorCode::NotCoordinator)));
    assert_eq!(bench.log.end(), 0);
}

#[test]
fn a_closed_log_ends_the_term() {
    let bench = Bench::new(false);
    let mut set = bench.set("a", "1");
    bench.log.close();
    assert_eq!(answer(&mut set), Some(Err(ErrorCode::NotCoordinator)));
}

#[test]
fn requests_during_loading_are_told_to_come_back() {
    let bench = Bench::new(true);
    let epoch = bench.log.change_leader(false);
    bench.runtime.lead(PARTITION, epoch);
    assert_eq!(bench.runtime.led(), [(PARTITION, SlotState::Loading)]);
    assert_eq!(answer(&mut bench.set("a", "1")), Some(Err(ErrorCode::CoordinatorLoadInProgress)));
    let mut loaded = Box::pin(bench.runtime.loaded(PARTITION));
    assert_eq!(super::bench::poll(loaded.as_mut()), None);
    bench.run_jobs();
    assert_eq!(super::bench::poll(loaded.as_mut()), Some(()));
    assert_eq!(answer(&mut bench.set("a", "1")), COUNT_1);
}

#[test]
fn an_answer_that_waits_too_long_is_an_error_and_the_log_goes_on() {
    let bench = Bench::new(false);
    let mut twice = bench.submit(Command::SetTwice("a".into()));
    let mut set = bench.set("b", "1");
    let mut inspection = Box::pin(bench.runtime.inspect(PARTITION, |shard| Ok(shard.values.len())));
    assert_eq!(super::bench::poll(inspection.as_mut()), None);
    bench.clock.advance_ms(COMMIT_TIMEOUT_MS - 1);
    bench.runtime.expire();
    assert_eq!(answer(&mut set), None);
    bench.clock.advance_ms(1);
    bench.runtime.expire();
    assert_eq!(answer(&mut set), Some(Err(ErrorCode::CoordinatorNotAvailable)));
    let inspected = super::bench::poll(inspection.as_mut());
    assert_eq!(inspected, Some(Err(ErrorCode::CoordinatorNotAvailable.into())));
    bench.log.commit(2);
    assert_eq!(bench.log.end(), 3, "the second half was decided all the same");
    bench.log.commit(3);
    assert_eq!(answer(&mut twice), Some(Ok(Response::Count(2))));
}

#[test]
fn what_is_committed_when_its_time_is_up_is_not_late() {
    let bench = Bench::new(false);
    let mut set = bench.set("a", "1");
    bench.clock.advance_ms(COMMIT_TIMEOUT_MS);
    // Noted by the log, and followed by nobody yet.
    bench.runtime.slot(PARTITION).unwrap().watermark.raise(Offset(1));
    bench.runtime.expire();
    assert_eq!(answer(&mut set), COUNT_1);
}

#[test]
fn deadlines_fire_when_due_and_once() {
    let bench = Bench::new(true);
    let at = bench.clock.uptime_ms() + 10;
    bench.submit(Command::ExpireAt(at)).now().ok().unwrap().unwrap();
    bench.runtime.expire();
    assert_eq!(bench.log.end(), 0);
    bench.clock.advance_ms(10);
    bench.runtime.expire();
    bench.runtime.expire();
    assert_eq!(bench.read().unwrap()["expired"], at.to_string());
    assert_eq!(bench.log.end(), 1);
}

#[test]
fn a_busy_view_is_made_good_later_and_nobody_sees_it() {
    let bench = Bench::new(true);
    bench.view.set_mood(Mood { busy: true, ..Mood::default() });
    assert_eq!(answer(&mut bench.set("a", "1")), COUNT_1);
    assert_eq!(bench.read().unwrap(), bench.log.registers(1));
    bench.submit(Command::Set(vec![("a".into(), None)])).now().ok().unwrap().unwrap();
    assert!(bench.read().unwrap().is_empty());
    bench.view.set_mood(Mood::default());
    assert!(bench.view_registers().is_empty());
    assert_eq!(answer(&mut bench.set("b", "1")), COUNT_1);
    bench.clock.advance_ms(100);
    bench.runtime.expire();
    assert_eq!(bench.view_registers(), bench.log.registers(3), "also without another request");
    bench.runtime.resign(PARTITION);
    bench.lead();
    assert_eq!(bench.read().unwrap(), bench.log.registers(3));
}

#[test]
fn what_is_committed_waits_until_a_write_to_the_view_is_worth_it() {
    let bench = Bench::lagging(true, 2_000);
    assert_eq!(answer(&mut bench.set("a", "1")), COUNT_1);
    assert!(bench.view_registers().is_empty());
    let mut get = bench.submit(Command::Get("a".into()));
    assert_eq!(answer(&mut get), Some(Ok(Response::Value(Some("1".into())))), "a decision sees it");
    (0..7).for_each(|at| drop(bench.set("a", &at.to_string())));
    assert_eq!(bench.view_registers()["a"], "3", "the last value of each key");
    assert_eq!(bench.read().unwrap(), bench.log.registers(8), "a reader sees all");
    assert_eq!(bench.view_registers(), bench.log.registers(8), "as what waits is written first");
}

#[test]
fn nothing_waits_behind_the_end_of_a_term() {
    let bench = Bench::lagging(true, 2_000);
    assert_eq!(answer(&mut bench.set("a", "1")), COUNT_1);
    bench.runtime.resign(PARTITION);
    assert_eq!(bench.view_registers(), bench.log.registers(1));
    assert_eq!(bench.view.stamp(OF).unwrap().unwrap().next_offset, Offset(1));
}

#[test]
fn what_waits_lies_under_what_can_still_be_taken_back() {
    let bench = Bench::lagging(false, 2_000);
    drop(bench.submit(Command::Set(vec![("a".into(), Some("1".into())), ("b".into(), Some("1".into()))])));
    bench.log.commit(2);
    drop(bench.submit(Command::Set(vec![("b".into(), None), ("c".into(), Some("2".into()))])));
    for name in ["a", "b", "c"] {
        let mut get = bench.submit(Command::Get(name.into()));
        bench.runtime.peek(PARTITION, |_| ()).unwrap();
        assert_eq!(answer(&mut get), None, "it shows what is not committed");
    }
    assert_eq!(bench.read().unwrap(), bench.log.registers(2));
    bench.log.commit(4);
    assert_eq!(bench.read().unwrap(), bench.log.registers(4));
}

#[test]
fn a_view_that_few_of_many_changes_reach_goes_to_disk_by_their_count() {
    let bench = Bench::lagging(true, 2_000);
    let set = || drop(bench.set("a", "1"));
    (0..10_000).for_each(|_| set());
    bench.run_jobs();
    assert_eq!(bench.view.after_crash().stamp(OF).unwrap(), None);
    (0..12_000).for_each(|_| set());
    bench.run_jobs();
    assert!(bench.view.after_crash().stamp(OF).unwrap().unwrap().next_offset > Offset(21_900));
}

#[test]
fn a_view_that_stays_busy_costs_clients_an_error_before_it_costs_memory() {
    let bench = Bench::new(true);
    bench.view.set_mood(Mood { busy: true, ..Mood::default() });
    let refused = (0..100_000).find_map(|_| match answer(&mut bench.set("a", "1")) {
        Some(Err(code)) => Some(code),
        _ => None,
    });
    assert_eq!(refused, Some(ErrorCode::CoordinatorNotAvailable));
    bench.view.set_mood(Mood::default());
    bench.clock.advance_ms(100);
    let mut retried = bench.submit(Command::Get("a".into()));
    assert_eq!(answer(&mut retried), Some(Ok(Response::Value(Some("1".into())))));
    assert_eq!(answer(&mut bench.set("a", "2")), COUNT_1);
}

#[test]
fn a_view_that_is_busy_for_good_is_asked_ever_more_rarely_and_then_rebuilt() {
    let bench = Bench::new(true);
    bench.view.set_mood(Mood { busy: true, ..Mood::default() });
    assert_eq!(answer(&mut bench.set("a", "1")), COUNT_1);
    let mut asked_count = 0;
    while bench.runtime.led() == [(PARTITION, SlotState::Active)] {
        let pause_ms = bench.runtime.next_deadline_ms() - bench.clock.uptime_ms();
        assert!((1..=1_000).contains(&pause_ms), "{pause_ms}");
        bench.clock.advance_ms(pause_ms);
        bench.runtime.expire();
        asked_count += 1;
    }
    assert!((30..60).contains(&asked_count), "{asked_count}");
    bench.run_jobs();
    assert_eq!(bench.read().unwrap(), bench.log.registers(1));
    assert!(bench.view_registers().is_empty(), "another view has it");
}

#[test]
fn a_view_that_fails_is_rebuilt_from_the_log() {
    let bench = Bench::new(true);
    assert_eq!(answer(&mut bench.set("a", "1")), COUNT_1);
    bench.view.set_mood(Mood { failed: true, ..Mood::default() });
    let mut waits = bench.submit(Command::Wait);
    assert_eq!(answer(&mut waits), Some(Err(ErrorCode::NotCoordinator)));
    bench.run_jobs();
    assert_eq!(bench.read().unwrap(), bench.log.registers(1));
    assert_eq!(answer(&mut bench.set("a", "2")), COUNT_1);
}

#[test]
fn a_failing_view_is_found_by_readers_too() {
    let bench = Bench::new(true);
    assert_eq!(answer(&mut bench.set("a", "1")), COUNT_1);
    bench.view.set_mood(Mood { failed: true, ..Mood::default() });
    assert_eq!(bench.read(), Err(ErrorCode::CoordinatorNotAvailable.into()));
    bench.run_jobs();
    assert_eq!(bench.read().unwrap(), bench.log.registers(1));
}

#[tokio::test]
async fn a_cold_read_goes_to_the_blocking_pool() {
    let bench = Bench::new(true);
    assert_eq!(answer(&mut bench.set("a", "1")), COUNT_1);
    bench.view.set_mood(Mood { cold: true, ..Mood::default() });
    let look = |(): &(), stored: &dyn crate::coordinator::shard::Stored| stored.get(b"r/a");
    let mut read = Box::pin(bench.runtime.read(PARTITION, |_| Ok(()), look));
    assert_eq!(super::bench::poll(read.as_mut()), None);
    assert_eq!(read.await, Ok(Some(b"1".to_vec())));
}

#[test]
fn an_outcome_larger_than_a_batch_takes_several_and_one_record_may_not() {
    let bench = Bench::new(true);
    let changes = (0..10).map(|at| (format!("r{at}"), Some("x".repeat(90)))).collect();
    let mut set = bench.submit(Command::Set(changes));
    assert_eq!(answer(&mut set), Some(Ok(Response::Count(10))));
    let batches = bench.log.batches();
    assert!(batches.len() > 2 && batches.iter().all(|batch| batch.len() <= 400));
    assert!(batches.iter().all(|batch| view(batch).max_timestamp() == bench.clock.now()));
    assert_eq!(bench.read().unwrap(), bench.log.registers(10));
    let mut large = bench.set("large", &"x".repeat(400));
    assert_eq!(answer(&mut large), Some(Err(ErrorCode::UnknownServerError)));
}

#[test]
fn a_split_outcome_that_is_refused_halfway_has_replayed_what_was_appended() {
    let bench = Bench::new(true);
    let changes = (0..10).map(|at| (format!("r{at}"), Some("x".repeat(90)))).collect();
    let mut first = bench.set("a", "1");
    assert_eq!(answer(&mut first), COUNT_1);
    // The first of several appends goes through, the second does not.
    bench.log.next_appends([Fate::Appended, Fate::Refused(ErrorCode::NotEnoughReplicas)]);
    let mut set = bench.submit(Command::Set(changes));
    assert_eq!(answer(&mut set), Some(Err(ErrorCode::CoordinatorNotAvailable)));
    assert!(bench.log.end() > 1);
    assert_eq!(bench.read().unwrap(), bench.log.registers(bench.log.end()));
    assert!(answer(&mut bench.submit(Command::Get("r0".into()))).unwrap().is_ok());
}

/// What is told between a last look under the lock and its release must reach the one who has it or the teller.
#[test]
fn a_watermark_that_moves_while_a_turn_ends_is_followed_by_either_thread() {
    const ROUNDS: i64 = 3_000;
    let bench = Bench::new(false);
    let (asked, told) = (AtomicI64::new(0), AtomicI64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                while asked.load(Ordering::SeqCst) < round {
                    std::thread::yield_now();
                }
                bench.log.commit(round);
                told.store(round, Ordering::SeqCst);
            }
        });
        for round in 1..=ROUNDS {
            let mut set = bench.set("a", "1");
            asked.store(round, Ordering::SeqCst);
            for _ in 0..20 {
                if told.load(Ordering::SeqCst) == round {
                    break;
                }
                drop(bench.submit(Command::Get("a".into())));
            }
            while told.load(Ordering::SeqCst) < round {
                std::thread::yield_now();
            }
            assert_eq!(answer(&mut set), COUNT_1, "round {round}");
        }
    });
}

#[test]
fn a_transactional_write_is_seen_when_its_marker_is_committed() {
    let bench = Bench::new(false);
    let mut write =
        bench.submit(Command::Write(vec![pending(1, "a", Some("1")), pending(1, "b", Some("1"))]));
    bench.log.commit(2);
    assert_eq!(answer(&mut write), Some(Ok(Response::Count(0))));
    assert!(bench.read().unwrap().is_empty());
    let mut end = bench.submit(Command::Write(vec![marker(1, true)]));
    assert_eq!(answer(&mut end), None);
    assert!(bench.read().unwrap().is_empty());
    bench.log.commit(3);
    assert_eq!(answer(&mut end), Some(Ok(Response::Count(2))));
    assert_eq!(bench.read().unwrap(), bench.log.registers(3));
    assert_eq!(bench.read().unwrap().len(), 2);
}

#[test]
fn neighbours_of_a_kind_share_a_batch_and_a_marker_has_its_own() {
    let bench = Bench::new(true);
    let events = vec![
        durable("a", Some("1")),
        durable("b", Some("1")),
        pending(1, "a", Some("2")),
        pending(1, "b", Some("2")),
        pending(2, "c", Some("3")),
        marker(1, false),
        marker(2, true),
        durable("d", Some("4")),
    ];
    assert_eq!(answer(&mut bench.submit(Command::Write(events))), Some(Ok(Response::Count(4))));
    let batches = bench.log.batches();
    let shape = |batch: &Vec<u8>| {
        let batch = view(batch);
        let producer = (batch.producer_id().0, batch.producer_epoch().0, batch.base_sequence());
        (batch.is_transactional(), batch.is_control(), producer, batch.record_count())
    };
    let shapes: Vec<_> = batches.iter().map(shape).collect();
    // As Kafka's coordinators write them, down to the sequences that nobody checks.
    let expected = [
        (false, false, (-1, -1, 0), 2),
        (true, false, (1, 0, 0), 2),
        (true, false, (2, 0, 0), 1),
        (true, true, (1, 0, -1), 1),
        (true, true, (2, 0, -1), 1),
        (false, false, (-1, -1, 0), 1),
    ];
    assert_eq!(shapes, expected);
    let marker = BatchSummary::of(view(&batches[4])).unwrap().marker.unwrap();
    assert_eq!((marker.control_type, marker.coordinator_epoch), (ControlType::Commit, 7));
    assert_eq!(bench.view_registers(), bench.log.registers(i64::MAX));
}

#[test]
fn a_refused_marker_leaves_its_transaction_open() {
    let bench = Bench::new(true);
    assert!(answer(&mut bench.submit(Command::Write(vec![pending(1, "a", Some("1"))]))).is_some());
    bench.log.next_appends([Fate::Refused(ErrorCode::InvalidProducerEpoch)]);
    let mut refused = bench.submit(Command::Write(vec![marker(1, true)]));
    assert_eq!(answer(&mut refused), Some(Err(ErrorCode::InvalidProducerEpoch)));
    assert!(bench.read().unwrap().is_empty());
    assert_eq!(answer(&mut bench.submit(Command::Write(vec![marker(1, true)]))), COUNT_1);
    assert_eq!(bench.read().unwrap()["a"], "1");
}

#[test]
fn effects_begin_when_their_events_are_committed_and_are_dropped_with_them() {
    let bench = Bench::new(false);
    let told = || bench.told.lock().iter().map(|(_, name)| name.clone()).collect::<Vec<_>>();
    let mut tell = bench.submit(Command::Tell("a".into()));
    bench.clock.advance_ms(COMMIT_TIMEOUT_MS);
    bench.runtime.expire();
    assert_eq!(answer(&mut tell), Some(Err(ErrorCode::CoordinatorNotAvailable)), "it takes too long");
    assert!(told().is_empty());
    bench.log.commit(1);
    assert_eq!(told(), ["a"], "what is committed late is begun late");
    bench.log.next_appends([Fate::Refused(ErrorCode::NotEnoughReplicas)]);
    let _refused = bench.submit(Command::Tell("b".into()));
    let _lost = bench.submit(Command::Tell("c".into()));
    bench.runtime.resign(PARTITION);
    bench.log.commit(2);
    assert_eq!(told(), ["a"]);
    let alone = Bench::new(true);
    assert_eq!(answer(&mut alone.submit(Command::Tell("a".into()))), COUNT_1);
    assert_eq!(alone.told.lock().len(), 1);
}
