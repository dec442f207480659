//! Stamps: the log position up to which a partition's records are in the view.

use anyhow::{Result, bail};

use super::{Family, PREFIX_SIZE, PartitionKey, prefix};
use crate::protocol::ids::{LeaderEpoch, Offset, Timestamp, TopicId, Uuid};

/// Names one position of one history of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// A topic that was deleted and made again has another id.
    pub topic_id: TopicId,
    /// Offset of the first record that is not applied.
    pub next_offset: Offset,
    /// Epoch of the last applied batch.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C of the last applied batch: the same offset in another history has another one.
    pub batch_crc: u32,
    /// Of the last applied batch. Tombstones appended behind it stay in the log for `delete.retention.ms` from then on.
    pub batch_timestamp: Timestamp,
}

const FORMAT: u8 = 1;
const SIZE_BYTES: usize = 41;

pub(super) fn key(of: PartitionKey) -> [u8; PREFIX_SIZE] {
    prefix(Family::Stamp, of)
}

impl Stamp {
    pub(super) fn encode(&self) -> [u8; SIZE_BYTES] {
        let mut bytes = [0; SIZE_BYTES];
        bytes[0] = FORMAT;
        bytes[1..17].copy_from_slice(self.topic_id.0.as_bytes());
        bytes[17..25].copy_from_slice(&self.next_offset.0.to_be_bytes());
        bytes[25..29].copy_from_slice(&self.leader_epoch.0.to_be_bytes());
        bytes[29..33].copy_from_slice(&self.batch_crc.to_be_bytes());
        bytes[33..].copy_from_slice(&self.batch_timestamp.0.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Stamp> {
        let Ok(bytes) = <&[u8; SIZE_BYTES]>::try_from(bytes) else {
            bail!("a stamp has {SIZE_BYTES} bytes, found {}", bytes.len());
        };
        if bytes[0] != FORMAT {
            bail!("a stamp has format {FORMAT}, found {}", bytes[0]);
        }
        Ok(Stamp {
            topic_id: TopicId(Uuid::from_bytes(part(bytes, 1))),
            next_offset: Offset(i64::from_be_bytes(part(bytes, 17))),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(part(bytes, 25))),
            batch_crc: u32::from_be_bytes(part(bytes, 29)),
            batch_timestamp: Timestamp(i64::from_be_bytes(part(bytes, 33))),
        })
    }
}

fn part<const N: usize>(bytes: &[u8; SIZE_BYTES], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has the array's length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back_and_another_size_or_format_is_an_error() {
        let stamp = Stamp {
            topic_id: TopicId(Uuid::from_u128(0x1234 << 64 | 7)),
            next_offset: Offset(42),
            leader_epoch: LeaderEpoch(3),
            batch_crc: 0xdead_beef,
            batch_timestamp: Timestamp(1_700_000_000_000),
        };
        let mut bytes = stamp.encode();
        assert_eq!(Stamp::decode(&bytes).unwrap(), stamp);
        assert!(Stamp::decode(&bytes[1..]).is_err());
        assert!(Stamp::decode(&[]).is_err());
        bytes[0] = 2;
        assert!(Stamp::decode(&bytes).is_err());
    }
}
