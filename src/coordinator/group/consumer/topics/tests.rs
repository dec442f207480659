//! Topics that a test makes up, and the hash that must be Kafka's.

use parking_lot::Mutex;
use uuid::Uuid;

use super::*;

/// Topics by name, with the racks of each partition.
#[derive(Clone, Default)]
pub struct TestTopics {
    pub version: i64,
    pub created_version: i64,
    topics: BTreeMap<Arc<str>, (TopicId, Vec<Vec<String>>)>,
}

impl TestTopics {
    /// Creates a topic, or gives one more partitions. Its id is derived from its name.
    pub fn put(&mut self, name: &str, partition_count: usize) {
        let id = TopicId(Uuid::from_u128(name.bytes().fold(0, |id, byte| (id << 8) | u128::from(byte))));
        self.put_racks(name, id, vec![Vec::new(); partition_count]);
    }

    pub fn put_racks(&mut self, name: &str, id: TopicId, racks: Vec<Vec<String>>) {
        self.version += 1;
        if self.topics.insert(Arc::from(name), (id, racks)).is_none() {
            self.created_version = self.version;
        }
    }

    pub fn delete(&mut self, name: &str) {
        self.version += 1;
        self.topics.remove(name);
    }
}

impl Topics for TestTopics {
    fn version(&self) -> i64 {
        self.version
    }

    fn created_version(&self) -> i64 {
        self.created_version
    }

    fn by_name(&self, name: &str) -> Option<TopicShape> {
        let (id, racks) = self.topics.get(name)?;
        Some(TopicShape { id: *id, partition_count: racks.len() })
    }

    fn name_of(&self, id: TopicId) -> Option<Arc<str>> {
        self.topics.iter().find(|(_, (known, _))| *known == id).map(|(name, _)| name.clone())
    }

    fn racks(&self, name: &str, partition: PartitionIndex) -> Vec<&str> {
        self.topics[name].1[partition.0 as usize].iter().map(String::as_str).collect()
    }

    fn names(&self) -> Box<dyn Iterator<Item = &Arc<str>> + '_> {
        Box::new(self.topics.keys())
    }
}

/// Surroundings of a shard whose topics and settings a test changes as it goes.
pub fn surroundings(topics: &Arc<Mutex<TestTopics>>, settings: &Arc<Mutex<GroupSettings>>) -> Surroundings {
    let (topics, settings) = (topics.clone(), settings.clone());
    Surroundings {
        topics: Arc::new(move || Arc::new(topics.lock().clone())),
        consumer_settings: Arc::new(move |_| ConsumerSettings::resolve(None, &settings.lock())),
    }
}

#[test]
fn the_hash_is_the_one_that_kafka_computes() {
    // From `Utils.computeTopicHash` and `Utils.computeGroupHash` of Apache Kafka 4.4.
    let racks = |racks: &[&str]| racks.iter().map(|rack| (*rack).to_owned()).collect::<Vec<String>>();
    let mut topics = TestTopics::default();
    let orders = TopicId(Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff));
    topics.put_racks("orders", orders, vec![racks(&["b", "a"]), racks(&[])]);
    let payments = TopicId(Uuid::from_u64_pair(1, 2));
    topics.put_racks("päyments-𝄞", payments, vec![Vec::new(); 100]);
    let of = |name: &str| topic_hash(name, topics.by_name(name).unwrap(), &topics);
    assert_eq!(of("orders"), -8_622_895_471_893_436_215);
    assert_eq!(of("päyments-𝄞"), 1_949_133_746_984_715_117);
    let names: Vec<Arc<str>> = ["nothing", "orders", "päyments-𝄞"].map(Arc::from).to_vec();
    assert_eq!(metadata_hash(names.iter(), &topics), -7_846_140_665_090_186_915);
    assert_eq!(metadata_hash(names[..1].iter(), &topics), 0);
}

#[test]
fn a_group_has_its_own_settings_or_the_brokers() {
    let properties = BTreeMap::from([("group.consumer.heartbeat.interval.ms".to_owned(), "6000".to_owned())]);
    let (config, _) = crate::config::broker::BrokerConfig::from_properties(&properties).unwrap();
    let broker = ConsumerSettings::resolve(None, &config.group);
    let expected = ConsumerSettings {
        session_timeout_ms: 45_000,
        heartbeat_interval_ms: 6000,
        assignment_interval_ms: 1000,
    };
    assert_eq!(broker, expected);
    let own = BTreeMap::from([("consumer.session.timeout.ms".to_owned(), "50000".to_owned())]);
    let own = ConsumerSettings::resolve(Some(&own), &config.group);
    assert_eq!(own, ConsumerSettings { session_timeout_ms: 50_000, ..expected });
}
