//! Events of the log as record batches: one if they are of a kind and fit, else as many as they need, in order.
//!
//! Kafka: `CoordinatorRuntime.CoordinatorContext.append`, `completeTransaction`.

use super::transactions::Content;
use crate::config::broker::GroupSettings;
use crate::coordinator::shard::{Event, KeyValue, Shard, TransactionMarker, TransactionalProducer};
use crate::protocol::batch::Compression;
use crate::protocol::control::end_transaction_marker;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Timestamp;
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};

/// How batches are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// `max.message.bytes` of the topic.
    pub max_size_bytes: usize,
    pub compression: Compression,
    /// Nobody looks at the sequence of a coordinator's batch, and Kafka's coordinators do not agree about it.
    pub base_sequence: i32,
}

/// A batch ready to be appended.
pub(super) struct Encoded {
    pub content: Content,
    pub bytes: Vec<u8>,
    pub records: Vec<KeyValue>,
    /// How many of the events, from the first one on, are in the log with this batch.
    pub event_count: usize,
}

/// More than a record takes besides its key and value.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// Those of `events` that go to the log in batches: neighbours of a kind together, a marker alone. MESSAGE_TOO_LARGE
/// when a record alone is larger than a batch may be.
pub(super) fn encode<S: Shard>(
    events: &[Event<S::Record, S::Soft>],
    options: BatchOptions,
    now: Timestamp,
) -> Result<Vec<Encoded>, ErrorCode> {
    let mut batches = Vec::with_capacity(1);
    let mut building: Option<Building> = None;
    for (index, event) in events.iter().enumerate() {
        let (content, record) = match event {
            Event::Durable(record) => (Content::Durable, S::encode(record)),
            Event::Transactional(producer, record) => (Content::Transactional(*producer), S::encode(record)),
            Event::Marker(marker) => {
                if let Some(before) = building.take() {
                    batches.push(before.finish(index)?);
                }
                batches.push(encode_marker(marker, index + 1, now));
                continue;
            }
            Event::Soft(_) => continue,
        };
        if let Some(full) = building.take_if(|building| !building.takes(content, &record)) {
            batches.push(full.finish(index)?);
        }
        let left_count = events.len() - index;
        building.get_or_insert_with(|| Building::begin(content, options, now, left_count)).push(record);
    }
    if let Some(last) = building {
        batches.push(last.finish(events.len())?);
    }
    Ok(batches)
}

fn encode_marker(marker: &TransactionMarker, event_count: usize, now: Timestamp) -> Encoded {
    let TransactionalProducer { id, epoch } = marker.producer;
    let bytes = end_transaction_marker((id, epoch), marker.is_commit, marker.coordinator_epoch, now);
    Encoded { content: Content::Marker(*marker), bytes, records: Vec::new(), event_count }
}

struct Building {
    content: Content,
    options: BatchOptions,
    now: Timestamp,
    builder: BatchBuilder,
    records: Vec<KeyValue>,
}

impl Building {
    /// There are `most_count` records left, at most.
    fn begin(content: Content, options: BatchOptions, now: Timestamp, most_count: usize) -> Building {
        let BatchOptions { compression, base_sequence, max_size_bytes: _ } = options;
        let header = BatchHeader { compression, base_sequence, ..BatchHeader::default() };
        let header = match content {
            Content::Transactional(TransactionalProducer { id, epoch }) => {
                BatchHeader { transactional: true, producer_id: id, producer_epoch: epoch, ..header }
            }
            Content::Durable | Content::Marker(_) => header,
        };
        Building {
            content,
            options,
            now,
            builder: BatchBuilder::new(header),
            // An outcome of very many records makes very many batches.
            records: Vec::with_capacity(most_count.min(options.max_size_bytes / RECORD_OVERHEAD_BYTES + 1)),
        }
    }

    /// The first record always has room; [`Building::finish`] sees whether compression made it fit.
    fn takes(&self, content: Content, record: &KeyValue) -> bool {
        let size = record.key.len() + record.value.as_ref().map_or(0, Vec::len) + RECORD_OVERHEAD_BYTES;
        self.content == content
            && self.builder.uncompressed_size_bytes() + size <= self.options.max_size_bytes
    }

    fn push(&mut self, record: KeyValue) {
        self.builder.push(&NewRecord {
            timestamp: self.now,
            key: Some(&record.key),
            value: record.value.as_deref(),
            headers: &[],
        });
        self.records.push(record);
    }

    fn finish(self, event_count: usize) -> Result<Encoded, ErrorCode> {
        let bytes = self.builder.build();
        if bytes.len() > self.options.max_size_bytes {
            return Err(ErrorCode::MessageTooLarge);
        }
        Ok(Encoded { content: self.content, bytes, records: self.records, event_count })
    }
}

/// `offsets.topic.compression.codec` as the batches have it.
pub fn compression(settings: &GroupSettings) -> Compression {
    let codec = u8::try_from(settings.offsets_topic_compression_codec).ok();
    codec.and_then(Compression::from_id).unwrap_or(Compression::None)
}
