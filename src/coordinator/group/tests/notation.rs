//! How stories write down what consumer groups say: `a0` is partition 0 of topic `a`, `a0@3` says since which epoch.

use std::sync::Arc;

use bytes::{BufMut, Bytes};

use crate::coordinator::group::consumer::ConsumerGroup;
use crate::coordinator::group::consumer::HeartbeatResponse;
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::coordinator::group::consumer::embedded;
use crate::coordinator::group::records::consumer::{
    ConsumerRecord, CurrentAssignment, MemberMetadata, MemberState, OwnedPartitions,
};
use crate::protocol::ids::{PartitionIndex, TopicId};
use crate::protocol::wire;
use uuid::Uuid;

/// The id that [`TestTopics`](crate::coordinator::group::consumer::topics::tests::TestTopics) gives a topic.
fn topic_id(name: &str) -> TopicId {
    TopicId(Uuid::from_u128(name.bytes().fold(0, |id, byte| (id << 8) | u128::from(byte))))
}

fn topic_name(id: TopicId) -> String {
    id.0.as_bytes().iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
}

/// `a0,a1,b0`
pub fn parse_assignment(text: &str) -> Assignment {
    let mut assignment = Assignment::new();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let split =
            word.find(|letter: char| letter.is_ascii_digit()).expect("a partition is a topic and a number");
        let (name, index) = word.split_at(split);
        let index = PartitionIndex(index.parse().unwrap());
        assignment.entry(topic_id(name)).or_default().insert(index);
    }
    assignment
}

pub fn show_assignment(assignment: &Assignment) -> String {
    let shown = assignment
        .iter()
        .flat_map(|(topic, of)| of.iter().map(move |index| format!("{}{index}", topic_name(*topic))));
    format!("[{}]", shown.collect::<Vec<_>>().join(" "))
}

fn show_owned(owned: &OwnedPartitions) -> String {
    let shown = owned.iter().flat_map(|(topic, partitions)| {
        partitions.iter().map(move |(index, epoch)| format!("{}{index}@{epoch}", topic_name(*topic)))
    });
    format!("[{}]", shown.collect::<Vec<_>>().join(" "))
}

pub fn show_heartbeat(response: &HeartbeatResponse) -> String {
    let mut shown = format!("{} epoch={}", response.member_id, response.member_epoch);
    if let Some(assignment) = &response.assignment {
        shown.push_str(&format!(" has={}", show_assignment(assignment)));
    }
    shown
}

/// What a consumer of the classic protocol tells in its JoinGroup.
pub fn subscription(topics: &str, owned: &str) -> Bytes {
    let mut out = Vec::new();
    out.put_i16(3);
    let topics: Vec<&str> = topics.split(',').filter(|name| !name.is_empty()).collect();
    wire::put_count(&mut out, false, topics.len());
    topics.iter().for_each(|name| wire::put_string(&mut out, false, Some(name)));
    out.put_i32(-1);
    put_partitions(&mut out, &parse_assignment(owned));
    out.put_i32(-1);
    wire::put_string(&mut out, false, None);
    Bytes::from(out)
}

/// What a leader of the classic protocol assigns.
pub fn embedded_assignment(text: &str) -> Bytes {
    let mut out = vec![0, 3];
    put_partitions(&mut out, &parse_assignment(text));
    out.put_i32(-1);
    Bytes::from(out)
}

fn put_partitions(out: &mut Vec<u8>, assignment: &Assignment) {
    wire::put_count(out, false, assignment.len());
    for (topic, partitions) in assignment {
        wire::put_string(out, false, Some(&topic_name(*topic)));
        wire::put_count(out, false, partitions.len());
        partitions.iter().for_each(|index| out.put_i32(index.0));
    }
}

/// Bytes of the classic protocol: text of a story, or what consumers really say, which begins with a version.
pub fn show_bytes(bytes: &[u8]) -> String {
    if bytes.first() != Some(&0) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if let Ok(assignment) = embedded::read_assignment(bytes) {
        let shown = assignment
            .partitions
            .iter()
            .flat_map(|(name, of)| of.iter().map(move |index| format!("{name}{index}")));
        return format!("[{}]", shown.collect::<Vec<_>>().join(" "));
    }
    match embedded::read_subscription(bytes) {
        Ok(subscription) => {
            let topics: Vec<&str> = subscription.topics.iter().map(|name| &**name).collect();
            format!("reads[{}]", topics.join(" "))
        }
        Err(_) => format!("{bytes:?}"),
    }
}

fn show_current(current: &CurrentAssignment) -> String {
    let state = match current.state {
        MemberState::Stable => "stable",
        MemberState::UnrevokedPartitions => "unrevoked",
        MemberState::UnreleasedPartitions => "unreleased",
        MemberState::Unknown => "unknown",
    };
    let (epoch, previous) = (current.member_epoch, current.previous_member_epoch);
    let mut shown = format!("{state} epoch={epoch}<{previous} has={}", show_owned(&current.assigned));
    if !current.pending_revocation.is_empty() {
        shown.push_str(&format!(" gives-up={}", show_owned(&current.pending_revocation)));
    }
    shown
}

fn show_metadata(metadata: &MemberMetadata) -> String {
    let topics: Vec<&str> = metadata.subscribed_topics.iter().map(|name| &**name).collect();
    let mut shown = format!("reads=[{}]", topics.join(" "));
    let mut add = |key: &str, value: &Option<Arc<str>>| {
        if let Some(value) = value {
            shown.push_str(&format!(" {key}={value}"));
        }
    };
    add("regex", &metadata.subscribed_regex);
    add("instance", &metadata.instance_id);
    add("rack", &metadata.rack_id);
    add("assignor", &metadata.server_assignor);
    if let Some(classic) = &metadata.classic {
        let protocols: Vec<&str> = classic.protocols.iter().map(|protocol| &*protocol.name).collect();
        shown.push_str(&format!(" classic={}", protocols.join(",")));
    }
    shown
}

pub fn show_consumer_record(group: &str, record: &ConsumerRecord) -> String {
    let gone = "deleted".to_owned();
    match record {
        ConsumerRecord::Epoch(value) => {
            let value = value.map(|value| {
                let topics = if value.metadata_hash == 0 { " no-topics" } else { "" };
                format!("epoch={}{topics}", value.epoch)
            });
            format!("{group} {}", value.unwrap_or(gone))
        }
        ConsumerRecord::PartitionMetadata(value) => {
            format!("{group} partition-metadata {}", value.as_ref().map_or(gone, |_| "old".to_owned()))
        }
        ConsumerRecord::Member(id, value) => {
            format!("{group} member {id} {}", value.as_deref().map_or(gone, show_metadata))
        }
        ConsumerRecord::TargetEpoch(value) => {
            let value = value.map(|value| {
                let at = if value.timestamp.0 == 0 { " at=0" } else { "" };
                format!("epoch={}{at}", value.epoch)
            });
            format!("{group} target {}", value.unwrap_or(gone))
        }
        ConsumerRecord::Target(id, value) => {
            format!("{group} target {id} {}", value.as_deref().map_or(gone, show_assignment))
        }
        ConsumerRecord::Current(id, value) => {
            format!("{group} current {id} {}", value.as_deref().map_or(gone, show_current))
        }
        ConsumerRecord::Regex(regex, value) => {
            let value = value.as_ref().map(|value| {
                let topics: Vec<&str> = value.topics.iter().map(|name| &**name).collect();
                format!("=[{}]", topics.join(" "))
            });
            format!("{group} regex {regex} {}", value.unwrap_or(gone))
        }
    }
}

pub fn show_consumer_group(group: &ConsumerGroup, now_ms: i64) -> String {
    let target_epoch = group.target_epoch.epoch;
    let mut shown = format!("{:?} epoch={} target-epoch={target_epoch}", group.state(), group.epoch);
    for (id, member) in &group.members {
        let nothing = Arc::new(Assignment::new());
        let target = group.targets.get(id).unwrap_or(&nothing);
        shown.push_str(&format!(
            "\n  {id} {} target={}",
            show_current(&member.current),
            show_assignment(target)
        ));
        let owes = group.timers.get(id).cloned().unwrap_or_default();
        if owes.join_deadline_ms.is_some() {
            shown.push_str(" owes-join");
        }
        if owes.sync_deadline_ms.is_some() {
            shown.push_str(" owes-sync");
        }
        if let Some(deadline_ms) = group.deadline_of(id) {
            shown.push_str(&format!(" until=+{}ms", deadline_ms - now_ms));
        }
    }
    shown
}
