//! The state of the cluster at one offset of the metadata log. [`ClusterImage::replay`] is the only mutator.
//!
//! Pure. An image is made of persistent maps: a clone costs nothing and shares everything, so a reader keeps
//! the image it has, the controller decides on a copy, and what two images have in common is found by
//! comparing pointers (`Arc::ptr_eq`). Kafka's classes: `MetadataImage`, `PartitionRegistration`.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{HashMap, OrdMap};

use crate::config::resource::{ConfigResource, ResourceKind};
use crate::controller::codec::Malformed;
use crate::controller::records::{
    BrokerRegistrationChangeRecord, ClientQuotaRecord, ConfigRecord, Endpoint, MetadataRecord,
    PartitionChangeRecord, PartitionRecord, RegisterBrokerRecord, RemoveTopicRecord, SupportedFeature,
    TopicRecord,
};
use crate::controller::topic_names;
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId, Uuid};
use crate::security::entity::{QuotaEntity, QuotaValues};
use crate::security::scram::{ScramCredential, ScramMechanism};

/// Keys and values as somebody set them.
pub type ConfigMap = BTreeMap<String, String>;

/// How far apart partitions share an image: placement goes round the brokers, so that a partition is like the one that
/// comes as many places before it as there are brokers.
const MAX_ALIKE_DISTANCE: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerImage {
    pub id: BrokerId,
    pub incarnation_id: Uuid,
    pub epoch: Offset,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
    pub rack: Option<String>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    /// Its log directories, sorted.
    pub directories: Vec<Uuid>,
}

impl BrokerImage {
    /// May it lead and be in sync (`ClusterControlManager.isActive`)?
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    pub name: Arc<str>,
    pub id: TopicId,
    /// By partition index. Neighbours that are alike share one image.
    pub partitions: Vec<Arc<PartitionImage>>,
    /// What was set on the topic itself.
    pub overrides: Arc<ConfigMap>,
    /// One of Kafka's own topics (`__consumer_offsets`, ...).
    pub internal: bool,
}

impl TopicImage {
    pub fn partition(&self, partition: PartitionIndex) -> Option<&Arc<PartitionImage>> {
        usize::try_from(partition.0).ok().and_then(|index| self.partitions.get(index))
    }

    /// Sets a partition, which is the next one or present. Most are like one placed shortly before, in whose image they
    /// then have a part: ten thousand partitions of a broker that is alone take little more than ten thousand pointers.
    fn place(&mut self, index: usize, partition: PartitionImage) {
        let before = &self.partitions[index.saturating_sub(MAX_ALIKE_DISTANCE)..index];
        let alike = before.iter().rev().find(|other| ***other == partition);
        let partition = alike.cloned().unwrap_or_else(|| Arc::new(partition));
        match self.partitions.get_mut(index) {
            Some(present) => *present = partition,
            None => self.partitions.push(partition),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    pub replicas: Vec<BrokerId>,
    /// The log directory of each replica, in the order of `replicas` (KIP-858).
    pub directories: Vec<Uuid>,
    pub isr: Vec<BrokerId>,
    pub removing_replicas: Vec<BrokerId>,
    pub adding_replicas: Vec<BrokerId>,
    /// [`BrokerId::NONE`] while nobody can lead.
    pub leader: BrokerId,
    pub leader_recovery_state: i8,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
    /// Eligible leader replicas (KIP-966).
    pub elr: Vec<BrokerId>,
    pub last_known_elr: Vec<BrokerId>,
}

impl PartitionImage {
    /// The log directory of `broker`'s replica.
    pub fn directory_of(&self, broker: BrokerId) -> Option<Uuid> {
        let position = self.replicas.iter().position(|replica| *replica == broker)?;
        self.directories.get(position).copied()
    }
}

/// The state of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterImage {
    pub cluster_id: Arc<str>,
    /// Offset of the last entry that was replayed; [`Offset::NONE`] before the first.
    pub applied: Offset,
    pub topics: OrdMap<Arc<str>, Arc<TopicImage>>,
    pub topic_names: HashMap<TopicId, Arc<str>>,
    pub brokers: OrdMap<BrokerId, Arc<BrokerImage>>,
    pub configs: OrdMap<ConfigResource, Arc<ConfigMap>>,
    /// The first producer id that no broker was given.
    pub next_producer_id: ProducerId,
    /// What each entity may use; none of the maps is empty.
    pub client_quotas: OrdMap<QuotaEntity, Arc<QuotaValues>>,
    /// By user and mechanism.
    pub scram_credentials: OrdMap<(String, ScramMechanism), Arc<ScramCredential>>,
    /// Levels of the finalized features.
    pub features: OrdMap<String, i16>,
    /// Names that contain `.` or `_`, by the name with `_` for each `.`: metric names would collide.
    pub(super) collisions: HashMap<String, Arc<str>>,
}

impl ClusterImage {
    /// A cluster in which nothing has happened.
    pub fn new(cluster_id: Arc<str>) -> ClusterImage {
        ClusterImage {
            cluster_id,
            applied: Offset::NONE,
            topics: OrdMap::new(),
            topic_names: HashMap::new(),
            brokers: OrdMap::new(),
            configs: OrdMap::new(),
            next_producer_id: ProducerId(0),
            client_quotas: OrdMap::new(),
            scram_credentials: OrdMap::new(),
            features: OrdMap::new(),
            collisions: HashMap::new(),
        }
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.topic_names.get(&id)?)
    }

    pub fn partition(&self, topic: &str, partition: PartitionIndex) -> Option<&Arc<PartitionImage>> {
        self.topic(topic)?.partition(partition)
    }

    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerImage>> {
        self.brokers.get(&id)
    }

    /// What was set on a resource.
    pub fn config(&self, resource: &ConfigResource) -> Option<&Arc<ConfigMap>> {
        self.configs.get(resource)
    }

    pub(super) fn is_active(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|broker| broker.is_active())
    }

    /// Takes one record of the entry at `at` in. A record that does not fit the state was not decided on it:
    /// the log is damaged, and the image must not be used any more.
    pub fn replay(&mut self, record: &MetadataRecord, at: Offset) -> Result<(), Malformed> {
        match record {
            MetadataRecord::RegisterBroker(record) => self.replay_register_broker(record),
            MetadataRecord::UnregisterBroker(record) => {
                self.brokers.remove(&record.broker_id);
            }
            MetadataRecord::Topic(record) => self.replay_topic(record)?,
            MetadataRecord::Partition(record) => self.replay_partition(record)?,
            MetadataRecord::Config(record) => self.replay_config(record)?,
            MetadataRecord::PartitionChange(record) => self.replay_partition_change(record)?,
            MetadataRecord::RemoveTopic(record) => self.replay_remove_topic(record)?,
            MetadataRecord::UserScramCredential(record) => {
                let key = (record.name.clone(), record.mechanism);
                self.scram_credentials.insert(key, Arc::new(record.credential.clone()));
            }
            MetadataRecord::RemoveUserScramCredential(record) => {
                let key = (record.name.clone(), record.mechanism);
                if self.scram_credentials.remove(&key).is_none() {
                    return Err(Malformed::new(format!(
                        "removal of a credential of {} that is not there",
                        key.0
                    )));
                }
            }
            MetadataRecord::ClientQuota(record) => self.replay_client_quota(record),
            MetadataRecord::FeatureLevel(record) => {
                if record.level == 0 {
                    self.features.remove(&record.name);
                } else {
                    self.features.insert(record.name.clone(), record.level);
                }
            }
            MetadataRecord::ProducerIds(record) => self.next_producer_id = record.next_producer_id,
            MetadataRecord::BrokerRegistrationChange(record) => self.replay_broker_change(record)?,
            MetadataRecord::NoOp => {}
        }
        self.applied = at;
        Ok(())
    }

    fn replay_client_quota(&mut self, record: &ClientQuotaRecord) {
        let values = Arc::make_mut(self.client_quotas.entry(record.entity.clone()).or_default());
        match record.value {
            Some(value) => values.insert(record.key.clone(), value),
            None => values.remove(&record.key),
        };
        if values.is_empty() {
            self.client_quotas.remove(&record.entity);
        }
    }

    fn replay_register_broker(&mut self, record: &RegisterBrokerRecord) {
        let mut directories = record.directories.clone();
        directories.sort_unstable();
        let broker = BrokerImage {
            id: record.broker_id,
            incarnation_id: record.incarnation_id,
            epoch: record.broker_epoch,
            endpoints: record.endpoints.clone(),
            features: record.features.clone(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            directories,
        };
        self.brokers.insert(record.broker_id, Arc::new(broker));
    }

    fn replay_broker_change(&mut self, record: &BrokerRegistrationChangeRecord) -> Result<(), Malformed> {
        let Some(broker) = self.brokers.get_mut(&record.broker_id) else {
            return Err(Malformed::new(format!(
                "change of broker {}, which is not registered",
                record.broker_id
            )));
        };
        let broker = Arc::make_mut(broker);
        if let Some(fenced) = record.fenced {
            broker.fenced = fenced;
        }
        if let Some(in_controlled_shutdown) = record.in_controlled_shutdown {
            broker.in_controlled_shutdown = in_controlled_shutdown;
        }
        if let Some(directories) = &record.directories {
            broker.directories.clone_from(directories);
            broker.directories.sort_unstable();
        }
        Ok(())
    }

    fn replay_topic(&mut self, record: &TopicRecord) -> Result<(), Malformed> {
        if self.topics.contains_key(record.name.as_str()) {
            return Err(Malformed::new(format!("topic {} is created twice", record.name)));
        }
        let name: Arc<str> = Arc::from(record.name.as_str());
        if let Some(normalized) = topic_names::collision_key(&record.name) {
            self.collisions.insert(normalized, name.clone());
        }
        self.topic_names.insert(record.topic_id, name.clone());
        let topic = TopicImage {
            name: name.clone(),
            id: record.topic_id,
            partitions: Vec::new(),
            overrides: Arc::default(),
            internal: topic_names::is_internal(&record.name),
        };
        self.topics.insert(name, Arc::new(topic));
        Ok(())
    }

    fn replay_remove_topic(&mut self, record: &RemoveTopicRecord) -> Result<(), Malformed> {
        let Some(name) = self.topic_names.remove(&record.topic_id) else {
            return Err(Malformed::new(format!(
                "removal of topic {}, which does not exist",
                record.topic_id
            )));
        };
        self.topics.remove(&name);
        self.configs.remove(&ConfigResource::topic(&name));
        if let Some(normalized) = topic_names::collision_key(&name) {
            self.collisions.remove(&normalized);
        }
        Ok(())
    }

    fn topic_mut(&mut self, id: TopicId) -> Result<&mut TopicImage, Malformed> {
        self.topic_names
            .get(&id)
            .and_then(|name| self.topics.get_mut(name))
            .map(Arc::make_mut)
            .ok_or_else(|| Malformed::new(format!("change of topic {id}, which does not exist")))
    }

    fn replay_partition(&mut self, record: &PartitionRecord) -> Result<(), Malformed> {
        let topic = self.topic_mut(record.topic_id)?;
        let index = record.partition.0 as usize;
        if index > topic.partitions.len() {
            return Err(Malformed::new(format!(
                "partition {} of {} leaves a gap",
                record.partition, topic.name
            )));
        }
        topic.place(index, PartitionImage::from(record));
        Ok(())
    }

    fn replay_partition_change(&mut self, record: &PartitionChangeRecord) -> Result<(), Malformed> {
        let topic = self.topic_mut(record.topic_id)?;
        let index = record.partition.0 as usize;
        let Some(partition) = topic.partitions.get(index) else {
            return Err(Malformed::new(format!("change of partition {}-{}", topic.name, record.partition)));
        };
        let mut changed = PartitionImage::clone(partition);
        changed.change(record);
        topic.place(index, changed);
        Ok(())
    }

    fn replay_config(&mut self, record: &ConfigRecord) -> Result<(), Malformed> {
        let Some(kind) = ResourceKind::from_code(record.resource_type) else {
            return Err(Malformed::new(format!("configuration of resource type {}", record.resource_type)));
        };
        let resource = ConfigResource { kind, name: record.resource_name.clone() };
        let values = self.configs.entry(resource.clone()).or_default();
        let map = Arc::make_mut(values);
        match &record.value {
            Some(value) => {
                map.insert(record.name.clone(), value.clone());
            }
            None => {
                map.remove(&record.name);
            }
        }
        let values = values.clone();
        if values.is_empty() {
            self.configs.remove(&resource);
        }
        if kind == ResourceKind::Topic
            && let Some(topic) = self.topics.get_mut(record.resource_name.as_str())
        {
            Arc::make_mut(topic).overrides = values;
        }
        Ok(())
    }
}

impl PartitionImage {
    /// `PartitionRegistration.merge`: each change is a new partition epoch, each named leader a new leader epoch.
    fn change(&mut self, record: &PartitionChangeRecord) {
        let set = |field: &mut Vec<BrokerId>, value: &Option<Vec<BrokerId>>| {
            if let Some(value) = value {
                field.clone_from(value);
            }
        };
        set(&mut self.replicas, &record.replicas);
        set(&mut self.isr, &record.isr);
        set(&mut self.removing_replicas, &record.removing_replicas);
        set(&mut self.adding_replicas, &record.adding_replicas);
        set(&mut self.elr, &record.elr);
        set(&mut self.last_known_elr, &record.last_known_elr);
        if let Some(directories) = &record.directories {
            self.directories.clone_from(directories);
        }
        if let Some(state) = record.leader_recovery_state {
            self.leader_recovery_state = state;
        }
        if let Some(leader) = record.leader {
            self.leader = leader;
            self.leader_epoch.0 += 1;
        }
        self.partition_epoch += 1;
    }

    /// The record that makes this partition.
    pub(super) fn to_record(&self, topic_id: TopicId, partition: PartitionIndex) -> PartitionRecord {
        PartitionRecord {
            partition,
            topic_id,
            replicas: self.replicas.clone(),
            isr: self.isr.clone(),
            removing_replicas: self.removing_replicas.clone(),
            adding_replicas: self.adding_replicas.clone(),
            leader: self.leader,
            leader_recovery_state: self.leader_recovery_state,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            elr: self.elr.clone(),
            last_known_elr: self.last_known_elr.clone(),
        }
    }
}

impl From<&PartitionRecord> for PartitionImage {
    fn from(record: &PartitionRecord) -> PartitionImage {
        PartitionImage {
            replicas: record.replicas.clone(),
            directories: record.directories.clone(),
            isr: record.isr.clone(),
            removing_replicas: record.removing_replicas.clone(),
            adding_replicas: record.adding_replicas.clone(),
            leader: record.leader,
            leader_recovery_state: record.leader_recovery_state,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            elr: record.elr.clone(),
            last_known_elr: record.last_known_elr.clone(),
        }
    }
}
