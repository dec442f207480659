//! One partition's log in memory, whose high watermark lags, and whose appends are refused or end in doubt.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::bench::{PARTITION, RETENTION_MS, Record, Registers};
use crate::coordinator::log::{AppendFailure, PartitionReader, PartitionWriter, WatermarkListener};
use crate::coordinator::shard::Shard;
use crate::protocol::batch::{Batch, BatchMut};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId, Uuid};
use crate::protocol::records::RecordIter;
use crate::protocol::summary::{BatchSummary, ControlType};

/// What the next append comes to.
#[derive(Clone, Debug)]
pub enum Fate {
    Appended,
    Refused(ErrorCode),
    /// The records are in the log all the same.
    Unknown,
}

#[derive(Default)]
struct LogState {
    batches: Vec<Vec<u8>>,
    start: i64,
    end: i64,
    high_watermark: i64,
    epoch: i32,
    fates: VecDeque<Fate>,
    listener: Option<Arc<dyn WatermarkListener>>,
    cannot_be_read: bool,
}

/// One partition's log.
pub struct MemoryLog {
    state: Mutex<LogState>,
    /// The high watermark follows each append at once, as with one replica.
    pub is_alone: bool,
    pub topic_id: Mutex<TopicId>,
}

impl MemoryLog {
    pub fn new(is_alone: bool) -> MemoryLog {
        MemoryLog { state: Mutex::default(), is_alone, topic_id: Mutex::new(TopicId(Uuid::from_u128(1))) }
    }

    pub fn epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.state.lock().epoch)
    }

    pub fn end(&self) -> i64 {
        self.state.lock().end
    }

    pub fn high_watermark(&self) -> i64 {
        self.state.lock().high_watermark
    }

    pub fn next_appends(&self, fates: impl IntoIterator<Item = Fate>) {
        self.state.lock().fates.extend(fates);
    }

    /// Followers have fetched up to `to`.
    pub fn commit(&self, to: i64) {
        let mut state = self.state.lock();
        state.high_watermark = state.high_watermark.max(to.min(state.end));
        let (listener, high_watermark) = (state.listener.clone(), state.high_watermark);
        drop(state);
        if let Some(listener) = listener {
            listener.watermark_moved(PARTITION, Offset(high_watermark));
        }
    }

    /// Whether every read fails, as for want of descriptors.
    pub fn set_unreadable(&self, cannot_be_read: bool) {
        self.state.lock().cannot_be_read = cannot_be_read;
    }

    pub fn close(&self) {
        let listener = self.state.lock().listener.take();
        if let Some(listener) = listener {
            listener.closed(PARTITION);
        }
    }

    /// A new term: what is not committed goes when `cut`, else it stays.
    pub fn change_leader(&self, cut: bool) -> LeaderEpoch {
        let mut state = self.state.lock();
        if cut {
            let high_watermark = state.high_watermark;
            state.batches.retain(|batch| view(batch).next_offset().0 <= high_watermark);
            state.end = high_watermark;
        }
        state.epoch += 1;
        state.listener = None;
        LeaderEpoch(state.epoch)
    }

    /// Whole batches as they are on disk.
    pub fn batches(&self) -> Vec<Vec<u8>> {
        self.state.lock().batches.clone()
    }

    pub fn set_batches(&self, batches: Vec<Vec<u8>>) {
        let mut state = self.state.lock();
        state.end = batches.last().map_or(0, |batch| view(batch).next_offset().0);
        state.high_watermark = state.end;
        state.batches = batches;
    }

    /// Removes batches as compaction does; the end stays.
    pub fn compact(&self, gone: impl Fn(Batch<'_>) -> bool) {
        self.state.lock().batches.retain(|batch| !gone(view(batch)));
    }

    /// Appends bytes as another broker would have.
    pub fn append_foreign(&self, mut batch: Vec<u8>) {
        let mut state = self.state.lock();
        let (end, epoch) = (Offset(state.end), LeaderEpoch(state.epoch));
        let (mut first, _) = BatchMut::split_first(&mut batch).unwrap();
        first.set_base_offset(end);
        first.set_leader_epoch(epoch);
        state.end = first.as_batch().next_offset().0;
        state.high_watermark = state.end;
        state.batches.push(batch);
    }

    /// Registers after the records below `to`.
    pub fn registers(&self, to: i64) -> BTreeMap<String, String> {
        let mut batches = self.batches();
        batches.retain(|batch| view(batch).next_offset().0 <= to);
        registers_of(&batches)
    }
}

/// Registers after all that stands in `batches`: of each the record that is last among those that count.
pub fn registers_of(batches: &[Vec<u8>]) -> BTreeMap<String, String> {
    let mut open: BTreeMap<ProducerId, Vec<(Offset, Record)>> = BTreeMap::new();
    let mut committed: Vec<(Offset, Record)> = Vec::new();
    for batch in batches.iter().map(|batch| view(batch)) {
        let summary = BatchSummary::of(batch).unwrap();
        if summary.is_control {
            let ended = open.remove(&summary.producer_id).unwrap_or_default();
            let is_commit = summary.marker.is_some_and(|marker| marker.control_type == ControlType::Commit);
            committed.extend(ended.into_iter().filter(|_| is_commit));
            continue;
        }
        for record in RecordIter::of(batch) {
            let record = record.unwrap();
            let offset = batch.base_offset() + i64::from(record.offset_delta);
            let Ok(Some(known)) = Registers::decode(record.key.unwrap(), record.value) else { continue };
            match batch.is_transactional() {
                true => open.entry(batch.producer_id()).or_default().push((offset, known)),
                false => committed.push((offset, known)),
            }
        }
    }
    committed.sort_by_key(|(offset, _)| *offset);
    let last: BTreeMap<String, Option<String>> = committed.into_iter().map(|(_, record)| record).collect();
    last.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

pub fn view(bytes: &[u8]) -> Batch<'_> {
    Batch::split_first(bytes).unwrap().0
}

impl PartitionWriter for MemoryLog {
    fn append(
        &self,
        _: PartitionIndex,
        epoch: LeaderEpoch,
        batch: &mut [u8],
    ) -> Result<Offset, AppendFailure> {
        let mut state = self.state.lock();
        if epoch.0 != state.epoch {
            return Err(AppendFailure::Refused(ErrorCode::NotLeaderOrFollower.into()));
        }
        let fate = state.fates.pop_front();
        if let Some(Fate::Refused(code)) = fate {
            return Err(AppendFailure::Refused(code.into()));
        }
        let (mut first, _) = BatchMut::split_first(batch).unwrap();
        first.set_base_offset(Offset(state.end));
        first.set_leader_epoch(epoch);
        assert!(first.as_batch().crc_matches());
        state.end = first.as_batch().next_offset().0;
        state.batches.push(batch.to_vec());
        if let Some(Fate::Unknown) = fate {
            return Err(AppendFailure::Unknown(ErrorCode::KafkaStorageError.into()));
        }
        let end = state.end;
        drop(state);
        if self.is_alone {
            self.commit(end);
        }
        Ok(Offset(end))
    }

    fn append_marker(
        &self,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        batch: &mut [u8],
        transaction_version: i16,
    ) -> Result<Offset, AppendFailure> {
        assert!(view(batch).is_control() && transaction_version == 2, "as the marker says");
        self.append(partition, epoch, batch)
    }

    fn watch(&self, _: PartitionIndex, listener: Arc<dyn WatermarkListener>) -> Result<Offset, ApiError> {
        let mut state = self.state.lock();
        state.listener = Some(listener);
        Ok(Offset(state.high_watermark))
    }
}

impl PartitionReader for MemoryLog {
    fn topic_id(&self) -> anyhow::Result<TopicId> {
        Ok(*self.topic_id.lock())
    }

    fn bounds(&self, _: PartitionIndex) -> anyhow::Result<(Offset, Offset)> {
        let state = self.state.lock();
        Ok((Offset(state.start), Offset(state.end)))
    }

    fn read(&self, _: PartitionIndex, from: Offset, max_size_bytes: usize) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if self.state.lock().cannot_be_read {
            anyhow::bail!("as told");
        }
        for batch in self.state.lock().batches.iter().filter(|batch| view(batch).next_offset() > from) {
            if !bytes.is_empty() && bytes.len() + batch.len() > max_size_bytes {
                break;
            }
            bytes.extend_from_slice(batch);
        }
        Ok(bytes)
    }

    fn epoch_at(&self, _: PartitionIndex, offset: Offset) -> Option<LeaderEpoch> {
        let state = self.state.lock();
        let found = state.batches.iter().find(|batch| view(batch).next_offset() > offset);
        found.map(|batch| view(batch).leader_epoch())
    }

    fn tombstone_retention_ms(&self) -> i64 {
        RETENTION_MS
    }
}
