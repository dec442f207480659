//! What the codec crate lacks of cold messages is read with this: a [`Reader`] whose strings share the memory of the
//! message, as the crate's do. It decides nothing; lengths and counts are the reader's to bound.

use bytes::Bytes;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::protocol::buf::ByteBuf;

use super::wire::{Malformed, Reader};

/// A message that is being read.
pub struct Body<'a> {
    bytes: &'a Bytes,
    pub reader: Reader<'a>,
}

impl Body<'_> {
    /// Takes what `read` reads off the front of `buffer`. `flexible`: the version has compact lengths and tagged fields.
    pub fn take<T>(
        buffer: &mut impl ByteBuf,
        flexible: bool,
        read: impl FnOnce(&mut Body<'_>) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        let bytes = buffer.peek_bytes(0..buffer.remaining());
        let mut body = Body { bytes: &bytes, reader: Reader::new(&bytes, 0, flexible) };
        let message = read(&mut body)?;
        buffer.advance(body.reader.position());
        Ok(message)
    }

    pub fn nullable_string(&mut self) -> Result<Option<StrBytes>, Malformed> {
        let range = self.reader.nullable_string_bytes()?;
        // Here it is seen whether it is UTF-8.
        let shared = range.map(|range| StrBytes::from_utf8(self.bytes.slice(range)));
        shared.transpose().map_err(|_| Malformed("a string is not UTF-8"))
    }

    pub fn string(&mut self) -> Result<StrBytes, Malformed> {
        self.nullable_string()?.ok_or(Malformed("a string that must not be null is null"))
    }

    pub fn topic_name(&mut self) -> Result<TopicName, Malformed> {
        self.string().map(TopicName)
    }

    /// An array that must not be null, whose elements take at least `least_size` bytes each.
    pub fn array<T>(
        &mut self,
        least_size: usize,
        read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let elements = self.nullable_array(least_size, read)?;
        elements.ok_or(Malformed("an array that must not be null is null"))
    }

    /// As [`Body::array`], `None` for null.
    pub fn nullable_array<T>(
        &mut self,
        least_size: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<Vec<T>>, Malformed> {
        let Some(count) = self.reader.nullable_array_count(least_size)? else { return Ok(None) };
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(read(self)?);
        }
        Ok(Some(elements))
    }

    pub fn int32s(&mut self) -> Result<Vec<i32>, Malformed> {
        self.array(4, |body| body.reader.i32())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use kafka_protocol::protocol::Decodable;

    use super::*;
    use crate::fuzz::memory::allocated_by;
    use crate::fuzz::smoke;
    use crate::protocol::shapes::generator::{Size, generate};
    use crate::protocol::shapes::{Limits, check};

    /// What the walker accepts can be read, to where the walker says, within the memory that it states.
    pub fn reads_what_the_walker_accepts<T: Decodable>(name: &str, key: i16, version: i16) {
        let mut rng = fastrand::Rng::with_seed(10);
        let corpus: Vec<Vec<u8>> = [0, 1, 2, 4]
            .map(|elements| generate(key, version, Size { elements, unknown_tags: elements > 1 }, &mut rng))
            .into();
        smoke(name, &corpus, 100_000, |body| {
            let Ok(shape) = check(key, version, body, &Limits::default()) else { return };
            let mut bytes = Bytes::copy_from_slice(body);
            let (decoded, allocated) = allocated_by(|| T::decode(&mut bytes, version).is_ok());
            assert!(decoded, "the walker accepts what cannot be read");
            assert_eq!(body.len() - bytes.len(), shape.body_size_bytes, "walker and reader end apart");
            assert!(allocated <= shape.decoded_size_bytes, "{allocated} > {}", shape.decoded_size_bytes);
        });
    }
}
