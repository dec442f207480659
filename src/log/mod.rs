//! The partition log in Kafka's on-disk format. Blocking calls, no async, no timers, no clock: `now` is an argument.
//!
//! One [`log::Log`] per partition writes, under its owner's append mutex; any number of readers share its
//! [`read::LogView`] and never take that mutex. Does not know replication: what a consumer may see comes as an
//! argument.

pub mod append;
pub mod by_time;
pub mod checkpoint;
pub mod compaction;
pub mod copy;
pub mod dirs;
pub mod epochs;
pub mod files;
pub mod first;
pub mod indexes;
mod lately;
mod leftovers;
#[expect(clippy::module_inception, reason = "the room is named after what it keeps, and so is its main type")]
pub mod log;
pub mod meta_properties;
pub mod offset_index;
pub mod producer_snapshot;
pub mod producer_state;
mod producers;
pub mod read;
pub mod recovery;
pub mod retention;
pub mod scan;
pub mod segment;
mod tail;
pub mod time_index;
pub mod truncate;
pub mod txn_index;
pub mod verification;

#[cfg(test)]
mod tests;
