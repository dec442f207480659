//! AlterReplicaLogDirs (key 34), v0-2: has partitions moved into other directories of `log.dirs` (KIP-113). The answer says
//! that a move has begun; DescribeLogDirs tells how far it is. Kafka: `ReplicaManager.alterReplicaLogDirs`.

use std::collections::BTreeMap;
use std::path::Path;

use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, TopicName};

use super::context::RequestContext;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::PartitionIndex;
use crate::protocol::old::AnyVersion;

pub async fn handle(
    context: &RequestContext,
    AnyVersion(request): AnyVersion<AlterReplicaLogDirsRequest>,
) -> anyhow::Result<AnyVersion<AlterReplicaLogDirsResponse>> {
    let mut asked: BTreeMap<(TopicName, i32), String> = BTreeMap::new();
    for directory in &request.dirs {
        for topic in &directory.topics {
            for partition in &topic.partitions {
                // As with Kafka the last directory counts that names a partition.
                asked.insert((topic.name.clone(), *partition), directory.path.to_string());
            }
        }
    }
    let services = context.services.clone();
    // A partition that was never used gets its log here.
    let results = tokio::task::spawn_blocking(move || {
        let mut results: BTreeMap<TopicName, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
        for ((topic, partition), path) in asked {
            let image = services.image();
            let (index, path) = (PartitionIndex(partition), Path::new(&path));
            let moved = match image.topic(&topic) {
                Some(known) => services.replicas.move_partition(known, index, path),
                // The directory is looked at before the topic.
                None => services
                    .replicas
                    .destination(&topic, index, path)
                    .and(Err(ErrorCode::UnknownTopicOrPartition)),
            };
            let code = match moved {
                Ok(()) => ErrorCode::None,
                // Kept by Kafka for this message.
                Err(ErrorCode::NotLeaderOrFollower) => ErrorCode::ReplicaNotAvailable,
                Err(code) => code,
            };
            let result = AlterReplicaLogDirPartitionResult::default()
                .with_partition_index(partition)
                .with_error_code(code.code());
            results.entry(topic).or_default().push(result);
        }
        results
    });
    let results = results.await?.into_iter().map(|(topic, partitions)| {
        AlterReplicaLogDirTopicResult::default().with_topic_name(topic).with_partitions(partitions)
    });
    Ok(AnyVersion(AlterReplicaLogDirsResponse::default().with_results(results.collect())))
}
