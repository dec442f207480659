//! Partitions on this broker: leadership, high watermark, who waits, what lies where.

pub mod checkpoints;
pub mod chores;
pub mod flusher;
pub mod graveyard;
pub mod loading;
pub mod partition;
pub mod registry;
pub mod replica;
pub mod status;
pub mod subscription;
pub mod traffic;
