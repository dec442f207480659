//! Loading: proves that the view is of the log's history, takes it in, and replays the rest of the log. Blocking, on
//! threads of the pool.
//!
//! A stamp is believed when the batch that ends at it has its CRC and epoch, or was compacted away and the epoch cache
//! gives the position the same epoch; and when no tombstone, or marker, behind it can be gone already. Every other view is dropped
//! and rebuilt from the log: a power cut may leave it ahead of the log, or of a history that was cut off.
//! Kafka: `CoordinatorLoaderImpl`.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context, bail};
use parking_lot::Mutex;

use super::Runtime;
use super::active::{Active, Loaded};
use super::overlay::Overlay;
use super::slot::Slot;
use super::stored::Layered;
use super::transactions::{self, Content, Kept, OpenTransactions};
use crate::coordinator::shard::{Event, KeyValue, Shard, TransactionMarker, TransactionalProducer};
use crate::protocol::batch::{Batch, Compression};
use crate::protocol::compression;
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use crate::protocol::records::{Record, RecordIter};
use crate::protocol::summary::{BatchSummary, ControlType};
use crate::store::PartitionKey;
use crate::store::stamps::Stamp;
use crate::store::view::{Change, Patience, Tier, View, ViewError};

/// Partitions that are loaded at once.
const MOST_LOADS_AT_ONCE: usize = 2;
/// Bytes of the log that are read at once.
const READ_SIZE_BYTES: usize = 1 << 20;
/// A batch that decompresses to more makes its partition unavailable.
const MOST_DECOMPRESSED_BYTES: usize = 256 << 20;

/// Partitions that wait to be loaded, or dropped from the view.
pub(super) struct LoadQueue<S: Shard> {
    state: Mutex<QueueState<S>>,
}

struct QueueState<S: Shard> {
    waiting: VecDeque<Work<S>>,
    /// One at a time for a partition: two terms must not write to its view at once.
    busy: Vec<PartitionIndex>,
    loader_count: usize,
}

/// What is to be done with the view of a partition.
pub(super) enum Work<S: Shard> {
    Load(Arc<Slot<S>>),
    /// The topic is deleted.
    Forget(PartitionKey),
}

impl<S: Shard> Work<S> {
    fn partition(&self) -> PartitionIndex {
        match self {
            Work::Load(slot) => slot.of.partition,
            Work::Forget(of) => of.partition,
        }
    }
}

impl<S: Shard> Default for LoadQueue<S> {
    fn default() -> LoadQueue<S> {
        let state = QueueState { waiting: VecDeque::new(), busy: Vec::new(), loader_count: 0 };
        LoadQueue { state: Mutex::new(state) }
    }
}

/// Why a load has ended early.
#[derive(Debug)]
enum LoadError {
    /// The term is over.
    Resigned,
    /// The view is damaged.
    View(anyhow::Error),
    /// The log is, or cannot be read.
    Log(anyhow::Error),
}

impl From<ViewError> for LoadError {
    fn from(error: ViewError) -> LoadError {
        LoadError::View(match error {
            ViewError::Failed(error) => error,
            ViewError::Cold | ViewError::Busy => anyhow::anyhow!("the view refuses to wait: {error:?}"),
        })
    }
}

impl From<anyhow::Error> for LoadError {
    fn from(error: anyhow::Error) -> LoadError {
        LoadError::Log(error)
    }
}

impl<S: Shard> Runtime<S> {
    /// Does `work` when its turn has come.
    pub(super) fn enqueue(&self, work: Work<S>) {
        let mut state = self.loads.state.lock();
        state.waiting.push_back(work);
        if state.loader_count < MOST_LOADS_AT_ONCE
            && let Some(this) = self.this.upgrade()
        {
            state.loader_count += 1;
            drop(state);
            (self.options.background)(Box::new(move || this.work_off()));
        }
    }

    fn work_off(&self) {
        while let Some(work) = self.next_work() {
            match &work {
                Work::Load(slot) if slot.is_resigned() => {}
                Work::Load(slot) => self.load_slot(slot),
                Work::Forget(of) => self.drop_view_of(*of),
            }
            self.loads.state.lock().busy.retain(|partition| *partition != work.partition());
        }
    }

    fn next_work(&self) -> Option<Work<S>> {
        let mut state = self.loads.state.lock();
        let state = &mut *state;
        // Whoever is busy with the same partition looks here when it is done.
        let is_free = |work: &Work<S>| !state.busy.contains(&work.partition());
        let found = state.waiting.iter().position(is_free).and_then(|index| state.waiting.remove(index));
        match &found {
            Some(work) => state.busy.push(work.partition()),
            None => state.loader_count -= 1,
        }
        found
    }

    fn drop_view_of(&self, of: PartitionKey) {
        // Without a view there is nothing to drop, or a later load finds the topic's id in the stamp.
        let Some(view) = self.options.view.opened() else { return };
        if let Err(error) = view.drop_partition(of) {
            tracing::warn!(partition = %of, ?error, "drop a deleted partition from the view");
        }
    }

    fn load_slot(&self, slot: &Arc<Slot<S>>) {
        let view = match self.options.view.get() {
            Ok(view) => view,
            Err(error) => return self.cannot_load(slot, &error),
        };
        match self.load(slot, view.clone()) {
            Ok(active) => slot.begin(self, active),
            Err(LoadError::Resigned) => {}
            Err(LoadError::Log(error)) => self.cannot_load(slot, &error),
            Err(LoadError::View(error)) => {
                tracing::warn!(partition = %slot.of, error = format!("{error:#}"), "the view is damaged and is rebuilt from the log");
                self.options.view.give_up(&view);
                // Once more, with a new view: it was given up here or by somebody else.
                let again = self.options.view.get().map_err(LoadError::Log);
                match again.and_then(|view| self.load(slot, view)) {
                    Ok(active) => slot.begin(self, active),
                    Err(LoadError::Resigned) => {}
                    Err(LoadError::Log(error) | LoadError::View(error)) => self.cannot_load(slot, &error),
                }
            }
        }
    }

    fn cannot_load(&self, slot: &Slot<S>, error: &anyhow::Error) {
        tracing::error!(partition = %slot.of, error = format!("{error:#}"), "load a coordinator partition; it is unavailable until it can be");
        slot.fail(self);
    }

    fn load(&self, slot: &Arc<Slot<S>>, view: Arc<dyn View>) -> Result<Active<S>, LoadError> {
        let started_us = self.options.clock.uptime_us();
        let (of, reader) = (slot.of, &self.options.reader);
        let high_watermark = self.options.writer.watch(of.partition, slot.clone());
        slot.watermark.raise(high_watermark.map_err(anyhow::Error::new).context("watch the log")?);
        let topic_id = reader.topic_id()?;
        let (log_start, log_end) = reader.bounds(of.partition)?;
        let stamp = self.believed_stamp(slot, &*view, topic_id, (log_start, log_end))?;
        let mut shard = (self.options.new_shard)(of.partition);
        let open = match stamp {
            Some(_) => restore(&mut shard, of, &*view)?,
            None => OpenTransactions::default(),
        };
        let from = stamp.map_or(log_start, |stamp| stamp.next_offset);
        let mut replay = Replay {
            runtime: self,
            slot,
            view: &*view,
            topic_id,
            shard,
            pending: Vec::new(),
            overlay: Overlay::default(),
            open,
            record_count: 0,
        };
        replay.run(from, log_end)?;
        let Replay { mut shard, overlay, open, record_count, .. } = replay;
        let effects = shard.loaded(self.now());
        let duration_us = self.options.clock.uptime_us() - started_us;
        if log_end > Offset::ZERO {
            tracing::info!(partition = %of, %from, %log_end, record_count, duration_us, "loaded a coordinator partition");
        }
        let loaded = Loaded {
            of,
            epoch: slot.epoch,
            topic_id,
            view,
            shard,
            overlay,
            open,
            log_end,
            effects,
            watermark: slot.watermark.clone(),
        };
        Ok(Active::new(loaded))
    }

    /// The view's stamp if the log proves it; a view that is not believed is dropped.
    fn believed_stamp(
        &self,
        slot: &Slot<S>,
        view: &dyn View,
        topic_id: TopicId,
        bounds: (Offset, Offset),
    ) -> Result<Option<Stamp>, LoadError> {
        let Some(stamp) = view.stamp(slot.of)? else { return Ok(None) };
        match self.doubt(slot.of.partition, &stamp, topic_id, bounds)? {
            None => Ok(Some(stamp)),
            Some(doubt) => {
                tracing::info!(partition = %slot.of, next_offset = %stamp.next_offset, log_end = %bounds.1, doubt, "a partition's view is rebuilt from the log");
                view.drop_partition(slot.of)?;
                // Nobody may find it again after a crash: by then the log may have grown to where it is believed.
                view.flush()?;
                Ok(None)
            }
        }
    }

    /// Why the log does not prove `stamp`; `None` when it does.
    fn doubt(
        &self,
        partition: PartitionIndex,
        stamp: &Stamp,
        topic_id: TopicId,
        (log_start, log_end): (Offset, Offset),
    ) -> anyhow::Result<Option<&'static str>> {
        if stamp.topic_id != topic_id {
            return Ok(Some("it is of another topic of the same name"));
        }
        if stamp.next_offset > log_end {
            return Ok(Some("it is ahead of the log"));
        }
        if stamp.next_offset <= log_start {
            return Ok(Some("the log begins behind it"));
        }
        if stamp.next_offset < log_end && !self.has_all_tombstones(partition, stamp)? {
            return Ok(Some("tombstones behind it may be gone"));
        }
        let last = stamp.next_offset + -1;
        let bytes = self.options.reader.read(partition, last, 1)?;
        if !bytes.is_empty() {
            let (batch, _) = split(&bytes)?;
            if batch.base_offset() <= last {
                let is_same = batch.next_offset() == stamp.next_offset
                    && batch.stored_crc() == stamp.batch_crc
                    && batch.leader_epoch() == stamp.leader_epoch;
                return Ok((!is_same).then_some("the log has another batch there"));
            }
        }
        // Compacted away: the same epoch wrote the same record at the same offset.
        let epoch: Option<LeaderEpoch> = self.options.reader.epoch_at(partition, last);
        Ok((epoch != Some(stamp.leader_epoch)).then_some("the log was in another epoch there"))
    }
}

impl<S: Shard> Runtime<S> {
    /// Whether every tombstone appended behind `stamp` is sure to be in the log still.
    fn has_all_tombstones(&self, partition: PartitionIndex, stamp: &Stamp) -> anyhow::Result<bool> {
        let bytes = self.options.reader.read(partition, stamp.next_offset, 1)?;
        let mut since = stamp.batch_timestamp;
        if !bytes.is_empty() {
            let (next, _) = split(&bytes)?;
            if next.base_offset() == stamp.next_offset {
                // All that was appended behind the stamp is at least as young as this.
                since = since.max(next.max_timestamp());
            }
        }
        let age_ms = self.options.clock.now().since(since);
        Ok((0..self.options.reader.tombstone_retention_ms()).contains(&age_ms))
    }
}

/// The rest of the log on its way into the view, the overlay and the shard.
struct Replay<'a, S: Shard> {
    runtime: &'a Runtime<S>,
    slot: &'a Slot<S>,
    view: &'a dyn View,
    topic_id: TopicId,
    shard: S,
    /// Replayed, and neither in the view nor in the overlay yet.
    pending: Vec<(Vec<KeyValue>, Stamp)>,
    overlay: Overlay,
    open: OpenTransactions,
    record_count: u64,
}

impl<S: Shard> Replay<'_, S> {
    fn run(&mut self, mut from: Offset, log_end: Offset) -> Result<(), LoadError> {
        while from < log_end {
            if self.slot.is_resigned() {
                return Err(LoadError::Resigned);
            }
            let bytes = self.runtime.options.reader.read(self.slot.of.partition, from, READ_SIZE_BYTES)?;
            let mut rest = &bytes[..];
            if rest.is_empty() {
                // What stood up to the end was compacted away.
                break;
            }
            while !rest.is_empty() {
                let batch;
                (batch, rest) = split(rest)?;
                if batch.next_offset() <= from {
                    return Err(LoadError::Log(anyhow::anyhow!("the log goes back behind {from}")));
                }
                self.replay_batch(batch)
                    .with_context(|| format!("replay the batch at offset {}", batch.base_offset()))?;
                from = batch.next_offset();
            }
            self.store_pending()?;
        }
        Ok(())
    }

    /// What is committed goes to the view in one write, the rest over it.
    fn store_pending(&mut self) -> Result<(), LoadError> {
        let high_watermark = self.slot.watermark.get();
        let committed = match self.overlay.is_unsettled_empty() {
            true => self.pending.partition_point(|(_, stamp)| stamp.next_offset <= high_watermark),
            false => 0,
        };
        if let Some((_, stamp)) = committed.checked_sub(1).and_then(|last| self.pending.get(last)) {
            let records = self.pending[..committed].iter().flat_map(|(records, _)| records);
            let mut changes =
                records.map(|record| Change { key: &record.key, value: record.value.as_deref() });
            self.view.apply(self.slot.of, &mut changes, stamp, Patience::Wait)?;
        }
        for (records, stamp) in self.pending.drain(..).skip(committed) {
            self.overlay.push(records, stamp);
        }
        Ok(())
    }

    fn replay_batch(&mut self, batch: Batch<'_>) -> anyhow::Result<()> {
        if !batch.crc_matches() {
            bail!("its CRC does not match");
        }
        let changes = match content(batch)? {
            // An emptied marker, whose transaction is gone, or another kind of control record.
            None => Vec::new(),
            Some(content) => {
                let records = self.replay_content(batch, content)?;
                self.open.take_in(content, batch.base_offset(), records)
            }
        };
        let stamp = Stamp {
            topic_id: self.topic_id,
            next_offset: batch.next_offset(),
            leader_epoch: batch.leader_epoch(),
            batch_crc: batch.stored_crc(),
            batch_timestamp: batch.max_timestamp(),
        };
        self.pending.push((changes, stamp));
        Ok(())
    }

    fn replay_content(&mut self, batch: Batch<'_>, content: Content) -> anyhow::Result<Vec<KeyValue>> {
        match content {
            Content::Durable => self.replay_records(batch, &Event::Durable),
            Content::Transactional(producer) => {
                self.replay_records(batch, &|record| Event::Transactional(producer, record))
            }
            Content::Marker(marker) => {
                self.shard.replay(&Event::Marker(marker));
                Ok(Vec::new())
            }
        }
    }

    fn replay_records(
        &mut self,
        batch: Batch<'_>,
        as_event: &dyn Fn(S::Record) -> Event<S::Record, S::Soft>,
    ) -> anyhow::Result<Vec<KeyValue>> {
        let uncompressed;
        let bytes = match batch.compression().context("its codec is unknown")? {
            Compression::None => batch.records(),
            codec @ (Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd) => {
                uncompressed = compression::decompress(codec, batch.records(), MOST_DECOMPRESSED_BYTES)
                    .map_err(|error| anyhow::anyhow!("decompress it: {error:?}"))?;
                &uncompressed[..]
            }
        };
        let mut kept = Vec::new();
        for record in RecordIter::new(bytes, batch.record_count()) {
            let record = record.map_err(|error| anyhow::anyhow!("read its records: {error:?}"))?;
            let offset = batch.base_offset() + i64::from(record.offset_delta);
            self.record_count += 1;
            kept.extend(self.replay_record(&record, offset, as_event));
        }
        Ok(kept)
    }

    /// The record for the view; `None` for one that means nothing.
    fn replay_record(
        &mut self,
        record: &Record<'_>,
        offset: Offset,
        as_event: &dyn Fn(S::Record) -> Event<S::Record, S::Soft>,
    ) -> Option<KeyValue> {
        let partition = self.slot.of;
        let Some(key) = record.key.filter(|key| !transactions::is_reserved(key)) else {
            tracing::warn!(%partition, %offset, "a record without a key, or with one of no type, is skipped");
            return None;
        };
        match S::decode(key, record.value) {
            Ok(Some(known)) => self.shard.replay(&as_event(known)),
            // A later version may know it: the view keeps it.
            Ok(None) => tracing::warn!(%partition, %offset, "a record of an unknown type is skipped"),
            Err(error) => {
                tracing::warn!(%partition, %offset, error = error.0, "a malformed record is skipped");
                return None;
            }
        }
        Some(KeyValue { key: current_key::<S>(key), value: record.value.map(<[u8]>::to_vec) })
    }
}

/// Takes in what `view` holds, also of transactions that are open.
fn restore<S: Shard>(
    shard: &mut S,
    of: PartitionKey,
    view: &dyn View,
) -> Result<OpenTransactions, LoadError> {
    let stored = Layered::new(of, view, None, Tier::Disk);
    let restored = shard.restore(&stored);
    if let Some(trouble) = stored.into_trouble() {
        return Err(trouble.into());
    }
    restored.map_err(anyhow::Error::new).context("restore the coordinator from its view")?;
    let (open, kept) = OpenTransactions::restored(view, of)?;
    for Kept { producer, record } in kept {
        // What it does not know is kept for a later version.
        if let Ok(Some(known)) = S::decode(&record.key, record.value.as_deref()) {
            shard.replay(&Event::Transactional(producer, known));
        }
    }
    Ok(open)
}

/// What `batch` says; `None` for nothing that a coordinator knows.
fn content(batch: Batch<'_>) -> anyhow::Result<Option<Content>> {
    let producer = TransactionalProducer { id: batch.producer_id(), epoch: batch.producer_epoch() };
    if !batch.is_control() {
        let is_transactional = batch.is_transactional();
        return Ok(Some(if is_transactional { Content::Transactional(producer) } else { Content::Durable }));
    }
    let summary = BatchSummary::of(batch).map_err(|error| anyhow::anyhow!("read its marker: {error:?}"))?;
    Ok(summary.marker.map(|marker| {
        Content::Marker(TransactionMarker {
            producer,
            coordinator_epoch: marker.coordinator_epoch,
            is_commit: match marker.control_type {
                ControlType::Commit => true,
                ControlType::Abort => false,
            },
            // It matters to an append, and the log does not tell.
            transaction_version: 0,
        })
    }))
}

/// `key` in the version that this broker writes. Older ones may have written another, and the view has one entry for
/// both. As a tombstone's, so that no value of somebody else is encoded.
fn current_key<S: Shard>(key: &[u8]) -> Vec<u8> {
    match S::decode(key, None) {
        Ok(Some(tombstone)) => S::encode(&tombstone).key,
        Ok(None) | Err(_) => key.to_vec(),
    }
}

fn split(bytes: &[u8]) -> anyhow::Result<(Batch<'_>, &[u8])> {
    Batch::split_first(bytes).map_err(|error| anyhow::anyhow!("read a batch of the log: {error:?}"))
}
