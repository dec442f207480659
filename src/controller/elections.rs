//! Elections that somebody asks for (`ReplicationControlManager.electLeaders`; KIP-183, KIP-460). Pure.

use std::collections::BTreeSet;

use crate::controller::command::{Answer, ElectionResults, ElectionType, Inputs, Outcome};
use crate::controller::image::{ClusterImage, TopicImage};
use crate::controller::limits;
use crate::controller::partition_change::{Election, PartitionChange};
use crate::controller::records::MetadataRecord;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, PartitionIndex};

/// ElectLeaders of these partitions; of all there are when `partitions` is `None`.
pub(super) fn elect(
    image: &ClusterImage,
    election: ElectionType,
    partitions: Option<&[(String, Vec<PartitionIndex>)]>,
    inputs: &Inputs<'_>,
) -> Result<Outcome, ApiError> {
    let mut records = Vec::new();
    let mut results = ElectionResults::new();
    match partitions {
        Some(partitions) => {
            let mut seen = BTreeSet::new();
            for (topic, indexes) in partitions {
                let elected = indexes.iter().map(|index| {
                    let elected = check_named_once(&mut seen, topic, *index)
                        .and_then(|()| elect_one(image, topic, *index, election, inputs, &mut records));
                    (*index, elected)
                });
                results.push((topic.clone(), elected.collect()));
            }
        }
        None => {
            for topic in image.topics.values() {
                let indexes = (0..topic.partitions.len()).map(|index| PartitionIndex(index as i32));
                let elected = indexes
                    .map(|index| {
                        (index, elect_one(image, &topic.name, index, election, inputs, &mut records))
                    })
                    // Who asks for all is told only where something was to be done.
                    .filter(|(_, result)| {
                        result
                            .as_ref()
                            .err()
                            .is_none_or(|refusal| refusal.code != ErrorCode::ElectionNotNeeded)
                    });
                results.push((topic.name.to_string(), elected.collect()));
            }
        }
    }
    limits::check_record_count(records.len())?;
    Ok(Outcome { records, answer: Answer::ElectLeaders(results) })
}

/// Refuses a partition that the command has named before: both changes would begin where the partition is.
pub(super) fn check_named_once<'a>(
    seen: &mut BTreeSet<(&'a str, PartitionIndex)>,
    topic: &'a str,
    index: PartitionIndex,
) -> Result<(), ApiError> {
    if seen.insert((topic, index)) {
        return Ok(());
    }
    let message = format!("The partition {topic}-{index} is named more than once.");
    Err(ApiError::new(ErrorCode::InvalidRequest, message))
}

fn elect_one(
    image: &ClusterImage,
    topic: &str,
    index: PartitionIndex,
    election: ElectionType,
    inputs: &Inputs<'_>,
    records: &mut Vec<MetadataRecord>,
) -> Result<(), ApiError> {
    let unknown = |message: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
    let found = image.topic(topic).ok_or_else(|| unknown(format!("No such topic as {topic}")))?;
    let partition =
        found.partition(index).ok_or_else(|| unknown(format!("No such partition as {topic}-{index}")))?;
    let (is_there, kind, code, sentence) = match election {
        ElectionType::Preferred => (
            partition.replicas.first() == Some(&partition.leader),
            Election::Preferred,
            ErrorCode::PreferredLeaderNotAvailable,
            "The preferred leader was not available.",
        ),
        ElectionType::Unclean => (
            partition.leader != BrokerId::NONE,
            Election::Unclean,
            ErrorCode::EligibleLeadersNotAvailable,
            "Eligible topic partition leaders are not available.",
        ),
    };
    if is_there {
        let sentence = "Leader election not needed for topic partition.";
        return Err(ApiError::new(ErrorCode::ElectionNotNeeded, sentence));
    }
    let may_lead = |broker| image.is_active(broker);
    let mut change = PartitionChange::of(image, found, index, partition, &may_lead);
    change.election = kind;
    change.min_insync_replicas = min_insync_replicas(found, inputs);
    match change.build() {
        Some(record) => {
            records.push(record);
            Ok(())
        }
        None => Err(ApiError::new(code, sentence)),
    }
}

/// What the topic runs with.
pub(super) fn min_insync_replicas(topic: &TopicImage, inputs: &Inputs<'_>) -> usize {
    super::configs::of_topic(topic, inputs.configs).min_insync_replicas
}
