//! Changes of client quotas (`ClientQuotaControlManager`, KIP-546): which entities there can be, and what their
//! quotas may be. What a quota does is `security`'s. Pure.

use std::collections::BTreeMap;

use crate::controller::command::{Answer, Outcome, QuotaAlteration};
use crate::controller::image::ClusterImage;
use crate::controller::limits;
use crate::controller::records::{ClientQuotaRecord, MetadataRecord};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::security::entity::{
    CLIENT_ID, IP, IP_QUOTAS, QuotaEntity, QuotaNumber, QuotaValue, USER, USER_AND_CLIENT_QUOTAS, address,
};

/// What a fraction may be off for a quota of whole numbers.
const FRACTION_TOLERANCE: f64 = 1e-6;

/// AlterClientQuotas.
pub(super) fn alter(
    image: &ClusterImage,
    alterations: &[QuotaAlteration],
    validate_only: bool,
) -> Result<Outcome, ApiError> {
    let mut records = Vec::new();
    let mut results: BTreeMap<QuotaEntity, Result<(), ApiError>> = BTreeMap::new();
    for alteration in alterations {
        let entity = &alteration.entity;
        let operations: BTreeMap<&str, Option<QuotaValue>> =
            alteration.operations.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let names_a_key_twice = operations.len() < alteration.operations.len();
        // Kafka words both the same.
        let result = if names_a_key_twice || results.contains_key(entity) {
            invalid(format!("Ignoring duplicate entity {entity}"))
        } else {
            changes(image, alteration, &operations).map(|changed| records.extend(changed))
        };
        results.insert(entity.clone(), result);
    }
    limits::check_record_count(records.len())?;
    if validate_only {
        records.clear();
    }
    Ok(Outcome { records, answer: Answer::AlterClientQuotas(results.into_iter().collect()) })
}

/// The records that one entity's changes come to.
fn changes(
    image: &ClusterImage,
    alteration: &QuotaAlteration,
    operations: &BTreeMap<&str, Option<QuotaValue>>,
) -> Result<Vec<MetadataRecord>, ApiError> {
    let entity = &alteration.entity;
    check_entity(entity)?;
    let known = known_quotas(entity)?;
    let current = image.client_quotas.get(entity);
    let mut records = Vec::new();
    for (key, value) in operations {
        let has = current.and_then(|values| values.get(*key)).copied();
        if let Some(value) = value {
            check_value(known, key, value.0)?;
        }
        if has != *value {
            let (entity, key, value) = (entity.clone(), (*key).to_owned(), *value);
            records.push(MetadataRecord::ClientQuota(ClientQuotaRecord { entity, key, value }));
        }
    }
    Ok(records)
}

fn check_entity(entity: &QuotaEntity) -> Result<(), ApiError> {
    if entity.0.is_empty() {
        return invalid("Invalid empty client quota entity");
    }
    for (entity_type, name) in &entity.0 {
        if ![USER, CLIENT_ID, IP].contains(&entity_type.as_str()) {
            return invalid(format!("Unhandled client quota entity type: {entity_type}"));
        }
        if name.as_deref() == Some("") {
            return invalid(format!("Empty {entity_type} not supported"));
        }
        if name.as_ref().is_some_and(|name| name.len() > limits::MAX_NAME_SIZE_BYTES) {
            return invalid(format!("The name of this {entity_type} is too long"));
        }
    }
    Ok(())
}

/// The quotas that entities of this kind can have.
fn known_quotas(entity: &QuotaEntity) -> Result<&'static [(&'static str, QuotaNumber)], ApiError> {
    let Some(ip) = entity.0.get(IP) else { return Ok(USER_AND_CLIENT_QUOTAS) };
    if entity.has(USER) || entity.has(CLIENT_ID) {
        return invalid(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        );
    }
    match ip {
        // Kafka takes the name of a host too, and resolves it. A connection is known by its address alone.
        Some(ip) if address(ip).is_none() => invalid(format!("{ip} is not a valid IP or resolvable host.")),
        Some(_) | None => Ok(IP_QUOTAS),
    }
}

fn check_value(known: &[(&str, QuotaNumber)], key: &str, value: f64) -> Result<(), ApiError> {
    let Some((_, number)) = known.iter().find(|(name, _)| *name == key) else {
        return invalid(format!("Invalid configuration key {key}"));
    };
    if !value.is_finite() {
        return invalid(format!("Quota {key} must be a finite number"));
    }
    if value <= 0.0 {
        return invalid(format!("Quota {key} must be greater than 0"));
    }
    let (largest, kind) = match number {
        QuotaNumber::Double => return Ok(()),
        QuotaNumber::Long => (i64::MAX as f64, "a LONG"),
        QuotaNumber::Int => (f64::from(i32::MAX), "an INT"),
    };
    if value > largest {
        return invalid(format!("Proposed value for {key} is too large for {kind}."));
    }
    if (value % 1.0).abs() > FRACTION_TOLERANCE {
        return invalid(format!("{key} cannot be a fractional value."));
    }
    Ok(())
}

fn invalid<T>(message: impl Into<String>) -> Result<T, ApiError> {
    Err(ApiError::new(ErrorCode::InvalidRequest, message))
}
