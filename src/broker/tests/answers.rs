//! The shapes of answers, where Kafka's are not what one would guess: what is null and what is empty, which error comes
//! first, what is left out. Most of these were found by the differential fuzz (`compat-tests/suites/diff-fuzz`).

use kafka_protocol::messages::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest, BrokerId,
    CreateTopicsRequest, DeleteRecordsRequest, DescribeClientQuotasRequest, DescribeConfigsRequest,
    DescribeQuorumRequest, DescribeTopicPartitionsRequest, DescribeUserScramCredentialsRequest,
    IncrementalAlterConfigsRequest, MetadataRequest, MetadataResponse, TopicName, alter_configs_request,
    alter_partition_reassignments_request, alter_replica_log_dirs_request, create_topics_request,
    delete_records_request, describe_configs_request, describe_quorum_request,
    describe_topic_partitions_request, incremental_alter_configs_request, metadata_request,
};
use uuid::Uuid;

use super::Fixture;
use super::client::{Client, batch, fetch, topic_name};
use crate::protocol::errors::ErrorCode;

const TOPIC: i8 = 2;
const NOT_ASKED: i32 = i32::MIN;

fn metadata(client: &mut Client, version: i16, id: Uuid, name: Option<TopicName>) -> MetadataResponse {
    let topic = metadata_request::MetadataRequestTopic::default().with_topic_id(id).with_name(name);
    let mut request = MetadataRequest::default().with_topics(Some(vec![topic]));
    request.include_topic_authorized_operations = version >= 8;
    request.allow_auto_topic_creation = false;
    client.call(version, &request)
}

#[test]
fn the_quorum_is_described_in_every_version() {
    let fixture = Fixture::start_with(&[
        ("listeners", "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0"),
        ("controller.listener.names", "CONTROLLER"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
    ]);
    let mut client = fixture.client();
    for version in 0..=2 {
        let mut ask = |topic: &str| {
            let partition = describe_quorum_request::PartitionData::default().with_partition_index(0);
            let topic = describe_quorum_request::TopicData::default()
                .with_topic_name(topic_name(topic))
                .with_partitions(vec![partition]);
            client.call(version, &DescribeQuorumRequest::default().with_topics(vec![topic]))
        };
        let described = ask("__cluster_metadata");
        let partition = &described.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id), (0, BrokerId(1)), "v{version}");
        assert_eq!(partition.current_voters.len(), 1);
        assert_eq!(partition.current_voters[0].last_fetch_timestamp > 0, version >= 1);
        assert_eq!(described.nodes.len(), usize::from(version >= 2));
        let elsewhere = ask("another").topics.remove(0).partitions.remove(0);
        assert_eq!(elsewhere.error_code, ErrorCode::UnknownTopicOrPartition.code());
        let says = elsewhere.error_message.is_some_and(|message| !message.is_empty());
        assert_eq!(says, version >= 2, "the message came with v2");
    }
}

#[test]
fn topic_ids_below_version_12_get_no_word_of_the_cluster() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    for version in [10, 11] {
        let refused = metadata(&mut client, version, id, None);
        assert_eq!(
            (refused.brokers.len(), refused.cluster_id, refused.controller_id),
            (0, None, BrokerId(-1))
        );
        let topic = &refused.topics[0];
        assert_eq!((topic.error_code, topic.topic_id), (ErrorCode::InvalidRequest.code(), id));
    }
    let known = metadata(&mut client, 12, id, None);
    assert_eq!((known.brokers.len(), known.topics[0].error_code), (1, 0));
}

#[test]
fn operations_are_told_of_topics_that_are_not_there() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    for (name, code) in
        [("absent", ErrorCode::UnknownTopicOrPartition), ("a/b", ErrorCode::InvalidTopicException)]
    {
        let topic = metadata(&mut client, 8, Uuid::nil(), Some(topic_name(name))).topics.remove(0);
        assert_eq!(topic.error_code, code.code());
        assert_ne!(topic.topic_authorized_operations, NOT_ASKED, "{name}");
    }
}

#[test]
fn a_page_that_cannot_be_tells_no_operations() {
    let fixture = Fixture::start();
    let cursor = describe_topic_partitions_request::Cursor::default()
        .with_topic_name(topic_name("t"))
        .with_partition_index(-1);
    let topic = describe_topic_partitions_request::TopicRequest::default().with_name(topic_name("t"));
    let request =
        DescribeTopicPartitionsRequest::default().with_topics(vec![topic]).with_cursor(Some(cursor));
    let refused = fixture.client().call(0, &request).topics.remove(0);
    assert_eq!(refused.error_code, ErrorCode::InvalidRequest.code());
    assert_eq!(refused.topic_authorized_operations, NOT_ASKED);
}

#[test]
fn success_has_a_null_message_where_kafka_has_one() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let topic = create_topics_request::CreatableTopic::default()
        .with_name(topic_name("t"))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000);
    assert_eq!(client.call(7, &request).topics[0].error_message, None);

    let replaced = alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name("t".into());
    let request = AlterConfigsRequest::default().with_resources(vec![replaced]);
    assert_eq!(client.call(2, &request).responses[0].error_message, None);

    let altered = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name("t".into());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![altered]);
    assert_eq!(client.call(1, &request).responses[0].error_message, None);

    let topic =
        alter_partition_reassignments_request::ReassignableTopic::default().with_name(topic_name("t"));
    let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
    assert_eq!(client.call(1, &request).error_message, None);
}

#[test]
fn descriptions_without_an_error_have_an_empty_message() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let quotas = client.call(1, &DescribeClientQuotasRequest::default());
    assert_eq!(quotas.error_message.as_deref(), Some(""));
    let credentials = client.call(0, &DescribeUserScramCredentialsRequest::default());
    assert_eq!(credentials.error_message.as_deref(), Some(""));
}

#[test]
fn a_partition_that_is_not_there_comes_before_what_its_topic_forbids() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("compacted", 1, &[("cleanup.policy", "compact")]);
    let partitions = [0, -2].map(|index| {
        delete_records_request::DeleteRecordsPartition::default().with_partition_index(index).with_offset(-1)
    });
    let topic = delete_records_request::DeleteRecordsTopic::default()
        .with_name(topic_name("compacted"))
        .with_partitions(partitions.to_vec());
    let answer = client.call(2, &DeleteRecordsRequest::default().with_topics(vec![topic]));
    let codes: Vec<i16> = answer.topics[0].partitions.iter().map(|partition| partition.error_code).collect();
    assert_eq!(codes, [ErrorCode::PolicyViolation.code(), ErrorCode::UnknownTopicOrPartition.code()]);
}

#[test]
fn a_move_looks_at_the_name_and_the_directory_before_the_topic() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    for (name, code) in [
        ("absent".to_owned(), ErrorCode::LogDirNotFound),
        ("a".repeat(250), ErrorCode::InvalidTopicException),
    ] {
        let topic = alter_replica_log_dirs_request::AlterReplicaLogDirTopic::default()
            .with_name(topic_name(&name))
            .with_partitions(vec![0]);
        let directory = alter_replica_log_dirs_request::AlterReplicaLogDir::default()
            .with_path("/no/such/directory".into())
            .with_topics(vec![topic]);
        let answer = client.call(2, &AlterReplicaLogDirsRequest::default().with_dirs(vec![directory]));
        assert_eq!(answer.results[0].partitions[0].error_code, code.code(), "{name}");
    }
}

/// Kafka's request refuses itself as a whole.
#[test]
fn a_resource_of_no_known_type_spoils_the_others_it_is_described_with() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("t", 1, &[]);
    let resource = |kind| {
        let resource = describe_configs_request::DescribeConfigsResource::default();
        resource.with_resource_type(kind).with_resource_name("t".into())
    };
    for (kinds, code) in [(vec![TOPIC, 3], ErrorCode::InvalidRequest), (vec![TOPIC], ErrorCode::None)] {
        let request =
            DescribeConfigsRequest::default().with_resources(kinds.into_iter().map(resource).collect());
        let answer = client.call(4, &request);
        assert!(answer.results.iter().all(|result| result.error_code == code.code()), "{answer:?}");
    }
}

/// An empty sentence is not none, for which clients show one of their own.
#[test]
fn a_topic_that_is_not_there_is_described_with_an_empty_message() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let resource = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name("nowhere".into());
    let answer = client.call(4, &DescribeConfigsRequest::default().with_resources(vec![resource]));
    assert_eq!(answer.results[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(answer.results[0].error_message.as_deref(), Some(""));
}

#[test]
fn every_replica_id_below_zero_is_a_consumer() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["one"])).0, 0);
    for (replica_id, code) in [(-1, 0), (-2, 0), (-3, 0), (7, ErrorCode::NotLeaderOrFollower.code())] {
        let mut request = fetch(11, ("t", id), &[(0, 0)], 0);
        request.replica_id = BrokerId(replica_id);
        assert_eq!(client.call(11, &request).error_code, code, "replica {replica_id}");
    }
}

#[test]
fn every_epoch_below_zero_is_unknown_to_a_fetch() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["one"])).0, 0);
    let mut request = fetch(12, ("t", id), &[(0, 0)], 0);
    let partition = &mut request.topics[0].partitions[0];
    (partition.current_leader_epoch, partition.last_fetched_epoch) = (-2, -2);
    let answer = client.call(12, &request).responses.remove(0).partitions.remove(0);
    assert_eq!((answer.error_code, answer.high_watermark), (0, 1));
    assert!(answer.records.is_some_and(|records| !records.is_empty()));
}
