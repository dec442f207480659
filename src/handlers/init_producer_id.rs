//! InitProducerId (key 22), v0-5: an identity for a producer, fresh for an idempotent one, the next epoch of its own for a
//! transactional one, which fences all before it (KIP-98, KIP-360).
//!
//! Ids come from blocks that the controller hands out (KIP-730), so two brokers never give the same and a
//! crash wastes at most one block. Kafka: `KafkaApis.handleInitProducerIdRequest`.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::context::RequestContext;
use super::transactional::{self, NOBODY, fresh_producer_id, told};
use super::wire;
use crate::coordinator::shard::TransactionalProducer;
use crate::coordinator::transaction::command::{self, Command, Response};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{ProducerEpoch, ProducerId};

/// First version that knows PRODUCER_FENCED.
const FENCED_SINCE_VERSION: i16 = 4;

pub async fn handle(
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> anyhow::Result<InitProducerIdResponse> {
    let (code, producer) = match initialize(context, &request).await {
        Ok(producer) => (ErrorCode::None, producer),
        Err(refusal) => (told(refusal.code, context.version, FENCED_SINCE_VERSION), NOBODY),
    };
    Ok(InitProducerIdResponse::default()
        .with_error_code(code.code())
        .with_producer_id(wire::producer_id(producer.id))
        .with_producer_epoch(producer.epoch.0))
}

async fn initialize(
    context: &RequestContext,
    request: &InitProducerIdRequest,
) -> Result<TransactionalProducer, ApiError> {
    let expected = expected(request)?;
    let Some(transactional_id) = &request.transactional_id else {
        let id = fresh_producer_id(&context.services).await?;
        return Ok(TransactionalProducer { id, epoch: ProducerEpoch(0) });
    };
    let shared_id = wire::shared(transactional_id);
    let decided = transactional::decide(&context.services, transactional_id, |fresh_id| {
        Command::InitProducerId(command::InitProducerIdRequest {
            transactional_id: shared_id.clone(),
            timeout_ms: request.transaction_timeout_ms,
            expected,
            fresh_id,
        })
    });
    match decided.await? {
        Response::InitProducerId(producer) => Ok(producer),
        Response::ConcurrentTransactions => Err(ErrorCode::ConcurrentTransactions.into()),
        other => unreachable!("a producer is answered with its epoch, not with {other:?}"),
    }
}

/// What the producer believes to be: id and epoch, or neither (KIP-360).
fn expected(request: &InitProducerIdRequest) -> Result<Option<TransactionalProducer>, ApiError> {
    let producer = TransactionalProducer {
        id: ProducerId(request.producer_id.0),
        epoch: ProducerEpoch(request.producer_epoch),
    };
    match (producer.id == NOBODY.id, producer.epoch == NOBODY.epoch) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(producer)),
        (true, false) | (false, true) => Err(ErrorCode::InvalidRequest.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_names_both_its_id_and_its_epoch_or_neither() {
        let of = |id: i64, epoch| {
            let request = InitProducerIdRequest::default();
            expected(&request.with_producer_id(id.into()).with_producer_epoch(epoch))
                .map_err(|error| error.code)
        };
        let producer = TransactionalProducer { id: ProducerId(7), epoch: ProducerEpoch(3) };
        assert_eq!(of(7, 3), Ok(Some(producer)));
        assert_eq!(of(-1, -1), Ok(None));
        assert_eq!([of(7, -1), of(-1, 0)], [Err(ErrorCode::InvalidRequest), Err(ErrorCode::InvalidRequest)]);
    }
}
