//! OffsetFetch (key 9), v0-10: what groups have committed.
//!
//! KIP-447 (v7: `require_stable` refuses what an open transaction may replace), KIP-709 (v8: many groups in one
//! request), KIP-848 (v9: members, v10: topic ids). A group or a partition without an offset has offset -1 and no
//! error. v0 asks for offsets in ZooKeeper, and is refused. Kafka: `KafkaApis.handleOffsetFetchRequest`, `OffsetFetchResponse.Builder`.
//!
//! What is asked for several times, a partition or everything that a group has committed, is told once, at the first
//! mention, where Kafka tells it each time: metadata of 4 KiB for an index of 4 bytes is as large as the client likes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::context::RequestContext;
use super::wire;
use crate::coordinator::group::offsets::{self, FetchTopic, TopicOffsets};
use crate::coordinator::group::pending::Unstable;
use crate::coordinator::group::records::OffsetValue;
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::Stored;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{PartitionIndex, TopicId};
use crate::protocol::offsets::{OffsetFetch, TOPIC_IDS_SINCE_VERSION};
use crate::protocol::old::AnyVersion;

/// First version with groups.
const GROUPS_SINCE_VERSION: i16 = 8;
/// First version with an error of the whole group.
const GROUP_ERROR_SINCE_VERSION: i16 = 2;

/// First version that reads what coordinators keep; the one before it means offsets in ZooKeeper.
const COORDINATOR_SINCE_VERSION: i16 = 1;

const UNSTABLE: ErrorCode = ErrorCode::UnstableOffsetCommit;

pub async fn handle(
    context: &RequestContext,
    OffsetFetch(request): OffsetFetch,
) -> anyhow::Result<AnyVersion<OffsetFetchResponse>> {
    if context.version < GROUPS_SINCE_VERSION {
        return Ok(AnyVersion(fetch_one(context, request).await));
    }
    let mut mentioned = Mentioned::default();
    let mut groups = Vec::with_capacity(request.groups.len());
    for mut group in request.groups {
        if mentioned.leaves_something_of(&mut group) {
            groups.push(fetch_group(context, group, request.require_stable).await);
        }
    }
    Ok(AnyVersion(OffsetFetchResponse::default().with_groups(groups)))
}

/// What a request has asked for so far.
#[derive(Default)]
struct Mentioned {
    /// Groups of which everything is told.
    whole: HashSet<GroupId>,
    partitions: HashMap<(GroupId, TopicName, Uuid), HashSet<i32>>,
}

impl Mentioned {
    /// Takes out of `group` what was asked for before. False for a group of which everything has been told.
    fn leaves_something_of(&mut self, group: &mut OffsetFetchRequestGroup) -> bool {
        let Some(topics) = &mut group.topics else { return self.whole.insert(group.group_id.clone()) };
        for topic in topics {
            let key = (group.group_id.clone(), topic.name.clone(), topic.topic_id);
            let seen = self.partitions.entry(key).or_default();
            topic.partition_indexes.retain(|index| seen.insert(*index));
        }
        true
    }
}

/// Versions before groups: asks for one, and answers in their fields.
async fn fetch_one(context: &RequestContext, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if context.version < COORDINATOR_SINCE_VERSION {
        return refuse_one(request.topics, ErrorCode::UnsupportedVersion.code());
    }
    let topics = request.topics.as_ref().map(|topics| {
        let topic = |topic: &OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics::default()
                .with_name(topic.name.clone())
                .with_partition_indexes(topic.partition_indexes.clone())
        };
        topics.iter().map(topic).collect()
    });
    let mut asked = OffsetFetchRequestGroup::default().with_group_id(request.group_id).with_topics(topics);
    Mentioned::default().leaves_something_of(&mut asked);
    let group = fetch_group(context, asked, request.require_stable).await;
    if group.error_code != ErrorCode::None.code() && context.version < GROUP_ERROR_SINCE_VERSION {
        return refuse_one(request.topics, group.error_code);
    }
    let topics = group.topics.into_iter().map(|topic| {
        OffsetFetchResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(topic.partitions.into_iter().map(ungrouped).collect())
    });
    OffsetFetchResponse::default().with_error_code(group.error_code).with_topics(topics.collect())
}

/// An error of the whole group where the version has none: each partition has it.
fn refuse_one(topics: Option<Vec<OffsetFetchRequestTopic>>, code: i16) -> OffsetFetchResponse {
    let partition = |index| ungrouped(nothing(index).with_error_code(code));
    let topics = topics.into_iter().flatten().map(|topic| {
        OffsetFetchResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(topic.partition_indexes.into_iter().map(partition).collect())
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

fn ungrouped(partition: OffsetFetchResponsePartitions) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition::default()
        .with_partition_index(partition.partition_index)
        .with_committed_offset(partition.committed_offset)
        .with_committed_leader_epoch(partition.committed_leader_epoch)
        .with_metadata(partition.metadata)
        .with_error_code(partition.error_code)
}

async fn fetch_group(
    context: &RequestContext,
    group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let reading = Reading {
        context,
        group: wire::shared(&group.group_id),
        member_id: group.member_id.as_ref().map(wire::shared),
        member_epoch: group.member_epoch,
        require_stable,
    };
    let fetched = match group.topics {
        Some(topics) => fetch_some(reading, topics).await,
        None => fetch_all(reading).await,
    };
    let answer = OffsetFetchResponseGroup::default().with_group_id(group.group_id);
    match fetched {
        Ok(topics) => answer.with_topics(topics),
        Err(error) => answer.with_error_code(error.code.code()),
    }
}

/// The offsets of the partitions that are asked for; topics with an id that nobody has come last.
async fn fetch_some(
    reading: Reading<'_>,
    asked: Vec<OffsetFetchRequestTopics>,
) -> Result<Vec<OffsetFetchResponseTopics>, ApiError> {
    let image = reading.context.services.image();
    let mut known = Vec::with_capacity(asked.len());
    let mut unknown = Vec::new();
    let mut wanted = Vec::with_capacity(asked.len());
    for topic in asked {
        let (name, id) = if reading.context.version < TOPIC_IDS_SINCE_VERSION {
            // What was committed outlives its topic for a moment, and Kafka does not look.
            (Arc::from(topic.name.as_str()), TopicId::ZERO)
        } else if let Some(found) = image.topic_by_id(TopicId(topic.topic_id)) {
            (found.name.clone(), found.id)
        } else {
            unknown.push(topic);
            continue;
        };
        let partitions = topic.partition_indexes.iter().copied().map(PartitionIndex).collect();
        wanted.push(FetchTopic { name: name.clone(), id, partitions });
        known.push((name, topic));
    }
    let group = reading.group.clone();
    let (found, unstable) = reading.read(move |stored| offsets::fetch(&group, &wanted, stored)).await?;
    let mut found = found.into_iter();
    let known = known.into_iter().map(|(name, topic)| {
        let values = found.by_ref();
        answer_topic(topic, |index| match values.next().flatten() {
            _ if unstable.contains(&name, PartitionIndex(index)) => refused(index, UNSTABLE),
            Some(value) => committed(index, value),
            None => nothing(index),
        })
    });
    let mut topics: Vec<OffsetFetchResponseTopics> = known.collect();
    let unknown = unknown.into_iter();
    topics
        .extend(unknown.map(|topic| answer_topic(topic, |index| refused(index, ErrorCode::UnknownTopicId))));
    Ok(topics)
}

/// Everything that the group has committed.
async fn fetch_all(reading: Reading<'_>) -> Result<Vec<OffsetFetchResponseTopics>, ApiError> {
    let group = reading.group.clone();
    let (found, unstable) = reading.read(move |stored| offsets::fetch_all(&group, stored)).await?;
    let partitions = |topic: TopicOffsets| {
        let name = topic.name;
        let answer = |(index, value)| match unstable.contains(&name, index) {
            true => refused(index.0, UNSTABLE),
            false => committed(index.0, value),
        };
        topic.partitions.into_iter().map(answer).collect()
    };
    if reading.context.version < TOPIC_IDS_SINCE_VERSION {
        let topics = found.into_iter().map(|topic| {
            OffsetFetchResponseTopics::default()
                .with_name(TopicName(wire::text(&topic.name)))
                .with_partitions(partitions(topic))
        });
        return Ok(topics.collect());
    }
    // A topic that is gone has no id to be called by.
    let image = reading.context.services.image();
    let topics = found.into_iter().filter_map(|topic| {
        let id = image.topic(&topic.name)?.id;
        Some(OffsetFetchResponseTopics::default().with_topic_id(id.0).with_partitions(partitions(topic)))
    });
    Ok(topics.collect())
}

/// How the offsets of one group are read, and who asks: from v9 on members of consumer groups say who they are.
struct Reading<'a> {
    context: &'a RequestContext,
    group: Arc<str>,
    member_id: Option<Arc<str>>,
    /// -1 for who is no member.
    member_epoch: i32,
    /// Tell of the partitions whose offsets are to change (KIP-447).
    require_stable: bool,
}

impl Reading<'_> {
    /// What is committed to the group's partition of `__consumer_offsets`, and which offsets an open transaction may
    /// replace: none, unless that is asked for.
    async fn read<T: Send + 'static>(
        &self,
        look: impl Fn(&dyn Stored) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<(T, Arc<Unstable>), ApiError> {
        let groups = &self.context.services.groups;
        let partition = groups.partition_of(&self.context.services.image(), &self.group)?;
        let look = move |unstable: &Arc<Unstable>, stored: &dyn Stored| Ok((look(stored)?, unstable.clone()));
        let may_read = |shard: &GroupShard| {
            shard.validate_offset_fetch(&self.group, self.member_id.as_deref(), self.member_epoch)
        };
        if !self.require_stable {
            let check = |shard: &GroupShard| may_read(shard).map(|()| Arc::default());
            return groups.runtime.read(partition, check, look).await;
        }
        // A transaction that has just begun here counts before its records are committed, and one that has ended does
        // not, so the offsets are of the same moment.
        let check = |shard: &GroupShard| {
            may_read(shard)?;
            Ok(Arc::new(shard.unstable(&self.group)))
        };
        groups.runtime.read_newest(partition, check, look).await
    }
}

fn answer_topic(
    topic: OffsetFetchRequestTopics,
    partition: impl FnMut(i32) -> OffsetFetchResponsePartitions,
) -> OffsetFetchResponseTopics {
    OffsetFetchResponseTopics::default()
        .with_name(topic.name)
        .with_topic_id(topic.topic_id)
        .with_partitions(topic.partition_indexes.into_iter().map(partition).collect())
}

fn committed(partition: i32, value: OffsetValue) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(partition)
        .with_committed_offset(value.offset.0)
        .with_committed_leader_epoch(value.leader_epoch.0)
        .with_metadata(Some(StrBytes::from_string(value.metadata)))
}

fn refused(partition: i32, code: ErrorCode) -> OffsetFetchResponsePartitions {
    nothing(partition).with_error_code(code.code())
}

fn nothing(partition: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(partition)
        .with_committed_offset(-1)
        .with_committed_leader_epoch(-1)
        .with_metadata(Some(StrBytes::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, id: u128, partitions: &[i32]) -> OffsetFetchRequestTopics {
        OffsetFetchRequestTopics::default()
            .with_name(TopicName(wire::text(name)))
            .with_topic_id(Uuid::from_u128(id))
            .with_partition_indexes(partitions.to_vec())
    }

    fn group(id: &str, topics: Option<Vec<OffsetFetchRequestTopics>>) -> OffsetFetchRequestGroup {
        OffsetFetchRequestGroup::default().with_group_id(GroupId(wire::text(id))).with_topics(topics)
    }

    fn told(mut asked: Vec<OffsetFetchRequestGroup>) -> Vec<OffsetFetchRequestGroup> {
        let mut mentioned = Mentioned::default();
        asked.retain_mut(|group| mentioned.leaves_something_of(group));
        asked
    }

    #[test]
    fn everything_of_a_group_is_told_once() {
        let some = Some(Vec::new());
        let asked = vec![group("a", None), group("a", some.clone()), group("b", None), group("a", None)];
        assert_eq!(told(asked), [group("a", None), group("a", some), group("b", None)]);
    }

    #[test]
    fn a_partition_of_a_group_is_told_once() {
        let asked = vec![
            group("a", Some(vec![topic("t", 0, &[0, 1, 0]), topic("u", 0, &[0]), topic("t", 0, &[1, 2])])),
            group("b", Some(vec![topic("t", 0, &[0]), topic("", 7, &[0]), topic("", 8, &[0, 0])])),
            group("a", Some(vec![topic("u", 0, &[0])])),
        ];
        let once = [
            group("a", Some(vec![topic("t", 0, &[0, 1]), topic("u", 0, &[0]), topic("t", 0, &[2])])),
            group("b", Some(vec![topic("t", 0, &[0]), topic("", 7, &[0]), topic("", 8, &[0])])),
            group("a", Some(vec![topic("u", 0, &[])])),
        ];
        assert_eq!(told(asked), once);
    }
}
