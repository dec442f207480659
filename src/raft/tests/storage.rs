//! openraft's own suite for storages over ours, and the log beneath it.

use std::path::Path;
use std::sync::Arc;

use openraft::entry::RaftEntry;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, StorageError};

use crate::controller::{ClusterImage, MetadataRecord};
use crate::env::clock::Clock;
use crate::protocol::batch::Batch;
use crate::protocol::ids::{BrokerId, Offset, Timestamp};
use crate::raft::entry_codec;
use crate::raft::log_store::LogStore;
use crate::raft::metadata_log::{MetadataLog, Recovered, read_entries};
use crate::raft::state_machine::{Published, StateMachine};
use crate::raft::types::{Entry, Records, TypeConfig, log_id};

use super::on_runtime;

impl From<u64> for BrokerId {
    fn from(id: u64) -> BrokerId {
        BrokerId(id as i32)
    }
}

fn clock() -> Clock {
    Clock::manual(Timestamp(1_000_000))
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let directory = tempfile::tempdir().unwrap();
        let (log, recovered) = open(directory.path());
        let (store, _) = LogStore::start(log, recovered).unwrap();
        let published = Published::new(ClusterImage::new("cluster".into()), Box::new(|_, _| {}));
        let state_machine = StateMachine::new(Arc::new(published), directory.path().to_owned(), clock());
        Ok((directory, store, state_machine))
    }
}

#[test]
fn openrafts_suite_for_storages_passes() {
    on_runtime(Suite::test_all(Builder)).unwrap();
}

fn open(directory: &Path) -> (MetadataLog, Recovered) {
    MetadataLog::open(directory, 1024 * 1024, clock()).unwrap()
}

fn entry(term: u64, index: u64) -> Entry {
    Entry::new(log_id(term, index), EntryPayload::Normal(Records([MetadataRecord::NoOp].into())))
}

#[test]
fn an_entry_is_one_batch_with_one_record_at_its_index_and_term() {
    let batch = entry_codec::encode(&entry(7, 42), Timestamp(5));
    let (batch, behind) = Batch::split_first(&batch).unwrap();
    assert!(behind.is_empty() && batch.crc_matches());
    assert_eq!((batch.base_offset(), batch.leader_epoch().0, batch.record_count()), (Offset(42), 7, 1));
    assert_eq!(entry_codec::decode(batch).unwrap(), entry(7, 42));
}

#[test]
fn truncated_entries_give_way_to_those_of_a_later_term() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = open(directory.path());
    let first: Vec<Entry> = (0..10).map(|index| entry(1, index)).collect();
    log.append(&first).unwrap();
    log.truncate(Offset(5)).unwrap();
    let second: Vec<Entry> = (5..7).map(|index| entry(2, index)).collect();
    log.append(&second).unwrap();
    log.flush().unwrap();
    log.save_vote(openraft::Vote::new(2, BrokerId(1))).unwrap();
    drop(log);
    let (_, recovered) = open(directory.path());
    assert_eq!(recovered.last, Some(log_id(2, 6)));
    let found = read_entries(&recovered.view, Offset(0), Offset(7)).unwrap();
    assert_eq!(found, [&first[..5], &second].concat());
}

#[test]
fn a_purge_beyond_the_end_begins_the_log_behind_it_also_after_a_crash_in_between() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = open(directory.path());
    log.append(&[entry(1, 0), entry(1, 1)]).unwrap();
    log.flush().unwrap();
    log.save_vote(openraft::Vote::new(3, BrokerId(1))).unwrap();
    let before = crate::raft::quorum_state::QuorumState::load(directory.path()).unwrap().unwrap();
    drop(log);
    // The crash: the position is saved, the log is as it was.
    let purged = crate::raft::quorum_state::QuorumState { purged: Some(log_id(3, 50)), ..before };
    purged.save(directory.path()).unwrap();
    let (mut log, recovered) = open(directory.path());
    assert_eq!(recovered.last, Some(log_id(3, 50)));
    log.append(&[entry(3, 51)]).unwrap();
    log.purge(log_id(3, 60)).unwrap();
    log.append(&[entry(3, 61)]).unwrap();
    log.flush().unwrap();
    drop(log);
    let (_, recovered) = open(directory.path());
    assert_eq!(recovered.last, Some(log_id(3, 61)));
    assert_eq!(read_entries(&recovered.view, Offset(61), Offset(62)).unwrap(), [entry(3, 61)]);
}

#[test]
fn damaged_entries_are_refused_and_never_panic() {
    let batch = entry_codec::encode(&entry(1, 3), Timestamp(5));
    for position in 0..batch.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = batch.clone();
            damaged[position] ^= flip;
            if let Ok((batch, _)) = Batch::split_first(&damaged) {
                let _ = entry_codec::decode(batch);
            }
        }
    }
}
