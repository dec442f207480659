//! OffsetCommit (key 8), v0-10: members since v1, a time that the client sets in v1 and a retention in v2-4, leader
//! epochs since v6 (KIP-320), static members since v7 (KIP-345), ids in the place of names in v10 (KIP-848).
//!
//! Read by hand in all versions: the codec crate's type has no room for the time. Kafka: `OffsetCommitRequest.json`, of
//! 3.9 for v0 and v1.

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{Decodable, Message, StrBytes, VersionRange};

use super::TOPIC_IDS_SINCE_VERSION;
use crate::protocol::body::Body;
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp, Uuid};
use crate::protocol::wire::Malformed;

const MEMBERS_SINCE_VERSION: i16 = 1;
/// The only version whose client says when it committed.
const COMMIT_TIMESTAMP_VERSION: i16 = 1;
/// The versions whose client says for how long.
const RETENTION_VERSIONS: std::ops::RangeInclusive<i16> = 2..=4;
const LEADER_EPOCHS_SINCE_VERSION: i16 = 6;
const STATIC_MEMBERS_SINCE_VERSION: i16 = 7;
const FLEXIBLE_SINCE_VERSION: i16 = 8;

/// What a topic takes at least, and a partition.
const LEAST_TOPIC_SIZE_BYTES: usize = 3;
const LEAST_PARTITION_SIZE_BYTES: usize = 14;

/// An OffsetCommit of any served version.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetCommit {
    pub group_id: GroupId,
    /// -1 where the version has none.
    pub generation_id_or_member_epoch: i32,
    /// Empty where the version has none.
    pub member_id: StrBytes,
    pub group_instance_id: Option<StrBytes>,
    /// -1 leaves it to the broker.
    pub retention_time_ms: i64,
    pub topics: Vec<OffsetCommitTopic>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OffsetCommitTopic {
    /// Empty in v10.
    pub name: TopicName,
    /// Zero below v10.
    pub id: Uuid,
    pub partitions: Vec<OffsetCommitPartition>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OffsetCommitPartition {
    pub index: PartitionIndex,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    /// When the client says that it committed; -1 leaves it to the broker.
    pub commit_timestamp: Timestamp,
    pub metadata: Option<StrBytes>,
}

impl Message for OffsetCommit {
    const VERSIONS: VersionRange = VersionRange { min: 0, max: TOPIC_IDS_SINCE_VERSION };
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl Decodable for OffsetCommit {
    fn decode<B: ByteBuf>(buffer: &mut B, version: i16) -> anyhow::Result<OffsetCommit> {
        Ok(Body::take(buffer, version >= FLEXIBLE_SINCE_VERSION, |body| read(body, version))?)
    }
}

fn read(body: &mut Body<'_>, version: i16) -> Result<OffsetCommit, Malformed> {
    let group_id = GroupId(body.string()?);
    let (generation_id_or_member_epoch, member_id) = match version >= MEMBERS_SINCE_VERSION {
        true => (body.reader.i32()?, body.string()?),
        false => (-1, StrBytes::new()),
    };
    let group_instance_id = match version >= STATIC_MEMBERS_SINCE_VERSION {
        true => body.nullable_string()?,
        false => None,
    };
    let retention_time_ms = match RETENTION_VERSIONS.contains(&version) {
        true => body.reader.i64()?,
        false => -1,
    };
    let topics = body.array(LEAST_TOPIC_SIZE_BYTES, |body| read_topic(body, version))?;
    body.reader.skip_tagged_fields()?;
    Ok(OffsetCommit {
        group_id,
        generation_id_or_member_epoch,
        member_id,
        group_instance_id,
        retention_time_ms,
        topics,
    })
}

fn read_topic(body: &mut Body<'_>, version: i16) -> Result<OffsetCommitTopic, Malformed> {
    let (name, id) = match version >= TOPIC_IDS_SINCE_VERSION {
        true => (TopicName::default(), body.reader.uuid()?),
        false => (body.topic_name()?, Uuid::nil()),
    };
    let partitions = body.array(LEAST_PARTITION_SIZE_BYTES, |body| read_partition(body, version))?;
    body.reader.skip_tagged_fields()?;
    Ok(OffsetCommitTopic { name, id, partitions })
}

fn read_partition(body: &mut Body<'_>, version: i16) -> Result<OffsetCommitPartition, Malformed> {
    let partition = OffsetCommitPartition {
        index: PartitionIndex(body.reader.i32()?),
        offset: Offset(body.reader.i64()?),
        leader_epoch: match version >= LEADER_EPOCHS_SINCE_VERSION {
            true => LeaderEpoch(body.reader.i32()?),
            false => LeaderEpoch::NONE,
        },
        commit_timestamp: match version == COMMIT_TIMESTAMP_VERSION {
            true => Timestamp(body.reader.i64()?),
            false => Timestamp::NONE,
        },
        metadata: body.nullable_string()?,
    };
    body.reader.skip_tagged_fields()?;
    Ok(partition)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kafka_protocol::messages::OffsetCommitRequest;

    use super::*;
    use crate::protocol::body::tests::reads_what_the_walker_accepts;
    use crate::protocol::shapes::generator::{Size, generate};
    use crate::protocol::shapes::{Limits, check};

    const KEY: i16 = 8;
    const ID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

    fn text(text: &'static str) -> StrBytes {
        StrBytes::from_static_str(text)
    }

    fn partition(index: i32, offset: i64, metadata: Option<&'static str>) -> OffsetCommitPartition {
        OffsetCommitPartition {
            index: PartitionIndex(index),
            offset: Offset(offset),
            leader_epoch: LeaderEpoch::NONE,
            commit_timestamp: Timestamp::NONE,
            metadata: metadata.map(text),
        }
    }

    /// A commit without a member.
    fn commit(name: &'static str, id: Uuid, partitions: Vec<OffsetCommitPartition>) -> OffsetCommit {
        OffsetCommit {
            group_id: GroupId(text("g")),
            generation_id_or_member_epoch: -1,
            member_id: StrBytes::new(),
            group_instance_id: None,
            retention_time_ms: -1,
            topics: vec![OffsetCommitTopic { name: TopicName(text(name)), id, partitions }],
        }
    }

    fn reads(version: i16, body: &[u8], expected: OffsetCommit) {
        check(KEY, version, body, &Limits::default()).expect("the shape of a commit");
        let read = OffsetCommit::decode(&mut Bytes::copy_from_slice(body), version).expect("a commit");
        assert_eq!(read, expected, "v{version}");
    }

    #[test]
    fn the_oldest_has_no_member() {
        let body = b"\0\x01g\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x07\0\x01x";
        reads(0, body, commit("t", Uuid::nil(), vec![partition(1, 7, Some("x"))]));
    }

    #[test]
    fn the_second_has_a_time_for_each_partition() {
        let body = [
            &b"\0\x01g\0\0\0\x05\0\x01m\0\0\0\x01\0\x01t\0\0\0\x02"[..],
            b"\0\0\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\x03\xe8\0\x01x",
            b"\0\0\0\x02\0\0\0\0\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ]
        .concat();
        let at = OffsetCommitPartition { commit_timestamp: Timestamp(1000), ..partition(1, 7, Some("x")) };
        let expected = commit("t", Uuid::nil(), vec![at, partition(2, 8, None)]);
        reads(1, &body, OffsetCommit { generation_id_or_member_epoch: 5, member_id: text("m"), ..expected });
    }

    #[test]
    fn the_newest_names_its_topics_by_id() {
        let body = [
            &b"\x02g\0\0\0\x05\x02m\x02i\x02"[..],
            ID.as_bytes(),
            b"\x03\0\0\0\x01\0\0\0\0\0\0\0\x07\0\0\0\x03\x02x\0\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0",
            b"\0\0",
        ]
        .concat();
        let first = OffsetCommitPartition { leader_epoch: LeaderEpoch(3), ..partition(1, 7, Some("x")) };
        let expected = commit("", ID, vec![first, partition(2, -1, None)]);
        reads(
            10,
            &body,
            OffsetCommit {
                generation_id_or_member_epoch: 5,
                member_id: text("m"),
                group_instance_id: Some(text("i")),
                ..expected
            },
        );
    }

    /// What the codec crate reads, in the type that is read here.
    fn as_the_crate_reads(body: &[u8], version: i16) -> OffsetCommit {
        let read = OffsetCommitRequest::decode(&mut Bytes::copy_from_slice(body), version).expect("a commit");
        let topics = read.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.into_iter().map(|partition| OffsetCommitPartition {
                index: PartitionIndex(partition.partition_index),
                offset: Offset(partition.committed_offset),
                leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
                commit_timestamp: Timestamp::NONE,
                metadata: partition.committed_metadata,
            });
            OffsetCommitTopic { name: topic.name, id: topic.topic_id, partitions: partitions.collect() }
        });
        OffsetCommit {
            group_id: read.group_id,
            generation_id_or_member_epoch: read.generation_id_or_member_epoch,
            member_id: read.member_id,
            group_instance_id: read.group_instance_id,
            retention_time_ms: read.retention_time_ms,
            topics: topics.collect(),
        }
    }

    #[test]
    fn versions_that_the_codec_crate_knows_are_read_as_it_does() {
        let mut rng = fastrand::Rng::with_seed(8);
        for version in OffsetCommitRequest::VERSIONS.min..=OffsetCommitRequest::VERSIONS.max {
            for elements in [0, 1, 3] {
                let size = Size { elements, unknown_tags: elements > 1 };
                let body = generate(KEY, version, size, &mut rng);
                let read = OffsetCommit::decode(&mut Bytes::copy_from_slice(&body), version).unwrap();
                assert_eq!(read, as_the_crate_reads(&body, version), "version {version}");
            }
        }
    }

    #[test]
    fn commits_are_fuzzed() {
        for version in 0..=TOPIC_IDS_SINCE_VERSION {
            reads_what_the_walker_accepts::<OffsetCommit>("offset_commit", KEY, version);
        }
    }
}
