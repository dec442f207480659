//! The directory `__cluster_metadata-0`: raft's log on our own log engine, and the `quorum-state` beside it.
//! Blocking; after the start only the raft-io thread writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail, ensure};
use openraft::entry::RaftEntry;

use crate::config::topic::TopicConfig;
use crate::env::clock::Clock;
use crate::env::fs;
use crate::log::append::AppendError;
use crate::log::files::FileCache;
use crate::log::log::{Log, OpenOptions};
use crate::log::read::{LogView, ReadLimits};
use crate::log::recovery::OpenError;
use crate::protocol::batch::Batch;
use crate::protocol::ids::{Offset, TopicId, Uuid};
use crate::raft::entry_codec;
use crate::raft::quorum_state::QuorumState;
use crate::raft::types::{Entry, LogId, Vote};

/// Bytes that one read of entries brings at most, apart from an entry that is larger.
pub const MAX_READ_SIZE_BYTES: usize = 1024 * 1024;

pub struct MetadataLog {
    log: Log,
    directory: PathBuf,
    state: QuorumState,
    clock: Clock,
}

/// What a restart finds.
pub struct Recovered {
    pub state: QuorumState,
    /// The last entry; the purged one when there is none behind it.
    pub last: Option<LogId>,
    pub view: Arc<LogView>,
}

impl MetadataLog {
    pub fn open(
        directory: &Path,
        segment_size_bytes: u32,
        clock: Clock,
    ) -> anyhow::Result<(MetadataLog, Recovered)> {
        fs::create_directories(directory).with_context(|| format!("create {}", directory.display()))?;
        let saved = QuorumState::load(directory)?;
        let has_state = saved.is_some();
        let state = saved.unwrap_or_default();
        let log_start_offset = first_offset(&state);
        let mut log = open_log(directory, segment_size_bytes, log_start_offset, &clock)?;
        if log.log_end_offset() < log_start_offset {
            // The crash came between remembering that a snapshot took the log's place and emptying the log.
            log.truncate_fully_and_start_at(log_start_offset, clock.now())
                .context("empty the metadata log")?;
        }
        ensure!(
            log.log_start_offset() <= log_start_offset,
            "{} begins at offset {}, and no snapshot holds what comes before",
            directory.display(),
            log.log_start_offset()
        );
        let view = log.view();
        let last = last_entry(&view).with_context(|| format!("read the end of {}", directory.display()))?;
        if !has_state && last.is_some_and(|last| last.leader_id.term > 0) {
            bail!(
                "{} has a log of term {:?} and no quorum-state",
                directory.display(),
                last.map(|last| last.leader_id.term)
            );
        }
        let recovered = Recovered { last: last.or(state.purged), state: state.clone(), view };
        Ok((MetadataLog { log, directory: directory.to_owned(), state, clock }, recovered))
    }

    /// Writes entries to the page cache.
    pub fn append(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        let now = self.clock.now();
        for entry in entries {
            let batch = entry_codec::encode(entry, now);
            self.log.append_as_follower(&batch, now).map_err(|error| match error {
                AppendError::Refused(refusal) => anyhow!("append entry {}: {refusal}", entry.index()),
                AppendError::NoSpace(error) | AppendError::Failed(error) => {
                    error.context(format!("append entry {}", entry.index()))
                }
            })?;
        }
        Ok(())
    }

    /// Everything appended so far is on disk when it returns.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        let ticket = self.log.unflushed();
        ticket.flush().context("flush the metadata log")?;
        self.log.mark_flushed(&ticket);
        Ok(())
    }

    pub fn save_vote(&mut self, vote: Vote) -> anyhow::Result<()> {
        self.state.vote = Some(vote);
        self.state.save(&self.directory)
    }

    /// Takes away the entries from `to` on, which a leader has replaced.
    pub fn truncate(&mut self, to: Offset) -> anyhow::Result<()> {
        self.log.truncate_to(to, self.clock.now())?;
        self.flush()
    }

    /// Takes away the entries up to `purged`, which a snapshot holds. Whole segments go; the position is kept first,
    /// so that a crash in between leaves entries that are not looked at.
    pub fn purge(&mut self, purged: LogId) -> anyhow::Result<()> {
        self.state.purged = Some(purged);
        self.state.save(&self.directory)?;
        let log_start_offset = first_offset(&self.state);
        let now = self.clock.now();
        if self.log.log_end_offset() < log_start_offset {
            return self.log.truncate_fully_and_start_at(log_start_offset, now);
        }
        self.log.set_log_start_offset(log_start_offset)?;
        for segment in self.log.apply_retention(log_start_offset, now)? {
            segment.remove_files()?;
        }
        Ok(())
    }

    /// Completes the files, so that the next start need not repair anything.
    pub fn close(self) -> anyhow::Result<()> {
        let closed = self.log.close().context("close the metadata log")?;
        closed.unflushed.flush().context("flush the metadata log")
    }
}

/// Entries from `from` up to `to` (exclusive), as many as one read brings; at least one.
pub fn read_entries(view: &LogView, from: Offset, to: Offset) -> anyhow::Result<Vec<Entry>> {
    let limits = ReadLimits { max_size_bytes: MAX_READ_SIZE_BYTES, up_to: to, at_least_one: true };
    let bytes =
        view.read_bytes(from, limits).map_err(|error| anyhow!("read entries from {from}: {error:?}"))?;
    let mut entries = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (batch, behind) =
            Batch::split_first(rest).map_err(|error| anyhow!("read entries from {from}: {error:?}"))?;
        ensure!(
            batch.crc_matches(),
            "read entries from {from}: the entry at {} is damaged",
            batch.base_offset()
        );
        let entry = entry_codec::decode(batch)?;
        let expected = from + entries.len() as i64;
        ensure!(
            batch.base_offset() == expected,
            "entry {expected} is missing: {} follows",
            batch.base_offset()
        );
        entries.push(entry);
        rest = behind;
    }
    ensure!(!entries.is_empty(), "entry {from} is missing");
    Ok(entries)
}

fn first_offset(state: &QuorumState) -> Offset {
    state.purged.map_or(Offset::ZERO, |purged| Offset(purged.index as i64 + 1))
}

fn last_entry(view: &LogView) -> anyhow::Result<Option<LogId>> {
    let end = view.log_end_offset();
    if end <= view.log_start_offset() {
        return Ok(None);
    }
    let last = read_entries(view, end + -1, end)?;
    Ok(last.last().map(RaftEntry::log_id))
}

fn open_log(
    directory: &Path,
    segment_size_bytes: u32,
    log_start_offset: Offset,
    clock: &Clock,
) -> anyhow::Result<Log> {
    let config = TopicConfig {
        segment_bytes: segment_size_bytes as _,
        // Snapshots decide what may go, never time or size.
        retention_ms: -1,
        retention_bytes: -1,
        max_message_bytes: i32::MAX as _,
        ..TopicConfig::default()
    };
    let options = OpenOptions {
        directory: directory.to_owned(),
        // `Topic.METADATA_TOPIC_ID`
        topic_id: TopicId(Uuid::from_u128(1)),
        config: Arc::new(config),
        log_start_offset,
        // The log is short, and looked through as a whole: what raft acknowledged must be whole.
        recovery_point: Offset::ZERO,
        clean_shutdown: false,
        producer_expiration_ms: i64::MAX,
        files: FileCache::new(8),
    };
    Log::open(options, clock.now()).map_err(|error| match error {
        OpenError::Corrupt { path, position, reason } => {
            anyhow!("metadata log {} is damaged at byte {position}: {reason}", path.display())
        }
        OpenError::Io(error) => error.context(format!("open {}", directory.display())),
    })
}
