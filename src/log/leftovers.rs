//! What a log's directory holds, and the files that a crash may leave in it.
//!
//! `.deleted`: on their way out. `.cleaned`: an unfinished compaction. `.swap`: a finished one whose files
//! had not all taken their places. `.tmp`: half of an atomic replacement. Indexes without a log. Kafka:
//! `LogLoader.removeTempFilesAndCollectSwapFiles`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use tracing::{info, warn};

use crate::env::fs;
use crate::log::recovery::OpenError;
use crate::log::scan::{HeaderScan, ScanError};
use crate::log::segment::{
    LOG_SUFFIX, OFFSET_INDEX_SUFFIX, SNAPSHOT_SUFFIX, Segment, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX,
    file_name, parse_file_name,
};
use crate::log::txn_index;
use crate::protocol::ids::Offset;

/// A cleaned segment whose files have not all got their names.
pub(super) const SWAP_SUFFIX: &str = ".swap";
/// A segment that is being cleaned.
pub(super) const CLEANED_SUFFIX: &str = ".cleaned";

/// What counts in a log's directory.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Size in bytes of each `.log` file by base offset.
    pub segments: BTreeMap<Offset, u64>,
    /// Offsets of the producer snapshots, in order.
    pub snapshots: Vec<Offset>,
    /// Segments that have a transaction index.
    pub with_aborts: BTreeSet<Offset>,
    /// Segments that have lost an index. Of a transaction index nothing tells that it is lost, but whoever removes one
    /// removes all.
    pub unindexed: BTreeSet<Offset>,
}

/// Removes leftovers and answers what counts; a directory that does not exist holds nothing. After an error of the first look,
/// and beside a swap file that is damaged, nothing is changed.
pub(super) fn tidy_up(directory: &Path) -> Result<Found, OpenError> {
    if !fs::exists(directory) {
        return Ok(Found::default());
    }
    let names = file_names(directory)?;
    let has_unfinished = names.iter().any(|name| name.ends_with(CLEANED_SUFFIX));
    // Swap files get their names when the last `.cleaned` is gone: before that the old segments still count.
    let must_go = |name: &String| {
        [".deleted", CLEANED_SUFFIX, ".tmp"].iter().any(|suffix| name.ends_with(suffix))
            || (name.ends_with(SWAP_SUFFIX) && has_unfinished)
    };
    let (mut leftovers, kept): (Vec<String>, Vec<String>) = names.into_iter().partition(must_go);
    let swaps: Vec<&String> = kept.iter().filter(|name| name.ends_with(SWAP_SUFFIX)).collect();
    if leftovers.is_empty() && swaps.is_empty() {
        return Ok(collect(directory, &kept)?);
    }
    // Before anything goes: the segments that a swap replaces may wait as `.deleted`.
    let mut swapped = Vec::new();
    for base_offset in swaps.iter().filter_map(|name| parse_file_name(name, ".log.swap")) {
        swapped.push((base_offset, swap_end(directory, base_offset)?));
    }
    // Swap files go while a `.cleaned` still tells that they do not count.
    leftovers.sort_by_key(|name| !name.ends_with(SWAP_SUFFIX));
    for name in &leftovers {
        info!(directory = %directory.display(), name, "removing a leftover file");
        remove(directory, name)?;
    }
    for (base_offset, next_offset) in swapped {
        complete_swap(directory, base_offset, next_offset)?;
    }
    for suffix in [".index.swap", ".timeindex.swap", ".txnindex.swap"] {
        for base_offset in swaps.iter().filter_map(|name| parse_file_name(name, suffix)) {
            complete_indexes(directory, base_offset)?;
        }
    }
    fs::sync_directory(directory).context("sync directory")?;
    Ok(collect(directory, &file_names(directory)?)?)
}

fn collect(directory: &Path, names: &[String]) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for name in names {
        if let Some(base_offset) = parse_file_name(name, LOG_SUFFIX) {
            let size_bytes = fs::file_size_bytes(&directory.join(name)).context("read segment size")?;
            found.segments.insert(base_offset, size_bytes.unwrap_or(0));
        } else if let Some(at) = parse_file_name(name, SNAPSHOT_SUFFIX) {
            found.snapshots.push(at);
        }
    }
    let indexes_of = |suffix| -> BTreeSet<Offset> {
        names.iter().filter_map(|name| parse_file_name(name, suffix)).collect()
    };
    let (offsets, times) = (indexes_of(OFFSET_INDEX_SUFFIX), indexes_of(TIME_INDEX_SUFFIX));
    let is_unindexed = |base: &&Offset| !offsets.contains(base) || !times.contains(base);
    found.unindexed = found.segments.keys().filter(is_unindexed).copied().collect();
    for name in names {
        for suffix in [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX] {
            if parse_file_name(name, suffix)
                .is_some_and(|base_offset| !found.segments.contains_key(&base_offset))
            {
                remove(directory, name)?;
            }
        }
        if let Some(base_offset) = parse_file_name(name, TXN_INDEX_SUFFIX)
            && let Ok(Some(bytes)) = fs::read_file(&directory.join(name))
            && txn_index::decode(&bytes).is_none()
        {
            warn!(directory = %directory.display(), name, "a damaged transaction index is made anew");
            remove(directory, name)?;
            found.unindexed.insert(base_offset);
        }
    }
    found.with_aborts = indexes_of(TXN_INDEX_SUFFIX);
    Ok(found)
}

/// Where a compacted segment that waits for its place ends. It was on disk before it got its name, so all of it must be read.
fn swap_end(directory: &Path, base_offset: Offset) -> Result<Offset, OpenError> {
    let path = directory.join(file_name(base_offset, ".log.swap"));
    let file = fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
    let size_bytes = file.size_bytes().context("read swap file size")?;
    let mut scan = HeaderScan::new(&file, 0, size_bytes);
    let mut next_offset = base_offset + 1;
    loop {
        match scan.next_batch() {
            Ok(Some(header)) => next_offset = header.span.next_offset,
            Ok(None) => return Ok(next_offset),
            Err(ScanError::Io(error)) => {
                let error = anyhow::Error::new(error);
                return Err(error.context(format!("read {}", path.display())).into());
            }
            Err(ScanError::Defect(defect)) => {
                let reason = format!("{:?}", defect.reason);
                return Err(OpenError::Corrupt { path, position: defect.position, reason });
            }
        }
    }
}

/// Puts a compacted segment in the place of those it was made from.
fn complete_swap(directory: &Path, base_offset: Offset, next_offset: Offset) -> anyhow::Result<()> {
    info!(directory = %directory.display(), %base_offset, %next_offset, "completing an interrupted compaction");
    for name in file_names(directory)? {
        for suffix in [LOG_SUFFIX, OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX] {
            if parse_file_name(&name, suffix).is_some_and(|base| base_offset <= base && base < next_offset) {
                remove(directory, &name)?;
            }
        }
    }
    // The log first, as a swap that is not interrupted does it: from then on its indexes are the right ones.
    rename_swapped(directory, base_offset, LOG_SUFFIX)?;
    complete_indexes(directory, base_offset)
}

/// Gives the indexes of a swapped segment their names; its log has its own.
fn complete_indexes(directory: &Path, base_offset: Offset) -> anyhow::Result<()> {
    let index = directory.join(file_name(base_offset, OFFSET_INDEX_SUFFIX));
    let swapped = directory.join(file_name(base_offset, ".index.swap"));
    let is_discarded = fs::exists(&index) && fs::exists(&swapped);
    // The offset index is renamed first and discarded last.
    for suffix in [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX] {
        if !is_discarded {
            rename_swapped(directory, base_offset, suffix)?;
        }
    }
    for suffix in [TXN_INDEX_SUFFIX, TIME_INDEX_SUFFIX, OFFSET_INDEX_SUFFIX] {
        remove(directory, &file_name(base_offset, &format!("{suffix}{SWAP_SUFFIX}")))?;
    }
    Ok(())
}

fn rename_swapped(directory: &Path, base_offset: Offset, suffix: &str) -> anyhow::Result<()> {
    let from = directory.join(file_name(base_offset, &format!("{suffix}{SWAP_SUFFIX}")));
    if fs::exists(&from) {
        let to = directory.join(file_name(base_offset, suffix));
        fs::rename(&from, &to).with_context(|| format!("rename {}", from.display()))?;
    }
    Ok(())
}

/// Removes every file of a segment at once.
pub(super) fn remove_segment(segment: &Segment) -> anyhow::Result<()> {
    let paths =
        segment.rename_to_deleted().with_context(|| format!("rename {}", segment.path().display()))?;
    for path in paths {
        fs::remove(&path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(())
}

fn file_names(directory: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::list(directory).with_context(|| format!("list {}", directory.display()))?;
    Ok(entries.into_iter().filter(|entry| !entry.is_directory).map(|entry| entry.name).collect())
}

fn remove(directory: &Path, name: &str) -> anyhow::Result<()> {
    let path = directory.join(name);
    fs::remove(&path).with_context(|| format!("remove {}", path.display()))
}
