//! A partition's log: its one writer. Appending, rolling, truncating and retention live in files beside this one.
//!
//! Blocking; the owner holds an append mutex around `&mut self` and hands out [`Log::view`] to readers. A log without
//! records has no files at all. An append that is refused has changed nothing; after an IO error whose outcome is
//! unknown the log refuses every further change, and its owner closes it. Kafka: `UnifiedLog`, `LocalLog`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, bail};
use tracing::warn;

use crate::config::topic::TopicConfig;
use crate::env::fs;
use crate::log::checkpoint;
use crate::log::epochs::EpochCache;
use crate::log::files::FileCache;
use crate::log::first::{self, NewFiles};
use crate::log::producer_snapshot;
use crate::log::producer_state::ProducerState;
use crate::log::read::LogView;
use crate::log::recovery::{self, OpenError, Recovered};
use crate::log::segment::{SNAPSHOT_SUFFIX, Segment, file_name};
use crate::log::verification::{Unverified, VerificationGuard, Verifications};
use crate::protocol::errors::ApiError;
use crate::protocol::ids::{LeaderEpoch, Offset, Timestamp, TopicId};

/// What a log is opened with.
pub struct OpenOptions {
    /// `<log.dir>/<topic>-<partition>`; need not exist.
    pub directory: PathBuf,
    pub topic_id: TopicId,
    pub config: Arc<TopicConfig>,
    /// From the checkpoint; 0 when there is none.
    pub log_start_offset: Offset,
    /// Everything before it was on disk at the last checkpoint; 0 when there is none.
    pub recovery_point: Offset,
    /// The broker stopped in order, so that the files can be trusted as they are.
    pub clean_shutdown: bool,
    /// `producer.id.expiration.ms`: producers idle for longer are not restored from a snapshot. All logs share it, as it
    /// changes while the broker runs (`ProducerStateManagerConfig`).
    pub producer_expiration_ms: Arc<AtomicI64>,
    pub files: Arc<FileCache>,
}

/// The segment that takes appends.
#[derive(Debug)]
pub(super) struct ActiveSegment {
    pub segment: Arc<Segment>,
    /// Where the next batch goes.
    pub size_bytes: u64,
    /// Disk blocks are reserved up to here.
    pub reserved_to_bytes: u64,
    /// Largest timestamp of the first batch: the segment's age counts from it (`LogSegment.timeWaitedForRoll`).
    pub first_timestamp: Option<Timestamp>,
    pub created: Timestamp,
}

/// The writer of one partition's log.
#[derive(Debug)]
pub struct Log {
    pub(super) view: Arc<LogView>,
    pub(super) directory: Arc<Path>,
    pub(super) topic_id: TopicId,
    pub(super) config: Arc<TopicConfig>,
    pub(super) files: Arc<FileCache>,
    /// `None` as long as the log has no files.
    pub(super) active: Option<ActiveSegment>,
    /// Made for the first append, and perhaps not on disk.
    pub(super) prepared: Option<NewFiles>,
    pub(super) producers: ProducerState,
    pub(super) verifications: Verifications,
    pub(super) producer_expiration_ms: Arc<AtomicI64>,
    pub(super) epochs: EpochCache,
    /// Everything before it is on disk, and recovery need not read it.
    pub(super) flushed_to: Offset,
    /// Flush tickets of an older history do not count.
    pub(super) truncation_count: u64,
    /// Files were created since the directory was last synced.
    pub(super) has_new_names: bool,
    /// Records came or went since the files on disk were last complete.
    pub(super) is_changed: bool,
    pub(super) is_failed: bool,
}

/// Files to sync, taken under the append mutex and flushed without it.
#[derive(Debug)]
pub struct FlushTicket {
    up_to: Offset,
    /// At most `up_to`: the segments before it have their transaction indexes on disk as well.
    complete_to: Offset,
    truncation_count: u64,
    segments: Vec<Arc<Segment>>,
    directory: Option<Arc<Path>>,
    view: Arc<LogView>,
}

/// What is left of a log that was closed.
#[derive(Debug)]
pub struct Closed {
    pub log_start_offset: Offset,
    pub log_end_offset: Offset,
    /// Not on disk yet: flush it, or sync the whole file system, before the clean-shutdown marker is written.
    pub unflushed: FlushTicket,
}

/// A log's directory on its way out.
#[derive(Debug)]
pub struct RemovedDirectory {
    pub path: PathBuf,
    /// When its files may go.
    pub remove_at: Timestamp,
}

impl Log {
    /// Opens or recovers the log in a directory. A directory that does not exist is an empty log.
    pub fn open(options: OpenOptions, now: Timestamp) -> Result<Log, OpenError> {
        let directory: Arc<Path> = options.directory.as_path().into();
        let Recovered { segments, active, producers, epochs, log_start_offset, log_end_offset, is_changed } =
            recovery::recover(&options, directory.clone(), now)?;
        if active.is_some() && !options.clean_shutdown {
            let is_empty = segments.iter().all(|segment| segment.size_bytes() == 0);
            first::settle(&directory, options.topic_id, is_empty)?;
        }
        let view = Arc::new(LogView::new(directory.clone(), log_start_offset, log_end_offset));
        view.publish_segments(segments, log_end_offset);
        Ok(Log {
            view,
            directory,
            topic_id: options.topic_id,
            config: options.config,
            files: options.files,
            active,
            prepared: None,
            producers,
            verifications: Verifications::default(),
            producer_expiration_ms: options.producer_expiration_ms,
            epochs,
            flushed_to: if options.clean_shutdown {
                log_end_offset
            } else {
                options.recovery_point.min(log_end_offset)
            },
            truncation_count: 0,
            has_new_names: false,
            is_changed,
            is_failed: false,
        })
    }

    /// The side that readers share.
    pub fn view(&self) -> Arc<LogView> {
        self.view.clone()
    }

    pub fn log_start_offset(&self) -> Offset {
        self.view.log_start_offset()
    }

    pub fn log_end_offset(&self) -> Offset {
        self.view.log_end_offset()
    }

    /// `<log.dir>/<topic>-<partition>`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether an append goes to files that are there and on disk under their names.
    pub fn has_files(&self) -> bool {
        self.active.is_some()
    }

    pub fn config(&self) -> &Arc<TopicConfig> {
        &self.config
    }

    /// Takes effect with the next append or retention run.
    pub fn set_config(&mut self, config: Arc<TopicConfig>) {
        self.config = config;
    }

    pub fn epochs(&self) -> &EpochCache {
        &self.epochs
    }

    pub fn producers(&self) -> &ProducerState {
        &self.producers
    }

    /// Markers below the high watermark are replicated: the last stable offset may move past their transactions. The last
    /// stable offset, which is never beyond the high watermark.
    pub fn on_high_watermark(&mut self, high_watermark: Offset) -> Offset {
        self.producers.on_high_watermark(high_watermark);
        // A transaction may have begun before the log does, when its first records were deleted.
        let first = self.producers.first_unstable_offset().map(|first| first.max(self.log_start_offset()));
        first.map_or(high_watermark, |first| first.min(high_watermark))
    }

    /// Before the coordinator of a transaction is asked about a batch: the guard to append it with, or `None` when the
    /// transaction is ongoing here and nobody need be asked.
    pub fn start_verification(
        &mut self,
        batch: &Unverified,
        now: Timestamp,
    ) -> Result<Option<VerificationGuard>, ApiError> {
        self.verifications.start(batch, self.producers.entry(batch.producer_id), now)
    }

    /// Forgets producers idle for `producer.id.expiration.ms`, and verifications that were never finished; answers how many
    /// producers.
    pub fn remove_expired_producers(&mut self, now: Timestamp) -> usize {
        let expiration_ms = self.producer_expiration_ms.load(Ordering::Relaxed);
        self.verifications.remove_expired(now, expiration_ms);
        self.producers.remove_expired(now, expiration_ms)
    }

    /// The log end belongs to a new leader epoch (`UnifiedLog.assignEpochStartOffset`).
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch) -> anyhow::Result<()> {
        let log_end_offset = self.log_end_offset();
        if self.epochs.assign(epoch, log_end_offset) { self.save_epochs() } else { Ok(()) }
    }

    /// Moves the log start for DeleteRecords or a follower whose leader moved it. The caller has the checkpoint
    /// written before anybody is told, because the offset cannot be derived from the files.
    pub fn set_log_start_offset(&mut self, to: Offset) -> anyhow::Result<()> {
        if to <= self.log_start_offset() {
            return Ok(());
        }
        if to > self.log_end_offset() {
            bail!("move the log start to {to}: the log ends at {}", self.log_end_offset());
        }
        self.view.set_log_start_offset(to);
        self.producers.on_log_start_offset(to);
        if self.epochs.truncate_from_start(to) {
            self.save_epochs_durably()?;
        }
        Ok(())
    }

    /// What must reach the disk so that everything up to the log end is safe.
    pub fn unflushed(&self) -> FlushTicket {
        self.flush_ticket(self.log_end_offset())
    }

    /// What must reach the disk so that all but the active segment is safe: keeps recovery after a crash short.
    pub fn unflushed_sealed(&self) -> FlushTicket {
        let sealed_to =
            self.active.as_ref().map_or(self.log_end_offset(), |active| active.segment.base_offset());
        self.flush_ticket(sealed_to)
    }

    fn flush_ticket(&self, up_to: Offset) -> FlushTicket {
        let segments = self.view.segments();
        let mut unflushed = Vec::new();
        let mut complete_to = up_to;
        for (index, segment) in segments.iter().enumerate() {
            let next = segments.get(index + 1);
            let end = next.map_or(self.log_end_offset(), |next| next.base_offset());
            if segment.base_offset() >= up_to || end <= self.flushed_to {
                continue;
            }
            let is_incomplete = match next {
                Some(_) => !seal_again(segment),
                None => segment.has_unwritten_transactions(),
            };
            if is_incomplete {
                complete_to = complete_to.min(segment.base_offset());
            }
            unflushed.push(segment.clone());
        }
        FlushTicket {
            up_to,
            complete_to,
            truncation_count: self.truncation_count,
            segments: unflushed,
            directory: self.has_new_names.then(|| self.directory.clone()),
            view: self.view.clone(),
        }
    }

    /// The ticket's files have been flushed.
    pub fn mark_flushed(&mut self, ticket: &FlushTicket) {
        if ticket.truncation_count == self.truncation_count {
            self.flushed_to = self.flushed_to.max(ticket.complete_to);
            // A roll since then made a name that this ticket did not know; a segment that is sealed late makes another.
            let knew_all =
                self.active.as_ref().is_none_or(|active| active.segment.base_offset() <= ticket.complete_to);
            if ticket.directory.is_some() && knew_all {
                self.has_new_names = false;
            }
        }
    }

    /// Everything before it is on disk, and can be trusted after a crash; goes into the recovery-point checkpoint.
    pub fn recovery_point(&self) -> Offset {
        self.flushed_to
    }

    /// Refuses every further change: the outcome of a write or a flush is unknown.
    pub fn fail(&mut self) {
        self.is_failed = true;
    }

    pub fn is_failed(&self) -> bool {
        self.is_failed
    }

    /// Completes the files on disk, so that the next start need not recover anything.
    pub fn close(mut self) -> anyhow::Result<Closed> {
        if self.is_failed {
            bail!("close {}: an earlier write failed", self.directory.display());
        }
        if self.is_changed {
            self.complete_files()?;
        }
        Ok(Closed {
            log_start_offset: self.log_start_offset(),
            log_end_offset: self.log_end_offset(),
            unflushed: self.unflushed(),
        })
    }

    /// Renames the directory to `<topic>-<partition>.<suffix>-delete`, from which moment it belongs to no topic. Answers
    /// what to remove and when; `None` for a log without files. Readers that hold an open file go on.
    pub fn delete(self, suffix: &str, now: Timestamp) -> anyhow::Result<Option<RemovedDirectory>> {
        self.view.set_deleted();
        if !fs::exists(&self.directory) {
            return Ok(None);
        }
        let name = self.directory.file_name().context("a log's directory has a name")?.to_string_lossy();
        let suffix = format!(".{suffix}-delete");
        // Kafka cuts the topic's part so that the name stays within 255 bytes (`LocalLog.logDeleteDirName`).
        let kept: String = name.chars().take(255 - suffix.len()).collect();
        let path = self.directory.with_file_name(format!("{kept}{suffix}"));
        fs::rename(&self.directory, &path).with_context(|| format!("rename {}", self.directory.display()))?;
        if let Some(parent) = path.parent() {
            fs::sync_directory(parent).with_context(|| format!("sync {}", parent.display()))?;
        }
        let delay_ms = self.config.file_delete_delay_ms;
        Ok(Some(RemovedDirectory { path, remove_at: Timestamp(now.0.saturating_add(delay_ms)) }))
    }

    /// Gives back reserved blocks and writes the producer snapshot, the active segment's indexes, and those that found no
    /// space when the log rolled.
    fn complete_files(&mut self) -> anyhow::Result<()> {
        let Some(active) = &self.active else { return Ok(()) };
        if active.reserved_to_bytes > active.size_bytes {
            let file = active.segment.file().context("open active segment")?;
            file.truncate(active.size_bytes).context("give back reserved blocks")?;
        }
        for segment in self.view.segments().iter() {
            if !segment.is_sealed() || Arc::ptr_eq(segment, &active.segment) {
                segment
                    .seal()
                    .with_context(|| format!("write the indexes of {}", segment.path().display()))?;
            }
        }
        self.write_producer_snapshot(self.log_end_offset())?;
        self.is_changed = false;
        Ok(())
    }

    pub(super) fn write_producer_snapshot(&self, at: Offset) -> anyhow::Result<()> {
        let path = self.directory.join(file_name(at, SNAPSHOT_SUFFIX));
        fs::replace_derived_file(&path, &producer_snapshot::encode(self.producers.entries()))
            .with_context(|| format!("write producer snapshot {}", path.display()))
    }

    /// Saves what can mostly be derived again from the batches.
    pub(super) fn save_epochs(&self) -> anyhow::Result<()> {
        if self.active.is_none() && self.prepared.is_none() {
            return Ok(());
        }
        let path = self.directory.join(checkpoint::LEADER_EPOCH_CHECKPOINT);
        fs::replace_derived_file(&path, self.epochs.to_text().as_bytes())
            .with_context(|| format!("write {}", path.display()))
    }

    /// Saves the epoch entry at the log start, which no batch tells.
    pub(super) fn save_epochs_durably(&self) -> anyhow::Result<()> {
        if self.active.is_none() {
            return Ok(());
        }
        let path = self.directory.join(checkpoint::LEADER_EPOCH_CHECKPOINT);
        fs::replace_file(&path, self.epochs.to_text().as_bytes())
            .with_context(|| format!("write {}", path.display()))
    }

    /// After an error in the middle of a change of several files.
    pub(super) fn fail_with(&mut self, error: anyhow::Error) -> anyhow::Error {
        warn!(log = %self.directory.display(), "{error:#}; the log takes no further change");
        self.is_failed = true;
        error
    }
}

impl FlushTicket {
    /// The flushed log would end here.
    pub fn up_to(&self) -> Offset {
        self.up_to
    }

    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.directory.is_none()
    }

    /// `fdatasync` of every file, then of the directory. After an error nobody knows what is on disk: the log must
    /// fail. Nothing is left to do for what was deleted meanwhile.
    pub fn flush(&self) -> anyhow::Result<()> {
        for segment in &self.segments {
            let path = segment.path();
            let flushed = segment.file().and_then(|file| file.sync_data());
            if flushed.is_err() && (segment.is_removed() || self.view.is_deleted()) {
                continue;
            }
            flushed.with_context(|| format!("flush {}", path.display()))?;
            if segment.is_sealed() {
                segment.sync_indexes().with_context(|| format!("flush the indexes of {}", path.display()))?;
            }
        }
        if let Some(directory) = &self.directory
            && let Err(error) = fs::sync_directory(directory)
            && !self.view.is_deleted()
        {
            return Err(error).with_context(|| format!("sync {}", directory.display()));
        }
        Ok(())
    }
}

/// Completes a segment behind the active one whose index files found no space when the log rolled; answers whether it is complete.
fn seal_again(segment: &Arc<Segment>) -> bool {
    if segment.is_sealed() {
        return true;
    }
    let sealed = segment.seal();
    if let Err(error) = &sealed {
        warn!(segment = %segment.path().display(), "a sealed segment is still incomplete: {error:#}");
    }
    sealed.is_ok()
}
