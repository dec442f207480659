//! Latencies of one load: recorded without allocation, printed as percentiles in microseconds.
//!
//! It has no clock. What is recorded counts from the time a request was scheduled for, where there is a schedule, so
//! that a broker that stalls is charged for every request it kept from being sent (coordinated omission); else from
//! the time it was sent.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Below this all latencies count as this.
const LEAST_NS: u64 = 100;
/// Longer than a load waits for an answer.
const GREATEST_NS: u64 = 120_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// How often each latency was seen.
pub struct Latency {
    nanoseconds: Histogram<u32>,
}

impl Default for Latency {
    fn default() -> Latency {
        let nanoseconds = Histogram::new_with_bounds(LEAST_NS, GREATEST_NS, SIGNIFICANT_DIGITS);
        Latency { nanoseconds: nanoseconds.expect("the bounds are in order and three digits are few") }
    }
}

impl Latency {
    pub fn record(&mut self, latency: Duration) {
        self.nanoseconds.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(GREATEST_NS));
    }

    pub fn add(&mut self, other: &Latency) {
        self.nanoseconds.add(&other.nanoseconds).expect("all histograms have the same bounds");
    }

    fn quantile_us(&self, quantile: f64) -> f64 {
        self.nanoseconds.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// A JSON object of the percentiles.
impl fmt::Display for Latency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            r#"{{"p50": {:.1}, "p99": {:.1}, "p99_9": {:.1}, "max": {:.1}}}"#,
            self.quantile_us(0.5),
            self.quantile_us(0.99),
            self.quantile_us(0.999),
            self.nanoseconds.max() as f64 / 1e3
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut latency = Latency::default();
        for us in 1..=1000 {
            latency.record(Duration::from_micros(us));
        }
        assert_eq!(latency.to_string(), r#"{"p50": 500.2, "p99": 990.2, "p99_9": 999.4, "max": 1000.4}"#);
    }

    #[test]
    fn the_latencies_of_all_lanes_are_summed() {
        let (mut first, mut second) = (Latency::default(), Latency::default());
        first.record(Duration::from_micros(1));
        second.record(Duration::from_micros(9));
        first.add(&second);
        assert_eq!(first.nanoseconds.len(), 2);
    }

    #[test]
    fn what_is_out_of_bounds_counts_as_the_bound() {
        let mut latency = Latency::default();
        latency.record(Duration::ZERO);
        latency.record(Duration::from_secs(1_000));
        assert_eq!(latency.nanoseconds.len(), 2);
        assert!(latency.nanoseconds.max() >= GREATEST_NS);
    }
}
