//! Keys of a client-metrics subscription (`ClientMetricsConfigs`, KIP-714): their table and rules. Pure.

use std::collections::BTreeMap;

use crate::config::key::{ConfigError, Key};
pub use crate::config::keys::client_metrics::KEYS;
use crate::config::value::Value;
use crate::protocol::errors::{ApiError, ErrorCode};

/// What a pattern of `match` may be about.
const MATCHED: &[&str] = &[
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// The table's row of a client-metrics key.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.binary_search_by(|key| key.name.cmp(name)).ok().map(|index| &KEYS[index])
}

/// Checks a subscription with Kafka's codes and words. Patterns are not compiled.
pub fn check(overrides: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let invalid_config = |error: ConfigError| ApiError::new(ErrorCode::InvalidConfig, error.to_string());
    for (name, text) in overrides {
        let key = find(name).ok_or_else(|| {
            let sentence = format!("Unknown client metrics configuration: {name}");
            ApiError::new(ErrorCode::InvalidRequest, sentence)
        })?;
        let value = key.parse(text).map_err(invalid_config)?;
        match (key.name, &value) {
            ("interval.ms", Value::Integer(interval)) if !(100..=3_600_000).contains(interval) => {
                let sentence = format!(
                    "Invalid value {interval} for interval.ms, interval must be between 100 and 3600000 \
                     (1 hour)"
                );
                return Err(ApiError::new(ErrorCode::InvalidRequest, sentence));
            }
            ("match", Value::List(patterns)) => check_patterns(patterns).map_err(invalid_config)?,
            (_, _) => {}
        }
    }
    Ok(())
}

fn check_patterns(patterns: &[String]) -> Result<(), ConfigError> {
    let good = |pattern: &str| {
        pattern.split_once('=').is_some_and(|(name, pattern)| {
            MATCHED.contains(&name.trim()) && !pattern.trim().is_empty() && !pattern.contains('=')
        })
    };
    match patterns.iter().find(|pattern| !good(pattern)) {
        None => Ok(()),
        Some(pattern) => Err(ConfigError::Conflict(format!("Illegal client matching pattern: {pattern}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_one(name: &str, value: &str, expected: Result<(), (ErrorCode, &str)>) {
        let overrides = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let expected = expected.map_err(|(code, sentence)| ApiError::new(code, sentence));
        assert_eq!(check(&overrides), expected);
    }

    #[test]
    fn subscriptions_are_checked_with_kafkas_codes_and_words() {
        check_one("interval.ms", "100", Ok(()));
        check_one("match", "client_id=a.*, client_software_name=b", Ok(()));
        check_one("metrics", "*", Ok(()));
        let unknown = (ErrorCode::InvalidRequest, "Unknown client metrics configuration: foo");
        check_one("foo", "1", Err(unknown));
        let range = "Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)";
        check_one("interval.ms", "1", Err((ErrorCode::InvalidRequest, range)));
        let number = "Invalid value x for configuration interval.ms: Not a number of type INT";
        check_one("interval.ms", "x", Err((ErrorCode::InvalidConfig, number)));
        let pattern = "Illegal client matching pattern: a=b";
        check_one("match", "a=b", Err((ErrorCode::InvalidConfig, pattern)));
    }
}
