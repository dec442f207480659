//! Record batches v2: one is built ahead of the run, then only its sequence is patched.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;

use crate::codec::Codec;
use crate::value::{Content, Values};

/// The header of a batch, up to its first record.
pub const HEADER_SIZE_BYTES: usize = 61;
const LENGTH_AT: usize = 8;
const LENGTH_END: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const LAST_OFFSET_DELTA_AT: usize = 23;
const SEQUENCE_AT: usize = 53;
const COUNT_AT: usize = 57;
const TRANSACTIONAL: u8 = 0x10;
const CONTROL: u8 = 0x20;
const NO_PRODUCER_ID: i64 = -1;
const NO_PRODUCER_EPOCH: i16 = -1;
const NO_SEQUENCE: i32 = -1;

/// The producer id and epoch of InitProducerId.
#[derive(Clone, Copy)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
}

/// What a batch is made of.
#[derive(Clone, Copy)]
pub struct Shape {
    pub record_count: usize,
    pub value_size_bytes: usize,
    /// Values that are to be compressed are of text, others of noise.
    pub codec: Codec,
}

/// Builds an uncompressed batch of records without keys, all written at this moment.
pub fn build(record_count: usize, value_size_bytes: usize, producer: Option<Producer>) -> Vec<u8> {
    let shape = Shape { record_count, value_size_bytes, codec: Codec::None };
    let records = encode_records(&shape);
    [header(&shape, producer, &records), records].concat()
}

/// The header of a batch that is written at this moment, with these records, which `records` made.
pub fn header(shape: &Shape, producer: Option<Producer>, records: &[u8]) -> Vec<u8> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    let timestamp = since_1970.as_millis() as i64;
    let Producer { id, epoch } =
        producer.unwrap_or(Producer { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH });
    let sequence = if producer.is_some() { 0 } else { NO_SEQUENCE };
    let record_count = shape.record_count as i32;
    let length = (HEADER_SIZE_BYTES + records.len() - LENGTH_END) as i32;

    let mut header = vec![0; LENGTH_AT];
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(&[0; 4]); // partition leader epoch
    header.push(2);
    header.extend_from_slice(&[0; 4]); // CRC
    header.extend_from_slice(&(shape.codec as i16).to_be_bytes()); // attributes: CreateTime, no transaction
    header.extend_from_slice(&(record_count - 1).to_be_bytes());
    header.extend_from_slice(&timestamp.to_be_bytes());
    header.extend_from_slice(&timestamp.to_be_bytes());
    header.extend_from_slice(&id.to_be_bytes());
    header.extend_from_slice(&epoch.to_be_bytes());
    header.extend_from_slice(&sequence.to_be_bytes());
    header.extend_from_slice(&record_count.to_be_bytes());
    assert!(header.len() == HEADER_SIZE_BYTES, "a batch header has 61 bytes");
    seal_apart(&mut header, records);
    header
}

/// The records of a batch, without keys, compressed.
pub fn records(shape: &Shape) -> anyhow::Result<Vec<u8>> {
    shape.codec.compress(encode_records(shape))
}

fn encode_records(shape: &Shape) -> Vec<u8> {
    let mut values = Values::new(if shape.codec == Codec::None { Content::Noise } else { Content::Events });
    let mut records = Vec::new();
    for offset_delta in 0..shape.record_count {
        let mut record = vec![0]; // attributes
        append_varint(&mut record, 0); // timestamp delta
        append_varint(&mut record, offset_delta as i64);
        append_varint(&mut record, -1); // no key
        append_varint(&mut record, shape.value_size_bytes as i64);
        values.append(&mut record, shape.value_size_bytes);
        append_varint(&mut record, 0); // headers
        append_varint(&mut records, record.len() as i64);
        records.extend_from_slice(&record);
    }
    records
}

pub fn set_sequence(batch: &mut [u8], sequence: i32) {
    let (header, records) = batch.split_at_mut(HEADER_SIZE_BYTES);
    set_sequence_apart(header, records, sequence);
}

/// Makes the batch one of another producer, or epoch, and sequence.
pub fn set_producer(batch: &mut [u8], producer: Producer, sequence: i32) {
    batch[PRODUCER_ID_AT..PRODUCER_EPOCH_AT].copy_from_slice(&producer.id.to_be_bytes());
    batch[PRODUCER_EPOCH_AT..SEQUENCE_AT].copy_from_slice(&producer.epoch.to_be_bytes());
    set_sequence(batch, sequence);
}

/// Makes the batch a part of a transaction; it is to be sealed by a new sequence.
pub fn set_transactional(batch: &mut [u8]) {
    batch[ATTRIBUTES_AT + 1] |= TRANSACTIONAL;
}

/// Overwrites the sequence in the header of a batch whose records stand elsewhere; returns the CRC of the batch.
pub fn set_sequence_apart(header: &mut [u8], records: &[u8], sequence: i32) -> u32 {
    header[SEQUENCE_AT..COUNT_AT].copy_from_slice(&sequence.to_be_bytes());
    seal_apart(header, records)
}

/// Fills in the CRC of a batch that was changed.
pub fn seal(batch: &mut [u8]) {
    let (header, records) = batch.split_at_mut(HEADER_SIZE_BYTES);
    seal_apart(header, records);
}

fn seal_apart(header: &mut [u8], records: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[ATTRIBUTES_AT..]), records);
    header[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    crc
}

/// The sequence of the first record. The batch must have passed `inspect`.
pub fn sequence(batch: &[u8]) -> i32 {
    i32::from_be_bytes(batch[SEQUENCE_AT..COUNT_AT].try_into().expect("the range has four bytes"))
}

/// The CRC that a batch's header says.
pub fn crc(batch: &[u8]) -> u32 {
    u32::from_be_bytes(batch[CRC_AT..ATTRIBUTES_AT].try_into().expect("the range has four bytes"))
}

pub fn append_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// What a reader checks of a batch it consumed.
pub struct Summary {
    pub base_offset: i64,
    pub record_count: i32,
    /// What the batch says, and what its bytes give if that is checked.
    pub crc: u32,
    /// What follows the batch; a compacted one has fewer records than offsets.
    pub next_offset: i64,
}

/// Takes the next whole batch off `records`; None when only a cut-off one is left (KIP-74 allows that).
pub fn next<'a>(records: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = records.get(LENGTH_AT..LENGTH_END)?;
    let length = u32::from_be_bytes(length.try_into().expect("the range has four bytes")) as usize;
    let (batch, rest) = records.split_at_checked(LENGTH_END + length)?;
    *records = rest;
    Some(batch)
}

pub fn inspect(batch: &[u8], check_crc: bool) -> anyhow::Result<Summary> {
    ensure!(batch.len() >= HEADER_SIZE_BYTES && batch[MAGIC_AT] == 2, "what was consumed is no batch v2");
    let field =
        |at: usize| i32::from_be_bytes(batch[at..at + 4].try_into().expect("the range has four bytes"));
    let crc = crc(batch);
    if check_crc {
        ensure!(crc32c::crc32c(&batch[ATTRIBUTES_AT..]) == crc, "a consumed batch has a wrong CRC");
    }
    let base_offset = i64::from_be_bytes(batch[..LENGTH_AT].try_into().expect("the range has eight bytes"));
    let next_offset = base_offset + i64::from(field(LAST_OFFSET_DELTA_AT)) + 1;
    Ok(Summary { base_offset, record_count: field(COUNT_AT), next_offset, crc })
}

/// Whether the batch is the marker at the end of a transaction. It must have passed `inspect`.
pub fn is_control(batch: &[u8]) -> bool {
    batch[ATTRIBUTES_AT + 1] & CONTROL != 0
}

/// Producer id, epoch and sequence, as they stand in the batch: no two batches of a partition share them. The batch
/// must have passed `inspect`.
pub fn written_by(batch: &[u8]) -> [u8; COUNT_AT - PRODUCER_ID_AT] {
    batch[PRODUCER_ID_AT..COUNT_AT].try_into().expect("the range has as many bytes as the array")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_batch_passes_inspection_and_a_flipped_bit_does_not() {
        let mut built = build(3, 100, None);
        let summary = inspect(&built, true).unwrap();
        assert_eq!((summary.base_offset, summary.record_count), (0, 3));
        let last = built.len() - 1;
        built[last] ^= 1;
        assert!(inspect(&built, true).is_err());
        assert!(inspect(&built, false).is_ok());
    }

    #[test]
    fn a_new_sequence_is_sealed_again() {
        let mut built = build(1, 100, Some(Producer { id: 7, epoch: 0 }));
        let first = built.clone();
        let (header, records) = built.split_at_mut(HEADER_SIZE_BYTES);
        let sealed = set_sequence_apart(header, records, 63);
        assert_eq!(sealed, crc(&built));
        assert_eq!(sequence(&built), 63);
        assert_ne!(built[CRC_AT..ATTRIBUTES_AT], first[CRC_AT..ATTRIBUTES_AT]);
        assert!(inspect(&built, true).is_ok());
    }

    #[test]
    fn a_compressed_batch_says_so_and_passes_inspection() {
        let plain = build(20, 1024, None);
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let shape = Shape { record_count: 20, value_size_bytes: 1024, codec };
            let records = records(&shape).unwrap();
            let built = [header(&shape, None, &records), records].concat();
            assert_eq!(built[ATTRIBUTES_AT + 1], codec as u8);
            assert_eq!(inspect(&built, true).unwrap().record_count, 20);
            assert!(built.len() < plain.len());
        }
    }

    #[test]
    fn the_batch_of_a_transaction_names_its_producer() {
        let mut built = build(1, 100, Some(Producer { id: 7, epoch: 0 }));
        set_transactional(&mut built);
        let first = written_by(&built);
        set_producer(&mut built, Producer { id: 7, epoch: 1 }, 0);
        assert_ne!(written_by(&built), first);
        assert!(!is_control(&built));
        assert!(inspect(&built, true).is_ok());
    }

    #[test]
    fn batches_are_taken_until_one_is_cut_off() {
        let built = build(2, 10, None);
        let both = [built.clone(), built.clone()].concat();
        let mut rest = &both[..both.len() - 1];
        assert_eq!(next(&mut rest), Some(built.as_slice()));
        assert_eq!(next(&mut rest), None);
    }
}
