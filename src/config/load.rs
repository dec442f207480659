//! From arguments, environment and file to one map of properties.
//!
//! An `--override` goes before a `KAFKA_*` variable, which goes before the file, which goes before what this
//! broker assumes. Pure but for the reader function that the caller hands in. The variables are mapped as the
//! official image maps them (`kafka.docker.KafkaDockerWrapper` and its `configure` script).

use std::collections::BTreeMap;

use crate::config::key::ConfigError;
use crate::config::properties;

/// What `--help` prints.
pub const USAGE: &str = "\
Usage: klamm [server.properties] [--override key=value]... [--temp] [--as-version X]
       klamm --version | --help

A broker that speaks Apache Kafka's protocol. Without a file it is a single node on localhost:9092 that
keeps its data in ./klamm-data.

  --override key=value   set a configuration key; goes before the environment and the file
  --temp                 keep all data in a new temporary directory that is removed at the end
  --as-version X         pass for that release of Apache Kafka, 0.10.0 to 4.4: its keys, versions, features
  --version              print the version and exit
  --help                 print this and exit

Environment: KAFKA_KEY_NAME=value sets key.name, as in the apache/kafka image (__ is _, ___ is -).
CLUSTER_ID names the cluster when the data directory is first used. KLAMM_AS_VERSION stands for --as-version.
";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    Run(Settings),
    Help,
    Version,
}

/// What the broker is told before any key is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Every key that is set, by whichever means; the input of `BrokerConfig::from_properties` and the static
    /// layer of DescribeConfigs.
    pub properties: BTreeMap<String, String>,
    /// All data goes into a directory that the caller makes and removes; see [`Settings::keep_data_in`].
    pub temp: bool,
    /// `--as-version` or `KLAMM_AS_VERSION`: the release to pass for.
    pub as_version: Option<String>,
    /// `CLUSTER_ID`: the cluster's name when an empty data directory is formatted.
    pub cluster_id: Option<String>,
}

/// Variables that begin like a key's and mean something else: settings of the image and of a JVM.
const NOT_KEYS: &[&str] = &[
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_HOME",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_OPTS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_VERSION",
];

/// A node needs these, and Kafka would not start without them.
const ASSUMED: &[(&str, &str)] = &[("node.id", "1"), ("process.roles", "broker,controller")];

/// What makes a lone node useful when nobody has written a file for it.
const ASSUMED_WITHOUT_FILE: &[(&str, &str)] = &[
    ("group.initial.rebalance.delay.ms", "0"),
    ("listeners", "PLAINTEXT://localhost:9092"),
    ("log.dirs", "./klamm-data"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.replication.factor", "1"),
];

/// Pairs of names for one thing: an assumption about one would contradict the other.
const OTHER_NAMES: &[(&str, &str)] = &[("node.id", "broker.id"), ("log.dirs", "log.dir")];

/// Reads the command line (without the program's name) and the environment. `read_file` gives the bytes of
/// the properties file, or why it cannot.
pub fn invocation(
    arguments: impl IntoIterator<Item = String>,
    environment: impl IntoIterator<Item = (String, String)>,
    read_file: impl FnOnce(&str) -> Result<Vec<u8>, String>,
) -> Result<Invocation, ConfigError> {
    let mut arguments = arguments.into_iter();
    let mut file: Option<String> = None;
    let mut overrides = Vec::new();
    let mut flags = Flags::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(Invocation::Help),
            "--version" | "-V" => return Ok(Invocation::Version),
            "--temp" => flags.temp = true,
            "--as-version" => {
                let sentence = "--as-version needs a release of Apache Kafka after it, 2.8 for example";
                let name = arguments.next().ok_or_else(|| ConfigError::Conflict(sentence.to_owned()))?;
                flags.as_version = Some(name);
            }
            "--override" => {
                let pair = arguments
                    .next()
                    .ok_or_else(|| ConfigError::Conflict("--override needs key=value after it".to_owned()))?;
                overrides.push(pair);
            }
            other => match other.split_once('=') {
                Some(("--override", pair)) => overrides.push(pair.to_owned()),
                Some(("--as-version", name)) => flags.as_version = Some(name.to_owned()),
                _ if other.starts_with('-') => {
                    return Err(ConfigError::Conflict(format!("unknown option {other}; --help lists all")));
                }
                _ if file.is_some() => {
                    let sentence = format!("{other} is a second properties file; only one is read");
                    return Err(ConfigError::Conflict(sentence));
                }
                _ => file = Some(argument),
            },
        }
    }
    settings(file.as_deref(), &overrides, flags, environment, read_file).map(Invocation::Run)
}

/// Options of the command line that are no keys.
#[derive(Default)]
struct Flags {
    temp: bool,
    as_version: Option<String>,
}

fn settings(
    file: Option<&str>,
    overrides: &[String],
    flags: Flags,
    environment: impl IntoIterator<Item = (String, String)>,
    read_file: impl FnOnce(&str) -> Result<Vec<u8>, String>,
) -> Result<Settings, ConfigError> {
    let mut properties = match file {
        None => BTreeMap::new(),
        Some(path) => {
            let bytes = read_file(path)
                .map_err(|why| ConfigError::Conflict(format!("cannot read properties file {path}: {why}")))?;
            properties::parse(&bytes)
                .map_err(|why| ConfigError::Conflict(format!("properties file {path}: {why}")))?
        }
    };
    let environment: BTreeMap<String, String> = environment.into_iter().collect();
    properties.extend(from_environment(&environment));
    for pair in overrides {
        let (key, value) =
            pair.split_once('=').filter(|(key, _)| !key.trim().is_empty()).ok_or_else(|| {
                ConfigError::Conflict(format!("--override {pair} is not of the form key=value"))
            })?;
        properties.insert(key.trim().to_owned(), value.to_owned());
    }
    assume(&mut properties, ASSUMED);
    if file.is_none() {
        assume(&mut properties, ASSUMED_WITHOUT_FILE);
    }
    // Two names of one thing; Kafka's DescribeConfigs shows both, whichever was set.
    for (name, other) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
        if let Some(value) = properties.get(name).filter(|_| !properties.contains_key(other)) {
            properties.insert(other.to_owned(), value.clone());
        }
    }
    let variable = |name| environment.get(name).filter(|value: &&String| !value.is_empty()).cloned();
    let as_version = flags.as_version.or_else(|| variable("KLAMM_AS_VERSION"));
    Ok(Settings { properties, temp: flags.temp, as_version, cluster_id: variable("CLUSTER_ID") })
}

fn assume(properties: &mut BTreeMap<String, String>, assumed: &[(&str, &str)]) {
    for (key, value) in assumed {
        let other_name = OTHER_NAMES.iter().find(|(name, _)| name == key).map(|(_, other)| *other);
        if !properties.contains_key(*key) && !other_name.is_some_and(|name| properties.contains_key(name)) {
            properties.insert((*key).to_owned(), (*value).to_owned());
        }
    }
}

/// The keys that `KAFKA_*` variables set.
fn from_environment(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut properties: BTreeMap<String, String> = environment
        .iter()
        .filter(|(name, _)| !NOT_KEYS.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((key_of_variable(name)?, value.clone())))
        .collect();
    // The image listens on every interface at the advertised ports when it is not told where to listen.
    if let Some(advertised) = environment.get("KAFKA_ADVERTISED_LISTENERS")
        && !environment.contains_key("KAFKA_LISTENERS")
    {
        properties.insert("listeners".to_owned(), on_every_interface(advertised));
    }
    properties
}

/// `KAFKA_LOG_RETENTION_MS` is `log.retention.ms`; two underscores stand for one, three for a hyphen.
fn key_of_variable(name: &str) -> Option<String> {
    let name = name.strip_prefix("KAFKA_").filter(|name| !name.is_empty())?;
    Some(name.to_lowercase().replace('_', ".").replace("...", "-").replace("..", "_"))
}

/// `NAME://host:port` with every host replaced by 0.0.0.0.
fn on_every_interface(listeners: &str) -> String {
    let each = listeners.split(',').map(|listener| {
        let parts = listener.split_once("://").zip(listener.rsplit_once(':'));
        match parts {
            Some(((name, _), (_, port))) => format!("{name}://0.0.0.0:{port}"),
            None => listener.to_owned(),
        }
    });
    each.collect::<Vec<_>>().join(",")
}

impl Settings {
    /// Puts all data into one directory, whatever the keys say.
    pub fn keep_data_in(&mut self, directory: &str) {
        self.properties.remove("log.dir");
        self.properties.remove("metadata.log.dir");
        self.properties.insert("log.dirs".to_owned(), directory.to_owned());
    }
}

#[cfg(test)]
mod tests;
