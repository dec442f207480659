//! What the transaction coordinator can be asked for, what it answers, and what it has the shell do. Pure.

use std::sync::Arc;

use crate::coordinator::shard::TransactionalProducer;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{PartitionIndex, ProducerId};

/// A partition that takes part in a transaction.
pub type TopicPartition = (Arc<str>, PartitionIndex);

#[derive(Clone, Debug)]
pub enum Command {
    InitProducerId(InitProducerIdRequest),
    /// AddPartitionsToTxn, AddOffsetsToTxn, and what Produce and TxnOffsetCommit add or verify by themselves (KIP-890).
    AddPartitions(AddPartitionsRequest),
    EndTransaction(EndTransactionRequest),
    /// All markers of a prepared transaction are written.
    MarkersWritten {
        transactional_id: Arc<str>,
        /// As in the [`WriteMarkers`] that is done.
        transition: Transition,
    },
    /// What this id has become is committed: others may ask.
    Committed {
        transactional_id: Arc<str>,
        transition: Transition,
    },
    /// What a deadline came to was refused: it is due again, but not at once. `None`: the look for ids that expire.
    PutOff {
        transactional_id: Option<Arc<str>>,
    },
}

/// Tells the record of a transactional id from those before and behind it, for a producer may have the same id and epoch in
/// many transactions. Later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transition {
    /// Tells the shard from what it was before it was loaded.
    pub term: i64,
    /// Counts what the shard appends; 0 is what it was loaded with.
    pub number: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitProducerIdRequest {
    pub transactional_id: Arc<str>,
    pub timeout_ms: i32,
    /// KIP-360: what the producer believes to be. `None` for a new one.
    pub expected: Option<TransactionalProducer>,
    /// Used when the decision needs a fresh producer id. Without one the answer is [`Response::NeedsProducerId`].
    pub fresh_id: Option<ProducerId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPartitionsRequest {
    pub transactional_id: Arc<str>,
    pub producer: TransactionalProducer,
    pub partitions: Vec<TopicPartition>,
    /// Adds nothing; says which of them are in the ongoing transaction.
    pub verify_only: bool,
    /// The producer speaks KIP-890, whose partitions are added by what it produces.
    pub is_v2: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndTransactionRequest {
    pub transactional_id: Arc<str>,
    pub producer: TransactionalProducer,
    pub is_commit: bool,
    /// EndTxn v5: the epoch is bumped with every transaction (KIP-890).
    pub is_v2: bool,
    /// As [`InitProducerIdRequest::fresh_id`], for an exhausted epoch.
    pub fresh_id: Option<ProducerId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Ask again with a fresh producer id.
    NeedsProducerId,
    InitProducerId(TransactionalProducer),
    /// InitProducerId: the transaction of the producer before is being aborted; CONCURRENT_TRANSACTIONS, ask again.
    ConcurrentTransactions,
    /// A result for each partition of the request, in its order.
    AddPartitions(Vec<ErrorCode>),
    /// What the producer is from here on; told to clients of KIP-890.
    EndTransaction(TransactionalProducer),
    /// Internal commands.
    Done,
}

/// Work for the shell: one marker into each partition, then [`Command::MarkersWritten`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteMarkers {
    pub transactional_id: Arc<str>,
    /// The decision that they carry out.
    pub transition: Transition,
    pub producer: TransactionalProducer,
    pub is_commit: bool,
    pub transaction_version: i16,
    pub partitions: Vec<TopicPartition>,
}

/// What changes a shard without a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Soft {
    /// The last record of this id is not committed: whoever asks meanwhile is to ask again (`pendingState`).
    Pending {
        transactional_id: Arc<str>,
        transition: Transition,
    },
    Committed {
        transactional_id: Arc<str>,
        transition: Transition,
    },
    /// The ongoing transaction times out at this uptime.
    Deadline {
        transactional_id: Arc<str>,
        deadline_ms: i64,
    },
    /// Ids were looked through for expired ones; the next look is due at this uptime.
    ExpiryLooked {
        next_ms: i64,
    },
}
