//! The offsets of open transactions: which partitions of a group have one, and whose it is.
//!
//! Only that: the offsets themselves wait with the runtime for the marker that commits them. A producer's end when its
//! marker comes, one alone when a tombstone of its key does; a commit without a transaction ends none, although it
//! wins over what is older. Kafka: `OffsetMetadataManager.OpenTransactions`, `pendingTransactionalOffsets`.
//!
//! Memory is bounded: a shard with [`MOST_PENDING`] of them, or with [`MOST_PENDING_SIZE`] bytes of what clients have
//! written into them (which the runtime has in memory, too), takes no more, and of the producers whose transactions have
//! ended it remembers the last [`MOST_ENDED`].

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::records::{OffsetKey, OffsetValue, Record};
use crate::coordinator::shard::TransactionalProducer;
use crate::protocol::ids::{PartitionIndex, ProducerEpoch, ProducerId, TopicId};

/// Pending offsets of one shard at most; some 200 bytes each, and what clients have written.
pub const MOST_PENDING: usize = 100_000;
/// Bytes of their groups, topics and metadata.
pub const MOST_PENDING_SIZE: usize = 16 << 20;
/// Ends of transactions that a shard remembers: those of the moment between a verification and its commit.
const MOST_ENDED: usize = 4_096;

/// What is pending in one group, by topic.
type OfGroup = BTreeMap<Arc<str>, BTreeMap<PartitionIndex, Vec<Pending>>>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    producer: ProducerId,
    topic_id: TopicId,
    size: usize,
}

/// A producer with a transaction in the shard's partition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    epoch: ProducerEpoch,
    keys: BTreeSet<OffsetKey>,
}

#[derive(Debug, Default)]
pub struct PendingOffsets {
    groups: BTreeMap<Arc<str>, OfGroup>,
    producers: HashMap<ProducerId, Open>,
    count: usize,
    /// Of what clients have written, in bytes.
    size: usize,
    ended: Ended,
}

/// The partitions of one group whose offsets an open transaction may replace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unstable(BTreeMap<Arc<str>, BTreeSet<PartitionIndex>>);

/// What was known of a transaction before its commit was decided, and when: what has ended since was another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    term: i64,
    at: u64,
    /// It has a commit in this shard already. Else the transaction coordinator has to be asked.
    pub is_open: bool,
}

/// Producers whose transactions have ended, and when, counted in ends.
#[derive(Debug, Default)]
struct Ended {
    /// Tells the shard from what it was before it was loaded.
    term: i64,
    count: u64,
    last: HashMap<ProducerId, u64>,
    order: VecDeque<(u64, ProducerId)>,
}

impl PendingOffsets {
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether `records` may be pending as well.
    pub fn has_room_for(&self, records: &[Record]) -> bool {
        let size: usize = records.iter().map(size_of_record).sum();
        self.count + records.len() <= MOST_PENDING && self.size + size <= MOST_PENDING_SIZE
    }

    /// A producer commits an offset in its transaction.
    pub fn insert(&mut self, producer: TransactionalProducer, key: &OffsetKey, value: &OffsetValue) {
        let open = self
            .producers
            .entry(producer.id)
            .or_insert_with(|| Open { epoch: producer.epoch, keys: BTreeSet::new() });
        open.epoch = producer.epoch;
        let topics = self.groups.entry(key.group.clone()).or_default();
        let all = topics.entry(key.topic.clone()).or_default().entry(key.partition).or_default();
        let (topic_id, size) = (value.topic_id, size_of(key, value));
        let pending = Pending { producer: producer.id, topic_id, size };
        self.size += size;
        if open.keys.insert(key.clone()) {
            all.push(pending);
            self.count += 1;
        } else if let Some(earlier) = all.iter_mut().find(|earlier| earlier.producer == producer.id) {
            self.size -= earlier.size;
            *earlier = pending;
        }
    }

    /// The offset of this partition is deleted, and what is pending for it as well.
    pub fn forget(&mut self, key: &OffsetKey) {
        for pending in self.take(key, |_| true) {
            if let Some(open) = self.producers.get_mut(&pending.producer) {
                open.keys.remove(key);
            }
        }
    }

    /// The producer's transaction has ended, one way or the other.
    pub fn end(&mut self, producer: ProducerId) {
        self.ended.push(producer);
        let Some(open) = self.producers.remove(&producer) else { return };
        for key in &open.keys {
            self.take(key, |pending| pending.producer == producer);
        }
    }

    /// Whether an open transaction has an offset of this partition.
    pub fn contains(&self, group: &str, topic: &str, partition: PartitionIndex) -> bool {
        let topics = self.groups.get(group).and_then(|topics| topics.get(topic));
        topics.is_some_and(|partitions| partitions.contains_key(&partition))
    }

    /// Whether an open transaction has an offset of this group.
    pub fn contains_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// What is pending in a group, in the order of topics and partitions.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = (&Arc<str>, PartitionIndex)> {
        let topics = self.groups.get(group).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| partitions.keys().map(move |partition| (topic, *partition)))
    }

    pub fn unstable(&self, group: &str) -> Unstable {
        let topics = self.groups.get(group).into_iter().flatten();
        let partitions = |(topic, partitions): (&Arc<str>, &BTreeMap<PartitionIndex, _>)| {
            (topic.clone(), partitions.keys().copied().collect())
        };
        Unstable(topics.map(partitions).collect())
    }

    /// What is pending for one of these topics, by group. What was committed without an id may be of any topic that
    /// had the name.
    pub fn of_topics<'a>(
        &'a self,
        topics: &'a [(TopicId, Arc<str>)],
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>, PartitionIndex)> {
        self.groups.iter().flat_map(move |(group, by_topic)| {
            topics.iter().flat_map(move |(id, name)| {
                let partitions = by_topic.get(name).into_iter().flatten();
                let gone = partitions.filter(move |(_, pending)| {
                    pending.iter().any(|pending| [TopicId::ZERO, *id].contains(&pending.topic_id))
                });
                gone.map(move |(partition, _)| (group, name, *partition))
            })
        })
    }

    /// What a commit that is about to be decided has to show.
    pub fn ask(&self, producer: TransactionalProducer) -> Asked {
        let open = self.producers.get(&producer.id);
        let is_open = open.is_some_and(|open| open.epoch == producer.epoch);
        Asked { term: self.ended.term, at: self.ended.count, is_open }
    }

    /// Whether the transaction that was asked about may still be open.
    pub fn may_be_open(&self, producer: ProducerId, asked: Asked) -> bool {
        asked.term == self.ended.term && !self.ended.has_ended_since(producer, asked.at)
    }

    /// The shard is loaded: what was asked before counts no more.
    pub fn begin_term(&mut self, term: i64) {
        self.ended = Ended { term, ..Ended::default() };
    }

    /// Takes those out of a partition that `is_gone`.
    fn take(&mut self, key: &OffsetKey, is_gone: impl Fn(&Pending) -> bool) -> Vec<Pending> {
        let Some(topics) = self.groups.get_mut(&key.group) else { return Vec::new() };
        let Some(partitions) = topics.get_mut(&key.topic) else { return Vec::new() };
        let Some(pending) = partitions.get_mut(&key.partition) else { return Vec::new() };
        let gone: Vec<Pending> = pending.extract_if(.., |pending| is_gone(pending)).collect();
        self.count -= gone.len();
        self.size -= gone.iter().map(|pending| pending.size).sum::<usize>();
        if pending.is_empty() {
            partitions.remove(&key.partition);
        }
        if partitions.is_empty() {
            topics.remove(&key.topic);
        }
        if topics.is_empty() {
            self.groups.remove(&key.group);
        }
        gone
    }
}

fn size_of_record(record: &Record) -> usize {
    match record {
        Record::Offset(key, Some(value)) => size_of(key, value),
        // Nothing else is pending.
        Record::Offset(_, None) | Record::Group(..) | Record::Consumer(..) => 0,
    }
}

fn size_of(key: &OffsetKey, value: &OffsetValue) -> usize {
    key.group.len() + key.topic.len() + value.metadata.len()
}

impl Unstable {
    pub fn contains(&self, topic: &str, partition: PartitionIndex) -> bool {
        self.0.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }
}

impl Ended {
    fn push(&mut self, producer: ProducerId) {
        self.count += 1;
        self.last.insert(producer, self.count);
        self.order.push_back((self.count, producer));
        if self.order.len() > MOST_ENDED
            && let Some((at, producer)) = self.order.pop_front()
            && self.last.get(&producer) == Some(&at)
        {
            self.last.remove(&producer);
        }
    }

    /// Also when it is too long ago to be known.
    fn has_ended_since(&self, producer: ProducerId, at: u64) -> bool {
        let known_from = self.order.front().map_or(0, |(first, _)| first - 1);
        at < known_from || self.last.get(&producer).is_some_and(|last| *last > at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ids::{LeaderEpoch, Offset, Timestamp};

    const A: TransactionalProducer = producer(1);
    const B: TransactionalProducer = producer(2);

    fn value(metadata: &str) -> OffsetValue {
        OffsetValue {
            offset: Offset(1),
            leader_epoch: LeaderEpoch(0),
            metadata: metadata.to_owned(),
            commit_timestamp: Timestamp(0),
            expire_timestamp: Timestamp::NONE,
            topic_id: TopicId::ZERO,
        }
    }

    const fn producer(id: i64) -> TransactionalProducer {
        TransactionalProducer { id: ProducerId(id), epoch: ProducerEpoch(0) }
    }

    fn key(group: &str, topic: &str, partition: i32) -> OffsetKey {
        OffsetKey { group: group.into(), topic: topic.into(), partition: PartitionIndex(partition) }
    }

    fn pending(all: &PendingOffsets, group: &str) -> Vec<(String, i32)> {
        all.of_group(group).map(|(topic, partition)| (topic.to_string(), partition.0)).collect()
    }

    #[test]
    fn what_two_producers_have_open_ends_with_the_second_of_them() {
        let mut all = PendingOffsets::default();
        for producer in [A, B, A] {
            all.insert(producer, &key("g", "t", 0), &value(""));
        }
        all.insert(A, &key("h", "t", 1), &value(""));
        assert_eq!(all.count(), 3);
        all.end(A.id);
        assert_eq!((pending(&all, "g"), pending(&all, "h")), (vec![("t".to_owned(), 0)], vec![]));
        assert!(!all.contains_group("h"));
        all.end(B.id);
        all.end(B.id);
        assert!(!all.contains("g", "t", PartitionIndex(0)));
        assert_eq!((all.count(), all.size, all.groups.len(), all.producers.len()), (0, 0, 0, 0));
    }

    #[test]
    fn what_clients_write_is_counted_once() {
        let mut all = PendingOffsets::default();
        all.insert(A, &key("g", "tt", 0), &value("12345"));
        all.insert(B, &key("g", "tt", 0), &value("1"));
        assert_eq!(all.size, 8 + 4);
        all.insert(A, &key("g", "tt", 0), &value("123"));
        assert_eq!(all.size, 6 + 4);
        all.end(A.id);
        assert_eq!(all.size, 4);
        all.forget(&key("g", "tt", 0));
        assert_eq!(all.size, 0);
    }

    #[test]
    fn a_tombstone_ends_what_everybody_has_open_for_its_key() {
        let mut all = PendingOffsets::default();
        for (producer, partition) in [(A, 0), (B, 0), (B, 1)] {
            all.insert(producer, &key("g", "t", partition), &value(""));
        }
        all.forget(&key("g", "t", 0));
        all.forget(&key("g", "u", 0));
        assert_eq!(pending(&all, "g"), [("t".to_owned(), 1)]);
        assert!(all.ask(A).is_open, "its transaction goes on");
        all.insert(A, &key("g", "t", 0), &value(""));
        assert_eq!(all.count(), 2);
    }

    #[test]
    fn only_a_transaction_that_has_ended_since_makes_an_answer_worthless() {
        let mut all = PendingOffsets::default();
        all.begin_term(7);
        all.end(A.id);
        let asked = all.ask(A);
        assert!(!asked.is_open && all.may_be_open(A.id, asked));
        all.end(B.id);
        assert!(all.may_be_open(A.id, asked));
        all.end(A.id);
        assert!(!all.may_be_open(A.id, asked));

        let asked = all.ask(A);
        for _ in 0..MOST_ENDED {
            all.end(B.id);
        }
        assert!(all.may_be_open(A.id, asked));
        all.end(B.id);
        assert!(!all.may_be_open(A.id, asked), "it may have ended before what is remembered");
        assert_eq!(all.ended.last.len(), 1);

        let asked = all.ask(A);
        all.begin_term(8);
        assert!(!all.may_be_open(A.id, asked));
    }

    #[test]
    fn a_transaction_of_another_epoch_is_another() {
        let mut all = PendingOffsets::default();
        all.insert(A, &key("g", "t", 0), &value(""));
        assert!(all.ask(A).is_open);
        assert!(!all.ask(TransactionalProducer { epoch: ProducerEpoch(1), ..A }).is_open);
    }
}
