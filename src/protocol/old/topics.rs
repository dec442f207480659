//! CreateTopics (key 19), v0 and v1, and the answers to DeleteTopics (key 20), v0: before answers told for how long a
//! client is throttled (CreateTopics v2, DeleteTopics v1), in v0 without `validate_only` and messages of errors (KIP-4).
//! Kafka: `CreateTopicsRequest.json`, `CreateTopicsResponse.json`, `DeleteTopicsResponse.json` of 3.9.

use bytes::BufMut;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::{BrokerId, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsResponse};

use super::{FLEXIBLE, OldRequest, OldResponse};
use crate::protocol::body::Body;
use crate::protocol::wire::{Malformed, put_count, put_string};

/// First version of CreateTopics with `validate_only`, and with messages of errors.
const VALIDATION_SINCE: i16 = 1;
/// What a topic takes at least, the replicas of a partition, and a config.
const LEAST_TOPIC_SIZE_BYTES: usize = 16;
const LEAST_ASSIGNMENT_SIZE_BYTES: usize = 8;
const LEAST_CONFIG_SIZE_BYTES: usize = 4;

impl OldRequest for CreateTopicsRequest {
    const SAME_SINCE: i16 = VALIDATION_SINCE;

    fn read_old(body: &mut Body<'_>, _version: i16) -> Result<CreateTopicsRequest, Malformed> {
        Ok(CreateTopicsRequest::default()
            .with_topics(body.array(LEAST_TOPIC_SIZE_BYTES, read_topic)?)
            .with_timeout_ms(body.reader.i32()?))
    }
}

fn read_topic(body: &mut Body<'_>) -> Result<CreatableTopic, Malformed> {
    Ok(CreatableTopic::default()
        .with_name(body.topic_name()?)
        .with_num_partitions(body.reader.i32()?)
        .with_replication_factor(body.reader.i16()?)
        .with_assignments(body.array(LEAST_ASSIGNMENT_SIZE_BYTES, read_assignment)?)
        .with_configs(body.array(LEAST_CONFIG_SIZE_BYTES, read_config)?))
}

fn read_assignment(body: &mut Body<'_>) -> Result<CreatableReplicaAssignment, Malformed> {
    Ok(CreatableReplicaAssignment::default()
        .with_partition_index(body.reader.i32()?)
        .with_broker_ids(body.array(4, |body| body.reader.i32().map(BrokerId))?))
}

fn read_config(body: &mut Body<'_>) -> Result<CreatableTopicConfig, Malformed> {
    Ok(CreatableTopicConfig::default().with_name(body.string()?).with_value(body.nullable_string()?))
}

impl OldResponse for CreateTopicsResponse {
    const SAME_SINCE: i16 = 2;

    fn write_old(&self, out: &mut Vec<u8>, version: i16) -> anyhow::Result<()> {
        put_count(out, FLEXIBLE, self.topics.len());
        for topic in &self.topics {
            put_string(out, FLEXIBLE, Some(&topic.name));
            out.put_i16(topic.error_code);
            if version >= VALIDATION_SINCE {
                put_string(out, FLEXIBLE, topic.error_message.as_deref());
            }
        }
        Ok(())
    }
}

impl OldResponse for DeleteTopicsResponse {
    const SAME_SINCE: i16 = 1;

    fn write_old(&self, out: &mut Vec<u8>, _version: i16) -> anyhow::Result<()> {
        put_count(out, FLEXIBLE, self.responses.len());
        for topic in &self.responses {
            // Only a client that named an id can get an answer without a name.
            put_string(out, FLEXIBLE, Some(topic.name.as_deref().map_or("", |name| name.as_str())));
            out.put_i16(topic.error_code);
        }
        Ok(())
    }
}
