//! What consumers of the classic protocol tell their leader, and it tells them: the bytes inside JoinGroup and SyncGroup,
//! which the coordinator reads and writes itself for classic members of a consumer group. Kafka: `ConsumerProtocol`,
//! `ConsumerProtocolSubscription.json`, `ConsumerProtocolAssignment.json`, versions 0-3.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{BufMut, Bytes};

use super::assignment::Assignment;
use super::topics::Topics;
use crate::protocol::ids::PartitionIndex;
use crate::protocol::wire::{self, Malformed, Reader};

/// The newest version that is read as what it is; later ones begin with the same fields.
const NEWEST_VERSION: i16 = 3;

/// Partitions by name of the topic.
pub type NamedPartitions = BTreeMap<Arc<str>, BTreeSet<PartitionIndex>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub topics: BTreeSet<Arc<str>>,
    pub owned: NamedPartitions,
    pub rack_id: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedAssignment {
    pub partitions: NamedPartitions,
    /// Bytes that only an assignor of the application's own understands.
    pub has_user_data: bool,
}

/// The version that a member's subscription has, and its assignment is to have.
pub fn version_of(bytes: &[u8]) -> Result<i16, Malformed> {
    match Reader::new(bytes, 0, false).i16()? {
        version if version < 0 => Err(Malformed("an embedded version is negative")),
        version => Ok(version.min(NEWEST_VERSION)),
    }
}

pub fn read_subscription(bytes: &[u8]) -> Result<Subscription, Malformed> {
    let version = version_of(bytes)?;
    let mut reader = Reader::new(bytes, 2, false);
    let count = reader.array_count(2)?;
    let topics = (0..count).map(|_| reader.owned_string().map(Arc::from)).collect::<Result<_, _>>()?;
    reader.nullable_bytes()?;
    let owned = if version >= 1 { read_partitions(&mut reader)? } else { NamedPartitions::new() };
    if version >= 2 {
        // Generation; a member that has lost its partitions owns none.
        reader.i32()?;
    }
    let rack_id = if version >= 3 { reader.nullable_string()? } else { None };
    Ok(Subscription { topics, owned, rack_id: rack_id.map(|range| Arc::from(wire::text(bytes, range))) })
}

pub fn read_assignment(bytes: &[u8]) -> Result<EmbeddedAssignment, Malformed> {
    version_of(bytes)?;
    let mut reader = Reader::new(bytes, 2, false);
    let partitions = read_partitions(&mut reader)?;
    let has_user_data = reader.nullable_bytes()?.is_some_and(|range| !range.is_empty());
    Ok(EmbeddedAssignment { partitions, has_user_data })
}

fn read_partitions(reader: &mut Reader<'_>) -> Result<NamedPartitions, Malformed> {
    let mut partitions = NamedPartitions::new();
    for _ in 0..reader.array_count(6)? {
        let topic = Arc::from(reader.owned_string()?);
        let count = reader.array_count(4)?;
        let of_topic = (0..count).map(|_| reader.i32().map(PartitionIndex)).collect::<Result<Vec<_>, _>>()?;
        partitions.entry(topic).or_default().extend(of_topic);
    }
    Ok(partitions)
}

/// An assignment as the member's leader would have sent it. Topics that are gone are left out.
pub fn write_assignment(assignment: &Assignment, version: i16, topics: &dyn Topics) -> Bytes {
    let named: Vec<_> =
        assignment.iter().filter_map(|(id, partitions)| Some((topics.name_of(*id)?, partitions))).collect();
    let mut out = Vec::new();
    out.put_i16(version);
    wire::put_count(&mut out, false, named.len());
    for (name, partitions) in named {
        wire::put_string(&mut out, false, Some(&name));
        wire::put_count(&mut out, false, partitions.len());
        partitions.iter().for_each(|partition| out.put_i32(partition.0));
    }
    // No user data.
    out.put_i32(-1);
    Bytes::from(out)
}

/// The partitions of topics that exist.
pub fn by_topic_id(named: &NamedPartitions, topics: &dyn Topics) -> Assignment {
    let known = named.iter().filter(|(_, partitions)| !partitions.is_empty());
    known.filter_map(|(name, partitions)| Some((topics.by_name(name)?.id, partitions.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::topics::tests::TestTopics;
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("the test spells hex");
        (0..text.len()).step_by(2).map(byte).collect()
    }

    /// From a Java consumer of Apache Kafka 4.4.
    const SUBSCRIPTION: &str = "000300000001000174ffffffff00000000ffffffffffff";
    const ASSIGNMENT: &str = "000300000001000174000000020000000000000001ffffffff";

    #[test]
    fn what_a_java_consumer_says_is_read() {
        let subscription = read_subscription(&unhex(SUBSCRIPTION)).unwrap();
        assert_eq!(subscription.topics, BTreeSet::from([Arc::from("t")]));
        assert_eq!((subscription.owned.len(), subscription.rack_id), (0, None));
        let assignment = read_assignment(&unhex(ASSIGNMENT)).unwrap();
        let both = BTreeSet::from([PartitionIndex(0), PartitionIndex(1)]);
        assert_eq!(assignment.partitions, NamedPartitions::from([(Arc::from("t"), both)]));
        assert!(!assignment.has_user_data);
        let mut topics = TestTopics::default();
        topics.put("t", 2);
        let by_id = by_topic_id(&assignment.partitions, &topics);
        assert_eq!(write_assignment(&by_id, 3, &topics), unhex(ASSIGNMENT));
        topics.delete("t");
        assert!(by_topic_id(&assignment.partitions, &topics).is_empty());
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        for size in 0..unhex(SUBSCRIPTION).len() {
            assert!(read_subscription(&unhex(SUBSCRIPTION)[..size]).is_err(), "cut to {size} bytes");
        }
        for size in 0..unhex(ASSIGNMENT).len() {
            assert!(read_assignment(&unhex(ASSIGNMENT)[..size]).is_err(), "cut to {size} bytes");
        }
        assert!(version_of(&[0xff, 0xff]).is_err());
        assert_eq!(version_of(&[0, 9]), Ok(3));
    }
}
