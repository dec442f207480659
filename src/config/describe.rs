//! What DescribeConfigs answers: every key with its value, where the value comes from and what would count
//! without it (KIP-226, KIP-569). Pure; the wire's form is the handler's.
//!
//! Follows `kafka.server.ConfigHelper`, with one oddity kept because tools print it: a topic key whose broker
//! key has no value of its own (`retention.ms` over `log.retention.hours`) shows no synonyms.

use std::collections::BTreeMap;

use crate::config::broker;
use crate::config::client_metrics;
use crate::config::group;
use crate::config::key::{Key, Update};
use crate::config::layers::{Layers, Source};
use crate::config::topic;
use crate::config::value::Value;

/// `ConfigType` of a name no table knows.
const UNKNOWN_TYPE: i8 = 0;

/// One value of a synonym list; the first of the list wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: String,
    pub value: Option<String>,
    pub source: Source,
}

/// One key of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// `None` for null, and for every secret.
    pub value: Option<String>,
    pub source: Source,
    pub read_only: bool,
    pub sensitive: bool,
    /// `DescribeConfigsResponse.ConfigType`
    pub type_id: i8,
    /// Empty unless asked for.
    pub synonyms: Vec<Synonym>,
    /// `None` unless asked for.
    pub documentation: Option<&'static str>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Only these keys; `None` and an empty list are all.
    pub names: Option<&'a [&'a str]>,
    pub synonyms: bool,
    pub documentation: bool,
}

impl Wanted<'_> {
    /// Whether the key is among them.
    pub fn wants(&self, name: &str) -> bool {
        self.names.is_none_or(|names| names.is_empty() || names.contains(&name))
    }

    /// The listed keys of a table that are asked for, by name.
    fn of<'k>(&self, keys: impl Iterator<Item = &'k Key>) -> Vec<&'k Key> {
        let mut keys: Vec<&Key> = keys.filter(|key| !key.internal && self.wants(key.name)).collect();
        keys.sort_unstable_by_key(|key| key.name);
        keys
    }

    fn entry(&self, key: &Key, value: Option<String>, read_only: bool, synonyms: Vec<Synonym>) -> Entry {
        Entry {
            name: key.name.to_owned(),
            value: if key.sensitive() { None } else { value },
            source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
            read_only,
            sensitive: key.sensitive(),
            type_id: key.kind.wire_id(),
            synonyms: if self.synonyms { synonyms } else { Vec::new() },
            documentation: self.documentation.then_some(key.doc),
        }
    }
}

/// The keys of a topic with these overrides.
pub fn topic(overrides: &BTreeMap<String, String>, layers: &Layers, wanted: &Wanted) -> Vec<Entry> {
    let describe = |key: &&Key| {
        let (mut synonyms, mut value) = match topic::broker_synonyms(key.name) {
            [] => (Vec::new(), key.default_value()),
            names @ [(first, _), ..] => (
                broker_synonyms(first, names.iter().map(|(name, _)| *name), layers),
                topic_default(names, layers),
            ),
        };
        if let Some(text) = overrides.get(key.name) {
            value = key.parse(text).unwrap_or_else(|_| Value::Text(text.clone()));
            let name = key.name.to_owned();
            synonyms.insert(0, Synonym { name, value: value.to_text(), source: Source::Topic });
        }
        wanted.entry(key, value.to_text(), false, synonyms)
    };
    wanted.of(topic::KEYS.iter()).iter().map(describe).collect()
}

/// The broker's default for a topic key, in the topic key's unit.
fn topic_default(names: &[(&str, i64)], layers: &Layers) -> Value {
    let values = names.iter().map(|(name, factor)| match broker_value(name, layers) {
        Value::Integer(number) if number > 0 => Value::Integer(number.saturating_mul(*factor)),
        value => value,
    });
    values.into_iter().find(|value| *value != Value::Null).unwrap_or(Value::Null)
}

/// What counts for a broker key.
fn broker_value(name: &str, layers: &Layers) -> Value {
    let key = broker::find(name).expect("a synonym is a broker key");
    let set = layers.value(name).and_then(|text| key.parse(text).ok());
    set.unwrap_or_else(|| key.default_value())
}

/// All values of a broker key and the keys that stand in for it, layer by layer. Begins with the key's own
/// first value: what goes before that does not count for the key.
fn broker_synonyms<'n>(
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
    layers: &Layers,
) -> Vec<Synonym> {
    let mut synonyms = Vec::new();
    for source in [Source::DynamicBroker, Source::DynamicDefaultBroker, Source::StaticBroker, Source::Default]
    {
        for name in names.clone() {
            let key = broker::find_dynamic(name);
            let text = match source {
                Source::Default => key.and_then(|key| key.default),
                Source::DynamicBroker | Source::DynamicDefaultBroker | Source::StaticBroker => {
                    layers.set_values(name).find(|(layer, _)| *layer == source).map(|(_, text)| text)
                }
                Source::Topic | Source::Group | Source::ClientMetrics => None,
            };
            if let Some(text) = text {
                // A name that no table knows may be a secret.
                let shown = key.is_some_and(|key| !key.sensitive());
                let value = shown.then(|| text.to_owned());
                synonyms.push(Synonym { name: name.to_owned(), value, source });
            }
        }
    }
    let own = synonyms.iter().position(|synonym| synonym.name == name);
    synonyms.split_off(own.unwrap_or(synonyms.len()))
}

/// The broker keys that stand in for a broker key, itself first (`DynamicBrokerConfig.brokerConfigSynonyms`).
fn stand_ins(name: &str) -> &'static [&'static str] {
    match name {
        "log.roll.ms" | "log.roll.hours" => &["log.roll.ms", "log.roll.hours"],
        "log.roll.jitter.ms" | "log.roll.jitter.hours" => &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        "log.flush.interval.ms" => &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
        "log.retention.ms" | "log.retention.minutes" | "log.retention.hours" => {
            &["log.retention.ms", "log.retention.minutes", "log.retention.hours"]
        }
        _ => &[],
    }
}

/// The keys of this broker.
pub fn broker(layers: &Layers, wanted: &Wanted) -> Vec<Entry> {
    let mut entries: Vec<Entry> = wanted
        .of(broker::keys())
        .into_iter()
        .map(|key| {
            let value = broker_value(key.name, layers).to_text();
            wanted.entry(key, value, key.update == Update::ReadOnly, synonyms_of(key.name, layers))
        })
        .collect();
    for (name, text) in layers.effective() {
        if broker::find(&name).is_some() || !wanted.wants(&name) {
            continue;
        }
        let mut synonyms = synonyms_of(&name, layers);
        entries.push(match broker::find_dynamic(&name) {
            // Only altered values of these are listed, and no default.
            Some(key) => {
                synonyms.retain(|synonym| synonym.source != Source::Default);
                let value = key.parse(&text).map_or(Some(text), |value| value.to_text());
                wanted.entry(key, value, true, synonyms)
            }
            // What is set and no table knows is listed like a secret, as Kafka does.
            None => unknown_entry(&name, synonyms, wanted),
        });
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries
}

fn synonyms_of(name: &str, layers: &Layers) -> Vec<Synonym> {
    match stand_ins(name) {
        [] => broker_synonyms(name, std::iter::once(name), layers),
        names => broker_synonyms(name, names.iter().copied(), layers),
    }
}

fn unknown_entry(name: &str, synonyms: Vec<Synonym>, wanted: &Wanted) -> Entry {
    Entry {
        name: name.to_owned(),
        value: None,
        source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
        read_only: true,
        sensitive: true,
        type_id: UNKNOWN_TYPE,
        synonyms: if wanted.synonyms { synonyms } else { Vec::new() },
        documentation: None,
    }
}

/// The keys that are altered for all brokers: the broker resource without a name.
pub fn cluster_default(layers: &Layers, wanted: &Wanted) -> Vec<Entry> {
    let altered = layers.cluster.iter().filter(|(name, _)| wanted.wants(name));
    let describe = |(name, text): (&String, &String)| {
        let mut synonyms = synonyms_of(name, layers);
        synonyms.retain(|synonym| synonym.source == Source::DynamicDefaultBroker);
        match broker::find_dynamic(name) {
            Some(key) => {
                let value = key.parse(text).map_or_else(|_| Some(text.clone()), |value| value.to_text());
                wanted.entry(key, value, key.update == Update::ReadOnly, synonyms)
            }
            None => unknown_entry(name, synonyms, wanted),
        }
    };
    altered.map(describe).collect()
}

/// The keys of a group with these overrides, whether or not it exists.
pub fn group(overrides: &BTreeMap<String, String>, layers: &Layers, wanted: &Wanted) -> Vec<Entry> {
    let describe = |key: &&Key| {
        let (mut synonyms, mut value) = match group::broker_synonym(key.name) {
            Some(name) => {
                let value = match broker_value(name, layers) {
                    // The broker lists all assignors; the first is the group's.
                    Value::List(names) if key.name == "streams.assignor.name" => {
                        names.into_iter().next().map_or(Value::Null, Value::Text)
                    }
                    value => value,
                };
                (synonyms_of(name, layers), value)
            }
            None => {
                let (name, value) = (key.name.to_owned(), key.default_value());
                (vec![Synonym { name, value: value.to_text(), source: Source::Default }], value)
            }
        };
        if let Some(text) = overrides.get(key.name) {
            value = key.parse(text).unwrap_or_else(|_| Value::Text(text.clone()));
            let name = key.name.to_owned();
            synonyms.insert(0, Synonym { name, value: value.to_text(), source: Source::Group });
        }
        wanted.entry(key, value.to_text(), false, synonyms)
    };
    wanted.of(group::KEYS.iter()).iter().map(describe).collect()
}

/// The keys of a client-metrics subscription with these overrides, whether or not it exists.
pub fn client_metrics(overrides: &BTreeMap<String, String>, wanted: &Wanted) -> Vec<Entry> {
    let describe = |key: &&Key| {
        let (value, synonyms) = match overrides.get(key.name) {
            None => (key.default_value(), Vec::new()),
            Some(text) => {
                let value = key.parse(text).unwrap_or_else(|_| Value::Text(text.clone()));
                let name = key.name.to_owned();
                let synonym = Synonym { name, value: value.to_text(), source: Source::ClientMetrics };
                (value, vec![synonym])
            }
        };
        wanted.entry(key, value.to_text(), false, synonyms)
    };
    wanted.of(client_metrics::KEYS.iter()).iter().map(describe).collect()
}

#[cfg(test)]
mod tests;
