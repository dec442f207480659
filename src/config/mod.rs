//! Kafka's configuration: which keys there are, what each may be, and what the broker makes of them.
//!
//! Every key of Kafka 4.4's broker, topic, group and client-metrics tables is one row of a table here, and is
//! applied, without effect by construction, or refused by name ([`key::Class`]). Pure: reading a file is the
//! caller's function ([`load`]); nothing here knows a clock, a socket or the disk.
//!
//! In reading order: [`key`] and [`value`] (one key, one value), [`keys`] (the tables), [`properties`] and
//! [`load`] (what is set), [`broker`] and [`topic`] (the typed settings), [`layers`] (which value counts),
//! [`resource`] and [`dynamic`] (changing values), [`describe`] (showing them).

pub mod broker;
pub mod client_metrics;
pub mod describe;
pub mod dynamic;
pub mod group;
pub mod key;
pub mod keys;
pub mod layers;
pub mod listeners;
pub mod load;
pub mod properties;
pub mod resource;
mod rules;
pub mod topic;
pub mod value;
