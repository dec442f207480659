//! The codec against bytes that Apache Kafka 4.4.0 has written, and against noise.

use super::*;
use crate::fuzz::smoke;

const KEY: &str = "00000003706179";

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("the test spells hex"))
        .collect()
}

fn ongoing() -> TransactionMetadata {
    let partitions = [("a", 0), ("a", 1), ("__consumer_offsets", 7)];
    TransactionMetadata {
        producer: TransactionalProducer { id: ProducerId(1000), epoch: ProducerEpoch(3) },
        previous_id: ProducerId(1000),
        next_id: ProducerId::NONE,
        last_epoch: NO_EPOCH,
        timeout_ms: 60_000,
        state: State::Ongoing,
        partitions: partitions
            .map(|(topic, index)| (Arc::from(topic), PartitionIndex(index)))
            .into_iter()
            .collect(),
        start: Timestamp(1_795_287_317_000),
        last_update: Timestamp(1_795_287_317_880),
        client_version: 2,
    }
}

/// A value as Apache Kafka 4.4.0 writes it, and what it says.
fn taken_from_kafka() -> Vec<(&'static str, RecordValue)> {
    let fresh = TransactionMetadata {
        producer: TransactionalProducer { epoch: ProducerEpoch(0), ..ongoing().producer },
        previous_id: ProducerId::NONE,
        state: State::Empty,
        partitions: OrdSet::new(),
        start: Timestamp::NONE,
        client_version: 0,
        ..ongoing()
    };
    let rotating = TransactionMetadata {
        producer: TransactionalProducer { epoch: ProducerEpoch(i16::MAX), ..ongoing().producer },
        next_id: ProducerId(2000),
        state: State::PrepareCommit,
        ..ongoing()
    };
    let plain = TransactionMetadata { previous_id: ProducerId::NONE, client_version: 0, ..ongoing() };
    let aborted =
        TransactionMetadata { state: State::CompleteAbort, partitions: OrdSet::new(), ..plain.clone() };
    let empty = TransactionMetadata { state: State::Empty, start: Timestamp::NONE, ..aborted.clone() };
    let flexible = |metadata| RecordValue { metadata, is_flexible: true };
    let plain_value = |metadata| RecordValue { metadata, is_flexible: false };
    vec![
        ("000100000000000003e800000000ea600000000001a1ff767d78ffffffffffffffff00", flexible(fresh)),
        (
            "000100000000000003e800030000ea600103026103000000010000000000135f5f636f6e73756d65725f6f66667365\
             7473020000000700000001a1ff767d78000001a1ff767a0802000800000000000003e802020002",
            flexible(ongoing()),
        ),
        (
            "000100000000000003e87fff0000ea600203026103000000010000000000135f5f636f6e73756d65725f6f66667365\
             7473020000000700000001a1ff767d78000001a1ff767a0803000800000000000003e8010800000000000007d002020002",
            flexible(rotating),
        ),
        ("000000000000000003e800030000ea600500000000000001a1ff767d78000001a1ff767a08", plain_value(aborted)),
        (
            "000000000000000003e800030000ea60010000000200016100000002000000010000000000125f5f636f6e73756d65\
             725f6f6666736574730000000100000007000001a1ff767d78000001a1ff767a08",
            plain_value(plain),
        ),
        ("000000000000000003e800030000ea6000ffffffff000001a1ff767d78ffffffffffffffff", plain_value(empty)),
    ]
}

#[test]
fn what_kafka_has_written_is_read_and_written_alike() {
    for (value, expected) in taken_from_kafka() {
        let record = decode(&unhex(KEY), Some(&unhex(value))).unwrap().unwrap();
        assert_eq!(&*record.transactional_id, "pay");
        assert_eq!(record.value.as_ref(), Some(&expected), "{value}");
        let encoded = encode(&record);
        assert_eq!(encoded.key, unhex(KEY));
        // Kafka's topics and partitions are in the order of a hash.
        if expected.metadata.partitions.is_empty() {
            assert_eq!(encoded.value, Some(unhex(value)));
        }
        assert_eq!(decode(&encoded.key, encoded.value.as_deref()).unwrap(), Some(record));
    }
}

#[test]
fn a_tombstone_has_no_value() {
    let record = Record { transactional_id: "pay".into(), value: None };
    let encoded = encode(&record);
    assert_eq!((encoded.key.clone(), encoded.value.clone()), (unhex(KEY), None));
    assert_eq!(decode(&encoded.key, None).unwrap(), Some(record));
}

#[test]
fn what_nobody_writes_is_told_from_what_is_not_known() {
    assert_eq!(decode(&unhex("00010003706179"), None).unwrap(), None, "another type of key");
    for value in [
        "0002",
        "",
        "000000000000000003e800030000ea6006ffffffff000001a1ff767d78ffffffffffffffff",
        "000000000000000003e800030000ea600100000002",
    ] {
        assert!(decode(&unhex(KEY), Some(&unhex(value))).is_err(), "{value}");
    }
    assert!(decode(&unhex("0000"), None).is_err());
}

#[test]
fn noise_is_refused_and_harms_nothing() {
    let seeds: Vec<Vec<u8>> = taken_from_kafka().iter().map(|(value, _)| unhex(value)).collect();
    smoke("transaction-records", &seeds, 60_000, |bytes| {
        if let Ok(Some(record)) = decode(&unhex(KEY), Some(bytes)) {
            let encoded = encode(&record);
            assert_eq!(decode(&encoded.key, encoded.value.as_deref()).unwrap().as_ref(), Some(&record));
        }
    });
}
