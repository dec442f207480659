//! Consumer groups and their committed offsets: the rules of `__consumer_offsets`, pure.
//!
//! [`shard`] is the state of one partition and dispatches; `command.rs` is what can be asked; [`records`] are the records in
//! Kafka's schemas; `groups.rs` is a group of either protocol, `classic/` the classic one (JoinGroup to LeaveGroup),
//! `consumer/` that of KIP-848 (ConsumerGroupHeartbeat); `offsets.rs` commits, reads and deletes offsets;
//! `transactional.rs` commits them in transactions, and `pending.rs` knows what is open; `expiration.rs` lets them expire
//! (KIP-211); `census.rs` counts for metrics. Kafka: `GroupCoordinatorShard`, `GroupMetadataManager`,
//! `OffsetMetadataManager`.

pub mod census;
pub mod classic;
pub mod command;
pub mod consumer;
pub mod expiration;
pub mod groups;
pub mod offsets;
pub mod pending;
pub mod records;
pub mod shard;
pub mod transactional;

#[cfg(test)]
mod tests;
