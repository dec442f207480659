//! A decision in the making: the group as it becomes, the records that say so, and who is answered.
//!
//! Rules change the draft's copy of the group as if it were the group. The outcome carries that copy as its event, so
//! that nothing of a refused decision has happened, and so that replay cannot come to another result.

use std::sync::Arc;

use super::group::{ClassicGroup, Phase};
use super::join::JoinResponse;
use super::member::{Awaiting, Member};
use super::sync::SyncResponse;
use crate::config::broker::GroupSettings;
use crate::coordinator::group::command::{Response, Soft};
use crate::coordinator::group::records::Record;
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Event, Now, Outcome, RequestId};
use crate::protocol::errors::ErrorCode;

pub(in crate::coordinator::group) struct Draft {
    pub group: ClassicGroup,
    pub records: Vec<Record>,
    pub replies: Vec<(RequestId, Response)>,
    pub now: Now,
    pub settings: Arc<GroupSettings>,
}

impl Draft {
    pub fn new(group: ClassicGroup, now: Now, settings: Arc<GroupSettings>) -> Draft {
        Draft { group, records: Vec::new(), replies: Vec::new(), now, settings }
    }

    /// The records, and what the memory has beyond them: replaying a record alone gives the group as a restart
    /// would find it, so the group itself comes last.
    pub fn finish(self) -> Outcome<GroupShard> {
        let mut outcome = Outcome::nothing();
        outcome.events.extend(self.records.into_iter().map(Event::Durable));
        outcome.soft(Soft::Group(Box::new(self.group)));
        outcome.replies = self.replies;
        outcome
    }

    pub fn transition(&mut self, phase: Phase) {
        self.group.phase = phase;
        self.group.current_state_timestamp = Some(self.now.wall);
    }

    pub fn reply_join(&mut self, request: RequestId, response: JoinResponse) {
        self.replies.push((request, Response::Join(response)));
    }

    pub fn reply_sync(&mut self, request: RequestId, response: SyncResponse) {
        self.replies.push((request, Response::Sync(response)));
    }

    /// Changes one member.
    pub fn update<T>(&mut self, member_id: &str, change: impl FnOnce(&mut Member) -> T) -> T {
        change(self.group.members.get_mut(member_id).expect("rules update members that they have found"))
    }

    /// Lets a member wait. A request of it that waited before was given up by its client.
    pub fn park(&mut self, member_id: &str, awaiting: Awaiting) {
        let before = self.update(member_id, |member| std::mem::replace(&mut member.awaiting, awaiting));
        self.turn_away(member_id, before, ErrorCode::RebalanceInProgress);
    }

    /// Answers a waiting request, which its member waits for no longer, with an error.
    pub fn turn_away(&mut self, member_id: &str, awaiting: Awaiting, error: ErrorCode) {
        match awaiting {
            Awaiting::Nothing => {}
            Awaiting::Join(request) => self.reply_join(request, JoinResponse::error(member_id, error)),
            Awaiting::Sync(request) => self.reply_sync(request, SyncResponse::error(error)),
        }
    }

    /// The id of each member, to go through them while they change.
    pub fn member_ids(&self) -> Vec<Arc<str>> {
        self.group.members.keys().cloned().collect()
    }

    pub fn add(&mut self, member: Member, protocol_type: &Arc<str>) {
        if self.group.members.is_empty() {
            self.group.protocol_type = Some(protocol_type.clone());
        }
        self.group.leader.get_or_insert_with(|| member.member_id.clone());
        self.group.pending_joins.remove(&member.member_id);
        if let Some(instance_id) = &member.instance_id {
            self.group.static_members.insert(instance_id.clone(), member.member_id.clone());
        }
        self.group.members.insert(member.member_id.clone(), member);
    }

    /// Removes a member, or a promised one. What it waits for is answered with UNKNOWN_MEMBER_ID, upon which a client
    /// that is still there joins anew.
    pub fn remove(&mut self, member_id: &str) {
        self.group.pending_joins.remove(member_id);
        let Some(member) = self.group.members.remove(member_id) else { return };
        self.turn_away("", member.awaiting, ErrorCode::UnknownMemberId);
        if let Some(instance_id) = &member.instance_id {
            self.group.static_members.remove(instance_id);
        }
        if self.group.is_leader(member_id) {
            self.group.leader = self.group.members.keys().next().cloned();
        }
    }
}
