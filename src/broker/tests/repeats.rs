//! What a request names again is told once, so that repeating a short name does not make a long answer.

use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeConfigsRequest, DescribeGroupsRequest, GroupId, MetadataRequest,
    OffsetFetchRequest, describe_configs_request, metadata_request, offset_fetch_request,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::Fixture;
use super::client::topic_name;
use super::groups::client;

const TOPIC: i8 = 2;

fn group_id(group: &'static str) -> GroupId {
    GroupId(StrBytes::from_static_str(group))
}

fn fixture() -> Fixture {
    Fixture::start_with(&[("offsets.topic.replication.factor", "1"), ("offsets.topic.num.partitions", "1")])
}

#[test]
fn a_group_is_described_once() {
    let fixture = fixture();
    let mut client = fixture.client();
    let groups = ["a", "b", "a", "a"].map(group_id);
    let request = DescribeGroupsRequest::default().with_groups(groups.to_vec());
    let described = client.call(5, &request).groups.into_iter().map(|group| group.group_id);
    assert_eq!(described.collect::<Vec<_>>(), groups[..2]);
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(groups.to_vec());
    let described = client.call(1, &request).groups.into_iter().map(|group| group.group_id);
    assert_eq!(described.collect::<Vec<_>>(), groups[..2]);
}

#[test]
fn the_offset_of_a_partition_is_told_once() {
    let fixture = fixture();
    let mut client = client(&fixture);
    let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![0, 1, 0, 0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(group_id("g"))
        .with_topics(Some(vec![topic.clone(), topic]));
    let topics = client.call(7, &request).topics;
    assert_eq!(topics.iter().map(|topic| topic.partitions.len()).collect::<Vec<_>>(), [2, 0]);

    let topic = offset_fetch_request::OffsetFetchRequestTopics::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![1, 1]);
    let group = offset_fetch_request::OffsetFetchRequestGroup::default()
        .with_group_id(group_id("g"))
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group.clone(), group]);
    let groups = client.call(9, &request).groups;
    let told = groups.iter().map(|group| group.topics[0].partitions.len());
    assert_eq!(told.collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn a_topic_is_told_once_by_its_id_or_name() {
    let fixture = fixture();
    let mut client = fixture.client();
    let id = client.create_topic("t", 3, &[]);
    let topic = metadata_request::MetadataRequestTopic::default();
    let by_id = topic.clone().with_topic_id(id).with_name(None);
    let by_name = topic.with_topic_id(Uuid::nil()).with_name(Some(topic_name("t")));
    for topic in [by_id, by_name] {
        let request = MetadataRequest::default().with_topics(Some(vec![topic; 3]));
        assert_eq!(client.call(12, &request).topics.len(), 1);
    }
}

#[test]
fn all_keys_of_a_resource_are_told_once() {
    let fixture = fixture();
    let mut client = fixture.client();
    client.create_topic("t", 1, &[]);
    let resource = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(StrBytes::from_static_str("t"))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource; 3]);
    assert_eq!(client.call(4, &request).results.len(), 1);
}
