//! The group coordinator in memory: stories that read like a log, and random requests that must keep its promises.

mod notation;
mod random;
mod random_consumer;
mod random_mixed;
mod stories;
pub(super) mod world;
