//! The records of `__consumer_offsets`, in Kafka's schemas, so that stock tools print them
//! (`OffsetCommitKey/Value`, `GroupMetadataKey/Value`; [`consumer`] has those of KIP-848). A key begins with its version,
//! which names the type.
//!
//! All versions that Kafka reads are read; written are those that Kafka 4.4 writes. Bytes of the log are parsed with
//! suspicion, and keys are laid out so that the offsets of a group, and of a topic in it, stand together in the view.
//! Kafka: `GroupCoordinatorRecordSerde`, `GroupCoordinatorRecordHelpers`. KIP-915: flexible versions, unknown tags.

pub mod consumer;

use std::sync::Arc;

use bytes::{BufMut, Bytes};

use self::consumer::ConsumerRecord;
use crate::coordinator::shard::{KeyValue, MalformedRecord};
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};
use crate::protocol::wire::{self, Malformed, Reader};

/// Key versions. Kafka gives each record type one.
const LEGACY_OFFSET_KEY: i16 = 0;
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;

/// Least bytes of a member in any version of a group's value.
const MEMBER_LEAST_SIZE: usize = 15;

/// One record; `None` for a value is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Offset(OffsetKey, Option<OffsetValue>),
    Group(Arc<str>, Option<GroupValue>),
    Consumer(Arc<str>, ConsumerRecord),
}

/// Key version 1 (0 is read as well).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OffsetKey {
    pub group: Arc<str>,
    pub topic: Arc<str>,
    pub partition: PartitionIndex,
}

/// Written as version 4, or as version 1 with an expiry; versions 0-4 are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetValue {
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: String,
    pub commit_timestamp: Timestamp,
    /// Set by old clients' retention time only; -1 else. Such a value has no leader epoch and no topic id in the log.
    pub expire_timestamp: Timestamp,
    /// Nil when unknown.
    pub topic_id: TopicId,
}

/// State of a classic group after a rebalance. Key version 2, value version 3 (0-4 are read).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupValue {
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    pub current_state_timestamp: Timestamp,
    pub members: Vec<MemberValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberValue {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// The record as Kafka 4.4 writes it. A string beyond 32,767 bytes, which no request can carry, is cut.
pub fn encode(record: &Record) -> KeyValue {
    match record {
        Record::Offset(key, value) => KeyValue {
            key: offset_key(&key.group, &key.topic, key.partition),
            value: value.as_ref().map(encode_offset),
        },
        Record::Group(group, value) => {
            KeyValue { key: group_key(group), value: value.as_ref().map(encode_group) }
        }
        Record::Consumer(group, record) => consumer::encode(group, record),
    }
}

/// `None` for a key of a type that is not known here.
pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, MalformedRecord> {
    let mut reader = Reader::new(key, 0, false);
    let version = reader.i16().map_err(in_key)?;
    match version {
        LEGACY_OFFSET_KEY | OFFSET_KEY => {
            let key = read_offset_key(&mut reader).map_err(in_key)?;
            Ok(Some(Record::Offset(key, value.map(decode_offset).transpose()?)))
        }
        GROUP_KEY => {
            let group = reader.owned_string().map_err(in_key)?.into();
            Ok(Some(Record::Group(group, value.map(decode_group).transpose()?)))
        }
        other => consumer::decode(other, &mut reader, value),
    }
}

/// The key of one committed offset.
pub fn offset_key(group: &str, topic: &str, partition: PartitionIndex) -> Vec<u8> {
    let mut key = Vec::with_capacity(10 + group.len() + topic.len());
    put_topic_prefix(&mut key, group, topic);
    key.put_i32(partition.0);
    key
}

/// The key of a classic group.
pub fn group_key(group: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(4 + group.len());
    key.put_i16(GROUP_KEY);
    wire::put_string(&mut key, false, Some(group));
    key
}

/// What the keys of all offsets begin with.
pub fn offsets_prefix() -> [u8; 2] {
    OFFSET_KEY.to_be_bytes()
}

/// What the keys of all groups begin with: of classic ones, then of all that consumer groups are made of.
pub fn groups_prefixes() -> impl Iterator<Item = [u8; 2]> {
    std::iter::once(GROUP_KEY).chain(consumer::KEY_TYPES).map(i16::to_be_bytes)
}

/// What the keys of all offsets of `group` begin with, and no others.
pub fn group_offsets_prefix(group: &str) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(4 + group.len());
    prefix.put_i16(OFFSET_KEY);
    wire::put_string(&mut prefix, false, Some(group));
    prefix
}

/// What the keys of all offsets of `group` in `topic` begin with, and no others.
pub fn topic_offsets_prefix(group: &str, topic: &str) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(6 + group.len() + topic.len());
    put_topic_prefix(&mut prefix, group, topic);
    prefix
}

/// The first key, in the order of bytes, behind all that begin with `prefix`.
pub fn behind_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut behind = prefix.to_vec();
    while let Some(last) = behind.pop() {
        if last < u8::MAX {
            behind.push(last + 1);
            break;
        }
    }
    behind
}

/// The group that a record belongs to, by its key; `None` for a type that is not known here.
pub fn group_of_key(key: &[u8]) -> Option<&str> {
    let mut reader = Reader::new(key, 0, false);
    let key_type = reader.i16().ok()?;
    let is_known = matches!(key_type, LEGACY_OFFSET_KEY | OFFSET_KEY | GROUP_KEY)
        || consumer::KEY_TYPES.contains(&key_type);
    reader.string().ok().filter(|_| is_known).map(|range| wire::text(key, range))
}

/// Parts of an offset's key: group, topic, partition.
pub fn parts_of_offset_key(key: &[u8]) -> Result<(&str, &str, PartitionIndex), MalformedRecord> {
    let mut reader = Reader::new(key, 2, false);
    let mut parts = || -> Result<_, Malformed> { Ok((reader.string()?, reader.string()?, reader.i32()?)) };
    let (group, topic, partition) = parts().map_err(in_key)?;
    Ok((wire::text(key, group), wire::text(key, topic), PartitionIndex(partition)))
}

fn put_topic_prefix(out: &mut Vec<u8>, group: &str, topic: &str) {
    out.put_i16(OFFSET_KEY);
    wire::put_string(out, false, Some(group));
    wire::put_string(out, false, Some(topic));
}

fn read_offset_key(reader: &mut Reader<'_>) -> Result<OffsetKey, Malformed> {
    Ok(OffsetKey {
        group: reader.owned_string()?.into(),
        topic: reader.owned_string()?.into(),
        partition: PartitionIndex(reader.i32()?),
    })
}

fn offset_size(value: &OffsetValue) -> usize {
    let metadata_size = value.metadata.len();
    if value.expire_timestamp != Timestamp::NONE {
        return 28 + metadata_size;
    }
    let topic_id_size = if value.topic_id == TopicId::ZERO { 0 } else { 18 };
    23 + wire::unsigned_varint_size(metadata_size as u32 + 1) + metadata_size + topic_id_size
}

fn encode_offset(value: &OffsetValue) -> Vec<u8> {
    // To the byte: the value stays in memory until the view is written to.
    let mut out = Vec::with_capacity(offset_size(value));
    if value.expire_timestamp != Timestamp::NONE {
        // Only version 1 has an expiry.
        out.put_i16(1);
        out.put_i64(value.offset.0);
        wire::put_string(&mut out, false, Some(&value.metadata));
        out.put_i64(value.commit_timestamp.0);
        out.put_i64(value.expire_timestamp.0);
        return out;
    }
    out.put_i16(4);
    out.put_i64(value.offset.0);
    out.put_i32(value.leader_epoch.0);
    wire::put_string(&mut out, true, Some(&value.metadata));
    out.put_i64(value.commit_timestamp.0);
    if value.topic_id == TopicId::ZERO {
        wire::put_unsigned_varint(&mut out, 0);
    } else {
        for number in [1, 0, 16] {
            // One tagged field, its tag, its size.
            wire::put_unsigned_varint(&mut out, number);
        }
        out.put_slice(value.topic_id.0.as_bytes());
    }
    out
}

/// The value of an offset's record.
pub fn decode_offset(value: &[u8]) -> Result<OffsetValue, MalformedRecord> {
    let version = version_of(value, 4, "an offset")?;
    read_offset(value, version).map_err(|cause| MalformedRecord(format!("value of an offset: {cause}")))
}

fn read_offset(value: &[u8], version: i16) -> Result<OffsetValue, Malformed> {
    let mut reader = Reader::new(value, 2, version >= 4);
    let offset = Offset(reader.i64()?);
    let leader_epoch = if version >= 3 { LeaderEpoch(reader.i32()?) } else { LeaderEpoch::NONE };
    let metadata = reader.owned_string()?;
    let commit_timestamp = Timestamp(reader.i64()?);
    let expire_timestamp = if version == 1 { Timestamp(reader.i64()?) } else { Timestamp::NONE };
    let mut topic_id = TopicId::ZERO;
    reader.tagged_fields(|reader, tag| {
        if tag == 0 {
            topic_id = TopicId(reader.uuid()?);
        }
        Ok(tag == 0)
    })?;
    Ok(OffsetValue { offset, leader_epoch, metadata, commit_timestamp, expire_timestamp, topic_id })
}

fn encode_group(value: &GroupValue) -> Vec<u8> {
    let payload_size: usize =
        value.members.iter().map(|member| member.subscription.len() + member.assignment.len() + 128).sum();
    let mut out = Vec::with_capacity(64 + payload_size);
    out.put_i16(3);
    wire::put_string(&mut out, false, Some(&value.protocol_type));
    out.put_i32(value.generation);
    wire::put_string(&mut out, false, value.protocol.as_deref());
    wire::put_string(&mut out, false, value.leader.as_deref());
    out.put_i64(value.current_state_timestamp.0);
    wire::put_count(&mut out, false, value.members.len());
    for member in &value.members {
        wire::put_string(&mut out, false, Some(&member.member_id));
        wire::put_string(&mut out, false, member.group_instance_id.as_deref());
        wire::put_string(&mut out, false, Some(&member.client_id));
        wire::put_string(&mut out, false, Some(&member.client_host));
        out.put_i32(member.rebalance_timeout_ms);
        out.put_i32(member.session_timeout_ms);
        for bytes in [&member.subscription, &member.assignment] {
            wire::put_count(&mut out, false, bytes.len());
            out.put_slice(bytes);
        }
    }
    out
}

fn decode_group(value: &[u8]) -> Result<GroupValue, MalformedRecord> {
    let version = version_of(value, 4, "a group")?;
    read_group(value, version).map_err(|cause| MalformedRecord(format!("value of a group: {cause}")))
}

fn read_group(value: &[u8], version: i16) -> Result<GroupValue, Malformed> {
    let mut reader = Reader::new(value, 2, version >= 4);
    let protocol_type = reader.owned_string()?;
    let generation = reader.i32()?;
    let protocol = reader.nullable_string()?.map(|range| wire::text(value, range).to_owned());
    let leader = reader.nullable_string()?.map(|range| wire::text(value, range).to_owned());
    let current_state_timestamp = if version >= 2 { Timestamp(reader.i64()?) } else { Timestamp::NONE };
    let member_count = reader.array_count(MEMBER_LEAST_SIZE)?;
    let mut members = Vec::with_capacity(member_count);
    for _ in 0..member_count {
        members.push(read_member(&mut reader, value, version)?);
    }
    reader.skip_tagged_fields()?;
    Ok(GroupValue { protocol_type, generation, protocol, leader, current_state_timestamp, members })
}

fn read_member(reader: &mut Reader<'_>, value: &[u8], version: i16) -> Result<MemberValue, Malformed> {
    let member_id = reader.owned_string()?;
    let group_instance_id = if version >= 3 { reader.nullable_string()? } else { None };
    let client_id = reader.owned_string()?;
    let client_host = reader.owned_string()?;
    let rebalance_timeout_ms = if version >= 1 { Some(reader.i32()?) } else { None };
    let session_timeout_ms = reader.i32()?;
    let mut bytes = || -> Result<Bytes, Malformed> {
        let range = reader.nullable_bytes()?.ok_or(Malformed("bytes that must not be null are null"))?;
        Ok(Bytes::copy_from_slice(&value[range]))
    };
    let (subscription, assignment) = (bytes()?, bytes()?);
    reader.skip_tagged_fields()?;
    Ok(MemberValue {
        member_id,
        group_instance_id: group_instance_id.map(|range| wire::text(value, range).to_owned()),
        client_id,
        client_host,
        // Kafka: a group of version 0 rebalances within its session timeout.
        rebalance_timeout_ms: match rebalance_timeout_ms {
            Some(timeout_ms) if timeout_ms != -1 => timeout_ms,
            Some(_) | None => session_timeout_ms,
        },
        session_timeout_ms,
        subscription,
        assignment,
    })
}

fn version_of(value: &[u8], newest: i16, what: &str) -> Result<i16, MalformedRecord> {
    let version = Reader::new(value, 0, false).i16();
    match version {
        Ok(version) if (0..=newest).contains(&version) => Ok(version),
        Ok(version) => Err(MalformedRecord(format!("value of {what} has the unknown version {version}"))),
        Err(cause) => Err(MalformedRecord(format!("value of {what}: {cause}"))),
    }
}

fn in_key(cause: Malformed) -> MalformedRecord {
    MalformedRecord(format!("key of a coordinator record: {cause}"))
}

#[cfg(test)]
mod tests;
