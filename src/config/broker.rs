//! The settings of this node, typed (`kafka.server.KafkaConfig`).
//!
//! Made once at the start from the loaded properties, and again whenever a dynamic value changes, from the
//! properties with the dynamic layers on top. Pure. Fields are named after their keys; times are
//! milliseconds, and sizes bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::key::{Class, ConfigError, Key};
use crate::config::keys::{
    broker_cluster, broker_dynamic, broker_group, broker_log, broker_net, broker_remote, broker_security,
    broker_share, own,
};
use crate::config::listeners::{AdvertisedListener, Listener, Listeners};
use crate::config::rules;
use crate::config::topic::{self, TopicConfig};
use crate::config::value::{FromValue, Value};
use crate::protocol::ids::BrokerId;

/// Kafka's broker keys; each table is sorted by name.
pub static TABLES: &[&[Key]] = &[
    broker_cluster::KEYS,
    broker_group::KEYS,
    broker_log::KEYS,
    broker_net::KEYS,
    broker_remote::KEYS,
    broker_security::KEYS,
    broker_share::KEYS,
];

/// Every broker key Kafka lists or hides, in no order.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    TABLES.iter().copied().flatten()
}

/// The row of a key that may stand in a properties file.
pub fn find(name: &str) -> Option<&'static Key> {
    TABLES.iter().chain([&own::KEYS]).find_map(|table| find_in(table, name))
}

/// The row of a key that may be altered, which three more than [`find`] can be.
pub fn find_dynamic(name: &str) -> Option<&'static Key> {
    find(name).or_else(|| find_in(broker_dynamic::KEYS, name))
}

fn find_in(table: &'static [Key], name: &str) -> Option<&'static Key> {
    table.binary_search_by(|key| key.name.cmp(name)).ok().map(|index| &table[index])
}

/// Something an operator should know that does not stop the start. `Display` is the line to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A key that is set to another value than its default, and nothing uses it.
    NoEffect { key: &'static str, reason: &'static str },
    /// Names no table knows; Kafka ignores them too, because plug-ins may read them.
    Unknown { keys: Vec<String> },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::NoEffect { key, reason } => write!(formatter, "{key} has no effect: {reason}"),
            Warning::Unknown { keys } => {
                write!(formatter, "unknown configuration keys are ignored: {}", keys.join(", "))
            }
        }
    }
}

/// The properties as values: what is not set has its key's default.
pub(crate) struct Values<'a>(&'a BTreeMap<String, String>);

impl<'a> Values<'a> {
    pub(crate) fn new(properties: &'a BTreeMap<String, String>) -> Values<'a> {
        Values(properties)
    }

    pub(crate) fn get(&self, name: &str) -> Result<Value, ConfigError> {
        let key = find(name).expect("the code asks for keys that stand in a table");
        match self.0.get(name) {
            Some(text) => key.parse(text),
            None => Ok(key.default_value()),
        }
    }

    pub(crate) fn typed<T: FromValue>(&self, name: &str) -> Result<T, ConfigError> {
        let value = self.get(name)?;
        let shown = value.to_string();
        T::from_value(value).ok_or_else(|| ConfigError::invalid(name, shown, "Value is out of range"))
    }

    /// The text as it stands in the properties, if the key is set.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Declares a struct of settings that are used just as their keys say.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(#[doc = concat!("`", $key, "`")] pub $field: $type,)*
        }

        impl $name {
            fn read(values: &Values) -> Result<$name, ConfigError> {
                Ok($name { $($field: values.typed($key)?,)* })
            }
        }
    };
}

settings! {
    /// What sockets, connections and requests may be.
    NetworkSettings {
        connections_max_idle_ms: i64 = "connections.max.idle.ms",
        fetch_max_bytes: usize = "fetch.max.bytes",
        klamm_request_max_bytes: usize = "klamm.request.max.bytes",
        max_connections: usize = "max.connections",
        max_connections_per_ip: usize = "max.connections.per.ip",
        max_incremental_fetch_session_cache_slots: usize = "max.incremental.fetch.session.cache.slots",
        max_request_partition_size_limit: usize = "max.request.partition.size.limit",
        queued_max_request_bytes: i64 = "queued.max.request.bytes",
        request_timeout_ms: i32 = "request.timeout.ms",
        socket_listen_backlog_size: i32 = "socket.listen.backlog.size",
        socket_receive_buffer_bytes: i32 = "socket.receive.buffer.bytes",
        socket_request_max_bytes: usize = "socket.request.max.bytes",
        socket_send_buffer_bytes: i32 = "socket.send.buffer.bytes",
    }
}

settings! {
    /// When logs are flushed, checkpointed, trimmed and compacted, beyond what each topic says.
    LogSettings {
        log_cleaner_backoff_ms: i64 = "log.cleaner.backoff.ms",
        log_cleaner_dedupe_buffer_size: u64 = "log.cleaner.dedupe.buffer.size",
        log_cleaner_enable: bool = "log.cleaner.enable",
        log_cleaner_io_buffer_load_factor: f64 = "log.cleaner.io.buffer.load.factor",
        log_cleaner_io_max_bytes_per_second: f64 = "log.cleaner.io.max.bytes.per.second",
        log_flush_offset_checkpoint_interval_ms: i64 = "log.flush.offset.checkpoint.interval.ms",
        log_flush_scheduler_interval_ms: i64 = "log.flush.scheduler.interval.ms",
        log_flush_start_offset_checkpoint_interval_ms: i64 = "log.flush.start.offset.checkpoint.interval.ms",
        log_retention_check_interval_ms: i64 = "log.retention.check.interval.ms",
        producer_id_expiration_check_interval_ms: i64 = "producer.id.expiration.check.interval.ms",
        producer_id_expiration_ms: i64 = "producer.id.expiration.ms",
        replica_high_watermark_checkpoint_interval_ms: i64 = "replica.high.watermark.checkpoint.interval.ms",
    }
}

settings! {
    /// The metadata log and what topics get that are created without saying more.
    MetadataSettings {
        auto_create_topics_enable: bool = "auto.create.topics.enable",
        default_replication_factor: i32 = "default.replication.factor",
        delete_topic_enable: bool = "delete.topic.enable",
        metadata_log_max_record_bytes_between_snapshots: u64 =
            "metadata.log.max.record.bytes.between.snapshots",
        metadata_log_segment_bytes: u32 = "metadata.log.segment.bytes",
        metadata_log_segment_ms: i64 = "metadata.log.segment.ms",
        num_partitions: i32 = "num.partitions",
    }
}

settings! {
    /// Groups and committed offsets; the group coordinator reads them.
    GroupSettings {
        group_consumer_assignment_interval_ms: i32 = "group.consumer.assignment.interval.ms",
        group_consumer_assignors: Vec<String> = "group.consumer.assignors",
        group_consumer_heartbeat_interval_ms: i32 = "group.consumer.heartbeat.interval.ms",
        group_consumer_max_assignment_interval_ms: i32 = "group.consumer.max.assignment.interval.ms",
        group_consumer_max_heartbeat_interval_ms: i32 = "group.consumer.max.heartbeat.interval.ms",
        group_consumer_max_session_timeout_ms: i32 = "group.consumer.max.session.timeout.ms",
        group_consumer_max_size: usize = "group.consumer.max.size",
        group_consumer_migration_policy: String = "group.consumer.migration.policy",
        group_consumer_min_assignment_interval_ms: i32 = "group.consumer.min.assignment.interval.ms",
        group_consumer_min_heartbeat_interval_ms: i32 = "group.consumer.min.heartbeat.interval.ms",
        group_consumer_min_session_timeout_ms: i32 = "group.consumer.min.session.timeout.ms",
        group_consumer_regex_refresh_interval_ms: i32 = "group.consumer.regex.refresh.interval.ms",
        group_consumer_session_timeout_ms: i32 = "group.consumer.session.timeout.ms",
        group_coordinator_rebalance_protocols: Vec<String> = "group.coordinator.rebalance.protocols",
        group_initial_rebalance_delay_ms: i32 = "group.initial.rebalance.delay.ms",
        group_max_session_timeout_ms: i32 = "group.max.session.timeout.ms",
        group_max_size: usize = "group.max.size",
        group_min_session_timeout_ms: i32 = "group.min.session.timeout.ms",
        offset_metadata_max_bytes: i32 = "offset.metadata.max.bytes",
        offsets_commit_timeout_ms: i32 = "offsets.commit.timeout.ms",
        offsets_retention_check_interval_ms: i64 = "offsets.retention.check.interval.ms",
        offsets_retention_minutes: i32 = "offsets.retention.minutes",
        offsets_topic_compression_codec: i32 = "offsets.topic.compression.codec",
        offsets_topic_num_partitions: i32 = "offsets.topic.num.partitions",
        offsets_topic_replication_factor: i16 = "offsets.topic.replication.factor",
        offsets_topic_segment_bytes: u32 = "offsets.topic.segment.bytes",
    }
}

settings! {
    /// Transactions; partitions and the transaction coordinator read them.
    TransactionSettings {
        add_partitions_to_txn_retry_backoff_max_ms: i32 = "add.partitions.to.txn.retry.backoff.max.ms",
        add_partitions_to_txn_retry_backoff_ms: i32 = "add.partitions.to.txn.retry.backoff.ms",
        transaction_abort_timed_out_transaction_cleanup_interval_ms: i32 =
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        transaction_max_timeout_ms: i32 = "transaction.max.timeout.ms",
        transaction_partition_verification_enable: bool = "transaction.partition.verification.enable",
        transaction_remove_expired_transaction_cleanup_interval_ms: i32 =
            "transaction.remove.expired.transaction.cleanup.interval.ms",
        transaction_state_log_min_isr: i32 = "transaction.state.log.min.isr",
        transaction_state_log_num_partitions: i32 = "transaction.state.log.num.partitions",
        transaction_state_log_replication_factor: i16 = "transaction.state.log.replication.factor",
        transaction_state_log_segment_bytes: u32 = "transaction.state.log.segment.bytes",
        transactional_id_expiration_ms: i32 = "transactional.id.expiration.ms",
    }
}

settings! {
    /// How usage is measured that clients have quotas of.
    QuotaSettings {
        controller_quota_window_num: usize = "controller.quota.window.num",
        controller_quota_window_size_seconds: i64 = "controller.quota.window.size.seconds",
        quota_window_num: usize = "quota.window.num",
        quota_window_size_seconds: i64 = "quota.window.size.seconds",
    }
}

/// Everything this node is told.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    pub node_id: BrokerId,
    pub rack: Option<String>,
    /// Where to listen, controller listeners included.
    pub listeners: Vec<Listener>,
    /// What clients are told, in the order of the properties; never a controller listener.
    pub advertised_listeners: Vec<AdvertisedListener>,
    /// Name of the listener other brokers would use; one of the advertised ones.
    pub inter_broker_listener_name: String,
    /// `log.dirs`, else `log.dir`; at least one.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, else the first of `log_dirs`.
    pub metadata_log_dir: PathBuf,
    /// `max.connections.per.ip.overrides`
    pub max_connections_per_ip_overrides: BTreeMap<String, usize>,
    /// `klamm.http.listener` as `host:port`; `None` is off.
    pub http_listener: Option<String>,
    pub network: NetworkSettings,
    pub log: LogSettings,
    pub metadata: MetadataSettings,
    pub quota: QuotaSettings,
    pub group: Arc<GroupSettings>,
    pub transaction: TransactionSettings,
    /// What a topic without overrides gets; the base of [`TopicConfig::resolve`].
    pub topic_defaults: TopicConfig,
}

impl BrokerConfig {
    /// Checks every property, and all of them against each other. The error is one line that names the key,
    /// the value and what is allowed.
    pub fn from_properties(
        properties: &BTreeMap<String, String>,
    ) -> Result<(BrokerConfig, Vec<Warning>), ConfigError> {
        let warnings = check_each(properties)?;
        let values = Values::new(properties);
        rules::check(&values)?;
        let Listeners { listeners, advertised, inter_broker } = Listeners::read(&values)?;
        let log_dirs = log_dirs(&values)?;
        let metadata_log_dir = values.typed::<Option<String>>("metadata.log.dir")?;
        let config = BrokerConfig {
            node_id: BrokerId(rules::node_id(&values)?),
            rack: values.typed("broker.rack")?,
            listeners,
            advertised_listeners: advertised,
            inter_broker_listener_name: inter_broker,
            metadata_log_dir: metadata_log_dir.map_or_else(|| log_dirs[0].clone(), PathBuf::from),
            log_dirs,
            max_connections_per_ip_overrides: rules::connection_overrides(&values)?,
            http_listener: rules::http_listener(&values)?,
            network: NetworkSettings::read(&values)?,
            log: LogSettings::read(&values)?,
            metadata: MetadataSettings::read(&values)?,
            quota: QuotaSettings::read(&values)?,
            group: Arc::new(GroupSettings::read(&values)?),
            transaction: TransactionSettings::read(&values)?,
            topic_defaults: topic_defaults(&values)?,
        };
        Ok((config, warnings))
    }
}

/// Reads every property as its key, and says which do nothing.
fn check_each(properties: &BTreeMap<String, String>) -> Result<Vec<Warning>, ConfigError> {
    let mut warnings = Vec::new();
    let mut unknown = Vec::new();
    for (name, text) in properties {
        let Some(key) = find(name) else {
            match listener_override(name) {
                Some(key) => check_listener_override(name, key, text)?,
                None => unknown.push(name.clone()),
            }
            continue;
        };
        let value = key.parse(text)?;
        match key.class {
            Class::NoEffect(reason) if value != key.default_value() => {
                warnings.push(Warning::NoEffect { key: key.name, reason });
            }
            Class::NoEffect(_) | Class::Applied | Class::Refused(_) => {}
        }
    }
    if !unknown.is_empty() {
        warnings.push(Warning::Unknown { keys: unknown });
    }
    Ok(warnings)
}

/// The key that `listener.name.<listener>.<key>` sets for one listener only.
fn listener_override(name: &str) -> Option<&'static Key> {
    let (_listener, key) = name.strip_prefix("listener.name.")?.split_once('.')?;
    find(key)
}

/// A setting for one listener would be lost silently: all listeners of this build have the same ones.
fn check_listener_override(name: &str, key: &Key, text: &str) -> Result<(), ConfigError> {
    let value = key.parse(text)?;
    match key.class {
        Class::Applied if value != key.default_value() => {
            let shown = if key.sensitive() { "[hidden]" } else { text };
            Err(ConfigError::refused(name, shown, "settings of a single listener are not built in"))
        }
        Class::Applied | Class::NoEffect(_) | Class::Refused(_) => Ok(()),
    }
}

fn log_dirs(values: &Values) -> Result<Vec<PathBuf>, ConfigError> {
    let directories = match values.typed::<Option<Vec<String>>>("log.dirs")? {
        Some(directories) if !directories.is_empty() => directories,
        Some(_) | None => values.typed("log.dir")?,
    };
    if directories.is_empty() {
        let sentence = "At least one log directory must be defined via log.dirs or log.dir.";
        return Err(ConfigError::Conflict(sentence.to_owned()));
    }
    Ok(directories.into_iter().map(PathBuf::from).collect())
}

/// Each topic key's default: its first broker key that is not null, in the topic key's unit.
fn topic_defaults(values: &Values) -> Result<TopicConfig, ConfigError> {
    let mut config = TopicConfig::default();
    for (name, synonyms) in topic::SYNONYMS {
        for (broker_key, factor) in *synonyms {
            let value = match values.get(broker_key)? {
                Value::Null => continue,
                // A negative time is "without limit" in every unit.
                Value::Integer(number) if number > 0 => Value::Integer(number.saturating_mul(*factor)),
                Value::Integer(number) if *name == "retention.ms" => Value::Integer(number.max(-1)),
                value => value,
            };
            config.set(name, value);
            break;
        }
    }
    config.check_relations()?;
    Ok(config)
}

#[cfg(test)]
mod tests;
