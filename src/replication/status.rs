//! How the partitions of this broker are, told without opening a log or waiting for an append.

use super::registry::{Held, Registry};
use crate::controller::TopicImage;
use crate::protocol::ids::{Offset, PartitionIndex};

/// One partition whose copy is on this broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    pub partition: PartitionIndex,
    pub is_leader: bool,
    /// Whether it can be served; not when its log is corrupt or a write failed.
    pub is_online: bool,
    /// Fewer replicas are in sync than there are.
    pub is_under_replicated: bool,
    /// Bytes of records on disk; it and what follows are 0 for a partition that was never used.
    pub size_bytes: u64,
    pub log_start_offset: Offset,
    /// Exclusive.
    pub log_end_offset: Offset,
    pub segment_count: usize,
}

impl Registry {
    /// The partitions of `topic` that the metadata puts on this broker, by index.
    pub fn status_of(&self, topic: &TopicImage) -> Vec<PartitionStatus> {
        let held = self.held.read();
        let mut found = Vec::with_capacity(topic.partitions.len());
        for (partition, image) in (0..).map(PartitionIndex).zip(&topic.partitions) {
            let me = self.options.me;
            if !image.replicas.contains(&me) {
                continue;
            }
            let mut status = PartitionStatus {
                partition,
                is_leader: image.leader == me,
                is_online: self.directory_of(image).is_some(),
                is_under_replicated: image.isr.len() < image.replicas.len(),
                size_bytes: 0,
                log_start_offset: Offset::ZERO,
                log_end_offset: Offset::ZERO,
                segment_count: 0,
            };
            match held.get(&(topic.id, partition)) {
                Some(Held::Leading(replica)) => {
                    status.is_online = !replica.is_closed();
                    status.size_bytes = replica.size_bytes();
                    status.log_start_offset = replica.log_start_offset();
                    status.log_end_offset = replica.log_end_offset();
                    status.segment_count = replica.segment_count();
                }
                Some(Held::Quarantined { .. }) => status.is_online = false,
                None => {}
            }
            found.push(status);
        }
        found
    }
}
