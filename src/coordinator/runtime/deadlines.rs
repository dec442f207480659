//! When the next deadline of any partition is due: one sleeper, woken only for an earlier one.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::env::clock::Clock;

pub(super) struct Deadlines {
    /// What the sleeper sleeps until, on the monotonic clock.
    sleeping_until_ms: AtomicI64,
    wake: Notify,
}

impl Deadlines {
    pub fn new() -> Deadlines {
        Deadlines { sleeping_until_ms: AtomicI64::new(i64::MAX), wake: Notify::new() }
    }

    /// A partition has a deadline that it did not have.
    pub fn earlier(&self, deadline_ms: i64) {
        if deadline_ms < self.sleeping_until_ms.load(Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    /// Sleeps until `next` says, or an earlier deadline appears. `next` is asked again once everybody can see what is
    /// slept for: who sets a deadline in between is seen here or sees it.
    pub async fn sleep(&self, clock: &Clock, next: impl Fn() -> i64) {
        let mut until_ms = next();
        loop {
            self.sleeping_until_ms.store(until_ms, Ordering::SeqCst);
            let earliest = next();
            if earliest >= until_ms {
                break;
            }
            until_ms = earliest;
        }
        if until_ms == i64::MAX {
            return self.wake.notified().await;
        }
        let duration_ms = until_ms.saturating_sub(clock.uptime_ms()).max(0) as u64;
        tokio::select! {
            biased;
            () = self.wake.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(duration_ms)) => {}
        }
    }
}
