//! Altering values at run time: operations on one resource's overrides, and who may change what.
//!
//! AlterConfigs replaces a resource's overrides, IncrementalAlterConfigs (KIP-339) changes them key by key;
//! both end in the same check of the whole. Pure: the answer is the new overrides or the refusal, with the
//! codes and words of `ConfigurationControlManager`, `ControllerConfigurationValidator`, `ConfigAdminManager`
//! and `DynamicBrokerConfig`.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::broker;
use crate::config::client_metrics;
use crate::config::group;
use crate::config::key::{ConfigError, Key, Kind, Update};
use crate::config::layers::Layers;
use crate::config::topic::{self, TopicConfig};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::BrokerId;

/// A resource with overrides (`ConfigResource`). The broker logger is not one: its levels are not metadata.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    Topic(String),
    /// `None` is the resource without a name: the default for all brokers.
    Broker(Option<BrokerId>),
    Group(String),
    ClientMetrics(String),
}

impl Resource {
    /// From the type and the name on the wire.
    pub fn from_wire(type_id: i8, name: &str) -> Result<Resource, ApiError> {
        let invalid = |sentence: String| Err(ApiError::new(ErrorCode::InvalidRequest, sentence));
        match (type_id, name) {
            (2, "") => invalid("Default topic resources are not allowed.".to_owned()),
            (2, name) => Ok(Resource::Topic(name.to_owned())),
            (4, "") => Ok(Resource::Broker(None)),
            (4, name) => match name.parse::<i32>() {
                Err(_) => invalid("Unable to parse broker name as a base 10 number.".to_owned()),
                Ok(id) if id < 0 => invalid("Invalid negative broker ID.".to_owned()),
                Ok(id) => Ok(Resource::Broker(Some(BrokerId(id)))),
            },
            (16, "") => invalid("Subscription name can't be empty".to_owned()),
            (16, name) => Ok(Resource::ClientMetrics(name.to_owned())),
            (32, "") => invalid("Default group resources are not allowed.".to_owned()),
            (32, name) => Ok(Resource::Group(name.to_owned())),
            (other, _) => invalid(format!("Unknown resource type {other}")),
        }
    }

    /// The type on the wire (`ConfigResource.Type`).
    pub fn wire_id(&self) -> i8 {
        match self {
            Resource::Topic(_) => 2,
            Resource::Broker(_) => 4,
            Resource::ClientMetrics(_) => 16,
            Resource::Group(_) => 32,
        }
    }

    /// The name on the wire.
    pub fn name(&self) -> String {
        match self {
            Resource::Topic(name) | Resource::Group(name) | Resource::ClientMetrics(name) => name.clone(),
            Resource::Broker(None) => String::new(),
            Resource::Broker(Some(id)) => id.to_string(),
        }
    }

    fn find(&self, key: &str) -> Option<&'static Key> {
        match self {
            Resource::Topic(_) => topic::find(key),
            Resource::Broker(_) => broker::find_dynamic(key),
            Resource::Group(_) => group::find(key),
            Resource::ClientMetrics(_) => client_metrics::find(key),
        }
    }
}

/// What IncrementalAlterConfigs does to one key (`AlterConfigOp.OpType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Operation {
    pub fn from_wire(id: i8) -> Result<Operation, ApiError> {
        match id {
            0 => Ok(Operation::Set),
            1 => Ok(Operation::Delete),
            2 => Ok(Operation::Append),
            3 => Ok(Operation::Subtract),
            other => {
                Err(ApiError::new(ErrorCode::InvalidRequest, format!("Unknown operations type {other}")))
            }
        }
    }
}

/// One line of an IncrementalAlterConfigs request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alteration {
    pub key: String,
    pub operation: Operation,
    /// Only a deletion may be without one.
    pub value: Option<String>,
}

/// What the new overrides are checked against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The broker that answers; no other broker's values can be altered through it.
    pub node_id: BrokerId,
    pub layers: Layers<'a>,
    /// `BrokerConfig::topic_defaults` of those layers.
    pub topic_defaults: &'a TopicConfig,
}

/// IncrementalAlterConfigs of one resource: its new overrides, checked.
pub fn alter(
    resource: &Resource,
    current: &BTreeMap<String, String>,
    alterations: &[Alteration],
    context: &Context,
) -> Result<BTreeMap<String, String>, ApiError> {
    check_form(alterations.iter().map(|alteration| {
        let needs_value = alteration.operation != Operation::Delete;
        (alteration.key.as_str(), needs_value && alteration.value.is_none())
    }))?;
    check_addressee(resource, context)?;
    let mut overrides = current.clone();
    for Alteration { key, operation, value } in alterations {
        let value = value.as_deref().unwrap_or_default();
        match operation {
            Operation::Set => {
                overrides.insert(key.clone(), value.to_owned());
            }
            Operation::Delete => {
                overrides.remove(key);
            }
            Operation::Append => {
                let mut items = list(resource, "append", key, overrides.get(key))?;
                for item in value.split(',') {
                    if !items.iter().any(|other| other == item) {
                        items.push(item.to_owned());
                    }
                }
                overrides.insert(key.clone(), items.join(","));
            }
            Operation::Subtract => {
                let mut items = list(resource, "subtract", key, overrides.get(key))?;
                for item in value.split(',') {
                    if let Some(place) = items.iter().position(|other| other == item) {
                        items.remove(place);
                    }
                }
                overrides.insert(key.clone(), items.join(","));
            }
        }
    }
    check(resource, &overrides, context)?;
    Ok(overrides)
}

/// AlterConfigs of one resource: the given values become all of its overrides, checked.
pub fn replace(
    resource: &Resource,
    values: &[(String, Option<String>)],
    context: &Context,
) -> Result<BTreeMap<String, String>, ApiError> {
    check_form(values.iter().map(|(key, value)| (key.as_str(), value.is_none())))?;
    check_addressee(resource, context)?;
    let overrides: BTreeMap<String, String> =
        values.iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default())).collect();
    check(resource, &overrides, context)?;
    Ok(overrides)
}

/// No key twice, and a value where one is needed. Each item is a key and whether its value is missing.
fn check_form<'a>(lines: impl Iterator<Item = (&'a str, bool)>) -> Result<(), ApiError> {
    let mut keys = BTreeSet::new();
    let mut missing = Vec::new();
    for (key, is_missing) in lines {
        if !keys.insert(key) {
            return Err(ApiError::new(ErrorCode::InvalidRequest, "Error due to duplicate config keys"));
        }
        if is_missing {
            missing.push(key);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let sentence = format!("Null value not supported for : {}", missing.join(", "));
    Err(ApiError::new(ErrorCode::InvalidRequest, sentence))
}

fn check_addressee(resource: &Resource, context: &Context) -> Result<(), ApiError> {
    match resource {
        Resource::Broker(Some(id)) if *id != context.node_id => {
            let sentence = format!("Unexpected broker id, expected {}, but received {id}", context.node_id);
            Err(ApiError::new(ErrorCode::InvalidRequest, sentence))
        }
        Resource::Broker(_) | Resource::Topic(_) | Resource::Group(_) | Resource::ClientMetrics(_) => Ok(()),
    }
}

/// The elements of a list that is to be changed; an unset one has those of its default.
fn list(
    resource: &Resource,
    verb: &str,
    name: &str,
    current: Option<&String>,
) -> Result<Vec<String>, ApiError> {
    let sentence = match (resource.find(name), resource) {
        (Some(key), _) if key.kind == Kind::List => {
            let text = current.map(String::as_str).or(key.default).unwrap_or_default();
            return Ok(text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect());
        }
        (None, Resource::Broker(_)) => format!("Unknown config name: {name}"),
        (Some(_), Resource::Broker(_)) => {
            format!("Config value {verb} is not allowed for config key: {name}")
        }
        (_, Resource::Topic(_) | Resource::Group(_) | Resource::ClientMetrics(_)) => {
            format!("Can't {} to key {name} because its type is not LIST.", verb.to_uppercase())
        }
    };
    Err(ApiError::new(ErrorCode::InvalidConfig, sentence))
}

/// Whether the resource may have these overrides.
pub fn check(
    resource: &Resource,
    overrides: &BTreeMap<String, String>,
    context: &Context,
) -> Result<(), ApiError> {
    let code = |code: ErrorCode| move |error: ConfigError| ApiError::new(code, error.to_string());
    match resource {
        Resource::Topic(_) => TopicConfig::resolve(overrides, context.topic_defaults).map(|_| ()),
        Resource::Group(_) => {
            group::check(overrides, &context.layers.effective()).map_err(code(ErrorCode::InvalidConfig))
        }
        Resource::ClientMetrics(_) => client_metrics::check(overrides),
        // KAFKA-13609: a broker's bad value is an invalid request, a topic's an invalid configuration.
        Resource::Broker(id) => {
            check_broker(id.is_some(), overrides, context).map_err(code(ErrorCode::InvalidRequest))
        }
    }
}

/// Keys whose change would have to rebuild the listeners, which keep running as they were bound.
const BOUND_AT_START: &[&str] = &["listeners", "listener.security.protocol.map"];

fn check_broker(
    per_broker: bool,
    overrides: &BTreeMap<String, String>,
    context: &Context,
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
        let bound = context.layers.static_properties.get(*name);
        if let Some(text) = overrides.get(*name).filter(|text| bound != Some(text)) {
            let reason = "listeners do not change while the broker runs";
            return Err(ConfigError::refused(name, text, reason));
        }
    }
    let mut layers = context.layers;
    if per_broker {
        layers.broker = overrides;
    } else {
        layers.cluster = overrides;
    }
    layers.broker_config().map(|_| ())
}

#[cfg(test)]
mod tests;
