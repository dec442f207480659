//! The controller's rules: the state of the cluster ([`image`]), the records that change it ([`records`]),
//! and the commands whose decisions produce records ([`decide`]).
//!
//! Pure: no async, no IO, no clock, no randomness. [`decide`] reads an image and writes nothing; only
//! [`ClusterImage::replay`] changes state. The shell in `raft` proposes what was decided, and gives
//! answers out once it is applied. Kafka's classes: `QuorumController`, `ReplicationControlManager`,
//! `ConfigurationControlManager`, `ClusterControlManager`, `ProducerIdControlManager`, `FeatureControlManager`,
//! `ClientQuotaControlManager`, `ScramControlManager`.

mod brokers;
mod codec;
mod command;
mod configs;
mod directories;
mod elections;
mod features;
mod image;
mod limits;
mod partition_change;
mod partitions;
mod placement;
mod producer_ids;
mod quotas;
mod reassignments;
mod records;
mod scram;
mod snapshot;
pub mod topic_names;
mod topics;

pub use codec::{Malformed, Reader, Write};
pub use command::{
    Answer, Command, ConfigAlteration, ConfigReplacement, ConfigResults, CreatePartitions, CreateTopic,
    CreatedTopic, ElectionResults, ElectionType, FeatureUpdate, Inputs, Outcome, PartitionReassignment,
    Partitioning, QuotaAlteration, ReassignmentResults, RegisterBroker, ScramDeletion, ScramUpsertion,
    TopicReference, UpgradeType,
};
pub use image::{BrokerImage, ClusterImage, ConfigMap, PartitionImage, TopicImage};
pub use limits::size_bytes;
pub use placement::Randomness;
pub use producer_ids::PRODUCER_ID_BLOCK_SIZE;
pub use records::{
    BrokerRegistrationChangeRecord, ClientQuotaRecord, ConfigRecord, Endpoint, FeatureLevelRecord,
    MetadataRecord, PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    RemoveTopicRecord, RemoveUserScramCredentialRecord, SupportedFeature, TopicRecord,
    UnregisterBrokerRecord, UserScramCredentialRecord,
};
pub use snapshot::snapshot_records;

use crate::protocol::errors::ApiError;

/// What a command comes to on `image`: records to write and the answer to give once they are applied, or a
/// refusal of the whole command. Writes nothing.
pub fn decide(image: &ClusterImage, command: &Command, inputs: &mut Inputs<'_>) -> Result<Outcome, ApiError> {
    let outcome = outcome(image, command, inputs)?;
    // Without its registration a broker does not start; what it leads makes it large, and nobody's request.
    if !matches!(command, Command::RegisterBroker(_)) {
        limits::check_records_size(&outcome.records)?;
    }
    Ok(outcome)
}

fn outcome(image: &ClusterImage, command: &Command, inputs: &mut Inputs<'_>) -> Result<Outcome, ApiError> {
    match command {
        Command::RegisterBroker(registration) => brokers::register(image, registration, inputs),
        Command::CreateTopics { topics, validate_only } => {
            topics::create(image, topics, *validate_only, inputs)
        }
        Command::DeleteTopics { topics } => topics::delete(image, topics),
        Command::CreatePartitions { topics, validate_only } => {
            partitions::create(image, topics, *validate_only, inputs)
        }
        Command::IncrementalAlterConfigs { resources, validate_only } => {
            configs::alter(image, resources, *validate_only, inputs)
        }
        Command::AlterConfigs { resources, validate_only } => {
            configs::replace(image, resources, *validate_only, inputs)
        }
        Command::AlterClientQuotas { alterations, validate_only } => {
            quotas::alter(image, alterations, *validate_only)
        }
        Command::AlterUserScramCredentials { deletions, upsertions } => {
            scram::alter(image, deletions, upsertions)
        }
        Command::AllocateProducerIds { broker_id, broker_epoch } => {
            producer_ids::allocate(image, *broker_id, *broker_epoch)
        }
        Command::UpdateFeatures { updates, validate_only } => {
            features::update(image, updates, *validate_only, inputs)
        }
        Command::ElectLeaders { election, partitions } => {
            elections::elect(image, *election, partitions.as_deref(), inputs)
        }
        Command::AlterPartitionReassignments { topics, allow_replication_factor_change } => {
            reassignments::alter(image, topics, *allow_replication_factor_change, inputs)
        }
        Command::AssignDirectory { topic_id, partition, broker_id, directory } => {
            directories::assign(image, (*topic_id, *partition), *broker_id, *directory)
        }
        Command::UnregisterBroker { broker_id } => brokers::unregister(image, *broker_id, inputs),
    }
}

#[cfg(test)]
mod tests;
