//! The way of a handler to the coordinator of a group: which partition, and the topic that must be there.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;

use super::configs::Configs;
use crate::controller::{
    Answer, ClusterImage, Command as ControllerCommand, CreateTopic, Partitioning, TopicImage,
};
use crate::coordinator;
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::runtime::{Runtime, Submitted};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{PartitionIndex, TopicId};
use crate::raft::Quorum;
use crate::replication::registry::Registry;

/// The topic that groups and their offsets are kept in.
pub const TOPIC: &str = "__consumer_offsets";

/// How long whoever creates the topic waits for it; loading it takes some milliseconds.
const LONGEST_WAIT_FOR_LOADS: Duration = Duration::from_secs(1);

/// The group coordinators of this broker.
pub struct Groups {
    pub runtime: Arc<Runtime<GroupShard>>,
    replicas: Arc<Registry>,
    quorum: Quorum,
    configs: Arc<Configs>,
    /// How many partitions the topic had when this broker started or came to know it.
    pinned: Mutex<Option<(TopicId, usize)>>,
    /// Why the topic could not be created, as the log was told last.
    told_refusal: Mutex<Option<String>>,
}

impl Groups {
    pub fn new(
        runtime: Arc<Runtime<GroupShard>>,
        replicas: Arc<Registry>,
        quorum: Quorum,
        configs: Arc<Configs>,
    ) -> Groups {
        let pinned = replicas.image().topic(TOPIC).map(|topic| (topic.id, topic.partitions.len()));
        let pinned = Mutex::new(pinned);
        Groups { runtime, replicas, quorum, configs, pinned, told_refusal: Mutex::default() }
    }

    /// The partition of `__consumer_offsets` that a group lives in. COORDINATOR_NOT_AVAILABLE while there is none.
    pub fn partition_of(&self, image: &ClusterImage, group_id: &str) -> Result<PartitionIndex, ErrorCode> {
        let topic = image.topic(TOPIC).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        Ok(coordinator::partition_for(group_id, self.partition_count(topic)))
    }

    /// The partitions that groups are spread over. Those that are added later would lose groups what they have: they
    /// count from the next start on, as in Kafka.
    fn partition_count(&self, topic: &TopicImage) -> usize {
        let mut pinned = self.pinned.lock();
        match *pinned {
            Some((id, count)) if id == topic.id => count,
            Some(_) | None => pinned.insert((topic.id, topic.partitions.len())).1,
        }
    }

    /// Has the group's coordinator decide `command`, if this broker is it.
    pub fn submit(&self, group_id: &str, command: Command) -> Submitted<Response> {
        match self.partition_of(&self.replicas.image(), group_id) {
            Ok(partition) => self.runtime.submit(partition, command),
            Err(code) => Submitted::ready(Err(code.into())),
        }
    }

    /// As [`Groups::submit`], for commands that read many records: on a thread that may block. All are decided before
    /// the first answer is waited for.
    pub async fn submit_to_read(&self, commands: Vec<(StrBytes, Command)>) -> Vec<Submitted<Response>> {
        let image = self.replicas.image();
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

    /// Creates `__consumer_offsets` unless it is there, and then returns when the partitions of these groups are
    /// loaded, or soon: who comes earlier is told COORDINATOR_LOAD_IN_PROGRESS by the coordinator.
    pub async fn ensure_topic(&self, group_ids: &[&str]) -> Result<(), ErrorCode> {
        if group_ids.is_empty() || self.replicas.image().topic(TOPIC).is_some() {
            return Ok(());
        }
        if let Err(error) = self.create_topic().await {
            self.tell_refusal(&error);
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let image = self.replicas.image();
        let loaded = async {
            for group_id in group_ids {
                if let Ok(partition) = self.partition_of(&image, group_id) {
                    self.runtime.loaded(partition).await;
                }
            }
        };
        if tokio::time::timeout(LONGEST_WAIT_FOR_LOADS, loaded).await.is_err() {
            tracing::debug!("{TOPIC} is created and not loaded yet");
        }
        Ok(())
    }

    /// Clients ask again and again, and the operator is to see a cause once.
    fn tell_refusal(&self, error: &ApiError) {
        if is_news(&mut self.told_refusal.lock(), error) {
            tracing::warn!(%error, "create {TOPIC}; no group has a coordinator until it is there");
        } else {
            tracing::debug!(%error, "create {TOPIC}");
        }
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

/// Whether `told` is another cause; it is this one from here on.
fn is_news(told: &mut Option<String>, error: &ApiError) -> bool {
    let cause = Some(error.to_string());
    let is_news = *told != cause;
    *told = cause;
    is_news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_news_once_for_each_cause() {
        let mut told = None;
        let refused = |message: &str| ApiError::new(ErrorCode::InvalidReplicationFactor, message.to_owned());
        let causes = ["3 time(s)", "3 time(s)", "2 time(s)", "2 time(s)"];
        assert_eq!(causes.map(|cause| is_news(&mut told, &refused(cause))), [true, false, true, false]);
    }
}
