//! The published side of a log: what readers may see, without ever taking the append mutex.
//!
//! A read finds the batch of an offset and answers with a range of one segment file; no record is copied. The newest
//! batches' places are kept in memory, so a consumer at the tail costs no IO until its bytes are sent. Kafka:
//! `LocalLog.read`, `LogSegment.read`.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use anyhow::Context;
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use crate::env::fs::FileRegion;
use crate::log::lately::Lately;
use crate::log::scan::BatchSpan;
use crate::log::segment::{Segment, SegmentError};
use crate::log::txn_index::AbortedTransaction;
use crate::protocol::ids::{Offset, Timestamp};

/// Batches at the tail whose places are kept in memory.
const RECENT_BATCH_COUNT: usize = 32;

/// All segments in the order of their offsets; the last takes the appends.
pub(super) type Segments = Vec<Arc<Segment>>;

/// Where the log ends. One lock keeps offset and position together, so that a reader who may see everything up to an
/// offset never gets a byte more.
#[derive(Debug)]
struct Tail {
    end_offset: Offset,
    active_base_offset: Offset,
    active_size_bytes: u64,
    /// The newest batches of the active segment.
    recent: VecDeque<BatchSpan>,
    /// When the end of the active segment was written.
    lately: Lately,
}

/// What readers share.
#[derive(Debug)]
pub struct LogView {
    directory: Arc<Path>,
    segments: ArcSwap<Segments>,
    tail: Mutex<Tail>,
    log_start_offset: AtomicI64,
    log_end_offset: AtomicI64,
    sealed_size_bytes: AtomicU64,
    /// Truncations and swaps so far: a reader that met one in its way looks again.
    truncation_count: AtomicU64,
    is_deleted: AtomicBool,
}

/// What a read may answer at most.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    pub max_size_bytes: usize,
    /// Exclusive: the high watermark, the last stable offset, or the log end for a follower.
    pub up_to: Offset,
    /// The first batch comes whole even when it is larger than `max_size_bytes` (KIP-74).
    pub at_least_one: bool,
}

/// Why a read has no answer.
#[derive(Debug)]
pub enum ReadError {
    OffsetOutOfRange {
        log_start_offset: Offset,
        log_end_offset: Offset,
    },
    /// Bytes that were valid once are not. The partition must answer an error.
    Corrupt(anyhow::Error),
    /// The log was deleted.
    Deleted,
    Failed(anyhow::Error),
}

/// Where the walk of one read begins and ends.
pub(super) struct Sight {
    end_offset: Offset,
    active_base_offset: Offset,
    active_size_bytes: u64,
    from: Option<BatchSpan>,
    /// Where the first batch that must not be seen begins, when it is one of the newest.
    up_to: Option<BatchSpan>,
    lately: Lately,
}

impl LogView {
    pub(super) fn new(directory: Arc<Path>, log_start_offset: Offset, log_end_offset: Offset) -> LogView {
        LogView {
            directory,
            segments: ArcSwap::from_pointee(Segments::new()),
            tail: Mutex::new(Tail {
                end_offset: log_end_offset,
                active_base_offset: log_end_offset,
                active_size_bytes: 0,
                recent: VecDeque::new(),
                lately: Lately::default(),
            }),
            log_start_offset: AtomicI64::new(log_start_offset.0),
            log_end_offset: AtomicI64::new(log_end_offset.0),
            sealed_size_bytes: AtomicU64::new(0),
            truncation_count: AtomicU64::new(0),
            is_deleted: AtomicBool::new(false),
        }
    }

    pub fn log_start_offset(&self) -> Offset {
        Offset(self.log_start_offset.load(Ordering::Acquire))
    }

    pub fn log_end_offset(&self) -> Offset {
        Offset(self.log_end_offset.load(Ordering::Acquire))
    }

    /// Bytes of all segments' records; indexes are not counted, as in DescribeLogDirs.
    pub fn size_bytes(&self) -> u64 {
        self.sealed_size_bytes.load(Ordering::Relaxed) + self.tail.lock().active_size_bytes
    }

    pub fn segment_count(&self) -> usize {
        self.segments.load().len()
    }

    /// Finds the batch that holds `from`, or the next one, and answers with whole batches from there on that end before
    /// `up_to` and stand in one segment. `None`: there is nothing to read yet, or nothing that fits.
    pub fn read(&self, from: Offset, limits: ReadLimits) -> Result<Option<FileRegion>, ReadError> {
        self.until_no_truncation(|| Ok(self.try_read(from, limits)?.map(|found| found.region)))
    }

    /// As [`LogView::read`], for a read_committed consumer: with the aborted transactions that touch what is read.
    pub fn read_committed(
        &self,
        from: Offset,
        limits: ReadLimits,
    ) -> Result<Option<(FileRegion, Vec<AbortedTransaction>)>, ReadError> {
        self.until_no_truncation(|| {
            let Some(found) = self.try_read(from, limits)? else { return Ok(None) };
            // The same segments as were read: compaction may put others in their place any time.
            let segments = &found.segments[found.index..];
            // Where the answer ends may have to be read, so nobody asks where nothing was aborted.
            let aborted = match segments.iter().any(|segment| segment.may_hold_abort()) {
                true => aborted_in(segments, from, found.end_offset(limits.up_to)?)?,
                false => Vec::new(),
            };
            Ok(Some((found.region, aborted)))
        })
    }

    /// A truncation or a compaction may pull the file from under a walk; then the walk begins again.
    pub(super) fn until_no_truncation<T>(
        &self,
        attempt: impl Fn() -> Result<T, TryError>,
    ) -> Result<T, ReadError> {
        loop {
            let truncation_count = self.truncation_count.load(Ordering::Acquire);
            match attempt() {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    if self.truncation_count.load(Ordering::Acquire) == truncation_count {
                        return Err(self.read_error(error));
                    }
                }
            }
        }
    }

    /// As [`LogView::read`], with the bytes themselves; for readers inside the broker.
    pub fn read_bytes(&self, from: Offset, limits: ReadLimits) -> Result<Vec<u8>, ReadError> {
        let Some(region) = self.read(from, limits)? else { return Ok(Vec::new()) };
        let mut bytes = vec![0; region.size_bytes];
        region
            .file
            .read_exact_at(&mut bytes, region.position)
            .with_context(|| format!("read offset {from} in {}", self.directory.display()))
            .map_err(ReadError::Failed)?;
        Ok(bytes)
    }

    /// The aborted transactions that touch `from..up_to`.
    #[cfg(test)]
    pub fn aborted_transactions(
        &self,
        from: Offset,
        up_to: Offset,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        self.until_no_truncation(|| {
            let segments = self.segments.load();
            Ok(aborted_in(&segments[segment_index_of(&segments, from)..], from, up_to)?)
        })
    }

    fn try_read(&self, from: Offset, limits: ReadLimits) -> Result<Option<Found>, TryError> {
        let sight = self.look(from, limits.up_to);
        if from < self.log_start_offset() || from > sight.end_offset {
            return Err(TryError::OutOfRange);
        }
        if from >= limits.up_to || from >= sight.end_offset {
            return Ok(None);
        }
        let segments = self.segments.load();
        let mut index = segment_index_of(&segments, from);
        // Compaction leaves gaps: what follows them may stand in the next segment.
        while let Some(segment) = segments.get(index) {
            let limit = self.visible_size(&segments, index, limits.up_to, &sight)?;
            let known = sight.from.filter(|_| segment.base_offset() == sight.active_base_offset);
            let first = match known {
                Some(span) => Some(span),
                None => segment.locate(from, limit)?,
            };
            match first {
                Some(first) if first.end_position() <= limit => {
                    let Some(mut region) = cut(segment, first, limit, limits)? else { return Ok(None) };
                    if segment.base_offset() == sight.active_base_offset {
                        region.written_since = sight.lately.since(region.position, sight.active_size_bytes);
                    }
                    let reaches_limit = region.position + region.size_bytes as u64 == limit;
                    return Ok(Some(Found { region, segments, index, reaches_limit }));
                }
                // The batch reaches into what must not be seen.
                Some(_) => return Ok(None),
                None => index += 1,
            }
        }
        Ok(None)
    }

    /// One look at the tail: everything a read needs to know of it, consistent.
    pub(super) fn look(&self, from: Offset, up_to: Offset) -> Sight {
        let tail = self.tail.lock();
        Sight {
            end_offset: tail.end_offset,
            active_base_offset: tail.active_base_offset,
            active_size_bytes: tail.active_size_bytes,
            from: tail.recent_batch(from),
            up_to: tail.recent_batch(up_to),
            lately: tail.lately,
        }
    }

    /// How many bytes of a segment lie before `up_to`.
    pub(super) fn visible_size(
        &self,
        segments: &Segments,
        index: usize,
        up_to: Offset,
        sight: &Sight,
    ) -> Result<u64, SegmentError> {
        let segment = &segments[index];
        let is_active = segment.base_offset() == sight.active_base_offset;
        let size_bytes = if is_active { sight.active_size_bytes } else { segment.size_bytes() };
        let end_offset = if is_active {
            sight.end_offset
        } else {
            segments.get(index + 1).map_or(sight.end_offset, |next| next.base_offset())
        };
        if up_to >= end_offset {
            return Ok(size_bytes);
        }
        if let Some(span) = sight.up_to.filter(|_| is_active) {
            return Ok(span.position);
        }
        Ok(segment.locate(up_to, size_bytes)?.map_or(size_bytes, |span| span.position))
    }

    fn read_error(&self, error: TryError) -> ReadError {
        let out_of_range = ReadError::OffsetOutOfRange {
            log_start_offset: self.log_start_offset(),
            log_end_offset: self.log_end_offset(),
        };
        match error {
            _ if self.is_deleted() => ReadError::Deleted,
            TryError::OutOfRange => out_of_range,
            // Retention took it away between the check and the look-up.
            TryError::Segment(SegmentError::Removed) => out_of_range,
            TryError::Segment(SegmentError::Failed(error)) => ReadError::Failed(error),
            TryError::Segment(error @ SegmentError::Corrupt { .. }) => ReadError::Corrupt(error.into()),
        }
    }

    pub(super) fn segments(&self) -> Arc<Segments> {
        self.segments.load_full()
    }

    pub fn is_deleted(&self) -> bool {
        self.is_deleted.load(Ordering::Acquire)
    }

    /// The files are on their way out: readers that find them gone are not met by a failure.
    pub fn set_deleted(&self) {
        self.is_deleted.store(true, Ordering::Release);
    }

    pub(super) fn set_log_start_offset(&self, to: Offset) {
        self.log_start_offset.store(to.0, Ordering::Release);
    }

    /// A batch was written at the end of the active segment; it is seen after [`LogView::publish_end`].
    pub(super) fn note(&self, span: &BatchSpan) {
        let mut tail = self.tail.lock();
        if tail.recent.len() == RECENT_BATCH_COUNT {
            tail.recent.pop_front();
        }
        tail.recent.push_back(*span);
    }

    /// After an append: the log ends at an offset, and the active segment after so many bytes.
    pub(super) fn publish_end(&self, end_offset: Offset, active_size_bytes: u64, now: Timestamp) {
        let mut tail = self.tail.lock();
        let written_from = tail.active_size_bytes;
        tail.lately.wrote(written_from, now);
        tail.end_offset = end_offset;
        tail.active_size_bytes = active_size_bytes;
        self.log_end_offset.store(end_offset.0, Ordering::Release);
    }

    /// Segments came or went without records being cut from the tail. Published before the tail names the new active
    /// segment: a reader looks at the tail first, so it finds every segment that the tail names.
    pub(super) fn publish_segments(&self, segments: Segments, end_offset: Offset) {
        let active = segments.last().cloned();
        let sealed_size_bytes = segments.iter().rev().skip(1).map(|segment| segment.size_bytes()).sum();
        self.segments.store(Arc::new(segments));
        let mut tail = self.tail.lock();
        let active_base_offset = active.as_ref().map_or(end_offset, |segment| segment.base_offset());
        if tail.active_base_offset != active_base_offset {
            tail.recent.clear();
            tail.lately = Lately::default();
        }
        tail.active_base_offset = active_base_offset;
        tail.active_size_bytes = active.map_or(0, |segment| segment.size_bytes());
        tail.end_offset = end_offset;
        self.sealed_size_bytes.store(sealed_size_bytes, Ordering::Relaxed);
        self.log_end_offset.store(end_offset.0, Ordering::Release);
    }

    /// Sealed segments gave way to compacted ones, whose files have their names already. Files of those that went are removed
    /// later, so a reader who misses one finds that the count has changed.
    pub(super) fn publish_swap(&self, segments: Segments, end_offset: Offset) {
        self.publish_segments(segments, end_offset);
        self.truncation_count.fetch_add(1, Ordering::AcqRel);
    }

    /// Records are about to be cut from the tail: hides them first.
    pub(super) fn publish_truncation(&self, segments: Segments, end_offset: Offset) {
        self.truncation_count.fetch_add(1, Ordering::AcqRel);
        let mut tail = self.tail.lock();
        tail.recent.clear();
        tail.lately = Lately::default();
        drop(tail);
        self.publish_segments(segments, end_offset);
        self.truncation_count.fetch_add(1, Ordering::AcqRel);
    }
}

/// What a read has found.
struct Found {
    region: FileRegion,
    segments: Guard<Arc<Segments>>,
    /// Of the segment that holds the region.
    index: usize,
    /// It holds all of the segment that the reader may see.
    reaches_limit: bool,
}

impl Found {
    /// Where the records end that were found, exclusive.
    fn end_offset(&self, up_to: Offset) -> Result<Offset, SegmentError> {
        let next_base_offset = self.segments.get(self.index + 1).map(|next| next.base_offset());
        let most = next_base_offset.map_or(up_to, |next| next.min(up_to));
        if self.reaches_limit {
            return Ok(most);
        }
        let behind = self.region.position + self.region.size_bytes as u64;
        Ok(self.segments[self.index].offset_at(behind)?.map_or(most, |offset| offset.min(most)))
    }
}

/// How one attempt to read fails.
pub(super) enum TryError {
    OutOfRange,
    Segment(SegmentError),
}

impl From<SegmentError> for TryError {
    fn from(error: SegmentError) -> TryError {
        TryError::Segment(error)
    }
}

impl Tail {
    /// The batch that holds `offset`, or the next one, when it is one of the newest.
    fn recent_batch(&self, offset: Offset) -> Option<BatchSpan> {
        let oldest = self.recent.front()?;
        if offset < oldest.base_offset || offset >= self.end_offset {
            return None;
        }
        let index = self.recent.partition_point(|span| span.next_offset <= offset);
        self.recent.get(index).copied()
    }
}

/// The aborted transactions of neighbouring segments that touch `from..up_to`.
pub(super) fn aborted_in(
    segments: &[Arc<Segment>],
    from: Offset,
    up_to: Offset,
) -> Result<Vec<AbortedTransaction>, SegmentError> {
    let mut aborted = Vec::new();
    for segment in segments {
        let (found, is_complete) = segment.aborted(from, up_to)?;
        aborted.extend(found);
        if is_complete {
            break;
        }
    }
    Ok(aborted)
}

/// Index of the segment that holds `offset` when any does.
pub(super) fn segment_index_of(segments: &Segments, offset: Offset) -> usize {
    segments.partition_point(|segment| segment.base_offset() <= offset).saturating_sub(1)
}

/// The range from the first batch on that obeys the limits.
fn cut(
    segment: &Arc<Segment>,
    first: BatchSpan,
    limit: u64,
    limits: ReadLimits,
) -> Result<Option<FileRegion>, TryError> {
    let max_size_bytes = limits.max_size_bytes as u64;
    let end = if first.position + max_size_bytes >= limit {
        limit
    } else if first.size_bytes > max_size_bytes {
        if !limits.at_least_one {
            return Ok(None);
        }
        first.end_position()
    } else {
        segment.boundary_before(first.position, first.position + max_size_bytes)?.max(first.end_position())
    };
    let file = segment.readable_file()?;
    let size_bytes = (end - first.position) as usize;
    Ok(Some(FileRegion { file, position: first.position, size_bytes, written_since: None }))
}
