//! Finding records by their time, exact inside a batch, and segments by theirs.
//!
//! Batches are decompressed here, within a bound, because only the records tell their timestamps. Kafka:
//! `UnifiedLog.fetchOffsetByTimestamp`, `FileRecords.searchForTimestamp`.

use std::sync::Arc;

use tracing::warn;

use crate::log::read::{LogView, ReadError, TryError, segment_index_of};
use crate::log::scan::{BatchHeader, HeaderScan};
use crate::log::segment::{Segment, SegmentError};
use crate::protocol::batch::{Batch, TimestampType};
use crate::protocol::compression::decompress;
use crate::protocol::ids::{LeaderEpoch, Offset, Timestamp};
use crate::protocol::records::RecordIter;

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundByTime {
    pub timestamp: Timestamp,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}

/// What bounds a search by time.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimits {
    /// Exclusive: what lies behind is not answered.
    pub up_to: Offset,
    /// A batch that is larger when decompressed is answered by its first offset.
    pub max_decompressed_bytes: usize,
}

impl LogView {
    /// The first record that is at least as young as `target`.
    pub fn offset_for_time(
        &self,
        target: Timestamp,
        limits: TimeLimits,
    ) -> Result<Option<FoundByTime>, ReadError> {
        self.until_no_truncation(|| self.search(target, limits))
    }

    /// The first record with the largest timestamp of the log (KIP-734).
    pub fn max_timestamp(&self, limits: TimeLimits) -> Result<Option<FoundByTime>, ReadError> {
        self.until_no_truncation(|| {
            let mut largest = Timestamp::NONE;
            for segment in self.segments().iter() {
                largest = largest.max(segment.largest_timestamp()?.timestamp);
            }
            if largest == Timestamp::NONE { Ok(None) } else { self.search(largest, limits) }
        })
    }

    /// The first offset of each segment and when the segment was last written, oldest first. Behind a last segment that
    /// is not empty the end of the log follows, with `now` (`UnifiedLog.legacyFetchOffsetsBefore`). Reads from disk. Without `now` nothing
    /// is read, and there are no times.
    pub fn segment_times(&self, now: Option<Timestamp>) -> Result<Vec<(Offset, Timestamp)>, ReadError> {
        self.until_no_truncation(|| {
            let (log_start_offset, log_end_offset) = (self.log_start_offset(), self.log_end_offset());
            let segments = self.segments();
            let mut times = Vec::with_capacity(segments.len() + 1);
            for segment in segments.iter() {
                let modified = if now.is_some() { segment.modified()? } else { Timestamp::NONE };
                times.push((segment.base_offset().max(log_start_offset), modified));
            }
            // A log that was never written to has no segment here; in Kafka it has an empty one.
            if segments.last().is_none_or(|last| last.base_offset() < log_end_offset) {
                times.push((log_end_offset, now.unwrap_or(Timestamp::NONE)));
            }
            Ok(times)
        })
    }

    fn search(&self, target: Timestamp, limits: TimeLimits) -> Result<Option<FoundByTime>, TryError> {
        let log_start_offset = self.log_start_offset();
        let sight = self.look(log_start_offset, limits.up_to);
        let segments = self.segments();
        for (index, segment) in
            segments.iter().enumerate().skip(segment_index_of(&segments, log_start_offset))
        {
            if segment.largest_timestamp()?.timestamp < target {
                continue;
            }
            let limit = self.visible_size(&segments, index, limits.up_to, &sight)?;
            if let Some(found) = search_segment(segment, target, log_start_offset, limit, limits)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn search_segment(
    segment: &Arc<Segment>,
    target: Timestamp,
    log_start_offset: Offset,
    limit: u64,
    limits: TimeLimits,
) -> Result<Option<FoundByTime>, SegmentError> {
    let older_to = segment.with_indexes(|indexes| indexes.times.lookup(target))?.offset;
    let Some(start) = segment.locate(older_to.max(log_start_offset), limit)? else { return Ok(None) };
    let file = segment.readable_file()?;
    let mut scan = HeaderScan::new(&file, start.position, limit);
    while let Some(header) = scan.next_batch().map_err(|error| segment.scan_failed(error))? {
        if header.max_timestamp < target || header.span.next_offset <= log_start_offset {
            continue;
        }
        if let Some(found) = search_batch(segment, &header, target, log_start_offset, limits)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The first record of a batch that is young enough and behind the log start.
fn search_batch(
    segment: &Arc<Segment>,
    header: &BatchHeader,
    target: Timestamp,
    log_start_offset: Offset,
    limits: TimeLimits,
) -> Result<Option<FoundByTime>, SegmentError> {
    let mut bytes = vec![0; header.span.size_bytes as usize];
    let read = segment.readable_file()?.read_exact_at(&mut bytes, header.span.position);
    read.map_err(|error| segment.scan_failed(error.into()))?;
    let found = |timestamp: Timestamp, offset: Offset| {
        Some(FoundByTime { timestamp, offset, leader_epoch: header.leader_epoch })
    };
    let start = header.span.base_offset.max(log_start_offset);
    let batch = Batch::split_first(&bytes).map(|(batch, _)| batch).ok();
    let Some((batch, codec)) = batch.and_then(|batch| Some((batch, batch.compression()?))) else {
        return Ok(found(header.max_timestamp, start));
    };
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        return Ok(found(header.max_timestamp, start));
    }
    let records = match decompress(codec, batch.records(), limits.max_decompressed_bytes) {
        Ok(records) => records,
        Err(error) => {
            // The batch's start is the nearest answer that misses no record.
            warn!(segment = %segment.path().display(), position = header.span.position, "cannot search a batch: {error}");
            return Ok(found(header.max_timestamp, start));
        }
    };
    for record in RecordIter::new(&records, batch.record_count()).flatten() {
        let timestamp = Timestamp(batch.first_timestamp().0.saturating_add(record.timestamp_delta));
        let offset = header.span.base_offset + i64::from(record.offset_delta);
        if timestamp >= target && offset >= log_start_offset {
            return Ok(found(timestamp, offset));
        }
    }
    Ok(None)
}
