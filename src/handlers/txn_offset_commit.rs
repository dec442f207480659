//! TxnOffsetCommit (key 28), v0-6: how far a group has come, as part of a producer's transaction.
//!
//! KIP-98; KIP-447 (v3: who commits), KIP-890 (v4: TRANSACTION_ABORTABLE, v5: the commit adds its partition to the
//! transaction), v6: topic ids. A transaction that has not committed offsets of the group's partition yet is the
//! transaction coordinator's to vouch for; what the producer is, the log knows. Which partitions exist is
//! [`committing`](super::committing)'s. Kafka: `KafkaApis.handleTxnOffsetCommitRequest`,
//! `GroupCoordinatorService.commitTransactionalOffsets`, `AddPartitionsToTxnManager`.

use bytes::{BufMut, BytesMut};
use kafka_protocol::protocol::Encodable;
use kafka_protocol::protocol::buf::ByteBufMut;

use super::committing::{AnsweredTopic, NamedTopic, Sorted};
use super::context::RequestContext;
use super::error_codes::ErrorCodes;
use super::{groups, wire};
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::offsets::{CommitPartition, CommitTopic};
use crate::coordinator::group::pending::Asked;
use crate::coordinator::group::transactional::TransactionalCommitRequest;
use crate::coordinator::shard::TransactionalProducer;
use crate::coordinator::transaction::command::AddPartitionsRequest;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::PartitionIndex;
use crate::protocol::offsets::transactional::{
    MEMBERS_SINCE_VERSION, TOPIC_IDS_SINCE_VERSION, TxnOffsetCommit, TxnOffsetCommitPartition,
    TxnOffsetCommitTopic,
};
use crate::protocol::wire::{put_count, put_string};

/// First version whose clients can be told that the coordinator is loading (KAFKA-7296).
const LOADING_SINCE_VERSION: i16 = 2;
/// First version whose clients know TRANSACTION_ABORTABLE.
const ABORTABLE_SINCE_VERSION: i16 = 4;
/// First version whose clients leave it to the broker to add the partition to the transaction.
const ADDS_PARTITION_SINCE_VERSION: i16 = 5;
/// First version whose clients know STALE_MEMBER_EPOCH.
const STALE_EPOCH_SINCE_VERSION: i16 = 6;

pub async fn handle(context: &RequestContext, mut request: TxnOffsetCommit) -> anyhow::Result<Answer> {
    let named = std::mem::take(&mut request.topics).into_iter().map(named);
    let by_id = context.version >= TOPIC_IDS_SINCE_VERSION;
    let mut sorted = Sorted::new(&context.services.image(), by_id, named);
    if let Some(topics) = sorted.take_topics() {
        let committed = commit(context, request, topics).await;
        sorted.settle(committed.map_err(|error| of_coordinator(error, context.version)));
    }
    Ok(Answer { topics: sorted.into_answer() })
}

async fn commit(
    context: &RequestContext,
    request: TxnOffsetCommit,
    topics: Vec<CommitTopic>,
) -> Result<Response, ApiError> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId.into());
    }
    let groups = &context.services.groups;
    let partition = groups.partition_of(&context.services.image(), &request.group_id)?;
    let asked = verify(context, &request, partition).await?;
    let commit = TransactionalCommitRequest {
        group: wire::shared(&request.group_id),
        producer: producer(&request),
        member_id: request.member_id.as_str().to_owned(),
        group_instance_id: request.group_instance_id.map(|id| id.as_str().to_owned()),
        generation: request.generation_id_or_member_epoch,
        version: context.version,
        asked,
        topics,
    };
    groups.runtime.submit(partition, Command::CommitTransactional(commit)).await
}

/// Asks the transaction coordinator whether the partition of the group is in the transaction, or adds it (KIP-890). What
/// ends meanwhile is found by what is returned.
async fn verify(
    context: &RequestContext,
    request: &TxnOffsetCommit,
    partition: PartitionIndex,
) -> Result<Option<Asked>, ApiError> {
    let services = &context.services;
    let producer = producer(request);
    let adds_partition = context.version >= ADDS_PARTITION_SINCE_VERSION;
    if !adds_partition && !services.config().transaction.transaction_partition_verification_enable {
        return match (producer.id.0, producer.epoch.0) {
            (..0, _) => Err(ErrorCode::InvalidProducerIdMapping.into()),
            (_, ..0) => Err(ErrorCode::InvalidProducerEpoch.into()),
            _ => Ok(None),
        };
    }
    let asked = services.groups.runtime.peek(partition, |shard| shard.ask(producer))?;
    if asked.is_open {
        return Ok(Some(asked));
    }
    let question = AddPartitionsRequest {
        transactional_id: wire::shared(&request.transactional_id),
        producer,
        partitions: vec![(groups::TOPIC.into(), partition)],
        verify_only: !adds_partition,
        is_v2: adds_partition,
    };
    let answers = services.transactions.add_partitions(question).await;
    match answers.into_iter().find(|code| *code != ErrorCode::None) {
        Some(code) => Err(of_transaction(code, context.version).into()),
        None => Ok(Some(asked)),
    }
}

fn producer(request: &TxnOffsetCommit) -> TransactionalProducer {
    TransactionalProducer { id: request.producer_id, epoch: request.producer_epoch }
}

/// What a producer is told when the transaction coordinator says no.
fn of_transaction(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if version < ABORTABLE_SINCE_VERSION => ErrorCode::InvalidTxnState,
        // Clients of commits retry on this one without looking for another coordinator.
        ErrorCode::NetworkException => ErrorCode::CoordinatorLoadInProgress,
        _ => code,
    }
}

/// What a producer is told when the group's coordinator says no.
fn of_coordinator(error: ApiError, version: i16) -> ApiError {
    match error.code {
        ErrorCode::CoordinatorLoadInProgress if version < LOADING_SINCE_VERSION => {
            ErrorCode::CoordinatorNotAvailable.into()
        }
        ErrorCode::StaleMemberEpoch if version < STALE_EPOCH_SINCE_VERSION => {
            ErrorCode::IllegalGeneration.into()
        }
        _ => error,
    }
}

fn named(topic: TxnOffsetCommitTopic) -> NamedTopic {
    let partitions = topic.partitions.into_iter().map(|partition| {
        let TxnOffsetCommitPartition { index, offset, leader_epoch, metadata } = partition;
        let metadata = metadata.map_or_else(String::new, |text| text.as_str().to_owned());
        CommitPartition { partition: index, offset, leader_epoch, commit_timestamp: None, metadata }
    });
    NamedTopic { name: topic.name, id: topic.id, partitions: partitions.collect() }
}

/// The response, written by hand in all versions: the codec crate's type has no room for topic ids.
pub struct Answer {
    topics: Vec<AnsweredTopic>,
}

const NOT_THROTTLED: i32 = 0;
const NO_TAGS: u8 = 0;

impl Encodable for Answer {
    fn encode<B: ByteBufMut>(&self, buffer: &mut B, version: i16) -> anyhow::Result<()> {
        let flexible = version >= MEMBERS_SINCE_VERSION;
        let put_tags = |body: &mut BytesMut| {
            if flexible {
                body.put_u8(NO_TAGS);
            }
        };
        let mut body = BytesMut::new();
        body.put_i32(NOT_THROTTLED);
        put_count(&mut body, flexible, self.topics.len());
        for topic in &self.topics {
            match version >= TOPIC_IDS_SINCE_VERSION {
                true => body.put_slice(topic.id.as_bytes()),
                false => put_string(&mut body, flexible, Some(&topic.name)),
            }
            put_count(&mut body, flexible, topic.partitions.len());
            for (index, code) in &topic.partitions {
                body.put_i32(*index);
                body.put_i16(code.code());
                put_tags(&mut body);
            }
            put_tags(&mut body);
        }
        put_tags(&mut body);
        buffer.put_slice(&body);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> anyhow::Result<usize> {
        let mut body = BytesMut::new();
        self.encode(&mut body, version)?;
        Ok(body.len())
    }
}

impl ErrorCodes for Answer {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.topics.iter().flat_map(|topic| topic.partitions.iter().map(|(_, code)| code.code()))
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::txn_offset_commit_response::{
        TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
    };
    use kafka_protocol::messages::{TopicName, TxnOffsetCommitResponse};
    use kafka_protocol::protocol::Message;

    use super::*;
    use crate::protocol::ids::Uuid;

    fn answer() -> Answer {
        let topic =
            |name, id, partitions| AnsweredTopic { name: TopicName(wire::text(name)), id, partitions };
        let some = vec![(0, ErrorCode::None), (7, ErrorCode::UnknownTopicOrPartition)];
        let topics = vec![topic("a", Uuid::from_u128(1), some), topic("bc", Uuid::from_u128(2), Vec::new())];
        Answer { topics }
    }

    #[test]
    fn versions_that_the_codec_crate_knows_are_written_as_it_does() {
        let topics = answer().topics.into_iter().map(|topic| {
            let partitions = topic.partitions.into_iter().map(|(index, code)| {
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(code.code())
            });
            TxnOffsetCommitResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(partitions.collect())
        });
        let expected = TxnOffsetCommitResponse::default().with_topics(topics.collect());
        for version in 0..=TxnOffsetCommitResponse::VERSIONS.max {
            let (mut by_hand, mut by_crate) = (BytesMut::new(), BytesMut::new());
            answer().encode(&mut by_hand, version).unwrap();
            expected.encode(&mut by_crate, version).unwrap();
            assert_eq!(by_hand, by_crate, "version {version}");
            assert_eq!(answer().compute_size(version).unwrap(), by_hand.len());
        }
    }

    #[test]
    fn old_clients_are_told_what_they_know() {
        let told = |code: ErrorCode, version| of_coordinator(code.into(), version).code;
        assert_eq!(told(ErrorCode::StaleMemberEpoch, 5), ErrorCode::IllegalGeneration);
        assert_eq!(told(ErrorCode::StaleMemberEpoch, 6), ErrorCode::StaleMemberEpoch);
        assert_eq!(told(ErrorCode::UnknownMemberId, 5), ErrorCode::UnknownMemberId);
        assert_eq!(told(ErrorCode::CoordinatorLoadInProgress, 1), ErrorCode::CoordinatorNotAvailable);
    }

    #[test]
    fn the_newest_names_its_topics_by_id() {
        let mut body = BytesMut::new();
        answer().encode(&mut body, 6).unwrap();
        let ids = [1, 2].map(Uuid::from_u128);
        let expected = [
            &b"\0\0\0\0\x03"[..],
            ids[0].as_bytes(),
            b"\x03\0\0\0\0\0\0\0\0\0\0\x07\0\x03\0\0",
            ids[1].as_bytes(),
            b"\x01\0\0",
        ];
        assert_eq!(body, expected.concat());
        assert_eq!(answer().error_codes().collect::<Vec<i16>>(), [0, 3]);
    }

    #[test]
    fn a_refusal_is_told_in_what_the_client_knows() {
        use ErrorCode::*;
        for (code, version, told) in [
            (ProducerFenced, 0, InvalidProducerEpoch),
            (ProducerFenced, 6, InvalidProducerEpoch),
            (TransactionAbortable, 3, InvalidTxnState),
            (TransactionAbortable, 4, TransactionAbortable),
            (NetworkException, 4, CoordinatorLoadInProgress),
            (ConcurrentTransactions, 0, ConcurrentTransactions),
            (InvalidProducerIdMapping, 0, InvalidProducerIdMapping),
            (CoordinatorNotAvailable, 6, CoordinatorNotAvailable),
        ] {
            assert_eq!(of_transaction(code, version), told);
        }
        for (version, told) in [(1, CoordinatorNotAvailable), (2, CoordinatorLoadInProgress)] {
            assert_eq!(of_coordinator(CoordinatorLoadInProgress.into(), version).code, told);
        }
        assert_eq!(of_coordinator(InvalidProducerEpoch.into(), 0).code, InvalidProducerEpoch);
    }
}
