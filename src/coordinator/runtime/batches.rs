//! Durable events as record batches: one if they fit, else as many as they need, in order.

use crate::config::broker::GroupSettings;
use crate::coordinator::shard::{Event, KeyValue, Shard};
use crate::protocol::batch::Compression;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::Timestamp;
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};

/// How batches are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// `max.message.bytes` of the topic.
    pub max_size_bytes: usize,
    pub compression: Compression,
}

/// A batch ready to be appended.
pub(super) struct Encoded {
    pub bytes: Vec<u8>,
    pub records: Vec<KeyValue>,
    /// How many of the events, from the first one on, are in the log with this batch.
    pub event_count: usize,
}

/// More than a record takes besides its key and value.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// The durable ones of `events` in batches. MESSAGE_TOO_LARGE when a record alone is larger than a batch may be.
pub(super) fn encode<S: Shard>(
    events: &[Event<S::Record, S::Soft>],
    options: BatchOptions,
    now: Timestamp,
) -> Result<Vec<Encoded>, ErrorCode> {
    let mut batches = Vec::with_capacity(1);
    let mut building = Building::begin(options, now);
    for (index, event) in events.iter().enumerate() {
        let record = match event {
            Event::Durable(record) => S::encode(record),
            Event::Soft(_) => continue,
        };
        if !building.has_room_for(&record) {
            let full = std::mem::replace(&mut building, Building::begin(options, now));
            batches.push(full.finish(index)?);
        }
        building.push(record);
    }
    if !building.records.is_empty() {
        batches.push(building.finish(events.len())?);
    }
    Ok(batches)
}

struct Building {
    options: BatchOptions,
    now: Timestamp,
    builder: BatchBuilder,
    records: Vec<KeyValue>,
}

impl Building {
    fn begin(options: BatchOptions, now: Timestamp) -> Building {
        // Without a producer the sequence means nothing; 0 is what Kafka's coordinators write.
        let header =
            BatchHeader { compression: options.compression, base_sequence: 0, ..BatchHeader::default() };
        Building { options, now, builder: BatchBuilder::new(header), records: Vec::new() }
    }

    /// The first record always has; [`Building::finish`] sees whether compression made it fit.
    fn has_room_for(&self, record: &KeyValue) -> bool {
        let size = record.key.len() + record.value.as_ref().map_or(0, Vec::len) + RECORD_OVERHEAD_BYTES;
        self.records.is_empty()
            || self.builder.uncompressed_size_bytes() + size <= self.options.max_size_bytes
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
        Ok(Encoded { bytes, records: self.records, event_count })
    }
}

/// `offsets.topic.compression.codec` as the batches have it.
pub fn compression(settings: &GroupSettings) -> Compression {
    let codec = u8::try_from(settings.offsets_topic_compression_codec).ok();
    codec.and_then(Compression::from_id).unwrap_or(Compression::None)
}
