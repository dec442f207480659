//! The way of a handler to the coordinator of a transactional id.

use std::sync::Arc;

use super::configs::Configs;
use super::coordinator_topic::{CoordinatorTopic, new_topic};
use crate::controller::{ClusterImage, CreateTopic};
use crate::coordinator::runtime::{Runtime, Submitted};
use crate::coordinator::transaction::command::{AddPartitionsRequest, Command, Response};
use crate::coordinator::transaction::shard::TransactionShard;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::PartitionIndex;
use crate::raft::Quorum;
use crate::replication::registry::Registry;

/// The topic that transactions are kept in.
pub const TOPIC: &str = "__transaction_state";

/// The transaction coordinators of this broker.
pub struct Transactions {
    pub runtime: Arc<Runtime<TransactionShard>>,
    topic: CoordinatorTopic,
    configs: Arc<Configs>,
}

impl Transactions {
    pub fn new(
        runtime: Arc<Runtime<TransactionShard>>,
        replicas: Arc<Registry>,
        quorum: Quorum,
        configs: Arc<Configs>,
    ) -> Transactions {
        Transactions { runtime, topic: CoordinatorTopic::new(TOPIC, replicas, quorum), configs }
    }

    /// The partition of `__transaction_state` that a transactional id lives in. COORDINATOR_NOT_AVAILABLE while there is
    /// none.
    pub fn partition_of(
        &self,
        image: &ClusterImage,
        transactional_id: &str,
    ) -> Result<PartitionIndex, ErrorCode> {
        self.topic.partition_of(image, transactional_id)
    }

    /// Has the coordinator of `transactional_id` decide `command`, if this broker is it.
    pub fn submit(&self, transactional_id: &str, command: Command) -> Submitted<Response> {
        match self.partition_of(&self.topic.image(), transactional_id) {
            Ok(partition) => self.runtime.submit(partition, command),
            Err(code) => Submitted::ready(Err(code.into())),
        }
    }

    /// Has partitions added to a transaction, or verified, by its coordinator, if this broker is it. A result for each
    /// partition of the request, in its order; they share an error that concerns the whole request.
    pub async fn add_partitions(&self, request: AddPartitionsRequest) -> Vec<ErrorCode> {
        let transactional_id = request.transactional_id.clone();
        let partition_count = request.partitions.len();
        match self.submit(&transactional_id, Command::AddPartitions(request)).await {
            Ok(Response::AddPartitions(results)) => results,
            Ok(other) => unreachable!("partitions are answered one by one, not with {other:?}"),
            Err(error) => vec![error.code; partition_count],
        }
    }

    /// Creates `__transaction_state` unless it is there, and then waits a little for the partitions of these ids.
    pub async fn ensure_topic(&self, transactional_ids: &[&str]) -> Result<(), ErrorCode> {
        self.topic.ensure(&self.runtime, transactional_ids, || self.new_topic()).await
    }

    /// As Kafka creates it (`TransactionStateManager.transactionTopicConfigs`).
    pub fn new_topic(&self) -> CreateTopic {
        let settings = &self.configs.broker().transaction;
        let partition_count = settings.transaction_state_log_num_partitions;
        let configs = [
            ("cleanup.policy", "compact".to_owned()),
            ("compression.type", "uncompressed".to_owned()),
            ("min.insync.replicas", settings.transaction_state_log_min_isr.to_string()),
            ("segment.bytes", settings.transaction_state_log_segment_bytes.to_string()),
            ("unclean.leader.election.enable", "false".to_owned()),
        ];
        new_topic(TOPIC, (partition_count, settings.transaction_state_log_replication_factor), configs)
    }
}
