use super::*;
use crate::config::key::{Check, Kind};

fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn config(pairs: &[(&str, &str)]) -> BrokerConfig {
    BrokerConfig::from_properties(&properties(pairs)).expect("all values are good").0
}

fn warnings(pairs: &[(&str, &str)]) -> Vec<Warning> {
    BrokerConfig::from_properties(&properties(pairs)).expect("all values are good").1
}

#[track_caller]
fn refused(pairs: &[(&str, &str)], part: &str) {
    let error = BrokerConfig::from_properties(&properties(pairs)).expect_err("must be refused").to_string();
    assert!(error.contains(part), "{error}");
    assert!(!error.contains('\n'), "one line: {error}");
}

#[test]
fn a_search_finds_every_key_and_no_name_stands_twice() {
    let mut names: Vec<&str> = keys().map(|key| key.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(keys().all(|key| find(key.name).is_some_and(|found| found.name == key.name)));
    assert!(own::KEYS.iter().all(|key| find(key.name).is_some()));
    assert!(
        broker_dynamic::KEYS.iter().all(|key| find(key.name).is_none() && find_dynamic(key.name).is_some())
    );
}

#[test]
fn every_default_passes_its_own_check() {
    for key in keys().chain(own::KEYS).chain(broker_dynamic::KEYS) {
        if let Some(text) = key.default {
            assert!(key.parse(text).is_ok(), "{}", key.name);
        }
    }
}

#[test]
fn the_defaults_together_are_a_good_configuration() {
    let (config, warnings) = BrokerConfig::from_properties(&BTreeMap::new()).expect("defaults are good");
    assert_eq!(warnings, []);
    assert_eq!(config.node_id, BrokerId(1));
    assert_eq!(config.log_dirs, [PathBuf::from("/tmp/kafka-logs")]);
    assert_eq!(config.metadata_log_dir, PathBuf::from("/tmp/kafka-logs"));
    assert_eq!(config.topic_defaults, TopicConfig::default());
    assert_eq!(config.network.socket_request_max_bytes, 104_857_600);
    assert_eq!(config.group.offsets_topic_replication_factor, 3);
    assert_eq!(config.http_listener, None);
}

#[test]
fn the_ends_of_every_range_fit_their_field() {
    for key in keys().filter(|key| key.class == Class::Applied) {
        let (least, most) = match (key.check, key.kind) {
            (Check::AtLeast(least), Kind::Short) => (least, i16::MAX.into()),
            (Check::AtLeast(least), Kind::Int) => (least, i32::MAX.into()),
            (Check::AtLeast(least), Kind::Long) => (least, i64::MAX),
            (Check::Between(least, most), _) => (least, most),
            _ => continue,
        };
        for end in [least, most] {
            if let Err(error) = BrokerConfig::from_properties(&properties(&[(key.name, &end.to_string())])) {
                assert!(!error.to_string().contains("out of range"), "{error}");
            }
        }
    }
}

#[test]
fn a_time_in_milliseconds_goes_before_minutes_and_hours() {
    let retention = |pairs: &[(&str, &str)]| config(pairs).topic_defaults.retention_ms;
    assert_eq!(retention(&[("log.retention.hours", "2")]), 7_200_000);
    assert_eq!(retention(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]), 180_000);
    assert_eq!(retention(&[("log.retention.minutes", "3"), ("log.retention.ms", "4")]), 4);
    assert_eq!(retention(&[("log.retention.hours", "-5")]), -1);
    assert_eq!(config(&[("log.roll.hours", "1")]).topic_defaults.segment_ms, 3_600_000);
    assert_eq!(config(&[("log.roll.jitter.hours", "1")]).topic_defaults.segment_jitter_ms, 3_600_000);
    assert_eq!(config(&[("log.flush.scheduler.interval.ms", "9")]).topic_defaults.flush_ms, 9);
    refused(&[("log.retention.hours", "0")], "log.retention.ms must be unlimited (-1) or");
    refused(&[("log.roll.ms", "0")], "Invalid value 0 for configuration log.roll.ms");
}

#[test]
fn broker_keys_are_the_defaults_of_topics() {
    let defaults = config(&[
        ("message.max.bytes", "5000"),
        ("compression.type", "lz4"),
        ("log.cleanup.policy", "compact"),
    ])
    .topic_defaults;
    assert_eq!(defaults.max_message_bytes, 5000);
    assert_eq!(defaults.compression, Some(crate::protocol::batch::Compression::Lz4));
    assert!(defaults.cleanup_compact && !defaults.cleanup_delete);
}

#[test]
fn broker_id_is_an_older_name_of_node_id() {
    assert_eq!(config(&[("broker.id", "7")]).node_id, BrokerId(7));
    assert_eq!(config(&[("broker.id", "7"), ("node.id", "7")]).node_id, BrokerId(7));
    refused(
        &[("broker.id", "7"), ("node.id", "8")],
        "You must set `node.id` to the same value as `broker.id`",
    );
    refused(&[("broker.id", "-2")], "broker.id");
}

#[test]
fn a_quorum_of_this_node_is_taken_and_a_larger_one_refused() {
    config(&[("node.id", "3"), ("controller.quorum.voters", "3@localhost:9093")]);
    config(&[("controller.quorum.bootstrap.servers", "localhost:9093")]);
    refused(&[("controller.quorum.voters", "2@localhost:9093")], "the node id 1 must be included");
    refused(&[("controller.quorum.voters", "1@a:1,2@b:1")], "not supported by this build");
    refused(&[("controller.quorum.voters", "localhost:9093")], "id@host:port");
    refused(&[("process.roles", "broker")], "one process is broker,controller");
    refused(&[("process.roles", "worker")], "String must be one of: broker, controller");
}

#[test]
fn log_dirs_goes_before_log_dir() {
    let paths = config(&[("log.dirs", "/a, /b"), ("log.dir", "/c")]).log_dirs;
    assert_eq!(paths, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!(config(&[("log.dir", "/c")]).log_dirs, [PathBuf::from("/c")]);
    refused(&[("log.dir", "")], "At least one log directory");
}

#[test]
fn keys_without_effect_are_warned_of_and_unknown_ones_listed() {
    let found =
        warnings(&[("num.io.threads", "16"), ("num.network.threads", "3"), ("foo", "1"), ("bar", "2")]);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("num.io.threads has no effect: "), "{lines:?}");
    assert_eq!(lines[1], "unknown configuration keys are ignored: bar, foo");
}

#[test]
fn what_this_build_cannot_do_is_refused_by_name() {
    for (key, value) in [
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("remote.log.storage.system.enable", "true"),
        ("security.inter.broker.protocol", "SASL_SSL"),
        ("max.connection.creation.rate", "5"),
        ("ssl.keystore.location", "/a"),
    ] {
        refused(
            &[(key, value)],
            &format!("Value {value} for configuration {key} is not supported by this build: "),
        );
    }
    refused(&[("ssl.key.password", "secret")], "Value [hidden] for configuration ssl.key.password");
    refused(&[("listener.name.a.ssl.keystore.location", "/a")], "ssl.keystore.location");
    refused(&[("listener.name.a.max.connections", "5")], "listener.name.a.max.connections");
    config(&[("security.inter.broker.protocol", "PLAINTEXT"), ("ssl.client.auth", "none")]);
}

#[test]
fn values_that_do_not_fit_each_other_are_refused() {
    refused(
        &[("group.consumer.heartbeat.interval.ms", "1")],
        "must be greater than or equal to group.consumer.min.heartbeat.interval.ms (5000)",
    );
    refused(&[("queued.max.request.bytes", "5")], "queued.max.request.bytes must be larger or equal");
    refused(&[("max.connections.per.ip", "0")], "max.connections.per.ip can be set to zero only if");
    config(&[("max.connections.per.ip", "0"), ("max.connections.per.ip.overrides", "127.0.0.1:5")]);
    refused(&[("max.connections.per.ip.overrides", "a")], "address:count");
    refused(&[("offsets.topic.compression.codec", "7")], "offsets.topic.compression.codec");
    refused(&[("socket.send.buffer.bytes", "0")], "socket.send.buffer.bytes");
    refused(
        &[("log.cleaner.min.compaction.lag.ms", "9"), ("log.cleaner.max.compaction.lag.ms", "8")],
        "conflict",
    );
    refused(&[("klamm.http.listener", "here")], "host:port");
}

#[test]
fn the_http_listener_and_the_request_cap_are_ours() {
    let config = config(&[("klamm.http.listener", "localhost:9644"), ("klamm.request.max.bytes", "1048576")]);
    assert_eq!(config.http_listener.as_deref(), Some("localhost:9644"));
    assert_eq!(config.network.klamm_request_max_bytes, 1 << 20);
}

#[test]
fn no_value_of_any_key_panics() {
    let values = [
        "",
        "x",
        ",",
        "a:b",
        "0",
        "-1",
        "NaN",
        "1e309",
        "2147483647",
        "-2147483648",
        "9223372036854775807",
        "-9223372036854775808",
        "://:",
    ];
    for name in keys().chain(own::KEYS).chain(topic::KEYS).map(|key| key.name) {
        for value in values {
            let properties = properties(&[(name, value)]);
            let _ = BrokerConfig::from_properties(&properties);
            let _ = TopicConfig::resolve(&properties, &TopicConfig::default());
        }
    }
}
