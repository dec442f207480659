//! Quotas that are set and enforced, credentials that are stored, and ACLs that are not there.

use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterUserScramCredentialsRequest, ApiVersionsRequest, CreateAclsRequest,
    CreateTopicsRequest, DeleteAclsRequest, DeleteTopicsRequest, DescribeAclsRequest,
    DescribeClientQuotasRequest, DescribeUserScramCredentialsRequest, ListOffsetsRequest, MetadataRequest,
    delete_acls_request,
};
use kafka_protocol::protocol::StrBytes;

use super::Fixture;
use super::client::{Client, batch, fetch, produce, topic_name, values};
use crate::env::clock::Clock;
use crate::protocol::errors::ErrorCode;

/// With one whole window of a second, a second's worth of a quota is free.
pub const SHORT_MEMORY: &[(&str, &str)] = &[("quota.window.num", "2")];

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn set(client: &mut Client, entity: &[(&str, Option<&str>)], key: &str, value: f64) {
    let parts = entity.iter().map(|(entity_type, name)| {
        EntityData::default().with_entity_type(text(entity_type)).with_entity_name(name.map(text))
    });
    let operation = OpData::default().with_key(text(key)).with_value(value);
    let entry = EntryData::default().with_entity(parts.collect()).with_ops(vec![operation]);
    let answer = client.call(1, &AlterClientQuotasRequest::default().with_entries(vec![entry]));
    assert_eq!(answer.entries[0].error_code, 0, "{:?}", answer.entries[0].error_message);
}

/// Every quota there is, as text.
fn described(client: &mut Client) -> Vec<String> {
    let answer = client.call(1, &DescribeClientQuotasRequest::default());
    let entries = answer.entries.unwrap().into_iter().map(|entry| {
        let parts = entry.entity.iter().map(|part| {
            format!("{}={}", part.entity_type.as_str(), part.entity_name.as_deref().unwrap_or("<default>"))
        });
        let values = entry.values.iter().map(|value| format!("{}:{}", value.key.as_str(), value.value));
        format!("{} {}", parts.collect::<Vec<_>>().join(","), values.collect::<Vec<_>>().join(","))
    });
    entries.collect()
}

#[test]
fn quotas_and_credentials_outlive_a_restart() {
    let mut fixture = Fixture::start();
    let mut client = fixture.client();
    set(&mut client, &[("user", None), ("client-id", Some("a"))], "producer_byte_rate", 1e6);
    set(&mut client, &[("ip", Some("10.0.0.1"))], "connection_creation_rate", 7.0);
    let upsertion = ScramCredentialUpsertion::default()
        .with_name(text("alice"))
        .with_mechanism(2)
        .with_iterations(8192)
        .with_salt(vec![1, 2].into())
        .with_salted_password(vec![3; 64].into());
    let altered =
        client.call(0, &AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]));
    assert_eq!((altered.results[0].error_code, altered.results[0].user.as_str()), (0, "alice"));
    let quotas =
        ["client-id=a,user=<default> producer_byte_rate:1000000", "ip=10.0.0.1 connection_creation_rate:7"];
    assert_eq!(described(&mut client), quotas);

    fixture.restart();
    let mut client = fixture.client();
    assert_eq!(described(&mut client), quotas);
    let users = ["alice", "bob"].map(|name| UserName::default().with_name(text(name)));
    let asked = DescribeUserScramCredentialsRequest::default().with_users(Some(users.to_vec()));
    let answer = client.call(0, &asked);
    let alice = &answer.results[0].credential_infos[0];
    assert_eq!((alice.mechanism, alice.iterations), (2, 8192));
    assert_eq!(answer.results[1].error_code, ErrorCode::ResourceNotFound.code());
    let all = client.call(0, &DescribeUserScramCredentialsRequest::default().with_users(None));
    assert_eq!(all.results.len(), 1);
}

#[test]
fn an_address_that_is_none_is_refused() {
    let fixture = Fixture::start();
    let part = EntityData::default().with_entity_type(text("ip")).with_entity_name(Some(text("no host")));
    let entry = EntryData::default().with_entity(vec![part]);
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let answer = fixture.client().call(0, &request);
    let message = answer.entries[0].error_message.as_ref().map(StrBytes::as_str);
    assert_eq!(message, Some("no host is not a valid IP or resolvable host."));
}

#[test]
fn a_producer_beyond_its_quota_is_told_and_not_read_for_that_time() {
    let fixture = Fixture::start_with(SHORT_MEMORY);
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    set(&mut client, &[("client-id", Some("test"))], "producer_byte_rate", 1000.0);
    let request = produce(9, ("t", id), 0, batch(&[&"x".repeat(1500)]), -1);
    let clock = Clock::system();
    client.send(9, &request);
    let metadata = client.frame(9, &MetadataRequest::default());
    client.send_raw(&metadata);
    let throttle_ms =
        client.receive_earlier::<kafka_protocol::messages::ProduceRequest>(9, 1).throttle_time_ms;
    assert!((500..1500).contains(&throttle_ms), "about half a second over a second's worth: {throttle_ms}");
    client.receive::<MetadataRequest>(9).unwrap();
    assert!(clock.uptime_ms() >= i64::from(throttle_ms) - 1);
    let unthrottled = fixture.client().call(9, &MetadataRequest::default());
    assert_eq!(unthrottled.throttle_time_ms, 0, "no time was overdrawn");
}

#[test]
fn a_consumer_beyond_its_quota_gets_nothing_and_everything_later() {
    let fixture = Fixture::start_with(SHORT_MEMORY);
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    for _ in 0..3 {
        client.produce(9, ("t", id), 0, batch(&[&"x".repeat(600)]));
    }
    set(&mut client, &[("user", None)], "consumer_byte_rate", 1000.0);
    let mut offset = 0;
    let mut throttled = false;
    while offset < 3 {
        let answer = client.call(12, &fetch(12, ("t", id), &[(0, offset)], 0));
        assert_eq!(answer.error_code, 0);
        if answer.throttle_time_ms > 0 {
            throttled = true;
            assert!(answer.responses.is_empty());
            assert_eq!(answer.session_id, 0);
        } else {
            let found = values(&answer).len() as i64;
            assert_eq!(found, 1, "two batches are more than a window's worth");
            offset += found;
        }
    }
    assert!(throttled);
}

#[test]
fn the_strongest_quota_counts_and_one_that_is_removed_does_not() {
    let fixture = Fixture::start_with(SHORT_MEMORY);
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    set(&mut client, &[("client-id", None)], "producer_byte_rate", 1.0);
    set(&mut client, &[("user", Some("ANONYMOUS"))], "producer_byte_rate", 1e9);
    let request = produce(9, ("t", id), 0, batch(&["x"]), -1);
    assert_eq!(client.call(9, &request).throttle_time_ms, 0);
    set(&mut client, &[("user", Some("ANONYMOUS")), ("client-id", Some("test"))], "producer_byte_rate", 90.0);
    assert!(client.call(9, &request).throttle_time_ms > 0);
}

#[test]
fn a_client_that_takes_too_much_time_is_told_in_every_answer() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    set(&mut client, &[("user", None)], "request_percentage", 1e-6);
    assert_eq!(client.call(9, &MetadataRequest::default()).throttle_time_ms, 1000, "a window at most");
    let mut client = fixture.client();
    assert_eq!(client.call(4, &ListOffsetsRequest::default()).throttle_time_ms, 1000);
    let mut client = fixture.client();
    let request = ApiVersionsRequest::default()
        .with_client_software_name(text("test"))
        .with_client_software_version(text("1"));
    assert_eq!(client.call(3, &request).throttle_time_ms, 1000);
}

#[test]
fn partitions_beyond_the_quota_are_refused_and_what_is_refused_for_another_reason_is_free() {
    let fixture = Fixture::start_with(&[("controller.quota.window.num", "1")]);
    let mut client = fixture.client();
    set(&mut client, &[("user", None)], "controller_mutation_rate", 5.0);
    let create = |client: &mut Client, version, name: &str, count| {
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(count)
            .with_replication_factor(1);
        let answer = client.call(version, &CreateTopicsRequest::default().with_topics(vec![topic]));
        (answer.topics[0].error_code, answer.throttle_time_ms)
    };
    assert_eq!(create(&mut client, 7, "no/name", 1000), (ErrorCode::InvalidTopicException.code(), 0));
    assert_eq!(create(&mut client, 7, "t", 8), (0, 0), "the last one may overdraw");
    let (code, throttle_ms) = create(&mut client, 7, "u", 1);
    assert_eq!(code, ErrorCode::ThrottlingQuotaExceeded.code());
    assert!((1..=600).contains(&throttle_ms), "{throttle_ms}");
    let (code, throttle_ms) = create(&mut client, 5, "v", 10);
    assert_eq!(code, 0, "an old client is not refused");
    assert!(throttle_ms > 500, "{throttle_ms}");
    let named = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t")]);
    let mut other = fixture.client();
    assert_eq!(other.call(5, &named).responses[0].error_code, ErrorCode::ThrottlingQuotaExceeded.code());
}

#[test]
fn an_address_with_too_many_new_connections_is_turned_away() {
    let fixture = Fixture::start_with(SHORT_MEMORY);
    set(&mut fixture.client(), &[("ip", None)], "connection_creation_rate", 1.0);
    fixture.client().call(9, &MetadataRequest::default());
    let mut refused = fixture.client();
    refused.send(9, &MetadataRequest::default());
    assert!(refused.receive::<MetadataRequest>(9).is_none());
}

#[test]
fn there_is_no_authorizer() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let disabled = ErrorCode::SecurityDisabled.code();
    let text_of = |message: &Option<StrBytes>| message.as_ref().map(|text| text.to_string()).unwrap();
    for version in 1..=3 {
        let answer = client.call(version, &DescribeAclsRequest::default());
        assert_eq!(answer.error_code, disabled);
        assert_eq!(text_of(&answer.error_message), "No Authorizer is configured on the broker");
        let creations = vec![AclCreation::default().with_resource_pattern_type(3); 2];
        let answer = client.call(version, &CreateAclsRequest::default().with_creations(creations));
        assert_eq!(answer.results.len(), 2);
        assert_eq!(answer.results[1].error_code, disabled);
        let filters = vec![delete_acls_request::DeleteAclsFilter::default()];
        let answer = client.call(version, &DeleteAclsRequest::default().with_filters(filters));
        assert_eq!(answer.filter_results[0].error_code, disabled);
        assert_eq!(text_of(&answer.filter_results[0].error_message), "No Authorizer is configured.");
    }
}
