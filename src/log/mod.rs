//! A partition's log: files in Kafka's layout, and what is derived from them.

pub mod epochs;
pub mod producer_snapshot;
pub mod producer_state;
