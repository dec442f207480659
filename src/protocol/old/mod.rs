//! The versions of cold messages that Kafka 4 has dropped and the codec crate does not know, as Kafka 3.9 reads and
//! writes them: for every client since 0.9.
//!
//! They are read into the codec crate's types, and written from them, with the fields that later versions added at
//! their defaults. Many have the bytes of the oldest version that the crate knows; the others have a file each. What the
//! crate's types have no room for is elsewhere: [`offsets`](super::offsets) and [`txn_markers`](super::txn_markers). The
//! formats of records are not of this room, nor are Produce, Fetch and ListOffsets, which carry or find them. What a
//! version means is its handler's. Kafka: `clients/src/main/resources/common/message` of 3.9.

mod acls;
mod configs;
mod leader_epochs;
#[cfg(test)]
mod tests;
mod topics;
mod txn_markers;

use kafka_protocol::messages::{
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, CreateAclsResponse,
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, DeleteTopicsRequest,
    DescribeDelegationTokenRequest, DescribeDelegationTokenResponse, DescribeLogDirsRequest,
    DescribeLogDirsResponse, ExpireDelegationTokenRequest, ExpireDelegationTokenResponse,
    OffsetCommitResponse, OffsetFetchResponse, RenewDelegationTokenRequest, RenewDelegationTokenResponse,
};
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message, VersionRange};

use super::body::Body;
use super::wire::Malformed;

/// A message of the codec crate in any version since the first.
#[derive(Clone, Debug, PartialEq)]
pub struct AnyVersion<T>(pub T);

/// A request with versions before those that the codec crate knows.
pub trait OldRequest: Decodable + Message {
    /// From this version on the bytes are those of the crate's oldest.
    const SAME_SINCE: i16 = 0;

    /// Reads a version before [`OldRequest::SAME_SINCE`].
    fn read_old(_body: &mut Body<'_>, _version: i16) -> Result<Self, Malformed> {
        Err(Malformed("a version that no release has"))
    }
}

/// A response with versions before those that the codec crate knows.
pub trait OldResponse: Encodable + Message {
    /// From this version on the bytes are those of the crate's oldest.
    const SAME_SINCE: i16 = 0;

    /// Writes a version before [`OldResponse::SAME_SINCE`]. An error is a value that the version cannot express.
    fn write_old(&self, _out: &mut Vec<u8>, version: i16) -> anyhow::Result<()> {
        anyhow::bail!("no release has version {version}")
    }
}

impl<T: Message> Message for AnyVersion<T> {
    const VERSIONS: VersionRange = VersionRange { min: 0, max: T::VERSIONS.max };
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

/// None of the old versions has compact lengths or tagged fields.
const FLEXIBLE: bool = false;

impl<T: OldRequest> Decodable for AnyVersion<T> {
    fn decode<B: ByteBuf>(buffer: &mut B, version: i16) -> anyhow::Result<AnyVersion<T>> {
        if version >= T::SAME_SINCE {
            return Ok(AnyVersion(T::decode(buffer, version.max(T::VERSIONS.min))?));
        }
        Ok(AnyVersion(Body::take(buffer, FLEXIBLE, |body| T::read_old(body, version))?))
    }
}

impl<T: OldResponse> Encodable for AnyVersion<T> {
    fn encode<B: ByteBufMut>(&self, buffer: &mut B, version: i16) -> anyhow::Result<()> {
        if version >= T::SAME_SINCE {
            return self.0.encode(buffer, version.max(T::VERSIONS.min));
        }
        let mut body = Vec::new();
        self.0.write_old(&mut body, version)?;
        buffer.put_slice(&body);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> anyhow::Result<usize> {
        if version >= T::SAME_SINCE {
            return self.0.compute_size(version.max(T::VERSIONS.min));
        }
        let mut body = Vec::new();
        self.0.write_old(&mut body, version)?;
        Ok(body.len())
    }
}

// The definitions say of these that a version is the same as the one before it.
impl OldRequest for AlterReplicaLogDirsRequest {}
impl OldResponse for AlterReplicaLogDirsResponse {}
impl OldResponse for CreateAclsResponse {}
impl OldRequest for CreateDelegationTokenRequest {}
impl OldResponse for CreateDelegationTokenResponse {}
impl OldRequest for DeleteTopicsRequest {}
impl OldRequest for DescribeDelegationTokenRequest {}
impl OldResponse for DescribeDelegationTokenResponse {}
impl OldRequest for DescribeLogDirsRequest {}
impl OldResponse for DescribeLogDirsResponse {}
impl OldRequest for ExpireDelegationTokenRequest {}
impl OldResponse for ExpireDelegationTokenResponse {}
impl OldResponse for OffsetCommitResponse {}
impl OldResponse for OffsetFetchResponse {}
impl OldRequest for RenewDelegationTokenRequest {}
impl OldResponse for RenewDelegationTokenResponse {}
