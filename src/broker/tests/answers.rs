//! The shapes of answers, where Kafka's are not what one would guess: what is null and what is empty, which error comes
//! first, what is left out. Most of these were found by the differential fuzz (`compat-tests/suites/diff-fuzz`).

use kafka_protocol::messages::{BrokerId, DescribeQuorumRequest, describe_quorum_request};

use super::Fixture;
use super::client::topic_name;
use crate::protocol::errors::ErrorCode;

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
