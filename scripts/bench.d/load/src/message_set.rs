//! Message sets of formats 0 and 1, which clients before 0.11 write and read: built ahead of a run, and checked.
//!
//! A compressed set is one message around all others. With format 1 those within count from 0 and the one around has
//! the offset of the last (KIP-31).

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};

use crate::codec::Codec;
use crate::value::{Content, Values};

const SIZE_AT: usize = 8;
const SIZE_END: usize = 12;
const MAGIC_AT: usize = 4;
const CRC_END: usize = 4;
const CODEC_BITS: u8 = 0x07;
const NULL: i32 = -1;

/// What a set is made of.
#[derive(Clone, Copy)]
pub struct Shape {
    /// 0 or 1.
    pub format: u8,
    pub message_count: usize,
    pub value_size_bytes: usize,
    /// None or gzip: the codec that both formats and every old client know.
    pub codec: Codec,
}

/// Builds a set of messages without keys, all written at this moment.
pub fn build(shape: &Shape) -> anyhow::Result<Vec<u8>> {
    ensure!(shape.format <= 1, "message sets have format 0 or 1");
    ensure!(
        matches!(shape.codec, Codec::None | Codec::Gzip),
        "old sets are compressed with gzip or not at all"
    );
    let mut values = Values::new(if shape.codec == Codec::None { Content::Noise } else { Content::Events });
    let mut set = Vec::new();
    for offset in 0..shape.message_count {
        let mut value = Vec::with_capacity(shape.value_size_bytes);
        values.append(&mut value, shape.value_size_bytes);
        append_message(&mut set, offset as i64, shape.format, Codec::None, &value);
    }
    if shape.codec == Codec::None {
        return Ok(set);
    }
    let compressed = shape.codec.compress(set)?;
    let mut around = Vec::new();
    append_message(&mut around, shape.message_count as i64 - 1, shape.format, shape.codec, &compressed);
    Ok(around)
}

fn append_message(set: &mut Vec<u8>, offset: i64, format: u8, codec: Codec, value: &[u8]) {
    let mut message = vec![format, codec as u8];
    if format == 1 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        message.extend_from_slice(&(since_1970.as_millis() as i64).to_be_bytes());
    }
    message.extend_from_slice(&NULL.to_be_bytes()); // no key
    message.extend_from_slice(&(value.len() as i32).to_be_bytes());
    message.extend_from_slice(value);
    let crc = crc32fast::hash(&message);
    set.extend_from_slice(&offset.to_be_bytes());
    set.extend_from_slice(&((CRC_END + message.len()) as i32).to_be_bytes());
    set.extend_from_slice(&crc.to_be_bytes());
    set.extend_from_slice(&message);
}

/// A message at the outside of a set.
pub struct Message<'a> {
    pub offset: i64,
    pub size_bytes: usize,
    /// From its CRC on.
    bytes: &'a [u8],
}

/// Takes the next whole message off `set`; None when only a cut-off one is left.
pub fn next<'a>(set: &mut &'a [u8]) -> Option<Message<'a>> {
    let offset = i64::from_be_bytes(set.get(..SIZE_AT)?.try_into().expect("the range has eight bytes"));
    let size = set.get(SIZE_AT..SIZE_END)?.try_into().expect("the range has four bytes");
    let end = SIZE_END + u32::from_be_bytes(size) as usize;
    let (message, rest) = set.split_at_checked(end)?;
    *set = rest;
    Some(Message { offset, size_bytes: end, bytes: &message[SIZE_END..] })
}

impl Message<'_> {
    /// How many messages it is or holds; they must be of `format`, whole, with their CRCs, one offset after the other.
    pub fn check(&self, format: u8) -> anyhow::Result<u64> {
        let (codec, value) = self.open(format)?;
        if codec == Codec::None as u8 {
            return Ok(1);
        }
        ensure!(codec == Codec::Gzip as u8, "a message has codec {codec}");
        let mut within = Vec::new();
        flate2::read::MultiGzDecoder::new(value).read_to_end(&mut within).context("decompress a message")?;
        let (mut rest, mut count) = (&within[..], 0);
        let mut last = None;
        while let Some(message) = next(&mut rest) {
            let (codec, _) = message.open(format)?;
            ensure!(codec == Codec::None as u8, "a compressed message within another");
            if let Some(last) = last.replace(message.offset) {
                ensure!(message.offset == last + 1, "offset {} behind {last}", message.offset);
            }
            count += 1;
        }
        ensure!(rest.is_empty(), "a compressed set ends within a message");
        let last = last.context("a compressed set is empty")?;
        let due = if format == 0 { self.offset } else { count as i64 - 1 };
        ensure!(last == due, "the last message within has offset {last} where {due} is due");
        Ok(count)
    }

    /// The codec and the value.
    fn open(&self, format: u8) -> anyhow::Result<(u8, &[u8])> {
        let (crc, message) = self.bytes.split_first_chunk::<CRC_END>().context("a message ends too early")?;
        ensure!(crc32fast::hash(message) == u32::from_be_bytes(*crc), "a message has a wrong CRC");
        ensure!(self.bytes.get(MAGIC_AT) == Some(&format), "a message has another format than {format}");
        let key_at = if format == 0 { 2 } else { 10 };
        let Some((key, rest)) = message.get(key_at..).and_then(|rest| rest.split_first_chunk::<4>()) else {
            bail!("a message ends too early");
        };
        ensure!(i32::from_be_bytes(*key) == NULL, "a message has a key that nobody wrote");
        let (size, value) = rest.split_first_chunk::<4>().context("a message ends too early")?;
        ensure!(u32::from_be_bytes(*size) as usize == value.len(), "a value has another size than it says");
        Ok((message[1] & CODEC_BITS, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_passes_the_check_and_a_flipped_bit_does_not() {
        for (format, codec, outside) in
            [(0, Codec::None, 3), (1, Codec::None, 3), (0, Codec::Gzip, 1), (1, Codec::Gzip, 1)]
        {
            let shape = Shape { format, message_count: 3, value_size_bytes: 100, codec };
            let mut built = build(&shape).unwrap();
            let (mut rest, mut counts) = (&built[..], Vec::new());
            while let Some(message) = next(&mut rest) {
                assert!(message.check(1 - format).is_err());
                counts.push(message.check(format).unwrap());
            }
            assert_eq!((counts.len(), counts.iter().sum::<u64>()), (outside, 3));
            *built.last_mut().unwrap() ^= 1;
            let mut rest = &built[..];
            let last = std::iter::from_fn(|| next(&mut rest)).last().unwrap();
            assert!(last.check(format).is_err());
        }
    }
}
