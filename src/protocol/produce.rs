//! Produce (key 0), versions 0 to 13, as a hot codec: the request is parsed into ranges of its frame, so that
//! records are patched and written where the socket put them.
//!
//! Knows bytes only: whether records are acceptable is [`validate`](super::validate)'s question, and below version 3,
//! where they are message sets, [`message_set`](super::message_set)'s. KIP-32 (v2), KIP-98 (v3), KIP-467 (record errors, v8), KIP-951 (current leader, v10), KIP-516 (topic ids, v13). Is its own shape
//! check: any bytes are either a request or [`Malformed`], and nothing is allocated that the frame does not
//! hold.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};
use crate::protocol::wire::{self, Malformed, Reader};

/// The first version with compact lengths and tagged fields.
const FLEXIBLE_SINCE: i16 = 9;
const TOPIC_ID_SINCE: i16 = 13;

/// Which topic: by name up to version 12, by id since 13.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef {
    /// Range of the name in the frame; it is UTF-8.
    Name(Range<usize>),
    Id(TopicId),
}

/// Records for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecords {
    pub topic: TopicRef,
    pub partition: PartitionIndex,
    /// Range in the frame; `None` when the request has null.
    pub records: Option<Range<usize>>,
}

/// A request as ranges of its frame. Made to be parsed into again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceRequest {
    pub transactional_id: Option<Range<usize>>,
    pub acks: i16,
    pub timeout_ms: i32,
    /// In the request's order; the partitions of one topic entry stand together.
    pub partitions: Vec<PartitionRecords>,
}

impl ProduceRequest {
    /// Runs of partitions that share their topic entry: the topics of the response.
    pub fn topics(&self) -> impl Iterator<Item = &[PartitionRecords]> {
        self.partitions.chunk_by(|left, right| left.topic == right.topic)
    }

    /// Makes the request outlive its frame: topic names move to the returned buffer, which takes the frame's
    /// place in [`write_response`]; the ranges of records and of the transactional id are dropped.
    pub fn detach(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut names: Vec<u8> = Vec::new();
        let mut last: Option<(Range<usize>, Range<usize>)> = None;
        self.transactional_id = None;
        for partition in &mut self.partitions {
            partition.records = None;
            let TopicRef::Name(range) = &mut partition.topic else { continue };
            let moved = match &last {
                Some((from, to)) if from == range => to.clone(),
                _ => {
                    let start = names.len();
                    names.extend_from_slice(&frame[range.clone()]);
                    start..names.len()
                }
            };
            last = Some((std::mem::replace(range, moved.clone()), moved));
        }
        names
    }
}

/// Reads the body of a version since 3 that begins at `body_offset` of `frame`; all ranges are positions in `frame`.
/// Bytes after the body are ignored, as Kafka does.
pub fn parse(
    version: i16,
    frame: &[u8],
    body_offset: usize,
    into: &mut ProduceRequest,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(frame, body_offset, version >= FLEXIBLE_SINCE);
    into.transactional_id = reader.nullable_string()?;
    parse_topics(version, &mut reader, into)
}

/// As [`parse`], for the versions 0 to 2, which differ in the response only.
pub fn parse_before_batches(
    version: i16,
    frame: &[u8],
    body_offset: usize,
    into: &mut ProduceRequest,
) -> Result<(), Malformed> {
    into.transactional_id = None;
    parse_topics(version, &mut Reader::new(frame, body_offset, false), into)
}

/// All of a request that every version has.
#[inline(always)]
fn parse_topics(version: i16, reader: &mut Reader<'_>, into: &mut ProduceRequest) -> Result<(), Malformed> {
    let flexible = version >= FLEXIBLE_SINCE;
    let by_id = version >= TOPIC_ID_SINCE;
    into.partitions.clear();
    into.acks = reader.i16()?;
    into.timeout_ms = reader.i32()?;
    let (least_topic, least_partition) = match (flexible, by_id) {
        (false, _) => (6, 8),
        (true, false) => (3, 6),
        (true, true) => (18, 6),
    };
    for _ in 0..reader.array_count(least_topic)? {
        let topic =
            if by_id { TopicRef::Id(TopicId(reader.uuid()?)) } else { TopicRef::Name(reader.string()?) };
        for _ in 0..reader.array_count(least_partition)? {
            let partition = PartitionIndex(reader.i32()?);
            let records = reader.nullable_bytes()?;
            reader.skip_tagged_fields()?;
            into.partitions.push(PartitionRecords { topic: topic.clone(), partition, records });
        }
        reader.skip_tagged_fields()?;
    }
    reader.skip_tagged_fields()
}

/// One record that made the broker drop its batch (KIP-467).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFailure {
    /// Position of the record in its batch, from 0.
    pub batch_index: i32,
    pub message: Option<String>,
}

/// Who leads the partition, for a client that asked the wrong broker (KIP-951). `-1` is "unknown".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentLeader {
    pub leader_id: BrokerId,
    pub leader_epoch: LeaderEpoch,
}

/// Address of a broker that a response names as a leader (KIP-951).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEndpoint {
    pub node_id: BrokerId,
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
}

/// What became of one partition's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionAnswer {
    pub error: ErrorCode,
    pub base_offset: Offset,
    /// `-1` unless the topic has LogAppendTime. Left out below version 2.
    pub log_append_time: Timestamp,
    /// Left out below version 5.
    pub log_start_offset: Offset,
    /// Left out below version 8, as `error_message`.
    pub record_errors: Vec<RecordFailure>,
    pub error_message: Option<String>,
    /// Left out below version 10.
    pub current_leader: Option<CurrentLeader>,
}

impl PartitionAnswer {
    /// A refusal without more to say.
    pub fn refused(error: ErrorCode) -> PartitionAnswer {
        PartitionAnswer {
            error,
            base_offset: Offset::NONE,
            log_append_time: Timestamp::NONE,
            log_start_offset: Offset::NONE,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: None,
        }
    }
}

/// Writes the response body of any version. `answers` stand in the order of `request.partitions`; `names` is the frame that
/// the request was parsed from, or what [`ProduceRequest::detach`] returned. `node_endpoints` is left out
/// below version 10.
pub fn write_response(
    version: i16,
    out: &mut BytesMut,
    names: &[u8],
    request: &ProduceRequest,
    answers: &[PartitionAnswer],
    throttle_time_ms: i32,
    node_endpoints: &[NodeEndpoint],
) {
    assert_eq!(request.partitions.len(), answers.len(), "every partition of the request has an answer");
    let flexible = version >= FLEXIBLE_SINCE;
    wire::put_count(out, flexible, request.topics().count());
    let mut first = 0;
    for partitions in request.topics() {
        match &partitions[0].topic {
            TopicRef::Name(range) => {
                wire::put_string(out, flexible, Some(wire::text(names, range.clone())));
            }
            TopicRef::Id(id) => out.put_slice(id.0.as_bytes()),
        }
        wire::put_count(out, flexible, partitions.len());
        for (partition, answer) in partitions.iter().zip(&answers[first..]) {
            put_partition(version, out, partition.partition, answer);
        }
        first += partitions.len();
        if flexible {
            out.put_u8(0);
        }
    }
    if flexible {
        out.put_i32(throttle_time_ms);
        let endpoints = if version >= 10 { node_endpoints } else { &[] };
        put_node_endpoints_tag(out, endpoints);
    } else if version >= 1 {
        out.put_i32(throttle_time_ms);
    }
}

fn put_partition(version: i16, out: &mut BytesMut, partition: PartitionIndex, answer: &PartitionAnswer) {
    let flexible = version >= FLEXIBLE_SINCE;
    out.put_i32(partition.0);
    out.put_i16(answer.error.code());
    out.put_i64(answer.base_offset.0);
    if version >= 5 {
        out.put_i64(answer.log_append_time.0);
        out.put_i64(answer.log_start_offset.0);
    } else if version >= 2 {
        out.put_i64(answer.log_append_time.0);
    }
    if version >= 8 {
        wire::put_count(out, flexible, answer.record_errors.len());
        for failure in &answer.record_errors {
            out.put_i32(failure.batch_index);
            wire::put_string(out, flexible, failure.message.as_deref());
            if flexible {
                out.put_u8(0);
            }
        }
        wire::put_string(out, flexible, answer.error_message.as_deref());
    }
    if flexible {
        match answer.current_leader {
            Some(leader) if version >= 10 => {
                out.put_u8(1);
                put_current_leader_tag(out, 0, leader);
            }
            _ => out.put_u8(0),
        }
    }
}

/// The tagged field that names a partition's leader; Fetch has the same structure under another tag.
pub(super) fn put_current_leader_tag(out: &mut BytesMut, tag: u8, leader: CurrentLeader) {
    out.put_slice(&[tag, 9]);
    out.put_i32(leader.leader_id.0);
    out.put_i32(leader.leader_epoch.0);
    out.put_u8(0);
}

/// The tagged fields that end a response: the brokers' addresses under tag 0, or nothing.
pub(super) fn put_node_endpoints_tag(out: &mut BytesMut, endpoints: &[NodeEndpoint]) {
    if endpoints.is_empty() {
        // A default value is omitted: librdkafka below 2.2 miscounts one that is sent.
        out.put_u8(0);
        return;
    }
    let mut value = Vec::new();
    wire::put_count(&mut value, true, endpoints.len());
    for endpoint in endpoints {
        value.put_i32(endpoint.node_id.0);
        wire::put_string(&mut value, true, Some(&endpoint.host));
        value.put_i32(endpoint.port);
        wire::put_string(&mut value, true, endpoint.rack.as_deref());
        value.put_u8(0);
    }
    out.put_slice(&[1, 0]);
    wire::put_unsigned_varint(out, value.len() as u32);
    out.put_slice(&value);
}

#[cfg(test)]
mod tests;
