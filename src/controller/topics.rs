//! Creation and deletion of topics (`ReplicationControlManager.createTopics`, `deleteTopics`; KIP-4, KIP-516
//! topic ids). Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::controller::command::{
    Answer, CreateTopic, CreatedTopic, Inputs, Outcome, Partitioning, TopicReference,
};
use crate::controller::image::{ClusterImage, PartitionImage, TopicImage};
use crate::controller::records::{MetadataRecord, RemoveTopicRecord, TopicRecord};
use crate::controller::{configs, partitions, placement, topic_names};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, PartitionIndex, TopicId};

/// Partitions that one request may create (`ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`).
pub(super) const MAX_PARTITION_COUNT: usize = 10_000;

/// The metadata log is a log, and not a topic.
const CLUSTER_METADATA: &str = "__cluster_metadata";

type CreateResult = (String, Result<CreatedTopic, ApiError>);

/// What is created in this command so far.
struct Creation<'a> {
    image: &'a ClusterImage,
    records: Vec<MetadataRecord>,
    /// New names by the form under which they collide.
    collisions: BTreeMap<String, &'a str>,
}

pub(super) fn create(
    image: &ClusterImage,
    topics: &[CreateTopic],
    validate_only: bool,
    inputs: &mut Inputs<'_>,
) -> Result<Outcome, ApiError> {
    check_partition_count(topics, inputs.default_partition_count)?;
    let duplicates = duplicate_names(topics);
    let mut reported = BTreeSet::new();
    let mut creation = Creation { image, records: Vec::new(), collisions: BTreeMap::new() };
    let mut results: Vec<CreateResult> = Vec::with_capacity(topics.len());
    for topic in topics {
        if duplicates.contains(topic.name.as_str()) {
            // A name that stands in the request more than once is answered once.
            if reported.insert(topic.name.as_str()) {
                let refusal = ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
                results.push((topic.name.clone(), Err(refusal)));
            }
            continue;
        }
        results.push((topic.name.clone(), creation.add(topic, inputs)));
    }
    let mut records = creation.records;
    if validate_only {
        records.clear();
    }
    Ok(Outcome { records, answer: Answer::CreateTopics(results) })
}

/// POLICY_VIOLATION for the whole request, so that nobody stops the controller with one of them.
fn check_partition_count(topics: &[CreateTopic], default_count: i32) -> Result<(), ApiError> {
    let mut total: usize = 0;
    for topic in topics {
        let count = match &topic.partitioning {
            Partitioning::Counts { partition_count: -1, .. } => default_count.max(0) as usize,
            Partitioning::Counts { partition_count, .. } => (*partition_count).max(0) as usize,
            Partitioning::Manual { assignments, .. } => assignments.len(),
        };
        total = total.saturating_add(count);
    }
    if total > MAX_PARTITION_COUNT {
        let message = "Excessively large number of partitions per request.";
        return Err(ApiError::new(ErrorCode::PolicyViolation, message));
    }
    Ok(())
}

fn duplicate_names(topics: &[CreateTopic]) -> BTreeSet<&str> {
    let mut seen = BTreeSet::new();
    topics.iter().map(|topic| topic.name.as_str()).filter(|name| !seen.insert(*name)).collect()
}

impl<'a> Creation<'a> {
    fn add(&mut self, topic: &'a CreateTopic, inputs: &mut Inputs<'_>) -> Result<CreatedTopic, ApiError> {
        self.check_name(&topic.name)?;
        let (overrides, config_records) =
            configs::for_new_topic(&topic.name, &topic.configs, inputs.configs)?;
        let id = inputs.randomness.topic_id(self.image);
        let partitions = match &topic.partitioning {
            Partitioning::Counts { partition_count, replication_factor } => {
                self.place(id, *partition_count, *replication_factor, inputs)?
            }
            Partitioning::Manual { assignments, counts } => self.assign(id, assignments, *counts)?,
        };
        let replication_factor = partitions.first().map_or(0, |partition| partition.replicas.len()) as i16;
        if let Some(key) = topic_names::collision_key(&topic.name) {
            self.collisions.insert(key, &topic.name);
        }
        self.records.push(MetadataRecord::Topic(TopicRecord { name: topic.name.clone(), topic_id: id }));
        self.records.extend(config_records);
        for (index, partition) in partitions.iter().enumerate() {
            self.records
                .push(MetadataRecord::Partition(partition.to_record(id, PartitionIndex(index as i32))));
        }
        Ok(CreatedTopic { id, partition_count: partitions.len() as i32, replication_factor, overrides })
    }

    fn check_name(&self, name: &str) -> Result<(), ApiError> {
        if name == CLUSTER_METADATA {
            let message = format!("Creation of internal topic {CLUSTER_METADATA} is prohibited.");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        topic_names::validate(name)?;
        if self.image.topic(name).is_some() {
            let message = format!("Topic '{name}' already exists.");
            return Err(ApiError::new(ErrorCode::TopicAlreadyExists, message));
        }
        let Some(key) = topic_names::collision_key(name) else { return Ok(()) };
        let existing = self.image.collisions.get(&key).map(|name| &**name);
        if let Some(existing) = existing.or_else(|| self.collisions.get(&key).copied()) {
            let message = format!("Topic '{name}' collides with existing topic: {existing}");
            return Err(ApiError::new(ErrorCode::InvalidTopicException, message));
        }
        Ok(())
    }

    fn place(
        &self,
        id: TopicId,
        partition_count: i32,
        replication_factor: i16,
        inputs: &mut Inputs<'_>,
    ) -> Result<Vec<PartitionImage>, ApiError> {
        if replication_factor < -1 || replication_factor == 0 {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        if partition_count < -1 || partition_count == 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(ApiError::new(ErrorCode::InvalidPartitions, message));
        }
        let count = if partition_count == -1 { inputs.default_partition_count } else { partition_count };
        let factor =
            if replication_factor == -1 { inputs.default_replication_factor } else { replication_factor };
        let refuse = |reason: &str| {
            let message = format!("Unable to replicate the partition {factor} time(s): {reason}");
            ApiError::new(ErrorCode::InvalidReplicationFactor, message)
        };
        let placed = placement::place(self.image, count.max(0) as usize, factor, &mut inputs.randomness)
            .map_err(|error| refuse(error.message.as_deref().unwrap_or_default()))?;
        let partitions = placed.into_iter().enumerate().map(|(index, replicas)| {
            partitions::new_partition(self.image, id, PartitionIndex(index as i32), replicas)
                .ok_or_else(|| refuse("All brokers are currently fenced or in controlled shutdown."))
        });
        partitions.collect()
    }

    fn assign(
        &self,
        id: TopicId,
        assignments: &[(i32, Vec<BrokerId>)],
        (partition_count, replication_factor): (i32, i16),
    ) -> Result<Vec<PartitionImage>, ApiError> {
        if replication_factor != -1 {
            let message =
                "A manual partition assignment was specified, but replication factor was not set to -1.";
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        if partition_count != -1 {
            let message = "A manual partition assignment was specified, but numPartitions was not set to -1.";
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        let refuse = |message: String| ApiError::new(ErrorCode::InvalidReplicaAssignment, message);
        let mut by_index = BTreeMap::new();
        let mut expected_factor = None;
        for (index, replicas) in assignments {
            if by_index.contains_key(index) {
                let message = format!("Found multiple manual partition assignments for partition {index}");
                return Err(refuse(message));
            }
            partitions::check_assignment(self.image, replicas, expected_factor)?;
            expected_factor = Some(replicas.len());
            let partition =
                partitions::new_partition(self.image, id, PartitionIndex(*index), replicas.clone())
                    .ok_or_else(|| refuse(partitions::all_fenced(*index)))?;
            by_index.insert(*index, partition);
        }
        if !by_index.keys().copied().eq(0..by_index.len() as i32) {
            return Err(refuse("partitions should be a consecutive 0-based integer sequence".to_owned()));
        }
        Ok(by_index.into_values().collect())
    }
}

type DeleteResult = (Option<String>, TopicId, Result<(), ApiError>);

pub(super) fn delete(image: &ClusterImage, topics: &[TopicReference]) -> Result<Outcome, ApiError> {
    let mut counts: BTreeMap<&TopicReference, usize> = BTreeMap::new();
    let mut named_twice: BTreeMap<TopicId, usize> = BTreeMap::new();
    for topic in topics {
        *counts.entry(topic).or_default() += 1;
        if let (1, Some(found)) = (counts[topic], find(image, topic)) {
            *named_twice.entry(found.id).or_default() += 1;
        }
    }
    named_twice.retain(|_, count| *count > 1);
    let mut answered = BTreeSet::new();
    let mut records = Vec::new();
    let mut results: Vec<DeleteResult> = Vec::with_capacity(counts.len());
    // What stands in the request more than once is answered once.
    for topic in topics.iter().filter(|topic| answered.insert(*topic)) {
        let invalid = |message: &str| Err(ApiError::new(ErrorCode::InvalidRequest, message));
        let result = match (topic, find(image, topic)) {
            (TopicReference::Name(name), _) if counts[topic] > 1 => {
                (Some(name.clone()), TopicId::ZERO, invalid("Duplicate topic name."))
            }
            (TopicReference::Id(id), _) if counts[topic] > 1 => (None, *id, invalid("Duplicate topic id.")),
            (TopicReference::Name(name), None) => {
                let sentence = "This server does not host this topic-partition.";
                let refusal = ApiError::new(ErrorCode::UnknownTopicOrPartition, sentence);
                (Some(name.clone()), TopicId::ZERO, Err(refusal))
            }
            (TopicReference::Id(TopicId::ZERO), None) => {
                (None, TopicId::ZERO, invalid("Neither topic name nor id were specified."))
            }
            (TopicReference::Id(id), None) => {
                let sentence = "This server does not host this topic ID.";
                (None, *id, Err(ApiError::new(ErrorCode::UnknownTopicId, sentence)))
            }
            (TopicReference::Name(name), Some(topic)) if named_twice.contains_key(&topic.id) => {
                let refusal = invalid("The provided topic name maps to an ID that was already supplied.");
                (Some(name.clone()), topic.id, refusal)
            }
            (TopicReference::Id(_), Some(topic)) if named_twice.contains_key(&topic.id) => continue,
            (TopicReference::Name(_) | TopicReference::Id(_), Some(topic)) => {
                records.push(MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: topic.id }));
                (Some(topic.name.to_string()), topic.id, Ok(()))
            }
        };
        results.push(result);
    }
    Ok(Outcome { records, answer: Answer::DeleteTopics(results) })
}

fn find<'a>(image: &'a ClusterImage, topic: &TopicReference) -> Option<&'a Arc<TopicImage>> {
    match topic {
        TopicReference::Name(name) => image.topic(name),
        TopicReference::Id(id) => image.topic_by_id(*id),
    }
}
