//! The runtime over a log in memory whose high watermark lags, whose appends are refused or end in doubt, and whose
//! leaders change; with a register machine for a shard.

pub(crate) mod bench;
mod loading;
mod memory_log;
mod model;
mod stories;

pub(super) use self::bench::stamp;
