//! Offsets that are committed in transactions, over the wire; here without a transaction coordinator that is asked.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::{
    GroupId, OffsetFetchRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest, offset_fetch_request,
    txn_offset_commit_request,
};
use kafka_protocol::protocol::StrBytes;

use super::Fixture;
use super::client::{Client, topic_name};
use super::groups::client;
use super::offsets::commit;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Uuid;
use crate::protocol::wire::{put_count, put_string};

const NONE: i16 = 0;
const UNSTABLE: i16 = 88;

/// Producers are taken at their word: nobody begins transactions here.
fn fixture() -> Fixture {
    Fixture::start_with(&[
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "1"),
        ("transaction.partition.verification.enable", "false"),
    ])
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A producer in an epoch.
type Producer = (i64, i16);

fn commit_in_transaction(
    client: &mut Client,
    version: i16,
    (id, epoch): Producer,
    group: &str,
    commits: &[(&str, i32, i64)],
) -> Vec<(String, i32, i16)> {
    let topics = commits.iter().map(|(topic, partition, offset)| {
        let partition = txn_offset_commit_request::TxnOffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_metadata(Some(text("in a transaction")));
        txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition])
    });
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(TransactionalId(text("tx")))
        .with_group_id(GroupId(text(group)))
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(epoch)
        .with_topics(topics.collect());
    let response = client.call(version, &request);
    let results = response.topics.into_iter().flat_map(|topic| {
        let name = topic.name.to_string();
        let result = move |partition: &kafka_protocol::messages::txn_offset_commit_response::TxnOffsetCommitResponsePartition| {
            (name.clone(), partition.partition_index, partition.error_code)
        };
        topic.partitions.iter().map(result).collect::<Vec<_>>()
    });
    results.collect()
}

/// Offset and error of `t`'s partitions.
fn fetch(client: &mut Client, group: &str, partitions: Option<&[i32]>, is_stable: bool) -> Vec<(i64, i16)> {
    let topics = partitions.map(|partitions| {
        vec![
            offset_fetch_request::OffsetFetchRequestTopics::default()
                .with_name(topic_name("t"))
                .with_partition_indexes(partitions.to_vec()),
        ]
    });
    let group = offset_fetch_request::OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(topics);
    let request = OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(is_stable);
    let group = client.call(9, &request).groups.remove(0);
    assert_eq!(group.error_code, NONE);
    let partitions = group.topics.into_iter().flat_map(|topic| topic.partitions);
    partitions.map(|partition| (partition.committed_offset, partition.error_code)).collect()
}

#[test]
fn what_a_transaction_commits_is_unstable_and_not_to_be_seen_yet() {
    let mut fixture = fixture();
    let mut first = client(&fixture);
    first.create_topic("t", 2, &[]);
    commit(&mut first, 9, "g", -1, &[("t", 0, 5, ""), ("t", 1, 6, "")]);
    for version in 0..=4 {
        let producer = (i64::from(version), 0);
        let results = commit_in_transaction(&mut first, version, producer, "g", &[("t", 0, 7)]);
        assert_eq!(results, [("t".to_owned(), 0, NONE)], "v{version}");
    }
    let check = |client: &mut Client| {
        for partitions in [Some(&[0, 1][..]), None] {
            assert_eq!(fetch(client, "g", partitions, false), [(5, NONE), (6, NONE)]);
            assert_eq!(fetch(client, "g", partitions, true), [(-1, UNSTABLE), (6, NONE)]);
        }
        assert_eq!(fetch(client, "another", Some(&[0]), true), [(-1, NONE)]);
    };
    check(&mut first);
    drop(first);
    fixture.restart();
    check(&mut client(&fixture));
}

#[test]
fn what_does_not_exist_is_refused_first_and_a_group_has_a_name() {
    let fixture = fixture();
    let mut client = client(&fixture);
    client.create_topic("t", 1, &[]);
    let commits = [("t", 0, 1), ("nowhere", 0, 2), ("t", 9, 3)];
    let results = |code: ErrorCode| {
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        [("nowhere".to_owned(), 0, unknown), ("t".to_owned(), 9, unknown), ("t".to_owned(), 0, code.code())]
    };
    for version in [0, 4] {
        let committed = commit_in_transaction(&mut client, version, (1, 0), "g", &commits);
        assert_eq!(committed, results(ErrorCode::None));
        let nameless = commit_in_transaction(&mut client, version, (1, 0), "", &commits);
        assert_eq!(nameless, results(ErrorCode::InvalidGroupId));
    }
}

#[test]
fn who_is_no_producer_or_an_old_one_is_refused() {
    let fixture = fixture();
    let mut client = client(&fixture);
    client.create_topic("t", 1, &[]);
    for (producer, code) in [
        ((-1, 0), ErrorCode::InvalidProducerIdMapping),
        ((1, -1), ErrorCode::InvalidProducerEpoch),
        ((1, 3), ErrorCode::None),
        ((1, 2), ErrorCode::InvalidProducerEpoch),
    ] {
        let results = commit_in_transaction(&mut client, 3, producer, "g", &[("t", 0, 1)]);
        assert_eq!(results, [("t".to_owned(), 0, code.code())], "{producer:?}");
    }
}

#[test]
fn a_commit_that_adds_its_partition_asks_the_transaction_coordinator() {
    let fixture = fixture();
    let mut client = client(&fixture);
    client.create_topic("t", 1, &[]);
    let refused = commit_in_transaction(&mut client, 5, (1, 0), "g", &[("t", 0, 1)]);
    let code = ErrorCode::CoordinatorNotAvailable.code();
    assert_eq!(refused, [("t".to_owned(), 0, code)], "there is none");
    assert_eq!(fetch(&mut client, "g", Some(&[0]), true), [(-1, NONE)]);
}

#[test]
fn the_newest_version_calls_topics_by_their_ids() {
    let fixture = fixture();
    let mut client = client(&fixture);
    let id = client.create_topic("t", 1, &[]);
    let stranger = Uuid::from_u128(99);
    let mut request = BytesMut::new();
    request.put_slice(b"\0\x1c\0\x06\0\0\0\x07\0\x04test\0");
    put_string(&mut request, true, Some("tx"));
    put_string(&mut request, true, Some("g"));
    request.put_i64(1);
    request.put_i16(0);
    request.put_i32(-1);
    put_string(&mut request, true, Some(""));
    put_string(&mut request, true, None);
    put_count(&mut request, true, 2);
    for id in [id, stranger] {
        request.put_slice(id.as_bytes());
        put_count(&mut request, true, 1);
        request.put_i32(0);
        request.put_i64(5);
        request.put_i32(-1);
        put_string(&mut request, true, None);
        request.put_slice(&[0, 0]);
    }
    request.put_u8(0);
    let mut frame = BytesMut::new();
    frame.put_i32(request.len() as i32);
    frame.put_slice(&request);
    client.send_raw(&frame);
    let answer = client.read_frame().expect("the broker answers");
    let mut expected = BytesMut::from(&b"\0\0\0\x07\0\0\0\0\0\x03"[..]);
    for (id, code) in [(stranger, ErrorCode::UnknownTopicId), (id, ErrorCode::CoordinatorNotAvailable)] {
        expected.put_slice(id.as_bytes());
        expected.put_slice(b"\x02\0\0\0\0");
        expected.put_i16(code.code());
        expected.put_slice(&[0, 0]);
    }
    expected.put_u8(0);
    assert_eq!(answer, expected);
}
