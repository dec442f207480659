use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{self, TopicName, TransactionalId};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::*;
use crate::fuzz::memory::allocated_by;
use crate::fuzz::smoke;
use crate::protocol::ids::Uuid;
use crate::protocol::shapes::{self, Limits};

const TOPIC_ID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

fn topic(version: i16, name: &str, partitions: &[(i32, Option<&'static [u8]>)]) -> TopicProduceData {
    let partitions = partitions.iter().map(|(index, records)| {
        PartitionProduceData::default().with_index(*index).with_records(records.map(Bytes::from_static))
    });
    let topic = TopicProduceData::default().with_partition_data(partitions.collect());
    if version >= 13 {
        topic.with_topic_id(TOPIC_ID)
    } else {
        topic.with_name(TopicName(StrBytes::from_string(name.to_owned())))
    }
}

/// A frame of the version with a few bytes in front of the body, and where the body begins.
fn frame(version: i16) -> (Vec<u8>, usize) {
    let mut topics = vec![topic(version, "first", &[(0, Some(b"records of 0")), (7, None), (3, Some(b""))])];
    if version < 13 {
        topics.push(topic(version, "second topic", &[(1, Some(b"x"))]));
    }
    let request = messages::ProduceRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str("tx"))))
        .with_acks(-1)
        .with_timeout_ms(1500)
        .with_topic_data(topics);
    let mut frame = b"header".to_vec();
    request.encode(&mut frame, version).expect("the crate encodes every version");
    (frame, 6)
}

#[test]
fn a_request_of_every_version_is_read_as_the_crate_wrote_it() {
    let mut request = ProduceRequest::default();
    for version in 3..=13 {
        let (frame, body) = frame(version);
        parse(version, &frame, body, &mut request)
            .unwrap_or_else(|error| panic!("version {version}: {error}"));
        assert_eq!((request.acks, request.timeout_ms), (-1, 1500));
        assert_eq!(&frame[request.transactional_id.clone().unwrap()], b"tx");
        let first = &request.partitions[0];
        match &first.topic {
            TopicRef::Name(range) => assert_eq!(&frame[range.clone()], b"first"),
            TopicRef::Id(id) => assert_eq!(id.0, TOPIC_ID),
        }
        assert_eq!(matches!(first.topic, TopicRef::Id(_)), version >= 13);
        assert_eq!(&frame[first.records.clone().unwrap()], b"records of 0");
        assert_eq!(request.partitions[1].records, None);
        assert_eq!(request.partitions[2].records.clone().map(|range| range.len()), Some(0));
        let partitions: Vec<i32> = request.partitions.iter().map(|entry| entry.partition.0).collect();
        assert_eq!(partitions, if version < 13 { vec![0, 7, 3, 1] } else { vec![0, 7, 3] });
        assert_eq!(request.topics().count(), if version < 13 { 2 } else { 1 });
    }
}

#[test]
fn a_request_cut_anywhere_is_malformed() {
    let mut request = ProduceRequest::default();
    for version in 3..=13 {
        let (frame, body) = frame(version);
        for end in 0..frame.len() {
            let result = parse(version, &frame[..end], body, &mut request);
            assert!(result.is_err(), "version {version} cut at {end}");
        }
    }
}

#[test]
fn any_changed_byte_gives_an_answer_within_the_frame() {
    let mut request = ProduceRequest::default();
    for version in 3..=13 {
        let (original, body) = frame(version);
        for position in body..original.len() {
            for value in [0, 1, 0x7f, 0x80, 0xfe, 0xff] {
                let mut frame = original.clone();
                frame[position] = value;
                if parse(version, &frame, body, &mut request).is_err() {
                    continue;
                }
                for partition in &request.partitions {
                    assert!(partition.records.clone().is_none_or(|range| range.end <= frame.len()));
                }
            }
        }
    }
}

#[test]
fn a_count_that_lies_allocates_nothing() {
    let mut request = ProduceRequest::default();
    // transactional id null, acks, timeout, then 2^31-1 topics.
    let frame = [255, 255, 0, 1, 0, 0, 0, 0, 127, 255, 255, 255];
    assert!(parse(3, &frame, 0, &mut request).is_err());
    assert_eq!(request.partitions.capacity(), 0);
}

#[test]
fn parsing_again_reuses_the_memory() {
    let mut request = ProduceRequest::default();
    let (frame, body) = frame(9);
    parse(9, &frame, body, &mut request).unwrap();
    let before = (request.partitions.as_ptr(), request.partitions.capacity());
    parse(9, &frame, body, &mut request).unwrap();
    assert_eq!((request.partitions.as_ptr(), request.partitions.capacity()), before);
}

/// A frame of a version below 3, and where the body begins.
fn old_frame() -> (Vec<u8>, usize) {
    let mut frame = b"header".to_vec();
    frame.put_i16(1);
    frame.put_i32(1500);
    frame.put_i32(2);
    for (name, partitions) in [("first", [3, 0]), ("second topic", [1, 2])] {
        wire::put_string(&mut frame, false, Some(name));
        frame.put_i32(2);
        for partition in partitions {
            frame.put_i32(partition);
            frame.put_i32(4);
            frame.put_slice(b"sets");
        }
    }
    (frame, 6)
}

#[test]
fn a_request_of_an_old_version_has_no_transactional_id() {
    let (frame, body) = old_frame();
    for version in 0..=2 {
        let mut request = ProduceRequest { transactional_id: Some(0..3), ..ProduceRequest::default() };
        parse_before_batches(version, &frame, body, &mut request).unwrap();
        assert_eq!((request.transactional_id.clone(), request.acks, request.timeout_ms), (None, 1, 1500));
        let partitions: Vec<i32> = request.partitions.iter().map(|entry| entry.partition.0).collect();
        assert_eq!(partitions, [3, 0, 1, 2]);
        assert!(request.partitions.iter().all(|entry| &frame[entry.records.clone().unwrap()] == b"sets"));
        for end in 0..frame.len() {
            assert!(
                parse_before_batches(version, &frame[..end], body, &mut request).is_err(),
                "cut at {end}"
            );
        }
    }
}

#[test]
fn a_response_of_an_old_version_has_the_fields_of_its_time() {
    let (frame, body) = old_frame();
    let mut request = ProduceRequest::default();
    parse_before_batches(0, &frame, body, &mut request).unwrap();
    request.partitions.truncate(1);
    let answer = PartitionAnswer {
        base_offset: Offset(7),
        log_append_time: Timestamp(9),
        log_start_offset: Offset(5),
        ..PartitionAnswer::refused(ErrorCode::None)
    };
    for version in 0..=2 {
        let mut expected = Vec::new();
        expected.put_i32(1);
        wire::put_string(&mut expected, false, Some("first"));
        expected.put_i32(1);
        expected.put_i32(3);
        expected.put_i16(0);
        expected.put_i64(7);
        if version == 2 {
            expected.put_i64(9);
        }
        if version >= 1 {
            expected.put_i32(250);
        }
        let mut out = BytesMut::new();
        write_response(version, &mut out, &frame, &request, std::slice::from_ref(&answer), 250, &[]);
        assert_eq!(out, expected, "version {version}");
    }
}

#[test]
fn the_parser_of_old_versions_takes_any_bytes() {
    let (frame, body) = old_frame();
    smoke("produce_before_batches", &[frame[body..].to_vec()], 60_000, |input| {
        let mut request = ProduceRequest::default();
        let (parsed, allocated) = allocated_by(|| parse_before_batches(2, input, 0, &mut request));
        assert!(allocated <= 64 + 64 * input.len(), "allocated {allocated}");
        if parsed.is_ok() {
            let ends = request.partitions.iter().filter_map(|partition| Some(partition.records.clone()?.end));
            assert!(ends.max().is_none_or(|end| end <= input.len()));
        }
    });
}

fn answers(count: usize) -> Vec<PartitionAnswer> {
    let mut answers = vec![
        PartitionAnswer {
            error: ErrorCode::InvalidRecord,
            base_offset: Offset(-1),
            log_append_time: Timestamp(17),
            log_start_offset: Offset(4),
            record_errors: vec![
                RecordFailure { batch_index: 2, message: Some("no key".to_owned()) },
                RecordFailure { batch_index: 5, message: None },
            ],
            error_message: Some("rejected".to_owned()),
            current_leader: None,
        },
        PartitionAnswer {
            current_leader: Some(CurrentLeader { leader_id: BrokerId(4), leader_epoch: LeaderEpoch(9) }),
            ..PartitionAnswer::refused(ErrorCode::NotLeaderOrFollower)
        },
    ];
    while answers.len() < count {
        let base_offset = Offset(answers.len() as i64 * 1000);
        answers.push(PartitionAnswer { base_offset, ..PartitionAnswer::refused(ErrorCode::None) });
    }
    answers
}

fn check_response(version: i16, request: &ProduceRequest, names: &[u8]) {
    let answers = answers(request.partitions.len());
    let endpoint = NodeEndpoint { node_id: BrokerId(4), host: "b4".to_owned(), port: 9092, rack: None };
    let mut out = BytesMut::new();
    write_response(version, &mut out, names, request, &answers, 250, std::slice::from_ref(&endpoint));
    let mut bytes = out.freeze();
    let response = messages::ProduceResponse::decode(&mut bytes, version)
        .unwrap_or_else(|error| panic!("version {version}: {error}"));
    assert!(bytes.is_empty(), "version {version}");
    assert_eq!(response.throttle_time_ms, 250);
    assert_eq!(response.responses.len(), request.topics().count());
    let partitions: Vec<_> = response.responses.iter().flat_map(|topic| &topic.partition_responses).collect();
    assert_eq!(partitions.len(), answers.len());
    for ((read, entry), answer) in partitions.iter().zip(&request.partitions).zip(&answers) {
        assert_eq!(read.index, entry.partition.0);
        assert_eq!(read.error_code, answer.error.code());
        assert_eq!(read.base_offset, answer.base_offset.0);
        assert_eq!(read.log_append_time_ms, answer.log_append_time.0);
        assert_eq!(read.log_start_offset, if version >= 5 { answer.log_start_offset.0 } else { -1 });
        let errors = if version >= 8 { answer.record_errors.len() } else { 0 };
        assert_eq!(read.record_errors.len(), errors);
        let leader = answer.current_leader.filter(|_| version >= 10).map_or(-1, |leader| leader.leader_id.0);
        assert_eq!(read.current_leader.leader_id.0, leader);
        if version >= 8 {
            assert_eq!(read.error_message.as_deref(), answer.error_message.as_deref());
        }
    }
    if version < 13 {
        assert_eq!(response.responses[1].name.0.as_str(), "second topic");
    } else {
        assert_eq!(response.responses[0].topic_id, TOPIC_ID);
    }
    assert_eq!(response.node_endpoints.len(), usize::from(version >= 10));
}

#[test]
fn a_response_of_every_version_is_read_by_the_crate() {
    for version in 3..=13 {
        let (frame, body) = frame(version);
        let mut request = ProduceRequest::default();
        parse(version, &frame, body, &mut request).unwrap();
        check_response(version, &request, &frame);
    }
}

#[test]
fn a_detached_request_answers_without_its_frame() {
    for version in 3..=13 {
        let (frame, body) = frame(version);
        let mut request = ProduceRequest::default();
        parse(version, &frame, body, &mut request).unwrap();
        let names = request.detach(&frame);
        assert_eq!(names, if version < 13 { b"firstsecond topic".to_vec() } else { Vec::new() });
        check_response(version, &request, &names);
    }
}

#[test]
fn a_plain_success_has_no_tagged_fields() {
    let (frame, body) = frame(13);
    let mut request = ProduceRequest::default();
    parse(13, &frame, body, &mut request).unwrap();
    request.partitions.truncate(1);
    let answer = PartitionAnswer { base_offset: Offset(5), ..PartitionAnswer::refused(ErrorCode::None) };
    let mut out = BytesMut::new();
    write_response(13, &mut out, &frame, &request, &[answer], 0, &[]);
    // One topic: count, id, count, index, error, three offsets or times, no record errors, no message, no tags.
    assert_eq!(out.len(), 1 + 16 + 1 + (4 + 2 + 24 + 1 + 1 + 1) + 1 + 4 + 1);
}

/// The parser takes all bodies that the walker takes, and reads in them what the crate reads. It need not care
/// for the order of tags that it skips.
#[test]
fn the_parser_agrees_with_the_walker_and_the_crate() {
    let corpus: Vec<Vec<u8>> = (3..=13)
        .map(|version| {
            let (frame, body) = frame(version);
            [&[version as u8], &frame[body..]].concat()
        })
        .collect();
    smoke("produce", &corpus, 60_000, |input| {
        let Some((version, body)) = input.split_first() else { return };
        let version = i16::from(*version);
        if !(3..=13).contains(&version) {
            return;
        }
        let mut request = ProduceRequest::default();
        let (parsed, allocated) = allocated_by(|| parse(version, body, 0, &mut request));
        assert!(allocated <= 64 + 64 * body.len(), "allocated {allocated}");
        let shape = shapes::check(0, version, body, &Limits::default());
        if shape.is_err() {
            return;
        }
        parsed.expect("the walker has accepted it");
        let mut bytes = Bytes::copy_from_slice(body);
        let decoded =
            messages::ProduceRequest::decode(&mut bytes, version).expect("the walker has checked it");
        assert_eq!((request.acks, request.timeout_ms), (decoded.acks, decoded.timeout_ms));
        let mut partitions = request.partitions.iter();
        for topic in &decoded.topic_data {
            for expected in &topic.partition_data {
                let partition = partitions.next().expect("as many partitions");
                assert_eq!(partition.partition.0, expected.index);
                let records = partition.records.clone().map(|range| &body[range]);
                assert_eq!(records, expected.records.as_deref());
                match &partition.topic {
                    TopicRef::Name(range) => {
                        assert_eq!(&body[range.clone()], topic.name.0.as_bytes());
                    }
                    TopicRef::Id(id) => assert_eq!(id.0, topic.topic_id),
                }
            }
        }
        assert!(partitions.next().is_none());
    });
}
