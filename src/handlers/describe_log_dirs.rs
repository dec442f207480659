//! DescribeLogDirs (key 35), v0-5: what lies in each of `log.dirs`, and how much room there is (KIP-113,
//! KIP-827). v5 tells of each directory whether it is cordoned, which the codec crate lacks. Kafka:
//! `ReplicaManager.describeLogDirs`.

use std::collections::{BTreeMap, HashSet};

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use kafka_protocol::protocol::Encodable;
use kafka_protocol::protocol::buf::ByteBufMut;

use super::context::RequestContext;
use super::error_codes::ErrorCodes;
use super::wire;
use crate::protocol::errors::ErrorCode;
use crate::protocol::old::AnyVersion;
use crate::protocol::wire::{put_count, put_string};
use crate::replication::registry::DirectoryContents;

pub async fn handle(
    context: &RequestContext,
    AnyVersion(request): AnyVersion<DescribeLogDirsRequest>,
) -> anyhow::Result<Answer> {
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
    Ok(Answer(AnyVersion(DescribeLogDirsResponse::default().with_results(results.collect()))))
}

/// The response, written by hand where the codec crate ends.
pub struct Answer(AnyVersion<DescribeLogDirsResponse>);

const CODEC_MAX_VERSION: i16 = 4;

impl Encodable for Answer {
    fn encode<B: ByteBufMut>(&self, buffer: &mut B, version: i16) -> anyhow::Result<()> {
        if version <= CODEC_MAX_VERSION {
            return self.0.encode(buffer, version);
        }
        let AnyVersion(response) = &self.0;
        let mut body = Vec::new();
        body.put_i32(response.throttle_time_ms);
        body.put_i16(response.error_code);
        put_count(&mut body, FLEXIBLE, response.results.len());
        response.results.iter().for_each(|result| put_result(&mut body, result));
        body.put_u8(NO_TAGS);
        buffer.put_slice(&body);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> anyhow::Result<usize> {
        if version <= CODEC_MAX_VERSION {
            return self.0.compute_size(version);
        }
        let mut body = BytesMut::new();
        self.encode(&mut body, version)?;
        Ok(body.len())
    }
}

impl ErrorCodes for Answer {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.0.error_codes()
    }
}

const FLEXIBLE: bool = true;
const NO_TAGS: u8 = 0;

fn put_result(body: &mut Vec<u8>, result: &DescribeLogDirsResult) {
    /// No directory of this build can be closed to new partitions (`cordoned.log.dirs`).
    const IS_CORDONED: u8 = 0;
    body.put_i16(result.error_code);
    put_string(body, FLEXIBLE, Some(&result.log_dir));
    put_count(body, FLEXIBLE, result.topics.len());
    for topic in &result.topics {
        put_string(body, FLEXIBLE, Some(&topic.name));
        put_count(body, FLEXIBLE, topic.partitions.len());
        for partition in &topic.partitions {
            body.put_i32(partition.partition_index);
            body.put_i64(partition.partition_size);
            body.put_i64(partition.offset_lag);
            body.put_u8(u8::from(partition.is_future_key));
            body.put_u8(NO_TAGS);
        }
        body.put_u8(NO_TAGS);
    }
    body.put_i64(result.total_bytes);
    body.put_i64(result.usable_bytes);
    body.put_u8(IS_CORDONED);
    body.put_u8(NO_TAGS);
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
    for future in &directory.futures {
        let name = &future.name;
        if asked.is_none_or(|asked| asked.contains(&(&*name.topic, name.partition.0))) {
            let partition = DescribeLogDirsPartition::default()
                .with_partition_index(name.partition.0)
                .with_partition_size(future.size_bytes as i64)
                .with_offset_lag(future.lag)
                .with_is_future_key(true);
            topics.entry(&*name.topic).or_default().push(partition);
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
