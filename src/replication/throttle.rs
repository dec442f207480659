//! Holds work to a number of bytes a second. Pure: the time comes as an argument. Kafka: `Throttler`.

/// Time between two looks at the rate.
const CHECK_INTERVAL_MS: i64 = 300;

/// Bytes since the last look.
#[derive(Debug)]
pub(super) struct Throttle {
    period_began_ms: i64,
    bytes: f64,
}

impl Throttle {
    pub fn begin(now_ms: i64) -> Throttle {
        Throttle { period_began_ms: now_ms, bytes: 0.0 }
    }

    /// So many bytes were read or written; how long to wait before the next ones.
    pub fn wait_ms(&mut self, size_bytes: u64, bytes_per_second: f64, now_ms: i64) -> i64 {
        self.bytes += size_bytes as f64;
        let elapsed_ms = now_ms - self.period_began_ms;
        let allowed_ms = (self.bytes * 1000.0 / bytes_per_second.max(1.0)) as i64;
        let wait_ms = allowed_ms - elapsed_ms;
        // Short waits are saved up.
        if wait_ms.max(elapsed_ms) < CHECK_INTERVAL_MS {
            return 0;
        }
        *self = Throttle::begin(now_ms.saturating_add(wait_ms.max(0)));
        wait_ms.max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_the_rate_are_waited_for() {
        let mut throttle = Throttle::begin(1000);
        assert_eq!(throttle.wait_ms(100, 1000.0, 1000), 0, "100 ms are saved up");
        assert_eq!(throttle.wait_ms(900, 1000.0, 1000), 1000);
        assert_eq!(throttle.wait_ms(400, 1000.0, 2100), 300, "100 ms have passed since");
        assert_eq!(throttle.wait_ms(1 << 40, f64::MAX, 2400), 0);
    }

    #[test]
    fn a_slow_time_gives_no_credit_for_later() {
        let mut throttle = Throttle::begin(0);
        assert_eq!(throttle.wait_ms(1, 1000.0, 60_000), 0);
        assert_eq!(throttle.wait_ms(1000, 1000.0, 60_000), 1000);
    }
}
