//! Offsets of all partitions that no log file tells: where each begins, and up to where it is on disk.
//!
//! Kafka: `LogManager.checkpointLogStartOffsets`, `checkpointLogRecoveryOffsets`.

use std::sync::Arc;

use super::registry::{Held, Registry};
use super::replica::Replica;
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

    /// Writes both checkpoints of every directory.
    pub fn write_checkpoints(&self) {
        for (index, directory) in self.options.directories.iter().enumerate() {
            let log_starts = self.write_log_starts(index);
            if let Err(error) = log_starts.and_then(|()| self.write_recovery_points(index)) {
                let directory = directory.path().display();
                tracing::error!(%directory, error = format!("{error:#}"), "write checkpoints");
            }
        }
    }

    fn write_log_starts(&self, directory_index: usize) -> anyhow::Result<()> {
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
            let counts = at == directory_index && offset > Offset::ZERO;
            counts.then(|| ((name.topic.to_string(), name.partition), offset))
        });
        offsets.collect()
    }
}
