//! The layers a broker's value may come from, and which one wins (KIP-226).
//!
//! A value altered for this broker goes before one altered for all brokers, which goes before what the node
//! was started with, which goes before the table's default. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::broker::{self, BrokerConfig, Warning};
use crate::config::key::ConfigError;
use crate::config::value::Value;

/// Where a value comes from (`DescribeConfigsResponse.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Topic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    ClientMetrics,
    Group,
}

impl Source {
    /// The id in a DescribeConfigs answer.
    pub fn wire_id(self) -> i8 {
        match self {
            Source::Topic => 1,
            Source::DynamicBroker => 2,
            Source::DynamicDefaultBroker => 3,
            Source::StaticBroker => 4,
            Source::Default => 5,
            Source::ClientMetrics => 7,
            Source::Group => 8,
        }
    }
}

/// The broker's values that are set, by layer.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// What the node was started with (`Settings::properties`).
    pub static_properties: &'a BTreeMap<String, String>,
    /// Altered for all brokers: the overrides of the broker resource without a name.
    pub cluster: &'a BTreeMap<String, String>,
    /// Altered for this broker.
    pub broker: &'a BTreeMap<String, String>,
}

impl<'a> Layers<'a> {
    /// The properties that count.
    pub fn effective(&self) -> BTreeMap<String, String> {
        let mut properties = self.static_properties.clone();
        for layer in [self.cluster, self.broker] {
            properties.extend(layer.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        properties
    }

    /// The typed settings that count; made anew whenever a layer changes.
    pub fn broker_config(&self) -> Result<(BrokerConfig, Vec<Warning>), ConfigError> {
        BrokerConfig::from_properties(&self.effective())
    }

    /// The layers that set the key, the winning one first. Not the default.
    pub fn set_values(&self, name: &str) -> impl Iterator<Item = (Source, &'a str)> {
        let layers = [
            (Source::DynamicBroker, self.broker),
            (Source::DynamicDefaultBroker, self.cluster),
            (Source::StaticBroker, self.static_properties),
        ];
        let name = name.to_owned();
        layers.into_iter().filter_map(move |(source, layer)| Some((source, layer.get(&name)?.as_str())))
    }

    /// The text that counts, if the key is set in any layer.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.set_values(name).next().map(|(_, value)| value)
    }

    /// What counts for a broker key of whole numbers, whose values were checked when they were set.
    pub fn integer(&self, name: &str) -> i64 {
        let key = broker::find_dynamic(name).expect("the code asks for keys that stand in a table");
        let set = self.value(name).and_then(|text| key.parse(text).ok());
        match set.unwrap_or_else(|| key.default_value()) {
            Value::Integer(number) => number,
            other => unreachable!("{name} is a number by its type, not {other:?}"),
        }
    }
}

/// The configuration in force at one moment: the layers, and what they come to.
#[derive(Clone, Debug)]
pub struct InForce {
    static_properties: Arc<BTreeMap<String, String>>,
    cluster: Arc<BTreeMap<String, String>>,
    broker: Arc<BTreeMap<String, String>>,
    config: Arc<BrokerConfig>,
}

impl InForce {
    /// Nothing is altered; `config` is what `static_properties` come to.
    pub fn as_started(static_properties: BTreeMap<String, String>, config: BrokerConfig) -> InForce {
        InForce {
            static_properties: Arc::new(static_properties),
            cluster: Arc::default(),
            broker: Arc::default(),
            config: Arc::new(config),
        }
    }

    /// With other values altered for all brokers and for this one.
    pub fn altered(
        &self,
        cluster: Arc<BTreeMap<String, String>>,
        broker: Arc<BTreeMap<String, String>>,
    ) -> Result<InForce, ConfigError> {
        let mut altered = InForce { cluster, broker, ..self.clone() };
        altered.config = Arc::new(altered.layers().broker_config()?.0);
        Ok(altered)
    }

    pub fn layers(&self) -> Layers<'_> {
        Layers { static_properties: &self.static_properties, cluster: &self.cluster, broker: &self.broker }
    }

    pub fn config(&self) -> &Arc<BrokerConfig> {
        &self.config
    }
}
