//! Produce: versions, idempotence, refusals, flushes before the answer.

use super::Fixture;
use super::client::{batch, batch_with, produce, values};
use crate::env::clock::Clock;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{ProducerEpoch, ProducerId};
use crate::protocol::records::BatchHeader;

fn idempotent(base_sequence: i32, values: &[&str]) -> Vec<u8> {
    let header = BatchHeader {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(0),
        base_sequence,
        ..BatchHeader::default()
    };
    // A producer whose last record is old is forgotten.
    batch_with(header, Clock::system().now(), values)
}

#[test]
fn every_version_of_produce_reaches_every_version_of_fetch() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    let mut expected = Vec::new();
    for version in 3..=13 {
        let value = format!("produced by v{version}");
        let answer = client.produce(version, ("t", id), 0, batch(&[&value]));
        assert_eq!(answer, (0, expected.len() as i64), "v{version}");
        expected.push((expected.len() as i64, value));
    }
    for version in 4..=18 {
        let response = client.fetch(version, ("t", id), 0, 0);
        assert_eq!(values(&response), expected, "fetch v{version}");
        assert_eq!(response.responses[0].partitions[0].high_watermark, expected.len() as i64);
    }
}

#[test]
fn a_repeated_batch_is_answered_with_its_first_offset() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    let send = |client: &mut super::Client, sequence| {
        client.produce(9, ("t", id), 0, idempotent(sequence, &["a", "b"]))
    };
    for index in 0..6 {
        assert_eq!(send(&mut client, index * 2), (0, i64::from(index) * 2));
    }
    // The last five batches are remembered.
    assert_eq!(send(&mut client, 2), (0, 2));
    assert_eq!(send(&mut client, 10), (0, 10));
    // One that is older is out of order, as one from the future is.
    assert_eq!(send(&mut client, 0).0, ErrorCode::OutOfOrderSequenceNumber.code());
    assert_eq!(send(&mut client, 20).0, ErrorCode::OutOfOrderSequenceNumber.code());
    assert_eq!(client.list_offset("t", 0, -1).0, 12, "nothing refused was appended");
}

#[test]
fn a_repeated_batch_is_known_after_a_restart() {
    let mut fixture = Fixture::start();
    let id = fixture.client().create_topic("t", 1, &[]);
    assert_eq!(fixture.client().produce(9, ("t", id), 0, idempotent(0, &["a"])), (0, 0));
    fixture.restart();
    assert_eq!(fixture.client().produce(9, ("t", id), 0, idempotent(0, &["a"])), (0, 0));
    assert_eq!(fixture.client().produce(9, ("t", id), 0, idempotent(1, &["b"])), (0, 1));
}

#[test]
fn what_cannot_be_appended_gets_kafkas_code() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[("max.message.bytes", "200")]);
    let mut refused = |records: Vec<u8>| client.produce(9, ("t", id), 0, records).0;
    let mut damaged = batch(&["x"]);
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(refused(damaged), ErrorCode::CorruptMessage.code());
    assert_eq!(refused(batch(&[&"x".repeat(300)])), ErrorCode::MessageTooLarge.code());
    assert_eq!(refused([batch(&["x"]), batch(&["y"])].concat()), ErrorCode::InvalidRecord.code());
    assert_eq!(refused(Vec::new()), ErrorCode::InvalidRecord.code());
    let mut client = fixture.client();
    assert_eq!(client.produce(9, ("t", id), 1, batch(&["x"])).0, ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(client.produce(9, ("u", id), 0, batch(&["x"])).0, ErrorCode::UnknownTopicOrPartition.code());
    let unknown = crate::protocol::ids::Uuid::from_u128(99);
    assert_eq!(client.produce(13, ("t", unknown), 0, batch(&["x"])).0, ErrorCode::UnknownTopicId.code());
}

/// What of a partition's topic and records is wrong comes first.
#[test]
fn acks_that_are_none_are_refused_where_records_could_be_appended() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    let mut refused = |topic, partition, records| {
        let response = client.call(9, &produce(9, (topic, id), partition, records, 2));
        response.responses[0].partition_responses[0].error_code
    };
    assert_eq!(refused("t", 0, batch(&["x"])), ErrorCode::InvalidRequiredAcks.code());
    assert_eq!(refused("t", 1, batch(&["x"])), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(refused("u", 0, batch(&["x"])), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(refused("t", 0, Vec::new()), ErrorCode::InvalidRecord.code());
    let mut length = batch(&["x"]);
    length[8..12].fill(0);
    assert_eq!(refused("t", 0, length), ErrorCode::CorruptMessage.code());
    let mut sum = batch(&["x"]);
    *sum.last_mut().unwrap() ^= 1;
    assert_eq!(refused("t", 0, sum), ErrorCode::InvalidRequiredAcks.code(), "not looked at yet");
    assert_eq!(client.list_offset("t", 0, -1).0, 0);
}

#[test]
fn refused_records_are_answered_with_the_log_start_where_kafka_knows_it() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[("max.message.bytes", "200")]);
    let mut refused = |records| {
        let response = client.call(9, &produce(9, ("t", id), 0, records, 1));
        let answer = &response.responses[0].partition_responses[0];
        (answer.error_code, answer.log_start_offset)
    };
    let mut from_one = batch(&["x"]);
    from_one[7] = 1;
    assert_eq!(refused(from_one), (ErrorCode::InvalidRecord.code(), 0));
    let gap = (ErrorCode::OutOfOrderSequenceNumber.code(), 0);
    assert_eq!(refused(idempotent(0, &["a"])), (0, 0));
    assert_eq!(refused(idempotent(5, &["b"])), gap);
    assert_eq!(refused(Vec::new()), (ErrorCode::InvalidRecord.code(), -1), "before a log is looked for");
    assert_eq!(refused(batch(&[&"x".repeat(300)])), (ErrorCode::MessageTooLarge.code(), -1));
    let mut damaged = batch(&["x"]);
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(refused(damaged), (ErrorCode::CorruptMessage.code(), -1));
}

#[test]
fn without_acks_a_success_is_silent_and_a_failure_closes() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    client.send(9, &produce(9, ("t", id), 0, batch(&["x"]), 0));
    assert_eq!(client.list_offset("t", 0, -1).0, 1, "the next answer on the wire is the next request's");
    client.send(9, &produce(9, ("missing", id), 0, batch(&["x"]), 0));
    assert!(client.read_frame().is_none());
}

#[test]
fn a_due_flush_comes_before_the_answer() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[("flush.messages", "1")]);
    for offset in 0..20 {
        assert_eq!(client.produce(9, ("t", id), 0, batch(&["x"])), (0, offset));
    }
    assert_eq!(values(&client.fetch(12, ("t", id), 0, 19)), [(19, "x".to_owned())]);
}
