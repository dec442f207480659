//! Transactions: the rules of `__transaction_state`, pure (KIP-98, KIP-360, KIP-890).
//!
//! [`shard`] is the state of one partition and dispatches; `command.rs` is what can be asked; [`records`] are the records
//! in Kafka's schemas; [`metadata`] is one transactional id and what may become of it, [`state`] the states it goes
//! through. One file decides each request: `init_producer_id.rs`, `add_partitions.rs`, `end_transaction.rs`; `markers.rs`
//! ends what was prepared, `expire.rs` does what time does, [`describe`] shows. Markers are written, and producer ids
//! drawn, by the shell. Kafka: `TransactionCoordinator`, `TransactionStateManager`.

mod add_partitions;
pub mod command;
pub mod describe;
mod end_transaction;
mod expire;
mod init_producer_id;
mod markers;
pub mod metadata;
pub mod records;
pub mod shard;
pub mod state;

#[cfg(test)]
mod tests;
