//! Changes of configurations (`ConfigurationControlManager`; KIP-226 dynamic broker keys, KIP-339 incremental
//! changes). Pure: what a key may be is asked of [`ConfigRules`].

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::command::{
    AlterOperation, Answer, ConfigAlteration, ConfigReplacement, Inputs, Outcome,
};
use crate::controller::image::{ClusterImage, ConfigMap, ConfigResource, ResourceKind};
use crate::controller::records::{ConfigRecord, MetadataRecord};
use crate::controller::topic_names;
use crate::protocol::errors::{ApiError, ErrorCode};

/// Records that one command may write (`QuorumController.MAX_RECORDS_PER_USER_OP`).
const MAX_RECORD_COUNT: usize = 10_000;

/// What the configuration tables say about keys and values.
pub trait ConfigRules: Send + Sync {
    /// INVALID_CONFIG or INVALID_REQUEST unless `values` may stand on `resource`, where `altered` are the keys
    /// that somebody wants to set or delete.
    fn validate(
        &self,
        resource: &ConfigResource,
        values: &ConfigMap,
        altered: &[&str],
    ) -> Result<(), ApiError>;

    /// The default of a key that holds a list; `None` for a key of another type.
    fn list_default(&self, kind: ResourceKind, key: &str) -> Option<String>;
}

/// A result for each resource, in the order of the request.
type Results = Vec<(ConfigResource, Result<(), ApiError>)>;

/// IncrementalAlterConfigs.
pub(super) fn alter(
    image: &ClusterImage,
    resources: &[ConfigAlteration],
    validate_only: bool,
    inputs: &Inputs<'_>,
) -> Result<Outcome, ApiError> {
    let duplicates = duplicates(resources.iter().map(|alteration| &alteration.resource));
    let mut records = Vec::new();
    let mut results = Results::with_capacity(resources.len());
    for alteration in resources {
        let result = check_unique(&duplicates, &alteration.resource)
            .and_then(|()| altered_values(image, alteration, inputs.configs))
            .and_then(|changes| apply(image, &alteration.resource, changes, inputs.configs));
        results.push((alteration.resource.clone(), result.map(|changed| records.extend(changed))));
    }
    finish(records, results, validate_only)
}

/// AlterConfigs: what is not named is deleted.
pub(super) fn replace(
    image: &ClusterImage,
    resources: &[ConfigReplacement],
    validate_only: bool,
    inputs: &Inputs<'_>,
) -> Result<Outcome, ApiError> {
    let duplicates = duplicates(resources.iter().map(|replacement| &replacement.resource));
    let mut records = Vec::new();
    let mut results = Results::with_capacity(resources.len());
    for replacement in resources {
        let result = check_unique(&duplicates, &replacement.resource).and_then(|()| {
            let set = replacement.values.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
            let mut changes: BTreeMap<String, Option<String>> = set.collect();
            for key in image.config(&replacement.resource).iter().flat_map(|values| values.keys()) {
                changes.entry(key.clone()).or_insert(None);
            }
            apply(image, &replacement.resource, changes, inputs.configs)
        });
        results.push((replacement.resource.clone(), result.map(|changed| records.extend(changed))));
    }
    finish(records, results, validate_only)
}

/// Values for a topic that is about to be created, as records; the topic's existence is not asked.
pub(super) fn for_new_topic(
    topic: &str,
    configs: &[(String, Option<String>)],
    rules: &dyn ConfigRules,
) -> Result<(ConfigMap, Vec<MetadataRecord>), ApiError> {
    let nulls: Vec<&str> =
        configs.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.as_str()).collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    let values: ConfigMap =
        configs.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    if values.is_empty() {
        return Ok((values, Vec::new()));
    }
    let resource = ConfigResource::topic(topic);
    let keys: Vec<&str> = values.keys().map(String::as_str).collect();
    rules.validate(&resource, &values, &keys)?;
    let records = values.iter().map(|(key, value)| record(&resource, key, Some(value.clone()))).collect();
    Ok((values, records))
}

fn duplicates<'a>(resources: impl Iterator<Item = &'a ConfigResource>) -> BTreeSet<&'a ConfigResource> {
    let mut seen = BTreeSet::new();
    resources.filter(|resource| !seen.insert(*resource)).collect()
}

fn check_unique(duplicates: &BTreeSet<&ConfigResource>, resource: &ConfigResource) -> Result<(), ApiError> {
    if duplicates.contains(resource) {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "Each resource must appear at most once."));
    }
    Ok(())
}

/// The value that each named key would have; `None` takes it away.
fn altered_values(
    image: &ClusterImage,
    alteration: &ConfigAlteration,
    rules: &dyn ConfigRules,
) -> Result<BTreeMap<String, Option<String>>, ApiError> {
    let resource = &alteration.resource;
    let current = image.config(resource);
    let mut changes = BTreeMap::new();
    for (key, operation) in &alteration.operations {
        let present = current.and_then(|values| values.get(key));
        let parts = |action: &str| match rules.list_default(resource.kind, key) {
            Some(default) => {
                let value = present.cloned().unwrap_or(default);
                Ok(value.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>())
            }
            None => {
                let message = format!("Can't {action} to key {key} because its type is not LIST.");
                Err(ApiError::new(ErrorCode::InvalidConfig, message))
            }
        };
        let value = match operation {
            AlterOperation::Set(value) => Some(value.clone()),
            AlterOperation::Delete => None,
            AlterOperation::Append(added) => {
                let mut parts = parts("APPEND")?;
                for part in added.split(',') {
                    if !parts.iter().any(|present| present == part) {
                        parts.push(part.to_owned());
                    }
                }
                Some(parts.join(","))
            }
            AlterOperation::Subtract(removed) => {
                let mut parts = parts("SUBTRACT")?;
                for part in removed.split(',') {
                    if let Some(position) = parts.iter().position(|present| present == part) {
                        parts.remove(position);
                    }
                }
                Some(parts.join(","))
            }
        };
        if changes.insert(key.clone(), value).is_some() {
            return Err(ApiError::new(ErrorCode::InvalidRequest, "Error due to duplicate config keys"));
        }
    }
    Ok(changes)
}

/// The records that a set of changes comes to, when all of them may be made.
fn apply(
    image: &ClusterImage,
    resource: &ConfigResource,
    changes: BTreeMap<String, Option<String>>,
    rules: &dyn ConfigRules,
) -> Result<Vec<MetadataRecord>, ApiError> {
    check_name(resource)?;
    let current = image.config(resource);
    let mut values = current.map(|values| ConfigMap::clone(values)).unwrap_or_default();
    for (key, value) in &changes {
        match value {
            Some(value) => values.insert(key.clone(), value.clone()),
            None => values.remove(key),
        };
    }
    let altered: Vec<&str> = changes.keys().map(String::as_str).collect();
    rules.validate(resource, &values, &altered)?;
    check_existence(image, resource)?;
    let changed = changes.into_iter().filter(|(key, value)| {
        // KAFKA-14136: a broker's value is written even when it stays, so that the broker loads what it names anew.
        resource.kind == ResourceKind::Broker || current.and_then(|values| values.get(key)) != value.as_ref()
    });
    Ok(changed.map(|(key, value)| record(resource, &key, value)).collect())
}

/// `ControllerConfigurationValidator`: what a resource of this kind may be called.
fn check_name(resource: &ConfigResource) -> Result<(), ApiError> {
    let refuse = |message: &str| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    let name = resource.name.as_str();
    match resource.kind {
        ResourceKind::Topic if name.is_empty() => refuse("Default topic resources are not allowed."),
        ResourceKind::Topic => topic_names::validate(name),
        ResourceKind::Broker if name.is_empty() => Ok(()),
        ResourceKind::Broker => match name.parse::<i32>() {
            Ok(id) if id < 0 => refuse("Invalid negative broker ID."),
            Ok(_) => Ok(()),
            Err(_) => refuse("Unable to parse broker name as a base 10 number."),
        },
        ResourceKind::Group if name.is_empty() => refuse("Default group resources are not allowed."),
        ResourceKind::ClientMetrics if name.is_empty() => {
            refuse("Default client metrics resources are not allowed.")
        }
        ResourceKind::Group | ResourceKind::ClientMetrics => Ok(()),
    }
}

/// `QuorumController.ConfigResourceExistenceChecker`.
fn check_existence(image: &ClusterImage, resource: &ConfigResource) -> Result<(), ApiError> {
    let name = resource.name.as_str();
    match resource.kind {
        ResourceKind::Topic if image.topic(name).is_none() => {
            let message = format!("The topic '{name}' does not exist.");
            Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, message))
        }
        ResourceKind::Broker
            if !name.is_empty() && !image.brokers.keys().any(|id| name.parse() == Ok(id.0)) =>
        {
            let message = format!("No node with id {name} found.");
            Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message))
        }
        ResourceKind::Topic | ResourceKind::Broker | ResourceKind::ClientMetrics | ResourceKind::Group => {
            Ok(())
        }
    }
}

fn record(resource: &ConfigResource, key: &str, value: Option<String>) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type: resource.kind.code(),
        resource_name: resource.name.clone(),
        name: key.to_owned(),
        value,
    })
}

fn finish(
    mut records: Vec<MetadataRecord>,
    results: Results,
    validate_only: bool,
) -> Result<Outcome, ApiError> {
    if records.len() > MAX_RECORD_COUNT {
        let message = "Unable to perform excessively large batch operation.";
        return Err(ApiError::new(ErrorCode::PolicyViolation, message));
    }
    if validate_only {
        records.clear();
    }
    Ok(Outcome { records, answer: Answer::AlterConfigs(results) })
}
