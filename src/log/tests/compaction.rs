//! Rounds of the cleaner over whole logs.

mod crash;
mod model;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::*;
use crate::log::compaction::{CompactionError, Dirt, MapLimits, Options, Round, Stats, Swapped};
use crate::protocol::ids::{ProducerEpoch, ProducerId};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord, RecordIter};
use crate::protocol::summary::ControlType;

const DELETE_RETENTION_MS: i64 = 1000;

/// A compacted log that rolls after a few batches.
fn compacted() -> TopicConfig {
    TopicConfig {
        cleanup_compact: true,
        cleanup_delete: false,
        delete_retention_ms: DELETE_RETENTION_MS,
        min_cleanable_dirty_ratio: 0.0,
        segment_bytes: 600,
        index_interval_bytes: 100,
        ..TopicConfig::default()
    }
}

fn options(now: Timestamp) -> Options {
    Options { map: MapLimits { memory_bytes: 1 << 20, load_factor: 0.9 }, seeds: [3, 4], now }
}

/// One batch of records, whose timestamps are `timestamp`.
fn keyed(header: BatchHeader, timestamp: i64, records: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(header);
    for (key, value) in records {
        builder.push(&NewRecord {
            timestamp: Timestamp(timestamp),
            key: Some(key.as_bytes()),
            value: value.map(str::as_bytes),
            headers: &[],
        });
    }
    builder.build()
}

fn put(log: &mut Log, key: &str, value: Option<&str>) -> i64 {
    let bytes = keyed(BatchHeader::default(), NOW.0, &[(key, value)]);
    append(log, &bytes).expect("append").first_offset.0
}

fn produced(producer: i64, sequence: i32, key: &str, value: &str) -> Vec<u8> {
    let header = BatchHeader {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        base_sequence: sequence,
        ..BatchHeader::default()
    };
    keyed(header, NOW.0, &[(key, Some(value))])
}

pub(super) fn transactional(producer: i64, sequence: i32, key: &str, value: &str) -> Vec<u8> {
    let header = BatchHeader {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        base_sequence: sequence,
        transactional: true,
        ..BatchHeader::default()
    };
    keyed(header, NOW.0, &[(key, Some(value))])
}

pub(super) fn end_transaction(log: &mut Log, producer: i64, control_type: ControlType) {
    let header = BatchHeader {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        transactional: true,
        control: true,
        ..BatchHeader::default()
    };
    let key = [0, 0, 0, control_type as u8];
    let mut builder = BatchBuilder::new(header);
    builder.push(&NewRecord { timestamp: NOW, key: Some(&key), value: Some(&[0; 6]), headers: &[] });
    log.append_as_leader(&mut builder.build(), LeaderEpoch(1), Origin::Coordinator, NOW).expect("append");
    log.on_high_watermark(log.log_end_offset());
}

/// Fills up the active segment, so that everything before lies in sealed ones.
fn roll(log: &mut Log) {
    let filler = "x".repeat(500);
    put(log, "filler", Some(&filler));
    put(log, "filler", Some(&filler));
}

fn dirt(log: &Log, cleaned_to: Option<i64>, now: Timestamp) -> Dirt {
    let stable = log.producers().first_unstable_offset().unwrap_or(log.log_end_offset());
    log.view().dirt(log.config(), cleaned_to.map(Offset), stable, now).expect("look")
}

/// A round as the cleaner runs it; answers where the next one begins.
fn clean(log: &mut Log, cleaned_to: Option<i64>, now: Timestamp) -> Result<i64, CompactionError> {
    let dirt = dirt(log, cleaned_to, now);
    clean_with(log, dirt, options(now)).map(|(end, _)| end)
}

fn clean_with(log: &mut Log, dirt: Dirt, options: Options) -> Result<(i64, Stats), CompactionError> {
    let mut pace = |_| ControlFlow::Continue(());
    let mut round = Round::begin(log.compaction_source(), dirt, options, &mut pace)?;
    while let Some(group) = round.next_group()? {
        match log.swap_in(&group, options.now).map_err(CompactionError::Failed)? {
            Swapped::Done(removed) => {
                for segment in removed {
                    segment.remove_files().map_err(CompactionError::Failed)?;
                }
                group.sync().map_err(CompactionError::Failed)?;
            }
            Swapped::NotReady(error) => return Err(CompactionError::Failed(error)),
            Swapped::LogHasChanged => {
                group.discard().map_err(CompactionError::Failed)?;
                return Err(CompactionError::Stopped);
            }
        }
    }
    Ok((round.end_offset().0, round.stats()))
}

/// Offset, key and value of every record.
fn contents(log: &Log) -> Vec<(i64, String, Option<String>)> {
    let view = log.view();
    let mut found = Vec::new();
    let mut next = view.log_start_offset();
    while next < view.log_end_offset() {
        let bytes = view.read_bytes(next, up_to(view.log_end_offset())).expect("read");
        assert!(!bytes.is_empty(), "a log can be read to its end from {next}");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (batch, after) = Batch::split_first(rest).expect("whole batches");
            assert!(batch.crc_matches() && batch.base_offset() >= next.min(batch.base_offset()));
            for record in RecordIter::of(batch).filter(|_| !batch.is_control()) {
                let record = record.expect("a record");
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                let offset = batch.base_offset().0 + i64::from(record.offset_delta);
                found.push((offset, record.key.map(text).unwrap_or_default(), record.value.map(text)));
            }
            next = batch.next_offset();
            rest = after;
        }
    }
    assert!(found.is_sorted_by(|left, right| left.0 < right.0), "{found:?}");
    found
}

/// What a reader of the whole log ends up with.
fn table(log: &Log) -> BTreeMap<String, String> {
    let mut table = BTreeMap::new();
    for (_, key, value) in contents(log) {
        match value {
            Some(value) => drop(table.insert(key, value)),
            None => drop(table.remove(&key)),
        }
    }
    table
}

fn write_many(log: &mut Log, count: i64) -> BTreeMap<String, String> {
    for index in 0..count {
        put(log, &format!("key {}", index % 7), Some(&format!("value {index}")));
    }
    table(log)
}

#[test]
fn the_latest_record_of_each_key_keeps_its_offset() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    write_many(&mut log, 60);
    roll(&mut log);
    let before = contents(&log);
    let expected = table(&log);
    let end = log.log_end_offset();
    let cleaned_to = clean(&mut log, None, NOW).expect("clean");
    let after = contents(&log);
    assert_eq!(table(&log), expected);
    assert!(after.iter().all(|record| before.contains(record)), "offsets and values stay");
    let newest: Vec<i64> = after.iter().map(|record| record.0).filter(|offset| *offset < 60).collect();
    assert_eq!(newest, [53, 54, 55, 56, 57, 58, 59]);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(0), end));
    for offset in 0..end.0 {
        let bytes = log.view().read_bytes(Offset(offset), up_to(end)).expect("a gap is no error");
        assert!(Batch::split_first(&bytes).expect("a batch").0.next_offset() > Offset(offset));
    }
    assert!(cleaned_to >= 60);
    assert_eq!(dirt(&log, Some(cleaned_to), NOW).cleanable_bytes, 0);
    log.close().expect("close");
    for log in [partition.open_after_clean_stop(), partition.open_after_crash().expect("open")] {
        assert_eq!(contents(&log), after);
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(0), end));
    }
}

#[test]
fn segments_that_have_shrunk_become_one() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    write_many(&mut log, 60);
    roll(&mut log);
    let cleaned_to = clean(&mut log, None, NOW).expect("clean");
    let (count, expected) = (log.view().segment_count(), table(&log));
    roll(&mut log);
    clean(&mut log, Some(cleaned_to), NOW).expect("clean");
    assert!(log.view().segment_count() < count - 2, "{count} became {}", log.view().segment_count());
    assert_eq!(table(&log), expected);
    drop(log);
    assert_eq!(table(&partition.open_after_crash().expect("open")), expected);
}

#[test]
fn rounds_follow_each_other_as_far_as_the_map_reaches() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    for index in 0..40 {
        put(&mut log, &format!("key {}", index % 20), Some(&format!("value {index}")));
    }
    roll(&mut log);
    let expected = table(&log);
    let mut cleaned_to = None;
    let mut rounds = 0;
    while dirt(&log, cleaned_to, NOW).cleanable_bytes > 0 {
        let dirt = dirt(&log, cleaned_to, NOW);
        let small = MapLimits { memory_bytes: 24 * 10, load_factor: 0.9 };
        let (end, _) = clean_with(&mut log, dirt, Options { map: small, ..options(NOW) }).expect("clean");
        assert!(cleaned_to.is_none_or(|before| before < end), "each round gets further");
        cleaned_to = Some(end);
        rounds += 1;
        assert_eq!(table(&log), expected);
    }
    assert!(rounds > 3, "{rounds}");
    assert_eq!(contents(&log).iter().filter(|record| record.0 < 40).count(), 20);
}

#[test]
fn the_active_segment_and_what_is_not_stable_stay() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    put(&mut log, "a", Some("1"));
    put(&mut log, "a", Some("2"));
    assert_eq!(dirt(&log, None, NOW).cleanable_bytes, 0, "all is in the active segment");
    write_many(&mut log, 30);
    let open = append(&mut log, &transactional(5, 0, "key 1", "open")).expect("append");
    write_many(&mut log, 30);
    let found = dirt(&log, None, NOW);
    assert!(found.first_uncleanable_offset <= open.first_offset);
    let before = contents(&log);
    clean(&mut log, None, NOW).expect("clean");
    let kept: Vec<_> = before.iter().filter(|record| record.0 >= open.first_offset.0).collect();
    assert!(kept.iter().all(|record| contents(&log).contains(record)));
}

#[test]
fn a_tombstone_goes_after_its_horizon_and_never_before_its_key() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    put(&mut log, "a", Some("1"));
    put(&mut log, "b", Some("1"));
    let tombstone = put(&mut log, "a", None);
    roll(&mut log);
    let cleaned_to = clean(&mut log, None, NOW).expect("clean");
    assert!(contents(&log).contains(&(tombstone, "a".into(), None)));
    assert!(!contents(&log).iter().any(|record| record.0 == 0));
    roll(&mut log);
    let soon = Timestamp(NOW.0 + DELETE_RETENTION_MS - 1);
    let cleaned_to = clean(&mut log, Some(cleaned_to), soon).expect("clean");
    assert!(contents(&log).contains(&(tombstone, "a".into(), None)), "a slow reader may still need it");
    roll(&mut log);
    clean(&mut log, Some(cleaned_to), Timestamp(NOW.0 + DELETE_RETENTION_MS)).expect("clean");
    assert!(!contents(&log).iter().any(|record| record.1 == "a"));
    assert_eq!(table(&log)["b"], "1");
}

#[test]
fn producers_are_known_after_their_records_are_gone() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &produced(77, 0, "a", "1")).expect("append");
    append(&mut log, &produced(77, 1, "a", "2")).expect("append");
    for index in 0..20 {
        put(&mut log, "a", Some(&format!("later {index}")));
    }
    roll(&mut log);
    clean(&mut log, None, NOW).expect("clean");
    assert!(!contents(&log).iter().any(|record| record.0 < 2));
    drop(log);
    for name in partition.names().iter().filter(|name| name.ends_with(".snapshot")) {
        std::fs::remove_file(partition.path(name)).expect("remove");
    }
    let mut log = partition.open_after_crash().expect("open");
    assert!(append(&mut log, &produced(77, 1, "a", "2")).expect("a retry").is_duplicate);
    assert!(matches!(append(&mut log, &produced(77, 3, "a", "3")), Err(AppendError::Refused(_))), "a gap");
    append(&mut log, &produced(77, 2, "a", "3")).expect("the next one");
}

#[test]
fn aborted_records_go_and_their_markers_follow() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    put(&mut log, "a", Some("committed before"));
    append(&mut log, &transactional(5, 0, "a", "aborted")).expect("append");
    append(&mut log, &transactional(6, 0, "b", "committed")).expect("append");
    end_transaction(&mut log, 5, ControlType::Abort);
    end_transaction(&mut log, 6, ControlType::Commit);
    // Their producers go on, so that nothing stays for them.
    append(&mut log, &transactional(5, 1, "c", "1")).expect("append");
    append(&mut log, &transactional(6, 1, "d", "1")).expect("append");
    end_transaction(&mut log, 5, ControlType::Commit);
    end_transaction(&mut log, 6, ControlType::Commit);
    roll(&mut log);
    let aborted = |log: &Log| log.view().aborted_transactions(Offset(0), log.log_end_offset()).expect("read");
    assert_eq!(aborted(&log).len(), 1);
    let mut cleaned_to = clean(&mut log, None, NOW).expect("clean");
    assert_eq!(table(&log)["a"], "committed before", "an aborted record supersedes nothing");
    assert!(!contents(&log).iter().any(|record| record.0 == 1));
    assert_eq!(aborted(&log).len(), 1, "a reader may be at it");
    assert!(
        offsets_from(&log.view(), Offset(0), log.log_end_offset()).contains(&(3, 4)),
        "and the marker stays"
    );
    for (later_ms, marker_is_there) in
        [(0, true), (DELETE_RETENTION_MS - 1, true), (DELETE_RETENTION_MS, false)]
    {
        roll(&mut log);
        cleaned_to = clean(&mut log, Some(cleaned_to), Timestamp(NOW.0 + later_ms)).expect("clean");
        let offsets = offsets_from(&log.view(), Offset(0), log.log_end_offset());
        assert_eq!(offsets.contains(&(3, 4)), marker_is_there, "{later_ms}");
        assert!(offsets.contains(&(4, 5)), "a committed transaction keeps its marker while it has records");
    }
    assert_eq!(aborted(&log).len(), 0);
    assert_eq!(table(&log)["b"], "committed");
    let contents_before = contents(&log);
    drop(log);
    assert_eq!(contents(&partition.open_after_crash().expect("open")), contents_before);
}

#[test]
fn lags_say_what_is_too_young_and_what_is_overdue() {
    let with = |config: TopicConfig| {
        let partition = Partition::with(config);
        let mut log = partition.open_after_clean_stop();
        write_many(&mut log, 30);
        (partition, log)
    };
    let (_young, log) = with(TopicConfig { min_compaction_lag_ms: 5000, ..compacted() });
    assert_eq!(dirt(&log, None, Timestamp(NOW.0 + 4999)).cleanable_bytes, 0);
    assert!(dirt(&log, None, Timestamp(NOW.0 + 5000)).cleanable_bytes > 0);
    let config = TopicConfig { max_compaction_lag_ms: 5000, min_cleanable_dirty_ratio: 1.0, ..compacted() };
    let (_old, log) = with(config.clone());
    assert!(!dirt(&log, None, Timestamp(NOW.0 + 5000)).is_due(&config));
    assert!(dirt(&log, None, Timestamp(NOW.0 + 5001)).is_due(&config));
    let config = TopicConfig { min_cleanable_dirty_ratio: 0.5, ..compacted() };
    let (_half, log) = with(config.clone());
    let found = dirt(&log, None, NOW);
    assert!(found.is_due(&config) && found.ratio() > 0.99, "all that can be cleaned is dirty");
    let mostly_clean = dirt(&log, Some(found.first_uncleanable_offset.0 - 4), NOW);
    assert!(!mostly_clean.is_due(&config), "{mostly_clean:?}");
}

#[test]
fn a_dirty_offset_beside_the_log_begins_at_the_log_start() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    write_many(&mut log, 30);
    for (cleaned_to, log_start, expected) in
        [(Some(9999), 0, 0), (Some(3), 10, 10), (None, 10, 10), (Some(12), 12, 12)]
    {
        log.set_log_start_offset(Offset(log_start)).expect("move");
        assert_eq!(dirt(&log, cleaned_to, NOW).first_dirty_offset, Offset(expected));
    }
}

#[test]
fn a_corrupt_batch_stops_the_round_and_nothing_is_changed() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    write_many(&mut log, 60);
    roll(&mut log);
    let name = partition.names().into_iter().filter(|name| name.ends_with(".log")).nth(2).expect("a third");
    let path = partition.path(&name);
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[100] ^= 1;
    std::fs::write(&path, &bytes).expect("write");
    let files = |partition: &Partition| -> Vec<(String, Vec<u8>)> {
        let read = |name: String| (name.clone(), std::fs::read(partition.path(&name)).expect("read"));
        partition.names().into_iter().map(read).collect()
    };
    let before = files(&partition);
    assert!(matches!(clean(&mut log, None, NOW), Err(CompactionError::Corrupt(_))));
    assert!(!log.is_failed());
    assert_eq!(files(&partition), before);
}

#[test]
fn readers_that_hold_a_replaced_segment_go_on() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    write_many(&mut log, 60);
    roll(&mut log);
    let view = log.view();
    let region = view.read(Offset(0), up_to(Offset(60))).expect("read").expect("records");
    let mut expected = vec![0; region.size_bytes];
    region.file.read_exact_at(&mut expected, region.position).expect("read");
    clean(&mut log, None, NOW).expect("clean");
    let mut still = vec![0; region.size_bytes];
    region.file.read_exact_at(&mut still, region.position).expect("the file lives as long as its reader");
    assert_eq!(still, expected);
}

#[test]
fn a_reader_of_a_replaced_segment_still_learns_what_was_aborted() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &transactional(5, 0, "a", "aborted")).expect("append");
    end_transaction(&mut log, 5, ControlType::Abort);
    append(&mut log, &transactional(5, 1, "b", "1")).expect("append");
    end_transaction(&mut log, 5, ControlType::Commit);
    roll(&mut log);
    let cleaned_to = clean(&mut log, None, NOW).expect("clean");
    roll(&mut log);
    // The round after the one that has removed the records drops the transaction from the index.
    let segments = log.view().segments();
    let mut pace = |_| ControlFlow::Continue(());
    let found = dirt(&log, Some(cleaned_to), NOW);
    let mut round = Round::begin(log.compaction_source(), found, options(NOW), &mut pace).expect("begin");
    while let Some(group) = round.next_group().expect("clean") {
        assert!(matches!(log.swap_in(&group, NOW), Ok(Swapped::Done(_))));
    }
    let known = |segment: &Arc<crate::log::segment::Segment>| {
        segment.set_indexes(None);
        segment.with_indexes(|indexes| indexes.aborted.len()).expect("read")
    };
    assert_eq!(known(&segments[0]), 1);
    assert_eq!(known(&log.view().segments()[0]), 0);
}

#[test]
fn segments_that_retention_took_meanwhile_end_the_round() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    write_many(&mut log, 60);
    roll(&mut log);
    let mut pace = |_| ControlFlow::Continue(());
    let found = dirt(&log, None, NOW);
    let mut round = Round::begin(log.compaction_source(), found, options(NOW), &mut pace).expect("begin");
    let group = round.next_group().expect("clean").expect("a group");
    log.set_log_start_offset(Offset(30)).expect("move");
    for segment in log.apply_retention(log.log_end_offset(), NOW).expect("apply retention") {
        segment.remove_files().expect("remove");
    }
    let before = contents(&log);
    assert!(!partition.names().iter().any(|name| name.ends_with(".swap")), "a crash leads to no swap");
    assert!(matches!(log.swap_in(&group, NOW), Ok(Swapped::LogHasChanged)));
    group.discard().expect("discard");
    assert_eq!(contents(&log), before);
    assert!(!partition.names().iter().any(|name| name.ends_with(".swap") || name.ends_with(".cleaned")));
}

#[test]
fn segments_whose_files_go_under_a_round_end_it() {
    for pieces_before in [0, 1, 30, 62, 64] {
        let partition = Partition::with(compacted());
        let mut log = partition.open_after_clean_stop();
        write_many(&mut log, 60);
        roll(&mut log);
        let (source, found) = (log.compaction_source(), dirt(&log, None, NOW));
        let mut pieces_left = pieces_before;
        let mut pace = |_| {
            if pieces_left == 0 {
                log.set_log_start_offset(Offset(60)).expect("move");
                for segment in log.apply_retention(log.log_end_offset(), NOW).expect("apply retention") {
                    segment.remove_files().expect("remove");
                }
            }
            pieces_left -= 1;
            ControlFlow::Continue(())
        };
        let mut cleaned = Round::begin(source, found, options(NOW), &mut pace);
        let ended = match &mut cleaned {
            Ok(round) => loop {
                match round.next_group() {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            },
            Err(CompactionError::Stopped) => continue,
            Err(error) => panic!("after {pieces_before}: {error:?}"),
        };
        assert!(matches!(ended, Some(CompactionError::Stopped)), "after {pieces_before}: {ended:?}");
    }
}

#[test]
fn a_pace_that_says_stop_leaves_nothing_behind() {
    let partition = Partition::with(compacted());
    let mut log = partition.open_after_clean_stop();
    write_many(&mut log, 60);
    roll(&mut log);
    let before = (contents(&log), partition.names());
    for most_pieces in [0, 1, 30, 64] {
        let mut left = most_pieces;
        let mut pace = |_| {
            left -= 1;
            if left < 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let found = dirt(&log, None, NOW);
        let stopped = Round::begin(log.compaction_source(), found, options(NOW), &mut pace)
            .and_then(|mut round| round.next_group().map(|_| ()));
        assert!(matches!(stopped, Err(CompactionError::Stopped)), "{most_pieces}");
        assert_eq!((contents(&log), partition.names()), before);
    }
}

#[test]
fn segments_that_lose_all_records_do_not_move_the_log_start_and_can_expire() {
    let partition = Partition::with(TopicConfig { segment_bytes: 120, ..compacted() });
    let mut log = partition.open_after_clean_stop();
    for index in 0..10 {
        put(&mut log, "a", Some(&format!("{index}")));
    }
    clean(&mut log, None, NOW).expect("clean");
    let expected = contents(&log);
    assert!(expected.len() <= 2);
    drop(log);
    let mut log = partition.open_after_crash().expect("open");
    assert_eq!((log.log_start_offset(), contents(&log)), (Offset(0), expected));
    log.set_log_start_offset(Offset(9)).expect("move");
    let removed = log.apply_retention(log.log_end_offset(), NOW).expect("apply retention");
    assert!(!removed.is_empty(), "a segment without a batch is in nobody's way");
    assert_eq!(log.view().segment_count(), 1);
}
