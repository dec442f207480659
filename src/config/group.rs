//! Keys of a group (`GroupConfig`, KIP-848, KIP-932, KIP-1071): their table, broker twins and rules. Pure.

use std::collections::BTreeMap;

use crate::config::broker::{self, Values};
use crate::config::key::{ConfigError, Key};
pub use crate::config::keys::group::KEYS;
use crate::config::value::Value;

/// The table's row of a group key.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.binary_search_by(|key| key.name.cmp(name)).ok().map(|index| &KEYS[index])
}

/// The broker key that gives a group key its default. Most are named after it.
pub fn broker_synonym(name: &str) -> Option<&'static str> {
    if name == "streams.assignor.name" {
        return Some("group.streams.assignors");
    }
    let twin = format!("group.{name}");
    broker::find(&twin).map(|key| key.name)
}

/// Bounds that the broker sets for a group: the key, the broker key of the least value and of the greatest.
const BOUNDS: &[(&str, Option<&str>, &str)] = &[
    (
        "consumer.assignment.interval.ms",
        Some("group.consumer.min.assignment.interval.ms"),
        "group.consumer.max.assignment.interval.ms",
    ),
    (
        "consumer.heartbeat.interval.ms",
        Some("group.consumer.min.heartbeat.interval.ms"),
        "group.consumer.max.heartbeat.interval.ms",
    ),
    (
        "consumer.session.timeout.ms",
        Some("group.consumer.min.session.timeout.ms"),
        "group.consumer.max.session.timeout.ms",
    ),
    (
        "share.assignment.interval.ms",
        Some("group.share.min.assignment.interval.ms"),
        "group.share.max.assignment.interval.ms",
    ),
    (
        "share.delivery.count.limit",
        Some("group.share.min.delivery.count.limit"),
        "group.share.max.delivery.count.limit",
    ),
    (
        "share.heartbeat.interval.ms",
        Some("group.share.min.heartbeat.interval.ms"),
        "group.share.max.heartbeat.interval.ms",
    ),
    (
        "share.partition.max.record.locks",
        Some("group.share.min.partition.max.record.locks"),
        "group.share.max.partition.max.record.locks",
    ),
    (
        "share.record.lock.duration.ms",
        Some("group.share.min.record.lock.duration.ms"),
        "group.share.max.record.lock.duration.ms",
    ),
    (
        "share.session.timeout.ms",
        Some("group.share.min.session.timeout.ms"),
        "group.share.max.session.timeout.ms",
    ),
    (
        "streams.assignment.interval.ms",
        Some("group.streams.min.assignment.interval.ms"),
        "group.streams.max.assignment.interval.ms",
    ),
    (
        "streams.heartbeat.interval.ms",
        Some("group.streams.min.heartbeat.interval.ms"),
        "group.streams.max.heartbeat.interval.ms",
    ),
    ("streams.num.standby.replicas", None, "group.streams.max.standby.replicas"),
    ("streams.num.warmup.replicas", None, "group.streams.max.warmup.replicas"),
    (
        "streams.session.timeout.ms",
        Some("group.streams.min.session.timeout.ms"),
        "group.streams.max.session.timeout.ms",
    ),
];

/// Checks a group's overrides in Kafka's order and words, against the bounds in the broker's properties.
pub fn check(
    overrides: &BTreeMap<String, String>,
    broker_properties: &BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    let mut values = BTreeMap::new();
    for name in overrides.keys() {
        if find(name).is_none() {
            return Err(ConfigError::Conflict(format!("Unknown group config name: {name}")));
        }
    }
    for key in KEYS {
        if let Some(text) = overrides.get(key.name) {
            values.insert(key.name, key.parse(text)?);
        }
    }
    let broker = Values::new(broker_properties);
    for (name, least, most) in BOUNDS {
        if let Some(number) = values.get(name).and_then(Value::integer) {
            check_bounds(name, number, *least, most, &broker)?;
        }
    }
    for group in ["consumer", "share", "streams"] {
        let (session, heartbeat) =
            (format!("{group}.session.timeout.ms"), format!("{group}.heartbeat.interval.ms"));
        let number = |name: &String| match values.get(name.as_str()).and_then(Value::integer) {
            Some(number) => Ok(number),
            None => broker.typed::<i64>(&format!("group.{name}")),
        };
        let altered = values.contains_key(session.as_str()) || values.contains_key(heartbeat.as_str());
        if altered && number(&session)? <= number(&heartbeat)? {
            return Err(ConfigError::Conflict(format!("{session} must be greater than {heartbeat}")));
        }
    }
    check_names(&values)
}

fn check_bounds(
    name: &str,
    number: i64,
    least: Option<&str>,
    most: &str,
    broker: &Values,
) -> Result<(), ConfigError> {
    let most: i64 = broker.typed(most)?;
    let sentence = match least {
        None if number <= most => return Ok(()),
        None => format!("{name} must be less than or equal to {most}"),
        Some(least) => {
            let least: i64 = broker.typed(least)?;
            if (least..=most).contains(&number) {
                return Ok(());
            }
            format!("{name} must be in the range {least} to {most} inclusive.")
        }
    };
    Err(ConfigError::Conflict(sentence))
}

fn check_names(values: &BTreeMap<&str, Value>) -> Result<(), ConfigError> {
    if let Some(name) = values.get("streams.assignor.name").and_then(Value::text)
        && name != "sticky"
    {
        return Err(ConfigError::Conflict(format!(
            "streams.assignor.name '{name}' is not a registered task assignor. Registered assignors are: \
             [sticky]."
        )));
    }
    let tags = values.get("streams.rack.aware.assignment.tags").and_then(Value::list).unwrap_or_default();
    if tags.iter().enumerate().any(|(index, tag)| tags[..index].contains(tag)) {
        let sentence = "streams.rack.aware.assignment.tags must not contain duplicate tag keys.";
        return Err(ConfigError::Conflict(sentence.to_owned()));
    }
    let dead_letters = values.get("errors.deadletterqueue.topic.name").and_then(Value::text);
    if dead_letters.is_some_and(|topic| topic.starts_with("__")) {
        let sentence = "errors.deadletterqueue.topic.name: DLQ topic name must not start with '__'";
        return Err(ConfigError::Conflict(sentence.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_one(pairs: &[(&str, &str)], expected: &str) {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        let broker = owned(&[("group.consumer.min.session.timeout.ms", "100")]);
        let shown = match check(&owned(pairs), &broker) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn values_are_bounded_by_the_brokers_in_kafkas_words() {
        check_one(&[], "ok");
        check_one(&[("consumer.session.timeout.ms", "30000")], "ok");
        check_one(&[("share.auto.offset.reset", "by_duration:P1DT2H0.5S")], "ok");
        check_one(&[("foo", "1")], "Unknown group config name: foo");
        let range = "consumer.session.timeout.ms must be in the range 100 to 60000 inclusive.";
        check_one(&[("consumer.session.timeout.ms", "70000")], range);
        let number =
            "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT";
        check_one(&[("consumer.session.timeout.ms", "x")], number);
        let most = "streams.num.standby.replicas must be less than or equal to 2";
        check_one(&[("streams.num.standby.replicas", "5")], most);
        let beat = "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms";
        check_one(&[("consumer.session.timeout.ms", "2000")], beat);
        let assignor = "streams.assignor.name 'x' is not a registered task assignor. Registered assignors \
                        are: [sticky].";
        check_one(&[("streams.assignor.name", "x")], assignor);
        let tags = "streams.rack.aware.assignment.tags must not contain duplicate tag keys.";
        check_one(&[("streams.rack.aware.assignment.tags", "a,a")], tags);
        let reset = "Invalid value by_duration:P for configuration share.auto.offset.reset: Invalid value \
                     `by_duration:P` for configuration share.auto.offset.reset. The value must be either \
                     'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.";
        check_one(&[("share.auto.offset.reset", "by_duration:P")], reset);
    }

    #[test]
    fn every_key_is_found_and_every_bound_is_a_key() {
        assert!(KEYS.iter().all(|key| find(key.name).is_some_and(|found| found.name == key.name)));
        for (name, least, most) in BOUNDS {
            assert!(find(name).is_some() && broker::find(most).is_some(), "{name}");
            assert!(least.is_none_or(|least| broker::find(least).is_some()), "{name}");
        }
        assert_eq!(broker_synonym("share.isolation.level"), None);
        assert_eq!(broker_synonym("consumer.session.timeout.ms"), Some("group.consumer.session.timeout.ms"));
    }
}
