//! What the broker tells about itself: metrics, logs, health.

pub mod metrics;
