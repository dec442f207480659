//! The codecs against bytes that Apache Kafka 4.4.0 has written, each version by hand, and against noise.

use super::*;
use crate::fuzz::smoke;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("the test spells hex"))
        .collect()
}

fn offset_of(group: &str, partition: i32) -> OffsetKey {
    OffsetKey { group: group.into(), topic: "t".into(), partition: PartitionIndex(partition) }
}

fn topic_id() -> TopicId {
    let uuid = crate::protocol::ids::parse_uuid_text("2LZ4s0XLQuK1w2BfFCTOLg");
    TopicId(uuid.expect("the test spells a topic id"))
}

/// A key and value from the log of Apache Kafka 4.4.0, and what they say.
fn taken_from_kafka() -> Vec<(&'static str, Option<&'static str>, Record)> {
    let subscription = "000300000001000174ffffffff00000000ffffffffffff";
    let assignment = "000300000001000174000000020000000000000001ffffffff";
    let member_id = "me-47c90f7e-64a8-40ef-90d0-f4e5f8c4cb52";
    vec![
        (
            "0001000673696d706c6500017400000001",
            Some("0004000000000000000700000003026d000001a1ff767d78010010d8b678b345cb42e2b5c3605f1424ce2e"),
            Record::Offset(
                offset_of("simple", 1),
                Some(OffsetValue {
                    offset: Offset(7),
                    leader_epoch: LeaderEpoch(3),
                    metadata: "m".to_owned(),
                    commit_timestamp: Timestamp(1_795_287_317_880),
                    expire_timestamp: Timestamp::NONE,
                    topic_id: topic_id(),
                }),
            ),
        ),
        (
            "00010007636c617373696300017400000000",
            Some(
                "00040000000000000000ffffffff0468c3a9000001a1ff767f41010010d8b678b345cb42e2b5c3605f1424ce2e",
            ),
            Record::Offset(
                offset_of("classic", 0),
                Some(OffsetValue {
                    offset: Offset(0),
                    leader_epoch: LeaderEpoch::NONE,
                    metadata: "hé".to_owned(),
                    commit_timestamp: Timestamp(1_795_287_318_337),
                    expire_timestamp: Timestamp::NONE,
                    topic_id: topic_id(),
                }),
            ),
        ),
        (
            "000100036f6c6400017400000000",
            Some("00010000000000000005000178000001a1ff7681bb000001a1ff78085b"),
            Record::Offset(
                offset_of("old", 0),
                Some(OffsetValue {
                    offset: Offset(5),
                    leader_epoch: LeaderEpoch::NONE,
                    metadata: "x".to_owned(),
                    commit_timestamp: Timestamp(1_795_287_318_971),
                    expire_timestamp: Timestamp(1_795_287_418_971),
                    topic_id: TopicId::ZERO,
                }),
            ),
        ),
        ("000100036f6c6400017400000000", None, Record::Offset(offset_of("old", 0), None)),
        (
            "00020007636c6173736963",
            Some("0003000000000000ffffffff000001a1ff767e5000000000"),
            Record::Group(
                "classic".into(),
                Some(GroupValue {
                    protocol_type: String::new(),
                    generation: 0,
                    protocol: None,
                    leader: None,
                    current_state_timestamp: Timestamp(1_795_287_318_096),
                    members: Vec::new(),
                }),
            ),
        ),
        (
            "00020007636c6173736963",
            Some(concat!(
                "00030008636f6e73756d657200000001000572616e676500276d652d34376339306637652d363461382d343065662d39",
                "3064302d663465356638633463623532000001a1ff767e5d0000000100276d652d34376339306637652d363461382d34",
                "3065662d393064302d663465356638633463623532ffff00026d65000a2f3132372e302e302e31000493e00000afc800",
                "000017000300000001000174ffffffff00000000ffffffffffff00000019000300000001000174000000020000000000",
                "000001ffffffff"
            )),
            Record::Group(
                "classic".into(),
                Some(GroupValue {
                    protocol_type: "consumer".to_owned(),
                    generation: 1,
                    protocol: Some("range".to_owned()),
                    leader: Some(member_id.to_owned()),
                    current_state_timestamp: Timestamp(1_795_287_318_109),
                    members: vec![MemberValue {
                        member_id: member_id.to_owned(),
                        group_instance_id: None,
                        client_id: "me".to_owned(),
                        client_host: "/127.0.0.1".to_owned(),
                        rebalance_timeout_ms: 300_000,
                        session_timeout_ms: 45_000,
                        subscription: unhex(subscription).into(),
                        assignment: unhex(assignment).into(),
                    }],
                }),
            ),
        ),
    ]
}

#[test]
fn what_kafka_has_written_is_read_and_written_byte_for_byte() {
    for (key, value, record) in taken_from_kafka() {
        let (key, value) = (unhex(key), value.map(unhex));
        assert_eq!(decode(&key, value.as_deref()), Ok(Some(record.clone())));
        assert_eq!(encode(&record), KeyValue { key, value });
    }
}

#[test]
fn the_older_and_newer_versions_of_an_offset_are_read() {
    let value = |leader_epoch, topic_id| OffsetValue {
        offset: Offset(5),
        leader_epoch,
        metadata: "x".to_owned(),
        commit_timestamp: Timestamp(9),
        expire_timestamp: Timestamp::NONE,
        topic_id,
    };
    let unknown = value(LeaderEpoch::NONE, TopicId::ZERO);
    for version in ["0000", "0002"] {
        assert_eq!(
            decode_offset(&unhex(&format!("{version}00000000000000050001780000000000000009"))),
            Ok(unknown.clone())
        );
    }
    let version_3 = unhex("0003000000000000000500000002000178") // Offset, epoch, metadata.
        .into_iter()
        .chain(9i64.to_be_bytes())
        .collect::<Vec<u8>>();
    assert_eq!(decode_offset(&version_3), Ok(value(LeaderEpoch(2), TopicId::ZERO)));
    // A tag that a later release has added is skipped (KIP-915).
    let version_4 = unhex("00040000000000000005000000020278000000000000000901") // One tag.
        .into_iter()
        .chain([7, 2, 0xaa, 0xbb])
        .collect::<Vec<u8>>();
    assert_eq!(decode_offset(&version_4), Ok(value(LeaderEpoch(2), TopicId::ZERO)));
}

#[test]
fn a_key_of_the_first_version_is_an_offset_as_well() {
    let key = unhex("000000036f6c6400017400000000");
    assert_eq!(decode(&key, None), Ok(Some(Record::Offset(offset_of("old", 0), None))));
    assert_eq!(group_of_key(&key), Some("old"));
}

#[test]
fn the_older_and_newer_versions_of_a_group_are_read() {
    let strings = "000163"; // "c" as protocol type, or a client id, or a host.
    let head = format!("{strings}00000001000172ffff"); // Generation, protocol "r", no leader.
    let v0 = format!("0000{head}0000000100016d000163000168000000030000000000000000");
    let v1 = format!("0001{head}0000000100016d00016300016800000005000000030000000000000000");
    let v2 = format!("0002{head}00000000000000090000000100016d00016300016800000005000000030000000000000000");
    let v4 = "0004026300000001027200000000000000000902026d026902630268000000050000000301010000";
    let group = |timestamp, instance: Option<&str>, rebalance_timeout_ms| GroupValue {
        protocol_type: "c".to_owned(),
        generation: 1,
        protocol: Some("r".to_owned()),
        leader: None,
        current_state_timestamp: Timestamp(timestamp),
        members: vec![MemberValue {
            member_id: "m".to_owned(),
            group_instance_id: instance.map(str::to_owned),
            client_id: "c".to_owned(),
            client_host: "h".to_owned(),
            rebalance_timeout_ms,
            session_timeout_ms: 3,
            subscription: Bytes::new(),
            assignment: Bytes::new(),
        }],
    };
    // Without a rebalance timeout the session's is taken.
    assert_eq!(decode_group(&unhex(&v0)), Ok(group(-1, None, 3)));
    assert_eq!(decode_group(&unhex(&v1)), Ok(group(-1, None, 5)));
    assert_eq!(decode_group(&unhex(&v2)), Ok(group(9, None, 5)));
    assert_eq!(decode_group(&unhex(v4)), Ok(group(9, Some("i"), 5)));
}

#[test]
fn a_record_of_a_type_that_is_not_known_is_none() {
    for key in ["0009000167", "000f000167", "7fff"] {
        assert_eq!(decode(&unhex(key), Some(b"whatever")), Ok(None));
        assert_eq!(group_of_key(&unhex(key)), None);
    }
}

#[test]
fn a_value_of_an_unknown_version_or_cut_short_is_refused() {
    for (key, value, _) in taken_from_kafka() {
        let key = unhex(key);
        let Some(mut value) = value.map(unhex) else { continue };
        for size in 0..value.len() {
            assert!(decode(&key, Some(&value[..size])).is_err(), "cut to {size} bytes");
        }
        for size in 0..key.len() {
            assert!(decode(&key[..size], Some(&value)).is_err(), "key cut to {size} bytes");
        }
        value[1] = 5;
        assert!(decode(&key, Some(&value)).is_err(), "version 5");
    }
}

#[test]
fn keys_stand_together_by_group_and_topic() {
    let key = offset_key("g", "t", PartitionIndex(3));
    assert!(key.starts_with(&offsets_prefix()));
    assert!(key.starts_with(&group_offsets_prefix("g")));
    assert!(key.starts_with(&topic_offsets_prefix("g", "t")));
    assert!(!key.starts_with(&group_offsets_prefix("")));
    assert!(!offset_key("gg", "t", PartitionIndex(3)).starts_with(&group_offsets_prefix("g")));
    assert_eq!(parts_of_offset_key(&key), Ok(("g", "t", PartitionIndex(3))));

    for group in ["", "g", "gg"] {
        let behind = behind_prefix(&group_offsets_prefix(group));
        assert!(offset_key(group, "\u{10ffff}", PartitionIndex(-1)) < behind);
        for later in ["h", "hh", "ggg"] {
            let other = offset_key(later, "", PartitionIndex(0));
            assert_eq!(other >= behind, (later.len(), later) > (group.len(), group), "{group} {later}");
        }
    }
}

#[test]
fn noise_is_refused_without_a_panic_and_what_is_read_can_be_written() {
    let mut corpus = Vec::new();
    for (key, value, _) in taken_from_kafka() {
        let (key, value) = (unhex(key), value.map(unhex).unwrap_or_default());
        corpus.push([&[key.len() as u8][..], &key, &value].concat());
    }
    smoke("group-records", &corpus, 60_000, |input| {
        let Some((&key_size, rest)) = input.split_first() else { return };
        let (key, value) = rest.split_at(usize::from(key_size).min(rest.len()));
        let Ok(Some(record)) = decode(key, Some(value)) else { return };
        let KeyValue { key, value } = encode(&record);
        assert_eq!(decode(&key, value.as_deref()), Ok(Some(record)));
    });
}
