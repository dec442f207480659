//! The partitions of this broker: makes a replica when a partition is first used, and follows the metadata
//! when topics change or go.
//!
//! A partition has no file before its first append, so most replicas are made on first use from the
//! metadata alone. Kafka: `ReplicaManager`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use anyhow::Context;
use arc_swap::ArcSwap;
use imbl::ordmap::DiffItem;
use parking_lot::{Mutex, RwLock};

use super::chores::Signal;
use super::cleaner::CleanerTotals;
use super::first_files::FirstFiles;
use super::flusher::Flusher;
use super::graveyard::{Doomed, Graveyard};
use super::moves::{FutureReplica, Moves};
use super::replica::{PartitionName, Replica};
use super::traffic::TrafficBook;
use crate::config::topic::TopicConfig;
use crate::controller::{ClusterImage, PartitionImage, TopicImage};
use crate::env::clock::Clock;
use crate::env::fs::{self, Space};
use crate::env::rng::Rng;
use crate::log::dirs::LogDirectory;
use crate::log::files::FileCache;
use crate::log::log::{Log, OpenOptions, RemovedDirectory};
use crate::log::recovery::OpenError;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, Uuid};

/// What a topic runs with: its own values over the broker's.
pub type TopicConfigs = Arc<dyn Fn(&TopicImage) -> Arc<TopicConfig> + Send + Sync>;

/// What a partition that has been used is to this broker.
#[derive(Clone)]
pub(super) enum Held {
    Leading(Arc<Replica>),
    /// Its log is corrupt and was set aside as it is; requests get an error until an operator acts.
    Quarantined {
        name: PartitionName,
        directory_index: usize,
        log_start_offset: Offset,
    },
}

/// What the directory knows of a partition besides its files.
pub(super) struct FoundOnDisk {
    pub log_start_offset: Offset,
    /// Everything below it was on disk at the last checkpoint.
    pub recovery_point: Offset,
    pub clean_shutdown: bool,
    /// Where the last compaction ended.
    pub cleaned_to: Option<Offset>,
}

impl FoundOnDisk {
    /// A partition without files has nothing to recover.
    pub(super) const NOTHING: FoundOnDisk = FoundOnDisk {
        log_start_offset: Offset::ZERO,
        recovery_point: Offset::ZERO,
        clean_shutdown: true,
        cleaned_to: None,
    };
}

/// What lies in one directory, for DescribeLogDirs and metrics.
pub struct DirectoryContents {
    pub path: PathBuf,
    /// `None` when the directory is offline.
    pub space: Option<Space>,
    /// Partitions with their size in bytes.
    pub partitions: Vec<(PartitionName, u64)>,
    /// Copies of partitions that move here.
    pub futures: Vec<FutureReplica>,
}

/// What a registry is made of.
pub struct RegistryOptions {
    pub me: BrokerId,
    /// `log.dirs`, opened.
    pub directories: Vec<LogDirectory>,
    pub files: Arc<FileCache>,
    pub clock: Clock,
    pub configs: TopicConfigs,
    /// The metadata as far as it is known.
    pub image: Arc<ClusterImage>,
    /// `producer.id.expiration.ms`, which changes while the broker runs.
    pub producer_expiration_ms: Arc<AtomicI64>,
    /// Tells the chores that there is work.
    pub signal: Arc<Signal>,
    /// Tells the cleaner that there is work.
    pub cleaner_signal: Arc<Signal>,
}

/// All partitions this broker holds.
pub struct Registry {
    pub(super) options: RegistryOptions,
    /// The metadata as far as this broker's partitions have followed it.
    image: ArcSwap<ClusterImage>,
    pub(super) rng: Rng,
    pub(super) flusher: Flusher,
    first_files: FirstFiles,
    pub(super) writing_checkpoints: Mutex<()>,
    pub(super) held: RwLock<HashMap<(TopicId, PartitionIndex), Held>>,
    pub(super) graveyard: Graveyard,
    traffic: TrafficBook,
    pub(super) cleaned: CleanerTotals,
    pub(super) moves: Moves,
}

impl Registry {
    /// An empty registry; [`Registry::load`] brings in what lies in its directories.
    pub fn new(options: RegistryOptions) -> Registry {
        Registry {
            image: ArcSwap::new(options.image.clone()),
            flusher: Flusher::new(options.signal.clone()),
            options,
            rng: Rng::system(),
            first_files: FirstFiles::default(),
            writing_checkpoints: Mutex::new(()),
            held: RwLock::default(),
            graveyard: Graveyard::default(),
            traffic: TrafficBook::default(),
            cleaned: CleanerTotals::default(),
            moves: Moves::default(),
        }
    }

    /// The newest metadata that has taken effect here.
    pub fn image(&self) -> Arc<ClusterImage> {
        self.image.load_full()
    }

    /// As [`Registry::image`], for a look that ends at once: threads that only look do not share a counter.
    pub fn glance(&self) -> arc_swap::Guard<Arc<ClusterImage>> {
        self.image.load()
    }

    /// Gives partitions files before their first append, off the worker; [`Replica::has_files`] tells who needs that.
    pub async fn make_files(&self, replicas: Vec<Arc<Replica>>) {
        self.first_files.make(replicas, &self.options.clock).await;
    }

    /// Opens the log of a partition, which may not exist on disk yet.
    pub(super) fn open(
        &self,
        topic: &TopicImage,
        partition: &PartitionImage,
        index: PartitionIndex,
        directory_index: usize,
        found: &FoundOnDisk,
    ) -> anyhow::Result<Held> {
        let name = PartitionName { topic: topic.name.clone(), topic_id: topic.id, partition: index };
        match self.open_log(&name, (self.options.configs)(topic), directory_index, found) {
            Ok(log) => {
                let traffic = self.traffic.of(topic.id, index);
                let replica = Replica::lead(
                    name,
                    directory_index,
                    log,
                    self.options.me,
                    partition,
                    self.flusher.clone(),
                    traffic,
                )?;
                if let Some(cleaned_to) = found.cleaned_to {
                    replica.cleaning.set_cleaned_to(cleaned_to);
                }
                Ok(Held::Leading(Arc::new(replica)))
            }
            Err(OpenError::Corrupt { path, position, reason }) => {
                tracing::error!(partition = %name, file = %path.display(), position, reason, "the log is corrupt and stays as it is; the partition is offline");
                let log_start_offset = found.log_start_offset;
                Ok(Held::Quarantined { name, directory_index, log_start_offset })
            }
            Err(OpenError::Io(error)) => Err(error.context(format!("open the log of {name}"))),
        }
    }

    /// Opens the log of a partition in one of the directories.
    pub(super) fn open_log(
        &self,
        name: &PartitionName,
        config: Arc<TopicConfig>,
        directory_index: usize,
        found: &FoundOnDisk,
    ) -> Result<Log, OpenError> {
        let directory = &self.options.directories[directory_index];
        let options = OpenOptions {
            directory: directory.partition_path(&name.topic, name.partition),
            topic_id: name.topic_id,
            config,
            log_start_offset: found.log_start_offset,
            recovery_point: found.recovery_point,
            clean_shutdown: found.clean_shutdown,
            files: self.options.files.clone(),
            producer_expiration_ms: self.options.producer_expiration_ms.clone(),
        };
        Log::open(options, self.options.clock.now())
    }

    /// The replica of a partition that this broker leads; made when it is used for the first time.
    ///
    /// Errors: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR.
    pub fn leader(&self, topic: &TopicImage, index: PartitionIndex) -> Result<Arc<Replica>, ErrorCode> {
        if !self.may_lead(topic, index) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let known = self.held.read().get(&(topic.id, index)).cloned();
        match known {
            Some(Held::Leading(replica)) if replica.is_closed() => Err(ErrorCode::KafkaStorageError),
            Some(Held::Leading(replica)) => Ok(replica),
            Some(Held::Quarantined { .. }) => Err(ErrorCode::KafkaStorageError),
            None => self.make(topic.id, index),
        }
    }

    /// As [`Registry::leader`], for somebody who has had `known` from there, if it is still there: what is not closed is still
    /// held.
    pub fn leader_again(
        &self,
        topic: &TopicImage,
        index: PartitionIndex,
        known: Option<Arc<Replica>>,
    ) -> Result<Arc<Replica>, ErrorCode> {
        match known {
            Some(known) if !known.is_closed() && self.may_lead(topic, index) => Ok(known),
            Some(_) | None => self.leader(topic, index),
        }
    }

    /// A broker that was unregistered while it runs leads nothing any more.
    fn may_lead(&self, topic: &TopicImage, index: PartitionIndex) -> bool {
        topic.partition(index).is_none_or(|partition| partition.leader == self.options.me)
    }

    /// The leader epoch of a partition that this broker leads and nobody has used: it has no replica and no file, and its
    /// log is empty. `None` when [`Registry::leader`] has to be asked.
    pub fn unused(&self, topic: &TopicImage, index: PartitionIndex) -> Option<LeaderEpoch> {
        let partition = topic.partition(index)?;
        let is_leader = partition.leader == self.options.me && self.directory_of(partition).is_some();
        let is_unused = is_leader && !self.held.read().contains_key(&(topic.id, index));
        is_unused.then_some(partition.leader_epoch)
    }

    fn make(&self, topic_id: TopicId, index: PartitionIndex) -> Result<Arc<Replica>, ErrorCode> {
        let mut held = self.held.write();
        // The image is read under the lock: a topic deleted after it finds this entry and removes it.
        let image = self.image();
        let topic = image.topic_by_id(topic_id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let partition = usize::try_from(index.0)
            .ok()
            .and_then(|index| topic.partitions.get(index))
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if partition.leader != self.options.me {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if let Some(Held::Leading(replica)) = held.get(&(topic_id, index)) {
            return Ok(replica.clone());
        }
        let directory_index = self.directory_of(partition).ok_or(ErrorCode::KafkaStorageError)?;
        // Everything on disk was taken in at the start; what is there now is a deleted topic's on its way out.
        if fs::exists(&self.options.directories[directory_index].partition_path(&topic.name, index)) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let made = self.open(topic, partition, index, directory_index, &FoundOnDisk::NOTHING).map_err(|error| {
            tracing::error!(topic = %topic.name, partition = %index, error = format!("{error:#}"), "open a partition");
            ErrorCode::KafkaStorageError
        })?;
        let is_first = held.is_empty();
        held.insert((topic_id, index), made.clone());
        if is_first {
            self.options.signal.raise();
        }
        match made {
            Held::Leading(replica) => {
                if replica.config().cleanup_compact {
                    self.options.cleaner_signal.raise();
                }
                Ok(replica)
            }
            Held::Quarantined { .. } => Err(ErrorCode::KafkaStorageError),
        }
    }

    /// The directory that the metadata has chosen for this broker's copy.
    pub(super) fn directory_of(&self, partition: &PartitionImage) -> Option<usize> {
        let position = partition.replicas.iter().position(|broker| *broker == self.options.me)?;
        let chosen: Uuid = *partition.directories.get(position)?;
        self.options.directories.iter().position(|directory| directory.id() == chosen)
    }

    /// The metadata went from `old` to `new`: topics that are gone take their data with them, configs of
    /// topics apply at once. Runs before the change is answered.
    pub fn metadata_changed(&self, old: &ClusterImage, new: &Arc<ClusterImage>, defaults_changed: bool) {
        // First, so that no partition of a deleted topic is made again.
        self.image.store(new.clone());
        let mut files_went = false;
        for change in old.topics.diff(&new.topics) {
            match change {
                DiffItem::Add(..) => {}
                DiffItem::Update { old: (_, before), new: (_, after) } if before.id == after.id => {
                    if before.overrides != after.overrides {
                        self.reconfigure(after);
                    }
                }
                DiffItem::Update { old: (_, before), .. } => files_went |= self.remove_topic(before),
                DiffItem::Remove(_, gone) => files_went |= self.remove_topic(gone),
            }
        }
        if files_went {
            // Checkpoints go by name: a topic of the same name must not begin where this one did.
            self.write_checkpoints();
        }
        if defaults_changed {
            new.topics.values().for_each(|topic| self.reconfigure(topic));
        }
    }

    fn replicas_of(&self, topic: &TopicImage) -> Vec<Arc<Replica>> {
        let held = self.held.read();
        let indexes = (0..topic.partitions.len()).map(|index| PartitionIndex(index as i32));
        indexes
            .filter_map(|index| match held.get(&(topic.id, index)) {
                Some(Held::Leading(replica)) => Some(replica.clone()),
                Some(Held::Quarantined { .. }) | None => None,
            })
            .collect()
    }

    fn reconfigure(&self, topic: &TopicImage) {
        let config = (self.options.configs)(topic);
        for replica in self.replicas_of(topic) {
            replica.set_config(config.clone());
        }
        if config.cleanup_compact {
            self.options.cleaner_signal.raise();
        }
    }

    /// Whether any of its partitions had files.
    fn remove_topic(&self, topic: &TopicImage) -> bool {
        let mut files_went = false;
        let mut held = self.held.write();
        let gone: Vec<(usize, Held)> = (0..topic.partitions.len())
            .filter_map(|index| Some((index, held.remove(&(topic.id, PartitionIndex(index as i32)))?)))
            .collect();
        drop(held);
        self.traffic.forget(topic.id);
        for (index, held) in gone {
            let log = match held {
                Held::Leading(replica) => replica.close(),
                Held::Quarantined { .. } => None,
            };
            let doomed = match log {
                Some(log) => log.delete(&self.new_suffix(), self.options.clock.now()),
                // Corrupt, or offline after a failed write: there is no log, only its directory.
                None => self.delete_directory(topic, index),
            };
            match doomed {
                Ok(Some(removed)) => {
                    files_went = true;
                    self.bury(Doomed::Directory(removed));
                }
                // It never had a file.
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(topic = %topic.name, partition = index, error = format!("{error:#}"), "delete a partition");
                }
            }
        }
        files_went
    }

    fn delete_directory(&self, topic: &TopicImage, index: usize) -> anyhow::Result<Option<RemovedDirectory>> {
        let Some(directory_index) = self.directory_of(&topic.partitions[index]) else { return Ok(None) };
        let directory = &self.options.directories[directory_index];
        let path = directory.partition_path(&topic.name, PartitionIndex(index as i32));
        if !fs::exists(&path) {
            return Ok(None);
        }
        self.doom(&path, (self.options.configs)(topic).file_delete_delay_ms).map(Some)
    }

    /// Takes its name from the directory of a partition, which then waits for its removal.
    pub(super) fn doom(&self, path: &Path, delay_ms: i64) -> anyhow::Result<RemovedDirectory> {
        let suffix = format!(".{}-delete", self.new_suffix());
        let name = path.file_name().context("a partition's directory has a name")?.to_string_lossy();
        // As for a healthy log: the name stays within 255 bytes. Topic names are ASCII.
        let kept: String = name.chars().take(255 - suffix.len()).collect();
        let doomed = path.with_file_name(kept + &suffix);
        fs::rename(path, &doomed).with_context(|| format!("rename {}", path.display()))?;
        let remove_at = Timestamp(self.options.clock.now().0.saturating_add(delay_ms));
        Ok(RemovedDirectory { path: doomed, remove_at })
    }

    pub(super) fn new_suffix(&self) -> String {
        self.rng.uuid().simple().to_string()
    }

    /// What went in and out of the partitions since the start.
    pub fn traffic(&self) -> &TrafficBook {
        &self.traffic
    }

    /// Whether no partition is held: none was used yet, or all are deleted.
    pub fn is_empty(&self) -> bool {
        self.held.read().is_empty()
    }

    /// Every partition with a replica.
    pub fn replicas(&self) -> Vec<Arc<Replica>> {
        let held = self.held.read();
        held.values()
            .filter_map(|held| match held {
                Held::Leading(replica) => Some(replica.clone()),
                Held::Quarantined { .. } => None,
            })
            .collect()
    }

    /// Sizes of all partitions that the metadata puts on this broker, used or not.
    pub fn describe_directories(&self) -> Vec<DirectoryContents> {
        let mut contents: Vec<_> = self
            .options
            .directories
            .iter()
            .map(|directory| DirectoryContents {
                path: directory.path().to_owned(),
                space: directory.space().ok(),
                partitions: Vec::new(),
                futures: Vec::new(),
            })
            .collect();
        let image = self.image();
        for topic in image.topics.values() {
            for (index, partition) in topic.partitions.iter().enumerate() {
                let Some(directory_index) = self.directory_of(partition) else { continue };
                let partition = PartitionIndex(index as i32);
                let name = PartitionName { topic: topic.name.clone(), topic_id: topic.id, partition };
                let size_bytes = match self.held.read().get(&(topic.id, partition)) {
                    Some(Held::Leading(replica)) => replica.size_bytes(),
                    Some(Held::Quarantined { .. }) | None => 0,
                };
                contents[directory_index].partitions.push((name, size_bytes));
            }
        }
        for (directory_index, future) in self.futures() {
            contents[directory_index].futures.push(future);
        }
        contents
    }

    /// Has every partition forget the producers that were silent for `producer.id.expiration.ms`.
    pub fn remove_expired_producers(&self) {
        let now = self.options.clock.now();
        for replica in self.replicas() {
            replica.with_log(|log, _| log.remove_expired_producers(now));
        }
    }

    /// Applies retention to every partition. The files go later ([`Registry::remove_doomed`]).
    pub fn apply_retention(&self) {
        self.replicas().iter().for_each(|replica| self.apply_retention_to(replica));
    }

    /// As [`Registry::apply_retention`], to one partition.
    pub(super) fn apply_retention_to(&self, replica: &Replica) {
        let now = self.options.clock.now();
        let removed = replica.with_log(|log, high_watermark| log.apply_retention(high_watermark, now));
        match removed {
            Some(Ok(removed)) => {
                removed.into_iter().for_each(|segment| self.bury(Doomed::Segment(segment)));
            }
            Some(Err(error)) => {
                tracing::error!(partition = %replica.name(), error = format!("{error:#}"), "apply retention");
            }
            None => {}
        }
    }

    /// Files that are to go later; the chores see to it.
    pub(super) fn bury(&self, doomed: Doomed) {
        self.graveyard.add(doomed);
        self.options.signal.raise();
    }

    /// Removes the files of what was deleted long enough ago; when the next are due.
    pub fn remove_doomed(&self) -> Option<Timestamp> {
        self.graveyard.remove_due(self.options.clock.now())
    }
}

#[cfg(test)]
pub(super) mod tests;
