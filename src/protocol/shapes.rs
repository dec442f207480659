//! What a request may look like, checked before anything decodes it.
//!
//! The codec crate allocates whatever a count on the wire asks for: eighteen bytes make it request 154 GB. So
//! every body passes [`check`] first, which walks the bytes along Kafka's own message definitions without
//! allocating, and promises two things of what it accepts:
//! - the codec crate decodes it, in each version it knows, without an error or a panic, and [`old`](super::old)
//!   the versions that only Kafka 3.9 serves;
//! - decoding it from [`bytes::Bytes`] allocates at most [`Shape::decoded_size_bytes`], which is at most
//!   [`MEMORY_PER_BYTE`] x the bytes walked + [`MEMORY_PER_TAG`] x unknown tags + [`MEMORY_PER_REQUEST`].
//!
//! It decides nothing about meaning: no topic names, no limits of a config, no record batches (opaque bytes).
//!
//! The rules are those of Kafka's generated readers (`org.apache.kafka.common.protocol.Readable`, KIP-482),
//! with these differences, none of which a client's writer produces: null is only -1 and a present struct only
//! 1 (Kafka looks at the sign), a tag of another version is refused, a known tag's value fills its declared
//! size, tag numbers ascend, a varint has no bits beyond 32, and text is UTF-8.
//! Bytes after the body are ignored, as in `AbstractRequest.parseRequest`.

use std::fmt;

#[cfg(test)]
pub(crate) mod codecs;
#[cfg(test)]
pub(crate) mod generator;
mod header;
mod schema;
mod table;
#[cfg(test)]
mod tests;
mod walker;

pub use header::{Header, check_header};

use schema::RequestSchema;

/// The most that decoding allocates for one byte of a body. The worst is an array of LeaveGroup members: three
/// bytes make a struct of at most 120.
pub const MEMORY_PER_BYTE: usize = 40;
/// The most that decoding allocates for one unknown tagged field: the first of a struct makes a map of its own.
pub const MEMORY_PER_TAG: usize = 512;
/// The most that decoding allocates whatever the body is: the struct itself and the buffer's shared handle.
pub const MEMORY_PER_REQUEST: usize = 1024;

/// Bounds on one request, above all that its bytes allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Elements of all arrays together.
    pub element_count: usize,
    /// Tagged fields that the message definition does not know, together.
    pub unknown_tag_count: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { element_count: 1_000_000, unknown_tag_count: 10_000 }
    }
}

/// An accepted body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Upper bound of what the codec crate allocates when it decodes the body from `Bytes`. Strings and byte
    /// fields share the frame's buffer, which is not counted.
    pub decoded_size_bytes: usize,
    /// Where the body ends. Kafka ignores what follows.
    pub body_size_bytes: usize,
    /// Tagged fields that the message definition does not know.
    pub unknown_tag_count: usize,
}

/// Why bytes are not a request that Kafka could mean. Kafka closes the connection on each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// Kafka has no such request.
    UnknownKey(i16),
    /// The message definition has no such version.
    UnknownVersion { api_key: i16, version: i16 },
    /// The bytes end inside a value, or a length or count exceeds what remains.
    Truncated,
    /// A length or count below -1.
    NegativeLength(i32),
    /// Null where the definition allows none.
    UnexpectedNull,
    /// A varint that does not fit 32 bits.
    BadVarint,
    /// A string beyond 32767 bytes.
    LongString(usize),
    /// A string that is not UTF-8.
    BadUtf8,
    /// The byte before an optional struct is neither -1 nor 1.
    BadPresence(i8),
    /// More array elements than [`Limits::element_count`].
    TooManyElements,
    /// More unknown tagged fields than [`Limits::unknown_tag_count`].
    TooManyTags,
    /// A tag number beyond 2^31-1, or not above the one before it.
    BadTag(u32),
    /// A tag that the definition knows, only in other versions.
    TagNotInVersion(u32),
    /// A known tagged field that ends before its declared size.
    BadTagSize(u32),
}

impl fmt::Display for ShapeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShapeError::UnknownKey(key) => write!(formatter, "unknown api key {key}"),
            ShapeError::UnknownVersion { api_key, version } => {
                write!(formatter, "api key {api_key} has no version {version}")
            }
            ShapeError::Truncated => write!(formatter, "the bytes end inside a value"),
            ShapeError::NegativeLength(length) => write!(formatter, "a length of {length}"),
            ShapeError::UnexpectedNull => write!(formatter, "null where none is allowed"),
            ShapeError::BadVarint => write!(formatter, "a varint beyond 32 bits"),
            ShapeError::LongString(size) => write!(formatter, "a string of {size} bytes"),
            ShapeError::BadUtf8 => write!(formatter, "a string that is not UTF-8"),
            ShapeError::BadPresence(byte) => write!(formatter, "an optional struct announced by {byte}"),
            ShapeError::TooManyElements => write!(formatter, "too many array elements"),
            ShapeError::TooManyTags => write!(formatter, "too many unknown tagged fields"),
            ShapeError::BadTag(tag) => write!(formatter, "tag {tag} is out of range or out of order"),
            ShapeError::TagNotInVersion(tag) => write!(formatter, "tag {tag} does not exist in this version"),
            ShapeError::BadTagSize(tag) => {
                write!(formatter, "the value of tag {tag} is shorter than declared")
            }
        }
    }
}

impl std::error::Error for ShapeError {}

/// Walks the body of a request: the bytes after the request header.
pub fn check(api_key: i16, version: i16, body: &[u8], limits: &Limits) -> Result<Shape, ShapeError> {
    let newest = RequestSchema::by_key(api_key).ok_or(ShapeError::UnknownKey(api_key))?;
    let unknown_version = ShapeError::UnknownVersion { api_key, version };
    let narrow_version = u8::try_from(version).map_err(|_| unknown_version)?;
    let schema = newest.or_older(narrow_version).ok_or(unknown_version)?;
    walker::walk(schema, narrow_version, body, limits)
}

/// Whether a request is written with compact lengths and tagged fields (KIP-482). Versions above the newest
/// known are as the newest; an unknown key is not flexible.
pub fn is_flexible(api_key: i16, version: i16) -> bool {
    RequestSchema::by_key(api_key).is_some_and(|schema| schema.is_flexible(version))
}

/// Version of the request header that precedes a body.
pub fn request_header_version(api_key: i16, version: i16) -> i16 {
    // The first message between brokers had no client id; [`check_header`] does not read it.
    const CONTROLLED_SHUTDOWN: i16 = 7;
    if (api_key, version) == (CONTROLLED_SHUTDOWN, 0) {
        return 0;
    }
    if is_flexible(api_key, version) { 2 } else { 1 }
}

/// Version of the response header that answers a request.
pub fn response_header_version(api_key: i16, version: i16) -> i16 {
    // KIP-511: the client may not know the broker's versions yet, so ApiVersions is always answered with v0.
    const API_VERSIONS: i16 = 18;
    if api_key != API_VERSIONS && is_flexible(api_key, version) { 1 } else { 0 }
}
