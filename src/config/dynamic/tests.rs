use super::*;
use crate::config::broker::BrokerConfig;
use crate::config::key::Class;
use crate::protocol::ids::BrokerId;

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn topic() -> ConfigResource {
    ConfigResource::topic("t")
}

fn broker() -> ConfigResource {
    ConfigResource::broker(BrokerId(1))
}

/// For a node that was started with `listeners` and `num.partitions` set.
fn altered(
    resource: &ConfigResource,
    current: &[(&str, &str)],
    lines: &[(&str, AlterOperation)],
) -> Result<BTreeMap<String, String>, ApiError> {
    let static_properties = owned(&[("listeners", "PLAINTEXT://:9092"), ("num.partitions", "3")]);
    let (config, _) = BrokerConfig::from_properties(&static_properties).unwrap();
    let in_force = InForce::as_started(static_properties, config);
    let operations: Vec<(String, AlterOperation)> =
        lines.iter().map(|(key, operation)| (key.to_string(), operation.clone())).collect();
    alter(resource, &owned(current), &operations, &in_force)
}

fn set(value: &str) -> AlterOperation {
    AlterOperation::Set(value.to_owned())
}

fn append(value: &str) -> AlterOperation {
    AlterOperation::Append(value.to_owned())
}

fn subtract(value: &str) -> AlterOperation {
    AlterOperation::Subtract(value.to_owned())
}

#[track_caller]
fn refused(resource: &ConfigResource, key: &str, operation: AlterOperation, code: ErrorCode, sentence: &str) {
    assert_eq!(altered(resource, &[], &[(key, operation)]), Err(ApiError::new(code, sentence)));
}

#[test]
fn operations_change_only_their_keys() {
    let lines = [
        ("retention.ms", set("5")),
        ("segment.ms", AlterOperation::Delete),
        ("cleanup.policy", append("compact")),
        ("leader.replication.throttled.replicas", subtract("1:1")),
    ];
    let current =
        [("segment.ms", "7"), ("flush.ms", "9"), ("leader.replication.throttled.replicas", "0:1,1:1")];
    let expected = owned(&[
        ("retention.ms", "5"),
        ("cleanup.policy", "delete,compact"),
        ("flush.ms", "9"),
        ("leader.replication.throttled.replicas", "0:1"),
    ]);
    assert_eq!(altered(&topic(), &current, &lines), Ok(expected));
}

#[test]
fn an_element_is_appended_once_and_a_missing_one_not_subtracted() {
    let current = [("cleanup.policy", "compact")];
    let appended = [("cleanup.policy", append("compact"))];
    assert_eq!(altered(&topic(), &current, &appended), Ok(owned(&current)));
    let subtracted = [("cleanup.policy", subtract("delete"))];
    assert_eq!(altered(&topic(), &current, &subtracted), Ok(owned(&current)));
}

#[test]
fn topics_are_refused_as_kafkas_controller_does() {
    let code = ErrorCode::InvalidConfig;
    refused(&topic(), "foo", set("1"), code, "Unknown topic config name: foo");
    let list = "Can't APPEND to key retention.ms because its type is not LIST.";
    refused(&topic(), "retention.ms", append("1"), code, list);
    let list = "Can't SUBTRACT to key foo because its type is not LIST.";
    refused(&topic(), "foo", subtract("1"), code, list);
    let policy = "Invalid value x for configuration cleanup.policy: String must be one of: compact, delete";
    refused(&topic(), "cleanup.policy", append("x"), code, policy);
}

#[test]
fn brokers_are_refused_as_dynamic_broker_config_does() {
    let code = ErrorCode::InvalidRequest;
    refused(&broker(), "node.id", set("2"), code, "Cannot update these configs dynamically: [node.id]");
    let least = "Invalid value 0 for configuration num.io.threads: Value must be at least 1";
    refused(&broker(), "num.io.threads", set("0"), code, least);
    let level =
        "Cannot update these configs at default cluster level, broker id must be specified: [listeners]";
    refused(&ConfigResource::cluster_default(), "listeners", set("PLAINTEXT://:1"), code, level);
    let bound = "Value PLAINTEXT://:1 for configuration listeners is not supported by this build: listeners \
                 do not change while the broker runs";
    refused(&broker(), "listeners", set("PLAINTEXT://:1"), code, bound);
    let retention = "Invalid value 0 for configuration log.retention.ms: log.retention.ms must be unlimited \
                     (-1) or, greater than or equal to 1";
    refused(&broker(), "log.retention.ms", set("0"), code, retention);
    let not_a_list = "Config value append is not allowed for config key: num.io.threads";
    refused(&broker(), "num.io.threads", append("1"), ErrorCode::InvalidConfig, not_a_list);
    let unknown = "Unknown config name: foo";
    refused(&broker(), "foo", append("1"), ErrorCode::InvalidConfig, unknown);
}

#[test]
fn brokers_take_dynamic_values_at_either_level() {
    for resource in [broker(), ConfigResource::cluster_default()] {
        for (key, value) in
            [("log.retention.ms", "5"), ("leader.replication.throttled.rate", "5"), ("unknown.to.us", "x")]
        {
            let expected = owned(&[(key, value)]);
            assert_eq!(altered(&resource, &[], &[(key, set(value))]), Ok(expected));
        }
    }
    let same = [("listeners", set("PLAINTEXT://:9092"))];
    assert!(altered(&broker(), &[], &same).is_ok());
    let cleanup = altered(&broker(), &[], &[("log.cleanup.policy", append("compact"))]);
    assert_eq!(cleanup, Ok(owned(&[("log.cleanup.policy", "delete,compact")])));
}

#[test]
fn every_dynamic_key_that_is_applied_takes_effect_while_the_broker_runs() {
    let mut elsewhere: Vec<&str> = broker::keys()
        .filter(|key| key.update != Update::ReadOnly && key.class == Class::Applied)
        .map(|key| key.name)
        // Every change makes the topics' defaults anew and gives them to every log.
        .filter(|name| !topic::SYNONYMS.iter().any(|(_, keys)| keys.iter().any(|(key, _)| key == name)))
        .collect();
    elsewhere.sort_unstable();
    let expected = [
        // Asked of the configuration in force by each assignment.
        "group.consumer.assignment.interval.ms",
        // Fixed at the start; another value than the one bound is refused.
        "listener.security.protocol.map",
        "listeners",
        // Asked of the configuration in force by each run of the cleaner.
        "log.cleaner.backoff.ms",
        "log.cleaner.dedupe.buffer.size",
        "log.cleaner.io.buffer.load.factor",
        "log.cleaner.io.max.bytes.per.second",
        // `broker::DynamicSettings`
        "max.connections",
        "max.connections.per.ip",
        "max.connections.per.ip.overrides",
        "producer.id.expiration.ms",
        // Asked of the configuration in force by each produce request.
        "transaction.partition.verification.enable",
    ];
    assert_eq!(elsewhere, expected);
}

#[test]
fn thread_counts_at_most_halve_or_double() {
    let refused = |key: &str, value: &str, sentence: &str| {
        let sentence = format!(
            "Invalid value org.apache.kafka.common.config.ConfigException: {sentence} for configuration Invalid dynamic \
             configuration"
        );
        refused(&broker(), key, set(value), ErrorCode::InvalidRequest, &sentence);
    };
    let failed = "Dynamic thread count update validation failed for";
    refused(
        "num.io.threads",
        "17",
        &format!("{failed} num.io.threads=17, value should not be greater than double the current value 8"),
    );
    refused(
        "background.threads",
        "4",
        &format!("{failed} background.threads=4, value should be at least half the current value 10"),
    );
    let far = "Log cleaner threads cannot be increased to more than double the current value 1";
    refused("log.cleaner.threads", "3", far);
    refused("log.cleaner.threads", "0", "Log cleaner threads should be at least 1");
    for (key, value) in [("num.io.threads", "16"), ("num.io.threads", "4"), ("log.cleaner.threads", "2")] {
        assert!(altered(&broker(), &[], &[(key, set(value))]).is_ok(), "{key}={value}");
    }
}
