//! The codec crate's requests as a table of functions, for tests that go through all of them.

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request};

/// One request type of the codec crate.
pub(crate) struct Codec {
    pub(crate) name: &'static str,
    pub(crate) key: i16,
    pub(crate) first_version: i16,
    pub(crate) last_version: i16,
    /// The default value's bytes.
    pub(crate) encode_default: fn(version: i16) -> Result<Bytes>,
    /// Decodes, takes the bytes off the front, forgets the value.
    pub(crate) decode: fn(bytes: &mut Bytes, version: i16) -> Result<()>,
    /// Decodes, and writes the value again.
    pub(crate) recode: fn(bytes: &mut Bytes, version: i16) -> Result<Bytes>,
}

impl Codec {
    /// The codec of a key that decodes a version.
    pub(crate) fn find(key: i16, version: i16) -> Option<&'static Codec> {
        let codec = CODECS.iter().find(|codec| codec.key == key)?;
        (codec.first_version <= version && version <= codec.last_version).then_some(codec)
    }

    pub(crate) fn versions(&self) -> std::ops::RangeInclusive<i16> {
        self.first_version..=self.last_version
    }
}

fn encode<T: Encodable>(value: &T, version: i16) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    value.encode(&mut bytes, version)?;
    Ok(bytes.freeze())
}

macro_rules! codecs {
    ($($request:ident)*) => {
        pub(crate) static CODECS: &[Codec] = &[$(Codec {
            name: stringify!($request),
            key: <$request as Request>::KEY,
            first_version: <$request as Message>::VERSIONS.min,
            last_version: <$request as Message>::VERSIONS.max,
            encode_default: |version| encode(&$request::default(), version),
            decode: |bytes, version| $request::decode(bytes, version).map(drop),
            recode: |bytes, version| encode(&$request::decode(bytes, version)?, version),
        }),*];
    };
}

codecs! {
    ProduceRequest
    FetchRequest
    ListOffsetsRequest
    MetadataRequest
    OffsetCommitRequest
    OffsetFetchRequest
    FindCoordinatorRequest
    JoinGroupRequest
    HeartbeatRequest
    LeaveGroupRequest
    SyncGroupRequest
    DescribeGroupsRequest
    ListGroupsRequest
    SaslHandshakeRequest
    ApiVersionsRequest
    CreateTopicsRequest
    DeleteTopicsRequest
    DeleteRecordsRequest
    InitProducerIdRequest
    OffsetForLeaderEpochRequest
    AddPartitionsToTxnRequest
    AddOffsetsToTxnRequest
    EndTxnRequest
    WriteTxnMarkersRequest
    TxnOffsetCommitRequest
    DescribeAclsRequest
    CreateAclsRequest
    DeleteAclsRequest
    DescribeConfigsRequest
    AlterConfigsRequest
    AlterReplicaLogDirsRequest
    DescribeLogDirsRequest
    SaslAuthenticateRequest
    CreatePartitionsRequest
    CreateDelegationTokenRequest
    RenewDelegationTokenRequest
    ExpireDelegationTokenRequest
    DescribeDelegationTokenRequest
    DeleteGroupsRequest
    ElectLeadersRequest
    IncrementalAlterConfigsRequest
    AlterPartitionReassignmentsRequest
    ListPartitionReassignmentsRequest
    OffsetDeleteRequest
    DescribeClientQuotasRequest
    AlterClientQuotasRequest
    DescribeUserScramCredentialsRequest
    AlterUserScramCredentialsRequest
    VoteRequest
    BeginQuorumEpochRequest
    EndQuorumEpochRequest
    DescribeQuorumRequest
    AlterPartitionRequest
    UpdateFeaturesRequest
    EnvelopeRequest
    FetchSnapshotRequest
    DescribeClusterRequest
    DescribeProducersRequest
    BrokerRegistrationRequest
    BrokerHeartbeatRequest
    UnregisterBrokerRequest
    DescribeTransactionsRequest
    ListTransactionsRequest
    AllocateProducerIdsRequest
    ConsumerGroupHeartbeatRequest
    ConsumerGroupDescribeRequest
    ControllerRegistrationRequest
    GetTelemetrySubscriptionsRequest
    PushTelemetryRequest
    AssignReplicasToDirsRequest
    ListConfigResourcesRequest
    DescribeTopicPartitionsRequest
    ShareGroupHeartbeatRequest
    ShareGroupDescribeRequest
    ShareFetchRequest
    ShareAcknowledgeRequest
    AddRaftVoterRequest
    RemoveRaftVoterRequest
    UpdateRaftVoterRequest
    InitializeShareGroupStateRequest
    ReadShareGroupStateRequest
    WriteShareGroupStateRequest
    DeleteShareGroupStateRequest
    ReadShareGroupStateSummaryRequest
    DescribeShareGroupOffsetsRequest
    AlterShareGroupOffsetsRequest
    DeleteShareGroupOffsetsRequest
}
