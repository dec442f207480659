//! How much was used lately, and how long to wait until that is little enough again.
//!
//! A rate is a sum over samples of one window each; samples that overlap the span they cover together are kept whole.
//! Kafka: `Rate`, `SampledStat`, `QuotaUtils.throttleTime`, `TokenBucket`.

/// How usage is sampled: `quota.window.num` samples of `quota.window.size.seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub sample_count: usize,
    pub sample_duration_ms: i64,
}

impl Window {
    /// What may be used at once, when nothing was, without a wait.
    pub fn burst(&self, limit_per_second: f64) -> f64 {
        let full_samples = self.sample_count.saturating_sub(1) as f64;
        limit_per_second * full_samples * self.sample_duration_ms as f64 / 1000.0
    }

    fn bucket(&self, tokens_per_second: f64) -> f64 {
        tokens_per_second * self.sample_count as f64 * self.sample_duration_ms as f64 / 1000.0
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    began_ms: i64,
    used_ms: i64,
    sum: f64,
}

impl Sample {
    fn begin(now_ms: i64) -> Sample {
        Sample { began_ms: now_ms, used_ms: now_ms, sum: 0.0 }
    }
}

/// What was used in each of the last windows.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    /// A ring, one longer than the window has samples: for the one that the window's begin falls into.
    samples: Vec<Sample>,
    current: usize,
}

impl Rate {
    /// `amount` may be negative, which takes back what was recorded a moment ago.
    pub fn record(&mut self, window: Window, amount: f64, now_ms: i64) {
        if self.samples.is_empty() {
            self.samples.push(Sample::begin(now_ms));
        }
        if now_ms - self.samples[self.current].began_ms >= window.sample_duration_ms {
            self.current = (self.current + 1) % (window.sample_count + 1);
            match self.samples.get_mut(self.current) {
                Some(oldest) => *oldest = Sample::begin(now_ms),
                None => self.samples.push(Sample::begin(now_ms)),
            }
        }
        let sample = &mut self.samples[self.current];
        sample.sum += amount;
        sample.used_ms = now_ms;
    }

    /// Until the rate, when nothing more is used, has come down to `limit_per_second`; 0 when it is not above.
    ///
    /// With a rate `r` over a span `s`, that is the time `t` for which `r * s / (s + t)` is the limit.
    pub fn throttle_time_ms(&mut self, window: Window, limit_per_second: f64, now_ms: i64) -> f64 {
        self.forget(window, now_ms);
        let span_ms = self.span_ms(window, now_ms) as f64;
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        let rate = sum / (span_ms / 1000.0);
        if rate <= limit_per_second {
            return 0.0;
        }
        ((rate - limit_per_second) / limit_per_second * span_ms + 0.5).floor()
    }

    fn forget(&mut self, window: Window, now_ms: i64) {
        let span_ms = window.sample_count as i64 * window.sample_duration_ms;
        for sample in &mut self.samples {
            if now_ms - sample.used_ms >= span_ms {
                *sample = Sample::begin(now_ms);
            }
        }
    }

    /// What the samples cover, and at least all windows but the current one: a client that has just come is not
    /// measured by its first moment.
    fn span_ms(&self, window: Window, now_ms: i64) -> i64 {
        let oldest_ms = self.samples.iter().map(|sample| sample.began_ms).min().unwrap_or(now_ms);
        let covered_ms = now_ms - oldest_ms;
        let full_count = covered_ms / window.sample_duration_ms;
        let missing_count = (window.sample_count as i64 - 1 - full_count).max(0);
        (covered_ms + missing_count * window.sample_duration_ms).max(1)
    }
}

/// Tokens that come back at a steady rate up to what all windows hold; going below none is a debt (KIP-599).
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenBucket {
    /// Tokens, and when they were counted; full before the first use.
    counted: Option<(f64, i64)>,
}

impl TokenBucket {
    /// Takes `amount` away, or with a negative one gives it back.
    pub fn take(&mut self, window: Window, tokens_per_second: f64, amount: f64, now_ms: i64) {
        let full = window.bucket(tokens_per_second);
        let tokens = self.tokens(window, tokens_per_second, now_ms) - amount;
        self.counted = Some((tokens.min(full), now_ms));
    }

    /// Until there is no debt; 0 without one.
    pub fn throttle_time_ms(&self, window: Window, tokens_per_second: f64, now_ms: i64) -> f64 {
        let debt = -self.tokens(window, tokens_per_second, now_ms);
        if debt <= 0.0 { 0.0 } else { (debt / tokens_per_second * 1000.0 + 0.5).floor() }
    }

    fn tokens(&self, window: Window, tokens_per_second: f64, now_ms: i64) -> f64 {
        let full = window.bucket(tokens_per_second);
        match self.counted {
            Some((tokens, at_ms)) => full.min(tokens + tokens_per_second * (now_ms - at_ms) as f64 / 1000.0),
            None => full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { sample_count: 11, sample_duration_ms: 1000 };

    #[test]
    fn a_burst_within_ten_windows_is_free_and_more_waits_for_its_share() {
        let mut rate = Rate::default();
        rate.record(WINDOW, 1000.0, 0);
        assert_eq!(rate.throttle_time_ms(WINDOW, 100.0, 0), 0.0);
        assert_eq!(WINDOW.burst(100.0), 1000.0);
        rate.record(WINDOW, 500.0, 0);
        // 1500 over 10 s are 150/s; they are 100/s over 15 s.
        assert_eq!(rate.throttle_time_ms(WINDOW, 100.0, 0), 5000.0);
        assert_eq!(rate.throttle_time_ms(WINDOW, 100.0, 5000), 5000.0);
    }

    #[test]
    fn usage_is_forgotten_when_its_sample_leaves_the_span() {
        let mut rate = Rate::default();
        rate.record(WINDOW, 5000.0, 0);
        assert!(rate.throttle_time_ms(WINDOW, 100.0, 10_999) > 0.0);
        assert_eq!(rate.throttle_time_ms(WINDOW, 100.0, 11_000), 0.0);
    }

    #[test]
    fn a_steady_client_below_its_limit_never_waits() {
        let mut rate = Rate::default();
        for tick in 0..1000 {
            rate.record(WINDOW, 9.0, tick * 100);
            assert_eq!(rate.throttle_time_ms(WINDOW, 100.0, tick * 100), 0.0, "at {tick}");
        }
    }

    #[test]
    fn a_client_at_twice_its_limit_that_waits_as_told_comes_down_to_it() {
        let (mut rate, mut now_ms, mut total) = (Rate::default(), 0, 0.0);
        while now_ms < 600_000 {
            rate.record(WINDOW, 20.0, now_ms);
            total += 20.0;
            now_ms += 100 + rate.throttle_time_ms(WINDOW, 100.0, now_ms) as i64;
        }
        let per_second = total / (now_ms as f64 / 1000.0);
        assert!((95.0..110.0).contains(&per_second), "{per_second}");
    }

    #[test]
    fn what_is_taken_back_was_not_used() {
        let mut rate = Rate::default();
        rate.record(WINDOW, 5000.0, 0);
        rate.record(WINDOW, -5000.0, 1);
        assert_eq!(rate.throttle_time_ms(WINDOW, 100.0, 1), 0.0);
    }

    #[test]
    fn the_ring_holds_one_sample_more_than_the_window() {
        let mut rate = Rate::default();
        for second in 0..100 {
            rate.record(WINDOW, 1.0, second * 1000);
        }
        assert_eq!(rate.samples.len(), 12);
    }

    #[test]
    fn a_bucket_may_be_overdrawn_once_and_fills_up_to_its_brim() {
        let mut bucket = TokenBucket::default();
        bucket.take(WINDOW, 2.0, 30.0, 0);
        assert_eq!(bucket.throttle_time_ms(WINDOW, 2.0, 0), 4000.0, "22 tokens were there");
        assert_eq!(bucket.throttle_time_ms(WINDOW, 2.0, 3000), 1000.0);
        assert_eq!(bucket.throttle_time_ms(WINDOW, 2.0, 4000), 0.0);
        bucket.take(WINDOW, 2.0, 22.0, 1_000_000);
        assert_eq!(bucket.throttle_time_ms(WINDOW, 2.0, 1_000_000), 0.0);
        bucket.take(WINDOW, 2.0, 1.0, 1_000_000);
        assert_eq!(bucket.throttle_time_ms(WINDOW, 2.0, 1_000_000), 500.0);
        bucket.take(WINDOW, 2.0, -1.0, 1_000_000);
        assert_eq!(bucket.throttle_time_ms(WINDOW, 2.0, 1_000_000), 0.0);
    }
}
