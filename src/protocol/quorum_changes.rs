//! Requests of the tools that change the metadata quorum, of which the codec crate does not read all: AddRaftVoter (key
//! 80), v0-1 (KIP-853; v1 says when to answer), and UnregisterController (key 94), v0. Kafka:
//! `AddRaftVoterRequest.json`, `UnregisterControllerRequest.json`.

use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{Decodable, Message, VersionRange};
use uuid::Uuid;

use super::wire::{Malformed, Reader};

const ACK_SINCE_VERSION: i16 = 1;

/// A controller that shall vote. How long the tool would wait is not kept: it is never made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddRaftVoter {
    /// `None` asks whatever cluster is there.
    pub cluster_id: Option<String>,
    pub voter_id: i32,
    pub voter_directory_id: Uuid,
    pub listeners: Vec<VoterEndpoint>,
    /// To be answered when the new voters are committed, else as soon as they are written. v0 means committed.
    pub ack_when_committed: bool,
}

/// Where the new voter listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterEndpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
}

/// A controller that shall be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnregisterController {
    pub controller_id: i32,
}

impl Message for AddRaftVoter {
    const VERSIONS: VersionRange = VersionRange { min: 0, max: ACK_SINCE_VERSION };
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl Message for UnregisterController {
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl Decodable for AddRaftVoter {
    fn decode<B: ByteBuf>(buffer: &mut B, version: i16) -> anyhow::Result<AddRaftVoter> {
        let body = buffer.get_bytes(buffer.remaining());
        Ok(read_voter(&body, version)?)
    }
}

impl Decodable for UnregisterController {
    fn decode<B: ByteBuf>(buffer: &mut B, _version: i16) -> anyhow::Result<UnregisterController> {
        let body = buffer.get_bytes(buffer.remaining());
        let mut reader = Reader::new(&body, 0, true);
        let controller_id = reader.i32()?;
        reader.skip_tagged_fields()?;
        Ok(UnregisterController { controller_id })
    }
}

fn read_voter(body: &[u8], version: i16) -> Result<AddRaftVoter, Malformed> {
    let mut reader = Reader::new(body, 0, true);
    let cluster_id = reader.nullable_string()?.map(|range| super::wire::text(body, range).to_owned());
    let _timeout_ms = reader.i32()?;
    let voter_id = reader.i32()?;
    let voter_directory_id = reader.uuid()?;
    let least_endpoint_size = 5;
    let listeners = (0..reader.array_count(least_endpoint_size)?).map(|_| read_endpoint(&mut reader));
    let listeners = listeners.collect::<Result<_, _>>()?;
    let ack_when_committed = version < ACK_SINCE_VERSION || reader.i8()? != 0;
    reader.skip_tagged_fields()?;
    Ok(AddRaftVoter { cluster_id, voter_id, voter_directory_id, listeners, ack_when_committed })
}

fn read_endpoint(reader: &mut Reader<'_>) -> Result<VoterEndpoint, Malformed> {
    let name = reader.owned_string()?;
    let host = reader.owned_string()?;
    let port = reader.i16()?.cast_unsigned();
    reader.skip_tagged_fields()?;
    Ok(VoterEndpoint { name, host, port })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::fuzz::memory::allocated_by;
    use crate::fuzz::smoke;
    use crate::protocol::shapes::generator::{Size, generate};
    use crate::protocol::shapes::{Limits, check};

    const ADD_RAFT_VOTER: i16 = 80;
    const UNREGISTER_CONTROLLER: i16 = 94;

    #[test]
    fn a_voter_says_when_to_answer_from_v1_on() {
        let start = b"\x02c\0\0\0\x05\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\x02\x02N\x02h\xff\xfe\0";
        for (version, rest, ack_when_committed) in
            [(0, &b"\0"[..], true), (1, b"\x01\0", true), (1, b"\0\0", false)]
        {
            let body = [start, rest].concat();
            check(ADD_RAFT_VOTER, version, &body, &Limits::default()).expect("the shape of the request");
            let decoded = AddRaftVoter::decode(&mut Bytes::from(body), version).expect("a request");
            let expected = AddRaftVoter {
                cluster_id: Some("c".to_owned()),
                voter_id: 7,
                voter_directory_id: Uuid::from_u128(9),
                listeners: vec![VoterEndpoint { name: "N".to_owned(), host: "h".to_owned(), port: 65534 }],
                ack_when_committed,
            };
            assert_eq!(decoded, expected, "v{version}");
        }
    }

    #[test]
    fn a_controller_is_named_by_its_id() {
        let body = Bytes::from_static(b"\xff\xff\xff\xff\0");
        check(UNREGISTER_CONTROLLER, 0, &body, &Limits::default()).expect("the shape of the request");
        let decoded = UnregisterController::decode(&mut { body }, 0).expect("a request");
        assert_eq!(decoded, UnregisterController { controller_id: -1 });
    }

    /// What the walker accepts can be read, within the memory that the walker states.
    #[test]
    fn quorum_changes_are_fuzzed() {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut fuzz = |key: i16, version: i16, decode: fn(&mut Bytes, i16) -> bool| {
            let corpus: Vec<Vec<u8>> = [0, 1, 2, 4]
                .map(|elements| Size { elements, unknown_tags: elements > 1 })
                .map(|size| generate(key, version, size, &mut rng))
                .into();
            smoke("quorum_changes", &corpus, 50_000, |body| {
                let Ok(shape) = check(key, version, body, &Limits::default()) else { return };
                let mut bytes = Bytes::copy_from_slice(body);
                let (decoded, allocated) = allocated_by(|| decode(&mut bytes, version));
                assert!(decoded, "the walker accepts what cannot be read");
                assert!(allocated <= shape.decoded_size_bytes, "{allocated} > {}", shape.decoded_size_bytes);
            });
        };
        for version in 0..=1 {
            fuzz(ADD_RAFT_VOTER, version, |bytes, version| AddRaftVoter::decode(bytes, version).is_ok());
        }
        fuzz(UNREGISTER_CONTROLLER, 0, |bytes, version| UnregisterController::decode(bytes, version).is_ok());
    }
}
