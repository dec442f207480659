//! The transaction coordinator in memory: stories that read like a log, and random requests that must keep its promises.

mod expiry;
mod pending;
mod random;
mod stories;
mod world;
