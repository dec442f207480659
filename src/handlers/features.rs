//! Features this build can run (KIP-584). A Java client picks its protocols by the finalized levels, so a feature
//! that is not built in is not listed. A new cluster begins with the highest level of each
//! (`broker::registration`).

/// The metadata that brokers exchange.
pub const METADATA_VERSION: &str = "metadata.version";
/// Whether there are consumer groups of KIP-848.
pub const GROUP_VERSION: &str = "group.version";
/// Eligible leader replicas of KIP-966.
pub const ELIGIBLE_LEADER_REPLICAS: &str = "eligible.leader.replicas.version";
/// What transactions are like: from level 2 on the epoch of a producer is bumped with each of them (KIP-890, part 2).
pub const TRANSACTION_VERSION: &str = "transaction.version";

/// KIP-853: from level 1 of kraft.version on, voters come and go. Those of this build's quorum do not, so that is its level.
pub const KRAFT_VERSION_LEVEL: i16 = 0;

/// One feature with the levels that are supported.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    pub name: &'static str,
    pub min_version: i16,
    pub max_version: i16,
}

/// By name, as ApiVersions lists them. What has level 0 alone is left out, as in Kafka
/// (`BrokerFeatures.defaultSupportedFeatures`): kraft.version is.
pub const SUPPORTED: &[Feature] = &[
    // KIP-966: DescribeTopicPartitions tells the eligible leader replicas.
    Feature { name: ELIGIBLE_LEADER_REPLICAS, min_version: 0, max_version: 1 },
    // KIP-848: ConsumerGroupHeartbeat and what belongs to it.
    Feature { name: GROUP_VERSION, min_version: 0, max_version: 1 },
    // 3.3-IV3 to 4.4-IV2, as Kafka 4.4 itself says: the level stands for the metadata that brokers exchange.
    Feature { name: METADATA_VERSION, min_version: 7, max_version: 33 },
    Feature { name: TRANSACTION_VERSION, min_version: 0, max_version: 2 },
];
