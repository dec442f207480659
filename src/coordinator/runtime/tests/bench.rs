//! A log in memory, a register machine as shard, and a runtime over both that does what it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::coordinator::log::{AppendFailure, PartitionReader, PartitionWriter, WatermarkListener};
use crate::coordinator::runtime::{BatchOptions, Job, Options, Runtime, Settings, Submitted};
use crate::coordinator::shard::{Event, KeyValue, MalformedRecord, Now, Outcome, RequestId, Shard, Stored};
use crate::env::clock::Clock;
use crate::protocol::batch::{Batch, BatchMut, Compression};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, Uuid};
use crate::store::lazy::{Damaged, LazyView};
use crate::store::memory::MemoryView;
use crate::store::stamps::Stamp;
use crate::store::view::View;
use crate::store::{CoordinatorTopic, PartitionKey};

pub const PARTITION: PartitionIndex = PartitionIndex(0);
pub const OF: PartitionKey = PartitionKey { topic: CoordinatorTopic::ConsumerOffsets, partition: PARTITION };
pub const COMMIT_TIMEOUT_MS: i64 = 5_000;
pub const RETENTION_MS: i64 = 86_400_000;

pub fn stamp(next_offset: i64) -> Stamp {
    Stamp {
        topic_id: TopicId::ZERO,
        next_offset: Offset(next_offset),
        leader_epoch: LeaderEpoch(0),
        batch_crc: 0,
        batch_timestamp: Timestamp(0),
    }
}

/// What the register machine can be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Sets registers, `None` clears one. The answer is how many registers are set then.
    Set(Vec<(String, Option<String>)>),
    /// The value of a register, as newest.
    Get(String),
    /// Parks until [`Command::Release`]; then answers the count.
    Wait,
    /// Answers all that wait with what they waited for, and sets a register for each.
    Release,
    /// Sets a register, and once that is committed sets another and then answers.
    SetTwice(String),
    /// A deadline at that uptime, which sets the register `expired`.
    ExpireAt(i64),
    Fail,
    /// Internal: the second half of `SetTwice`.
    Second(String, RequestId),
    /// Internal: `SetTwice` was refused.
    Refused(String, RequestId, ErrorCode),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    Count(usize),
    Value(Option<String>),
    Refused(ErrorCode),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Soft {
    Waits(RequestId),
    Released,
    ExpireAt(Option<i64>),
}

pub type Record = (String, Option<String>);

/// Registers that are also in the view: both must agree at each decision.
#[derive(Default)]
pub struct Registers {
    pub values: BTreeMap<String, String>,
    pub waiting: BTreeSet<RequestId>,
    pub expire_at: Option<i64>,
    pub is_loaded: bool,
}

impl Registers {
    fn check_stored(&self, stored: &dyn Stored) -> Result<(), ApiError> {
        let mut seen = BTreeMap::new();
        stored.scan(b"r/", &mut |key, value| {
            seen.insert(text(&key[2..]), text(value));
            crate::coordinator::shard::Scan::Next
        })?;
        assert_eq!(seen, self.values, "what is stored is what was replayed");
        for (name, value) in &self.values {
            assert_eq!(stored.get(format!("r/{name}").as_bytes())?, Some(value.clone().into_bytes()));
        }
        Ok(())
    }

    fn count_with(&self, changes: &[Record]) -> Response {
        let mut values = self.values.clone();
        for (name, value) in changes {
            match value {
                Some(value) => values.insert(name.clone(), value.clone()),
                None => values.remove(name),
            };
        }
        Response::Count(values.len())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

impl Shard for Registers {
    type Command = Command;
    type Response = Response;
    type Record = Record;
    type Soft = Soft;

    fn encode((name, value): &Record) -> KeyValue {
        KeyValue { key: format!("r/{name}").into_bytes(), value: value.clone().map(String::into_bytes) }
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, MalformedRecord> {
        if key.starts_with(b"u/") {
            return Ok(None);
        }
        // Keys have an older version, as those of offsets do.
        let name = key.strip_prefix(b"r/").or(key.strip_prefix(b"old/"));
        let Some(name) = name else { return Err(MalformedRecord("no register".into())) };
        Ok(Some((text(name), value.map(text))))
    }

    fn decide(
        &self,
        command: Command,
        request: RequestId,
        _: Now,
        stored: &dyn Stored,
    ) -> Result<Outcome<Registers>, ApiError> {
        assert!(self.is_loaded);
        self.check_stored(stored)?;
        let mut outcome = Outcome::nothing();
        match command {
            Command::Set(changes) => {
                outcome.replies.push((request, self.count_with(&changes)));
                outcome.events = changes.into_iter().map(Event::Durable).collect();
            }
            Command::Get(name) => {
                outcome.replies.push((request, Response::Value(self.values.get(&name).cloned())));
            }
            Command::Wait => outcome.soft(Soft::Waits(request)),
            Command::Release => {
                let changes: Vec<Record> =
                    self.waiting.iter().map(|id| (format!("w{}", id.0), Some(String::new()))).collect();
                let count = self.count_with(&changes);
                outcome.replies = self.waiting.iter().map(|id| (*id, count.clone())).collect();
                outcome.replies.push((request, count));
                outcome.soft(Soft::Released);
                outcome.events.extend(changes.into_iter().map(Event::Durable));
            }
            Command::SetTwice(name) => {
                outcome.durable((name.clone(), Some("first".into())));
                outcome.on_committed = Some(Command::Second(name.clone(), request));
                outcome.on_failed = Some(Box::new(move |error| Command::Refused(name, request, error)));
            }
            Command::Second(name, first) => {
                let change = (name, Some("second".into()));
                outcome.replies.push((first, self.count_with(std::slice::from_ref(&change))));
                outcome.durable(change);
            }
            Command::Refused(name, first, error) => {
                assert!(!self.values.contains_key(&name), "a refused append has changed nothing");
                outcome.replies.push((first, Response::Refused(error)));
            }
            Command::ExpireAt(at) => {
                outcome.soft(Soft::ExpireAt(Some(at)));
                outcome.replies.push((request, self.count_with(&[])));
            }
            Command::Fail => return Err(ErrorCode::InvalidRequest.into()),
        }
        Ok(outcome)
    }

    fn expire(&self, now: Now, stored: &dyn Stored) -> Outcome<Registers> {
        self.check_stored(stored).unwrap();
        assert!(self.expire_at.is_some_and(|at| at <= now.uptime_ms));
        let mut outcome = Outcome::nothing();
        outcome.soft(Soft::ExpireAt(None));
        outcome.durable(("expired".into(), Some(now.uptime_ms.to_string())));
        outcome
    }

    fn replay(&mut self, event: &Event<Record, Soft>) {
        match event {
            Event::Durable((name, Some(value))) => drop(self.values.insert(name.clone(), value.clone())),
            Event::Durable((name, None)) => drop(self.values.remove(name)),
            Event::Soft(Soft::Waits(id)) => drop(self.waiting.insert(*id)),
            Event::Soft(Soft::Released) => self.waiting.clear(),
            Event::Soft(Soft::ExpireAt(at)) => self.expire_at = *at,
        }
    }

    fn next_deadline(&self) -> Option<i64> {
        self.expire_at
    }

    fn restore(&mut self, stored: &dyn Stored) -> Result<(), ApiError> {
        stored.scan(b"r/", &mut |key, value| {
            self.values.insert(text(&key[2..]), text(value));
            crate::coordinator::shard::Scan::Next
        })
    }

    fn loaded(&mut self, _: Now) {
        self.is_loaded = true;
    }
}

/// What the next append comes to.
#[derive(Clone, Debug)]
pub enum Fate {
    Appended,
    Refused(ErrorCode),
    /// The records are in the log all the same.
    Unknown,
}

#[derive(Default)]
struct LogState {
    batches: Vec<Vec<u8>>,
    start: i64,
    end: i64,
    high_watermark: i64,
    epoch: i32,
    fates: VecDeque<Fate>,
    listener: Option<Arc<dyn WatermarkListener>>,
    cannot_be_read: bool,
}

/// One partition's log.
pub struct MemoryLog {
    state: Mutex<LogState>,
    /// The high watermark follows each append at once, as with one replica.
    pub is_alone: bool,
    pub topic_id: Mutex<TopicId>,
}

impl MemoryLog {
    pub fn end(&self) -> i64 {
        self.state.lock().end
    }

    pub fn high_watermark(&self) -> i64 {
        self.state.lock().high_watermark
    }

    pub fn next_appends(&self, fates: impl IntoIterator<Item = Fate>) {
        self.state.lock().fates.extend(fates);
    }

    /// Followers have fetched up to `to`.
    pub fn commit(&self, to: i64) {
        let mut state = self.state.lock();
        state.high_watermark = state.high_watermark.max(to.min(state.end));
        let (listener, high_watermark) = (state.listener.clone(), state.high_watermark);
        drop(state);
        if let Some(listener) = listener {
            listener.watermark_moved(PARTITION, Offset(high_watermark));
        }
    }

    /// Whether every read fails, as for want of descriptors.
    pub fn set_unreadable(&self, cannot_be_read: bool) {
        self.state.lock().cannot_be_read = cannot_be_read;
    }

    pub fn close(&self) {
        let listener = self.state.lock().listener.take();
        if let Some(listener) = listener {
            listener.closed(PARTITION);
        }
    }

    /// A new term: what is not committed goes when `cut`, else it stays.
    pub fn change_leader(&self, cut: bool) -> LeaderEpoch {
        let mut state = self.state.lock();
        if cut {
            let high_watermark = state.high_watermark;
            state.batches.retain(|batch| view(batch).next_offset().0 <= high_watermark);
            state.end = high_watermark;
        }
        state.epoch += 1;
        state.listener = None;
        LeaderEpoch(state.epoch)
    }

    /// Whole batches as they are on disk.
    pub fn batches(&self) -> Vec<Vec<u8>> {
        self.state.lock().batches.clone()
    }

    pub fn set_batches(&self, batches: Vec<Vec<u8>>) {
        let mut state = self.state.lock();
        state.end = batches.last().map_or(0, |batch| view(batch).next_offset().0);
        state.high_watermark = state.end;
        state.batches = batches;
    }

    /// Removes batches as compaction does; the end stays.
    pub fn compact(&self, gone: impl Fn(Batch<'_>) -> bool) {
        self.state.lock().batches.retain(|batch| !gone(view(batch)));
    }

    /// Appends bytes as another broker would have.
    pub fn append_foreign(&self, mut batch: Vec<u8>) {
        let mut state = self.state.lock();
        let (end, epoch) = (Offset(state.end), LeaderEpoch(state.epoch));
        let (mut first, _) = BatchMut::split_first(&mut batch).unwrap();
        first.set_base_offset(end);
        first.set_leader_epoch(epoch);
        state.end = first.as_batch().next_offset().0;
        state.high_watermark = state.end;
        state.batches.push(batch);
    }

    /// Registers after the records below `to`.
    pub fn registers(&self, to: i64) -> BTreeMap<String, String> {
        let mut batches = self.batches();
        batches.retain(|batch| view(batch).next_offset().0 <= to);
        registers_of(&batches)
    }
}

/// Registers after all that stands in `batches`.
pub fn registers_of(batches: &[Vec<u8>]) -> BTreeMap<String, String> {
    let mut registers = Registers::default();
    for batch in batches {
        for record in crate::protocol::records::RecordIter::of(view(batch)) {
            let record = record.unwrap();
            if let Ok(Some(known)) = Registers::decode(record.key.unwrap(), record.value) {
                registers.replay(&Event::Durable(known));
            }
        }
    }
    registers.values
}

pub fn view(bytes: &[u8]) -> Batch<'_> {
    Batch::split_first(bytes).unwrap().0
}

impl PartitionWriter for MemoryLog {
    fn append(
        &self,
        _: PartitionIndex,
        epoch: LeaderEpoch,
        batch: &mut [u8],
    ) -> Result<Offset, AppendFailure> {
        let mut state = self.state.lock();
        if epoch.0 != state.epoch {
            return Err(AppendFailure::Refused(ErrorCode::NotLeaderOrFollower.into()));
        }
        let fate = state.fates.pop_front();
        if let Some(Fate::Refused(code)) = fate {
            return Err(AppendFailure::Refused(code.into()));
        }
        let (mut first, _) = BatchMut::split_first(batch).unwrap();
        first.set_base_offset(Offset(state.end));
        first.set_leader_epoch(epoch);
        assert!(first.as_batch().crc_matches());
        state.end = first.as_batch().next_offset().0;
        state.batches.push(batch.to_vec());
        if let Some(Fate::Unknown) = fate {
            return Err(AppendFailure::Unknown(ErrorCode::KafkaStorageError.into()));
        }
        let end = state.end;
        drop(state);
        if self.is_alone {
            self.commit(end);
        }
        Ok(Offset(end))
    }

    fn watch(&self, _: PartitionIndex, listener: Arc<dyn WatermarkListener>) -> Result<Offset, ApiError> {
        let mut state = self.state.lock();
        state.listener = Some(listener);
        Ok(Offset(state.high_watermark))
    }
}

impl PartitionReader for MemoryLog {
    fn topic_id(&self) -> anyhow::Result<TopicId> {
        Ok(*self.topic_id.lock())
    }

    fn bounds(&self, _: PartitionIndex) -> anyhow::Result<(Offset, Offset)> {
        let state = self.state.lock();
        Ok((Offset(state.start), Offset(state.end)))
    }

    fn read(&self, _: PartitionIndex, from: Offset, max_size_bytes: usize) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if self.state.lock().cannot_be_read {
            anyhow::bail!("as told");
        }
        for batch in self.state.lock().batches.iter().filter(|batch| view(batch).next_offset() > from) {
            if !bytes.is_empty() && bytes.len() + batch.len() > max_size_bytes {
                break;
            }
            bytes.extend_from_slice(batch);
        }
        Ok(bytes)
    }

    fn epoch_at(&self, _: PartitionIndex, offset: Offset) -> Option<LeaderEpoch> {
        let state = self.state.lock();
        let found = state.batches.iter().find(|batch| view(batch).next_offset() > offset);
        found.map(|batch| view(batch).leader_epoch())
    }

    fn tombstone_retention_ms(&self) -> i64 {
        RETENTION_MS
    }
}

/// A runtime over a [`MemoryLog`] and a [`MemoryView`].
pub struct Bench {
    pub log: Arc<MemoryLog>,
    pub view: Arc<MemoryView>,
    pub clock: Clock,
    pub runtime: Arc<Runtime<Registers>>,
    jobs: Arc<Mutex<VecDeque<Job>>>,
}

impl Bench {
    /// Led and loaded. `is_alone`: the high watermark does not lag.
    pub fn new(is_alone: bool) -> Bench {
        let log = MemoryLog {
            state: Mutex::default(),
            is_alone,
            topic_id: Mutex::new(TopicId(Uuid::from_u128(1))),
        };
        let bench =
            Bench::over(Arc::new(log), Arc::new(MemoryView::default()), Clock::manual(Timestamp(1_000_000)));
        bench.lead();
        bench
    }

    /// A broker that starts with what another has left; it does not lead yet.
    pub fn over(log: Arc<MemoryLog>, view: Arc<MemoryView>, clock: Clock) -> Bench {
        let jobs: Arc<Mutex<VecDeque<Job>>> = Arc::default();
        let (queue, opened) = (jobs.clone(), view.clone());
        let open = move |damaged| -> anyhow::Result<Arc<dyn View>> {
            match damaged {
                Damaged::No => Ok(opened.clone()),
                Damaged::Yes => Ok(Arc::new(MemoryView::default())),
            }
        };
        let runtime = Runtime::new(Options {
            topic: CoordinatorTopic::ConsumerOffsets,
            new_shard: Box::new(|_| Registers::default()),
            writer: log.clone(),
            reader: log.clone(),
            view: Arc::new(LazyView::new(open)),
            clock: clock.clone(),
            settings: Box::new(|_| Settings {
                batches: BatchOptions { max_size_bytes: 400, compression: Compression::None },
                commit_timeout_ms: COMMIT_TIMEOUT_MS,
            }),
            background: Box::new(move |job| queue.lock().push_back(job)),
        });
        Bench { log, view, clock, runtime, jobs }
    }

    /// Leads in the log's epoch, and loads.
    pub fn lead(&self) {
        let epoch = LeaderEpoch(self.log.state.lock().epoch);
        self.runtime.lead(PARTITION, epoch);
        self.run_jobs();
    }

    pub fn run_jobs(&self) {
        loop {
            let Some(job) = self.jobs.lock().pop_front() else { return };
            job();
        }
    }

    pub fn submit(&self, command: Command) -> Submitted<Response> {
        self.runtime.submit(PARTITION, command)
    }

    pub fn set(&self, name: &str, value: &str) -> Submitted<Response> {
        self.submit(Command::Set(vec![(name.into(), Some(value.into()))]))
    }

    /// What stands in the view.
    pub fn view_registers(&self) -> BTreeMap<String, String> {
        let mut seen = BTreeMap::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            seen.insert(text(&key[2..]), text(value));
            crate::coordinator::shard::Scan::Next
        };
        self.view.scan(OF, b"r/", crate::store::view::Tier::Disk, &mut visit).unwrap();
        seen
    }

    /// Committed registers as a reader sees them.
    pub fn read(&self) -> Result<BTreeMap<String, String>, ApiError> {
        let look = |(): &(), stored: &dyn Stored| {
            let mut seen = BTreeMap::new();
            stored.scan(b"r/", &mut |key, value| {
                seen.insert(text(&key[2..]), text(value));
                crate::coordinator::shard::Scan::Next
            })?;
            Ok(seen)
        };
        now(self.runtime.read(PARTITION, |_| Ok(()), look)).expect("what is warm needs no wait")
    }
}

/// What a future has come to; `None` while it waits.
pub fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    poll(future.as_mut())
}

pub fn poll<T>(future: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

/// The answer of a submitted command so far.
pub fn answer(submitted: &mut Submitted<Response>) -> Option<Result<Response, ErrorCode>> {
    let answer = poll(std::pin::Pin::new(submitted));
    answer.map(|answer| answer.map_err(|error| error.code))
}
