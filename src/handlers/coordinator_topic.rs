//! A topic that coordinators keep their state in, to handlers: created at first use, and which of its partitions a key
//! (a group id, a transactional id) belongs to.
//!
//! Kafka: `AutoTopicCreationManager`, `GroupCoordinator.partitionFor`, `TransactionStateManager.partitionFor`.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::controller::{Answer, ClusterImage, Command, CreateTopic, Partitioning, TopicImage};
use crate::coordinator;
use crate::coordinator::runtime::Runtime;
use crate::coordinator::shard::Shard;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{PartitionIndex, TopicId};
use crate::raft::Quorum;
use crate::replication::registry::Registry;

/// How long whoever creates the topic waits for it; loading it takes some milliseconds.
const LONGEST_WAIT_FOR_LOADS: Duration = Duration::from_secs(1);

/// One of these topics.
pub(super) struct CoordinatorTopic {
    name: &'static str,
    replicas: Arc<Registry>,
    quorum: Quorum,
    /// How many partitions the topic had when this broker started or came to know it.
    pinned: Mutex<Option<(TopicId, usize)>>,
    /// Why the topic could not be created, as the log was told last.
    told_refusal: Mutex<Option<String>>,
}

impl CoordinatorTopic {
    pub fn new(name: &'static str, replicas: Arc<Registry>, quorum: Quorum) -> CoordinatorTopic {
        let pinned = replicas.image().topic(name).map(|topic| (topic.id, topic.partitions.len()));
        CoordinatorTopic {
            name,
            replicas,
            quorum,
            pinned: Mutex::new(pinned),
            told_refusal: Mutex::default(),
        }
    }

    /// The newest metadata that the replicas of this broker have followed.
    pub fn image(&self) -> Arc<ClusterImage> {
        self.replicas.image()
    }

    /// As [`CoordinatorTopic::image`], for a look that ends at once.
    pub fn glance(&self) -> arc_swap::Guard<Arc<ClusterImage>> {
        self.replicas.glance()
    }

    /// The partition that `key` lives in. COORDINATOR_NOT_AVAILABLE while there is none.
    pub fn partition_of(&self, image: &ClusterImage, key: &str) -> Result<PartitionIndex, ErrorCode> {
        let topic = image.topic(self.name).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        Ok(coordinator::partition_for(key, self.partition_count(topic)))
    }

    /// The partitions that keys are spread over. Those that are added later would lose keys what they have: they count
    /// from the next start on, as in Kafka.
    fn partition_count(&self, topic: &TopicImage) -> usize {
        let mut pinned = self.pinned.lock();
        match *pinned {
            Some((id, count)) if id == topic.id => count,
            Some(_) | None => pinned.insert((topic.id, topic.partitions.len())).1,
        }
    }

    /// Creates the topic unless it is there, and then returns when `runtime` has loaded the partitions of these keys, or
    /// soon: who comes earlier is told COORDINATOR_LOAD_IN_PROGRESS by the coordinator.
    pub async fn ensure<S: Shard>(
        &self,
        runtime: &Runtime<S>,
        keys: &[&str],
        new_topic: impl FnOnce() -> CreateTopic,
    ) -> Result<(), ErrorCode> {
        if keys.is_empty() || self.image().topic(self.name).is_some() {
            return Ok(());
        }
        if let Err(error) = self.create(new_topic()).await {
            self.tell_refusal(&error);
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let image = self.image();
        let loaded = async {
            for key in keys {
                if let Ok(partition) = self.partition_of(&image, key) {
                    runtime.loaded(partition).await;
                }
            }
        };
        if tokio::time::timeout(LONGEST_WAIT_FOR_LOADS, loaded).await.is_err() {
            tracing::debug!(topic = self.name, "created and not loaded yet");
        }
        Ok(())
    }

    /// Clients ask again and again, and the operator is to see a cause once.
    fn tell_refusal(&self, error: &ApiError) {
        let name = self.name;
        if is_news(&mut self.told_refusal.lock(), error) {
            tracing::warn!(%error, "create {name}; there is no coordinator that needs it until it is there");
        } else {
            tracing::debug!(%error, "create {name}");
        }
    }

    async fn create(&self, topic: CreateTopic) -> Result<(), ApiError> {
        let command = Command::CreateTopics { topics: vec![topic], validate_only: false };
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

/// A topic to create, in so many partitions and replicas, with these settings of its own.
pub(super) fn new_topic<const N: usize>(
    name: &str,
    (partition_count, replication_factor): (i32, i16),
    configs: [(&str, String); N],
) -> CreateTopic {
    CreateTopic {
        name: name.to_owned(),
        partitioning: Partitioning::Counts { partition_count, replication_factor },
        configs: configs.map(|(key, value)| (key.to_owned(), Some(value))).into(),
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
