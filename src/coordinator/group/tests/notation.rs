//! How stories write down what consumer groups say: `a0` is partition 0 of topic `a`, `a0@3` says since which epoch.

use std::sync::Arc;

use crate::coordinator::group::consumer::ConsumerGroup;
use crate::coordinator::group::consumer::HeartbeatResponse;
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::coordinator::group::records::consumer::{
    ConsumerRecord, CurrentAssignment, MemberMetadata, MemberState, OwnedPartitions,
};
use crate::protocol::ids::{PartitionIndex, TopicId};
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
        if let Some(deadline_ms) = group.deadline_of(id) {
            shown.push_str(&format!(" until=+{}ms", deadline_ms - now_ms));
        }
    }
    shown
}
