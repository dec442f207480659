//! Follows transactions through the log: which batches belong to aborted ones, and which markers nobody needs. Pure.
//!
//! Only decided transactions are met, because cleaning ends below the last stable offset. Kafka:
//! `CleanedTransactionMetadata`.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::log::txn_index::AbortedTransaction;
use crate::protocol::ids::{Offset, ProducerId};
use crate::protocol::summary::{BatchSummary, ControlType};

/// An aborted transaction between its first batch and its marker.
struct Ongoing {
    transaction: AbortedTransaction,
    has_batches: bool,
}

/// What is known at one place of the log. Batches come in the order of their offsets.
#[derive(Default)]
pub(super) struct Transactions {
    /// Aborted ones still to come.
    ahead: BTreeMap<(Offset, ProducerId), AbortedTransaction>,
    aborted: HashMap<ProducerId, Ongoing>,
    committed: HashSet<ProducerId>,
}

/// What a control batch means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MarkerVerdict {
    /// No batch of its transaction is left.
    pub can_be_discarded: bool,
    /// The transaction whose batches readers must still skip.
    pub aborted: Option<AbortedTransaction>,
}

impl Transactions {
    /// Aborted transactions from the index of the segments to come; more than once is no harm.
    pub fn expect(&mut self, aborted: &[AbortedTransaction]) {
        let keyed = aborted.iter().map(|entry| ((entry.first_offset, entry.producer_id), *entry));
        self.ahead.extend(keyed);
    }

    /// Whether a batch of records belongs to an aborted transaction.
    pub fn is_aborted(&mut self, batch: &BatchSummary) -> bool {
        self.begin_up_to(batch.last_offset());
        if !batch.is_transactional {
            return false;
        }
        match self.aborted.get_mut(&batch.producer_id) {
            Some(ongoing) => {
                ongoing.has_batches = true;
                true
            }
            None => {
                self.committed.insert(batch.producer_id);
                false
            }
        }
    }

    /// A control batch ends its producer's transaction.
    pub fn on_marker(&mut self, batch: &BatchSummary) -> MarkerVerdict {
        self.begin_up_to(batch.last_offset());
        let verdict = |can_be_discarded| MarkerVerdict { can_be_discarded, aborted: None };
        match batch.marker.map(|marker| marker.control_type) {
            Some(ControlType::Abort) => match self.aborted.remove(&batch.producer_id) {
                Some(ended) if ended.has_batches => {
                    MarkerVerdict { can_be_discarded: false, aborted: Some(ended.transaction) }
                }
                Some(_) | None => verdict(true),
            },
            Some(ControlType::Commit) => verdict(!self.committed.remove(&batch.producer_id)),
            // Its marker was removed by an earlier round, or it is no marker at all.
            None => verdict(batch.record_count == 0),
        }
    }

    fn begin_up_to(&mut self, offset: Offset) {
        while let Some(first) = self.ahead.first_entry()
            && first.key().0 <= offset
        {
            let transaction = first.remove();
            self.aborted
                .entry(transaction.producer_id)
                .or_insert(Ongoing { transaction, has_batches: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ids::{LeaderEpoch, ProducerEpoch, Timestamp};
    use crate::protocol::summary::EndTransactionMarker;

    fn data(producer: i64, offset: i64, is_transactional: bool) -> BatchSummary {
        BatchSummary {
            base_offset: Offset(offset),
            last_offset_delta: 0,
            record_count: 1,
            leader_epoch: LeaderEpoch(0),
            max_timestamp: Timestamp(1),
            producer_id: ProducerId(producer),
            producer_epoch: ProducerEpoch(0),
            base_sequence: 0,
            is_transactional,
            is_control: false,
            marker: None,
        }
    }

    fn marker(producer: i64, offset: i64, control_type: ControlType) -> BatchSummary {
        let marker = EndTransactionMarker { control_type, coordinator_epoch: 0, timestamp: Timestamp(1) };
        BatchSummary { is_control: true, marker: Some(marker), ..data(producer, offset, true) }
    }

    fn aborted(producer: i64, first_offset: i64, last_offset: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: ProducerId(producer),
            first_offset: Offset(first_offset),
            last_offset: Offset(last_offset),
            last_stable_offset: Offset(last_offset + 1),
        }
    }

    #[test]
    fn batches_of_aborted_transactions_are_told_from_others() {
        let mut transactions = Transactions::default();
        transactions.expect(&[aborted(7, 2, 5), aborted(7, 2, 5)]);
        assert!(!transactions.is_aborted(&data(7, 0, true)), "an earlier transaction of the producer");
        assert!(!transactions.on_marker(&marker(7, 1, ControlType::Commit)).can_be_discarded);
        assert!(transactions.is_aborted(&data(7, 2, true)));
        assert!(!transactions.is_aborted(&data(8, 3, true)));
        assert!(!transactions.is_aborted(&data(7, 4, false)));
        let ended = transactions.on_marker(&marker(7, 5, ControlType::Abort));
        assert_eq!(ended, MarkerVerdict { can_be_discarded: false, aborted: Some(aborted(7, 2, 5)) });
        assert!(!transactions.is_aborted(&data(7, 6, true)));
    }

    #[test]
    fn a_marker_whose_batches_are_gone_can_go() {
        let mut transactions = Transactions::default();
        transactions.expect(&[aborted(7, 0, 5)]);
        for (batch, expected) in [
            (marker(7, 5, ControlType::Abort), true),
            (marker(7, 6, ControlType::Commit), true),
            (BatchSummary { marker: None, record_count: 0, ..marker(7, 7, ControlType::Abort) }, true),
            (BatchSummary { marker: None, ..marker(7, 8, ControlType::Abort) }, false),
        ] {
            let verdict = transactions.on_marker(&batch);
            assert_eq!(verdict, MarkerVerdict { can_be_discarded: expected, aborted: None }, "{batch:?}");
        }
    }
}
