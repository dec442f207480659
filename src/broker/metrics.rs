//! What `/metrics` tells of topics, partitions, groups, metadata and sessions.
//!
//! Every sample is read when somebody asks; nothing is counted or kept for it here. Names are what the usual
//! JMX exporter rules make of Kafka's MBeans: `BrokerTopicMetrics`, `Log`, `LogCleanerManager`, `ReplicaManager`,
//! `KafkaController`, `raft-metrics`, `broker-metadata-metrics`, `FetchSessionCache`, `KafkaServer`.

mod groups;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::health::Lifecycle;
use crate::controller::{ClusterImage, TopicImage};
use crate::handlers::services::Services;
use crate::protocol::ids::BrokerId;
use crate::replication::registry::Registry;
use crate::replication::status::PartitionStatus;
use crate::replication::traffic::Totals;
use crate::telemetry::exposition::{Exposition, Kind};
use crate::telemetry::metrics::Metrics;

/// End of the name, help, and what is told of each `T`.
type Family<T, V> = (&'static str, &'static str, fn(&T) -> V);

/// Has everything told that `services` know.
pub fn add_sources(metrics: &Metrics, services: &Arc<Services>, lifecycle: Arc<Lifecycle>) {
    let services = services.clone();
    metrics.add_source(Box::new(move |exposition| {
        let image = services.image();
        gauge(
            exposition,
            "kafka_server_kafkaserver_brokerstate",
            "2 while recovering, 3 while serving clients, 7 while stopping.",
            lifecycle.phase().code(),
        );
        render_traffic(exposition, &services.replicas, &image);
        render_partitions(exposition, &services.replicas, &image);
        render_cleaner(exposition, &services.replicas);
        groups::render(exposition, &services.groups, &services.replicas, &image);
        render_controller(exposition, &services, &image);
        render_quorum(exposition, &services, &image);
        gauge(
            exposition,
            "kafka_server_fetchsessioncache_numincrementalfetchsessions",
            "Fetch sessions that are kept.",
            services.sessions.len(),
        );
    }));
}

fn gauge(exposition: &mut Exposition, name: &str, help: &str, value: impl Display) {
    exposition.family(name, Kind::Gauge, help).sample(&[], value);
}

/// By topic, and without a label for all topics, deleted ones included.
fn render_traffic(exposition: &mut Exposition, replicas: &Registry, image: &ClusterImage) {
    let report = replicas.traffic().report();
    let topics = image.topics.values();
    let topics: Vec<(&str, &Totals)> =
        topics.filter_map(|topic| Some((&*topic.name, report.topics.get(&topic.id)?))).collect();
    let families: [Family<Totals, u64>; 5] = [
        ("messagesin", "Records that producers sent.", |totals| totals.records_in),
        ("bytesin", "Bytes of records that producers sent.", |totals| totals.bytes_in),
        ("bytesout", "Bytes of records that consumers fetched.", |totals| totals.bytes_out),
        ("producemessageconversions", "Records that came in an older message format.", |totals| {
            totals.produce_conversions
        }),
        ("fetchmessageconversions", "Records that went out in an older message format.", |totals| {
            totals.fetch_conversions
        }),
    ];
    for (name, help, read) in families {
        let name = format!("kafka_server_brokertopicmetrics_{name}_total");
        let mut family = exposition.family(&name, Kind::Counter, help);
        family.sample(&[], read(&report.all_topics));
        for (topic, totals) in &topics {
            family.sample(&[("topic", topic)], read(totals));
        }
    }
}

/// The partitions of this broker: each with its log, then how many are how.
fn render_partitions(exposition: &mut Exposition, replicas: &Registry, image: &ClusterImage) {
    let topics = image.topics.values().map(|topic| (topic, replicas.status_of(topic)));
    let topics: Vec<(&Arc<TopicImage>, Vec<PartitionStatus>)> = topics.collect();
    let families: [Family<PartitionStatus, i64>; 4] = [
        ("size", "Bytes of records on disk.", |status| status.size_bytes as i64),
        ("logstartoffset", "Offset of the first record.", |status| status.log_start_offset.0),
        ("logendoffset", "Offset after the last record.", |status| status.log_end_offset.0),
        ("numlogsegments", "Segments on disk.", |status| status.segment_count as i64),
    ];
    for (name, help, read) in families {
        let name = format!("kafka_log_log_{name}");
        let mut family = exposition.family(&name, Kind::Gauge, help);
        for (topic, partitions) in &topics {
            for status in partitions {
                let partition = status.partition.to_string();
                family.sample(&[("topic", &topic.name), ("partition", &partition)], read(status));
            }
        }
    }
    let families: [Family<PartitionStatus, bool>; 4] = [
        ("partitioncount", "Partitions on this broker.", |_| true),
        ("leadercount", "Partitions that this broker leads.", |status| status.is_leader),
        ("offlinereplicacount", "Partitions whose log here is corrupt or could not be written.", |status| {
            !status.is_online
        }),
        (
            "underreplicatedpartitions",
            "Partitions led here of which fewer replicas are in sync than there are.",
            |status| status.is_leader && status.is_under_replicated,
        ),
    ];
    for (name, help, counts) in families {
        let partitions = topics.iter().flat_map(|(_, partitions)| partitions);
        let count = partitions.filter(|status| counts(status)).count();
        gauge(exposition, &format!("kafka_server_replicamanager_{name}"), help, count);
    }
}

/// Compaction: what it has done, and the logs that it had to give up.
fn render_cleaner(exposition: &mut Exposition, replicas: &Registry) {
    let totals = replicas.cleaned();
    for (name, help, value) in [
        ("rounds", "Logs that were compacted.", &totals.rounds),
        ("read_bytes", "Bytes that compaction has read.", &totals.read_bytes),
        ("written_bytes", "Bytes that compaction has written.", &totals.written_bytes),
    ] {
        let name = format!("klamm_cleaner_{name}_total");
        exposition.family(&name, Kind::Counter, help).sample(&[], value.load(Ordering::Relaxed));
    }
    let max_dirty_percent = totals.max_dirty_percent.load(Ordering::Relaxed);
    let name = "kafka_log_logcleanermanager_max_dirty_percent";
    gauge(
        exposition,
        name,
        "Share of bytes to be compacted of the dirtiest log, at the last look.",
        max_dirty_percent,
    );
    let given_up = replicas.uncleanable();
    let name = "kafka_log_logcleanermanager_uncleanable_partitions_count";
    let mut family = exposition.family(name, Kind::Gauge, "Partitions that cannot be compacted.");
    for (directory, partition_count, _) in &given_up {
        family.sample(&[("logdirectory", directory)], partition_count);
    }
    let name = "kafka_log_logcleanermanager_uncleanable_bytes";
    let mut family = exposition.family(name, Kind::Gauge, "Bytes of partitions that cannot be compacted.");
    for (directory, _, size_bytes) in &given_up {
        family.sample(&[("logdirectory", directory)], size_bytes);
    }
}

fn render_controller(exposition: &mut Exposition, services: &Services, image: &ClusterImage) {
    let leads = services.quorum.leader().is_some_and(|(leader, _)| leader == services.me);
    let partition_count: usize = image.topics.values().map(|topic| topic.partitions.len()).sum();
    let partitions = image.topics.values().flat_map(|topic| &topic.partitions);
    let offline_count = partitions.filter(|partition| partition.leader == BrokerId::NONE).count();
    let fenced_count = image.brokers.values().filter(|broker| broker.fenced).count();
    for (name, help, value) in [
        ("activecontrollercount", "1 if this node leads the metadata quorum.", usize::from(leads)),
        ("globaltopiccount", "Topics of the cluster.", image.topics.len()),
        ("globalpartitioncount", "Partitions of the cluster.", partition_count),
        ("offlinepartitionscount", "Partitions of the cluster without a leader.", offline_count),
        ("activebrokercount", "Brokers that take part.", image.brokers.len() - fenced_count),
        ("fencedbrokercount", "Brokers that are fenced.", fenced_count),
    ] {
        gauge(exposition, &format!("kafka_controller_kafkacontroller_{name}"), help, value);
    }
}

fn render_quorum(exposition: &mut Exposition, services: &Services, image: &ClusterImage) {
    let quorum = services.quorum.describe();
    for (name, help, value) in [
        ("current_leader", "Node that leads the metadata quorum, -1 if none.", i64::from(quorum.leader.0)),
        ("current_epoch", "Epoch of the metadata quorum's leader.", i64::from(quorum.leader_epoch.0)),
        ("high_watermark", "Offset after the last committed metadata record.", quorum.high_watermark.0),
    ] {
        gauge(exposition, &format!("kafka_server_raftmetrics_{name}"), help, value);
    }
    let name = "kafka_server_brokermetadatametrics_last_applied_record_offset";
    gauge(exposition, name, "Offset of the last metadata record that has taken effect.", image.applied.0);
}
