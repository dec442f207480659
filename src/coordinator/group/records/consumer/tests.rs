//! The codecs against bytes that Apache Kafka 4.4.0 has written, and against noise.

use uuid::Uuid;

use super::super::{decode, encode};
use super::*;
use crate::fuzz::smoke;

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("the test spells hex");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn topic() -> TopicId {
    TopicId(Uuid::from_u64_pair(1, 2))
}

fn owned(partitions: &[(i32, i32)]) -> OwnedPartitions {
    let partitions = partitions.iter().map(|(index, epoch)| (PartitionIndex(*index), *epoch));
    OwnedPartitions::from([(topic(), partitions.collect())])
}

fn names(names: &[&str]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn member() -> MemberMetadata {
    MemberMetadata {
        instance_id: Some("i".into()),
        rack_id: None,
        client_id: "c".into(),
        client_host: "/h".into(),
        subscribed_topics: names(&["a", "b"]),
        subscribed_regex: Some("x.*".into()),
        rebalance_timeout_ms: 9,
        server_assignor: Some("range".into()),
        classic: None,
    }
}

/// A key and value as Apache Kafka 4.4.0 spells them, and what they say.
fn taken_from_kafka() -> Vec<(&'static str, Option<&'static str>, ConsumerRecord)> {
    let protocol = Protocol { name: "range".into(), metadata: Bytes::from_static(&[1, 2]) };
    let classic = MemberMetadata {
        instance_id: None,
        rack_id: Some("r".into()),
        subscribed_topics: names(&[]),
        subscribed_regex: None,
        server_assignor: None,
        classic: Some(ClassicMetadata { session_timeout_ms: 5, protocols: Arc::from([protocol]) }),
        ..member()
    };
    let target = Assignment::from([(topic(), [0, 3].map(PartitionIndex).into())]);
    let current = CurrentAssignment {
        member_epoch: 7,
        previous_member_epoch: 6,
        state: MemberState::UnrevokedPartitions,
        assigned: owned(&[(0, 5), (3, 6)]),
        pending_revocation: owned(&[(1, 4)]),
    };
    let resolved = ResolvedRegex { topics: names(&["xa"]), version: 12, timestamp: Timestamp(1000) };
    vec![
        (
            "0003000167",
            Some("000000000007010008fffffffffffffffb"),
            ConsumerRecord::Epoch(Some(GroupEpoch { epoch: 7, metadata_hash: -5 })),
        ),
        (
            "0003000167",
            Some("00000000000700"),
            ConsumerRecord::Epoch(Some(GroupEpoch { epoch: 7, metadata_hash: 0 })),
        ),
        ("0004000167", None, ConsumerRecord::PartitionMetadata(None)),
        (
            "000500016700016d",
            Some("00000269000263032f68030261026204782e2a000000090672616e676500"),
            ConsumerRecord::Member("m".into(), Some(Arc::new(member()))),
        ),
        (
            "000500016700016d",
            Some("00000002720263032f68010000000009000100110100000005020672616e67650301020000"),
            ConsumerRecord::Member("m".into(), Some(Arc::new(classic))),
        ),
        (
            "0006000167",
            Some("00000000000701000800000000000003e8"),
            ConsumerRecord::TargetEpoch(Some(TargetEpoch { epoch: 7, timestamp: Timestamp(1000) })),
        ),
        (
            "000700016700016d",
            Some("000002000000000000000100000000000000020300000000000000030000"),
            ConsumerRecord::Target("m".into(), Some(Arc::new(target))),
        ),
        (
            "000800016700016d",
            Some(
                "0000000000070000000601020000000000000001000000000000000203000000000000000301000903000000050000000602\
                 000000000000000100000000000000020200000001010005020000000400",
            ),
            ConsumerRecord::Current("m".into(), Some(Arc::new(current))),
        ),
        (
            "00100001670003782e2a",
            Some("000002037861000000000000000c00000000000003e800"),
            ConsumerRecord::Regex("x.*".into(), Some(Arc::new(resolved))),
        ),
    ]
}

#[test]
fn records_are_those_of_kafka() {
    for (key, value, expected) in taken_from_kafka() {
        let expected = Record::Consumer("g".into(), expected);
        let (key, value) = (unhex(key), value.map(unhex));
        assert_eq!(decode(&key, value.as_deref()), Ok(Some(expected.clone())));
        assert_eq!(encode(&expected), KeyValue { key: key.clone(), value });
        assert_eq!(super::super::group_of_key(&key), Some("g"));
    }
}

#[test]
fn partitions_of_older_records_have_the_epoch_of_their_member() {
    let value = "000000000007000000060002000000000000000100000000000000020200000000000100";
    let expected = CurrentAssignment {
        member_epoch: 7,
        previous_member_epoch: 6,
        state: MemberState::Stable,
        assigned: owned(&[(0, 7)]),
        pending_revocation: OwnedPartitions::new(),
    };
    let expected =
        Record::Consumer("g".into(), ConsumerRecord::Current("m".into(), Some(Arc::new(expected))));
    assert_eq!(decode(&unhex("000800016700016d"), Some(&unhex(value))), Ok(Some(expected)));
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
        value[1] = 1;
        assert!(decode(&key, Some(&value)).is_err(), "version 1");
    }
}

#[test]
fn noise_is_refused_without_a_panic_and_what_is_read_can_be_written() {
    let corpus = taken_from_kafka().into_iter().map(|(key, value, _)| {
        let (key, value) = (unhex(key), value.map(unhex).unwrap_or_default());
        [&[key.len() as u8][..], &key, &value].concat()
    });
    smoke("consumer-group-records", &corpus.collect::<Vec<_>>(), 60_000, |input| {
        let Some((&key_size, rest)) = input.split_first() else { return };
        let (key, value) = rest.split_at(usize::from(key_size).min(rest.len()));
        let Ok(Some(record)) = decode(key, Some(value)) else { return };
        let KeyValue { key, value } = encode(&record);
        assert_eq!(decode(&key, value.as_deref()), Ok(Some(record)));
    });
}
