//! The cluster's topics as groups see them: a copy of the maps of one metadata image, which costs a few pointers.

use std::sync::Arc;

use imbl::{HashMap, OrdMap};

use crate::controller::{BrokerImage, ClusterImage, TopicImage};
use crate::coordinator::group::consumer::topics::{TopicShape, Topics};
use crate::protocol::ids::{BrokerId, PartitionIndex, TopicId};

pub struct ImageTopics {
    version: i64,
    created_version: i64,
    topics: OrdMap<Arc<str>, Arc<TopicImage>>,
    topic_names: HashMap<TopicId, Arc<str>>,
    brokers: OrdMap<BrokerId, Arc<BrokerImage>>,
}

impl ImageTopics {
    pub fn new(image: &ClusterImage) -> ImageTopics {
        ImageTopics {
            version: image.applied.0,
            created_version: image.applied.0,
            topics: image.topics.clone(),
            topic_names: image.topic_names.clone(),
            brokers: image.brokers.clone(),
        }
    }

    /// The topics after the metadata went from `old` to `new`; `None` when they are the same. The version stays where
    /// groups would see no difference: leaders and in-sync replicas come and go, and each group would hash all that it
    /// reads again.
    pub fn changed(&self, old: &ClusterImage, new: &ClusterImage) -> Option<ImageTopics> {
        let same_topics = old.topics.ptr_eq(&new.topics);
        if same_topics && old.brokers.ptr_eq(&new.brokers) {
            return None;
        }
        let is_new = |topic: &Arc<TopicImage>| !old.topic_names.contains_key(&topic.id);
        let has_new = !same_topics && new.topics.values().any(is_new);
        let created_version = if has_new { new.applied.0 } else { self.created_version };
        let looks_alike = same_racks(old, new) && new.topics.len() == old.topics.len();
        let looks_alike = looks_alike && new.topics.values().all(|topic| is_alike(old, topic));
        let version = if looks_alike { self.version } else { new.applied.0 };
        Some(ImageTopics { version, created_version, ..ImageTopics::new(new) })
    }
}

fn same_racks(old: &ClusterImage, new: &ClusterImage) -> bool {
    let racks = |image: &ClusterImage| -> Vec<_> {
        image.brokers.values().map(|broker| (broker.id, broker.rack.clone())).collect()
    };
    old.brokers.ptr_eq(&new.brokers) || racks(old) == racks(new)
}

/// Whether a group sees the same of a topic: its id, and the replicas of each partition.
fn is_alike(old: &ClusterImage, topic: &Arc<TopicImage>) -> bool {
    let Some(before) = old.topic(&topic.name) else { return false };
    let replicas = |topic: &TopicImage| -> Vec<_> {
        topic.partitions.iter().map(|partition| partition.replicas.clone()).collect()
    };
    Arc::ptr_eq(before, topic) || (before.id == topic.id && replicas(before) == replicas(topic))
}

impl Topics for ImageTopics {
    fn version(&self) -> i64 {
        self.version
    }

    fn created_version(&self) -> i64 {
        self.created_version
    }

    fn by_name(&self, name: &str) -> Option<TopicShape> {
        let topic = self.topics.get(name)?;
        Some(TopicShape { id: topic.id, partition_count: topic.partitions.len() })
    }

    fn name_of(&self, id: TopicId) -> Option<Arc<str>> {
        self.topic_names.get(&id).cloned()
    }

    fn racks(&self, name: &str, partition: PartitionIndex) -> Vec<&str> {
        let partition = self.topics.get(name).and_then(|topic| topic.partition(partition));
        let replicas = partition.into_iter().flat_map(|partition| &partition.replicas);
        replicas.filter_map(|replica| self.brokers.get(replica)?.rack.as_deref()).collect()
    }

    fn names(&self) -> Box<dyn Iterator<Item = &Arc<str>> + '_> {
        Box::new(self.topics.keys())
    }
}
