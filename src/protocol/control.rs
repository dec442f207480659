//! The control batches that brokers write into the logs of records: the end of a transaction (KIP-98).
//!
//! What is read of one stands in `protocol::summary`. Kafka: `EndTransactionMarker`, `MemoryRecords.withEndTransactionMarker`.

use crate::protocol::ids::{ProducerEpoch, ProducerId, Timestamp};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};

/// The batch that ends the open transaction of a producer, to be numbered by the log that takes it. Its one record has
/// the key `version type` and the value `version coordinatorEpoch`, both of version 0.
pub fn end_transaction_marker(
    (producer_id, producer_epoch): (ProducerId, ProducerEpoch),
    is_commit: bool,
    coordinator_epoch: i32,
    timestamp: Timestamp,
) -> Vec<u8> {
    let header = BatchHeader {
        transactional: true,
        control: true,
        producer_id,
        producer_epoch,
        ..BatchHeader::default()
    };
    let key = [0, 0, 0, u8::from(is_commit)];
    let mut value = [0; 6];
    value[2..].copy_from_slice(&coordinator_epoch.to_be_bytes());
    let mut builder = BatchBuilder::new(header);
    builder.push(&NewRecord { timestamp, key: Some(&key), value: Some(&value), headers: &[] });
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::batch::Batch;
    use crate::protocol::summary::{BatchSummary, ControlType, EndTransactionMarker};

    #[test]
    fn a_marker_is_read_back() {
        for (is_commit, control_type) in [(true, ControlType::Commit), (false, ControlType::Abort)] {
            let producer = (ProducerId(7), ProducerEpoch(3));
            let bytes = end_transaction_marker(producer, is_commit, 21, Timestamp(1_000));
            let (batch, rest) = Batch::split_first(&bytes).unwrap();
            let summary = BatchSummary::of(batch).unwrap();
            assert!(rest.is_empty() && batch.crc_matches());
            assert_eq!((summary.producer_id, summary.producer_epoch), producer);
            assert_eq!((summary.is_transactional, summary.is_control), (true, true));
            assert_eq!((summary.base_sequence, summary.record_count, summary.last_offset_delta), (-1, 1, 0));
            let timestamp = Timestamp(1_000);
            assert_eq!(
                summary.marker,
                Some(EndTransactionMarker { control_type, coordinator_epoch: 21, timestamp })
            );
        }
    }

    #[test]
    fn a_marker_has_kafkas_bytes() {
        let bytes =
            end_transaction_marker((ProducerId(1), ProducerEpoch(2)), true, 3, Timestamp(0x0102_0304_0506));
        // Attributes: transactional and control. The record: length 16, attributes, deltas, key, value, no headers.
        assert_eq!(bytes[21..23], [0, 0x30]);
        assert_eq!(bytes[61..], [32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 3, 0]);
    }
}
