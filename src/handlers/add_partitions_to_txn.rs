//! AddPartitionsToTxn (key 24), v0-5: partitions that a transaction is going to write to (KIP-98). From v4 on brokers send
//! it, for many transactions at once, to add what is produced or to verify that it was added (KIP-890).
//!
//! A transaction gets all of its partitions or none. Kafka: `KafkaApis.handleAddPartitionsToTxnRequest`.

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTransaction;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, TopicName};

use super::context::RequestContext;
use super::transactional::told;
use super::wire::{self, ByMention};
use crate::controller::{ClusterImage, topic_names};
use crate::coordinator::shard::TransactionalProducer;
use crate::coordinator::transaction::command::{AddPartitionsRequest, TopicPartition};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{PartitionIndex, ProducerEpoch, ProducerId};

/// First version that knows PRODUCER_FENCED.
const FENCED_SINCE_VERSION: i16 = 2;
/// First version of brokers, with many transactions. They speak for producers of KIP-890's second part, or verify.
const BATCHED_SINCE_VERSION: i16 = 4;

pub async fn handle(
    context: &RequestContext,
    request: AddPartitionsToTxnRequest,
) -> anyhow::Result<AddPartitionsToTxnResponse> {
    if context.version < BATCHED_SINCE_VERSION {
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(request.v3_and_below_transactional_id)
            .with_producer_id(request.v3_and_below_producer_id)
            .with_producer_epoch(request.v3_and_below_producer_epoch)
            .with_topics(request.v3_and_below_topics);
        let results = add(context, &transaction).await;
        return Ok(AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results));
    }
    let mut results = Vec::with_capacity(request.transactions.len());
    for transaction in request.transactions {
        let topics = add(context, &transaction).await;
        let result = AddPartitionsToTxnResult::default()
            .with_transactional_id(transaction.transactional_id)
            .with_topic_results(topics);
        results.push(result);
    }
    Ok(AddPartitionsToTxnResponse::default().with_results_by_transaction(results))
}

async fn add(
    context: &RequestContext,
    transaction: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let is_of_client = context.version < BATCHED_SINCE_VERSION;
    let codes = match look_up(&context.services.image(), transaction, is_of_client) {
        Err(refusals) => refusals,
        Ok(partitions) if transaction.transactional_id.is_empty() => {
            vec![ErrorCode::InvalidRequest; partitions.len()]
        }
        Ok(partitions) => {
            let request = AddPartitionsRequest {
                transactional_id: wire::shared(&transaction.transactional_id),
                producer: TransactionalProducer {
                    id: ProducerId(transaction.producer_id.0),
                    epoch: ProducerEpoch(transaction.producer_epoch),
                },
                partitions,
                verify_only: transaction.verify_only,
                is_v2: !is_of_client,
            };
            context.services.transactions.add_partitions(request).await
        }
    };
    results(transaction, codes.into_iter().map(|code| told(code, context.version, FENCED_SINCE_VERSION)))
}

/// Every partition of the request, in its order.
fn named(transaction: &AddPartitionsToTxnTransaction) -> impl Iterator<Item = (&TopicName, PartitionIndex)> {
    transaction
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|index| (&topic.name, PartitionIndex(*index))))
}

/// The partitions; or, when one of them cannot take part, a code for each. Clients write no internal topics: their
/// offsets go through AddOffsetsToTxn.
fn look_up(
    image: &ClusterImage,
    transaction: &AddPartitionsToTxnTransaction,
    is_of_client: bool,
) -> Result<Vec<TopicPartition>, Vec<ErrorCode>> {
    let find = |(name, index): (&TopicName, PartitionIndex)| {
        if is_of_client && topic_names::is_internal(name) {
            return Err(ErrorCode::TopicAuthorizationFailed);
        }
        let topic = image.topic(name).filter(|topic| topic.partition(index).is_some());
        Ok((topic.ok_or(ErrorCode::UnknownTopicOrPartition)?.name.clone(), index))
    };
    let found: Vec<Result<TopicPartition, ErrorCode>> = named(transaction).map(find).collect();
    if found.iter().all(Result::is_ok) {
        return Ok(found.into_iter().flatten().collect());
    }
    let refusals = found.into_iter().map(|found| found.err().unwrap_or(ErrorCode::OperationNotAttempted));
    Err(refusals.collect())
}

/// By topic; `codes` are as [`named`].
fn results(
    transaction: &AddPartitionsToTxnTransaction,
    codes: impl Iterator<Item = ErrorCode>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut topics = ByMention::new();
    for ((name, index), code) in named(transaction).zip(codes) {
        let topic: &mut AddPartitionsToTxnTopicResult =
            topics.topic(name, || AddPartitionsToTxnTopicResult::default().with_name(name.clone()));
        let result = AddPartitionsToTxnPartitionResult::default().with_partition_index(index.0);
        topic.results_by_partition.push(result.with_partition_error_code(code.code()));
    }
    topics.into_topics()
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;

    use super::*;
    use crate::controller::{MetadataRecord, PartitionRecord, TopicRecord};
    use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, TopicId, Uuid};

    const OFFSETS: &str = "__consumer_offsets";

    /// These topics, of one partition each.
    fn image(names: &[&str]) -> ClusterImage {
        let mut image = ClusterImage::new("cluster".into());
        for (number, name) in (1_u128..).zip(names) {
            let topic_id = TopicId(Uuid::from_u128(number));
            let topic = TopicRecord { name: (*name).to_owned(), topic_id };
            image.replay(&MetadataRecord::Topic(topic), Offset(0)).unwrap();
            let partition = PartitionRecord {
                partition: PartitionIndex(0),
                topic_id,
                replicas: vec![BrokerId(1)],
                isr: vec![BrokerId(1)],
                removing_replicas: Vec::new(),
                adding_replicas: Vec::new(),
                leader: BrokerId(1),
                leader_recovery_state: 0,
                leader_epoch: LeaderEpoch(0),
                partition_epoch: 0,
                directories: Vec::new(),
                elr: Vec::new(),
                last_known_elr: Vec::new(),
            };
            image.replay(&MetadataRecord::Partition(partition), Offset(0)).unwrap();
        }
        image
    }

    fn transaction(partitions: &[(&str, i32)]) -> AddPartitionsToTxnTransaction {
        let topic = |(name, index): &(&str, i32)| {
            AddPartitionsToTxnTopic::default()
                .with_name(TopicName(wire::text(name)))
                .with_partitions(vec![*index])
        };
        AddPartitionsToTxnTransaction::default().with_topics(partitions.iter().map(topic).collect())
    }

    #[test]
    fn all_partitions_take_part_or_none() {
        let image = image(&["a", "b"]);
        let look_up = |partitions: &[(&str, i32)]| look_up(&image, &transaction(partitions), true);
        let found = look_up(&[("b", 0), ("a", 0)]).unwrap();
        assert_eq!(found, [("b".into(), PartitionIndex(0)), ("a".into(), PartitionIndex(0))]);
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let refused = look_up(&[("a", 0), ("a", 1), ("c", 0)]).unwrap_err();
        assert_eq!(refused, [ErrorCode::OperationNotAttempted, unknown, unknown]);
    }

    #[test]
    fn internal_topics_are_for_brokers() {
        let image = image(&["a", OFFSETS]);
        let transaction = transaction(&[("a", 0), (OFFSETS, 0)]);
        let refused = look_up(&image, &transaction, true).unwrap_err();
        assert_eq!(refused, [ErrorCode::OperationNotAttempted, ErrorCode::TopicAuthorizationFailed]);
        assert_eq!(look_up(&image, &transaction, false).unwrap().len(), 2);
    }

    #[test]
    fn results_are_told_by_topic() {
        let transaction = transaction(&[("a", 0), ("b", 0), ("a", 1)]);
        let codes = [ErrorCode::None, ErrorCode::OperationNotAttempted, ErrorCode::ProducerFenced];
        let results = results(&transaction, codes.into_iter());
        let told: Vec<_> = results
            .iter()
            .map(|topic| {
                let partitions = topic.results_by_partition.iter();
                let partitions =
                    partitions.map(|result| (result.partition_index, result.partition_error_code));
                (&*topic.name.0, partitions.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(told, [("a", vec![(0, 0), (1, 90)]), ("b", vec![(0, 55)])]);
    }
}
