//! What AlterConfigs and IncrementalAlterConfigs share: the form of a request and whether this broker is the one to
//! ask, so which resources go on to the controller, and how its answers find back to the request. Values are the
//! controller's to check. Kafka: `ConfigAdminManager`.

use std::collections::{HashMap, HashSet};

use kafka_protocol::protocol::StrBytes;

use super::logger_levels::BROKER_LOGGER;
use crate::config::resource::{ConfigResource, ResourceKind};
use crate::controller::ConfigResults;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::BrokerId;

/// One resource of a request: what it names, and each key with its value as far as the request gives one.
pub struct Asked<'a> {
    pub resource_type: i8,
    pub resource_name: &'a StrBytes,
    /// Key, value, and whether a value must be there.
    pub keys: Vec<(&'a StrBytes, Option<&'a StrBytes>, bool)>,
}

/// Whose keys a request changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The controller's to decide.
    Metadata(ConfigResource),
    /// The loggers of this process.
    Loggers,
}

impl Subject {
    /// What goes on to the controller.
    pub fn metadata(&self) -> Option<&ConfigResource> {
        match self {
            Subject::Metadata(resource) => Some(resource),
            Subject::Loggers => None,
        }
    }
}

/// For each resource what it is, or why it goes no further.
pub fn preprocess(asked: &[Asked<'_>], me: BrokerId) -> Vec<Result<Subject, ApiError>> {
    let mut counts: HashMap<(i8, &str), usize> = HashMap::new();
    for resource in asked {
        *counts.entry((resource.resource_type, resource.resource_name)).or_default() += 1;
    }
    let check = |resource: &Asked<'_>| {
        if counts[&(resource.resource_type, resource.resource_name.as_str())] > 1 {
            return Err(invalid("Each resource must appear at most once."));
        }
        check_resource(resource, me)
    };
    asked.iter().map(check).collect()
}

fn check_resource(resource: &Asked<'_>, me: BrokerId) -> Result<Subject, ApiError> {
    let mut seen = HashSet::new();
    if !resource.keys.iter().all(|(key, _, _)| seen.insert(key.as_str())) {
        return Err(invalid("Error due to duplicate config keys"));
    }
    let nulls: Vec<&str> = resource
        .keys
        .iter()
        .filter(|(_, value, needed)| *needed && value.is_none())
        .map(|(key, _, _)| key.as_str())
        .collect();
    if !nulls.is_empty() {
        return Err(invalid(format!("Null value not supported for : {}", nulls.join(", "))));
    }
    if resource.resource_type == BROKER_LOGGER {
        return Ok(Subject::Loggers);
    }
    let name = resource.resource_name.as_str();
    let kind = ResourceKind::from_code(resource.resource_type)
        .ok_or_else(|| invalid(format!("Unknown resource type {}", resource.resource_type)))?;
    // Empty names the default of all brokers.
    if kind == ResourceKind::Broker && !name.is_empty() {
        let id: i32 =
            name.parse().map_err(|_| invalid(format!("Node id must be an integer, but it is: {name}")))?;
        if id != me.0 {
            return Err(invalid(format!("Unexpected broker id, expected {me}, but received {name}")));
        }
    }
    Ok(Subject::Metadata(ConfigResource { kind, name: name.to_owned() }))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

/// The outcome of each resource of the request, in its order: what preprocessing refused, and for the others
/// the controller's results, which stand in the order they were proposed in. Loggers have been changed already.
pub fn merge(
    preprocessed: Vec<Result<Subject, ApiError>>,
    proposed: Result<ConfigResults, ApiError>,
) -> Vec<Result<(), ApiError>> {
    let mut results: HashMap<ConfigResource, Result<(), ApiError>> = match &proposed {
        Ok(results) => results.iter().cloned().collect(),
        Err(_) => HashMap::new(),
    };
    preprocessed
        .into_iter()
        .map(|outcome| {
            let Subject::Metadata(resource) = outcome? else { return Ok(()) };
            match &proposed {
                Err(refusal) => Err(refusal.clone()),
                Ok(_) => results
                    .remove(&resource)
                    .expect("the controller answers every resource that was proposed"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> StrBytes {
        StrBytes::from_static_str(text)
    }

    fn refusal(name: &'static str, keys: &[(&'static str, Option<&'static str>)]) -> Option<String> {
        let name = text(name);
        let keys: Vec<(StrBytes, Option<StrBytes>)> =
            keys.iter().map(|(key, value)| (text(key), value.map(text))).collect();
        let asked = Asked {
            resource_type: ResourceKind::Broker.code(),
            resource_name: &name,
            keys: keys.iter().map(|(key, value)| (key, value.as_ref(), true)).collect(),
        };
        preprocess(&[asked], BrokerId(1)).remove(0).err().and_then(|refusal| refusal.message)
    }

    #[test]
    fn refusals_are_worded_as_kafkas() {
        assert_eq!(refusal("1", &[("a", Some("1"))]), None);
        assert_eq!(refusal("", &[("a", Some("1"))]), None);
        assert_eq!(refusal("2", &[]).as_deref(), Some("Unexpected broker id, expected 1, but received 2"));
        assert_eq!(refusal("x", &[]).as_deref(), Some("Node id must be an integer, but it is: x"));
        assert_eq!(refusal("1", &[("a", None)]).as_deref(), Some("Null value not supported for : a"));
        let twice = [("a", Some("1")), ("a", Some("2"))];
        assert_eq!(refusal("1", &twice).as_deref(), Some("Error due to duplicate config keys"));
    }
}
