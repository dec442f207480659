//! Committed offsets: what is committed is fetched, in every version, after a restart, and until it is deleted.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    CreatePartitionsRequest, FindCoordinatorRequest, FindCoordinatorResponse, GroupId, OffsetCommitRequest,
    OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse,
    ResponseHeader, create_partitions_request, offset_commit_request, offset_delete_request,
    offset_fetch_request,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion, StrBytes};

use super::Fixture;
use super::client::{Client, topic_name};
use super::groups::client;
use super::topics::delete;
use crate::coordinator::partition_for;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Uuid;
use crate::protocol::wire::{put_count, put_null_array, put_string};

const NONE: i16 = 0;
const NO_METADATA: &str = "";
/// The whole group, in [`fetch`] and [`fetch_by_id`].
const ALL: Option<&[(&str, &[i32])]> = None;

/// Every broker of the topic of committed offsets is this one.
const ONE_BROKER: (&str, &str) = ("offsets.topic.replication.factor", "1");

fn fixture() -> Fixture {
    Fixture::start_with(&[ONE_BROKER, ("offsets.topic.num.partitions", "2")])
}

fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

fn find(client: &mut Client, version: i16, key_type: i8, keys: &[&str]) -> FindCoordinatorResponse {
    let mut keys = keys.iter().map(|key| StrBytes::from_string(key.to_string()));
    let mut request = FindCoordinatorRequest::default();
    if version >= 1 {
        request.key_type = key_type;
    }
    if version < 4 {
        request.key = keys.next().unwrap();
    } else {
        request.coordinator_keys = keys.collect();
    }
    client.call(version, &request)
}

pub type Commit<'a> = (&'a str, i32, i64, &'a str);

fn commit_request(version: i16, group: &str, generation: i32, commits: &[Commit]) -> OffsetCommitRequest {
    let topics = commits.iter().map(|(topic, partition, offset, metadata)| {
        let mut partition = offset_commit_request::OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_metadata(Some(StrBytes::from_string(metadata.to_string())));
        if version >= 6 {
            partition.committed_leader_epoch = 0;
        }
        offset_commit_request::OffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition])
    });
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(generation)
        .with_topics(topics.collect())
}

/// Topic, partition and error of each result.
pub fn commit(
    client: &mut Client,
    version: i16,
    group: &str,
    generation: i32,
    commits: &[Commit],
) -> Vec<(String, i32, i16)> {
    let response = client.call(version, &commit_request(version, group, generation, commits));
    committed(response).into_iter().map(|(name, _, partition, code)| (name, partition, code)).collect()
}

fn committed(response: OffsetCommitResponse) -> Vec<(String, Uuid, i32, i16)> {
    let topics = response.topics.into_iter();
    let results = topics.flat_map(|topic| {
        let (name, id) = (topic.name.to_string(), topic.topic_id);
        topic
            .partitions
            .into_iter()
            .map(move |partition| (name.clone(), id, partition.partition_index, partition.error_code))
    });
    results.collect()
}

/// Topic, partition, offset and metadata.
type Found = (String, i32, i64, String);

fn found(topic: &str, partition: i32, offset: i64, metadata: &str) -> Found {
    (topic.to_owned(), partition, offset, metadata.to_owned())
}

/// The offsets of a group, none of which may be an error.
fn fetch(client: &mut Client, version: i16, group: &str, topics: Option<&[(&str, &[i32])]>) -> Vec<Found> {
    if version >= 8 {
        let topics = topics.map(|topics| {
            let topic = |(name, partitions): &(&str, &[i32])| {
                offset_fetch_request::OffsetFetchRequestTopics::default()
                    .with_name(topic_name(name))
                    .with_partition_indexes(partitions.to_vec())
            };
            topics.iter().map(topic).collect()
        });
        let group = offset_fetch_request::OffsetFetchRequestGroup::default()
            .with_group_id(group_id(group))
            .with_topics(topics);
        let response = client.call(version, &OffsetFetchRequest::default().with_groups(vec![group]));
        return of_group(response, |topic| topic.name.to_string());
    }
    let topics = topics.map(|topics| {
        let topic = |(name, partitions): &(&str, &[i32])| {
            offset_fetch_request::OffsetFetchRequestTopic::default()
                .with_name(topic_name(name))
                .with_partition_indexes(partitions.to_vec())
        };
        topics.iter().map(topic).collect()
    });
    let request = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(topics);
    let response = client.call(version, &request);
    assert_eq!(response.error_code, NONE);
    let mut offsets = Vec::new();
    for topic in response.topics {
        for partition in topic.partitions {
            assert_eq!(partition.error_code, NONE);
            let metadata = partition.metadata.unwrap().to_string();
            let (index, offset) = (partition.partition_index, partition.committed_offset);
            offsets.push((topic.name.to_string(), index, offset, metadata));
        }
    }
    offsets
}

fn of_group(
    mut response: OffsetFetchResponse,
    name: impl Fn(&kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseTopics) -> String,
) -> Vec<Found> {
    let group = response.groups.remove(0);
    assert_eq!(group.error_code, NONE);
    let mut offsets = Vec::new();
    for topic in group.topics {
        for partition in &topic.partitions {
            assert!([NONE, ErrorCode::UnknownTopicId.code()].contains(&partition.error_code));
            let metadata = partition.metadata.as_ref().unwrap().to_string();
            let (index, offset) = (partition.partition_index, partition.committed_offset);
            offsets.push((name(&topic), index, offset, metadata));
        }
    }
    offsets
}

/// Sends a body that the codec crate cannot write, and reads the answer, which it can.
fn call_by_hand<T: Decodable + HeaderVersion>(client: &mut Client, key: i16, body: &[u8]) -> T {
    let mut request = BytesMut::new();
    request.put_i16(key);
    request.put_i16(10);
    request.put_slice(b"\0\0\0\x07\0\x04test\0");
    request.put_slice(body);
    let mut frame = BytesMut::new();
    frame.put_i32(request.len() as i32);
    frame.put_slice(&request);
    client.send_raw(&frame);
    let mut answer: Bytes = client.read_frame().expect("the broker answers");
    let header = ResponseHeader::decode(&mut answer, T::header_version(10)).unwrap();
    assert_eq!(header.correlation_id, 7);
    let response = T::decode(&mut answer, 10).unwrap();
    assert!(!answer.has_remaining(), "the response has bytes behind its end");
    response
}

fn commit_by_id(client: &mut Client, group: &str, commits: &[(Uuid, i32, i64)]) -> Vec<(Uuid, i32, i16)> {
    let mut body = BytesMut::new();
    put_string(&mut body, true, Some(group));
    body.put_i32(-1);
    put_string(&mut body, true, Some(""));
    put_string(&mut body, true, None);
    put_count(&mut body, true, commits.len());
    for (id, partition, offset) in commits {
        body.put_slice(id.as_bytes());
        put_count(&mut body, true, 1);
        body.put_i32(*partition);
        body.put_i64(*offset);
        body.put_i32(0);
        put_string(&mut body, true, Some("by id"));
        body.put_slice(&[0, 0]);
    }
    body.put_u8(0);
    let results = committed(call_by_hand(client, 8, &body)).into_iter();
    results.map(|(_, id, partition, code)| (id, partition, code)).collect()
}

fn fetch_by_id(client: &mut Client, group: &str, topics: Option<&[Uuid]>) -> Vec<Found> {
    let mut body = BytesMut::new();
    put_count(&mut body, true, 1);
    put_string(&mut body, true, Some(group));
    put_string(&mut body, true, None);
    body.put_i32(-1);
    match topics {
        None => put_null_array(&mut body, true),
        Some(ids) => {
            put_count(&mut body, true, ids.len());
            for id in ids {
                body.put_slice(id.as_bytes());
                put_count(&mut body, true, 1);
                body.put_i32(0);
                body.put_u8(0);
            }
        }
    }
    body.put_slice(&[0, 1, 0]);
    of_group(call_by_hand(client, 9, &body), |topic| topic.topic_id.to_string())
}

#[test]
fn every_version_commits_and_fetches() {
    let fixture = fixture();
    let mut client = client(&fixture);
    let id = client.create_topic("t", 2, &[]);
    for version in 2..=9 {
        let group = format!("of version {version}");
        let results = commit(&mut client, version, &group, -1, &[("t", 1, 40 + i64::from(version), "m")]);
        assert_eq!(results, [("t".to_owned(), 1, NONE)], "v{version}");
        for fetch_version in 1..=9 {
            let offsets = fetch(&mut client, fetch_version, &group, Some(&[("t", &[1, 0])]));
            let there = found("t", 1, 40 + i64::from(version), "m");
            assert_eq!(offsets, [there.clone(), found("t", 0, -1, NO_METADATA)], "v{fetch_version}");
            if fetch_version >= 2 {
                assert_eq!(fetch(&mut client, fetch_version, &group, ALL), [there], "v{fetch_version}");
            }
        }
    }
    assert_eq!(commit_by_id(&mut client, "h", &[(id, 0, 5)]), [(id, 0, NONE)]);
    let there = [found(&id.to_string(), 0, 5, "by id")];
    assert_eq!(fetch_by_id(&mut client, "h", Some(&[id])), there);
    assert_eq!(fetch_by_id(&mut client, "h", None), there);
}

#[test]
fn an_id_that_no_topic_has_is_refused_and_told_last() {
    let fixture = fixture();
    let mut client = client(&fixture);
    let id = client.create_topic("t", 1, &[]);
    let stranger = Uuid::from_u128(99);
    let results = commit_by_id(&mut client, "g", &[(id, 0, 5), (stranger, 0, 6), (id, 1, 7)]);
    let (unknown_id, unknown) = (ErrorCode::UnknownTopicId.code(), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(results, [(stranger, 0, unknown_id), (id, 1, unknown), (id, 0, NONE)]);
    let offsets = fetch_by_id(&mut client, "g", Some(&[stranger, id]));
    assert_eq!(
        offsets,
        [found(&id.to_string(), 0, 5, "by id"), found(&stranger.to_string(), 0, -1, NO_METADATA)]
    );
}

#[test]
fn offsets_survive_a_restart() {
    let mut fixture = fixture();
    let mut first = client(&fixture);
    first.create_topic("t", 3, &[]);
    let commits = [("t", 0, 1, "x"), ("t", 2, 3, "z")];
    commit(&mut first, 9, "g", -1, &commits);
    commit(&mut first, 9, "another", -1, &[("t", 1, 2, "y")]);
    commit(&mut first, 9, "g", -1, &[("t", 0, 11, "x again")]);
    drop(first);
    fixture.restart();
    let mut second = client(&fixture);
    assert_eq!(fetch(&mut second, 9, "g", ALL), [found("t", 0, 11, "x again"), found("t", 2, 3, "z")]);
    assert_eq!(fetch(&mut second, 1, "another", Some(&[("t", &[1])])), [found("t", 1, 2, "y")]);
}

#[test]
fn partitions_that_are_added_to_the_topic_of_offsets_take_no_groups_away() {
    let mut fixture = fixture();
    let mut client = client(&fixture);
    client.create_topic("t", 1, &[]);
    commit(&mut client, 9, "h", -1, &[("t", 0, 5, "")]);
    let topic = create_partitions_request::CreatePartitionsTopic::default()
        .with_name(topic_name("__consumer_offsets"))
        .with_count(3)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000);
    assert_eq!(client.call(3, &request).results[0].error_code, NONE);
    // Of three it would be in another.
    assert_ne!(partition_for("h", 2), partition_for("h", 3));
    assert_eq!(fetch(&mut client, 9, "h", ALL), [found("t", 0, 5, "")]);
    drop(client);
    // As in Kafka it is looked for there after a restart.
    fixture.restart();
    let mut client = super::groups::client(&fixture);
    assert!(fetch(&mut client, 9, "h", ALL).is_empty());
}

#[test]
fn what_does_not_exist_is_refused_first() {
    let fixture = fixture();
    let mut client = client(&fixture);
    client.create_topic("t", 1, &[]);
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let commits = [("t", 0, 1, ""), ("nowhere", 0, 2, ""), ("t", 9, 3, "")];
    let refused_first =
        [("nowhere".to_owned(), 0, unknown), ("t".to_owned(), 9, unknown), ("t".to_owned(), 0, NONE)];
    assert_eq!(commit(&mut client, 2, "g", -1, &commits), refused_first);
    assert_eq!(commit(&mut client, 9, "g", -1, &commits), refused_first);
    assert_eq!(commit(&mut client, 9, "g", -1, &[]), []);
    let offsets = fetch(&mut client, 5, "g", Some(&[("nowhere", &[0]), ("t", &[0, 9])]));
    assert_eq!(offsets, [found("nowhere", 0, -1, ""), found("t", 0, 1, ""), found("t", 9, -1, "")]);
}

#[test]
fn a_group_that_nobody_knows_has_nothing_and_no_generation() {
    let fixture = fixture();
    let mut client = client(&fixture);
    client.create_topic("t", 1, &[]);
    assert_eq!(fetch(&mut client, 2, "g", ALL), []);
    assert_eq!(fetch(&mut client, 1, "g", Some(&[("t", &[0])])), [found("t", 0, -1, NO_METADATA)]);
    for (version, code) in [(2, ErrorCode::IllegalGeneration), (9, ErrorCode::GroupIdNotFound)] {
        let results = commit(&mut client, version, "g", 3, &[("t", 0, 1, "")]);
        assert_eq!(results, [("t".to_owned(), 0, code.code())]);
    }
}

#[test]
fn nothing_is_committed_before_the_topic_of_offsets_is_there() {
    let fixture = fixture();
    let mut client = fixture.client();
    client.create_topic("t", 1, &[]);
    let code = ErrorCode::CoordinatorNotAvailable.code();
    let results = commit(&mut client, 9, "g", -1, &[("nowhere", 0, 1, ""), ("t", 0, 1, "")]);
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(results, [("nowhere".to_owned(), 0, unknown), ("t".to_owned(), 0, code)]);
    let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(group_id("g")).with_topics(Some(vec![topic]));
    // Only the first version has no room for an error of the whole group.
    let first = client.call(1, &request);
    let partition = &first.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.committed_offset), (code, -1));
    let second = client.call(2, &request);
    assert_eq!((second.error_code, second.topics.len()), (code, 0));
    let group = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(group_id("g"));
    let eighth = client.call(8, &OffsetFetchRequest::default().with_groups(vec![group]));
    assert_eq!((eighth.groups[0].error_code, eighth.groups[0].topics.len()), (code, 0));
}

#[test]
fn metadata_beyond_the_limit_is_refused_alone() {
    let fixture = Fixture::start_with(&[ONE_BROKER, ("offset.metadata.max.bytes", "4")]);
    let mut client = client(&fixture);
    client.create_topic("t", 2, &[]);
    let results = commit(&mut client, 8, "g", -1, &[("t", 0, 1, "12345"), ("t", 1, 1, "1234")]);
    let too_large = ErrorCode::OffsetMetadataTooLarge.code();
    assert_eq!(results, [("t".to_owned(), 0, too_large), ("t".to_owned(), 1, NONE)]);
    assert_eq!(fetch(&mut client, 8, "g", ALL), [found("t", 1, 1, "1234")]);
}

#[test]
fn offsets_of_a_deleted_topic_go_with_it() {
    let fixture = fixture();
    let mut client = client(&fixture);
    client.create_topic("t", 1, &[]);
    client.create_topic("stays", 1, &[]);
    commit(&mut client, 9, "g", -1, &[("t", 0, 5, ""), ("stays", 0, 6, "")]);
    delete(&mut client, "t");
    let id = client.create_topic("t", 1, &[]);
    assert_eq!(
        fetch_by_id(&mut client, "g", Some(&[id])),
        [found(&id.to_string(), 0, -1, NO_METADATA)],
        "they belong to the topic's old id"
    );
    // They are deleted behind the topic's deletion.
    let stays = [found("stays", 0, 6, "")];
    let gone = (0..100_000).any(|_| fetch(&mut client, 9, "g", ALL) == stays);
    assert!(gone, "the offsets are still there");
}

#[test]
fn offsets_are_deleted_one_by_one() {
    let fixture = fixture();
    let mut client = client(&fixture);
    client.create_topic("t", 2, &[]);
    commit(&mut client, 9, "g", -1, &[("t", 0, 5, ""), ("t", 1, 6, "")]);
    let forget = |client: &mut Client, group: &str, topics: &[(&str, &[i32])]| -> OffsetDeleteResponse {
        let topics = topics.iter().map(|(name, partitions)| {
            let partitions = partitions.iter().map(|index| {
                offset_delete_request::OffsetDeleteRequestPartition::default().with_partition_index(*index)
            });
            offset_delete_request::OffsetDeleteRequestTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions.collect())
        });
        let request =
            OffsetDeleteRequest::default().with_group_id(group_id(group)).with_topics(topics.collect());
        client.call(0, &request)
    };
    let refusals = [("", ErrorCode::InvalidGroupId), ("nobody", ErrorCode::GroupIdNotFound)];
    for (group, code) in refusals {
        for topics in [&[("t", &[0][..])][..], &[("nowhere", &[0])], &[]] {
            let response = forget(&mut client, group, topics);
            assert_eq!((response.error_code, response.topics.len()), (code.code(), 0));
        }
    }
    let response = forget(&mut client, "g", &[("t", &[0, 7]), ("nowhere", &[0])]);
    assert_eq!(response.error_code, NONE);
    let results: Vec<(&str, Vec<(i32, i16)>)> = response
        .topics
        .iter()
        .map(|topic| {
            let partitions = topic.partitions.iter();
            let results = partitions.map(|partition| (partition.partition_index, partition.error_code));
            (topic.name.as_str(), results.collect())
        })
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(results, [("t", vec![(7, unknown), (0, NONE)]), ("nowhere", vec![(0, unknown)])]);
    assert_eq!(fetch(&mut client, 9, "g", ALL), [found("t", 1, 6, "")]);
}

#[test]
fn groups_have_this_broker_and_nothing_else_has_a_coordinator() {
    let fixture = fixture();
    let mut client = fixture.client();
    let port = i32::from(fixture.broker.as_ref().unwrap().addresses()[0].address.port());
    for version in 0..=3 {
        let response = find(&mut client, version, 0, &["g"]);
        assert_eq!((response.error_code, response.node_id.0, response.port), (NONE, 1, port), "v{version}");
        let message = response.error_message.as_ref().map(|message| message.as_str());
        let expected =
            if version == 0 { response.error_message.is_some().then_some("") } else { Some("NONE") };
        assert_eq!(message, expected);
    }
    for (key_type, code, sentence) in [
        (1, ErrorCode::CoordinatorNotAvailable, "The coordinator is not available."),
        (2, ErrorCode::InvalidRequest, "This most likely occurs"),
    ] {
        let response = find(&mut client, 3, key_type, &["g"]);
        assert_eq!((response.error_code, response.node_id.0, response.port), (code.code(), -1, -1));
        assert!(response.error_message.unwrap().starts_with(sentence));
    }
    let share = "g:AAAAAAAAAAAAAAAAAAAAAQ:7";
    for version in 4..=6 {
        let response = find(&mut client, version, 0, &["g", ""]);
        for (coordinator, key) in response.coordinators.iter().zip(["g", ""]) {
            let answer = (coordinator.error_code, coordinator.node_id.0, coordinator.port);
            assert_eq!((coordinator.key.as_str(), answer), (key, (NONE, 1, port)), "v{version}");
        }
        assert_eq!(response.coordinators.len(), 2);
        let code_of = |client: &mut Client, key_type| {
            find(client, version, key_type, &[share]).coordinators[0].error_code
        };
        assert_eq!(code_of(&mut client, 1), ErrorCode::CoordinatorNotAvailable.code());
        let of_share =
            if version < 6 { ErrorCode::InvalidRequest } else { ErrorCode::CoordinatorNotAvailable };
        assert_eq!(code_of(&mut client, 2), of_share.code());
        assert_eq!(code_of(&mut client, 7), ErrorCode::InvalidRequest.code());
    }
}
