//! The partitions of one coordinator topic as the coordinators see them: their logs, through the registry.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use anyhow::{Context, anyhow};
use parking_lot::RwLock;

use crate::controller::TopicImage;
use crate::coordinator::log::{AppendFailure, PartitionReader, PartitionWriter, WatermarkListener};
use crate::env::clock::Clock;
use crate::log::append::AppendError;
use crate::log::producer_state::Origin;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use crate::replication::registry::{Registry, TopicConfigs};
use crate::replication::replica::{News, Replica};
use crate::store::CoordinatorTopic;

pub struct TopicLog {
    topic: CoordinatorTopic,
    replicas: Arc<Registry>,
    configs: TopicConfigs,
    clock: Clock,
    watched: RwLock<BTreeMap<PartitionIndex, Watched>>,
}

/// What a partition was when its coordinator began to watch it. A later topic of the same name has another log, which
/// that coordinator must not touch.
struct Watched {
    topic_id: TopicId,
    /// Not held here: the files of a deleted topic are given up with its replicas.
    replica: Weak<Replica>,
}

impl TopicLog {
    pub fn new(
        topic: CoordinatorTopic,
        replicas: Arc<Registry>,
        configs: TopicConfigs,
        clock: Clock,
    ) -> TopicLog {
        TopicLog { topic, replicas, configs, clock, watched: RwLock::default() }
    }

    fn image(&self) -> Result<Arc<TopicImage>, ErrorCode> {
        let image = self.replicas.image();
        image.topic(self.topic.name()).cloned().ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    /// The replica of a partition that this broker leads. NOT_LEADER_OR_FOLLOWER when the topic has taken the place of
    /// the one that is watched.
    pub fn replica(&self, partition: PartitionIndex) -> Result<Arc<Replica>, ErrorCode> {
        let image = self.replicas.glance();
        let topic = image.topic(self.topic.name()).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        match self.watched.read().get(&partition) {
            Some(watched) if watched.topic_id != topic.id => Err(ErrorCode::NotLeaderOrFollower),
            Some(watched) => self.replicas.leader_again(topic, partition, watched.replica.upgrade()),
            None => self.replicas.leader(topic, partition),
        }
    }

    /// `max.message.bytes` of the topic. Without a replica nothing is too large: the append is to say what is wrong.
    pub fn max_batch_size_bytes(&self, partition: PartitionIndex) -> usize {
        let watched = self.watched.read();
        let replica = watched.get(&partition).and_then(|watched| watched.replica.upgrade());
        replica.map_or(usize::MAX, |replica| replica.config().max_message_bytes)
    }

    fn replica_to_read(&self, partition: PartitionIndex) -> anyhow::Result<Arc<Replica>> {
        self.replica(partition).map_err(|code| anyhow!("find the log of partition {partition}: {code}"))
    }

    fn append_as(
        &self,
        origin: Origin,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        batch: &mut [u8],
    ) -> Result<Offset, AppendFailure> {
        let replica = self.replica(partition).map_err(|code| AppendFailure::Refused(code.into()))?;
        let appended = replica.append_as_coordinator(batch, epoch, origin, self.clock.now());
        appended.map_err(|error| match error {
            AppendError::Refused(refusal) => AppendFailure::Refused(refusal),
            AppendError::NoSpace(_) => AppendFailure::Refused(ErrorCode::KafkaStorageError.into()),
            AppendError::Failed(_) => AppendFailure::Unknown(ErrorCode::KafkaStorageError.into()),
        })
    }
}

impl PartitionWriter for TopicLog {
    fn append(
        &self,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        batch: &mut [u8],
    ) -> Result<Offset, AppendFailure> {
        self.append_as(Origin::Coordinator, partition, epoch, batch)
    }

    fn append_marker(
        &self,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        batch: &mut [u8],
        transaction_version: i16,
    ) -> Result<Offset, AppendFailure> {
        self.append_as(Origin::TransactionCoordinator { transaction_version }, partition, epoch, batch)
    }

    fn watch(
        &self,
        partition: PartitionIndex,
        listener: Arc<dyn WatermarkListener>,
    ) -> Result<Offset, ApiError> {
        let tell = move |news| match news {
            News::HighWatermark(high_watermark) => listener.watermark_moved(partition, high_watermark),
            News::Closed => listener.closed(partition),
        };
        let topic = self.image()?;
        let replica = self.replicas.leader(&topic, partition)?;
        // Whoever watched before has resigned.
        self.watched
            .write()
            .insert(partition, Watched { topic_id: topic.id, replica: Arc::downgrade(&replica) });
        Ok(replica.listen(Box::new(tell))?)
    }
}

impl PartitionReader for TopicLog {
    fn topic_id(&self) -> anyhow::Result<TopicId> {
        Ok(self.image().map_err(|code| anyhow!("find {}: {code}", self.topic.name()))?.id)
    }

    fn bounds(&self, partition: PartitionIndex) -> anyhow::Result<(Offset, Offset)> {
        let replica = self.replica_to_read(partition)?;
        Ok((replica.log_start_offset(), replica.log_end_offset()))
    }

    fn read(
        &self,
        partition: PartitionIndex,
        from: Offset,
        max_size_bytes: usize,
    ) -> anyhow::Result<Vec<u8>> {
        let bytes = self.replica_to_read(partition)?.read_to_end(from, max_size_bytes);
        bytes.map_err(|error| anyhow!("{error:?}")).with_context(|| format!("read the log from {from}"))
    }

    fn epoch_at(&self, partition: PartitionIndex, offset: Offset) -> Option<LeaderEpoch> {
        self.replica(partition).ok()?.epoch_at(offset)
    }

    fn tombstone_retention_ms(&self) -> i64 {
        // Without the topic there is no log to be proved by.
        self.image().map_or(0, |topic| (self.configs)(&topic).delete_retention_ms)
    }
}
