//! AddOffsetsToTxn (key 25), v0-4: offsets of a group are going to be committed in a transaction (KIP-98). What takes part
//! in it is the group's partition of `__consumer_offsets`, which is created where it is missing: a producer need not have
//! asked for the group's coordinator. Kafka: `KafkaApis.handleAddOffsetsToTxnRequest`.

use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::context::RequestContext;
use super::transactional::told;
use super::{groups, wire};
use crate::coordinator::shard::TransactionalProducer;
use crate::coordinator::transaction::command::AddPartitionsRequest;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{ProducerEpoch, ProducerId};

/// First version that knows PRODUCER_FENCED.
const FENCED_SINCE_VERSION: i16 = 2;

pub async fn handle(
    context: &RequestContext,
    request: AddOffsetsToTxnRequest,
) -> anyhow::Result<AddOffsetsToTxnResponse> {
    let code = add(context, &request).await.err().unwrap_or(ErrorCode::None);
    let code = told(code, context.version, FENCED_SINCE_VERSION);
    Ok(AddOffsetsToTxnResponse::default().with_error_code(code.code()))
}

async fn add(context: &RequestContext, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let services = &context.services;
    services.groups.ensure_topic(&[&*request.group_id]).await?;
    let partition = services.groups.partition_of(&services.image(), &request.group_id)?;
    let added = services.transactions.add_partitions(AddPartitionsRequest {
        transactional_id: wire::shared(&request.transactional_id),
        producer: TransactionalProducer {
            id: ProducerId(request.producer_id.0),
            epoch: ProducerEpoch(request.producer_epoch),
        },
        partitions: vec![(groups::TOPIC.into(), partition)],
        verify_only: false,
        // Producers of KIP-890's second part do not send this message.
        is_v2: false,
    });
    match added.await.as_slice() {
        [ErrorCode::None] => Ok(()),
        [code] => Err(*code),
        results => unreachable!("one partition has one result, not {results:?}"),
    }
}
