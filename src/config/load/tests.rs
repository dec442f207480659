use super::*;
use crate::config::broker::BrokerConfig;

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn invoke(arguments: &[&str], environment: &[(&str, &str)], file: &str) -> Result<Invocation, String> {
    let arguments = arguments.iter().map(ToString::to_string);
    invocation(arguments, owned(environment), |path| match path {
        "server.properties" => Ok(file.as_bytes().to_vec()),
        _ => Err("No such file or directory".to_owned()),
    })
    .map_err(|error| error.to_string())
}

#[track_caller]
fn run(arguments: &[&str], environment: &[(&str, &str)], file: &str) -> Settings {
    match invoke(arguments, environment, file) {
        Ok(Invocation::Run(settings)) => settings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_file_one_node_listens_on_localhost() {
    let settings = run(&[], &[], "");
    let (config, warnings) =
        BrokerConfig::from_properties(&settings.properties).expect("assumptions are good");
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].host.as_deref(), Some("localhost"));
    assert_eq!(config.advertised_listeners[0].port, 9092);
    assert_eq!(config.log_dirs, [std::path::PathBuf::from("./klamm-data")]);
    assert_eq!(config.group.offsets_topic_replication_factor, 1);
    assert_eq!(config.transaction.transaction_state_log_min_isr, 1);
    assert_eq!(config.group.group_initial_rebalance_delay_ms, 0);
    assert_eq!(warnings, []);
    assert!(!settings.temp && settings.cluster_id.is_none());
}

#[test]
fn a_file_keeps_kafkas_defaults() {
    let settings = run(&["server.properties"], &[], "broker.id=4\n");
    let (config, _) = BrokerConfig::from_properties(&settings.properties).expect("good");
    assert_eq!(config.node_id.0, 4);
    assert_eq!(settings.properties["node.id"], "4");
    assert_eq!(config.log_dirs, [std::path::PathBuf::from("/tmp/kafka-logs")]);
    assert_eq!(config.group.offsets_topic_replication_factor, 3);
    assert_eq!(config.listeners[0].host, None);
}

#[test]
fn an_override_goes_before_a_variable_and_that_before_the_file() {
    let file = "num.partitions=2\nmessage.max.bytes=2000\nlog.dirs=/file";
    let environment = [("KAFKA_NUM_PARTITIONS", "3"), ("KAFKA_MESSAGE_MAX_BYTES", "3000")];
    let arguments = ["--override", "num.partitions=4", "server.properties", "--override=broker.rack=a=b"];
    let properties = run(&arguments, &environment, file).properties;
    assert_eq!(properties["num.partitions"], "4");
    assert_eq!(properties["message.max.bytes"], "3000");
    assert_eq!(properties["log.dirs"], "/file");
    assert_eq!(properties["broker.rack"], "a=b");
}

#[test]
fn variables_become_keys_as_in_the_official_image() {
    for (variable, key) in [
        ("KAFKA_LOG_RETENTION_MS", Some("log.retention.ms")),
        ("KAFKA_A__B", Some("a_b")),
        ("KAFKA_A___B", Some("a-b")),
        ("KAFKA_KLAMM_HTTP_LISTENER", Some("klamm.http.listener")),
        ("KAFKA_", None),
        ("PATH", None),
    ] {
        assert_eq!(key_of_variable(variable).as_deref(), key, "{variable}");
    }
    let settings =
        run(&[], &[("KAFKA_HEAP_OPTS", "-Xmx1G"), ("KAFKA_VERSION", "4.4"), ("CLUSTER_ID", "x")], "");
    assert!(!settings.properties.contains_key("heap.opts") && !settings.properties.contains_key("version"));
    assert_eq!(settings.cluster_id.as_deref(), Some("x"));
}

#[test]
fn advertised_listeners_alone_listen_everywhere() {
    let environment = [("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://broker:19092,OTHER://[::1]:9092")];
    let properties = run(&[], &environment, "").properties;
    assert_eq!(properties["listeners"], "PLAINTEXT://0.0.0.0:19092,OTHER://0.0.0.0:9092");
    let environment =
        [("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://b:1"), ("KAFKA_LISTENERS", "PLAINTEXT://:2")];
    assert_eq!(run(&[], &environment, "").properties["listeners"], "PLAINTEXT://:2");
}

#[test]
fn temporary_data_goes_nowhere_else() {
    let mut settings = run(&["--temp", "--override", "metadata.log.dir=/m"], &[], "");
    assert!(settings.temp);
    settings.keep_data_in("/t");
    let (config, _) = BrokerConfig::from_properties(&settings.properties).expect("good");
    assert_eq!(config.log_dirs, [std::path::PathBuf::from("/t")]);
    assert_eq!(config.metadata_log_dir, std::path::PathBuf::from("/t"));
}

#[test]
fn help_and_version_read_nothing() {
    assert_eq!(invoke(&["--help"], &[], ""), Ok(Invocation::Help));
    assert_eq!(invoke(&["missing", "--version"], &[], ""), Ok(Invocation::Version));
}

#[test]
fn a_bad_command_line_is_one_line() {
    for (arguments, sentence) in [
        (&["--override"] as &[&str], "--override needs key=value after it"),
        (&["--override", "a"], "--override a is not of the form key=value"),
        (&["--override", "=a"], "--override =a is not of the form key=value"),
        (&["--foo"], "unknown option --foo; --help lists all"),
        (&["a", "b"], "b is a second properties file; only one is read"),
        (&["missing"], "cannot read properties file missing: No such file or directory"),
    ] {
        assert_eq!(invoke(arguments, &[], ""), Err(sentence.to_owned()));
    }
    let error = invoke(&["server.properties"], &[], "a=1\nb=\\u1").expect_err("malformed");
    assert_eq!(error, "properties file server.properties: line 2: Malformed \\uxxxx encoding.");
}

#[test]
fn the_file_that_kafka_ships_starts_a_node() {
    let file = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093\n\
                listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
                advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
                controller.listener.names=CONTROLLER\n\
                listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL\n\
                num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\n\
                log.dirs=/tmp/kraft-combined-logs\nnum.recovery.threads.per.data.dir=1\n\
                offsets.topic.replication.factor=1\nshare.coordinator.state.topic.replication.factor=1\n\
                transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
                log.retention.hours=168\nlog.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n";
    let settings = run(&["server.properties"], &[], file);
    let (config, warnings) = BrokerConfig::from_properties(&settings.properties).expect("Kafka's own file");
    assert_eq!((config.listeners.len(), config.advertised_listeners.len()), (2, 1));
    let warned: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(warned[0].starts_with("num.recovery.threads.per.data.dir has no effect"), "{warned:?}");
    assert!(warned[1].starts_with("share.coordinator.state.topic.replication.factor"), "{warned:?}");
}

#[test]
fn any_file_gives_settings_or_a_line_that_refuses_it() {
    let sample = include_bytes!("../../../config/server.properties").to_vec();
    let corpus = [sample, b"log.dirs=/a,/b\nlisteners=PLAINTEXT://:0\nnode.id=7\n".to_vec()];
    crate::fuzz::smoke("config_file", &corpus, 10_000, |bytes| {
        let Ok(properties) = crate::config::properties::parse(bytes) else { return };
        if let Err(error) = crate::config::broker::BrokerConfig::from_properties(&properties) {
            assert_eq!(error.to_string().lines().count(), 1, "one line: {error}");
        }
    });
}

#[test]
fn a_release_is_named_by_option_or_variable() {
    let variable = [("KLAMM_AS_VERSION", "2.8")];
    let as_version =
        |arguments: &[&str], environment: &[(&str, &str)]| run(arguments, environment, "").as_version;
    assert_eq!(as_version(&[], &[]), None);
    assert_eq!(as_version(&[], &[("KLAMM_AS_VERSION", "")]), None);
    assert_eq!(as_version(&[], &variable).as_deref(), Some("2.8"));
    assert_eq!(as_version(&["--as-version", "3.9"], &variable).as_deref(), Some("3.9"));
    assert_eq!(as_version(&["--as-version=0.11"], &[]).as_deref(), Some("0.11"));
    let error = invoke(&["--as-version"], &[], "").unwrap_err();
    assert!(error.contains("--as-version"), "{error}");
}
