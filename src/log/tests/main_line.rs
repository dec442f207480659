//! Appending, reading, rolling, closing and opening again.

use super::*;
use crate::log::read::ReadError;

#[test]
fn a_log_has_no_files_before_the_first_append() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    assert!(!partition.directory().exists());
    assert_eq!(log.view().size_bytes(), 0);
    assert!(log.view().read(Offset(0), up_to(Offset(0))).expect("at the end").is_none());
    append(&mut log, &batch(1, 10, 5, 0)).expect("append");
    let names = [
        "00000000000000000000.index",
        "00000000000000000000.log",
        "00000000000000000000.timeindex",
        "leader-epoch-checkpoint",
        "partition.metadata",
    ];
    assert_eq!(partition.names(), names);
    let epochs = std::fs::read_to_string(partition.path("leader-epoch-checkpoint")).expect("read");
    assert_eq!(epochs, "0\n1\n1 0\n");
}

#[test]
fn batches_are_numbered_stamped_and_read_back() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let first = append(&mut log, &batch(3, 50, 5, 0)).expect("append");
    assert_eq!((first.first_offset, first.last_offset), (Offset(0), Offset(2)));
    let two = [batch(2, 50, 6, 1), batch(1, 50, 7, 2)].concat();
    let second = append(&mut log, &two).expect("append");
    assert_eq!((second.first_offset, second.last_offset), (Offset(3), Offset(5)));
    let view = log.view();
    assert_eq!(view.log_end_offset(), Offset(6));
    assert_eq!(offsets_from(&view, Offset(0), Offset(6)), [(0, 3), (3, 5), (5, 6)]);
    assert_eq!(
        offsets_from(&view, Offset(4), Offset(6)),
        [(3, 5), (5, 6)],
        "the whole batch of a middle offset"
    );
    let bytes = view.read_bytes(Offset(0), up_to(Offset(6))).expect("read");
    assert_eq!(Batch::split_first(&bytes).expect("a batch").0.leader_epoch(), LeaderEpoch(1));
}

#[test]
fn a_reader_is_told_since_when_the_end_was_written() {
    let partition = Partition::with(TopicConfig { segment_bytes: 1000, ..TopicConfig::default() });
    let mut log = partition.open_after_clean_stop();
    let since = |log: &Log, offset| {
        let region = log.view().read(Offset(offset), up_to(log.log_end_offset())).expect("read");
        region.expect("something to read").written_since
    };
    append(&mut log, &batch(1, 300, 5, 0)).expect("append");
    append(&mut log, &batch(1, 300, 5, 0)).expect("append");
    assert_eq!((since(&log, 0), since(&log, 1)), (Some(NOW), Some(NOW)));
    assert!(append(&mut log, &batch(1, 300, 5, 0)).expect("append").has_rolled);
    assert_eq!((since(&log, 1), since(&log, 2)), (None, Some(NOW)), "a sealed segment may be old");
    append(&mut log, &batch(1, 300, 5, 0)).expect("append");
    log.truncate_to(Offset(3), NOW).expect("truncate");
    assert_eq!(since(&log, 2), None, "a cut makes everything unknown");
    append(&mut log, &batch(1, 300, 5, 0)).expect("append");
    assert_eq!((since(&log, 2), since(&log, 3)), (None, Some(NOW)));
    drop(log);
    let log = partition.open_after_crash().expect("open");
    assert_eq!(since(&log, 3), None, "another process may have written it");
}

#[test]
fn a_reader_sees_whole_batches_below_its_bound_only() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    for _ in 0..100 {
        append(&mut log, &batch(2, 40, 5, 0)).expect("append");
    }
    let view = log.view();
    for bound in 0..=200 {
        let seen = offsets_from(&view, Offset(0), Offset(bound));
        assert_eq!(seen.last().map_or(0, |last| last.1), bound / 2 * 2, "bound {bound}");
    }
    assert!(matches!(view.read(Offset(201), up_to(Offset(200))), Err(ReadError::OffsetOutOfRange { .. })));
    assert!(view.read(Offset(150), up_to(Offset(100))).expect("in range").is_none());
}

#[test]
fn a_read_is_cut_at_a_batch_and_the_first_batch_comes_whole_when_asked() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    for _ in 0..100 {
        append(&mut log, &batch(1, 39, 5, 0)).expect("append");
    }
    let view = log.view();
    let size = |from, max_size_bytes, at_least_one| {
        let limits = ReadLimits { max_size_bytes, up_to: Offset(100), at_least_one };
        view.read(Offset(from), limits).expect("read").map_or(0, |region| region.size_bytes)
    };
    assert_eq!(size(3, 99, false), 0);
    assert_eq!(size(3, 99, true), 100);
    assert_eq!(size(3, 0, true), 100);
    assert_eq!(size(3, 250, true), 200);
    assert_eq!(size(90, 1 << 30, true), 1000);
    for max_size_bytes in (100..10_000).step_by(77) {
        let answered = size(0, max_size_bytes, true);
        assert_eq!(answered % 100, 0);
        assert!(answered <= max_size_bytes && answered > 0);
    }
}

#[test]
fn a_full_segment_rolls_and_reads_go_on_across_segments() {
    let partition = Partition::with(TopicConfig { segment_bytes: 1000, ..Partition::new().config });
    let mut log = partition.open_after_clean_stop();
    let rolled: Vec<bool> =
        (0..25).map(|_| append(&mut log, &batch(2, 139, 5, 0)).expect("append").has_rolled).collect();
    assert_eq!(rolled.iter().filter(|has_rolled| **has_rolled).count(), 4);
    let view = log.view();
    assert_eq!(view.segment_count(), 5);
    assert_eq!(view.size_bytes(), 25 * 200);
    assert_eq!(offsets_from(&view, Offset(0), Offset(50)).len(), 25);
    assert_eq!(std::fs::metadata(partition.path("00000000000000000010.index")).expect("sealed").len(), 16);
    let too_large = append(&mut log, &batch(1, 1000, 5, 0));
    let Err(AppendError::Refused(error)) = too_large else { panic!("{too_large:?}") };
    assert_eq!(error.code, crate::protocol::errors::ErrorCode::RecordListTooLarge);
    assert_eq!(log.log_end_offset(), Offset(50));
}

#[test]
fn a_segment_rolls_when_record_time_has_passed() {
    let partition = Partition::with(TopicConfig { segment_ms: 1000, ..Partition::new().config });
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &batch(1, 10, 5_000, 0)).expect("append");
    assert!(!append(&mut log, &batch(1, 10, 6_000, 0)).expect("append").has_rolled);
    assert!(append(&mut log, &batch(1, 10, 6_001, 0)).expect("append").has_rolled);
}

#[test]
fn offsets_too_far_apart_for_an_index_roll() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    append(&mut log, &batch(1, 10, 5, 0)).expect("append");
    assert!(append(&mut log, &batch(i32::MAX, 10, 5, 0)).expect("append").has_rolled);
    assert_eq!(log.log_end_offset(), Offset(i64::from(i32::MAX) + 1));
    assert!(append(&mut log, &batch(1, 10, 5, 0)).expect("append").has_rolled);
}

#[test]
fn a_log_is_the_same_after_a_clean_stop_and_after_a_crash() {
    let partition = Partition::with(TopicConfig { segment_bytes: 2000, ..Partition::new().config });
    let mut log = partition.open_after_clean_stop();
    for index in 0..40 {
        append(&mut log, &batch(3, 100, 1000 + index, 0)).expect("append");
    }
    let view = log.view();
    let (expected, size) = (offsets_from(&view, Offset(0), Offset(120)), view.size_bytes());
    drop((log, view));
    for _ in 0..2 {
        let log = partition.open_after_crash().expect("recover");
        assert_eq!(log.view().size_bytes(), size);
        assert_eq!(offsets_from(&log.view(), Offset(0), Offset(120)), expected);
        log.close().expect("close");
        let mut log = partition.open_after_clean_stop();
        assert_eq!(log.view().size_bytes(), size);
        assert_eq!(offsets_from(&log.view(), Offset(0), Offset(120)), expected);
        let appended = append(&mut log, &batch(1, 10, 9000, 0)).expect("append");
        assert_eq!(appended.first_offset, Offset(120));
        log.truncate_to(Offset(120), NOW).expect("truncate");
    }
}

#[test]
fn a_follower_keeps_offsets_and_epochs() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let mut bytes = batch(2, 10, 5, 0);
    BatchMut::split_first(&mut bytes).expect("whole").0.set_base_offset(Offset(10));
    BatchMut::split_first(&mut bytes).expect("whole").0.set_leader_epoch(LeaderEpoch(7));
    let appended = log.append_as_follower(&bytes, NOW).expect("a gap from compaction is fine");
    assert_eq!((appended.first_offset, appended.last_offset), (Offset(10), Offset(11)));
    assert_eq!(log.epochs().latest().map(|entry| entry.epoch), Some(LeaderEpoch(7)));
    assert!(
        matches!(log.append_as_follower(&bytes, NOW), Err(AppendError::Refused(_))),
        "offsets do not repeat"
    );
    assert_eq!(offsets_from(&log.view(), Offset(0), Offset(12)), [(10, 12)]);
}

#[test]
fn what_is_no_batch_is_refused_and_changes_nothing() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let whole = batch(1, 10, 5, 0);
    for bad in [&whole[..whole.len() - 1], &whole[..10], &[0; 100], &[]] {
        assert!(matches!(append(&mut log, bad), Err(AppendError::Refused(_))));
    }
    assert!(!partition.directory().exists());
}

#[test]
fn readers_beside_a_writer_see_every_record_once_and_nothing_beyond_their_bound() {
    let mut partition = Partition::with(TopicConfig { segment_bytes: 5000, ..Partition::new().config });
    partition.files = FileCache::new(2);
    let mut log = partition.open_after_clean_stop();
    let view = log.view();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let view = view.clone();
                scope.spawn(move || {
                    let mut next = 0;
                    while next < 3000 {
                        let end = view.log_end_offset();
                        for (base_offset, next_offset) in offsets_from(&view, Offset(next), end) {
                            assert_eq!(base_offset, next);
                            assert!(next_offset <= end.0);
                            next = next_offset;
                        }
                    }
                })
            })
            .collect();
        for _ in 0..1000 {
            append(&mut log, &batch(3, 100, 5, 0)).expect("append");
        }
        readers.into_iter().for_each(|reader| reader.join().expect("the reader found everything"));
    });
}
