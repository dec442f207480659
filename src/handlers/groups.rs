//! The way of a handler to the coordinator of a group: which partition, and the topic that must be there.

use std::sync::Arc;

use super::configs::Configs;
use crate::controller::{Answer, ClusterImage, Command as ControllerCommand, CreateTopic, Partitioning};
use crate::coordinator;
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::runtime::{Runtime, Submitted};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::PartitionIndex;
use crate::raft::Quorum;
use crate::replication::registry::Registry;

/// The topic that groups and their offsets are kept in.
pub const TOPIC: &str = "__consumer_offsets";

/// The group coordinators of this broker.
pub struct Groups {
    pub runtime: Arc<Runtime<GroupShard>>,
    pub replicas: Arc<Registry>,
    pub quorum: Quorum,
    pub configs: Arc<Configs>,
}

impl Groups {
    /// The partition of `__consumer_offsets` that a group lives in. COORDINATOR_NOT_AVAILABLE while there is none.
    pub fn partition_of(&self, image: &ClusterImage, group_id: &str) -> Result<PartitionIndex, ErrorCode> {
        let topic = image.topic(TOPIC).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        Ok(coordinator::partition_for(group_id, topic.partitions.len()))
    }

    /// Has the group's coordinator decide `command`, if this broker is it.
    pub fn submit(&self, group_id: &str, command: Command) -> Submitted<Response> {
        match self.partition_of(&self.replicas.image(), group_id) {
            Ok(partition) => self.runtime.submit(partition, command),
            Err(code) => Submitted::ready(Err(code.into())),
        }
    }

    /// Creates `__consumer_offsets` unless it is there; returns when its partitions here are loaded.
    pub async fn ensure_topic(&self) -> Result<(), ApiError> {
        if self.replicas.image().topic(TOPIC).is_none() {
            self.create_topic().await?;
        }
        for (partition, _) in self.runtime.led() {
            self.runtime.loaded(partition).await;
        }
        Ok(())
    }

    /// As Kafka creates it (`GroupCoordinator.groupMetadataTopicConfigs`).
    pub fn new_topic(&self) -> CreateTopic {
        let settings = &self.configs.broker().group;
        let configs = [
            ("cleanup.policy", "compact".to_owned()),
            ("compression.type", "producer".to_owned()),
            ("segment.bytes", settings.offsets_topic_segment_bytes.to_string()),
        ];
        CreateTopic {
            name: TOPIC.to_owned(),
            partitioning: Partitioning::Counts {
                partition_count: settings.offsets_topic_num_partitions,
                replication_factor: settings.offsets_topic_replication_factor,
            },
            configs: configs.map(|(key, value)| (key.to_owned(), Some(value))).into(),
        }
    }

    async fn create_topic(&self) -> Result<(), ApiError> {
        let topics = vec![self.new_topic()];
        let command = ControllerCommand::CreateTopics { topics, validate_only: false };
        let created = match self.quorum.propose(command).await? {
            Answer::CreateTopics(results) => results.into_iter().map(|(_, result)| result).next(),
            other => unreachable!("the controller answers the command it was given, not with {other:?}"),
        };
        match created {
            // Another request was first.
            Some(Err(error)) if error.code == ErrorCode::TopicAlreadyExists => Ok(()),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}
