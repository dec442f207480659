//! Which segments may go, and taking them away.
//!
//! Whole segments only, oldest first, and never one that holds an offset at or above the high watermark. Files are renamed
//! at once and removed when `file.delete.delay.ms` is over, which the caller sees to. Kafka: `UnifiedLog.deleteOldSegments`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use tracing::info;

use crate::env::fs;
use crate::log::log::Log;
use crate::log::segment::{Segment, SegmentError};
use crate::protocol::ids::{Offset, Timestamp};

/// Files of a segment that the log no longer holds.
#[derive(Debug)]
pub struct RemovedSegment {
    pub base_offset: Offset,
    pub size_bytes: u64,
    paths: Vec<PathBuf>,
    /// When the files may go.
    pub remove_at: Timestamp,
}

impl RemovedSegment {
    /// `paths` are the files of `segment` under the names they wait with.
    pub(super) fn new(segment: &Segment, paths: Vec<PathBuf>, remove_at: Timestamp) -> RemovedSegment {
        let (base_offset, size_bytes) = (segment.base_offset(), segment.size_bytes());
        RemovedSegment { base_offset, size_bytes, paths, remove_at }
    }

    /// Removes the files. Readers that hold one open go on.
    pub fn remove_files(&self) -> anyhow::Result<()> {
        self.paths
            .iter()
            .try_for_each(|path| fs::remove(path).with_context(|| format!("remove {}", path.display())))
    }
}

#[derive(Clone, Copy, Debug)]
enum Cause {
    Time,
    Size,
    LogStart,
}

impl Log {
    /// Drops the segments whose time, size or log start has come, and answers the files to remove later.
    pub fn apply_retention(
        &mut self,
        high_watermark: Offset,
        now: Timestamp,
    ) -> anyhow::Result<Vec<RemovedSegment>> {
        if self.is_failed {
            bail!("apply retention to {}: an earlier write failed", self.directory.display());
        }
        let mut removed = Vec::new();
        if self.config.cleanup_delete {
            self.remove_expired(high_watermark, now, &mut removed)?;
            self.remove_excess(high_watermark, now, &mut removed)?;
        }
        let log_start_offset = self.log_start_offset();
        self.remove_oldest(Cause::LogStart, high_watermark, now, &mut removed, |_, end, _| {
            Ok(end <= log_start_offset)
        })?;
        Ok(removed)
    }

    fn remove_expired(
        &mut self,
        high_watermark: Offset,
        now: Timestamp,
        removed: &mut Vec<RemovedSegment>,
    ) -> anyhow::Result<()> {
        let retention_ms = self.config.retention_ms;
        if retention_ms < 0 {
            return Ok(());
        }
        self.remove_oldest(Cause::Time, high_watermark, now, removed, |segment, _, _| {
            let largest = segment.largest_timestamp()?.timestamp;
            // Records without timestamps: the file's time stands in for theirs.
            let timestamp = if largest.0 >= 0 { largest } else { segment.modified()? };
            Ok(now.since(timestamp) > retention_ms)
        })
    }

    fn remove_excess(
        &mut self,
        high_watermark: Offset,
        now: Timestamp,
        removed: &mut Vec<RemovedSegment>,
    ) -> anyhow::Result<()> {
        let retention_bytes = self.config.retention_bytes;
        if retention_bytes < 0 {
            return Ok(());
        }
        let mut excess_bytes = self.view.size_bytes() as i64 - retention_bytes;
        self.remove_oldest(Cause::Size, high_watermark, now, removed, |_, _, size_bytes| {
            excess_bytes -= size_bytes as i64;
            Ok(excess_bytes >= 0)
        })
    }

    /// Drops segments from the start as long as the rule says so. The rule sees the segment, where it ends, and its size.
    fn remove_oldest(
        &mut self,
        cause: Cause,
        high_watermark: Offset,
        now: Timestamp,
        removed: &mut Vec<RemovedSegment>,
        mut may_go: impl FnMut(&std::sync::Arc<Segment>, Offset, u64) -> Result<bool, SegmentError>,
    ) -> anyhow::Result<()> {
        let segments = self.view.segments();
        let mut going_count = 0;
        for (index, segment) in segments.iter().enumerate() {
            let end = segments.get(index + 1).map_or(self.log_end_offset(), |next| next.base_offset());
            // Compaction may have left a sealed segment without a batch; an active one remembers the log end.
            let is_empty_end = index + 1 == segments.len() && segment.size_bytes() == 0;
            if end > high_watermark || is_empty_end || !may_go(segment, end, segment.size_bytes())? {
                break;
            }
            going_count += 1;
        }
        if going_count == 0 {
            return Ok(());
        }
        if going_count == segments.len() {
            // A log always keeps a segment, and the empty one remembers where the log ends.
            self.roll(self.log_end_offset(), now).map_err(anyhow::Error::from)?;
        }
        self.drop_oldest(cause, going_count, now, removed).map_err(|error| self.fail_with(error))
    }

    fn drop_oldest(
        &mut self,
        cause: Cause,
        count: usize,
        now: Timestamp,
        removed: &mut Vec<RemovedSegment>,
    ) -> anyhow::Result<()> {
        let segments = self.view.segments();
        let (going, kept) = segments.split_at(count);
        let first_offset = kept.first().context("a log keeps a segment")?.base_offset();
        // The start moves before the files go, so that a reader who misses a file finds its offset out of range.
        if first_offset > self.log_start_offset() {
            self.view.set_log_start_offset(first_offset);
            self.producers.on_log_start_offset(first_offset);
        }
        if self.epochs.truncate_from_start(self.log_start_offset()) {
            self.save_epochs_durably()?;
        }
        self.view.publish_segments(kept.to_vec(), self.log_end_offset());
        let remove_at = Timestamp(now.0.saturating_add(self.config.file_delete_delay_ms));
        for segment in going {
            info!(segment = %segment.path().display(), ?cause, "dropping a segment");
            let paths = segment
                .rename_to_deleted()
                .with_context(|| format!("rename {}", segment.path().display()))?;
            removed.push(RemovedSegment::new(segment, paths, remove_at));
        }
        Ok(())
    }
}
