//! The coordinators of this broker: follow the metadata as leaders of their topics' partitions, and run on the
//! registry's logs and one view in the first log directory.

mod topic_log;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use self::topic_log::TopicLog;
use crate::controller::{ClusterImage, TopicImage};
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::log::PartitionReader;
use crate::coordinator::runtime::{self, BatchOptions, Job, Options, Runtime, Settings};
use crate::env::clock::Clock;
use crate::handlers::configs::Configs;
use crate::protocol::errors::ApiError;
use crate::protocol::ids::{BrokerId, PartitionIndex, TopicId};
use crate::replication::registry::{Registry, TopicConfigs};
use crate::store::CoordinatorTopic;
use crate::store::lazy::LazyView;

/// How often a part of a deletion is tried again, and after how long: the log may be full, or replicas away.
const MOST_REFUSALS: u32 = 60;
const PAUSE_WHEN_REFUSED: Duration = Duration::from_secs(1);

/// What the coordinators run on.
pub struct Parts<'a> {
    pub me: BrokerId,
    pub first_log_directory: &'a Path,
    pub replicas: Arc<Registry>,
    pub configs: Arc<Configs>,
    pub topic_configs: TopicConfigs,
    pub clock: Clock,
    /// Runs deadlines; its pool does what blocks.
    pub control: Handle,
}

/// The group coordinator, and what it follows.
pub struct Coordinators {
    me: BrokerId,
    replicas: Arc<Registry>,
    groups: Arc<Runtime<GroupShard>>,
    control: Handle,
    followed: Mutex<Followed>,
}

#[derive(Default)]
struct Followed {
    /// The logs are open.
    has_started: bool,
    topic: Option<(TopicId, HashSet<PartitionIndex>)>,
}

impl Coordinators {
    pub fn new(parts: Parts<'_>) -> Arc<Coordinators> {
        let Parts { me, first_log_directory, replicas, configs, topic_configs, clock, control } = parts;
        let topic = CoordinatorTopic::ConsumerOffsets;
        let log = Arc::new(TopicLog::new(topic, replicas.clone(), topic_configs, clock.clone()));
        let (of_groups, of_batches, written) = (configs.clone(), configs, log.clone());
        let settings = move |partition| {
            let broker = of_batches.broker();
            let max_size_bytes = written.max_batch_size_bytes(partition);
            let compression = runtime::compression(&broker.group);
            Settings {
                batches: BatchOptions { max_size_bytes, compression },
                commit_timeout_ms: broker.group.offsets_commit_timeout_ms.into(),
            }
        };
        let pool = control.clone();
        let groups = Runtime::new(Options {
            topic,
            new_shard: Box::new(move |_| {
                let configs = of_groups.clone();
                GroupShard::new(Arc::new(move || configs.group()))
            }),
            writer: log.clone(),
            reader: log as Arc<dyn PartitionReader>,
            view: Arc::new(LazyView::inside(first_log_directory)),
            clock,
            settings: Box::new(settings),
            background: Box::new(move |job: Job| drop(pool.spawn_blocking(job))),
            carry_out: Box::new(|_, _, nothing| match nothing {}),
        });
        Arc::new(Coordinators { me, replicas, groups, control, followed: Mutex::default() })
    }

    pub fn groups(&self) -> &Arc<Runtime<GroupShard>> {
        &self.groups
    }

    /// The logs are open: begins to lead, and to fire deadlines.
    pub fn start(&self) {
        self.followed.lock().has_started = true;
        self.follow();
        self.control.spawn(self.groups.clone().run_deadlines());
    }

    /// The replicas have followed the metadata from `old` to `new`.
    pub fn metadata_changed(&self, old: &ClusterImage, new: &ClusterImage) {
        self.follow();
        let is_gone = |topic: &&Arc<TopicImage>| new.topic_by_id(topic.id).is_none();
        // Most changes leave the topics as they are, and persistent maps know.
        if old.topics.ptr_eq(&new.topics) {
            return;
        }
        let gone: Arc<[(TopicId, Arc<str>)]> =
            old.topics.values().filter(is_gone).map(|topic| (topic.id, topic.name.clone())).collect();
        if !gone.is_empty() {
            self.control.spawn(forget_offsets(self.groups.clone(), gone));
        }
    }

    /// Leads what the newest metadata says, and nothing else.
    fn follow(&self) {
        let mut followed = self.followed.lock();
        if !followed.has_started {
            return;
        }
        let image = self.replicas.image();
        let topic = image.topic(CoordinatorTopic::ConsumerOffsets.name());
        if let Some((id, partitions)) = &followed.topic
            && topic.is_none_or(|topic| topic.id != *id)
        {
            partitions.iter().for_each(|partition| self.groups.forget(*partition));
            followed.topic = None;
        }
        let Some(topic) = topic else { return };
        let (_, led) = followed.topic.get_or_insert_with(|| (topic.id, HashSet::new()));
        for (index, partition) in topic.partitions.iter().enumerate() {
            let index = PartitionIndex(index as i32);
            if partition.leader == self.me {
                led.insert(index);
                self.groups.lead(index, partition.leader_epoch);
            } else if led.remove(&index) {
                self.groups.resign(index);
            }
        }
    }

    /// Resigns from everything and brings the view to disk. Blocking.
    pub fn stop(&self) {
        self.followed.lock().has_started = false;
        self.groups.stop();
    }
}

/// What was committed for deleted topics goes with them (`GroupCoordinator.onPartitionsDeleted`).
async fn forget_offsets(groups: Arc<Runtime<GroupShard>>, topics: Arc<[(TopicId, Arc<str>)]>) {
    for (partition, _) in groups.led() {
        if let Err(error) = forget_offsets_of(&groups, partition, &topics).await {
            tracing::warn!(%partition, %error, "forget the offsets of deleted topics");
        }
    }
}

/// Part by part, each on a thread that may block; a part that is refused is tried again.
async fn forget_offsets_of(
    groups: &Arc<Runtime<GroupShard>>,
    partition: PartitionIndex,
    topics: &Arc<[(TopicId, Arc<str>)]>,
) -> Result<(), ApiError> {
    let mut refusal_count = 0;
    let mut next = Some(Vec::new());
    while let Some(from) = next.take() {
        groups.loaded(partition).await;
        let command = Command::TopicsDeleted { topics: topics.clone(), from: from.clone() };
        let of_part = groups.clone();
        let submitted = tokio::task::spawn_blocking(move || of_part.submit(partition, command));
        match submitted.await.expect("a panic ends the process").await {
            Ok(Response::TopicsDeleted { next: behind }) => {
                refusal_count = 0;
                next = behind;
            }
            Ok(other) => unreachable!("a deletion of topics is answered as one, not with {other:?}"),
            // The partition has another leader, which has been told as well.
            Err(_) if groups.led().iter().all(|(led, _)| *led != partition) => {}
            Err(error) if refusal_count == MOST_REFUSALS => return Err(error),
            Err(_) => {
                refusal_count += 1;
                tokio::time::sleep(PAUSE_WHEN_REFUSED).await;
                next = Some(from);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
