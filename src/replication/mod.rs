//! Partitions on this broker: leadership, high watermark, who waits, what lies where.
//!
//! [`registry::Registry`] holds them all and follows the metadata; a [`replica::Replica`] is one of them. It owns
//! the log and the leadership ([`partition`], pure). Every partition has this broker as its only replica: nothing
//! here fetches from another broker.
//!
//! Architecture invariants: an append holds one lock, of its own partition, and never across an await; reads take
//! published values instead. Waiters are told after the lock is released, those of a worker's own appends after its replies
//! have left ([`wake_ups`]). Files are removed only because the
//! metadata or retention say so, never because metadata is absent. Kafka: `ReplicaManager`, `Partition`, `LogManager`.

pub mod checkpoints;
pub mod chores;
pub mod cleaner;
pub mod first_files;
pub mod flusher;
pub mod graveyard;
pub mod loading;
pub mod moves;
pub mod partition;
pub mod registry;
pub mod replica;
pub mod status;
pub mod subscription;
mod throttle;
pub mod traffic;
pub mod transactions;
pub mod wake_ups;
