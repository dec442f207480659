//! Consumer groups of KIP-848 over the socket: members that join, share, commit and leave, and what tools see of them.

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest, OffsetCommitRequest,
    OffsetFetchRequest, TopicName,
};
use uuid::Uuid;

use super::Fixture;
use super::client::Client;
use super::groups;
use crate::protocol::errors::ErrorCode;

const NONE: i16 = 0;

fn fixture(keys: &[(&str, &str)]) -> Fixture {
    let own = [("offsets.topic.replication.factor", "1"), ("offsets.topic.num.partitions", "2")];
    Fixture::start_with(&[&own, keys].concat())
}

fn group_id(group: &str) -> GroupId {
    GroupId(group.to_owned().into())
}

fn joining(member: &str, topic: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group_id("g"))
        .with_member_id(member.to_owned().into())
        .with_member_epoch(0)
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![TopicName(topic.to_owned().into())]))
        .with_topic_partitions(Some(Vec::new()))
}

fn beating(member: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group_id("g"))
        .with_member_id(member.to_owned().into())
        .with_member_epoch(member_epoch)
        .with_rebalance_timeout_ms(-1)
}

fn assigned(response: &ConsumerGroupHeartbeatResponse) -> Vec<(Uuid, Vec<i32>)> {
    let assignment = response.assignment.iter().flat_map(|assignment| &assignment.topic_partitions);
    assignment.map(|topic| (topic.topic_id, topic.partitions.clone())).collect()
}

fn commit(client: &mut Client, member: &str, member_epoch: i32) -> i16 {
    let partition = OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(7);
    let topic =
        OffsetCommitRequestTopic::default().with_name(TopicName("t".into())).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id("g"))
        .with_member_id(member.to_owned().into())
        .with_generation_id_or_member_epoch(member_epoch)
        .with_topics(vec![topic]);
    client.call(9, &request).topics[0].partitions[0].error_code
}

fn fetch(client: &mut Client, member: &str, member_epoch: i32) -> (i16, usize) {
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(group_id("g"))
        .with_member_id(Some(member.to_owned().into()))
        .with_member_epoch(member_epoch)
        .with_topics(None);
    let response = client.call(9, &OffsetFetchRequest::default().with_groups(vec![group]));
    (response.groups[0].error_code, response.groups[0].topics.len())
}

#[test]
fn members_join_share_commit_and_leave() {
    let fixture = fixture(&[("group.consumer.assignment.interval.ms", "0")]);
    let mut client = groups::client(&fixture);
    let topic = client.create_topic("t", 2, &[]);
    let first = client.call(1, &joining("m1", "t"));
    assert_eq!((first.error_code, first.member_epoch, first.heartbeat_interval_ms), (NONE, 2, 5000));
    assert_eq!(first.member_id.as_deref(), Some("m1"));
    assert_eq!(assigned(&first), [(topic, vec![0, 1])]);
    let quiet = client.call(1, &beating("m1", 2));
    assert_eq!((quiet.error_code, quiet.member_epoch, quiet.assignment.is_none()), (NONE, 2, true));
    assert_eq!(commit(&mut client, "m1", 2), NONE);
    assert_eq!(commit(&mut client, "m1", 3), ErrorCode::StaleMemberEpoch.code());
    assert_eq!(commit(&mut client, "", -1), ErrorCode::UnknownMemberId.code());
    assert_eq!(fetch(&mut client, "m1", 2), (NONE, 1));
    assert_eq!(fetch(&mut client, "m1", 3), (ErrorCode::StaleMemberEpoch.code(), 0));
    assert_eq!(fetch(&mut client, "m9", 1), (ErrorCode::UnknownMemberId.code(), 0));

    let nothing = TopicPartitions::default().with_topic_id(topic);
    let owner = client.call(1, &joining("m2", "t").with_topic_partitions(Some(vec![nothing])));
    assert_eq!(owner.error_code, ErrorCode::InvalidRequest.code());
    let second = client.call(1, &joining("m2", "t"));
    assert_eq!((second.member_epoch, assigned(&second)), (3, vec![]));
    let asked = client.call(1, &beating("m1", 2));
    assert_eq!((asked.member_epoch, assigned(&asked)), (2, vec![(topic, vec![0])]));
    let owned = TopicPartitions::default().with_topic_id(topic).with_partitions(vec![0]);
    let acknowledged = client.call(1, &beating("m1", 2).with_topic_partitions(Some(vec![owned])));
    assert_eq!(acknowledged.member_epoch, 3);
    assert_eq!(assigned(&client.call(1, &beating("m2", 3))), [(topic, vec![1])]);
    let fenced = client.call(1, &beating("m1", 7));
    assert_eq!(fenced.error_code, ErrorCode::FencedMemberEpoch.code());
    assert!(fenced.error_message.unwrap().contains("has a greater member epoch (7)"));

    for member in ["m1", "m2"] {
        assert_eq!(client.call(1, &beating(member, -1)).error_code, NONE);
    }
    let deleted = client.call(2, &DeleteGroupsRequest::default().with_groups_names(vec![group_id("g")]));
    assert_eq!(deleted.results[0].error_code, NONE);
    let gone = client.call(1, &beating("m1", 2));
    assert_eq!(gone.error_code, ErrorCode::GroupIdNotFound.code());
}

#[test]
fn tools_see_the_group_as_one_of_its_type() {
    let fixture = fixture(&[]);
    let mut client = groups::client(&fixture);
    client.create_topic("t", 2, &[]);
    assert_eq!(client.call(1, &joining("m1", "t")).error_code, NONE);
    let listed = client.call(5, &ListGroupsRequest::default());
    let listed = &listed.groups[0];
    let shown = (listed.group_type.as_str(), listed.protocol_type.as_str(), listed.group_state.as_str());
    assert_eq!(shown, ("consumer", "consumer", "Stable"));
    let request = ListGroupsRequest::default().with_types_filter(vec!["classic".into()]);
    assert!(client.call(5, &request).groups.is_empty());

    let groups = ["g", "nothing", ""].map(group_id);
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(groups.into());
    let described = client.call(1, &request).groups;
    let group = &described[0];
    assert_eq!((group.error_code, group.group_epoch, group.assignment_epoch), (NONE, 2, 2));
    assert_eq!((group.group_state.as_str(), group.assignor_name.as_str()), ("Stable", "uniform"));
    let member = &group.members[0];
    assert_eq!((member.member_id.as_str(), member.member_epoch, member.member_type), ("m1", 2, 1));
    assert_eq!(member.subscribed_topic_regex.as_deref(), Some(""));
    assert_eq!(member.assignment, member.target_assignment);
    assert_eq!(member.assignment.topic_partitions[0].topic_name.as_str(), "t");
    assert_eq!(member.assignment.topic_partitions[0].partitions, [0, 1]);
    assert_eq!(described[1].error_code, ErrorCode::GroupIdNotFound.code());
    assert_eq!(described[1].error_message.as_deref(), Some("Group nothing not found."));
    assert_eq!(described[2].error_code, ErrorCode::InvalidGroupId.code());

    let request = DescribeGroupsRequest::default().with_groups(vec![group_id("g")]);
    let old = &client.call(5, &request).groups[0];
    assert_eq!((old.error_code, old.group_state.as_str()), (NONE, "Dead"));
    let new = &client.call(6, &request).groups[0];
    assert_eq!(new.error_code, ErrorCode::GroupIdNotFound.code());
    assert_eq!(new.error_message.as_deref(), Some("Group g is not a classic group."));
}

#[test]
fn a_group_finds_itself_again_after_a_restart() {
    let mut fixture = fixture(&[]);
    let mut client = groups::client(&fixture);
    let topic = client.create_topic("t", 1, &[]);
    assert_eq!(client.call(1, &joining("m1", "t")).member_epoch, 2);
    fixture.restart();
    let mut client = groups::client(&fixture);
    let back = client.call(1, &beating("m1", 2));
    assert_eq!((back.error_code, back.member_epoch, back.assignment.is_none()), (NONE, 2, true));
    let again = client.call(1, &joining("m1", "t"));
    assert_eq!(assigned(&again), [(topic, vec![0])]);
}

#[test]
fn a_topic_that_grows_is_seen_at_the_next_heartbeat() {
    let fixture = fixture(&[("group.consumer.assignment.interval.ms", "0")]);
    let mut client = groups::client(&fixture);
    let nothing = client.call(1, &joining("m1", "t"));
    assert_eq!((nothing.member_epoch, assigned(&nothing)), (2, vec![]));
    let topic = client.create_topic("t", 1, &[]);
    let response = client.call(1, &beating("m1", 2));
    assert_eq!((response.member_epoch, assigned(&response)), (3, vec![(topic, vec![0])]));
}

#[test]
fn a_broker_that_does_not_serve_the_protocol_says_so() {
    let fixture = fixture(&[("group.coordinator.rebalance.protocols", "classic")]);
    let mut client = groups::client(&fixture);
    let refused = client.call(1, &joining("m1", "t"));
    assert_eq!(refused.error_code, ErrorCode::UnsupportedVersion.code());
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id("g")]);
    assert_eq!(client.call(1, &request).groups[0].error_code, ErrorCode::UnsupportedVersion.code());
}
