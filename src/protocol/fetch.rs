//! Fetch (key 1), versions 0 to 18, as a hot codec: a request that borrows its frame, and a response that is written around
//! records which the caller splices in, from memory or from a file.
//!
//! Knows bytes only. KIP-74 (v3), KIP-98 (v4), KIP-227 (sessions, v7), KIP-320 (epochs, v9 and v12), KIP-392 (rack, preferred replica,
//! v11), KIP-516 (topic ids, v13), KIP-903 (replica state, v15), KIP-951 (endpoints, v16), KIP-853 (directory
//! id, v17), KIP-1166 (replica's high watermark, v18). Is its own shape check, as
//! [`produce`](super::produce).

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId, Uuid};
use crate::protocol::produce::{CurrentLeader, NodeEndpoint, put_current_leader_tag, put_node_endpoints_tag};
use crate::protocol::wire::{self, Malformed, Reader};

const FLEXIBLE_SINCE: i16 = 12;
const TOPIC_ID_SINCE: i16 = 13;
/// Kafka's decoder refuses it too, though it skips tags that no version has.
const TAG_OF_A_LATER_VERSION: Malformed = Malformed("a tagged field belongs to a later version");

/// Which topic: by name up to version 12, by id since 13.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicKey {
    Name(Arc<str>),
    Id(TopicId),
}

/// Which topic, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicName<'a> {
    Name(&'a str),
    Id(TopicId),
}

impl TopicKey {
    pub fn as_name(&self) -> TopicName<'_> {
        match self {
            TopicKey::Name(name) => TopicName::Name(name),
            TopicKey::Id(id) => TopicName::Id(*id),
        }
    }
}

impl TopicName<'_> {
    pub fn to_key(self) -> TopicKey {
        match self {
            TopicName::Name(name) => TopicKey::Name(name.into()),
            TopicName::Id(id) => TopicKey::Id(id),
        }
    }
}

/// Whether records of open and aborted transactions are visible (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
}

/// One partition to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    pub partition: PartitionIndex,
    /// The epoch that the client believes in, `-1` below version 9.
    pub current_leader_epoch: LeaderEpoch,
    pub fetch_offset: Offset,
    /// Epoch of the record before `fetch_offset`, `-1` when unknown or below version 12.
    pub last_fetched_epoch: LeaderEpoch,
    /// The follower's own; `-1` from a consumer.
    pub log_start_offset: Offset,
    pub max_bytes: i32,
    pub replica_directory_id: Uuid,
    /// The high watermark the replica knows; `i64::MAX` when it does not tell.
    pub high_watermark: Offset,
}

/// What a request names, read again from the frame for each use: nothing of it is copied. It was read once, and is
/// well formed.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    version: i16,
    frame: &'a [u8],
    offset: usize,
}

/// Partitions to read.
#[derive(Clone, Copy, Debug)]
pub struct WantedPartitions<'a>(Named<'a>);

impl<'a> WantedPartitions<'a> {
    pub fn for_each(self, each: impl FnMut(TopicName<'a>, FetchPartition)) {
        self.0.walk_wanted(&mut self.0.reader(), each).expect("the request was read before");
    }
}

/// Partitions that leave the session.
#[derive(Clone, Copy, Debug)]
pub struct ForgottenPartitions<'a>(Named<'a>);

impl<'a> ForgottenPartitions<'a> {
    pub fn for_each(self, each: impl FnMut(TopicName<'a>, PartitionIndex)) {
        self.0.walk_forgotten(&mut self.0.reader(), each).expect("the request was read before");
    }
}

/// A request whose strings and arrays stay in the frame.
#[derive(Clone, Debug)]
pub struct FetchRequest<'a> {
    pub cluster_id: Option<&'a str>,
    /// Of the follower; `-1` from a consumer, whichever field the version has for it.
    pub replica_id: BrokerId,
    /// Of the follower's registration, `-1` when unknown.
    pub replica_epoch: i64,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    /// `i32::MAX` below version 3, which has no limit but those of the partitions.
    pub max_bytes: i32,
    pub isolation_level: IsolationLevel,
    /// 0 is no session.
    pub session_id: i32,
    /// 0 opens a session, `-1` closes it.
    pub session_epoch: i32,
    pub wanted: WantedPartitions<'a>,
    /// `None` below version 7.
    pub forgotten: Option<ForgottenPartitions<'a>>,
    /// Empty when the consumer has none.
    pub rack_id: &'a str,
}

impl<'a> FetchRequest<'a> {
    /// Every field as it is where a version lacks it.
    fn new(wanted: WantedPartitions<'a>) -> FetchRequest<'a> {
        FetchRequest {
            cluster_id: None,
            replica_id: BrokerId::NONE,
            replica_epoch: -1,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: i32::MAX,
            isolation_level: IsolationLevel::ReadUncommitted,
            session_id: 0,
            session_epoch: -1,
            wanted,
            forgotten: None,
            rack_id: "",
        }
    }
}

/// Reads the body of a version 0 to 3 that begins at `body_offset` of `frame`. Bytes after the body are ignored, as
/// Kafka does.
pub fn parse_before_batches(
    version: i16,
    frame: &[u8],
    body_offset: usize,
) -> Result<FetchRequest<'_>, Malformed> {
    let mut reader = Reader::new(frame, body_offset, false);
    let replica_id = BrokerId(reader.i32()?);
    let max_wait_ms = reader.i32()?;
    let min_bytes = reader.i32()?;
    let max_bytes = if version >= 3 { reader.i32()? } else { i32::MAX };
    let wanted = parse_wanted(version, frame, &mut reader)?;
    Ok(FetchRequest { replica_id, max_wait_ms, min_bytes, max_bytes, ..FetchRequest::new(wanted) })
}

/// As [`parse_before_batches`], of a version since 4.
pub fn parse(version: i16, frame: &[u8], body_offset: usize) -> Result<FetchRequest<'_>, Malformed> {
    let mut reader = Reader::new(frame, body_offset, version >= FLEXIBLE_SINCE);
    let replica_id = if version <= 14 { BrokerId(reader.i32()?) } else { BrokerId::NONE };
    let max_wait_ms = reader.i32()?;
    let min_bytes = reader.i32()?;
    let max_bytes = reader.i32()?;
    let isolation_level = match reader.i8()? {
        0 => IsolationLevel::ReadUncommitted,
        1 => IsolationLevel::ReadCommitted,
        _ => return Err(Malformed("an isolation level is neither 0 nor 1")),
    };
    let (session_id, session_epoch) = if version >= 7 { (reader.i32()?, reader.i32()?) } else { (0, -1) };
    let mut request = FetchRequest::new(parse_wanted(version, frame, &mut reader)?);
    (request.replica_id, request.isolation_level) = (replica_id, isolation_level);
    (request.max_wait_ms, request.min_bytes, request.max_bytes) = (max_wait_ms, min_bytes, max_bytes);
    (request.session_id, request.session_epoch) = (session_id, session_epoch);
    if version >= 7 {
        request.forgotten = Some(parse_forgotten(version, frame, &mut reader)?);
    }
    if version >= 11 {
        request.rack_id = wire::text(frame, reader.string()?);
    }
    parse_request_tags(version, frame, &mut reader, &mut request)?;
    Ok(request)
}

fn parse_topic<'a>(
    version: i16,
    frame: &'a [u8],
    reader: &mut Reader<'a>,
) -> Result<TopicName<'a>, Malformed> {
    if version >= TOPIC_ID_SINCE {
        return Ok(TopicName::Id(TopicId(reader.uuid()?)));
    }
    Ok(TopicName::Name(wire::text(frame, reader.string()?)))
}

/// Bytes of a topic without name and partitions.
fn least_topic_size(version: i16) -> usize {
    match version {
        TOPIC_ID_SINCE.. => 18,
        FLEXIBLE_SINCE.. => 3,
        _ => 6,
    }
}

/// Bytes of a partition without tagged values.
fn least_partition_size(version: i16) -> usize {
    let mut size = 16;
    if version >= 5 {
        size += 8;
    }
    if version >= 9 {
        size += 4;
    }
    if version >= FLEXIBLE_SINCE {
        size += 5;
    }
    size
}

fn parse_wanted<'a>(
    version: i16,
    frame: &'a [u8],
    reader: &mut Reader<'a>,
) -> Result<WantedPartitions<'a>, Malformed> {
    let named = Named { version, frame, offset: reader.position() };
    named.walk_wanted(reader, |_, _| {})?;
    Ok(WantedPartitions(named))
}

fn parse_forgotten<'a>(
    version: i16,
    frame: &'a [u8],
    reader: &mut Reader<'a>,
) -> Result<ForgottenPartitions<'a>, Malformed> {
    let named = Named { version, frame, offset: reader.position() };
    named.walk_forgotten(reader, |_, _| {})?;
    Ok(ForgottenPartitions(named))
}

impl<'a> Named<'a> {
    fn reader(&self) -> Reader<'a> {
        Reader::new(self.frame, self.offset, self.version >= FLEXIBLE_SINCE)
    }

    fn walk_wanted(
        &self,
        reader: &mut Reader<'a>,
        mut each: impl FnMut(TopicName<'a>, FetchPartition),
    ) -> Result<(), Malformed> {
        let version = self.version;
        for _ in 0..reader.array_count(least_topic_size(version))? {
            let topic = parse_topic(version, self.frame, reader)?;
            for _ in 0..reader.array_count(least_partition_size(version))? {
                each(topic, parse_partition(version, reader)?);
            }
            reader.skip_tagged_fields()?;
        }
        Ok(())
    }

    fn walk_forgotten(
        &self,
        reader: &mut Reader<'a>,
        mut each: impl FnMut(TopicName<'a>, PartitionIndex),
    ) -> Result<(), Malformed> {
        for _ in 0..reader.array_count(least_topic_size(self.version))? {
            let topic = parse_topic(self.version, self.frame, reader)?;
            for _ in 0..reader.array_count(4)? {
                each(topic, PartitionIndex(reader.i32()?));
            }
            reader.skip_tagged_fields()?;
        }
        Ok(())
    }
}

/// `FetchRequest.optionalEpoch`: every epoch below 0 is none.
fn known_epoch(epoch: i32) -> LeaderEpoch {
    LeaderEpoch(epoch.max(LeaderEpoch::NONE.0))
}

fn parse_partition(version: i16, reader: &mut Reader<'_>) -> Result<FetchPartition, Malformed> {
    let mut partition = FetchPartition {
        partition: PartitionIndex(reader.i32()?),
        current_leader_epoch: if version >= 9 { known_epoch(reader.i32()?) } else { LeaderEpoch::NONE },
        fetch_offset: Offset(reader.i64()?),
        last_fetched_epoch: if version >= 12 { known_epoch(reader.i32()?) } else { LeaderEpoch::NONE },
        log_start_offset: Offset(if version >= 5 { reader.i64()? } else { -1 }),
        max_bytes: reader.i32()?,
        replica_directory_id: Uuid::nil(),
        high_watermark: Offset(i64::MAX),
    };
    reader.tagged_fields(|reader, tag| {
        match tag {
            0 if version >= 17 => partition.replica_directory_id = reader.uuid()?,
            1 if version >= 18 => partition.high_watermark = Offset(reader.i64()?),
            0 | 1 => return Err(TAG_OF_A_LATER_VERSION),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(partition)
}

fn parse_request_tags<'a>(
    version: i16,
    frame: &'a [u8],
    reader: &mut Reader<'a>,
    request: &mut FetchRequest<'a>,
) -> Result<(), Malformed> {
    reader.tagged_fields(|reader, tag| {
        match tag {
            0 => {
                let cluster_id = reader.nullable_string()?;
                request.cluster_id = cluster_id.map(|range| wire::text(frame, range));
            }
            1 if version >= 15 => {
                request.replica_id = BrokerId(reader.i32()?);
                request.replica_epoch = reader.i64()?;
                reader.skip_tagged_fields()?;
            }
            1 => return Err(TAG_OF_A_LATER_VERSION),
            _ => return Ok(false),
        }
        Ok(true)
    })
}

/// A transaction whose records the consumer must skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
}

/// An epoch and where it ends, or a snapshot's end and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochAndOffset {
    pub epoch: LeaderEpoch,
    pub end_offset: Offset,
}

/// What one partition answers, but for its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionAnswer {
    pub partition: PartitionIndex,
    pub error: ErrorCode,
    pub high_watermark: Offset,
    /// Left out below version 4, as `aborted_transactions`.
    pub last_stable_offset: Offset,
    /// Left out below version 5.
    pub log_start_offset: Offset,
    /// `None` is null: what a fetch with `ReadUncommitted` gets.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// Left out below version 11, where nobody asks for it.
    pub preferred_read_replica: BrokerId,
    pub tags: PartitionTags,
}

impl PartitionAnswer {
    /// A refusal, as `FetchResponse.partitionResponse` fills it.
    pub fn refused(partition: PartitionIndex, error: ErrorCode) -> PartitionAnswer {
        PartitionAnswer {
            partition,
            error,
            high_watermark: Offset::NONE,
            last_stable_offset: Offset::NONE,
            log_start_offset: Offset::NONE,
            aborted_transactions: Some(Vec::new()),
            preferred_read_replica: BrokerId::NONE,
            tags: PartitionTags::default(),
        }
    }
}

/// What follows a partition's records since version 12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionTags {
    pub diverging_epoch: Option<EpochAndOffset>,
    pub current_leader: Option<CurrentLeader>,
    pub snapshot_id: Option<EpochAndOffset>,
}

#[inline]
fn put_aborted_transactions(out: &mut BytesMut, flexible: bool, aborted: Option<&[AbortedTransaction]>) {
    let Some(transactions) = aborted else { return wire::put_null_array(out, flexible) };
    wire::put_count(out, flexible, transactions.len());
    for transaction in transactions {
        out.put_i64(transaction.producer_id.0);
        out.put_i64(transaction.first_offset.0);
        if flexible {
            out.put_u8(0);
        }
    }
}

/// Writes a response body piece by piece, in the order of its fields. After
/// [`partition`](ResponseWriter::partition) the caller appends exactly the announced bytes of records to the
/// same output; what follows the records is written by the next call.
pub struct ResponseWriter {
    version: i16,
    pending_tags: Option<PartitionTags>,
    topics_left: usize,
    partitions_left: usize,
    in_topic: bool,
}

impl ResponseWriter {
    /// The response's head. Exactly `topic_count` topics follow.
    pub fn begin(
        version: i16,
        out: &mut BytesMut,
        throttle_time_ms: i32,
        error: ErrorCode,
        session_id: i32,
        topic_count: usize,
    ) -> ResponseWriter {
        if version >= 7 {
            out.put_i32(throttle_time_ms);
            out.put_i16(error.code());
            out.put_i32(session_id);
        } else if version >= 1 {
            out.put_i32(throttle_time_ms);
        }
        wire::put_count(out, version >= FLEXIBLE_SINCE, topic_count);
        ResponseWriter {
            version,
            pending_tags: None,
            topics_left: topic_count,
            partitions_left: 0,
            in_topic: false,
        }
    }

    fn flexible(&self) -> bool {
        self.version >= FLEXIBLE_SINCE
    }

    /// A topic's head. Exactly `partition_count` partitions follow.
    pub fn topic(&mut self, out: &mut BytesMut, topic: TopicName<'_>, partition_count: usize) {
        self.finish_topic(out);
        assert!(self.topics_left > 0, "no more topics are written than were announced");
        match topic {
            TopicName::Name(name) => wire::put_string(out, self.flexible(), Some(name)),
            TopicName::Id(id) => out.put_slice(id.0.as_bytes()),
        }
        wire::put_count(out, self.flexible(), partition_count);
        self.topics_left -= 1;
        self.partitions_left = partition_count;
        self.in_topic = true;
    }

    /// A partition up to the length of its records.
    pub fn partition(&mut self, out: &mut BytesMut, answer: &PartitionAnswer, records_size_bytes: usize) {
        self.finish_partition(out);
        assert!(self.partitions_left > 0, "no more partitions are written than were announced");
        let flexible = self.flexible();
        out.put_i32(answer.partition.0);
        out.put_i16(answer.error.code());
        out.put_i64(answer.high_watermark.0);
        if self.version >= 5 {
            out.put_i64(answer.last_stable_offset.0);
            out.put_i64(answer.log_start_offset.0);
        } else if self.version >= 4 {
            out.put_i64(answer.last_stable_offset.0);
        }
        let aborted = answer.aborted_transactions.as_deref();
        if self.version >= 11 {
            put_aborted_transactions(out, flexible, aborted);
            out.put_i32(answer.preferred_read_replica.0);
        } else if self.version >= 4 {
            put_aborted_transactions(out, flexible, aborted);
        }
        // The length of records is written as the count of an array is.
        wire::put_count(out, flexible, records_size_bytes);
        self.partitions_left -= 1;
        self.pending_tags = flexible.then_some(answer.tags);
    }

    /// The response's end.
    pub fn end(mut self, out: &mut BytesMut, node_endpoints: &[NodeEndpoint]) {
        self.finish_topic(out);
        assert_eq!(self.topics_left, 0, "every announced topic is written");
        if self.flexible() {
            let endpoints = if self.version >= 16 { node_endpoints } else { &[] };
            put_node_endpoints_tag(out, endpoints);
        }
    }

    fn finish_topic(&mut self, out: &mut BytesMut) {
        self.finish_partition(out);
        assert_eq!(self.partitions_left, 0, "every announced partition is written");
        if self.in_topic && self.flexible() {
            out.put_u8(0);
        }
        self.in_topic = false;
    }

    /// Tagged fields that hold their default are omitted.
    fn finish_partition(&mut self, out: &mut BytesMut) {
        let Some(tags) = self.pending_tags.take() else { return };
        let present =
            [tags.diverging_epoch.is_some(), tags.current_leader.is_some(), tags.snapshot_id.is_some()];
        out.put_u8(present.into_iter().filter(|present| *present).count() as u8);
        if let Some(diverging) = tags.diverging_epoch {
            out.put_slice(&[0, 13]);
            out.put_i32(diverging.epoch.0);
            out.put_i64(diverging.end_offset.0);
            out.put_u8(0);
        }
        if let Some(leader) = tags.current_leader {
            put_current_leader_tag(out, 1, leader);
        }
        if let Some(snapshot) = tags.snapshot_id {
            out.put_slice(&[2, 13]);
            out.put_i64(snapshot.end_offset.0);
            out.put_i32(snapshot.epoch.0);
            out.put_u8(0);
        }
    }
}

#[cfg(test)]
mod tests;
