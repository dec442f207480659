//! DescribeTransactions (key 65), v0: what a transactional id is at, as its coordinator knows it (KIP-664).
//! Kafka: `TransactionCoordinator.handleDescribeTransactions`.
//!
//! An id that is named several times is answered once, at its first mention, where Kafka answers for each: the answer
//! tells all partitions of a transaction, so repeating a short id would make it as large as the client likes.

use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TopicName, TransactionalId,
};

use super::context::RequestContext;
use super::wire::{self, ByMention};
use crate::coordinator::transaction::describe::TransactionDescription;
use crate::protocol::errors::{ApiError, ErrorCode};

/// How many ids are described before other connections of the worker have their turn.
const IDS_PER_TURN: usize = 256;

pub async fn handle(
    context: &RequestContext,
    request: DescribeTransactionsRequest,
) -> anyhow::Result<DescribeTransactionsResponse> {
    let transactional_ids = wire::first_mentions(request.transactional_ids, TransactionalId::clone);
    let mut states = Vec::with_capacity(transactional_ids.len());
    for transactional_id in transactional_ids {
        let state = match find(context, &transactional_id).await {
            Ok(found) => write(&found),
            Err(error) => TransactionState::default().with_error_code(error.code.code()),
        };
        states.push(state.with_transactional_id(transactional_id));
        if states.len().is_multiple_of(IDS_PER_TURN) {
            tokio::task::yield_now().await;
        }
    }
    Ok(DescribeTransactionsResponse::default().with_transaction_states(states))
}

async fn find(
    context: &RequestContext,
    transactional_id: &TransactionalId,
) -> Result<TransactionDescription, ApiError> {
    if transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let services = &context.services;
    let partition = services.transactions.partition_of(&services.image(), transactional_id)?;
    let described =
        services.transactions.runtime.inspect(partition, |shard| Ok(shard.describe(transactional_id)));
    described.await?.ok_or_else(|| ErrorCode::TransactionalIdNotFound.into())
}

fn write(found: &TransactionDescription) -> TransactionState {
    let mut topics = ByMention::new();
    for (name, index) in &found.partitions {
        let topic: &mut TopicData =
            topics.topic(name, || TopicData::default().with_topic(TopicName(wire::text(name))));
        topic.partitions.push(index.0);
    }
    TransactionState::default()
        .with_transaction_state(wire::text(found.state.name()))
        .with_transaction_timeout_ms(found.timeout_ms)
        .with_transaction_start_time_ms(found.start.0)
        .with_producer_id(wire::producer_id(found.producer.id))
        .with_producer_epoch(found.producer.epoch.0)
        .with_topics(topics.into_topics())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::shard::TransactionalProducer;
    use crate::coordinator::transaction::state::State;
    use crate::protocol::ids::{PartitionIndex, ProducerEpoch, ProducerId, Timestamp};

    #[test]
    fn partitions_are_told_by_topic() {
        let found = TransactionDescription {
            state: State::PrepareAbort,
            timeout_ms: 60_000,
            start: Timestamp(1_000),
            producer: TransactionalProducer { id: ProducerId(7), epoch: ProducerEpoch(3) },
            partitions: [("a", 0), ("a", 2), ("b", 1)]
                .map(|(name, index)| (name.into(), PartitionIndex(index)))
                .into(),
        };
        let state = write(&found);
        let topics: Vec<_> =
            state.topics.iter().map(|topic| (&*topic.topic.0, topic.partitions.as_slice())).collect();
        assert_eq!(topics, [("a", [0, 2].as_slice()), ("b", &[1])]);
        assert_eq!((&*state.transaction_state, state.transaction_start_time_ms), ("PrepareAbort", 1_000));
        assert_eq!((state.producer_id.0, state.producer_epoch, state.transaction_timeout_ms), (7, 3, 60_000));
    }
}
