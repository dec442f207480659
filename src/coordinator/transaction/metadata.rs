//! One transactional id: who its producer is, what is under way, and the steps from one state to the next.
//!
//! A step makes a new value and changes nothing; whether it is allowed is decided before. Epochs never go back for one
//! producer id, and the highest one, 32,767, is never given to a client, so that there is always one left to fence with.
//! Kafka: `TransactionMetadata`, `TxnTransitMetadata`.

use imbl::OrdSet;

use super::command::TopicPartition;
use super::state::State;
use crate::coordinator::shard::TransactionalProducer;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{ProducerEpoch, ProducerId, Timestamp};

/// "No epoch": the id is new, or the epoch before this one is not known.
pub const NO_EPOCH: ProducerEpoch = ProducerEpoch(-1);
/// Fences whoever had the last epoch of a producer id; nobody has it.
pub const FENCING_EPOCH: ProducerEpoch = ProducerEpoch(i16::MAX);
/// From this level of `transaction.version` on, the end of a transaction bumps the epoch (KIP-890).
pub const EPOCH_BUMP_VERSION: i16 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionMetadata {
    pub producer: TransactionalProducer,
    /// The producer id of the record before this one; -1 for a new transactional id.
    pub previous_id: ProducerId,
    /// What the producer has been told to go on with, when the transaction it has ended used up the epochs; else -1.
    pub next_id: ProducerId,
    /// The epoch before the last bump, by which a repeated request is known. It is not in the log.
    pub last_epoch: ProducerEpoch,
    pub timeout_ms: i32,
    pub state: State,
    pub partitions: OrdSet<TopicPartition>,
    /// When the transaction began; -1 before the first.
    pub start: Timestamp,
    pub last_update: Timestamp,
    /// `transaction.version` that the producer spoke in the last step.
    pub client_version: i16,
}

/// How a transaction is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Commit,
    Abort,
}

impl Ending {
    fn prepared(self) -> State {
        match self {
            Ending::Commit => State::PrepareCommit,
            Ending::Abort => State::PrepareAbort,
        }
    }
}

impl TransactionMetadata {
    /// A transactional id that was never used; it gets its epoch with the first step.
    pub fn new(id: ProducerId, timeout_ms: i32, now: Timestamp) -> TransactionMetadata {
        TransactionMetadata {
            producer: TransactionalProducer { id, epoch: NO_EPOCH },
            previous_id: ProducerId::NONE,
            next_id: ProducerId::NONE,
            last_epoch: NO_EPOCH,
            timeout_ms,
            state: State::Empty,
            partitions: OrdSet::new(),
            start: Timestamp::NONE,
            last_update: now,
            client_version: 0,
        }
    }

    /// No epoch is left that a client may have.
    pub fn is_epoch_exhausted(&self) -> bool {
        is_exhausted(self.producer.epoch)
    }

    /// Whether a producer that believes to be `expected` may get a new epoch; the epoch itself is looked at when it is
    /// bumped. The previous id is right when its epochs were used up: a repeated request.
    pub fn knows(&self, expected: TransactionalProducer) -> bool {
        self.producer.epoch == NO_EPOCH
            || expected.id == self.producer.id
            || (expected.id == self.previous_id && is_exhausted(expected.epoch))
    }

    /// The next epoch for a producer that begins, or goes on after an error (KIP-360). A repeated request gets what the
    /// first one got; nobody else can have had it, because a new producer forgets the last epoch.
    ///
    /// Errors: PRODUCER_FENCED.
    pub fn bumped(
        &self,
        expected: Option<ProducerEpoch>,
        timeout_ms: i32,
        now: Timestamp,
    ) -> Result<TransactionMetadata, ApiError> {
        let epoch = self.producer.epoch;
        let is_current = expected.is_none_or(|expected| epoch == NO_EPOCH || expected == epoch);
        let (epoch, last_epoch) = if is_current {
            assert!(!self.is_epoch_exhausted(), "the last epoch of a producer id is followed by another id");
            (next_epoch(epoch), if expected.is_some() { epoch } else { NO_EPOCH })
        } else if expected == Some(self.last_epoch) && epoch != FENCING_EPOCH {
            (epoch, self.last_epoch)
        } else {
            return Err(ErrorCode::ProducerFenced.into());
        };
        let producer = TransactionalProducer { epoch, ..self.producer };
        Ok(self.initialized(producer, last_epoch, timeout_ms, now))
    }

    /// A new producer id, in its first epoch.
    pub fn rotated(
        &self,
        id: ProducerId,
        expected: Option<ProducerEpoch>,
        timeout_ms: i32,
        now: Timestamp,
    ) -> TransactionMetadata {
        let last_epoch = expected.map_or(NO_EPOCH, |_| self.producer.epoch);
        let producer = TransactionalProducer { id, epoch: ProducerEpoch(0) };
        self.initialized(producer, last_epoch, timeout_ms, now)
    }

    fn initialized(
        &self,
        producer: TransactionalProducer,
        last_epoch: ProducerEpoch,
        timeout_ms: i32,
        now: Timestamp,
    ) -> TransactionMetadata {
        TransactionMetadata {
            producer,
            last_epoch,
            timeout_ms,
            partitions: OrdSet::new(),
            start: Timestamp::NONE,
            ..self.step(State::Empty, now)
        }
    }

    /// More partitions; the first ones begin the transaction.
    pub fn with_partitions(
        &self,
        added: &[TopicPartition],
        client_version: i16,
        now: Timestamp,
    ) -> TransactionMetadata {
        let mut partitions = self.partitions.clone();
        partitions.extend(added.iter().cloned());
        TransactionMetadata {
            partitions,
            start: if self.state == State::Ongoing { self.start } else { now },
            client_version,
            ..self.step(State::Ongoing, now)
        }
    }

    /// Decided as a producer of version 1, or 0, asks for it, in the epoch of the transaction.
    pub fn prepared(&self, ending: Ending, now: Timestamp) -> TransactionMetadata {
        TransactionMetadata { client_version: 0, ..self.step(ending.prepared(), now) }
    }

    /// Decided in the next epoch, which fences what is late of this transaction (KIP-890). `next_id` follows the last
    /// epoch. An abort of nothing begins as it ends.
    pub fn prepared_with_bump(
        &self,
        ending: Ending,
        next_id: Option<ProducerId>,
        now: Timestamp,
    ) -> TransactionMetadata {
        TransactionMetadata {
            producer: TransactionalProducer { epoch: next_epoch(self.producer.epoch), ..self.producer },
            last_epoch: self.producer.epoch,
            next_id: next_id.unwrap_or(ProducerId::NONE),
            start: if self.state == State::Ongoing { self.start } else { now },
            client_version: EPOCH_BUMP_VERSION,
            ..self.step(ending.prepared(), now)
        }
    }

    /// An abort that its producer did not ask for, and is fenced by. `version` is the level of `transaction.version`.
    pub fn fenced(&self, version: i16, next_id: Option<ProducerId>, now: Timestamp) -> TransactionMetadata {
        if version >= EPOCH_BUMP_VERSION {
            return self.prepared_with_bump(Ending::Abort, next_id, now);
        }
        let producer = TransactionalProducer { epoch: next_epoch(self.producer.epoch), ..self.producer };
        TransactionMetadata { producer, last_epoch: NO_EPOCH, ..self.prepared(Ending::Abort, now) }
    }

    /// All markers are written.
    pub fn completed(&self, now: Timestamp) -> TransactionMetadata {
        let state = match self.state {
            State::PrepareCommit => State::CompleteCommit,
            State::PrepareAbort => State::CompleteAbort,
            State::Empty | State::Ongoing | State::CompleteCommit | State::CompleteAbort => {
                unreachable!("only what was prepared is completed")
            }
        };
        TransactionMetadata {
            producer: self.after_completion(),
            next_id: ProducerId::NONE,
            partitions: OrdSet::new(),
            ..self.step(state, now)
        }
    }

    /// Who the producer is when what was prepared is completed.
    pub fn after_completion(&self) -> TransactionalProducer {
        if self.next_id == ProducerId::NONE {
            return self.producer;
        }
        TransactionalProducer { id: self.next_id, epoch: ProducerEpoch(0) }
    }

    /// The same but for its state, and what every step changes.
    fn step(&self, state: State, now: Timestamp) -> TransactionMetadata {
        assert!(state.may_follow(self.state), "{state:?} does not follow {:?}", self.state);
        TransactionMetadata { state, previous_id: self.producer.id, last_update: now, ..self.clone() }
    }
}

/// Kafka: `TransactionMetadata.isEpochExhausted`.
pub fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch.0 >= FENCING_EPOCH.0 - 1
}

fn next_epoch(epoch: ProducerEpoch) -> ProducerEpoch {
    ProducerEpoch(epoch.0.saturating_add(1))
}

#[cfg(test)]
mod tests;
