//! How dirty a compacted log is: where a round begins, where it must end, and how much it could win.
//!
//! A round ends before the active segment, before the last stable offset, and before the first segment with a record
//! younger than `min.compaction.lag.ms` (KIP-58). A log whose oldest dirty record waits for longer than
//! `max.compaction.lag.ms` is due however clean it is (KIP-354). Kafka: `LogCleanerManager.cleanableOffsets`,
//! `LogToClean`.

use std::sync::Arc;

use crate::config::topic::TopicConfig;
use crate::log::read::LogView;
use crate::log::scan::HeaderScan;
use crate::log::segment::{Segment, SegmentError};
use crate::protocol::ids::{Offset, Timestamp};

/// What a round would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirt {
    /// Everything before it was cleaned once.
    pub first_dirty_offset: Offset,
    /// Base of the first segment that stays as it is.
    pub first_uncleanable_offset: Offset,
    pub clean_bytes: u64,
    pub cleanable_bytes: u64,
    /// A dirty record waits for longer than `max.compaction.lag.ms`.
    pub is_overdue: bool,
}

impl Dirt {
    /// Share of the bytes that a round would look at for the first time.
    pub fn ratio(&self) -> f64 {
        let total_bytes = self.clean_bytes + self.cleanable_bytes;
        if total_bytes == 0 { 0.0 } else { self.cleanable_bytes as f64 / total_bytes as f64 }
    }

    /// Whether a round is worth its while.
    pub fn is_due(&self, config: &TopicConfig) -> bool {
        (self.is_overdue && self.cleanable_bytes > 0) || self.ratio() > config.min_cleanable_dirty_ratio
    }
}

impl LogView {
    /// What a round would find now. `cleaned_to` is where the last one ended; `stable_offset` is the last stable offset.
    pub fn dirt(
        &self,
        config: &TopicConfig,
        cleaned_to: Option<Offset>,
        stable_offset: Offset,
        now: Timestamp,
    ) -> Result<Dirt, SegmentError> {
        let first_dirty_offset = first_dirty(cleaned_to, self.log_start_offset(), self.log_end_offset());
        let segments = self.segments();
        let Some((active, sealed)) = segments.split_last() else {
            return Ok(Dirt {
                first_dirty_offset,
                first_uncleanable_offset: first_dirty_offset,
                clean_bytes: 0,
                cleanable_bytes: 0,
                is_overdue: false,
            });
        };
        let sealed_from =
            |offset: Offset| if offset < active.base_offset() { from(sealed, offset) } else { &[] };
        let dirty = sealed_from(first_dirty_offset);
        let mut up_to = stable_offset.min(active.base_offset());
        if let Some(young) = first_young(dirty, config.min_compaction_lag_ms, now)? {
            up_to = up_to.min(young);
        }
        let uncleanable = sealed_from(up_to.max(first_dirty_offset)).first().unwrap_or(active);
        let first_uncleanable_offset = uncleanable.base_offset();
        let size_bytes = |segments: &mut dyn Iterator<Item = &Arc<Segment>>| -> u64 {
            segments.map(|segment| segment.size_bytes()).sum()
        };
        let is_clean = |segment: &&Arc<Segment>| segment.base_offset() < first_dirty_offset;
        let is_cleanable = |segment: &&Arc<Segment>| segment.base_offset() < first_uncleanable_offset;
        Ok(Dirt {
            first_dirty_offset,
            first_uncleanable_offset,
            clean_bytes: size_bytes(&mut segments.iter().filter(is_clean)),
            cleanable_bytes: size_bytes(&mut dirty.iter().filter(is_cleanable)),
            is_overdue: is_overdue(dirty, config.max_compaction_lag_ms, now)?,
        })
    }
}

/// Where the last round ended, unless the log has moved on without it: records were deleted from its start, or a crash took
/// some from its end.
fn first_dirty(cleaned_to: Option<Offset>, log_start_offset: Offset, log_end_offset: Offset) -> Offset {
    match cleaned_to {
        Some(offset) if log_start_offset <= offset && offset <= log_end_offset => offset,
        Some(_) | None => log_start_offset,
    }
}

/// The segments from the one that holds `offset` on.
pub(super) fn from(segments: &[Arc<Segment>], offset: Offset) -> &[Arc<Segment>] {
    let behind = segments.partition_point(|segment| segment.base_offset() <= offset);
    &segments[behind.saturating_sub(1)..]
}

/// Base of the first segment with a record that is too young to be superseded.
fn first_young(
    dirty: &[Arc<Segment>],
    min_lag_ms: i64,
    now: Timestamp,
) -> Result<Option<Offset>, SegmentError> {
    if min_lag_ms <= 0 {
        return Ok(None);
    }
    for segment in dirty {
        let largest = segment.largest_timestamp()?.timestamp;
        // Records without timestamps: the file's time stands in for theirs.
        let youngest = if largest.0 >= 0 { largest } else { segment.modified()? };
        if now.since(youngest) < min_lag_ms {
            return Ok(Some(segment.base_offset()));
        }
    }
    Ok(None)
}

fn is_overdue(dirty: &[Arc<Segment>], max_lag_ms: i64, now: Timestamp) -> Result<bool, SegmentError> {
    if max_lag_ms >= now.0 {
        return Ok(false);
    }
    for segment in dirty {
        let file = segment.readable_file()?;
        let first = HeaderScan::new(&file, 0, segment.size_bytes()).next_batch();
        // The age of a segment counts from its first batch, as for rolling it.
        let first = first.map_err(|error| segment.scan_failed(error))?;
        if let Some(first) = first
            && first.max_timestamp.0 > 0
            && now.since(first.max_timestamp) > max_lag_ms
        {
            return Ok(true);
        }
    }
    Ok(false)
}
