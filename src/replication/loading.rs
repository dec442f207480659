//! The start: opens every partition found in `log.dirs`, recovering what needs it; and the end: closes them
//! all, so that the next start need not. Kafka: `LogManager.loadLogs`, `LogManager.shutdown`.

use std::sync::Arc;

use anyhow::Context;
use parking_lot::Mutex;

use super::graveyard::Doomed;
use super::registry::{FoundOnDisk, Registry};
use crate::controller::{ClusterImage, PartitionImage, TopicImage};
use crate::env::fs;
use crate::log::checkpoint::PartitionOffsets;
use crate::log::dirs::{LogDirectory, OffsetCheckpoint, PartitionDirectory};
use crate::log::log::RemovedDirectory;
use crate::protocol::ids::Offset;

const METADATA_TOPIC: &str = "__cluster_metadata";

/// What one directory told before any log was opened.
struct DirectoryState {
    log_starts: PartitionOffsets,
    recovery_points: PartitionOffsets,
    clean_shutdown: bool,
}

impl DirectoryState {
    fn read(directory: &LogDirectory) -> anyhow::Result<DirectoryState> {
        Ok(DirectoryState {
            log_starts: directory.read_offsets(OffsetCheckpoint::LogStart)?,
            recovery_points: directory.read_offsets(OffsetCheckpoint::RecoveryPoint)?,
            clean_shutdown: directory.take_clean_shutdown()?,
        })
    }

    fn of(&self, stored: &PartitionDirectory) -> FoundOnDisk {
        let key = (stored.topic.clone(), stored.partition);
        let offset = |offsets: &PartitionOffsets| offsets.get(&key).copied().unwrap_or(Offset::ZERO);
        FoundOnDisk {
            log_start_offset: offset(&self.log_starts),
            recovery_point: offset(&self.recovery_points),
            clean_shutdown: self.clean_shutdown,
        }
    }
}

impl Registry {
    /// Opens every partition found on disk, `thread_count` at a time. Returns when all can be served.
    pub fn load(&self, thread_count: usize) -> anyhow::Result<()> {
        let image = self.image();
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
        if found.is_empty() {
            return Ok(());
        }
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
        })
    }

    fn load_one(
        &self,
        image: &ClusterImage,
        directory_index: usize,
        stored: &PartitionDirectory,
        found: FoundOnDisk,
    ) -> anyhow::Result<()> {
        let Some((topic, partition)) = known_to(image, stored) else {
            return self.set_aside(stored);
        };
        let held = self.open(topic, partition, stored.partition, directory_index, &found)?;
        self.held.write().insert((topic.id, stored.partition), held);
        Ok(())
    }

    /// Absent metadata is no proof that nobody wants the data: it gets a name that no topic can have.
    fn set_aside(&self, stored: &PartitionDirectory) -> anyhow::Result<()> {
        let aside = format!("{}.{}-stray", stored.path.display(), self.new_suffix());
        tracing::warn!(partition = %stored.path.display(), kept_as = aside, "the metadata knows no such partition");
        fs::rename(&stored.path, aside.as_ref()).context("set a stray partition aside")
    }

    /// Closes every log, brings everything to disk and says so, so that the next start trusts what it finds.
    pub fn close_all(&self, broker_epoch: i64) -> anyhow::Result<()> {
        let mut log_starts = vec![PartitionOffsets::new(); self.options.directories.len()];
        let mut recovery_points = log_starts.clone();
        let mut incomplete = vec![false; self.options.directories.len()];
        for replica in self.replicas() {
            let Some(log) = replica.close() else { continue };
            let index = replica.directory_index();
            let key = (replica.name().topic.to_string(), replica.name().partition);
            match log.close() {
                Ok(closed) => {
                    log_starts[index].insert(key.clone(), closed.log_start_offset);
                    recovery_points[index].insert(key, closed.log_end_offset);
                }
                Err(error) => {
                    incomplete[index] = true;
                    tracing::error!(partition = %replica.name(), error = format!("{error:#}"), "close a log");
                }
            }
        }
        for (index, directory) in self.options.directories.iter().enumerate() {
            // Without the marker, the next start recovers each log from its own files.
            if incomplete[index] {
                continue;
            }
            directory.write_offsets(OffsetCheckpoint::LogStart, &log_starts[index])?;
            directory.write_offsets(OffsetCheckpoint::RecoveryPoint, &recovery_points[index])?;
            directory.mark_clean_shutdown(broker_epoch)?;
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
