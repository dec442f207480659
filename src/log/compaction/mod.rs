//! Compaction: keeps the latest record of each key (`cleanup.policy=compact`).
//!
//! `dirt.rs` says how much a log would win, `round.rs` reads its segments and writes cleaned ones beside them,
//! `swap.rs` puts these in their places. The rules are pure: `groups.rs` (which segments become one),
//! `offset_map.rs` (the last offset of each key), `transactions.rs` (what aborted transactions left), `retain.rs`
//! (what stays of a batch).
//!
//! Never touched: the active segment, and whatever lies at or above the last stable offset. Offsets, epochs and
//! sequences of what stays do not change. A round works on sealed segments beside the writer; only the swap needs the
//! append mutex, and a segment that cannot be read in full is left as it is. Kafka: `LogCleaner`.

mod dirt;
mod groups;
mod offset_map;
mod retain;
mod round;
mod swap;
mod transactions;

pub use dirt::Dirt;
pub use offset_map::MapLimits;
pub use round::{CompactionError, Options, Pace, Round, Source, Stats};
pub use swap::{CleanedGroup, Swapped};
