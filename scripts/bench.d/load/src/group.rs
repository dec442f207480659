//! The requests of a group's member, in versions that are not flexible: they are shorter to write.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use crate::wire::{Connection, Reader, Request};

const FIND_COORDINATOR: i16 = 10;
const JOIN_GROUP: i16 = 11;
const HEARTBEAT: i16 = 12;
const LEAVE_GROUP: i16 = 13;
const SYNC_GROUP: i16 = 14;
const DESCRIBE_GROUPS: i16 = 15;

pub const NONE: i16 = 0;
pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
pub const ILLEGAL_GENERATION: i16 = 22;
pub const UNKNOWN_MEMBER_ID: i16 = 25;
pub const REBALANCE_IN_PROGRESS: i16 = 27;
const GROUP_ID_NOT_FOUND: i16 = 69;
const MEMBER_ID_REQUIRED: i16 = 79;
/// How a coordinator that has loaded its groups answers a heartbeat of a group without members.
const KNOWS_NOBODY: [i16; 2] = [UNKNOWN_MEMBER_ID, GROUP_ID_NOT_FOUND];

/// The least that `group.min.session.timeout.ms` allows by default.
const SESSION_TIMEOUT_MS: i32 = 6_000;
const REBALANCE_TIMEOUT_MS: i32 = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// What a member knows of itself after it has joined.
pub struct Joined {
    pub member_id: String,
    pub generation: i32,
    /// All members, on the leader alone.
    pub members: Vec<String>,
}

/// Waits until the group has a coordinator that answers; the first call has the broker create the offsets topic.
pub fn await_coordinator(connection: &mut Connection, group: &str) -> anyhow::Result<()> {
    let mut request = Request::new(FIND_COORDINATOR, 2, false);
    request.string(group).i8(0);
    let find = request.finish();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut answer = connection.call(&find)?;
        answer.i32()?; // throttle time
        let error_code = answer.i16()?;
        if error_code == NONE && KNOWS_NOBODY.contains(&heartbeat(connection, group, "nobody", 1)?) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "group {group} has no coordinator after {PATIENCE:?}: error code {error_code}"
        );
        sleep(PAUSE);
    }
}

/// What a JoinGroup is answered with.
pub enum JoinAnswer {
    Joined(Joined),
    /// The group says who the member is; it joins again with this id (KIP-394).
    MemberIdRequired(String),
    /// An error code.
    Refused(i16),
}

/// A member's protocol type and what it brings for the one protocol it knows.
pub struct Subscription<'a> {
    pub protocol_type: &'a str,
    pub metadata: &'a [u8],
}

pub fn join_request(group: &str, member_id: &str, subscription: &Subscription<'_>) -> Vec<u8> {
    let mut request = Request::new(JOIN_GROUP, 5, false);
    request.string(group).i32(SESSION_TIMEOUT_MS).i32(REBALANCE_TIMEOUT_MS).string(member_id).i16(-1);
    request.string(subscription.protocol_type).i32(1).string("only").bytes(subscription.metadata);
    request.finish()
}

pub fn read_join(mut answer: Reader<'_>) -> anyhow::Result<JoinAnswer> {
    answer.i32()?; // throttle time
    let error_code = answer.i16()?;
    let generation = answer.i32()?;
    answer.string()?; // protocol
    answer.string()?; // leader
    let given = String::from_utf8(answer.string()?.to_vec())?;
    match error_code {
        NONE => {
            let mut members = Vec::new();
            for _ in 0..answer.i32()? {
                members.push(String::from_utf8(answer.string()?.to_vec())?);
                answer.string()?; // instance id
                answer.bytes()?;
            }
            Ok(JoinAnswer::Joined(Joined { member_id: given, generation, members }))
        }
        MEMBER_ID_REQUIRED => Ok(JoinAnswer::MemberIdRequired(given)),
        error_code => Ok(JoinAnswer::Refused(error_code)),
    }
}

/// Joins, with a member id if there is one, and waits for the rebalance; an error code if the group says no.
pub fn join(
    connection: &mut Connection,
    group: &str,
    member_id: &str,
) -> anyhow::Result<Result<Joined, i16>> {
    let subscription = Subscription { protocol_type: "load", metadata: b"" };
    let mut member_id = member_id.to_owned();
    loop {
        let request = join_request(group, &member_id, &subscription);
        match read_join(connection.call(&request)?)? {
            JoinAnswer::Joined(joined) => return Ok(Ok(joined)),
            JoinAnswer::MemberIdRequired(given) => member_id = given,
            JoinAnswer::Refused(error_code) => return Ok(Err(error_code)),
        }
    }
}

/// Asks for the assignment of a member; the leader brings those of all.
pub fn sync_request(group: &str, generation: i32, member_id: &str, all: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut request = Request::new(SYNC_GROUP, 3, false);
    request.string(group).i32(generation).string(member_id).i16(-1);
    request.i32(all.len() as i32);
    for (member_id, assignment) in all {
        request.string(member_id).bytes(assignment);
    }
    request.finish()
}

/// The error code and the assignment.
pub fn read_sync<'a>(mut answer: Reader<'a>) -> anyhow::Result<(i16, &'a [u8])> {
    answer.i32()?; // throttle time
    Ok((answer.i16()?, answer.bytes()?))
}

/// Fetches the member's assignment; the leader gives each member its own id. An error code if the group says no.
pub fn sync(connection: &mut Connection, group: &str, joined: &Joined) -> anyhow::Result<i16> {
    let own_id = |member_id: &String| (member_id.clone(), member_id.clone().into_bytes());
    let all: Vec<(String, Vec<u8>)> = joined.members.iter().map(own_id).collect();
    let request = sync_request(group, joined.generation, &joined.member_id, &all);
    let (error_code, assignment) = read_sync(connection.call(&request)?)?;
    if error_code == NONE && assignment != joined.member_id.as_bytes() {
        bail!("{} was given the assignment of {}", joined.member_id, String::from_utf8_lossy(assignment));
    }
    Ok(error_code)
}

pub fn heartbeat_request(group: &str, member_id: &str, generation: i32) -> Vec<u8> {
    let mut request = Request::new(HEARTBEAT, 3, false);
    request.string(group).i32(generation).string(member_id).i16(-1);
    request.finish()
}

pub fn leave_request(group: &str, member_id: &str) -> Vec<u8> {
    let mut request = Request::new(LEAVE_GROUP, 3, false);
    request.string(group).i32(1).string(member_id).i16(-1);
    request.finish()
}

/// The error code in the answer to a Heartbeat or a LeaveGroup.
pub fn read_error_code(mut answer: Reader<'_>) -> anyhow::Result<i16> {
    answer.i32()?; // throttle time
    answer.i16()
}

pub fn heartbeat(
    connection: &mut Connection,
    group: &str,
    member_id: &str,
    generation: i32,
) -> anyhow::Result<i16> {
    read_error_code(connection.call(&heartbeat_request(group, member_id, generation))?)
}

pub fn leave(connection: &mut Connection, group: &str, member_id: &str) -> anyhow::Result<i16> {
    read_error_code(connection.call(&leave_request(group, member_id))?)
}

/// The group's state and how many members it has.
pub fn describe(connection: &mut Connection, group: &str) -> anyhow::Result<(String, usize)> {
    let mut request = Request::new(DESCRIBE_GROUPS, 2, false);
    request.i32(1).string(group);
    let mut answer = connection.call(&request.finish())?;
    answer.i32()?; // throttle time
    ensure!(answer.i32()? == 1, "DescribeGroups answered another number of groups than one");
    let error_code = answer.i16()?;
    ensure!(error_code == NONE, "describe group {group}: error code {error_code}");
    answer.string()?;
    let state = String::from_utf8(answer.string()?.to_vec())?;
    answer.string()?; // protocol type
    answer.string()?; // protocol
    Ok((state, usize::try_from(answer.i32()?)?))
}
