//! Every version in the API table that the codec crate knows is answered: a request of each decodes, and so does its
//! answer.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Request, StrBytes};

use super::Fixture;
use super::client::{Client, topic_name};
use crate::handlers::table;

/// Sends what `make` says in every served version and hands the answers to `check`.
fn each_version<Q: Request>(client: &mut Client, make: impl Fn(i16) -> Q, check: impl Fn(i16, Q::Response)) {
    let api = table::find(table::APIS, Q::KEY).expect("the API is served");
    for version in api.min_version.max(Q::VERSIONS.min)..=api.max_version.min(Q::VERSIONS.max) {
        let response = client.call(version, &make(version));
        check(version, response);
    }
}

#[test]
fn metadata_and_cluster_in_every_version() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("t", 2, &[]);
    each_version(
        &mut client,
        |_| {
            let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("t")));
            MetadataRequest::default().with_topics(Some(vec![topic]))
        },
        |version, response: MetadataResponse| {
            assert_eq!(response.topics[0].partitions.len(), 2, "v{version}");
            assert_eq!(response.brokers.len(), 1);
        },
    );
    each_version(
        &mut client,
        |_| DescribeClusterRequest::default(),
        |version, response: DescribeClusterResponse| assert_eq!(response.brokers.len(), 1, "v{version}"),
    );
    each_version(
        &mut client,
        |_| {
            let topic = describe_topic_partitions_request::TopicRequest::default().with_name(topic_name("t"));
            DescribeTopicPartitionsRequest::default()
                .with_topics(vec![topic])
                .with_response_partition_limit(1)
        },
        |version, response: DescribeTopicPartitionsResponse| {
            assert_eq!(response.topics[0].partitions.len(), 1, "v{version}");
            assert_eq!(response.next_cursor.map(|cursor| cursor.partition_index), Some(1));
        },
    );
    each_version(
        &mut client,
        |_| {
            let partition = describe_quorum_request::PartitionData::default().with_partition_index(0);
            let topic = describe_quorum_request::TopicData::default()
                .with_topic_name(topic_name("__cluster_metadata"))
                .with_partitions(vec![partition]);
            DescribeQuorumRequest::default().with_topics(vec![topic])
        },
        |version, response: DescribeQuorumResponse| {
            assert_eq!(response.topics[0].partitions[0].leader_id.0, 1, "v{version}");
        },
    );
}

#[test]
fn topics_in_every_version() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let name = |prefix: &str, version: i16| topic_name(&format!("{prefix}{version}"));
    each_version(
        &mut client,
        |version| {
            let topic = create_topics_request::CreatableTopic::default()
                .with_name(name("t", version))
                .with_num_partitions(1)
                .with_replication_factor(1);
            CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000)
        },
        |version, response: CreateTopicsResponse| {
            assert_eq!(
                response.topics[0].error_code, 0,
                "v{version}: {:?}",
                response.topics[0].error_message
            );
        },
    );
    each_version(
        &mut client,
        |version| {
            let topic = create_partitions_request::CreatePartitionsTopic::default()
                .with_name(name("t", 2))
                .with_count(i32::from(version) + 2)
                .with_assignments(None);
            CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000)
        },
        |version, response: CreatePartitionsResponse| {
            assert_eq!(
                response.results[0].error_code, 0,
                "v{version}: {:?}",
                response.results[0].error_message
            );
        },
    );
    each_version(
        &mut client,
        |version| {
            let request = DeleteTopicsRequest::default().with_timeout_ms(5000);
            if version >= 6 {
                let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(name("t", 7)));
                request.with_topics(vec![topic])
            } else {
                request.with_topic_names(vec![name("t", version + 1)])
            }
        },
        |version, response: DeleteTopicsResponse| {
            assert_eq!(response.responses[0].error_code, 0, "v{version}");
        },
    );
}

#[test]
fn offsets_and_records_in_every_version() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, super::client::batch(&["a", "b"]));
    each_version(
        &mut client,
        |_| {
            let partition = list_offsets_request::ListOffsetsPartition::default()
                .with_current_leader_epoch(-1)
                .with_timestamp(-1);
            let topic = list_offsets_request::ListOffsetsTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![partition]);
            ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
        },
        |version, response: ListOffsetsResponse| {
            assert_eq!(response.topics[0].partitions[0].offset, 2, "v{version}");
        },
    );
    each_version(
        &mut client,
        |_| {
            let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
                .with_current_leader_epoch(-1)
                .with_leader_epoch(0);
            let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                .with_topic(topic_name("t"))
                .with_partitions(vec![partition]);
            OffsetForLeaderEpochRequest::default().with_replica_id((-2).into()).with_topics(vec![topic])
        },
        |version, response: OffsetForLeaderEpochResponse| {
            let partition = &response.topics[0].partitions[0];
            assert_eq!((partition.leader_epoch, partition.end_offset), (0, 2), "v{version}");
        },
    );
    each_version(
        &mut client,
        |version| {
            let partition = delete_records_request::DeleteRecordsPartition::default()
                .with_offset(i64::from(version.min(2)));
            let topic = delete_records_request::DeleteRecordsTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![partition]);
            DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000)
        },
        |version, response: DeleteRecordsResponse| {
            assert_eq!(response.topics[0].partitions[0].low_watermark, i64::from(version), "v{version}");
        },
    );
    let mut first_ids = std::collections::HashSet::new();
    let first_ids = std::cell::RefCell::new(&mut first_ids);
    each_version(
        &mut client,
        |_| {
            let request = InitProducerIdRequest::default().with_transaction_timeout_ms(1000);
            request.with_transactional_id(None).with_producer_id((-1).into()).with_producer_epoch(-1)
        },
        |version, response: InitProducerIdResponse| {
            assert_eq!((response.error_code, response.producer_epoch), (0, 0), "v{version}");
            assert!(first_ids.borrow_mut().insert(response.producer_id.0), "an id is given once");
        },
    );
    each_version(
        &mut client,
        |_| DescribeLogDirsRequest::default().with_topics(None),
        |version, response: DescribeLogDirsResponse| {
            let size = response.results[0].topics[0].partitions[0].partition_size;
            assert!(size > 0, "v{version}");
        },
    );
}

#[test]
fn versions_that_the_codec_crate_lacks() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, super::client::batch(&["a", "b"]));
    // v11 of ListOffsets is v10 with one more kind of question: what tiered storage lacks.
    for (timestamp, offset) in [(-1, 2), (-6, -1)] {
        let partition = list_offsets_request::ListOffsetsPartition::default()
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp);
        let topic = list_offsets_request::ListOffsetsTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        let frame = client.frame_as(11, 10, &request);
        client.send_raw(&frame);
        let response = client.receive::<ListOffsetsRequest>(10).unwrap();
        let answer = &response.topics[0].partitions[0];
        assert_eq!((answer.error_code, answer.offset), (0, offset));
    }
    // v5 of DescribeLogDirs ends each directory with one more byte: whether it is cordoned.
    let all = DescribeLogDirsRequest::default().with_topics(None);
    let mut sizes = [4, 5].map(|version| {
        let frame = client.frame_as(version, 4, &all);
        client.send_raw(&frame);
        client.read_frame().unwrap().len()
    });
    sizes[0] += 1;
    assert_eq!(sizes[0], sizes[1]);
}

#[test]
fn configs_in_every_version() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.create_topic("t", 1, &[]);
    let text = StrBytes::from_static_str;
    each_version(
        &mut client,
        |version| {
            let config = alter_configs_request::AlterableConfig::default()
                .with_name(text("retention.ms"))
                .with_value(Some(StrBytes::from_string(format!("{}", 1000 + i32::from(version)))));
            let resource = alter_configs_request::AlterConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("t"))
                .with_configs(vec![config]);
            AlterConfigsRequest::default().with_resources(vec![resource])
        },
        |version, response: AlterConfigsResponse| {
            assert_eq!(response.responses[0].error_code, 0, "v{version}")
        },
    );
    each_version(
        &mut client,
        |_| {
            let config = incremental_alter_configs_request::AlterableConfig::default()
                .with_name(text("cleanup.policy"))
                .with_config_operation(2)
                .with_value(Some(text("compact")));
            let resource = incremental_alter_configs_request::AlterConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("t"))
                .with_configs(vec![config]);
            IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
        },
        |version, response: IncrementalAlterConfigsResponse| {
            assert_eq!(response.responses[0].error_code, 0, "v{version}");
        },
    );
    each_version(
        &mut client,
        |_| {
            let keys = vec![text("retention.ms"), text("cleanup.policy")];
            let resource = describe_configs_request::DescribeConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("t"))
                .with_configuration_keys(Some(keys));
            DescribeConfigsRequest::default().with_resources(vec![resource])
        },
        |version, response: DescribeConfigsResponse| {
            let values: Vec<&str> =
                response.results[0].configs.iter().map(|entry| entry.value.as_deref().unwrap()).collect();
            assert_eq!(values, ["delete,compact", "1002"], "v{version}");
        },
    );
}
