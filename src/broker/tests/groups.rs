//! Classic groups over the socket: members that join, share, restart and leave, and what tools see of them.

use bytes::Buf;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, SyncGroupRequest,
    SyncGroupResponse, describe_groups_response, join_group_request, leave_group_request, sync_group_request,
};
use kafka_protocol::protocol::StrBytes;

use super::Fixture;
use super::client::Client;
use crate::protocol::errors::ErrorCode;

const NONE: i16 = 0;
/// One group in each of two partitions.
const BOTH_PARTITIONS: [&str; 2] = ["g", "h"];

fn fixture() -> Fixture {
    Fixture::start_with(&[
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "2"),
        ("group.initial.rebalance.delay.ms", "0"),
    ])
}

/// A client whose groups have a coordinator, in a fixture with two partitions of groups.
pub fn client(fixture: &Fixture) -> Client {
    let mut client = fixture.client();
    let request =
        FindCoordinatorRequest::default().with_coordinator_keys(BOTH_PARTITIONS.map(Into::into).into());
    assert!(client.call(4, &request).coordinators.iter().all(|found| found.error_code == NONE));
    // A broker that has just been started loads them while it answers.
    let request = DescribeGroupsRequest::default().with_groups(BOTH_PARTITIONS.map(group_id).into());
    let is_loading = |client: &mut Client| {
        let loading = ErrorCode::CoordinatorLoadInProgress.code();
        client.call(5, &request).groups.iter().any(|group| group.error_code == loading)
    };
    while is_loading(&mut client) {}
    client
}

fn group_id(group: &str) -> GroupId {
    GroupId(group.to_owned().into())
}

/// One consumer on its own connection.
struct Member {
    client: Client,
    group: GroupId,
    id: StrBytes,
    instance_id: Option<StrBytes>,
    generation: i32,
}

impl Member {
    fn new(fixture: &Fixture, group: &str) -> Member {
        let id = StrBytes::default();
        Member { client: client(fixture), group: group_id(group), id, instance_id: None, generation: -1 }
    }

    fn fixed(fixture: &Fixture, group: &str, instance_id: &'static str) -> Member {
        Member { instance_id: Some(instance_id.into()), ..Member::new(fixture, group) }
    }

    fn join_request(&self, version: i16) -> JoinGroupRequest {
        let protocol = join_group_request::JoinGroupRequestProtocol::default()
            .with_name("range".into())
            .with_metadata(b"topics".as_slice().into());
        let mut request = JoinGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_session_timeout_ms(60_000)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance_id.clone())
            .with_protocol_type("consumer".into())
            .with_protocols(vec![protocol]);
        if version >= 1 {
            request.rebalance_timeout_ms = 60_000;
        }
        if version >= 8 {
            request.reason = Some("a test".into());
        }
        request
    }

    fn send_join(&mut self, version: i16) {
        let request = self.join_request(version);
        self.client.send(version, &request);
    }

    fn receive_join(&mut self, version: i16) -> JoinGroupResponse {
        let joined = self.client.receive::<JoinGroupRequest>(version).expect("the broker answers");
        self.id = joined.member_id.clone();
        self.generation = joined.generation_id;
        joined
    }

    /// Sends the join that waits, after the one that only gets the member's id.
    fn begin_to_join(&mut self, version: i16) {
        let has_id_first = version >= 4 && self.instance_id.is_none();
        if has_id_first && self.id.is_empty() {
            self.send_join(version);
            let refused = self.receive_join(version);
            assert_eq!(refused.error_code, ErrorCode::MemberIdRequired.code(), "v{version}");
            assert!(refused.member_id.starts_with("test-"));
        }
        self.send_join(version);
    }

    fn join(&mut self) -> JoinGroupResponse {
        self.begin_to_join(9);
        let joined = self.receive_join(9);
        assert_eq!(joined.error_code, NONE);
        joined
    }

    fn sync_request(&self, version: i16, assignments: &[(&StrBytes, &'static str)]) -> SyncGroupRequest {
        let assignments = assignments.iter().map(|(member, assignment)| {
            sync_group_request::SyncGroupRequestAssignment::default()
                .with_member_id((*member).clone())
                .with_assignment(assignment.as_bytes().into())
        });
        let mut request = SyncGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance_id.clone())
            .with_assignments(assignments.collect());
        if version >= 5 {
            request.protocol_type = Some("consumer".into());
            request.protocol_name = Some("range".into());
        }
        request
    }

    fn sync(&mut self, assignments: &[(&StrBytes, &'static str)]) -> SyncGroupResponse {
        let request = self.sync_request(5, assignments);
        self.client.call(5, &request)
    }

    /// Joins a group that nobody is in, and has all of it.
    fn join_alone(&mut self) {
        assert_eq!(self.join().members.len(), 1);
        let id = self.id.clone();
        assert_eq!(self.sync(&[(&id, "all")]).assignment, "all");
    }

    fn heartbeat(&mut self, version: i16) -> i16 {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance_id.clone());
        self.client.call(version, &request).error_code
    }

    /// Beats until the group wants this member to join again.
    fn beat_until_rebalance(&mut self) {
        let code = std::iter::repeat_with(|| self.heartbeat(4)).find(|code| *code != NONE);
        assert_eq!(code, Some(ErrorCode::RebalanceInProgress.code()));
    }

    /// The code of the request, and that of the member.
    fn leave(&mut self, version: i16) -> (i16, Option<i16>) {
        let mut request = LeaveGroupRequest::default().with_group_id(self.group.clone());
        if version < 3 {
            request.member_id = self.id.clone();
        } else {
            let member = leave_group_request::MemberIdentity::default()
                .with_member_id(self.id.clone())
                .with_group_instance_id(self.instance_id.clone());
            request.members = vec![member];
        }
        let left = self.client.call(version, &request);
        (left.error_code, left.members.first().map(|member| member.error_code))
    }
}

fn describe(client: &mut Client, version: i16, group: &str) -> describe_groups_response::DescribedGroup {
    let mut request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    if version >= 3 {
        request.include_authorized_operations = true;
    }
    client.call(version, &request).groups.remove(0)
}

fn list(client: &mut Client, version: i16, states: &[&'static str], types: &[&'static str]) -> Vec<String> {
    let texts = |names: &[&'static str]| names.iter().map(|name| StrBytes::from_static_str(name)).collect();
    let request =
        ListGroupsRequest::default().with_states_filter(texts(states)).with_types_filter(texts(types));
    let listed = client.call(version, &request);
    assert_eq!(listed.error_code, NONE);
    let mut names: Vec<String> = listed.groups.iter().map(|group| group.group_id.to_string()).collect();
    names.sort();
    names
}

#[test]
fn two_members_share_a_generation_until_one_leaves() {
    let fixture = fixture();
    let (mut first, mut second) = (Member::new(&fixture, "g"), Member::new(&fixture, "g"));
    first.join_alone();
    assert_eq!((first.generation, first.heartbeat(4)), (1, NONE));

    second.begin_to_join(9);
    first.beat_until_rebalance();
    let joined = first.join();
    assert_eq!((joined.generation_id, &joined.leader, joined.members.len()), (2, &first.id, 2));
    assert!(joined.members.iter().all(|member| member.metadata == "topics"));
    let joined = second.receive_join(9);
    assert_eq!((joined.error_code, joined.generation_id, &joined.leader), (NONE, 2, &first.id));
    assert_eq!(
        (joined.protocol_type.as_deref(), joined.protocol_name.as_deref()),
        (Some("consumer"), Some("range"))
    );
    assert!(joined.members.is_empty());

    // The follower waits for what the leader has to say.
    let request = second.sync_request(5, &[]);
    second.client.send(5, &request);
    let (first_id, second_id) = (first.id.clone(), second.id.clone());
    assert_eq!(first.sync(&[(&first_id, "a"), (&second_id, "b")]).assignment, "a");
    let synced = second.client.receive::<SyncGroupRequest>(5).unwrap();
    assert_eq!((synced.error_code, &synced.assignment[..]), (NONE, b"b".as_slice()));

    assert_eq!(second.leave(5), (NONE, Some(NONE)));
    assert_eq!(second.heartbeat(4), ErrorCode::UnknownMemberId.code());
    first.beat_until_rebalance();
    let joined = first.join();
    assert_eq!((joined.generation_id, joined.members.len()), (3, 1));
}

#[test]
fn a_static_member_that_restarts_keeps_its_assignment() {
    let fixture = fixture();
    let mut before = Member::fixed(&fixture, "g", "i");
    before.join_alone();
    let mut after = Member::fixed(&fixture, "g", "i");
    let joined = after.join();
    assert_ne!(after.id, before.id);
    assert!(after.id.starts_with("i-"));
    assert_eq!((joined.generation_id, joined.skip_assignment), (1, true));
    assert_eq!(after.sync(&[]).assignment, "all");
    assert_eq!(before.heartbeat(4), ErrorCode::FencedInstanceId.code());
    assert_eq!(after.heartbeat(4), NONE);
    // Tools remove it by its instance alone.
    after.id = StrBytes::default();
    assert_eq!(after.leave(5), (NONE, Some(NONE)));
}

#[test]
fn groups_and_their_members_survive_a_restart() {
    let mut fixture = fixture();
    let mut member = Member::new(&fixture, "g");
    member.join_alone();
    let id = member.id.clone();
    drop(member);
    fixture.restart();
    let mut client = client(&fixture);
    let described = describe(&mut client, 6, "g");
    assert_eq!((described.group_state.as_str(), described.protocol_data.as_str()), ("Stable", "range"));
    assert_eq!(described.members[0].member_id, id);
    assert_eq!(described.members[0].member_assignment, "all");
    let mut member = Member { id, generation: 1, ..Member::new(&fixture, "g") };
    assert_eq!(member.heartbeat(4), NONE);
    assert_eq!(member.sync(&[]).assignment, "all");
}

#[test]
fn members_come_and_go_in_every_version() {
    let fixture = fixture();
    for version in 0..=9 {
        let mut member = Member::new(&fixture, &format!("g{version}"));
        member.begin_to_join(version);
        let joined = member.receive_join(version);
        assert_eq!(
            (joined.error_code, joined.generation_id, joined.members.len()),
            (NONE, 1, 1),
            "v{version}"
        );
        let sync_version = version.min(5);
        let request = member.sync_request(sync_version, &[(&joined.member_id, "all")]);
        assert_eq!(member.client.call(sync_version, &request).assignment, "all", "v{version}");
        assert_eq!(member.heartbeat(version.min(4)), NONE, "v{version}");
        let of_member = (version >= 3).then_some(NONE);
        assert_eq!(member.leave(version.min(5)), (NONE, of_member), "v{version}");
        let unknown = ErrorCode::UnknownMemberId.code();
        let again = if version < 3 { (unknown, None) } else { (NONE, Some(unknown)) };
        assert_eq!(member.leave(version.min(5)), again, "v{version}");
    }
}

#[test]
fn requests_that_no_coordinator_can_serve_are_refused() {
    let fixture = fixture();
    // Nobody has asked for a coordinator yet, so there is none.
    let mut early = fixture.client();
    let not_available = ErrorCode::CoordinatorNotAvailable.code();
    assert_eq!(describe(&mut early, 5, "g").error_code, not_available);
    assert_eq!(list(&mut early, 5, &[], &[]), Vec::<String>::new());
    let mut nameless = Member::new(&fixture, "");
    let invalid = ErrorCode::InvalidGroupId.code();
    nameless.send_join(9);
    assert_eq!(nameless.receive_join(9).error_code, invalid);
    assert_eq!(nameless.sync(&[]).error_code, invalid);
    assert_eq!(nameless.heartbeat(4), invalid);
    assert_eq!(nameless.leave(5), (invalid, None));
    let mut stranger = Member::new(&fixture, "g");
    let mut request = stranger.sync_request(5, &[]);
    request.protocol_name = None;
    let refused = stranger.client.call(5, &request);
    assert_eq!(refused.error_code, ErrorCode::InconsistentGroupProtocol.code());
    let request = stranger.join_request(9).with_session_timeout_ms(1);
    assert_eq!(stranger.client.call(9, &request).error_code, ErrorCode::InvalidSessionTimeout.code());
}

#[test]
fn groups_are_described_and_listed_in_every_version() {
    let fixture = fixture();
    let mut client = client(&fixture);
    let mut member = Member::new(&fixture, "full");
    member.join_alone();
    let mut gone = Member::new(&fixture, "empty");
    gone.join_alone();
    gone.leave(5);
    for version in 0..=6 {
        let group = describe(&mut client, version, "full");
        assert_eq!((group.error_code, group.group_state.as_str()), (NONE, "Stable"), "v{version}");
        assert_eq!((group.protocol_type.as_str(), group.protocol_data.as_str()), ("consumer", "range"));
        let shown = &group.members[0];
        assert_eq!((&shown.member_id, shown.client_id.as_str()), (&member.id, "test"));
        assert_eq!(shown.client_host.as_str(), "/127.0.0.1");
        assert_eq!((&shown.member_metadata[..], &shown.member_assignment[..]), (&b"topics"[..], &b"all"[..]));
        // READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
        let operations = if version >= 3 { 0b1101_0100_1000 } else { i32::MIN };
        assert_eq!(group.authorized_operations, operations);
        assert_eq!(describe(&mut client, version, "empty").group_state.as_str(), "Empty");
        let unknown = describe(&mut client, version, "none");
        assert_eq!(unknown.group_state.as_str(), "Dead");
        let (code, message) = match version {
            6 => (ErrorCode::GroupIdNotFound.code(), Some("Group none not found.")),
            _ => (NONE, None),
        };
        assert_eq!((unknown.error_code, unknown.error_message.as_deref()), (code, message), "v{version}");
    }
    for version in 0..=5 {
        assert_eq!(list(&mut client, version, &[], &[]), ["empty", "full"], "v{version}");
        if version >= 4 {
            assert_eq!(list(&mut client, version, &["stable"], &[]), ["full"]);
            assert_eq!(list(&mut client, version, &["Empty", "unheard of"], &[]), ["empty"]);
        }
    }
    assert_eq!(list(&mut client, 5, &["empty"], &["Classic"]), ["empty"]);
    assert!(list(&mut client, 5, &[], &["consumer"]).is_empty());
}

#[test]
fn groups_without_members_are_deleted_in_every_version() {
    let fixture = fixture();
    let mut client = client(&fixture);
    Member::new(&fixture, "full").join_alone();
    let not_found = ErrorCode::GroupIdNotFound.code();
    for version in 0..=2 {
        let mut member = Member::new(&fixture, "empty");
        member.join_alone();
        member.leave(5);
        let names = ["empty", "full", "none", "empty"].map(group_id);
        let response = client.call(version, &DeleteGroupsRequest::default().with_groups_names(names.into()));
        let results: Vec<(&str, i16)> =
            response.results.iter().map(|result| (result.group_id.as_str(), result.error_code)).collect();
        let non_empty = ErrorCode::NonEmptyGroup.code();
        assert_eq!(results, [("empty", NONE), ("full", non_empty), ("none", not_found)], "v{version}");
        assert_eq!(list(&mut client, 5, &[], &[]), ["full"]);
    }
    // v3 has a message behind each code: null.
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id("none")]);
    let frame = client.frame_as(3, 2, &request);
    client.send_raw(&frame);
    let mut answer = client.read_frame().unwrap();
    // The header, throttle_time_ms.
    answer.advance(5 + 4);
    let mut expected = vec![2, 5];
    expected.extend_from_slice(b"none");
    expected.extend_from_slice(&not_found.to_be_bytes());
    expected.extend_from_slice(&[0, 0, 0]);
    assert_eq!(answer, expected);
}
