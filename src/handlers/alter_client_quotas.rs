//! AlterClientQuotas (key 49), v0-1: sets and removes what users, clients and addresses may use (KIP-546).
//! Kafka: `ClientQuotaControlManager`.

use kafka_protocol::messages::alter_client_quotas_request::EntryData;
use kafka_protocol::messages::alter_client_quotas_response::{EntityData, EntryData as AlteredEntry};
use kafka_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};

use super::context::RequestContext;
use super::wire;
use crate::controller::{Answer, Command, QuotaAlteration};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::security::entity::{QuotaEntity, QuotaValue};

pub async fn handle(
    context: &RequestContext,
    request: AlterClientQuotasRequest,
) -> anyhow::Result<AlterClientQuotasResponse> {
    let alterations: Vec<QuotaAlteration> = request.entries.iter().map(alteration).collect();
    let entities: Vec<QuotaEntity> = alterations.iter().map(|alteration| alteration.entity.clone()).collect();
    let command = Command::AlterClientQuotas { alterations, validate_only: request.validate_only };
    let results = match context.services.quorum.propose(command).await {
        Ok(Answer::AlterClientQuotas(results)) => results,
        Ok(_) => anyhow::bail!("the controller answers another command"),
        Err(refusal) => entities.into_iter().map(|entity| (entity, Err(refusal.clone()))).collect(),
    };
    let entries = results.iter().map(|(entity, result)| altered(entity, result)).collect();
    Ok(AlterClientQuotasResponse::default().with_entries(entries))
}

fn alteration(entry: &EntryData) -> QuotaAlteration {
    let parts = entry.entity.iter().map(|part| {
        let name = part.entity_name.as_ref().map(|name| name.to_string());
        (part.entity_type.to_string(), name)
    });
    let entity = QuotaEntity::new(parts);
    let operations = entry.ops.iter().map(|operation| {
        let value = (!operation.remove).then_some(QuotaValue(operation.value));
        (operation.key.to_string(), value)
    });
    QuotaAlteration { entity, operations: operations.collect() }
}

fn altered(entity: &QuotaEntity, result: &Result<(), ApiError>) -> AlteredEntry {
    let parts = entity.0.iter().map(|(entity_type, name)| {
        EntityData::default()
            .with_entity_type(wire::text(entity_type))
            .with_entity_name(name.as_deref().map(wire::text))
    });
    let entry = AlteredEntry::default().with_entity(parts.collect());
    match result {
        Ok(()) => entry.with_error_code(ErrorCode::None.code()).with_error_message(None),
        Err(refusal) => entry.with_error_code(refusal.code.code()).with_error_message(refusal.wire_message()),
    }
}
