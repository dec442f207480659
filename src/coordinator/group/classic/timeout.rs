//! Who is late: members that do not heartbeat, do not join again or do not send SyncGroup, and joins that were promised
//! and have not come. Kafka: `expireClassicGroupMemberHeartbeat`, `completeClassicGroupJoin`,
//! `tryCompleteInitialRebalanceElseSchedule`, `expirePendingSync`.

use std::sync::Arc;

use super::draft::Draft;
use super::group::{ClassicGroup, InitialDelay, Phase};

/// What is due in a group.
enum Due {
    Session(Arc<str>),
    PendingJoin(Arc<str>),
    JoinPhase,
    SyncPhase,
}

impl Draft {
    /// Does the one thing that has been due longest; `false` when nothing is.
    pub(in crate::coordinator::group) fn expire(&mut self) -> bool {
        match due(&self.group, self.now.uptime_ms) {
            None => return false,
            Some(Due::Session(member_id)) => self.expire_session(&member_id),
            Some(Due::PendingJoin(member_id)) => {
                self.group.pending_joins.remove(&member_id);
                self.complete_join_if_all_joined_after_loss();
            }
            Some(Due::JoinPhase) => self.expire_join_phase(),
            Some(Due::SyncPhase) => self.expire_sync_phase(),
        }
        true
    }

    fn expire_session(&mut self, member_id: &str) {
        self.remove(member_id);
        match &self.group.phase {
            Phase::Empty => {}
            Phase::PreparingRebalance { .. } => self.complete_join_if_all_joined_after_loss(),
            Phase::CompletingRebalance { .. } | Phase::Stable => self.prepare_rebalance(),
        }
    }

    /// The one that everybody waited for is gone. Other than after a join, the first rebalance of a group ends with
    /// that, too.
    fn complete_join_if_all_joined_after_loss(&mut self) {
        let is_joining = matches!(self.group.phase, Phase::PreparingRebalance { .. });
        if is_joining && self.group.has_all_members_joined() {
            self.complete_join();
        }
    }

    fn expire_join_phase(&mut self) {
        let initial_delay_ms = i64::from(self.settings.group_initial_rebalance_delay_ms);
        let now_ms = self.now.uptime_ms;
        if let Phase::PreparingRebalance { deadline_ms, initial: Some(initial) } = &mut self.group.phase
            && initial.member_added
            && initial.remaining_ms > 0
        {
            let delay_ms = initial_delay_ms.min(initial.remaining_ms);
            let remaining_ms = (initial.remaining_ms - initial.delay_ms).max(0);
            *initial = InitialDelay { delay_ms, remaining_ms, member_added: false };
            *deadline_ms = now_ms + delay_ms;
            return;
        }
        self.complete_join();
    }

    fn expire_sync_phase(&mut self) {
        self.group.sync_deadline_ms = None;
        let late: Vec<Arc<str>> = self
            .group
            .members
            .values()
            .filter(|member| member.owes_sync)
            .map(|member| member.member_id.clone())
            .collect();
        if late.is_empty() {
            return;
        }
        late.iter().for_each(|member_id| self.remove(member_id));
        self.prepare_rebalance();
    }
}

fn due(group: &ClassicGroup, now_ms: i64) -> Option<Due> {
    let join_phase = match &group.phase {
        Phase::PreparingRebalance { deadline_ms, .. } => Some((*deadline_ms, Due::JoinPhase)),
        Phase::Empty | Phase::CompletingRebalance { .. } | Phase::Stable => None,
    };
    let sync_phase = group.sync_deadline_ms.map(|deadline_ms| (deadline_ms, Due::SyncPhase));
    let pending = group.pending_joins.iter().min_by_key(|(_, deadline_ms)| **deadline_ms);
    let pending = pending.map(|(member_id, deadline_ms)| (*deadline_ms, Due::PendingJoin(member_id.clone())));
    let sessions = group.members.values().filter_map(|member| Some((member.failure_deadline()?, member)));
    let session = sessions.min_by_key(|(deadline_ms, _)| *deadline_ms);
    let session = session.map(|(deadline_ms, member)| (deadline_ms, Due::Session(member.member_id.clone())));
    let all = [session, pending, sync_phase, join_phase];
    let (deadline_ms, due) = all.into_iter().flatten().min_by_key(|(deadline_ms, _)| *deadline_ms)?;
    (deadline_ms <= now_ms).then_some(due)
}
