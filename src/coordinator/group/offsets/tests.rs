//! Commits, reads and deletions of offsets over a shard whose records stand in a sorted map.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::super::command::Command;
use super::super::records::{GroupValue, MemberValue};
use super::super::tests::world::View;
use super::*;
use parking_lot::Mutex;

use crate::config::broker::{BrokerConfig, GroupSettings};
use crate::coordinator::group::consumer::topics::tests::{TestTopics, surroundings};
use crate::coordinator::shard::{Event, Shard};

/// A shard, its records, and a clock that only tests move.
pub(in crate::coordinator::group) struct Harness {
    pub shard: GroupShard,
    pub records: View,
    pub now: Now,
}

impl Harness {
    pub fn new() -> Harness {
        Harness::with_settings(|_| ())
    }

    pub fn with_settings(change: impl FnOnce(&mut GroupSettings)) -> Harness {
        let (config, _) = BrokerConfig::from_properties(&BTreeMap::new()).expect("the defaults are valid");
        let mut settings = (*config.group).clone();
        change(&mut settings);
        let topics: Arc<Mutex<TestTopics>> = Arc::default();
        let surroundings = surroundings(&topics, &Arc::new(Mutex::new(settings.clone())));
        let settings = Arc::new(settings);
        Harness {
            shard: GroupShard::new(Arc::new(move || settings.clone()), surroundings),
            records: View::default(),
            now: Now { wall: Timestamp(1_000_000), uptime_ms: 1_000 },
        }
    }

    pub fn advance(&mut self, ms: i64) {
        self.now.wall.0 += ms;
        self.now.uptime_ms += ms;
    }

    /// Appends and replays what has been decided; the replies.
    pub fn apply(&mut self, outcome: Outcome<GroupShard>) -> Vec<(RequestId, Response)> {
        for event in &outcome.events {
            self.records.apply(event);
            self.shard.replay(event);
        }
        outcome.replies
    }

    pub fn run(&mut self, command: Command) -> Result<Response, ApiError> {
        let outcome = self.shard.decide(command, RequestId(7), self.now, &self.records)?;
        let mut replies = self.apply(outcome);
        assert_eq!(replies.len(), 1, "the request is answered once");
        let (id, response) = replies.remove(0);
        assert_eq!(id, RequestId(7));
        Ok(response)
    }

    pub fn look(&mut self) -> Vec<Event<Record, Soft>> {
        let outcome = super::super::expiration::look(&self.shard, self.now, &self.records);
        let events = outcome.events.clone();
        assert!(self.apply(outcome).is_empty());
        events
    }

    /// Commits one offset as a simple consumer does.
    pub fn commit(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        let request = commit_of(group, "", -1, vec![topic_of(topic, vec![at(partition, offset, "")])]);
        let answer = self.run(Command::Commit(request));
        let results = vec![ErrorCode::None];
        assert_eq!(answer, Ok(Response::Commit(CommitResponse { results })));
    }

    /// A group that has settled on generation 1 with one member `m` that reads the topic `t`.
    pub fn settled_group(&mut self, group: &str, protocol_type: &str, members: usize) {
        let subscription = b"\0\x03\0\0\0\x01\0\x01t\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff";
        let member = MemberValue {
            member_id: "m".to_owned(),
            group_instance_id: None,
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            rebalance_timeout_ms: 60_000,
            session_timeout_ms: 10_000,
            subscription: Bytes::from_static(subscription),
            assignment: Bytes::new(),
        };
        let value = GroupValue {
            protocol_type: protocol_type.to_owned(),
            generation: 1,
            protocol: (members > 0).then(|| "range".to_owned()),
            leader: (members > 0).then(|| "m".to_owned()),
            current_state_timestamp: self.now.wall,
            members: vec![member; members],
        };
        let mut outcome = Outcome::nothing();
        outcome.durable(Record::Group(group.into(), Some(value)));
        self.apply(outcome);
    }

    pub fn offsets_of(&self, group: &str) -> Vec<(String, i32, i64)> {
        let topics = fetch_all(group, &self.records).expect("a map can be read");
        let offsets = topics.iter().flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|(partition, value)| (topic.name.to_string(), partition.0, value.offset.0))
        });
        offsets.collect()
    }
}

pub(in crate::coordinator::group) fn at(partition: i32, offset: i64, metadata: &str) -> CommitPartition {
    CommitPartition {
        partition: PartitionIndex(partition),
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(4),
        commit_timestamp: None,
        metadata: metadata.to_owned(),
    }
}

pub(in crate::coordinator::group) fn topic_of(name: &str, partitions: Vec<CommitPartition>) -> CommitTopic {
    CommitTopic { name: name.into(), id: id_of(name), partitions }
}

/// The topic's first letter makes its id.
fn id_of(topic: &str) -> TopicId {
    TopicId(crate::protocol::ids::Uuid::from_u128(u128::from(topic.as_bytes()[0])))
}

fn commit_of(group: &str, member_id: &str, generation: i32, topics: Vec<CommitTopic>) -> CommitRequest {
    CommitRequest {
        group: group.into(),
        member_id: member_id.to_owned(),
        group_instance_id: None,
        generation,
        version: 9,
        retention_time_ms: -1,
        topics,
    }
}

pub(in crate::coordinator::group) fn code_of(answer: Result<Response, ApiError>) -> ErrorCode {
    answer.expect_err("the request was refused").code
}

fn fetch_one(harness: &Harness, group: &str, id: TopicId) -> Option<OffsetValue> {
    let topic = FetchTopic { name: "t".into(), id, partitions: vec![PartitionIndex(0)] };
    fetch(group, &[topic], &harness.records).expect("a map can be read").remove(0)
}

#[test]
fn a_simple_consumer_commits_to_a_group_that_does_not_exist() {
    let mut harness = Harness::new();
    harness.commit("g", "t", 0, 5);
    assert!(harness.shard.groups.contains_key("g"));
    let value = fetch_one(&harness, "g", TopicId::ZERO).expect("it was committed");
    let expected = OffsetValue {
        offset: Offset(5),
        leader_epoch: LeaderEpoch(4),
        metadata: String::new(),
        commit_timestamp: harness.now.wall,
        expire_timestamp: Timestamp::NONE,
        topic_id: id_of("t"),
    };
    assert_eq!(value, expected);
}

#[test]
fn a_generation_of_an_unknown_group_is_refused_by_version() {
    let mut harness = Harness::new();
    let mut request = commit_of("g", "m", 1, vec![topic_of("t", vec![at(0, 5, "")])]);
    assert_eq!(code_of(harness.run(Command::Commit(request.clone()))), ErrorCode::GroupIdNotFound);
    request.version = 8;
    assert_eq!(code_of(harness.run(Command::Commit(request))), ErrorCode::IllegalGeneration);
    assert!(harness.shard.groups.is_empty());
}

#[test]
fn only_members_of_the_generation_commit_to_a_settled_group() {
    let mut harness = Harness::new();
    harness.settled_group("g", "consumer", 1);
    let mut commit = |member: &str, generation| {
        let topics = vec![topic_of("t", vec![at(0, 5, "")])];
        harness.run(Command::Commit(commit_of("g", member, generation, topics)))
    };
    assert_eq!(code_of(commit("stranger", 1)), ErrorCode::UnknownMemberId);
    assert_eq!(code_of(commit("m", 0)), ErrorCode::IllegalGeneration);
    assert_eq!(code_of(commit("", -1)), ErrorCode::UnknownMemberId);
    assert_eq!(commit("m", 1), Ok(Response::Commit(CommitResponse { results: vec![ErrorCode::None] })));
    assert_eq!(harness.offsets_of("g"), [("t".to_owned(), 0, 5)]);
}

#[test]
fn a_commit_keeps_its_member_alive() {
    let mut harness = Harness::new();
    harness.settled_group("g", "consumer", 1);
    let request = commit_of("g", "m", 1, vec![topic_of("t", vec![at(0, 5, "")])]);
    let outcome = commit(&harness.shard, request, RequestId(1), harness.now).expect("m is a member");
    assert!(matches!(outcome.events[0], Event::Soft(Soft::Member { .. })));
}

#[test]
fn metadata_beyond_the_limit_is_refused_for_its_partition_alone() {
    let mut harness = Harness::with_settings(|settings| settings.offset_metadata_max_bytes = 4);
    // Kafka counts UTF-16 units: a letter beyond the basic plane is two of them, and four bytes.
    let partitions = vec![at(0, 1, "12345"), at(1, 1, "1234"), at(2, 1, "üüüü"), at(3, 1, "𝄞𝄞𝄞")];
    let request = commit_of("g", "", -1, vec![topic_of("t", partitions)]);
    let results = vec![
        ErrorCode::OffsetMetadataTooLarge,
        ErrorCode::None,
        ErrorCode::None,
        ErrorCode::OffsetMetadataTooLarge,
    ];
    let answer = harness.run(Command::Commit(request));
    assert_eq!(answer, Ok(Response::Commit(CommitResponse { results })));
    assert_eq!(harness.offsets_of("g"), [("t".to_owned(), 1, 1), ("t".to_owned(), 2, 1)]);
}

#[test]
fn a_client_may_say_when_it_committed() {
    let mut harness = Harness::new();
    let partition = CommitPartition { commit_timestamp: Some(Timestamp(1000)), ..at(0, 5, "") };
    let request = commit_of("g", "", -1, vec![topic_of("t", vec![partition])]);
    harness.run(Command::Commit(request)).expect("a simple consumer commits");
    let value = fetch_one(&harness, "g", TopicId::ZERO).expect("it was committed");
    assert_eq!((value.commit_timestamp, value.expire_timestamp), (Timestamp(1000), Timestamp::NONE));
}

#[test]
fn a_retention_time_of_an_old_client_becomes_an_expiry() {
    let mut harness = Harness::new();
    let mut request = commit_of("g", "", -1, vec![topic_of("t", vec![at(0, 5, "")])]);
    request.retention_time_ms = 500;
    harness.run(Command::Commit(request)).expect("a simple consumer commits");
    let value = fetch_one(&harness, "g", TopicId::ZERO).expect("it was committed");
    assert_eq!(value.expire_timestamp, Timestamp(harness.now.wall.0 + 500));
    // As in Kafka's log, where that version of the record has neither.
    assert_eq!((value.leader_epoch, value.topic_id), (LeaderEpoch::NONE, TopicId::ZERO));
}

#[test]
fn an_offset_of_a_topic_that_was_created_again_is_not_the_new_ones() {
    let mut harness = Harness::new();
    harness.commit("g", "t", 0, 5);
    assert!(fetch_one(&harness, "g", id_of("t")).is_some());
    assert!(fetch_one(&harness, "g", TopicId::ZERO).is_some());
    assert_eq!(fetch_one(&harness, "g", id_of("other")), None);
    assert_eq!(fetch_one(&harness, "unknown", TopicId::ZERO), None);
}

#[test]
fn all_offsets_of_a_group_are_fetched_by_topic() {
    let mut harness = Harness::new();
    for (group, topic, partition) in [("g", "b", 1), ("g", "a", 0), ("g", "b", 0), ("gg", "a", 9)] {
        harness.commit(group, topic, partition, 5);
    }
    let topics = fetch_all("g", &harness.records).expect("a map can be read");
    let names: Vec<&str> = topics.iter().map(|topic| &*topic.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(topics[1].partitions.len(), 2);
    assert!(fetch_all("nobody", &harness.records).expect("a map can be read").is_empty());
}

#[test]
fn offsets_are_deleted_but_not_of_topics_the_group_reads() {
    let mut harness = Harness::new();
    let request = |topics: &[&str]| DeleteOffsetsRequest {
        group: "g".into(),
        topics: topics
            .iter()
            .map(|topic| ((*topic).into(), vec![PartitionIndex(0), PartitionIndex(1)]))
            .collect(),
    };
    assert_eq!(code_of(harness.run(Command::DeleteOffsets(request(&["u"])))), ErrorCode::GroupIdNotFound);

    for topic in ["t", "u"] {
        harness.commit("g", topic, 0, 5);
    }
    harness.settled_group("g", "consumer", 1);
    let answer = harness.run(Command::DeleteOffsets(request(&["t", "u"])));
    let subscribed = ErrorCode::GroupSubscribedToTopic;
    let results = vec![subscribed, subscribed, ErrorCode::None, ErrorCode::None];
    assert_eq!(answer, Ok(Response::DeleteOffsets(DeleteOffsetsResponse { results })));
    assert_eq!(harness.offsets_of("g"), [("t".to_owned(), 0, 5)]);

    harness.settled_group("g", "connect", 1);
    assert_eq!(code_of(harness.run(Command::DeleteOffsets(request(&["t"])))), ErrorCode::NonEmptyGroup);
    harness.settled_group("g", "connect", 0);
    harness.run(Command::DeleteOffsets(request(&["t"]))).expect("the group is empty");
    assert!(harness.offsets_of("g").is_empty());
}

#[test]
fn a_group_is_deleted_with_all_of_its_offsets_and_no_others() {
    let mut harness = Harness::new();
    for (group, partition) in [("g", 0), ("g", 1), ("gg", 0), ("", 0)] {
        harness.commit(group, "t", partition, 5);
    }
    assert_eq!(harness.run(Command::DeleteGroup { group: "g".into() }), Ok(Response::Done));
    assert_eq!(has_offsets("g", &harness.records), Ok(false));
    assert_eq!(has_offsets("gg", &harness.records), Ok(true));
    assert_eq!(has_offsets("", &harness.records), Ok(true));
}

#[test]
fn a_group_with_very_many_offsets_is_deleted_in_parts_and_its_record_last() {
    let mut harness = Harness::new();
    let many: Vec<CommitPartition> =
        (0..TOMBSTONES_PER_DECISION as i32 + 1).map(|partition| at(partition, 5, "")).collect();
    harness.run(Command::Commit(commit_of("g", "", -1, vec![topic_of("t", many)]))).expect("it is committed");
    let delete = || Command::DeleteGroup { group: "g".into() };
    assert_eq!(harness.run(delete()), Ok(Response::SomeDeleted));
    assert!(harness.shard.groups.contains_key("g"));
    assert_eq!(harness.offsets_of("g").len(), 1);
    assert_eq!(harness.run(delete()), Ok(Response::Done));
    assert!(!harness.shard.groups.contains_key("g"));
    assert!(harness.offsets_of("g").is_empty());
}

#[test]
fn a_deleted_topic_takes_its_offsets_along_but_not_those_of_its_successor() {
    let mut harness = Harness::new();
    for group in ["g", "h"] {
        harness.commit(group, "t", 0, 5);
        harness.commit(group, "u", 0, 5);
    }
    let gone: Arc<[_]> = vec![(id_of("x"), Arc::from("t"))].into();
    let done = Ok(Response::TopicsDeleted { next: None });
    assert_eq!(harness.run(Command::TopicsDeleted { topics: gone, from: Vec::new() }), done);
    assert_eq!(harness.offsets_of("g").len(), 2, "t has been created again before");

    let gone: Arc<[_]> = vec![(id_of("t"), Arc::from("t"))].into();
    assert_eq!(harness.run(Command::TopicsDeleted { topics: gone, from: Vec::new() }), done);
    for group in ["g", "h"] {
        assert_eq!(harness.offsets_of(group), [("u".to_owned(), 0, 5)]);
    }
}

#[test]
fn the_deletion_of_topics_with_many_offsets_is_done_in_parts() {
    let mut harness = Harness::new();
    let many: Vec<CommitPartition> =
        (0..TOMBSTONES_PER_DECISION as i32 + 10).map(|partition| at(partition, 5, "")).collect();
    let topics = vec![topic_of("t", many), topic_of("u", vec![at(0, 5, "")])];
    harness.run(Command::Commit(commit_of("g", "", -1, topics))).expect("it is committed");
    harness.commit("h", "longer", 0, 5);
    harness.commit("h", "other", 0, 5);
    let gone: Arc<[_]> = ["longer", "t"].map(|topic| (id_of(topic), Arc::from(topic))).into();
    let mut from = Some(Vec::new());
    let mut deleted = Vec::new();
    while let Some(key) = from.take() {
        let command = Command::TopicsDeleted { topics: gone.clone(), from: key };
        let outcome = harness.shard.decide(command, RequestId(1), harness.now, &harness.records);
        let outcome = outcome.expect("a map can be read");
        assert!(outcome.on_committed.is_none());
        deleted.push(outcome.events.len());
        match harness.apply(outcome).remove(0) {
            (_, Response::TopicsDeleted { next }) => from = next,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(deleted, [TOMBSTONES_PER_DECISION, 11]);
    assert_eq!(harness.offsets_of("g"), [("u".to_owned(), 0, 5)]);
    assert_eq!(harness.offsets_of("h"), [("other".to_owned(), 0, 5)]);
}

#[test]
fn a_new_shard_finds_the_groups_that_only_their_offsets_show() {
    let mut harness = Harness::new();
    for group in ["g", "gg", "", "z"] {
        for partition in 0..3 {
            harness.commit(group, "t", partition, 5);
        }
    }
    let mut found = Vec::new();
    groups_with_offsets(&harness.records, &mut |group| found.push(group.to_owned()))
        .expect("a map can be read");
    assert_eq!(found, ["", "g", "z", "gg"]);
}

#[test]
fn a_record_that_cannot_be_read_fails_the_request_alone() {
    let mut harness = Harness::new();
    harness.commit("g", "t", 0, 5);
    harness.records.entries.insert(records::offset_key("g", "t", PartitionIndex(1)), vec![0, 9]);
    let broken = ErrorCode::CoordinatorNotAvailable;
    assert_eq!(fetch_all("g", &harness.records).map_err(|error| error.code), Err(broken));
    assert!(fetch_one(&harness, "g", TopicId::ZERO).is_some());
}
