//! Reading and writing the primitives of Kafka's flexible message format: what metadata records are made of.
//!
//! Pure. A [`Reader`] survives any bytes: it answers [`Malformed`] and never allocates more than the bytes it
//! was given can describe.

use std::fmt;

use crate::protocol::ids::{BrokerId, Uuid};

/// Bytes that are not what they should be; says what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl Malformed {
    pub(super) fn new(what: impl Into<String>) -> Malformed {
        Malformed(what.into())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "malformed metadata: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// A cursor over bytes that somebody else wrote.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `size` bytes.
    pub fn bytes(&mut self, size: usize) -> Result<&'a [u8], Malformed> {
        if size > self.rest.len() {
            return Err(Malformed::new(format!("{size} bytes announced, {} left", self.rest.len())));
        }
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        Ok(taken)
    }

    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Malformed> {
        let mut array = [0; SIZE];
        array.copy_from_slice(self.bytes(SIZE)?);
        Ok(array)
    }

    pub fn i8(&mut self) -> Result<i8, Malformed> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub fn f64(&mut self) -> Result<f64, Malformed> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    pub fn bool(&mut self) -> Result<bool, Malformed> {
        Ok(self.i8()? != 0)
    }

    pub fn uuid(&mut self) -> Result<Uuid, Malformed> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    /// An unsigned varint of at most 32 bits.
    pub fn uvarint(&mut self) -> Result<u32, Malformed> {
        let mut value: u64 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Malformed::new("a varint above 32 bits"));
            }
        }
        Err(Malformed::new("a varint longer than 5 bytes"))
    }

    pub fn nullable_string(&mut self) -> Result<Option<String>, Malformed> {
        let Some(size) = self.uvarint()?.checked_sub(1) else { return Ok(None) };
        let text = std::str::from_utf8(self.bytes(size as usize)?)
            .map_err(|_| Malformed::new("text that is not UTF-8"))?;
        Ok(Some(text.to_owned()))
    }

    pub fn string(&mut self) -> Result<String, Malformed> {
        self.nullable_string()?.ok_or_else(|| Malformed::new("null where text must stand"))
    }

    /// Bytes behind their compact length.
    pub fn byte_field(&mut self) -> Result<Vec<u8>, Malformed> {
        let size =
            self.uvarint()?.checked_sub(1).ok_or_else(|| Malformed::new("null where bytes must stand"))?;
        Ok(self.bytes(size as usize)?.to_vec())
    }

    /// A compact array whose items take at least `least_size` bytes each; `None` for null.
    pub fn nullable_list<T>(
        &mut self,
        least_size: usize,
        mut item: impl FnMut(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Option<Vec<T>>, Malformed> {
        let Some(count) = self.uvarint()?.checked_sub(1) else { return Ok(None) };
        let count = count as usize;
        if count.saturating_mul(least_size) > self.rest.len() {
            return Err(Malformed::new(format!("{count} items announced, {} bytes left", self.rest.len())));
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(Some(items))
    }

    pub fn list<T>(
        &mut self,
        least_size: usize,
        item: impl FnMut(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.nullable_list(least_size, item)?.ok_or_else(|| Malformed::new("null where a list must stand"))
    }

    pub fn broker_ids(&mut self) -> Result<Vec<BrokerId>, Malformed> {
        self.list(4, |reader| Ok(BrokerId(reader.i32()?)))
    }

    pub fn uuids(&mut self) -> Result<Vec<Uuid>, Malformed> {
        self.list(16, |reader| reader.uuid())
    }

    /// Tagged fields: `known` reads the value of a tag and answers whether it knew the tag; a value must end
    /// exactly at its declared size.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<bool, Malformed>,
    ) -> Result<(), Malformed> {
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let mut value = Reader::new(self.bytes(size)?);
            if known(tag, &mut value)? && value.remaining() != 0 {
                return Err(Malformed::new(format!("tag {tag} is larger than its value")));
            }
        }
        Ok(())
    }

    /// Tagged fields none of which is known.
    pub fn no_tagged_fields(&mut self) -> Result<(), Malformed> {
        self.tagged_fields(|_, _| Ok(false))
    }
}

/// Appends primitives to a buffer.
pub trait Write {
    fn put_bytes(&mut self, bytes: &[u8]);

    fn put_i8(&mut self, value: i8) {
        self.put_bytes(&value.to_be_bytes());
    }

    fn put_i16(&mut self, value: i16) {
        self.put_bytes(&value.to_be_bytes());
    }

    fn put_u16(&mut self, value: u16) {
        self.put_bytes(&value.to_be_bytes());
    }

    fn put_i32(&mut self, value: i32) {
        self.put_bytes(&value.to_be_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put_bytes(&value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.put_bytes(&value.to_be_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put_bytes(&value.to_be_bytes());
    }

    fn put_f64(&mut self, value: f64) {
        self.put_bytes(&value.to_be_bytes());
    }

    fn put_bool(&mut self, value: bool) {
        self.put_i8(i8::from(value));
    }

    fn put_uuid(&mut self, value: Uuid) {
        self.put_bytes(value.as_bytes());
    }

    fn put_uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.put_bytes(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.put_bytes(&[value as u8]);
    }

    fn put_nullable_string(&mut self, value: Option<&str>) {
        let Some(text) = value else { return self.put_uvarint(0) };
        self.put_uvarint(text.len() as u32 + 1);
        self.put_bytes(text.as_bytes());
    }

    fn put_string(&mut self, value: &str) {
        self.put_nullable_string(Some(value));
    }

    /// Bytes behind their compact length.
    fn put_byte_field(&mut self, value: &[u8]) {
        self.put_uvarint(value.len() as u32 + 1);
        self.put_bytes(value);
    }

    /// The count of a compact array; its items follow.
    fn put_count(&mut self, count: usize) {
        self.put_uvarint(count as u32 + 1);
    }

    fn put_broker_ids(&mut self, ids: &[BrokerId]) {
        self.put_count(ids.len());
        for id in ids {
            self.put_i32(id.0);
        }
    }

    fn put_uuids(&mut self, uuids: &[Uuid]) {
        self.put_count(uuids.len());
        for uuid in uuids {
            self.put_uuid(*uuid);
        }
    }
}

impl Write for Vec<u8> {
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Collects the tagged fields of one structure, in the order of their tags.
#[derive(Default)]
pub struct TaggedFields {
    count: u32,
    bytes: Vec<u8>,
}

impl TaggedFields {
    /// Adds a field when it has a value.
    pub fn put<T>(&mut self, tag: u32, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
        let Some(value) = value else { return };
        let mut field = Vec::new();
        write(&mut field, value);
        self.count += 1;
        self.bytes.put_uvarint(tag);
        self.bytes.put_uvarint(field.len() as u32);
        self.bytes.put_bytes(&field);
    }

    pub fn write(self, out: &mut Vec<u8>) {
        out.put_uvarint(self.count);
        out.put_bytes(&self.bytes);
    }
}
