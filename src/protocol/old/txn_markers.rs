//! The answer to WriteTxnMarkers (key 27), v0: that of v1 without compact lengths. Kafka:
//! `WriteTxnMarkersResponse.json` of 3.9.

use bytes::BufMut;
use kafka_protocol::messages::WriteTxnMarkersResponse;

use super::{FLEXIBLE, OldResponse};
use crate::protocol::wire::{put_count, put_string};

impl OldResponse for WriteTxnMarkersResponse {
    const SAME_SINCE: i16 = 1;

    fn write_old(&self, out: &mut Vec<u8>, _version: i16) -> anyhow::Result<()> {
        put_count(out, FLEXIBLE, self.markers.len());
        for marker in &self.markers {
            out.put_i64(marker.producer_id.0);
            put_count(out, FLEXIBLE, marker.topics.len());
            for topic in &marker.topics {
                put_string(out, FLEXIBLE, Some(&topic.name));
                put_count(out, FLEXIBLE, topic.partitions.len());
                for partition in &topic.partitions {
                    out.put_i32(partition.partition_index);
                    out.put_i16(partition.error_code);
                }
            }
        }
        Ok(())
    }
}
