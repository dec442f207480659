//! The first files of a log: what a crash leaves of them, what an answer waits for, and who may make them.

use rustix::io::Errno;

use super::*;
use crate::env::faults::{Operation, on};
use crate::log::dirs::topic_id_of;

const LOG_NAME: &str = "00000000000000000000.log";

fn stored_id(partition: &Partition) -> Option<TopicId> {
    topic_id_of(&partition.directory()).expect("read the topic id")
}

#[test]
fn files_that_are_not_on_disk_do_not_count() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let files = log.prepare_files().expect("make files").expect("the log has none");
    assert!(partition.path(LOG_NAME).exists() && !log.has_files());
    assert_eq!(log.view().segment_count(), 0);
    let again = log.prepare_files().expect("the same files").expect("they do not count");
    // Whoever cannot wait for the others brings the files to disk himself.
    assert_eq!(append(&mut log, &batch(2, 10, 5, 0)).expect("append").first_offset, Offset(0));
    assert!(log.has_files());
    for late in [&files, &again] {
        late.sync().expect("sync");
        log.use_files(late, NOW);
        log.abandon_files(late);
    }
    assert!(log.prepare_files().expect("nothing to do").is_none());
    assert_eq!(append(&mut log, &batch(1, 10, 5, 0)).expect("append").first_offset, Offset(2));
    assert_eq!(offsets_from(&log.view(), Offset(0), Offset(3)), [(0, 2), (2, 3)]);
}

#[test]
fn files_are_used_once_they_are_on_disk() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let files = log.prepare_files().expect("make files").expect("the log has none");
    files.sync().expect("sync");
    log.use_files(&files, NOW);
    assert!(log.has_files());
    let broken = on(Operation::Sync, partition.root.path(), Errno::IO).inject();
    append(&mut log, &batch(1, 10, 5, 0)).expect("nothing is left to sync");
    drop(broken);
    log.close().expect("close");
    assert_eq!(partition.open_after_clean_stop().log_end_offset(), Offset(1));
}

#[test]
fn files_that_were_never_used_are_closed_and_opened_as_an_empty_log() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    log.prepare_files().expect("make files").expect("the log has none");
    log.close().expect("close");
    let mut log = partition.open_after_clean_stop();
    assert_eq!(append(&mut log, &batch(1, 10, 5, 0)).expect("append").first_offset, Offset(0));
}

#[test]
fn a_log_that_begins_elsewhere_forgets_what_was_made() {
    let partition = Partition::new();
    let mut log = partition.open_after_clean_stop();
    let files = log.prepare_files().expect("make files").expect("the log has none");
    log.truncate_fully_and_start_at(Offset(70), NOW).expect("begin elsewhere");
    log.use_files(&files, NOW);
    assert_eq!(append(&mut log, &batch(1, 10, 5, 0)).expect("append").first_offset, Offset(70));
    drop(log);
    let log = partition.open_after_crash().expect("open");
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(70), Offset(71)));
}

/// The topic id, the names in the directory, and the name of the directory: without any of them nothing is acknowledged.
#[test]
fn the_first_append_waits_for_the_topic_id_and_the_names() {
    for sync in 0..3 {
        let partition = Partition::new();
        let mut log = partition.open_after_clean_stop();
        let broken = on(Operation::Sync, partition.root.path(), Errno::IO).after(sync).times(1).inject();
        let refused = append(&mut log, &batch(1, 10, 5, 0));
        assert!(matches!(refused, Err(AppendError::Failed(_))), "sync {sync}: {refused:?}");
        assert!(!log.has_files() && log.log_end_offset() == Offset(0), "sync {sync}");
        drop(broken);
        // The pages of the failed sync may count as clean: all is written again.
        let broken = on(Operation::Write, &partition.path("partition.metadata"), Errno::IO).inject();
        append(&mut log, &batch(1, 10, 5, 0)).expect_err("the topic id is written anew");
        drop(broken);
        assert_eq!(append(&mut log, &batch(1, 10, 5, 0)).expect("append").first_offset, Offset(0));
        assert_eq!(stored_id(&partition), Some(partition.options().topic_id));
    }
    let partition = Partition::new();
    let _broken = on(Operation::Sync, partition.root.path(), Errno::IO).after(3).inject();
    append(&mut partition.open_after_clean_stop(), &batch(1, 10, 5, 0)).expect("there are three syncs");
}

/// What a power cut may leave of files that were not synced: each is missing, torn anywhere, or whole.
#[test]
fn whatever_a_power_cut_leaves_of_new_files_the_topic_id_is_there_before_the_next_append() {
    let whole = {
        let partition = Partition::new();
        let mut log = partition.open_after_clean_stop();
        log.prepare_files().expect("make files").expect("the log has none");
        std::fs::read(partition.path("partition.metadata")).expect("read")
    };
    let cuts = (0..=whole.len()).map(|size| Some(whole[..size].to_vec()));
    let torn = [None, Some(vec![0; whole.len()])].into_iter().chain(cuts);
    for (index, metadata) in torn.enumerate() {
        for lost in [&[][..], &[LOG_NAME], &["00000000000000000000.index", "leader-epoch-checkpoint"]] {
            let partition = Partition::new();
            let id = partition.options().topic_id;
            partition.open_after_clean_stop().prepare_files().expect("make files");
            match &metadata {
                Some(bytes) => std::fs::write(partition.path("partition.metadata"), bytes).expect("tear"),
                None => std::fs::remove_file(partition.path("partition.metadata")).expect("remove"),
            }
            for name in lost {
                std::fs::remove_file(partition.path(name)).expect("remove");
            }
            assert!(stored_id(&partition).is_none_or(|stored| stored == id), "case {index}");
            let mut log = partition.open_after_crash().expect("nothing was damaged that counted");
            assert_eq!(log.log_end_offset(), Offset(0));
            if log.has_files() {
                assert_eq!(stored_id(&partition), Some(id), "case {index}: before anything is appended");
            }
            append(&mut log, &batch(1, 10, 5, 0)).expect("append");
            assert_eq!(stored_id(&partition), Some(id), "case {index}");
            drop(log);
            assert_eq!(partition.open_after_crash().expect("open").log_end_offset(), Offset(1));
        }
    }
}

/// A killed process leaves whole files that may not be on disk.
#[test]
fn an_empty_log_is_synced_after_a_crash_before_it_takes_appends() {
    let partition = Partition::new();
    partition.open_after_clean_stop().prepare_files().expect("make files");
    for sync in 0..3 {
        let broken = on(Operation::Sync, partition.root.path(), Errno::IO).after(sync).times(1).inject();
        assert!(matches!(partition.open_after_crash(), Err(OpenError::Io(_))), "sync {sync}");
        drop(broken);
    }
    let mut log = partition.open_after_crash().expect("open");
    append(&mut log, &batch(1, 10, 5, 0)).expect("append");
    drop(log);
    let _broken = on(Operation::Sync, partition.root.path(), Errno::IO).inject();
    partition.open_after_crash().expect("one with records was synced before they came");
}
