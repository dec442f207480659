//! What is in the log and not in the view: records above the high watermark, and those that the view would not take
//! yet. In memory, by key and in order.
//!
//! It is bounded: while it is full the coordinator takes no further record, so a view that stays busy or followers
//! that stay behind cost clients an error and not the broker its memory.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::coordinator::shard::KeyValue;
use crate::protocol::ids::Offset;
use crate::store::PartitionKey;
use crate::store::stamps::Stamp;
use crate::store::view::{Change, Patience, View, ViewError};

/// Bytes of keys and values that a partition may keep out of the view.
const MOST_BYTES: usize = 8 << 20;
/// What an entry costs besides its key and value, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 200;
/// Changes that go to the view in one write.
const MOST_CHANGES_AT_ONCE: usize = 10_000;

/// Values by key, `None` for a deleted one.
pub(super) type Layer = BTreeMap<Bytes, Option<Bytes>>;

struct Batch {
    stamp: Stamp,
    records: Vec<(Bytes, Option<Bytes>)>,
}

impl Batch {
    fn size_bytes(&self) -> usize {
        let size = |(key, value): &(Bytes, Option<Bytes>)| {
            key.len() + value.as_ref().map_or(0, Bytes::len) + ENTRY_OVERHEAD_BYTES
        };
        self.records.iter().map(size).sum()
    }
}

/// Batches between the view's position and the log end.
#[derive(Default)]
pub(super) struct Overlay {
    /// The last value of each key.
    latest: Layer,
    batches: VecDeque<Batch>,
    size_bytes: usize,
}

impl Overlay {
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.size_bytes >= MOST_BYTES
    }

    pub fn batch_count(&self) -> usize {
        self.batches.len()
    }

    /// The last value of each key, committed or not.
    pub fn latest(&self) -> &Layer {
        &self.latest
    }

    /// What of it is committed; `None` for nothing.
    pub fn committed(&self, high_watermark: Offset) -> Option<Layer> {
        self.batches.front().filter(|batch| batch.stamp.next_offset <= high_watermark)?;
        let committed = self.batches.iter().take_while(|batch| batch.stamp.next_offset <= high_watermark);
        Some(committed.flat_map(|batch| batch.records.iter().cloned()).collect())
    }

    /// `records` were appended up to `stamp`.
    pub fn push(&mut self, records: Vec<KeyValue>, stamp: Stamp) {
        let records = records.into_iter().map(|record| (record.key.into(), record.value.map(Bytes::from)));
        let batch = Batch { stamp, records: records.collect() };
        self.latest.extend(batch.records.iter().cloned());
        self.size_bytes += batch.size_bytes();
        self.batches.push_back(batch);
    }

    /// Moves what is committed to the view. On an error it stays, and what was asked for last can be asked again.
    pub fn drain(
        &mut self,
        view: &dyn View,
        of: PartitionKey,
        high_watermark: Offset,
        patience: Patience,
    ) -> Result<(), ViewError> {
        loop {
            let mut change_count = 0;
            let fitting = self.batches.iter().take_while(|batch| {
                change_count += batch.records.len();
                batch.stamp.next_offset <= high_watermark && change_count <= MOST_CHANGES_AT_ONCE
            });
            let mut count = fitting.count();
            if count == 0 {
                // A batch larger than the limit goes alone.
                let first = self.batches.front();
                count = first.is_some_and(|batch| batch.stamp.next_offset <= high_watermark).into();
            }
            let Some(last) = count.checked_sub(1).and_then(|last| self.batches.get(last)) else {
                return Ok(());
            };
            let stamp = last.stamp;
            let records = self.batches.iter().take(count).flat_map(|batch| batch.records.iter());
            let mut changes = records.map(|(key, value)| Change { key, value: value.as_deref() });
            view.apply(of, &mut changes, &stamp, patience)?;
            self.forget(count);
        }
    }

    fn forget(&mut self, count: usize) {
        let gone: Vec<Batch> = self.batches.drain(..count).collect();
        self.size_bytes -= gone.iter().map(Batch::size_bytes).sum::<usize>();
        if self.batches.is_empty() {
            self.latest.clear();
            return;
        }
        let kept: std::collections::HashSet<&Bytes> =
            self.batches.iter().flat_map(|batch| batch.records.iter().map(|(key, _)| key)).collect();
        for (key, _) in gone.iter().flat_map(|batch| &batch.records) {
            if !kept.contains(key) {
                self.latest.remove(key);
            }
        }
    }
}
