use super::*;

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn topic() -> Resource {
    Resource::Topic("t".to_owned())
}

fn broker() -> Resource {
    Resource::Broker(Some(BrokerId(1)))
}

/// Runs `call` for node 1, which was started with `listeners` and `num.partitions` set.
fn with_context<T>(call: impl FnOnce(&Context) -> T) -> T {
    let static_properties = owned(&[("listeners", "PLAINTEXT://:9092"), ("num.partitions", "3")]);
    let none = BTreeMap::new();
    let layers = Layers { static_properties: &static_properties, cluster: &none, broker: &none };
    call(&Context { node_id: BrokerId(1), layers, topic_defaults: &TopicConfig::default() })
}

fn altered(
    resource: &Resource,
    current: &[(&str, &str)],
    lines: &[(&str, Operation, Option<&str>)],
) -> Result<BTreeMap<String, String>, ApiError> {
    let alterations: Vec<Alteration> = lines
        .iter()
        .map(|(key, operation, value)| Alteration {
            key: key.to_string(),
            operation: *operation,
            value: value.map(str::to_owned),
        })
        .collect();
    with_context(|context| alter(resource, &owned(current), &alterations, context))
}

#[track_caller]
fn refused(
    resource: &Resource,
    key: &str,
    operation: Operation,
    value: &str,
    code: ErrorCode,
    sentence: &str,
) {
    let result = altered(resource, &[], &[(key, operation, Some(value))]);
    assert_eq!(result, Err(ApiError::new(code, sentence)));
}

use Operation::{Append, Delete, Set, Subtract};

#[test]
fn operations_change_only_their_keys() {
    let lines = [
        ("retention.ms", Set, Some("5")),
        ("segment.ms", Delete, None),
        ("cleanup.policy", Append, Some("compact")),
        ("leader.replication.throttled.replicas", Subtract, Some("1:1")),
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
    let append = [("cleanup.policy", Append, Some("compact"))];
    assert_eq!(altered(&topic(), &current, &append), Ok(owned(&current)));
    let subtract = [("cleanup.policy", Subtract, Some("delete"))];
    assert_eq!(altered(&topic(), &current, &subtract), Ok(owned(&current)));
}

#[test]
fn a_malformed_request_is_refused_before_its_values_are_read() {
    let code = ErrorCode::InvalidRequest;
    let twice = [("retention.ms", Set, Some("x")), ("retention.ms", Delete, None)];
    let sentence = "Error due to duplicate config keys";
    assert_eq!(altered(&topic(), &[], &twice), Err(ApiError::new(code, sentence)));
    let missing = [("a", Set, None), ("b", Delete, None), ("c", Append, None)];
    let sentence = "Null value not supported for : a, c";
    assert_eq!(altered(&topic(), &[], &missing), Err(ApiError::new(code, sentence)));
    assert!(Operation::from_wire(4).is_err_and(|error| error.code == code));
}

#[test]
fn topics_are_refused_as_kafkas_controller_does() {
    let code = ErrorCode::InvalidConfig;
    refused(&topic(), "foo", Set, "1", code, "Unknown topic config name: foo");
    let list = "Can't APPEND to key retention.ms because its type is not LIST.";
    refused(&topic(), "retention.ms", Append, "1", code, list);
    let list = "Can't SUBTRACT to key foo because its type is not LIST.";
    refused(&topic(), "foo", Subtract, "1", code, list);
    let policy = "Invalid value x for configuration cleanup.policy: String must be one of: compact, delete";
    refused(&topic(), "cleanup.policy", Append, "x", code, policy);
}

#[test]
fn brokers_are_refused_as_dynamic_broker_config_does() {
    let code = ErrorCode::InvalidRequest;
    refused(&broker(), "node.id", Set, "2", code, "Cannot update these configs dynamically: [node.id]");
    let least = "Invalid value 0 for configuration num.io.threads: Value must be at least 1";
    refused(&broker(), "num.io.threads", Set, "0", code, least);
    let level =
        "Cannot update these configs at default cluster level, broker id must be specified: [listeners]";
    refused(&Resource::Broker(None), "listeners", Set, "PLAINTEXT://:1", code, level);
    let bound = "Value PLAINTEXT://:1 for configuration listeners is not supported by this build: listeners \
                 do not change while the broker runs";
    refused(&broker(), "listeners", Set, "PLAINTEXT://:1", code, bound);
    let retention = "Invalid value 0 for configuration log.retention.ms: log.retention.ms must be unlimited \
                     (-1) or, greater than or equal to 1";
    refused(&broker(), "log.retention.ms", Set, "0", code, retention);
    let other = "Unexpected broker id, expected 1, but received 2";
    refused(&Resource::Broker(Some(BrokerId(2))), "log.retention.ms", Set, "5", code, other);
    let append = "Config value append is not allowed for config key: num.io.threads";
    refused(&broker(), "num.io.threads", Append, "1", ErrorCode::InvalidConfig, append);
    let unknown = "Unknown config name: foo";
    refused(&broker(), "foo", Append, "1", ErrorCode::InvalidConfig, unknown);
}

#[test]
fn brokers_take_dynamic_values_at_either_level() {
    for resource in [broker(), Resource::Broker(None)] {
        for (key, value) in
            [("log.retention.ms", "5"), ("leader.replication.throttled.rate", "5"), ("unknown.to.us", "x")]
        {
            let expected = owned(&[(key, value)]);
            assert_eq!(altered(&resource, &[], &[(key, Set, Some(value))]), Ok(expected));
        }
    }
    let same = [("listeners", Set, Some("PLAINTEXT://:9092"))];
    assert!(altered(&broker(), &[], &same).is_ok());
    let cleanup = altered(&broker(), &[], &[("log.cleanup.policy", Append, Some("compact"))]);
    assert_eq!(cleanup, Ok(owned(&[("log.cleanup.policy", "delete,compact")])));
}

#[test]
fn replacing_leaves_nothing_of_the_old_overrides() {
    let values = [("retention.ms".to_owned(), Some("5".to_owned()))];
    let replaced = with_context(|context| replace(&topic(), &values, context));
    assert_eq!(replaced, Ok(owned(&[("retention.ms", "5")])));
    let missing = [("retention.ms".to_owned(), None)];
    let error = with_context(|context| replace(&topic(), &missing, context)).expect_err("has no value");
    assert_eq!(error.message.as_deref(), Some("Null value not supported for : retention.ms"));
}

#[test]
fn resources_are_read_from_the_wire() {
    assert_eq!(Resource::from_wire(2, "t"), Ok(topic()));
    assert_eq!(Resource::from_wire(4, ""), Ok(Resource::Broker(None)));
    for (type_id, name) in [(2, "t"), (4, ""), (4, "7"), (16, "m"), (32, "g")] {
        let resource = Resource::from_wire(type_id, name).expect("good");
        assert_eq!((resource.wire_id(), resource.name().as_str()), (type_id, name));
    }
    for (type_id, name, sentence) in [
        (2, "", "Default topic resources are not allowed."),
        (4, "x", "Unable to parse broker name as a base 10 number."),
        (4, "-1", "Invalid negative broker ID."),
        (16, "", "Subscription name can't be empty"),
        (32, "", "Default group resources are not allowed."),
        (8, "1", "Unknown resource type 8"),
    ] {
        let error = Resource::from_wire(type_id, name).expect_err("refused");
        assert_eq!(error, ApiError::new(ErrorCode::InvalidRequest, sentence));
    }
}
