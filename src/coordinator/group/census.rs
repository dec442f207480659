//! What metrics tell of the groups of a shard: how many are how, and what has happened since it was loaded.
//!
//! Counted where events are replayed, so that a refused append counts nothing. Kafka: `GroupCoordinatorMetrics`,
//! `GroupCoordinatorMetricsShard`.

use std::ops::AddAssign;
use std::sync::Arc;

use super::classic::group::Phase;
use super::command::Soft;
use super::consumer::group::GroupState;
use super::groups::Group;
use super::records::Record;
use super::records::consumer::ConsumerRecord;
use super::shard::GroupShard;
use crate::coordinator::shard::Event;

/// What has happened since the shard was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Offsets that were committed.
    pub offset_commits: u64,
    /// Offsets that were deleted: by request, with their group or topic, or by age.
    pub offset_deletions: u64,
    /// Generations that became stable.
    pub completed_rebalances: u64,
    /// Epochs that consumer groups have begun.
    pub consumer_rebalances: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.offset_commits += other.offset_commits;
        self.offset_deletions += other.offset_deletions;
        self.completed_rebalances += other.completed_rebalances;
        self.consumer_rebalances += other.consumer_rebalances;
    }
}

/// Groups by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCounts {
    pub consumer: ConsumerGroupCounts,
    pub preparing_rebalance: usize,
    pub completing_rebalance: usize,
    pub stable: usize,
    pub empty: usize,
}

impl GroupCounts {
    pub fn all(&self) -> usize {
        self.classic() + self.consumer.all()
    }

    pub fn classic(&self) -> usize {
        self.preparing_rebalance + self.completing_rebalance + self.stable + self.empty
    }
}

/// Groups of KIP-848 by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroupCounts {
    pub empty: usize,
    pub assigning: usize,
    pub reconciling: usize,
    pub stable: usize,
}

impl ConsumerGroupCounts {
    pub fn all(&self) -> usize {
        self.empty + self.assigning + self.reconciling + self.stable
    }
}

impl AddAssign for ConsumerGroupCounts {
    fn add_assign(&mut self, other: ConsumerGroupCounts) {
        self.empty += other.empty;
        self.assigning += other.assigning;
        self.reconciling += other.reconciling;
        self.stable += other.stable;
    }
}

impl AddAssign for GroupCounts {
    fn add_assign(&mut self, other: GroupCounts) {
        self.consumer += other.consumer;
        self.preparing_rebalance += other.preparing_rebalance;
        self.completing_rebalance += other.completing_rebalance;
        self.stable += other.stable;
        self.empty += other.empty;
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub groups: GroupCounts,
    pub counts: Counts,
    /// Members of single groups.
    pub members: Vec<(Arc<str>, usize)>,
}

impl GroupShard {
    /// Tells of single groups up to `limit`.
    pub fn census(&self, limit: usize) -> Census {
        let mut groups = GroupCounts::default();
        for group in self.groups.values() {
            match group {
                Group::Classic(group) => match &group.phase {
                    Phase::Empty => groups.empty += 1,
                    Phase::PreparingRebalance { .. } => groups.preparing_rebalance += 1,
                    Phase::CompletingRebalance { .. } => groups.completing_rebalance += 1,
                    Phase::Stable => groups.stable += 1,
                },
                Group::Consumer(group) => match group.state() {
                    GroupState::Empty => groups.consumer.empty += 1,
                    GroupState::Assigning => groups.consumer.assigning += 1,
                    GroupState::Reconciling => groups.consumer.reconciling += 1,
                    GroupState::Stable => groups.consumer.stable += 1,
                },
            }
        }
        let members = self.groups.values().take(limit);
        let members = members.map(|group| (group.id().clone(), group.member_count())).collect();
        Census { groups, counts: self.counts, members }
    }

    /// Counts an event that is about to be replayed.
    pub(super) fn count(&mut self, event: &Event<Record, Soft>) {
        match event {
            Event::Durable(Record::Offset(_, Some(_)))
            | Event::Transactional(_, Record::Offset(_, Some(_))) => self.counts.offset_commits += 1,
            Event::Durable(Record::Offset(_, None)) => self.counts.offset_deletions += 1,
            Event::Durable(Record::Consumer(_, ConsumerRecord::Epoch(Some(_)))) => {
                self.counts.consumer_rebalances += 1;
            }
            Event::Soft(Soft::Group(group)) => {
                let was = self.classic(&group.id).map(|group| &group.phase);
                let completes = matches!(was, Some(Phase::CompletingRebalance { .. }))
                    && matches!(group.phase, Phase::Stable);
                self.counts.completed_rebalances += u64::from(completes);
            }
            Event::Durable(Record::Group(..) | Record::Consumer(..))
            | Event::Transactional(..)
            | Event::Marker(_)
            | Event::Soft(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::classic::ClassicGroup;
    use super::super::offsets::tests::Harness;
    use super::*;
    use crate::coordinator::shard::{Outcome, Shard};
    use crate::protocol::ids::Timestamp;

    fn becomes(harness: &mut Harness, phase: Phase) {
        let mut group = ClassicGroup::new(Arc::from("g"), Timestamp::NONE);
        group.phase = phase;
        let mut outcome = Outcome::nothing();
        outcome.soft(Soft::Group(Box::new(group)));
        harness.apply(outcome);
    }

    #[test]
    fn a_rebalance_counts_when_its_generation_is_stable() {
        let mut harness = Harness::new();
        let completing = || Phase::CompletingRebalance { storing: None };
        for phase in [completing(), completing(), Phase::Stable, Phase::Stable, completing()] {
            becomes(&mut harness, phase);
        }
        let census = harness.shard.census(10);
        assert_eq!(census.counts.completed_rebalances, 1);
        assert_eq!(census.groups, GroupCounts { completing_rebalance: 1, ..GroupCounts::default() });
        assert_eq!(census.groups.all(), 1);
        assert_eq!(census.members, [(Arc::from("g"), 0)]);
        assert_eq!(harness.shard.census(0).members, []);
        harness.shard.loaded(harness.now);
        assert_eq!(harness.shard.census(10).counts, Counts::default());
    }
}
