//! What a log's directory holds, and the files that a crash may leave in it.
//!
//! `.deleted`: on their way out. `.cleaned`: an unfinished compaction. `.swap`: a finished one whose files
//! had not all taken their places. `.tmp`: half of an atomic replacement. Indexes without a log. Kafka:
//! `LogLoader.removeTempFilesAndCollectSwapFiles`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use tracing::info;

use crate::env::fs;
use crate::log::scan::HeaderScan;
use crate::log::segment::{
    LOG_SUFFIX, OFFSET_INDEX_SUFFIX, SNAPSHOT_SUFFIX, Segment, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX,
    file_name, parse_file_name,
};
use crate::protocol::ids::Offset;

const SWAP_SUFFIX: &str = ".swap";
const CLEANED_SUFFIX: &str = ".cleaned";

/// What counts in a log's directory.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Size in bytes of each `.log` file by base offset.
    pub segments: BTreeMap<Offset, u64>,
    /// Offsets of the producer snapshots, in order.
    pub snapshots: Vec<Offset>,
}

/// Removes leftovers and answers what counts; a directory that does not exist holds nothing.
pub(super) fn tidy_up(directory: &Path) -> anyhow::Result<Found> {
    if !fs::exists(directory) {
        return Ok(Found::default());
    }
    let mut names = file_names(directory)?;
    let has_unfinished = names.iter().any(|name| name.ends_with(CLEANED_SUFFIX));
    let mut has_changed = false;
    for name in &names {
        let is_swap = name.ends_with(SWAP_SUFFIX);
        // Swap files get their names when the last `.cleaned` is gone: before that the old segments still count.
        let must_go = [".deleted", CLEANED_SUFFIX, ".tmp"].iter().any(|suffix| name.ends_with(suffix))
            || (is_swap && has_unfinished);
        if must_go {
            info!(directory = %directory.display(), name, "removing a leftover file");
            remove(directory, name)?;
            has_changed = true;
        } else if let Some(log_name) = name.strip_suffix(SWAP_SUFFIX)
            && let Some(base_offset) = parse_file_name(log_name, LOG_SUFFIX)
        {
            complete_swap(directory, base_offset)?;
            has_changed = true;
        }
    }
    if has_changed {
        fs::sync_directory(directory).context("sync directory")?;
        names = file_names(directory)?;
    }
    collect(directory, &names)
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
    for name in names {
        for suffix in [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX] {
            if parse_file_name(name, suffix)
                .is_some_and(|base_offset| !found.segments.contains_key(&base_offset))
            {
                remove(directory, name)?;
            }
        }
    }
    Ok(found)
}

/// Puts a compacted segment in the place of those it was made from.
fn complete_swap(directory: &Path, base_offset: Offset) -> anyhow::Result<()> {
    let swap_path = directory.join(file_name(base_offset, ".log.swap"));
    let file = fs::File::open(&swap_path).with_context(|| format!("open {}", swap_path.display()))?;
    let size_bytes = file.size_bytes().context("read swap file size")?;
    let mut scan = HeaderScan::new(&file, 0, size_bytes);
    let mut next_offset = base_offset + 1;
    while let Ok(Some(header)) = scan.next_batch() {
        next_offset = header.span.next_offset;
    }
    info!(swap = %swap_path.display(), %next_offset, "completing an interrupted compaction");
    for name in file_names(directory)? {
        for suffix in [LOG_SUFFIX, OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX] {
            if parse_file_name(&name, suffix).is_some_and(|base| base_offset <= base && base < next_offset) {
                remove(directory, &name)?;
            }
        }
    }
    for suffix in [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, LOG_SUFFIX] {
        let from = directory.join(file_name(base_offset, &format!("{suffix}{SWAP_SUFFIX}")));
        if fs::exists(&from) {
            let to = directory.join(file_name(base_offset, suffix));
            fs::rename(&from, &to).with_context(|| format!("rename {}", from.display()))?;
        }
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
