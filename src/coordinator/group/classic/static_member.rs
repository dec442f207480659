//! Static members (KIP-345): one that comes back under its instance id takes the place of its former self, and while the
//! group is stable nobody else notices. Kafka: `updateStaticMemberThenRebalanceOrCompleteJoin`.

use std::sync::Arc;

use super::draft::Draft;
use super::group::Phase;
use super::join::{JoinRequest, JoinResponse};
use super::member::Awaiting;
use crate::coordinator::group::records::Record;
use crate::coordinator::shard::RequestId;
use crate::protocol::errors::ErrorCode;

impl Draft {
    pub(super) fn replace_static_member(
        &mut self,
        request: &JoinRequest,
        instance_id: &Arc<str>,
        old_member_id: &str,
        member_id: Arc<str>,
        id: RequestId,
    ) {
        let leader_before = self.group.leader.clone();
        self.rename(instance_id, old_member_id, &member_id);
        self.update_member(&member_id, request);
        let now = self.now;
        self.update(&member_id, |member| member.restart_session(now));
        match &self.group.phase {
            Phase::Empty => unreachable!("an empty group has no static member that could be found"),
            Phase::Stable if self.group.protocol == self.group.select_protocol() => {
                self.records.push(Record::Group(self.group.id.clone(), Some(self.group.to_record(None))));
                let mut response = JoinResponse::of_generation(&self.group, &member_id);
                if request.supports_skipping_assignment {
                    // KIP-814: the leader learns the members, and that their assignments stay.
                    response.skip_assignment = self.group.is_leader(&member_id);
                } else {
                    // A leader that cannot skip must not see itself as one: it would assign anew.
                    response.leader = leader_before.unwrap_or_else(|| Arc::from(""));
                    response.members.clear();
                }
                self.reply_join(id, response);
            }
            Phase::Stable => {
                self.park(&member_id, Awaiting::Join(id));
                self.prepare_rebalance_or_complete_join();
            }
            // The leader may have seen the old id already, and would assign to that.
            Phase::CompletingRebalance { .. } => {
                self.park(&member_id, Awaiting::Join(id));
                self.prepare_rebalance();
            }
            Phase::PreparingRebalance { .. } => {
                self.park(&member_id, Awaiting::Join(id));
                self.complete_join_if_all_joined();
            }
        }
    }

    /// The member under its new id; whoever waits under the old one is fenced at once.
    fn rename(&mut self, instance_id: &Arc<str>, old_member_id: &str, member_id: &Arc<str>) {
        let old = self.group.members.remove(old_member_id);
        let mut member = old.expect("the static members name members of the group");
        self.turn_away(old_member_id, member.awaiting, ErrorCode::FencedInstanceId);
        member.member_id = member_id.clone();
        member.awaiting = Awaiting::Nothing;
        // The new one has heard nothing of the generation's assignment, and is not waited for either.
        member.owes_sync = false;
        member.is_new = false;
        self.group.members.insert(member_id.clone(), member);
        self.group.static_members.insert(instance_id.clone(), member_id.clone());
        if self.group.is_leader(old_member_id) {
            self.group.leader = Some(member_id.clone());
        }
    }
}
