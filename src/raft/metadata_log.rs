//! The directory `__cluster_metadata-0`: raft's log on our own log engine, and the `quorum-state` beside it.
//! Blocking; after the start only the raft-io thread writes.
//!
//! A new quorum is founded with its first entries first and the quorum-state behind them. As long as there is no
//! quorum-state nobody has been told anything, and the next start founds the quorum anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use anyhow::{Context, anyhow, ensure};
use openraft::entry::RaftEntry;
use openraft::{BasicNode, EntryPayload};

use crate::config::topic::TopicConfig;
use crate::env::clock::Clock;
use crate::env::fs;
use crate::log::append::AppendError;
use crate::log::files::FileCache;
use crate::log::log::{Log, OpenOptions};
use crate::log::read::{LogView, ReadLimits};
use crate::log::recovery::OpenError;
use crate::protocol::batch::Batch;
use crate::protocol::ids::{BrokerId, Offset, Timestamp, TopicId, Uuid};
use crate::raft::entry_codec;
use crate::raft::quorum_state::QuorumState;
use crate::raft::types::{Entry, LeaderId, LogId, Membership, Vote, log_id};

/// Bytes that one read of entries brings at most, apart from an entry that is larger.
pub const MAX_READ_SIZE_BYTES: usize = 1024 * 1024;
/// The term that a quorum is founded in.
const FIRST_TERM: u64 = 1;
/// The membership, and the blank entry that begins the first term.
const FOUNDING_ENTRY_COUNT: i64 = 2;

pub struct MetadataLog {
    log: Log,
    directory: PathBuf,
    state: QuorumState,
    clock: Clock,
}

/// What a start finds.
pub struct Recovered {
    pub state: QuorumState,
    /// The last entry; the purged one when there is none behind it.
    pub last: Option<LogId>,
    /// Everything up to here is known to be committed.
    pub committed: Option<LogId>,
    pub view: Arc<LogView>,
}

impl Recovered {
    /// There is nothing, so that a quorum may be founded.
    pub fn is_new(&self) -> bool {
        self.state.vote.is_none() && self.last.is_none()
    }
}

impl MetadataLog {
    pub fn open(
        directory: &Path,
        segment_size_bytes: u32,
        clock: Clock,
    ) -> anyhow::Result<(MetadataLog, Recovered)> {
        fs::create_directories(directory).with_context(|| format!("create {}", directory.display()))?;
        let saved = QuorumState::load(directory)?;
        let is_founded = saved.is_some();
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
        if !is_founded {
            take_back_founding(&mut log, clock.now())?;
        }
        let view = log.view();
        let last = last_entry(&view).with_context(|| format!("read the end of {}", directory.display()))?;
        let recovered =
            Recovered { last: last.or(state.purged), state: state.clone(), committed: None, view };
        Ok((MetadataLog { log, directory: directory.to_owned(), state, clock }, recovered))
    }

    /// Founds a quorum of this node alone, as if it had initialized it, won the first election and begun its term.
    pub fn found(&mut self, node: BrokerId) -> anyhow::Result<Recovered> {
        let nodes = BTreeMap::from([(node, BasicNode::default())]);
        let members = Membership::new(vec![BTreeSet::from([node])], nodes).context("make the membership")?;
        let last = log_id(FIRST_TERM, 1);
        let entries = [
            Entry::new(log_id(0, 0), EntryPayload::Membership(members)),
            Entry::new(last, EntryPayload::Blank),
        ];
        assert_eq!(entries.len() as i64, FOUNDING_ENTRY_COUNT);
        self.append(&entries)?;
        self.flush()?;
        let leader_id = LeaderId { term: FIRST_TERM, voted_for: node };
        self.save_vote(Vote { leader_id, committed: true })?;
        let (state, view) = (self.state.clone(), self.log.view());
        Ok(Recovered { state, last: Some(last), committed: Some(last), view })
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
    let mut entries = Vec::new();
    read_batches(view, from, to, |batch| {
        entries.push(entry_codec::decode(batch)?);
        Ok(())
    })?;
    Ok(entries)
}

/// The membership that the last entry of its kind from `from` on sets. Looks at every entry and decodes no other.
pub fn last_membership(view: &LogView, mut from: Offset) -> anyhow::Result<Option<Membership>> {
    let mut last = None;
    let end = view.log_end_offset();
    while from < end {
        from += read_batches(view, from, end, |batch| {
            last = entry_codec::membership(batch)?.or(last.take());
            Ok(())
        })?;
    }
    Ok(last)
}

/// Visits the batches from `from` up to `to` (exclusive), as many as one read brings; at least one. Answers how many.
fn read_batches(
    view: &LogView,
    from: Offset,
    to: Offset,
    mut visit: impl FnMut(Batch<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<i64> {
    let limits = ReadLimits { max_size_bytes: MAX_READ_SIZE_BYTES, up_to: to, at_least_one: true };
    let bytes =
        view.read_bytes(from, limits).map_err(|error| anyhow!("read entries from {from}: {error:?}"))?;
    let mut expected = from;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (batch, behind) =
            Batch::split_first(rest).map_err(|error| anyhow!("read entries from {from}: {error:?}"))?;
        ensure!(
            batch.crc_matches(),
            "read entries from {from}: the entry at {} is damaged",
            batch.base_offset()
        );
        ensure!(
            batch.base_offset() == expected,
            "entry {expected} is missing: {} follows",
            batch.base_offset()
        );
        visit(batch)?;
        expected += 1;
        rest = behind;
    }
    ensure!(expected > from, "entry {from} is missing");
    Ok(expected - from)
}

/// Empties a log that has no quorum-state beside it; one that is more than the rest of a founding is an error.
fn take_back_founding(log: &mut Log, now: Timestamp) -> anyhow::Result<()> {
    let end = log.log_end_offset();
    ensure!(
        end <= Offset(FOUNDING_ENTRY_COUNT),
        "{} has a log of {end} entries and no quorum-state",
        log.directory().display()
    );
    if end == Offset::ZERO {
        return Ok(());
    }
    log.truncate_fully_and_start_at(Offset::ZERO, now).context("take back an unfinished founding")
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
        producer_expiration_ms: Arc::new(AtomicI64::new(i64::MAX)),
        files: FileCache::new(8),
    };
    Log::open(options, clock.now()).map_err(|error| match error {
        OpenError::Corrupt { path, position, reason } => {
            anyhow!("metadata log {} is damaged at byte {position}: {reason}", path.display())
        }
        OpenError::Io(error) => error.context(format!("open {}", directory.display())),
    })
}
