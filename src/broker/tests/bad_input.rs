//! Frames that cannot be trusted close the connection they came on, and no other.

use std::io::Write;

use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, ProduceRequest};
use kafka_protocol::protocol::Decodable;

use super::Fixture;
use super::client::{batch, fetch, produce};
use crate::handlers::table::APIS;
use crate::protocol::errors::ErrorCode;

/// Sends `bytes` on a connection of its own, which must be closed, and asks on another whether all is well.
fn closes(fixture: &Fixture, bytes: &[u8], what: &str) {
    let mut client = fixture.client();
    client.send_raw(bytes);
    assert!(client.read_frame().is_none(), "{what} gets an answer");
    let healthy = fixture.client().call(12, &MetadataRequest::default().with_topics(None));
    assert_eq!(healthy.brokers.len(), 1);
}

#[test]
fn lengths_that_lie_close_the_connection() {
    let fixture = Fixture::start();
    for length in [-1, i32::MIN, i32::MAX, 0, 1, 3] {
        let mut bytes = i32::to_be_bytes(length).to_vec();
        bytes.extend([0; 8]);
        if length <= 3 || length == i32::MAX {
            closes(&fixture, &bytes, &format!("length {length}"));
        }
    }
}

#[test]
fn unknown_keys_and_versions_close_the_connection() {
    let fixture = Fixture::start();
    let frame = |key: i16, version: i16| {
        let mut frame = vec![0, 0, 0, 10];
        frame.extend(key.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend([0, 0, 0, 1, 0xff, 0xff]);
        frame
    };
    closes(&fixture, &frame(200, 0), "key 200");
    closes(&fixture, &frame(-1, 0), "key -1");
    closes(&fixture, &frame(0, -1), "Produce v-1");
    closes(&fixture, &frame(0, 14), "Produce v14");
    closes(&fixture, &frame(1, 19), "Fetch v19");
    closes(&fixture, &frame(3, i16::MAX), "Metadata of a far future");
    closes(&fixture, &frame(3, -1), "a negative version");
}

#[test]
fn api_versions_of_a_future_version_is_answered_in_v0() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.send_raw(&[0, 0, 0, 10, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff]);
    let mut frame = client.read_frame().unwrap();
    assert_eq!(frame.split_to(4)[..], [0, 0, 0, 7], "the correlation id");
    let response = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
    assert_eq!(response.api_keys.len(), 1);
    assert_eq!((response.api_keys[0].api_key, response.api_keys[0].max_version), (18, 5));
}

#[test]
fn api_versions_lists_what_is_served() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    for version in 0..=4 {
        let request = ApiVersionsRequest::default();
        let request = match version >= 3 {
            true => request.with_client_software_name("test".into()).with_client_software_version("1".into()),
            false => request,
        };
        let response = client.call(version, &request);
        assert_eq!(response.error_code, 0);
        let listed: Vec<i16> = response.api_keys.iter().map(|api| api.api_key).collect();
        let served: Vec<i16> = APIS.iter().map(|api| api.key).collect();
        assert_eq!(listed, served, "v{version}");
        assert_eq!(response.api_keys[0].min_version, 0, "KAFKA-18659: Produce is advertised from v0");
    }
    let nameless = client.call(3, &ApiVersionsRequest::default());
    assert_eq!(nameless.error_code, ErrorCode::InvalidRequest.code());
}

#[test]
fn a_body_cut_at_any_byte_closes_the_connection() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    let whole = [
        client.frame(9, &produce(9, ("t", id), 0, batch(&["x"]), -1)),
        client.frame(12, &fetch(12, ("t", id), &[(0, 0)], 0)),
        client.frame(12, &MetadataRequest::default().with_topics(None)),
    ];
    for frame in whole {
        // From the header on: shorter ones are the business of the tests above.
        for size in 12..frame.len() - 1 {
            let mut cut = ((size - 4) as i32).to_be_bytes().to_vec();
            cut.extend(&frame[4..size]);
            let mut client = fixture.client();
            client.send_raw(&cut);
            assert!(client.read_frame().is_none(), "{size} of {} bytes", frame.len());
        }
    }
    assert_eq!(fixture.client().list_offset("t", 0, -1).0, 0, "nothing was appended");
}

#[test]
fn a_count_that_lies_costs_no_memory() {
    let fixture = Fixture::start();
    // Eighteen bytes that make a trusting decoder ask for 154 GB: two billion topics in a Metadata v1.
    let frame = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff];
    closes(&fixture, &frame, "a count of topics that cannot be there");
}

#[test]
fn a_frame_that_never_ends_leaves_others_alone() {
    let fixture = Fixture::start();
    let mut slow: Vec<std::net::TcpStream> = (0..50)
        .map(|_| {
            std::net::TcpStream::connect(fixture.broker.as_ref().unwrap().addresses()[0].address).unwrap()
        })
        .collect();
    for stream in &mut slow {
        stream.write_all(&[0, 0, 1, 0, 0, 3]).unwrap();
    }
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[]);
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["x"])), (0, 0));
}

#[test]
fn requests_are_answered_in_the_order_they_came() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &[("flush.messages", "1")]);
    let frames: Vec<_> =
        (0..20).map(|_| client.frame(9, &produce(9, ("t", id), 0, batch(&["x"]), -1))).collect();
    client.send_raw(&frames.concat());
    for offset in 0..20 {
        let mut frame = client.read_frame().unwrap();
        let _header = frame.split_to(4);
        let _tags = frame.split_to(1);
        let response =
            <ProduceRequest as kafka_protocol::protocol::Request>::Response::decode(&mut frame, 9).unwrap();
        assert_eq!(response.responses[0].partition_responses[0].base_offset, offset);
    }
}
