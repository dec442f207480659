//! What went in and out of each partition since the start, for metrics.
//!
//! The totals belong to the partition and not to its replica, so that they never go down when a log is opened
//! again; a deleted topic's go into the total of all topics. Kafka: `BrokerTopicStats`.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::protocol::ids::{PartitionIndex, TopicId};

/// Running totals of one partition.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes_in: AtomicU64,
    records_in: AtomicU64,
    bytes_out: AtomicU64,
    produce_conversions: AtomicU64,
    fetch_conversions: AtomicU64,
}

impl Traffic {
    /// Records of a client were appended.
    pub fn received(&self, size_bytes: usize, record_count: i64) {
        self.bytes_in.fetch_add(size_bytes as u64, Ordering::Relaxed);
        self.records_in.fetch_add(record_count as u64, Ordering::Relaxed);
    }

    /// Records go to a consumer.
    pub fn sent(&self, size_bytes: usize) {
        self.bytes_out.fetch_add(size_bytes as u64, Ordering::Relaxed);
    }

    /// Messages of an old producer became a batch.
    pub fn converted_up(&self, record_count: u32) {
        self.produce_conversions.fetch_add(u64::from(record_count), Ordering::Relaxed);
    }

    /// Records became messages for an old consumer.
    pub fn converted_down(&self, record_count: u32) {
        self.fetch_conversions.fetch_add(u64::from(record_count), Ordering::Relaxed);
    }

    fn totals(&self) -> Totals {
        Totals {
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            records_in: self.records_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            produce_conversions: self.produce_conversions.load(Ordering::Relaxed),
            fetch_conversions: self.fetch_conversions.load(Ordering::Relaxed),
        }
    }
}

/// What was counted up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub bytes_in: u64,
    pub records_in: u64,
    pub bytes_out: u64,
    /// Records that came as messages of an older format.
    pub produce_conversions: u64,
    /// Records that went out as messages of an older format.
    pub fetch_conversions: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.bytes_in += other.bytes_in;
        self.records_in += other.records_in;
        self.bytes_out += other.bytes_out;
        self.produce_conversions += other.produce_conversions;
        self.fetch_conversions += other.fetch_conversions;
    }
}

/// The traffic of all partitions.
#[derive(Debug, Default)]
pub struct TrafficBook {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    topics: HashMap<TopicId, HashMap<PartitionIndex, Arc<Traffic>>>,
    /// What topics had counted that are gone.
    forgotten: Totals,
}

/// The whole book at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TrafficReport {
    /// Of the topics that were used since the start.
    pub topics: HashMap<TopicId, Totals>,
    /// Those of deleted topics included.
    pub all_topics: Totals,
}

impl TrafficBook {
    /// Where a partition's traffic is counted.
    pub fn of(&self, topic: TopicId, partition: PartitionIndex) -> Arc<Traffic> {
        self.entries.lock().topics.entry(topic).or_default().entry(partition).or_default().clone()
    }

    /// The topic is gone.
    pub fn forget(&self, topic: TopicId) {
        let mut entries = self.entries.lock();
        let Some(partitions) = entries.topics.remove(&topic) else { return };
        partitions.values().for_each(|traffic| entries.forgotten += traffic.totals());
    }

    pub fn report(&self) -> TrafficReport {
        let entries = self.entries.lock();
        let mut report = TrafficReport { all_topics: entries.forgotten, ..TrafficReport::default() };
        for (topic, partitions) in &entries.topics {
            let mut totals = Totals::default();
            partitions.values().for_each(|traffic| totals += traffic.totals());
            report.all_topics += totals;
            report.topics.insert(*topic, totals);
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ids::Uuid;

    const TOPIC: TopicId = TopicId(Uuid::from_u128(1));

    #[test]
    fn a_partition_that_is_opened_again_goes_on_counting() {
        let book = TrafficBook::default();
        book.of(TOPIC, PartitionIndex(0)).received(100, 2);
        book.of(TOPIC, PartitionIndex(1)).received(50, 1);
        book.of(TOPIC, PartitionIndex(0)).received(100, 2);
        book.of(TOPIC, PartitionIndex(0)).sent(70);
        book.of(TOPIC, PartitionIndex(0)).converted_up(4);
        book.of(TOPIC, PartitionIndex(1)).converted_down(3);
        let expected = Totals {
            bytes_in: 250,
            records_in: 5,
            bytes_out: 70,
            produce_conversions: 4,
            fetch_conversions: 3,
        };
        assert_eq!(book.report(), TrafficReport { topics: [(TOPIC, expected)].into(), all_topics: expected });
    }

    #[test]
    fn a_deleted_topic_stays_in_the_total_of_all() {
        let book = TrafficBook::default();
        book.of(TOPIC, PartitionIndex(0)).received(100, 2);
        book.forget(TOPIC);
        book.forget(TOPIC);
        let all_topics = Totals { bytes_in: 100, records_in: 2, ..Totals::default() };
        assert_eq!(book.report(), TrafficReport { topics: HashMap::new(), all_topics });
    }
}
