use super::*;
use crate::config::key::{Check, Kind};

fn resolve(overrides: &[(&str, &str)]) -> Result<TopicConfig, String> {
    let overrides = overrides.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    TopicConfig::resolve(&overrides, &TopicConfig::default()).map_err(|error| {
        assert_eq!(error.code, ErrorCode::InvalidConfig);
        error.message.expect("a refusal has a sentence")
    })
}

#[track_caller]
fn refused(overrides: &[(&str, &str)], sentence: &str) {
    assert_eq!(resolve(overrides), Err(sentence.to_owned()));
}

#[test]
fn defaults_are_the_tables() {
    let mut config = TopicConfig { segment_bytes: 0, retention_ms: 0, ..TopicConfig::default() };
    for key in KEYS {
        config.set(key.name, key.default_value());
    }
    assert_eq!(config, TopicConfig::default());
}

#[test]
fn tables_are_sorted_so_that_a_search_finds_every_key() {
    assert!(KEYS.iter().all(|key| find(key.name).is_some_and(|found| found.name == key.name)));
    assert!(SYNONYMS.iter().all(|(name, synonyms)| broker_synonyms(name) == *synonyms));
    assert!(SYNONYMS.iter().all(|(name, _)| find(name).is_some()));
    assert!(find("retention").is_none());
}

#[test]
fn the_ends_of_every_range_fit_their_field() {
    for key in KEYS {
        let (least, most) = match (key.check, key.kind) {
            (Check::AtLeast(least), Kind::Int) => (least, i32::MAX.into()),
            (Check::AtLeast(least), Kind::Long) => (least, i64::MAX),
            (Check::Between(least, most), _) => (least, most),
            _ => continue,
        };
        for end in [least, most] {
            let mut config = TopicConfig::default();
            config.set(key.name, key.parse(&end.to_string()).expect("the end of a range is in it"));
        }
    }
}

#[test]
fn overrides_lie_over_the_defaults() {
    let config = resolve(&[
        ("cleanup.policy", "compact, delete"),
        ("retention.ms", " +5 "),
        ("compression.type", "zstd"),
        ("message.timestamp.type", "LogAppendTime"),
        ("min.cleanable.dirty.ratio", "0.25"),
        ("preallocate", "TRUE"),
    ])
    .expect("all are good");
    assert!(config.cleanup_compact && config.cleanup_delete);
    assert_eq!(config.retention_ms, 5);
    assert_eq!(config.compression, Some(Compression::Zstd));
    assert_eq!(config.timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(config.min_cleanable_dirty_ratio, 0.25);
    assert_eq!(config.segment_bytes, 1 << 30);
}

#[test]
fn an_empty_cleanup_policy_keeps_everything() {
    let config = resolve(&[("cleanup.policy", "")]).expect("Kafka takes it");
    assert!(!config.cleanup_compact && !config.cleanup_delete);
}

#[test]
fn the_internal_segment_size_has_no_lower_bound_and_wins() {
    let config = resolve(&[("internal.segment.bytes", "100"), ("segment.bytes", "1048576")]);
    assert_eq!(config.expect("both are good").segment_bytes, 100);
}

#[test]
fn bad_values_are_refused_in_kafkas_words() {
    refused(&[("foo", "1")], "Unknown topic config name: foo");
    let number = "Invalid value x for configuration retention.ms: Not a number of type LONG";
    refused(&[("retention.ms", "x")], number);
    let least = "Invalid value -2 for configuration retention.ms: Value must be at least -1";
    refused(&[("retention.ms", "-2")], least);
    let most = "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1";
    refused(&[("min.cleanable.dirty.ratio", "2")], most);
    let flag = "Invalid value yes for configuration preallocate: Expected value to be either true or false";
    refused(&[("preallocate", "yes")], flag);
    let policy =
        "Invalid value Delete for configuration cleanup.policy: String must be one of: compact, delete";
    refused(&[("cleanup.policy", "Delete")], policy);
    refused(&[("cleanup.policy", "delete,")], "Configuration 'cleanup.policy' values must not be empty.");
    let level = "Invalid value 10 for configuration compression.gzip.level: \
                 Value must be between 1 and 9 or equal to -1";
    refused(&[("compression.gzip.level", "10")], level);
    let replicas = "Invalid value [x] for configuration leader.replication.throttled.replicas: \
                    leader.replication.throttled.replicas must be the literal '*' or a list of replicas in \
                    the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...";
    refused(&[("leader.replication.throttled.replicas", "x")], replicas);
    let lag = "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)";
    refused(&[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")], lag);
}

#[test]
fn throttled_replicas_are_pairs_or_a_star() {
    for good in ["", "*", "0:1,1:2"] {
        assert!(resolve(&[("leader.replication.throttled.replicas", good)]).is_ok(), "{good}");
    }
}

#[test]
fn tiered_storage_is_refused_in_kafkas_words_unless_it_is_off() {
    assert!(resolve(&[("remote.storage.enable", "false"), ("local.retention.ms", "5")]).is_ok());
    let sentence = "Tiered Storage functionality is disabled in the broker. Topic cannot be configured \
                    with remote log storage.";
    refused(&[("remote.storage.enable", "true")], sentence);
}
