//! Who is late: members that do not heartbeat, members that do not give up partitions others wait for, and those of the
//! classic protocol that do not join again or send SyncGroup. All are taken out of the group. Kafka:
//! `scheduleConsumerGroupSessionTimeout`, `...RebalanceTimeout`, `...JoinTimeoutIfAbsent`, `...SyncTimeout`.

use std::sync::Arc;

use super::draft::Draft;
use super::group::{ConsumerGroup, RebalanceTimer, Timers};
use super::topics::ConsumerSettings;
use crate::coordinator::group::records::consumer::MemberState;
use crate::coordinator::shard::Now;

impl Draft {
    /// Takes out everybody who is late; `false` when nobody is.
    pub(in crate::coordinator::group) fn expire(&mut self) -> bool {
        let is_late = |deadline_ms: i64| deadline_ms <= self.now.uptime_ms;
        let late = |id: &&Arc<str>| self.group.deadline_of(id).is_some_and(is_late);
        let late: Vec<Arc<str>> = self.group.timers.keys().filter(late).cloned().collect();
        if !late.is_empty() {
            self.fence(&late);
        }
        !late.is_empty()
    }
}

impl ConsumerGroup {
    /// Starts the timers of all members, as a new coordinator does.
    pub fn start_timers(&mut self, own: ConsumerSettings, now: Now) {
        let timers = self.members.iter().map(|(id, member)| {
            let is_unrevoked = member.current.state == MemberState::UnrevokedPartitions;
            let waits = is_unrevoked && member.metadata.classic.is_none();
            let rebalance = waits.then(|| RebalanceTimer {
                deadline_ms: now.uptime_ms + i64::from(member.metadata.rebalance_timeout_ms.max(0)),
                member_epoch: member.epoch(),
            });
            let session_deadline_ms = Some(now.uptime_ms + member.session_timeout_ms(own));
            (id.clone(), Timers { session_deadline_ms, rebalance, ..Timers::default() })
        });
        self.timers = timers.collect();
    }
}
