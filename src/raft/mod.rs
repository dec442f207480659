//! The metadata quorum: the controller's records as a replicated log, through openraft, also with one node.
//!
//! [`Quorum`] is all that other rooms see; openraft's types stay in here. `proposer` decides commands on the
//! leader and proposes their records; `log_store` makes entries durable in the metadata log, on our own log
//! engine; `state_machine` replays them into the image that everybody reads. Knows nothing of partitions' data.
//! Kafka: KRaft (KIP-500, KIP-595, snapshots KIP-630).

mod checkpoint;
mod entry_codec;
mod log_store;
mod metadata_log;
mod network;
mod proposer;
mod quorum;
mod quorum_state;
mod state_machine;
mod types;

pub use quorum::{MemberStatus, Options, Quorum, QuorumStatus};
pub use state_machine::OnImage;

#[cfg(test)]
mod tests;
