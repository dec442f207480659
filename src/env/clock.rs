//! Time. `now` is the wall clock that goes into records; `uptime_ms` is the monotonic clock for timers,
//! which a jump of the wall clock must not touch.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::protocol::ids::Timestamp;

/// A clock; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: Instant },
    Manual { now_ms: Arc<AtomicI64> },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock(Source::System { started: Instant::now() })
    }

    /// A clock that stands at `now` until [`Clock::advance_ms`] moves it.
    pub fn manual(now: Timestamp) -> Clock {
        Clock(Source::Manual { now_ms: Arc::new(AtomicI64::new(now.0)) })
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(since_epoch.as_millis() as i64)
            }
            Source::Manual { now_ms } => Timestamp(now_ms.load(Ordering::Relaxed)),
        }
    }

    /// Milliseconds since this clock was made; never goes back.
    pub fn uptime_ms(&self) -> i64 {
        match &self.0 {
            Source::System { started } => started.elapsed().as_millis() as i64,
            Source::Manual { now_ms } => now_ms.load(Ordering::Relaxed),
        }
    }

    /// Microseconds since this clock was made; for latencies.
    pub fn uptime_us(&self) -> u64 {
        match &self.0 {
            Source::System { started } => {
                let elapsed = started.elapsed();
                elapsed.as_secs() * 1_000_000 + u64::from(elapsed.subsec_micros())
            }
            Source::Manual { now_ms } => now_ms.load(Ordering::Relaxed) as u64 * 1000,
        }
    }

    /// Moves a manual clock; the system's clock cannot be moved.
    pub fn advance_ms(&self, duration_ms: i64) {
        match &self.0 {
            Source::System { .. } => panic!("the system's clock moves by itself"),
            Source::Manual { now_ms } => {
                now_ms.fetch_add(duration_ms, Ordering::Relaxed);
            }
        }
    }
}
