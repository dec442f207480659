//! The uniform assignor where members subscribe to different topics. Kafka: `UniformHeterogeneousAssignmentBuilder`.
//!
//! Members keep what they subscribe to; partitions without an owner go to the subscribers that have the fewest; then,
//! topic by topic and again until nothing moves, subscribers that have the most give to those that have the fewest.
//! In the end no partition's owner has more than one partition more than another subscriber of its topic.
//! Balance goes before keeping partitions where they are.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Members;
use super::balancer::Balancer;
use super::ownership::Ownership;

/// Rounds over all topics. One is enough where the subscribers of a topic have the same subscriptions; overlapping ones
/// take more, each round about halving what is uneven, and Kafka does not go on for ever either.
const MAX_ROUNDS: usize = 16;

pub(super) fn balance(ownership: &mut Ownership, members: &Members) {
    let mut builder = Builder::new(ownership, members);
    let topics = builder.topics_in_order();
    for &topic in &topics {
        builder.assign_unowned(topic);
    }
    let shared: Vec<usize> =
        topics.into_iter().filter(|&topic| builder.subscribers[topic].len() >= 2).collect();
    builder.balance_topics(&shared);
}

struct Builder<'a> {
    ownership: &'a mut Ownership,
    /// The members that subscribe to each topic, ascending.
    subscribers: Vec<Vec<usize>>,
    /// How many partitions each member owns, of all topics.
    sizes: Vec<i64>,
}

impl<'a> Builder<'a> {
    fn new(ownership: &'a mut Ownership, members: &Members) -> Builder<'a> {
        let mut subscribers = vec![Vec::new(); ownership.topics.len()];
        for (index, member) in members.values().enumerate() {
            for &topic in &member.topics {
                subscribers[ownership.position(topic)].push(index);
            }
        }
        let mut sizes = vec![0; members.len()];
        for owner in ownership.topics.iter().flat_map(|topic| &topic.owners).flatten() {
            sizes[*owner] += 1;
        }
        Builder { ownership, subscribers, sizes }
    }

    /// Topics with the most partitions for a subscriber first, then those with the fewest subscribers: where there is
    /// least choice. The order of ids decides the rest.
    fn topics_in_order(&self) -> Vec<usize> {
        let mut topics: Vec<usize> = (0..self.subscribers.len()).collect();
        topics.sort_by(|&left, &right| {
            // Partitions per subscriber, compared as fractions.
            let load = |topic: usize, other: usize| {
                self.ownership.topics[topic].owners.len() * self.subscribers[other].len()
            };
            let by_load = Reverse(load(left, right)).cmp(&Reverse(load(right, left)));
            by_load.then(self.subscribers[left].len().cmp(&self.subscribers[right].len()))
        });
        topics
    }

    fn assign_unowned(&mut self, topic: usize) {
        let owners = &self.ownership.topics[topic].owners;
        let unowned: Vec<usize> =
            (0..owners.len()).filter(|&partition| owners[partition].is_none()).collect();
        if unowned.is_empty() {
            return;
        }
        let mut balancer = Balancer::new(&self.subscribers[topic], &self.sizes);
        for partition in unowned {
            let member = balancer.next_least_loaded(&self.sizes);
            self.assign(topic, partition, member);
        }
    }

    /// Goes round the topics until a whole round moved nothing.
    fn balance_topics(&mut self, topics: &[usize]) {
        let mut unchanged = 0;
        for &topic in std::iter::repeat_n(topics, MAX_ROUNDS).flatten() {
            if unchanged == topics.len() {
                return;
            }
            let has_moved = self.balance_topic(topic);
            // A topic that was just balanced is balanced until others move.
            unchanged = if has_moved { 1 } else { unchanged + 1 };
        }
    }

    /// Moves partitions of one topic, from subscribers that own the most to those that own the fewest.
    fn balance_topic(&mut self, topic: usize) -> bool {
        let mut balancer = Balancer::new(&self.subscribers[topic], &self.sizes);
        if balancer.imbalance(&self.sizes) <= 1 {
            return false;
        }
        let mut to_give: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (partition, owner) in self.ownership.topics[topic].owners.iter().enumerate() {
            let owner = owner.expect("what nobody owned was assigned");
            to_give.entry(owner).or_default().push(partition);
        }
        let mut has_moved = false;
        while let Some(giver) = balancer.next_most_loaded(&self.sizes) {
            let Some(partition) = to_give.get_mut(&giver).and_then(Vec::pop) else {
                balancer.exclude_most_loaded();
                continue;
            };
            let taker = balancer.next_least_loaded(&self.sizes);
            if balancer.is_balanced() {
                break;
            }
            self.assign(topic, partition, taker);
            has_moved = true;
        }
        has_moved
    }

    fn assign(&mut self, topic: usize, partition: usize, member: usize) {
        if let Some(owner) = self.ownership.topics[topic].owners[partition].replace(member) {
            self.sizes[owner] -= 1;
        }
        self.sizes[member] += 1;
    }
}
