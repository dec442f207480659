use super::*;
use crate::protocol::ids::{PartitionIndex, ProducerEpoch, ProducerId};
use crate::protocol::produce::TopicRef;
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};

/// A frame that holds the transactional id "x" and then these batches, one for each partition.
fn request(is_named: bool, batches: &[Vec<u8>]) -> (ProduceRequest, Vec<u8>) {
    let mut frame = b"x".to_vec();
    let mut partitions = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        let start = frame.len();
        frame.extend_from_slice(batch);
        partitions.push(PartitionRecords {
            topic: TopicRef::Name(0..1),
            partition: PartitionIndex(index as i32),
            records: Some(start..frame.len()),
        });
    }
    let transactional_id = is_named.then_some(0..1);
    (ProduceRequest { transactional_id, acks: -1, timeout_ms: 1000, partitions }, frame)
}

fn batch(producer_id: i64, producer_epoch: i16, is_transactional: bool) -> Vec<u8> {
    let header = BatchHeader {
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch(producer_epoch),
        base_sequence: 0,
        transactional: is_transactional,
        ..BatchHeader::default()
    };
    let mut builder = BatchBuilder::new(header);
    builder.push(&NewRecord { timestamp: Timestamp(1), key: None, value: Some(b"v"), headers: &[] });
    builder.build()
}

fn found(is_named: bool, batches: &[Vec<u8>]) -> Result<Option<(i64, i16)>, ErrorCode> {
    let (request, frame) = request(is_named, batches);
    let found = transaction(&request, &frame).map_err(|refusal| refusal.code)?;
    Ok(found.map(|found| (found.producer.id.0, found.producer.epoch.0)))
}

#[test]
fn a_request_has_the_batches_of_one_transaction() {
    assert_eq!(found(true, &[batch(7, 1, true), batch(7, 1, true)]), Ok(Some((7, 1))));
    assert_eq!(found(true, &[batch(8, 0, false), batch(7, 1, true)]), Ok(Some((7, 1))));
    assert_eq!(found(true, &[batch(8, 0, false)]), Ok(None));
    let mixed = Err(ErrorCode::InvalidProducerIdMapping);
    assert_eq!(found(true, &[batch(7, 1, true), batch(8, 1, true)]), mixed);
    assert_eq!(found(true, &[batch(7, 1, true), batch(7, 2, true)]), mixed);
}

#[test]
fn transactional_records_need_a_transactional_id() {
    let refused = Err(ErrorCode::TransactionalIdAuthorizationFailed);
    assert_eq!(found(false, &[batch(8, 0, false), batch(7, 1, true)]), refused);
    assert_eq!(found(false, &[batch(8, 0, false)]), Ok(None));
}

#[test]
fn what_cannot_be_read_belongs_to_no_transaction() {
    let mut cut = batch(7, 1, true);
    cut.truncate(40);
    assert_eq!(found(false, &[cut, Vec::new(), vec![2; 70]]), Ok(None));
}

#[test]
fn a_coordinators_error_is_told_as_the_version_understands_it() {
    use ErrorCode::*;
    let cases = [
        (ProducerFenced, [InvalidProducerEpoch; 3]),
        (TransactionAbortable, [InvalidTxnState, TransactionAbortable, TransactionAbortable]),
        (InvalidTxnState, [InvalidTxnState; 3]),
        (NetworkException, [NotEnoughReplicas; 3]),
        (CoordinatorLoadInProgress, [NotEnoughReplicas; 3]),
        (CoordinatorNotAvailable, [NotEnoughReplicas; 3]),
        (NotCoordinator, [NotEnoughReplicas; 3]),
        (ConcurrentTransactions, [NotEnoughReplicas, NotEnoughReplicas, ConcurrentTransactions]),
        (InvalidProducerIdMapping, [InvalidProducerIdMapping; 3]),
    ];
    for (code, told) in cases {
        assert_eq!([10, 11, 12].map(|version| refusal(version, code).code), told, "{code}");
    }
    let sentence = "Unable to verify the partition has been added to the transaction. Underlying error: \
                    CONCURRENT_TRANSACTIONS";
    assert_eq!(refusal(11, ConcurrentTransactions).message.as_deref(), Some(sentence));
}
