//! Altering values at run time: operations on one resource's overrides, and which overrides it may have.
//!
//! AlterConfigs replaces a resource's overrides, IncrementalAlterConfigs (KIP-339) changes them key by key;
//! both end in the same check of the whole. Pure: the answer is the new overrides or the refusal, with the
//! codes and words of `ConfigurationControlManager`, `ControllerConfigurationValidator` and
//! `DynamicBrokerConfig`. Whether the resource exists is the controller's to know, and what a request may look
//! like the handlers'.

use std::collections::BTreeMap;

use crate::config::broker;
use crate::config::client_metrics;
use crate::config::group;
use crate::config::key::{ConfigError, Kind, Update};
use crate::config::layers::{InForce, Layers};
use crate::config::resource::{ConfigResource, ResourceKind};
use crate::config::topic::{self, TopicConfig};
use crate::protocol::errors::{ApiError, ErrorCode};

/// What IncrementalAlterConfigs does to one key (`AlterConfigOp`, KIP-339).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterOperation {
    Set(String),
    Delete,
    /// Elements to add to a list.
    Append(String),
    /// Elements to take out of a list.
    Subtract(String),
}

/// The overrides that a resource has after the operations, checked.
pub fn alter(
    resource: &ConfigResource,
    current: &BTreeMap<String, String>,
    operations: &[(String, AlterOperation)],
    in_force: &InForce,
) -> Result<BTreeMap<String, String>, ApiError> {
    let mut overrides = current.clone();
    for (key, operation) in operations {
        match operation {
            AlterOperation::Set(value) => {
                overrides.insert(key.clone(), value.clone());
            }
            AlterOperation::Delete => {
                overrides.remove(key);
            }
            AlterOperation::Append(value) => {
                let mut items = list(resource.kind, "append", key, overrides.get(key))?;
                for item in value.split(',') {
                    if !items.iter().any(|other| other == item) {
                        items.push(item.to_owned());
                    }
                }
                overrides.insert(key.clone(), items.join(","));
            }
            AlterOperation::Subtract(value) => {
                let mut items = list(resource.kind, "subtract", key, overrides.get(key))?;
                for item in value.split(',') {
                    if let Some(place) = items.iter().position(|other| other == item) {
                        items.remove(place);
                    }
                }
                overrides.insert(key.clone(), items.join(","));
            }
        }
    }
    check(resource, &overrides, in_force)?;
    Ok(overrides)
}

/// The elements of a list that is to be changed; an unset one has those of its default.
fn list(
    kind: ResourceKind,
    verb: &str,
    name: &str,
    current: Option<&String>,
) -> Result<Vec<String>, ApiError> {
    let key = match kind {
        ResourceKind::Topic => topic::find(name),
        ResourceKind::Broker => broker::find_dynamic(name),
        ResourceKind::Group => group::find(name),
        ResourceKind::ClientMetrics => client_metrics::find(name),
    };
    let sentence = match (key, kind) {
        (Some(key), _) if key.kind == Kind::List => {
            let text = current.map(String::as_str).or(key.default).unwrap_or_default();
            return Ok(text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect());
        }
        (None, ResourceKind::Broker) => format!("Unknown config name: {name}"),
        (Some(_), ResourceKind::Broker) => {
            format!("Config value {verb} is not allowed for config key: {name}")
        }
        (_, ResourceKind::Topic | ResourceKind::Group | ResourceKind::ClientMetrics) => {
            format!("Can't {} to key {name} because its type is not LIST.", verb.to_uppercase())
        }
    };
    Err(ApiError::new(ErrorCode::InvalidConfig, sentence))
}

/// Whether the resource may have these overrides.
pub fn check(
    resource: &ConfigResource,
    overrides: &BTreeMap<String, String>,
    in_force: &InForce,
) -> Result<(), ApiError> {
    let code = |code: ErrorCode| move |error: ConfigError| ApiError::new(code, error.to_string());
    match resource.kind {
        ResourceKind::Topic => TopicConfig::resolve(overrides, &in_force.config().topic_defaults).map(|_| ()),
        ResourceKind::Group => {
            group::check(overrides, &in_force.layers().effective()).map_err(code(ErrorCode::InvalidConfig))
        }
        ResourceKind::ClientMetrics => client_metrics::check(overrides),
        // KAFKA-13609: a broker's bad value is an invalid request, a topic's an invalid configuration.
        ResourceKind::Broker => {
            let per_broker = !resource.name.is_empty();
            check_broker(per_broker, overrides, in_force.layers()).map_err(code(ErrorCode::InvalidRequest))
        }
    }
}

/// Keys whose change would have to rebuild the listeners, which keep running as they were bound.
const BOUND_AT_START: &[&str] = &["listeners", "listener.security.protocol.map"];

fn check_broker(
    per_broker: bool,
    overrides: &BTreeMap<String, String>,
    layers: Layers<'_>,
) -> Result<(), ConfigError> {
    let names = |update: Update| -> Vec<&str> {
        overrides
            .keys()
            .map(String::as_str)
            .filter(|name| broker::find_dynamic(name).is_some_and(|key| key.update == update))
            .collect()
    };
    let read_only = names(Update::ReadOnly);
    if !read_only.is_empty() {
        let sentence = format!("Cannot update these configs dynamically: [{}]", read_only.join(", "));
        return Err(ConfigError::Conflict(sentence));
    }
    for (name, text) in overrides {
        if let Some(key) = broker::find_dynamic(name) {
            key.parse(text)?;
        }
    }
    let of_one_broker = names(Update::PerBroker);
    if !per_broker && !of_one_broker.is_empty() {
        return Err(ConfigError::Conflict(format!(
            "Cannot update these configs at default cluster level, broker id must be specified: [{}]",
            of_one_broker.join(", ")
        )));
    }
    for name in BOUND_AT_START {
        let bound = layers.static_properties.get(*name);
        if let Some(text) = overrides.get(*name).filter(|text| bound != Some(text)) {
            let reason = "listeners do not change while the broker runs";
            return Err(ConfigError::refused(name, text, reason));
        }
    }
    let mut altered = layers;
    if per_broker {
        altered.broker = overrides;
    } else {
        altered.cluster = overrides;
    }
    altered.broker_config()?;
    check_thread_counts(layers, altered).map_err(|reason| {
        let reason = format!("org.apache.kafka.common.config.ConfigException: {reason}");
        ConfigError::Conflict(format!(
            "Invalid value {reason} for configuration Invalid dynamic configuration"
        ))
    })
}

/// Sizes of pools that one alteration at most halves or doubles (`DynamicThreadPool`, `DataPlaneAcceptor`). This build
/// has no such pools; an operator's slip is refused all the same.
const THREAD_COUNTS: &[&str] = &[
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];

/// Why no pool may grow or shrink so far at once.
fn check_thread_counts(current: Layers<'_>, altered: Layers<'_>) -> Result<(), String> {
    for name in THREAD_COUNTS {
        let (now, then) = (current.integer(name), altered.integer(name));
        let failed = format!("Dynamic thread count update validation failed for {name}={then}");
        if then < now / 2 {
            return Err(format!("{failed}, value should be at least half the current value {now}"));
        }
        if then > now.saturating_mul(2) {
            return Err(format!("{failed}, value should not be greater than double the current value {now}"));
        }
    }
    // `LogCleaner` has words of its own.
    let (now, then) = (current.integer("log.cleaner.threads"), altered.integer("log.cleaner.threads"));
    let far = match then {
        same if same == now => return Ok(()),
        ..1 => return Err("Log cleaner threads should be at least 1".to_owned()),
        fewer if fewer < now / 2 => "reduced to less than half",
        more if more > now.saturating_mul(2) => "increased to more than double",
        _ => return Ok(()),
    };
    Err(format!("Log cleaner threads cannot be {far} the current value {now}"))
}

#[cfg(test)]
mod tests;
