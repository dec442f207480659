//! A partition's part in transactions: verification before one is opened here, the markers that end it, and what a
//! read_committed consumer sees (KIP-98, KIP-890).
//!
//! Kafka: `Partition.maybeStartTransactionVerification`, `ReplicaManager.appendRecords` for markers,
//! `UnifiedLog.collectAbortedTransactions`.

use std::sync::Arc;

use super::replica::{LeaderAppend, Replica, Terms};
use crate::env::fs::FileRegion;
pub use crate::log::append::AppendError;
use crate::log::producer_state::Origin;
use crate::log::read::ReadLimits;
pub use crate::log::verification::{Unverified, Verification, VerificationGuard};
use crate::protocol::control;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::fetch::AbortedTransaction;
use crate::protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// What ends the transaction of a producer in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionEnd {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub is_commit: bool,
    /// Of the transaction coordinator.
    pub coordinator_epoch: i32,
    /// `transaction.version` of the transaction: from 2 on the marker's epoch is higher than that of its records.
    pub transaction_version: i16,
}

impl Replica {
    /// Before the coordinator of a transaction is asked about a batch: the guard to append it with, or `None` when the
    /// transaction is ongoing here and nobody need be asked.
    ///
    /// Errors: INVALID_PRODUCER_EPOCH for a producer that is fenced here, NOT_LEADER_OR_FOLLOWER when the partition is
    /// closed.
    pub fn start_verification(
        &self,
        batch: &Unverified,
        now: Timestamp,
    ) -> Result<Option<VerificationGuard>, ApiError> {
        self.with_log(|log, _| log.start_verification(batch, now))
            .unwrap_or_else(|| Err(ErrorCode::NotLeaderOrFollower.into()))
    }

    /// Appends the marker that ends a transaction, also when none is ongoing here. With `epoch` only in the term of that
    /// leader epoch. Its writer waits as for acks=all: [`Replica::still_required`].
    ///
    /// Errors: as [`Replica::append`], INVALID_PRODUCER_EPOCH, and TRANSACTION_COORDINATOR_FENCED when a later coordinator
    /// has written already.
    pub fn append_marker(
        self: &Arc<Replica>,
        end: &TransactionEnd,
        epoch: Option<LeaderEpoch>,
        now: Timestamp,
    ) -> Result<LeaderAppend, AppendError> {
        let producer = (end.producer_id, end.producer_epoch);
        let mut batch = control::end_transaction_marker(producer, end.is_commit, end.coordinator_epoch, now);
        let origin = Origin::TransactionCoordinator { transaction_version: end.transaction_version };
        self.append_on(Terms { origin, acks_all: true, epoch }, &mut batch, now)
    }

    /// Records from `from` that a read_committed consumer may see, with the aborted transactions that it must skip in them:
    /// whole batches as one file range.
    pub fn read_committed(
        &self,
        from: Offset,
        max_size_bytes: usize,
        at_least_one: bool,
    ) -> Result<Option<(FileRegion, Vec<AbortedTransaction>)>, ErrorCode> {
        let limits = ReadLimits { max_size_bytes, up_to: self.last_stable_offset(), at_least_one };
        let read = self.view().read_committed(from, limits).map_err(|error| self.read_failed(error))?;
        Ok(read.map(|(region, aborted)| {
            let told = |transaction: crate::log::txn_index::AbortedTransaction| AbortedTransaction {
                producer_id: transaction.producer_id,
                first_offset: transaction.first_offset,
            };
            (region, aborted.into_iter().map(told).collect())
        }))
    }
}

#[cfg(test)]
mod tests;
