//! The histogram that openraft counts batch sizes with, without the tables of the registry's crate.
//!
//! The original fills 27 MB of static tables at the first use, which every process of ours would pay for
//! numbers nobody reads. This one has openraft's part of its interface over 65 counters, one for each power
//! of two; a percentile is the lower bound of its bucket.

#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;

/// Counts of values, by the power of two below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    /// `counts[0]` is for 0, `counts[n]` for values from `2^(n-1)` on.
    counts: [u64; 65],
    slot: PhantomData<T>,
}

impl<T> Histogram<T> {
    pub fn new() -> Histogram<T> {
        Histogram { counts: [0; 65], slot: PhantomData }
    }

    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Records `value` `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        let bucket = 64 - value.leading_zeros() as usize;
        self.counts[bucket] = self.counts[bucket].saturating_add(count);
    }

    /// Count of values recorded.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    /// Lower bound of the bucket that holds the value at `permille` of the sorted values.
    fn quantile(&self, permille: u128) -> u64 {
        let rank = u128::from(self.total()) * permille / 1000;
        let mut below = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            below += u128::from(*count);
            if below > rank {
                return if bucket == 0 { 0 } else { 1 << (bucket - 1) };
            }
        }
        0
    }

    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.quantile(1),
            p1: self.quantile(10),
            p5: self.quantile(50),
            p10: self.quantile(100),
            p50: self.quantile(500),
            p90: self.quantile(900),
            p99: self.quantile(990),
            p99_9: self.quantile(999),
        }
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Histogram<T> {
        Histogram::new()
    }
}

/// Percentiles of a [`Histogram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PercentileStats { samples, p0_1, p1, p5, p10, p50, p90, p99, p99_9 } = self;
        write!(
            formatter,
            "[samples: {samples}, P0.1: {p0_1}, P1: {p1}, P5: {p5}, P10: {p10}, P50: {p50}, P90: {p90}, \
             P99: {p99}, P99.9: {p99_9}]"
        )
    }
}

/// Named histograms, one line each.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart {
    series: Vec<(String, Histogram)>,
}

impl AsciiChart {
    pub fn new() -> AsciiChart {
        AsciiChart::default()
    }

    #[expect(clippy::should_implement_trait, reason = "the name is openraft's")]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> AsciiChart {
        self.series.push((name.into(), histogram));
        self
    }

    /// The chart as text.
    pub fn detailed(&self) -> String {
        let lines =
            self.series.iter().map(|(name, histogram)| format!("{name}: {}\n", histogram.percentile_stats()));
        lines.collect()
    }
}
