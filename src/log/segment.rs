//! One segment of a log: a `.log` file and its sparse indexes, shared by the one writer and all readers.
//!
//! The file and the indexes of a sealed segment come and go ([`crate::log::files`]); the size and the offsets stay.
//! Indexes are proposals: every look-up checks the batch header it leads to, and an index that lies is rebuilt from
//! the log. Kafka: `LogSegment`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use parking_lot::Mutex;
use tracing::warn;

use crate::env::fs::{self, File};
use crate::log::files::FileCache;
use crate::log::indexes::Indexes;
use crate::log::offset_index::OffsetIndex;
use crate::log::scan::{BatchHeader, BatchSpan, Defect, HeaderScan, ScanError};
use crate::log::time_index::{TimeIndex, TimestampOffset};
use crate::log::txn_index::{self, AbortedTransaction};
use crate::protocol::ids::{Offset, Timestamp};

mod aborted;

pub const LOG_SUFFIX: &str = ".log";
pub const OFFSET_INDEX_SUFFIX: &str = ".index";
pub const TIME_INDEX_SUFFIX: &str = ".timeindex";
pub const TXN_INDEX_SUFFIX: &str = ".txnindex";
pub const SNAPSHOT_SUFFIX: &str = ".snapshot";
/// Appended to the names of files that wait for their removal.
pub const DELETED_SUFFIX: &str = ".deleted";

/// Kafka's name of a file that belongs to an offset.
pub fn file_name(offset: Offset, suffix: &str) -> String {
    format!("{:020}{suffix}", offset.0)
}

/// The offset in a name that [`file_name`] made.
pub fn parse_file_name(name: &str, suffix: &str) -> Option<Offset> {
    let digits = name.strip_suffix(suffix)?;
    let is_offset = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_offset.then(|| digits.parse().ok().map(Offset)).flatten()
}

#[derive(Debug, Default)]
struct Warm {
    file: Option<Arc<File>>,
    indexes: Option<Indexes>,
    /// What the cache counts for the indexes; 0 as long as they cannot go.
    charged_bytes: usize,
}

/// A segment. Shared: the writer appends through it, readers find batches in it.
#[derive(Debug)]
pub struct Segment {
    directory: Arc<Path>,
    base_offset: Offset,
    /// As it stood when the segment was made or opened.
    index_interval_bytes: u64,
    files: Arc<FileCache>,
    /// Bytes of whole batches.
    size_bytes: AtomicU64,
    /// The index files on disk are complete, so the ones on the heap may go.
    is_sealed: AtomicBool,
    is_removed: AtomicBool,
    /// Used since the cache last looked.
    is_used: AtomicBool,
    /// It is known to hold no marker of an abort.
    holds_no_abort: AtomicBool,
    warm: Mutex<Warm>,
}

/// How a look-up in a segment fails.
#[derive(Debug)]
pub enum SegmentError {
    /// Bytes that were valid once are not: never served, never cut away.
    Corrupt {
        path: PathBuf,
        defect: Defect,
    },
    /// The segment was removed and its file is gone.
    Removed,
    Failed(anyhow::Error),
}

impl Segment {
    /// A segment whose file is there already and holds `size_bytes` of whole batches.
    pub fn open(
        directory: Arc<Path>,
        base_offset: Offset,
        size_bytes: u64,
        index_interval_bytes: u64,
        files: Arc<FileCache>,
    ) -> Arc<Segment> {
        Arc::new(Segment {
            directory,
            base_offset,
            index_interval_bytes,
            files,
            size_bytes: AtomicU64::new(size_bytes),
            is_sealed: AtomicBool::new(true),
            is_removed: AtomicBool::new(false),
            is_used: AtomicBool::new(false),
            holds_no_abort: AtomicBool::new(false),
            warm: Mutex::default(),
        })
    }

    /// A new segment with an empty file.
    pub fn create(
        directory: Arc<Path>,
        base_offset: Offset,
        index_interval_bytes: u64,
        files: Arc<FileCache>,
    ) -> io::Result<Arc<Segment>> {
        let segment = Segment::open(directory, base_offset, 0, index_interval_bytes, files);
        // Files of these names can only be what a failed roll left behind.
        let file = retry_without_idle_files(&segment.files, || File::create_empty(&segment.path()))?;
        // The indexes are on the heap until the segment is sealed; stock tools that are pointed at a segment
        // make an index file that is not there, and then fail over it.
        for suffix in [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX] {
            File::create_empty(&segment.path_of(suffix))?;
        }
        segment.is_sealed.store(false, Ordering::Relaxed);
        segment.holds_no_abort.store(true, Ordering::Release);
        *segment.warm.lock() =
            Warm { file: Some(Arc::new(file)), indexes: Some(Indexes::new(base_offset)), charged_bytes: 0 };
        segment.files.admit(&segment);
        Ok(segment)
    }

    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    pub fn index_interval_bytes(&self) -> u64 {
        self.index_interval_bytes
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Acquire)
    }

    pub fn set_size_bytes(&self, size_bytes: u64) {
        self.size_bytes.store(size_bytes, Ordering::Release);
    }

    /// Its index files are complete. False of a segment that takes batches, and of one behind it when a roll found no space.
    pub fn is_sealed(&self) -> bool {
        self.is_sealed.load(Ordering::Relaxed)
    }

    pub fn is_removed(&self) -> bool {
        self.is_removed.load(Ordering::Acquire)
    }

    /// Path of the `.log` file.
    pub fn path(&self) -> PathBuf {
        let suffix = if self.is_removed() { ".log.deleted" } else { LOG_SUFFIX };
        self.directory.join(file_name(self.base_offset, suffix))
    }

    /// Path of another of the segment's files.
    pub fn path_of(&self, suffix: &str) -> PathBuf {
        self.directory.join(file_name(self.base_offset, suffix))
    }

    /// The open file.
    pub fn file(self: &Arc<Segment>) -> io::Result<Arc<File>> {
        self.is_used.store(true, Ordering::Relaxed);
        if let Some(file) = &self.warm.lock().file {
            return Ok(file.clone());
        }
        let opened = match retry_without_idle_files(&self.files, || File::open(&self.path())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // It may have got its other name under this look-up: the lock says when that is done.
                drop(self.warm.lock());
                File::open(&self.path())?
            }
            result => result?,
        };
        let opened = Arc::new(opened);
        let file = self.warm.lock().file.get_or_insert(opened).clone();
        self.files.admit(self);
        Ok(file)
    }

    /// Closes the file unless it was used since the last call; answers whether it is closed.
    pub(super) fn cool(&self) -> bool {
        if self.is_used.swap(false, Ordering::Relaxed) {
            return false;
        }
        // Somebody who holds the lock is using the segment.
        let Some(mut warm) = self.warm.try_lock() else { return false };
        warm.file = None;
        if self.is_sealed.load(Ordering::Relaxed) {
            warm.indexes = None;
        }
        self.charge(&mut warm);
        true
    }

    /// Has the cache count what it could win by cooling this segment.
    fn charge(&self, warm: &mut Warm) {
        let is_sealed = self.is_sealed.load(Ordering::Relaxed);
        let size_bytes = warm.indexes.as_ref().filter(|_| is_sealed).map_or(0, Indexes::size_bytes);
        self.files.charge(warm.charged_bytes, size_bytes);
        warm.charged_bytes = size_bytes;
    }

    /// Gives the indexes to `use_indexes`, loading or rebuilding them first.
    pub fn with_indexes<T>(
        self: &Arc<Segment>,
        use_indexes: impl FnOnce(&mut Indexes) -> T,
    ) -> Result<T, SegmentError> {
        {
            let mut warm = self.warm.lock();
            if let Some(indexes) = &mut warm.indexes {
                return Ok(use_indexes(indexes));
            }
        }
        let loaded = match self.load_indexes()? {
            Some(indexes) => indexes,
            None => self.rebuild_indexes()?,
        };
        let used = {
            let mut warm = self.warm.lock();
            let used = use_indexes(warm.indexes.get_or_insert(loaded));
            self.charge(&mut warm);
            used
        };
        self.files.balance(self);
        Ok(used)
    }

    /// The first batch that ends behind `target`, looking at bytes below `limit` only. `None` when there is none.
    pub fn locate(
        self: &Arc<Segment>,
        target: Offset,
        limit: u64,
    ) -> Result<Option<BatchSpan>, SegmentError> {
        let found = self.locate_header(target, limit)?;
        Ok(found.map(|header| header.span))
    }

    /// As [`Segment::locate`], with the whole header.
    pub fn locate_header(
        self: &Arc<Segment>,
        target: Offset,
        limit: u64,
    ) -> Result<Option<BatchHeader>, SegmentError> {
        match self.locate_by_index(target, limit)? {
            Located::At(header) => Ok(header),
            Located::IndexLies if !self.is_sealed.load(Ordering::Relaxed) => {
                // These indexes take notes of appends and cannot be replaced under them.
                self.walk_from_start(target, limit)
            }
            Located::IndexLies => {
                warn!(segment = %self.path().display(), "rebuilding an offset index that does not fit its log");
                let rebuilt = self.rebuild_indexes()?;
                self.set_indexes(Some(rebuilt));
                match self.locate_by_index(target, limit)? {
                    Located::At(header) => Ok(header),
                    Located::IndexLies => Err(SegmentError::Failed(anyhow::anyhow!(
                        "look up offset {target} in {}: a rebuilt index does not fit its log",
                        self.path().display()
                    ))),
                }
            }
        }
    }

    fn locate_by_index(self: &Arc<Segment>, target: Offset, limit: u64) -> Result<Located, SegmentError> {
        let start = self.with_indexes(|indexes| indexes.offsets.lookup(target))?;
        if start.position >= limit {
            // The entry lies behind what this reader may see, or the index lies; the walk decides.
            return Ok(Located::At(self.walk_from_start(target, limit)?));
        }
        let file = self.readable_file()?;
        let mut scan = HeaderScan::new(&file, start.position, limit);
        let mut is_entry = start.position > 0;
        loop {
            let header = match scan.next_batch() {
                Ok(Some(header)) => header,
                Ok(None) => return Ok(Located::At(None)),
                Err(ScanError::Defect(_)) if is_entry => return Ok(Located::IndexLies),
                Err(error) => return Err(self.scan_failed(error)),
            };
            let span = header.span;
            if is_entry && !(span.base_offset <= start.offset && start.offset < span.next_offset) {
                return Ok(Located::IndexLies);
            }
            is_entry = false;
            if span.next_offset > target {
                return Ok(Located::At(Some(header)));
            }
        }
    }

    fn walk_from_start(
        self: &Arc<Segment>,
        target: Offset,
        limit: u64,
    ) -> Result<Option<BatchHeader>, SegmentError> {
        let file = self.readable_file()?;
        let mut scan = HeaderScan::new(&file, 0, limit);
        while let Some(header) = scan.next_batch().map_err(|error| self.scan_failed(error))? {
            if header.span.next_offset > target {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// The last batch boundary that is at most `limit` and behind `start`, itself a boundary; `start` when no other
    /// lies below the limit.
    pub fn boundary_before(self: &Arc<Segment>, start: u64, limit: u64) -> Result<u64, SegmentError> {
        let known = self.with_indexes(|indexes| indexes.offsets.position_at_or_before(limit))?;
        if known > start {
            return Ok(known);
        }
        // The index is sparse: between two entries the headers tell.
        let file = self.readable_file()?;
        let mut scan = HeaderScan::new(&file, start, self.size_bytes());
        let mut boundary = start;
        while let Some(header) = scan.next_batch().map_err(|error| self.scan_failed(error))? {
            if header.span.end_position() > limit {
                break;
            }
            boundary = header.span.end_position();
        }
        Ok(boundary)
    }

    /// Offset of the batch that begins at `position`, a boundary; `None` at the end.
    pub fn offset_at(self: &Arc<Segment>, position: u64) -> Result<Option<Offset>, SegmentError> {
        let file = self.readable_file()?;
        let mut scan = HeaderScan::new(&file, position, self.size_bytes());
        let header = scan.next_batch().map_err(|error| self.scan_failed(error))?;
        Ok(header.map(|header| header.span.base_offset))
    }

    /// The largest timestamp in the segment and the last offset of the batch that holds it; -1 without timestamps.
    pub fn largest_timestamp(self: &Arc<Segment>) -> Result<TimestampOffset, SegmentError> {
        self.with_indexes(|indexes| indexes.largest)
    }

    /// When the file was last written.
    pub fn modified(&self) -> Result<Timestamp, SegmentError> {
        let path = self.path();
        fs::modified(&path).map_err(|error| {
            if self.is_removed() && error.kind() == io::ErrorKind::NotFound {
                return SegmentError::Removed;
            }
            SegmentError::Failed(anyhow::Error::new(error).context(format!("stat {}", path.display())))
        })
    }

    /// Completes the time index and writes both index files; the segment takes no further batch.
    pub fn seal(self: &Arc<Segment>) -> anyhow::Result<()> {
        let (offsets, times, aborted) = self
            .with_indexes(|indexes| {
                indexes.times.maybe_append(indexes.largest);
                (indexes.offsets.encode(), indexes.times.encode(), txn_index::encode(&indexes.aborted))
            })
            .map_err(anyhow::Error::from)?;
        let write = |suffix, bytes: &[u8]| {
            let path = self.path_of(suffix);
            fs::replace_derived_file(&path, bytes).with_context(|| format!("write {}", path.display()))
        };
        // First what cannot be rebuilt.
        let transactions_path = self.path_of(TXN_INDEX_SUFFIX);
        if aborted.is_empty() {
            fs::remove(&transactions_path).context("remove an outdated transaction index")?;
        } else {
            write(TXN_INDEX_SUFFIX, &aborted)?;
        }
        write(OFFSET_INDEX_SUFFIX, &offsets)?;
        write(TIME_INDEX_SUFFIX, &times)?;
        let mut warm = self.warm.lock();
        self.is_sealed.store(true, Ordering::Relaxed);
        self.charge(&mut warm);
        Ok(())
    }

    /// `fdatasync` of a sealed segment's index files. Offset and time index can be rebuilt: one that is missing or fails to
    /// sync is checked when it is loaded. Nothing but the transaction index tells what was aborted.
    pub(super) fn sync_indexes(&self) -> io::Result<()> {
        let sync = |suffix| {
            let path = self.path_of(suffix);
            retry_without_idle_files(&self.files, || File::open(&path)).and_then(|file| file.sync_data())
        };
        for suffix in [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX] {
            sync(suffix).ok();
        }
        match sync(TXN_INDEX_SUFFIX) {
            // Nothing was aborted, or the segment is gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// The segment takes batches from here on: the index files fall behind, so the indexes must stay on the heap.
    pub fn begin_writing(self: &Arc<Segment>) -> Result<(), SegmentError> {
        if self.is_sealed.load(Ordering::Relaxed) {
            // Under the lock that dropping the indexes takes.
            self.with_indexes(|_| self.is_sealed.store(false, Ordering::Relaxed))?;
            self.charge(&mut self.warm.lock());
        }
        Ok(())
    }

    /// Forgets the batches from a position and an offset on, and stands ready for the next ones.
    pub fn truncate_indexes(self: &Arc<Segment>, position: u64, end: Offset) -> Result<(), SegmentError> {
        self.begin_writing()?;
        let (offsets, times, aborted) = self.with_indexes(|indexes| {
            indexes.offsets.truncate_to_position(position);
            indexes.times.truncate_to(end);
            indexes.aborted.retain(|entry| entry.last_offset < end);
            (indexes.offsets.clone(), indexes.times.clone(), indexes.aborted.clone())
        })?;
        let mut indexes = Indexes { offsets, times, ..Indexes::new(self.base_offset) };
        if !self.complete_indexes(&mut indexes)? {
            indexes = self.rebuild_indexes()?;
        }
        indexes.aborted = aborted;
        self.set_indexes(Some(indexes));
        Ok(())
    }

    /// Takes note of a batch that was written at the end.
    pub fn note(&self, batch: &BatchHeader) {
        let mut warm = self.warm.lock();
        let indexes =
            warm.indexes.as_mut().expect("indexes of a segment that takes batches stay on the heap");
        indexes.note(batch, self.index_interval_bytes);
    }

    /// Replaces the indexes, by ones that recovery made or with none.
    pub fn set_indexes(&self, indexes: Option<Indexes>) {
        let mut warm = self.warm.lock();
        if let Some(indexes) = &indexes {
            self.holds_no_abort.store(indexes.aborted.is_empty(), Ordering::Release);
        }
        warm.indexes = indexes;
        self.charge(&mut warm);
    }

    /// Makes the names of all files end with `.deleted`; readers that hold the segment go on.
    pub fn rename_to_deleted(&self) -> io::Result<Vec<PathBuf>> {
        self.rename_files(&[
            LOG_SUFFIX,
            OFFSET_INDEX_SUFFIX,
            TIME_INDEX_SUFFIX,
            TXN_INDEX_SUFFIX,
            SNAPSHOT_SUFFIX,
        ])
    }

    /// As [`Segment::rename_to_deleted`], for a segment whose place another one of its name takes: the producer snapshot is
    /// as true of that one.
    pub(super) fn rename_replaced(&self) -> io::Result<Vec<PathBuf>> {
        self.rename_files(&[LOG_SUFFIX, OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX])
    }

    fn rename_files(&self, suffixes: &[&str]) -> io::Result<Vec<PathBuf>> {
        let mut warm = self.warm.lock();
        let mut renamed = Vec::new();
        for suffix in suffixes {
            let path = self.path_of(suffix);
            if fs::exists(&path) {
                let deleted = self.path_of(&format!("{suffix}{DELETED_SUFFIX}"));
                fs::rename(&path, &deleted)?;
                renamed.push(deleted);
            }
            // From the first rename on the log has lost the segment.
            self.is_removed.store(true, Ordering::Release);
        }
        warm.file = None;
        Ok(renamed)
    }

    pub fn readable_file(self: &Arc<Segment>) -> Result<Arc<File>, SegmentError> {
        self.file().map_err(|error| {
            if self.is_removed() && error.kind() == io::ErrorKind::NotFound {
                return SegmentError::Removed;
            }
            SegmentError::Failed(anyhow::Error::new(error).context(format!("open {}", self.path().display())))
        })
    }

    pub(super) fn scan_failed(&self, error: ScanError) -> SegmentError {
        match error {
            ScanError::Defect(defect) => SegmentError::Corrupt { path: self.path(), defect },
            ScanError::Io(error) => SegmentError::Failed(
                anyhow::Error::new(error).context(format!("read {}", self.path().display())),
            ),
        }
    }

    /// Reads the index files of a sealed segment; `None` when they are missing or cannot be true.
    fn load_indexes(self: &Arc<Segment>) -> Result<Option<Indexes>, SegmentError> {
        let read = |suffix| fs::read_file(&self.path_of(suffix));
        let (Ok(Some(offset_bytes)), Ok(Some(time_bytes))) =
            (read(OFFSET_INDEX_SUFFIX), read(TIME_INDEX_SUFFIX))
        else {
            return Ok(None);
        };
        let aborted = self.load_aborted()?;
        let size_bytes = self.size_bytes();
        let (Some(offsets), Some(times)) = (
            OffsetIndex::decode(self.base_offset, &offset_bytes, size_bytes),
            TimeIndex::decode(self.base_offset, &time_bytes),
        ) else {
            return Ok(None);
        };
        let mut indexes = Indexes { offsets, times, aborted, ..Indexes::new(self.base_offset) };
        Ok(self.complete_indexes(&mut indexes)?.then_some(indexes))
    }

    /// Walks from the last offset entry to the end, so that the indexes stand as if they had never left the heap.
    /// Answers false when an entry contradicts the log.
    fn complete_indexes(self: &Arc<Segment>, indexes: &mut Indexes) -> Result<bool, SegmentError> {
        let last_entry = indexes.offsets.last();
        if let Some(largest) = indexes.times.last() {
            indexes.largest = largest;
        }
        let last_time = indexes.largest;
        let file = self.readable_file()?;
        let start = last_entry.map_or(0, |entry| entry.position);
        let mut scan = HeaderScan::new(&file, start, self.size_bytes());
        let mut entry_is_true = last_entry.is_none();
        let mut time_is_true = last_time.timestamp == Timestamp::NONE
            || last_entry.is_some_and(|entry| last_time.offset < entry.offset);
        loop {
            let header = match scan.next_batch() {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(ScanError::Defect(_)) if !entry_is_true => return Ok(false),
                Err(error) => return Err(self.scan_failed(error)),
            };
            if let Some(entry) = last_entry
                && header.span.position == entry.position
            {
                entry_is_true = header.span.last_offset() == entry.offset;
                if !entry_is_true {
                    return Ok(false);
                }
            }
            time_is_true |=
                header.span.last_offset() == last_time.offset && header.max_timestamp == last_time.timestamp;
            indexes.note(&header, self.index_interval_bytes);
        }
        Ok(entry_is_true && time_is_true)
    }

    /// Makes the indexes from the log's headers.
    fn rebuild_indexes(self: &Arc<Segment>) -> Result<Indexes, SegmentError> {
        let file = self.readable_file()?;
        let mut indexes = Indexes { aborted: self.load_aborted()?, ..Indexes::new(self.base_offset) };
        let mut scan = HeaderScan::new(&file, 0, self.size_bytes());
        while let Some(header) = scan.next_batch().map_err(|error| self.scan_failed(error))? {
            indexes.check(&header, self.base_offset).map_err(|defect| self.scan_failed(defect.into()))?;
            indexes.note(&header, self.index_interval_bytes);
        }
        Ok(indexes)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.files.charge(self.warm.get_mut().charged_bytes, 0);
    }
}

enum Located {
    At(Option<BatchHeader>),
    IndexLies,
}

impl From<SegmentError> for anyhow::Error {
    fn from(error: SegmentError) -> anyhow::Error {
        match error {
            SegmentError::Corrupt { path, defect } => {
                anyhow::anyhow!(
                    "{} is corrupt at byte {}: {:?}",
                    path.display(),
                    defect.position,
                    defect.reason
                )
            }
            SegmentError::Removed => anyhow::anyhow!("the segment was removed"),
            SegmentError::Failed(error) => error,
        }
    }
}

/// Opens a file; when descriptors ran out, closes idle segment files and tries once more.
fn retry_without_idle_files(files: &FileCache, open: impl Fn() -> io::Result<File>) -> io::Result<File> {
    match open() {
        Err(error) if fs::is_out_of_descriptors(&error) => {
            files.shrink();
            open()
        }
        result => result,
    }
}
