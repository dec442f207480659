//! What a crash leaves: the directory is copied at each step, or damaged, and opened again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::raft::quorum_state::QuorumState;

const DIRECTORY: &str = "__cluster_metadata-0";

/// A copy of the metadata directory as a crash at this moment would leave it.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    let directory = to.path().join(DIRECTORY);
    fs::create_dir_all(&directory).unwrap();
    for entry in fs::read_dir(from.join(DIRECTORY)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), directory.join(entry.file_name())).unwrap();
    }
    to
}

/// The image that a start in `directory` comes to; the quorum takes a further command, too.
fn recovered(directory: &Path) -> Arc<ClusterImage> {
    with_quorum(options(directory), async |quorum| {
        let image = quorum.image();
        quorum.propose(register()).await.unwrap();
        image
    })
}

/// Equal but for the position: a restart may write a blank entry.
fn assert_same_state(found: &ClusterImage, expected: &ClusterImage) {
    let mut found = found.clone();
    assert!(found.applied >= expected.applied);
    found.applied = expected.applied;
    assert_eq!(&found, expected);
}

fn start_error(options: Options) -> String {
    match on_runtime(Quorum::start(options)) {
        Ok(_) => panic!("the quorum starts on damaged files"),
        Err(error) => format!("{error:#}"),
    }
}

fn newest_segment(directory: &Path) -> PathBuf {
    let files = fs::read_dir(directory.join(DIRECTORY)).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

#[test]
fn what_was_answered_is_there_when_the_machine_stops_behind_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let small = Options { segment_size_bytes: 2048, ..options(directory.path()) };
    let copies = with_quorum(small, async |quorum| {
        quorum.propose(register()).await.unwrap();
        let mut copies = Vec::new();
        for index in 0..40 {
            must_create(quorum, &format!("topic-{index}")).await;
            if index % 3 == 0 {
                quorum.propose(delete(&format!("topic-{index}"))).await.unwrap();
            }
            copies.push((copy(directory.path()), quorum.image()));
        }
        copies
    });
    for (copy, expected) in copies {
        assert_same_state(&recovered(copy.path()), &expected);
    }
}

/// Creates and deletes topics until it is killed, and says what was answered; run by the test below.
#[test]
#[ignore = "runs until it is killed"]
fn until_killed() {
    let directory = PathBuf::from(std::env::var_os("KLAMM_TEST_DIRECTORY").unwrap());
    let small = Options { segment_size_bytes: 2048, snapshot_record_count: 20, ..options(&directory) };
    with_quorum(small, async |quorum| {
        quorum.propose(register()).await.unwrap();
        for index in quorum.image().topics.len() as u64.. {
            let name = format!("{}-{index}", std::process::id());
            must_create(quorum, &name).await;
            println!("\ncreated {name}");
            if index % 3 == 0 {
                println!("\ndeleting {name}");
                quorum.propose(delete(&name)).await.unwrap();
                println!("\ndeleted {name}");
            }
        }
    });
}

#[test]
fn what_was_answered_is_there_after_a_kill_at_any_moment() {
    use std::io::{BufRead, BufReader};

    let directory = tempfile::tempdir().unwrap();
    let mut created = std::collections::BTreeSet::new();
    let mut deleting = std::collections::BTreeSet::new();
    let mut deleted = std::collections::BTreeSet::new();
    for round in 0..12 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "raft::tests::crash::until_killed", "--ignored", "--nocapture"])
            .env("KLAMM_TEST_DIRECTORY", directory.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            match line.split_once(' ') {
                Some(("created", name)) => created.insert(name.to_owned()),
                Some(("deleting", name)) => deleting.insert(name.to_owned()),
                Some(("deleted", name)) => deleted.insert(name.to_owned()),
                Some(_) | None => continue,
            };
            answers += 1;
            // What was written before the kill arrived is still read.
            if answers == 7 * (round + 1) {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(answers >= 7 * (round + 1), "the child ran until it was killed");
        let image = recovered(directory.path());
        for name in created.difference(&deleting) {
            assert!(image.topic(name).is_some(), "round {round}: {name} was created");
        }
        for name in &deleted {
            assert!(image.topic(name).is_none(), "round {round}: {name} was deleted");
        }
    }
}

#[test]
fn a_log_cut_at_any_byte_of_its_tail_keeps_the_entries_before() {
    let directory = tempfile::tempdir().unwrap();
    let images = with_quorum(options(directory.path()), async |quorum| {
        let mut images = vec![quorum.image()];
        quorum.propose(register()).await.unwrap();
        images.push(quorum.image());
        must_create(quorum, "orders").await;
        images.push(quorum.image());
        images
    });
    let segment = newest_segment(directory.path());
    let whole = fs::read(&segment).unwrap();
    let ends: Vec<usize> = batch_ends(&whole);
    // Everything behind the founding of the quorum and the start of its term.
    for size in ends[1]..whole.len() {
        let copy = copy(directory.path());
        let segment = copy.path().join(DIRECTORY).join(segment.file_name().unwrap());
        fs::write(&segment, &whole[..size]).unwrap();
        let entries = ends.iter().filter(|end| **end <= size).count();
        assert_same_state(&recovered(copy.path()), &images[entries - 2]);
    }
}

fn batch_ends(log: &[u8]) -> Vec<usize> {
    let mut rest = log;
    let mut ends = Vec::new();
    while let Ok((batch, behind)) = crate::protocol::batch::Batch::split_first(rest) {
        ends.push(ends.last().unwrap_or(&0) + batch.size());
        rest = behind;
    }
    ends
}

#[test]
fn damage_in_the_middle_of_the_log_is_reported_and_nothing_is_changed() {
    let directory = tempfile::tempdir().unwrap();
    with_quorum(options(directory.path()), async |quorum| {
        quorum.propose(register()).await.unwrap();
        must_create(quorum, "orders").await;
    });
    let segment = newest_segment(directory.path());
    let mut bytes = fs::read(&segment).unwrap();
    let position = batch_ends(&bytes)[1] + 70;
    bytes[position] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let error = start_error(options(directory.path()));
    assert!(error.contains("damaged"), "{error}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}

#[test]
fn a_founding_that_a_crash_interrupted_is_finished() {
    let directory = tempfile::tempdir().unwrap();
    with_quorum(options(directory.path()), async |_| {});
    let segment = newest_segment(directory.path());
    let whole = fs::read(&segment).unwrap();
    assert_eq!(batch_ends(&whole).len(), 2);
    // The vote is written behind the entries.
    for size in 0..=whole.len() {
        let copy = copy(directory.path());
        let path = copy.path().join(DIRECTORY);
        fs::write(path.join(segment.file_name().unwrap()), &whole[..size]).unwrap();
        fs::remove_file(path.join("quorum-state")).unwrap();
        fs::write(path.join("quorum-state.tmp"), b"version=1\n").unwrap();
        let image = recovered(copy.path());
        assert_eq!((image.applied, image.brokers.len()), (Offset(1), 0));
        assert_eq!(recovered(copy.path()).brokers.len(), 1, "what was answered after that stays");
    }
}

#[test]
fn a_term_that_a_crash_interrupted_before_its_first_entry_is_followed_by_another() {
    let directory = tempfile::tempdir().unwrap();
    with_quorum(options(directory.path()), async |quorum| quorum.propose(register()).await.unwrap());
    let path = directory.path().join(DIRECTORY);
    let state = QuorumState::load(&path).unwrap().unwrap();
    let vote = openraft::Vote { committed: true, ..openraft::Vote::new(2, BrokerId(1)) };
    QuorumState { vote: Some(vote), ..state }.save(&path).unwrap();
    with_quorum(options(directory.path()), async |quorum| {
        assert!(quorum.leader().unwrap().1 > LeaderEpoch(2));
        must_create(quorum, "orders").await;
    });
}

#[test]
fn a_lost_or_damaged_quorum_state_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    with_quorum(options(directory.path()), async |quorum| quorum.propose(register()).await.unwrap());
    let path = directory.path().join(DIRECTORY).join("quorum-state");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(start_error(options(directory.path())).contains("quorum-state"));
    fs::remove_file(&path).unwrap();
    assert!(start_error(options(directory.path())).contains("quorum-state"));
    fs::write(&path, &bytes).unwrap();
    fs::remove_file(newest_segment(directory.path())).unwrap();
    assert!(start_error(options(directory.path())).contains("quorum-state"));
}

#[test]
fn a_snapshot_that_is_all_that_is_left_stops_the_start() {
    let (directory, _) = with_snapshot();
    let snapshot = checkpoint_path(directory.path());
    for entry in fs::read_dir(directory.path().join(DIRECTORY)).unwrap() {
        let path = entry.unwrap().path();
        if path != snapshot {
            fs::remove_file(path).unwrap();
        }
    }
    let error = start_error(options(directory.path()));
    assert!(error.contains("has a snapshot and no quorum-state"), "{error}");
}

#[test]
fn half_written_temporary_files_do_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let before = with_quorum(options(directory.path()), async |quorum| {
        quorum.propose(register()).await.unwrap();
        quorum.image()
    });
    let path = directory.path().join(DIRECTORY);
    fs::write(path.join("quorum-state.tmp"), b"version=1\nvote").unwrap();
    let unfinished = path.join("00000000000000000002-0000000001.checkpoint.tmp");
    fs::write(&unfinished, b"half").unwrap();
    assert_same_state(&recovered(directory.path()), &before);
    assert!(!unfinished.exists());
}

/// A quorum that took a snapshot in the middle: its directory, and the image at its end.
fn with_snapshot() -> (tempfile::TempDir, Arc<ClusterImage>) {
    let directory = tempfile::tempdir().unwrap();
    let small = Options { segment_size_bytes: 2048, snapshot_record_count: 40, ..options(directory.path()) };
    let image = with_quorum(small, async |quorum| {
        quorum.propose(register()).await.unwrap();
        for index in 0..25 {
            must_create(quorum, &format!("topic-{index}")).await;
        }
        quorum.image()
    });
    (directory, image)
}

fn checkpoint_path(directory: &Path) -> PathBuf {
    let files = fs::read_dir(directory.join(DIRECTORY)).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "checkpoint")).max().unwrap()
}

#[test]
fn a_damaged_snapshot_stops_the_start() {
    let (directory, _) = with_snapshot();
    let path = checkpoint_path(directory.path());
    let whole = fs::read(&path).unwrap();
    for damaged in [&whole[..whole.len() - 1], &whole[..61], b"", &[&whole[..], &whole[..]].concat()] {
        fs::write(&path, damaged).unwrap();
        assert!(start_error(options(directory.path())).contains(".checkpoint"));
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&path, &flipped).unwrap();
    assert!(start_error(options(directory.path())).contains(".checkpoint"));
}

#[test]
fn a_lost_snapshot_stops_the_start() {
    let (directory, _) = with_snapshot();
    fs::remove_file(checkpoint_path(directory.path())).unwrap();
    let error = start_error(options(directory.path()));
    assert!(error.contains("are in no snapshot"), "{error}");
}

#[test]
fn an_older_snapshot_beside_the_newest_is_removed() {
    let (directory, before) = with_snapshot();
    let newest = checkpoint_path(directory.path());
    let older = newest.with_file_name("00000000000000000001-0000000001.checkpoint");
    fs::write(&older, b"whatever stood here").unwrap();
    assert_same_state(&recovered(directory.path()), &before);
    assert!(newest.exists() && !older.exists());
}

#[test]
fn a_log_that_ends_before_its_snapshot_begins_anew_behind_it() {
    let (directory, _) = with_snapshot();
    let path = checkpoint_path(directory.path());
    let index: i64 = path.file_name().unwrap().to_str().unwrap()[..20].parse().unwrap();
    for entry in fs::read_dir(directory.path().join(DIRECTORY)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with("log") || name.ends_with("index") {
            fs::remove_file(path).unwrap();
        }
    }
    let found = recovered(directory.path());
    assert!(found.applied >= Offset(index));
    assert!(found.topics.len() > 5, "what the snapshot holds");
    assert_eq!(recovered(directory.path()).topics, found.topics);
}
