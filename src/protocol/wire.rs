//! Kafka's primitive types as bytes: a reader that trusts no length, and the writers of what it reads.
//!
//! Serves what the codec crate has not: the hot codecs ([`produce`](super::produce), [`fetch`](super::fetch)),
//! single versions of other messages, and the records of coordinators. Compact strings, compact arrays and tagged
//! fields are KIP-482.

use std::fmt;
use std::ops::Range;

use bytes::BufMut;

use crate::protocol::ids::Uuid;

/// The bytes are not the message they claim to be; the frame cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// Array elements of one request, all levels together. More is no request that a client makes.
const MAX_ELEMENTS: usize = 1_000_000;

/// Reads a message body from front to back. Positions are those of the whole frame.
pub struct Reader<'a> {
    frame: &'a [u8],
    position: usize,
    flexible: bool,
    elements_left: usize,
}

impl<'a> Reader<'a> {
    /// `flexible`: the version has compact lengths and tagged fields.
    pub fn new(frame: &'a [u8], body_offset: usize, flexible: bool) -> Reader<'a> {
        Reader { frame, position: body_offset.min(frame.len()), flexible, elements_left: MAX_ELEMENTS }
    }

    /// How far the frame is read.
    pub fn position(&self) -> usize {
        self.position
    }

    fn remaining(&self) -> usize {
        self.frame.len() - self.position
    }

    fn take(&mut self, size: usize) -> Result<Range<usize>, Malformed> {
        if size > self.remaining() {
            return Err(Malformed("a field reaches beyond the end of the frame"));
        }
        let start = self.position;
        self.position += size;
        Ok(start..self.position)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let range = self.take(N)?;
        Ok(self.frame[range].try_into().expect("the range has the array's length"))
    }

    pub fn i8(&mut self) -> Result<i8, Malformed> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn uuid(&mut self) -> Result<Uuid, Malformed> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    /// An unsigned varint of at most five bytes.
    fn unsigned_varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.array::<1>()?[0];
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("an unsigned varint has more than five bytes"))
    }

    /// Length or count: `None` is null.
    fn length(
        &mut self,
        classic: fn(&mut Self) -> Result<i32, Malformed>,
    ) -> Result<Option<usize>, Malformed> {
        if self.flexible {
            let plus_one = self.unsigned_varint()?;
            return Ok(plus_one.checked_sub(1).map(|length| length as usize));
        }
        let length = classic(self)?;
        if length < -1 {
            return Err(Malformed("a length is below -1"));
        }
        Ok(usize::try_from(length).ok())
    }

    /// Where a nullable string stands in the frame, which need not be UTF-8.
    pub fn nullable_string_bytes(&mut self) -> Result<Option<Range<usize>>, Malformed> {
        let Some(length) = self.length(|reader| reader.i16().map(i32::from))? else { return Ok(None) };
        if length > i16::MAX as usize {
            return Err(Malformed("a string is longer than 32767 bytes"));
        }
        self.take(length).map(Some)
    }

    /// Where a nullable string stands in the frame. It is UTF-8.
    pub fn nullable_string(&mut self) -> Result<Option<Range<usize>>, Malformed> {
        let Some(range) = self.nullable_string_bytes()? else { return Ok(None) };
        match std::str::from_utf8(&self.frame[range.clone()]) {
            Ok(_) => Ok(Some(range)),
            Err(_) => Err(Malformed("a string is not UTF-8")),
        }
    }

    pub fn string(&mut self) -> Result<Range<usize>, Malformed> {
        self.nullable_string()?.ok_or(Malformed("a string that must not be null is null"))
    }

    /// As [`Reader::string`], copied.
    pub fn owned_string(&mut self) -> Result<String, Malformed> {
        let range = self.string()?;
        Ok(text(self.frame, range).to_owned())
    }

    /// Where records (or nullable bytes) stand in the frame.
    pub fn nullable_bytes(&mut self) -> Result<Option<Range<usize>>, Malformed> {
        match self.length(Self::i32)? {
            Some(length) => self.take(length).map(Some),
            None => Ok(None),
        }
    }

    /// Count of an array that must not be null, whose elements take at least `least_size` bytes each.
    pub fn array_count(&mut self, least_size: usize) -> Result<usize, Malformed> {
        let count = self.nullable_array_count(least_size)?;
        count.ok_or(Malformed("an array that must not be null is null"))
    }

    /// As [`Reader::array_count`], `None` for null.
    pub fn nullable_array_count(&mut self, least_size: usize) -> Result<Option<usize>, Malformed> {
        let Some(count) = self.length(Self::i32)? else { return Ok(None) };
        if count > self.remaining() / least_size {
            return Err(Malformed("an array declares more elements than the frame can hold"));
        }
        self.elements_left =
            self.elements_left.checked_sub(count).ok_or(Malformed("the arrays declare too many elements"))?;
        Ok(Some(count))
    }

    /// The tagged fields that end a structure; nothing in a version without them. `known` reads the value of
    /// a tag it knows and says so; a value it does not know is skipped.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(&mut Reader<'a>, u32) -> Result<bool, Malformed>,
    ) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.unsigned_varint()? as usize;
        if count > self.remaining() / 2 {
            return Err(Malformed("more tagged fields are declared than the frame can hold"));
        }
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            let value = self.take(size)?;
            self.position = value.start;
            if !known(self, tag)? {
                self.position = value.end;
            }
            if self.position != value.end {
                return Err(Malformed("a tagged field does not end where its size says"));
            }
        }
        Ok(())
    }

    /// Tagged fields of which none is known.
    pub fn skip_tagged_fields(&mut self) -> Result<(), Malformed> {
        self.tagged_fields(|_, _| Ok(false))
    }
}

/// The text at a range that [`Reader::string`] has returned for the same frame.
pub fn text(frame: &[u8], range: Range<usize>) -> &str {
    std::str::from_utf8(&frame[range]).expect("the reader returns ranges of UTF-8 only")
}

pub fn put_unsigned_varint(out: &mut impl BufMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Bytes that [`put_unsigned_varint`] writes.
pub fn unsigned_varint_size(value: u32) -> usize {
    (32 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Count of an array.
pub fn put_count(out: &mut impl BufMut, flexible: bool, count: usize) {
    let count = u32::try_from(count).expect("a response has fewer than 2^31 elements");
    if flexible { put_unsigned_varint(out, count + 1) } else { out.put_i32(count as i32) }
}

/// A null array.
pub fn put_null_array(out: &mut impl BufMut, flexible: bool) {
    if flexible { out.put_u8(0) } else { out.put_i32(-1) }
}

/// A string or null. What is longer than a string can be is cut at a character's edge.
pub fn put_string(out: &mut impl BufMut, flexible: bool, value: Option<&str>) {
    let Some(value) = value else {
        return if flexible { out.put_u8(0) } else { out.put_i16(-1) };
    };
    let mut size = value.len().min(i16::MAX as usize);
    while !value.is_char_boundary(size) {
        size -= 1;
    }
    if flexible {
        put_unsigned_varint(out, size as u32 + 1)
    } else {
        out.put_i16(size as i16)
    }
    out.put_slice(&value.as_bytes()[..size]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_varints_are_read_as_written() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 1 << 21, 1 << 28, u32::MAX] {
            let mut bytes = Vec::new();
            put_unsigned_varint(&mut bytes, value);
            assert_eq!(bytes.len(), unsigned_varint_size(value), "{value}");
            assert_eq!(Reader::new(&bytes, 0, true).unsigned_varint(), Ok(value));
        }
        assert!(Reader::new(&[0xff; 6], 0, true).unsigned_varint().is_err());
    }

    #[test]
    fn a_known_tag_must_end_at_its_declared_size() {
        // One field, tag 0, two bytes long; the reader takes four.
        let frame = [1, 0, 2, 0, 0, 0, 0, 0];
        let result = Reader::new(&frame, 0, true).tagged_fields(|reader, _| reader.i32().map(|_| true));
        assert!(result.is_err());
    }

    #[test]
    fn a_long_message_is_cut_at_a_characters_edge() {
        let long = "ü".repeat(20_000);
        let mut bytes = Vec::new();
        put_string(&mut bytes, false, Some(&long));
        let range = Reader::new(&bytes, 0, false).string().expect("what is written can be read");
        assert_eq!(range.len(), 32_766);
    }
}
