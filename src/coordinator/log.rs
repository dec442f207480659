//! What the runtime needs of a partition's log, as two small traits that the composition root fills: the runtime
//! knows neither replication nor the log.

use std::sync::Arc;

use crate::protocol::errors::ApiError;
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};

/// What an append came to that has not succeeded.
#[derive(Debug)]
pub enum AppendFailure {
    /// Nothing was written.
    Refused(ApiError),
    /// Some of it may be in the log: this broker must not go on as the coordinator.
    Unknown(ApiError),
}

/// Told when the high watermark has moved, and when the log is closed. Called without any lock of the partition, but
/// possibly from within [`PartitionWriter::append`].
pub trait WatermarkListener: Send + Sync {
    fn watermark_moved(&self, partition: PartitionIndex, high_watermark: Offset);

    /// The log is closed: deleted, offline, or the broker stops.
    fn closed(&self, partition: PartitionIndex);
}

/// Appends to the partitions of one coordinator topic.
pub trait PartitionWriter: Send + Sync + 'static {
    /// Appends one uncompressed or compressed batch as the leader of `epoch` and patches its offsets in place.
    /// Returns the end of the log behind it. Needs `min.insync.replicas`, as acks=all does.
    fn append(
        &self,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        batch: &mut [u8],
    ) -> Result<Offset, AppendFailure>;

    /// As [`PartitionWriter::append`], a control batch that ends a transaction of that `transaction.version`.
    fn append_marker(
        &self,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        batch: &mut [u8],
        transaction_version: i16,
    ) -> Result<Offset, AppendFailure>;

    /// The high watermark; from here on `listener` is told of every change until the partition is closed.
    fn watch(
        &self,
        partition: PartitionIndex,
        listener: Arc<dyn WatermarkListener>,
    ) -> Result<Offset, ApiError>;
}

/// Reads the partitions of one coordinator topic, up to the log end. Blocking.
pub trait PartitionReader: Send + Sync + 'static {
    /// Tells a topic from a later one of the same name.
    fn topic_id(&self) -> anyhow::Result<TopicId>;

    /// First offset and end of the log, exclusive.
    fn bounds(&self, partition: PartitionIndex) -> anyhow::Result<(Offset, Offset)>;

    /// Whole batches from the one that holds `from` or the next behind it, at most `max_size_bytes` unless the
    /// first is larger; empty at the end.
    fn read(&self, partition: PartitionIndex, from: Offset, max_size_bytes: usize)
    -> anyhow::Result<Vec<u8>>;

    /// Leader epoch of the record at `offset`.
    fn epoch_at(&self, partition: PartitionIndex, offset: Offset) -> Option<LeaderEpoch>;

    /// `delete.retention.ms` of the topic: how long a tombstone is sure to be in the log.
    fn tombstone_retention_ms(&self) -> i64;
}
