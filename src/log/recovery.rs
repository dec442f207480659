//! Opening a log: which files count, where the log ends, and what a crash left behind.
//!
//! After a clean stop only the active segment is looked at. Otherwise every batch behind the recovery point is
//! read and checked; sealed segments before it are checked at their ends. A torn tail is cut off. Damage with valid
//! batches behind it is reported and nothing is changed: it once was acknowledged, and truncating it on a leader would
//! make the followers truncate too. Everything beside the `.log` files can be rebuilt. Kafka: `LogLoader`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use tracing::{error, info, warn};

use crate::env::fs;
use crate::log::checkpoint;
use crate::log::epochs::EpochCache;
use crate::log::indexes::Indexes;
use crate::log::leftovers::{self, Found};
use crate::log::log::{ActiveSegment, OpenOptions};
use crate::log::producer_state::ProducerState;
use crate::log::producers::{self, Expiry};
use crate::log::scan::{BatchScan, Defect, HeaderScan, Reason, ScanError};
use crate::log::segment::{SNAPSHOT_SUFFIX, Segment, SegmentError, file_name};
use crate::log::tail::{self, AfterDefect};
use crate::log::txn_index::AbortedTransaction;
use crate::protocol::ids::{LeaderEpoch, Offset, Timestamp};

/// Why a log cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The log is damaged where it was whole once. Quarantined: nothing was changed, the partition answers an error.
    Corrupt {
        path: PathBuf,
        position: u64,
        reason: String,
    },
    Io(anyhow::Error),
}

/// A log as its files tell it.
pub(super) struct Recovered {
    pub segments: Vec<Arc<Segment>>,
    pub active: Option<ActiveSegment>,
    pub producers: ProducerState,
    pub epochs: EpochCache,
    pub log_start_offset: Offset,
    pub log_end_offset: Offset,
    pub is_changed: bool,
}

/// What is gathered on the way through the segments.
struct Recovery<'a> {
    options: &'a OpenOptions,
    now: Timestamp,
    directory: Arc<Path>,
    found: Found,
    /// From the checkpoint, when it can be true.
    log_start_offset: Offset,
    segments: Vec<Arc<Segment>>,
    epochs: EpochCache,
    /// The epochs on file do not fit the batches.
    must_derive_epochs: bool,
    is_changed: bool,
}

/// Finds out what a directory holds, repairing what may be repaired.
pub(super) fn recover(
    options: &OpenOptions,
    directory: Arc<Path>,
    now: Timestamp,
) -> Result<Recovered, OpenError> {
    let found = leftovers::tidy_up(&directory)?;
    let mut recovery = Recovery {
        options,
        now,
        log_start_offset: believable_log_start(options, &directory),
        directory,
        found,
        segments: Vec::new(),
        epochs: EpochCache::default(),
        must_derive_epochs: false,
        is_changed: !options.clean_shutdown,
    };
    recovery.open_segments();
    recovery.load_epochs()?;
    let (log_end_offset, producers) = recovery.check_segments()?;
    recovery.finish(log_end_offset, producers)
}

impl Recovery<'_> {
    fn open_segments(&mut self) {
        let index_interval_bytes = u64::from(self.options.config.index_interval_bytes);
        for (base_offset, size_bytes) in &self.found.segments {
            let segment = Segment::open(
                self.directory.clone(),
                *base_offset,
                *size_bytes,
                index_interval_bytes,
                self.options.files.clone(),
            );
            if !self.found.with_aborts.contains(base_offset) && !self.found.unindexed.contains(base_offset) {
                segment.set_without_abort();
            }
            self.segments.push(segment);
        }
    }

    fn load_epochs(&mut self) -> Result<(), OpenError> {
        let path = self.directory.join(checkpoint::LEADER_EPOCH_CHECKPOINT);
        let bytes = fs::read_file(&path).context("read leader epoch checkpoint")?;
        let decoded = bytes.and_then(|bytes| checkpoint::decode_epochs(&bytes));
        match decoded {
            Some(epochs) => self.epochs = epochs,
            None => self.must_derive_epochs = !self.segments.is_empty(),
        }
        Ok(())
    }

    /// Checks each segment as thoroughly as its history asks for; answers where the log ends, and its producers.
    fn check_segments(&mut self) -> Result<(Offset, ProducerState), OpenError> {
        let last_used = self.segments.iter().rposition(|segment| segment.size_bytes() > 0);
        let Some(last_used) = last_used else {
            // An emptied log: the base of its empty segment is all that is left of its offsets.
            let end = self.segments.last().map_or(self.log_start_offset, |segment| segment.base_offset());
            let producers = self.load_producers(end)?;
            return Ok((end, producers));
        };
        let first_suspect = self.first_suspect(last_used);
        for index in 0..first_suspect.min(last_used) {
            if !self.options.clean_shutdown {
                self.check_sealed(index)?;
            }
        }
        let suspect_from = match self.segments.get(first_suspect).filter(|_| first_suspect <= last_used) {
            Some(segment) => segment.base_offset(),
            None => self.trusted_end(last_used)?,
        };
        for index in 0..first_suspect.min(last_used + 1) {
            if self.found.unindexed.contains(&self.segments[index].base_offset()) {
                self.derive_aborted(index)?;
            }
        }
        let mut producers = self.load_producers(suspect_from)?;
        producers::replay(&mut producers, &self.segments, suspect_from)?;
        // What the batches to come tell of epochs counts.
        self.epochs.truncate_from_end(suspect_from);
        let mut end = suspect_from;
        for index in first_suspect..=last_used {
            end = self.check_every_batch(index, last_used, end, &mut producers)?;
        }
        Ok((end, producers))
    }

    /// Index of the first segment that must be read in full; behind the last when the files can be trusted.
    fn first_suspect(&self, last_used: usize) -> usize {
        if self.options.clean_shutdown {
            let is_trusted = match self.segments[last_used].with_indexes(|indexes| indexes.next_offset) {
                Ok(_) => true,
                Err(error) => {
                    let error = anyhow::Error::from(error);
                    warn!(
                        "the marker of a clean stop is not true for {}: {error:#}",
                        self.directory.display()
                    );
                    false
                }
            };
            return if is_trusted { last_used + 1 } else { last_used };
        }
        let ends_behind_point = |index: usize| {
            self.segments.get(index + 1).is_none_or(|next| next.base_offset() > self.options.recovery_point)
        };
        (0..=last_used).find(|index| ends_behind_point(*index)).unwrap_or(last_used)
    }

    /// Where the log ends when all files are as a clean stop left them.
    fn trusted_end(&mut self, last_used: usize) -> Result<Offset, OpenError> {
        let (end, last_epoch) =
            self.segments[last_used].with_indexes(|indexes| (indexes.next_offset, indexes.last_epoch))?;
        self.compare_epoch(end, last_epoch);
        Ok(end)
    }

    /// A sealed segment that was on disk before the crash: its index must lead to a batch, and from there the batches
    /// must lead to the end and to the next segment.
    fn check_sealed(&mut self, index: usize) -> Result<(), OpenError> {
        let segment = self.segments[index].clone();
        let (end, last_epoch) = segment.with_indexes(|indexes| (indexes.next_offset, indexes.last_epoch))?;
        segment.set_indexes(None);
        let next_base_offset = self.segments[index + 1].base_offset();
        if end > next_base_offset {
            return Err(OpenError::Corrupt {
                path: segment.path(),
                position: segment.size_bytes(),
                reason: format!(
                    "the segment ends with offset {end}, the next one begins with {next_base_offset}"
                ),
            });
        }
        if segment.size_bytes() > 0 {
            self.compare_epoch(end, last_epoch);
        }
        Ok(())
    }

    fn compare_epoch(&mut self, end: Offset, last_epoch: LeaderEpoch) {
        if last_epoch.0 >= 0 && self.epochs.epoch_for_offset(end + -1) != Some(last_epoch) {
            self.must_derive_epochs = true;
        }
    }

    /// Reads a segment in full, rebuilds its indexes, and cuts a torn tail off. Answers where it ends.
    fn check_every_batch(
        &mut self,
        index: usize,
        last_used: usize,
        expected: Offset,
        producers: &mut ProducerState,
    ) -> Result<Offset, OpenError> {
        let segment = self.segments[index].clone();
        let file = segment.readable_file()?;
        let size_bytes = segment.size_bytes();
        let mut indexes = Indexes::new(segment.base_offset());
        indexes.next_offset = expected.max(segment.base_offset());
        if let Some(defect) = self.scan_segment(&segment, &mut indexes, producers)? {
            let is_last = index == last_used;
            let after = tail::what_follows(&file, defect.position, size_bytes, indexes.next_offset)
                .with_context(|| format!("recover {}", segment.path().display()))?;
            match after {
                AfterDefect::Nothing if is_last => self.cut(&segment, defect, size_bytes)?,
                AfterDefect::Nothing | AfterDefect::ValidBatch => return Err(corrupt(&segment, defect)),
            }
        }
        let end = indexes.next_offset;
        segment.set_indexes(Some(indexes));
        if index == last_used {
            segment.begin_writing()?;
        } else {
            segment.seal()?;
        }
        Ok(end)
    }

    /// Finds the aborted transactions of a trusted segment again, whose transaction index is not: other than the rest, they
    /// depend on what was open before the segment (`LogSegment.recover`). Damage is left to the readers who meet it, as in any
    /// other trusted segment; what follows it there is not looked at.
    fn derive_aborted(&self, index: usize) -> Result<(), OpenError> {
        let segment = &self.segments[index];
        info!(segment = %segment.path().display(), "deriving the aborted transactions from the batches");
        let mut aborted = Vec::new();
        if !is_undamaged(self.collect_aborted(segment, &mut aborted))? {
            error!(
                segment = %segment.path().display(), found_count = aborted.len(),
                "transactions aborted behind the damage are not known"
            );
        }
        // Where batches cannot be told apart there are no indexes either, and nothing is read.
        if is_undamaged(segment.set_aborted(aborted))? {
            segment.seal()?;
        }
        Ok(())
    }

    fn collect_aborted(
        &self,
        segment: &Arc<Segment>,
        aborted: &mut Vec<AbortedTransaction>,
    ) -> Result<(), SegmentError> {
        let mut producers = self.load_producers(segment.base_offset())?;
        producers::replay(&mut producers, &self.segments, segment.base_offset())?;
        let file = segment.readable_file()?;
        let mut scan = BatchScan::new(&file, 0, segment.size_bytes());
        while let Some((header, batch)) = scan.next_batch().map_err(|error| segment.scan_failed(error))? {
            let summary = producers::summary_of(batch, header.span.position)
                .map_err(|error| segment.scan_failed(error))?;
            aborted.extend(producers::take_in(&mut producers, &summary));
        }
        Ok(())
    }

    /// Takes in every batch up to the end or to the first bytes that are none, which it answers.
    fn scan_segment(
        &mut self,
        segment: &Arc<Segment>,
        indexes: &mut Indexes,
        producers: &mut ProducerState,
    ) -> Result<Option<Defect>, OpenError> {
        let file = segment.readable_file()?;
        let mut scan = BatchScan::new(&file, 0, segment.size_bytes());
        loop {
            match scan.next_batch() {
                Ok(None) => return Ok(None),
                Ok(Some((header, batch))) => {
                    let position = header.span.position;
                    // Whole and valid, but not what was written here: no torn tail.
                    indexes
                        .check(&header, segment.base_offset())
                        .map_err(|defect| corrupt(segment, defect))?;
                    if header.leader_epoch < indexes.last_epoch {
                        return Err(corrupt(segment, Defect { position, reason: Reason::EpochOutOfOrder }));
                    }
                    indexes.note(&header, segment.index_interval_bytes());
                    self.epochs.assign(header.leader_epoch, header.span.base_offset);
                    let summary =
                        producers::summary_of(batch, position).map_err(|error| segment.scan_failed(error))?;
                    indexes.aborted.extend(producers::take_in(producers, &summary));
                }
                Err(ScanError::Defect(defect)) => return Ok(Some(defect)),
                Err(error @ ScanError::Io(_)) => return Err(segment.scan_failed(error).into()),
            }
        }
    }

    fn cut(&mut self, segment: &Arc<Segment>, defect: Defect, size_bytes: u64) -> Result<(), OpenError> {
        info!(
            segment = %segment.path().display(), position = defect.position, cut_bytes = size_bytes - defect.position,
            reason = ?defect.reason, "cutting off a torn tail"
        );
        let file = segment.readable_file()?;
        file.truncate(defect.position).with_context(|| format!("cut {}", segment.path().display()))?;
        segment.set_size_bytes(defect.position);
        Ok(())
    }

    fn load_producers(&self, limit: Offset) -> Result<ProducerState, SegmentError> {
        let expiration_ms = self.options.producer_expiration_ms.load(Ordering::Relaxed);
        let expiry = Expiry { now: self.now, expiration_ms };
        producers::load(&self.directory, &self.found.snapshots, &self.segments, limit, expiry)
    }

    /// Reads the leader epochs out of every batch header.
    fn derive_epochs(&mut self) -> Result<(), OpenError> {
        info!(log = %self.directory.display(), "deriving the leader epochs from the batches");
        let mut derived = EpochCache::default();
        for segment in &self.segments {
            let file = segment.readable_file()?;
            let mut scan = HeaderScan::new(&file, 0, segment.size_bytes());
            loop {
                match scan.next_batch() {
                    Ok(Some(header)) => {
                        derived.assign(header.leader_epoch, header.span.base_offset);
                    }
                    Ok(None) => break,
                    Err(error) => return Err(segment.scan_failed(error).into()),
                }
            }
        }
        self.epochs = derived;
        Ok(())
    }

    fn finish(mut self, log_end_offset: Offset, producers: ProducerState) -> Result<Recovered, OpenError> {
        if self.must_derive_epochs {
            self.derive_epochs()?;
        }
        self.remove_hollow_segments(log_end_offset)?;
        for at in self.found.snapshots.iter().filter(|at| **at > log_end_offset) {
            let path = self.directory.join(file_name(*at, SNAPSHOT_SUFFIX));
            fs::remove(&path).with_context(|| format!("remove {}", path.display()))?;
        }
        let first_offset = self.segments.first().map_or(log_end_offset, |segment| segment.base_offset());
        let log_start_offset = self.log_start_offset.max(first_offset);
        // An emptied log keeps the epoch it ended with.
        let is_empty = log_start_offset >= log_end_offset;
        self.epochs.truncate_from_end(if is_empty { log_start_offset + 1 } else { log_end_offset });
        if log_start_offset > log_end_offset {
            return self.start_over(log_start_offset);
        }
        self.epochs.truncate_from_start(log_start_offset);
        let active = self.segments.last().map(|segment| active_segment(segment, self.now)).transpose()?;
        Ok(Recovered {
            segments: self.segments,
            active,
            producers,
            epochs: self.epochs,
            log_start_offset,
            log_end_offset,
            is_changed: self.is_changed,
        })
    }

    /// Empty segments behind the last batch say nothing, but for the last one when it begins where the log ends. Those before
    /// it are what compaction has left, and the first of all segments tells where the log begins.
    fn remove_hollow_segments(&mut self, log_end_offset: Offset) -> Result<(), OpenError> {
        let last_base_offset = self.segments.last().map(|segment| segment.base_offset());
        let last_used = self
            .segments
            .iter()
            .rfind(|segment| segment.size_bytes() > 0)
            .map(|segment| segment.base_offset());
        let mut kept = Vec::with_capacity(self.segments.len());
        for segment in self.segments.drain(..) {
            let is_the_end =
                Some(segment.base_offset()) == last_base_offset && segment.base_offset() == log_end_offset;
            if Some(segment.base_offset()) <= last_used || is_the_end {
                kept.push(segment);
            } else {
                leftovers::remove_segment(&segment)?;
            }
        }
        self.segments = kept;
        Ok(())
    }

    /// All records lie before the log start, so all of them were deleted already.
    fn start_over(self, log_start_offset: Offset) -> Result<Recovered, OpenError> {
        warn!(
            log = %self.directory.display(), %log_start_offset,
            "the log ends before its log start: beginning anew there"
        );
        for segment in &self.segments {
            leftovers::remove_segment(segment)?;
        }
        Ok(Recovered {
            segments: Vec::new(),
            active: None,
            producers: ProducerState::starting_at(log_start_offset),
            epochs: EpochCache::default(),
            log_start_offset,
            log_end_offset: log_start_offset,
            is_changed: true,
        })
    }
}

/// A log start that no record can stand at is damage of the checkpoint: the first segment tells instead.
fn believable_log_start(options: &OpenOptions, directory: &Path) -> Offset {
    let log_start_offset = options.log_start_offset;
    if (0..i64::MAX).contains(&log_start_offset.0) {
        return log_start_offset;
    }
    warn!(log = %directory.display(), %log_start_offset, "the checkpoint of the log start is damaged");
    Offset::ZERO
}

/// The last segment, made ready for appends.
pub(super) fn active_segment(segment: &Arc<Segment>, now: Timestamp) -> Result<ActiveSegment, SegmentError> {
    let size_bytes = segment.size_bytes();
    let file = segment.readable_file()?;
    let first =
        HeaderScan::new(&file, 0, size_bytes).next_batch().map_err(|error| segment.scan_failed(error))?;
    let first_timestamp = first.map(|header| header.max_timestamp);
    Ok(ActiveSegment {
        segment: segment.clone(),
        size_bytes,
        reserved_to_bytes: 0,
        first_timestamp,
        created: now,
    })
}

/// Whether work on a trusted segment met no damage, which it logs.
fn is_undamaged(outcome: Result<(), SegmentError>) -> Result<bool, OpenError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(damage @ SegmentError::Corrupt { .. }) => {
            error!("{:#}", anyhow::Error::from(damage));
            Ok(false)
        }
        Err(error @ (SegmentError::Removed | SegmentError::Failed(_))) => Err(error.into()),
    }
}

fn corrupt(segment: &Segment, defect: Defect) -> OpenError {
    segment.scan_failed(ScanError::Defect(defect)).into()
}

impl From<SegmentError> for OpenError {
    fn from(error: SegmentError) -> OpenError {
        match error {
            SegmentError::Corrupt { path, defect } => {
                OpenError::Corrupt { path, position: defect.position, reason: format!("{:?}", defect.reason) }
            }
            SegmentError::Removed | SegmentError::Failed(_) => OpenError::Io(error.into()),
        }
    }
}

impl From<anyhow::Error> for OpenError {
    fn from(error: anyhow::Error) -> OpenError {
        OpenError::Io(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Corrupt { path, position, reason } => {
                write!(formatter, "{} is damaged at byte {position}: {reason}", path.display())
            }
            OpenError::Io(error) => write!(formatter, "{error:#}"),
        }
    }
}

impl std::error::Error for OpenError {}
