//! The configuration in force: what the process was started with, under what was changed since through the
//! metadata log. It is the controller's judge of new values ([`ConfigRules`]), too. Which keys there are and what
//! they may be is the business of `config`. Kafka: `DynamicBrokerConfig`, `ControllerConfigurationValidator`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::config::broker::BrokerConfig;
use crate::config::describe::{self, Entry, Wanted};
use crate::config::dynamic::{self, Context, Resource};
use crate::config::key::Kind;
use crate::config::layers::Layers;
use crate::config::topic::{self, TopicConfig};
use crate::config::{broker, client_metrics, group};
use crate::controller::{ClusterImage, ConfigMap, ConfigResource, ConfigRules, ResourceKind, TopicImage};
use crate::protocol::errors::ApiError;
use crate::protocol::ids::BrokerId;

/// Shared by all who need a setting.
pub struct Configs {
    me: BrokerId,
    /// As the process was started.
    properties: BTreeMap<String, String>,
    in_force: ArcSwap<InForce>,
}

/// The dynamic layers and what all layers come to.
struct InForce {
    cluster: Arc<ConfigMap>,
    broker: Arc<ConfigMap>,
    config: Arc<BrokerConfig>,
}

impl Configs {
    /// `started_with` is what `properties` come to.
    pub fn new(properties: BTreeMap<String, String>, started_with: BrokerConfig) -> Configs {
        let me = started_with.node_id;
        let config = Arc::new(started_with);
        let in_force = InForce { cluster: Arc::default(), broker: Arc::default(), config };
        Configs { me, properties, in_force: ArcSwap::from_pointee(in_force) }
    }

    /// The settings that count for this broker.
    pub fn broker(&self) -> Arc<BrokerConfig> {
        self.in_force.load().config.clone()
    }

    /// What `topic` runs with.
    pub fn topic(&self, topic: &TopicImage) -> Arc<TopicConfig> {
        let defaults = &self.in_force.load().config.topic_defaults;
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
        let layers = Layers { static_properties: &self.properties, cluster: &cluster, broker: &broker };
        match layers.broker_config() {
            Ok((config, _)) => {
                let config = Arc::new(config);
                self.in_force.store(Arc::new(InForce { cluster, broker, config }));
            }
            Err(error) => tracing::error!(%error, "dynamic broker values cannot be applied"),
        }
        true
    }

    /// The keys of a topic with these values of its own.
    pub fn describe_topic(&self, overrides: &ConfigMap, wanted: &Wanted<'_>) -> Vec<Entry> {
        describe::topic(overrides, &self.layers(&self.in_force.load()), wanted)
    }

    /// The keys of this broker.
    pub fn describe_broker(&self, wanted: &Wanted<'_>) -> Vec<Entry> {
        describe::broker(&self.layers(&self.in_force.load()), wanted)
    }

    /// The values that were altered for all brokers.
    pub fn describe_cluster_default(&self, wanted: &Wanted<'_>) -> Vec<Entry> {
        describe::cluster_default(&self.layers(&self.in_force.load()), wanted)
    }

    /// The keys of a group with these values of its own.
    pub fn describe_group(&self, overrides: &ConfigMap, wanted: &Wanted<'_>) -> Vec<Entry> {
        describe::group(overrides, &self.layers(&self.in_force.load()), wanted)
    }

    fn layers<'a>(&'a self, in_force: &'a Guard<Arc<InForce>>) -> Layers<'a> {
        Layers { static_properties: &self.properties, cluster: &in_force.cluster, broker: &in_force.broker }
    }
}

impl ConfigRules for Configs {
    fn validate(
        &self,
        resource: &ConfigResource,
        values: &ConfigMap,
        _altered: &[&str],
    ) -> Result<(), ApiError> {
        let in_force = self.in_force.load();
        let context = Context {
            node_id: self.me,
            layers: self.layers(&in_force),
            topic_defaults: &in_force.config.topic_defaults,
        };
        let named = Resource::from_wire(resource.kind.code(), &resource.name)?;
        dynamic::check(&named, values, &context)
    }

    fn list_default(&self, kind: ResourceKind, key: &str) -> Option<String> {
        let key = match kind {
            ResourceKind::Topic => topic::find(key),
            ResourceKind::Broker => broker::find_dynamic(key),
            ResourceKind::Group => group::find(key),
            ResourceKind::ClientMetrics => client_metrics::find(key),
        }?;
        (key.kind == Kind::List).then(|| key.default.unwrap_or_default().to_owned())
    }
}
