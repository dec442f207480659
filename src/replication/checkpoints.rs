//! Offsets of all partitions that no log file tells: where each begins, and up to where it is on disk.
//!
//! Kafka: `LogManager.checkpointLogStartOffsets`, `checkpointLogRecoveryOffsets`.

use std::sync::Arc;

use super::registry::Registry;
use super::replica::Replica;
use crate::log::checkpoint::PartitionOffsets;
use crate::log::dirs::OffsetCheckpoint;
use crate::log::log::Log;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::Offset;

impl Registry {
    /// DeleteRecords (KIP-107): moves the log start of `replica` and brings that to disk before it returns the
    /// new log start. Blocking.
    pub fn delete_records(&self, replica: &Replica, before: Offset) -> Result<Offset, ApiError> {
        let log_start = replica.delete_records(before)?;
        let written = self.write_checkpoint(
            replica.directory_index(),
            OffsetCheckpoint::LogStart,
            Log::log_start_offset,
        );
        written.map_err(|error| {
            tracing::error!(partition = %replica.name(), error = format!("{error:#}"), "checkpoint log starts");
            ApiError::from(ErrorCode::KafkaStorageError)
        })?;
        Ok(log_start)
    }

    /// Writes both checkpoints of every directory.
    pub fn write_checkpoints(&self) {
        for index in 0..self.options.directories.len() {
            let log_starts = self.write_checkpoint(index, OffsetCheckpoint::LogStart, Log::log_start_offset);
            let points = self.write_checkpoint(index, OffsetCheckpoint::RecoveryPoint, Log::recovery_point);
            if let Err(error) = log_starts.and(points) {
                let directory = self.options.directories[index].path().display();
                tracing::error!(%directory, error = format!("{error:#}"), "write checkpoints");
            }
        }
    }

    fn write_checkpoint(
        &self,
        directory_index: usize,
        which: OffsetCheckpoint,
        offset: impl Fn(&Log) -> Offset,
    ) -> anyhow::Result<()> {
        // One at a time: an older collection must not replace a newer file.
        let _writing = self.writing_checkpoints.lock();
        let mut offsets = PartitionOffsets::new();
        let here = |replica: &Arc<Replica>| replica.directory_index() == directory_index;
        for replica in self.replicas().into_iter().filter(here) {
            let found = replica.with_log(|log, _| offset(log)).filter(|offset| *offset > Offset::ZERO);
            if let Some(offset) = found {
                offsets.insert((replica.name().topic.to_string(), replica.name().partition), offset);
            }
        }
        self.options.directories[directory_index].write_offsets(which, &offsets)
    }
}
