//! RocksDB is the view; the log is the truth.
//!
//! This room keeps what coordinators have replayed from their partition logs (offsets, groups, transactions) where a
//! million entries cost disk instead of heap. It holds only what lies below the high watermark and can always be
//! dropped and rebuilt from the log, so it never decides anything, knows no Kafka rule, and is never read to repair
//! a log. [`view`] is what the coordinators see; `rocks.rs` is it on disk, and RocksDB's types stay in there;
//! [`lazy`] opens it when it is needed and gives up one that fails; `initialisers.rs` lets RocksDB wait until then.
//!
//! The whole key space, a file for each family (the first byte of a key):
//!
//! | family | key | value |
//! | --- | --- | --- |
//! | 0 `stamps.rs` | topic, partition | the log position up to which the partition is in the view |
//! | 1 `entries.rs` | topic, partition, key of the log's record | value of the log's record |
//!
//! What open transactions have written stands among the entries under keys that no record has; see the runtime of the
//! coordinators.

mod entries;
mod initialisers;
pub mod lazy;
#[cfg(test)]
pub mod memory;
pub mod rocks;
pub mod stamps;
#[cfg(test)]
mod tests;
pub mod view;

use crate::protocol::ids::PartitionIndex;

/// A topic whose partitions are state machines. The number stands in every key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CoordinatorTopic {
    ConsumerOffsets = 1,
    TransactionState = 2,
}

impl CoordinatorTopic {
    pub fn name(self) -> &'static str {
        match self {
            CoordinatorTopic::ConsumerOffsets => "__consumer_offsets",
            CoordinatorTopic::TransactionState => "__transaction_state",
        }
    }
}

/// Whose entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    pub topic: CoordinatorTopic,
    pub partition: PartitionIndex,
}

impl std::fmt::Display for PartitionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.topic.name(), self.partition)
    }
}

/// First byte of every key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Family {
    Stamp = 0,
    Entry = 1,
}

/// Bytes before the part of a key that is the family's own.
const PREFIX_SIZE: usize = 6;

fn prefix(family: Family, of: PartitionKey) -> [u8; PREFIX_SIZE] {
    let [p0, p1, p2, p3] = of.partition.0.to_be_bytes();
    [family as u8, of.topic as u8, p0, p1, p2, p3]
}
