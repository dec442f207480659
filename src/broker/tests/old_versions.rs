//! Versions that Kafka 4 has dropped, by their bytes: each answer here is one that Apache Kafka 3.9.2 (KRaft) has given to
//! the same request.

use bytes::{Buf, BufMut, Bytes};

use super::Fixture;
use super::client::Client;
use super::groups::client;
use crate::protocol::wire::{put_count, put_null_array, put_string};

const FLEXIBLE: bool = false;
/// The topic of offsets as [`client`] wants it.
const OFFSETS: [(&str, &str); 2] =
    [("offsets.topic.replication.factor", "1"), ("offsets.topic.num.partitions", "2")];
/// Offset -1.
const NOTHING: &[u8] = b"\xff\xff\xff\xff\xff\xff\xff\xff";

/// Sends a body as it is, and returns the body of the answer.
fn ask(client: &mut Client, key: i16, version: i16, body: &[u8]) -> Bytes {
    let mut frame = Vec::new();
    frame.put_i32(14 + body.len() as i32);
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(7);
    put_string(&mut frame, FLEXIBLE, Some("test"));
    frame.put_slice(body);
    client.send_raw(&frame);
    let mut answer = client.read_frame().expect("the broker answers");
    assert_eq!(answer.get_i32(), 7, "the correlation id");
    answer
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_string(&mut bytes, FLEXIBLE, Some(text));
    bytes
}

fn array(elements: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_count(&mut bytes, FLEXIBLE, elements.len());
    bytes.extend(elements.concat());
    bytes
}

/// A topic, and whatever its partitions are.
fn topic(name: &str, partitions: &[&[u8]]) -> Vec<u8> {
    let partitions: Vec<Vec<u8>> = partitions.iter().map(|partition| partition.to_vec()).collect();
    [string(name), array(&partitions)].concat()
}

/// A topic of CreateTopics, without assignments and configs.
fn creatable(name: &str, partition_count: i32, replication_factor: i16) -> Vec<u8> {
    let mut topic = string(name);
    topic.put_i32(partition_count);
    topic.put_i16(replication_factor);
    topic.put_slice(&[0; 8]);
    topic
}

fn create(client: &mut Client, version: i16, topics: &[Vec<u8>], validate_only: &[u8]) -> Bytes {
    const TIMEOUT: [u8; 4] = 5000_i32.to_be_bytes();
    ask(client, 19, version, &[&array(topics), &TIMEOUT[..], validate_only].concat())
}

#[test]
fn topics_are_created_before_answers_had_messages() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    assert_eq!(create(&mut client, 0, &[creatable("a", 2, 1)], b"")[..], *b"\0\0\0\x01\0\x01a\0\0");
    let refused =
        [creatable("a", 2, 1), creatable("bad name", 1, 1), creatable("z", 0, 1), creatable("y", 1, 5)];
    assert_eq!(
        create(&mut client, 0, &refused, b"")[..],
        *b"\0\0\0\x04\0\x01a\0\x24\0\x08bad name\0\x11\0\x01z\0\x25\0\x01y\0\x26"
    );
    assert_eq!(
        create(&mut client, 0, &[creatable("g", 1, 1), creatable("g", 1, 1)], b"")[..],
        *b"\0\0\0\x01\0\x01g\0\x2a"
    );
    assert_eq!(create(&mut client, 0, &[], b"")[..], [0; 4]);
    assert_eq!(
        create(&mut client, 1, &[creatable("a", 2, 1)], b"\0")[..],
        *b"\0\0\0\x01\0\x01a\0\x24\0\x19Topic 'a' already exists."
    );
    assert_eq!(
        create(&mut client, 1, &[creatable("c", 1, 1)], b"\x01")[..],
        *b"\0\0\0\x01\0\x01c\0\0\xff\xff"
    );
    assert_eq!(create(&mut client, 0, &[creatable("c", 1, 1)], b"")[..], *b"\0\0\0\x01\0\x01c\0\0");
}

#[test]
fn counts_are_left_to_the_broker_in_every_version() {
    let fixture = Fixture::start_with(&[("num.partitions", "3")]);
    let mut client = fixture.client();
    assert_eq!(create(&mut client, 0, &[creatable("a", -1, -1)], b"")[..], *b"\0\0\0\x01\0\x01a\0\0");
    assert_eq!(
        create(&mut client, 1, &[creatable("b", -1, -1)], b"\0")[..],
        *b"\0\0\0\x01\0\x01b\0\0\xff\xff"
    );
    assert_eq!(client.list_offset("a", 2, -1), (0, -1));
    assert_eq!(client.list_offset("b", 2, -1), (0, -1));
}

#[test]
fn topics_are_deleted_before_answers_had_throttle_times() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("b", 1, &[]);
    let mut body = array(&[string("b"), string("nope")]);
    body.put_i32(5000);
    assert_eq!(
        ask(&mut client, 20, 0, &body)[..],
        *b"\0\0\0\x02\0\x01b\0\0\0\x04nope\0\x03",
        "in the order of the request; Kafka shuffles them"
    );
}

/// Offset 5 and metadata "m", with what a version has in between.
fn committed(partition: u8, between: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, partition, 0, 0, 0, 0, 0, 0, 0, 5], between, b"\0\x01m"].concat()
}

#[test]
fn offsets_in_zookeeper_are_refused() {
    let fixture = Fixture::start_with(&OFFSETS);
    let mut client = client(&fixture);
    client.create_topic("a", 2, &[]);
    let mut commit = |topics: &[Vec<u8>]| ask(&mut client, 8, 0, &[string("g"), array(topics)].concat());
    let (zero, nine) = (committed(0, b""), committed(9, b""));
    assert_eq!(commit(&[topic("a", &[&zero])])[..], *b"\0\0\0\x01\0\x01a\0\0\0\x01\0\0\0\0\0\x23");
    // One partition that exists, and all are refused for want of ZooKeeper.
    assert_eq!(
        commit(&[topic("a", &[&zero, &nine]), topic("nope", &[&zero])])[..],
        *b"\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\0\0\x23\0\0\0\x09\0\x23\0\x04nope\0\0\0\x01\0\0\0\0\0\x23"
    );
    assert_eq!(commit(&[topic("nope", &[&zero])])[..], *b"\0\0\0\x01\0\x04nope\0\0\0\x01\0\0\0\0\0\x03");
    assert_eq!(commit(&[])[..], [0; 4]);

    let asked = array(&[topic("a", &[&[0, 0, 0, 0], &[0, 0, 0, 9]]), topic("nope", &[&[0, 0, 0, 3]])]);
    let refused = |partition: u8| [&[0, 0, 0, partition], NOTHING, b"\0\0\0\x23"].concat();
    let expected = [topic("a", &[&refused(0), &refused(9)]), topic("nope", &[&refused(3)])];
    let fetched = ask(&mut client, 9, 0, &[string("g"), asked].concat());
    assert_eq!(fetched[..], array(&expected));
    assert_eq!(ask(&mut client, 9, 0, &[string("g"), array(&[])].concat())[..], [0; 4]);
}

#[test]
fn offsets_are_committed_with_a_time_of_their_own() {
    let fixture = Fixture::start_with(&OFFSETS);
    let mut client = client(&fixture);
    client.create_topic("a", 2, &[]);
    let (default, earlier) = ((-1_i64).to_be_bytes(), 1000_i64.to_be_bytes());
    let simple = [string("g"), vec![0xff; 4], string("")].concat();
    let topics = array(&[
        topic("a", &[&committed(0, &default), &committed(1, &earlier), &committed(9, &default)]),
        topic("nope", &[&committed(0, &default)]),
    ]);
    assert_eq!(
        ask(&mut client, 8, 1, &[simple, topics].concat())[..],
        *b"\0\0\0\x02\0\x01a\0\0\0\x03\0\0\0\x09\0\x03\0\0\0\0\0\0\0\0\0\x01\0\0\0\x04nope\0\0\0\x01\0\0\0\0\0\x03"
    );
    let member = [string("g"), vec![0, 0, 0, 3], string("x")].concat();
    let topics = array(&[topic("a", &[&committed(0, &default)])]);
    assert_eq!(
        ask(&mut client, 8, 1, &[member, topics].concat())[..],
        *b"\0\0\0\x01\0\x01a\0\0\0\x01\0\0\0\0\0\x19",
        "an unknown member"
    );
    let asked = array(&[topic("a", &[&[0, 0, 0, 0], &[0, 0, 0, 1]])]);
    let found = |partition: u8| committed(partition, b"").into_iter().chain([0, 0]).collect::<Vec<u8>>();
    let fetched = ask(&mut client, 9, 1, &[string("g"), asked].concat());
    assert_eq!(fetched[..], array(&[topic("a", &[&found(0), &found(1)])]));
}

#[test]
fn leader_epochs_end_for_old_followers() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("a", 2, &[]);
    let asked = |partition: u8, epoch: u8| [0, 0, 0, partition, 0, 0, 0, epoch];
    let body =
        array(&[topic("a", &[&asked(0, 0), &asked(1, 7), &asked(9, 0)]), topic("nope", &[&asked(0, 0)])]);
    for version in [0, 1] {
        let epoch = |epoch: i32| if version == 0 { vec![] } else { epoch.to_be_bytes().to_vec() };
        let found = [&[0; 6][..], &epoch(0), &[0; 8]].concat();
        let no_such_epoch = [b"\0\0\0\0\0\x01", &epoch(-1)[..], NOTHING].concat();
        let unknown = |partition: u8| [&[0, 3, 0, 0, 0, partition], &epoch(-1)[..], NOTHING].concat();
        let topics = [topic("a", &[&found, &no_such_epoch, &unknown(9)]), topic("nope", &[&unknown(0)])];
        assert_eq!(ask(&mut client, 23, version, &body)[..], array(&topics), "v{version}");
    }
}

#[test]
fn markers_are_written_for_an_old_coordinator() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("a", 1, &[]);
    let topics = array(&[topic("a", &[&[0; 4], &[0, 0, 0, 9]]), topic("nope", &[&[0; 4]])]);
    let marker = [&b"\0\0\0\0\0\0\0\x4d\0\0\x01"[..], &topics, &[0; 4]].concat();
    assert_eq!(
        ask(&mut client, 27, 0, &array(&[marker]))[..],
        *b"\0\0\0\x01\0\0\0\0\0\0\0\x4d\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\0\0\x09\0\x03\0\x04nope\0\0\0\x01\0\0\0\0\0\x03"
    );
    assert_eq!(client.list_offset("a", 0, -1), (1, -1), "the marker has an offset");
}

#[test]
fn acls_without_pattern_types_are_refused_for_want_of_an_authorizer() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let filter = b"\x02\xff\xff\xff\xff\xff\xff\x01\x01".to_vec();
    assert_eq!(
        ask(&mut client, 29, 0, &filter)[..],
        *b"\0\0\0\0\0\x36\0\x29No Authorizer is configured on the broker\0\0\0\0"
    );
    let acl = [&[2][..], &string("a"), &string("User:x"), &string("*"), &[3, 3]].concat();
    assert_eq!(
        ask(&mut client, 30, 0, &array(&[acl]))[..],
        *b"\0\0\0\0\0\0\0\x01\0\x36\0\x1cNo Authorizer is configured."
    );
    let refused = b"\0\x36\0\x1cNo Authorizer is configured.\0\0\0\0".to_vec();
    assert_eq!(
        ask(&mut client, 31, 0, &array(&[filter.clone(), filter]))[..],
        [vec![0; 4], array(&[refused.clone(), refused])].concat()
    );
}

#[test]
fn delegation_tokens_are_refused_to_who_has_not_logged_in() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let maximal = (-1_i64).to_be_bytes();
    assert_eq!(
        ask(&mut client, 38, 0, &[&array(&[])[..], &maximal].concat())[..],
        [b"\0\x40\0\x04User\0\x09ANONYMOUS", &[0xff; 24][..], &[0; 10]].concat()
    );
    let refused = [b"\0\x40", NOTHING, &[0; 4]].concat();
    for key in [39, 40] {
        assert_eq!(ask(&mut client, key, 0, &[&array(&[])[..], &maximal].concat())[..], refused);
    }
    assert_eq!(ask(&mut client, 41, 0, &[0xff; 4])[..], *b"\0\x40\0\0\0\0\0\0\0\0");
}

#[test]
fn configs_had_no_source() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("h", 1, &[("cleanup.policy", "compact")]);
    let keys = array(&[string("cleanup.policy"), string("retention.ms")]);
    assert_eq!(
        ask(&mut client, 32, 0, &array(&[[&[2][..], &string("h"), &keys].concat()]))[..],
        *b"\0\0\0\0\0\0\0\x01\0\0\0\0\x02\0\x01h\0\0\0\x02\0\x0ecleanup.policy\0\x07compact\0\0\0\0\x0cretention.ms\0\x09604800000\0\0\0"
    );
    let mut all = Vec::new();
    put_null_array(&mut all, FLEXIBLE);
    let resources =
        array(&[[&[2][..], &string("nope"), &all].concat(), [&[4][..], &string("77"), &all].concat()]);
    assert_eq!(
        ask(&mut client, 32, 0, &resources)[..],
        *b"\0\0\0\0\0\0\0\x02\0\x03\0\0\x02\0\x04nope\0\0\0\0\0\x2a\0\x41Unexpected broker id, expected 1 or empty string, but received 77\x04\0\x0277\0\0\0\0"
    );
}

#[test]
fn directories_in_the_oldest_version_are_as_in_the_next() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("a", 1, &[]);
    let partitions = array(&[topic("a", &[&[0; 4]])]);
    let described = ask(&mut client, 35, 0, &partitions);
    assert_eq!(described, ask(&mut client, 35, 1, &partitions));
    assert!(described.windows(1).any(|name| name == b"a"));

    let topics = array(&[topic("a", &[&[0; 4]]), topic("nope", &[&[0; 4]])]);
    let absent = array(&[[string("/nowhere"), topics].concat()]);
    assert_eq!(
        ask(&mut client, 34, 0, &absent)[..],
        *b"\0\0\0\0\0\0\0\x02\0\x01a\0\0\0\x01\0\0\0\0\0\x39\0\x04nope\0\0\0\x01\0\0\0\0\0\x39"
    );
}
