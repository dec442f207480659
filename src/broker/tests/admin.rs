//! Daily admin: elections, reassignments, features, producers, loggers, what has a configuration.

use kafka_protocol::messages::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, DescribeConfigsRequest,
    DescribeProducersRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest,
    ListConfigResourcesRequest, ListPartitionReassignmentsRequest, MetadataRequest, UnregisterBrokerRequest,
    UpdateFeaturesRequest, alter_configs_request as replace,
    alter_partition_reassignments_request as reassign, describe_configs_request as describe,
    describe_producers_request as producers, elect_leaders_request as elect,
    incremental_alter_configs_request as alter, metadata_request, update_features_request as features,
};

use super::Fixture;
use super::client::{Client, FIRST_TIMESTAMP, batch, batch_with, topic_name, values};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{ProducerEpoch, ProducerId};
use crate::protocol::records::BatchHeader;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

/// One operation on one key: error code and message.
fn change(
    client: &mut Client,
    resource: (i8, &str),
    operation: i8,
    key: &str,
    value: Option<&str>,
) -> (i16, String) {
    let config = alter::AlterableConfig::default()
        .with_name(key.to_owned().into())
        .with_config_operation(operation)
        .with_value(value.map(|value| value.to_owned().into()));
    let resource = alter::AlterConfigsResource::default()
        .with_resource_type(resource.0)
        .with_resource_name(resource.1.to_owned().into())
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.call(1, &request).responses.remove(0);
    (answer.error_code, answer.error_message.map(|text| text.to_string()).unwrap_or_default())
}

fn set(client: &mut Client, resource: (i8, &str), key: &str, value: &str) {
    assert_eq!(change(client, resource, SET, key, Some(value)), (0, String::new()), "{key}={value}");
}

/// Name, value and source of each key.
fn described(client: &mut Client, (kind, name): (i8, &str)) -> Vec<(String, Option<String>, i8)> {
    let resource = describe::DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(name.to_owned().into())
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.call(4, &request).results.remove(0);
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    let entries = answer.configs.into_iter().map(|entry| {
        (entry.name.to_string(), entry.value.map(|value| value.to_string()), entry.config_source)
    });
    entries.collect()
}

fn listed(client: &mut Client, version: i16, kinds: &[i8]) -> Result<Vec<(i8, String)>, i16> {
    let request = ListConfigResourcesRequest::default().with_resource_types(kinds.to_vec());
    let answer = client.call(version, &request);
    if answer.error_code != 0 {
        return Err(answer.error_code);
    }
    let resources = answer.config_resources.into_iter();
    Ok(resources.map(|resource| (resource.resource_type, resource.resource_name.to_string())).collect())
}

#[test]
fn whatever_has_a_configuration_is_listed() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("t", 1, &[]);
    set(&mut client, (GROUP, "workers"), "consumer.session.timeout.ms", "50000");
    set(&mut client, (CLIENT_METRICS, "first"), "interval.ms", "60000");
    let of = |kind, name: &str| (kind, name.to_owned());
    let all =
        [of(TOPIC, "t"), of(BROKER, "1"), of(LOGGER, "1"), of(CLIENT_METRICS, "first"), of(GROUP, "workers")];
    assert_eq!(listed(&mut client, 1, &[]), Ok(all.to_vec()));
    assert_eq!(listed(&mut client, 1, &[GROUP, TOPIC]), Ok(vec![of(TOPIC, "t"), of(GROUP, "workers")]));
    // v0 has no field for the type, whose default is that of the only one there is.
    assert_eq!(listed(&mut client, 0, &[]), Ok(vec![of(CLIENT_METRICS, "first")]));
    assert_eq!(listed(&mut client, 1, &[64]), Err(ErrorCode::UnsupportedVersion.code()));
    let gone = change(&mut client, (CLIENT_METRICS, "first"), DELETE, "interval.ms", None);
    assert_eq!(gone.0, 0);
    assert_eq!(listed(&mut client, 1, &[CLIENT_METRICS]), Ok(Vec::new()));
}

#[test]
fn a_group_is_described_with_every_key_and_where_its_value_comes_from() {
    let mut fixture = Fixture::start();
    let mut client = fixture.client();
    set(&mut client, (GROUP, "workers"), "consumer.session.timeout.ms", "50000");
    let too_short = change(&mut client, (GROUP, "workers"), SET, "consumer.session.timeout.ms", Some("1"));
    assert_eq!(too_short.0, ErrorCode::InvalidConfig.code());
    drop(client);
    fixture.restart();
    let entries = described(&mut fixture.client(), (GROUP, "workers"));
    let find = |key: &str| entries.iter().find(|(name, _, _)| name == key).expect("the key is listed");
    let (group, default) = (8, 5);
    assert_eq!(find("consumer.session.timeout.ms").1.as_deref(), Some("50000"));
    assert_eq!(find("consumer.session.timeout.ms").2, group);
    assert_eq!(find("consumer.heartbeat.interval.ms").1.as_deref(), Some("5000"));
    assert_eq!(find("consumer.heartbeat.interval.ms").2, default);
}

#[test]
fn the_level_of_a_logger_is_set_told_and_taken_back() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let level = |client: &mut Client, logger: &str| {
        let found = described(client, (LOGGER, "1")).into_iter().find(|(name, _, _)| name == logger);
        let (_, value, source) = found.expect("the logger is listed");
        assert_eq!(source, 6);
        value.expect("a logger has a level")
    };
    assert_eq!(level(&mut client, "klamm::net"), "INFO");
    set(&mut client, (LOGGER, "1"), "klamm::net", "DEBUG");
    set(&mut client, (LOGGER, "1"), "root", "WARN");
    assert_eq!(
        (level(&mut client, "klamm::net"), level(&mut client, "root")),
        ("DEBUG".into(), "WARN".into())
    );
    assert_eq!(change(&mut client, (LOGGER, "1"), DELETE, "klamm::net", None).0, 0);
    assert_eq!(level(&mut client, "klamm::net"), "WARN", "what root says");
}

#[test]
fn loggers_are_refused_in_kafkas_words() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let (invalid, invalid_config) = (ErrorCode::InvalidRequest.code(), ErrorCode::InvalidConfig.code());
    let cases = [
        (("1", SET, "nowhere", Some("INFO")), invalid_config, "Logger nowhere does not exist!"),
        (("1", DELETE, "root", None), invalid, "Removing the log level of the root logger is not allowed"),
        (
            ("1", APPEND, "root", Some("INFO")),
            invalid,
            "APPEND operation is not allowed for the BROKER_LOGGER resource",
        ),
        (("2", SET, "root", Some("INFO")), invalid, "Unexpected node id. Expected 1, but received 2"),
        (("", SET, "root", Some("INFO")), invalid, "Node id must be an integer, but it is: "),
        (
            ("1", SET, "root", Some("info")),
            invalid_config,
            "Cannot set the log level of root to info as it is not a supported log level. Valid log levels are \
             DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
        ),
    ];
    for ((node, operation, logger, value), code, sentence) in cases {
        let answer = change(&mut client, (LOGGER, node), operation, logger, value);
        assert_eq!(answer, (code, sentence.to_owned()));
    }
    let config = replace::AlterableConfig::default().with_name("root".into()).with_value(Some("INFO".into()));
    let resource = replace::AlterConfigsResource::default()
        .with_resource_type(LOGGER)
        .with_resource_name("1".into())
        .with_configs(vec![config]);
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(client.call(2, &request).responses[0].error_code, invalid, "the old message knows no loggers");
}

#[test]
fn one_broker_has_nothing_to_elect() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("t", 2, &[]);
    for version in 0..=2 {
        let topic =
            elect::TopicPartitions::default().with_topic(topic_name("t")).with_partitions(vec![0, 1, 9]);
        let request =
            ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic])).with_timeout_ms(5000);
        let answer = client.call(version, &request);
        assert_eq!(answer.error_code, 0);
        let codes: Vec<i16> = answer.replica_election_results[0]
            .partition_result
            .iter()
            .map(|result| result.error_code)
            .collect();
        let (not_needed, unknown) = (ErrorCode::ElectionNotNeeded, ErrorCode::UnknownTopicOrPartition);
        assert_eq!(codes, [not_needed.code(), not_needed.code(), unknown.code()], "v{version}");
        let all = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(5000);
        assert!(client.call(version, &all).replica_election_results[0].partition_result.is_empty());
    }
    let unknown = ElectLeadersRequest::default().with_topic_partitions(None).with_election_type(7);
    assert_eq!(client.call(2, &unknown).error_code, ErrorCode::InvalidRequest.code());
}

#[test]
fn a_partition_stays_where_it_is_and_no_reassignment_is_under_way() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("t", 1, &[]);
    let mut alter = |replicas: Option<&[i32]>| {
        let partition = reassign::ReassignablePartition::default()
            .with_replicas(replicas.map(|ids| ids.iter().map(|id| (*id).into()).collect()));
        let topic = reassign::ReassignableTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        let request =
            AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000);
        let answer = client.call(1, &request);
        assert_eq!(answer.error_code, 0);
        answer.responses[0].partitions[0].error_code
    };
    assert_eq!(alter(Some(&[1])), 0);
    assert_eq!(alter(Some(&[1, 2])), ErrorCode::InvalidReplicaAssignment.code());
    assert_eq!(alter(None), ErrorCode::NoReassignmentInProgress.code());
    let all = ListPartitionReassignmentsRequest::default().with_topics(None).with_timeout_ms(5000);
    let answer = client.call(0, &all);
    assert_eq!((answer.error_code, answer.topics.len()), (0, 0));
}

#[test]
fn a_feature_is_finalized_within_what_is_supported() {
    let mut fixture = Fixture::start();
    let mut client = fixture.client();
    let update = |client: &mut Client, version: i16, level: i16, upgrade_type: i8, validate_only: bool| {
        let update = features::FeatureUpdateKey::default()
            .with_feature("eligible.leader.replicas.version".into())
            .with_max_version_level(level)
            .with_upgrade_type(upgrade_type);
        let request = UpdateFeaturesRequest::default()
            .with_feature_updates(vec![update])
            .with_timeout_ms(5000)
            .with_validate_only(validate_only);
        let answer = client.call(version, &request);
        (answer.error_code, answer.results.len())
    };
    let refused = (ErrorCode::InvalidUpdateVersion.code(), 0);
    assert_eq!(update(&mut client, 1, 9, 1, false), refused);
    assert_eq!(update(&mut client, 2, 0, 1, false), refused, "an upgrade does not go down");
    assert_eq!(update(&mut client, 2, 0, 2, true), (0, 0), "v2 has no results");
    assert_eq!(update(&mut client, 2, 1, 1, false), (0, 0), "it was only validated");
    assert_eq!(update(&mut client, 1, 0, 2, false), (0, 1));
    drop(client);
    fixture.restart();
    assert_eq!(update(&mut fixture.client(), 1, 1, 3, true), refused, "the level is 0 still");
    assert_eq!(update(&mut fixture.client(), 1, 1, 1, false), (0, 1));
}

#[test]
fn producers_of_a_partition_are_told() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, batch(&["of nobody"]));
    let header = BatchHeader {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(2),
        base_sequence: 0,
        ..BatchHeader::default()
    };
    assert_eq!(client.produce(9, ("t", id), 0, batch_with(header, FIRST_TIMESTAMP, &["a", "b"])).0, 0);
    let asked = |name: &str| {
        producers::TopicRequest::default().with_name(topic_name(name)).with_partition_indexes(vec![0])
    };
    let request = DescribeProducersRequest::default().with_topics(vec![asked("t"), asked("nowhere")]);
    let answer = client.call(0, &request);
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.active_producers.len()), (0, 1));
    let producer = &partition.active_producers[0];
    assert_eq!((producer.producer_id.0, producer.producer_epoch, producer.last_sequence), (7, 2, 1));
    assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (-1, -1));
    assert_eq!(answer.topics[1].partitions[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
}

#[test]
fn a_broker_that_is_unregistered_serves_nothing_until_it_is_started_again() {
    let mut fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["a"])), (0, 0));
    let unknown = client.call(0, &UnregisterBrokerRequest::default().with_broker_id(9.into()));
    assert_eq!(unknown.error_code, ErrorCode::BrokerIdNotRegistered.code());
    assert_eq!(client.call(0, &UnregisterBrokerRequest::default().with_broker_id(1.into())).error_code, 0);
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["b"])).0, ErrorCode::NotLeaderOrFollower.code());
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("t")));
    let seen = client.call(12, &MetadataRequest::default().with_topics(Some(vec![topic])));
    assert!(seen.brokers.is_empty());
    assert_eq!(seen.topics[0].partitions[0].error_code, ErrorCode::LeaderNotAvailable.code());
    drop(client);
    fixture.restart();
    let mut client = fixture.client();
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["b"])), (0, 1));
    let read = values(&client.fetch(12, ("t", id), 0, 0));
    assert_eq!(read, [(0, "a".to_owned()), (1, "b".to_owned())]);
}

#[test]
fn keys_of_the_broker_take_effect_while_it_runs() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    let every_broker = (BROKER, "");
    set(&mut client, every_broker, "message.max.bytes", "10");
    let too_large = ErrorCode::MessageTooLarge.code();
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["a"])).0, too_large);
    assert_eq!(change(&mut client, every_broker, DELETE, "message.max.bytes", None).0, 0);
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["a"])), (0, 0));
    set(&mut client, every_broker, "log.message.timestamp.type", "LogAppendTime");
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["b"])), (0, 1));
    let (newest, timestamp) = client.list_offset("t", 0, -3);
    assert_eq!(newest, 1);
    assert!(timestamp > FIRST_TIMESTAMP.0, "{timestamp} is the time of the append");
    set(&mut client, (BROKER, "1"), "max.connections.per.ip", "1");
    assert!(fixture.client().read_frame().is_none(), "a second connection is closed");
    assert_eq!(change(&mut client, (BROKER, "1"), DELETE, "max.connections.per.ip", None).0, 0);
    assert_eq!(fixture.client().topic_id("t"), id);
}

#[test]
fn eligible_leaders_need_the_least_in_sync_count_of_the_cluster() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let invalid = ErrorCode::InvalidConfig.code();
    let key = "min.insync.replicas";
    set(&mut client, (BROKER, ""), key, "2");
    let (code, sentence) = change(&mut client, (BROKER, "1"), SET, key, Some("1"));
    assert_eq!(code, invalid);
    assert_eq!(sentence, "Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
    let (code, sentence) = change(&mut client, (BROKER, ""), DELETE, key, None);
    assert_eq!(code, invalid);
    assert_eq!(sentence, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
}
