//! How one generation of a group ends and the next begins. Kafka: `prepareRebalance`, `completeClassicGroupJoin` and what
//! is around them in `GroupMetadataManager`.

use bytes::Bytes;

use super::commit::subscribed_topics;
use super::draft::Draft;
use super::group::{Assignments, InitialDelay, Phase};
use super::join::{JoinRequest, JoinResponse};
use super::member::Awaiting;
use super::sync::SyncResponse;
use crate::coordinator::group::records::Record;
use crate::protocol::errors::ErrorCode;

/// How often a rebalance that nobody has joined is looked at again, at most: members may ask for no rebalance time at
/// all, and Kafka's timer would then fire without a pause.
const RETRY_WITHOUT_LEADER_MS: i64 = 1000;

impl Draft {
    /// What a join may change of a member.
    pub(super) fn update_member(&mut self, member_id: &str, request: &JoinRequest) {
        self.update(member_id, |member| {
            member.protocols = request.protocols.clone();
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
            member.session_timeout_ms = request.session_timeout_ms;
        });
    }

    pub(super) fn prepare_rebalance_or_complete_join(&mut self) {
        match &self.group.phase {
            Phase::Empty | Phase::CompletingRebalance { .. } | Phase::Stable => self.prepare_rebalance(),
            Phase::PreparingRebalance { .. } => self.complete_join_if_all_joined(),
        }
    }

    /// Asks all members to join again. An empty group waits for more members than the first
    /// (KIP-134).
    pub(in crate::coordinator::group) fn prepare_rebalance(&mut self) {
        if matches!(self.group.phase, Phase::CompletingRebalance { .. }) {
            self.propagate_error(ErrorCode::RebalanceInProgress);
        }
        self.forget_owed_syncs();
        let timeout_ms = self.group.rebalance_timeout_ms();
        if self.group.is_empty() {
            let delay_ms = i64::from(self.settings.group_initial_rebalance_delay_ms);
            let remaining_ms = (timeout_ms - delay_ms).max(0);
            let initial = InitialDelay { delay_ms, remaining_ms, member_added: false };
            let deadline_ms = self.now.uptime_ms + delay_ms;
            self.transition(Phase::PreparingRebalance { deadline_ms, initial: Some(initial) });
            if delay_ms == 0 {
                self.complete_join();
            }
            return;
        }
        let deadline_ms = self.join_deadline();
        self.transition(Phase::PreparingRebalance { deadline_ms, initial: None });
        if self.group.has_all_members_joined() {
            self.complete_join();
        }
    }

    pub(super) fn complete_join_if_all_joined(&mut self) {
        let is_initial = match &self.group.phase {
            Phase::PreparingRebalance { initial, .. } => initial.is_some(),
            Phase::Empty | Phase::CompletingRebalance { .. } | Phase::Stable => return,
        };
        if !is_initial && self.group.has_all_members_joined() {
            self.complete_join();
        }
    }

    /// Ends the join phase with those who are there. Dynamic members that are not are out; static ones stay until
    /// their session ends.
    pub(super) fn complete_join(&mut self) {
        for member_id in self.member_ids() {
            let member = &self.group.members[&member_id];
            if !member.is_static() && !member.is_awaiting_join() {
                self.remove(&member_id);
            }
        }
        if self.group.members.is_empty() {
            self.begin_generation(Phase::Empty);
            return self.records.push(Record::Group(self.group.id.clone(), Some(self.group.to_record(None))));
        }
        if !self.elect_joined_leader() {
            // Nobody can lead. The sessions of these static members end, or one of them comes.
            let deadline_ms = self.join_deadline().max(self.now.uptime_ms + RETRY_WITHOUT_LEADER_MS);
            if let Phase::PreparingRebalance { deadline_ms: deadline, .. } = &mut self.group.phase {
                *deadline = deadline_ms;
            }
            return;
        }
        self.begin_generation(Phase::CompletingRebalance { storing: None });
        for member_id in self.member_ids() {
            let response = JoinResponse::of_generation(&self.group, &member_id);
            let now = self.now;
            let awaiting = self.update(&member_id, |member| {
                member.restart_session(now);
                member.is_new = false;
                member.owes_sync = true;
                std::mem::replace(&mut member.awaiting, Awaiting::Nothing)
            });
            if let Awaiting::Join(request) = awaiting {
                self.reply_join(request, response);
            }
        }
        self.group.sync_deadline_ms = Some(self.join_deadline());
    }

    fn begin_generation(&mut self, phase: Phase) {
        self.group.generation = self.group.generation.checked_add(1).unwrap_or(1);
        self.group.protocol = self.group.select_protocol();
        self.group.subscribed_topics = subscribed_topics(&self.group);
        self.transition(phase);
        self.forget_owed_syncs();
    }

    /// A static leader that has not come back cannot lead: whoever has joined does.
    fn elect_joined_leader(&mut self) -> bool {
        let current = self.group.leader.as_ref().and_then(|leader| self.group.members.get(leader));
        if current.is_some_and(|leader| leader.is_awaiting_join()) {
            return true;
        }
        let joined = self.group.members.values().find(|member| member.is_awaiting_join());
        let Some(joined) = joined else { return false };
        self.group.leader = Some(joined.member_id.clone());
        true
    }

    /// A rebalance timeout from the start of the phase. At least a millisecond, or a client that asks for no time would
    /// keep the deadline in the past.
    fn join_deadline(&self) -> i64 {
        self.now.uptime_ms + self.group.rebalance_timeout_ms().max(1)
    }

    fn forget_owed_syncs(&mut self) {
        self.group.sync_deadline_ms = None;
        for member_id in self.member_ids() {
            self.update(&member_id, |member| member.owes_sync = false);
        }
    }

    /// The assignment will not come: members that wait for it join again.
    pub(super) fn propagate_error(&mut self, error: ErrorCode) {
        for member_id in self.member_ids() {
            self.answer_sync(&member_id, Bytes::new(), SyncResponse::error(error));
        }
    }

    /// The assignment is committed: everybody may know it.
    pub(super) fn propagate_assignment(&mut self, assignments: &Assignments) {
        for member_id in self.member_ids() {
            let assignment = assignments.get(&member_id).cloned().unwrap_or_default();
            let response = SyncResponse::assigned(&self.group, assignment.clone());
            self.answer_sync(&member_id, assignment, response);
        }
    }

    fn answer_sync(&mut self, member_id: &str, assignment: Bytes, response: SyncResponse) {
        let now = self.now;
        let waited = self.update(member_id, |member| {
            member.assignment = assignment;
            let Awaiting::Sync(request) = member.awaiting else { return None };
            member.awaiting = Awaiting::Nothing;
            member.restart_session(now);
            Some(request)
        });
        if let Some(request) = waited {
            self.reply_sync(request, response);
        }
    }
}
