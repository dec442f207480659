//! The configuration in force: what the process was started with, under what was changed since through the
//! metadata log. It is the controller's judge of new values ([`ConfigRules`]), too. Which keys there are and what
//! they may be is the business of `config`. Kafka: `DynamicBrokerConfig`, `ControllerConfigurationValidator`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::broker::{BrokerConfig, GroupSettings};
use crate::config::describe::{self, Entry, Wanted};
use crate::config::layers::InForce;
use crate::config::resource::ConfigResource;
use crate::config::topic::TopicConfig;
use crate::controller::{ClusterImage, ConfigMap, TopicImage};
use crate::protocol::ids::BrokerId;

/// Shared by all who need a setting.
pub struct Configs {
    me: BrokerId,
    in_force: ArcSwap<InForce>,
}

impl Configs {
    /// `started_with` is what `properties` come to.
    pub fn new(properties: BTreeMap<String, String>, started_with: BrokerConfig) -> Configs {
        let me = started_with.node_id;
        Configs { me, in_force: ArcSwap::from_pointee(InForce::as_started(properties, started_with)) }
    }

    /// What altered values are checked against.
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// The settings that count for this broker.
    pub fn broker(&self) -> Arc<BrokerConfig> {
        self.in_force.load().config().clone()
    }

    /// What groups run with.
    pub fn group(&self) -> Arc<GroupSettings> {
        self.in_force.load().config().group.clone()
    }

    /// What `topic` runs with.
    pub fn topic(&self, topic: &TopicImage) -> Arc<TopicConfig> {
        let in_force = self.in_force.load();
        let defaults = &in_force.config().topic_defaults;
        let resolved = TopicConfig::resolve(&topic.overrides, defaults).unwrap_or_else(|refusal| {
            // The controller checked each value when it was set; a broker default that was changed later may
            // contradict it, and then the defaults alone are safe to run with.
            tracing::error!(topic = %topic.name, %refusal, "a topic's configuration contradicts the broker's");
            defaults.clone()
        });
        Arc::new(resolved)
    }

    /// Takes in the brokers' dynamic values; whether they differ from those before.
    pub fn metadata_changed(&self, old: &ClusterImage, new: &ClusterImage) -> bool {
        let (cluster, own) = (ConfigResource::cluster_default(), ConfigResource::broker(self.me));
        if old.config(&cluster) == new.config(&cluster) && old.config(&own) == new.config(&own) {
            return false;
        }
        let cluster = new.config(&cluster).cloned().unwrap_or_default();
        let broker = new.config(&own).cloned().unwrap_or_default();
        match self.in_force.load().altered(cluster, broker) {
            Ok(altered) => self.in_force.store(Arc::new(altered)),
            Err(error) => tracing::error!(%error, "dynamic broker values cannot be applied"),
        }
        true
    }

    /// The keys of a topic with these values of its own.
    pub fn describe_topic(&self, overrides: &ConfigMap, wanted: &Wanted<'_>) -> Vec<Entry> {
        describe::topic(overrides, &self.in_force.load().layers(), wanted)
    }

    /// The keys of this broker.
    pub fn describe_broker(&self, wanted: &Wanted<'_>) -> Vec<Entry> {
        describe::broker(&self.in_force.load().layers(), wanted)
    }

    /// The values that were altered for all brokers.
    pub fn describe_cluster_default(&self, wanted: &Wanted<'_>) -> Vec<Entry> {
        describe::cluster_default(&self.in_force.load().layers(), wanted)
    }

    /// The keys of a group with these values of its own.
    pub fn describe_group(&self, overrides: &ConfigMap, wanted: &Wanted<'_>) -> Vec<Entry> {
        describe::group(overrides, &self.in_force.load().layers(), wanted)
    }
}
