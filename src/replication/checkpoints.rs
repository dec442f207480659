//! Offsets of all partitions that no log file tells: where each begins, up to where it is on disk, and up to where it is
//! compacted.
//!
//! Kafka: `LogManager.checkpointLogStartOffsets`, `checkpointLogRecoveryOffsets`, `LogCleanerManager.updateCheckpoints`.

use std::sync::Arc;

use super::registry::{Held, Registry};
use super::replica::Replica;
use crate::env::fs;
use crate::log::checkpoint::PartitionOffsets;
use crate::log::dirs::OffsetCheckpoint;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::Offset;

impl Registry {
    /// DeleteRecords (KIP-107): moves the log start of `replica` and brings that to disk before it returns the
    /// new log start. Blocking.
    pub fn delete_records(&self, replica: &Replica, before: Offset) -> Result<Offset, ApiError> {
        let log_start = replica.delete_records(before)?;
        let written = self.write_log_starts(replica.directory_index());
        written.map_err(|error| {
            tracing::error!(partition = %replica.name(), error = format!("{error:#}"), "checkpoint log starts");
            ApiError::from(ErrorCode::KafkaStorageError)
        })?;
        Ok(log_start)
    }

    /// Writes the checkpoints of every directory.
    pub fn write_checkpoints(&self) {
        for (index, directory) in self.options.directories.iter().enumerate() {
            let log_starts = self.write_log_starts(index);
            if let Err(error) = log_starts.and_then(|()| self.write_recovery_points(index)) {
                let directory = directory.path().display();
                tracing::error!(%directory, error = format!("{error:#}"), "write checkpoints");
            }
            self.write_cleaner_offsets(index);
        }
    }

    /// Writes up to where the partitions of a directory are compacted. What is not written is cleaned once more.
    pub(super) fn write_cleaner_offsets(&self, directory_index: usize) {
        let _writing = self.writing_checkpoints.lock();
        let here = |replica: &Arc<Replica>| replica.directory_index() == directory_index;
        let offsets: PartitionOffsets = self
            .replicas()
            .into_iter()
            .filter(here)
            .filter_map(|replica| {
                let name = replica.name();
                Some(((name.topic.to_string(), name.partition), replica.cleaning.cleaned_to()?))
            })
            .collect();
        let directory = &self.options.directories[directory_index];
        let path = directory.path().join(OffsetCheckpoint::Cleaner.file_name());
        if offsets.is_empty() && !fs::exists(&path) {
            return;
        }
        if let Err(error) = directory.write_offsets(OffsetCheckpoint::Cleaner, &offsets) {
            tracing::error!(error = format!("{error:#}"), "checkpoint compacted offsets");
        }
    }

    /// Writes where the partitions of a directory begin; on disk when this returns.
    pub(super) fn write_log_starts(&self, directory_index: usize) -> anyhow::Result<()> {
        // One at a time: an older collection must not replace a newer file.
        let _writing = self.writing_checkpoints.lock();
        let offsets = self.log_starts(directory_index);
        self.options.directories[directory_index].write_offsets(OffsetCheckpoint::LogStart, &offsets)
    }

    fn write_recovery_points(&self, directory_index: usize) -> anyhow::Result<()> {
        let _writing = self.writing_checkpoints.lock();
        let mut offsets = PartitionOffsets::new();
        let here = |replica: &Arc<Replica>| replica.directory_index() == directory_index;
        for replica in self.replicas().into_iter().filter(here) {
            let found = replica.with_log(|log, _| log.recovery_point()).filter(|at| *at > Offset::ZERO);
            if let Some(offset) = found {
                offsets.insert((replica.name().topic.to_string(), replica.name().partition), offset);
            }
        }
        self.options.directories[directory_index].write_offsets(OffsetCheckpoint::RecoveryPoint, &offsets)
    }

    /// Where the partitions of a directory begin, those that are offline or quarantined included: nobody else
    /// remembers it.
    pub(super) fn log_starts(&self, directory_index: usize) -> PartitionOffsets {
        // A partition that moves here must begin where it begins, from the moment the metadata names this directory.
        let moves_here = self.moves.moving_into(directory_index);
        let held = self.held.read();
        let offsets = held.values().filter_map(|held| {
            let (name, at, offset) = match held {
                Held::Leading(replica) => {
                    (replica.name(), replica.directory_index(), replica.log_start_offset())
                }
                Held::Quarantined { name, directory_index, log_start_offset } => {
                    (name, *directory_index, *log_start_offset)
                }
            };
            let is_here = at == directory_index || moves_here.contains(&(name.topic_id, name.partition));
            let counts = is_here && offset > Offset::ZERO;
            counts.then(|| ((name.topic.to_string(), name.partition), offset))
        });
        offsets.collect()
    }
}
