//! WriteTxnMarkers (key 27), v0-2: ends transactions in partitions of this broker, for transaction coordinators and for an
//! operator who aborts a hanging one (KIP-98, KIP-664, KIP-1228).
//!
//! A marker in `__consumer_offsets` is the group coordinator's to write, as it decides over what is committed there. Each
//! partition is answered when its marker is committed. Kafka: `KafkaApis.handleWriteTxnMarkersRequest`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{TopicName, WriteTxnMarkersResponse};
use kafka_protocol::protocol::buf::ByteBufMut;
use kafka_protocol::protocol::{Encodable, Message, StrBytes};

use super::configs::Configs;
use super::context::RequestContext;
use super::error_codes::ErrorCodes;
use super::groups;
use super::services::Services;
use super::wire;
use crate::controller::TopicImage;
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::runtime::{Runtime, Submitted};
use crate::coordinator::shard::{TransactionMarker, TransactionalProducer};
use crate::env::clock::Clock;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{PartitionIndex, ProducerId};
use crate::protocol::old::AnyVersion;
use crate::protocol::txn_markers::WriteTxnMarkers;
use crate::replication::registry::Registry;
use crate::replication::replica::{Replica, Required};
use crate::replication::transactions::{AppendError, TransactionEnd};

/// What a producer's markers came to, by topic.
type Results = BTreeMap<Arc<str>, BTreeMap<PartitionIndex, ErrorCode>>;

/// How many markers are written before other connections of the worker have their turn.
const PARTITIONS_PER_TURN: usize = 256;

/// The response; v2 has the bytes of v1, where the codec crate ends.
pub struct Answer(AnyVersion<WriteTxnMarkersResponse>);

impl Encodable for Answer {
    fn encode<B: ByteBufMut>(&self, buffer: &mut B, version: i16) -> anyhow::Result<()> {
        self.0.encode(buffer, version.min(WriteTxnMarkersResponse::VERSIONS.max))
    }

    fn compute_size(&self, version: i16) -> anyhow::Result<usize> {
        self.0.compute_size(version.min(WriteTxnMarkersResponse::VERSIONS.max))
    }
}

impl ErrorCodes for Answer {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.0.error_codes()
    }
}

pub async fn handle(context: &RequestContext, request: WriteTxnMarkers) -> anyhow::Result<Answer> {
    let markers = Markers::of(&context.services);
    let image = markers.replicas.image();
    let mut by_producer: BTreeMap<ProducerId, Results> = BTreeMap::new();
    // All are written before the first is waited for.
    let mut begun = Vec::new();
    for asked in request.0 {
        let marker = TransactionMarker {
            producer: TransactionalProducer { id: asked.producer_id, epoch: asked.producer_epoch },
            coordinator_epoch: asked.coordinator_epoch,
            is_commit: asked.is_commit,
            transaction_version: asked.transaction_version,
        };
        let results = by_producer.entry(asked.producer_id).or_default();
        for (name, partitions) in distinct(asked.topics) {
            let Some(topic) = image.topic(&name) else {
                refuse_topic(results, name, partitions);
                continue;
            };
            let codes = results.entry(name).or_default();
            for (position, partition) in partitions.into_iter().enumerate() {
                match markers.begin(topic, partition, &marker) {
                    Written::Done(outcome) => {
                        codes.insert(partition, code_of(outcome));
                    }
                    pending @ (Written::Appended(..) | Written::ByGroups(_)) => {
                        begun.push((asked.producer_id, topic.name.clone(), partition, pending));
                    }
                }
                if position % PARTITIONS_PER_TURN == PARTITIONS_PER_TURN - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    let deadline = tokio::time::sleep(markers.timeout());
    let mut deadline = std::pin::pin!(deadline);
    for (producer_id, topic, partition, written) in begun {
        let outcome = tokio::select! {
            biased;
            outcome = written.finish() => outcome,
            () = &mut deadline => Err(ErrorCode::RequestTimedOut),
        };
        let codes = by_producer.entry(producer_id).or_default().entry(topic).or_default();
        codes.insert(partition, code_of(outcome));
    }
    Ok(Answer(AnyVersion(respond(by_producer))))
}

/// What a marker asks for, each topic and each partition once: a frame has room for a million partitions of one name,
/// which is long if the client likes, so a name is kept once.
fn distinct(topics: Vec<(StrBytes, Vec<PartitionIndex>)>) -> BTreeMap<Arc<str>, BTreeSet<PartitionIndex>> {
    let mut by_topic: BTreeMap<Arc<str>, BTreeSet<PartitionIndex>> = BTreeMap::new();
    for (name, partitions) in topics {
        by_topic.entry(wire::shared(&name)).or_default().extend(partitions);
    }
    by_topic
}

/// Answers for a topic that does not exist.
fn refuse_topic(results: &mut Results, name: Arc<str>, partitions: BTreeSet<PartitionIndex>) {
    let refused = partitions.into_iter().map(|partition| (partition, ErrorCode::UnknownTopicOrPartition));
    results.entry(name).or_default().extend(refused);
}

fn code_of(outcome: Result<(), ErrorCode>) -> ErrorCode {
    outcome.err().unwrap_or(ErrorCode::None)
}

/// What names no partition is not answered, as in Kafka.
fn respond(mut by_producer: BTreeMap<ProducerId, Results>) -> WriteTxnMarkersResponse {
    by_producer.values_mut().for_each(|topics| topics.retain(|_, partitions| !partitions.is_empty()));
    by_producer.retain(|_, topics| !topics.is_empty());
    let markers = by_producer.into_iter().map(|(producer_id, topics)| {
        let topics = topics.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(partition, code)| {
                WritableTxnMarkerPartitionResult::default()
                    .with_partition_index(partition.0)
                    .with_error_code(code.code())
            });
            WritableTxnMarkerTopicResult::default()
                .with_name(TopicName(wire::text(&name)))
                .with_partitions(partitions.collect())
        });
        WritableTxnMarkerResult::default()
            .with_producer_id(wire::producer_id(producer_id))
            .with_topics(topics.collect())
    });
    WriteTxnMarkersResponse::default().with_markers(markers.collect())
}

/// Writes the markers of transactions into partitions that this broker leads.
#[derive(Clone)]
pub struct Markers {
    pub replicas: Arc<Registry>,
    pub groups: Arc<Runtime<GroupShard>>,
    pub configs: Arc<Configs>,
    pub clock: Clock,
}

impl Markers {
    fn of(services: &Services) -> Markers {
        Markers {
            replicas: services.replicas.clone(),
            groups: services.groups.runtime.clone(),
            configs: services.configs.clone(),
            clock: services.clock.clone(),
        }
    }

    /// How long a marker may take to be committed.
    fn timeout(&self) -> Duration {
        Duration::from_millis(self.configs.broker().network.request_timeout_ms.max(0).unsigned_abs().into())
    }

    /// Writes one, and returns when it is committed.
    ///
    /// Errors: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER (also while a group coordinator loads), what
    /// [`Replica::append_marker`] refuses, and REQUEST_TIMED_OUT, after which it may be there.
    pub async fn write(
        &self,
        topic: &str,
        partition: PartitionIndex,
        marker: &TransactionMarker,
    ) -> Result<(), ErrorCode> {
        let image = self.replicas.image();
        let topic = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let written = self.begin(topic, partition, marker);
        let outcome = tokio::time::timeout(self.timeout(), written.finish()).await;
        outcome.unwrap_or(Err(ErrorCode::RequestTimedOut))
    }

    fn begin(&self, topic: &TopicImage, partition: PartitionIndex, marker: &TransactionMarker) -> Written {
        let replica = match self.replicas.leader(topic, partition) {
            Ok(replica) => replica,
            Err(code) => return Written::Done(Err(code)),
        };
        if &*topic.name == groups::TOPIC {
            return Written::ByGroups(self.groups.submit(partition, Command::EndTransaction(*marker)));
        }
        let end = TransactionEnd {
            producer_id: marker.producer.id,
            producer_epoch: marker.producer.epoch,
            is_commit: marker.is_commit,
            coordinator_epoch: marker.coordinator_epoch,
            transaction_version: marker.transaction_version,
        };
        match replica.append_marker(&end, None, self.clock.now()) {
            Ok(appended) => match replica.still_required(&appended, true) {
                Some(required) => Written::Appended(replica, required),
                None => Written::Done(Ok(())),
            },
            Err(AppendError::Refused(refusal)) => Written::Done(Err(refusal.code)),
            Err(AppendError::NoSpace(_) | AppendError::Failed(_)) => {
                Written::Done(Err(ErrorCode::KafkaStorageError))
            }
        }
    }
}

/// A marker on its way.
enum Written {
    Done(Result<(), ErrorCode>),
    Appended(Arc<Replica>, Required),
    ByGroups(Submitted<Response>),
}

impl Written {
    /// Until it is committed.
    async fn finish(self) -> Result<(), ErrorCode> {
        match self {
            Written::Done(outcome) => outcome,
            Written::Appended(replica, required) => replica.reached(required).await,
            Written::ByGroups(submitted) => match submitted.await {
                Ok(_) => Ok(()),
                Err(refusal) => Err(as_partition_error(refusal.code)),
            },
        }
    }
}

/// A transaction coordinator writes to partitions and knows no other coordinator.
fn as_partition_error(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::CoordinatorNotAvailable
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::NotCoordinator => ErrorCode::NotLeaderOrFollower,
        told => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::memory::allocated_by;

    #[test]
    fn a_topic_and_a_partition_count_once() {
        let asked = [("b", vec![1, 0, 1]), ("a", vec![0]), ("b", vec![2, 0])];
        let asked = asked.map(|(name, indexes)| {
            (StrBytes::from_static_str(name), indexes.into_iter().map(PartitionIndex).collect())
        });
        let distinct: Vec<(String, Vec<i32>)> = distinct(asked.into())
            .into_iter()
            .map(|(name, partitions)| {
                (name.to_string(), partitions.into_iter().map(|index| index.0).collect())
            })
            .collect();
        assert_eq!(distinct, [("a".to_owned(), vec![0]), ("b".to_owned(), vec![0, 1, 2])]);
    }

    #[test]
    fn what_names_no_partition_is_not_answered() {
        let written = BTreeMap::from([(PartitionIndex(0), ErrorCode::None)]);
        let answer = respond(BTreeMap::from([
            (ProducerId(1), Results::new()),
            (ProducerId(2), Results::from([("empty".into(), BTreeMap::new())])),
            (ProducerId(3), Results::from([("empty".into(), BTreeMap::new()), ("t".into(), written)])),
        ]));
        assert_eq!(answer.markers.len(), 1);
        assert_eq!((answer.markers[0].producer_id.0, answer.markers[0].topics.len()), (3, 1));
    }

    #[test]
    fn the_partitions_of_a_topic_that_does_not_exist_share_its_name() {
        let name = StrBytes::from_string("n".repeat(32_767));
        let partitions: Vec<_> = (0..100_000).map(PartitionIndex).collect();
        let (answer, allocated) = allocated_by(|| {
            let mut results = Results::new();
            for (name, partitions) in distinct(vec![(name, partitions)]) {
                refuse_topic(&mut results, name, partitions);
            }
            respond(BTreeMap::from([(ProducerId(7), results)]))
        });
        let topic = &answer.markers[0].topics[0];
        assert_eq!((topic.name.len(), topic.partitions.len()), (32_767, 100_000));
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert!(topic.partitions.iter().all(|partition| partition.error_code == unknown));
        assert!(allocated < 100_000 * 256, "{allocated}");
    }
}
