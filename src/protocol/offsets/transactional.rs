//! TxnOffsetCommit, v0-6: offsets that a producer commits in its transaction, by its group's members (KIP-447, v3) and
//! with ids in the place of names (v6). Read by hand in all versions: the codec crate's type has no room for an id.
//! Kafka: `TxnOffsetCommitRequest.json`.

use kafka_protocol::messages::{GroupId, TopicName, TransactionalId, TxnOffsetCommitRequest};
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{Decodable, Message, StrBytes, VersionRange};

use crate::protocol::body::Body;
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Uuid};
use crate::protocol::wire::Malformed;

/// From this version on the request and its answer have ids in the place of names.
pub const TOPIC_IDS_SINCE_VERSION: i16 = 6;
/// From this version on the request says who commits, and lengths are compact.
pub const MEMBERS_SINCE_VERSION: i16 = 3;
const LEADER_EPOCHS_SINCE_VERSION: i16 = 2;

/// What a topic takes at least, and a partition.
const LEAST_TOPIC_SIZE_BYTES: usize = 3;
const LEAST_PARTITION_SIZE_BYTES: usize = 14;

/// A TxnOffsetCommit of any served version.
#[derive(Clone, Debug, PartialEq)]
pub struct TxnOffsetCommit {
    pub transactional_id: TransactionalId,
    pub group_id: GroupId,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// -1 where the version has none.
    pub generation_id_or_member_epoch: i32,
    /// Empty where the version has none.
    pub member_id: StrBytes,
    pub group_instance_id: Option<StrBytes>,
    pub topics: Vec<TxnOffsetCommitTopic>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TxnOffsetCommitTopic {
    /// Empty from v6 on.
    pub name: TopicName,
    /// Zero below v6.
    pub id: Uuid,
    pub partitions: Vec<TxnOffsetCommitPartition>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TxnOffsetCommitPartition {
    pub index: PartitionIndex,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Option<StrBytes>,
}

impl Message for TxnOffsetCommit {
    const VERSIONS: VersionRange =
        VersionRange { min: TxnOffsetCommitRequest::VERSIONS.min, max: TOPIC_IDS_SINCE_VERSION };
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl Decodable for TxnOffsetCommit {
    fn decode<B: ByteBuf>(buffer: &mut B, version: i16) -> anyhow::Result<TxnOffsetCommit> {
        Ok(Body::take(buffer, version >= MEMBERS_SINCE_VERSION, |body| read(body, version))?)
    }
}

fn read(body: &mut Body<'_>, version: i16) -> Result<TxnOffsetCommit, Malformed> {
    let transactional_id = TransactionalId(body.string()?);
    let group_id = GroupId(body.string()?);
    let producer_id = ProducerId(body.reader.i64()?);
    let producer_epoch = ProducerEpoch(body.reader.i16()?);
    let (mut generation_id_or_member_epoch, mut member_id, mut group_instance_id) =
        (-1, StrBytes::new(), None);
    if version >= MEMBERS_SINCE_VERSION {
        generation_id_or_member_epoch = body.reader.i32()?;
        member_id = body.string()?;
        group_instance_id = body.nullable_string()?;
    }
    let topics = body.array(LEAST_TOPIC_SIZE_BYTES, |body| read_topic(body, version))?;
    body.reader.skip_tagged_fields()?;
    Ok(TxnOffsetCommit {
        transactional_id,
        group_id,
        producer_id,
        producer_epoch,
        generation_id_or_member_epoch,
        member_id,
        group_instance_id,
        topics,
    })
}

fn read_topic(body: &mut Body<'_>, version: i16) -> Result<TxnOffsetCommitTopic, Malformed> {
    let (name, id) = match version >= TOPIC_IDS_SINCE_VERSION {
        true => (StrBytes::new(), body.reader.uuid()?),
        false => (body.string()?, Uuid::nil()),
    };
    let partitions = body.array(LEAST_PARTITION_SIZE_BYTES, |body| read_partition(body, version))?;
    body.reader.skip_tagged_fields()?;
    Ok(TxnOffsetCommitTopic { name: TopicName(name), id, partitions })
}

fn read_partition(body: &mut Body<'_>, version: i16) -> Result<TxnOffsetCommitPartition, Malformed> {
    let partition = TxnOffsetCommitPartition {
        index: PartitionIndex(body.reader.i32()?),
        offset: Offset(body.reader.i64()?),
        leader_epoch: match version >= LEADER_EPOCHS_SINCE_VERSION {
            true => LeaderEpoch(body.reader.i32()?),
            false => LeaderEpoch(-1),
        },
        metadata: body.nullable_string()?,
    };
    body.reader.skip_tagged_fields()?;
    Ok(partition)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::body::tests::reads_what_the_walker_accepts;
    use crate::protocol::shapes::generator::{Size, generate};
    use crate::protocol::shapes::{Limits, check};

    const KEY: i16 = 28;

    /// What the codec crate reads, in the type that is read here.
    fn as_the_crate_reads(body: &[u8], version: i16) -> TxnOffsetCommit {
        let read =
            TxnOffsetCommitRequest::decode(&mut Bytes::copy_from_slice(body), version).expect("a commit");
        let topics = read.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.into_iter().map(|partition| TxnOffsetCommitPartition {
                index: PartitionIndex(partition.partition_index),
                offset: Offset(partition.committed_offset),
                leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
                metadata: partition.committed_metadata,
            });
            TxnOffsetCommitTopic { name: topic.name, id: Uuid::nil(), partitions: partitions.collect() }
        });
        TxnOffsetCommit {
            transactional_id: read.transactional_id,
            group_id: read.group_id,
            producer_id: ProducerId(read.producer_id.0),
            producer_epoch: ProducerEpoch(read.producer_epoch),
            generation_id_or_member_epoch: read.generation_id,
            member_id: read.member_id,
            group_instance_id: read.group_instance_id,
            topics: topics.collect(),
        }
    }

    #[test]
    fn versions_that_the_codec_crate_knows_are_read_as_it_does() {
        let mut rng = fastrand::Rng::with_seed(28);
        for version in 0..=TxnOffsetCommitRequest::VERSIONS.max {
            for elements in [0, 1, 3] {
                let size = Size { elements, unknown_tags: elements > 1 };
                let body = generate(KEY, version, size, &mut rng);
                let read = TxnOffsetCommit::decode(&mut Bytes::copy_from_slice(&body), version).unwrap();
                assert_eq!(read, as_the_crate_reads(&body, version), "version {version}");
            }
        }
    }

    #[test]
    fn the_newest_names_its_topics_by_id() {
        let id = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        let body = [
            &b"\x03tx\x02g\0\0\0\0\0\0\0\x09\0\x01\0\0\0\x05\x02m\x02i\x02"[..],
            id.as_bytes(),
            b"\x02\0\0\0\x01\0\0\0\0\0\0\0\x07\0\0\0\x03\x02x\0",
            b"\0\0",
        ]
        .concat();
        check(KEY, 6, &body, &Limits::default()).expect("the shape of a commit");
        let text = |text| StrBytes::from_static_str(text);
        let partition = TxnOffsetCommitPartition {
            index: PartitionIndex(1),
            offset: Offset(7),
            leader_epoch: LeaderEpoch(3),
            metadata: Some(text("x")),
        };
        let expected = TxnOffsetCommit {
            transactional_id: TransactionalId(text("tx")),
            group_id: GroupId(text("g")),
            producer_id: ProducerId(9),
            producer_epoch: ProducerEpoch(1),
            generation_id_or_member_epoch: 5,
            member_id: text("m"),
            group_instance_id: Some(text("i")),
            topics: vec![TxnOffsetCommitTopic {
                name: TopicName(StrBytes::new()),
                id,
                partitions: vec![partition],
            }],
        };
        assert_eq!(TxnOffsetCommit::decode(&mut Bytes::from(body), 6).expect("a commit"), expected);
    }

    #[test]
    fn commits_are_fuzzed() {
        for version in 0..=TOPIC_IDS_SINCE_VERSION {
            reads_what_the_walker_accepts::<TxnOffsetCommit>("txn_offset_commit", KEY, version);
        }
    }
}
