//! OffsetFetch (key 9), v0-10, of which the codec crate reads neither the oldest nor the newest; in [`commit`]
//! OffsetCommit, in [`transactional`] TxnOffsetCommit.
//!
//! Decodes into the codec crate's type: v0, which has the bytes of v1, and up to v9 by the crate, v10 by hand, whose
//! topics have an id and no name (KIP-848). Kafka: `OffsetFetchRequest.json`.

pub mod commit;
pub mod transactional;

use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest};
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{Decodable, Message, VersionRange};

use super::body::Body;
use super::wire::Malformed;

/// From this version on OffsetCommit, OffsetFetch and their answers have ids in the place of names.
pub const TOPIC_IDS_SINCE_VERSION: i16 = 10;

const FLEXIBLE: bool = true;

/// An OffsetFetch of any served version.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFetch(pub OffsetFetchRequest);

impl Message for OffsetFetch {
    const VERSIONS: VersionRange = VersionRange { min: 0, max: TOPIC_IDS_SINCE_VERSION };
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl Decodable for OffsetFetch {
    fn decode<B: ByteBuf>(buffer: &mut B, version: i16) -> anyhow::Result<OffsetFetch> {
        let request = match version {
            TOPIC_IDS_SINCE_VERSION => Body::take(buffer, FLEXIBLE, read)?,
            _ => OffsetFetchRequest::decode(buffer, version.max(OffsetFetchRequest::VERSIONS.min))?,
        };
        Ok(OffsetFetch(request))
    }
}

fn read(body: &mut Body<'_>) -> Result<OffsetFetchRequest, Malformed> {
    let request = OffsetFetchRequest::default()
        .with_groups(body.array(8, read_group)?)
        .with_require_stable(body.reader.i8()? != 0);
    body.reader.skip_tagged_fields()?;
    Ok(request)
}

fn read_group(body: &mut Body<'_>) -> Result<OffsetFetchRequestGroup, Malformed> {
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(body.string()?))
        .with_member_id(body.nullable_string()?)
        .with_member_epoch(body.reader.i32()?)
        .with_topics(body.nullable_array(18, read_topic)?);
    body.reader.skip_tagged_fields()?;
    Ok(group)
}

fn read_topic(body: &mut Body<'_>) -> Result<OffsetFetchRequestTopics, Malformed> {
    let topic = OffsetFetchRequestTopics::default()
        .with_topic_id(body.reader.uuid()?)
        .with_partition_indexes(body.int32s()?);
    body.reader.skip_tagged_fields()?;
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
    use kafka_protocol::protocol::StrBytes;

    use super::*;
    use crate::protocol::body::tests::reads_what_the_walker_accepts;
    use crate::protocol::ids::Uuid;
    use crate::protocol::shapes::{Limits, check};

    const KEY: i16 = 9;
    const ID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

    #[test]
    fn the_newest_names_its_topics_by_id() {
        let body = [
            &b"\x03\x02g\0\xff\xff\xff\xff\x02"[..],
            ID.as_bytes(),
            b"\x03\0\0\0\0\0\0\0\x09\0\0",
            b"\x02h\x02m\0\0\0\x04\0\0",
            b"\x01\0",
        ]
        .concat();
        check(KEY, 10, &body, &Limits::default()).expect("the shape of a fetch");
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

    #[test]
    fn the_oldest_is_read_as_the_next() {
        let body = b"\0\x01g\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x09";
        let topic = OffsetFetchRequestTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partition_indexes(vec![0, 9]);
        let expected = OffsetFetchRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str("g")))
            .with_topics(Some(vec![topic]));
        for version in [0, 1] {
            check(KEY, version, body, &Limits::default()).expect("the shape of a fetch");
            let read = OffsetFetch::decode(&mut Bytes::from_static(body), version).expect("a fetch");
            assert_eq!(read.0, expected, "v{version}");
        }
    }

    #[test]
    fn fetches_are_fuzzed() {
        for version in [0, TOPIC_IDS_SINCE_VERSION] {
            reads_what_the_walker_accepts::<OffsetFetch>("offset_fetch", KEY, version);
        }
    }
}
