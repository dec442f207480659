//! What a crash, a power cut or a bad disk leaves behind: every cut and every flip in small logs, indexes and checkpoints that
//! are lost or lie, leftovers.

use super::*;

/// A log of `count` batches of three records in one segment; answers where each batch begins.
fn write_batches(partition: &Partition, count: usize) -> Vec<u64> {
    let mut log = partition.open_after_clean_stop();
    let mut starts = Vec::new();
    for index in 0..count {
        starts.push(log.view().size_bytes());
        append(&mut log, &batch(3, 20 + index, 1000 + index as i64, index as u8)).expect("append");
    }
    starts
}

const LOG_NAME: &str = "00000000000000000000.log";

/// Whatever a segment's bytes are: recovery serves whole batches with good CRCs, or says that the log is
/// corrupt. It never panics, and never allocates by a length it has read.
#[test]
fn recovery_takes_any_bytes() {
    let partition = Partition::new();
    write_batches(&partition, 5);
    let whole = std::fs::read(partition.path(LOG_NAME)).expect("read");
    let metadata = std::fs::read(partition.path("partition.metadata")).expect("read");
    let corpus = [whole.clone(), whole[..whole.len() - 7].to_vec(), Vec::new()];
    crate::fuzz::smoke("log_recovery", &corpus, 3_000, |bytes| {
        std::fs::remove_dir_all(partition.directory()).expect("clear");
        std::fs::create_dir(partition.directory()).expect("make");
        std::fs::write(partition.path(LOG_NAME), bytes).expect("write");
        std::fs::write(partition.path("partition.metadata"), &metadata).expect("write");
        let (opened, allocated) = crate::fuzz::memory::allocated_by(|| partition.open_after_crash());
        assert!(allocated <= 64 * bytes.len() + (4 << 20), "recovery allocated {allocated} bytes");
        match opened {
            Ok(log) => {
                let view = log.view();
                offsets_from(&view, view.log_start_offset(), view.log_end_offset());
            }
            Err(OpenError::Corrupt { .. }) => {}
            Err(OpenError::Io(error)) => panic!("the disk is fine: {error:#}"),
        }
    });
}

#[test]
fn a_tail_cut_at_any_byte_loses_only_the_torn_batch() {
    let partition = Partition::new();
    let starts = write_batches(&partition, 4);
    let whole = std::fs::read(partition.path(LOG_NAME)).expect("read");
    for size in 0..=whole.len() {
        std::fs::write(partition.path(LOG_NAME), &whole[..size]).expect("write");
        let mut log = partition.open_after_crash().expect("a torn tail is no damage");
        let whole_count =
            starts.iter().skip(1).chain([&(whole.len() as u64)]).filter(|end| **end <= size as u64).count();
        assert_eq!(log.log_end_offset(), Offset(3 * whole_count as i64), "cut at {size}");
        assert_eq!(offsets_from(&log.view(), Offset(0), log.log_end_offset()).len(), whole_count);
        let appended = append(&mut log, &batch(1, 5, 1, 0)).expect("append");
        assert_eq!(appended.first_offset, Offset(3 * whole_count as i64));
    }
}

#[test]
fn a_flip_in_the_last_batch_is_a_torn_tail_and_one_before_it_is_damage() {
    let partition = Partition::new();
    let starts = write_batches(&partition, 4);
    let whole = std::fs::read(partition.path(LOG_NAME)).expect("read");
    for position in 0..whole.len() {
        // Epochs lie outside the CRC: a smaller one is out of order, a larger one cannot be told from a new leader.
        let in_batch =
            position as u64 - starts.iter().rfind(|start| **start <= position as u64).expect("in a batch");
        for bit in [0, 7] {
            let mut flipped = whole.clone();
            flipped[position] ^= 1 << bit;
            std::fs::write(partition.path(LOG_NAME), &flipped).expect("write");
            let is_last = position as u64 >= starts[3];
            match partition.open_after_crash() {
                Ok(log) if (0..8).contains(&in_batch) || (12..16).contains(&in_batch) => {
                    // Offsets that still grow are what compaction leaves.
                    assert!(log.log_end_offset() >= Offset(9));
                }
                Ok(log) => {
                    assert!(is_last, "byte {position} bit {bit} was cut away");
                    assert_eq!(log.log_end_offset(), Offset(9));
                }
                Err(OpenError::Corrupt { .. }) => {
                    assert!(!is_last || in_batch < 16, "byte {position} bit {bit} is only a torn tail");
                    let after = std::fs::read(partition.path(LOG_NAME)).expect("read");
                    assert!(after == flipped, "a quarantined log is not changed");
                }
                Err(OpenError::Io(error)) => panic!("{error:#}"),
            }
        }
    }
}

#[test]
fn zeros_or_rubbish_behind_the_last_batch_are_cut() {
    let partition = Partition::new();
    write_batches(&partition, 3);
    let whole = std::fs::read(partition.path(LOG_NAME)).expect("read");
    for tail in [vec![0; 5000], vec![2; 70_000], vec![0xff; 61]] {
        std::fs::write(partition.path(LOG_NAME), [&whole[..], &tail].concat()).expect("write");
        let log = partition.open_after_crash().expect("open");
        assert_eq!(log.log_end_offset(), Offset(9));
        assert_eq!(std::fs::read(partition.path(LOG_NAME)).expect("read"), whole);
    }
}

#[test]
fn a_valid_batch_in_the_wrong_place_is_damage() {
    let partition = Partition::new();
    let starts = write_batches(&partition, 3);
    let whole = std::fs::read(partition.path(LOG_NAME)).expect("read");
    let stale = [&whole[..], &whole[starts[1] as usize..starts[2] as usize]].concat();
    std::fs::write(partition.path(LOG_NAME), stale).expect("write");
    assert!(matches!(partition.open_after_crash(), Err(OpenError::Corrupt { .. })));
}

/// A log of several segments.
fn write_segments(config: TopicConfig) -> (Partition, i64) {
    let partition = Partition::with(TopicConfig { segment_bytes: 2000, index_interval_bytes: 200, ..config });
    let mut log = partition.open_after_clean_stop();
    for index in 0..60 {
        append(&mut log, &batch(2, 60, 1000 + index, 0)).expect("append");
    }
    assert!(log.view().segment_count() >= 3);
    log.close().expect("close");
    (partition, 120)
}

#[test]
fn damage_in_a_sealed_segment_is_reported_with_or_without_a_recovery_point() {
    let (partition, end) = write_segments(TopicConfig::default());
    let path = partition.path(LOG_NAME);
    let whole = std::fs::read(&path).expect("read");
    let mut flipped = whole.clone();
    let middle = whole.len() / 2;
    flipped[middle] ^= 1;
    std::fs::write(&path, &flipped).expect("write");
    assert!(matches!(partition.open_after_crash(), Err(OpenError::Corrupt { .. })));
    // Before the recovery point the records are not read again: only their ends are looked at.
    let options = || OpenOptions { recovery_point: Offset(end), ..partition.options() };
    Log::open(options(), NOW).expect("a flip inside a batch is not looked for");
    std::fs::write(&path, &whole[..whole.len() - 1]).expect("write");
    assert!(matches!(Log::open(options(), NOW), Err(OpenError::Corrupt { .. })));
    assert!(matches!(partition.open_after_crash(), Err(OpenError::Corrupt { .. })));
}

#[test]
fn indexes_that_are_lost_or_lie_do_not_change_what_is_read() {
    let (partition, end) = write_segments(TopicConfig::default());
    let expected = offsets_from(&partition.open_after_clean_stop().view(), Offset(0), Offset(end));
    let names: Vec<String> = partition.names();
    let indexes: Vec<&String> =
        names.iter().filter(|name| name.ends_with(".index") || name.ends_with(".timeindex")).collect();
    assert!(indexes.len() >= 6);
    for name in indexes {
        let whole = std::fs::read(partition.path(name)).expect("read");
        let mut versions: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new()), Some(vec![0xff; 24])];
        versions.extend((0..whole.len()).step_by(3).map(|size| Some(whole[..size].to_vec())));
        for position in 0..whole.len() {
            let mut lying = whole.clone();
            lying[position] ^= 4;
            versions.push(Some(lying));
        }
        for version in versions {
            for clean_shutdown in [true, false] {
                match &version {
                    None => std::fs::remove_file(partition.path(name)).or(Ok::<(), ()>(())).expect("removed"),
                    Some(bytes) => std::fs::write(partition.path(name), bytes).expect("write"),
                }
                let options =
                    OpenOptions { clean_shutdown, recovery_point: Offset(end), ..partition.options() };
                let log = Log::open(options, NOW).expect("indexes can be rebuilt");
                assert_eq!(log.log_end_offset(), Offset(end));
                assert_eq!(offsets_from(&log.view(), Offset(0), Offset(end)), expected, "{name} {version:?}");
                for from in [1, 33, 57, 119] {
                    let bytes = log.view().read_bytes(Offset(from), up_to(Offset(end))).expect("read");
                    let first = Batch::split_first(&bytes).expect("a batch").0;
                    assert!(first.base_offset() <= Offset(from) && Offset(from) < first.next_offset());
                }
            }
        }
        std::fs::write(partition.path(name), &whole).expect("restore");
    }
}

#[test]
fn epochs_are_derived_when_the_checkpoint_is_torn_ahead_or_behind() {
    let partition = Partition::with(TopicConfig { segment_bytes: 1000, ..Partition::new().config });
    let mut log = partition.open_after_clean_stop();
    for epoch in [3, 3, 5, 5, 8] {
        for _ in 0..5 {
            let mut bytes = batch(1, 40, 5, 0);
            log.append_as_leader(&mut bytes, LeaderEpoch(epoch), Origin::Client(Verification::Off), NOW)
                .expect("append");
        }
    }
    let expected = log.epochs().clone();
    assert_eq!(expected.to_text(), "0\n3\n3 0\n5 10\n8 20\n");
    log.close().expect("close");
    let path = partition.path("leader-epoch-checkpoint");
    for text in
        ["", "0\n3\n3 0\n5 10\n8 2", "0\n4\n3 0\n5 10\n8 20\n9 400\n", "0\n1\n3 0\n", "0\n2\n3 0\n5 10\n"]
    {
        for clean_shutdown in [true, false] {
            std::fs::write(&path, text).expect("write");
            let log = Log::open(OpenOptions { clean_shutdown, ..partition.options() }, NOW).expect("open");
            assert_eq!(log.epochs(), &expected, "{text:?} clean {clean_shutdown}");
        }
    }
}

#[test]
fn producers_come_back_from_snapshots_or_from_the_batches() {
    let partition = Partition::with(TopicConfig { segment_bytes: 1000, ..Partition::new().config });
    let mut log = partition.open_after_clean_stop();
    let produced = |sequence: i32| {
        let mut bytes = batch(2, 100, NOW.0, 0);
        bytes[43..51].copy_from_slice(&77i64.to_be_bytes());
        bytes[51..53].copy_from_slice(&0i16.to_be_bytes());
        bytes[53..57].copy_from_slice(&sequence.to_be_bytes());
        seal(&mut bytes);
        bytes
    };
    for index in 0..20 {
        append(&mut log, &produced(2 * index)).expect("append");
    }
    log.close().expect("close");
    let check = |mut log: Log| {
        for index in 15..20 {
            let retry = append(&mut log, &produced(2 * index)).expect("a retry is answered");
            assert!(retry.is_duplicate);
            assert_eq!(retry.first_offset, Offset(i64::from(2 * index)), "the first offset again");
        }
        let gap = append(&mut log, &produced(44));
        assert!(matches!(gap, Err(AppendError::Refused(_))), "{gap:?}");
        assert_eq!(log.log_end_offset(), Offset(40));
    };
    check(partition.open_after_clean_stop());
    check(partition.open_after_crash().expect("open"));
    let snapshots: Vec<String> =
        partition.names().into_iter().filter(|name| name.ends_with(".snapshot")).collect();
    assert!(snapshots.len() > 3);
    for name in snapshots.iter().rev() {
        std::fs::write(partition.path(name), b"rubbish").expect("write");
        check(partition.open_after_clean_stop());
        check(partition.open_after_crash().expect("open"));
    }
}

#[test]
fn leftovers_of_a_crash_are_cleared_away() {
    let (partition, end) = write_segments(TopicConfig::default());
    let expected = partition.names();
    for name in [
        "00000000000000000500.log.deleted",
        "00000000000000000500.index.deleted",
        "00000000000000000000.log.cleaned",
        "00000000000000000000.log.swap",
        "leader-epoch-checkpoint.tmp",
        "00000000000000000700.index",
        "00000000000000000700.timeindex",
        "00000000000000000700.snapshot",
        "00000000000000000700.log",
    ] {
        std::fs::write(partition.path(name), b"").expect("write");
    }
    let log = partition.open_after_crash().expect("open");
    assert_eq!(log.log_end_offset(), Offset(end));
    assert_eq!(partition.names(), expected);
}

#[test]
fn an_interrupted_compaction_is_completed() {
    let (partition, end) = write_segments(TopicConfig::default());
    let expected = offsets_from(&partition.open_after_clean_stop().view(), Offset(0), Offset(end));
    let swap = partition.path("00000000000000000000.log.swap");
    std::fs::rename(partition.path(LOG_NAME), swap).expect("rename");
    let log = partition.open_after_crash().expect("open");
    assert_eq!(offsets_from(&log.view(), Offset(0), Offset(end)), expected);
}

#[test]
fn a_marker_of_a_clean_stop_that_is_not_true_is_noticed() {
    let partition = Partition::new();
    write_batches(&partition, 4);
    let whole = std::fs::read(partition.path(LOG_NAME)).expect("read");
    std::fs::write(partition.path(LOG_NAME), &whole[..whole.len() - 7]).expect("write");
    let log = partition.open_after_clean_stop();
    assert_eq!(log.log_end_offset(), Offset(9));
}

#[test]
fn a_log_start_beyond_the_end_begins_anew_there() {
    let partition = Partition::new();
    write_batches(&partition, 2);
    let options = OpenOptions { log_start_offset: Offset(50), ..partition.options() };
    let mut log = Log::open(options, NOW).expect("open");
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(50), Offset(50)));
    assert_eq!(append(&mut log, &batch(1, 5, 5, 0)).expect("append").first_offset, Offset(50));
}

#[test]
fn any_damage_to_any_files_is_survived_without_a_wrong_record() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (partition, end) = write_segments(TopicConfig::default());
        let names = partition.names();
        for _ in 0..random.usize(1..4) {
            let path = partition.path(&names[random.usize(0..names.len())]);
            let mut bytes = std::fs::read(&path).expect("read");
            match random.u32(0..5) {
                0 => bytes.truncate(random.usize(0..=bytes.len())),
                1 => bytes.extend((0..random.usize(1..200)).map(|_| random.u8(..))),
                2 if !bytes.is_empty() => {
                    let from = random.usize(0..bytes.len());
                    bytes[from..].fill(random.u8(..));
                }
                _ if !bytes.is_empty() => {
                    let position = random.usize(0..bytes.len());
                    bytes[position] = random.u8(..);
                }
                _ => {}
            }
            std::fs::write(&path, bytes).expect("write");
        }
        let options = OpenOptions {
            clean_shutdown: random.bool(),
            recovery_point: Offset(random.i64(0..=end)),
            log_start_offset: Offset(random.i64(0..=end)),
            ..partition.options()
        };
        let must_check_all = !options.clean_shutdown && options.recovery_point == Offset(0);
        let Ok(log) = Log::open(options, NOW) else { continue };
        let view = log.view();
        for from in view.log_start_offset().0..view.log_end_offset().0.min(end) {
            let limits = up_to(view.log_end_offset());
            let Ok(bytes) = view.read_bytes(Offset(from), limits) else { continue };
            let first = Batch::split_first(&bytes).map(|(batch, _)| batch);
            if must_check_all && let Ok(first) = first {
                assert!(first.crc_matches(), "seed {seed}");
            }
        }
    }
}

#[test]
fn a_log_start_that_cannot_be_true_removes_nothing() {
    for clean_shutdown in [false, true] {
        for damaged in [i64::MAX, -1, i64::MIN] {
            let partition = Partition::new();
            let options =
                || OpenOptions { log_start_offset: Offset(damaged), clean_shutdown, ..partition.options() };
            let empty = Log::open(options(), NOW).expect("open");
            assert_eq!((empty.log_start_offset(), empty.log_end_offset()), (Offset(0), Offset(0)));
            drop(empty);
            write_batches(&partition, 3);
            let log = Log::open(options(), NOW).expect("open");
            assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(0), Offset(9)));
        }
    }
}
