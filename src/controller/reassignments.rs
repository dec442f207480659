//! Moving partitions to other replicas (`ReplicationControlManager.alterPartitionReassignments`; KIP-455, KIP-860).
//! Pure.

use std::collections::BTreeSet;

use crate::controller::command::{Answer, Inputs, Outcome, PartitionReassignment, ReassignmentResults};
use crate::controller::image::{ClusterImage, PartitionImage, TopicImage};
use crate::controller::partition_change::{Election, PartitionChange};
use crate::controller::records::MetadataRecord;
use crate::controller::{configs, elections, limits, partitions};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, PartitionIndex};

/// AlterPartitionReassignments.
pub(super) fn alter(
    image: &ClusterImage,
    topics: &[(String, Vec<PartitionReassignment>)],
    allow_replication_factor_change: bool,
    inputs: &Inputs<'_>,
) -> Result<Outcome, ApiError> {
    let mut records = Vec::new();
    let mut results = ReassignmentResults::with_capacity(topics.len());
    let mut seen = BTreeSet::new();
    for (topic, partitions) in topics {
        let altered = partitions.iter().map(|PartitionReassignment { partition, replicas }| {
            let found = elections::check_named_once(&mut seen, topic, *partition)
                .and_then(|()| find(image, topic, *partition));
            let altered = found.and_then(|(found, current)| match replicas {
                Some(replicas) => {
                    let allowed = allow_replication_factor_change;
                    change(image, (found, *partition, current), replicas, allowed, inputs)
                }
                None => cancel(image, (found, *partition, current), inputs),
            });
            (*partition, altered.map(|record| records.extend(record)))
        });
        let altered = altered.collect();
        results.push((topic.clone(), altered));
    }
    limits::check_record_count(records.len())?;
    Ok(Outcome { records, answer: Answer::AlterPartitionReassignments(results) })
}

fn find<'a>(
    image: &'a ClusterImage,
    name: &str,
    index: PartitionIndex,
) -> Result<(&'a TopicImage, &'a PartitionImage), ApiError> {
    let unknown = |message: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
    let topic = image.topic(name).ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let partition =
        topic.partition(index).ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
    Ok((topic, partition))
}

type Found<'a> = (&'a TopicImage, PartitionIndex, &'a PartitionImage);

/// To these replicas, at once where that is possible; `None` when they are those there are.
fn change(
    image: &ClusterImage,
    (topic, index, partition): Found<'_>,
    replicas: &[BrokerId],
    allow_replication_factor_change: bool,
    inputs: &Inputs<'_>,
) -> Result<Option<MetadataRecord>, ApiError> {
    partitions::check_assignment(image, replicas, None)?;
    if !allow_replication_factor_change {
        // While a reassignment is under way, what it leads to is what the factor is.
        let current =
            partition.replicas.iter().filter(|broker| !partition.removing_replicas.contains(broker));
        let current = current.count();
        if current != replicas.len() {
            let message = format!("The replication factor is changed from {current} to {}", replicas.len());
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
    }
    let removing: Vec<BrokerId> = difference(&partition.replicas, replicas);
    let may_lead = |broker| image.is_active(broker);
    let mut change = PartitionChange::of(image, topic, index, partition, &may_lead);
    change.min_insync_replicas = elections::min_insync_replicas(topic, inputs);
    change.adding = difference(replicas, &partition.replicas);
    change.replicas = replicas.iter().chain(&removing).copied().collect();
    change.removing = removing;
    Ok(change.build())
}

/// Back to the replicas from before the reassignment.
fn cancel(
    image: &ClusterImage,
    (topic, index, partition): Found<'_>,
    inputs: &Inputs<'_>,
) -> Result<Option<MetadataRecord>, ApiError> {
    if !is_under_way(partition) {
        return Err(ErrorCode::NoReassignmentInProgress.into());
    }
    let was_there = |broker: &BrokerId| !partition.adding_replicas.contains(broker);
    let replicas: Vec<BrokerId> = partition.replicas.iter().copied().filter(was_there).collect();
    let mut isr: Vec<BrokerId> = partition.isr.iter().copied().filter(was_there).collect();
    let may_be_unclean = configs::of_topic(topic, inputs.configs).unclean_leader_election_enable;
    if isr.is_empty() {
        let refuse = |message: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        let Some(first) = replicas.first() else {
            return refuse("Invalid replica assignment: addingReplicas contains all replicas.".to_owned());
        };
        if !may_be_unclean {
            return refuse(format!(
                "Unable to revert partition assignment for {}:{index} because it would require an unclean leader \
                 election.",
                topic.name
            ));
        }
        isr.push(*first);
    }
    let may_lead = |broker| image.is_active(broker);
    let mut change = PartitionChange::of(image, topic, index, partition, &may_lead);
    change.min_insync_replicas = elections::min_insync_replicas(topic, inputs);
    if may_be_unclean {
        change.election = Election::Unclean;
    }
    (change.replicas, change.isr) = (replicas, isr);
    (change.removing, change.adding) = (Vec::new(), Vec::new());
    Ok(change.build())
}

/// Whether a partition is on its way to other replicas.
fn is_under_way(partition: &PartitionImage) -> bool {
    !partition.removing_replicas.is_empty() || !partition.adding_replicas.is_empty()
}

/// The brokers of `some` that `others` lack, by id.
fn difference(some: &[BrokerId], others: &[BrokerId]) -> Vec<BrokerId> {
    let lacking: BTreeSet<BrokerId> =
        some.iter().copied().filter(|broker| !others.contains(broker)).collect();
    lacking.into_iter().collect()
}
