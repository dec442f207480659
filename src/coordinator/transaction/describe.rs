//! What DescribeTransactions and ListTransactions show (KIP-664, KIP-994, KIP-1152). Reads, and decides nothing.
//! Kafka: `handleDescribeTransactions`, `TransactionStateManager.listTransactionStates`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::metadata::TransactionMetadata;
use super::shard::TransactionShard;
use super::state::State;
use crate::coordinator::shard::TransactionalProducer;
use crate::protocol::ids::{PartitionIndex, ProducerId, Timestamp};

/// States that Kafka knows by name and nobody ever sees: a filter may ask for them.
const UNSEEN_STATES: [&str; 2] = ["Dead", "PrepareEpochFence"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    pub state: State,
    pub timeout_ms: i32,
    /// -1 before the first transaction.
    pub start: Timestamp,
    pub producer: TransactionalProducer,
    /// In the order of topics and partitions.
    pub partitions: Vec<(Arc<str>, PartitionIndex)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    pub transactional_id: Arc<str>,
    pub producer_id: ProducerId,
    pub state: State,
}

/// Which transactional ids a list shows.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// Any when empty.
    pub producer_ids: BTreeSet<ProducerId>,
    /// `None` for any.
    pub states: Option<Vec<State>>,
    /// Begun before this; an id without a transaction has begun before all.
    pub begun_before: Option<Timestamp>,
}

impl ListFilter {
    fn shows(&self, metadata: &TransactionMetadata) -> bool {
        let is_of_producer =
            self.producer_ids.is_empty() || self.producer_ids.contains(&metadata.producer.id);
        let is_in_state = self.states.as_ref().is_none_or(|states| states.contains(&metadata.state));
        is_of_producer && is_in_state && self.begun_before.is_none_or(|before| metadata.start < before)
    }
}

/// The states of a filter by name, and the names that are none.
pub fn states_of<'a>(names: impl Iterator<Item = &'a str>) -> (Vec<State>, Vec<&'a str>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for name in names.filter(|name| !UNSEEN_STATES.contains(name)) {
        match State::ALL.into_iter().find(|state| state.name() == name) {
            Some(state) => known.push(state),
            None => unknown.push(name),
        }
    }
    (known, unknown)
}

impl TransactionShard {
    /// `None` for a transactional id that does not exist.
    pub fn describe(&self, transactional_id: &str) -> Option<TransactionDescription> {
        let metadata = &self.transactions.get(transactional_id)?.metadata;
        Some(TransactionDescription {
            state: metadata.state,
            timeout_ms: metadata.timeout_ms,
            start: metadata.start,
            producer: metadata.producer,
            partitions: metadata.partitions.iter().cloned().collect(),
        })
    }

    /// The ids that the filter shows, whose name fits.
    pub fn list(&self, filter: &ListFilter, fits: impl Fn(&str) -> bool) -> Vec<ListedTransaction> {
        let shown = self.transactions.iter().filter(|(id, entry)| filter.shows(&entry.metadata) && fits(id));
        let list = shown.map(|(id, entry)| ListedTransaction {
            transactional_id: id.clone(),
            producer_id: entry.metadata.producer.id,
            state: entry.metadata.state,
        });
        list.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ids::ProducerEpoch;

    #[test]
    fn a_filter_asks_for_all_of_its_parts() {
        let mut metadata = TransactionMetadata::new(ProducerId(7), 60_000, Timestamp(1_000));
        metadata.state = State::Ongoing;
        metadata.start = Timestamp(1_000);
        assert!(ListFilter::default().shows(&metadata));
        let of_producer = |id| ListFilter { producer_ids: [ProducerId(id)].into(), ..ListFilter::default() };
        assert!(of_producer(7).shows(&metadata) && !of_producer(8).shows(&metadata));
        let in_states = |states: &[State]| ListFilter { states: Some(states.to_vec()), ..of_producer(7) };
        assert!(in_states(&[State::Empty, State::Ongoing]).shows(&metadata));
        assert!(!in_states(&[State::Empty]).shows(&metadata) && !in_states(&[]).shows(&metadata));
        let begun_before = |at| ListFilter { begun_before: Some(Timestamp(at)), ..ListFilter::default() };
        assert!(begun_before(1_001).shows(&metadata) && !begun_before(1_000).shows(&metadata));
        metadata.producer.epoch = ProducerEpoch(3);
        assert!(of_producer(7).shows(&metadata), "whatever its epoch");
    }

    #[test]
    fn states_are_known_by_their_names() {
        let names = ["Ongoing", "Dead", "ongoing", "PrepareEpochFence", "CompleteAbort", "Unknown"];
        let (known, unknown) = states_of(names.into_iter());
        assert_eq!(known, [State::Ongoing, State::CompleteAbort]);
        assert_eq!(unknown, ["ongoing", "Unknown"]);
    }
}
