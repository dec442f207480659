//! Which leader epoch wrote which offsets of a partition (KIP-101, KIP-320), and the
//! `leader-epoch-checkpoint` file that holds it.
//!
//! Pure; the log writes the file. The cache is derived from the batches of the log, never trusted alone, but
//! for the entry at or below the log start offset, whose batches are gone. Rules: `LeaderEpochFileCache`.

use crate::protocol::ids::{LeaderEpoch, Offset};

/// The epoch wrote from this offset on, up to the next entry's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    pub epoch: LeaderEpoch,
    pub start_offset: Offset,
}

/// Entries in which epochs and start offsets both grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochCache {
    entries: Vec<EpochEntry>,
}

impl EpochCache {
    /// Oldest first.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// The epoch writes from `start_offset` on. Later claims win: entries that contradict it go. A batch
    /// without an epoch (-1) says nothing. Returns whether the cache has changed.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch.0 < 0 || start_offset.0 < 0 {
            return false;
        }
        let known =
            self.latest().is_some_and(|latest| latest.epoch == epoch && latest.start_offset <= start_offset);
        if known {
            return false;
        }
        while self.latest().is_some_and(|last| last.epoch >= epoch || last.start_offset >= start_offset) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { epoch, start_offset });
        true
    }

    /// OffsetForLeaderEpoch: the largest epoch known that is not above the requested one, and where it ends.
    /// `None` when that cannot be told: for -1, for an epoch above all known, and without entries.
    pub fn end_offset_for(
        &self,
        requested: LeaderEpoch,
        log_end_offset: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if requested == LeaderEpoch::NONE {
            return None;
        }
        if self.latest()?.epoch == requested {
            return Some((requested, log_end_offset));
        }
        let higher = self.entries.partition_point(|entry| entry.epoch <= requested);
        let end_offset = self.entries.get(higher)?.start_offset;
        // Before the first known epoch, all that is sure is where that begins.
        let floor = higher.checked_sub(1).map_or(requested, |floor| self.entries[floor].epoch);
        Some((floor, end_offset))
    }

    /// The epoch that wrote the offset; `None` before the first entry.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.entries.partition_point(|entry| entry.start_offset <= offset);
        Some(self.entries[above.checked_sub(1)?].epoch)
    }

    /// The log ends at `end_offset`: epochs that began there or later are gone. Returns whether there were
    /// any.
    pub fn truncate_from_end(&mut self, end_offset: Offset) -> bool {
        let kept = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// The log begins at `start_offset`: the epoch that wrote it begins there as well, and those before are
    /// gone. Returns whether anything has changed.
    pub fn truncate_from_start(&mut self, start_offset: Offset) -> bool {
        let above = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(first) = above.checked_sub(1) else { return false };
        let changed = first > 0 || self.entries[first].start_offset != start_offset;
        self.entries[first].start_offset = start_offset;
        self.entries.drain(..first);
        changed
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Text of the checkpoint file: a version, the count, then `epoch offset` a line.
    pub fn to_text(&self) -> String {
        let mut text = format!("0\n{}\n", self.entries.len());
        for entry in &self.entries {
            text.push_str(&format!("{} {}\n", entry.epoch, entry.start_offset));
        }
        text
    }

    /// Reads what [`EpochCache::to_text`] writes; `None` for anything else. Entries that contradict each
    /// other are settled as [`EpochCache::assign`] does.
    pub fn from_text(text: &str) -> Option<EpochCache> {
        let mut lines = text.lines();
        if lines.next()?.trim() != "0" {
            return None;
        }
        let count: usize = lines.next()?.trim().parse().ok()?;
        let mut cache = EpochCache::default();
        for _ in 0..count {
            let (epoch, start_offset) = lines.next()?.split_once(' ')?;
            let epoch = LeaderEpoch(epoch.parse().ok()?);
            let start_offset = Offset(start_offset.trim().parse().ok()?);
            if epoch.0 < 0 || start_offset.0 < 0 {
                return None;
            }
            cache.assign(epoch, start_offset);
        }
        lines.all(|line| line.trim().is_empty()).then_some(cache)
    }
}

#[cfg(test)]
mod tests;
