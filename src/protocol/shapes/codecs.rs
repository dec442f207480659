//! The codec crate's requests as a table of functions, for tests that go through all of them, and the old versions that
//! this crate reads.

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request};

use crate::protocol::offsets::OffsetFetch;
use crate::protocol::offsets::commit::OffsetCommit;
use crate::protocol::old::AnyVersion;
use crate::protocol::txn_markers::WriteTxnMarkers;

/// One request type of the codec crate.
pub(crate) struct Codec {
    pub(crate) name: &'static str,
    pub(crate) key: i16,
    pub(crate) first_version: i16,
    pub(crate) last_version: i16,
    /// The default value's bytes.
    pub(crate) encode_default: fn(version: i16) -> Result<Bytes>,
    pub(crate) decode: Decoder,
    /// Decodes, and writes the value again.
    pub(crate) recode: fn(bytes: &mut Bytes, version: i16) -> Result<Bytes>,
}

impl Codec {
    /// The codec of a key that decodes a version.
    pub(crate) fn find(key: i16, version: i16) -> Option<&'static Codec> {
        let codec = CODECS.iter().find(|codec| codec.key == key)?;
        (codec.first_version <= version && version <= codec.last_version).then_some(codec)
    }

    /// What reads a version: the codec crate, or this one.
    pub(crate) fn decoder(key: i16, version: i16) -> Option<Decoder> {
        let of_crate = Codec::find(key, version).map(|codec| codec.decode);
        let is_old = |(old_key, last, _): &&(i16, i16, Decoder)| *old_key == key && version <= *last;
        of_crate.or_else(|| OLD_DECODERS.iter().find(is_old).map(|(_, _, decode)| *decode))
    }

    pub(crate) fn versions(&self) -> std::ops::RangeInclusive<i16> {
        self.first_version..=self.last_version
    }
}

/// Decodes, takes the bytes off the front, forgets the value.
pub(crate) type Decoder = fn(bytes: &mut Bytes, version: i16) -> Result<()>;

macro_rules! old_decoders {
    ($($key:literal $last:literal $request:ty;)*) => {
        /// Key, last version that the codec crate lacks because Kafka 4 does, and what reads it.
        static OLD_DECODERS: &[(i16, i16, Decoder)] = &[
            $(($key, $last, |bytes, version| <$request>::decode(bytes, version).map(drop)),)*
        ];
    };
}

old_decoders! {
    8 1 OffsetCommit;
    9 0 OffsetFetch;
    19 1 AnyVersion<CreateTopicsRequest>;
    20 0 AnyVersion<DeleteTopicsRequest>;
    23 1 AnyVersion<OffsetForLeaderEpochRequest>;
    27 0 WriteTxnMarkers;
    29 0 AnyVersion<DescribeAclsRequest>;
    30 0 AnyVersion<CreateAclsRequest>;
    31 0 AnyVersion<DeleteAclsRequest>;
    32 0 AnyVersion<DescribeConfigsRequest>;
    34 0 AnyVersion<AlterReplicaLogDirsRequest>;
    35 0 AnyVersion<DescribeLogDirsRequest>;
    38 0 AnyVersion<CreateDelegationTokenRequest>;
    39 0 AnyVersion<RenewDelegationTokenRequest>;
    40 0 AnyVersion<ExpireDelegationTokenRequest>;
    41 0 AnyVersion<DescribeDelegationTokenRequest>;
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
