//! Topics and their configuration: what an answer promises is there at once, and after a restart.

use kafka_protocol::messages::{
    DeleteRecordsRequest, DeleteTopicsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    MetadataRequest, delete_records_request, delete_topics_request, describe_configs_request,
    incremental_alter_configs_request as alter, metadata_request,
};

use super::Fixture;
use super::client::{Client, batch, topic_name, values};
use crate::protocol::errors::ErrorCode;

pub fn delete(client: &mut Client, name: &str) {
    let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(topic_name(name)));
    let request = DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000);
    assert_eq!(client.call(6, &request).responses[0].error_code, 0);
}

fn names(client: &mut Client) -> Vec<String> {
    let all = client.call(12, &MetadataRequest::default().with_topics(None));
    all.topics.iter().map(|topic| topic.name.as_ref().unwrap().to_string()).collect()
}

pub fn set_config(client: &mut Client, topic: &str, key: &'static str, value: &'static str) -> i16 {
    let config = alter::AlterableConfig::default().with_name(key.into()).with_value(Some(value.into()));
    let resource = alter::AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(topic.to_owned().into())
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.call(1, &request).responses[0].error_code
}

#[test]
fn metadata_creates_a_topic_on_first_use() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    for (version, name) in [(1, "old"), (4, "middle"), (13, "new")] {
        let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request =
            MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
        let described = client.call(version, &request).topics.remove(0);
        assert_eq!(described.error_code, 0, "v{version}");
        assert_eq!(described.partitions.len(), 1);
        assert_eq!(described.partitions[0].leader_id.0, 1);
        // Usable when the answer is there.
        assert_eq!(client.produce(9, (name, described.topic_id), 0, batch(&["x"])), (0, 0));
    }
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("never")));
    let request =
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
    assert_eq!(client.call(12, &request).topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
}

/// Whether the cleaner compacts the topic, and with how many partitions it was made; `None` while there is none.
fn made(client: &mut Client, name: &str) -> Option<(String, usize)> {
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    let request =
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
    let described = client.call(12, &request).topics.remove(0);
    if described.error_code != 0 {
        assert_eq!(described.error_code, ErrorCode::UnknownTopicOrPartition.code());
        return None;
    }
    let resource = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(name.to_owned().into())
        .with_configuration_keys(Some(vec!["cleanup.policy".into()]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let config = client.call(4, &request).results.remove(0).configs.remove(0);
    Some((config.value.unwrap().to_string(), described.partitions.len()))
}

#[test]
fn the_topics_of_coordinators_are_never_created_as_ordinary_ones() {
    let fixture = Fixture::start_with(&[
        ("num.partitions", "5"),
        ("offsets.topic.num.partitions", "2"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.num.partitions", "3"),
        ("transaction.state.log.replication.factor", "1"),
    ]);
    let mut client = fixture.client();
    assert_eq!(made(&mut client, "__consumer_offsets"), Some(("compact".to_owned(), 2)));
    assert_eq!(made(&mut client, "__transaction_state"), Some(("compact".to_owned(), 3)));
    assert_eq!(made(&mut client, "__share_group_state"), None);
    assert_eq!(made(&mut client, "__cluster_metadata"), None);
    assert_eq!(made(&mut client, "ordinary"), Some(("delete".to_owned(), 5)));
}

#[test]
fn topics_records_and_configs_survive_a_restart() {
    let mut fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("kept", 3, &[]);
    client.create_topic("gone", 1, &[]);
    client.produce(9, ("kept", id), 2, batch(&["a", "b"]));
    delete(&mut client, "gone");
    assert_eq!(set_config(&mut client, "kept", "max.message.bytes", "100"), 0);
    assert_eq!(names(&mut client), ["kept"]);
    drop(client);
    fixture.restart();
    let mut client = fixture.client();
    assert_eq!(names(&mut client), ["kept"]);
    assert_eq!(client.topic_id("kept"), id);
    assert_eq!(values(&client.fetch(13, ("kept", id), 2, 0)).len(), 2);
    let too_large = client.produce(9, ("kept", id), 2, batch(&[&"x".repeat(200)]));
    assert_eq!(too_large.0, ErrorCode::MessageTooLarge.code());
    assert_eq!(client.produce(9, ("kept", id), 2, batch(&["c"])), (0, 2));
}

#[test]
fn a_config_applies_to_the_next_request_and_a_bad_one_is_refused() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    assert_eq!(client.produce(9, ("t", id), 0, batch(&[&"x".repeat(200)])), (0, 0));
    assert_eq!(set_config(&mut client, "t", "max.message.bytes", "100"), 0);
    let too_large = client.produce(9, ("t", id), 0, batch(&[&"x".repeat(200)]));
    assert_eq!(too_large.0, ErrorCode::MessageTooLarge.code());
    assert_eq!(set_config(&mut client, "t", "retention.ms", "soon"), ErrorCode::InvalidConfig.code());
    assert_eq!(set_config(&mut client, "t", "no.such.key", "1"), ErrorCode::InvalidConfig.code());
    assert_eq!(
        set_config(&mut client, "missing", "retention.ms", "1"),
        ErrorCode::UnknownTopicOrPartition.code()
    );
}

#[test]
fn a_topic_created_again_under_the_same_name_is_empty() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let first = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", first), 0, batch(&["old"]));
    delete(&mut client, "t");
    let second = client.create_topic("t", 1, &[]);
    assert_ne!(first, second);
    assert_eq!(client.produce(13, ("t", first), 0, batch(&["x"])).0, ErrorCode::UnknownTopicId.code());
    assert_eq!(client.produce(13, ("t", second), 0, batch(&["new"])), (0, 0));
    assert_eq!(values(&client.fetch(13, ("t", second), 0, 0)), [(0, "new".to_owned())]);
}

/// DeleteRecords on partition 0 of `t`: error code and low watermark.
pub fn delete_records(client: &mut Client, before: i64) -> (i16, i64) {
    let partition = delete_records_request::DeleteRecordsPartition::default().with_offset(before);
    let topic = delete_records_request::DeleteRecordsTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000);
    let answer = client.call(2, &request).topics.remove(0).partitions.remove(0);
    (answer.error_code, answer.low_watermark)
}

#[test]
fn deleted_records_stay_deleted() {
    let mut fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    for _ in 0..5 {
        client.produce(9, ("t", id), 0, batch(&["x"]));
    }
    assert_eq!(delete_records(&mut client, 3), (0, 3));
    assert_eq!(delete_records(&mut client, 2), (0, 3), "it never goes back");
    assert_eq!(delete_records(&mut client, 6).0, ErrorCode::OffsetOutOfRange.code());
    assert_eq!(client.list_offset("t", 0, -2).0, 3);
    drop(client);
    fixture.restart();
    let mut client = fixture.client();
    assert_eq!(client.list_offset("t", 0, -2).0, 3);
    let below = client.fetch(12, ("t", id), 0, 2);
    assert_eq!(below.responses[0].partitions[0].error_code, ErrorCode::OffsetOutOfRange.code());
    assert_eq!(delete_records(&mut client, -1), (0, 5), "-1 is the high watermark");
}
