//! The headers of requests and responses, and the length in front of a response.
//!
//! Pure functions over any bytes. Which versions of a message are flexible (KIP-482) is the shapes' table;
//! callers pass it in. Sources: `RequestHeader`, `RequestHeaderData`, `ApiMessageType` of Kafka.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

const API_VERSIONS: i16 = 18;
const CONTROLLED_SHUTDOWN: i16 = 7;

/// What every request begins with, whatever its header version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestKind {
    pub api_key: i16,
    pub api_version: i16,
}

impl RequestKind {
    /// The kind of a frame; none when the frame is too short to have one.
    pub fn of(frame: &[u8]) -> Option<RequestKind> {
        let mut reader = Reader { bytes: frame, at: 0 };
        Some(RequestKind { api_key: reader.read_i16()?, api_version: reader.read_i16()? })
    }
}

/// A request's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    pub kind: RequestKind,
    pub correlation_id: i32,
    /// Kafka takes no client id for an empty one. Bytes that are not UTF-8 are replaced, as Java does.
    pub client_id: Cow<'a, str>,
    /// Where the body begins in the frame.
    pub body_offset: usize,
}

/// The frame's header is cut short or lies about a length: the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedHeader;

impl<'a> RequestHeader<'a> {
    /// Parses the header of a frame. `flexible` says whether the request's body is, in its version.
    pub fn parse(frame: &'a [u8], flexible: bool) -> Result<RequestHeader<'a>, MalformedHeader> {
        let mut reader = Reader { bytes: frame, at: 0 };
        let kind = RequestKind::of(frame).ok_or(MalformedHeader)?;
        reader.skip(4).ok_or(MalformedHeader)?;
        let correlation_id = reader.read_i32().ok_or(MalformedHeader)?;
        let without_client_id = kind == RequestKind { api_key: CONTROLLED_SHUTDOWN, api_version: 0 };
        let client_id = match without_client_id {
            true => &[],
            false => reader.read_nullable_string().ok_or(MalformedHeader)?,
        };
        if flexible {
            reader.skip_tagged_fields().ok_or(MalformedHeader)?;
        }
        let client_id = String::from_utf8_lossy(client_id);
        Ok(RequestHeader { kind, correlation_id, client_id, body_offset: reader.at })
    }
}

/// A response that is being written: its length is set when it ends.
#[derive(Debug)]
#[must_use = "a response has its length only when it ends"]
pub struct OpenResponse {
    /// Where the length stands.
    at: usize,
}

impl OpenResponse {
    /// Writes room for the length, and the header. `flexible` as for the request. The header of an
    /// ApiVersions response never has tagged fields, so that clients of any version can read it (KIP-511).
    pub fn begin(out: &mut BytesMut, api_key: i16, correlation_id: i32, flexible: bool) -> OpenResponse {
        let at = out.len();
        out.put_i32(0);
        out.put_i32(correlation_id);
        if flexible && api_key != API_VERSIONS {
            out.put_u8(0);
        }
        OpenResponse { at }
    }

    /// Sets the length. `spliced_size_bytes` is the size of the file ranges inside the response, which are
    /// not in `out`.
    pub fn end(self, out: &mut BytesMut, spliced_size_bytes: usize) {
        let size_bytes = out.len() - self.at - 4 + spliced_size_bytes;
        let length = i32::try_from(size_bytes).expect("a response is bounded far below 2 GiB");
        out[self.at..self.at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Takes back everything since [`OpenResponse::begin`].
    pub fn cancel(self, out: &mut BytesMut) {
        out.truncate(self.at);
    }
}

/// Reads forward over bytes of which nothing is certain.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn read_slice(&mut self, size_bytes: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(size_bytes)?;
        let slice = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(slice)
    }

    fn read_array<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        self.read_slice(SIZE)?.try_into().ok()
    }

    fn skip(&mut self, size_bytes: usize) -> Option<()> {
        self.read_slice(size_bytes).map(|_| ())
    }

    fn read_i16(&mut self) -> Option<i16> {
        self.read_array().map(i16::from_be_bytes)
    }

    fn read_i32(&mut self) -> Option<i32> {
        self.read_array().map(i32::from_be_bytes)
    }

    /// The client id is a string with a 2-byte length in every header version, also in the flexible one.
    fn read_nullable_string(&mut self) -> Option<&'a [u8]> {
        // Kafka takes every negative length for null.
        match usize::try_from(self.read_i16()?) {
            Ok(size_bytes) => self.read_slice(size_bytes),
            Err(_) => Some(&[]),
        }
    }

    /// Tagged fields of a header mean nothing yet and are skipped. Each takes two bytes or more, so the
    /// loop ends with the bytes whatever count is claimed.
    fn skip_tagged_fields(&mut self) -> Option<()> {
        for _ in 0..self.read_unsigned_varint()? {
            self.read_unsigned_varint()?;
            let size_bytes = self.read_unsigned_varint()?;
            self.skip(usize::try_from(size_bytes).ok()?)?;
        }
        Some(())
    }

    /// `ByteUtils.readUnsignedVarint`: at most 5 bytes.
    fn read_unsigned_varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.read_array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Produce request of version 9 whose header has two tagged fields, then 3 bytes of body.
    const FLEXIBLE: &[u8] =
        b"\x00\x00\x00\x09\x00\x00\x00\x2a\x00\x02me\x02\x00\x01x\x81\x01\x02yz\x01\x02\x03";

    fn header(api_key: i16, api_version: i16, client_id: &str, body_offset: usize) -> RequestHeader<'_> {
        let kind = RequestKind { api_key, api_version };
        RequestHeader { kind, correlation_id: 42, client_id: client_id.into(), body_offset }
    }

    #[test]
    fn a_flexible_header_keeps_the_classic_client_id_and_skips_tags() {
        assert_eq!(RequestHeader::parse(FLEXIBLE, true), Ok(header(0, 9, "me", FLEXIBLE.len() - 3)));
    }

    #[test]
    fn a_header_that_is_not_flexible_ends_with_the_client_id() {
        assert_eq!(RequestHeader::parse(FLEXIBLE, false), Ok(header(0, 9, "me", 12)));
    }

    #[test]
    fn a_null_client_id_is_an_empty_one() {
        for length in [[0xff, 0xff], [0x80, 0x00], [0, 0]] {
            let frame = [&b"\x00\x03\x00\x01\x00\x00\x00\x2a"[..], &length].concat();
            assert_eq!(RequestHeader::parse(&frame, false), Ok(header(3, 1, "", 10)));
        }
    }

    #[test]
    fn a_client_id_that_is_not_utf8_is_repaired() {
        let frame = b"\x00\x03\x00\x01\x00\x00\x00\x2a\x00\x02a\xff";
        assert_eq!(RequestHeader::parse(frame, false), Ok(header(3, 1, "a\u{fffd}", 12)));
    }

    #[test]
    fn controlled_shutdown_0_has_no_client_id() {
        let frame = b"\x00\x07\x00\x00\x00\x00\x00\x2a\x00\x00\x00\x01";
        assert_eq!(RequestHeader::parse(frame, false), Ok(header(7, 0, "", 8)));
    }

    #[test]
    fn a_header_cut_at_any_byte_is_malformed() {
        let header_size_bytes = FLEXIBLE.len() - 3;
        for cut in 0..header_size_bytes {
            assert_eq!(RequestHeader::parse(&FLEXIBLE[..cut], true), Err(MalformedHeader), "cut at {cut}");
        }
    }

    #[test]
    fn counts_and_lengths_that_lie_are_malformed() {
        let start = b"\x00\x00\x00\x09\x00\x00\x00\x2a";
        for rest in [
            &b"\x7f\xffab"[..],
            b"\x00\x00\xff\xff\xff\xff\x0f",
            b"\x00\x00\x01\x00\xff\xff\xff\xff\x0f",
            b"\x00\x00\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(RequestHeader::parse(&[start, rest].concat(), true), Err(MalformedHeader), "{rest:?}");
        }
    }

    #[test]
    fn any_bytes_are_parsed_without_a_panic() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut frame = FLEXIBLE.to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..frame.len());
                frame[at] = random.u8(..);
            }
            frame.truncate(random.usize(..=frame.len()));
            if let Ok(header) = RequestHeader::parse(&frame, random.bool()) {
                assert!(header.body_offset <= frame.len());
            }
        }
    }

    #[test]
    fn a_response_carries_its_length_with_what_is_spliced_in() {
        let mut out = BytesMut::from(&b"before"[..]);
        let open = OpenResponse::begin(&mut out, 1, 42, true);
        out.put_slice(b"body");
        open.end(&mut out, 100);
        assert_eq!(&out[..], b"before\x00\x00\x00\x6d\x00\x00\x00\x2a\x00body");
    }

    #[test]
    fn an_api_versions_response_has_the_plain_header() {
        let mut out = BytesMut::new();
        OpenResponse::begin(&mut out, API_VERSIONS, 1, true).end(&mut out, 0);
        assert_eq!(&out[..], b"\x00\x00\x00\x04\x00\x00\x00\x01");
    }
}
