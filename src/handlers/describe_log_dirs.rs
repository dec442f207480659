//! DescribeLogDirs (key 35), v1-4: what lies in each of `log.dirs`, and how much room there is (KIP-113,
//! KIP-827). Kafka: `ReplicaManager.describeLogDirs`.

use std::collections::{BTreeMap, HashSet};

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};

use super::context::RequestContext;
use super::wire;
use crate::protocol::errors::ErrorCode;
use crate::replication::registry::DirectoryContents;

pub async fn handle(
    context: &RequestContext,
    request: DescribeLogDirsRequest,
) -> anyhow::Result<DescribeLogDirsResponse> {
    // A null list asks for all partitions.
    let asked: Option<HashSet<(&str, i32)>> = request.topics.as_ref().map(|topics| {
        let pairs = topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic.as_str(), *partition)));
        pairs.collect()
    });
    let services = context.services.clone();
    // Asking a file system for its free space may wait for a disk.
    let contents = tokio::task::spawn_blocking(move || services.replicas.describe_directories()).await?;
    let results = contents.into_iter().map(|directory| describe(directory, asked.as_ref()));
    Ok(DescribeLogDirsResponse::default().with_results(results.collect()))
}

fn describe(directory: DirectoryContents, asked: Option<&HashSet<(&str, i32)>>) -> DescribeLogDirsResult {
    let result = DescribeLogDirsResult::default().with_log_dir(wire::text(&directory.path.to_string_lossy()));
    let Some(space) = directory.space else {
        return result
            .with_error_code(ErrorCode::KafkaStorageError.code())
            .with_total_bytes(-1)
            .with_usable_bytes(-1);
    };
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for (name, size_bytes) in &directory.partitions {
        let wanted = asked.is_none_or(|asked| asked.contains(&(&*name.topic, name.partition.0)));
        if wanted {
            topics.entry(&*name.topic).or_default().push(
                DescribeLogDirsPartition::default()
                    .with_partition_index(name.partition.0)
                    .with_partition_size(*size_bytes as i64),
            );
        }
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        DescribeLogDirsTopic::default().with_name(TopicName(wire::text(topic))).with_partitions(partitions)
    });
    result
        .with_topics(topics.collect())
        .with_total_bytes(space.total_bytes as i64)
        .with_usable_bytes(space.usable_bytes as i64)
}
