//! The API table: which messages are served, in which versions, by which file.
//!
//! One row makes the entry in the ApiVersions answer and the arm that decodes, calls and encodes, so what is
//! advertised is what is served.

use std::ops::RangeInclusive;

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

use super::context::RequestContext;
use super::error_codes::ErrorCodes;
use super::reply::{LocalFuture, Output};

/// One served message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    pub key: i16,
    pub name: &'static str,
    /// Lowest version that gets an answer.
    pub min_version: i16,
    pub max_version: i16,
    /// Lowest version in the ApiVersions answer; that of Kafka 4 is lower than what it serves for Produce.
    pub advertised_min_version: i16,
    /// Lowest version that goes the common way; those below it, of clients before record batches, have their own.
    pub common_since: i16,
}

impl Api {
    /// Whether a request of this version gets an answer.
    pub fn serves(&self, version: i16) -> bool {
        (self.min_version..=self.max_version).contains(&version)
    }

    /// Whether a request of this version is handled as its newest ones are.
    pub fn is_common(&self, version: i16) -> bool {
        (self.common_since..=self.max_version).contains(&version)
    }

    /// This row in a release that advertises `versions`. `None` when none of them is served.
    pub fn within(&self, versions: RangeInclusive<i16>) -> Option<Api> {
        let (first, last) = versions.into_inner();
        let api = Api {
            min_version: self.min_version.max(first),
            max_version: self.max_version.min(last),
            advertised_min_version: self.advertised_min_version.max(first),
            common_since: self.common_since.max(first),
            ..*self
        };
        (api.min_version <= api.max_version).then_some(api)
    }
}

/// The version that stands in a row, or else the lowest.
const fn since(common_since: &[i16], min_version: i16) -> i16 {
    if common_since.is_empty() { min_version } else { common_since[0] }
}

macro_rules! api_table {
    (
        hot { $( $hot_key:literal $hot_name:literal $hot_min:literal ..= $hot_max:literal common since $hot_since:literal; )* }
        cold { $( $key:literal $module:ident $request:ident $name:literal $min:literal ..= $max:literal
                  $( common since $since:literal )?; )* }
    ) => {
        /// Every served message, by key.
        pub const APIS: &[Api] = &{
            let mut apis = [
                $( Api { key: $hot_key, name: $hot_name, min_version: $hot_min, max_version: $hot_max,
                         advertised_min_version: $hot_min, common_since: $hot_since }, )*
                $( Api { key: $key, name: $name, min_version: $min, max_version: $max,
                         advertised_min_version: $min, common_since: since(&[ $( $since )? ], $min) }, )*
            ];
            // Kafka sends the keys in ascending order.
            let mut sorted = 1;
            while sorted < apis.len() {
                let mut at = sorted;
                while at > 0 && apis[at - 1].key > apis[at].key {
                    let api = apis[at];
                    apis[at] = apis[at - 1];
                    apis[at - 1] = api;
                    at -= 1;
                }
                sorted += 1;
            }
            apis
        };

        /// Decodes `body`, calls the handler and encodes its response. `body` has passed the shape check.
        /// `None` when the key has its own path.
        pub fn serve(context: RequestContext, body: Bytes) -> Option<LocalFuture<Output>> {
            match context.api.key {
                $( $key => Some(Box::pin(run(context, body, super::$module::handle))), )*
                _ => None,
            }
        }

        #[cfg(test)]
        mod tests {
            use kafka_protocol::messages::*;
            use super::*;
            use crate::protocol::quorum_changes::{AddRaftVoter, UnregisterController};

            /// Newest versions that the codec crate lacks.
            const BY_HAND: &[(i16, i16)] = &[(2, 11), (8, 10), (9, 10), (27, 2), (28, 6), (35, 5), (42, 3)];
            /// Messages whose oldest versions the codec crate lacks, because Kafka 4 does: see `protocol/old/`.
            const OLD_BY_HAND: &[i16] = &[8, 9, 19, 20, 23, 27, 29, 30, 31, 32, 34, 35, 38, 39, 40, 41];

            #[test]
            fn the_codec_crate_knows_every_served_version() {
                $(
                    let range = <$request as Message>::VERSIONS;
                    let by_hand = BY_HAND.contains(&($key, $max));
                    let common_since = since(&[ $( $since )? ], $min);
                    let old_by_hand = OLD_BY_HAND.contains(&$key);
                    assert!(common_since >= range.min || old_by_hand && $min == 0, "{}", $name);
                    assert!($max <= range.max || by_hand, "{}", $name);
                )*
            }

            #[test]
            fn keys_ascend_without_repeats() {
                assert!(APIS.windows(2).all(|pair| pair[0].key < pair[1].key));
            }
        }
    };
}

api_table! {
    hot {
        0 "Produce" 0..=13 common since 3;
        1 "Fetch" 0..=18 common since 4;
        18 "ApiVersions" 0..=5 common since 0;
    }
    cold {
        2 list_offsets ListOffsetsRequest "ListOffsets" 0..=11 common since 1;
        3 metadata MetadataRequest "Metadata" 0..=13;
        8 offset_commit OffsetCommitRequest "OffsetCommit" 0..=10;
        9 offset_fetch OffsetFetchRequest "OffsetFetch" 0..=10;
        10 find_coordinator FindCoordinatorRequest "FindCoordinator" 0..=6;
        11 join_group JoinGroupRequest "JoinGroup" 0..=9;
        12 heartbeat HeartbeatRequest "Heartbeat" 0..=4;
        13 leave_group LeaveGroupRequest "LeaveGroup" 0..=5;
        14 sync_group SyncGroupRequest "SyncGroup" 0..=5;
        15 describe_groups DescribeGroupsRequest "DescribeGroups" 0..=6;
        16 list_groups ListGroupsRequest "ListGroups" 0..=5;
        17 sasl_handshake SaslHandshakeRequest "SaslHandshake" 0..=1;
        19 create_topics CreateTopicsRequest "CreateTopics" 0..=7;
        20 delete_topics DeleteTopicsRequest "DeleteTopics" 0..=6;
        21 delete_records DeleteRecordsRequest "DeleteRecords" 0..=2;
        22 init_producer_id InitProducerIdRequest "InitProducerId" 0..=5;
        23 offset_for_leader_epoch OffsetForLeaderEpochRequest "OffsetForLeaderEpoch" 0..=4;
        24 add_partitions_to_txn AddPartitionsToTxnRequest "AddPartitionsToTxn" 0..=5;
        25 add_offsets_to_txn AddOffsetsToTxnRequest "AddOffsetsToTxn" 0..=4;
        26 end_txn EndTxnRequest "EndTxn" 0..=5;
        27 write_txn_markers WriteTxnMarkersRequest "WriteTxnMarkers" 0..=2;
        28 txn_offset_commit TxnOffsetCommitRequest "TxnOffsetCommit" 0..=6;
        29 describe_acls DescribeAclsRequest "DescribeAcls" 0..=3;
        30 create_acls CreateAclsRequest "CreateAcls" 0..=3;
        31 delete_acls DeleteAclsRequest "DeleteAcls" 0..=3;
        32 describe_configs DescribeConfigsRequest "DescribeConfigs" 0..=4;
        33 alter_configs AlterConfigsRequest "AlterConfigs" 0..=2;
        34 alter_replica_log_dirs AlterReplicaLogDirsRequest "AlterReplicaLogDirs" 0..=2;
        35 describe_log_dirs DescribeLogDirsRequest "DescribeLogDirs" 0..=5;
        36 sasl_authenticate SaslAuthenticateRequest "SaslAuthenticate" 0..=2;
        37 create_partitions CreatePartitionsRequest "CreatePartitions" 0..=3;
        38 create_delegation_token CreateDelegationTokenRequest "CreateDelegationToken" 0..=3;
        39 renew_delegation_token RenewDelegationTokenRequest "RenewDelegationToken" 0..=2;
        40 expire_delegation_token ExpireDelegationTokenRequest "ExpireDelegationToken" 0..=2;
        41 describe_delegation_token DescribeDelegationTokenRequest "DescribeDelegationToken" 0..=3;
        42 delete_groups DeleteGroupsRequest "DeleteGroups" 0..=3;
        43 elect_leaders ElectLeadersRequest "ElectLeaders" 0..=2;
        44 incremental_alter_configs IncrementalAlterConfigsRequest "IncrementalAlterConfigs" 0..=1;
        45 alter_partition_reassignments AlterPartitionReassignmentsRequest "AlterPartitionReassignments" 0..=1;
        46 list_partition_reassignments ListPartitionReassignmentsRequest "ListPartitionReassignments" 0..=0;
        47 offset_delete OffsetDeleteRequest "OffsetDelete" 0..=0;
        48 describe_client_quotas DescribeClientQuotasRequest "DescribeClientQuotas" 0..=1;
        49 alter_client_quotas AlterClientQuotasRequest "AlterClientQuotas" 0..=1;
        50 describe_user_scram_credentials DescribeUserScramCredentialsRequest "DescribeUserScramCredentials" 0..=0;
        51 alter_user_scram_credentials AlterUserScramCredentialsRequest "AlterUserScramCredentials" 0..=0;
        55 describe_quorum DescribeQuorumRequest "DescribeQuorum" 0..=2;
        57 update_features UpdateFeaturesRequest "UpdateFeatures" 0..=2;
        60 describe_cluster DescribeClusterRequest "DescribeCluster" 0..=2;
        61 describe_producers DescribeProducersRequest "DescribeProducers" 0..=0;
        64 unregister_broker UnregisterBrokerRequest "UnregisterBroker" 0..=0;
        65 describe_transactions DescribeTransactionsRequest "DescribeTransactions" 0..=0;
        66 list_transactions ListTransactionsRequest "ListTransactions" 0..=2;
        68 consumer_group_heartbeat ConsumerGroupHeartbeatRequest "ConsumerGroupHeartbeat" 0..=1;
        69 consumer_group_describe ConsumerGroupDescribeRequest "ConsumerGroupDescribe" 0..=1;
        74 list_config_resources ListConfigResourcesRequest "ListConfigResources" 0..=1;
        75 describe_topic_partitions DescribeTopicPartitionsRequest "DescribeTopicPartitions" 0..=0;
        80 add_raft_voter AddRaftVoter "AddRaftVoter" 0..=1;
        81 remove_raft_voter RemoveRaftVoterRequest "RemoveRaftVoter" 0..=0;
        94 unregister_controller UnregisterController "UnregisterController" 0..=0;
    }
}

/// The row of `key` among `apis`.
pub fn find(apis: &[Api], key: i16) -> Option<&Api> {
    // The lowest keys, Produce and Fetch among them, stand at their own number.
    if let Some(api) = apis.get(key as usize)
        && api.key == key
    {
        return Some(api);
    }
    apis.binary_search_by_key(&key, |api| api.key).ok().map(|index| &apis[index])
}

async fn run<Request, Response>(
    context: RequestContext,
    mut body: Bytes,
    handle: impl AsyncFnOnce(&RequestContext, Request) -> anyhow::Result<Response>,
) -> Output
where
    Request: Decodable + Message,
    Response: Encodable + ErrorCodes,
{
    let mut output = Output::default();
    // What the codec crate lacks of the newest version is written by hand; the rest of it is as before.
    let version = context.version.min(Request::VERSIONS.max);
    let answer = match Request::decode(&mut body, version) {
        Ok(request) => handle(&context, request).await,
        Err(error) => Err(error.context("decode a request that the shape check accepted")),
    };
    let written = answer.and_then(|response| {
        context.count_errors(&response);
        context.respond_with(&mut output, &response, context.version)?;
        context.throttle(&mut output);
        Ok(())
    });
    if let Err(error) = written {
        // No code says "something broke here" without the client drawing a conclusion from it, so the
        // connection ends and the client asks again.
        tracing::error!(
            api = context.api.name,
            version = context.version,
            error = format!("{error:#}"),
            "request failed"
        );
        output = Output::closing();
    }
    output
}
