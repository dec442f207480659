//! The records of `__transaction_state`, in Kafka's schemas, so that stock tools print them
//! (`TransactionLogKey`, `TransactionLogValue`). Bytes of the log are parsed with suspicion.
//!
//! Values of versions 0 and 1 are read; the level of `transaction.version` says which one is written. Kafka:
//! `TransactionLog`. KIP-890: version 1 is flexible and has the ids before and after.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BufMut;
use imbl::OrdSet;

use super::command::TopicPartition;
use super::metadata::{NO_EPOCH, TransactionMetadata};
use super::state::State;
use crate::coordinator::shard::{KeyValue, MalformedRecord, TransactionalProducer};
use crate::protocol::ids::{PartitionIndex, ProducerEpoch, ProducerId, Timestamp};
use crate::protocol::wire::{self, Malformed, Reader};

const KEY_VERSION: i16 = 0;
const PLAIN_VALUE: i16 = 0;
const FLEXIBLE_VALUE: i16 = 1;

/// Tags of version 1. A value that is not set is not written. Tag 3, the next epoch, belongs to two-phase commit.
const PREVIOUS_ID_TAG: u32 = 0;
const NEXT_ID_TAG: u32 = 1;
const CLIENT_VERSION_TAG: u32 = 2;

/// One transactional id as it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub transactional_id: Arc<str>,
    /// `None` when the id has expired.
    pub value: Option<RecordValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordValue {
    /// All of it is in the log but for its last epoch; version 0 also leaves out the other ids and the client's version.
    pub metadata: TransactionMetadata,
    pub is_flexible: bool,
}

impl RecordValue {
    /// As it is written at this level of `transaction.version`.
    pub fn new(metadata: TransactionMetadata, transaction_version: i16) -> RecordValue {
        RecordValue { metadata, is_flexible: transaction_version >= 1 }
    }
}

pub fn encode(record: &Record) -> KeyValue {
    let mut key = Vec::with_capacity(4 + record.transactional_id.len());
    key.put_i16(KEY_VERSION);
    wire::put_string(&mut key, false, Some(&record.transactional_id));
    KeyValue { key, value: record.value.as_ref().map(encode_value) }
}

/// `None` for a key of a type that is not known here.
pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, MalformedRecord> {
    let in_key = |cause: Malformed| MalformedRecord(format!("key of a transaction: {cause}"));
    let mut reader = Reader::new(key, 0, false);
    if reader.i16().map_err(in_key)? != KEY_VERSION {
        return Ok(None);
    }
    let transactional_id = reader.owned_string().map_err(in_key)?.into();
    Ok(Some(Record { transactional_id, value: value.map(decode_value).transpose()? }))
}

/// What all keys begin with.
pub fn prefix() -> [u8; 2] {
    KEY_VERSION.to_be_bytes()
}

fn encode_value(value: &RecordValue) -> Vec<u8> {
    let RecordValue { metadata, is_flexible } = value;
    let is_flexible = *is_flexible;
    let mut out = Vec::with_capacity(64 + 32 * metadata.partitions.len());
    out.put_i16(if is_flexible { FLEXIBLE_VALUE } else { PLAIN_VALUE });
    out.put_i64(metadata.producer.id.0);
    out.put_i16(metadata.producer.epoch.0);
    out.put_i32(metadata.timeout_ms);
    out.put_i8(metadata.state.id());
    put_partitions(&mut out, metadata, is_flexible);
    out.put_i64(metadata.last_update.0);
    out.put_i64(metadata.start.0);
    if is_flexible {
        put_tagged_fields(&mut out, metadata);
    }
    out
}

fn put_partitions(out: &mut Vec<u8>, metadata: &TransactionMetadata, is_flexible: bool) {
    if metadata.state == State::Empty {
        return wire::put_null_array(out, is_flexible);
    }
    let mut topics: BTreeMap<&str, Vec<PartitionIndex>> = BTreeMap::new();
    for (topic, partition) in &metadata.partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    wire::put_count(out, is_flexible, topics.len());
    for (topic, partitions) in topics {
        wire::put_string(out, is_flexible, Some(topic));
        wire::put_count(out, is_flexible, partitions.len());
        partitions.iter().for_each(|partition| out.put_i32(partition.0));
        if is_flexible {
            wire::put_unsigned_varint(out, 0);
        }
    }
}

fn put_tagged_fields(out: &mut Vec<u8>, metadata: &TransactionMetadata) {
    let ids = [(PREVIOUS_ID_TAG, metadata.previous_id), (NEXT_ID_TAG, metadata.next_id)];
    let ids = ids.into_iter().filter(|(_, id)| *id != ProducerId::NONE);
    let has_version = metadata.client_version != 0;
    wire::put_unsigned_varint(out, ids.clone().count() as u32 + u32::from(has_version));
    for (tag, id) in ids {
        wire::put_unsigned_varint(out, tag);
        wire::put_unsigned_varint(out, size_of::<i64>() as u32);
        out.put_i64(id.0);
    }
    if has_version {
        wire::put_unsigned_varint(out, CLIENT_VERSION_TAG);
        wire::put_unsigned_varint(out, size_of::<i16>() as u32);
        out.put_i16(metadata.client_version);
    }
}

fn decode_value(value: &[u8]) -> Result<RecordValue, MalformedRecord> {
    let malformed = |cause: Malformed| MalformedRecord(format!("value of a transaction: {cause}"));
    let version = Reader::new(value, 0, false).i16().map_err(malformed)?;
    let is_flexible = match version {
        PLAIN_VALUE => false,
        FLEXIBLE_VALUE => true,
        _ => {
            return Err(MalformedRecord(format!("value of a transaction has the unknown version {version}")));
        }
    };
    let metadata = read_metadata(&mut Reader::new(value, 2, is_flexible), value).map_err(malformed)?;
    Ok(RecordValue { metadata, is_flexible })
}

fn read_metadata(reader: &mut Reader<'_>, value: &[u8]) -> Result<TransactionMetadata, Malformed> {
    let producer =
        TransactionalProducer { id: ProducerId(reader.i64()?), epoch: ProducerEpoch(reader.i16()?) };
    let timeout_ms = reader.i32()?;
    let state = State::from_id(reader.i8()?).ok_or(Malformed("a state that nobody writes"))?;
    let mut partitions = read_partitions(reader, value)?;
    if state == State::Empty {
        // Kafka writes none, and reads past them.
        partitions = OrdSet::new();
    }
    let last_update = Timestamp(reader.i64()?);
    let start = Timestamp(reader.i64()?);
    let mut metadata = TransactionMetadata {
        producer,
        previous_id: ProducerId::NONE,
        next_id: ProducerId::NONE,
        last_epoch: NO_EPOCH,
        timeout_ms,
        state,
        partitions,
        start,
        last_update,
        client_version: 0,
    };
    reader.tagged_fields(|reader, tag| {
        match tag {
            PREVIOUS_ID_TAG => metadata.previous_id = ProducerId(reader.i64()?),
            NEXT_ID_TAG => metadata.next_id = ProducerId(reader.i64()?),
            CLIENT_VERSION_TAG => metadata.client_version = reader.i16()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(metadata)
}

fn read_partitions(reader: &mut Reader<'_>, value: &[u8]) -> Result<OrdSet<TopicPartition>, Malformed> {
    let mut found = OrdSet::new();
    // A topic is at least the length of its name and a count.
    for _ in 0..reader.nullable_array_count(2)?.unwrap_or(0) {
        let topic: Arc<str> = wire::text(value, reader.string()?).into();
        for _ in 0..reader.array_count(size_of::<i32>())? {
            found.insert((topic.clone(), PartitionIndex(reader.i32()?)));
        }
        reader.skip_tagged_fields()?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
