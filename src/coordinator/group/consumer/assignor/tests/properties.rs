//! What holds of every assignment, over random groups whose members come and go, whose topics grow and whose
//! subscriptions change. The seed of a failure is in its message.
//!
//! - Complete and disjoint: each partition of a subscribed topic has one owner, who subscribes to the topic.
//! - Stable: assigning again without a change moves nothing.
//! - Balanced and sticky: see `check_range`, `check_homogeneous`, `check_heterogeneous`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::stories::topic;
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::coordinator::group::consumer::assignor::{Assignor, MemberSpec, assign};
use crate::protocol::ids::{PartitionIndex, TopicId};

type Assignments = BTreeMap<Arc<str>, Assignment>;

/// What makes topics alike: how many partitions they have, and who subscribes.
type Topic<'a> = (usize, Vec<&'a Arc<str>>);

/// The ranges of a topic, by subscriber.
type Cut<'a> = Vec<&'a BTreeSet<PartitionIndex>>;

struct Group {
    random: fastrand::Rng,
    topics: BTreeMap<TopicId, usize>,
    members: BTreeMap<Arc<str>, MemberSpec>,
    /// What all members subscribe to, in a group where they agree.
    agreed: Option<BTreeSet<TopicId>>,
    joined: usize,
}

impl Group {
    fn new(seed: u64, max_topics: usize, max_partitions: usize) -> Group {
        let mut random = fastrand::Rng::with_seed(seed);
        let numbers = 1..=random.u128(1..=max_topics as u128);
        let topics = numbers.map(|number| (topic(number), random.usize(0..=max_partitions))).collect();
        let agrees = random.bool();
        let mut group = Group { random, topics, members: BTreeMap::new(), agreed: None, joined: 0 };
        if agrees {
            group.agreed = Some(group.some_topics());
        }
        group
    }

    fn some_topics(&mut self) -> BTreeSet<TopicId> {
        let share = self.random.f32();
        self.topics.keys().copied().filter(|_| self.random.f32() <= share).collect()
    }

    fn subscription(&mut self) -> BTreeSet<TopicId> {
        match &self.agreed {
            Some(topics) => topics.clone(),
            None => self.some_topics(),
        }
    }

    fn somebody(&mut self) -> Option<Arc<str>> {
        let members: Vec<Arc<str>> = self.members.keys().cloned().collect();
        self.random.choice(members)
    }

    fn join(&mut self) {
        self.joined += 1;
        let topics = self.subscription();
        let instance_id = self.random.bool().then(|| Arc::from(format!("i{}", self.random.u8(..))));
        let member = MemberSpec { instance_id, topics, ..MemberSpec::default() };
        let id = format!("{}-{}", self.random.lowercase(), self.joined);
        self.members.insert(Arc::from(id), member);
    }

    fn step(&mut self) {
        match self.random.u8(..10) {
            0..4 => self.join(),
            4..7 => {
                if let Some(member) = self.somebody() {
                    self.members.remove(&member);
                }
            }
            7 => {
                if let Some(topic) = self.random.choice(self.topics.keys().copied().collect::<Vec<_>>()) {
                    *self.topics.get_mut(&topic).unwrap() += self.random.usize(1..5);
                }
            }
            _ => self.subscribe(),
        }
    }

    fn subscribe(&mut self) {
        if self.agreed.is_some() {
            let topics = self.some_topics();
            self.members.values_mut().for_each(|member| member.topics = topics.clone());
            self.agreed = Some(topics);
        } else if let Some(member) = self.somebody() {
            self.members.get_mut(&member).unwrap().topics = self.some_topics();
        }
    }

    /// What a member had and can keep: it subscribes to the topic.
    fn kept(&self, member: &Arc<str>, assignment: &Assignment) -> usize {
        let MemberSpec { topics, assigned, .. } = &self.members[member];
        let both = |(topic, partitions): (&TopicId, &BTreeSet<PartitionIndex>)| {
            assignment.get(topic).map_or(0, |now| now.intersection(partitions).count())
        };
        assigned.iter().filter(|(topic, _)| topics.contains(topic)).map(both).sum()
    }

    fn assign(&mut self, assignor: Assignor) -> Assignments {
        let assignments = assign(assignor, &self.members, &self.topics).unwrap();
        self.check_complete_and_disjoint(&assignments);
        match assignor {
            Assignor::Range => self.check_range(&assignments),
            Assignor::Uniform if self.agreed.is_some() => self.check_homogeneous(&assignments),
            Assignor::Uniform => self.check_heterogeneous(&assignments),
        }
        for (member, assignment) in &assignments {
            self.members.get_mut(member).unwrap().assigned = assignment.clone();
        }
        let again = assign(assignor, &self.members, &self.topics).unwrap();
        assert_eq!(again, assignments, "assigning again moves nothing");
        assignments
    }

    fn check_complete_and_disjoint(&self, assignments: &Assignments) {
        assert!(assignments.keys().eq(self.members.keys()), "everybody has an assignment");
        let mut owned = BTreeSet::new();
        for (member, assignment) in assignments {
            for (topic, partitions) in assignment {
                assert!(self.members[member].topics.contains(topic), "{member} did not ask for {topic}");
                assert!(!partitions.is_empty(), "a topic without partitions is absent");
                for partition in partitions {
                    assert!(owned.insert((*topic, *partition)), "{topic}-{partition} has two owners");
                }
            }
        }
        let subscribed: BTreeSet<TopicId> =
            self.members.values().flat_map(|member| member.topics.clone()).collect();
        let partitions = |topic: TopicId| (0..self.topics[&topic]).map(move |index| (topic, index));
        let all = subscribed.into_iter().flat_map(partitions);
        let all = all.map(|(topic, index)| (topic, PartitionIndex(index as i32)));
        assert!(owned.into_iter().eq(all), "every partition has an owner, and there are no others");
    }

    /// Balanced: the ranges of a topic differ by one partition at most. Sticky only as members' places in the order
    /// are: what they had does not matter. Co-partitioned: topics that are alike are cut alike.
    fn check_range(&self, assignments: &Assignments) {
        let mut cuts: BTreeMap<Topic, Vec<Cut>> = BTreeMap::new();
        let nothing = BTreeSet::new();
        for (topic, &count) in &self.topics {
            let subscribes = |member: &&Arc<str>| self.members[*member].topics.contains(topic);
            let subscribers: Vec<&Arc<str>> = self.members.keys().filter(subscribes).collect();
            let ranges = subscribers.iter().map(|member| assignments[*member].get(topic).unwrap_or(&nothing));
            let ranges: Vec<&BTreeSet<PartitionIndex>> = ranges.collect();
            let sizes: Vec<usize> = ranges.iter().map(|range| range.len()).collect();
            assert!(is_even(&sizes), "{topic} is cut in {sizes:?}");
            for range in &ranges {
                let ends = range.first().zip(range.last());
                let span = ends.map_or(0, |(first, last)| last.0 - first.0 + 1);
                assert_eq!(span as usize, range.len(), "partitions of a range are neighbours");
            }
            cuts.entry((count, subscribers)).or_default().push(ranges);
        }
        for alike in cuts.values() {
            assert!(alike.windows(2).all(|pair| pair[0] == pair[1]), "topics that are alike are cut alike");
        }
        let mut forgetful = self.members.clone();
        forgetful.values_mut().for_each(|member| member.assigned.clear());
        assert_eq!(&assign(Assignor::Range, &forgetful, &self.topics).unwrap(), assignments);
    }

    /// Balanced: numbers of partitions differ by one at most. Sticky: no even assignment keeps more partitions where
    /// they are. Nobody can keep more than their quota, and the extra partitions go to those who have them.
    fn check_homogeneous(&self, assignments: &Assignments) {
        let sizes: Vec<usize> = assignments.values().map(size).collect();
        assert!(is_even(&sizes), "{sizes:?}");
        let Some(members) = std::num::NonZeroUsize::new(sizes.len()) else { return };
        let total: usize = sizes.iter().sum();
        let (quota, extras) = (total / members, total % members);
        let had = self.members.iter().map(|(member, spec)| self.kept(member, &spec.assigned));
        let had: Vec<usize> = had.collect();
        let with_extra = had.iter().filter(|had| **had > quota).count().min(extras);
        let most_kept = had.iter().map(|had| *had.min(&quota)).sum::<usize>() + with_extra;
        let kept: usize = assignments.iter().map(|(member, now)| self.kept(member, now)).sum();
        assert_eq!(kept, most_kept, "of {had:?} with quota {quota} and {extras} more");
    }

    /// Balanced: no partition's owner has two partitions more than another subscriber of its topic. Sticky, besides
    /// being stable: where no partition lost its owner, every move evens numbers out. A move from somebody with at
    /// least two more makes the sum of the squares smaller by two at least, so that sum bounds the moves.
    fn check_heterogeneous(&self, assignments: &Assignments) {
        let mut fewest: BTreeMap<TopicId, usize> = BTreeMap::new();
        for (member, spec) in &self.members {
            let size = size(&assignments[member]);
            for topic in &spec.topics {
                fewest.entry(*topic).and_modify(|fewest| *fewest = size.min(*fewest)).or_insert(size);
            }
        }
        for (member, assignment) in assignments {
            let size = size(assignment);
            for topic in assignment.keys() {
                let fewest = fewest[topic];
                assert!(size <= fewest + 1, "{member} has {size}, somebody else of {topic} {fewest}");
            }
        }
        let had: Vec<usize> =
            self.members.iter().map(|(member, spec)| self.kept(member, &spec.assigned)).collect();
        let have: Vec<usize> = assignments.values().map(size).collect();
        if had.iter().sum::<usize>() == have.iter().sum() {
            let squares = |sizes: &[usize]| sizes.iter().map(|size| size * size).sum::<usize>();
            let kept: usize = assignments.iter().map(|(member, now)| self.kept(member, now)).sum();
            let moved = have.iter().sum::<usize>() - kept;
            assert!(2 * moved <= squares(&had) - squares(&have), "{moved} moved from {had:?} to {have:?}");
        }
    }
}

fn size(assignment: &Assignment) -> usize {
    assignment.values().map(BTreeSet::len).sum()
}

fn is_even(sizes: &[usize]) -> bool {
    sizes.iter().max() <= sizes.iter().min().map(|min| min + 1).as_ref()
}

/// Says which seed failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

#[test]
fn assignments_are_complete_disjoint_balanced_and_sticky() {
    for seed in 0..200 {
        let said = Seed(seed);
        let mut group = Group::new(seed, 8, 12);
        let assignor = if seed % 4 == 0 { Assignor::Range } else { Assignor::Uniform };
        for _ in 0..25 {
            for _ in 0..group.random.u8(1..4) {
                group.step();
            }
            group.assign(assignor);
        }
        drop(said);
    }
}
/// Would not end if members times partitions were walked for each partition.
#[test]
fn large_groups_are_assigned_the_same_way() {
    for (seed, assignor) in [(1, Assignor::Range), (2, Assignor::Uniform), (3, Assignor::Uniform)] {
        let mut group = Group::new(seed, 1, 0);
        group.topics = (1..=200).map(|number| (topic(number), 50)).collect();
        group.agreed = (seed == 2).then(|| group.topics.keys().copied().collect());
        (0..500).for_each(|_| group.join());
        group.assign(assignor);
        for _ in 0..20 {
            group.step();
        }
        group.assign(assignor);
    }
}
