//! The place of one coordinator partition in one term of leadership: a lock, and what others may tell without it.
//!
//! The log tells of its high watermark from wherever it moves, also from within an append of the thread that has the
//! lock. So the teller only notes it and takes the lock if it is free; whoever has the lock looks again after
//! releasing it. Nobody waits for anybody, and nothing is missed: each side writes (the note, or that the lock is free)
//! before it reads what the other writes, with a fence between.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering, fence};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::active::{Active, Lost};
use super::submitted::Submitted;
use super::waiting::Turn;
use super::{Bringer, Runtime, SlotState};
use crate::coordinator::log::WatermarkListener;
use crate::coordinator::shard::Shard;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use crate::store::PartitionKey;

/// What the log has told last.
pub(super) struct Watermark {
    high_watermark: AtomicI64,
    /// The log takes no appends any more.
    is_closed: AtomicBool,
}

impl Watermark {
    pub fn get(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::SeqCst))
    }

    /// It may be told late, but it never goes back.
    pub fn raise(&self, high_watermark: Offset) {
        self.high_watermark.fetch_max(high_watermark.0, Ordering::SeqCst);
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }
}

/// How long a failed load is left alone: doubled each time, up to the longest.
const FIRST_RELOAD_PAUSE_MS: i64 = 1_000;
const LONGEST_RELOAD_PAUSE_MS: i64 = 60_000;

pub(super) enum State<S: Shard> {
    Loading,
    Active(Box<Active<S>>),
    /// It cannot be loaded; the broker's log says why. It is tried again at the deadline.
    Failed,
    /// The term is over.
    Resigned,
}

pub(super) struct Slot<S: Shard> {
    runtime: Weak<Runtime<S>>,
    pub of: PartitionKey,
    pub epoch: LeaderEpoch,
    state: Mutex<State<S>>,
    pub watermark: Arc<Watermark>,
    /// When [`Slot::expire`] is due on the monotonic clock; `i64::MAX` for never.
    deadline_ms: AtomicI64,
    /// Follow the state for those who only look: whoever takes the lock must catch up with the log.
    shown: Mutex<SlotState>,
    is_resigned: AtomicBool,
    loaded: Notify,
    /// After the next load that fails.
    reload_pause_ms: AtomicI64,
}

impl<S: Shard> Slot<S> {
    pub fn new(runtime: Weak<Runtime<S>>, of: PartitionKey, epoch: LeaderEpoch) -> Slot<S> {
        Slot {
            runtime,
            of,
            epoch,
            state: Mutex::new(State::Loading),
            watermark: Arc::new(Watermark {
                high_watermark: AtomicI64::new(0),
                is_closed: AtomicBool::new(false),
            }),
            deadline_ms: AtomicI64::new(i64::MAX),
            shown: Mutex::new(SlotState::Loading),
            is_resigned: AtomicBool::new(false),
            loaded: Notify::new(),
            reload_pause_ms: AtomicI64::new(FIRST_RELOAD_PAUSE_MS),
        }
    }

    pub fn is_resigned(&self) -> bool {
        self.is_resigned.load(Ordering::SeqCst)
    }

    pub fn deadline_ms(&self) -> i64 {
        self.deadline_ms.load(Ordering::SeqCst)
    }

    pub fn describe(&self) -> SlotState {
        *self.shown.lock()
    }

    /// Does `work` on the active partition, then all that follows from it. COORDINATOR_LOAD_IN_PROGRESS,
    /// COORDINATOR_NOT_AVAILABLE or NOT_COORDINATOR when it is not active.
    pub fn take_turn<T>(
        &self,
        runtime: &Runtime<S>,
        work: impl FnOnce(&mut Active<S>, &mut Turn<S>) -> Result<T, Lost>,
    ) -> Result<T, ApiError> {
        let result = self.take_turn_in(runtime, self.state.lock(), Bringer::Other, work, |_, _| {});
        self.catch_up(runtime);
        result
    }

    /// `at_end` sees what `work` and all that follows from it have come to.
    fn take_turn_in<T>(
        &self,
        runtime: &Runtime<S>,
        mut state: MutexGuard<'_, State<S>>,
        bringer: Bringer,
        work: impl FnOnce(&mut Active<S>, &mut Turn<S>) -> Result<T, Lost>,
        at_end: impl FnOnce(&mut Active<S>, &mut Turn<S>),
    ) -> Result<T, ApiError> {
        let active = match &mut *state {
            State::Active(active) => active,
            State::Loading => return Err(ErrorCode::CoordinatorLoadInProgress.into()),
            State::Failed => return Err(ErrorCode::CoordinatorNotAvailable.into()),
            State::Resigned => return Err(ErrorCode::NotCoordinator.into()),
        };
        let mut turn = Turn::begin();
        let result = match work(active, &mut turn) {
            Ok(value) => active.settle(runtime, &mut turn).map(|()| value),
            Err(lost) => Err(lost),
        };
        let result = match result {
            Ok(value) => {
                at_end(active, &mut turn);
                self.set_deadline(runtime, active.next_deadline());
                Ok(value)
            }
            Err(lost) => {
                let view = active.view().clone();
                self.leave(&mut state, State::Resigned, &mut turn);
                match lost {
                    Lost::UnknownOutcome => {}
                    Lost::View => runtime.options.view.give_up(&view),
                }
                Err(ErrorCode::NotCoordinator.into())
            }
        };
        drop(state);
        // Those of a term that has ended are begun by the next.
        let effects = if result.is_ok() { turn.take_effects() } else { Vec::new() };
        turn.end();
        for effect in effects {
            (runtime.options.carry_out)(self.of.partition, self.epoch, effect, bringer);
        }
        result
    }

    /// Decides `command`; see [`Runtime::submit`].
    pub fn submit(&self, runtime: &Runtime<S>, command: S::Command) -> Submitted<S::Response> {
        let mut own = None;
        let work = |active: &mut Active<S>, turn: &mut Turn<S>| active.submit(runtime, command, turn);
        let taken = self.take_turn_in(runtime, self.state.lock(), Bringer::Request, work, |active, turn| {
            own = Some(active.take_answer(turn));
        });
        self.catch_up(runtime);
        match (taken, own) {
            (Ok(()), Some(Ok(answer))) => Submitted::ready(answer),
            (Ok(()), Some(Err(receiver))) => Submitted::parked(receiver),
            (Ok(()), None) => unreachable!("a turn that was taken has ended"),
            (Err(error), _) => Submitted::ready(Err(error)),
        }
    }

    /// What the log has told while the lock was held.
    fn catch_up(&self, runtime: &Runtime<S>) {
        loop {
            let Some(mut state) = self.state.try_lock() else { return };
            let State::Active(active) = &mut *state else { return };
            if self.watermark.is_closed() {
                let mut turn = Turn::begin();
                self.leave(&mut state, State::Resigned, &mut turn);
                drop(state);
                return turn.end();
            }
            if active.is_behind() {
                // Refused only when the term ends, and then nothing is left to catch up with.
                let _ = self.take_turn_in(runtime, state, Bringer::Other, |_, _| Ok(()), |_, _| {});
                continue;
            }
            let followed_to = active.committed_to();
            drop(state);
            // Whoever has found the lock taken until here has left it to this thread.
            fence(Ordering::SeqCst);
            if self.watermark.get() <= followed_to && !self.watermark.is_closed() {
                return;
            }
        }
    }

    /// Deadlines that are due.
    pub fn expire(&self, runtime: &Runtime<S>) {
        // A partition that is not active has none.
        let _ = self.take_turn(runtime, |active, turn| active.expire(runtime, turn));
    }

    /// It is loaded: `active` begins with a turn of its own.
    pub fn begin(&self, runtime: &Runtime<S>, active: Active<S>) {
        let mut state = self.state.lock();
        if matches!(&*state, State::Loading) {
            *state = State::Active(Box::new(active));
            *self.shown.lock() = SlotState::Active;
        }
        let _ = self.take_turn_in(runtime, state, Bringer::Other, |_, _| Ok(()), |_, _| {});
        self.loaded.notify_waiters();
        self.catch_up(runtime);
    }

    /// It cannot be loaded. What was in the way may pass (descriptors, room on the disk), but not when the log is closed.
    pub fn fail(&self, runtime: &Runtime<S>) {
        let mut turn = Turn::begin();
        let mut state = self.state.lock();
        if matches!(&*state, State::Loading) {
            self.leave(&mut state, State::Failed, &mut turn);
            if !self.watermark.is_closed() {
                let pause_ms = self.reload_pause_ms.load(Ordering::SeqCst);
                self.reload_pause_ms.store((2 * pause_ms).min(LONGEST_RELOAD_PAUSE_MS), Ordering::SeqCst);
                self.set_deadline(runtime, Some(runtime.now().uptime_ms.saturating_add(pause_ms)));
            }
        }
        drop(state);
        turn.end();
        self.loaded.notify_waiters();
    }

    /// Whether it has failed and is to be loaded again, from here on.
    pub fn begin_reload(&self) -> bool {
        let mut state = self.state.lock();
        if !matches!(&*state, State::Failed) {
            return false;
        }
        self.deadline_ms.store(i64::MAX, Ordering::SeqCst);
        if self.watermark.is_closed() {
            return false;
        }
        *state = State::Loading;
        *self.shown.lock() = SlotState::Loading;
        true
    }

    /// The term is over; everybody who waits is told NOT_COORDINATOR.
    pub fn resign(&self) {
        let mut turn = Turn::begin();
        self.leave(&mut self.state.lock(), State::Resigned, &mut turn);
        turn.end();
        self.loaded.notify_waiters();
    }

    /// Until it is loaded, or will not be.
    pub async fn loaded(&self) {
        loop {
            let told = self.loaded.notified();
            if self.describe() != SlotState::Loading {
                return;
            }
            told.await;
        }
    }

    fn leave(&self, state: &mut State<S>, next: State<S>, turn: &mut Turn<S>) {
        if matches!(next, State::Resigned) {
            self.is_resigned.store(true, Ordering::SeqCst);
        }
        *self.shown.lock() = SlotState::Failed;
        self.deadline_ms.store(i64::MAX, Ordering::SeqCst);
        match std::mem::replace(state, next) {
            State::Active(active) => active.end(turn),
            State::Loading | State::Failed | State::Resigned => {}
        }
    }

    fn set_deadline(&self, runtime: &Runtime<S>, deadline_ms: Option<i64>) {
        let deadline_ms = deadline_ms.unwrap_or(i64::MAX);
        if self.deadline_ms.swap(deadline_ms, Ordering::SeqCst) > deadline_ms {
            runtime.deadlines.earlier(deadline_ms);
        }
    }
}

impl<S: Shard> WatermarkListener for Slot<S> {
    fn watermark_moved(&self, _: PartitionIndex, high_watermark: Offset) {
        self.watermark.raise(high_watermark);
        self.told();
    }

    fn closed(&self, _: PartitionIndex) {
        self.watermark.is_closed.store(true, Ordering::SeqCst);
        self.told();
    }
}

impl<S: Shard> Slot<S> {
    fn told(&self) {
        // Whoever has the lock looks again when it is released; that may be this very thread.
        fence(Ordering::SeqCst);
        if let Some(runtime) = self.runtime.upgrade() {
            self.catch_up(&runtime);
        }
    }
}
