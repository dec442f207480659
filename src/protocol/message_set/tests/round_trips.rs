//! Down and up again, over records that a seed has made up.

use super::*;
use crate::protocol::records::{RecordIter, RecordShape};

type OwnedRecord = (Timestamp, Option<Vec<u8>>, Option<Vec<u8>>);

fn random_bytes(rng: &mut fastrand::Rng) -> Option<Vec<u8>> {
    let size = [0, 1, 5, 70, 3_000][rng.usize(..5)];
    (rng.u8(..4) > 0).then(|| (0..size).map(|_| rng.u8(b'a'..b'd')).collect())
}

fn random_records(rng: &mut fastrand::Rng) -> Vec<OwnedRecord> {
    let count = rng.usize(1..20);
    let record = |rng: &mut fastrand::Rng| {
        let timestamp = if rng.u8(..8) == 0 { Timestamp::NONE } else { Timestamp(rng.i64(0..1 << 41)) };
        (timestamp, random_bytes(rng), random_bytes(rng))
    };
    (0..count).map(|_| record(rng)).collect()
}

fn built(records: &[OwnedRecord], header: BatchHeader) -> Vec<u8> {
    let mut builder = BatchBuilder::new(header);
    for (timestamp, key, value) in records {
        let (key, value) = (key.as_deref(), value.as_deref());
        builder.push(&NewRecord { timestamp: *timestamp, key, value, headers: &[] });
    }
    builder.build()
}

#[test]
fn what_is_converted_down_and_up_again_is_what_it_was() {
    for seed in 0..80 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let records = random_records(&mut rng);
        let compression = OLD_CODECS[rng.usize(..4)];
        let header = || BatchHeader { compression, ..BatchHeader::default() };
        let moved = BatchHeader { base_offset: Offset(rng.i64(0..1 << 40)), ..header() };
        let in_the_log = built(&records, moved);

        let converted = downgrade(&in_the_log, Magic::V1, Offset::ZERO, 0).unwrap();
        let back = upgrade(&converted.messages, &plain_rules()).unwrap();
        assert!(back == built(&records, header()), "seed {seed}, {compression:?}");

        // Format 0 has no times.
        let timeless: Vec<OwnedRecord> =
            records.iter().map(|(_, key, value)| (Timestamp::NONE, key.clone(), value.clone())).collect();
        let converted = downgrade(&in_the_log, Magic::V0, Offset::ZERO, 0).unwrap();
        let back = upgrade(&converted.messages, &plain_rules()).unwrap();
        assert!(back == built(&timeless, header()), "seed {seed}, {compression:?}");
    }
}

#[test]
fn log_append_time_goes_down_and_is_given_on_the_way_up() {
    let records = [(Timestamp(5), None, Some(b"a".to_vec())), (Timestamp(9), None, None)];
    for compression in OLD_CODECS {
        let header = BatchHeader {
            compression,
            timestamp_type: TimestampType::LogAppendTime,
            ..BatchHeader::default()
        };
        let mut builder = BatchBuilder::new(header);
        for (timestamp, key, value) in &records {
            let (key, value) = (key.as_deref(), value.as_deref());
            builder.push(&NewRecord { timestamp: *timestamp, key, value, headers: &[] });
        }
        builder.set_max_timestamp(NOW);
        let converted = downgrade(&builder.build(), Magic::V1, Offset::ZERO, 0).unwrap();
        for message in messages(&converted.messages) {
            let time = (message.timestamp_type(), message.timestamp());
            assert_eq!(time, (TimestampType::LogAppendTime, NOW), "{compression:?}");
        }

        let sent = downgrade(
            &built(&records, BatchHeader { compression, ..BatchHeader::default() }),
            Magic::V1,
            Offset::ZERO,
            0,
        )
        .unwrap();
        let rules = UpgradeRules { timestamp_type: TimestampType::LogAppendTime, ..plain_rules() };
        let appended = append(&sent.messages, &rules).unwrap();
        let (batch, _) = Batch::split_first(&appended).unwrap();
        assert_eq!(batch.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!((batch.max_timestamp(), batch.record_count()), (NOW, 2));
        assert!(batch.crc_matches());
    }
}

#[test]
fn headers_are_dropped_and_deletes_are_kept() {
    let mut builder = BatchBuilder::new(BatchHeader::default());
    let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", Some(b"1"))];
    builder.push(&NewRecord { timestamp: NOW, key: Some(b"k"), value: None, headers });
    let converted = downgrade(&builder.build(), Magic::V1, Offset::ZERO, 0).unwrap();
    assert_eq!(converted.messages, message(Magic::V1, Some("k"), None));
}

#[test]
fn offsets_of_a_set_do_not_matter_on_the_way_up() {
    let at = |offset| put(NewMessage { offset: Offset(offset), ..empty_message(Magic::V0) });
    let set = [at(7), at(7), at(-1), at(3)].concat();
    let converted = upgrade(&set, &plain_rules()).unwrap();
    let (batch, _) = Batch::split_first(&converted).unwrap();
    let deltas: Vec<i32> = RecordIter::of(batch)
        .map(|record| record.unwrap().shape())
        .map(|RecordShape { offset_delta, .. }| offset_delta)
        .collect();
    assert_eq!((batch.base_offset(), deltas), (Offset::ZERO, vec![0, 1, 2, 3]));
}
