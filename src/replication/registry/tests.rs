//! What a registry knows of partitions before their first use. The partitions of one topic, most led by this broker.

use super::*;
use crate::config::topic::TopicConfig;
use crate::controller::{MetadataRecord, PartitionRecord, TopicRecord};
use crate::log::dirs::Owner;
use crate::protocol::ids::LeaderEpoch;

const ME: BrokerId = BrokerId(1);
const OTHER: BrokerId = BrokerId(2);
pub(in crate::replication) const TOPIC: TopicId = TopicId(Uuid::from_u128(0x1234));

/// Partitions 0 and 1 are led by this broker, partition 2 is not. Segments hold one batch.
pub(in crate::replication) fn registry(root: &Path, clock: Clock, signal: Arc<Signal>) -> Registry {
    let owner = Owner { node_id: ME, cluster_id: Some("cluster") };
    let directories = LogDirectory::open_all(&[root.join("data")], &owner, &Rng::system()).unwrap();
    let mut image = ClusterImage::new("cluster".into());
    let topic = TopicRecord { name: "t".to_owned(), topic_id: TOPIC };
    image.replay(&MetadataRecord::Topic(topic), Offset(0)).unwrap();
    for (index, leader) in [ME, ME, OTHER].into_iter().enumerate() {
        let partition = PartitionRecord {
            partition: PartitionIndex(index as i32),
            topic_id: TOPIC,
            replicas: vec![leader],
            isr: vec![leader],
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader,
            leader_recovery_state: 0,
            leader_epoch: LeaderEpoch(3),
            partition_epoch: 0,
            directories: vec![directories[0].id()],
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        };
        image.replay(&MetadataRecord::Partition(partition), Offset(1)).unwrap();
    }
    let config = Arc::new(TopicConfig { segment_bytes: 200, ..TopicConfig::default() });
    let registry = Registry::new(RegistryOptions {
        me: ME,
        directories,
        files: FileCache::new(8),
        clock,
        configs: Arc::new(move |_| config.clone()),
        image: Arc::new(image),
        producer_expiration_ms: Arc::new(AtomicI64::new(i64::MAX)),
        signal,
        cleaner_signal: Arc::default(),
    });
    registry.load(1).unwrap();
    registry
}

#[test]
fn a_partition_is_unused_until_its_leader_is_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let registry = registry(root.path(), Clock::system(), Arc::default());
    let image = registry.image();
    let topic = image.topic("t").unwrap();
    let unused = |index| registry.unused(topic, PartitionIndex(index));
    assert_eq!((unused(0), unused(1)), (Some(LeaderEpoch(3)), Some(LeaderEpoch(3))));
    assert_eq!((unused(2), unused(3)), (None, None), "led by another, and not there");
    assert!(registry.is_empty());
    let replica = registry.leader(topic, PartitionIndex(0)).unwrap();
    assert_eq!((unused(0), unused(1)), (None, Some(LeaderEpoch(3))));
    // What is said of an unused partition is what its replica says.
    assert_eq!((replica.log_start_offset(), replica.log_end_offset()), (Offset::ZERO, Offset::ZERO));
    assert_eq!(
        (replica.leader_epoch(), replica.epoch_at(Offset::ZERO)),
        (LeaderEpoch(3), Some(LeaderEpoch(3)))
    );
}
