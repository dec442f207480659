//! Cleaned segments on disk, and how they take the places of those they were made from.
//!
//! A crash at any moment leaves either the old segments or the new one in force. New files are written as `.cleaned`, which
//! count for nothing, and synced. The rest happens under the append mutex, so that neither retention nor a deletion comes between:
//! they become `.swap`, and once all of them have, the swap will be completed, if need be by the next start; the old
//! files become `.deleted`; the new ones get their names, the `.log` first. Kafka:
//! `LocalLog.replaceSegments`; what a start makes of each stage: `LogLoader`, in `log/leftovers.rs`.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::env::fs::{self, File};
use crate::log::indexes::Indexes;
use crate::log::leftovers::{CLEANED_SUFFIX, SWAP_SUFFIX};
use crate::log::log::Log;
use crate::log::retention::RemovedSegment;
use crate::log::scan::BatchHeader;
use crate::log::segment::{
    LOG_SUFFIX, OFFSET_INDEX_SUFFIX, Segment, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, file_name,
};
use crate::log::txn_index::{self, AbortedTransaction};
use crate::protocol::batch::Batch;
use crate::protocol::ids::{Offset, Timestamp};

/// All files of a segment, in the order in which they get their names.
const SUFFIXES: [&str; 4] = [LOG_SUFFIX, OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX];
/// Bytes that are written together.
const WRITE_SIZE: usize = 256 * 1024;

/// A segment in the making.
pub(super) struct CleanedWriter {
    directory: Arc<Path>,
    base_offset: Offset,
    index_interval_bytes: u64,
    file: File,
    indexes: Indexes,
    /// Of the buffer's first byte.
    position: u64,
    buffer: Vec<u8>,
}

impl CleanedWriter {
    pub fn create(
        directory: Arc<Path>,
        base_offset: Offset,
        index_interval_bytes: u64,
    ) -> anyhow::Result<CleanedWriter> {
        // An earlier round may have been interrupted, with an index that this one does not write.
        discard(&directory, base_offset)?;
        let path = directory.join(file_name(base_offset, &format!("{LOG_SUFFIX}{CLEANED_SUFFIX}")));
        let create = || -> std::io::Result<File> {
            let file = File::create(&path)?;
            file.truncate(0)?;
            Ok(file)
        };
        let file = create().with_context(|| format!("create {}", path.display()))?;
        Ok(CleanedWriter {
            directory,
            base_offset,
            index_interval_bytes,
            file,
            indexes: Indexes::new(base_offset),
            position: 0,
            buffer: Vec::new(),
        })
    }

    /// Appends a batch; batches come in the order of their offsets.
    pub fn append(&mut self, batch: &[u8]) -> anyhow::Result<()> {
        let position = self.position + self.buffer.len() as u64;
        let (parsed, _) =
            Batch::split_first(batch).map_err(|error| anyhow::anyhow!("write a cleaned batch: {error:?}"))?;
        let checked = BatchHeader::of(&parsed, position)
            .and_then(|header| self.indexes.check(&header, self.base_offset).map(|()| header));
        let header =
            checked.map_err(|defect| anyhow::anyhow!("write a cleaned batch: {:?}", defect.reason))?;
        if header.span.end_position() > i32::MAX as u64 {
            bail!("write a cleaned batch: its segment would grow beyond 2 GiB");
        }
        self.indexes.note(&header, self.index_interval_bytes);
        self.buffer.extend_from_slice(batch);
        if self.buffer.len() >= WRITE_SIZE { self.write_buffer() } else { Ok(()) }
    }

    /// Readers of the segment must still skip this transaction.
    pub fn note_aborted(&mut self, aborted: AbortedTransaction) {
        self.indexes.aborted.push(aborted);
    }

    /// Brings all files to disk under the names of an unfinished round; answers the size of the log file.
    fn finish(mut self, modified: Timestamp) -> anyhow::Result<u64> {
        self.write_buffer()?;
        self.file.sync_data().context("sync a cleaned segment")?;
        // Retention of records without timestamps goes by the file's time.
        self.file.set_modified(modified).context("date a cleaned segment")?;
        self.indexes.times.maybe_append(self.indexes.largest);
        self.write_index(OFFSET_INDEX_SUFFIX, &self.indexes.offsets.encode())?;
        self.write_index(TIME_INDEX_SUFFIX, &self.indexes.times.encode())?;
        if !self.indexes.aborted.is_empty() {
            self.write_index(TXN_INDEX_SUFFIX, &txn_index::encode(&self.indexes.aborted))?;
        }
        Ok(self.position)
    }

    fn write_index(&self, suffix: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.directory.join(file_name(self.base_offset, &format!("{suffix}{CLEANED_SUFFIX}")));
        let write = || -> std::io::Result<()> {
            let file = File::create(&path)?;
            file.truncate(0)?;
            file.write_all_at(bytes, 0)?;
            file.sync_data()
        };
        write().with_context(|| format!("write {}", path.display()))
    }

    fn write_buffer(&mut self) -> anyhow::Result<()> {
        self.file.write_all_at(&self.buffer, self.position).context("write a cleaned segment")?;
        self.position += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// A cleaned segment that waits to take the places of those it was made from. Its files are on disk as `.cleaned`.
pub struct CleanedGroup {
    directory: Arc<Path>,
    base_offset: Offset,
    size_bytes: u64,
    index_interval_bytes: u64,
    /// It has a transaction index.
    holds_abort: bool,
    /// With their sizes when they were read.
    replaced: Vec<(Arc<Segment>, u64)>,
}

/// What became of a swap.
pub enum Swapped {
    /// These files may go when their time has come.
    Done(Vec<RemovedSegment>),
    /// The segments are not in the log any more, which retention may have done. [`CleanedGroup::discard`] is due.
    LogHasChanged,
    /// The files could not be made ready and are gone; the log is as it was.
    NotReady(anyhow::Error),
}

impl CleanedGroup {
    /// Completes the files.
    pub(super) fn complete(
        writer: CleanedWriter,
        replaced: Vec<(Arc<Segment>, u64)>,
        modified: Timestamp,
    ) -> anyhow::Result<CleanedGroup> {
        let (directory, base_offset) = (writer.directory.clone(), writer.base_offset);
        let index_interval_bytes = writer.index_interval_bytes;
        let holds_abort = !writer.indexes.aborted.is_empty();
        let size_bytes = writer.finish(modified)?;
        let group =
            CleanedGroup { directory, base_offset, size_bytes, index_interval_bytes, holds_abort, replaced };
        // Names on disk before the first of them counts.
        group.sync()?;
        Ok(group)
    }

    /// From here on a crash leads to the swap.
    fn make_ready(&self) -> anyhow::Result<()> {
        self.rename_all(CLEANED_SUFFIX, SWAP_SUFFIX)?;
        self.sync()
    }

    /// Removes the files: the log stays as it is.
    pub fn discard(&self) -> anyhow::Result<()> {
        discard(&self.directory, self.base_offset)?;
        self.sync()
    }

    /// Brings to disk which names there are.
    pub fn sync(&self) -> anyhow::Result<()> {
        fs::sync_directory(&self.directory).context("sync directory")
    }

    fn rename_all(&self, from: &str, to: &str) -> anyhow::Result<()> {
        for suffix in SUFFIXES {
            let path =
                |end: &str| self.directory.join(file_name(self.base_offset, &format!("{suffix}{end}")));
            if fs::exists(&path(from)) {
                fs::rename(&path(from), &path(to))
                    .with_context(|| format!("rename {}", path(from).display()))?;
            }
        }
        Ok(())
    }
}

/// Removes what an unfinished round has left of a cleaned segment. Without its `.log` a swap is none, and the offset
/// index goes last: with it a start tells these leftovers from a swap that is almost done.
pub(super) fn discard(directory: &Path, base_offset: Offset) -> anyhow::Result<()> {
    for end in [SWAP_SUFFIX, CLEANED_SUFFIX] {
        for suffix in [LOG_SUFFIX, TXN_INDEX_SUFFIX, TIME_INDEX_SUFFIX, OFFSET_INDEX_SUFFIX] {
            let path = directory.join(file_name(base_offset, &format!("{suffix}{end}")));
            fs::remove(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

impl Log {
    /// Puts a cleaned segment in the place of those it was made from. Readers that hold one of them go on. Renames, and one
    /// sync of the directory among them; the caller syncs it again afterwards.
    pub fn swap_in(&mut self, group: &CleanedGroup, now: Timestamp) -> anyhow::Result<Swapped> {
        if self.is_failed {
            bail!("swap a segment of {}: an earlier write failed", self.directory.display());
        }
        let segments = self.view.segments();
        let Some(first) = self.place_of(group, &segments) else { return Ok(Swapped::LogHasChanged) };
        if let Err(error) = group.make_ready() {
            // A swap that a start would complete must not outlive the segments it was made from.
            group.discard().map_err(|undone| self.fail_with(undone))?;
            return Ok(Swapped::NotReady(error));
        }
        self.replace(group, &segments, first, now).map(Swapped::Done).map_err(|error| self.fail_with(error))
    }

    /// Index of the first segment that the group replaces; `None` unless all of them stand there as they were read.
    fn place_of(&self, group: &CleanedGroup, segments: &[Arc<Segment>]) -> Option<usize> {
        let first = segments.iter().position(|segment| segment.base_offset() == group.base_offset)?;
        let stands = |(index, (old, size_bytes)): (usize, &(Arc<Segment>, u64))| {
            let segment = segments.get(first + index);
            segment.is_some_and(|segment| Arc::ptr_eq(segment, old) && segment.size_bytes() == *size_bytes)
        };
        // The last segment takes appends.
        let are_sealed = first + group.replaced.len() < segments.len();
        (are_sealed && group.replaced.iter().enumerate().all(stands)).then_some(first)
    }

    fn replace(
        &mut self,
        group: &CleanedGroup,
        segments: &[Arc<Segment>],
        first: usize,
        now: Timestamp,
    ) -> anyhow::Result<Vec<RemovedSegment>> {
        let remove_at = Timestamp(now.0.saturating_add(self.config.file_delete_delay_ms));
        let mut removed = Vec::with_capacity(group.replaced.len());
        for (segment, _) in &group.replaced {
            let renamed = match segment.base_offset() == group.base_offset {
                true => segment.rename_replaced(),
                false => segment.rename_to_deleted(),
            };
            let paths = renamed.with_context(|| format!("rename {}", segment.path().display()))?;
            removed.push(RemovedSegment::new(segment, paths, remove_at));
        }
        group.rename_all(SWAP_SUFFIX, "")?;
        let cleaned = Segment::open(
            self.directory.clone(),
            group.base_offset,
            group.size_bytes,
            group.index_interval_bytes,
            self.files.clone(),
        );
        if !group.holds_abort {
            cleaned.set_without_abort();
        }
        let mut swapped = segments.to_vec();
        swapped.splice(first..first + group.replaced.len(), [cleaned]);
        self.view.publish_swap(swapped, self.log_end_offset());
        Ok(removed)
    }
}
