//! Klamm: a Kafka-wire-compatible broker in one native process.

#![deny(unsafe_code)]

pub mod broker;
pub mod config;
pub mod controller;
pub mod env;
#[cfg(test)]
mod fuzz;
pub mod handlers;
pub mod log;
pub mod net;
pub mod protocol;
pub mod raft;
pub mod replication;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod tidy;
