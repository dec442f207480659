//! Where a broker's copy of a partition lies (`ReplicationControlManager.handleAssignReplicasToDirs`, KIP-858). Pure.

use crate::controller::command::{Answer, Outcome};
use crate::controller::image::ClusterImage;
use crate::controller::records::{MetadataRecord, PartitionChangeRecord};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, PartitionIndex, TopicId, Uuid};

/// A broker has brought its copy into another of its directories.
pub(super) fn assign(
    image: &ClusterImage,
    (topic_id, index): (TopicId, PartitionIndex),
    broker_id: BrokerId,
    directory: Uuid,
) -> Result<Outcome, ApiError> {
    let topic = image.topic_by_id(topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let place = partition.replicas.iter().position(|replica| *replica == broker_id);
    let place = place.ok_or(ErrorCode::NotLeaderOrFollower)?;
    if !image.broker(broker_id).is_some_and(|broker| broker.directories.contains(&directory)) {
        return Err(ErrorCode::LogDirNotFound.into());
    }
    let mut directories = partition.directories.clone();
    directories.resize(partition.replicas.len(), Uuid::nil());
    directories[place] = directory;
    let mut records = Vec::new();
    if directories != partition.directories {
        let mut record = PartitionChangeRecord::new(topic_id, index);
        record.directories = Some(directories);
        records.push(MetadataRecord::PartitionChange(record));
    }
    Ok(Outcome { records, answer: Answer::AssignDirectory })
}
