//! The shell of all coordinators: loads partitions, decides, appends, replays, parks replies, fires deadlines.
//!
//! Generic over a [`Shard`], which knows the rules and nothing else; the log is reached through two small traits, the
//! view through `store`. A command is decided, appended and replayed on the thread that brings it, under the lock of
//! its partition, and its answer is there at once unless it has to wait for the high watermark.
//!
//! Architecture invariants: nothing is replayed before it is appended; no answer leaves before all that it may show is
//! committed; a refused append has changed nothing; an append of unknown outcome ends the term. The lock of a partition
//! is taken before that of its log, never across an await, and whoever is told something inside waits outside.
//! Kafka: `CoordinatorRuntime`.

mod active;
mod batches;
mod deadlines;
mod loading;
mod overlay;
mod slot;
mod stored;
mod submitted;
#[cfg(test)]
pub(crate) mod tests;
mod transactions;
mod waiting;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

pub use self::batches::{BatchOptions, compression};
use self::deadlines::Deadlines;
use self::loading::{LoadQueue, Work};
use self::overlay::Layer;
use self::slot::Slot;
use self::stored::Layered;
pub use self::submitted::{Answer, Submitted};
use super::log::{PartitionReader, PartitionWriter};
use super::shard::{Now, Shard, Stored};
use crate::env::clock::Clock;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{LeaderEpoch, PartitionIndex};
use crate::store::lazy::LazyView;
use crate::store::view::{Tier, View, ViewError};
use crate::store::{CoordinatorTopic, PartitionKey};

/// Settings in force.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub batches: BatchOptions,
    /// How long an answer waits for the high watermark.
    pub commit_timeout_ms: i64,
}

/// Changes that would fill a memtable of the view, roughly.
const SUPERSEDED_FOR_A_FLUSH: usize = 16_384;

/// Work for a thread that may block.
pub type Job = Box<dyn FnOnce() + Send>;

/// Whose thread brings an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bringer {
    /// A request's, which has no lock: the work can be done at once, and may submit to any coordinator.
    Request,
    /// That of a deadline, a load, or whoever has moved a high watermark, which may have the lock of a log: work must
    /// not begin in it.
    Other,
}

/// What does the work of a shard's effects.
pub type CarryOut<S> = Box<dyn Fn(PartitionIndex, LeaderEpoch, <S as Shard>::Effect, Bringer) + Send + Sync>;

/// What a runtime is made of.
pub struct Options<S: Shard> {
    pub topic: CoordinatorTopic,
    pub new_shard: Box<dyn Fn(PartitionIndex) -> S + Send + Sync>,
    pub writer: Arc<dyn PartitionWriter>,
    pub reader: Arc<dyn PartitionReader>,
    pub view: Arc<LazyView>,
    pub clock: Clock,
    pub settings: Box<dyn Fn(PartitionIndex) -> Settings + Send + Sync>,
    /// How much of what is committed waits in memory until the view is written to, in bytes of a partition.
    pub most_lag_bytes: usize,
    /// Brings work to the blocking pool.
    pub background: Box<dyn Fn(Job) + Send + Sync>,
    /// Begins what a shard has asked for, as its coordinator of that epoch; called without the lock of a slot.
    pub carry_out: CarryOut<S>,
}

/// What a led partition is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    Loading,
    Active,
    /// It cannot be loaded, which is tried again, or its log is closed.
    Failed,
}

/// All coordinator partitions of one topic that this broker leads. Usable from every thread.
pub struct Runtime<S: Shard> {
    options: Options<S>,
    this: Weak<Runtime<S>>,
    slots: RwLock<BTreeMap<PartitionIndex, Arc<Slot<S>>>>,
    /// Held while terms begin and end, so that they do so one after the other.
    terms: Mutex<()>,
    loads: LoadQueue<S>,
    deadlines: Deadlines,
    superseded_count: AtomicUsize,
    /// A job that brings the view to disk is on its way: a disk that hangs shall not have one thread after the other.
    is_flushing: AtomicBool,
}

impl<S: Shard> Runtime<S> {
    pub fn new(options: Options<S>) -> Arc<Runtime<S>> {
        let runtime = Arc::new_cyclic(|this| Runtime {
            options,
            this: this.clone(),
            slots: RwLock::default(),
            terms: Mutex::new(()),
            loads: LoadQueue::default(),
            deadlines: Deadlines::new(),
            superseded_count: AtomicUsize::new(0),
            is_flushing: AtomicBool::new(false),
        });
        let this = runtime.this.clone();
        runtime.options.view.when_given_up(Box::new(move || {
            let Some(this) = this.upgrade() else { return };
            let reloaded = this.clone();
            // Elsewhere: whoever has found the damage may have the lock of a partition.
            (this.options.background)(Box::new(move || reloaded.load_again()));
        }));
        runtime
    }

    /// Decides, appends and replays `command` before it returns; the answer may have to wait.
    ///
    /// Errors besides the shard's: NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, and what
    /// Kafka makes of a failed append.
    pub fn submit(&self, partition: PartitionIndex, command: S::Command) -> Submitted<S::Response> {
        let slot = match self.slot(partition) {
            Ok(slot) => slot,
            Err(error) => return Submitted::ready(Err(error)),
        };
        slot.submit(self, command)
    }

    /// Reads committed state: `check` under the partition's lock, then `look` at the committed records without it; on
    /// this thread when all it needs is in memory, else on the blocking pool.
    pub async fn read<P, T>(
        &self,
        partition: PartitionIndex,
        check: impl FnOnce(&S) -> Result<P, ApiError>,
        look: impl Fn(&P, &dyn Stored) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        P: Send + 'static,
        T: Send + 'static,
    {
        let slot = self.slot(partition)?;
        let (view, over, passed) = slot.take_turn(self, |active, _| {
            Ok((active.view().clone(), active.committed_layer(self)?, check(active.shard())))
        })?;
        self.look(&slot, (view, over), passed?, look).await
    }

    /// As [`Runtime::read`], of the newest state: `look` sees what is appended and not committed as well, and the answer
    /// waits until that is committed.
    pub async fn read_newest<P, T>(
        &self,
        partition: PartitionIndex,
        check: impl FnOnce(&S) -> Result<P, ApiError>,
        look: impl Fn(&P, &dyn Stored) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        P: Send + 'static,
        T: Send + 'static,
    {
        let slot = self.slot(partition)?;
        let (view, over, passed, committed) = slot.take_turn(self, |active, _| {
            let layers = (active.view().clone(), active.latest_layer(self)?);
            Ok((layers.0, layers.1, check(active.shard()), active.when_committed(self)))
        })?;
        let seen = match passed {
            Ok(passed) => self.look(&slot, (view, over), passed, look).await,
            Err(error) => Err(error),
        };
        until(committed).await?;
        seen
    }

    /// `look` over one state of the records, on this thread or on the blocking pool.
    async fn look<P, T>(
        &self,
        slot: &Slot<S>,
        (view, over): (Arc<dyn View>, Option<Layer>),
        passed: P,
        look: impl Fn(&P, &dyn Stored) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        P: Send + 'static,
        T: Send + 'static,
    {
        let of = slot.of;
        let stored = Layered::new(of, &*view, over.as_ref(), Tier::Warm);
        let seen = look(&passed, &stored);
        let (seen, trouble) = match stored.into_trouble() {
            Some(ViewError::Cold) => {
                let view = view.clone();
                let reading = tokio::task::spawn_blocking(move || {
                    let stored = Layered::new(of, &*view, over.as_ref(), Tier::Disk);
                    (look(&passed, &stored), stored.into_trouble())
                });
                reading.await.expect("a panic ends the process")
            }
            trouble => (seen, trouble),
        };
        if let Some(ViewError::Failed(error)) = trouble {
            tracing::error!(partition = %of, error = format!("{error:#}"), "the view is damaged and is rebuilt from the log");
            self.options.view.give_up(&view);
            return Err(ErrorCode::CoordinatorNotAvailable.into());
        }
        // What was read may belong to a view that is being rebuilt.
        if slot.is_resigned() { Err(ErrorCode::NotCoordinator.into()) } else { seen }
    }

    /// What metrics tell of `partition`: `check` sees the newest state under its lock, then `look` the committed records
    /// without it. Blocking.
    pub fn survey<P, T>(
        &self,
        partition: PartitionIndex,
        check: impl FnOnce(&S) -> P,
        look: impl FnOnce(P, &dyn Stored) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let slot = self.slot(partition)?;
        let (view, over, checked) = slot.take_turn(self, |active, _| {
            Ok((active.view().clone(), active.committed_layer(self)?, check(active.shard())))
        })?;
        let stored = Layered::new(slot.of, &*view, over.as_ref(), Tier::Disk);
        let seen = look(checked, &stored);
        match stored.into_trouble() {
            // Whoever reads for a client finds it too, and has it rebuilt.
            Some(ViewError::Cold | ViewError::Busy | ViewError::Failed(_)) => {
                Err(ErrorCode::CoordinatorNotAvailable.into())
            }
            None => seen,
        }
    }

    /// `check` over the newest state, at once. What it sees can still be taken back: it is for a command that follows, and
    /// no answer.
    pub fn peek<T>(&self, partition: PartitionIndex, check: impl FnOnce(&S) -> T) -> Result<T, ApiError> {
        self.slot(partition)?.take_turn(self, |active, _| Ok(check(active.shard())))
    }

    /// `check` over the newest state, answered once everything appended so far is committed.
    pub async fn inspect<T>(
        &self,
        partition: PartitionIndex,
        check: impl FnOnce(&S) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let slot = self.slot(partition)?;
        let (seen, committed) =
            slot.take_turn(self, |active, _| Ok((check(active.shard()), active.when_committed(self))))?;
        until(committed).await?;
        seen
    }

    /// This broker leads `partition` from `epoch` on: loads it on the blocking pool. Nothing happens when it does so
    /// already.
    pub fn lead(&self, partition: PartitionIndex, epoch: LeaderEpoch) {
        let _terms = self.terms.lock();
        let known = self.slots.read().get(&partition).cloned();
        match known {
            Some(slot) if slot.epoch >= epoch && !slot.is_resigned() => return,
            Some(slot) => slot.resign(),
            None => {}
        }
        let of = PartitionKey { topic: self.options.topic, partition };
        let slot = Arc::new(Slot::new(self.this.clone(), of, epoch));
        self.slots.write().insert(partition, slot.clone());
        self.enqueue(Work::Load(slot));
    }

    /// Until `partition` is loaded, or cannot be, or is not led.
    pub async fn loaded(&self, partition: PartitionIndex) {
        if let Ok(slot) = self.slot(partition) {
            slot.loaded().await;
        }
    }

    /// This broker leads `partition` no longer.
    pub fn resign(&self, partition: PartitionIndex) {
        let _terms = self.terms.lock();
        let slot = self.slots.write().remove(&partition);
        if let Some(slot) = slot {
            slot.resign();
        }
    }

    /// The topic is deleted: resigns, and has dropped what the view holds of `partition`.
    pub fn forget(&self, partition: PartitionIndex) {
        self.resign(partition);
        self.enqueue(Work::Forget(PartitionKey { topic: self.options.topic, partition }));
    }

    /// The broker stops. Blocking. The view is to be closed behind this, when nobody else needs it.
    pub fn resign_all(&self) {
        let partitions: Vec<PartitionIndex> = self.slots.read().keys().copied().collect();
        partitions.into_iter().for_each(|partition| self.resign(partition));
    }

    /// Whether the term of `epoch` goes on; what it has begun need not end otherwise.
    pub fn is_led(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> bool {
        let slots = self.slots.read();
        slots.get(&partition).is_some_and(|slot| slot.epoch == epoch && !slot.is_resigned())
    }

    /// The partitions this broker leads.
    pub fn led(&self) -> Vec<(PartitionIndex, SlotState)> {
        self.all().into_iter().map(|slot| (slot.of.partition, slot.describe())).collect()
    }

    /// Fires deadlines for ever; does nothing while there are none.
    pub async fn run_deadlines(self: Arc<Self>) {
        loop {
            self.expire();
            self.deadlines.sleep(&self.options.clock, || self.next_deadline_ms()).await;
        }
    }

    /// Fires the deadlines that are due.
    pub fn expire(&self) {
        let now_ms = self.options.clock.uptime_ms();
        for slot in self.all().into_iter().filter(|slot| slot.deadline_ms() <= now_ms) {
            match slot.begin_reload() {
                true => self.enqueue(Work::Load(slot)),
                false => slot.expire(self),
            }
        }
    }

    /// The next deadline on the monotonic clock; `i64::MAX` for none.
    fn next_deadline_ms(&self) -> i64 {
        self.slots.read().values().map(|slot| slot.deadline_ms()).min().unwrap_or(i64::MAX)
    }

    fn slot(&self, partition: PartitionIndex) -> Result<Arc<Slot<S>>, ApiError> {
        self.slots.read().get(&partition).cloned().ok_or_else(|| ErrorCode::NotCoordinator.into())
    }

    fn all(&self) -> Vec<Arc<Slot<S>>> {
        self.slots.read().values().cloned().collect()
    }

    fn now(&self) -> Now {
        Now { wall: self.options.clock.now(), uptime_ms: self.options.clock.uptime_ms() }
    }

    fn settings(&self, partition: PartitionIndex) -> Settings {
        (self.options.settings)(partition)
    }

    /// So many changes were never written to `view`, because later ones had taken their place. It goes to disk by the size
    /// of what is written; these count as well, so that no more is replayed after a crash than if they had been.
    fn superseded(&self, count: usize, view: &Arc<dyn View>) {
        let before = self.superseded_count.fetch_add(count, Ordering::Relaxed);
        if before / SUPERSEDED_FOR_A_FLUSH == before.wrapping_add(count) / SUPERSEDED_FOR_A_FLUSH {
            return;
        }
        if self.is_flushing.swap(true, Ordering::Relaxed) {
            return;
        }
        let (this, view) = (self.this.clone(), view.clone());
        (self.options.background)(Box::new(move || {
            // A view that is damaged shows it to whoever writes next.
            if let Err(error) = view.flush() {
                tracing::debug!(?error, "flush a view that is behind");
            }
            if let Some(runtime) = this.upgrade() {
                runtime.is_flushing.store(false, Ordering::Relaxed);
            }
        }));
    }

    /// The view was damaged: all partitions are loaded again, into a new one.
    fn load_again(&self) {
        let _terms = self.terms.lock();
        for old in self.all() {
            old.resign();
            let slot = Arc::new(Slot::new(self.this.clone(), old.of, old.epoch));
            self.slots.write().insert(old.of.partition, slot.clone());
            self.enqueue(Work::Load(slot));
        }
    }
}

/// Until what [`Active::when_committed`](active::Active::when_committed) waits for is committed.
async fn until(committed: Option<oneshot::Receiver<Answer<()>>>) -> Result<(), ApiError> {
    match committed {
        Some(committed) => committed.await.unwrap_or_else(|_| Err(ErrorCode::NotCoordinator.into())),
        None => Ok(()),
    }
}
