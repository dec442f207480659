//! A register machine as shard, and a runtime over it and a log in memory that does what it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

pub use super::memory_log::{Fate, MemoryLog, registers_of, view};
use crate::coordinator::runtime::{BatchOptions, Job, Options, Runtime, Settings, Submitted};
use crate::coordinator::shard::{
    Event, KeyValue, MalformedRecord, Now, Outcome, RequestId, Shard, Stored, TransactionMarker,
    TransactionalProducer,
};
use crate::env::clock::Clock;
use crate::protocol::batch::Compression;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicId,
};
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
    /// Any events. The answer is how many registers are set then.
    Write(Vec<Event<Record, Soft>>),
    /// Sets a register; the shell is told its name once that is committed, and at each later start.
    Tell(String),
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

/// The value of registers whose name the shell is told.
const TOLD: &str = "told";

pub fn producer(id: i64) -> TransactionalProducer {
    TransactionalProducer { id: ProducerId(id), epoch: ProducerEpoch(0) }
}

pub fn pending(id: i64, name: &str, value: Option<&str>) -> Event<Record, Soft> {
    Event::Transactional(producer(id), (name.into(), value.map(Into::into)))
}

pub fn durable(name: &str, value: Option<&str>) -> Event<Record, Soft> {
    Event::Durable((name.into(), value.map(Into::into)))
}

pub fn marker(id: i64, is_commit: bool) -> Event<Record, Soft> {
    let producer = producer(id);
    Event::Marker(TransactionMarker { producer, coordinator_epoch: 7, is_commit, transaction_version: 2 })
}

/// Of a few registers and producers, so that they meet.
pub fn random_event(rng: &mut fastrand::Rng, value: &str) -> Event<Record, Soft> {
    let (name, producer) = (format!("r{}", rng.u8(0..5)), rng.i64(1..4));
    let value = (rng.u8(0..4) > 0).then_some(value);
    match rng.u8(0..10) {
        0..2 => durable(&name, value),
        2..7 => pending(producer, &name, value),
        _ => marker(producer, rng.bool()),
    }
}

/// Registers that are also in the view: both must agree at each decision.
#[derive(Clone, Default)]
pub struct Registers {
    pub values: BTreeMap<String, String>,
    /// Records of open transactions, each with its place in the order of all.
    open: BTreeMap<ProducerId, Vec<(u64, Record)>>,
    /// The place of the record that counts.
    written_at: BTreeMap<String, u64>,
    record_count: u64,
    pub waiting: BTreeSet<RequestId>,
    pub expire_at: Option<i64>,
    pub is_loaded: bool,
}

impl Registers {
    fn check_stored(&self, stored: &dyn Stored) -> Result<(), ApiError> {
        let mut seen = BTreeMap::new();
        stored.scan(b"", &mut |key, value| {
            assert!(
                key.starts_with(b"r/") || [&b"u/unknown"[..], b"canary", b"mark"].contains(&key),
                "{key:?} is hidden"
            );
            if key.starts_with(b"r/") {
                seen.insert(text(&key[2..]), text(value));
            }
            crate::coordinator::shard::Scan::Next
        })?;
        assert_eq!(seen, self.values, "what is stored is what was replayed");
        for (name, value) in &self.values {
            assert_eq!(stored.get(format!("r/{name}").as_bytes())?, Some(value.clone().into_bytes()));
        }
        Ok(())
    }

    fn count_with(&self, changes: &[Record]) -> Response {
        let events: Vec<Event<Record, Soft>> = changes.iter().cloned().map(Event::Durable).collect();
        self.count_after(&events)
    }

    fn count_after(&self, events: &[Event<Record, Soft>]) -> Response {
        let mut after = self.clone();
        events.iter().for_each(|event| after.replay(event));
        Response::Count(after.values.len())
    }

    fn write(&mut self, at: u64, (name, value): &Record) {
        self.written_at.insert(name.clone(), at);
        match value {
            Some(value) => self.values.insert(name.clone(), value.clone()),
            None => self.values.remove(name),
        };
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
    type Effect = String;

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
            Command::Write(events) => {
                outcome.replies.push((request, self.count_after(&events)));
                outcome.events = events;
            }
            Command::Tell(name) => {
                let change = (name.clone(), Some(TOLD.into()));
                outcome.replies.push((request, self.count_with(std::slice::from_ref(&change))));
                outcome.durable(change);
                outcome.effects.push(name);
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
            Event::Durable(record) => {
                self.record_count += 1;
                self.write(self.record_count, record);
            }
            Event::Transactional(producer, record) => {
                self.record_count += 1;
                self.open.entry(producer.id).or_default().push((self.record_count, record.clone()));
            }
            Event::Marker(marker) => {
                let pending = self.open.remove(&marker.producer.id).unwrap_or_default();
                for (at, record) in pending.into_iter().filter(|_| marker.is_commit) {
                    // Kafka: the higher offset wins.
                    if self.written_at.get(&record.0).is_none_or(|written_at| *written_at < at) {
                        self.write(at, &record);
                    }
                }
            }
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

    fn loaded(&mut self, _: Now) -> Vec<Self::Effect> {
        self.is_loaded = true;
        let told = self.values.iter().filter(|(_, value)| *value == TOLD);
        told.map(|(name, _)| name.clone()).collect()
    }
}

/// A runtime over a [`MemoryLog`] and a [`MemoryView`].
pub struct Bench {
    pub log: Arc<MemoryLog>,
    pub view: Arc<MemoryView>,
    pub clock: Clock,
    pub runtime: Arc<Runtime<Registers>>,
    /// What the shell was told, in order.
    pub told: Arc<Mutex<Vec<(LeaderEpoch, String)>>>,
    most_lag_bytes: usize,
    jobs: Arc<Mutex<VecDeque<Job>>>,
}

impl Bench {
    /// Led and loaded. `is_alone`: the high watermark does not lag.
    pub fn new(is_alone: bool) -> Bench {
        Bench::lagging(is_alone, 0)
    }

    /// As [`Bench::new`], with a view that so many bytes may wait for.
    pub fn lagging(is_alone: bool, most_lag_bytes: usize) -> Bench {
        let (log, clock) = (Arc::new(MemoryLog::new(is_alone)), Clock::manual(Timestamp(1_000_000)));
        let bench = Bench::lagging_over(log, Arc::default(), clock, most_lag_bytes);
        bench.lead();
        bench
    }

    /// A broker that starts with what another has left; it does not lead yet.
    pub fn over(log: Arc<MemoryLog>, view: Arc<MemoryView>, clock: Clock) -> Bench {
        Bench::lagging_over(log, view, clock, 0)
    }

    /// This broker anew, over `view`; it does not lead yet.
    pub fn again(&self, view: MemoryView) -> Bench {
        Bench::lagging_over(self.log.clone(), Arc::new(view), self.clock.clone(), self.most_lag_bytes)
    }

    fn lagging_over(
        log: Arc<MemoryLog>,
        view: Arc<MemoryView>,
        clock: Clock,
        most_lag_bytes: usize,
    ) -> Bench {
        let jobs: Arc<Mutex<VecDeque<Job>>> = Arc::default();
        let (queue, opened) = (jobs.clone(), view.clone());
        let open = move |damaged| -> anyhow::Result<Arc<dyn View>> {
            match damaged {
                Damaged::No => Ok(opened.clone()),
                Damaged::Yes => Ok(Arc::new(MemoryView::default())),
            }
        };
        let told: Arc<Mutex<Vec<(LeaderEpoch, String)>>> = Arc::default();
        let (telling, of_runtime) = (told.clone(), Arc::new(OnceLock::<Weak<Runtime<Registers>>>::new()));
        let (written, back) = (log.clone(), of_runtime.clone());
        let carry_out = move |partition, epoch, name: String, _| {
            assert!(
                written.registers(written.high_watermark()).contains_key(&name),
                "{name} is not committed"
            );
            let runtime = back.get().and_then(Weak::upgrade).unwrap();
            // Hangs when a lock is held.
            drop(runtime.submit(partition, Command::Get(name.clone())));
            telling.lock().push((epoch, name));
        };
        let runtime = Runtime::new(Options {
            topic: CoordinatorTopic::ConsumerOffsets,
            new_shard: Box::new(|_| Registers::default()),
            writer: log.clone(),
            reader: log.clone(),
            view: Arc::new(LazyView::new(open)),
            most_lag_bytes,
            clock: clock.clone(),
            settings: Box::new(|_| Settings {
                batches: BatchOptions {
                    max_size_bytes: 400,
                    compression: Compression::None,
                    base_sequence: 0,
                },
                commit_timeout_ms: COMMIT_TIMEOUT_MS,
            }),
            background: Box::new(move |job| queue.lock().push_back(job)),
            carry_out: Box::new(carry_out),
        });
        of_runtime.set(Arc::downgrade(&runtime)).unwrap();
        Bench { log, view, clock, runtime, told, most_lag_bytes, jobs }
    }

    /// Leads in the log's epoch, and loads.
    pub fn lead(&self) {
        self.runtime.lead(PARTITION, self.log.epoch());
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
