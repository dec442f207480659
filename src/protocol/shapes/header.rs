//! The request header, versions 1 and 2 (`RequestHeader.json`): safe on any bytes.

use std::borrow::Cow;

use super::walker::Walker;
use super::{Limits, ShapeError};

/// What stands before a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
    /// Borrowed unless it is not UTF-8: Kafka replaces what it cannot read.
    pub client_id: Option<Cow<'a, str>>,
    /// Where the body begins, counted from the frame's first byte after its length.
    pub body_start: usize,
}

/// Reads the header of a frame without its length prefix. `flexible` says whether the request has tagged
/// fields: [`super::is_flexible`] of the frame's first two integers.
pub fn check_header(flexible: bool, frame: &[u8]) -> Result<Header<'_>, ShapeError> {
    let mut walker = Walker {
        rest: frame,
        version: 0,
        is_flexible: flexible,
        elements_left: 0,
        tags_left: Limits::default().unknown_tag_count,
        memory_size_bytes: 0,
    };
    let api_key = i16::from_be_bytes(walker.take_fixed()?);
    let api_version = i16::from_be_bytes(walker.take_fixed()?);
    let correlation_id = i32::from_be_bytes(walker.take_fixed()?);
    // The client id keeps its two-byte length in version 2, so that brokers of any age can read it.
    let client_id = match walker.take_short_length(true)? {
        Some(size) => Some(String::from_utf8_lossy(walker.take(size)?)),
        None => None,
    };
    if flexible {
        walker.walk_tags(&[])?;
    }
    Ok(Header {
        api_key,
        api_version,
        correlation_id,
        client_id,
        body_start: frame.len() - walker.rest.len(),
    })
}
