//! EndTxn (key 26), v0-5: commits a transaction, or aborts it (KIP-98). v5 is told who the producer is from here on: each
//! transaction has an epoch of its own (KIP-890). The markers are written before the answer where nobody has to be waited
//! for, else behind it. Kafka: `KafkaApis.handleEndTxnRequest`.

use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse};

use super::context::RequestContext;
use super::transactional::{self, NOBODY, told};
use super::wire;
use crate::coordinator::shard::TransactionalProducer;
use crate::coordinator::transaction::command::{Command, EndTransactionRequest, Response};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{ProducerEpoch, ProducerId};

/// First version that knows PRODUCER_FENCED.
const FENCED_SINCE_VERSION: i16 = 2;
/// First version of producers that speak KIP-890's second part.
const V2_SINCE_VERSION: i16 = 5;

pub async fn handle(context: &RequestContext, request: EndTxnRequest) -> anyhow::Result<EndTxnResponse> {
    let (code, producer) = match end(context, &request).await {
        Ok(producer) => (ErrorCode::None, producer),
        Err(refusal) => (told(refusal.code, context.version, FENCED_SINCE_VERSION), NOBODY),
    };
    let mut response = EndTxnResponse::default().with_error_code(code.code());
    if context.version >= V2_SINCE_VERSION {
        response.producer_id = wire::producer_id(producer.id);
        response.producer_epoch = producer.epoch.0;
    }
    Ok(response)
}

async fn end(context: &RequestContext, request: &EndTxnRequest) -> Result<TransactionalProducer, ApiError> {
    let transactional_id = wire::shared(&request.transactional_id);
    let decided = transactional::decide(&context.services, &request.transactional_id, |fresh_id| {
        Command::EndTransaction(EndTransactionRequest {
            transactional_id: transactional_id.clone(),
            producer: TransactionalProducer {
                id: ProducerId(request.producer_id.0),
                epoch: ProducerEpoch(request.producer_epoch),
            },
            is_commit: request.committed,
            is_v2: context.version >= V2_SINCE_VERSION,
            fresh_id,
        })
    });
    match decided.await? {
        Response::EndTransaction(producer) => Ok(producer),
        other => unreachable!("the end of a transaction is answered with its producer, not with {other:?}"),
    }
}
