//! Copying a log into another directory while it takes appends (KIP-113).
//!
//! Passes over the open log copy what whole batches there are; the last pass runs on a log that is closed, and makes the
//! copy equal to it, file by file. Copies are told apart by the segment they were made from, so that a segment that was
//! compacted or removed meanwhile is copied anew or left out. Who may read the copy is not this room's business. Kafka:
//! the future log of `Partition`, filled by `ReplicaAlterLogDirsThread`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::env::fs::{self, File};
use crate::log::log::Log;
use crate::log::read::LogView;
use crate::log::segment::{DELETED_SUFFIX, LOG_SUFFIX, Segment, file_name, parse_file_name};
use crate::protocol::ids::Offset;

/// Bytes that are read at once, between two looks at whether the copy is still wanted.
const CHUNK_SIZE: usize = 1 << 20;
/// What a log leaves behind and its next start removes.
const UNFINISHED: &[&str] = &[DELETED_SUFFIX, ".cleaned", ".swap", ".tmp"];

/// A copy under way. Its directory stays when it is dropped.
pub struct LogCopy {
    to: PathBuf,
    segments: BTreeMap<Offset, CopiedSegment>,
    copied_to: Offset,
    chunk: Vec<u8>,
}

/// Hears of the copy and of the bytes that were copied since it heard last; says whether to go on.
pub type Progress<'a> = dyn FnMut(&LogCopy, u64) -> bool + 'a;

/// How much of which segment is copied.
struct CopiedSegment {
    from: Arc<Segment>,
    size_bytes: u64,
}

impl LogCopy {
    /// Makes the directory of the copy.
    pub fn begin(to: PathBuf) -> anyhow::Result<LogCopy> {
        fs::create_directories(&to).with_context(|| format!("create {}", to.display()))?;
        Ok(LogCopy { to, segments: BTreeMap::new(), copied_to: Offset::ZERO, chunk: vec![0; CHUNK_SIZE] })
    }

    /// Every record below it is copied, as far as the log still has it.
    pub fn copied_to(&self) -> Offset {
        self.copied_to
    }

    /// Bytes of records that are copied.
    pub fn size_bytes(&self) -> u64 {
        self.segments.values().map(|copied| copied.size_bytes).sum()
    }

    /// Copies what has come since the last pass; how many bytes that was. `progress` runs after each chunk.
    pub fn catch_up(&mut self, view: &LogView, progress: &mut Progress<'_>) -> anyhow::Result<u64> {
        let log_end = view.log_end_offset();
        let segments = view.segments();
        let mut copied = 0;
        for (index, segment) in segments.iter().enumerate() {
            copied += self.copy_segment(segment, segment.size_bytes(), progress)?;
            self.copied_to = segments.get(index + 1).map_or(log_end, |next| next.base_offset());
            if !progress(self, 0) {
                break;
            }
        }
        Ok(copied)
    }

    fn copy_segment(
        &mut self,
        segment: &Arc<Segment>,
        up_to: u64,
        progress: &mut Progress<'_>,
    ) -> anyhow::Result<u64> {
        let start = self.take_up(segment, up_to)?;
        let target = File::create(&self.path_of(segment)).context("open the copy of a segment")?;
        let mut position = start;
        while position < up_to {
            let source = match segment.file() {
                Ok(source) => source,
                // The last pass leaves it out.
                Err(_) if segment.is_removed() => break,
                Err(error) => {
                    return Err(error).with_context(|| format!("open {}", segment.path().display()));
                }
            };
            let size_bytes = self.copy_chunk(&source, &target, position, up_to)?;
            position += size_bytes;
            self.segments
                .insert(segment.base_offset(), CopiedSegment { from: segment.clone(), size_bytes: position });
            if !progress(self, size_bytes) {
                break;
            }
        }
        if position > start {
            // Not all at the end, when appends wait for it.
            target.sync_data().context("sync the copy of a segment")?;
        }
        Ok(position - start)
    }

    /// Where the copy of a segment goes on: at its start, unless it is the same segment and has only grown.
    fn take_up(&mut self, segment: &Arc<Segment>, size_bytes: u64) -> anyhow::Result<u64> {
        let copied = self.segments.get(&segment.base_offset());
        let same =
            copied.filter(|copied| Arc::ptr_eq(&copied.from, segment) && copied.size_bytes <= size_bytes);
        if let Some(copied) = same {
            return Ok(copied.size_bytes);
        }
        self.segments.remove(&segment.base_offset());
        let path = self.path_of(segment);
        let truncated = File::create(&path).and_then(|file| file.truncate(0));
        truncated.with_context(|| format!("empty {}", path.display()))?;
        Ok(0)
    }

    fn copy_chunk(&mut self, source: &File, target: &File, position: u64, up_to: u64) -> anyhow::Result<u64> {
        let wanted = usize::try_from(up_to - position).unwrap_or(CHUNK_SIZE).min(CHUNK_SIZE);
        let chunk = &mut self.chunk[..wanted];
        source.read_exact_at(chunk, position).context("read what is to be copied")?;
        target.write_all_at(chunk, position).context("write a copy")?;
        Ok(wanted as u64)
    }

    fn path_of(&self, segment: &Segment) -> PathBuf {
        self.to.join(file_name(segment.base_offset(), LOG_SUFFIX))
    }

    /// Closes the log and makes the copy equal to it, on disk when this returns. The log's own files stay.
    pub fn complete(mut self, log: Log) -> anyhow::Result<()> {
        let from = log.directory().to_owned();
        let segments = log.view().segments();
        log.close().context("close a log that moves")?;
        let mut names = if fs::exists(&from) { file_names(&from)? } else { Vec::new() };
        names.retain(|name| !UNFINISHED.iter().any(|suffix| name.ends_with(suffix)));
        for segment in segments.iter() {
            let size_bytes = fs::file_size_bytes(&segment.path()).context("read a segment's size")?;
            let size_bytes = size_bytes.with_context(|| format!("{} is gone", segment.path().display()))?;
            self.copy_segment(segment, size_bytes, &mut |_, _| true)?;
            // Retention of records without timestamps goes by the file's time.
            let modified = fs::modified(&segment.path()).context("read a segment's time")?;
            let dated = File::open(&self.path_of(segment)).and_then(|file| file.set_modified(modified));
            dated.context("date the copy of a segment")?;
        }
        let is_segment = |name: &str| parse_file_name(name, LOG_SUFFIX).is_some();
        for name in names.iter().filter(|name| !is_segment(name)) {
            let bytes = fs::read_file(&from.join(name)).with_context(|| format!("read {name}"))?;
            let Some(bytes) = bytes else { bail!("{} is gone", from.join(name).display()) };
            let target =
                File::create(&self.to.join(name)).with_context(|| format!("create a copy of {name}"))?;
            target.truncate(0).and_then(|()| target.write_all_at(&bytes, 0)).context("write a copy")?;
        }
        for name in file_names(&self.to)? {
            let path = self.to.join(&name);
            if names.contains(&name) {
                let synced = File::open(&path).and_then(|file| file.sync_data());
                synced.with_context(|| format!("sync {}", path.display()))?;
            } else {
                fs::remove(&path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
        fs::sync_directory(&self.to).context("sync the directory of a copy")
    }
}

fn file_names(directory: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::list(directory).with_context(|| format!("list {}", directory.display()))?;
    Ok(entries.into_iter().filter(|entry| !entry.is_directory).map(|entry| entry.name).collect())
}
