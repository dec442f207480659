//! `--as-version`: the broker passes for a release of Apache Kafka.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;

use super::client::Client;
use super::{Broker, Fixture};
use crate::handlers::releases::Release;
use crate::protocol::errors::ErrorCode;

fn api_versions(client: &mut Client, version: i16) -> ApiVersionsResponse {
    let request = ApiVersionsRequest::default();
    let request = match version >= 3 {
        true => request.with_client_software_name("test".into()).with_client_software_version("1".into()),
        false => request,
    };
    client.call(version, &request)
}

/// Finalized levels, as ApiVersions tells them.
fn finalized(client: &mut Client) -> Vec<(String, i16)> {
    let features = api_versions(client, 3).finalized_features;
    features.iter().map(|feature| (feature.name.to_string(), feature.max_version_level)).collect()
}

#[test]
fn the_keys_and_versions_of_the_release_are_told() {
    for name in ["0.10.0", "1.1", "2.8", "3.9", "4.4"] {
        let fixture = Fixture::start_as(Some(name), &[]);
        let response = api_versions(&mut fixture.client(), 0);
        let told: Vec<(i16, i16, i16)> =
            response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        let apis = &Release::named(name).unwrap().apis;
        let expected: Vec<(i16, i16, i16)> =
            apis.iter().map(|api| (api.key, api.advertised_min_version, api.max_version)).collect();
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn what_the_release_did_not_know_closes_the_connection() {
    let fixture = Fixture::start_as(Some("1.1"), &[]);
    let mut client = fixture.client();
    client.call(5, &MetadataRequest::default().with_topics(None));
    let frame = client.frame(6, &MetadataRequest::default().with_topics(None));
    client.send_raw(&frame);
    assert!(client.read_frame().is_none(), "1.1 has Metadata up to version 5");
    let mut client = fixture.client();
    let frame = client.frame(0, &DescribeClusterRequest::default());
    client.send_raw(&frame);
    assert!(client.read_frame().is_none(), "DescribeCluster came with 2.8");
}

/// What a newer ApiVersions gets: the error, and how many ranges.
fn refusal(name: &str) -> (i16, usize) {
    let fixture = Fixture::start_as(Some(name), &[]);
    let mut client = fixture.client();
    let request = ApiVersionsRequest::default();
    let request = request.with_client_software_name("test".into()).with_client_software_version("1".into());
    let frame = client.frame(4, &request);
    client.send_raw(&frame);
    let mut frame = client.read_frame().unwrap().slice(4..);
    let response = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    (response.error_code, response.api_keys.len())
}

#[test]
fn a_newer_api_versions_is_refused_as_the_release_did() {
    let unsupported = ErrorCode::UnsupportedVersion.code();
    assert_eq!(refusal("2.3"), (unsupported, 0));
    assert_eq!(refusal("2.4"), (unsupported, 1));
}

#[test]
fn consumer_groups_are_off_where_no_release_had_them_on() {
    let fixture = Fixture::start_as(Some("3.9"), &[]);
    let response: ConsumerGroupHeartbeatResponse =
        fixture.client().call(0, &ConsumerGroupHeartbeatRequest::default());
    assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
}

#[test]
fn a_cluster_that_begins_as_a_release_is_upgraded_later() {
    let mut fixture = Fixture::start_as(Some("3.9"), &[]);
    assert_eq!(finalized(&mut fixture.client()), [("metadata.version".to_owned(), 21)]);
    fixture.as_version = None;
    fixture.restart();
    assert_eq!(finalized(&mut fixture.client()), [("metadata.version".to_owned(), 21)]);
    let update = update_features_request::FeatureUpdateKey::default()
        .with_feature("group.version".into())
        .with_max_version_level(1)
        .with_upgrade_type(1);
    let request = UpdateFeaturesRequest::default().with_feature_updates(vec![update]);
    let response: UpdateFeaturesResponse = fixture.client().call(1, &request);
    assert_eq!(response.error_code, 0);
    let levels = finalized(&mut fixture.client());
    assert!(levels.contains(&("group.version".to_owned(), 1)), "{levels:?}");
}

#[test]
fn a_cluster_that_has_been_further_is_seen_as_far_as_the_release() {
    let mut fixture = Fixture::start();
    fixture.as_version = Some("3.9".to_owned());
    fixture.restart();
    assert_eq!(finalized(&mut fixture.client()), [("metadata.version".to_owned(), 21)]);
    fixture.as_version = None;
    fixture.restart();
    assert!(finalized(&mut fixture.client()).contains(&("transaction.version".to_owned(), 2)));
}

#[test]
fn no_release_with_zookeeper_had_a_feature() {
    let mut fixture = Fixture::start_as(Some("2.8"), &[]);
    let response = api_versions(&mut fixture.client(), 3);
    assert_eq!((response.supported_features.len(), response.finalized_features.len()), (0, 0));
    assert_eq!(response.finalized_features_epoch, 0);
    let update = update_features_request::FeatureUpdateKey::default()
        .with_feature("metadata.version".into())
        .with_max_version_level(8);
    let request = UpdateFeaturesRequest::default().with_feature_updates(vec![update]);
    let response: UpdateFeaturesResponse = fixture.client().call(0, &request);
    assert_eq!(response.error_code, 0);
    assert_eq!(response.results[0].error_code, ErrorCode::InvalidRequest.code());
    // The data are those of any cluster.
    fixture.as_version = None;
    fixture.restart();
    assert_eq!(finalized(&mut fixture.client()), [("metadata.version".to_owned(), 7)]);
}

#[test]
fn messages_between_brokers_are_for_nodes_of_the_cluster() {
    let fixture = Fixture::start_as(Some("2.8"), &[]);
    let ask = |key: i16, version: i16, rest: &[u8]| {
        let header = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 7]].concat();
        let size = ((header.len() + rest.len()) as i32).to_be_bytes();
        let mut client = fixture.client();
        client.send_raw(&[&size[..], &header, rest].concat());
        client.read_frame().map(|frame| frame.to_vec())
    };
    let refused = |rest: &[u8]| Some([&[0, 0, 0, 7][..], rest].concat());
    // The broker id alone: the first ControlledShutdown has no client id.
    assert_eq!(ask(7, 0, &[0, 0, 0, 1]), refused(&[0, 31, 0, 0, 0, 0]));
    let (no_client, id, epoch) = ([0xff, 0xff], [0, 0, 0, 1], [0; 8]);
    let controlled_shutdown = [&no_client[..], &id, &epoch].concat();
    assert_eq!(ask(7, 2, &controlled_shutdown), refused(&[0, 31, 0, 0, 0, 0]));
    let flexible = [&no_client[..], &[0], &id, &epoch, &[0]].concat();
    assert_eq!(ask(7, 3, &flexible), refused(&[0, 0, 31, 1, 0]));
    assert_eq!(ask(7, 2, &[0xff]), None, "what is cut is not answered");
    let allocate = [&no_client[..], &[0], &id, &epoch, &[0]].concat();
    assert_eq!(ask(67, 0, &allocate), None, "AllocateProducerIds came with 3.0");
    let no_topics = [&no_client[..], &[0], &id, &epoch, &[1, 0]].concat();
    assert_eq!(ask(56, 0, &no_topics), refused(&[0, 0, 0, 0, 0, 0, 31, 1, 0]));
}

#[test]
fn a_release_that_nobody_knows_stops_the_start() {
    let mut fixture = Fixture::start();
    fixture.broker.take().unwrap().stop().unwrap();
    fixture.as_version = Some("5.0".to_owned());
    let error = Broker::start(fixture.settings()).err().expect("there is no such release");
    assert!(error.to_string().contains("--as-version 5.0"), "{error}");
}
