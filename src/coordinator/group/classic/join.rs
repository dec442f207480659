//! JoinGroup: who may become or stay a member, and what that does to the group. Kafka:
//! `GroupMetadataManager.classicGroupJoin`.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::draft::Draft;
use super::group::{ClassicGroup, Phase};
use super::member::{Awaiting, Member, Protocol};
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::consumer::classic_join;
use crate::coordinator::group::groups::Group;
use crate::coordinator::group::records::Record;
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Event, Now, Outcome, RequestId};
use crate::protocol::errors::ErrorCode;

#[derive(Clone, Debug)]
pub struct JoinRequest {
    pub group: Arc<str>,
    /// Empty: not known yet.
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// Makes the id of a new member.
    pub fresh_uuid: Uuid,
    pub protocol_type: Arc<str>,
    pub protocols: Arc<[Protocol]>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    /// KIP-394, v4: a new member is given its id first, and joins with that.
    pub requires_known_member_id: bool,
    /// KIP-814, v9: a restarted static leader may be told to leave the assignment as it is.
    pub supports_skipping_assignment: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinResponse {
    pub error: ErrorCode,
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub leader: Arc<str>,
    pub skip_assignment: bool,
    pub member_id: Arc<str>,
    /// For the leader only.
    pub members: Vec<JoinedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub metadata: Bytes,
}

impl JoinResponse {
    pub fn error(member_id: &str, error: ErrorCode) -> JoinResponse {
        JoinResponse {
            error,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: Arc::from(""),
            skip_assignment: false,
            member_id: Arc::from(member_id),
            members: Vec::new(),
        }
    }

    /// The generation as `member_id` is told of it; its members are for the leader.
    pub fn of_generation(group: &ClassicGroup, member_id: &Arc<str>) -> JoinResponse {
        let members = match group.is_leader(member_id) {
            true => joined_members(group),
            false => Vec::new(),
        };
        JoinResponse {
            error: ErrorCode::None,
            generation: group.generation,
            protocol_type: group.protocol_type.clone(),
            protocol: group.protocol.clone(),
            leader: group.leader.clone().unwrap_or_else(|| Arc::from("")),
            skip_assignment: false,
            member_id: member_id.clone(),
            members,
        }
    }
}

fn joined_members(group: &ClassicGroup) -> Vec<JoinedMember> {
    let joined = |member: &Member| JoinedMember {
        member_id: member.member_id.clone(),
        instance_id: member.instance_id.clone(),
        metadata: member.metadata(group.protocol.as_deref()),
    };
    group.members.values().map(joined).collect()
}

const UNKNOWN_MEMBER: &str = "";

pub(in crate::coordinator::group) fn join(
    shard: &GroupShard,
    request: JoinRequest,
    id: RequestId,
    now: Now,
) -> Outcome<GroupShard> {
    let settings = (shard.settings)();
    let refuse =
        |member_id: &str, error| Outcome::reply(id, Response::Join(JoinResponse::error(member_id, error)));
    if request.group.is_empty() {
        return refuse(&request.member_id, ErrorCode::InvalidGroupId);
    }
    let bounds = settings.group_min_session_timeout_ms..=settings.group_max_session_timeout_ms;
    if !bounds.contains(&request.session_timeout_ms) {
        return refuse(&request.member_id, ErrorCode::InvalidSessionTimeout);
    }
    let is_unknown = request.member_id.is_empty();
    let found = shard.groups.get(&request.group);
    let making_way = match found {
        // Nobody is left who would use the other protocol.
        Some(Group::Consumer(consumer)) if consumer.is_empty() => consumer.tombstones(),
        Some(Group::Consumer(consumer)) => return classic_join::join(shard, consumer, &request, id, now),
        Some(Group::Classic(_)) | None => Vec::new(),
    };
    let known = found.and_then(Group::as_classic);
    if known.is_none() && !is_unknown {
        return refuse(&request.member_id, ErrorCode::UnknownMemberId);
    }
    let group = known.cloned().unwrap_or_else(|| ClassicGroup::new(request.group.clone(), now.wall));
    let mut draft = Draft::new(group, now, settings);
    if !accepts(&draft, &request.member_id) {
        draft.remove(&request.member_id);
        draft.reply_join(id, JoinResponse::error(UNKNOWN_MEMBER, ErrorCode::GroupMaxSizeReached));
        return draft.finish();
    }
    if !draft.group.supports_protocols(&request.protocol_type, &request.protocols) {
        return refuse(&request.member_id, ErrorCode::InconsistentGroupProtocol);
    }
    match is_unknown {
        true => join_new(&mut draft, &request, id),
        false => join_known(&mut draft, &request, id),
    }
    if known.is_none() && draft.records.is_empty() {
        // The group exists from here on, also for the next coordinator.
        let created = ClassicGroup::new(request.group.clone(), now.wall);
        draft.records.push(Record::Group(request.group.clone(), Some(created.to_record(None))));
    }
    let mut outcome = draft.finish();
    outcome.events.splice(..0, making_way.into_iter().map(Event::Durable));
    // It waits for no answer of this outcome, so a refusal of the records would go unheard.
    let member_id = request.member_id;
    outcome.on_failed = Some(Box::new(move |error| Command::JoinFailed { request: id, member_id, error }));
    outcome
}

/// `group.max.size` (KIP-389). While members rejoin, those who have count, so that a group that is too large loses the
/// slowest; otherwise all members do.
fn accepts(draft: &Draft, member_id: &str) -> bool {
    let group = &draft.group;
    let limit = draft.settings.group_max_size;
    let member = group.members.get(member_id);
    match &group.phase {
        Phase::Empty => true,
        Phase::PreparingRebalance { .. } => {
            member.is_some_and(Member::is_awaiting_join) || group.awaiting_join_count() < limit
        }
        Phase::CompletingRebalance { .. } | Phase::Stable => member.is_some() || group.members.len() < limit,
    }
}

fn join_new(draft: &mut Draft, request: &JoinRequest, id: RequestId) {
    let name = request.instance_id.as_ref().unwrap_or(&request.client_id);
    let member_id: Arc<str> = Arc::from(format!("{name}-{}", request.fresh_uuid));
    let Some(instance_id) = &request.instance_id else {
        if request.requires_known_member_id {
            let deadline_ms = draft.now.uptime_ms + i64::from(request.session_timeout_ms);
            draft.group.pending_joins.insert(member_id.clone(), deadline_ms);
            draft.reply_join(id, JoinResponse::error(&member_id, ErrorCode::MemberIdRequired));
            return;
        }
        return add_member(draft, request, member_id, id);
    };
    match draft.group.static_members.get(instance_id).cloned() {
        Some(old_member_id) => {
            draft.replace_static_member(request, instance_id, &old_member_id, member_id, id)
        }
        None => add_member(draft, request, member_id, id),
    }
}

fn join_known(draft: &mut Draft, request: &JoinRequest, id: RequestId) {
    let member_id = &request.member_id;
    // A promised member is not static: Kafka has no answer to one that says so, and validation refuses it.
    if draft.group.pending_joins.contains_key(member_id) && request.instance_id.is_none() {
        return add_member(draft, request, member_id.clone(), id);
    }
    let member = match draft.group.validate_member(member_id, request.instance_id.as_deref()) {
        Ok(member) => member,
        Err(error) => return draft.reply_join(id, JoinResponse::error(member_id, error)),
    };
    let is_unchanged = member.protocols == request.protocols;
    let has_current_answer = match &draft.group.phase {
        Phase::Empty => unreachable!("an empty group has no member that could be found"),
        Phase::PreparingRebalance { .. } => false,
        // It may not have received the answer to its first join.
        Phase::CompletingRebalance { .. } => is_unchanged,
        // A leader asks for a rebalance by joining, as when the partitions of a topic have changed.
        Phase::Stable => is_unchanged && !draft.group.is_leader(member_id),
    };
    if has_current_answer {
        let response = JoinResponse::of_generation(&draft.group, member_id);
        return draft.reply_join(id, response);
    }
    draft.update_member(member_id, request);
    draft.park(member_id, Awaiting::Join(id));
    draft.prepare_rebalance_or_complete_join();
}

fn add_member(draft: &mut Draft, request: &JoinRequest, member_id: Arc<str>, id: RequestId) {
    if let Phase::PreparingRebalance { initial: Some(initial), .. } = &mut draft.group.phase {
        initial.member_added = true;
    }
    draft.add(Member::joining(member_id, request, id, draft.now), &request.protocol_type);
    draft.prepare_rebalance_or_complete_join();
}
