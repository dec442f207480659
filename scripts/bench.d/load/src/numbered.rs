//! Batches that say which they are: all alike, but for the partition and the number in the value of the last record.
//!
//! Whoever reads them knows what each must be from where it stands, whichever process wrote it.

use anyhow::ensure;

use crate::batch::{self, HEADER_SIZE_BYTES, Summary};

/// The partition and the number, at the end of the last value.
const STAMP_SIZE_BYTES: usize = 4 + 8;
/// The header count, behind the last value.
const RECORD_END_SIZE_BYTES: usize = 1;

pub struct Numbered {
    template: Vec<u8>,
    record_count: i64,
}

impl Numbered {
    pub fn new(record_count: usize, value_size_bytes: usize) -> anyhow::Result<Numbered> {
        ensure!(
            record_count > 0 && value_size_bytes >= STAMP_SIZE_BYTES,
            "no place for the number of a batch"
        );
        let template = batch::build(record_count, value_size_bytes, None);
        Ok(Numbered { template, record_count: record_count as i64 })
    }

    pub fn template(&self) -> &[u8] {
        &self.template
    }

    /// Of the batch with `number`, when the partition has only batches of this kind.
    pub fn base_offset(&self, number: u64) -> i64 {
        number as i64 * self.record_count
    }

    /// The number of the batch that begins at `offset`.
    pub fn number(&self, offset: i64) -> anyhow::Result<u64> {
        ensure!(
            offset % self.record_count == 0,
            "no batch of {} records begins at {offset}",
            self.record_count
        );
        Ok((offset / self.record_count) as u64)
    }

    /// Checks the CRC, the offset and every byte of the records of a batch that was read at `position`.
    pub fn check(&self, batch: &[u8], partition: i32, position: i64) -> anyhow::Result<Summary> {
        let summary = batch::inspect(batch, true)?;
        let base_offset = summary.base_offset;
        ensure!(base_offset == position, "offset {base_offset} where {position} is due");
        let stamp_at = stamp_at(&self.template);
        ensure!(
            batch.len() == self.template.len()
                && batch[HEADER_SIZE_BYTES..stamp_at] == self.template[HEADER_SIZE_BYTES..stamp_at],
            "the records at offset {position} are not those that were produced"
        );
        ensure!(
            batch[stamp_at..stamp_at + STAMP_SIZE_BYTES] == encode(partition, self.number(position)?),
            "the batch at offset {position} is another one than was produced there"
        );
        Ok(summary)
    }
}

/// Makes a copy of the template the batch with `number` of a partition.
pub fn stamp(batch: &mut [u8], partition: i32, number: u64) {
    let stamp_at = stamp_at(batch);
    batch[stamp_at..stamp_at + STAMP_SIZE_BYTES].copy_from_slice(&encode(partition, number));
    batch::seal(batch);
}

fn stamp_at(batch: &[u8]) -> usize {
    batch.len() - RECORD_END_SIZE_BYTES - STAMP_SIZE_BYTES
}

fn encode(partition: i32, number: u64) -> [u8; STAMP_SIZE_BYTES] {
    let mut stamp = [0; STAMP_SIZE_BYTES];
    stamp[..4].copy_from_slice(&partition.to_be_bytes());
    stamp[4..].copy_from_slice(&number.to_be_bytes());
    stamp
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batch 2 of partition 7, as the broker stores it.
    fn stored(numbered: &Numbered) -> Vec<u8> {
        let mut batch = numbered.template().to_vec();
        stamp(&mut batch, 7, 2);
        batch[..8].copy_from_slice(&numbered.base_offset(2).to_be_bytes());
        batch
    }

    #[test]
    fn a_batch_passes_only_where_it_belongs() {
        let numbered = Numbered::new(3, 20).unwrap();
        let batch = stored(&numbered);
        assert_eq!(numbered.check(&batch, 7, 6).unwrap().next_offset, 9);
        assert!(numbered.check(&batch, 7, 3).is_err());
        assert!(numbered.check(&batch, 6, 6).is_err());
    }

    #[test]
    fn another_batch_at_the_same_offset_is_refused() {
        let numbered = Numbered::new(3, 20).unwrap();
        let mut batch = stored(&numbered);
        stamp(&mut batch, 7, 1);
        assert!(numbered.check(&batch, 7, 6).is_err());
    }

    #[test]
    fn changed_records_are_refused_though_their_crc_fits() {
        let numbered = Numbered::new(3, 20).unwrap();
        let mut batch = stored(&numbered);
        batch[HEADER_SIZE_BYTES + 10] ^= 1;
        batch::seal(&mut batch);
        assert!(numbered.check(&batch, 7, 6).is_err());
    }
}
