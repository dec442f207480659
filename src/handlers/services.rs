//! What the handlers work with: everything of this broker that answers requests, made once at start.

use std::sync::Arc;

use super::configs::Configs;
use super::conversions::Conversions;
use super::fetch::session::SessionCache;
use super::groups::{self, Groups};
use super::producer_ids::ProducerIds;
use super::quotas::ClientQuotas;
use super::releases::Release;
use super::transactions::{self, Transactions};
use crate::config::broker::BrokerConfig;
use crate::controller::{Answer, ClusterImage, Command, CreateTopic, Partitioning, TopicImage, topic_names};
use crate::env::clock::Clock;
use crate::env::rng::Rng;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};
use crate::raft::Quorum;
use crate::replication::registry::Registry;
use crate::replication::replica::Replica;
use crate::telemetry::loggers::Loggers;

/// Shared by all workers.
pub struct Services {
    pub me: BrokerId,
    /// What this broker passes for.
    pub release: &'static Release,
    /// Epoch of this broker's registration.
    pub broker_epoch: Offset,
    pub configs: Arc<Configs>,
    pub groups: Arc<Groups>,
    pub quorum: Quorum,
    pub replicas: Arc<Registry>,
    pub sessions: SessionCache,
    pub producer_ids: ProducerIds,
    pub loggers: Loggers,
    pub quotas: Arc<ClientQuotas>,
    pub transactions: Arc<Transactions>,
    pub conversions: Conversions,
    pub clock: Clock,
    pub rng: Rng,
}

impl Services {
    /// The settings in force.
    pub fn config(&self) -> Arc<BrokerConfig> {
        self.configs.broker()
    }

    /// A topic as first use creates it: with the defaults of the broker, or with its own settings where coordinators
    /// keep their state in it. `None` for one that is not made here.
    pub fn topic_on_first_use(&self, name: &str) -> Option<CreateTopic> {
        match name {
            groups::TOPIC => Some(self.groups.new_topic()),
            transactions::TOPIC => Some(self.transactions.new_topic()),
            _ if topic_names::is_internal(name) => None,
            _ => Some(CreateTopic {
                name: name.to_owned(),
                partitioning: Partitioning::Counts { partition_count: -1, replication_factor: -1 },
                configs: Vec::new(),
            }),
        }
    }

    /// Creates topics, each on its own account.
    pub async fn create_topics(&self, topics: Vec<CreateTopic>) -> Result<(), ApiError> {
        let command = Command::CreateTopics { topics, validate_only: false };
        match self.quorum.propose(command).await? {
            Answer::CreateTopics(_) => Ok(()),
            other => unreachable!("the controller answers the command it was given, not with {other:?}"),
        }
    }

    /// The newest metadata that the replicas of this broker have followed.
    pub fn image(&self) -> Arc<ClusterImage> {
        self.replicas.image()
    }

    /// The replica that this broker leads.
    ///
    /// Errors: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR.
    pub fn leader_by_name(&self, topic: &str, partition: PartitionIndex) -> Result<Arc<Replica>, ErrorCode> {
        let image = self.image();
        let topic = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        self.leader(topic, partition)
    }

    /// The leader epoch of a partition that this broker leads and that was never used ([`Registry::unused`]).
    pub fn unused_by_name(&self, topic: &str, partition: PartitionIndex) -> Option<LeaderEpoch> {
        self.replicas.unused(self.image().topic(topic)?, partition)
    }

    /// As [`Services::leader_by_name`], but a topic that does not exist is UNKNOWN_TOPIC_ID.
    pub fn leader_by_id(&self, topic: TopicId, partition: PartitionIndex) -> Result<Arc<Replica>, ErrorCode> {
        let image = self.image();
        let topic = image.topic_by_id(topic).ok_or(ErrorCode::UnknownTopicId)?;
        self.leader(topic, partition)
    }

    fn leader(&self, topic: &TopicImage, partition: PartitionIndex) -> Result<Arc<Replica>, ErrorCode> {
        self.replicas.leader(topic, partition)
    }
}
