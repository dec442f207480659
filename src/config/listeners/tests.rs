use std::collections::BTreeMap;

use crate::config::broker::BrokerConfig;

fn config(properties: &[(&str, &str)]) -> Result<BrokerConfig, String> {
    let properties: BTreeMap<String, String> =
        properties.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    BrokerConfig::from_properties(&properties).map(|(config, _)| config).map_err(|error| error.to_string())
}

/// Every listener as `NAME host port`, controllers with a star, then every advertised one.
fn shown(properties: &[(&str, &str)]) -> String {
    let config = match config(properties) {
        Ok(config) => config,
        Err(error) => return error,
    };
    let host = |host: &Option<String>| host.clone().unwrap_or_else(|| "*".to_owned());
    let mut words = Vec::new();
    for listener in &config.listeners {
        let star = if listener.controller { "*" } else { "" };
        words.push(format!("{}{star} {} {}", listener.name, host(&listener.host), listener.port));
    }
    words.push("->".to_owned());
    for listener in &config.advertised_listeners {
        words.push(format!("{} {} {}", listener.name, host(&listener.host), listener.port));
    }
    words.push(format!("| {}", config.inter_broker_listener_name));
    words.join("; ")
}

#[test]
fn unset_listeners_are_kafkas_default() {
    assert_eq!(shown(&[]), "PLAINTEXT * 9092; ->; PLAINTEXT * 9092; | PLAINTEXT");
}

#[test]
fn a_controller_listener_is_not_advertised_and_speaks_plaintext_without_a_map() {
    let properties = [
        ("listeners", "PLAINTEXT://localhost:9092,controller://:9093"),
        ("controller.listener.names", "CONTROLLER"),
    ];
    let expected = "PLAINTEXT localhost 9092; CONTROLLER* * 9093; ->; PLAINTEXT localhost 9092; | PLAINTEXT";
    assert_eq!(shown(&properties), expected);
}

#[test]
fn the_compose_file_of_the_official_image_is_understood() {
    let properties = [
        ("listeners", "CONTROLLER://localhost:29093,PLAINTEXT_HOST://0.0.0.0:9092,PLAINTEXT://[::]:19092"),
        ("advertised.listeners", "PLAINTEXT_HOST://localhost:9092,PLAINTEXT://broker:19092"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
        ),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
    ];
    let expected = "CONTROLLER* localhost 29093; PLAINTEXT_HOST 0.0.0.0 9092; PLAINTEXT :: 19092; ->; \
                    PLAINTEXT_HOST localhost 9092; PLAINTEXT broker 19092; | PLAINTEXT";
    assert_eq!(shown(&properties), expected);
}

#[test]
fn a_listener_on_every_interface_advertises_the_host_name() {
    let properties = [("listeners", "PLAINTEXT://0.0.0.0:0")];
    assert_eq!(shown(&properties), "PLAINTEXT 0.0.0.0 0; ->; PLAINTEXT * 0; | PLAINTEXT");
}

#[test]
fn protocols_other_than_plaintext_are_refused_by_name() {
    let error = shown(&[("listeners", "SSL://:9092")]);
    assert!(error.contains("listener.security.protocol.map") && error.contains("only PLAINTEXT"), "{error}");
    let error = shown(&[("listeners", "EXTERNAL://:9092")]);
    assert!(error.contains("No security protocol defined for listener EXTERNAL"), "{error}");
}

#[test]
fn what_contradicts_itself_is_named() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("listeners", "PLAINTEXT:/localhost:9092")], "a listener is written NAME://host:port"),
        (&[("listeners", "PLAINTEXT://localhost:65536")], "PLAINTEXT://localhost:65536"),
        (&[("listeners", "PLAINTEXT://:1,PLAINTEXT://:2")], "Each listener must have a different name"),
        (
            &[
                ("listeners", "PLAINTEXT://:1,SSL://:1"),
                ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SSL:PLAINTEXT"),
            ],
            "Each listener must have a different port",
        ),
        (&[("advertised.listeners", "PLAINTEXT://0.0.0.0:9092")], "nonroutable meta-address"),
        (&[("advertised.listeners", "OTHER://a:1")], "must be equal to or a subset"),
        (&[("controller.listener.names", "PLAINTEXT")], "at least one broker advertised listener"),
        (&[("controller.listener.names", "NOBODY")], "must only contain values appearing in the 'listeners'"),
        (&[("inter.broker.listener.name", "NOBODY")], "The valid options"),
        (&[("listener.security.protocol.map", "PLAINTEXT")], "NAME:PROTOCOL"),
        (&[("listener.security.protocol.map", "PLAINTEXT:TLS")], "SASL_SSL"),
        (&[("listeners", "")], "at least one broker advertised listener"),
    ];
    for (properties, part) in cases {
        let error = shown(properties);
        assert!(error.contains(part), "{properties:?} gave {error}");
    }
}

#[test]
fn one_name_may_stand_on_ipv4_and_ipv6() {
    let shown = shown(&[("listeners", "PLAINTEXT://127.0.0.1:9092,PLAINTEXT://[::1]:9092")]);
    assert!(shown.starts_with("PLAINTEXT 127.0.0.1 9092; PLAINTEXT ::1 9092"), "{shown}");
}
