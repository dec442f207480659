//! OffsetCommit and OffsetFetch up to v10, which names topics by their ids and which the codec crate does not read; in
//! [`transactional`] TxnOffsetCommit, whose v6 does.
//!
//! Both decode into the codec crate's types: up to v9 by the crate, v10 by hand, whose topics have an id and no name.
//! KIP-848. Kafka: `OffsetCommitRequest.json`, `OffsetFetchRequest.json`.

pub mod transactional;

use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest};
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{Decodable, Message, StrBytes, VersionRange};

use super::wire::{Malformed, Reader};

/// From this version on both requests and their answers have ids in the place of names.
pub const TOPIC_IDS_SINCE_VERSION: i16 = 10;

const FLEXIBLE: bool = true;

/// An OffsetCommit of any served version.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetCommit(pub OffsetCommitRequest);

/// An OffsetFetch of any served version.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFetch(pub OffsetFetchRequest);

impl Message for OffsetCommit {
    const VERSIONS: VersionRange =
        VersionRange { min: OffsetCommitRequest::VERSIONS.min, max: TOPIC_IDS_SINCE_VERSION };
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl Message for OffsetFetch {
    const VERSIONS: VersionRange =
        VersionRange { min: OffsetFetchRequest::VERSIONS.min, max: TOPIC_IDS_SINCE_VERSION };
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl Decodable for OffsetCommit {
    fn decode<B: ByteBuf>(buffer: &mut B, version: i16) -> anyhow::Result<OffsetCommit> {
        let request = match version {
            TOPIC_IDS_SINCE_VERSION => read_commit(&mut Body::new(&take_all(buffer), FLEXIBLE))?,
            _ => OffsetCommitRequest::decode(buffer, version)?,
        };
        Ok(OffsetCommit(request))
    }
}

impl Decodable for OffsetFetch {
    fn decode<B: ByteBuf>(buffer: &mut B, version: i16) -> anyhow::Result<OffsetFetch> {
        let request = match version {
            TOPIC_IDS_SINCE_VERSION => read_fetch(&mut Body::new(&take_all(buffer), FLEXIBLE))?,
            _ => OffsetFetchRequest::decode(buffer, version)?,
        };
        Ok(OffsetFetch(request))
    }
}

fn take_all(buffer: &mut impl ByteBuf) -> Bytes {
    buffer.get_bytes(buffer.remaining())
}

/// A reader whose strings share the memory of the body.
struct Body<'a> {
    bytes: &'a Bytes,
    reader: Reader<'a>,
}

impl Body<'_> {
    fn new(bytes: &Bytes, flexible: bool) -> Body<'_> {
        Body { bytes, reader: Reader::new(bytes, 0, flexible) }
    }

    fn nullable_string(&mut self) -> Result<Option<StrBytes>, Malformed> {
        let range = self.reader.nullable_string()?;
        let shared = range.map(|range| StrBytes::from_utf8(self.bytes.slice(range)));
        shared.transpose().map_err(|_| Malformed("a string is not UTF-8"))
    }

    fn string(&mut self) -> Result<StrBytes, Malformed> {
        self.nullable_string()?.ok_or(Malformed("a string that must not be null is null"))
    }

    /// An array that must not be null, whose elements take at least `least_size` bytes each.
    fn array<T>(
        &mut self,
        least_size: usize,
        read: fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.reader.array_count(least_size)?;
        (0..count).map(|_| read(self)).collect()
    }
}

fn read_commit(body: &mut Body<'_>) -> Result<OffsetCommitRequest, Malformed> {
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(body.string()?))
        .with_generation_id_or_member_epoch(body.reader.i32()?)
        .with_member_id(body.string()?)
        .with_group_instance_id(body.nullable_string()?)
        .with_topics(body.array(18, read_commit_topic)?);
    body.reader.skip_tagged_fields()?;
    Ok(request)
}

fn read_commit_topic(body: &mut Body<'_>) -> Result<OffsetCommitRequestTopic, Malformed> {
    let topic = OffsetCommitRequestTopic::default()
        .with_topic_id(body.reader.uuid()?)
        .with_partitions(body.array(18, read_commit_partition)?);
    body.reader.skip_tagged_fields()?;
    Ok(topic)
}

fn read_commit_partition(body: &mut Body<'_>) -> Result<OffsetCommitRequestPartition, Malformed> {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(body.reader.i32()?)
        .with_committed_offset(body.reader.i64()?)
        .with_committed_leader_epoch(body.reader.i32()?)
        .with_committed_metadata(body.nullable_string()?);
    body.reader.skip_tagged_fields()?;
    Ok(partition)
}

fn read_fetch(body: &mut Body<'_>) -> Result<OffsetFetchRequest, Malformed> {
    let request = OffsetFetchRequest::default()
        .with_groups(body.array(8, read_fetch_group)?)
        .with_require_stable(body.reader.i8()? != 0);
    body.reader.skip_tagged_fields()?;
    Ok(request)
}

fn read_fetch_group(body: &mut Body<'_>) -> Result<OffsetFetchRequestGroup, Malformed> {
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(body.string()?))
        .with_member_id(body.nullable_string()?)
        .with_member_epoch(body.reader.i32()?);
    let topics = match body.reader.nullable_array_count(18)? {
        Some(count) => Some((0..count).map(|_| read_fetch_topic(body)).collect::<Result<_, _>>()?),
        None => None,
    };
    body.reader.skip_tagged_fields()?;
    Ok(group.with_topics(topics))
}

fn read_fetch_topic(body: &mut Body<'_>) -> Result<OffsetFetchRequestTopics, Malformed> {
    let topic = OffsetFetchRequestTopics::default()
        .with_topic_id(body.reader.uuid()?)
        .with_partition_indexes(body.array(4, |body| body.reader.i32())?);
    body.reader.skip_tagged_fields()?;
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::memory::allocated_by;
    use crate::fuzz::smoke;
    use crate::protocol::ids::Uuid;
    use crate::protocol::shapes::generator::{Size, generate};
    use crate::protocol::shapes::{Limits, check};

    const OFFSET_COMMIT: i16 = 8;
    const OFFSET_FETCH: i16 = 9;
    const ID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

    #[test]
    fn a_commit_names_its_topics_by_id() {
        let body = [
            &b"\x02g\0\0\0\x05\x02m\x02i\x02"[..],
            ID.as_bytes(),
            b"\x03\0\0\0\x01\0\0\0\0\0\0\0\x07\0\0\0\x03\x02x\0\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0",
            b"\0\0",
        ]
        .concat();
        check(OFFSET_COMMIT, 10, &body, &Limits::default()).expect("the shape of a commit");
        let OffsetCommit(request) = OffsetCommit::decode(&mut Bytes::from(body), 10).expect("a commit");
        let text = |text| StrBytes::from_static_str(text);
        assert_eq!(request.group_id, GroupId(text("g")));
        assert_eq!(request.generation_id_or_member_epoch, 5);
        assert_eq!((request.member_id, request.group_instance_id), (text("m"), Some(text("i"))));
        assert_eq!(request.retention_time_ms, -1);
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(1)
            .with_committed_offset(7)
            .with_committed_leader_epoch(3)
            .with_committed_metadata(Some(text("x")));
        let without_metadata = OffsetCommitRequestPartition::default()
            .with_partition_index(2)
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(None);
        let topic = OffsetCommitRequestTopic::default()
            .with_topic_id(ID)
            .with_partitions(vec![partition, without_metadata]);
        assert_eq!(request.topics, [topic]);
    }

    #[test]
    fn a_fetch_names_its_topics_by_id() {
        let body = [
            &b"\x03\x02g\0\xff\xff\xff\xff\x02"[..],
            ID.as_bytes(),
            b"\x03\0\0\0\0\0\0\0\x09\0\0",
            b"\x02h\x02m\0\0\0\x04\0\0",
            b"\x01\0",
        ]
        .concat();
        check(OFFSET_FETCH, 10, &body, &Limits::default()).expect("the shape of a fetch");
        let OffsetFetch(request) = OffsetFetch::decode(&mut Bytes::from(body), 10).expect("a fetch");
        let text = |text| StrBytes::from_static_str(text);
        let topic = OffsetFetchRequestTopics::default().with_topic_id(ID).with_partition_indexes(vec![0, 9]);
        let some = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text("g")))
            .with_member_epoch(-1)
            .with_topics(Some(vec![topic]));
        let all = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text("h")))
            .with_member_id(Some(text("m")))
            .with_member_epoch(4)
            .with_topics(None);
        assert_eq!(request.groups, [some, all]);
        assert!(request.require_stable);
    }

    /// What the walker accepts can be read, within the memory that the walker states.
    pub(super) fn reads_what_the_walker_accepts<T: Decodable>(name: &str, key: i16, version: i16) {
        let mut rng = fastrand::Rng::with_seed(10);
        let corpus: Vec<Vec<u8>> = [0, 1, 2, 4]
            .map(|elements| generate(key, version, Size { elements, unknown_tags: elements > 1 }, &mut rng))
            .into();
        smoke(name, &corpus, 200_000, |body| {
            let Ok(shape) = check(key, version, body, &Limits::default()) else { return };
            let mut bytes = Bytes::copy_from_slice(body);
            let (decoded, allocated) = allocated_by(|| T::decode(&mut bytes, version).is_ok());
            assert!(decoded, "the walker accepts what cannot be read");
            assert!(allocated <= shape.decoded_size_bytes, "{allocated} > {}", shape.decoded_size_bytes);
        });
    }

    #[test]
    fn commits_are_fuzzed() {
        reads_what_the_walker_accepts::<OffsetCommit>(
            "offset_commit",
            OFFSET_COMMIT,
            TOPIC_IDS_SINCE_VERSION,
        );
    }

    #[test]
    fn fetches_are_fuzzed() {
        reads_what_the_walker_accepts::<OffsetFetch>("offset_fetch", OFFSET_FETCH, TOPIC_IDS_SINCE_VERSION);
    }
}
