//! What the broker tells about itself: metrics, logs, health.

pub mod exposition;
pub mod http;
pub mod loggers;
pub mod logging;
pub mod metrics;
pub mod process;
