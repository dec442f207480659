//! Fetch and ListOffsets: offsets inside batches, long polls, sessions, limits, time.

use kafka_protocol::messages::FetchRequest;
use rustix::io::Errno;

use super::Fixture;
use super::client::{FIRST_TIMESTAMP, batch, fetch, produce, values};
use crate::env::faults::{Operation, on};
use crate::protocol::errors::ErrorCode;

#[test]
fn an_offset_inside_a_batch_gets_the_whole_batch() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, batch(&["a", "b", "c"]));
    let found = values(&client.fetch(12, ("t", id), 0, 2));
    assert_eq!(found.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn offsets_out_of_range_and_unknown_topics_are_told() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, batch(&["a"]));
    let mut code = |version, topic, offset| {
        client.fetch(version, topic, 0, offset).responses[0].partitions[0].error_code
    };
    assert_eq!(code(12, ("t", id), 1), 0, "the log end is no error");
    assert_eq!(code(12, ("t", id), 2), ErrorCode::OffsetOutOfRange.code());
    assert_eq!(code(12, ("t", id), -1), ErrorCode::OffsetOutOfRange.code());
    assert_eq!(code(12, ("u", id), 0), ErrorCode::UnknownTopicOrPartition.code());
    let unknown = crate::protocol::ids::Uuid::from_u128(99);
    assert_eq!(code(13, ("t", unknown), 0), ErrorCode::UnknownTopicId.code());
}

#[test]
fn a_long_poll_ends_with_the_append_it_waits_for() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 2, &[]);
    let mut waiting = fixture.client();
    waiting.send(12, &fetch(12, ("t", id), &[(0, 0), (1, 0)], 15_000));
    client.produce(9, ("t", id), 1, batch(&["news"]));
    let response = waiting.receive::<FetchRequest>(12).unwrap();
    assert_eq!(values(&response), [(0, "news".to_owned())]);
}

#[test]
fn a_long_poll_ends_with_an_append_that_has_no_answer() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    // On the worker of the append and on others.
    let mut all_waiting = [fixture.client(), fixture.client(), fixture.client()];
    for waiting in &mut all_waiting {
        waiting.send(12, &fetch(12, ("t", id), &[(0, 0)], 15_000));
    }
    client.send(9, &produce(9, ("t", id), 0, batch(&["news"]), 0));
    for waiting in &mut all_waiting {
        let response = waiting.receive::<FetchRequest>(12).unwrap();
        assert_eq!(values(&response), [(0, "news".to_owned())]);
    }
}

#[test]
fn records_that_are_not_in_the_page_cache_are_answered_all_the_same() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 2, &[]);
    let large = "l".repeat(100_000);
    client.produce(9, ("t", id), 0, batch(&[&large]));
    for (offset, missing_count) in [1, u32::MAX].into_iter().enumerate() {
        let cold = on(Operation::ReadCached, fixture.directory.path(), Errno::AGAIN).times(missing_count);
        client.produce(9, ("t", id), 1, batch(&["small"]));
        let faults = cold.inject();
        let both = client.call(12, &fetch(12, ("t", id), &[(0, 0), (1, offset as i64)], 0));
        assert_eq!(values(&both), [(0, large.clone()), (offset as i64, "small".to_owned())]);
        drop(faults);
    }
}

#[test]
fn a_long_poll_for_records_that_left_the_page_cache_ends_with_them() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, batch(&["first"]));
    let mut waiting = fixture.client();
    waiting.send(12, &fetch(12, ("t", id), &[(0, 1)], 15_000));
    let _cold = on(Operation::ReadCached, fixture.directory.path(), Errno::AGAIN).times(1).inject();
    client.produce(9, ("t", id), 0, batch(&["news"]));
    let response = waiting.receive::<FetchRequest>(12).unwrap();
    assert_eq!(values(&response), [(1, "news".to_owned())]);
}

#[test]
fn a_long_poll_ends_when_its_topic_goes() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    // A first append, so that a replica is there to be closed.
    client.produce(9, ("t", id), 0, batch(&["a"]));
    let mut waiting = fixture.client();
    waiting.send(12, &fetch(12, ("t", id), &[(0, 1)], 15_000));
    super::topics::delete(&mut client, "t");
    let response = waiting.receive::<FetchRequest>(12).unwrap();
    let code = response.responses[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::UnknownTopicOrPartition.code());
}

#[test]
fn a_session_answers_only_what_is_new() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 3, &[]);
    let mut consumer = fixture.client();
    let first = fetch(12, ("t", id), &[(0, 0), (1, 0), (2, 0)], 0).with_session_epoch(0);
    let opened = consumer.call(12, &first);
    assert_ne!(opened.session_id, 0);
    assert_eq!(opened.responses[0].partitions.len(), 3, "the first answer is full");
    let next = |epoch: i32, partitions: &[(i32, i64)]| {
        fetch(12, ("t", id), partitions, 0).with_session_id(opened.session_id).with_session_epoch(epoch)
    };
    let mut quiet = next(1, &[]);
    quiet.topics.clear();
    assert!(consumer.call(12, &quiet).responses.is_empty(), "nothing is new");
    client.produce(9, ("t", id), 1, batch(&["x"]));
    let mut again = next(2, &[]);
    again.topics.clear();
    let news = consumer.call(12, &again);
    assert_eq!(news.responses[0].partitions.len(), 1);
    assert_eq!(values(&news), [(0, "x".to_owned())]);
    let moved = consumer.call(12, &next(3, &[(1, 1)]));
    assert!(values(&moved).is_empty(), "the client has moved on");
    let stale = consumer.call(12, &next(3, &[(1, 1)]));
    assert_eq!(stale.error_code, ErrorCode::InvalidFetchSessionEpoch.code());
    let mut unknown = next(1, &[(1, 1)]);
    unknown.session_id = opened.session_id.wrapping_add(1);
    assert_eq!(consumer.call(12, &unknown).error_code, ErrorCode::FetchSessionIdNotFound.code());
}

#[test]
fn a_session_does_not_forget_what_had_no_room() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 3, &[]);
    for partition in 0..3 {
        client.produce(9, ("t", id), partition, batch(&[&"x".repeat(1000)]));
    }
    let mut consumer = fixture.client();
    let mut first = fetch(12, ("t", id), &[(0, 0), (1, 0), (2, 0)], 0).with_session_epoch(0);
    first.max_bytes = 1200;
    let opened = consumer.call(12, &first);
    let mut seen = std::collections::BTreeSet::new();
    let mut moved: Vec<(i32, i64)> = Vec::new();
    let mut answer = opened.clone();
    for epoch in 1..=6 {
        for partition in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            if partition.records.as_ref().is_some_and(|records| !records.is_empty()) {
                seen.insert(partition.partition_index);
                moved.push((partition.partition_index, 1));
            }
        }
        // As KIP-227 has it: the client names only partitions whose offset moved.
        let mut next =
            fetch(12, ("t", id), &moved, 0).with_session_id(opened.session_id).with_session_epoch(epoch);
        next.max_bytes = 1200;
        if moved.is_empty() {
            next.topics.clear();
        }
        moved.clear();
        answer = consumer.call(12, &next);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn the_first_batch_comes_whole_and_the_rest_keeps_to_the_limits() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    for _ in 0..5 {
        client.produce(9, ("t", id), 0, batch(&[&"x".repeat(1000)]));
    }
    let mut small = fetch(12, ("t", id), &[(0, 0)], 0);
    small.max_bytes = 10;
    assert_eq!(values(&client.call(12, &small)).len(), 1);
    let mut two = fetch(12, ("t", id), &[(0, 0)], 0);
    two.topics[0].partitions[0].partition_max_bytes = 2400;
    assert_eq!(values(&client.call(12, &two)).len(), 2);
}

#[test]
fn large_answers_leave_the_page_cache_unchanged() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    let mut expected = Vec::new();
    for index in 0..200 {
        let value = format!("{index:05}").repeat(2000);
        client.produce(9, ("t", id), 0, batch(&[&value]));
        expected.push((index, value));
    }
    let mut found = Vec::new();
    while found.len() < expected.len() {
        let part = values(&client.fetch(13, ("t", id), 0, found.len() as i64));
        assert!(!part.is_empty());
        found.extend(part);
    }
    assert!(found == expected);
}

#[test]
fn offsets_are_found_by_time_inside_a_batch() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    // Records one millisecond apart.
    client.produce(9, ("t", id), 0, batch(&["a", "b", "c"]));
    let start = FIRST_TIMESTAMP.0;
    assert_eq!(client.list_offset("t", 0, -2), (0, -1));
    assert_eq!(client.list_offset("t", 0, -1), (3, -1));
    assert_eq!(client.list_offset("t", 0, start + 1), (1, start + 1));
    assert_eq!(client.list_offset("t", 0, 0), (0, start));
    assert_eq!(client.list_offset("t", 0, start + 3), (-1, -1), "nothing is that new");
    assert_eq!(client.list_offset("t", 0, -3), (2, start + 2));
}
