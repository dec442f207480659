//! OffsetForLeaderEpoch (key 23), v0 and v1, which followers of their time sent: without the epoch that the client knows
//! (KIP-320, v2), answered in v0 without the epoch that has ended (KIP-279, v1). Kafka:
//! `OffsetForLeaderEpochRequest.json`, `OffsetForLeaderEpochResponse.json` of 3.9.

use bytes::BufMut;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{FLEXIBLE, OldRequest, OldResponse};
use crate::protocol::body::Body;
use crate::protocol::wire::{Malformed, put_count, put_string};

const CURRENT_EPOCHS_SINCE: i16 = 2;
const LEADER_EPOCHS_SINCE: i16 = 1;
/// What a topic takes at least, and a partition.
const LEAST_TOPIC_SIZE_BYTES: usize = 6;
const LEAST_PARTITION_SIZE_BYTES: usize = 8;

impl OldRequest for OffsetForLeaderEpochRequest {
    const SAME_SINCE: i16 = CURRENT_EPOCHS_SINCE;

    fn read_old(body: &mut Body<'_>, _version: i16) -> Result<OffsetForLeaderEpochRequest, Malformed> {
        let topics = body.array(LEAST_TOPIC_SIZE_BYTES, |body| {
            let topic = OffsetForLeaderTopic::default().with_topic(body.topic_name()?);
            let partitions = body.array(LEAST_PARTITION_SIZE_BYTES, |body| {
                Ok(OffsetForLeaderPartition::default()
                    .with_partition(body.reader.i32()?)
                    .with_leader_epoch(body.reader.i32()?))
            })?;
            Ok(topic.with_partitions(partitions))
        })?;
        Ok(OffsetForLeaderEpochRequest::default().with_topics(topics))
    }
}

impl OldResponse for OffsetForLeaderEpochResponse {
    const SAME_SINCE: i16 = 2;

    fn write_old(&self, out: &mut Vec<u8>, version: i16) -> anyhow::Result<()> {
        put_count(out, FLEXIBLE, self.topics.len());
        for topic in &self.topics {
            put_string(out, FLEXIBLE, Some(&topic.topic));
            put_count(out, FLEXIBLE, topic.partitions.len());
            for partition in &topic.partitions {
                out.put_i16(partition.error_code);
                out.put_i32(partition.partition);
                if version >= LEADER_EPOCHS_SINCE {
                    out.put_i32(partition.leader_epoch);
                }
                out.put_i64(partition.end_offset);
            }
        }
        Ok(())
    }
}
