//! New partitions of topics (`ReplicationControlManager.createPartitions`; KIP-195). Pure.

use std::collections::BTreeSet;

use crate::controller::command::{Answer, CreatePartitions, Inputs, Outcome};
use crate::controller::image::{ClusterImage, PartitionImage};
use crate::controller::placement;
use crate::controller::records::MetadataRecord;
use crate::controller::topics::MAX_PARTITION_COUNT;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

pub(super) fn create(
    image: &ClusterImage,
    topics: &[CreatePartitions],
    validate_only: bool,
    inputs: &mut Inputs<'_>,
) -> Result<Outcome, ApiError> {
    let mut records = Vec::new();
    let mut results: Vec<(String, Result<(), ApiError>)> = Vec::with_capacity(topics.len());
    let mut seen = BTreeSet::new();
    let duplicates: BTreeSet<&str> =
        topics.iter().map(|topic| topic.name.as_str()).filter(|name| !seen.insert(*name)).collect();
    for topic in topics {
        if duplicates.contains(topic.name.as_str()) {
            if !results.iter().any(|(name, _)| *name == topic.name) {
                let refusal = ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
                results.push((topic.name.clone(), Err(refusal)));
            }
            continue;
        }
        let result = added_partitions(image, topic, inputs).map(|added| records.extend(added));
        results.push((topic.name.clone(), result));
    }
    if records.len() > MAX_PARTITION_COUNT {
        let message = "Unable to perform excessively large batch operation.";
        return Err(ApiError::new(ErrorCode::PolicyViolation, message));
    }
    if validate_only {
        records.clear();
    }
    Ok(Outcome { records, answer: Answer::CreatePartitions(results) })
}

fn added_partitions(
    image: &ClusterImage,
    command: &CreatePartitions,
    inputs: &mut Inputs<'_>,
) -> Result<Vec<MetadataRecord>, ApiError> {
    let topic = image.topic(&command.name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let present = topic.partitions.len();
    let wanted = command.count.max(0) as usize;
    if wanted == present && command.count >= 0 {
        let message = format!("Topic already has {present} partition(s).");
        return Err(ApiError::new(ErrorCode::InvalidPartitions, message));
    }
    if wanted < present {
        let message = format!(
            "The topic {} currently has {present} partition(s); {} would not be an increase.",
            command.name, command.count
        );
        return Err(ApiError::new(ErrorCode::InvalidPartitions, message));
    }
    let additional = wanted - present;
    // Refused before anything is placed: the count is the client's, and may be two thousand million.
    if additional > MAX_PARTITION_COUNT {
        let message = "Unable to perform excessively large batch operation.";
        return Err(ApiError::new(ErrorCode::PolicyViolation, message));
    }
    let factor = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    let placed = match &command.assignments {
        Some(assignments) if assignments.len() != additional => {
            let message = format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        }
        Some(assignments) => {
            for replicas in assignments {
                check_assignment(image, replicas, Some(factor))?;
            }
            assignments.clone()
        }
        None => placement::place(image, additional, factor as i16, &mut inputs.randomness)?,
    };
    let records = placed.into_iter().enumerate().map(|(index, replicas)| {
        let partition = PartitionIndex((present + index) as i32);
        let created = new_partition(image, topic.id, partition, replicas).ok_or_else(|| match &command.assignments {
            Some(_) => ApiError::new(ErrorCode::InvalidReplicaAssignment, all_fenced(partition.0)),
            None => {
                let message = format!(
                    "Unable to replicate the partition {factor} time(s): All brokers are currently fenced or in \
                     controlled shutdown."
                );
                ApiError::new(ErrorCode::InvalidReplicationFactor, message)
            }
        })?;
        Ok(MetadataRecord::Partition(created.to_record(topic.id, partition)))
    });
    records.collect()
}

/// INVALID_REPLICA_ASSIGNMENT unless a client may have one partition on these replicas.
pub(super) fn check_assignment(
    image: &ClusterImage,
    replicas: &[BrokerId],
    expected_factor: Option<usize>,
) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
    if replicas.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".to_owned());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for broker in &sorted {
        if image.broker(*broker).is_none() {
            return refuse(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ));
        }
        if previous == Some(broker) {
            return refuse(format!(
                "The manual partition assignment includes the broker {broker} more than once."
            ));
        }
        previous = Some(broker);
    }
    match expected_factor {
        Some(expected) if expected != replicas.len() => refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
             with previous partitions, which have {expected} replica(s).",
            replicas.len()
        )),
        Some(_) | None => Ok(()),
    }
}

/// What to say when no replica of a manual assignment can lead.
pub(super) fn all_fenced(partition: i32) -> String {
    format!(
        "All brokers specified in the manual partition assignment for partition {partition} are fenced or in \
         controlled shutdown."
    )
}

/// A partition at its birth: in sync and led by the replicas that run. `None` when none does.
pub(super) fn new_partition(
    image: &ClusterImage,
    topic_id: TopicId,
    partition: PartitionIndex,
    replicas: Vec<BrokerId>,
) -> Option<PartitionImage> {
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(|replica| image.is_active(*replica)).collect();
    let leader = *isr.first()?;
    Some(PartitionImage {
        directories: placement::directories(image, topic_id, partition, &replicas),
        replicas,
        isr,
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader,
        leader_recovery_state: 0,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    })
}
