//! The start: opens every partition found in `log.dirs`, recovering what needs it; and the end: closes them
//! all, so that the next start need not. Kafka: `LogManager.loadLogs`, `LogManager.shutdown`.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Context;
use parking_lot::Mutex;

use super::graveyard::Doomed;
use super::registry::{FoundOnDisk, Held, Registry};
use crate::controller::{ClusterImage, PartitionImage, TopicImage};
use crate::env::fs;
use crate::log::checkpoint::PartitionOffsets;
use crate::log::dirs::{LogDirectory, OffsetCheckpoint, PartitionDirectory};
use crate::log::log::{Log, RemovedDirectory};
use crate::protocol::ids::{Offset, PartitionIndex};

const METADATA_TOPIC: &str = "__cluster_metadata";

/// What one directory told before any log was opened.
struct DirectoryState {
    log_starts: PartitionOffsets,
    recovery_points: PartitionOffsets,
    cleaned: PartitionOffsets,
    clean_shutdown: bool,
}

impl DirectoryState {
    fn read(directory: &LogDirectory) -> anyhow::Result<DirectoryState> {
        Ok(DirectoryState {
            log_starts: directory.read_offsets(OffsetCheckpoint::LogStart)?,
            recovery_points: directory.read_offsets(OffsetCheckpoint::RecoveryPoint)?,
            cleaned: directory.read_offsets(OffsetCheckpoint::Cleaner)?,
            clean_shutdown: directory.take_clean_shutdown()?,
        })
    }

    fn names(&self) -> impl Iterator<Item = (String, PartitionIndex)> {
        self.log_starts.keys().chain(self.recovery_points.keys()).chain(self.cleaned.keys()).cloned()
    }

    fn of(&self, stored: &PartitionDirectory) -> FoundOnDisk {
        let key = (stored.topic.clone(), stored.partition);
        let offset = |offsets: &PartitionOffsets| offsets.get(&key).copied().unwrap_or(Offset::ZERO);
        FoundOnDisk {
            log_start_offset: offset(&self.log_starts),
            recovery_point: offset(&self.recovery_points),
            clean_shutdown: self.clean_shutdown,
            cleaned_to: self.cleaned.get(&key).copied(),
        }
    }
}

impl Registry {
    /// Opens every partition found on disk, `thread_count` at a time. Returns when all can be served.
    pub fn load(&self, thread_count: usize) -> anyhow::Result<()> {
        let image = self.image();
        self.settle_futures(&image)?;
        let mut states = Vec::with_capacity(self.options.directories.len());
        let mut found = Vec::new();
        for (index, directory) in self.options.directories.iter().enumerate() {
            let state = DirectoryState::read(directory)?;
            for path in directory.deleted_directories().context("list deleted partitions")? {
                self.graveyard
                    .add(Doomed::Directory(RemovedDirectory { path, remove_at: self.options.clock.now() }));
            }
            let stored = directory.partitions()?.into_iter();
            // The metadata quorum looks after its own log.
            let stored = stored.filter(|stored| stored.topic != METADATA_TOPIC);
            found.extend(stored.map(|stored| (index, stored)));
            states.push(state);
        }
        let named: HashSet<(String, PartitionIndex)> =
            states.iter().flat_map(DirectoryState::names).collect();
        let work = Mutex::new(found.into_iter());
        std::thread::scope(|scope| {
            let loaders: Vec<_> = (0..thread_count.max(1))
                .map(|_| {
                    scope.spawn(|| -> anyhow::Result<()> {
                        loop {
                            let Some((index, stored)) = work.lock().next() else { return Ok(()) };
                            self.load_one(&image, index, &stored, states[index].of(&stored))?;
                        }
                    })
                })
                .collect();
            loaders.into_iter().try_for_each(|loader| loader.join().expect("a panic ends the process"))
        })?;
        let held: HashSet<(String, PartitionIndex)> = {
            let held = self.held.read();
            let name = |held: &Held| match held {
                Held::Leading(replica) => replica.name().clone(),
                Held::Quarantined { name, .. } => name.clone(),
            };
            held.values().map(name).map(|name| (name.topic.to_string(), name.partition)).collect()
        };
        // Checkpoints go by name: a new topic must not begin where a deleted one of its name did.
        if !named.is_subset(&held) {
            self.write_checkpoints();
        }
        Ok(())
    }

    fn load_one(
        &self,
        image: &ClusterImage,
        directory_index: usize,
        stored: &PartitionDirectory,
        found: FoundOnDisk,
    ) -> anyhow::Result<()> {
        let Some((topic, partition)) = known_to(image, stored) else {
            return self.set_aside(stored, "the metadata knows no such partition");
        };
        let elsewhere = self.directory_of(partition).filter(|chosen| *chosen != directory_index);
        if elsewhere.is_some_and(|chosen| self.has_files(chosen, stored)) {
            return self.set_aside(stored, "the partition lies in another directory, as the metadata says");
        }
        let held = self.open(topic, partition, stored.partition, directory_index, &found)?;
        self.held.write().insert((topic.id, stored.partition), held);
        Ok(())
    }

    fn has_files(&self, directory_index: usize, stored: &PartitionDirectory) -> bool {
        fs::exists(&self.options.directories[directory_index].partition_path(&stored.topic, stored.partition))
    }

    /// What a move left behind that the last process did not end: a copy in the directory that the metadata names
    /// is complete and takes its place, any other copy goes.
    fn settle_futures(&self, image: &ClusterImage) -> anyhow::Result<()> {
        for (index, directory) in self.options.directories.iter().enumerate() {
            for future in directory.futures().context("list the copies of partitions that move")? {
                // A copy gets its `partition.metadata` when it is whole.
                let known = future.topic_id.and_then(|_| known_to(image, &future));
                let is_named =
                    known.is_some_and(|(_, partition)| self.directory_of(partition) == Some(index));
                if is_named && !self.has_files(index, &future) {
                    let path = directory.partition_path(&future.topic, future.partition);
                    fs::rename(&future.path, &path).context("complete a move")?;
                    fs::sync_directory(directory.path()).context("complete a move")?;
                    tracing::info!(partition = %path.display(), "completed the move of a partition");
                } else {
                    let removed = RemovedDirectory { path: future.path, remove_at: self.options.clock.now() };
                    self.graveyard.add(Doomed::Directory(removed));
                }
            }
        }
        Ok(())
    }

    /// Absent metadata is no proof that nobody wants the data: it gets a name that no topic can have.
    fn set_aside(&self, stored: &PartitionDirectory, reason: &'static str) -> anyhow::Result<()> {
        let aside = format!("{}.{}-stray", stored.path.display(), self.new_suffix());
        tracing::warn!(partition = %stored.path.display(), kept_as = aside, reason, "a directory is set aside");
        fs::rename(&stored.path, aside.as_ref()).context("set a stray partition aside")
    }

    /// Closes every log, brings everything to disk and says so, so that the next start trusts what it finds.
    /// A directory with a partition that is offline or quarantined gets no such mark: its logs are recovered
    /// from their own files.
    pub fn close_all(&self, broker_epoch: i64) -> anyhow::Result<()> {
        let _writing = self.writing_checkpoints.lock();
        let mut recovery_points = vec![PartitionOffsets::new(); self.options.directories.len()];
        let mut is_whole = vec![true; self.options.directories.len()];
        let held: Vec<Held> = self.held.read().values().cloned().collect();
        for held in held {
            let replica = match held {
                Held::Leading(replica) => replica,
                Held::Quarantined { directory_index, .. } => {
                    is_whole[directory_index] = false;
                    continue;
                }
            };
            let index = replica.directory_index();
            match replica.close().map(Log::close) {
                Some(Ok(closed)) => {
                    let key = (replica.name().topic.to_string(), replica.name().partition);
                    recovery_points[index].insert(key, closed.log_end_offset);
                }
                Some(Err(error)) => {
                    is_whole[index] = false;
                    tracing::error!(partition = %replica.name(), error = format!("{error:#}"), "close a log");
                }
                None => is_whole[index] = false,
            }
        }
        for (index, directory) in self.options.directories.iter().enumerate() {
            if let Err(error) = directory.write_offsets(OffsetCheckpoint::LogStart, &self.log_starts(index)) {
                // On a full disk the older checkpoint stays, and there is no mark that it is complete.
                let directory = directory.path().display();
                tracing::error!(%directory, error = format!("{error:#}"), "write the last log starts");
                continue;
            }
            if is_whole[index] {
                fs::sync_file_system(directory.path()).context("sync a log directory")?;
                directory.write_offsets(OffsetCheckpoint::RecoveryPoint, &recovery_points[index])?;
                directory.mark_clean_shutdown(broker_epoch)?;
            }
        }
        Ok(())
    }
}

/// The partition that a directory belongs to. A directory whose `partition.metadata` is lost goes by its name:
/// deleted topics take their directories' names with them.
fn known_to<'a>(
    image: &'a ClusterImage,
    stored: &PartitionDirectory,
) -> Option<(&'a Arc<TopicImage>, &'a Arc<PartitionImage>)> {
    let topic = match stored.topic_id {
        Some(id) => image.topic_by_id(id)?,
        None => image.topic(&stored.topic)?,
    };
    Some((topic, topic.partition(stored.partition)?))
}
