//! The names of things on the wire as types, so that two integers of different meaning cannot be swapped.
//!
//! Pure values: no IO, no clock. Every newtype is the wire's own integer and keeps its sentinel values
//! (`-1` mostly) as named constants.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

pub use uuid::Uuid;

/// Position of a record in a partition, counted from 0. `-1` on the wire means "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    pub const ZERO: Offset = Offset(0);
    pub const NONE: Offset = Offset(-1);
}

impl Add<i64> for Offset {
    type Output = Offset;
    fn add(self, count: i64) -> Offset {
        Offset(self.0 + count)
    }
}

impl AddAssign<i64> for Offset {
    fn add_assign(&mut self, count: i64) {
        self.0 += count;
    }
}

impl Sub for Offset {
    type Output = i64;
    /// Count of offsets from `other` up to `self`.
    fn sub(self, other: Offset) -> i64 {
        self.0 - other.0
    }
}

/// Term of a partition's leadership; only grows. `-1` means "unknown" on the wire (KIP-320).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderEpoch(pub i32);

impl LeaderEpoch {
    pub const NONE: LeaderEpoch = LeaderEpoch(-1);
}

/// `node.id` of a broker. `-1` means "no broker".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerId(pub i32);

impl BrokerId {
    pub const NONE: BrokerId = BrokerId(-1);
}

/// Number of a partition inside its topic, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionIndex(pub i32);

/// Identity of an idempotent or transactional producer (KIP-98). `-1` means "not idempotent".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub i64);

impl ProducerId {
    pub const NONE: ProducerId = ProducerId(-1);
}

/// Generation of a producer id; a higher one fences the lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerEpoch(pub i16);

/// Milliseconds since the Unix epoch. `-1` means "no timestamp".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub const NONE: Timestamp = Timestamp(-1);

    /// Milliseconds from `earlier` to `self`, negative when the clock went back.
    pub fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

macro_rules! display_number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    )*};
}
display_number!(Offset, LeaderEpoch, BrokerId, PartitionIndex, ProducerId, ProducerEpoch, Timestamp);

/// Identity of a topic across deletion and re-creation under the same name (KIP-516).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// All zero: "no topic id" on the wire.
    pub const ZERO: TopicId = TopicId(Uuid::nil());
}

impl fmt::Display for TopicId {
    /// Kafka's text form: URL-safe base64 without padding, 22 characters.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&uuid_text(self.0))
    }
}

/// A UUID as Kafka prints it (`org.apache.kafka.common.Uuid.toString`): URL-safe base64 without padding.
pub fn uuid_text(uuid: Uuid) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = u128::from_be_bytes(*uuid.as_bytes());
    // 128 bits are 21 sextets and two bits; the last character carries the two bits and four zeros.
    (0..22)
        .map(|index| {
            let sextet = if index < 21 { (bits >> (122 - 6 * index)) & 63 } else { (bits << 4) & 63 };
            ALPHABET[sextet as usize] as char
        })
        .collect()
}

/// Reads what [`uuid_text`] writes; `None` for anything else.
pub fn parse_uuid_text(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits: u128 = 0;
    for (index, character) in text.bytes().enumerate() {
        let sextet = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        } as u128;
        bits = if index < 21 { (bits << 6) | sextet } else { (bits << 2) | (sextet >> 4) };
    }
    Some(Uuid::from_bytes(bits.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_text_is_kafkas() {
        // org.apache.kafka.common.Uuid: new Uuid(0, 1).toString() is this.
        assert_eq!(uuid_text(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        let uuid = Uuid::from_u128(0xfedc_ba98_7654_3210_0123_4567_89ab_cdef);
        assert_eq!(parse_uuid_text(&uuid_text(uuid)), Some(uuid));
        assert_eq!(parse_uuid_text("too short"), None);
    }
}
