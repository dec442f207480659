//! One partition of `__transaction_state`: its transactional ids, and which file decides what. Kafka:
//! `TransactionCoordinator`, `TransactionStateManager`.
//!
//! A record is replayed when it is appended; until it is committed its id is pending, and whoever asks for it is told
//! CONCURRENT_TRANSACTIONS, as is whoever comes while the markers of a transaction are written.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::add_partitions::add_partitions;
use super::command::{Command, Response, Soft, Transition, WriteMarkers};
use super::end_transaction::end_transaction;
use super::init_producer_id::init_producer_id;
use super::metadata::{EPOCH_BUMP_VERSION, TransactionMetadata};
use super::records::{self, Record, RecordValue};
use super::state::State;
use super::{expire, markers};
use crate::config::broker::TransactionSettings;
use crate::coordinator::shard::{
    Event, KeyValue, MalformedRecord, Now, Outcome, RequestId, Scan, Shard, Stored,
};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::Timestamp;

/// The finalized level of `transaction.version`, which may change while the broker runs.
pub type CurrentVersion = Arc<dyn Fn() -> i16 + Send + Sync>;

/// State of one coordinator partition.
pub struct TransactionShard {
    pub(super) transactions: HashMap<Arc<str>, Entry>,
    /// Ongoing transactions by the uptime at which they time out.
    pub(super) deadlines: BTreeSet<(i64, Arc<str>)>,
    /// Ids with nothing under way, by their last update: those that may expire.
    pub(super) idle: BTreeSet<(Timestamp, Arc<str>)>,
    /// When ids are looked through for expired ones.
    pub(super) next_expiry_ms: i64,
    /// The last one that was appended.
    last_transition: Transition,
    pub(super) settings: TransactionSettings,
    version: CurrentVersion,
}

/// One transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub metadata: TransactionMetadata,
    /// [`Transition::number`] of the last record.
    number: u64,
    /// The last record is not committed.
    is_uncommitted: bool,
    deadline_ms: Option<i64>,
}

impl Entry {
    /// Whoever asks is to ask again (`pendingTransitionInProgress`): Kafka, too, takes a prepared transaction for one
    /// on its way to the next state.
    pub fn is_pending(&self) -> bool {
        self.is_uncommitted || self.metadata.state.is_prepared()
    }

    pub fn is_uncommitted(&self) -> bool {
        self.is_uncommitted
    }
}

impl TransactionShard {
    pub fn new(settings: TransactionSettings, version: CurrentVersion) -> TransactionShard {
        TransactionShard {
            transactions: HashMap::new(),
            deadlines: BTreeSet::new(),
            idle: BTreeSet::new(),
            next_expiry_ms: 0,
            last_transition: Transition::default(),
            settings,
            version,
        }
    }

    pub(super) fn version(&self) -> i16 {
        (self.version)()
    }

    /// Whether the coordinator itself ends transactions as KIP-890 does.
    pub(super) fn bumps_epochs(&self) -> bool {
        self.version() >= EPOCH_BUMP_VERSION
    }

    /// How the last record of an id is told from its others.
    pub(super) fn transition_of(&self, entry: &Entry) -> Transition {
        Transition { number: entry.number, ..self.last_transition }
    }

    /// That of what is appended next.
    pub(super) fn next_transition(&self) -> Transition {
        Transition { number: self.last_transition.number + 1, ..self.last_transition }
    }

    /// The next step of an id, pending until it is committed.
    pub(super) fn append(
        &self,
        transactional_id: &Arc<str>,
        next: TransactionMetadata,
    ) -> Outcome<TransactionShard> {
        let mut outcome = Outcome::nothing();
        let (transactional_id, transition) = (transactional_id.clone(), self.next_transition());
        let value = Some(RecordValue::new(next, self.version()));
        outcome.durable(Record { transactional_id: transactional_id.clone(), value });
        outcome.soft(Soft::Pending { transactional_id: transactional_id.clone(), transition });
        outcome.on_committed = Some(Command::Committed { transactional_id, transition });
        outcome
    }

    fn replay_record(&mut self, record: &Record) {
        let before = self.remove(&record.transactional_id);
        let Some(RecordValue { metadata, .. }) = &record.value else { return };
        let goes_on = metadata.state == State::Ongoing;
        let deadline_ms = before.and_then(|before| before.deadline_ms).filter(|_| goes_on);
        let entry = Entry { metadata: metadata.clone(), number: 0, is_uncommitted: false, deadline_ms };
        if metadata.state.is_idle() {
            self.idle.insert((metadata.last_update, record.transactional_id.clone()));
        }
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines.insert((deadline_ms, record.transactional_id.clone()));
        }
        self.transactions.insert(record.transactional_id.clone(), entry);
    }

    fn remove(&mut self, transactional_id: &Arc<str>) -> Option<Entry> {
        let entry = self.transactions.remove(transactional_id)?;
        self.idle.remove(&(entry.metadata.last_update, transactional_id.clone()));
        if let Some(deadline_ms) = entry.deadline_ms {
            self.deadlines.remove(&(deadline_ms, transactional_id.clone()));
        }
        Some(entry)
    }

    fn replay_soft(&mut self, event: &Soft) {
        match event {
            Soft::Pending { transactional_id, transition } => {
                self.set_pending(transactional_id, *transition);
            }
            Soft::Committed { transactional_id, transition } => {
                self.set_committed(transactional_id, *transition);
            }
            Soft::Deadline { transactional_id, deadline_ms } => {
                self.set_deadline(transactional_id, *deadline_ms);
            }
            Soft::ExpiryLooked { next_ms } => self.next_expiry_ms = *next_ms,
        }
    }

    fn set_pending(&mut self, transactional_id: &str, transition: Transition) {
        self.last_transition = transition;
        if let Some(entry) = self.transactions.get_mut(transactional_id) {
            entry.number = transition.number;
            entry.is_uncommitted = true;
        }
    }

    /// What was appended behind it is pending as before.
    fn set_committed(&mut self, transactional_id: &str, transition: Transition) {
        if let Some(entry) = self.transactions.get_mut(transactional_id)
            && entry.number == transition.number
        {
            entry.is_uncommitted = false;
        }
    }

    fn set_deadline(&mut self, transactional_id: &Arc<str>, deadline_ms: i64) {
        let Some(entry) = self.transactions.get_mut(transactional_id) else { return };
        if entry.metadata.state != State::Ongoing {
            return;
        }
        if let Some(before_ms) = entry.deadline_ms.replace(deadline_ms) {
            self.deadlines.remove(&(before_ms, transactional_id.clone()));
        }
        self.deadlines.insert((deadline_ms, transactional_id.clone()));
    }

    /// What is left of the timeout, by the wall clock; all of it when that went back.
    fn remaining_ms(metadata: &TransactionMetadata, now: Now) -> i64 {
        let timeout_ms = i64::from(metadata.timeout_ms).max(0);
        timeout_ms.saturating_sub(now.wall.since(metadata.start)).clamp(0, timeout_ms)
    }
}

impl Shard for TransactionShard {
    type Command = Command;
    type Response = Response;
    type Record = Record;
    type Soft = Soft;
    type Effect = WriteMarkers;

    fn encode(record: &Record) -> KeyValue {
        records::encode(record)
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, MalformedRecord> {
        records::decode(key, value)
    }

    fn decide(
        &self,
        command: Command,
        request: RequestId,
        now: Now,
        _stored: &dyn Stored,
    ) -> Result<Outcome<TransactionShard>, ApiError> {
        match command {
            Command::InitProducerId(init) => init_producer_id(self, &init, request, now),
            Command::AddPartitions(add) => add_partitions(self, &add, request, now),
            Command::EndTransaction(end) => end_transaction(self, &end, request, now),
            Command::MarkersWritten { transactional_id, transition } => {
                markers::written(self, &transactional_id, transition, request, now)
            }
            Command::Committed { transactional_id, transition } => {
                let mut outcome = Outcome::nothing();
                outcome.soft(Soft::Committed { transactional_id, transition });
                Ok(outcome)
            }
            Command::PutOff { transactional_id } => Ok(expire::put_off(self, transactional_id, now)),
        }
    }

    fn expire(&self, now: Now, _stored: &dyn Stored) -> Outcome<TransactionShard> {
        expire::expire(self, now)
    }

    fn replay(&mut self, event: &Event<Record, Soft>) {
        match event {
            Event::Durable(record) => self.replay_record(record),
            Event::Soft(soft) => self.replay_soft(soft),
            // Nobody writes transactions into this topic, and no command of this shard asks for it.
            Event::Transactional(..) | Event::Marker(_) => {}
        }
    }

    fn next_deadline(&self) -> Option<i64> {
        expire::next_deadline(self)
    }

    fn restore(&mut self, stored: &dyn Stored) -> Result<(), ApiError> {
        let mut malformed = None;
        stored.scan(&records::prefix(), &mut |key, value| match records::decode(key, Some(value)) {
            Ok(record) => {
                record.iter().for_each(|record| self.replay_record(record));
                Scan::Next
            }
            Err(error) => {
                malformed = Some(error);
                Scan::Stop
            }
        })?;
        match malformed {
            None => Ok(()),
            // Only what was decoded once gets into the view.
            Some(MalformedRecord(reason)) => Err(ApiError::new(ErrorCode::CoordinatorNotAvailable, reason)),
        }
    }

    fn loaded(&mut self, now: Now) -> Vec<WriteMarkers> {
        self.next_expiry_ms = expire::next_expiry(self, now);
        self.last_transition = Transition { term: now.uptime_ms, number: 0 };
        let ongoing: Vec<(Arc<str>, i64)> = self
            .transactions
            .iter()
            .filter(|(_, entry)| entry.metadata.state == State::Ongoing)
            .map(|(id, entry)| (id.clone(), TransactionShard::remaining_ms(&entry.metadata, now)))
            .collect();
        for (id, remaining_ms) in ongoing {
            self.set_deadline(&id, now.uptime_ms.saturating_add(remaining_ms));
        }
        let all = self.transactions.iter();
        all.filter_map(|(id, entry)| markers::write_markers(id, &entry.metadata, self.transition_of(entry)))
            .collect()
    }
}
