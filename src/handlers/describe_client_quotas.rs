//! DescribeClientQuotas (key 48), v0-1: the quotas that a filter finds (KIP-546). Kafka: `ClientQuotasImage.describe`.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use super::context::RequestContext;
use super::wire;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::security::entity::{CLIENT_ID, IP, QuotaEntity, QuotaValues, USER};

const MATCH_TYPE_EXACT: i8 = 0;
const MATCH_TYPE_DEFAULT: i8 = 1;
const MATCH_TYPE_SPECIFIED: i8 = 2;

/// What the name of one entity type has to be.
#[derive(Debug, PartialEq, Eq)]
enum Match {
    Exact(String),
    Default,
    /// Any, the default included.
    Specified,
}

/// Every entity type that must be there, and what it must be called.
type Filter = BTreeMap<String, Match>;

pub async fn handle(
    context: &RequestContext,
    request: DescribeClientQuotasRequest,
) -> anyhow::Result<DescribeClientQuotasResponse> {
    let filter = match filter(&request.components) {
        Ok(filter) => filter,
        Err(refusal) => {
            return Ok(DescribeClientQuotasResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(refusal.wire_message())
                .with_entries(None));
        }
    };
    let image = context.services.image();
    let found = image.client_quotas.iter().filter(|(entity, _)| matches(entity, &filter, request.strict));
    let entries = found.map(|(entity, values)| describe(entity, values)).collect();
    // Kafka has an empty message here, not a null one.
    Ok(DescribeClientQuotasResponse::default().with_entries(Some(entries)))
}

fn filter(components: &[ComponentData]) -> Result<Filter, ApiError> {
    let mut filter = Filter::new();
    for component in components {
        let entity_type = component.entity_type.as_str();
        if entity_type.is_empty() {
            return invalid("Invalid empty entity type.");
        }
        if filter.contains_key(entity_type) {
            return invalid(format!("Entity type {entity_type} cannot appear more than once in the filter."));
        }
        if ![IP, USER, CLIENT_ID].contains(&entity_type) {
            let message = format!("Unsupported entity type {entity_type}");
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
        }
        filter.insert(entity_type.to_owned(), wanted(component)?);
    }
    if filter.contains_key(IP) && filter.len() > 1 {
        return invalid(
            "Invalid entity filter component combination. IP filter component should not be used with user \
             or clientId filter component.",
        );
    }
    Ok(filter)
}

fn wanted(component: &ComponentData) -> Result<Match, ApiError> {
    match (component.match_type, &component._match) {
        (MATCH_TYPE_EXACT, Some(name)) => Ok(Match::Exact(name.to_string())),
        (MATCH_TYPE_EXACT, None) => {
            invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.")
        }
        (MATCH_TYPE_DEFAULT, None) => Ok(Match::Default),
        (MATCH_TYPE_DEFAULT, Some(_)) => {
            invalid("Request specified MATCH_TYPE_DEFAULT, but also specified a match string.")
        }
        (MATCH_TYPE_SPECIFIED, None) => Ok(Match::Specified),
        (MATCH_TYPE_SPECIFIED, Some(_)) => {
            invalid("Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.")
        }
        (unknown, _) => invalid(format!("Unknown match type {unknown}")),
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, ApiError> {
    Err(ApiError::new(ErrorCode::InvalidRequest, message))
}

/// `strict` leaves out entities that have more types than the filter.
fn matches(entity: &QuotaEntity, filter: &Filter, strict: bool) -> bool {
    let fits = |(entity_type, wanted): (&String, &Match)| match (entity.0.get(entity_type), wanted) {
        (Some(Some(name)), Match::Exact(wanted)) => name == wanted,
        (Some(None), Match::Default) => true,
        (Some(_), Match::Specified) => true,
        (Some(None), Match::Exact(_)) | (Some(Some(_)), Match::Default) | (None, _) => false,
    };
    (!strict || entity.0.len() == filter.len()) && filter.iter().all(fits)
}

fn describe(entity: &QuotaEntity, values: &QuotaValues) -> EntryData {
    let parts = entity.0.iter().map(|(entity_type, name)| {
        EntityData::default()
            .with_entity_type(wire::text(entity_type))
            .with_entity_name(name.as_deref().map(wire::text))
    });
    let values =
        values.iter().map(|(key, value)| ValueData::default().with_key(wire::text(key)).with_value(value.0));
    EntryData::default().with_entity(parts.collect()).with_values(values.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(entity_type: &str, match_type: i8, name: Option<&str>) -> ComponentData {
        ComponentData::default()
            .with_entity_type(wire::text(entity_type))
            .with_match_type(match_type)
            .with_match(name.map(wire::text))
    }

    fn refusal(components: &[ComponentData]) -> (ErrorCode, String) {
        let refusal = filter(components).unwrap_err();
        (refusal.code, refusal.message.unwrap_or_default())
    }

    #[test]
    fn a_filter_finds_by_name_default_and_presence() {
        let both = QuotaEntity::new([(USER, Some("alice".to_owned())), (CLIENT_ID, None)]);
        let find =
            |components: &[ComponentData], strict| matches(&both, &filter(components).unwrap(), strict);
        assert!(find(&[], false) && !find(&[], true));
        assert!(find(&[component(USER, MATCH_TYPE_EXACT, Some("alice"))], false));
        assert!(!find(&[component(USER, MATCH_TYPE_EXACT, Some("alice"))], true));
        assert!(!find(&[component(USER, MATCH_TYPE_EXACT, Some("bob"))], false));
        assert!(!find(&[component(USER, MATCH_TYPE_DEFAULT, None)], false));
        assert!(!find(&[component(IP, MATCH_TYPE_SPECIFIED, None)], false));
        let exactly = [component(USER, MATCH_TYPE_SPECIFIED, None), component(CLIENT_ID, 1, None)];
        assert!(find(&exactly, true));
    }

    #[test]
    fn filters_that_make_no_sense_are_refused_in_kafkas_words() {
        use ErrorCode::{InvalidRequest, UnsupportedVersion};
        let refused = |components: &[ComponentData], code, message: &str| {
            assert_eq!(refusal(components), (code, message.to_owned()));
        };
        refused(&[component("", 0, None)], InvalidRequest, "Invalid empty entity type.");
        refused(&[component("group", 2, None)], UnsupportedVersion, "Unsupported entity type group");
        refused(&[component(USER, 7, None)], InvalidRequest, "Unknown match type 7");
        let twice = [component(USER, 2, None), component(USER, 1, None)];
        refused(&twice, InvalidRequest, "Entity type user cannot appear more than once in the filter.");
        assert_eq!(refusal(&[component(IP, 2, None), component(USER, 2, None)]).0, InvalidRequest);
        for (match_type, name) in [(0, None), (1, Some("a")), (2, Some("a"))] {
            assert_eq!(refusal(&[component(USER, match_type, name)]).0, InvalidRequest);
        }
    }
}
