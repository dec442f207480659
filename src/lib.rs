//! Klamm: a Kafka-wire-compatible broker in one native process.

#![deny(unsafe_code)]

pub mod config;
pub mod controller;
pub mod env;
#[cfg(test)]
mod fuzz;
pub mod handlers;
pub mod log;
pub mod net;
pub mod protocol;
pub mod store;
pub mod telemetry;
