//! What pending offsets keep alive, and what ends them. How transactions go is told by the stories.

use super::super::command::Command;
use super::super::expiration;
use super::super::offsets::tests::{Harness, at, code_of, topic_of};
use super::super::offsets::{DeleteOffsetsRequest, DeleteOffsetsResponse};
use super::super::pending::{MOST_PENDING, MOST_PENDING_SIZE};
use super::*;
use crate::coordinator::shard::Shard;
use crate::protocol::ids::{PartitionIndex, ProducerEpoch, ProducerId, TopicId};

const RETENTION_MS: i64 = 7 * 24 * 60 * 60 * 1000;

fn producer(id: i64) -> TransactionalProducer {
    TransactionalProducer { id: ProducerId(id), epoch: ProducerEpoch(0) }
}

fn commit_of(id: i64, topic: &str, partitions: std::ops::Range<i32>) -> TransactionalCommitRequest {
    TransactionalCommitRequest {
        group: "g".into(),
        producer: producer(id),
        member_id: String::new(),
        group_instance_id: None,
        generation: -1,
        version: 5,
        asked: None,
        topics: vec![topic_of(topic, partitions.map(|partition| at(partition, 5, "")).collect())],
    }
}

fn pend(harness: &mut Harness, id: i64, topic: &str, partitions: std::ops::Range<i32>) {
    let results = vec![ErrorCode::None; partitions.len()];
    let answer = harness.run(Command::CommitTransactional(commit_of(id, topic, partitions)));
    assert_eq!(answer, Ok(Response::Commit(CommitResponse { results })));
}

fn end(harness: &mut Harness, id: i64, is_commit: bool) {
    let marker =
        TransactionMarker { producer: producer(id), coordinator_epoch: 0, is_commit, transaction_version: 2 };
    assert_eq!(harness.run(Command::EndTransaction(marker)), Ok(Response::Done));
}

fn is_pending(harness: &Harness, topic: &str, partition: i32) -> bool {
    harness.shard.unstable("g").contains(topic, PartitionIndex(partition))
}

#[test]
fn an_offset_that_a_transaction_may_replace_does_not_expire() {
    let mut harness = Harness::new();
    for partition in [0, 1] {
        harness.commit("g", "t", partition, 5);
    }
    pend(&mut harness, 1, "t", 0..1);
    harness.advance(RETENTION_MS);
    let events = harness.look();
    assert_eq!(events[0], Event::Durable(offsets::tombstone("g", "t", PartitionIndex(1))));
    assert_eq!(harness.offsets_of("g"), [("t".to_owned(), 0, 5)]);
    end(&mut harness, 1, false);
    harness.advance(1);
    harness.look();
    assert!(harness.offsets_of("g").is_empty());
    assert!(harness.shard.groups.is_empty());
}

#[test]
fn a_group_stays_while_something_is_pending_and_goes_when_it_was_aborted() {
    let mut harness = Harness::new();
    pend(&mut harness, 1, "t", 0..1);
    assert!(harness.shard.next_expiry_ms.is_some(), "the group is looked at");
    harness.look();
    assert!(harness.shard.groups.contains_key("g"));
    end(&mut harness, 1, false);
    harness.look();
    assert!(harness.shard.groups.is_empty());
}

#[test]
fn deleted_offsets_are_not_brought_back() {
    let mut harness = Harness::new();
    harness.commit("g", "t", 1, 5);
    pend(&mut harness, 1, "t", 0..3);
    let partitions = [0, 1, 7].map(PartitionIndex).to_vec();
    let request = DeleteOffsetsRequest { group: "g".into(), topics: vec![("t".into(), partitions)] };
    let results = vec![ErrorCode::None; 3];
    let outcome =
        harness.shard.decide(Command::DeleteOffsets(request), RequestId(1), harness.now, &harness.records);
    let outcome = outcome.expect("the group is there");
    let tombstones =
        [0, 1].map(|partition| Event::Durable(offsets::tombstone("g", "t", PartitionIndex(partition))));
    assert_eq!(outcome.events, tombstones);
    let answer = Response::DeleteOffsets(DeleteOffsetsResponse { results });
    assert_eq!(harness.apply(outcome), [(RequestId(1), answer)]);
    assert!(!is_pending(&harness, "t", 0) && is_pending(&harness, "t", 2));
    end(&mut harness, 1, true);
    assert_eq!(harness.offsets_of("g"), [("t".to_owned(), 2, 5)]);
}

#[test]
fn a_group_with_very_much_pending_is_deleted_in_parts() {
    let mut harness = Harness::new();
    for partition in 0..3 {
        harness.commit("g", "t", partition, 5);
    }
    pend(&mut harness, 1, "t", 0..5_002);
    let delete = || Command::DeleteGroup { group: "g".into() };
    assert_eq!(harness.run(delete()), Ok(Response::SomeDeleted));
    assert_eq!(harness.shard.pending.count(), 2);
    assert_eq!(harness.run(delete()), Ok(Response::Done));
    assert!(harness.shard.groups.is_empty());
    end(&mut harness, 1, true);
    assert!(harness.offsets_of("g").is_empty());
}

#[test]
fn a_deleted_topic_takes_along_what_is_pending_for_it() {
    let mut harness = Harness::new();
    pend(&mut harness, 1, "t", 0..5_003);
    pend(&mut harness, 1, "u", 0..1);
    let id_of = |topic: &str| topic_of(topic, Vec::new()).id;
    let deleted = |harness: &mut Harness, id: TopicId| {
        let (mut from, mut parts) = (Some(Vec::new()), 0);
        while let Some(key) = from {
            let command = Command::TopicsDeleted { topics: [(id, Arc::from("t"))].into(), from: key };
            let Ok(Response::TopicsDeleted { next }) = harness.run(command) else { panic!("it is done") };
            (from, parts) = (next, parts + 1);
        }
        parts
    };
    assert_eq!(deleted(&mut harness, id_of("x")), 1);
    assert_eq!(harness.shard.pending.count(), 5_004, "t has been created again before");
    assert_eq!(deleted(&mut harness, id_of("t")), 2);
    assert_eq!(harness.shard.pending.count(), 1);
    end(&mut harness, 1, true);
    assert_eq!(harness.offsets_of("g"), [("u".to_owned(), 0, 5)]);
}

#[test]
fn too_much_pending_is_refused_until_some_of_it_ends() {
    let mut harness = Harness::new();
    pend(&mut harness, 1, "t", 0..MOST_PENDING as i32);
    let one_more = || Command::CommitTransactional(commit_of(2, "u", 0..1));
    assert_eq!(code_of(harness.run(one_more())), ErrorCode::CoordinatorNotAvailable);
    end(&mut harness, 1, false);
    assert!(harness.run(one_more()).is_ok());
}

#[test]
fn what_is_pending_is_refused_by_its_size_as_well() {
    let mut harness = Harness::new();
    let metadata = "m".repeat(4_096);
    let large = |id: i64| {
        let mut request = commit_of(id, "t", 0..0);
        request.topics[0].partitions =
            (0..MOST_PENDING_SIZE as i32 / 4_096 / 2).map(|partition| at(partition, 5, &metadata)).collect();
        Command::CommitTransactional(request)
    };
    assert!(harness.run(large(1)).is_ok());
    assert_eq!(code_of(harness.run(large(2))), ErrorCode::CoordinatorNotAvailable, "names count, too");
    assert!(harness.run(Command::CommitTransactional(commit_of(2, "u", 0..1))).is_ok());
    end(&mut harness, 1, true);
    assert!(harness.run(large(2)).is_ok());
}

#[test]
fn metadata_beyond_the_limit_is_refused_for_its_partition_alone() {
    let mut harness = Harness::with_settings(|settings| settings.offset_metadata_max_bytes = 4);
    let mut request = commit_of(1, "t", 0..0);
    request.topics[0].partitions = vec![at(0, 1, "12345"), at(1, 1, "1234")];
    let results = vec![ErrorCode::OffsetMetadataTooLarge, ErrorCode::None];
    let answer = harness.run(Command::CommitTransactional(request));
    assert_eq!(answer, Ok(Response::Commit(CommitResponse { results })));
    assert!(!is_pending(&harness, "t", 0) && is_pending(&harness, "t", 1));
    assert_eq!(harness.shard.census(0).counts.offset_commits, 1);
}

#[test]
fn a_commit_whose_transaction_has_ended_since_it_was_asked_about_is_refused() {
    let mut harness = Harness::new();
    let asked = harness.shard.ask(producer(1));
    assert!(!asked.is_open);
    let commit =
        |asked| Command::CommitTransactional(TransactionalCommitRequest { asked, ..commit_of(1, "t", 0..1) });
    end(&mut harness, 1, false);
    assert_eq!(code_of(harness.run(commit(Some(asked)))), ErrorCode::InvalidTxnState);
    assert!(harness.shard.groups.is_empty());

    let asked = harness.shard.ask(producer(1));
    assert!(harness.run(commit(Some(asked))).is_ok());
    let asked_of_open = harness.shard.ask(producer(1));
    assert!(asked_of_open.is_open);
    end(&mut harness, 1, false);
    assert_eq!(code_of(harness.run(commit(Some(asked_of_open)))), ErrorCode::InvalidTxnState);

    let asked = harness.shard.ask(producer(1));
    harness.shard.loaded(harness.now);
    assert_eq!(code_of(harness.run(commit(Some(asked)))), ErrorCode::InvalidTxnState);
    assert!(harness.run(commit(None)).is_ok(), "nothing is verified");
}

#[test]
fn what_is_committed_expires_as_any_offset_does() {
    let mut harness = Harness::new();
    pend(&mut harness, 1, "t", 0..1);
    end(&mut harness, 1, true);
    harness.advance(RETENTION_MS);
    let outcome = expiration::look(&harness.shard, harness.now, &harness.records);
    harness.apply(outcome);
    assert!(harness.shard.groups.is_empty() && harness.records.entries.is_empty());
}
