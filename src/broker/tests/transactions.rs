//! Transactions in partitions: what they hold back, the markers that end them, and what must not begin one.

use bytes::BufMut;
use kafka_protocol::messages::{
    ApiVersionsRequest, DescribeProducersRequest, ListOffsetsRequest, ProduceRequest, TransactionalId,
    WriteTxnMarkersRequest, describe_producers_request, list_offsets_request,
    write_txn_markers_request as markers,
};

use super::client::{self, batch, batch_with, topic_name};
use super::{Client, Fixture};
use crate::env::clock::Clock;
use crate::protocol::batch::Batch;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{ProducerEpoch, ProducerId, Uuid};
use crate::protocol::records::{BatchHeader, RecordIter};

/// Partitions take any transaction that its producer brings, as they did before KIP-890.
pub const UNVERIFIED: &[(&str, &str)] = &[("transaction.partition.verification.enable", "false")];
const READ_UNCOMMITTED: i8 = 0;
pub const READ_COMMITTED: i8 = 1;

/// A batch of producer 7 in epoch 0.
pub fn transactional(base_sequence: i32, values: &[&str]) -> Vec<u8> {
    let header = BatchHeader {
        transactional: true,
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(0),
        base_sequence,
        ..BatchHeader::default()
    };
    batch_with(header, Clock::system().now(), values)
}

fn request(version: i16, topic: (&str, Uuid), records: Vec<u8>, acks: i16) -> ProduceRequest {
    let id = TransactionalId("x".into());
    client::produce(version, topic, 0, records, acks).with_transactional_id(Some(id))
}

pub fn produce(client: &mut Client, version: i16, topic: (&str, Uuid), records: Vec<u8>) -> (i16, i64) {
    let response = client.call(version, &request(version, topic, records, -1));
    let answer = &response.responses[0].partition_responses[0];
    (answer.error_code, answer.base_offset)
}

pub fn end(
    producer_epoch: i16,
    is_commit: bool,
    coordinator_epoch: i32,
    partition: i32,
) -> WriteTxnMarkersRequest {
    let topic = markers::WritableTxnMarkerTopic::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![partition]);
    let marker = markers::WritableTxnMarker::default()
        .with_producer_id(7.into())
        .with_producer_epoch(producer_epoch)
        .with_transaction_result(is_commit)
        .with_topics(vec![topic])
        .with_coordinator_epoch(coordinator_epoch);
    WriteTxnMarkersRequest::default().with_markers(vec![marker])
}

/// The answer for the one partition.
pub fn write_marker(client: &mut Client, request: &WriteTxnMarkersRequest) -> i16 {
    let answer = client.call(1, request).markers.remove(0);
    assert_eq!(answer.producer_id.0, 7);
    answer.topics[0].partitions[0].error_code
}

/// As [`write_marker`], in v2, which says the transaction version.
fn write_marker_of(client: &mut Client, request: &WriteTxnMarkersRequest, transaction_version: u8) -> i16 {
    let mut frame = client.frame_as(2, 1, request).to_vec();
    // Before the tags of the one marker and of the request.
    frame.insert(frame.len() - 2, transaction_version);
    let length = (frame.len() - 4) as i32;
    (&mut frame[..4]).put_i32(length);
    client.send_raw(&frame);
    let answer = client.receive::<WriteTxnMarkersRequest>(1).unwrap();
    answer.markers[0].topics[0].partitions[0].error_code
}

fn latest_offset(client: &mut Client, isolation_level: i8) -> i64 {
    let partition = list_offsets_request::ListOffsetsPartition::default()
        .with_current_leader_epoch(-1)
        .with_timestamp(-1);
    let topic = list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(isolation_level)
        .with_topics(vec![topic]);
    client.call(7, &request).topics[0].partitions[0].offset
}

/// Where the transaction of each producer begins that the partition remembers, -1 for none.
fn open_transactions(client: &mut Client) -> Vec<i64> {
    let topic = describe_producers_request::TopicRequest::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![0]);
    let answer = client.call(0, &DescribeProducersRequest::default().with_topics(vec![topic]));
    let producers = answer.topics[0].partitions[0].active_producers.iter();
    producers.map(|producer| producer.current_txn_start_offset).collect()
}

/// What a fetch of the partition shows: the last stable offset, the aborted transactions, and the values that a
/// consumer gives out, which skips markers and what it is told to.
pub type Shown = (i64, Vec<(i64, i64)>, Vec<String>);

pub fn shown(client: &mut Client, version: i16, topic: (&str, Uuid), isolation_level: i8) -> Shown {
    let request = client::fetch(version, topic, &[(0, 0)], 0).with_isolation_level(isolation_level);
    let partition = client.call(version, &request).responses.remove(0).partitions.remove(0);
    let aborted = partition.aborted_transactions.unwrap_or_default();
    let aborted: Vec<_> = aborted.iter().map(|one| (one.producer_id.0, one.first_offset)).collect();
    let mut skipped: Vec<(i64, i64)> = aborted.clone();
    let mut values = Vec::new();
    let records = partition.records.unwrap_or_default();
    let mut rest: &[u8] = &records;
    while let Ok((batch, after)) = Batch::split_first(rest) {
        rest = after;
        let is_skipped = |one: &(i64, i64)| one.0 == batch.producer_id().0 && one.1 <= batch.base_offset().0;
        if batch.is_control() {
            skipped.retain(|one| !is_skipped(one));
        } else if !batch.is_transactional() || !skipped.iter().any(is_skipped) {
            let records = RecordIter::of(batch).map(|record| record.unwrap().value.unwrap().to_vec());
            values.extend(records.map(|value| String::from_utf8(value).unwrap()));
        }
    }
    (partition.last_stable_offset, aborted, values)
}

#[test]
fn a_hanging_transaction_is_found_and_aborted() {
    let fixture = Fixture::start_with(UNVERIFIED);
    let mut client = fixture.client();
    let topic = ("t", client.create_topic("t", 1, &[]));
    assert_eq!(produce(&mut client, 9, topic, transactional(0, &["a", "b"])), (0, 0));
    assert_eq!(client.produce(9, topic, 0, batch(&["c"])), (0, 2));
    assert_eq!(open_transactions(&mut client), [0]);
    assert_eq!(latest_offset(&mut client, READ_UNCOMMITTED), 3);
    assert_eq!(latest_offset(&mut client, READ_COMMITTED), 0);
    for version in 4..=18 {
        assert_eq!(shown(&mut client, version, topic, READ_COMMITTED), (0, vec![], vec![]), "v{version}");
    }
    assert_eq!(write_marker(&mut client, &end(0, false, 0, 0)), 0);
    assert_eq!(open_transactions(&mut client), [-1]);
    assert_eq!(latest_offset(&mut client, READ_COMMITTED), 4);
    for version in 4..=18 {
        let (_, aborted, values) = shown(&mut client, version, topic, READ_COMMITTED);
        assert_eq!((aborted, values), (vec![(7, 0)], vec!["c".to_owned()]), "v{version}");
        let (_, aborted, values) = shown(&mut client, version, topic, READ_UNCOMMITTED);
        assert_eq!((aborted, values.len()), (vec![], 3), "v{version}");
    }
}

#[test]
fn what_is_committed_is_seen_whole_and_in_order() {
    let fixture = Fixture::start_with(UNVERIFIED);
    let mut client = fixture.client();
    let topic = ("t", client.create_topic("t", 1, &[]));
    for (sequence, is_commit) in [(0, true), (2, false), (4, true)] {
        let values = ["first", "second"].map(|value| format!("{value} of {sequence}"));
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        for (index, value) in values.iter().enumerate() {
            let records = transactional(sequence + index as i32, &[value]);
            assert_eq!(produce(&mut client, 9, topic, records).0, 0);
        }
        assert_eq!(write_marker(&mut client, &end(0, is_commit, 0, 0)), 0);
    }
    let (last_stable_offset, aborted, values) = shown(&mut client, 13, topic, READ_COMMITTED);
    assert_eq!((last_stable_offset, aborted), (9, vec![(7, 3)]));
    assert_eq!(values, ["first of 0", "second of 0", "first of 4", "second of 4"]);
}

#[test]
fn markers_are_refused_where_they_cannot_be_right() {
    let fixture = Fixture::start_with(UNVERIFIED);
    let mut client = fixture.client();
    let topic = ("t", client.create_topic("t", 1, &[]));
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(write_marker(&mut client, &end(0, false, 0, 5)), unknown);
    assert_eq!(produce(&mut client, 9, topic, transactional(0, &["a"])), (0, 0));
    // Its epoch has to be a later one since transaction version 2.
    let fenced = ErrorCode::InvalidProducerEpoch.code();
    assert_eq!(write_marker_of(&mut client, &end(0, false, 3, 0), 2), fenced);
    assert_eq!(write_marker_of(&mut client, &end(1, false, 3, 0), 2), 0);
    let coordinator_fenced = ErrorCode::TransactionCoordinatorFenced.code();
    assert_eq!(write_marker(&mut client, &end(1, false, 2, 0)), coordinator_fenced);
    assert_eq!(write_marker(&mut client, &end(1, false, 4, 0)), 0, "a marker may come again");
    assert_eq!(latest_offset(&mut client, READ_COMMITTED), 3);
}

#[test]
fn a_transaction_that_nobody_coordinates_does_not_begin() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let topic = ("t", client.create_topic("t", 1, &[]));
    for version in 3..=13 {
        let refused = produce(&mut client, version, topic, transactional(0, &["a"]));
        assert_eq!(refused, (ErrorCode::NotEnoughReplicas.code(), -1), "v{version}");
    }
    assert_eq!(latest_offset(&mut client, READ_UNCOMMITTED), 0);
    // Nobody waits for the answer, so the connection says it.
    client.send(9, &request(9, topic, transactional(0, &["a"]), 0));
    assert!(client.read_frame().is_none(), "a refused produce without acks closes the connection");
}

#[test]
fn transactional_records_without_a_transactional_id_are_refused() {
    let fixture = Fixture::start_with(UNVERIFIED);
    let mut client = fixture.client();
    let topic = ("t", client.create_topic("t", 1, &[]));
    let refused = client.produce(9, topic, 0, transactional(0, &["a"]));
    assert_eq!(refused, (ErrorCode::TransactionalIdAuthorizationFailed.code(), -1));
}

#[test]
fn transactions_are_of_the_newest_version_from_the_start() {
    let fixture = Fixture::start();
    let request = ApiVersionsRequest::default()
        .with_client_software_name("test".into())
        .with_client_software_version("1".into());
    let answer = fixture.client().call(4, &request);
    let mut features = answer.finalized_features.iter();
    let finalized = features.find(|feature| feature.name.as_str() == "transaction.version");
    assert_eq!(finalized.map(|feature| feature.max_version_level), Some(2));
}
