//! InitProducerId (key 22), v0-5: a fresh identity for an idempotent producer (KIP-98).
//!
//! Ids come from blocks that the controller hands out (KIP-730), so two brokers never give the same and a
//! crash wastes at most one block. There is no transaction coordinator: a transactional id is answered with
//! NOT_COORDINATOR. Kafka: `TransactionCoordinator.handleInitProducerId`.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::context::RequestContext;
use crate::protocol::errors::{ApiError, ErrorCode};

pub async fn handle(
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> anyhow::Result<InitProducerIdResponse> {
    match allocate(context, &request).await {
        Ok((id, epoch)) => {
            Ok(InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(epoch))
        }
        Err(refusal) => Ok(InitProducerIdResponse::default()
            .with_error_code(refusal.code.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)),
    }
}

async fn allocate(context: &RequestContext, request: &InitProducerIdRequest) -> Result<(i64, i16), ApiError> {
    match request.transactional_id.as_ref().map(|id| id.as_str()) {
        Some("") => return Err(ErrorCode::InvalidRequest.into()),
        // This broker coordinates no transactions.
        Some(_) => return Err(ErrorCode::NotCoordinator.into()),
        None => {}
    }
    let (id, epoch) = (request.producer_id.0, request.producer_epoch);
    // KIP-360: both or neither, and an epoch has to be bumped with a transactional id only.
    if (id == -1) != (epoch == -1) {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let services = &context.services;
    let fresh = services.producer_ids.next(&services.quorum, services.me, services.broker_epoch).await?;
    Ok((fresh.0, 0))
}
