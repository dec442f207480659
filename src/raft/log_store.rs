//! openraft's log storage over [`MetadataLog`]. What was asked for last is held in memory and counts as done
//! for reading; one raft-io thread makes it durable in the order in which it was asked for, and only then
//! says so. So a slow disk never blocks the control runtime.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::Context;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::log::read::LogView;
use crate::protocol::ids::Offset;
use crate::raft::metadata_log::{MetadataLog, Recovered, read_entries};
use crate::raft::types::{Entry, LogId, TypeConfig, Vote};

/// Entries that stay decoded in memory, at most; more only while they are not on disk.
const MAX_RECENT_ENTRY_COUNT: usize = 1024;
/// Records of these entries, at most.
const MAX_RECENT_RECORD_COUNT: usize = 1_000;
/// Requests that wait for the raft-io thread; whoever sends one more waits.
const MAX_WAITING_REQUEST_COUNT: usize = 64;

/// What the raft-io thread does, in order.
enum Request {
    Append { entries: Vec<Entry>, flushed: IOFlushed<TypeConfig> },
    Vote { vote: Vote, done: oneshot::Sender<io::Result<()>> },
    Truncate { to: Offset, done: oneshot::Sender<io::Result<()>> },
    Purge { up_to: LogId, done: oneshot::Sender<io::Result<()>> },
    Close { done: oneshot::Sender<io::Result<()>> },
}

/// The newest entries, decoded.
#[derive(Default)]
struct Recent {
    entries: VecDeque<Entry>,
    record_count: usize,
    /// Index of the first entry that the log holds, or will hold.
    first_index: Option<u64>,
    last: Option<LogId>,
    purged: Option<LogId>,
    vote: Option<Vote>,
}

/// Clones share the log.
#[derive(Clone)]
pub struct LogStore {
    recent: Arc<Mutex<Recent>>,
    /// Index after the last entry that is on disk.
    flushed_to: Arc<AtomicU64>,
    view: Arc<LogView>,
    /// What the start knew to be committed.
    committed: Option<LogId>,
    requests: mpsc::Sender<Request>,
}

impl LogStore {
    /// Starts the raft-io thread.
    pub fn start(log: MetadataLog, recovered: Recovered) -> anyhow::Result<(LogStore, JoinHandle<()>)> {
        let (requests, waiting) = mpsc::channel(MAX_WAITING_REQUEST_COUNT);
        let flushed_to = Arc::new(AtomicU64::new(recovered.last.map_or(0, |last| last.index + 1)));
        let recent = Recent {
            first_index: recovered.last.map(|_| recovered.view.log_start_offset().0 as u64),
            last: recovered.last,
            purged: recovered.state.purged,
            vote: recovered.state.vote,
            ..Recent::default()
        };
        let writer = Writer { log, waiting, flushed_to: flushed_to.clone() };
        let thread = std::thread::Builder::new()
            .name("raft-io".to_owned())
            .spawn(move || writer.run())
            .context("start the raft-io thread")?;
        let Recovered { view, committed, .. } = recovered;
        let store = LogStore { recent: Arc::new(Mutex::new(recent)), flushed_to, view, committed, requests };
        Ok((store, thread))
    }

    /// Ends the raft-io thread, with the files complete.
    pub async fn close(&self) -> io::Result<()> {
        self.ask(|done| Request::Close { done }).await
    }

    async fn send(&self, request: Request) -> io::Result<()> {
        self.requests.send(request).await.map_err(|_| ended())
    }

    async fn ask(&self, request: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Request) -> io::Result<()> {
        let (done, is_done) = oneshot::channel();
        self.send(request(done)).await?;
        is_done.await.map_err(|_| ended())?
    }

    /// Entries from `start` to `end` (exclusive), or as many of them as one read brings.
    fn some_entries(&self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let (first_recent, start, end) = {
            let recent = self.recent.lock();
            let start = start.max(recent.first_index.unwrap_or(u64::MAX));
            let end = end.min(recent.last.map_or(0, |last| last.index + 1));
            let first_recent = recent.entries.front().map_or(u64::MAX, RaftEntry::index);
            if start >= end {
                return Ok(Vec::new());
            }
            if start >= first_recent {
                let place = |index| recent.entries.partition_point(|entry| entry.index() < index);
                let entries = recent.entries.range(place(start)..place(end));
                return Ok(entries.cloned().collect());
            }
            (first_recent, start, end)
        };
        let to = Offset(end.min(first_recent) as i64);
        read_entries(&self.view, Offset(start as i64), to).map_err(io::Error::other)
    }
}

fn ended() -> io::Error {
    io::Error::other("the raft-io thread has ended")
}

impl Recent {
    fn push(&mut self, entry: Entry) {
        self.last = Some(entry.log_id());
        self.first_index.get_or_insert(entry.index());
        self.record_count += record_count(&entry);
        self.entries.push_back(entry);
    }

    /// Forgets old entries that can be read from disk.
    fn forget(&mut self, flushed_to: u64) {
        while self.entries.len() > MAX_RECENT_ENTRY_COUNT || self.record_count > MAX_RECENT_RECORD_COUNT {
            match self.entries.front() {
                Some(entry) if entry.index() < flushed_to => {
                    self.record_count -= record_count(entry);
                    self.entries.pop_front();
                }
                Some(_) | None => return,
            }
        }
    }

    fn truncate(&mut self, last: Option<LogId>) {
        let next_index = last.map_or(0, |last| last.index + 1);
        if self.last.is_none_or(|present| present.index < next_index) {
            return;
        }
        while self.entries.back().is_some_and(|entry| entry.index() >= next_index) {
            self.record_count -= self.entries.pop_back().as_ref().map_or(0, record_count);
        }
        if self.first_index.is_some_and(|first_index| first_index >= next_index) {
            self.first_index = None;
        }
        self.last = last;
    }

    fn purge(&mut self, up_to: LogId) {
        while self.entries.front().is_some_and(|entry| entry.index() <= up_to.index) {
            self.record_count -= self.entries.pop_front().as_ref().map_or(0, record_count);
        }
        self.purged = Some(up_to);
        self.first_index = Some(up_to.index + 1);
        self.last = self.last.max(Some(up_to));
    }
}

fn record_count(entry: &Entry) -> usize {
    match &entry.payload {
        openraft::EntryPayload::Normal(records) => records.0.len(),
        openraft::EntryPayload::Blank | openraft::EntryPayload::Membership(_) => 1,
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let mut start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let mut entries = Vec::new();
        while start < end {
            let some = self.some_entries(start, end)?;
            let Some(last) = some.last() else { break };
            start = last.index() + 1;
            entries.extend(some);
        }
        Ok(entries)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.some_entries(start, end)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.recent.lock().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let recent = self.recent.lock();
        Ok(LogState { last_purged_log_id: recent.purged, last_log_id: recent.last })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let vote = *vote;
        self.recent.lock().vote = Some(vote);
        self.ask(|done| Request::Vote { vote, done }).await
    }

    /// Asked at the start only. The position is not saved with each commit: openraft would wait for it.
    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        {
            let mut recent = self.recent.lock();
            entries.iter().for_each(|entry| recent.push(entry.clone()));
            recent.forget(self.flushed_to.load(Ordering::Acquire));
        }
        self.send(Request::Append { entries, flushed: callback }).await
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let next_index = last_log_id.map_or(0, |last| last.index + 1);
        {
            let mut recent = self.recent.lock();
            let last = last_log_id.max(recent.purged);
            recent.truncate(last);
        }
        self.ask(|done| Request::Truncate { to: Offset(next_index as i64), done }).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        self.recent.lock().purge(log_id);
        self.ask(|done| Request::Purge { up_to: log_id, done }).await
    }
}

/// The raft-io thread.
struct Writer {
    log: MetadataLog,
    waiting: mpsc::Receiver<Request>,
    flushed_to: Arc<AtomicU64>,
}

impl Writer {
    fn run(mut self) {
        while let Some(request) = self.waiting.blocking_recv() {
            match request {
                Request::Append { entries, flushed } => self.append(entries, flushed),
                Request::Vote { vote, done } => answer(done, self.log.save_vote(vote)),
                Request::Truncate { to, done } => {
                    self.flushed_to.fetch_min(to.0 as u64, Ordering::AcqRel);
                    answer(done, self.log.truncate(to));
                }
                Request::Purge { up_to, done } => answer(done, self.log.purge(up_to)),
                Request::Close { done } => {
                    answer(done, self.log.close());
                    return;
                }
            }
        }
    }

    fn append(&mut self, entries: Vec<Entry>, flushed: IOFlushed<TypeConfig>) {
        let result = self.log.append(&entries).and_then(|()| self.log.flush());
        if result.is_ok()
            && let Some(last) = entries.last()
        {
            self.flushed_to.store(last.index() + 1, Ordering::Release);
        }
        flushed.io_completed(result.map_err(io::Error::other));
    }
}

fn answer(done: oneshot::Sender<io::Result<()>>, result: anyhow::Result<()>) {
    // Whoever asked may be gone: a node that shuts down waits for nothing.
    let _ = done.send(result.map_err(io::Error::other));
}
