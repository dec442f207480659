use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{self, ReplicaState};
use kafka_protocol::messages::{self, TopicName as CrateTopicName};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::*;
use crate::fuzz::memory::allocated_by;
use crate::fuzz::smoke;
use crate::protocol::shapes::{self, Limits};

const TOPIC_ID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
const DIRECTORY_ID: Uuid = Uuid::from_u128(77);

fn name(version: i16) -> CrateTopicName {
    let name = if version < 13 { "the topic" } else { "" };
    CrateTopicName(StrBytes::from_static_str(name))
}

fn frame(version: i16) -> Vec<u8> {
    let id = if version >= 13 { TOPIC_ID } else { Uuid::nil() };
    let mut partition = fetch_request::FetchPartition::default()
        .with_partition(3)
        .with_fetch_offset(1 << 40)
        .with_partition_max_bytes(1 << 20);
    if version >= 5 {
        partition = partition.with_log_start_offset(12);
    }
    if version >= 9 {
        partition = partition.with_current_leader_epoch(5);
    }
    if version >= 12 {
        partition = partition.with_last_fetched_epoch(4);
    }
    if version >= 17 {
        partition = partition.with_replica_directory_id(DIRECTORY_ID);
    }
    if version >= 18 {
        partition = partition.with_high_watermark(99);
    }
    let plain = fetch_request::FetchPartition::default().with_partition(4);
    let topic = fetch_request::FetchTopic::default()
        .with_topic(name(version))
        .with_topic_id(id)
        .with_partitions(vec![partition, plain]);
    let mut request = messages::FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_isolation_level(1)
        .with_topics(vec![topic]);
    if version >= 7 {
        let forgotten = fetch_request::ForgottenTopic::default()
            .with_topic(name(version))
            .with_topic_id(id)
            .with_partitions(vec![8, 9]);
        request =
            request.with_session_id(6).with_session_epoch(2).with_forgotten_topics_data(vec![forgotten]);
    }
    if version >= 11 {
        request = request.with_rack_id(StrBytes::from_static_str("rack"));
    }
    if version >= 12 {
        request = request.with_cluster_id(Some(StrBytes::from_static_str("cluster")));
    }
    request = if version >= 15 {
        let state = ReplicaState::default().with_replica_id(messages::BrokerId(2)).with_replica_epoch(31);
        request.with_replica_state(state)
    } else {
        request.with_replica_id(messages::BrokerId(2))
    };
    let mut frame = b"head".to_vec();
    request.encode(&mut frame, version).expect("the crate encodes every version");
    frame
}

fn topic_name(version: i16) -> TopicName<'static> {
    if version >= 13 { TopicName::Id(TopicId(TOPIC_ID)) } else { TopicName::Name("the topic") }
}

#[test]
fn a_request_of_every_version_is_read_as_the_crate_wrote_it() {
    for version in 4..=18 {
        let since = |first: i16, value: i64, default: i64| if version >= first { value } else { default };
        let frame = frame(version);
        let request = parse(version, &frame, 4).unwrap_or_else(|error| panic!("version {version}: {error}"));
        let plain = FetchPartition {
            partition: PartitionIndex(4),
            current_leader_epoch: LeaderEpoch(-1),
            fetch_offset: Offset(0),
            last_fetched_epoch: LeaderEpoch(-1),
            log_start_offset: Offset(-1),
            max_bytes: 0,
            replica_directory_id: Uuid::nil(),
            high_watermark: Offset(i64::MAX),
        };
        let partition = FetchPartition {
            partition: PartitionIndex(3),
            current_leader_epoch: LeaderEpoch(since(9, 5, -1) as i32),
            fetch_offset: Offset(1 << 40),
            last_fetched_epoch: LeaderEpoch(since(12, 4, -1) as i32),
            log_start_offset: Offset(since(5, 12, -1)),
            max_bytes: 1 << 20,
            replica_directory_id: if version >= 17 { DIRECTORY_ID } else { Uuid::nil() },
            high_watermark: Offset(since(18, 99, i64::MAX)),
        };
        assert_eq!(request.cluster_id, (version >= 12).then_some("cluster"), "version {version}");
        assert_eq!(request.replica_id, BrokerId(2), "version {version}");
        assert_eq!(request.replica_epoch, since(15, 31, -1), "version {version}");
        assert_eq!((request.max_wait_ms, request.min_bytes, request.max_bytes), (500, 1, 50 << 20));
        assert_eq!(request.isolation_level, IsolationLevel::ReadCommitted, "version {version}");
        let session = (i64::from(request.session_id), i64::from(request.session_epoch));
        assert_eq!(session, (since(7, 6, 0), since(7, 2, -1)), "version {version}");
        assert_eq!(request.rack_id, if version >= 11 { "rack" } else { "" }, "version {version}");
        let topic = topic_name(version);
        let mut wanted = Vec::new();
        request.wanted.for_each(|topic, partition| wanted.push((topic, partition)));
        assert_eq!(wanted, [(topic, partition), (topic, plain)], "version {version}");
        let mut forgotten = Vec::new();
        if let Some(partitions) = request.forgotten {
            partitions.for_each(|topic, partition| forgotten.push((topic, partition.0)));
        }
        let due = [(topic, 8), (topic, 9)];
        assert_eq!(forgotten, if version >= 7 { &due[..] } else { &[] }, "version {version}");
    }
}

#[test]
fn a_request_cut_anywhere_is_malformed() {
    for version in 4..=18 {
        let frame = frame(version);
        for end in 0..frame.len() {
            assert!(parse(version, &frame[..end], 4).is_err(), "version {version} cut at {end}");
        }
    }
}

#[test]
fn any_changed_byte_gives_an_answer() {
    for version in 4..=18 {
        let original = frame(version);
        for position in 4..original.len() {
            for value in [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff] {
                let mut frame = original.clone();
                frame[position] = value;
                let _ = parse(version, &frame, 4);
            }
        }
    }
}

#[test]
fn a_tag_of_a_later_version_is_malformed() {
    for (version, tag) in [(12, 1), (14, 1)] {
        let mut frame = Vec::new();
        messages::FetchRequest::default().encode(&mut frame, version).unwrap();
        *frame.last_mut().unwrap() = 1;
        frame.extend_from_slice(&[tag, 13]);
        frame.extend_from_slice(&[0; 13]);
        assert!(parse(version, &frame, 0).is_err(), "version {version}");
    }
}

#[test]
fn a_consumer_of_a_late_version_has_no_replica_id() {
    let mut frame = Vec::new();
    messages::FetchRequest::default().encode(&mut frame, 18).unwrap();
    let request = parse(18, &frame, 0).unwrap();
    assert_eq!((request.replica_id, request.replica_epoch), (BrokerId::NONE, -1));
}

fn write(version: i16, answers: &[(PartitionAnswer, &[u8])], endpoints: &[NodeEndpoint]) -> Bytes {
    let mut out = BytesMut::new();
    let key = topic_name(version).to_key();
    let mut writer = ResponseWriter::begin(version, &mut out, 30, ErrorCode::None, 42, 2);
    writer.topic(&mut out, key.as_name(), answers.len());
    for (answer, records) in answers {
        writer.partition(&mut out, answer, records.len());
        out.put_slice(records);
    }
    writer.topic(&mut out, key.as_name(), 0);
    writer.end(&mut out, endpoints);
    out.freeze()
}

fn answers() -> Vec<(PartitionAnswer, &'static [u8])> {
    let epoch = |epoch, end| Some(EpochAndOffset { epoch: LeaderEpoch(epoch), end_offset: Offset(end) });
    let full = PartitionAnswer {
        partition: PartitionIndex(3),
        error: ErrorCode::None,
        high_watermark: Offset(100),
        last_stable_offset: Offset(90),
        log_start_offset: Offset(10),
        aborted_transactions: Some(vec![
            AbortedTransaction { producer_id: ProducerId(1), first_offset: Offset(50) },
            AbortedTransaction { producer_id: ProducerId(2), first_offset: Offset(60) },
        ]),
        preferred_read_replica: BrokerId(2),
        tags: PartitionTags {
            diverging_epoch: epoch(3, 80),
            current_leader: Some(CurrentLeader { leader_id: BrokerId(4), leader_epoch: LeaderEpoch(9) }),
            snapshot_id: epoch(2, 70),
        },
    };
    let uncommitted = PartitionAnswer {
        partition: PartitionIndex(4),
        aborted_transactions: None,
        preferred_read_replica: BrokerId::NONE,
        tags: PartitionTags::default(),
        ..full.clone()
    };
    let refused = PartitionAnswer::refused(PartitionIndex(5), ErrorCode::UnknownTopicId);
    vec![(full, b"some records".as_slice()), (uncommitted, &[7; 300]), (refused, b"")]
}

#[test]
fn a_response_of_every_version_is_read_by_the_crate() {
    let endpoint =
        NodeEndpoint { node_id: BrokerId(4), host: "b4".to_owned(), port: 9092, rack: Some("r".to_owned()) };
    for version in 4..=18 {
        let answers = answers();
        let mut bytes = write(version, &answers, std::slice::from_ref(&endpoint));
        let response = messages::FetchResponse::decode(&mut bytes, version)
            .unwrap_or_else(|error| panic!("version {version}: {error}"));
        assert!(bytes.is_empty(), "version {version}");
        assert_eq!((response.throttle_time_ms, response.error_code), (30, 0));
        assert_eq!(response.session_id, if version >= 7 { 42 } else { 0 });
        assert_eq!(response.node_endpoints.len(), usize::from(version >= 16));
        assert_eq!(response.responses.len(), 2);
        let topic = &response.responses[0];
        assert_eq!(topic.topic, name(version));
        assert_eq!(topic.topic_id, if version >= 13 { TOPIC_ID } else { Uuid::nil() });
        for (read, (answer, records)) in topic.partitions.iter().zip(&answers) {
            assert_eq!(read.partition_index, answer.partition.0);
            assert_eq!(read.error_code, answer.error.code());
            assert_eq!(read.high_watermark, answer.high_watermark.0);
            assert_eq!(read.last_stable_offset, answer.last_stable_offset.0);
            assert_eq!(read.log_start_offset, if version >= 5 { answer.log_start_offset.0 } else { -1 });
            let aborted = answer.aborted_transactions.as_ref().map(Vec::len);
            assert_eq!(read.aborted_transactions.as_ref().map(Vec::len), aborted);
            let preferred = if version >= 11 { answer.preferred_read_replica.0 } else { -1 };
            assert_eq!(read.preferred_read_replica.0, preferred);
            assert_eq!(read.records.as_deref(), Some(*records));
            let tags = if version >= 12 { answer.tags } else { PartitionTags::default() };
            let diverging = tags.diverging_epoch.map_or((-1, -1), |tag| (tag.epoch.0, tag.end_offset.0));
            assert_eq!((read.diverging_epoch.epoch, read.diverging_epoch.end_offset), diverging);
            let leader = tags.current_leader.map_or(-1, |tag| tag.leader_id.0);
            assert_eq!(read.current_leader.leader_id.0, leader);
            let snapshot = tags.snapshot_id.map_or((-1, -1), |tag| (tag.epoch.0, tag.end_offset.0));
            assert_eq!((read.snapshot_id.epoch, read.snapshot_id.end_offset), snapshot);
        }
    }
}

/// A body of a version below 4.
fn old_frame(version: i16) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.put_i32(-1);
    frame.put_i32(500);
    frame.put_i32(1);
    if version >= 3 {
        frame.put_i32(4_000_000);
    }
    frame.put_i32(1);
    wire::put_string(&mut frame, false, Some("the topic"));
    frame.put_i32(1);
    frame.put_i32(3);
    frame.put_i64(1 << 40);
    frame.put_i32(1 << 20);
    frame
}

#[test]
fn a_request_of_an_old_version_has_a_limit_for_all_since_3() {
    for version in 0..=3 {
        let frame = old_frame(version);
        let request = parse_before_batches(version, &frame, 0).unwrap();
        assert_eq!((request.replica_id, request.max_wait_ms, request.min_bytes), (BrokerId(-1), 500, 1));
        assert_eq!(request.max_bytes, if version >= 3 { 4_000_000 } else { i32::MAX });
        assert_eq!((request.session_id, request.session_epoch), (0, -1));
        assert_eq!(request.isolation_level, IsolationLevel::ReadUncommitted);
        let mut wanted = Vec::new();
        request.wanted.for_each(|topic, at| wanted.push((topic, at)));
        let [(topic, at)] = &wanted[..] else { panic!("{wanted:?} where one partition is due") };
        assert_eq!(*topic, topic_name(version));
        assert_eq!((at.partition.0, at.fetch_offset.0, at.max_bytes), (3, 1 << 40, 1 << 20));
        assert_eq!(at.current_leader_epoch, LeaderEpoch::NONE);
        for end in 0..frame.len() {
            assert!(parse_before_batches(version, &frame[..end], 0).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn a_response_of_an_old_version_has_the_fields_of_its_time() {
    for version in 0..=3 {
        let mut expected = Vec::new();
        if version >= 1 {
            expected.put_i32(30);
        }
        expected.put_i32(2);
        for count in [3, 0] {
            wire::put_string(&mut expected, false, Some("the topic"));
            expected.put_i32(count);
            for (answer, records) in answers().iter().take(count as usize) {
                expected.put_i32(answer.partition.0);
                expected.put_i16(answer.error.code());
                expected.put_i64(answer.high_watermark.0);
                expected.put_i32(records.len() as i32);
                expected.put_slice(records);
            }
        }
        assert_eq!(write(version, &answers(), &[]), expected, "version {version}");
    }
}

#[test]
fn the_parser_of_old_versions_takes_any_bytes() {
    for version in [2, 3] {
        let corpus = [old_frame(version)];
        smoke(&format!("fetch_before_batches/{version}"), &corpus, 60_000, |input| {
            let (_, allocated) = allocated_by(|| parse_before_batches(version, input, 0));
            assert!(allocated <= 64 + 16 * input.len(), "allocated {allocated}");
        });
    }
}

#[test]
#[should_panic(expected = "every announced partition is written")]
fn a_response_with_a_missing_partition_is_our_bug() {
    let mut out = BytesMut::new();
    let mut writer = ResponseWriter::begin(12, &mut out, 0, ErrorCode::None, 0, 1);
    writer.topic(&mut out, TopicName::Name("t"), 1);
    writer.end(&mut out, &[]);
}

/// The parser takes all bodies that the walker takes, but for isolation levels that do not exist. It need not
/// care for the order of tags.
#[test]
fn the_parser_takes_what_the_walker_takes() {
    let corpus: Vec<Vec<u8>> =
        (4..=18).map(|version| [&[version as u8], &frame(version)[4..]].concat()).collect();
    smoke("fetch", &corpus, 60_000, |input| {
        let Some((version, body)) = input.split_first() else { return };
        let version = i16::from(*version);
        if !(4..=18).contains(&version) {
            return;
        }
        let (parsed, allocated) = allocated_by(|| parse(version, body, 0));
        assert_eq!(allocated, 0, "a request borrows its frame");
        if let Ok(request) = &parsed {
            // What was read once can be read again.
            request.wanted.for_each(|_, _| {});
            request.forgotten.iter().for_each(|forgotten| forgotten.for_each(|_, _| {}));
        }
        let shape = shapes::check(1, version, body, &Limits::default());
        if shape.is_err() || matches!(parsed, Err(Malformed("an isolation level is neither 0 nor 1"))) {
            return;
        }
        parsed.expect("the walker has accepted it");
    });
}
