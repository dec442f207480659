//! Rules of broker keys that no single key's check can hold: values in a form of their own, and values that
//! must fit each other (`KafkaConfig.validateValues`, `GroupCoordinatorConfig`, `QuorumConfig`). Pure.

use std::collections::BTreeMap;

use crate::config::broker::Values;
use crate::config::key::ConfigError;
use crate::config::value::Value;

/// The first key's value must be at least the second's.
const AT_LEAST: &[(&str, &str)] = &[
    ("group.consumer.max.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms"),
    ("group.consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms"),
    ("group.consumer.max.session.timeout.ms", "group.consumer.min.session.timeout.ms"),
    ("group.consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms"),
    ("group.consumer.max.assignment.interval.ms", "group.consumer.min.assignment.interval.ms"),
    ("group.consumer.assignment.interval.ms", "group.consumer.min.assignment.interval.ms"),
];

/// The first key's value must be at most the second's.
const AT_MOST: &[(&str, &str)] = &[
    ("group.consumer.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"),
    ("group.consumer.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
    ("group.consumer.assignment.interval.ms", "group.consumer.max.assignment.interval.ms"),
];

/// Every rule that gives no value.
pub(crate) fn check(values: &Values) -> Result<(), ConfigError> {
    let compare = |(key, other): (&str, &str), relation: &str, holds: fn(i64, i64) -> bool| {
        let (value, bound): (i64, i64) = (values.typed(key)?, values.typed(other)?);
        if holds(value, bound) {
            return Ok(());
        }
        Err(ConfigError::invalid(key, value, format!("{key} must be {relation} {other} ({bound})")))
    };
    for pair in AT_LEAST {
        compare(*pair, "greater than or equal to", |value, bound| value >= bound)?;
    }
    for pair in AT_MOST {
        compare(*pair, "less than or equal to", |value, bound| value <= bound)?;
    }
    let beats = ("group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms");
    compare(beats, "less than", |value, bound| value < bound)?;
    check_times(values)?;
    check_memory(values)?;
    check_roles(values)?;
    check_quorum(values)?;
    let codec: i64 = values.typed("offsets.topic.compression.codec")?;
    if !(0..=4).contains(&codec) {
        let allowed = "0 (none), 1 (gzip), 2 (snappy), 3 (lz4) or 4 (zstd)";
        return Err(ConfigError::invalid("offsets.topic.compression.codec", codec, allowed));
    }
    Ok(())
}

/// Retention and rolling times, whichever unit they are given in.
fn check_times(values: &Values) -> Result<(), ConfigError> {
    let retention = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
    if let Some((key, 0)) = first_set(values, &retention)? {
        return Err(ConfigError::invalid(
            key,
            0,
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
        ));
    }
    if let Some((key, time)) = first_set(values, &["log.roll.ms", "log.roll.hours"])?
        && time < 1
    {
        return Err(ConfigError::invalid(key, time, "log.roll.ms must be greater than or equal to 1"));
    }
    if let Some((key, time)) = first_set(values, &["log.roll.jitter.ms", "log.roll.jitter.hours"])?
        && time < 0
    {
        return Err(ConfigError::invalid(key, time, "log.roll.jitter.ms must be greater than or equal to 0"));
    }
    Ok(())
}

fn first_set<'a>(values: &Values, keys: &[&'a str]) -> Result<Option<(&'a str, i64)>, ConfigError> {
    for key in keys {
        if let Value::Integer(number) = values.get(key)? {
            return Ok(Some((key, number)));
        }
    }
    Ok(None)
}

fn check_memory(values: &Values) -> Result<(), ConfigError> {
    let queued: i64 = values.typed("queued.max.request.bytes")?;
    let request: i64 = values.typed("socket.request.max.bytes")?;
    if queued > 0 && queued < request {
        let allowed = format!(
            "queued.max.request.bytes must be larger or equal to socket.request.max.bytes ({request})"
        );
        return Err(ConfigError::invalid("queued.max.request.bytes", queued, allowed));
    }
    let per_ip: i64 = values.typed("max.connections.per.ip")?;
    if per_ip == 0 && connection_overrides(values)?.is_empty() {
        let allowed = "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides \
                       property is set.";
        return Err(ConfigError::invalid("max.connections.per.ip", per_ip, allowed));
    }
    let (key_map, cleaners): (i64, i64) =
        (values.typed("log.cleaner.dedupe.buffer.size")?, values.typed("log.cleaner.threads")?);
    if key_map / cleaners.max(1) <= 1 << 20 {
        let allowed = "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.";
        return Err(ConfigError::invalid("log.cleaner.dedupe.buffer.size", key_map, allowed));
    }
    for key in ["socket.send.buffer.bytes", "socket.receive.buffer.bytes"] {
        let size: i64 = values.typed(key)?;
        if size < -1 || size == 0 {
            return Err(ConfigError::invalid(key, size, "-1 for the kernel's own, or a size of at least 1"));
        }
    }
    Ok(())
}

/// One process is broker and controller, which is also what no value means.
fn check_roles(values: &Values) -> Result<(), ConfigError> {
    let Some(roles) = values.typed::<Option<Vec<String>>>("process.roles")? else { return Ok(()) };
    let (broker, controller) =
        (roles.iter().any(|role| role == "broker"), roles.iter().any(|role| role == "controller"));
    if broker && controller {
        return Ok(());
    }
    Err(ConfigError::refused("process.roles", roles.join(","), "one process is broker,controller"))
}

/// `node.id`, or its older name; 1 when neither is set.
pub(crate) fn node_id(values: &Values) -> Result<i32, ConfigError> {
    let node: Option<i32> = values.typed("node.id")?;
    let broker: i32 = values.typed("broker.id")?;
    match (node, broker) {
        (None, -1) => Ok(1),
        (None, broker) if broker < 0 => {
            Err(ConfigError::invalid("broker.id", broker, "Value must be at least 0"))
        }
        (None, broker) => Ok(broker),
        (Some(node), broker) if values.text("broker.id").is_none() || node == broker => Ok(node),
        (Some(node), broker) => Err(ConfigError::invalid(
            "broker.id",
            broker,
            format!("You must set `node.id` to the same value as `broker.id`, and node.id is {node}."),
        )),
    }
}

/// At most this node stands in the quorum.
fn check_quorum(values: &Values) -> Result<(), ConfigError> {
    const VOTERS: &str = "controller.quorum.voters";
    let node = node_id(values)?;
    let voters: Vec<String> = values.typed(VOTERS)?;
    for voter in &voters {
        let id = voter
            .split_once('@')
            .filter(|(_, address)| is_address(address))
            .and_then(|(id, _)| id.parse::<i32>().ok())
            .ok_or_else(|| ConfigError::invalid(VOTERS, voter, "a voter is written id@host:port"))?;
        if voters.len() == 1 && id != node {
            let allowed = format!(
                "If process.roles contains the 'controller' role, the node id {node} must be included in the \
                 set of voters controller.quorum.voters"
            );
            return Err(ConfigError::invalid(VOTERS, voter, allowed));
        }
    }
    if voters.len() > 1 {
        return Err(ConfigError::refused(VOTERS, voters.join(","), "the quorum is this node alone"));
    }
    const SERVERS: &str = "controller.quorum.bootstrap.servers";
    let servers: Vec<String> = values.typed(SERVERS)?;
    if let Some(server) = servers.iter().find(|server| !is_address(server)) {
        return Err(ConfigError::invalid(SERVERS, server, "a server is written host:port"));
    }
    if servers.len() > 1 {
        return Err(ConfigError::refused(SERVERS, servers.join(","), "the quorum is this node alone"));
    }
    Ok(())
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// `max.connections.per.ip.overrides`: `address:count` pairs; an IPv6 address keeps its colons.
pub(crate) fn connection_overrides(values: &Values) -> Result<BTreeMap<String, usize>, ConfigError> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let text: String = values.typed(KEY)?;
    let mut overrides = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let parsed = pair.rsplit_once(':').and_then(|(address, count)| {
            let count = count.trim().parse().ok()?;
            let address = address.trim().trim_start_matches('[').trim_end_matches(']');
            (!address.is_empty()).then(|| (address.to_owned(), count))
        });
        let Some((address, count)) = parsed else {
            return Err(ConfigError::invalid(KEY, pair, "a comma-separated list of address:count pairs"));
        };
        overrides.insert(address, count);
    }
    Ok(overrides)
}

/// `klamm.http.listener`, of which only the form is checked.
pub(crate) fn http_listener(values: &Values) -> Result<Option<String>, ConfigError> {
    const KEY: &str = "klamm.http.listener";
    let listener = values.typed::<Option<String>>(KEY)?.filter(|text| !text.is_empty());
    match listener {
        Some(text) if !is_address(&text) => {
            Err(ConfigError::invalid(KEY, text, "an address is written host:port"))
        }
        listener => Ok(listener),
    }
}
