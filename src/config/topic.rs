//! The settings of one topic, typed (`org.apache.kafka.storage.internals.log.LogConfig`).
//!
//! A topic's own overrides lie over the broker's defaults for topics, which lie over Kafka's. Pure. The
//! sentences about bad values are Kafka's; CreateTopics and AlterConfigs send them.

use std::collections::BTreeMap;

use crate::config::key::{ConfigError, Key};
pub use crate::config::keys::topic::KEYS;
use crate::config::value::{FromValue, Value};
use crate::protocol::batch::{Compression, TimestampType};
use crate::protocol::errors::{ApiError, ErrorCode};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// The broker keys that give a topic key its default, most specific first, each with what one of its units
/// is in the topic key's unit (`ServerTopicConfigSynonyms`). A topic key that is not here has no broker twin.
pub const SYNONYMS: &[(&str, &[(&str, i64)])] = &[
    ("cleanup.policy", &[("log.cleanup.policy", 1)]),
    ("compression.gzip.level", &[("compression.gzip.level", 1)]),
    ("compression.lz4.level", &[("compression.lz4.level", 1)]),
    ("compression.type", &[("compression.type", 1)]),
    ("compression.zstd.level", &[("compression.zstd.level", 1)]),
    ("delete.retention.ms", &[("log.cleaner.delete.retention.ms", 1)]),
    ("file.delete.delay.ms", &[("log.segment.delete.delay.ms", 1)]),
    ("flush.messages", &[("log.flush.interval.messages", 1)]),
    ("flush.ms", &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    ("index.interval.bytes", &[("log.index.interval.bytes", 1)]),
    ("local.retention.bytes", &[("log.local.retention.bytes", 1)]),
    ("local.retention.ms", &[("log.local.retention.ms", 1)]),
    ("max.compaction.lag.ms", &[("log.cleaner.max.compaction.lag.ms", 1)]),
    ("max.decompressed.message.bytes", &[("max.decompressed.message.bytes", 1)]),
    ("max.message.bytes", &[("message.max.bytes", 1)]),
    ("message.timestamp.after.max.ms", &[("log.message.timestamp.after.max.ms", 1)]),
    ("message.timestamp.before.max.ms", &[("log.message.timestamp.before.max.ms", 1)]),
    ("message.timestamp.type", &[("log.message.timestamp.type", 1)]),
    ("min.cleanable.dirty.ratio", &[("log.cleaner.min.cleanable.ratio", 1)]),
    ("min.compaction.lag.ms", &[("log.cleaner.min.compaction.lag.ms", 1)]),
    ("min.insync.replicas", &[("min.insync.replicas", 1)]),
    ("preallocate", &[("log.preallocate", 1)]),
    ("remote.copy.lag.bytes", &[("log.remote.copy.lag.bytes", 1)]),
    ("remote.copy.lag.ms", &[("log.remote.copy.lag.ms", 1)]),
    ("retention.bytes", &[("log.retention.bytes", 1)]),
    (
        "retention.ms",
        &[("log.retention.ms", 1), ("log.retention.minutes", 60 * 1000), ("log.retention.hours", HOUR_MS)],
    ),
    ("segment.bytes", &[("log.segment.bytes", 1)]),
    ("segment.index.bytes", &[("log.index.size.max.bytes", 1)]),
    ("segment.jitter.ms", &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)]),
    ("segment.ms", &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)]),
    ("unclean.leader.election.enable", &[("unclean.leader.election.enable", 1)]),
];

/// The broker keys behind a topic key; empty when it has none.
pub fn broker_synonyms(topic_key: &str) -> &'static [(&'static str, i64)] {
    match SYNONYMS.binary_search_by(|(name, _)| (*name).cmp(topic_key)) {
        Ok(index) => SYNONYMS[index].1,
        Err(_) => &[],
    }
}

/// The table's row of a topic key.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.binary_search_by(|key| key.name.cmp(name)).ok().map(|index| &KEYS[index])
}

/// Every topic key's value, as the log, the partition and the cleaner use it. Fields are named after the
/// keys; times are milliseconds, and sizes bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `cleanup.policy` contains `delete`.
    pub cleanup_delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub cleanup_compact: bool,
    /// `compression.type`; `None` keeps the producer's codec.
    pub compression: Option<Compression>,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_zstd_level: i32,
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: i64,
    /// `i64::MAX` leaves flushing to the operating system, as `flush_ms` does.
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub follower_replication_throttled_replicas: Vec<String>,
    pub index_interval_bytes: u32,
    pub leader_replication_throttled_replicas: Vec<String>,
    pub max_compaction_lag_ms: i64,
    pub max_decompressed_message_bytes: usize,
    pub max_message_bytes: usize,
    pub timestamp_after_max_ms: i64,
    pub timestamp_before_max_ms: i64,
    pub timestamp_type: TimestampType,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub min_insync_replicas: usize,
    /// Negative is without limit.
    pub retention_bytes: i64,
    /// -1 is without limit.
    pub retention_ms: i64,
    /// `segment.bytes`, or `internal.segment.bytes` where that is set.
    pub segment_bytes: u32,
    pub segment_index_bytes: u32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub unclean_leader_election_enable: bool,
}

impl Default for TopicConfig {
    /// Kafka's defaults. A test holds them against the table.
    fn default() -> TopicConfig {
        TopicConfig {
            cleanup_delete: true,
            cleanup_compact: false,
            compression: None,
            compression_gzip_level: -1,
            compression_lz4_level: 9,
            compression_zstd_level: 3,
            delete_retention_ms: 24 * HOUR_MS,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            follower_replication_throttled_replicas: Vec::new(),
            index_interval_bytes: 4096,
            leader_replication_throttled_replicas: Vec::new(),
            max_compaction_lag_ms: i64::MAX,
            max_decompressed_message_bytes: 2_147_483_639,
            max_message_bytes: 1_048_588,
            timestamp_after_max_ms: HOUR_MS,
            timestamp_before_max_ms: i64::MAX,
            timestamp_type: TimestampType::CreateTime,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            min_insync_replicas: 1,
            retention_bytes: -1,
            retention_ms: 7 * 24 * HOUR_MS,
            segment_bytes: 1 << 30,
            segment_index_bytes: 10 << 20,
            segment_jitter_ms: 0,
            segment_ms: 7 * 24 * HOUR_MS,
            unclean_leader_election_enable: false,
        }
    }
}

impl TopicConfig {
    /// The settings of a topic with these overrides over `defaults`, the broker's settings for topics
    /// (`BrokerConfig::topic_defaults`). INVALID_CONFIG names the key and the value in Kafka's words.
    pub fn resolve(
        overrides: &BTreeMap<String, String>,
        defaults: &TopicConfig,
    ) -> Result<TopicConfig, ApiError> {
        let mut config = defaults.clone();
        for (name, text) in overrides {
            config.override_with(name, text).map_err(invalid_config)?;
        }
        if let Some(bytes) = overrides.get("internal.segment.bytes") {
            // Alphabetical order would let segment.bytes win.
            config.override_with("internal.segment.bytes", bytes).map_err(invalid_config)?;
        }
        config.check_relations().map_err(invalid_config)?;
        Ok(config)
    }

    fn override_with(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let key =
            find(name).ok_or_else(|| ConfigError::Conflict(format!("Unknown topic config name: {name}")))?;
        let value = key.parse(text).map_err(|error| match error {
            // What a Kafka broker without remote storage says; tools know the sentence.
            ConfigError::Refused { .. } if name == "remote.storage.enable" => ConfigError::Conflict(
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with \
                 remote log storage."
                    .to_owned(),
            ),
            ConfigError::Refused { .. } | ConfigError::Invalid { .. } | ConfigError::Conflict(_) => error,
        })?;
        self.set(key.name, value);
        Ok(())
    }

    /// Puts a checked value where it belongs; a null leaves what is there.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        if value == Value::Null {
            return;
        }
        match name {
            "cleanup.policy" => {
                let policies: Vec<String> = typed(value);
                self.cleanup_compact = policies.iter().any(|policy| policy == "compact");
                self.cleanup_delete = policies.iter().any(|policy| policy == "delete");
            }
            "compression.gzip.level" => self.compression_gzip_level = typed(value),
            "compression.lz4.level" => self.compression_lz4_level = typed(value),
            "compression.type" => self.compression = compression(&typed::<String>(value)),
            "compression.zstd.level" => self.compression_zstd_level = typed(value),
            "delete.retention.ms" => self.delete_retention_ms = typed(value),
            "file.delete.delay.ms" => self.file_delete_delay_ms = typed(value),
            "flush.messages" => self.flush_messages = typed(value),
            "flush.ms" => self.flush_ms = typed(value),
            "follower.replication.throttled.replicas" => {
                self.follower_replication_throttled_replicas = typed(value);
            }
            "index.interval.bytes" => self.index_interval_bytes = typed(value),
            "internal.segment.bytes" | "segment.bytes" => self.segment_bytes = typed(value),
            "leader.replication.throttled.replicas" => {
                self.leader_replication_throttled_replicas = typed(value);
            }
            "max.compaction.lag.ms" => self.max_compaction_lag_ms = typed(value),
            "max.decompressed.message.bytes" => self.max_decompressed_message_bytes = typed(value),
            "max.message.bytes" => self.max_message_bytes = typed(value),
            "message.timestamp.after.max.ms" => self.timestamp_after_max_ms = typed(value),
            "message.timestamp.before.max.ms" => self.timestamp_before_max_ms = typed(value),
            "message.timestamp.type" => {
                let append_time = typed::<String>(value) == "LogAppendTime";
                self.timestamp_type =
                    if append_time { TimestampType::LogAppendTime } else { TimestampType::CreateTime };
            }
            "min.cleanable.dirty.ratio" => self.min_cleanable_dirty_ratio = typed(value),
            "min.compaction.lag.ms" => self.min_compaction_lag_ms = typed(value),
            "min.insync.replicas" => self.min_insync_replicas = typed(value),
            "retention.bytes" => self.retention_bytes = typed(value),
            "retention.ms" => self.retention_ms = typed(value),
            "segment.index.bytes" => self.segment_index_bytes = typed(value),
            "segment.jitter.ms" => self.segment_jitter_ms = typed(value),
            "segment.ms" => self.segment_ms = typed(value),
            "unclean.leader.election.enable" => self.unclean_leader_election_enable = typed(value),
            // The rest are without effect, or of tiered storage and dead-letter queues, which this build lacks.
            _ => {}
        }
    }

    /// Age at which a segment is rolled. A compacted log rolls in time for `max.compaction.lag.ms`, because its active
    /// segment is never cleaned (KIP-354, `LogConfig.maxSegmentMs`).
    pub fn most_segment_ms(&self) -> i64 {
        match self.cleanup_compact && self.max_compaction_lag_ms > 0 {
            true => self.max_compaction_lag_ms.min(self.segment_ms),
            false => self.segment_ms,
        }
    }

    /// Rules between keys (`LogConfig.validateValues`).
    pub(crate) fn check_relations(&self) -> Result<(), ConfigError> {
        let (least, most) = (self.min_compaction_lag_ms, self.max_compaction_lag_ms);
        if least > most {
            return Err(ConfigError::Conflict(format!(
                "conflict topic config setting min.compaction.lag.ms ({least}) > \
                 max.compaction.lag.ms ({most})"
            )));
        }
        Ok(())
    }
}

fn invalid_config(error: ConfigError) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, error.to_string())
}

fn typed<T: FromValue>(value: Value) -> T {
    T::from_value(value).expect("the table's type and bounds of a topic key fit its field")
}

/// `compression.type` by name, already checked.
fn compression(name: &str) -> Option<Compression> {
    match name {
        "uncompressed" => Some(Compression::None),
        "gzip" => Some(Compression::Gzip),
        "snappy" => Some(Compression::Snappy),
        "lz4" => Some(Compression::Lz4),
        "zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
