//! The coordinators of this broker: follow the metadata as leaders of their topics' partitions, and run on the
//! registry's logs and one view in the first log directory.
//!
//! [`followed`] is one topic with its runtime, [`topic_log`] its logs, [`markers`] ends transactions in the partitions
//! that took part, [`deleted_topics`] tells groups of topics that are gone.

mod deleted_topics;
mod followed;
mod image_topics;
mod markers;
mod topic_log;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use self::followed::Followed;
use self::image_topics::ImageTopics;
use self::markers::{Asker, Markers, MarkersOptions};
use self::topic_log::TopicLog;
use crate::config::broker::BrokerConfig;
use crate::config::resource::ConfigResource;
use crate::controller::{ClusterImage, TopicImage};
use crate::coordinator::group::consumer::topics::{ConsumerSettings, Surroundings};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::log::PartitionReader;
use crate::coordinator::runtime::{self, BatchOptions, CarryOut, Job, Options, Runtime, Settings};
use crate::coordinator::shard::Shard;
use crate::coordinator::transaction::shard::TransactionShard;
use crate::env::clock::Clock;
use crate::handlers::configs::Configs;
use crate::handlers::features::TRANSACTION_VERSION;
use crate::handlers::releases::Release;
use crate::handlers::write_txn_markers;
use crate::protocol::batch::Compression;
use crate::protocol::ids::{BrokerId, PartitionIndex, TopicId};
use crate::replication::registry::{Registry, TopicConfigs};
use crate::store::CoordinatorTopic;
use crate::store::lazy::LazyView;

/// How batches of `__consumer_offsets` are numbered, which nobody looks at: as Kafka's `CoordinatorRuntime` does.
const GROUPS_BASE_SEQUENCE: i32 = 0;
/// As `TransactionStateManager` does (`RecordBatch.NO_SEQUENCE`).
const TRANSACTIONS_BASE_SEQUENCE: i32 = -1;
/// How long a record of `__transaction_state` waits for the high watermark. Kafka takes the timeout of the transaction
/// itself, whose default in producers this is.
const TRANSACTION_COMMIT_TIMEOUT_MS: i64 = 60_000;
/// How far a partition's view is behind before it is written to: some seventy commits of one offset.
const MOST_LAG_BYTES: usize = 32 << 10;
/// Between the first two tries to write a marker.
const FIRST_PAUSE_OF_MARKERS: Duration = Duration::from_millis(50);

/// What the coordinators run on.
pub struct Parts<'a> {
    pub me: BrokerId,
    pub release: &'static Release,
    pub first_log_directory: &'a Path,
    pub replicas: Arc<Registry>,
    pub configs: Arc<Configs>,
    pub topic_configs: TopicConfigs,
    pub clock: Clock,
    /// Runs deadlines and writes markers; its pool does what blocks.
    pub control: Handle,
}

/// The coordinators of groups and of transactions, and the view that both keep.
pub struct Coordinators {
    groups: Followed<GroupShard>,
    transactions: Followed<TransactionShard>,
    markers: Arc<Markers>,
    view: Arc<LazyView>,
    topics: Arc<ArcSwap<ImageTopics>>,
    control: Handle,
}

/// What a batch of a topic is like; its size is the topic's own.
type BatchSettings = Box<dyn Fn(&BrokerConfig, usize) -> Settings + Send + Sync>;

impl Coordinators {
    pub fn new(parts: Parts<'_>) -> Arc<Coordinators> {
        let view = Arc::new(LazyView::inside(parts.first_log_directory));
        let topics = Arc::new(ArcSwap::from_pointee(ImageTopics::new(&parts.replicas.image())));
        let groups = new_groups(&parts, &view, &topics);
        let (transactions, markers) = new_transactions(&parts, &view, &groups);
        let Parts { me, replicas, control, .. } = parts;
        Arc::new(Coordinators {
            groups: Followed::new(me, CoordinatorTopic::ConsumerOffsets, replicas.clone(), groups),
            transactions: Followed::new(me, CoordinatorTopic::TransactionState, replicas, transactions),
            markers,
            view,
            topics,
            control,
        })
    }

    pub fn groups(&self) -> &Arc<Runtime<GroupShard>> {
        self.groups.runtime()
    }

    pub fn transactions(&self) -> &Arc<Runtime<TransactionShard>> {
        self.transactions.runtime()
    }

    /// The logs are open: begins to lead, and to fire deadlines.
    pub fn start(&self) {
        self.groups.start(&self.control);
        self.transactions.start(&self.control);
    }

    /// The replicas have followed the metadata from `old` to `new`.
    pub fn metadata_changed(&self, old: &ClusterImage, new: &ClusterImage) {
        // First, so that a group that is loaded sees the topics of the metadata that it is loaded by.
        if let Some(topics) = self.topics.load().changed(old, new) {
            self.topics.store(Arc::new(topics));
        }
        self.groups.follow();
        self.transactions.follow();
        let is_gone = |topic: &&Arc<TopicImage>| new.topic_by_id(topic.id).is_none();
        // Most changes leave the topics as they are, and persistent maps know.
        if old.topics.ptr_eq(&new.topics) {
            return;
        }
        let gone: Arc<[(TopicId, Arc<str>)]> =
            old.topics.values().filter(is_gone).map(|topic| (topic.id, topic.name.clone())).collect();
        if !gone.is_empty() {
            self.control.spawn(deleted_topics::forget_offsets(self.groups().clone(), gone));
        }
    }

    /// Resigns from everything, leaves markers to the next start, and brings the view to disk, so that it need not replay.
    /// Blocking.
    pub fn stop(&self) {
        self.transactions.stop();
        self.markers.stop();
        self.groups.stop();
        if let Err(error) = self.view.close() {
            tracing::warn!(error = format!("{error:#}"), "close the view; the next start replays the logs");
        }
    }
}

/// What groups know of the cluster.
fn surroundings(parts: &Parts<'_>, topics: &Arc<ArcSwap<ImageTopics>>) -> Surroundings {
    let (topics, replicas, configs) = (topics.clone(), parts.replicas.clone(), parts.configs.clone());
    Surroundings {
        topics: Arc::new(move || topics.load_full()),
        consumer_settings: Arc::new(move |group| {
            let image = replicas.image();
            let own = image.config(&ConfigResource::group(group));
            ConsumerSettings::resolve(own.map(Arc::as_ref), &configs.group())
        }),
    }
}

fn new_groups(
    parts: &Parts<'_>,
    view: &Arc<LazyView>,
    topics: &Arc<ArcSwap<ImageTopics>>,
) -> Arc<Runtime<GroupShard>> {
    let (configs, surroundings) = (parts.configs.clone(), surroundings(parts, topics));
    let new_shard = move |_| {
        let configs = configs.clone();
        GroupShard::new(Arc::new(move || configs.group()), surroundings.clone())
    };
    let settings = |broker: &BrokerConfig, max_size_bytes| Settings {
        batches: BatchOptions {
            max_size_bytes,
            compression: runtime::compression(&broker.group),
            base_sequence: GROUPS_BASE_SEQUENCE,
        },
        commit_timeout_ms: broker.group.offsets_commit_timeout_ms.into(),
    };
    let carry_out: CarryOut<GroupShard> = Box::new(|_, _, nothing, _| match nothing {});
    let topic = CoordinatorTopic::ConsumerOffsets;
    new_runtime(parts, topic, view, Box::new(new_shard), Box::new(settings), carry_out)
}

fn new_transactions(
    parts: &Parts<'_>,
    view: &Arc<LazyView>,
    groups: &Arc<Runtime<GroupShard>>,
) -> (Arc<Runtime<TransactionShard>>, Arc<Markers>) {
    let (configs, replicas) = (parts.configs.clone(), parts.replicas.clone());
    let release = parts.release;
    let new_shard = move |_| {
        let replicas = replicas.clone();
        let version = move || release.level(&replicas.image(), TRANSACTION_VERSION);
        TransactionShard::new(configs.broker().transaction.clone(), Arc::new(version))
    };
    let settings = |_: &BrokerConfig, max_size_bytes| Settings {
        batches: BatchOptions {
            max_size_bytes,
            compression: Compression::None,
            base_sequence: TRANSACTIONS_BASE_SEQUENCE,
        },
        commit_timeout_ms: TRANSACTION_COMMIT_TIMEOUT_MS,
    };
    let (image, writer) = (parts.replicas.clone(), new_marker_writer(parts, groups));
    let markers = Markers::new(MarkersOptions {
        exists: Box::new(move |topic, partition| image.image().partition(topic, partition).is_some()),
        write: Box::new(move |(topic, partition), marker| {
            let writer = writer.clone();
            Box::pin(async move { writer.write(&topic, partition, &marker).await })
        }),
        first_pause: FIRST_PAUSE_OF_MARKERS,
        control: parts.control.clone(),
    });
    let begun = markers.clone();
    let carry_out: CarryOut<TransactionShard> =
        Box::new(move |partition, epoch, effect, bringer| begun.begin(partition, epoch, effect, bringer));
    let topic = CoordinatorTopic::TransactionState;
    let runtime = new_runtime(parts, topic, view, Box::new(new_shard), Box::new(settings), carry_out);
    let asker: Arc<dyn Asker> = runtime.clone();
    markers.report_to(Arc::downgrade(&asker));
    (runtime, markers)
}

fn new_marker_writer(parts: &Parts<'_>, groups: &Arc<Runtime<GroupShard>>) -> write_txn_markers::Markers {
    write_txn_markers::Markers {
        replicas: parts.replicas.clone(),
        groups: groups.clone(),
        configs: parts.configs.clone(),
        clock: parts.clock.clone(),
    }
}

fn new_runtime<S: Shard>(
    parts: &Parts<'_>,
    topic: CoordinatorTopic,
    view: &Arc<LazyView>,
    new_shard: Box<dyn Fn(PartitionIndex) -> S + Send + Sync>,
    batches: BatchSettings,
    carry_out: CarryOut<S>,
) -> Arc<Runtime<S>> {
    let (replicas, topic_configs) = (parts.replicas.clone(), parts.topic_configs.clone());
    let log = Arc::new(TopicLog::new(topic, replicas, topic_configs, parts.clock.clone()));
    let (configs, written, pool) = (parts.configs.clone(), log.clone(), parts.control.clone());
    Runtime::new(Options {
        topic,
        new_shard,
        writer: log.clone(),
        reader: log as Arc<dyn PartitionReader>,
        view: view.clone(),
        most_lag_bytes: MOST_LAG_BYTES,
        clock: parts.clock.clone(),
        settings: Box::new(move |partition| {
            batches(&configs.broker(), written.max_batch_size_bytes(partition))
        }),
        background: Box::new(move |job: Job| drop(pool.spawn_blocking(job))),
        carry_out,
    })
}

#[cfg(test)]
mod tests;
