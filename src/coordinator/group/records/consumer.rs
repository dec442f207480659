//! Records of consumer groups (KIP-848) in Kafka's schemas: key types 3 to 8 and 16, each with one version of its value.
//!
//! `ConsumerGroupMetadata`, `ConsumerGroupPartitionMetadata`, `ConsumerGroupMemberMetadata`,
//! `ConsumerGroupTargetAssignmentMetadata`, `ConsumerGroupTargetAssignmentMember`,
//! `ConsumerGroupCurrentMemberAssignment`, `ConsumerGroupRegularExpression`. KIP-1101 put a hash of the topics in the place
//! of the second of them, which is read and deleted, and never written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{BufMut, Bytes};

use super::{Record, version_of};
use crate::coordinator::group::classic::member::Protocol;
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::coordinator::shard::{KeyValue, MalformedRecord};
use crate::protocol::ids::{PartitionIndex, Timestamp, TopicId};
use crate::protocol::wire::{self, Malformed, Reader};

const EPOCH_KEY: i16 = 3;
const PARTITION_METADATA_KEY: i16 = 4;
const MEMBER_KEY: i16 = 5;
const TARGET_EPOCH_KEY: i16 = 6;
const TARGET_KEY: i16 = 7;
const CURRENT_KEY: i16 = 8;
const REGEX_KEY: i16 = 16;

/// All key types of consumer groups.
pub const KEY_TYPES: [i16; 7] =
    [EPOCH_KEY, PARTITION_METADATA_KEY, MEMBER_KEY, TARGET_EPOCH_KEY, TARGET_KEY, CURRENT_KEY, REGEX_KEY];

/// Something of a group; `None` for a value is a tombstone. What has a name in front of its value is of a member, or of
/// a regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerRecord {
    /// Key type 3. Its tombstone is the end of the group.
    Epoch(Option<GroupEpoch>),
    /// Key type 4, of releases before 4.1: its value, unread.
    PartitionMetadata(Option<Bytes>),
    /// Key type 5. Its tombstone is the end of the member.
    Member(Arc<str>, Option<Arc<MemberMetadata>>),
    /// Key type 6.
    TargetEpoch(Option<TargetEpoch>),
    /// Key type 7.
    Target(Arc<str>, Option<Arc<Assignment>>),
    /// Key type 8.
    Current(Arc<str>, Option<Arc<CurrentAssignment>>),
    /// Key type 16.
    Regex(Arc<str>, Option<Arc<ResolvedRegex>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupEpoch {
    pub epoch: i32,
    /// Of the topics that the members read (KIP-1101); 0 when there are none, and in records before 4.1.
    pub metadata_hash: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetEpoch {
    /// The group epoch that the target assignment is made for.
    pub epoch: i32,
    /// When it was made (KIP-1263); 0 when unknown, and for a group without members.
    pub timestamp: Timestamp,
}

/// What a member has told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    /// As Java prints an address without a name: `/127.0.0.1`.
    pub client_host: Arc<str>,
    pub subscribed_topics: BTreeSet<Arc<str>>,
    /// Empty when it was given up.
    pub subscribed_regex: Option<Arc<str>>,
    /// -1 when the member has not said.
    pub rebalance_timeout_ms: i32,
    pub server_assignor: Option<Arc<str>>,
    /// Of a member that uses the classic protocol in a consumer group.
    pub classic: Option<ClassicMetadata>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMetadata {
    pub session_timeout_ms: i32,
    pub protocols: Arc<[Protocol]>,
}

/// Partitions by topic, each with the member epoch at which it was assigned (KIP-1251). No topic is empty.
pub type OwnedPartitions = BTreeMap<TopicId, BTreeMap<PartitionIndex, i32>>;

/// Where a member stands between its last assignment and its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    Stable,
    /// It is to give partitions up before it goes on.
    UnrevokedPartitions,
    /// It waits for partitions that others have not given up.
    UnreleasedPartitions,
    /// Written by a later release.
    Unknown,
}

/// What a member has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentAssignment {
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    pub state: MemberState,
    pub assigned: OwnedPartitions,
    pub pending_revocation: OwnedPartitions,
}

/// The topics that a regular expression came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRegex {
    pub topics: BTreeSet<Arc<str>>,
    /// Of the metadata that it was resolved against.
    pub version: i64,
    pub timestamp: Timestamp,
}

impl ConsumerRecord {
    pub fn is_tombstone(&self) -> bool {
        match self {
            ConsumerRecord::Epoch(value) => value.is_none(),
            ConsumerRecord::PartitionMetadata(value) => value.is_none(),
            ConsumerRecord::Member(_, value) => value.is_none(),
            ConsumerRecord::TargetEpoch(value) => value.is_none(),
            ConsumerRecord::Target(_, value) => value.is_none(),
            ConsumerRecord::Current(_, value) => value.is_none(),
            ConsumerRecord::Regex(_, value) => value.is_none(),
        }
    }
}

impl MemberMetadata {
    /// The regular expression that the member reads by, if it does.
    pub fn regex(&self) -> Option<&Arc<str>> {
        self.subscribed_regex.as_ref().filter(|regex| !regex.is_empty())
    }
}

impl MemberState {
    fn code(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
            MemberState::Unknown => 127,
        }
    }

    fn from_code(code: i8) -> MemberState {
        match code {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}

/// The record as Kafka 4.4 writes it.
pub fn encode(group: &str, record: &ConsumerRecord) -> KeyValue {
    let of_group = |key_type| key(key_type, group, None);
    let of_name = |key_type, name: &Arc<str>| key(key_type, group, Some(name));
    match record {
        ConsumerRecord::Epoch(value) => {
            KeyValue { key: of_group(EPOCH_KEY), value: value.map(|value| encode_epoch(&value)) }
        }
        ConsumerRecord::PartitionMetadata(value) => KeyValue {
            key: of_group(PARTITION_METADATA_KEY),
            value: value.as_ref().map(|value| value.to_vec()),
        },
        ConsumerRecord::Member(member, value) => {
            KeyValue { key: of_name(MEMBER_KEY, member), value: value.as_deref().map(encode_member) }
        }
        ConsumerRecord::TargetEpoch(value) => KeyValue {
            key: of_group(TARGET_EPOCH_KEY),
            value: value.map(|value| encode_target_epoch(&value)),
        },
        ConsumerRecord::Target(member, value) => {
            KeyValue { key: of_name(TARGET_KEY, member), value: value.as_deref().map(encode_target) }
        }
        ConsumerRecord::Current(member, value) => {
            KeyValue { key: of_name(CURRENT_KEY, member), value: value.as_deref().map(encode_current) }
        }
        ConsumerRecord::Regex(regex, value) => {
            KeyValue { key: of_name(REGEX_KEY, regex), value: value.as_deref().map(encode_regex) }
        }
    }
}

/// What follows the type in a key, and the value of it; `None` for a type that is none of these.
pub fn decode(
    key_type: i16,
    key: &mut Reader<'_>,
    value: Option<&[u8]>,
) -> Result<Option<Record>, MalformedRecord> {
    if !KEY_TYPES.contains(&key_type) {
        return Ok(None);
    }
    let group: Arc<str> = key.owned_string().map_err(super::in_key)?.into();
    let mut name = || key.owned_string().map(Arc::<str>::from).map_err(super::in_key);
    let record = match key_type {
        EPOCH_KEY => ConsumerRecord::Epoch(read(value, "a consumer group", read_epoch)?),
        PARTITION_METADATA_KEY => ConsumerRecord::PartitionMetadata(value.map(Bytes::copy_from_slice)),
        MEMBER_KEY => ConsumerRecord::Member(name()?, read(value, "a member", read_member)?.map(Arc::new)),
        TARGET_EPOCH_KEY => ConsumerRecord::TargetEpoch(read(value, "a target epoch", read_target_epoch)?),
        TARGET_KEY => ConsumerRecord::Target(name()?, read(value, "a target", read_target)?.map(Arc::new)),
        CURRENT_KEY => {
            ConsumerRecord::Current(name()?, read(value, "an assignment", read_current)?.map(Arc::new))
        }
        REGEX_KEY => ConsumerRecord::Regex(name()?, read(value, "a regex", read_regex)?.map(Arc::new)),
        _ => return Ok(None),
    };
    Ok(Some(Record::Consumer(group, record)))
}

fn key(key_type: i16, group: &str, name: Option<&str>) -> Vec<u8> {
    let mut key = Vec::with_capacity(6 + group.len() + name.map_or(0, str::len));
    key.put_i16(key_type);
    wire::put_string(&mut key, false, Some(group));
    if name.is_some() {
        wire::put_string(&mut key, false, name);
    }
    key
}

/// Reads a value of version 0, the only one there is.
fn read<T>(
    value: Option<&[u8]>,
    what: &str,
    fields: impl FnOnce(&mut Reader<'_>, &[u8]) -> Result<T, Malformed>,
) -> Result<Option<T>, MalformedRecord> {
    let Some(value) = value else { return Ok(None) };
    version_of(value, 0, what)?;
    let mut reader = Reader::new(value, 2, true);
    let read =
        fields(&mut reader, value).map_err(|cause| MalformedRecord(format!("value of {what}: {cause}")))?;
    Ok(Some(read))
}

/// A value of version 0 with nothing in it yet.
fn begin(capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + capacity);
    out.put_i16(0);
    out
}

fn end(out: &mut Vec<u8>) {
    wire::put_unsigned_varint(out, 0);
}

/// Ends a struct with a single tagged field, of tag 0.
fn end_with_tag(out: &mut Vec<u8>, field: &[u8]) {
    wire::put_unsigned_varint(out, 1);
    wire::put_unsigned_varint(out, 0);
    wire::put_unsigned_varint(out, u32::try_from(field.len()).expect("a record is smaller than 4 GiB"));
    out.put_slice(field);
}

fn encode_epoch(value: &GroupEpoch) -> Vec<u8> {
    let mut out = begin(16);
    out.put_i32(value.epoch);
    match value.metadata_hash {
        0 => end(&mut out),
        hash => end_with_tag(&mut out, &hash.to_be_bytes()),
    }
    out
}

fn read_epoch(reader: &mut Reader<'_>, _: &[u8]) -> Result<GroupEpoch, Malformed> {
    let epoch = reader.i32()?;
    let metadata_hash = tagged_i64(reader)?;
    Ok(GroupEpoch { epoch, metadata_hash })
}

fn encode_target_epoch(value: &TargetEpoch) -> Vec<u8> {
    let mut out = begin(16);
    out.put_i32(value.epoch);
    match value.timestamp.0 {
        0 => end(&mut out),
        timestamp => end_with_tag(&mut out, &timestamp.to_be_bytes()),
    }
    out
}

fn read_target_epoch(reader: &mut Reader<'_>, _: &[u8]) -> Result<TargetEpoch, Malformed> {
    let epoch = reader.i32()?;
    let timestamp = Timestamp(tagged_i64(reader)?);
    Ok(TargetEpoch { epoch, timestamp })
}

/// The tagged fields of a struct whose only one, of tag 0, is a number; 0 when it is not there.
fn tagged_i64(reader: &mut Reader<'_>) -> Result<i64, Malformed> {
    let mut number = 0;
    reader.tagged_fields(|reader, tag| {
        if tag == 0 {
            number = reader.i64()?;
        }
        Ok(tag == 0)
    })?;
    Ok(number)
}

fn encode_member(value: &MemberMetadata) -> Vec<u8> {
    let names: usize = value.subscribed_topics.iter().map(|name| name.len() + 3).sum();
    let mut out = begin(64 + names);
    let optional = |text: &Option<Arc<str>>, out: &mut Vec<u8>| wire::put_string(out, true, text.as_deref());
    optional(&value.instance_id, &mut out);
    optional(&value.rack_id, &mut out);
    wire::put_string(&mut out, true, Some(&value.client_id));
    wire::put_string(&mut out, true, Some(&value.client_host));
    put_names(&mut out, &value.subscribed_topics);
    optional(&value.subscribed_regex, &mut out);
    out.put_i32(value.rebalance_timeout_ms);
    optional(&value.server_assignor, &mut out);
    match &value.classic {
        None => end(&mut out),
        Some(classic) => end_with_tag(&mut out, &encode_classic(classic)),
    }
    out
}

fn read_member(reader: &mut Reader<'_>, value: &[u8]) -> Result<MemberMetadata, Malformed> {
    let optional = |reader: &mut Reader<'_>| -> Result<Option<Arc<str>>, Malformed> {
        Ok(reader.nullable_string()?.map(|range| Arc::from(wire::text(value, range))))
    };
    let mut member = MemberMetadata {
        instance_id: optional(reader)?,
        rack_id: optional(reader)?,
        client_id: reader.owned_string()?.into(),
        client_host: reader.owned_string()?.into(),
        subscribed_topics: read_names(reader)?,
        subscribed_regex: optional(reader)?,
        rebalance_timeout_ms: reader.i32()?,
        server_assignor: optional(reader)?,
        classic: None,
    };
    reader.tagged_fields(|reader, tag| {
        // A struct that may be null begins with its presence.
        if tag == 0 && reader.i8()? >= 0 {
            member.classic = Some(read_classic(reader, value)?);
        }
        Ok(tag == 0)
    })?;
    Ok(member)
}

fn encode_classic(value: &ClassicMetadata) -> Vec<u8> {
    let mut out = vec![1];
    out.put_i32(value.session_timeout_ms);
    wire::put_count(&mut out, true, value.protocols.len());
    for protocol in value.protocols.iter() {
        wire::put_string(&mut out, true, Some(&protocol.name));
        wire::put_count(&mut out, true, protocol.metadata.len());
        out.put_slice(&protocol.metadata);
        end(&mut out);
    }
    end(&mut out);
    out
}

fn read_classic(reader: &mut Reader<'_>, value: &[u8]) -> Result<ClassicMetadata, Malformed> {
    let session_timeout_ms = reader.i32()?;
    let count = reader.array_count(3)?;
    let mut protocols = Vec::with_capacity(count);
    for _ in 0..count {
        let name = Arc::from(reader.owned_string()?);
        let metadata = reader.nullable_bytes()?.ok_or(Malformed("bytes that must not be null are null"))?;
        reader.skip_tagged_fields()?;
        protocols.push(Protocol { name, metadata: Bytes::copy_from_slice(&value[metadata]) });
    }
    reader.skip_tagged_fields()?;
    Ok(ClassicMetadata { session_timeout_ms, protocols: protocols.into() })
}

fn encode_target(value: &Assignment) -> Vec<u8> {
    let partitions: usize = value.values().map(BTreeSet::len).sum();
    let mut out = begin(8 + value.len() * 24 + partitions * 4);
    wire::put_count(&mut out, true, value.len());
    for (topic, partitions) in value {
        out.put_slice(topic.0.as_bytes());
        wire::put_count(&mut out, true, partitions.len());
        partitions.iter().for_each(|partition| out.put_i32(partition.0));
        end(&mut out);
    }
    end(&mut out);
    out
}

fn read_target(reader: &mut Reader<'_>, _: &[u8]) -> Result<Assignment, Malformed> {
    let mut assignment = Assignment::new();
    for _ in 0..reader.array_count(18)? {
        let topic = TopicId(reader.uuid()?);
        let partitions = read_partitions(reader)?;
        reader.skip_tagged_fields()?;
        if !partitions.is_empty() {
            assignment.entry(topic).or_default().extend(partitions);
        }
    }
    reader.skip_tagged_fields()?;
    Ok(assignment)
}

fn read_partitions(reader: &mut Reader<'_>) -> Result<Vec<PartitionIndex>, Malformed> {
    let count = reader.array_count(4)?;
    (0..count).map(|_| reader.i32().map(PartitionIndex)).collect()
}

fn encode_current(value: &CurrentAssignment) -> Vec<u8> {
    let mut out = begin(64);
    out.put_i32(value.member_epoch);
    out.put_i32(value.previous_member_epoch);
    out.put_i8(value.state.code());
    put_owned(&mut out, &value.assigned);
    put_owned(&mut out, &value.pending_revocation);
    end(&mut out);
    out
}

fn put_owned(out: &mut Vec<u8>, owned: &OwnedPartitions) {
    wire::put_count(out, true, owned.len());
    for (topic, partitions) in owned {
        out.put_slice(topic.0.as_bytes());
        wire::put_count(out, true, partitions.len());
        partitions.keys().for_each(|partition| out.put_i32(partition.0));
        let mut epochs = Vec::with_capacity(3 + partitions.len() * 4);
        wire::put_count(&mut epochs, true, partitions.len());
        partitions.values().for_each(|epoch| epochs.put_i32(*epoch));
        end_with_tag(out, &epochs);
    }
}

fn read_current(reader: &mut Reader<'_>, _: &[u8]) -> Result<CurrentAssignment, Malformed> {
    let member_epoch = reader.i32()?;
    let assignment = CurrentAssignment {
        member_epoch,
        previous_member_epoch: reader.i32()?,
        state: MemberState::from_code(reader.i8()?),
        assigned: read_owned(reader, member_epoch)?,
        pending_revocation: read_owned(reader, member_epoch)?,
    };
    reader.skip_tagged_fields()?;
    Ok(assignment)
}

/// Records before 4.3 do not have the epochs of single partitions.
fn read_owned(reader: &mut Reader<'_>, member_epoch: i32) -> Result<OwnedPartitions, Malformed> {
    let mut owned = OwnedPartitions::new();
    for _ in 0..reader.array_count(18)? {
        let topic = TopicId(reader.uuid()?);
        let partitions = read_partitions(reader)?;
        let mut epochs = Vec::new();
        reader.tagged_fields(|reader, tag| {
            if tag == 0 {
                let count = reader.nullable_array_count(4)?.unwrap_or(0);
                epochs = (0..count).map(|_| reader.i32()).collect::<Result<_, _>>()?;
            }
            Ok(tag == 0)
        })?;
        let epochs = epochs.into_iter().chain(std::iter::repeat(member_epoch));
        if !partitions.is_empty() {
            owned.entry(topic).or_default().extend(partitions.into_iter().zip(epochs));
        }
    }
    Ok(owned)
}

fn encode_regex(value: &ResolvedRegex) -> Vec<u8> {
    let names: usize = value.topics.iter().map(|name| name.len() + 3).sum();
    let mut out = begin(24 + names);
    put_names(&mut out, &value.topics);
    out.put_i64(value.version);
    out.put_i64(value.timestamp.0);
    end(&mut out);
    out
}

fn read_regex(reader: &mut Reader<'_>, _: &[u8]) -> Result<ResolvedRegex, Malformed> {
    let topics = read_names(reader)?;
    let (version, timestamp) = (reader.i64()?, Timestamp(reader.i64()?));
    reader.skip_tagged_fields()?;
    Ok(ResolvedRegex { topics, version, timestamp })
}

fn put_names(out: &mut Vec<u8>, names: &BTreeSet<Arc<str>>) {
    wire::put_count(out, true, names.len());
    names.iter().for_each(|name| wire::put_string(out, true, Some(name)));
}

fn read_names(reader: &mut Reader<'_>) -> Result<BTreeSet<Arc<str>>, Malformed> {
    let count = reader.array_count(1)?;
    (0..count).map(|_| reader.owned_string().map(Arc::from)).collect()
}

#[cfg(test)]
mod tests;
