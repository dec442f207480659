//! Changes of configurations (`ConfigurationControlManager`; KIP-226 dynamic broker keys, KIP-339 incremental
//! changes): which resources there are, and what is written. What a key may be, and what an operation does to
//! it, is [`dynamic`]'s to say. Pure.

use std::collections::BTreeSet;

use crate::config::dynamic;
use crate::config::layers::InForce;
use crate::config::resource::{ConfigResource, ResourceKind};
use crate::config::topic::TopicConfig;
use crate::controller::command::{
    Answer, ConfigAlteration, ConfigReplacement, ConfigResults, Inputs, Outcome,
};
use crate::controller::image::{ClusterImage, ConfigMap, TopicImage};
use crate::controller::limits;
use crate::controller::partition_change;
use crate::controller::records::{ConfigRecord, MetadataRecord};
use crate::controller::topic_names;
use crate::protocol::errors::{ApiError, ErrorCode};

/// IncrementalAlterConfigs.
pub(super) fn alter(
    image: &ClusterImage,
    resources: &[ConfigAlteration],
    validate_only: bool,
    inputs: &Inputs<'_>,
) -> Result<Outcome, ApiError> {
    let mut records = Vec::new();
    let mut results = ConfigResults::with_capacity(resources.len());
    for ConfigAlteration { resource, operations } in resources {
        let changed = || {
            check_name(resource)?;
            let current = current(image, resource);
            let values = dynamic::alter(resource, &current, operations, inputs.configs)?;
            let named = operations.iter().map(|(key, _)| key.as_str()).collect();
            let records = differences(resource, &current, &values, named);
            check_min_isr(image, &records)?;
            check_existence(image, resource)?;
            Ok(records)
        };
        results.push((resource.clone(), changed().map(|changed| records.extend(changed))));
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
    let mut records = Vec::new();
    let mut results = ConfigResults::with_capacity(resources.len());
    for ConfigReplacement { resource, values } in resources {
        let changed = || {
            check_name(resource)?;
            dynamic::check(resource, values, inputs.configs)?;
            let current = current(image, resource);
            let named = values.keys().chain(current.keys()).map(String::as_str).collect();
            let records = differences(resource, &current, values, named);
            check_min_isr(image, &records)?;
            check_existence(image, resource)?;
            Ok(records)
        };
        results.push((resource.clone(), changed().map(|changed| records.extend(changed))));
    }
    finish(records, results, validate_only)
}

/// Values for a topic that is about to be created, as records; the topic's existence is not asked.
pub(super) fn for_new_topic(
    topic: &str,
    configs: &[(String, Option<String>)],
    in_force: &InForce,
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
    dynamic::check(&resource, &values, in_force)?;
    let records = values.iter().map(|(key, value)| record(&resource, key, Some(value.clone()))).collect();
    Ok((values, records))
}

/// What a topic runs with. A broker default that was changed later may contradict its own values; then the defaults
/// alone count, as they do for its log.
pub(super) fn of_topic(topic: &TopicImage, in_force: &InForce) -> TopicConfig {
    let defaults = &in_force.config().topic_defaults;
    TopicConfig::resolve(&topic.overrides, defaults).unwrap_or_else(|_| defaults.clone())
}

fn current(image: &ClusterImage, resource: &ConfigResource) -> ConfigMap {
    image.config(resource).map(|values| ConfigMap::clone(values)).unwrap_or_default()
}

/// The records that lead from one set of values to another, where `named` are the keys that somebody named.
fn differences(
    resource: &ConfigResource,
    current: &ConfigMap,
    values: &ConfigMap,
    named: BTreeSet<&str>,
) -> Vec<MetadataRecord> {
    // KAFKA-14136: a broker's value is written even when it stays, so that the broker loads what it names anew.
    let always = resource.kind == ResourceKind::Broker;
    let changed = named.into_iter().filter(|key| always || current.get(*key) != values.get(*key));
    changed.map(|key| record(resource, key, values.get(key).cloned())).collect()
}

/// KIP-966: who is eligible to lead hangs on one minimum for all brokers, which must then be there.
fn check_min_isr(image: &ClusterImage, records: &[MetadataRecord]) -> Result<(), ApiError> {
    if !partition_change::keeps_eligible_leaders(image) {
        return Ok(());
    }
    let refuse = |sentence: &str| Err(ApiError::new(ErrorCode::InvalidConfig, sentence));
    for record in records {
        let MetadataRecord::Config(config) = record else { continue };
        if config.resource_type != ResourceKind::Broker.code() || config.name != "min.insync.replicas" {
            continue;
        }
        if !config.resource_name.is_empty() {
            return refuse("Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
        }
        if config.value.is_none() {
            return refuse("Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
        }
    }
    Ok(())
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
        ResourceKind::ClientMetrics if name.is_empty() => refuse("Subscription name can't be empty"),
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
    results: ConfigResults,
    validate_only: bool,
) -> Result<Outcome, ApiError> {
    limits::check_record_count(records.len())?;
    if validate_only {
        records.clear();
    }
    Ok(Outcome { records, answer: Answer::AlterConfigs(results) })
}
