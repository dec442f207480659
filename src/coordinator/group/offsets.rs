//! Committed offsets: what may be committed, fetched and deleted, and which records that comes to.
//!
//! Offsets are never held in memory: a decision reads them from the shard's records ([`Stored`]), however many a group
//! has. A group whose members do not use the coordinator (a simple consumer) exists through its offsets alone; the
//! replay of its first makes it. Nothing here looks at the metadata: the handlers have dropped the topics that do not
//! exist. Kafka: `OffsetMetadataManager`. KIP-211 (retention; see [`expiration`](super::expiration)), KIP-496
//! (deletion), KIP-320 (leader epochs), KIP-848 (topic ids in offsets). What transactions commit:
//! [`transactional`](super::transactional).

use std::sync::Arc;

use super::command::{Response, Soft};
use super::records::{self, OffsetKey, OffsetValue, Record};
use super::shard::GroupShard;
use crate::coordinator::shard::{Event, MalformedRecord, Now, Outcome, RequestId, Scan, Stored};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};

/// Tombstones of one decision at most, so that they fit one batch.
const TOMBSTONES_PER_DECISION: usize = 5_000;
/// Offsets that one decision looks at, at most, in search of those to delete.
const VISITS_PER_DECISION: usize = 10_000;
/// From this version of OffsetCommit on an unknown group is called so.
const GROUP_ID_NOT_FOUND_SINCE_VERSION: i16 = 9;

/// An OffsetCommit of partitions that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRequest {
    pub group: Arc<str>,
    /// Empty for a simple consumer.
    pub member_id: String,
    pub group_instance_id: Option<String>,
    /// -1 for a simple consumer.
    pub generation: i32,
    /// Version of the request: newer clients know more errors.
    pub version: i16,
    /// Set by versions 2-4; -1 leaves it to the broker.
    pub retention_time_ms: i64,
    pub topics: Vec<CommitTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTopic {
    pub name: Arc<str>,
    pub id: TopicId,
    pub partitions: Vec<CommitPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPartition {
    pub partition: PartitionIndex,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    /// When the client committed, as version 1 says; `None` is when the coordinator hears of it.
    pub commit_timestamp: Option<Timestamp>,
    pub metadata: String,
}

/// One result for each partition of the request, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitResponse {
    pub results: Vec<ErrorCode>,
}

/// An OffsetDelete of partitions that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsetsRequest {
    pub group: Arc<str>,
    pub topics: Vec<(Arc<str>, Vec<PartitionIndex>)>,
}

/// One result for each partition of the request, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsetsResponse {
    pub results: Vec<ErrorCode>,
}

/// Partitions of one topic whose offsets are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopic {
    pub name: Arc<str>,
    /// Zero when the client does not name the topic by its id.
    pub id: TopicId,
    pub partitions: Vec<PartitionIndex>,
}

/// All offsets of a group in one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOffsets {
    pub name: Arc<str>,
    pub partitions: Vec<(PartitionIndex, OffsetValue)>,
}

/// Commits what fits, and says of each partition whether it did.
///
/// Errors, which concern all partitions: GROUP_ID_NOT_FOUND or ILLEGAL_GENERATION for a group that does not exist, and
/// those of [`Group::validate_offset_commit`](super::groups::Group::validate_offset_commit).
pub fn commit(
    shard: &GroupShard,
    request: CommitRequest,
    id: RequestId,
    now: Now,
) -> Result<Outcome<GroupShard>, ApiError> {
    let mut outcome = Outcome::nothing();
    match shard.groups.get(&request.group) {
        Some(group) => {
            group.validate_offset_commit(&request)?;
            // A commit shows that its member is alive.
            if let Some(event) = group.session_touched(&request.member_id, now) {
                outcome.soft(Soft::Member { group: request.group.clone(), event });
            }
        }
        // The replay of the first record makes a simple group.
        None if request.generation < 0 => {}
        None if request.version >= GROUP_ID_NOT_FOUND_SINCE_VERSION => {
            return Err(group_not_found(&request.group));
        }
        None => return Err(ErrorCode::IllegalGeneration.into()),
    }
    let expire_timestamp = match request.retention_time_ms {
        -1 => Timestamp::NONE,
        retention_time_ms => Timestamp(now.wall.0.saturating_add(retention_time_ms)),
    };
    let limit = (shard.settings)().offset_metadata_max_bytes;
    let (records, results) = records_of(&request.group, request.topics, now.wall, expire_timestamp, limit);
    outcome.events.extend(records.into_iter().map(Event::Durable));
    outcome.replies = vec![(id, Response::Commit(CommitResponse { results }))];
    Ok(outcome)
}

/// The records of a commit, and a result for each partition: its metadata may be too long.
pub(super) fn records_of(
    group: &Arc<str>,
    topics: Vec<CommitTopic>,
    now: Timestamp,
    expire_timestamp: Timestamp,
    metadata_limit: i32,
) -> (Vec<Record>, Vec<ErrorCode>) {
    let count = topics.iter().map(|topic| topic.partitions.len()).sum();
    let (mut records, mut results) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for topic in topics {
        for partition in topic.partitions {
            if is_longer(&partition.metadata, metadata_limit) {
                results.push(ErrorCode::OffsetMetadataTooLarge);
                continue;
            }
            results.push(ErrorCode::None);
            let key =
                OffsetKey { group: group.clone(), topic: topic.name.clone(), partition: partition.partition };
            let value = OffsetValue {
                offset: partition.offset,
                leader_epoch: partition.leader_epoch,
                metadata: partition.metadata,
                commit_timestamp: partition.commit_timestamp.unwrap_or(now),
                expire_timestamp,
                topic_id: topic.id,
            };
            records.push(Record::Offset(key, Some(value)));
        }
    }
    (records, results)
}

/// Deletes the offsets of partitions that the group is not subscribed to, pending ones too. KIP-496.
///
/// Errors: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.
pub fn delete(
    shard: &GroupShard,
    request: DeleteOffsetsRequest,
    id: RequestId,
    stored: &dyn Stored,
) -> Result<Outcome<GroupShard>, ApiError> {
    let group = shard.groups.get(&request.group).ok_or_else(|| group_not_found(&request.group))?;
    group.validate_offset_delete()?;
    let mut outcome = Outcome::nothing();
    let mut results = Vec::new();
    for (topic, partitions) in request.topics {
        let subscribed = group.is_subscribed_to(&topic);
        for partition in partitions {
            if subscribed {
                results.push(ErrorCode::GroupSubscribedToTopic);
                continue;
            }
            results.push(ErrorCode::None);
            let is_pending = shard.pending.contains(&request.group, &topic, partition);
            if is_pending || stored.get(&records::offset_key(&request.group, &topic, partition))?.is_some() {
                outcome.durable(tombstone(&request.group, &topic, partition));
            }
        }
    }
    outcome.replies.push((id, Response::DeleteOffsets(DeleteOffsetsResponse { results })));
    Ok(outcome)
}

/// The offsets of single partitions of a group, in the order of the request; `None` where nothing is committed, or
/// only for a topic of the same name that is gone.
pub fn fetch(
    group: &str,
    topics: &[FetchTopic],
    stored: &dyn Stored,
) -> Result<Vec<Option<OffsetValue>>, ApiError> {
    let mut offsets = Vec::with_capacity(topics.iter().map(|topic| topic.partitions.len()).sum());
    for topic in topics {
        for partition in &topic.partitions {
            let value = stored.get(&records::offset_key(group, &topic.name, *partition))?;
            let value = value.as_deref().map(records::decode_offset).transpose().map_err(unreadable)?;
            offsets.push(value.filter(|value| {
                value.topic_id == topic.id || value.topic_id == TopicId::ZERO || topic.id == TopicId::ZERO
            }));
        }
    }
    Ok(offsets)
}

/// All offsets of a group, by topic.
pub fn fetch_all(group: &str, stored: &dyn Stored) -> Result<Vec<TopicOffsets>, ApiError> {
    let mut topics: Vec<TopicOffsets> = Vec::new();
    visit_offsets(&records::group_offsets_prefix(group), stored, &mut |topic, partition, value| {
        let value = records::decode_offset(value)?;
        match topics.last_mut().filter(|last| &*last.name == topic) {
            Some(last) => last.partitions.push((partition, value)),
            None => topics.push(TopicOffsets { name: topic.into(), partitions: vec![(partition, value)] }),
        }
        Ok(Scan::Next)
    })?;
    Ok(topics)
}

/// What deletes the offsets of a group, as many as one decision may, and whether there are more. The tombstone of an
/// offset ends what is pending for it, so that the group's end leaves no transaction behind that brings it back.
pub fn tombstones_of_group(
    shard: &GroupShard,
    group: &str,
    stored: &dyn Stored,
) -> Result<(Vec<Record>, bool), ApiError> {
    let mut tombstones = Vec::new();
    let mut has_more = false;
    visit_offsets(&records::group_offsets_prefix(group), stored, &mut |topic, partition, _| {
        has_more = tombstones.len() == TOMBSTONES_PER_DECISION;
        if has_more {
            return Ok(Scan::Stop);
        }
        tombstones.push(tombstone(group, topic, partition));
        Ok(Scan::Next)
    })?;
    for (topic, partition) in shard.pending.of_group(group) {
        if has_more || stored.get(&records::offset_key(group, topic, partition))?.is_some() {
            continue;
        }
        has_more = tombstones.len() == TOMBSTONES_PER_DECISION;
        if !has_more {
            tombstones.push(tombstone(group, topic, partition));
        }
    }
    Ok((tombstones, has_more))
}

/// Deletes what was committed for topics that are gone, from the key `from` on; what a later topic of the same name was
/// given stays. A part at a time, so that the partition serves others in between: the answer says where the next begins.
/// What is pending comes last, behind all keys.
pub fn topics_deleted(
    shard: &GroupShard,
    topics: &[(TopicId, Arc<str>)],
    from: Vec<u8>,
    id: RequestId,
    stored: &dyn Stored,
) -> Result<Outcome<GroupShard>, ApiError> {
    let mut outcome = Outcome::nothing();
    let (mut visit_count, mut next, mut failure) = (0, None, Ok(()));
    stored.scan(&records::offsets_prefix(), &mut |key, value| {
        if key < from.as_slice() {
            return Scan::SkipTo(from.clone());
        }
        if visit_count == VISITS_PER_DECISION || outcome.events.len() == TOMBSTONES_PER_DECISION {
            next = Some(key.to_vec());
            return Scan::Stop;
        }
        visit_count += 1;
        forget(topics, key, value, &mut outcome).unwrap_or_else(|cause| {
            failure = Err(unreadable(cause));
            Scan::Stop
        })
    })?;
    failure?;
    if next.is_none() {
        for (group, topic, partition) in shard.pending.of_topics(topics) {
            if outcome.events.len() == TOMBSTONES_PER_DECISION {
                next = Some(records::behind_prefix(&records::offsets_prefix()));
                break;
            }
            outcome.durable(tombstone(group, topic, partition));
        }
    }
    outcome.replies.push((id, Response::TopicsDeleted { next }));
    Ok(outcome)
}

/// Deletes the offset at `key` if it was committed for one of `topics`. Says where the group's next may be.
fn forget(
    topics: &[(TopicId, Arc<str>)],
    key: &[u8],
    value: &[u8],
    outcome: &mut Outcome<GroupShard>,
) -> Result<Scan, MalformedRecord> {
    let (group, topic, partition) = records::parts_of_offset_key(key)?;
    let mut of_this_name = topics.iter().filter(|(_, name)| **name == *topic).peekable();
    if of_this_name.peek().is_some() {
        let committed_for = records::decode_offset(value)?.topic_id;
        if of_this_name.any(|(id, _)| committed_for == TopicId::ZERO || committed_for == *id) {
            outcome.durable(tombstone(group, topic, partition));
        }
        return Ok(Scan::Next);
    }
    let prefixes = topics.iter().map(|(_, name)| records::topic_offsets_prefix(group, name));
    let next_of_group = prefixes.filter(|prefix| prefix.as_slice() > key).min();
    Ok(Scan::SkipTo(
        next_of_group.unwrap_or_else(|| records::behind_prefix(&records::group_offsets_prefix(group))),
    ))
}

/// Whether the group has a committed offset.
pub fn has_offsets(group: &str, stored: &dyn Stored) -> Result<bool, ApiError> {
    let mut found = false;
    stored.scan(&records::group_offsets_prefix(group), &mut |_, _| {
        found = true;
        Scan::Stop
    })?;
    Ok(found)
}

/// Visits every group that has a committed offset, once, however many it has.
pub fn groups_with_offsets(stored: &dyn Stored, visit: &mut dyn FnMut(&str)) -> Result<(), ApiError> {
    let mut failure = Ok(());
    stored.scan(&records::offsets_prefix(), &mut |key, _| match records::parts_of_offset_key(key) {
        Ok((group, _, _)) => {
            visit(group);
            Scan::SkipTo(records::behind_prefix(&records::group_offsets_prefix(group)))
        }
        Err(cause) => {
            failure = Err(unreadable(cause));
            Scan::Stop
        }
    })?;
    failure
}

/// Shows `visit` group, topic, partition and offset of everything that is committed, until it stops.
pub fn visit_all(
    stored: &dyn Stored,
    visit: &mut dyn FnMut(&str, &str, PartitionIndex, Offset) -> Scan,
) -> Result<(), ApiError> {
    let mut failure = Ok(());
    stored.scan(&records::offsets_prefix(), &mut |key, value| {
        let read = records::parts_of_offset_key(key)
            .and_then(|parts| records::decode_offset(value).map(|value| (parts, value.offset)));
        match read {
            Ok(((group, topic, partition), offset)) => visit(group, topic, partition, offset),
            Err(cause) => {
                failure = Err(unreadable(cause));
                Scan::Stop
            }
        }
    })?;
    failure
}

/// Is shown topic, partition and value of an offset.
type OffsetVisitor<'a> = dyn FnMut(&str, PartitionIndex, &[u8]) -> Result<Scan, MalformedRecord> + 'a;

/// Shows `visit` every offset whose key begins with `prefix`, until it stops.
fn visit_offsets(prefix: &[u8], stored: &dyn Stored, visit: &mut OffsetVisitor<'_>) -> Result<(), ApiError> {
    let mut failure = Ok(());
    stored.scan(prefix, &mut |key, value| {
        let visited = records::parts_of_offset_key(key)
            .and_then(|(_, topic, partition)| visit(topic, partition, value));
        match visited {
            Ok(scan) => scan,
            Err(cause) => {
                failure = Err(unreadable(cause));
                Scan::Stop
            }
        }
    })?;
    failure
}

pub(super) fn tombstone(group: &str, topic: &str, partition: PartitionIndex) -> Record {
    Record::Offset(OffsetKey { group: group.into(), topic: topic.into(), partition }, None)
}

/// What was read when it was replayed cannot be read from the view.
pub(super) fn unreadable(cause: MalformedRecord) -> ApiError {
    ApiError::new(ErrorCode::CoordinatorNotAvailable, cause.0)
}

pub(super) fn group_not_found(group: &str) -> ApiError {
    ApiError::new(ErrorCode::GroupIdNotFound, format!("Group {group} not found."))
}

/// Whether `text` has more than `limit` UTF-16 units, which is how Kafka counts `offset.metadata.max.bytes`.
fn is_longer(text: &str, limit: i32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(0);
    // UTF-8 never has fewer bytes than UTF-16 has units.
    text.len() > limit && text.encode_utf16().count() > limit
}

#[cfg(test)]
pub(super) mod tests;
