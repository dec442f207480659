//! What `/metrics` tells of groups: how many are how, and how far behind each is.
//!
//! Counts have the names of `GroupCoordinatorMetrics`; lag, which Kafka leaves to others, has those of the usual
//! exporter (`kafka_consumergroup_*`). Offsets are read when somebody asks, so this blocks, and no more than
//! [`SERIES_LIMIT`] of them are told.

use std::collections::HashMap;
use std::sync::Arc;

use super::gauge;
use crate::controller::ClusterImage;
use crate::coordinator::group::census::{Census, Counts, GroupCounts};
use crate::coordinator::group::offsets;
use crate::coordinator::runtime::SlotState;
use crate::coordinator::shard::Scan;
use crate::handlers::groups::Groups;
use crate::protocol::ids::{Offset, PartitionIndex};
use crate::replication::registry::Registry;
use crate::telemetry::exposition::{Exposition, Kind};

/// Groups that are told of one by one, and partitions, at most.
const SERIES_LIMIT: usize = 10_000;

/// The offset that a group has committed for a partition.
struct Committed {
    group: Arc<str>,
    topic: Arc<str>,
    partition: PartitionIndex,
    offset: Offset,
}

/// What all led partitions of `__consumer_offsets` tell together.
#[derive(Default)]
struct Told {
    census: Census,
    offsets: Vec<Committed>,
    /// There is more than is told.
    is_cut: bool,
}

pub fn render(exposition: &mut Exposition, groups: &Groups, replicas: &Registry, image: &ClusterImage) {
    let mut told = Told::default();
    for (partition, state) in groups.runtime.led() {
        if state == SlotState::Active {
            told.ask(groups, partition);
        }
    }
    render_counts(exposition, &told.census.groups, &told.census.counts);
    render_members(exposition, &told.census);
    render_lag(exposition, &told.offsets, replicas, image);
    let help = "1 if there are more groups or committed offsets than are told one by one.";
    gauge(exposition, "klamm_consumergroup_cut", help, u8::from(told.is_cut));
}

impl Told {
    fn ask(&mut self, groups: &Groups, partition: PartitionIndex) {
        let room = SERIES_LIMIT - self.census.members.len();
        let offsets = &mut self.offsets;
        let mut is_cut = false;
        let asked = groups.runtime.survey(
            partition,
            |shard| shard.census(room),
            |census, stored| {
                // The offsets of a group stand together, so that its name is shared.
                let mut of: Arc<str> = Arc::from("");
                offsets::visit_all(stored, &mut |group, topic, partition, offset| {
                    if offsets.len() == SERIES_LIMIT {
                        is_cut = true;
                        return Scan::Stop;
                    }
                    if *of != *group {
                        of = group.into();
                    }
                    offsets.push(Committed { group: of.clone(), topic: topic.into(), partition, offset });
                    Scan::Next
                })?;
                Ok(census)
            },
        );
        // A partition whose term ends meanwhile is another's to tell of.
        let Ok(census) = asked else { return };
        self.is_cut |= is_cut || census.members.len() < census.groups.all();
        self.census.groups += census.groups;
        self.census.counts += census.counts;
        self.census.members.extend(census.members);
    }
}

fn render_counts(exposition: &mut Exposition, groups: &GroupCounts, counts: &Counts) {
    let name = "kafka_server_group_coordinator_metrics_group_count";
    let mut family = exposition.family(name, Kind::Gauge, "Groups that this broker coordinates.");
    family.sample(&[("protocol", "classic")], groups.classic());
    family.sample(&[("protocol", "consumer")], groups.consumer.all());
    for (state, help, count) in [
        ("preparingrebalance", "Groups that wait for members to join.", groups.preparing_rebalance),
        ("completingrebalance", "Groups that wait for an assignment.", groups.completing_rebalance),
        ("stable", "Groups whose members have their assignments.", groups.stable),
        ("empty", "Groups without members.", groups.empty),
    ] {
        gauge(
            exposition,
            &format!("kafka_coordinator_group_groupmetadatamanager_numgroups{state}"),
            help,
            count,
        );
    }
    let name = "kafka_server_group_coordinator_metrics_consumer_group_count";
    let mut family = exposition.family(name, Kind::Gauge, "Consumer groups of KIP-848 by state.");
    for (state, count) in [
        ("empty", groups.consumer.empty),
        ("assigning", groups.consumer.assigning),
        ("reconciling", groups.consumer.reconciling),
        ("stable", groups.consumer.stable),
    ] {
        family.sample(&[("state", state)], count);
    }
    for (name, help, count) in [
        (
            "consumer_group_rebalance",
            "Epochs that consumer groups of KIP-848 have begun.",
            counts.consumer_rebalances,
        ),
        ("offset_commit", "Offsets committed.", counts.offset_commits),
        ("offset_deletion", "Offsets deleted, expired ones included.", counts.offset_deletions),
        (
            "group_completed_rebalance",
            "Rebalances that ended with an assignment.",
            counts.completed_rebalances,
        ),
    ] {
        let name = format!("kafka_server_group_coordinator_metrics_{name}_count_total");
        exposition.family(&name, Kind::Counter, help).sample(&[], count);
    }
}

fn render_members(exposition: &mut Exposition, census: &Census) {
    let mut family = exposition.family("kafka_consumergroup_members", Kind::Gauge, "Members of a group.");
    for (group, count) in &census.members {
        family.sample(&[("consumergroup", group)], count);
    }
}

/// The lag of partitions that are on this broker.
fn render_lag(exposition: &mut Exposition, offsets: &[Committed], replicas: &Registry, image: &ClusterImage) {
    let mut ends: HashMap<(&str, PartitionIndex), Offset> = HashMap::new();
    for committed in offsets {
        if ends.contains_key(&(&*committed.topic, committed.partition)) {
            continue;
        }
        let Some(topic) = image.topic(&committed.topic) else { continue };
        let status = replicas.status_of(topic).into_iter();
        ends.extend(status.map(|status| ((&*committed.topic, status.partition), status.log_end_offset)));
    }
    let labelled = offsets.iter().map(|committed| (committed, committed.partition.to_string()));
    let labelled: Vec<(&Committed, String)> = labelled.collect();
    let name = "kafka_consumergroup_current_offset";
    let mut family = exposition.family(name, Kind::Gauge, "Offset that a group has committed.");
    for (committed, partition) in &labelled {
        family.sample(&committed.labels(partition), committed.offset);
    }
    let name = "kafka_consumergroup_lag";
    let mut family = exposition.family(name, Kind::Gauge, "Records behind the committed offset.");
    for (committed, partition) in &labelled {
        if let Some(end) = ends.get(&(&*committed.topic, committed.partition)) {
            family.sample(&committed.labels(partition), (*end - committed.offset).max(0));
        }
    }
}

impl Committed {
    fn labels<'a>(&'a self, partition: &'a str) -> [(&'a str, &'a str); 3] {
        [("consumergroup", &self.group), ("topic", &self.topic), ("partition", partition)]
    }
}
