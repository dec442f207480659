//! WriteTxnMarkers (key 27), v0-2, of which the codec crate reads neither the oldest nor the newest: v2 says which
//! transaction version a marker is of (KIP-1228). KIP-98. Kafka: `WriteTxnMarkersRequest.json`.

use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{Decodable, Message, StrBytes, VersionRange};

use super::body::Body;
use super::ids::{PartitionIndex, ProducerEpoch, ProducerId};
use super::wire::Malformed;

const FLEXIBLE_SINCE: i16 = 1;
const TRANSACTION_VERSION_SINCE: i16 = 2;

/// A WriteTxnMarkers of any served version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteTxnMarkers(pub Vec<TxnMarker>);

/// What ends one transaction in some partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnMarker {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub is_commit: bool,
    pub topics: Vec<(StrBytes, Vec<PartitionIndex>)>,
    /// Of the transaction coordinator.
    pub coordinator_epoch: i32,
    /// 0 below v2.
    pub transaction_version: i16,
}

impl Message for WriteTxnMarkers {
    const VERSIONS: VersionRange = VersionRange { min: 0, max: TRANSACTION_VERSION_SINCE };
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl Decodable for WriteTxnMarkers {
    fn decode<B: ByteBuf>(buffer: &mut B, version: i16) -> anyhow::Result<WriteTxnMarkers> {
        Ok(Body::take(buffer, version >= FLEXIBLE_SINCE, |body| read(body, version))?)
    }
}

fn read(body: &mut Body<'_>, version: i16) -> Result<WriteTxnMarkers, Malformed> {
    let least_marker_size = 17;
    let markers = body.array(least_marker_size, |body| read_marker(body, version))?;
    body.reader.skip_tagged_fields()?;
    Ok(WriteTxnMarkers(markers))
}

fn read_marker(body: &mut Body<'_>, version: i16) -> Result<TxnMarker, Malformed> {
    let producer_id = ProducerId(body.reader.i64()?);
    let producer_epoch = ProducerEpoch(body.reader.i16()?);
    let is_commit = body.reader.i8()? != 0;
    let least_topic_size = 3;
    let topics = body.array(least_topic_size, read_topic)?;
    let coordinator_epoch = body.reader.i32()?;
    let transaction_version = match version >= TRANSACTION_VERSION_SINCE {
        true => body.reader.i8()?.into(),
        false => 0,
    };
    body.reader.skip_tagged_fields()?;
    Ok(TxnMarker { producer_id, producer_epoch, is_commit, topics, coordinator_epoch, transaction_version })
}

fn read_topic(body: &mut Body<'_>) -> Result<(StrBytes, Vec<PartitionIndex>), Malformed> {
    let name = body.string()?;
    let partitions = body.array(4, |body| body.reader.i32().map(PartitionIndex))?;
    body.reader.skip_tagged_fields()?;
    Ok((name, partitions))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::fuzz::memory::allocated_by;
    use crate::fuzz::smoke;
    use crate::protocol::shapes::generator::{Size, generate};
    use crate::protocol::shapes::{Limits, check};

    const WRITE_TXN_MARKERS: i16 = 27;

    fn expected(transaction_version: i16) -> WriteTxnMarkers {
        WriteTxnMarkers(vec![TxnMarker {
            producer_id: ProducerId(7),
            producer_epoch: ProducerEpoch(3),
            is_commit: true,
            topics: vec![(StrBytes::from_static_str("t"), vec![PartitionIndex(0), PartitionIndex(2)])],
            coordinator_epoch: 5,
            transaction_version,
        }])
    }

    #[test]
    fn a_marker_says_its_transaction_version_from_v2_on() {
        let start = b"\x02\0\0\0\0\0\0\0\x07\0\x03\x01\x02\x02t\x03\0\0\0\0\0\0\0\x02\0\0\0\0\x05";
        for (version, rest) in [(1, &b"\0\0"[..]), (2, b"\x02\0\0")] {
            let body = [start, rest].concat();
            check(WRITE_TXN_MARKERS, version, &body, &Limits::default()).expect("the shape of the request");
            let decoded = WriteTxnMarkers::decode(&mut Bytes::from(body), version).expect("a request");
            assert_eq!(decoded, expected(if version == 2 { 2 } else { 0 }), "v{version}");
        }
    }

    #[test]
    fn the_oldest_has_wide_lengths() {
        let body = [
            &b"\0\0\0\x01\0\0\0\0\0\0\0\x07\0\x03\x01\0\0\0\x01\0\x01t"[..],
            b"\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\x05",
        ]
        .concat();
        check(WRITE_TXN_MARKERS, 0, &body, &Limits::default()).expect("the shape of the request");
        let decoded = WriteTxnMarkers::decode(&mut Bytes::from(body), 0).expect("a request");
        assert_eq!(decoded, expected(0));
    }

    /// What the walker accepts can be read, within the memory that the walker states.
    #[test]
    fn markers_are_fuzzed() {
        let mut rng = fastrand::Rng::with_seed(10);
        for version in 0..=2 {
            let corpus: Vec<Vec<u8>> = [0, 1, 2, 4]
                .map(|elements| Size { elements, unknown_tags: elements > 1 })
                .map(|size| generate(WRITE_TXN_MARKERS, version, size, &mut rng))
                .into();
            smoke("write_txn_markers", &corpus, 100_000, |body| {
                let Ok(shape) = check(WRITE_TXN_MARKERS, version, body, &Limits::default()) else { return };
                let mut bytes = Bytes::copy_from_slice(body);
                let (decoded, allocated) =
                    allocated_by(|| WriteTxnMarkers::decode(&mut bytes, version).is_ok());
                assert!(decoded, "the walker accepts what cannot be read");
                assert!(allocated <= shape.decoded_size_bytes, "{allocated} > {}", shape.decoded_size_bytes);
            });
        }
    }
}
