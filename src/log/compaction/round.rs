//! One round over a log: maps the newest offset of each key in the dirty part, then cleans every segment from the start
//! as far as the map reaches, group by group.
//!
//! Reads and writes beside the log, holding none of its locks; each group is swapped in by the owner before the next one
//! is cleaned. Kafka: `Cleaner.doClean`, `Cleaner.buildOffsetMap`, `Cleaner.cleanSegments`.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::config::topic::TopicConfig;
use crate::env::fs;
use crate::log::compaction::dirt::{self, Dirt};
use crate::log::compaction::groups::{self, Extent, Limits};
use crate::log::compaction::offset_map::{MapLimits, OffsetMap};
use crate::log::compaction::retain::{self, LastRecord, Retained, Rules};
use crate::log::compaction::swap::{self, CleanedGroup, CleanedWriter};
use crate::log::compaction::transactions::Transactions;
use crate::log::log::Log;
use crate::log::producers;
use crate::log::read;
use crate::log::scan::BatchScan;
use crate::log::segment::{OFFSET_INDEX_SUFFIX, Segment, SegmentError, TIME_INDEX_SUFFIX};
use crate::protocol::batch::Batch;
use crate::protocol::ids::{Offset, ProducerId, Timestamp};
use crate::protocol::records::RecordIter;

/// What a round needs of its log, taken under the append mutex.
pub struct Source {
    directory: Arc<Path>,
    config: Arc<TopicConfig>,
    segments: Arc<Vec<Arc<Segment>>>,
    producers: HashMap<ProducerId, LastRecord>,
}

impl Log {
    /// What a round works on.
    pub fn compaction_source(&self) -> Source {
        let last_record = |entry: &crate::log::producer_state::ProducerEntry| {
            entry
                .last_batch()
                .map_or(LastRecord::Marker(entry.epoch), |batch| LastRecord::Data(batch.last_offset))
        };
        Source {
            directory: self.directory.clone(),
            config: self.config.clone(),
            segments: self.view.segments(),
            producers: self
                .producers
                .entries()
                .map(|entry| (entry.producer_id, last_record(entry)))
                .collect(),
        }
    }
}

/// How a round is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub map: MapLimits,
    /// Secrets of the key map.
    pub seeds: [u128; 2],
    pub now: Timestamp,
}

/// Hears of every piece of so many bytes that was read or written: may wait, to throttle, and says when to stop.
pub type Pace<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// Why a round ends early. The log is whole in every case.
#[derive(Debug)]
pub enum CompactionError {
    /// The pace said so, or the log lost the segments at hand.
    Stopped,
    /// A batch cannot be read: this log cannot be cleaned.
    Corrupt(anyhow::Error),
    /// The disk said no.
    Failed(anyhow::Error),
}

impl From<SegmentError> for CompactionError {
    fn from(error: SegmentError) -> CompactionError {
        match error {
            SegmentError::Removed => CompactionError::Stopped,
            SegmentError::Corrupt { .. } => CompactionError::Corrupt(error.into()),
            SegmentError::Failed(error) => CompactionError::Failed(error),
        }
    }
}

/// What a round has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Both passes over the log together.
    pub read_bytes: u64,
    pub written_bytes: u64,
}

/// A round under way.
pub struct Round<'a> {
    source: Source,
    dirt: Dirt,
    options: Options,
    pace: &'a mut Pace<'a>,
    keys: OffsetMap,
    transactions: Transactions,
    groups: VecDeque<Vec<Arc<Segment>>>,
    stats: Stats,
}

impl<'a> Round<'a> {
    /// Reads the dirty part. `dirt` was found no earlier than the log lost segments last.
    pub fn begin(
        source: Source,
        dirt: Dirt,
        options: Options,
        pace: &'a mut Pace<'a>,
    ) -> Result<Round<'a>, CompactionError> {
        // No log has more keys than offsets.
        let most_keys = (dirt.first_uncleanable_offset - dirt.first_dirty_offset).max(0) as u64;
        let keys = OffsetMap::new(options.map, most_keys, options.seeds);
        let mut round = Round {
            source,
            dirt,
            options,
            pace,
            keys,
            transactions: Transactions::default(),
            groups: VecDeque::new(),
            stats: Stats::default(),
        };
        let begun = match round.map_keys() {
            Ok(()) => round.group_segments(),
            Err(error) => Err(error),
        };
        begun.map_err(|error| unless_removed(error, &round.source.segments))?;
        Ok(round)
    }

    /// Where the next round begins, once every group is swapped in.
    pub fn end_offset(&self) -> Offset {
        self.keys.latest_offset().map_or(self.dirt.first_dirty_offset, |latest| latest + 1)
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn map_keys(&mut self) -> Result<(), CompactionError> {
        let (from, end) = (self.dirt.first_dirty_offset, self.dirt.first_uncleanable_offset);
        let segments = self.source.segments.clone();
        let dirty: Vec<&Arc<Segment>> =
            dirt::from(&segments, from).iter().filter(|segment| segment.base_offset() < end).collect();
        let mut transactions = Transactions::default();
        transactions.expect(&read::aborted_in(dirt::from(&segments, from), from, end)?);
        for (index, segment) in dirty.iter().enumerate() {
            let segment_end = dirty.get(index + 1).map_or(end, |next| next.base_offset());
            if !self.map_segment(segment, &mut transactions)? {
                break;
            }
            // Offsets behind the last batch are used up, too.
            self.keys.seen_to(segment_end + -1);
        }
        Ok(())
    }

    /// False when the map is full.
    fn map_segment(
        &mut self,
        segment: &Arc<Segment>,
        transactions: &mut Transactions,
    ) -> Result<bool, CompactionError> {
        let from = self.dirt.first_dirty_offset;
        let size_bytes = segment.size_bytes();
        let Some(start) = segment.locate(from, size_bytes)? else { return Ok(true) };
        let file = segment.readable_file()?;
        let mut scan = BatchScan::new(&file, start.position, size_bytes);
        while let Some((header, batch)) = scan.next_batch().map_err(|error| segment.scan_failed(error))? {
            pace(self.pace, &mut self.stats.read_bytes, header.span.size_bytes)?;
            let summary = producers::summary_of(batch, header.span.position)
                .map_err(|error| segment.scan_failed(error))?;
            if summary.is_control {
                transactions.on_marker(&summary);
            } else if !transactions.is_aborted(&summary) && !map_batch(&mut self.keys, batch, from, segment)?
            {
                return Ok(false);
            }
            if summary.last_offset() >= from {
                self.keys.seen_to(summary.last_offset());
            }
        }
        Ok(true)
    }

    fn group_segments(&mut self) -> Result<(), CompactionError> {
        let end = self.end_offset();
        let cleaned: Vec<&Arc<Segment>> =
            self.source.segments.iter().filter(|segment| segment.base_offset() < end).collect();
        // A missing index file will be made anew, and be small.
        let file_size = |segment: &Segment, suffix| {
            fs::file_size_bytes(&segment.path_of(suffix)).map(Option::unwrap_or_default)
        };
        let extent = |segment: &&Arc<Segment>| -> std::io::Result<Extent> {
            Ok(Extent {
                base_offset: segment.base_offset(),
                size_bytes: segment.size_bytes(),
                offset_index_bytes: file_size(segment, OFFSET_INDEX_SUFFIX)?,
                time_index_bytes: file_size(segment, TIME_INDEX_SUFFIX)?,
            })
        };
        let extents: Vec<Extent> =
            cleaned.iter().map(extent).collect::<std::io::Result<_>>().map_err(|error| {
                CompactionError::Failed(anyhow::Error::new(error).context("stat an index"))
            })?;
        let limits = Limits {
            segment_bytes: u64::from(self.source.config.segment_bytes),
            index_bytes: u64::from(self.source.config.segment_index_bytes),
            end_offset: self.dirt.first_uncleanable_offset,
        };
        let of_range = |range: std::ops::Range<usize>| -> Vec<Arc<Segment>> {
            cleaned[range].iter().map(|segment| Arc::clone(segment)).collect()
        };
        self.groups = groups::group(&extents, limits).into_iter().map(of_range).collect();
        Ok(())
    }

    /// Cleans the next group of segments; the one before it has been swapped in. `None`: the round is over.
    pub fn next_group(&mut self) -> Result<Option<CleanedGroup>, CompactionError> {
        let Some(segments) = self.groups.pop_front() else { return Ok(None) };
        let base_offset = segments.first().expect("a group has a segment").base_offset();
        let cleaned = self.clean(&segments);
        if cleaned.is_err()
            && let Err(error) = swap::discard(&self.source.directory, base_offset)
        {
            tracing::warn!(log = %self.source.directory.display(), "{error:#}");
        }
        cleaned.map(Some).map_err(|error| unless_removed(error, &segments))
    }

    fn clean(&mut self, segments: &[Arc<Segment>]) -> Result<CleanedGroup, CompactionError> {
        let base_offset = segments[0].base_offset();
        // Files are made by their path, which may belong to another log when this one is closed.
        pace(self.pace, &mut self.stats.read_bytes, 0)?;
        let mut writer = CleanedWriter::create(
            self.source.directory.clone(),
            base_offset,
            u64::from(self.source.config.index_interval_bytes),
        )
        .map_err(CompactionError::Failed)?;
        let mut replaced = Vec::with_capacity(segments.len());
        let mut modified = Timestamp::NONE;
        for (index, segment) in segments.iter().enumerate() {
            let size_bytes = segment.size_bytes();
            let end = match segments.get(index + 1) {
                Some(next) => next.base_offset(),
                None => segment.with_indexes(|indexes| indexes.next_offset)?,
            };
            let onwards = dirt::from(&self.source.segments, segment.base_offset());
            self.transactions.expect(&read::aborted_in(onwards, segment.base_offset(), end)?);
            self.clean_into(&mut writer, segment, size_bytes)?;
            modified = segment.modified()?;
            replaced.push((segment.clone(), size_bytes));
        }
        pace(self.pace, &mut self.stats.written_bytes, 0)?;
        CleanedGroup::complete(writer, replaced, modified).map_err(CompactionError::Failed)
    }

    fn clean_into(
        &mut self,
        writer: &mut CleanedWriter,
        segment: &Arc<Segment>,
        size_bytes: u64,
    ) -> Result<(), CompactionError> {
        let rules = Rules {
            keys: &self.keys,
            producers: &self.source.producers,
            up_to: self.dirt.first_uncleanable_offset,
            now: self.options.now,
            delete_retention_ms: self.source.config.delete_retention_ms,
        };
        let file = segment.readable_file()?;
        let mut scan = BatchScan::new(&file, 0, size_bytes);
        while let Some((header, batch)) = scan.next_batch().map_err(|error| segment.scan_failed(error))? {
            pace(self.pace, &mut self.stats.read_bytes, header.span.size_bytes)?;
            let summary = producers::summary_of(batch, header.span.position)
                .map_err(|error| segment.scan_failed(error))?;
            let (retained, aborted) = retain::retain(batch, &summary, &mut self.transactions, &rules)
                .map_err(|error| unreadable(segment, batch, &error))?;
            if let Some(aborted) = aborted {
                writer.note_aborted(aborted);
            }
            let bytes = match &retained {
                Retained::Nothing => continue,
                Retained::AsItIs => batch.bytes(),
                Retained::Rewritten(bytes) => bytes,
            };
            writer.append(bytes).map_err(CompactionError::Failed)?;
            pace(self.pace, &mut self.stats.written_bytes, bytes.len() as u64)?;
        }
        Ok(())
    }
}

/// What goes wrong with segments that the log has lost meanwhile says nothing about the log.
fn unless_removed(error: CompactionError, segments: &[Arc<Segment>]) -> CompactionError {
    let is_removed = segments.iter().any(|segment| segment.is_removed());
    if is_removed { CompactionError::Stopped } else { error }
}

fn pace(pace: &mut Pace<'_>, counter: &mut u64, size_bytes: u64) -> Result<(), CompactionError> {
    *counter += size_bytes;
    match pace(size_bytes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(CompactionError::Stopped),
    }
}

/// False when the map is full.
fn map_batch(
    keys: &mut OffsetMap,
    batch: Batch<'_>,
    from: Offset,
    segment: &Segment,
) -> Result<bool, CompactionError> {
    let failed = |error| unreadable(segment, batch, &error);
    let records = retain::uncompressed_records(batch).map_err(failed)?;
    for record in RecordIter::new(&records, batch.record_count()) {
        let record = record.map_err(|error| failed(retain::RetainError::Records(error)))?;
        let offset = Offset(batch.base_offset().0.saturating_add(i64::from(record.offset_delta)));
        if let Some(key) = record.key
            && offset >= from
            && !keys.put(key, offset)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn unreadable(segment: &Segment, batch: Batch<'_>, error: &retain::RetainError) -> CompactionError {
    CompactionError::Corrupt(anyhow::anyhow!(
        "clean the batch at offset {} of {}: {error}",
        batch.base_offset(),
        segment.path().display()
    ))
}
