//! What is in the log and not in the view, in memory, by key: what is committed and goes to the view with the next
//! write, and over it the records above the high watermark.
//!
//! A write to the view costs more than a commit does besides, so what is committed waits here until it is worth one: of
//! each key the last value, as of one position of the log. It has to go there before somebody reads the view, and at the
//! end of a term; a crash loses nothing, because the log is replayed from the view's stamp on.
//!
//! It is bounded: while it is full the coordinator takes no further record, so a view that stays busy or followers
//! that stay behind cost clients an error and not the broker its memory.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Bound;

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

/// Values by key, `None` for a deleted one.
pub(super) type Layer = BTreeMap<Bytes, Option<Bytes>>;

type Record = (Bytes, Option<Bytes>);

/// What is committed and not in the view.
#[derive(Default)]
struct Settled {
    layer: Layer,
    /// The position it is of; `None` for nothing.
    stamp: Option<Stamp>,
    change_count: usize,
    /// Counted as it came, also what was superseded: how far the view is behind is bounded, too.
    size_bytes: usize,
}

impl Settled {
    fn add(&mut self, key: Bytes, value: Option<Bytes>) {
        self.change_count += 1;
        self.size_bytes += size_of(&key, value.as_ref());
        match self.layer.get_mut(&key) {
            Some(known) => *known = value,
            None => drop(self.layer.insert(key, value)),
        }
    }

    /// A batch without changes moves the position as well.
    fn end_at(&mut self, stamp: Stamp) {
        self.size_bytes += ENTRY_OVERHEAD_BYTES;
        self.stamp = Some(stamp);
    }
}

struct Batch {
    stamp: Stamp,
    records: Vec<Record>,
}

impl Batch {
    fn size_bytes(&self) -> usize {
        self.records.iter().map(|(key, value)| size_of(key, value.as_ref())).sum()
    }
}

/// Batches between the view's position and the log end.
#[derive(Default)]
pub(super) struct Overlay {
    settled: Settled,
    /// The last value of each key above the high watermark.
    unsettled: Layer,
    batches: VecDeque<Batch>,
    batches_size_bytes: usize,
}

impl Overlay {
    /// Whether the view has all that is committed.
    pub fn is_settled_empty(&self) -> bool {
        self.settled.stamp.is_none()
    }

    /// Whether nothing is above the high watermark that was followed last.
    pub fn is_unsettled_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.settled.size_bytes + self.batches_size_bytes >= MOST_BYTES
    }

    /// How much has been committed since the view was written to.
    pub fn settled_size_bytes(&self) -> usize {
        self.settled.size_bytes
    }

    /// What is committed.
    pub fn settled(&self) -> &Layer {
        &self.settled.layer
    }

    /// What is not, and lies over it.
    pub fn unsettled(&self) -> &Layer {
        &self.unsettled
    }

    /// `records` were appended up to `stamp` and are committed, as is everything before them.
    pub fn settle(&mut self, records: Vec<KeyValue>, stamp: Stamp) {
        debug_assert!(self.batches.is_empty(), "what is committed is settled in the order of the log");
        for KeyValue { key, value } in records {
            self.settled.add(key.into(), value.map(Bytes::from));
        }
        self.settled.end_at(stamp);
    }

    /// `records` were appended up to `stamp`, and can still be taken back.
    pub fn push(&mut self, records: Vec<KeyValue>, stamp: Stamp) {
        let records = records.into_iter().map(|record| (record.key.into(), record.value.map(Bytes::from)));
        let batch = Batch { stamp, records: records.collect() };
        self.unsettled.extend(batch.records.iter().cloned());
        self.batches_size_bytes += batch.size_bytes();
        self.batches.push_back(batch);
    }

    /// What is below `high_watermark` is committed.
    pub fn follow(&mut self, high_watermark: Offset) {
        let count = self.batches.partition_point(|batch| batch.stamp.next_offset <= high_watermark);
        if count == 0 {
            return;
        }
        let settled: Vec<Batch> = self.batches.drain(..count).collect();
        self.uncover(&settled);
        for batch in settled {
            self.batches_size_bytes -= batch.size_bytes();
            batch.records.into_iter().for_each(|(key, value)| self.settled.add(key, value));
            self.settled.end_at(batch.stamp);
        }
    }

    /// Takes out of the upper layer what stands in `settled` and nowhere behind it.
    fn uncover(&mut self, settled: &[Batch]) {
        if self.batches.is_empty() {
            self.unsettled.clear();
            return;
        }
        let kept: HashSet<&Bytes> =
            self.batches.iter().flat_map(|batch| batch.records.iter().map(|(key, _)| key)).collect();
        for (key, _) in settled.iter().flat_map(|batch| &batch.records) {
            if !kept.contains(key) {
                self.unsettled.remove(key);
            }
        }
    }

    /// Moves what is committed to the view. On an error it stays. Returns how many changes were never written, because
    /// later ones had taken their place.
    pub fn drain(
        &mut self,
        view: &dyn View,
        of: PartitionKey,
        patience: Patience,
    ) -> Result<usize, ViewError> {
        let Some(stamp) = self.settled.stamp else { return Ok(0) };
        let layer = &self.settled.layer;
        let mut changes = layer.iter().map(|(key, value)| Change { key, value: value.as_deref() });
        view.apply(of, &mut changes, &stamp, patience)?;
        let superseded_count = self.settled.change_count - layer.len();
        self.settled = Settled::default();
        Ok(superseded_count)
    }
}

/// Those of both layers whose key begins with `prefix`; `upper` lies over `lower`.
pub(super) fn merged(upper: &Layer, lower: &Layer, prefix: &[u8]) -> Layer {
    let below = |layer: &Layer| -> Vec<Record> {
        let behind = layer.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        let found = behind.take_while(|(key, _)| key.starts_with(prefix));
        found.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    below(lower).into_iter().chain(below(upper)).collect()
}

fn size_of(key: &Bytes, value: Option<&Bytes>) -> usize {
    key.len() + value.map_or(0, Bytes::len) + ENTRY_OVERHEAD_BYTES
}
