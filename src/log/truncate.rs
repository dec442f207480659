//! Cutting records off the end of a log: a follower that diverged, a quorum member that was deposed, a copy that begins anew.
//!
//! Kafka: `UnifiedLog.truncateTo`, `UnifiedLog.truncateFullyAndStartAt`.

use std::sync::atomic::Ordering;

use anyhow::{Context, bail};

use crate::env::fs;
use crate::log::log::Log;
use crate::log::producer_state::ProducerState;
use crate::log::producers::Expiry;
use crate::log::segment::{SNAPSHOT_SUFFIX, parse_file_name};
use crate::log::{leftovers, producers, recovery};
use crate::protocol::ids::{Offset, Timestamp};

impl Log {
    /// Removes everything at and behind `to`. A batch that reaches across `to` goes as a whole, and the log still ends at
    /// `to`. The caller has made sure that nothing of it was committed.
    pub fn truncate_to(&mut self, to: Offset, now: Timestamp) -> anyhow::Result<()> {
        if self.is_failed {
            bail!("truncate {}: an earlier write failed", self.directory.display());
        }
        if to >= self.log_end_offset() {
            return Ok(());
        }
        let first_offset = self.view.segments().first().map(|segment| segment.base_offset());
        if to < self.log_start_offset() || first_offset.is_none_or(|first| to <= first) {
            return self.truncate_fully_and_start_at(to, now);
        }
        self.cut_segments(to, now).map_err(|error| self.fail_with(error))
    }

    fn cut_segments(&mut self, to: Offset, now: Timestamp) -> anyhow::Result<()> {
        let segments = self.view.segments();
        let (kept, dropped) =
            segments.split_at(segments.partition_point(|segment| segment.base_offset() < to));
        let last = kept.last().context("the log begins before the cut")?;
        let end_position =
            last.locate(to, last.size_bytes())?.map_or(last.size_bytes(), |span| span.position);
        last.set_size_bytes(end_position);
        last.truncate_indexes(end_position, to)?;
        self.truncation_count += 1;
        let complete_to = if last.has_unwritten_transactions() { last.base_offset() } else { to };
        self.flushed_to = self.flushed_to.min(complete_to);
        self.is_changed = true;
        self.view.publish_truncation(kept.to_vec(), to);
        for segment in dropped.iter().rev() {
            leftovers::remove_segment(segment)?;
        }
        last.readable_file()?.truncate(end_position).context("truncate segment")?;
        self.active = Some(recovery::active_segment(last, now)?);
        if self.epochs.truncate_from_end(to) {
            self.save_epochs()?;
        }
        self.rebuild_producers(to, now)
    }

    /// Removes every record; the next one gets the offset `at`.
    pub fn truncate_fully_and_start_at(&mut self, at: Offset, now: Timestamp) -> anyhow::Result<()> {
        if self.is_failed {
            bail!("truncate {}: an earlier write failed", self.directory.display());
        }
        self.start_over_at(at, now).map_err(|error| self.fail_with(error))
    }

    fn start_over_at(&mut self, at: Offset, now: Timestamp) -> anyhow::Result<()> {
        let segments = self.view.segments();
        self.truncation_count += 1;
        self.flushed_to = at;
        self.is_changed = true;
        self.epochs.clear();
        self.producers = ProducerState::starting_at(at);
        self.active = None;
        if let Some(prepared) = self.prepared.take() {
            prepared.remove_segment()?;
        }
        self.view.set_log_start_offset(at);
        self.view.publish_truncation(Vec::new(), at);
        // From the end, so that a crash in between leaves a log without holes.
        for segment in segments.iter().rev() {
            leftovers::remove_segment(segment)?;
        }
        self.remove_snapshots_behind(Offset(-1))?;
        if !segments.is_empty() {
            // The empty segment remembers the offset.
            self.create_files(now).map_err(anyhow::Error::from)?;
            self.save_epochs()?;
        }
        Ok(())
    }

    fn rebuild_producers(&mut self, to: Offset, now: Timestamp) -> anyhow::Result<()> {
        self.remove_snapshots_behind(to)?;
        let snapshots = self.snapshot_offsets()?;
        let segments = self.view.segments();
        let expiry = Expiry { now, expiration_ms: self.producer_expiration_ms.load(Ordering::Relaxed) };
        let mut producers = producers::load(&self.directory, &snapshots, &segments, to, expiry)?;
        producers::replay(&mut producers, &segments, to)?;
        self.producers = producers;
        Ok(())
    }

    fn remove_snapshots_behind(&self, offset: Offset) -> anyhow::Result<()> {
        for at in self.snapshot_offsets()?.into_iter().filter(|at| *at > offset) {
            self.remove_snapshot(at).context("remove producer snapshot")?;
        }
        Ok(())
    }

    fn snapshot_offsets(&self) -> anyhow::Result<Vec<Offset>> {
        if !fs::exists(&self.directory) {
            return Ok(Vec::new());
        }
        let entries = fs::list(&self.directory).context("list producer snapshots")?;
        Ok(entries.iter().filter_map(|entry| parse_file_name(&entry.name, SNAPSHOT_SUFFIX)).collect())
    }
}
