//! When each request of an open loop is due, whatever the broker does meanwhile. It has no clock.

use std::time::{Duration, Instant};

/// Request k of all is due k intervals after the start, and belongs to lane k modulo the number of lanes.
#[derive(Clone, Copy)]
pub struct Schedule {
    start: Instant,
    interval_ns: f64,
}

impl Schedule {
    pub fn new(start: Instant, requests_per_second: f64) -> Schedule {
        Schedule { start, interval_ns: 1e9 / requests_per_second }
    }

    pub fn due(&self, request: u64) -> Instant {
        self.start + Duration::from_nanos((request as f64 * self.interval_ns) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_the_rate_without_drift() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 3.0);
        assert_eq!(schedule.due(0), start);
        assert_eq!(schedule.due(3_000_000), start + Duration::from_secs(1_000_000));
    }
}
