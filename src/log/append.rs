//! Appending batches and rolling segments.
//!
//! One `pwrite` per append, no allocation in the steady state. A refused append has changed nothing. When the disk is full
//! the part that was written is cut off again and later appends work; after any other IO error the outcome is
//! unknown and the log fails. Kafka: `UnifiedLog.append`, `LocalLog.roll`, `LogSegment.shouldRoll`.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;

use anyhow::Context;
use tracing::warn;

use crate::env::fs;
use crate::log::log::{ActiveSegment, Log};
use crate::log::producer_state::{Origin, Verdict};
use crate::log::scan::BatchHeader;
use crate::log::segment::{SNAPSHOT_SUFFIX, Segment, SegmentError, file_name};
use crate::log::{offset_index, producers, time_index};
use crate::protocol::batch::{Batch, BatchMut, TimestampType};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{LeaderEpoch, Offset, Timestamp};
use crate::protocol::summary::BatchSummary;

/// Where the batches stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub first_offset: Offset,
    pub last_offset: Offset,
    /// -1 unless the topic uses LogAppendTime or the batch is a duplicate, as Kafka answers.
    pub log_append_time: Timestamp,
    pub log_start_offset: Offset,
    /// Nothing was written: the producer's batch stands there already (KIP-98).
    pub is_duplicate: bool,
    pub size_bytes: usize,
    /// A segment was sealed; [`Log::unflushed_sealed`] should be flushed soon.
    pub has_rolled: bool,
}

/// Why nothing was appended, or nobody knows.
#[derive(Debug)]
pub enum AppendError {
    /// Nothing changed; the client is told.
    Refused(ApiError),
    /// Disk space or file descriptors ran out. Nothing changed, and later appends may work.
    NoSpace(anyhow::Error),
    /// The outcome is unknown: the log takes no further change and its directory must go offline.
    Failed(anyhow::Error),
}

impl From<ApiError> for AppendError {
    fn from(error: ApiError) -> AppendError {
        AppendError::Refused(error)
    }
}

impl From<AppendError> for anyhow::Error {
    fn from(error: AppendError) -> anyhow::Error {
        match error {
            AppendError::Refused(error) => error.into(),
            AppendError::NoSpace(error) | AppendError::Failed(error) => error,
        }
    }
}

/// What the checks before an append have seen.
struct Survey {
    /// Each batch begins at or behind the end of the one before it.
    is_ordered: bool,
    /// Offsets that all batches take together when numbered without gaps.
    offset_count: i64,
    first_base_offset: Offset,
    next_offset: Offset,
    max_timestamp: Timestamp,
    timestamp_type: TimestampType,
}

/// What an append asks of the active segment.
struct Room {
    size: usize,
    first_offset: Offset,
    next_offset: Offset,
    max_timestamp: Timestamp,
}

/// Files begin to reserve blocks ahead when they outgrow this; below, a small topic costs what it holds.
const RESERVE_FROM_BYTES: u64 = 1 << 20;
const LARGEST_RESERVE_BYTES: u64 = 64 << 20;

impl Log {
    /// Appends whole, validated batches that stand in one buffer; numbers them from the log end and stamps the
    /// epoch in place.
    pub fn append_as_leader(
        &mut self,
        batches: &mut [u8],
        epoch: LeaderEpoch,
        origin: Origin,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        self.check_healthy()?;
        let survey = survey(batches)?;
        if let Some(latest) = self.epochs.latest()
            && latest.epoch > epoch
        {
            let message = format!("epoch {epoch} has ended: the log is in epoch {}", latest.epoch);
            return Err(ApiError::new(ErrorCode::NotLeaderOrFollower, message).into());
        }
        if let Some(duplicate) = self.check_producers(batches, origin)? {
            return Ok(duplicate);
        }
        let first_offset = self.log_end_offset();
        let Some(next_offset) = first_offset.0.checked_add(survey.offset_count).map(Offset) else {
            return Err(ApiError::new(ErrorCode::InvalidRecord, "the partition has no offsets left").into());
        };
        let room =
            Room { size: batches.len(), first_offset, next_offset, max_timestamp: survey.max_timestamp };
        let has_rolled = self.make_room(&room, now)?;
        number(batches, first_offset, epoch);
        self.write(batches, next_offset, now)?;
        Ok(self.appended(&survey, &room, has_rolled))
    }

    /// Appends batches that a leader has numbered; their offsets and epochs stay.
    pub fn append_as_follower(&mut self, batches: &[u8], now: Timestamp) -> Result<Appended, AppendError> {
        self.check_healthy()?;
        let survey = survey(batches)?;
        let (first_offset, next_offset) = (survey.first_base_offset, survey.next_offset);
        if !survey.is_ordered || first_offset < self.log_end_offset() {
            let message =
                format!("batches begin at {first_offset}, the log ends at {}", self.log_end_offset());
            return Err(ApiError::new(ErrorCode::OffsetOutOfRange, message).into());
        }
        let room =
            Room { size: batches.len(), first_offset, next_offset, max_timestamp: survey.max_timestamp };
        let has_rolled = self.make_room(&room, now)?;
        self.write(batches, next_offset, now)?;
        Ok(self.appended(&survey, &room, has_rolled))
    }

    fn appended(&self, survey: &Survey, room: &Room, has_rolled: bool) -> Appended {
        Appended {
            first_offset: room.first_offset,
            last_offset: room.next_offset + -1,
            log_append_time: match survey.timestamp_type {
                TimestampType::LogAppendTime => survey.max_timestamp,
                TimestampType::CreateTime => Timestamp::NONE,
            },
            log_start_offset: self.log_start_offset(),
            is_duplicate: false,
            size_bytes: room.size,
            has_rolled,
        }
    }

    fn check_healthy(&self) -> Result<(), AppendError> {
        if !self.is_failed {
            return Ok(());
        }
        Err(AppendError::Failed(anyhow::anyhow!(
            "append to {}: an earlier write failed",
            self.directory.display()
        )))
    }

    /// Answers for a batch that stands in the log already.
    fn check_producers(&self, batches: &[u8], origin: Origin) -> Result<Option<Appended>, ApiError> {
        if origin == Origin::RaftLeader {
            return Ok(None);
        }
        for batch in whole_batches(batches) {
            let summary = BatchSummary::of(batch).map_err(|error| not_a_batch(&error))?;
            match self.check_producer(&summary, origin)? {
                Verdict::Append => {}
                Verdict::Duplicate { first_offset, last_offset, timestamp } => {
                    return Ok(Some(Appended {
                        first_offset,
                        last_offset,
                        log_append_time: timestamp,
                        log_start_offset: self.log_start_offset(),
                        is_duplicate: true,
                        size_bytes: 0,
                        has_rolled: false,
                    }));
                }
            }
        }
        Ok(None)
    }

    fn check_producer(&self, batch: &BatchSummary, origin: Origin) -> Result<Verdict, ApiError> {
        let verdict = self.producers.check(batch, origin);
        if let Origin::Client(verification) = origin
            && self.verifications.concern(batch)
            && !matches!(verdict, Ok(Verdict::Duplicate { .. }))
        {
            // A missing transaction is told before a gap in the sequence.
            let producer = self.producers.entry(batch.producer_id);
            self.verifications.check(batch, producer, verification)?;
        }
        verdict
    }

    /// Makes the active segment one that takes the batches; answers whether it rolled.
    fn make_room(&mut self, room: &Room, now: Timestamp) -> Result<bool, AppendError> {
        if room.size as u64 > u64::from(self.config.segment_bytes) {
            let message =
                format!("{} bytes do not fit a segment of {} bytes", room.size, self.config.segment_bytes);
            return Err(ApiError::new(ErrorCode::RecordListTooLarge, message).into());
        }
        if room.next_offset - room.first_offset > i64::from(i32::MAX) {
            return Err(
                ApiError::new(ErrorCode::InvalidRecord, "more offsets than a segment can number").into()
            );
        }
        let Some(active) = &self.active else {
            self.create_files(now)?;
            return Ok(false);
        };
        let must_roll =
            self.should_roll(active, room, now).map_err(|error| AppendError::Failed(error.into()))?;
        if must_roll { self.roll(room.first_offset, now) } else { Ok(false) }
    }

    fn should_roll(&self, active: &ActiveSegment, room: &Room, now: Timestamp) -> Result<bool, SegmentError> {
        let waited_ms = match active.first_timestamp {
            Some(first) if first.0 >= 0 => room.max_timestamp.since(first),
            Some(_) | None => now.since(active.created),
        };
        let base_offset = active.segment.base_offset();
        let jitter_ms = segment_jitter_ms(&self.directory, base_offset, &self.config);
        let index_bytes = self.config.segment_index_bytes as usize;
        let are_indexes_full = active.segment.with_indexes(|indexes| {
            indexes.offsets.entry_count() >= index_bytes / offset_index::ENTRY_SIZE
                || indexes.times.entry_count() + 1 >= index_bytes / time_index::ENTRY_SIZE
        })?;
        Ok(active.size_bytes + room.size as u64 > u64::from(self.config.segment_bytes)
            || (active.size_bytes > 0 && waited_ms > self.config.most_segment_ms() - jitter_ms)
            || (active.size_bytes > 0 && are_indexes_full)
            || room.next_offset - base_offset > i64::from(i32::MAX))
    }

    /// Seals the active segment and begins a new one at `base_offset`. A segment without bytes is only replaced when its
    /// base must move. Answers whether a segment was sealed.
    pub(super) fn roll(&mut self, base_offset: Offset, now: Timestamp) -> Result<bool, AppendError> {
        let Some(active) = &self.active else { return Ok(false) };
        if active.size_bytes == 0 && active.segment.base_offset() == base_offset {
            return Ok(false);
        }
        let fresh = self.new_segment(base_offset).map_err(|error| self.not_created(error))?;
        let mut segments = Vec::clone(&self.view.segments());
        if active.size_bytes == 0 {
            segments.pop();
            // Nothing is lost with it, and nothing but its name can be read from it.
            active
                .segment
                .rename_to_deleted()
                .and_then(|paths| paths.iter().try_for_each(|path| fs::remove(path)))
                .ok();
        } else {
            self.complete_sealed(active, base_offset);
        }
        segments.push(fresh.clone());
        self.active = Some(ActiveSegment {
            segment: fresh,
            size_bytes: 0,
            reserved_to_bytes: 0,
            first_timestamp: None,
            created: now,
        });
        self.has_new_names = true;
        self.is_changed = true;
        self.view.publish_segments(segments, self.log_end_offset());
        Ok(true)
    }

    /// A full disk does not stop a roll: the next flush seals the segment, and the recovery point does not pass it before.
    fn complete_sealed(&self, active: &ActiveSegment, next_base_offset: Offset) {
        let give_back = || -> io::Result<()> {
            if active.reserved_to_bytes > active.size_bytes {
                active.segment.file()?.truncate(active.size_bytes)?;
            }
            Ok(())
        };
        let done = give_back()
            .context("give back reserved blocks")
            .and_then(|()| active.segment.seal())
            .and_then(|()| self.write_producer_snapshot(next_base_offset));
        if let Err(error) = done {
            warn!(segment = %active.segment.path().display(), "a sealed segment is incomplete beside its log: {error:#}");
        }
    }

    pub(super) fn new_segment(&self, base_offset: Offset) -> io::Result<Arc<Segment>> {
        Segment::create(
            self.directory.clone(),
            base_offset,
            u64::from(self.config.index_interval_bytes),
            self.files.clone(),
        )
    }

    /// A file that could not be made leaves the log as it was.
    pub(super) fn not_created(&self, error: io::Error) -> AppendError {
        let is_exhaustion = fs::is_exhaustion(&error);
        let error =
            anyhow::Error::new(error).context(format!("create segment in {}", self.directory.display()));
        if is_exhaustion { AppendError::NoSpace(error) } else { AppendError::Failed(error) }
    }

    /// Writes batches that are numbered, and takes note of them everywhere.
    fn write(&mut self, batches: &[u8], next_offset: Offset, now: Timestamp) -> Result<(), AppendError> {
        let active = self.active.as_mut().expect("make_room leaves an active segment");
        // A segment opened from disk may have dropped its indexes; from here on they live on the heap.
        active.segment.begin_writing().map_err(|error| AppendError::Failed(error.into()))?;
        let position = active.size_bytes;
        let file = match active.segment.file() {
            Ok(file) => file,
            Err(error) => return Err(self.not_created(error)),
        };
        reserve_ahead(active, &file, position + batches.len() as u64, u64::from(self.config.segment_bytes));
        if let Err(error) = file.write_all_at(batches, position) {
            return Err(self.write_failed(&file, position, error));
        }
        self.is_changed = true;
        active.size_bytes += batches.len() as u64;
        let mut batch_position = position;
        let mut epochs_changed = false;
        for batch in whole_batches(batches) {
            let header = BatchHeader::of(&batch, batch_position).expect("surveyed before it was written");
            batch_position = header.span.end_position();
            active.first_timestamp.get_or_insert(header.max_timestamp);
            active.segment.note(&header);
            self.view.note(&header.span);
            epochs_changed |= self.epochs.assign(header.leader_epoch, header.span.base_offset);
            let summary = BatchSummary::of(batch).expect("surveyed before it was written");
            if let Some(aborted) = producers::take_in(&mut self.producers, &summary) {
                active.segment.note_aborted(aborted);
            }
            self.verifications.appended(&summary);
        }
        active.segment.set_size_bytes(active.size_bytes);
        self.view.publish_end(next_offset, active.size_bytes, now);
        if epochs_changed {
            self.save_epochs_or_warn();
        }
        Ok(())
    }

    fn write_failed(&mut self, file: &fs::File, position: u64, error: io::Error) -> AppendError {
        let is_out_of_space = fs::is_out_of_space(&error);
        let error = anyhow::Error::new(error).context(format!("append to {}", self.directory.display()));
        // Only where the disk says that it was full is it known that nothing else went wrong.
        match (is_out_of_space, file.truncate(position)) {
            (true, Ok(())) => AppendError::NoSpace(error),
            (true, Err(_)) | (false, _) => AppendError::Failed(self.fail_with(error)),
        }
    }

    fn save_epochs_or_warn(&self) {
        if let Err(error) = self.save_epochs() {
            warn!(log = %self.directory.display(), "the epochs will be derived from the batches: {error:#}");
        }
    }

    /// Removes the snapshot that belonged to a segment.
    pub(super) fn remove_snapshot(&self, at: Offset) -> io::Result<()> {
        fs::remove(&self.directory.join(file_name(at, SNAPSHOT_SUFFIX)))
    }
}

/// Looks at whole batches in a buffer without changing anything.
fn survey(batches: &[u8]) -> Result<Survey, ApiError> {
    let mut survey: Option<Survey> = None;
    let mut rest = batches;
    while !rest.is_empty() {
        let (batch, after) = Batch::split_first(rest).map_err(|error| not_a_batch(&error))?;
        let header = BatchHeader::of(&batch, 0).map_err(|defect| not_a_batch(&defect.reason))?;
        if batch.is_control() {
            BatchSummary::of(batch).map_err(|error| not_a_batch(&error))?;
        }
        let offset_count = header.span.next_offset - header.span.base_offset;
        match &mut survey {
            None => {
                survey = Some(Survey {
                    is_ordered: true,
                    offset_count,
                    first_base_offset: header.span.base_offset,
                    next_offset: header.span.next_offset,
                    max_timestamp: header.max_timestamp,
                    timestamp_type: batch.timestamp_type(),
                });
            }
            Some(survey) => {
                survey.is_ordered &= survey.next_offset <= header.span.base_offset;
                survey.offset_count = survey.offset_count.saturating_add(offset_count);
                survey.next_offset = survey.next_offset.max(header.span.next_offset);
                survey.max_timestamp = survey.max_timestamp.max(header.max_timestamp);
            }
        }
        rest = after;
    }
    survey.ok_or_else(|| ApiError::new(ErrorCode::InvalidRequest, "no record batch"))
}

fn not_a_batch(reason: &impl Debug) -> ApiError {
    ApiError::new(ErrorCode::CorruptMessage, format!("not a record batch: {reason:?}"))
}

/// The batches of a buffer that was surveyed.
fn whole_batches(bytes: &[u8]) -> impl Iterator<Item = Batch<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (batch, after) = Batch::split_first(rest).ok()?;
        rest = after;
        Some(batch)
    })
}

/// Gives batches their offsets and epoch.
fn number(batches: &mut [u8], first_offset: Offset, epoch: LeaderEpoch) {
    let mut next_offset = first_offset;
    let mut rest = batches;
    while !rest.is_empty() {
        let (mut batch, after) = BatchMut::split_first(rest).expect("surveyed before it is numbered");
        batch.set_base_offset(next_offset);
        batch.set_leader_epoch(epoch);
        next_offset = batch.as_batch().next_offset();
        rest = after;
    }
}

/// Reserves blocks ahead of a file that grows: as much as it holds, within limits, so that no file takes more than twice
/// its size. A file system that cannot, or is full, is none of an append's business: the write will tell.
fn reserve_ahead(active: &mut ActiveSegment, file: &fs::File, end: u64, segment_bytes: u64) {
    if end <= RESERVE_FROM_BYTES || end <= active.reserved_to_bytes {
        return;
    }
    let step_bytes = end.clamp(RESERVE_FROM_BYTES, LARGEST_RESERVE_BYTES);
    let reserve_to_bytes = (end + step_bytes).min(segment_bytes.max(end));
    let from = active.size_bytes.max(active.reserved_to_bytes);
    active.reserved_to_bytes = reserve_to_bytes;
    if let Err(error) = file.allocate_keep_size(from, reserve_to_bytes - from) {
        warn!(segment = %active.segment.path().display(), "no blocks are reserved ahead: {error}");
    }
}

/// Spreads rolls by time of partitions that began together. Kafka draws a number per segment
/// (`LogConfig.randomSegmentJitter`); a hash of its name serves as well and needs no source of randomness.
pub(super) fn segment_jitter_ms(
    directory: &std::path::Path,
    base_offset: Offset,
    config: &crate::config::topic::TopicConfig,
) -> i64 {
    let bound_ms = config.segment_jitter_ms.min(config.segment_ms);
    if bound_ms <= 0 {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    (directory, base_offset).hash(&mut hasher);
    (hasher.finish() % bound_ms as u64) as i64
}
