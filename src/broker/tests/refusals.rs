//! What a broker without logins and with a fixed quorum says no to, in each version, as Apache Kafka 4.4.0 does through a
//! PLAINTEXT listener and with `controller.quorum.voters`.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, CreateDelegationTokenRequest, DescribeDelegationTokenRequest,
    ExpireDelegationTokenRequest, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
    RenewDelegationTokenRequest, SaslAuthenticateRequest, SaslHandshakeRequest, UnregisterBrokerResponse,
    add_raft_voter_request::Listener,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use uuid::Uuid;

use super::Fixture;
use super::client::Client;
use crate::protocol::errors::ErrorCode;

const NOT_ALLOWED: i16 = ErrorCode::DelegationTokenRequestNotAllowed.code();

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

#[test]
fn a_login_comes_too_late_where_nobody_logs_in() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let too_late = ErrorCode::IllegalSaslState.code();
    for version in 0..=1 {
        let answer = client.call(version, &SaslHandshakeRequest::default().with_mechanism(text("PLAIN")));
        assert_eq!((answer.error_code, answer.mechanisms.len()), (too_late, 0), "v{version}");
    }
    for version in 0..=2 {
        let request =
            SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0alice\0secret"));
        let answer = client.call(version, &request);
        let told = answer.error_message.unwrap_or_default();
        assert_eq!(answer.error_code, too_late, "v{version}");
        assert_eq!(&*told, "SaslAuthenticate request received after successful authentication");
        assert!(answer.auth_bytes.is_empty());
    }
}

#[test]
fn tokens_are_for_those_who_have_logged_in() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    for version in 1..=3 {
        let answer = client.call(version, &CreateDelegationTokenRequest::default());
        assert_eq!((answer.error_code, &*answer.principal_name), (NOT_ALLOWED, "ANONYMOUS"), "v{version}");
        let times = [answer.issue_timestamp_ms, answer.expiry_timestamp_ms, answer.max_timestamp_ms];
        assert_eq!(times, [-1; 3]);
        assert_eq!(&*answer.token_requester_principal_name, if version >= 3 { "ANONYMOUS" } else { "" });
        let answer = client.call(version, &DescribeDelegationTokenRequest::default());
        assert_eq!((answer.error_code, answer.tokens.len()), (NOT_ALLOWED, 0), "v{version}");
    }
    for version in 1..=2 {
        let renewed = client.call(version, &RenewDelegationTokenRequest::default());
        assert_eq!((renewed.error_code, renewed.expiry_timestamp_ms), (NOT_ALLOWED, -1), "v{version}");
        let expired = client.call(version, &ExpireDelegationTokenRequest::default());
        assert_eq!((expired.error_code, expired.expiry_timestamp_ms), (NOT_ALLOWED, -1), "v{version}");
    }
    let for_bob = CreateDelegationTokenRequest::default()
        .with_owner_principal_type(Some(text("User")))
        .with_owner_principal_name(Some(text("bob")));
    let answer = client.call(3, &for_bob);
    assert_eq!((&*answer.principal_name, &*answer.token_requester_principal_name), ("bob", "ANONYMOUS"));
}

/// A broker that also listens as a controller.
fn fixture() -> Fixture {
    Fixture::start_with(&[
        ("listeners", "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0"),
        ("controller.listener.names", "CONTROLLER"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
    ])
}

fn voter(listener: &str) -> AddRaftVoterRequest {
    let listener = Listener::default().with_name(text(listener)).with_host(text("localhost")).with_port(9999);
    AddRaftVoterRequest::default()
        .with_cluster_id(None)
        .with_voter_id(2)
        .with_voter_directory_id(Uuid::from_u128(5))
        .with_listeners(vec![listener])
}

/// What AddRaftVoter answers; the codec crate lacks v1, whose request has one byte more before its tagged fields.
fn add(client: &mut Client, version: i16, request: &AddRaftVoterRequest) -> (i16, String) {
    let mut frame = client.frame_as(version, 0, request);
    if version == 1 {
        let tags = frame.split_off(frame.len() - 1);
        frame.put_u8(1);
        frame.extend_from_slice(&tags);
        let size = frame.len() as i32 - 4;
        frame[..4].copy_from_slice(&size.to_be_bytes());
    }
    client.send_raw(&frame);
    let mut answer = client.read_frame().expect("the broker answers").slice(5..);
    let answer = AddRaftVoterResponse::decode(&mut answer, 0).unwrap();
    (answer.error_code, answer.error_message.unwrap_or_default().to_string())
}

#[test]
fn no_voter_is_added_at_kraft_version_0() {
    let fixture = fixture();
    let mut client = fixture.client();
    let invalid = ErrorCode::InvalidRequest.code();
    for version in 0..=1 {
        let (code, message) = add(&mut client, version, &voter("CONTROLLER"));
        assert_eq!(code, ErrorCode::UnsupportedVersion.code(), "v{version}");
        assert_eq!(message, "Cluster doesn't support adding voter because the kraft.version feature is 0");
        let elsewhere = voter("CONTROLLER").with_cluster_id(Some(text("wrong"))).with_voter_id(-1);
        let (code, message) = add(&mut client, version, &elsewhere);
        assert_eq!(code, ErrorCode::InconsistentClusterId.code());
        assert!(message.starts_with("The given id \"wrong\" doesn't match the cluster id \""), "{message}");
        let nobody = [voter("X").with_voter_id(-1), voter("X").with_voter_directory_id(Uuid::nil())];
        for request in nobody {
            let refused = (invalid, "Add voter request didn't include a valid voter".to_owned());
            assert_eq!(add(&mut client, version, &request), refused);
        }
        let (code, message) = add(&mut client, version, &voter("x"));
        assert_eq!(code, invalid);
        assert_eq!(
            message,
            "Add voter request didn't include the endpoint (Endpoints(endpoints={ListenerName(X)=localhost/\
             <unresolved>:9999})) for the default listener ListenerName(CONTROLLER)"
        );
        // A name that is none ends the process of Apache Kafka.
        assert_eq!(add(&mut client, version, &voter("")).0, invalid);
    }
}

#[test]
fn no_voter_is_removed_at_kraft_version_0() {
    let fixture = fixture();
    let mut client = fixture.client();
    let mut remove = |request: RemoveRaftVoterRequest| {
        let answer: RemoveRaftVoterResponse = client.call(0, &request);
        (answer.error_code, answer.error_message.unwrap_or_default().to_string())
    };
    let me = RemoveRaftVoterRequest::default()
        .with_cluster_id(None)
        .with_voter_id(1)
        .with_voter_directory_id(Uuid::from_u128(5));
    let (code, message) = remove(me.clone());
    assert_eq!(code, ErrorCode::UnsupportedVersion.code());
    assert_eq!(message, "Cluster doesn't support removing voter because the kraft.version feature is 0");
    let refused =
        (ErrorCode::InvalidRequest.code(), "Remove voter request didn't include a valid voter".to_owned());
    assert_eq!(remove(me.clone().with_voter_id(-2)), refused);
    assert_eq!(remove(me.clone().with_voter_directory_id(Uuid::nil())), refused);
    let elsewhere = me.with_cluster_id(Some(text("")));
    assert_eq!(remove(elsewhere).0, ErrorCode::InconsistentClusterId.code());
}

#[test]
fn the_controller_that_leads_is_not_unregistered_and_no_other_is_known() {
    let fixture = fixture();
    let mut client = fixture.client();
    for (id, code, message) in [
        (1, ErrorCode::InvalidRequest, "Controller cannot unregister itself while it is active."),
        (99, ErrorCode::ControllerIdNotRegistered, "Controller ID 99 is not currently registered."),
        (-1, ErrorCode::ControllerIdNotRegistered, "Controller ID -1 is not currently registered."),
    ] {
        let mut frame = BytesMut::new();
        frame.put_i32(16);
        frame.put_slice(b"\0\x5e\0\0\0\0\0\x07\0\0\0");
        frame.put_i32(id);
        frame.put_u8(0);
        client.send_raw(&frame);
        let answer = client.read_frame().expect("the broker answers");
        assert_eq!(answer[..5], *b"\0\0\0\x07\0", "correlation id and no tagged fields");
        // The answer of UnregisterBroker has the same fields.
        let answer = UnregisterBrokerResponse::decode(&mut answer.slice(5..), 0).unwrap();
        assert_eq!((answer.error_code, &*answer.error_message.unwrap()), (code.code(), message));
    }
}
