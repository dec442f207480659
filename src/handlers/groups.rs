//! The way of a handler to the coordinator of a group.

use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use super::configs::Configs;
use super::coordinator_topic::{CoordinatorTopic, new_topic};
use crate::controller::{ClusterImage, CreateTopic};
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
    topic: CoordinatorTopic,
    configs: Arc<Configs>,
}

impl Groups {
    pub fn new(
        runtime: Arc<Runtime<GroupShard>>,
        replicas: Arc<Registry>,
        quorum: Quorum,
        configs: Arc<Configs>,
    ) -> Groups {
        Groups { runtime, topic: CoordinatorTopic::new(TOPIC, replicas, quorum), configs }
    }

    /// The partition of `__consumer_offsets` that a group lives in. COORDINATOR_NOT_AVAILABLE while there is none.
    pub fn partition_of(&self, image: &ClusterImage, group_id: &str) -> Result<PartitionIndex, ErrorCode> {
        self.topic.partition_of(image, group_id)
    }

    /// Has the group's coordinator decide `command`, if this broker is it.
    pub fn submit(&self, group_id: &str, command: Command) -> Submitted<Response> {
        let partition = self.partition_of(&self.topic.glance(), group_id);
        match partition {
            Ok(partition) => self.runtime.submit(partition, command),
            Err(code) => Submitted::ready(Err(code.into())),
        }
    }

    /// As [`Groups::submit`], for commands that read many records: on a thread that may block. All are decided before
    /// the first answer is waited for.
    pub async fn submit_to_read(&self, commands: Vec<(StrBytes, Command)>) -> Vec<Submitted<Response>> {
        let image = self.topic.image();
        let placed: Vec<_> = commands
            .into_iter()
            .map(|(group_id, command)| (self.partition_of(&image, &group_id), command))
            .collect();
        let runtime = self.runtime.clone();
        let submitted = tokio::task::spawn_blocking(move || {
            let submit = |(partition, command)| match partition {
                Ok(partition) => runtime.submit(partition, command),
                Err(code) => Submitted::ready(Err(ApiError::from(code))),
            };
            placed.into_iter().map(submit).collect()
        });
        submitted.await.expect("a panic ends the process")
    }

    /// Creates `__consumer_offsets` unless it is there, and then waits a little for the partitions of these groups.
    pub async fn ensure_topic(&self, group_ids: &[&str]) -> Result<(), ErrorCode> {
        self.topic.ensure(&self.runtime, group_ids, || self.new_topic()).await
    }

    /// As Kafka creates it (`GroupCoordinator.groupMetadataTopicConfigs`).
    pub fn new_topic(&self) -> CreateTopic {
        let settings = &self.configs.broker().group;
        let counts = (settings.offsets_topic_num_partitions, settings.offsets_topic_replication_factor);
        let configs = [
            ("cleanup.policy", "compact".to_owned()),
            ("compression.type", "producer".to_owned()),
            ("segment.bytes", settings.offsets_topic_segment_bytes.to_string()),
        ];
        new_topic(TOPIC, counts, configs)
    }
}
