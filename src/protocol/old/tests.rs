//! The bytes of Kafka 3.9's own classes, read and written; `Kafka39Messages.java` makes them of the same values.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    alter_replica_log_dirs_request, alter_replica_log_dirs_response, create_acls_request,
    create_acls_response, create_delegation_token_request, create_topics_request, create_topics_response,
    delete_acls_request, delete_acls_response, delete_topics_response, describe_acls_response,
    describe_configs_request, describe_configs_response, describe_delegation_token_request,
    describe_log_dirs_request, describe_log_dirs_response, offset_commit_response, offset_fetch_response,
    offset_for_leader_epoch_request, offset_for_leader_epoch_response, write_txn_markers_response, *,
};
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::protocol::body::tests::reads_what_the_walker_accepts;
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, Uuid};
use crate::protocol::offsets::OffsetFetch;
use crate::protocol::offsets::commit::{OffsetCommit, OffsetCommitPartition, OffsetCommitTopic};
use crate::protocol::shapes::{Limits, check};
use crate::protocol::txn_markers::{TxnMarker, WriteTxnMarkers};

/// A message that Kafka 3.9 has written.
fn recorded(name: &str, version: i16) -> Bytes {
    let start = format!("{name} {version} ");
    let line = include_str!("kafka-3.9-messages.txt").lines().find_map(|line| line.strip_prefix(&start));
    let hex = line.unwrap_or_else(|| panic!("no {name} v{version} is recorded"));
    let digits = hex.as_bytes().chunks(2).map(|digits| std::str::from_utf8(digits).unwrap());
    digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}

/// The walker accepts the recorded bytes to their end, and they are read as `expected`.
fn reads<T: Decodable + PartialEq + std::fmt::Debug>(name: &str, key: i16, version: i16, expected: T) {
    let mut body = recorded(name, version);
    let shape = check(key, version, &body, &Limits::default());
    assert_eq!(shape.map(|shape| shape.body_size_bytes), Ok(body.len()), "{name} v{version}");
    assert_eq!(T::decode(&mut body, version).unwrap(), expected, "{name} v{version}");
    assert!(body.is_empty(), "{name} v{version}");
}

fn writes<T: OldResponse>(name: &str, version: i16, response: T) {
    let mut written = BytesMut::new();
    let response = AnyVersion(response);
    response.encode(&mut written, version).unwrap();
    assert_eq!(written, recorded(name, version), "{name} v{version}");
    assert_eq!(response.compute_size(version).unwrap(), written.len(), "{name} v{version}");
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic(name: &'static str) -> TopicName {
    TopicName(text(name))
}

#[test]
fn offset_commits() {
    let partition = |index, offset, commit_timestamp, metadata: Option<&'static str>| OffsetCommitPartition {
        index: PartitionIndex(index),
        offset: Offset(offset),
        leader_epoch: LeaderEpoch::NONE,
        commit_timestamp: Timestamp(commit_timestamp),
        metadata: metadata.map(text),
    };
    let commit = |commit_timestamp, generation_id_or_member_epoch, member| OffsetCommit {
        group_id: GroupId(text("group")),
        generation_id_or_member_epoch,
        member_id: text(member),
        group_instance_id: None,
        retention_time_ms: -1,
        topics: vec![OffsetCommitTopic {
            name: topic("topic"),
            id: Uuid::nil(),
            partitions: vec![partition(1, 7, commit_timestamp, Some("x")), partition(2, 8, -1, None)],
        }],
    };
    reads("OffsetCommitRequest", 8, 0, commit(-1, -1, ""));
    reads("OffsetCommitRequest", 8, 1, commit(1000, 5, "member"));
    let partition = |index, code| {
        offset_commit_response::OffsetCommitResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(code)
    };
    let topic = offset_commit_response::OffsetCommitResponseTopic::default()
        .with_name(topic("topic"))
        .with_partitions(vec![partition(1, 0), partition(2, 3)]);
    for version in [0, 1] {
        let response = OffsetCommitResponse::default().with_topics(vec![topic.clone()]);
        writes("OffsetCommitResponse", version, response);
    }
}

#[test]
fn offset_fetches() {
    let asked = offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(topic("topic"))
        .with_partition_indexes(vec![1, 2]);
    let request =
        OffsetFetchRequest::default().with_group_id(GroupId(text("group"))).with_topics(Some(vec![asked]));
    reads("OffsetFetchRequest", 9, 0, OffsetFetch(request));
    let partition = offset_fetch_response::OffsetFetchResponsePartition::default()
        .with_partition_index(1)
        .with_committed_offset(-1)
        .with_metadata(Some(text("")))
        .with_error_code(35);
    let topic = offset_fetch_response::OffsetFetchResponseTopic::default()
        .with_name(topic("topic"))
        .with_partitions(vec![partition]);
    writes("OffsetFetchResponse", 0, OffsetFetchResponse::default().with_topics(vec![topic]));
}

#[test]
fn creations_of_topics() {
    let config = |name, value: Option<&'static str>| {
        create_topics_request::CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(value.map(text))
    };
    let automatic = create_topics_request::CreatableTopic::default()
        .with_name(topic("topic"))
        .with_num_partitions(3)
        .with_replication_factor(2)
        .with_configs(vec![config("a.key", Some("value")), config("b.key", None)]);
    let assignment = create_topics_request::CreatableReplicaAssignment::default()
        .with_partition_index(0)
        .with_broker_ids(vec![BrokerId(4), BrokerId(5)]);
    let manual = create_topics_request::CreatableTopic::default()
        .with_name(topic("other"))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(vec![assignment]);
    let request = CreateTopicsRequest::default().with_topics(vec![automatic, manual]).with_timeout_ms(5000);
    reads("CreateTopicsRequest", 19, 0, AnyVersion(request.clone()));
    reads("CreateTopicsRequest", 19, 1, AnyVersion(request.with_validate_only(true)));
    let created = create_topics_response::CreatableTopicResult::default().with_name(topic("topic"));
    let refused = create_topics_response::CreatableTopicResult::default()
        .with_name(topic("other"))
        .with_error_code(36)
        .with_error_message(Some(text("exists")));
    let response = CreateTopicsResponse::default()
        .with_throttle_time_ms(9)
        .with_topics(vec![created.with_error_message(None), refused]);
    writes("CreateTopicsResponse", 0, response.clone());
    writes("CreateTopicsResponse", 1, response);
}

#[test]
fn deletions_of_topics() {
    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![topic("topic"), topic("other")])
        .with_timeout_ms(5000);
    reads("DeleteTopicsRequest", 20, 0, AnyVersion(request));
    let result = |name, code| {
        delete_topics_response::DeletableTopicResult::default()
            .with_name(Some(topic(name)))
            .with_error_code(code)
    };
    let response =
        DeleteTopicsResponse::default().with_responses(vec![result("topic", 0), result("other", 3)]);
    writes("DeleteTopicsResponse", 0, response);
}

#[test]
fn ends_of_leader_epochs() {
    let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
        .with_partition(1)
        .with_leader_epoch(7);
    let asked = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
        .with_topic(topic("topic"))
        .with_partitions(vec![partition]);
    let request = OffsetForLeaderEpochRequest::default().with_topics(vec![asked]);
    let found = offset_for_leader_epoch_response::EpochEndOffset::default()
        .with_partition(1)
        .with_leader_epoch(7)
        .with_end_offset(9);
    let refused =
        offset_for_leader_epoch_response::EpochEndOffset::default().with_partition(2).with_error_code(3);
    let topic = offset_for_leader_epoch_response::OffsetForLeaderTopicResult::default()
        .with_topic(topic("topic"))
        .with_partitions(vec![found, refused]);
    let response = OffsetForLeaderEpochResponse::default().with_topics(vec![topic]);
    for version in [0, 1] {
        reads("OffsetForLeaderEpochRequest", 23, version, AnyVersion(request.clone()));
        writes("OffsetForLeaderEpochResponse", version, response.clone());
    }
}

#[test]
fn transaction_markers() {
    let marker = TxnMarker {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(3),
        is_commit: true,
        topics: vec![(text("topic"), vec![PartitionIndex(1), PartitionIndex(2)])],
        coordinator_epoch: 5,
        transaction_version: 0,
    };
    reads("WriteTxnMarkersRequest", 27, 0, WriteTxnMarkers(vec![marker]));
    let partition = |index, code| {
        write_txn_markers_response::WritableTxnMarkerPartitionResult::default()
            .with_partition_index(index)
            .with_error_code(code)
    };
    let topic = write_txn_markers_response::WritableTxnMarkerTopicResult::default()
        .with_name(topic("topic"))
        .with_partitions(vec![partition(1, 0), partition(2, 3)]);
    let marker = write_txn_markers_response::WritableTxnMarkerResult::default()
        .with_producer_id(kafka_protocol::messages::ProducerId(7))
        .with_topics(vec![topic]);
    writes("WriteTxnMarkersResponse", 0, WriteTxnMarkersResponse::default().with_markers(vec![marker]));
}

#[test]
fn descriptions_of_acls() {
    let request = DescribeAclsRequest::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(Some(text("topic")))
        .with_principal_filter(None)
        .with_host_filter(Some(text("*")))
        .with_operation(1)
        .with_permission_type(3);
    reads("DescribeAclsRequest", 29, 0, AnyVersion(request));
    let acl = describe_acls_response::AclDescription::default()
        .with_principal(text("User:a"))
        .with_host(text("*"))
        .with_operation(4)
        .with_permission_type(3);
    let resource = describe_acls_response::DescribeAclsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("topic"))
        .with_acls(vec![acl]);
    let response = |pattern_type| {
        DescribeAclsResponse::default()
            .with_throttle_time_ms(9)
            .with_error_code(54)
            .with_error_message(Some(text("none")))
            .with_resources(vec![resource.clone().with_pattern_type(pattern_type)])
    };
    writes("DescribeAclsResponse", 0, response(3));
    let prefixed = AnyVersion(response(4));
    assert!(prefixed.encode(&mut BytesMut::new(), 0).is_err() && prefixed.compute_size(0).is_err());
    assert!(prefixed.encode(&mut BytesMut::new(), 1).is_ok());
}

#[test]
fn creations_of_acls() {
    let creation = create_acls_request::AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(text("topic"))
        .with_principal(text("User:a"))
        .with_host(text("*"))
        .with_operation(4)
        .with_permission_type(3);
    assert_eq!(creation.resource_pattern_type, 3, "literal");
    reads(
        "CreateAclsRequest",
        30,
        0,
        AnyVersion(CreateAclsRequest::default().with_creations(vec![creation])),
    );
    let result = create_acls_response::AclCreationResult::default()
        .with_error_code(54)
        .with_error_message(Some(text("none")));
    let response = CreateAclsResponse::default().with_throttle_time_ms(9).with_results(vec![result]);
    writes("CreateAclsResponse", 0, response);
}

#[test]
fn deletions_of_acls() {
    let filter = delete_acls_request::DeleteAclsFilter::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(None)
        .with_principal_filter(Some(text("User:a")))
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    reads("DeleteAclsRequest", 31, 0, AnyVersion(DeleteAclsRequest::default().with_filters(vec![filter])));
    let matching = delete_acls_response::DeleteAclsMatchingAcl::default()
        .with_error_code(54)
        .with_error_message(Some(text("none")))
        .with_resource_type(2)
        .with_resource_name(text("topic"))
        .with_principal(text("User:a"))
        .with_host(text("*"))
        .with_operation(4)
        .with_permission_type(3);
    let response = |pattern_type| {
        let result = delete_acls_response::DeleteAclsFilterResult::default()
            .with_error_message(None)
            .with_matching_acls(vec![matching.clone().with_pattern_type(pattern_type)]);
        DeleteAclsResponse::default().with_throttle_time_ms(9).with_filter_results(vec![result])
    };
    writes("DeleteAclsResponse", 0, response(3));
    assert!(AnyVersion(response(4)).encode(&mut BytesMut::new(), 0).is_err());
}

#[test]
fn descriptions_of_configs() {
    let resource = |kind, name, keys: Option<Vec<StrBytes>>| {
        describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configuration_keys(keys)
    };
    let keys = vec![text("a.key"), text("b.key")];
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource(2, "topic", Some(keys)), resource(4, "1", None)]);
    reads("DescribeConfigsRequest", 32, 0, AnyVersion(request));
    let config = |name, value: Option<&'static str>| {
        describe_configs_response::DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(value.map(text))
    };
    let configs = vec![
        config("a.key", Some("value")).with_read_only(true).with_config_source(5),
        config("b.key", None).with_is_sensitive(true).with_config_source(4),
    ];
    let result = describe_configs_response::DescribeConfigsResult::default()
        .with_error_message(Some(text("")))
        .with_resource_type(2)
        .with_resource_name(text("topic"))
        .with_configs(configs);
    let response = DescribeConfigsResponse::default().with_throttle_time_ms(9).with_results(vec![result]);
    writes("DescribeConfigsResponse", 0, response);
}

#[test]
fn moves_between_directories() {
    let asked = alter_replica_log_dirs_request::AlterReplicaLogDirTopic::default()
        .with_name(topic("topic"))
        .with_partitions(vec![1, 2]);
    let directory = alter_replica_log_dirs_request::AlterReplicaLogDir::default()
        .with_path(text("/a"))
        .with_topics(vec![asked]);
    let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![directory]);
    reads("AlterReplicaLogDirsRequest", 34, 0, AnyVersion(request));
    let partition = alter_replica_log_dirs_response::AlterReplicaLogDirPartitionResult::default()
        .with_partition_index(1)
        .with_error_code(57);
    let topic = alter_replica_log_dirs_response::AlterReplicaLogDirTopicResult::default()
        .with_topic_name(topic("topic"))
        .with_partitions(vec![partition]);
    let response = AlterReplicaLogDirsResponse::default().with_throttle_time_ms(9).with_results(vec![topic]);
    writes("AlterReplicaLogDirsResponse", 0, response);
}

#[test]
fn descriptions_of_directories() {
    let asked = describe_log_dirs_request::DescribableLogDirTopic::default()
        .with_topic(topic("topic"))
        .with_partitions(vec![1, 2]);
    let request = DescribeLogDirsRequest::default().with_topics(Some(vec![asked]));
    reads("DescribeLogDirsRequest", 35, 0, AnyVersion(request));
    let partition = describe_log_dirs_response::DescribeLogDirsPartition::default()
        .with_partition_index(1)
        .with_partition_size(77)
        .with_offset_lag(2)
        .with_is_future_key(true);
    let topic = describe_log_dirs_response::DescribeLogDirsTopic::default()
        .with_name(topic("topic"))
        .with_partitions(vec![partition]);
    let directory = describe_log_dirs_response::DescribeLogDirsResult::default()
        .with_log_dir(text("/a"))
        .with_topics(vec![topic]);
    let response = DescribeLogDirsResponse::default().with_throttle_time_ms(9).with_results(vec![directory]);
    writes("DescribeLogDirsResponse", 0, response);
}

#[test]
fn delegation_tokens() {
    let hmac = Bytes::from_static(&[1, 2, 3]);
    let renewer = create_delegation_token_request::CreatableRenewers::default()
        .with_principal_type(text("User"))
        .with_principal_name(text("a"));
    let create = CreateDelegationTokenRequest::default().with_max_lifetime_ms(9).with_renewers(vec![renewer]);
    reads("CreateDelegationTokenRequest", 38, 0, AnyVersion(create));
    let created = CreateDelegationTokenResponse::default()
        .with_error_code(64)
        .with_principal_type(text("User"))
        .with_principal_name(text("a"))
        .with_issue_timestamp_ms(-1)
        .with_expiry_timestamp_ms(-2)
        .with_max_timestamp_ms(-3)
        .with_token_id(text("id"))
        .with_hmac(hmac.clone())
        .with_throttle_time_ms(9);
    writes("CreateDelegationTokenResponse", 0, created);

    let renew = RenewDelegationTokenRequest::default().with_hmac(hmac.clone()).with_renew_period_ms(9);
    reads("RenewDelegationTokenRequest", 39, 0, AnyVersion(renew));
    let renewed = RenewDelegationTokenResponse::default().with_error_code(64).with_expiry_timestamp_ms(-1);
    writes("RenewDelegationTokenResponse", 0, renewed.with_throttle_time_ms(9));

    let expire = ExpireDelegationTokenRequest::default().with_hmac(hmac).with_expiry_time_period_ms(9);
    reads("ExpireDelegationTokenRequest", 40, 0, AnyVersion(expire));
    let expired = ExpireDelegationTokenResponse::default().with_error_code(64).with_expiry_timestamp_ms(-1);
    writes("ExpireDelegationTokenResponse", 0, expired.with_throttle_time_ms(9));

    let owner = describe_delegation_token_request::DescribeDelegationTokenOwner::default()
        .with_principal_type(text("User"))
        .with_principal_name(text("a"));
    let describe = DescribeDelegationTokenRequest::default().with_owners(Some(vec![owner]));
    reads("DescribeDelegationTokenRequest", 41, 0, AnyVersion(describe));
    let described = DescribeDelegationTokenResponse::default().with_error_code(64).with_throttle_time_ms(9);
    writes("DescribeDelegationTokenResponse", 0, described);
}

#[test]
fn versions_that_no_release_has_are_refused() {
    let none: Result<AnyVersion<DeleteTopicsRequest>, _> =
        Decodable::decode(&mut recorded("DeleteTopicsRequest", 0), -1);
    assert!(none.is_err());
    assert!(AnyVersion(OffsetCommitResponse::default()).encode(&mut BytesMut::new(), -1).is_err());
}

#[test]
fn old_requests_are_fuzzed() {
    reads_what_the_walker_accepts::<AnyVersion<CreateTopicsRequest>>("create_topics", 19, 0);
    reads_what_the_walker_accepts::<AnyVersion<OffsetForLeaderEpochRequest>>("leader_epochs", 23, 0);
    reads_what_the_walker_accepts::<AnyVersion<DescribeAclsRequest>>("describe_acls", 29, 0);
    reads_what_the_walker_accepts::<AnyVersion<CreateAclsRequest>>("create_acls", 30, 0);
    reads_what_the_walker_accepts::<AnyVersion<DeleteAclsRequest>>("delete_acls", 31, 0);
    reads_what_the_walker_accepts::<AnyVersion<DescribeConfigsRequest>>("describe_configs", 32, 0);
}
