//! Transactions in a Produce request: its batches must be of one producer, and each partition that does not have the
//! transaction yet is verified with the transaction's coordinator, or added to it, before anything is appended.
//!
//! Nobody is asked about a transaction that is ongoing in the partition: of its batches only the first waits. Whoever
//! appends presents the guard that was given out before the coordinator was asked. KIP-98, KIP-890. Kafka:
//! `ReplicaManager.handleProduceAppend`, `AddPartitionsToTxnManager`.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::find_replica;
use crate::coordinator::shard::TransactionalProducer;
use crate::coordinator::transaction::command::{AddPartitionsRequest, TopicPartition};
use crate::handlers::context::RequestContext;
use crate::protocol::batch::Batch;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::Timestamp;
use crate::protocol::produce::{PartitionRecords, ProduceRequest};
use crate::protocol::wire;
use crate::replication::transactions::{Unverified, Verification, VerificationGuard};

/// Producers of this version leave it to the broker to add the partitions that they write to (KIP-890, part 2).
const ADDS_SINCE_VERSION: i16 = 12;
/// Producers of this version understand TRANSACTION_ABORTABLE.
const ABORTABLE_SINCE_VERSION: i16 = 11;

/// What the partitions of a request are appended with.
pub enum Vouched {
    /// The same for all.
    All(Verification),
    /// One for each, in the order of the request.
    Each(Vec<Result<Verification, ApiError>>),
    /// None of them is.
    Refused(ApiError),
}

impl Vouched {
    /// What the partition at `index` of the request is appended with.
    pub fn of(&self, index: usize) -> Result<Verification, ApiError> {
        match self {
            Vouched::All(verification) => Ok(*verification),
            Vouched::Each(each) => each[index].clone(),
            Vouched::Refused(refusal) => Err(refusal.clone()),
        }
    }
}

/// What is to be done before a request is appended.
pub enum Before {
    Nothing(Vouched),
    /// [`verify`], which may have to wait.
    Verify(Transaction),
}

/// The one transaction that all transactional batches of a request belong to.
#[derive(PartialEq, Eq)]
pub struct Transaction {
    /// Range of the transactional id in the frame.
    id: Range<usize>,
    producer: TransactionalProducer,
}

/// Looks at the headers of all batches, which nobody has checked yet.
pub fn look(context: &RequestContext, request: &ProduceRequest, frame: &[u8], now: Timestamp) -> Before {
    let transaction = match transaction(request, frame) {
        Ok(Some(transaction)) => transaction,
        Ok(None) => return Before::Nothing(Vouched::All(Verification::Required(None))),
        Err(refusal) => return Before::Nothing(Vouched::Refused(refusal)),
    };
    let unasked = unasked(context);
    let is_asked = context.version >= ADDS_SINCE_VERSION || unasked != Verification::Off;
    let is_ongoing = |partition| matches!(start(context, partition, frame, now), Ok(None));
    if !is_asked || request.partitions.iter().all(is_ongoing) {
        return Before::Nothing(Vouched::All(unasked));
    }
    Before::Verify(transaction)
}

/// The transaction that the request goes on with.
fn transaction(request: &ProduceRequest, frame: &[u8]) -> Result<Option<Transaction>, ApiError> {
    let mut found = None;
    for batch in request.partitions.iter().filter_map(|partition| transactional(partition, frame)) {
        let Some(id) = request.transactional_id.clone() else {
            let sentence = "Transactional Id authorization failed.";
            return Err(ApiError::new(ErrorCode::TransactionalIdAuthorizationFailed, sentence));
        };
        let producer = TransactionalProducer { id: batch.producer_id(), epoch: batch.producer_epoch() };
        let this = Transaction { id, producer };
        if found.as_ref().is_some_and(|other| *other != this) {
            let sentence = "Transactional records contained more than one producer ID";
            return Err(ApiError::new(ErrorCode::InvalidProducerIdMapping, sentence));
        }
        found = Some(this);
    }
    Ok(found)
}

/// The batch of a partition, if it belongs to a transaction. What cannot be read is refused when it is to be appended.
fn transactional<'a>(partition: &PartitionRecords, frame: &'a [u8]) -> Option<Batch<'a>> {
    let (batch, _) = Batch::split_first(&frame[partition.records.clone()?]).ok()?;
    batch.is_transactional().then_some(batch)
}

/// What a batch is appended with that nobody has asked about.
fn unasked(context: &RequestContext) -> Verification {
    match context.services.config().transaction.transaction_partition_verification_enable {
        true => Verification::Required(None),
        false => Verification::Off,
    }
}

/// A partition that the coordinator is to be asked about; `None` for one that need not be.
fn start(
    context: &RequestContext,
    partition: &PartitionRecords,
    frame: &[u8],
    now: Timestamp,
) -> Result<Option<(TopicPartition, VerificationGuard)>, ApiError> {
    let Some(batch) = transactional(partition, frame) else { return Ok(None) };
    let replica = find_replica(context, partition, frame)?;
    let batch = Unverified {
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        is_v2: context.version >= ADDS_SINCE_VERSION,
    };
    let guard = replica.start_verification(&batch, now)?;
    Ok(guard.map(|guard| ((replica.name().topic.clone(), replica.name().partition), guard)))
}

/// Has the coordinator add the partitions of the request to the transaction, or say that they are in it.
#[cold]
pub async fn verify(
    context: &RequestContext,
    request: &ProduceRequest,
    frame: &[u8],
    transaction: Transaction,
) -> Vouched {
    let transactional_id: Arc<str> = wire::text(frame, transaction.id).into();
    let adds = context.version >= ADDS_SINCE_VERSION;
    let (clock, config) = (&context.services.clock, context.services.config());
    let settings = &config.transaction;
    let longest_ms =
        settings.add_partitions_to_txn_retry_backoff_max_ms.min(config.network.request_timeout_ms);
    let last_retry_before_ms = clock.uptime_ms() + i64::from(longest_ms);
    loop {
        let now = clock.now();
        let started = request.partitions.iter().map(|partition| start(context, partition, frame, now));
        let started: Vec<_> = started.collect();
        let partitions: Vec<TopicPartition> =
            started.iter().flatten().flatten().map(|(partition, _)| partition.clone()).collect();
        let answers = match partitions.is_empty() {
            true => Vec::new(),
            false => {
                let asked = AddPartitionsRequest {
                    transactional_id: transactional_id.clone(),
                    producer: transaction.producer,
                    partitions,
                    verify_only: !adds,
                    is_v2: adds,
                };
                context.services.transactions.add_partitions(asked).await
            }
        };
        // The transaction before is being ended, which takes no longer than its markers do.
        let is_early = answers.contains(&ErrorCode::ConcurrentTransactions);
        if !adds || !is_early || clock.uptime_ms() >= last_retry_before_ms {
            return Vouched::Each(settle(context.version, unasked(context), started, answers));
        }
        let backoff_ms = u64::from(settings.add_partitions_to_txn_retry_backoff_ms.unsigned_abs());
        tokio::time::sleep(Duration::from_millis(backoff_ms)).await;
    }
}

/// Puts the coordinator's answers to the partitions that it was asked about.
fn settle(
    version: i16,
    unasked: Verification,
    started: Vec<Result<Option<(TopicPartition, VerificationGuard)>, ApiError>>,
    answers: Vec<ErrorCode>,
) -> Vec<Result<Verification, ApiError>> {
    let mut answers = answers.into_iter();
    let mut vouch = |started: Option<(TopicPartition, VerificationGuard)>| {
        let Some((_, guard)) = started else { return Ok(unasked) };
        match answers.next() {
            Some(ErrorCode::None) => Ok(match unasked {
                Verification::Off => Verification::Off,
                Verification::Required(_) => Verification::Required(Some(guard)),
            }),
            Some(code) => Err(refusal(version, code)),
            None => Err(refusal(version, ErrorCode::CoordinatorNotAvailable)),
        }
    };
    started.into_iter().map(|started| started.and_then(&mut vouch)).collect()
}

/// What a producer is told of the coordinator's error. Producers do not know those of a coordinator, and
/// NOT_ENOUGH_REPLICAS has them try again without looking for another leader.
fn refusal(version: i16, code: ErrorCode) -> ApiError {
    match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch.into(),
        ErrorCode::TransactionAbortable if version < ABORTABLE_SINCE_VERSION => not_added(),
        ErrorCode::InvalidTxnState => not_added(),
        ErrorCode::ConcurrentTransactions if version >= ADDS_SINCE_VERSION => code.into(),
        ErrorCode::ConcurrentTransactions
        | ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => {
            let sentence = format!(
                "Unable to verify the partition has been added to the transaction. Underlying error: {}",
                code.name()
            );
            ApiError::new(ErrorCode::NotEnoughReplicas, sentence)
        }
        told => told.into(),
    }
}

fn not_added() -> ApiError {
    ApiError::new(ErrorCode::InvalidTxnState, "Partition was not added to the transaction")
}

#[cfg(test)]
mod tests;
