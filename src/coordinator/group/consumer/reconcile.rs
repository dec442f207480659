//! One step of a member from what it has towards its target: first it gives up what is not its own any more, then it takes
//! what others have given up. The heart of KIP-848. Kafka: `CurrentAssignmentBuilder`.

use std::collections::BTreeSet;

use super::assignment::Assignment;
use crate::coordinator::group::records::consumer::{CurrentAssignment, MemberState, OwnedPartitions};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{PartitionIndex, TopicId};

pub(super) struct Reconciliation<'a> {
    pub current: &'a CurrentAssignment,
    pub target_epoch: i32,
    pub target: &'a Assignment,
    /// What the member subscribes to, of the topics that exist. The target may be older than the subscription.
    pub subscribed: &'a BTreeSet<TopicId>,
    pub has_subscription_changed: bool,
    /// What the member says it has; `None` when it says nothing, and then has not given up anything.
    pub owned: Option<&'a Assignment>,
    /// Whether no member has the partition, or is still to give it up.
    pub is_free: &'a dyn Fn(TopicId, PartitionIndex) -> bool,
}

impl CurrentAssignment {
    /// Of a member that has just come.
    pub(super) fn new() -> CurrentAssignment {
        CurrentAssignment {
            member_epoch: 0,
            previous_member_epoch: 0,
            state: MemberState::Stable,
            assigned: OwnedPartitions::new(),
            pending_revocation: OwnedPartitions::new(),
        }
    }

    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.member_epoch == target_epoch
    }

    fn at_epoch(&self, member_epoch: i32) -> CurrentAssignment {
        CurrentAssignment { member_epoch, previous_member_epoch: self.member_epoch, ..self.clone() }
    }
}

impl Reconciliation<'_> {
    /// The next step, or where the member stands when there is none. A member in a state that this version does not know
    /// is fenced until it has given up everything.
    pub fn step(&self) -> Result<CurrentAssignment, ApiError> {
        let current = self.current;
        match current.state {
            MemberState::Stable if current.member_epoch != self.target_epoch => {
                Ok(self.next(current.member_epoch))
            }
            MemberState::UnrevokedPartitions if !self.owns_any(&current.pending_revocation) => {
                Ok(self.next(current.member_epoch))
            }
            MemberState::Stable | MemberState::UnrevokedPartitions if self.has_subscription_changed => {
                Ok(self.without_unsubscribed())
            }
            MemberState::Stable | MemberState::UnrevokedPartitions => Ok(current.clone()),
            MemberState::UnreleasedPartitions => Ok(self.next(current.member_epoch)),
            MemberState::Unknown if self.owned.is_none_or(|owned| !owned.is_empty()) => Err(ApiError::new(
                ErrorCode::FencedMemberEpoch,
                "The consumer group member is in a unknown state. The member must abandon all its partitions and \
                 rejoin.",
            )),
            MemberState::Unknown => Ok(self.next(self.target_epoch)),
        }
    }

    /// Whether the member says that it has one of these partitions, or says nothing.
    fn owns_any(&self, partitions: &OwnedPartitions) -> bool {
        let Some(owned) = self.owned else { return true };
        partitions.iter().any(|(topic, partitions)| {
            owned.get(topic).is_some_and(|owned| partitions.keys().any(|partition| owned.contains(partition)))
        })
    }

    /// Gives up partitions of topics that the member does not read any more, without waiting for a new target.
    fn without_unsubscribed(&self) -> CurrentAssignment {
        let current = self.current;
        let (assigned, dropped): (OwnedPartitions, OwnedPartitions) =
            current.assigned.clone().into_iter().partition(|(topic, _)| self.subscribed.contains(topic));
        if dropped.is_empty() {
            return current.clone();
        }
        let mut pending_revocation = current.pending_revocation.clone();
        for (topic, partitions) in dropped {
            pending_revocation.entry(topic).or_default().extend(partitions);
        }
        let next = CurrentAssignment { assigned, ..current.at_epoch(current.member_epoch) };
        match self.owns_any(&pending_revocation) {
            true => CurrentAssignment { state: MemberState::UnrevokedPartitions, pending_revocation, ..next },
            false => next,
        }
    }

    /// The step towards the target for a member that has nothing left to give up from the step before.
    fn next(&self, member_epoch: i32) -> CurrentAssignment {
        let nothing = BTreeSet::new();
        let (mut kept, mut revoked) = (OwnedPartitions::new(), OwnedPartitions::new());
        let target_of = |topic| match self.subscribed.contains(topic) {
            true => self.target.get(topic).unwrap_or(&nothing),
            false => &nothing,
        };
        for (topic, partitions) in &self.current.assigned {
            let target = target_of(topic);
            for (partition, epoch) in partitions {
                let side = if target.contains(partition) { &mut kept } else { &mut revoked };
                side.entry(*topic).or_default().insert(*partition, *epoch);
            }
        }
        if !revoked.is_empty() && self.owns_any(&revoked) {
            // It stays in its epoch until it has said that it has given them up.
            return CurrentAssignment {
                state: MemberState::UnrevokedPartitions,
                assigned: kept,
                pending_revocation: revoked,
                ..self.current.at_epoch(member_epoch)
            };
        }
        let mut has_unreleased = false;
        for topic in self.target.keys() {
            for partition in target_of(topic) {
                if kept.get(topic).is_some_and(|kept| kept.contains_key(partition)) {
                    continue;
                }
                if self.can_take(*topic, *partition) {
                    kept.entry(*topic).or_default().insert(*partition, self.target_epoch);
                } else {
                    has_unreleased = true;
                }
            }
        }
        CurrentAssignment {
            state: if has_unreleased { MemberState::UnreleasedPartitions } else { MemberState::Stable },
            assigned: kept,
            pending_revocation: OwnedPartitions::new(),
            ..self.current.at_epoch(self.target_epoch)
        }
    }

    /// What the member itself was to give up may come back to it.
    fn can_take(&self, topic: TopicId, partition: PartitionIndex) -> bool {
        let own = self.current.pending_revocation.get(&topic);
        own.is_some_and(|own| own.contains_key(&partition)) || (self.is_free)(topic, partition)
    }
}

#[cfg(test)]
mod tests;
