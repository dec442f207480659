//! SyncGroup: the leader hands in the assignment, the others wait for it until it is committed. Kafka:
//! `GroupMetadataManager.classicGroupSync`.

use std::sync::Arc;

use bytes::Bytes;

use super::draft::Draft;
use super::group::{Assignments, ClassicGroup, Phase};
use super::member::Awaiting;
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::consumer::classic_member;
use crate::coordinator::group::groups::Group;
use crate::coordinator::group::records::Record;
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Now, Outcome, RequestId};
use crate::protocol::errors::ErrorCode;

#[derive(Clone, Debug)]
pub struct SyncRequest {
    pub group: Arc<str>,
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub generation: i32,
    /// KIP-559, v5: what the client believes to take part in.
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    /// By member id; of the leader only.
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncResponse {
    pub error: ErrorCode,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub assignment: Bytes,
}

impl SyncResponse {
    pub fn error(error: ErrorCode) -> SyncResponse {
        SyncResponse { error, protocol_type: None, protocol: None, assignment: Bytes::new() }
    }

    pub fn assigned(group: &ClassicGroup, assignment: Bytes) -> SyncResponse {
        SyncResponse {
            error: ErrorCode::None,
            protocol_type: group.protocol_type.clone(),
            protocol: group.protocol.clone(),
            assignment,
        }
    }
}

pub(in crate::coordinator::group) fn sync(
    shard: &GroupShard,
    request: SyncRequest,
    id: RequestId,
    now: Now,
) -> Outcome<GroupShard> {
    if let Some(Group::Consumer(group)) = shard.groups.get(&request.group) {
        return classic_member::sync(shard, group, &request, id, now);
    }
    let answer = |response| Outcome::reply(id, Response::Sync(response));
    let group = match find(shard, &request) {
        Ok(group) => group,
        Err(error) => return answer(SyncResponse::error(error)),
    };
    match &group.phase {
        Phase::Empty => answer(SyncResponse::error(ErrorCode::UnknownMemberId)),
        Phase::PreparingRebalance { .. } => answer(SyncResponse::error(ErrorCode::RebalanceInProgress)),
        Phase::CompletingRebalance { storing } => {
            let begins = group.is_leader(&request.member_id) && storing.is_none();
            let mut draft = Draft::new(group.clone(), now, (shard.settings)());
            draft.park(&request.member_id, Awaiting::Sync(id));
            draft.settle_sync(&request.member_id);
            match begins {
                true => store(draft, request, id),
                false => draft.finish(),
            }
        }
        Phase::Stable => {
            let assignment = group.members[&request.member_id].assignment.clone();
            let mut draft = Draft::new(group.clone(), now, (shard.settings)());
            draft.settle_sync(&request.member_id);
            draft.reply_sync(id, SyncResponse::assigned(group, assignment));
            draft.finish()
        }
    }
}

fn find<'a>(shard: &'a GroupShard, request: &SyncRequest) -> Result<&'a ClassicGroup, ErrorCode> {
    if request.group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let group = shard.classic(&request.group).ok_or(ErrorCode::UnknownMemberId)?;
    group.validate_member(&request.member_id, request.instance_id.as_deref())?;
    if request.generation != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    // What either side does not name agrees with anything.
    let differs = |asked: &Option<Arc<str>>, has: &Option<Arc<str>>| matches!((asked, has), (Some(asked), Some(has)) if asked != has);
    if differs(&request.protocol_type, &group.protocol_type) || differs(&request.protocol, &group.protocol) {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    Ok(group)
}

/// The leader's assignment goes to the log. Nobody hears of it before it is committed; the first one of a
/// generation counts, should the leader send two.
fn store(mut draft: Draft, request: SyncRequest, id: RequestId) -> Outcome<GroupShard> {
    let assignments: Assignments = Arc::new(request.assignments.into_iter().collect());
    let (group, generation) = (draft.group.id.clone(), draft.group.generation);
    draft.records.push(Record::Group(group.clone(), Some(draft.group.to_record(Some(&assignments)))));
    draft.group.phase = Phase::CompletingRebalance { storing: Some(assignments) };
    let mut outcome = draft.finish();
    outcome.on_committed = Some(Command::AssignmentCommitted { group: group.clone(), generation });
    outcome.on_failed =
        Some(Box::new(move |error| Command::AssignmentFailed { group, generation, error, leader_sync: id }));
    outcome
}

/// The group becomes stable, unless it has gone on in the meantime.
pub(in crate::coordinator::group) fn assignment_committed(
    shard: &GroupShard,
    group: &Arc<str>,
    generation: i32,
    now: Now,
) -> Outcome<GroupShard> {
    let group = shard.classic(group).filter(|group| group.generation == generation);
    let Some(group) = group else { return Outcome::nothing() };
    let Phase::CompletingRebalance { storing: Some(assignments) } = &group.phase else {
        return Outcome::nothing();
    };
    let mut draft = Draft::new(group.clone(), now, (shard.settings)());
    draft.propagate_assignment(assignments);
    draft.transition(Phase::Stable);
    draft.finish()
}

/// Whoever waits is told, and the group begins anew. A refused append has not parked the leader's request either.
pub(in crate::coordinator::group) fn assignment_failed(
    shard: &GroupShard,
    group: &Arc<str>,
    generation: i32,
    error: ErrorCode,
    leader_sync: RequestId,
    now: Now,
) -> Outcome<GroupShard> {
    let refusal = (leader_sync, Response::Sync(SyncResponse::error(error)));
    let group = shard.classic(group).filter(|group| group.generation == generation);
    let Some(group) = group.filter(|group| matches!(group.phase, Phase::CompletingRebalance { .. })) else {
        return Outcome { replies: vec![refusal], ..Outcome::nothing() };
    };
    let mut draft = Draft::new(group.clone(), now, (shard.settings)());
    draft.replies.push(refusal);
    draft.propagate_error(error);
    draft.prepare_rebalance();
    draft.finish()
}

impl Draft {
    /// The member has sent its SyncGroup; when all have, nobody can be late with it.
    fn settle_sync(&mut self, member_id: &str) {
        self.update(member_id, |member| member.owes_sync = false);
        if self.group.members.values().all(|member| !member.owes_sync) {
            self.group.sync_deadline_ms = None;
        }
    }
}
