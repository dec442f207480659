//! Clients from before record batches: Produce v0-2 and Fetch v0-3, raw, because no codec speaks them any more.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes};
use kafka_protocol::messages::{ApiVersionsRequest, DeleteTopicsRequest, MetadataRequest, metadata_request};

use super::client::{Client, FIRST_TIMESTAMP, batch, batch_with, fetch, topic_name, values};
use super::{Fixture, quotas, transactions};
use crate::protocol::batch::Compression;
use crate::protocol::compression::{self, Level};
use crate::protocol::errors::ErrorCode;
use crate::protocol::records::BatchHeader;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const LIST_OFFSETS: i16 = 2;

/// A message as it stands in a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    offset: i64,
    magic: u8,
    attributes: u8,
    /// -1 in format 0, which has none.
    timestamp: i64,
    value: Vec<u8>,
}

pub fn message(magic: u8, offset: i64, value: &str) -> Message {
    let timestamp = if magic == 0 { -1 } else { FIRST_TIMESTAMP.0 + offset };
    Message { offset, magic, attributes: 0, timestamp, value: value.as_bytes().to_vec() }
}

pub fn set(messages: &[Message]) -> Vec<u8> {
    let mut set = Vec::new();
    for message in messages {
        let mut covered = vec![message.magic, message.attributes];
        if message.magic > 0 {
            covered.put_i64(message.timestamp);
        }
        covered.put_i32(-1);
        covered.put_i32(message.value.len() as i32);
        covered.put_slice(&message.value);
        set.put_i64(message.offset);
        set.put_i32(4 + covered.len() as i32);
        set.put_u32(crc32fast::hash(&covered));
        set.put_slice(&covered);
    }
    set
}

/// The whole messages at the front, and how many bytes of a message that was cut follow.
fn read(mut set: &[u8]) -> (Vec<Message>, usize) {
    let mut messages = Vec::new();
    while let Some(length) = set.get(8..12).map(|length| i32::from_be_bytes(length.try_into().unwrap())) {
        let Some(mut bytes) = set.get(12..12 + length as usize) else { break };
        let offset = i64::from_be_bytes(set[..8].try_into().unwrap());
        set = &set[12 + length as usize..];
        assert_eq!(bytes.get_u32(), crc32fast::hash(bytes), "the CRC of offset {offset}");
        let (magic, attributes) = (bytes.get_u8(), bytes.get_u8());
        let timestamp = if magic > 0 { bytes.get_i64() } else { -1 };
        let key_size = bytes.get_i32();
        bytes.advance(key_size.max(0) as usize);
        assert_eq!(bytes.get_i32() as usize, bytes.len());
        messages.push(Message { offset, magic, attributes, timestamp, value: bytes.to_vec() });
    }
    (messages, set.len())
}

fn produce_body(acks: i16, topic: &str, partition: i32, set: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_i16(acks);
    body.put_i32(5000);
    body.put_i32(1);
    body.put_i16(topic.len() as i16);
    body.put_slice(topic.as_bytes());
    body.put_i32(1);
    body.put_i32(partition);
    body.put_i32(set.len() as i32);
    body.put_slice(set);
    body
}

/// Error code, base offset and the time of the append, of topic `t` and partition 0.
fn read_produced(version: i16, mut body: Bytes) -> (i16, i64, i64) {
    body.advance(4 + 2 + 1 + 4 + 4);
    let (code, base_offset) = (body.get_i16(), body.get_i64());
    let log_append_time = if version >= 2 { body.get_i64() } else { -1 };
    assert_eq!(body.len(), if version >= 1 { 4 } else { 0 }, "the throttle time ends the answer");
    (code, base_offset, log_append_time)
}

pub fn produce(client: &mut Client, version: i16, set: &[u8]) -> (i16, i64) {
    client.send_body(PRODUCE, version, &produce_body(-1, "t", 0, set));
    let (code, base_offset, _) = read_produced(version, client.receive_body().unwrap());
    (code, base_offset)
}

/// What a fetch of topic `t` asks for, from partition 0 on.
struct Wanted {
    offsets: &'static [i64],
    min_bytes: i32,
    max_bytes: i32,
    max_wait_ms: i32,
}

fn send_fetch(client: &mut Client, version: i16, wanted: &Wanted) {
    let mut body = Vec::new();
    body.put_i32(-1);
    body.put_i32(wanted.max_wait_ms);
    body.put_i32(wanted.min_bytes);
    if version >= 3 {
        body.put_i32(1 << 20);
    }
    body.put_i32(1);
    body.put_slice(b"\0\x01t");
    body.put_i32(wanted.offsets.len() as i32);
    for (partition, offset) in wanted.offsets.iter().enumerate() {
        body.put_i32(partition as i32);
        body.put_i64(*offset);
        body.put_i32(wanted.max_bytes);
    }
    client.send_body(FETCH, version, &body);
}

/// Error code, high watermark and records of each partition.
fn receive_fetch(client: &mut Client, version: i16) -> Vec<(i16, i64, Bytes)> {
    let mut body = client.receive_body().unwrap();
    if version >= 1 {
        assert_eq!(body.get_i32(), 0, "nobody is throttled");
    }
    assert_eq!(body.get_i32(), 1, "one topic");
    body.advance(3);
    let mut partitions = Vec::new();
    for partition in 0..body.get_i32() {
        assert_eq!(body.get_i32(), partition);
        let (code, high_watermark, size) = (body.get_i16(), body.get_i64(), body.get_i32());
        partitions.push((code, high_watermark, body.split_to(size as usize)));
    }
    assert!(body.is_empty());
    partitions
}

pub fn fetch_from(
    client: &mut Client,
    version: i16,
    offset: &'static [i64],
    max_bytes: i32,
) -> (i16, i64, Bytes) {
    send_fetch(client, version, &Wanted { offsets: offset, min_bytes: 1, max_bytes, max_wait_ms: 0 });
    receive_fetch(client, version).remove(0)
}

/// Offsets and values.
fn plain(messages: &[Message]) -> Vec<(i64, String)> {
    messages
        .iter()
        .map(|message| (message.offset, String::from_utf8(message.value.clone()).unwrap()))
        .collect()
}

fn fixture() -> (Fixture, Client) {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("t", 2, &[]);
    (fixture, client)
}

#[test]
fn every_old_version_of_produce_reaches_every_version_of_fetch() {
    let (_fixture, mut client) = fixture();
    let mut expected = Vec::new();
    for version in 0..=2 {
        for magic in [0, 1] {
            let offset = expected.len() as i64;
            let sent = [message(magic, 0, "one"), message(magic, 1, "two")];
            assert_eq!(produce(&mut client, version, &set(&sent)), (0, offset), "v{version} format {magic}");
            expected.extend([(offset, "one".to_owned()), (offset + 1, "two".to_owned())]);
        }
    }
    let id = client.topic_id("t");
    for version in [4, 11, 18] {
        assert_eq!(values(&client.fetch(version, ("t", id), 0, 0)), expected, "fetch v{version}");
    }
    for version in 0..=3 {
        let (code, high_watermark, records) = fetch_from(&mut client, version, &[0], 1 << 20);
        assert_eq!((code, high_watermark), (0, 12), "fetch v{version}");
        let (messages, cut_bytes) = read(&records);
        assert_eq!((plain(&messages), cut_bytes), (expected.clone(), 0), "fetch v{version}");
        let magic = if version < 2 { 0 } else { 1 };
        assert!(messages.iter().all(|message| message.magic == magic), "fetch v{version}");
        // What came without a timestamp has none.
        let timestamp = if version < 2 { -1 } else { FIRST_TIMESTAMP.0 + 1 };
        assert_eq!((messages[0].timestamp, messages[3].timestamp), (-1, timestamp));
    }
}

#[test]
fn records_of_batches_come_as_messages_from_the_offset_that_was_asked_for() {
    let (_fixture, mut client) = fixture();
    let id = client.topic_id("t");
    client.produce(9, ("t", id), 0, batch(&["a", "b", "c"]));
    client.produce(9, ("t", id), 0, batch(&["d"]));
    for version in 0..=3 {
        let (code, _, records) = fetch_from(&mut client, version, &[1], 1 << 20);
        assert_eq!(code, 0);
        let expected = [(1, "b"), (2, "c"), (3, "d")].map(|(offset, value)| (offset, value.to_owned()));
        assert_eq!(plain(&read(&records).0), expected, "v{version}");
    }
}

#[test]
fn wrappers_of_every_codec_are_unpacked_and_packed_again() {
    let (_fixture, mut client) = fixture();
    let id = client.topic_id("t");
    for (index, codec) in [Compression::Gzip, Compression::Snappy].into_iter().enumerate() {
        let inner = set(&[message(1, 0, "in"), message(1, 1, "side")]);
        let wrapper = Message {
            offset: 1,
            magic: 1,
            attributes: codec.id(),
            timestamp: FIRST_TIMESTAMP.0 + 1,
            value: compression::compress(codec, Level::DEFAULT, &inner),
        };
        let offset = 2 * index as i64;
        assert_eq!(produce(&mut client, 2, &set(&[wrapper])), (0, offset), "{codec:?}");
    }
    let found = values_of_all_codecs(&mut client, id);
    assert_eq!(found, ["in", "side", "in", "side"]);
    for (offset, codec) in [(&[0], Compression::Gzip), (&[2], Compression::Snappy)] {
        let (code, _, records) = fetch_from(&mut client, 2, offset, 1 << 20);
        let wrapper = read(&records).0.remove(0);
        assert_eq!((code, wrapper.attributes, wrapper.offset), (0, codec.id(), offset[0] + 1));
        let inner = compression::decompress(codec, &wrapper.value, 1 << 20).unwrap();
        assert_eq!(plain(&read(&inner).0), [(0, "in".to_owned()), (1, "side".to_owned())]);
    }
}

/// The values of compressed batches, in order.
fn values_of_all_codecs(client: &mut Client, id: crate::protocol::ids::Uuid) -> Vec<String> {
    use crate::protocol::batch::Batch;
    use crate::protocol::records::RecordIter;
    let response = client.fetch(12, ("t", id), 0, 0);
    let records = response.responses[0].partitions[0].records.clone().unwrap();
    let mut rest = &records[..];
    let mut found = Vec::new();
    while let Ok((batch, behind)) = Batch::split_first(rest) {
        assert!(batch.crc_matches());
        let plain = compression::decompress(batch.compression().unwrap(), batch.records(), 1 << 20).unwrap();
        for record in RecordIter::new(&plain, batch.record_count()) {
            found.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
        rest = behind;
    }
    found
}

#[test]
fn a_produce_without_acks_is_not_answered() {
    let (_fixture, mut client) = fixture();
    client.send_body(PRODUCE, 1, &produce_body(0, "t", 0, &set(&[message(0, 0, "quiet")])));
    assert_eq!(produce(&mut client, 1, &set(&[message(0, 0, "loud")])), (0, 1), "the order is kept");
    client.send_body(PRODUCE, 1, &produce_body(0, "absent", 0, &set(&[message(0, 0, "x")])));
    assert_eq!(client.receive_body(), None, "a failure closes the connection");
}

#[test]
fn what_a_producer_without_acks_sent_before_it_closed_is_appended() {
    let (fixture, mut client) = fixture();
    let frames: Vec<u8> = ["one", "two"].into_iter().flat_map(unacknowledged_frame).collect();
    let mut producer = fixture.client();
    producer.send_raw(&frames);
    drop(producer);
    // More than one of their batches has.
    let wanted = Wanted { offsets: &[0], min_bytes: 150, max_bytes: 1000, max_wait_ms: 15_000 };
    send_fetch(&mut client, 2, &wanted);
    let (code, high_watermark, _) = receive_fetch(&mut client, 2).remove(0);
    assert_eq!((code, high_watermark), (0, 2));
    let id = client.topic_id("t");
    assert_eq!(values_of_all_codecs(&mut client, id), ["one", "two"]);
}

/// One message in a wrapper.
fn gzip(value: &str) -> Vec<u8> {
    let inner = set(&[message(1, 0, value)]);
    set(&[Message {
        attributes: Compression::Gzip.id(),
        value: compression::compress(Compression::Gzip, Level::DEFAULT, &inner),
        ..message(1, 0, "")
    }])
}

/// A Produce v1 with acks=0 of one message in a wrapper.
fn unacknowledged_frame(value: &str) -> Vec<u8> {
    let body = produce_body(0, "t", 0, &gzip(value));
    let mut frame = Vec::new();
    frame.put_i32(14 + body.len() as i32);
    frame.put_i16(PRODUCE);
    frame.put_i16(1);
    frame.put_i32(1);
    frame.put_slice(b"\0\x04test");
    frame.put_slice(&body);
    frame
}

#[test]
fn one_request_is_not_decompressed_without_end() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("t", 1, &[]);
    // Counts as what so many bytes may be decompressed to, although it is nothing of the kind.
    let broken = Message { attributes: Compression::Gzip.id(), ..message(1, 0, &"x".repeat(100_000)) };
    let (small, broken, plain) = (gzip("x"), set(&[broken]), set(&[message(1, 0, "plain")]));
    let sets = [&small, &broken, &broken, &broken, &broken, &small, &plain];
    let mut body = Vec::new();
    body.put_i16(-1);
    body.put_i32(5000);
    body.put_i32(1);
    body.put_slice(b"\0\x01t");
    body.put_i32(sets.len() as i32);
    for set in sets {
        body.put_i32(0);
        body.put_i32(set.len() as i32);
        body.put_slice(set);
    }
    client.send_body(PRODUCE, 1, &body);
    let mut answer = client.receive_body().unwrap();
    answer.advance(4 + 3 + 4);
    let mut codes = Vec::new();
    for _ in sets {
        answer.advance(4);
        codes.push(answer.get_i16());
        answer.advance(8);
    }
    let (broken, too_large) = (ErrorCode::InvalidRecord.code(), ErrorCode::MessageTooLarge.code());
    assert_eq!(codes, [0, broken, broken, broken, broken, too_large, 0]);
}

#[test]
fn requests_of_one_connection_keep_their_order() {
    let (_fixture, mut client) = fixture();
    for index in 0..20 {
        let sent = set(&[message(1, 0, &format!("{index}").repeat(index * 100))]);
        client.send_body(PRODUCE, 2, &produce_body(-1, "t", 0, &sent));
    }
    for offset in 0..20 {
        let mut frame = client.read_frame().unwrap();
        frame.advance(4);
        assert_eq!(read_produced(2, frame), (0, offset, -1));
    }
}

#[test]
fn what_cannot_be_appended_is_refused() {
    let (_fixture, mut client) = fixture();
    let good = set(&[message(1, 0, "good")]);
    let mut corrupt = good.clone();
    *corrupt.last_mut().unwrap() ^= 1;
    assert_eq!(produce(&mut client, 2, &corrupt), (ErrorCode::CorruptMessage.code(), -1));
    assert_eq!(produce(&mut client, 2, &[]), (0, -1), "no message is no error");
    assert_eq!(produce(&mut client, 2, &good[..good.len() - 1]), (0, -1), "nor is a message that was cut");
    let large = set(&[message(1, 0, &"x".repeat(2 << 20))]);
    assert_eq!(produce(&mut client, 2, &large), (ErrorCode::MessageTooLarge.code(), -1));
    let mut code = |acks, topic, partition| {
        client.send_body(PRODUCE, 0, &produce_body(acks, topic, partition, &good));
        read_produced(0, client.receive_body().unwrap()).0
    };
    assert_eq!(code(-1, "u", 0), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(code(-1, "t", 7), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(code(2, "t", 0), ErrorCode::InvalidRequiredAcks.code());
    assert_eq!(client.list_offset("t", 0, -1).0, 0, "nothing was appended");
}

#[test]
fn topics_say_what_becomes_of_messages() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("t", 1, &[("message.timestamp.type", "LogAppendTime"), ("compression.type", "gzip")]);
    client.send_body(PRODUCE, 2, &produce_body(-1, "t", 0, &set(&[message(1, 0, "x")])));
    let (code, base_offset, log_append_time) = read_produced(2, client.receive_body().unwrap());
    assert_eq!((code, base_offset), (0, 0));
    assert!(log_append_time > FIRST_TIMESTAMP.0);
    let (_, _, records) = fetch_from(&mut client, 2, &[0], 1 << 20);
    let wrapper = read(&records).0.remove(0);
    assert_eq!((wrapper.attributes, wrapper.timestamp), (8 | Compression::Gzip.id(), log_append_time));
}

#[test]
fn compacted_topics_refuse_messages_without_a_key() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("t", 1, &[("cleanup.policy", "compact")]);
    let refused = produce(&mut client, 2, &set(&[message(1, 0, "x")]));
    assert_eq!(refused, (ErrorCode::InvalidRecord.code(), -1));
}

#[test]
fn positions_that_cannot_be_read_are_told() {
    let (_fixture, mut client) = fixture();
    assert_eq!(produce(&mut client, 2, &set(&[message(1, 0, "x")])), (0, 0));
    for version in 0..=3 {
        assert_eq!(fetch_from(&mut client, version, &[1], 100), (0, 1, Bytes::new()), "the end");
        let refused = (ErrorCode::OffsetOutOfRange.code(), -1, Bytes::new());
        assert_eq!(fetch_from(&mut client, version, &[2], 100), refused);
        send_fetch(
            &mut client,
            version,
            &Wanted { offsets: &[0, 0, 0], min_bytes: 1, max_bytes: 100, max_wait_ms: 15_000 },
        );
        let answers = receive_fetch(&mut client, version);
        let codes: Vec<i16> = answers.iter().map(|(code, ..)| *code).collect();
        assert_eq!(codes, [0, 0, ErrorCode::UnknownTopicOrPartition.code()]);
    }
}

#[test]
fn a_batch_that_does_not_fit_comes_since_v3_only() {
    let (_fixture, mut client) = fixture();
    let id = client.topic_id("t");
    client.produce(9, ("t", id), 0, batch(&[&"x".repeat(1000)]));
    client.produce(9, ("t", id), 0, batch(&["y"]));
    for version in 0..=2 {
        send_fetch(
            &mut client,
            version,
            &Wanted { offsets: &[0], min_bytes: 1, max_bytes: 500, max_wait_ms: 15_000 },
        );
        assert_eq!(
            receive_fetch(&mut client, version),
            [(0, 2, Bytes::new())],
            "v{version}: nothing, at once"
        );
    }
    let (messages, cut_bytes) = read(&fetch_from(&mut client, 3, &[0], 500).2);
    assert_eq!((messages.len(), messages[0].value.len(), cut_bytes), (1, 1000, 0));
}

#[test]
fn a_release_before_kip_74_sends_the_beginning_of_what_does_not_fit() {
    let fixture = Fixture::start_as(Some("0.10.0"), &[]);
    let mut client = fixture.client();
    // The release has no CreateTopics.
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("t")));
    client.call(1, &MetadataRequest::default().with_topics(Some(vec![topic])));
    produce(&mut client, 2, &set(&[message(1, 0, &"x".repeat(1000))]));
    let (messages, cut_bytes) = read(&fetch_from(&mut client, 2, &[0], 500).2);
    assert_eq!((messages.len(), cut_bytes), (0, 500));
    let (messages, cut_bytes) = read(&fetch_from(&mut client, 2, &[0], 2000).2);
    assert_eq!((messages.len(), cut_bytes), (1, 0));
}

#[test]
fn a_long_poll_ends_with_the_append_it_waits_for() {
    let (fixture, mut client) = fixture();
    let id = client.topic_id("t");
    for version in 0..=3 {
        let mut waiting = fixture.client();
        let offsets: &'static [i64] = [&[0, 0], &[0, 1], &[0, 2], &[0, 3]][version as usize];
        send_fetch(
            &mut waiting,
            version,
            &Wanted { offsets, min_bytes: 1, max_bytes: 1000, max_wait_ms: 15_000 },
        );
        client.produce(9, ("t", id), 1, batch(&["news"]));
        let answers = receive_fetch(&mut waiting, version);
        assert_eq!((answers[0].0, answers[0].2.len()), (0, 0));
        assert_eq!(plain(&read(&answers[1].2).0), [(i64::from(version), "news".to_owned())]);
    }
}

#[test]
fn a_fetch_that_wants_no_bytes_does_not_wait() {
    let (_fixture, mut client) = fixture();
    let wanted = Wanted { offsets: &[0], min_bytes: 0, max_bytes: 1000, max_wait_ms: 15_000 };
    send_fetch(&mut client, 1, &wanted);
    assert_eq!(receive_fetch(&mut client, 1), [(0, 0, Bytes::new())]);
}

/// Offsets of markers without a record between them.
const MARKERS: Range<i64> = 1..4;

#[test]
fn control_batches_are_passed_over() {
    let fixture = Fixture::start_with(transactions::UNVERIFIED);
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    let opened = transactions::produce(&mut client, 9, ("t", id), transactions::transactional(0, &["a"]));
    assert_eq!(opened, (0, 0));
    for coordinator_epoch in 0..MARKERS.end as i32 - 1 {
        let marker = transactions::end(0, true, coordinator_epoch, 0);
        assert_eq!(transactions::write_marker(&mut client, &marker), 0);
    }
    assert_eq!(client.list_offset("t", 0, -1).0, MARKERS.end);
    for version in 0..=3 {
        let (code, high_watermark, records) = fetch_from(&mut client, version, &[1], 1 << 20);
        assert_eq!((code, high_watermark, records.len()), (0, MARKERS.end, 0), "v{version}: nothing to see");
    }
    let mut waiting = fixture.client();
    send_fetch(&mut waiting, 1, &Wanted { offsets: &[1], min_bytes: 1, max_bytes: 100, max_wait_ms: 15_000 });
    client.produce(9, ("t", id), 0, batch(&["b"]));
    let answered = receive_fetch(&mut waiting, 1);
    assert_eq!(plain(&read(&answered[0].2).0), [(MARKERS.end, "b".to_owned())]);
    for version in 0..=3 {
        // Room for one batch only, and the first three are markers.
        let (_, _, records) = fetch_from(&mut client, version, &[1], 100);
        assert_eq!(plain(&read(&records).0), [(MARKERS.end, "b".to_owned())], "v{version}");
        let (_, _, records) = fetch_from(&mut client, version, &[0], 1 << 20);
        let expected = [(0, "a".to_owned()), (MARKERS.end, "b".to_owned())];
        assert_eq!(plain(&read(&records).0), expected, "v{version}");
    }
}

#[test]
fn what_does_not_fit_behind_control_batches_is_answered_at_once() {
    let fixture = Fixture::start_with(transactions::UNVERIFIED);
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    transactions::produce(&mut client, 9, ("t", id), transactions::transactional(0, &["a"]));
    assert_eq!(transactions::write_marker(&mut client, &transactions::end(0, true, 0, 0)), 0);
    client.produce(9, ("t", id), 0, batch(&[&"x".repeat(1000)]));
    let mut wanted = Wanted { offsets: &[1], min_bytes: 1, max_bytes: 100, max_wait_ms: 600_000 };
    send_fetch(&mut client, 2, &wanted);
    assert_eq!(receive_fetch(&mut client, 2), [(0, 3, Bytes::new())]);
    wanted.max_bytes = 2000;
    send_fetch(&mut client, 2, &wanted);
    assert_eq!(read(&receive_fetch(&mut client, 2)[0].2).0[0].offset, 2);
}

#[test]
fn zstd_is_not_for_consumers_that_do_not_know_it() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[("compression.type", "zstd")]);
    assert_eq!(produce(&mut client, 2, &set(&[message(1, 0, "x")])), (0, 0), "the broker compresses it");
    let refused = (ErrorCode::UnsupportedCompressionType.code(), -1, Bytes::new());
    for version in 0..=3 {
        assert_eq!(fetch_from(&mut client, version, &[0], 1000), refused, "v{version}");
    }
    for version in 4..=18 {
        let response = client.call(version, &fetch(version, ("t", id), &[(0, 0)], 0));
        let answer = &response.responses[0].partitions[0];
        let records_size_bytes = answer.records.as_ref().map_or(0, |records| records.len());
        if version < 10 {
            assert_eq!((answer.error_code, records_size_bytes), (refused.0, 0), "v{version}");
        } else {
            assert!(answer.error_code == 0 && records_size_bytes > 0, "v{version}");
        }
    }
}

#[test]
fn zstd_of_a_producer_cannot_be_converted_down() {
    let (_fixture, mut client) = fixture();
    let id = client.topic_id("t");
    client.produce(9, ("t", id), 0, batch(&["plain"]));
    let header = BatchHeader { compression: Compression::Zstd, ..BatchHeader::default() };
    assert_eq!(client.produce(9, ("t", id), 0, batch_with(header, FIRST_TIMESTAMP, &["x"])), (0, 1));
    for version in 0..=3 {
        let (code, _, records) = fetch_from(&mut client, version, &[0], 1 << 20);
        assert_eq!((code, plain(&read(&records).0)), (0, vec![(0, "plain".to_owned())]), "v{version}");
        let refused = fetch_from(&mut client, version, &[1], 1 << 20);
        assert_eq!(refused, (ErrorCode::UnsupportedCompressionType.code(), -1, Bytes::new()), "v{version}");
    }
}

#[test]
fn a_consumer_beyond_its_quota_gets_in_time_what_is_larger_converted() {
    const OFFSETS: [&[i64]; 3] = [&[0], &[80], &[160]];
    let fixture = Fixture::start_with(quotas::SHORT_MEMORY);
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    for _ in OFFSETS {
        // Some 700 bytes, and 34 for each record when they are messages.
        client.produce(9, ("t", id), 0, batch(&[""; 80]));
    }
    quotas::set(&mut client, &[("user", None)], "consumer_byte_rate", 1000.0);
    let mut throttled = false;
    for offsets in OFFSETS {
        loop {
            send_fetch(&mut client, 2, &Wanted { offsets, min_bytes: 1, max_bytes: 1 << 20, max_wait_ms: 0 });
            let mut body = client.receive_body().unwrap();
            if body.get_i32() > 0 {
                throttled = true;
                assert_eq!(&body[..], [0; 4], "no topic is answered");
                continue;
            }
            body.advance(4 + 3 + 4 + 4 + 2 + 8);
            assert_eq!(body.get_i32(), 80 * 34);
            break;
        }
    }
    assert!(throttled);
}

#[test]
fn a_batch_larger_than_an_answer_should_be_comes_alone() {
    const MAX_BYTES: i32 = 20 << 20;
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[("max.message.bytes", &MAX_BYTES.to_string())]);
    for value in ["x".repeat(17 << 20), "y".to_owned()] {
        assert_eq!(client.produce(9, ("t", id), 0, batch(&[&value])).0, 0);
    }
    for version in [1, 2] {
        let (messages, cut_bytes) = read(&fetch_from(&mut client, version, &[0], MAX_BYTES).2);
        assert_eq!((messages.len(), messages[0].value.len(), cut_bytes), (1, 17 << 20, 0), "v{version}");
        assert_eq!(fetch_from(&mut client, version, &[0], 16 << 20).2, Bytes::new(), "v{version}");
    }
}

#[test]
fn a_deleted_topic_is_unknown_whatever_its_codec_was() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[("compression.type", "zstd")]);
    let opened = client.call(9, &fetch(9, ("t", id), &[(0, 0)], 0).with_session_epoch(0));
    let code = opened.responses[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::UnsupportedCompressionType.code());
    client.call(
        5,
        &DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t")]).with_timeout_ms(5000),
    );
    let again = fetch(9, ("t", id), &[(0, 0)], 0).with_session_id(opened.session_id).with_session_epoch(1);
    let code = client.call(9, &again).responses[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::UnknownTopicOrPartition.code());
}

/// Error code and offsets of a ListOffsets v0 for partition 0 of a topic.
fn list_segments(client: &mut Client, topic: &str, timestamp: i64, max_count: i32) -> (i16, Vec<i64>) {
    let mut body = Vec::new();
    body.put_i32(-1);
    body.put_i32(1);
    body.put_i16(topic.len() as i16);
    body.put_slice(topic.as_bytes());
    body.put_i32(1);
    body.put_i32(0);
    body.put_i64(timestamp);
    body.put_i32(max_count);
    client.send_body(LIST_OFFSETS, 0, &body);
    let mut body = client.receive_body().unwrap();
    body.advance(4 + 2 + topic.len() + 4 + 4);
    let code = body.get_i16();
    let offsets = (0..body.get_i32()).map(|_| body.get_i64()).collect();
    assert!(body.is_empty());
    (code, offsets)
}

#[test]
fn segments_are_listed_newest_first() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[("segment.bytes", "1048576"), ("max.message.bytes", "1000000")]);
    assert_eq!(list_segments(&mut client, "t", -1, 10), (0, vec![0]), "an empty log");
    for _ in 0..3 {
        client.produce(9, ("t", id), 0, batch(&[&"x".repeat(700_000)]));
    }
    assert_eq!(list_segments(&mut client, "t", -1, 10), (0, vec![3, 2, 1, 0]));
    assert_eq!(list_segments(&mut client, "t", -1, 2), (0, vec![3, 2]));
    assert_eq!(list_segments(&mut client, "t", -2, 10), (0, vec![0]));
    assert_eq!(list_segments(&mut client, "t", 0, 10), (0, vec![]), "no segment is that old");
    assert_eq!(list_segments(&mut client, "t", i64::MAX, 1), (0, vec![3]));
    assert_eq!(list_segments(&mut client, "t", -3, 1), (ErrorCode::UnsupportedVersion.code(), vec![]));
    assert_eq!(list_segments(&mut client, "u", -1, 1), (ErrorCode::UnknownTopicOrPartition.code(), vec![]));
}

#[test]
fn old_requests_that_cannot_be_read_close_the_connection() {
    let (fixture, _client) = fixture();
    let produce = produce_body(-1, "t", 0, &set(&[message(1, 0, "x")]));
    for (api_key, version, body) in
        [(PRODUCE, 2, &produce[..]), (FETCH, 3, &[0, 0, 0][..]), (LIST_OFFSETS, 0, &[0, 0, 0, 0, 0x7f][..])]
    {
        let mut client = fixture.client();
        client.send_body(api_key, version, &body[..body.len() - 1]);
        assert_eq!(client.receive_body(), None, "key {api_key}");
    }
    fixture.client().call(0, &ApiVersionsRequest::default());
}
