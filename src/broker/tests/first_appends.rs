//! Requests that are the first ones of their partitions, which get their files off the worker.

use kafka_protocol::messages::ProduceRequest;

use super::Fixture;
use super::client::{Client, batch, produce, values};
use crate::log::checkpoint;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{TopicId, Uuid};

/// One batch of one value for each of the partitions, in one request.
fn to_each(topic: (&str, Uuid), partitions: impl Iterator<Item = i32>) -> ProduceRequest {
    let one = |partition: i32| produce(9, topic, partition, batch(&[&format!("of {partition}")]), -1);
    let mut requests = partitions.map(one);
    let mut request = requests.next().unwrap();
    for other in requests {
        let [topic] = &other.topic_data[..] else { panic!("one topic") };
        request.topic_data[0].partition_data.extend(topic.partition_data.iter().cloned());
    }
    request
}

fn answers(client: &mut Client, request: &ProduceRequest) -> Vec<(i32, i16, i64)> {
    let response = client.call(9, request);
    let answers = response.responses[0].partition_responses.iter();
    answers.map(|answer| (answer.index, answer.error_code, answer.base_offset)).collect()
}

#[test]
fn all_partitions_of_a_request_get_their_files_and_their_answers_in_order() {
    // Files synced one by one, and as a whole file system; some partitions have theirs already.
    for count in [1, 4, 5, 300] {
        let fixture = Fixture::start();
        let mut client = fixture.client();
        let id = client.create_topic("t", count, &[]);
        let used: Vec<i32> = (0..count).filter(|partition| partition % 7 == 3).collect();
        for partition in &used {
            assert_eq!(client.produce(9, ("t", id), *partition, batch(&["before"])), (0, 0));
        }
        let request = to_each(("t", id), (0..count).rev());
        let expected = |partition: i32| (partition, 0, i64::from(used.contains(&partition)));
        assert_eq!(answers(&mut client, &request), (0..count).rev().map(expected).collect::<Vec<_>>());
        for partition in 0..count {
            let directory = fixture.directory.path().join(format!("data/t-{partition}"));
            let metadata = std::fs::read_to_string(directory.join(checkpoint::PARTITION_METADATA)).unwrap();
            assert_eq!(checkpoint::decode_partition_metadata(&metadata), Some(TopicId(id)));
        }
        let last = values(&client.fetch(12, ("t", id), count - 1, 0)).pop().unwrap();
        assert_eq!(last.1, format!("of {}", count - 1));
    }
}

#[test]
fn the_requests_of_a_connection_keep_their_order() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 8, &[]);
    for index in 0..24 {
        let (partition, value) = (index % 8, format!("{index}"));
        client.send(9, &produce(9, ("t", id), partition, batch(&["unanswered"]), 0));
        client.send(9, &produce(9, ("t", id), partition, batch(&[&value]), 1));
    }
    for index in 0..24 {
        let response = client.receive_earlier::<ProduceRequest>(9, 2 * (23 - index));
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!((answer.error_code, answer.base_offset), (0, i64::from(index / 8) * 2 + 1));
    }
    let third = ["unanswered", "3", "unanswered", "11", "unanswered", "19"].map(str::to_owned);
    assert_eq!(values(&client.fetch(12, ("t", id), 3, 0)), (0..).zip(third).collect::<Vec<_>>());
}

#[test]
fn what_is_refused_makes_no_files() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 2, &[]);
    let mut records = batch(&["damaged"]);
    *records.last_mut().unwrap() ^= 1;
    assert_eq!(client.produce(9, ("t", id), 0, records).0, ErrorCode::CorruptMessage.code());
    assert!(!fixture.directory.path().join("data/t-0").exists());
    let mut mixed = to_each(("t", id), 0..2);
    let mut damaged = batch(&["damaged"]);
    *damaged.last_mut().unwrap() ^= 1;
    mixed.topic_data[0].partition_data[0].records = Some(damaged.into());
    let refused = (0, ErrorCode::CorruptMessage.code(), -1);
    assert_eq!(answers(&mut client, &mixed), [refused, (1, 0, 0)]);
    assert!(!fixture.directory.path().join("data/t-0").exists());
}

/// Every connection's first request comes while another turn makes files.
#[test]
fn many_connections_begin_at_once() {
    let fixture = Fixture::start();
    let id = fixture.client().create_topic("t", 40, &[]);
    std::thread::scope(|scope| {
        for index in 0..80 {
            let mut client = fixture.client();
            scope.spawn(move || {
                let offsets = [0, 1].map(|_| {
                    let (error, offset) = client.produce(9, ("t", id), index % 40, batch(&["x"]));
                    assert_eq!(error, 0);
                    offset
                });
                assert!(offsets[0] < offsets[1]);
            });
        }
    });
    let mut client = fixture.client();
    for partition in 0..40 {
        assert_eq!(client.list_offset("t", partition, -1).0, 4);
    }
}
