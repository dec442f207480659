//! The text that Prometheus reads (exposition format 0.0.4).

use std::fmt::{Display, Write};

/// What the samples of a family are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    Gauge,
}

/// Collects families of samples. A family's name is used once; its samples stand together.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// The family that samples are added to.
pub struct Family<'a> {
    name: &'a str,
    text: &'a mut String,
}

/// Counts per bucket, not yet summed up.
pub struct Histogram<'a> {
    /// Upper bounds in seconds, ascending; the last bucket has none.
    pub bounds_seconds: &'a [f64],
    /// One more than `bounds_seconds`.
    pub counts: &'a [u64],
    pub sum_seconds: f64,
}

impl Exposition {
    pub fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.begin(name, kind, help)
    }

    pub fn histogram_family<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        self.begin(name, "histogram", help)
    }

    pub fn into_text(self) -> String {
        self.text
    }

    fn begin<'a>(&'a mut self, name: &'a str, kind: &str, help: &str) -> Family<'a> {
        push(&mut self.text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { name, text: &mut self.text }
    }
}

impl Family<'_> {
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, None, value);
    }

    pub fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram<'_>) {
        let mut total = 0;
        for (index, count) in histogram.counts.iter().enumerate() {
            total += count;
            let bound = histogram.bounds_seconds.get(index).map_or("+Inf".to_owned(), f64::to_string);
            self.line("_bucket", labels, Some(&bound), total);
        }
        self.line("_sum", labels, None, histogram.sum_seconds);
        self.line("_count", labels, None, total);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: impl Display) {
        push(self.text, format_args!("{}{suffix}", self.name));
        let labels = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (name, value) in labels {
            push(self.text, format_args!("{separator}{name}=\"{}\"", Escaped(value)));
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        push(self.text, format_args!(" {value}\n"));
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes every text");
}

/// A label's value in the way the format wants it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => formatter.write_str("\\\\")?,
                '"' => formatter.write_str("\\\"")?,
                '\n' => formatter.write_str("\\n")?,
                other => formatter.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_under_their_family_with_escaped_labels() {
        let mut exposition = Exposition::default();
        let mut family = exposition.family("bytes_total", Kind::Counter, "Bytes.");
        family.sample(&[("topic", "a\"b\\c\nd"), ("partition", "0")], 5);
        family.sample(&[], 1.5);
        let expected = "# HELP bytes_total Bytes.\n# TYPE bytes_total counter\n\
                        bytes_total{topic=\"a\\\"b\\\\c\\nd\",partition=\"0\"} 5\nbytes_total 1.5\n";
        assert_eq!(exposition.into_text(), expected);
    }

    #[test]
    fn a_histogram_sums_its_buckets_up() {
        let mut exposition = Exposition::default();
        let histogram = Histogram { bounds_seconds: &[0.001, 0.01], counts: &[1, 2, 3], sum_seconds: 0.5 };
        exposition.histogram_family("time_seconds", "Time.").histogram(&[("request", "Fetch")], &histogram);
        let expected = "# HELP time_seconds Time.\n# TYPE time_seconds histogram\n\
                        time_seconds_bucket{request=\"Fetch\",le=\"0.001\"} 1\n\
                        time_seconds_bucket{request=\"Fetch\",le=\"0.01\"} 3\n\
                        time_seconds_bucket{request=\"Fetch\",le=\"+Inf\"} 6\n\
                        time_seconds_sum{request=\"Fetch\"} 0.5\ntime_seconds_count{request=\"Fetch\"} 6\n";
        assert_eq!(exposition.into_text(), expected);
    }
}
