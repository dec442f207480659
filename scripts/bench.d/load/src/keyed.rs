//! Batches of keyed records, and the sequence of updates that fills them.
//!
//! The sequence is the same in every process, so whoever repeats it knows the newest version of each key. All records
//! have the same size: a batch is laid out once, then only its keys and versions are patched.

use anyhow::{Context, ensure};

use crate::batch::{self, HEADER_SIZE_BYTES, Shape};
use crate::codec::Codec;

const KEY_SIZE_BYTES: usize = 8;
const VERSION_SIZE_BYTES: usize = 8;
/// What a value has behind its version.
const FILLING: u8 = b'k';

/// A key and the version it gets; versions count the updates of a partition, from 1.
#[derive(Clone, Copy)]
pub struct Update {
    pub key: u64,
    pub version: u64,
}

/// The updates of one partition: random keys (xorshift), the same in every run.
pub struct Updates {
    state: u64,
    key_count: u64,
    version: u64,
}

impl Updates {
    pub fn new(partition: i32, key_count: u64) -> Updates {
        Updates { state: 0x9e37_79b9_7f4a_7c15 ^ (partition as u64 + 1), key_count, version: 0 }
    }

    pub fn next(&mut self) -> Update {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.version += 1;
        Update { key: self.state % self.key_count, version: self.version }
    }
}

/// A batch and where its keys and versions stand.
pub struct Layout {
    pub template: Vec<u8>,
    /// Key and version of each record.
    fields_at: Vec<(usize, usize)>,
}

impl Layout {
    pub fn new(record_count: usize, value_size_bytes: usize) -> anyhow::Result<Layout> {
        ensure!(value_size_bytes >= VERSION_SIZE_BYTES, "no place for the version in a value");
        let mut records = Vec::new();
        let mut fields_at = Vec::new();
        for offset_delta in 0..record_count {
            let mut record = vec![0]; // attributes
            batch::append_varint(&mut record, 0); // timestamp delta
            batch::append_varint(&mut record, offset_delta as i64);
            batch::append_varint(&mut record, KEY_SIZE_BYTES as i64);
            let key_at = record.len();
            record.extend_from_slice(&[0; KEY_SIZE_BYTES]);
            batch::append_varint(&mut record, value_size_bytes as i64);
            let version_at = record.len();
            record.extend_from_slice(&[0; VERSION_SIZE_BYTES]);
            record.resize(version_at + value_size_bytes, FILLING);
            batch::append_varint(&mut record, 0); // headers
            batch::append_varint(&mut records, record.len() as i64);
            let record_at = HEADER_SIZE_BYTES + records.len();
            fields_at.push((record_at + key_at, record_at + version_at));
            records.extend_from_slice(&record);
        }
        let shape = Shape { record_count, value_size_bytes, codec: Codec::None };
        let mut template = batch::header(&shape, None, &records);
        template.extend_from_slice(&records);
        Ok(Layout { template, fields_at })
    }

    /// Makes a copy of the template the next batch of `updates`.
    pub fn fill(&self, batch: &mut [u8], updates: &mut Updates) {
        for (key_at, version_at) in &self.fields_at {
            let Update { key, version } = updates.next();
            batch[*key_at..key_at + KEY_SIZE_BYTES].copy_from_slice(&key.to_be_bytes());
            batch[*version_at..version_at + VERSION_SIZE_BYTES].copy_from_slice(&version.to_be_bytes());
        }
        batch::seal(batch);
    }
}

/// Hands the update in each record of a batch to `take`; fails unless the values are as they were written.
pub fn read(
    batch: &[u8],
    value_size_bytes: usize,
    mut take: impl FnMut(Update) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let record_count = batch::inspect(batch, true)?.record_count;
    let mut rest = &batch[HEADER_SIZE_BYTES..];
    for _ in 0..record_count {
        let record_size_bytes = read_varint(&mut rest)? as usize;
        let (mut record, behind) =
            rest.split_at_checked(record_size_bytes).context("a record ends behind its batch")?;
        rest = behind;
        take_bytes(&mut record, 1)?; // attributes
        read_varint(&mut record)?; // timestamp delta
        read_varint(&mut record)?; // offset delta
        ensure!(read_varint(&mut record)? == KEY_SIZE_BYTES as i64, "a key of another size than was written");
        let key = read_number(&mut record)?;
        let found_size_bytes = read_varint(&mut record)?;
        ensure!(found_size_bytes == value_size_bytes as i64, "a value of {found_size_bytes} bytes");
        let version = read_number(&mut record)?;
        let filling = take_bytes(&mut record, value_size_bytes - VERSION_SIZE_BYTES)?;
        ensure!(filling.iter().all(|byte| *byte == FILLING), "the value of key {key} was changed");
        take(Update { key, version })?;
    }
    ensure!(rest.is_empty(), "a batch goes on behind its last record");
    Ok(())
}

fn take_bytes<'a>(rest: &mut &'a [u8], size_bytes: usize) -> anyhow::Result<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(size_bytes).context("a record ends too early")?;
    *rest = behind;
    Ok(taken)
}

fn read_number(rest: &mut &[u8]) -> anyhow::Result<u64> {
    let bytes = take_bytes(rest, 8)?;
    Ok(u64::from_be_bytes(bytes.try_into().expect("the range has eight bytes")))
}

fn read_varint(rest: &mut &[u8]) -> anyhow::Result<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take_bytes(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    anyhow::bail!("a varint of a record is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_read_back() {
        let layout = Layout::new(100, 300).unwrap();
        let mut batch = layout.template.clone();
        let mut updates = Updates::new(3, 10);
        layout.fill(&mut batch, &mut updates);
        layout.fill(&mut batch, &mut updates);
        let mut again = Updates::new(3, 10);
        (0..100).for_each(|_| _ = again.next());
        read(&batch, 300, |found| {
            let due = again.next();
            assert_eq!((found.key, found.version), (due.key, due.version));
            Ok(())
        })
        .unwrap();
        assert_eq!(again.version, 200);
    }

    #[test]
    fn a_changed_value_is_refused_though_its_crc_fits() {
        let layout = Layout::new(2, 100).unwrap();
        let mut batch = layout.template.clone();
        layout.fill(&mut batch, &mut Updates::new(0, 10));
        assert!(read(&batch, 100, |_| Ok(())).is_ok());
        let in_value = batch.len() - 5;
        batch[in_value] ^= 1;
        batch::seal(&mut batch);
        assert!(read(&batch, 100, |_| Ok(())).is_err());
    }
}
