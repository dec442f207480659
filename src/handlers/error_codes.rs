//! Which error codes an answer carries, for counting them in one place. Kafka: `AbstractResponse.errorCounts`.
//!
//! Produce and Fetch have codecs of their own and count while they answer.

use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, AlterClientQuotasResponse, AlterConfigsResponse,
    AlterPartitionReassignmentsResponse, AlterReplicaLogDirsResponse, AlterUserScramCredentialsResponse,
    ApiVersionsResponse, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, CreateAclsResponse,
    CreateDelegationTokenResponse, CreatePartitionsResponse, CreateTopicsResponse, DeleteAclsResponse,
    DeleteGroupsResponse, DeleteRecordsResponse, DeleteTopicsResponse, DescribeAclsResponse,
    DescribeClientQuotasResponse, DescribeClusterResponse, DescribeConfigsResponse,
    DescribeDelegationTokenResponse, DescribeGroupsResponse, DescribeLogDirsResponse,
    DescribeProducersResponse, DescribeQuorumResponse, DescribeTopicPartitionsResponse,
    DescribeTransactionsResponse, DescribeUserScramCredentialsResponse, ElectLeadersResponse, EndTxnResponse,
    ExpireDelegationTokenResponse, FindCoordinatorResponse, HeartbeatResponse,
    IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse,
    ListConfigResourcesResponse, ListGroupsResponse, ListOffsetsResponse, ListPartitionReassignmentsResponse,
    ListTransactionsResponse, MetadataResponse, OffsetCommitResponse, OffsetDeleteResponse,
    OffsetFetchResponse, OffsetForLeaderEpochResponse, RenewDelegationTokenResponse,
    SaslAuthenticateResponse, SaslHandshakeResponse, SyncGroupResponse, UnregisterBrokerResponse,
    UpdateFeaturesResponse, WriteTxnMarkersResponse,
};

use crate::protocol::old::AnyVersion;

/// An answer that says of each of its parts whether it worked.
pub trait ErrorCodes {
    /// Every code in the answer, 0 for what worked.
    fn error_codes(&self) -> impl Iterator<Item = i16>;
}

/// The codes of each element of a list, as the closure finds them, and those at the top.
macro_rules! error_codes {
    ($( $response:ident: $($top:ident)? $([ $list:ident: $codes:expr ])?; )*) => { $(
        impl ErrorCodes for $response {
            fn error_codes(&self) -> impl Iterator<Item = i16> {
                let codes = std::iter::empty();
                $( let codes = codes.chain([self.$top]); )?
                $( let codes = codes.chain(self.$list.iter().flat_map($codes)); )?
                codes
            }
        }
    )* };
}

error_codes! {
    AddOffsetsToTxnResponse: error_code;
    AlterClientQuotasResponse: [entries: |entity| [entity.error_code]];
    AlterConfigsResponse: [responses: |resource| [resource.error_code]];
    AlterPartitionReassignmentsResponse: error_code [responses: |topic| {
        topic.partitions.iter().map(|partition| partition.error_code)
    }];
    AlterReplicaLogDirsResponse: [results: |topic| topic.partitions.iter().map(|partition| partition.error_code)];
    AlterUserScramCredentialsResponse: [results: |user| [user.error_code]];
    ApiVersionsResponse: error_code;
    ConsumerGroupDescribeResponse: [groups: |group| [group.error_code]];
    ConsumerGroupHeartbeatResponse: error_code;
    CreateAclsResponse: [results: |acl| [acl.error_code]];
    CreateDelegationTokenResponse: error_code;
    CreatePartitionsResponse: [results: |topic| [topic.error_code]];
    CreateTopicsResponse: [topics: |topic| [topic.error_code]];
    DeleteAclsResponse: [filter_results: |filter| [filter.error_code]];
    DeleteGroupsResponse: [results: |group| [group.error_code]];
    DeleteRecordsResponse: [topics: |topic| topic.partitions.iter().map(|partition| partition.error_code)];
    DeleteTopicsResponse: [responses: |topic| [topic.error_code]];
    DescribeAclsResponse: error_code;
    DescribeClientQuotasResponse: error_code;
    DescribeClusterResponse: error_code;
    DescribeConfigsResponse: [results: |resource| [resource.error_code]];
    DescribeDelegationTokenResponse: error_code;
    DescribeGroupsResponse: [groups: |group| [group.error_code]];
    DescribeLogDirsResponse: error_code [results: |directory| [directory.error_code]];
    DescribeProducersResponse: [topics: |topic| topic.partitions.iter().map(|partition| partition.error_code)];
    DescribeQuorumResponse: error_code [topics: |topic| {
        topic.partitions.iter().map(|partition| partition.error_code)
    }];
    DescribeTopicPartitionsResponse: [topics: |topic| {
        topic.partitions.iter().map(|partition| partition.error_code).chain([topic.error_code])
    }];
    DescribeTransactionsResponse: [transaction_states: |transaction| [transaction.error_code]];
    DescribeUserScramCredentialsResponse: error_code [results: |user| [user.error_code]];
    ElectLeadersResponse: error_code [replica_election_results: |topic| {
        topic.partition_result.iter().map(|partition| partition.error_code)
    }];
    EndTxnResponse: error_code;
    ExpireDelegationTokenResponse: error_code;
    FindCoordinatorResponse: error_code [coordinators: |coordinator| [coordinator.error_code]];
    HeartbeatResponse: error_code;
    IncrementalAlterConfigsResponse: [responses: |resource| [resource.error_code]];
    InitProducerIdResponse: error_code;
    ListConfigResourcesResponse: error_code;
    JoinGroupResponse: error_code;
    LeaveGroupResponse: error_code [members: |member| [member.error_code]];
    ListGroupsResponse: error_code;
    ListOffsetsResponse: [topics: |topic| topic.partitions.iter().map(|partition| partition.error_code)];
    ListPartitionReassignmentsResponse: error_code;
    ListTransactionsResponse: error_code;
    MetadataResponse: error_code [topics: |topic| {
        topic.partitions.iter().map(|partition| partition.error_code).chain([topic.error_code])
    }];
    OffsetCommitResponse: [topics: |topic| topic.partitions.iter().map(|partition| partition.error_code)];
    OffsetDeleteResponse: error_code [topics: |topic| {
        topic.partitions.iter().map(|partition| partition.error_code)
    }];
    OffsetForLeaderEpochResponse: [topics: |topic| {
        topic.partitions.iter().map(|partition| partition.error_code)
    }];
    RenewDelegationTokenResponse: error_code;
    SaslAuthenticateResponse: error_code;
    SaslHandshakeResponse: error_code;
    UnregisterBrokerResponse: error_code;
    UpdateFeaturesResponse: error_code;
    SyncGroupResponse: error_code;
    WriteTxnMarkersResponse: [markers: |marker| {
        marker.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code)
    }];
}

impl<T: ErrorCodes> ErrorCodes for AnyVersion<T> {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.0.error_codes()
    }
}

/// v4 and later have transactions, earlier versions the topics of one.
impl ErrorCodes for AddPartitionsToTxnResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let of_transactions = self.results_by_transaction.iter().flat_map(|result| &result.topic_results);
        let topics = of_transactions.chain(&self.results_by_topic_v3_and_below);
        let partitions = topics.flat_map(|topic| &topic.results_by_partition);
        [self.error_code].into_iter().chain(partitions.map(|partition| partition.partition_error_code))
    }
}

/// v8 and later have groups, earlier versions the topics of one.
impl ErrorCodes for OffsetFetchResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let of_topics = self.topics.iter().flat_map(|topic| &topic.partitions);
        let of_groups =
            self.groups.iter().flat_map(|group| &group.topics).flat_map(|topic| &topic.partitions);
        let codes = [self.error_code].into_iter().chain(self.groups.iter().map(|group| group.error_code));
        codes
            .chain(of_topics.map(|partition| partition.error_code))
            .chain(of_groups.map(|partition| partition.error_code))
    }
}
