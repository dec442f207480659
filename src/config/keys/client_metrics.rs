//! Client-metrics keys of Kafka 4.4 (`ClientMetricsConfigs`, KIP-714).

use crate::config::key::Check::Any;
use crate::config::key::Class::NoEffect;
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::TELEMETRY;

pub static KEYS: &[Key] = keys! {
    "interval.ms" => Int, "300000", Any, ClusterWide, NoEffect(TELEMETRY),
        "Time between two pushes of the subscribed metrics.";
    "match" => List, "", Any, ClusterWide, NoEffect(TELEMETRY),
        "Which clients the subscription is for, as name=pattern pairs.";
    "metrics" => List, "", Any, ClusterWide, NoEffect(TELEMETRY),
        "Prefixes of the metrics that are asked for; empty asks for none, * for all.";
};
