//! The walk along a body: one cursor, three budgets, recursion as deep as the message definition nests.

use super::schema::{Field, Kind, RequestSchema, StructSchema};
use super::{Limits, MEMORY_PER_REQUEST, MEMORY_PER_TAG, Shape, ShapeError};

/// Longest string in bytes (`Readable.readString` callers in Kafka's generated readers refuse longer ones).
const LONGEST_STRING_SIZE_BYTES: usize = i16::MAX as usize;
/// In memory, a string or byte field is a handle into the frame's buffer.
const HANDLE_SIZE_BYTES: usize = 32;

/// Checks a whole body; `version` is one the schema has.
pub(super) fn walk(
    schema: &RequestSchema,
    version: u8,
    body: &[u8],
    limits: &Limits,
) -> Result<Shape, ShapeError> {
    let mut walker = Walker {
        rest: body,
        version,
        is_flexible: schema.is_flexible(i16::from(version)),
        elements_left: limits.element_count,
        tags_left: limits.unknown_tag_count,
        memory_size_bytes: MEMORY_PER_REQUEST,
    };
    walker.walk_struct(StructSchema::by_index(schema.body))?;
    Ok(Shape {
        decoded_size_bytes: walker.memory_size_bytes,
        body_size_bytes: body.len() - walker.rest.len(),
        unknown_tag_count: limits.unknown_tag_count - walker.tags_left,
    })
}

pub(super) struct Walker<'a> {
    pub(super) rest: &'a [u8],
    pub(super) version: u8,
    pub(super) is_flexible: bool,
    pub(super) elements_left: usize,
    pub(super) tags_left: usize,
    pub(super) memory_size_bytes: usize,
}

impl<'a> Walker<'a> {
    fn walk_struct(&mut self, schema: &StructSchema) -> Result<(), ShapeError> {
        for field in schema.fields() {
            if field.tag.is_none() && field.versions.contain(self.version) {
                self.walk_field(field)?;
            }
        }
        if self.is_flexible { self.walk_tags(schema.fields()) } else { Ok(()) }
    }

    fn walk_field(&mut self, field: &Field) -> Result<(), ShapeError> {
        let is_nullable = field.nullable.contain(self.version);
        if field.is_array {
            return self.walk_array(field.kind, is_nullable);
        }
        match field.kind {
            Kind::Struct(index) if is_nullable => self.walk_optional_struct(StructSchema::by_index(index)),
            kind @ (Kind::Bool
            | Kind::Int8
            | Kind::Int16
            | Kind::Int32
            | Kind::Int64
            | Kind::Uuid
            | Kind::String
            | Kind::Bytes
            | Kind::Struct(_)) => self.walk_value(kind, is_nullable),
        }
    }

    fn walk_optional_struct(&mut self, schema: &StructSchema) -> Result<(), ShapeError> {
        match self.take(1)?[0] as i8 {
            -1 => Ok(()),
            1 => self.walk_struct(schema),
            other => Err(ShapeError::BadPresence(other)),
        }
    }

    fn walk_array(&mut self, kind: Kind, is_nullable: bool) -> Result<(), ShapeError> {
        let Some(count) = self.take_length(is_nullable)? else { return Ok(()) };
        let (least_size_bytes, memory_size_bytes) = self.element_sizes(kind);
        if count > self.rest.len() / least_size_bytes {
            return Err(ShapeError::Truncated);
        }
        self.elements_left = self.elements_left.checked_sub(count).ok_or(ShapeError::TooManyElements)?;
        // No overflow: the count is below the bytes at hand, and an element below 64 KiB.
        self.memory_size_bytes += count * memory_size_bytes;
        match kind {
            Kind::Bool | Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::Uuid => {
                self.take(count * least_size_bytes)?;
            }
            Kind::String | Kind::Bytes | Kind::Struct(_) => {
                for _ in 0..count {
                    self.walk_value(kind, false)?;
                }
            }
        }
        Ok(())
    }

    /// Least size on the wire, which is the exact one for numbers, and size in memory of an array's element.
    fn element_sizes(&self, kind: Kind) -> (usize, usize) {
        match kind {
            Kind::Bool | Kind::Int8 => (1, 1),
            Kind::Int16 => (2, 2),
            Kind::Int32 => (4, 4),
            Kind::Int64 => (8, 8),
            Kind::Uuid => (16, 16),
            Kind::String => (if self.is_flexible { 1 } else { 2 }, HANDLE_SIZE_BYTES),
            Kind::Bytes => (if self.is_flexible { 1 } else { 4 }, HANDLE_SIZE_BYTES),
            Kind::Struct(index) => {
                let schema = StructSchema::by_index(index);
                (usize::from(schema.least_size_bytes), usize::from(schema.memory_size_bytes))
            }
        }
    }

    fn walk_value(&mut self, kind: Kind, is_nullable: bool) -> Result<(), ShapeError> {
        match kind {
            Kind::Bool | Kind::Int8 => self.take(1).map(drop),
            Kind::Int16 => self.take(2).map(drop),
            Kind::Int32 => self.take(4).map(drop),
            Kind::Int64 => self.take(8).map(drop),
            Kind::Uuid => self.take(16).map(drop),
            Kind::String => self.walk_string(is_nullable),
            Kind::Bytes => match self.take_length(is_nullable)? {
                Some(size) => self.take(size).map(drop),
                None => Ok(()),
            },
            Kind::Struct(index) => self.walk_struct(StructSchema::by_index(index)),
        }
    }

    fn walk_string(&mut self, is_nullable: bool) -> Result<(), ShapeError> {
        let size = if self.is_flexible {
            self.take_compact_length(is_nullable)?
        } else {
            self.take_short_length(is_nullable)?
        };
        let Some(size) = size else { return Ok(()) };
        if size > LONGEST_STRING_SIZE_BYTES {
            return Err(ShapeError::LongString(size));
        }
        std::str::from_utf8(self.take(size)?).map(drop).map_err(|_| ShapeError::BadUtf8)
    }

    /// KIP-482: a count, then number, size and value of each tag, numbers ascending. `known` are the struct's
    /// fields; among them those with a tag.
    pub(super) fn walk_tags(&mut self, known: &[Field]) -> Result<(), ShapeError> {
        let count = self.take_varint()?;
        let mut least_tag = 0;
        for _ in 0..count {
            let tag = self.take_varint()?;
            if tag < least_tag || tag > i32::MAX as u32 {
                return Err(ShapeError::BadTag(tag));
            }
            least_tag = tag + 1;
            let size = self.take_varint()? as usize;
            let value = self.take(size)?;
            match known.iter().find(|field| field.tag.is_some_and(|number| u32::from(number) == tag)) {
                Some(field) if field.versions.contain(self.version) => {
                    self.walk_tagged(field, tag, value)?;
                }
                // The codec crate refuses it. Kafka would skip it as unknown, but no writer sends it.
                Some(_) => return Err(ShapeError::TagNotInVersion(tag)),
                None => {
                    self.tags_left = self.tags_left.checked_sub(1).ok_or(ShapeError::TooManyTags)?;
                    self.memory_size_bytes += MEMORY_PER_TAG;
                }
            }
        }
        Ok(())
    }

    /// A known tag's value is walked inside its declared size, and fills it.
    fn walk_tagged(&mut self, field: &Field, tag: u32, value: &'a [u8]) -> Result<(), ShapeError> {
        let after = std::mem::replace(&mut self.rest, value);
        self.walk_field(field)?;
        let unread = std::mem::replace(&mut self.rest, after);
        if unread.is_empty() { Ok(()) } else { Err(ShapeError::BadTagSize(tag)) }
    }

    /// The count of an array or the size of a byte field; `None` is null.
    fn take_length(&mut self, is_nullable: bool) -> Result<Option<usize>, ShapeError> {
        if self.is_flexible {
            return self.take_compact_length(is_nullable);
        }
        let length = i32::from_be_bytes(self.take_fixed()?);
        read_length(length, is_nullable)
    }

    pub(super) fn take_short_length(&mut self, is_nullable: bool) -> Result<Option<usize>, ShapeError> {
        let length = i16::from_be_bytes(self.take_fixed()?);
        read_length(i32::from(length), is_nullable)
    }

    fn take_compact_length(&mut self, is_nullable: bool) -> Result<Option<usize>, ShapeError> {
        match (self.take_varint()?, is_nullable) {
            (0, true) => Ok(None),
            (0, false) => Err(ShapeError::UnexpectedNull),
            (length_plus_one, _) => Ok(Some(length_plus_one as usize - 1)),
        }
    }

    /// An unsigned varint of at most five bytes and 32 bits (`ByteUtils.readUnsignedVarint`).
    fn take_varint(&mut self) -> Result<u32, ShapeError> {
        let mut value = 0;
        for position in 0..5 {
            let byte = u32::from(self.take(1)?[0]);
            value |= (byte & 0x7f) << (7 * position);
            if byte < 0x80 {
                // The fifth byte has room for four bits; more would be lost silently.
                return if position == 4 && byte > 0x0f { Err(ShapeError::BadVarint) } else { Ok(value) };
            }
        }
        Err(ShapeError::BadVarint)
    }

    pub(super) fn take_fixed<const N: usize>(&mut self) -> Result<[u8; N], ShapeError> {
        let (value, rest) = self.rest.split_first_chunk::<N>().ok_or(ShapeError::Truncated)?;
        self.rest = rest;
        Ok(*value)
    }

    pub(super) fn take(&mut self, size: usize) -> Result<&'a [u8], ShapeError> {
        let (value, rest) = self.rest.split_at_checked(size).ok_or(ShapeError::Truncated)?;
        self.rest = rest;
        Ok(value)
    }
}

/// Minus one is null. Kafka reads every negative length as null; writers only know this one.
fn read_length(length: i32, is_nullable: bool) -> Result<Option<usize>, ShapeError> {
    match usize::try_from(length) {
        Ok(length) => Ok(Some(length)),
        Err(_) if length != -1 => Err(ShapeError::NegativeLength(length)),
        Err(_) if is_nullable => Ok(None),
        Err(_) => Err(ShapeError::UnexpectedNull),
    }
}
