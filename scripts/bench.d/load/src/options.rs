//! Command line options of the form `--name value`, and the totals a command prints.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;

use crate::digest::Digest;
use crate::latency::Latency;

pub struct Options {
    values: HashMap<String, String>,
}

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Options> {
        let mut values = HashMap::new();
        while let Some(argument) = arguments.next() {
            let name = argument.strip_prefix("--").with_context(|| format!("{argument} is no option"))?;
            let value = arguments.next().with_context(|| format!("--{name} needs a value"))?;
            values.insert(name.to_owned(), value);
        }
        Ok(Options { values })
    }

    pub fn text(&self, name: &str) -> anyhow::Result<String> {
        self.values.get(name).cloned().with_context(|| format!("--{name} is missing"))
    }

    pub fn value<T: FromStr>(&self, name: &str) -> anyhow::Result<T> {
        let text = self.text(name)?;
        text.parse().ok().with_context(|| format!("--{name} {text} has the wrong form"))
    }

    /// The value of an option that may be left out.
    pub fn value_or<T: FromStr>(&self, name: &str, default: T) -> anyhow::Result<T> {
        if self.values.contains_key(name) { self.value(name) } else { Ok(default) }
    }
}

/// What a command moved and how long that took, from its first request to its last answer.
#[derive(Default)]
pub struct Totals {
    pub request_count: u64,
    pub record_count: u64,
    /// Record batches as they are on the wire, without the requests around them.
    pub size_bytes: u64,
    pub duration: Duration,
    /// Of each request, where the command measures it.
    pub latency: Option<Latency>,
    /// Until a consumer had the record.
    pub end_to_end: Option<Latency>,
    /// How late the generator released scheduled requests.
    pub late: Option<Latency>,
    /// Of all batches, where the command looks at them.
    pub digest: Option<Digest>,
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            r#"{{"requests": {}, "records": {}, "bytes": {}, "seconds": {:.6}"#,
            self.request_count,
            self.record_count,
            self.size_bytes,
            self.duration.as_secs_f64()
        )?;
        let latencies =
            [("latency_us", &self.latency), ("end_to_end_us", &self.end_to_end), ("late_us", &self.late)];
        for (name, latency) in latencies {
            if let Some(latency) = latency {
                write!(out, r#", "{name}": {latency}"#)?;
            }
        }
        if let Some(digest) = self.digest {
            write!(out, r#", "digest": "{digest}""#)?;
        }
        write!(out, "}}")
    }
}
