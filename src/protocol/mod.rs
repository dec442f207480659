//! The wire and the record format as pure functions over bytes. Uses nothing else of this crate.

pub mod batch;
pub mod body;
pub mod compression;
pub mod control;
pub mod errors;
pub mod fetch;
pub mod ids;
pub mod message_set;
pub mod offsets;
pub mod old;
pub mod produce;
pub mod quorum_changes;
pub mod records;
pub mod shapes;
pub mod summary;
pub mod txn_markers;
pub mod validate;
pub mod wire;
