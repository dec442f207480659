//! What the controller can be asked for, and what it answers. Pure values.

use crate::config::dynamic::AlterOperation;
use crate::config::layers::InForce;
use crate::config::resource::ConfigResource;
use crate::controller::image::ConfigMap;
use crate::controller::placement::Randomness;
use crate::controller::records::{Endpoint, MetadataRecord, SupportedFeature};
use crate::protocol::errors::ApiError;
use crate::protocol::ids::{BrokerId, Offset, PartitionIndex, ProducerId, TopicId, Uuid};
use crate::security::entity::{QuotaEntity, QuotaValue};
use crate::security::scram::SaltedPassword;

/// A change that somebody asks for.
#[derive(Clone, Debug)]
pub enum Command {
    RegisterBroker(RegisterBroker),
    CreateTopics {
        topics: Vec<CreateTopic>,
        validate_only: bool,
    },
    DeleteTopics {
        topics: Vec<TopicReference>,
    },
    CreatePartitions {
        topics: Vec<CreatePartitions>,
        validate_only: bool,
    },
    /// Each resource at most once, and each of its keys.
    IncrementalAlterConfigs {
        resources: Vec<ConfigAlteration>,
        validate_only: bool,
    },
    /// Each resource at most once.
    AlterConfigs {
        resources: Vec<ConfigReplacement>,
        validate_only: bool,
    },
    AlterClientQuotas {
        alterations: Vec<QuotaAlteration>,
        validate_only: bool,
    },
    AlterUserScramCredentials {
        deletions: Vec<ScramDeletion>,
        upsertions: Vec<ScramUpsertion>,
    },
    AllocateProducerIds {
        broker_id: BrokerId,
        broker_epoch: Offset,
    },
    UpdateFeatures {
        updates: Vec<FeatureUpdate>,
        validate_only: bool,
    },
    /// `None` is every partition there is.
    ElectLeaders {
        election: ElectionType,
        partitions: Option<Vec<(String, Vec<PartitionIndex>)>>,
    },
    AlterPartitionReassignments {
        topics: Vec<(String, Vec<PartitionReassignment>)>,
        allow_replication_factor_change: bool,
    },
    /// A broker has moved its copy of a partition (KIP-858).
    AssignDirectory {
        topic_id: TopicId,
        partition: PartitionIndex,
        broker_id: BrokerId,
        directory: Uuid,
    },
    UnregisterBroker {
        broker_id: BrokerId,
    },
}

/// A broker says that it runs.
#[derive(Clone, Debug)]
pub struct RegisterBroker {
    pub broker_id: BrokerId,
    pub cluster_id: String,
    /// New at each start of the process.
    pub incarnation_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
    pub rack: Option<String>,
    pub directories: Vec<Uuid>,
    /// A broker that holds the controller itself is caught up when it registers, and needs no heartbeat to be
    /// unfenced.
    pub fenced: bool,
}

#[derive(Clone, Debug)]
pub struct CreateTopic {
    pub name: String,
    pub partitioning: Partitioning,
    /// A null value is refused, as Kafka does.
    pub configs: Vec<(String, Option<String>)>,
}

/// How many partitions a new topic gets, and where.
#[derive(Clone, Debug)]
pub enum Partitioning {
    /// -1 takes the default of the cluster.
    Counts { partition_count: i32, replication_factor: i16 },
    /// `counts` is what the request named besides, which has to be -1 and -1.
    Manual { assignments: Vec<(i32, Vec<BrokerId>)>, counts: (i32, i16) },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicReference {
    Name(String),
    Id(TopicId),
}

#[derive(Clone, Debug)]
pub struct CreatePartitions {
    pub name: String,
    /// Count of partitions after the change.
    pub count: i32,
    /// Replicas of each new partition, when the client chooses.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// Changes to some keys of one resource (KIP-339).
#[derive(Clone, Debug)]
pub struct ConfigAlteration {
    pub resource: ConfigResource,
    pub operations: Vec<(String, AlterOperation)>,
}

/// All values that one resource shall have; others are deleted.
#[derive(Clone, Debug)]
pub struct ConfigReplacement {
    pub resource: ConfigResource,
    pub values: ConfigMap,
}

/// Changes to the quotas of one entity.
#[derive(Clone, Debug)]
pub struct QuotaAlteration {
    pub entity: QuotaEntity,
    /// Keys and values; `None` takes a quota away.
    pub operations: Vec<(String, Option<QuotaValue>)>,
}

#[derive(Clone, Debug)]
pub struct ScramDeletion {
    pub name: String,
    /// The number on the wire.
    pub mechanism: i8,
}

#[derive(Clone, Debug)]
pub struct ScramUpsertion {
    pub name: String,
    /// The number on the wire.
    pub mechanism: i8,
    pub iterations: i32,
    pub salt: Vec<u8>,
    pub salted_password: SaltedPassword,
}

#[derive(Clone, Debug)]
pub struct FeatureUpdate {
    pub name: String,
    pub level: i16,
    pub upgrade_type: UpgradeType,
}

/// Which way a feature's level may go (`FeatureUpdate.UpgradeType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    /// A number that no release knows.
    Unknown,
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
}

/// Whom an election may choose (`ElectionType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first replica.
    Preferred,
    /// Anybody, where nobody leads.
    Unclean,
}

#[derive(Clone, Debug)]
pub struct PartitionReassignment {
    pub partition: PartitionIndex,
    /// `None` cancels the reassignment that is under way.
    pub replicas: Option<Vec<BrokerId>>,
}

/// What the client gets; per item in the order of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    RegisterBroker {
        broker_epoch: Offset,
    },
    CreateTopics(Vec<(String, Result<CreatedTopic, ApiError>)>),
    /// Name and id as far as they are known.
    DeleteTopics(Vec<(Option<String>, TopicId, Result<(), ApiError>)>),
    CreatePartitions(Vec<(String, Result<(), ApiError>)>),
    AlterConfigs(ConfigResults),
    /// Each entity once.
    AlterClientQuotas(Vec<(QuotaEntity, Result<(), ApiError>)>),
    /// Each user once.
    AlterUserScramCredentials(Vec<(String, Result<(), ApiError>)>),
    AllocateProducerIds {
        first: ProducerId,
        count: i32,
    },
    /// All of them; a refusal is one of the whole command.
    UpdateFeatures,
    ElectLeaders(ElectionResults),
    AlterPartitionReassignments(ReassignmentResults),
    AssignDirectory,
    UnregisterBroker,
}

/// A result for each resource.
pub type ConfigResults = Vec<(ConfigResource, Result<(), ApiError>)>;

/// By topic, a result for each partition.
pub type ElectionResults = Vec<(String, Vec<(PartitionIndex, Result<(), ApiError>)>)>;

/// By topic, a result for each partition.
pub type ReassignmentResults = Vec<(String, Vec<(PartitionIndex, Result<(), ApiError>)>)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    pub id: TopicId,
    pub partition_count: i32,
    pub replication_factor: i16,
    /// What the request set; the handler describes the effective configuration from it.
    pub overrides: ConfigMap,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub records: Vec<MetadataRecord>,
    pub answer: Answer,
}

/// What a decision needs besides the image and the command.
pub struct Inputs<'a> {
    /// Offset that the records will probably get; at least it is above that of every record before.
    pub next_offset: Offset,
    pub randomness: Randomness,
    /// What configurations are checked against.
    pub configs: &'a InForce,
    pub default_partition_count: i32,
    pub default_replication_factor: i16,
    /// What this node can run, whether or not it is registered.
    pub supported_features: &'a [SupportedFeature],
}
