//! What a coordinator is to the runtime: decisions that read, events that change, deadlines as data. Pure.
//!
//! A shard is the state of one partition of a coordinator's topic (groups, transactions). [`Shard::decide`] reads
//! and never writes; [`Shard::replay`] is the only mutator; timers are what [`Shard::next_deadline`] says. The
//! runtime appends durable events before it replays anything, and lets replies go when what they show can no longer
//! be taken back. Kafka: `CoordinatorShard`, `CoordinatorResult`.

use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{ProducerEpoch, ProducerId, Timestamp};
pub use crate::store::view::Scan;

/// The time of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall clock: goes into records.
    pub wall: Timestamp,
    /// Monotonic, in milliseconds: deadlines count on it, so that a jump of the wall clock expires nobody.
    pub uptime_ms: i64,
}

/// A request that waits for its reply; unique within a shard's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A transactional producer in one of its epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionalProducer {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
}

/// What ends a producer's transaction on the shard's partition (`EndTransactionMarker`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionMarker {
    pub producer: TransactionalProducer,
    /// Epoch of the transaction coordinator that wrote it.
    pub coordinator_epoch: i32,
    pub is_commit: bool,
    /// `transaction.version` of the transaction: from 2 on the marker's epoch is higher than that of its records.
    pub transaction_version: i16,
}

/// What changes a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<Record, Soft> {
    /// In the log, replicated and replayed after a restart.
    Durable(Record),
    /// In the log as part of a transaction: it counts when a marker of its producer commits it, and is among what is
    /// [`Stored`] from then on, unless a record of the same key came in between.
    Transactional(TransactionalProducer, Record),
    /// In the log: all that is open of this producer counts from here on, or never.
    Marker(TransactionMarker),
    /// In memory only: joins, heartbeats, phases. Lost with leadership, as in Kafka.
    Soft(Soft),
}

/// Makes the command that follows an append that has failed with this error.
pub type OnFailed<Command> = Box<dyn FnOnce(ErrorCode) -> Command + Send>;

/// A decision.
pub struct Outcome<S: Shard> {
    pub events: Vec<Event<S::Record, S::Soft>>,
    /// Answers, to the request itself or to parked ones. They leave when all events up to here are committed. When
    /// the append is refused, the request that brought the command gets the error and parked ones stay parked; what
    /// follows an earlier outcome answers all. A request is answered once; further answers to it are dropped.
    pub replies: Vec<(RequestId, S::Response)>,
    /// Decided when the durable events are committed: what must not be shown, or done, before.
    pub on_committed: Option<S::Command>,
    /// Decided when the durable events were refused, or their fate is unknown.
    pub on_failed: Option<OnFailed<S::Command>>,
    /// Work outside of the shard, begun when the durable events are committed. It is lost with leadership;
    /// [`Shard::loaded`] begins it again.
    pub effects: Vec<S::Effect>,
}

impl<S: Shard> Outcome<S> {
    /// Nothing happens.
    pub fn nothing() -> Outcome<S> {
        Outcome {
            events: Vec::new(),
            replies: Vec::new(),
            on_committed: None,
            on_failed: None,
            effects: Vec::new(),
        }
    }

    /// An answer that changes nothing.
    pub fn reply(request: RequestId, response: S::Response) -> Outcome<S> {
        Outcome { replies: vec![(request, response)], ..Outcome::nothing() }
    }

    pub fn durable(&mut self, record: S::Record) {
        self.events.push(Event::Durable(record));
    }

    pub fn soft(&mut self, event: S::Soft) {
        self.events.push(Event::Soft(event));
    }
}

/// The records of the shard's partition by key: the last value of each, `None` where it was deleted.
///
/// Errors: COORDINATOR_NOT_AVAILABLE when the view cannot be read; the cause is logged where it is found.
pub trait Stored {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ApiError>;

    /// Visits the entries whose key begins with `prefix`, in the order of their bytes.
    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> Scan) -> Result<(), ApiError>;
}

/// One record as bytes of the log. A missing value is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// A record of the log that is no record of this coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedRecord(pub String);

/// The state of one partition of a coordinator's topic.
pub trait Shard: Sized + Send + 'static {
    type Command: Send;
    type Response: Send;
    type Record: Send;
    type Soft: Send;
    /// What the shell is to do for the shard, such as to write the markers of a transaction.
    type Effect: Send;

    fn encode(record: &Self::Record) -> KeyValue;

    /// `None` for a type that this version does not know, which is skipped, as in Kafka.
    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self::Record>, MalformedRecord>;

    /// What `command` comes to. `request` is to be answered in this or a later outcome; an error answers it and has
    /// changed nothing. `stored` holds everything that was appended, committed or not.
    fn decide(
        &self,
        command: Self::Command,
        request: RequestId,
        now: Now,
        stored: &dyn Stored,
    ) -> Result<Outcome<Self>, ApiError>;

    /// What the deadlines at or before `now` come to, one at a time: called again while
    /// [`Shard::next_deadline`] is not in the future.
    fn expire(&self, now: Now, stored: &dyn Stored) -> Outcome<Self>;

    fn replay(&mut self, event: &Event<Self::Record, Self::Soft>);

    /// The next deadline on the monotonic clock, in milliseconds; may be early, never late.
    fn next_deadline(&self) -> Option<i64>;

    /// Takes in what the view holds, before the rest of the log is replayed. What the view holds of open transactions
    /// is replayed behind it, as [`Event::Transactional`].
    fn restore(&mut self, stored: &dyn Stored) -> Result<(), ApiError>;

    /// The log is replayed: starts what a new coordinator starts, such as the sessions of all members. The answer is
    /// work that an earlier coordinator may have left undone, begun when all that was replayed is committed.
    fn loaded(&mut self, now: Now) -> Vec<Self::Effect>;
}
