//! A worker thread: its own runtime, its connections, its part of the memory and the metrics.
//!
//! Connections leave the worker they were given to where its [`Balance`] says so. The one timer of a worker, for
//! connections that idle too long, is armed only while there are connections.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, warn};

use super::balance::Balance;
use super::budget::ByteBudget;
use super::buffers::BufferPool;
use super::connection::{Connection, Ended, Moved};
use super::listener::{Accepted, WorkerQueues};
use crate::env::clock::Clock;
use crate::handlers::reply::Service;
use crate::telemetry::metrics::WorkerMetrics;

/// Idle connections are looked for at most so often.
const MIN_IDLE_CHECK_INTERVAL_US: u64 = 1_000_000;

/// How often connections that hold memory are looked at while others wait for it.
const STALL_CHECK_INTERVAL_US: u64 = 1_000_000;

/// While stopping: how often the worker looks whether its connections are done, and how long long polls
/// may still be answered.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(5);
const STOP_GRACE_OF_PARKED_US: u64 = 100_000;

/// What bounds a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// `socket.request.max.bytes`
    pub max_request_size_bytes: usize,
    /// `connections.max.idle.ms`; none when connections may idle for ever.
    pub max_idle_ms: Option<u64>,
    /// While others wait for memory: a connection that holds some and sends or takes no byte for this
    /// long is ended, and one whose frame is not whole after three times as long.
    pub max_stall_ms: u64,
}

/// The usual [`ConnectionLimits::max_stall_ms`].
pub const DEFAULT_MAX_STALL_MS: u64 = 10_000;

impl ConnectionLimits {
    fn stall_check_interval_us(&self) -> u64 {
        STALL_CHECK_INTERVAL_US.min(self.max_stall_ms.saturating_mul(1000))
    }
}

/// What the connections of a worker share.
pub struct WorkerShared<S: Service> {
    pub service: S,
    pub clock: Clock,
    pub metrics: Arc<WorkerMetrics>,
    pub limits: ConnectionLimits,
    pub budget: Arc<ByteBudget>,
    pub pool: RefCell<BufferPool>,
    pub place: Place,
    stopping: Cell<bool>,
    connections: RefCell<HashMap<u64, Entry>>,
    next_connection_id: Cell<u64>,
}

/// A worker among the others.
pub struct Place {
    pub balance: Rc<Balance>,
    /// Those of all workers.
    pub queues: WorkerQueues,
}

/// What the worker keeps of each connection.
struct Entry {
    task: AbortHandle,
    activity: Rc<Activity>,
}

/// What a connection tells its worker.
pub struct Activity {
    last_active_us: Cell<u64>,
    /// When a frame was last whole.
    last_frame_us: Cell<u64>,
    held_size_bytes: Cell<usize>,
    state: Cell<ActivityState>,
}

/// What a connection does between two turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityState {
    /// Nothing: it may be ended at any time.
    Idle,
    /// Waits for a long poll or the like.
    Parked,
    /// Has responses on their way.
    Busy,
    /// Has work to finish that holds its request. It is not the peer that holds it up.
    Working,
    /// Waits for memory to receive a large frame.
    Starved,
}

impl Activity {
    fn new(now_us: u64) -> Activity {
        Activity {
            last_active_us: Cell::new(now_us),
            last_frame_us: Cell::new(now_us),
            held_size_bytes: Cell::new(0),
            state: Cell::new(ActivityState::Idle),
        }
    }

    /// Bytes came or went.
    pub fn touch(&self, now_us: u64) {
        self.last_active_us.set(now_us);
    }

    /// A frame is whole.
    pub fn completed_frame(&self, now_us: u64) {
        self.last_frame_us.set(now_us);
    }

    /// How the connection waits.
    pub fn settle(&self, state: ActivityState, held_size_bytes: usize) {
        self.state.set(state);
        self.held_size_bytes.set(held_size_bytes);
    }

    /// Whether it holds memory and does not get on.
    fn is_stalled(&self, now_us: u64, max_stall_ms: u64) -> bool {
        let max_stall_us = max_stall_ms.saturating_mul(1000);
        self.held_size_bytes.get() > 0
            && !matches!(self.state.get(), ActivityState::Starved | ActivityState::Working)
            && (now_us.saturating_sub(self.last_active_us.get()) >= max_stall_us
                || now_us.saturating_sub(self.last_frame_us.get()) >= max_stall_us.saturating_mul(3))
    }
}

impl<S: Service> WorkerShared<S> {
    pub fn new(
        service: S,
        clock: Clock,
        metrics: Arc<WorkerMetrics>,
        limits: ConnectionLimits,
        budget: Arc<ByteBudget>,
        place: Place,
    ) -> WorkerShared<S> {
        WorkerShared {
            service,
            clock,
            metrics,
            limits,
            budget,
            pool: RefCell::default(),
            place,
            stopping: Cell::new(false),
            connections: RefCell::default(),
            next_connection_id: Cell::new(0),
        }
    }

    /// Whether requests are no longer taken.
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Ends every connection for which `predicate` holds.
    fn end_where(&self, predicate: impl Fn(&Activity) -> bool) -> usize {
        let connections = self.connections.borrow();
        let ended = connections.values().filter(|entry| predicate(&entry.activity));
        ended.inspect(|entry| entry.task.abort()).count()
    }
}

/// Takes a connection out of its worker's table when its task ends, also when it is aborted.
struct Registration<S: Service> {
    worker: Rc<WorkerShared<S>>,
    id: u64,
}

impl<S: Service> Drop for Registration<S> {
    fn drop(&mut self) {
        self.worker.connections.borrow_mut().remove(&self.id);
    }
}

/// The worker's whole life: serves the connections it is given until `stop` carries a grace and all
/// have ended or it is over. `accepting` ends first.
pub async fn serve<S: Service>(
    worker: Rc<WorkerShared<S>>,
    accepting: JoinSet<()>,
    mut incoming: mpsc::Receiver<Accepted>,
    mut stop: watch::Receiver<Option<Duration>>,
) {
    let mut checks = Checks::default();
    let grace = loop {
        let until_check = checks.next_in(worker.clock.uptime_us());
        tokio::select! {
            biased;
            grace = stop.wait_for(Option::is_some) => {
                // The server that is gone without a word leaves no time either.
                break grace.ok().and_then(|grace| *grace).unwrap_or_default();
            }
            Some(accepted) = incoming.recv() => {
                open(&worker, accepted);
                if checks.idle_at_us.is_none() {
                    checks.idle_at_us = next_idle_check(&worker);
                }
            }
            () = worker.budget.shortage(), if checks.stall_at_us.is_none() => {
                checks.stall_at_us = Some(worker.clock.uptime_us() + worker.limits.stall_check_interval_us());
            }
            () = tokio::time::sleep(until_check.unwrap_or_default()), if until_check.is_some() => {
                checks.run(&worker);
            }
        }
    };
    drop((accepting, incoming));
    finish(&worker, grace).await;
}

/// The timers of a worker, in the clock's microseconds. None is armed without a reason.
#[derive(Default)]
struct Checks {
    /// For connections that idle too long; armed while there are connections.
    idle_at_us: Option<u64>,
    /// For connections that hold memory and do not get on; armed while somebody waits for memory.
    stall_at_us: Option<u64>,
}

impl Checks {
    /// Time until the next check.
    fn next_in(&self, now_us: u64) -> Option<Duration> {
        let next_at_us = self.idle_at_us.into_iter().chain(self.stall_at_us).min()?;
        Some(Duration::from_micros(next_at_us.saturating_sub(now_us)))
    }

    fn run<S: Service>(&mut self, worker: &WorkerShared<S>) {
        let now_us = worker.clock.uptime_us();
        if self.idle_at_us.is_some_and(|at_us| at_us <= now_us) {
            end_idle(worker);
            self.idle_at_us = next_idle_check(worker);
        }
        if self.stall_at_us.is_some_and(|at_us| at_us <= now_us) {
            end_stalled(worker);
            let is_short = worker.budget.is_waited_for();
            self.stall_at_us = is_short.then(|| now_us + worker.limits.stall_check_interval_us());
        }
    }
}

fn open<S: Service>(worker: &Rc<WorkerShared<S>>, accepted: Accepted) {
    let Accepted { stream, peer, permit, moved } = accepted;
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return warn!(peer = %peer.address, %error, "cannot serve the connection"),
    };
    let id = worker.next_connection_id.get();
    worker.next_connection_id.set(id + 1);
    let activity = Rc::new(Activity::new(worker.clock.uptime_us()));
    let registration = Registration { worker: worker.clone(), id };
    let session = match &moved {
        None => worker.service.open(peer.clone()),
        Some(_) => Ok(worker.service.take_over(peer.clone())),
    };
    let received = moved.unwrap_or_default();
    let mut opened =
        session.map(|session| Connection::new(stream, worker.clone(), activity.clone(), session, received));
    let task = tokio::task::spawn_local(async move {
        let Registration { worker, .. } = &registration;
        // The connection stays where it is: what is moved within a task takes its place twice.
        let ended = match &mut opened {
            Ok(connection) => connection.run().await,
            Err(hold) => {
                debug!(peer = %peer.address, ?hold, "connection beyond connection_creation_rate");
                return Box::pin(tokio::time::sleep(*hold)).await;
            }
        };
        drop(opened);
        match ended {
            Ended::Moves(target, Moved { stream, received }) => {
                send_on(worker, target, Accepted { stream, peer, permit, moved: Some(received) });
            }
            ended => debug!(peer = %peer.address, ?ended, "connection ended"),
        }
    });
    worker.connections.borrow_mut().insert(id, Entry { task: task.abort_handle(), activity });
}

/// Gives a connection to another worker, or keeps it when that has no room for it.
fn send_on<S: Service>(worker: &Rc<WorkerShared<S>>, target: usize, accepted: Accepted) {
    match worker.place.queues[target].try_send(accepted) {
        Ok(()) => {}
        Err(TrySendError::Full(accepted)) => {
            worker.place.balance.stay();
            open(worker, accepted);
        }
        Err(TrySendError::Closed(accepted)) => {
            debug!(peer = %accepted.peer.address, "connection ended, as the server stops");
        }
    }
}

/// When the connection that has idled longest would reach `connections.max.idle.ms`, in the clock's
/// microseconds; none without connections.
fn next_idle_check<S: Service>(worker: &WorkerShared<S>) -> Option<u64> {
    let max_idle_us = worker.limits.max_idle_ms?.saturating_mul(1000);
    let connections = worker.connections.borrow();
    let oldest_us = connections.values().map(|entry| entry.activity.last_active_us.get()).min()?;
    let earliest_us = worker.clock.uptime_us() + MIN_IDLE_CHECK_INTERVAL_US.min(max_idle_us);
    Some(earliest_us.max(oldest_us.saturating_add(max_idle_us)))
}

fn end_idle<S: Service>(worker: &WorkerShared<S>) {
    let Some(max_idle_ms) = worker.limits.max_idle_ms else { return };
    let now_us = worker.clock.uptime_us();
    let idle_us = |activity: &Activity| now_us.saturating_sub(activity.last_active_us.get());
    let count = worker.end_where(|activity| idle_us(activity) / 1000 >= max_idle_ms);
    if count > 0 {
        debug!(count, max_idle_ms, "ended idle connections");
    }
}

fn end_stalled<S: Service>(worker: &WorkerShared<S>) {
    let (now_us, max_stall_ms) = (worker.clock.uptime_us(), worker.limits.max_stall_ms);
    let count = worker.end_where(|activity| activity.is_stalled(now_us, max_stall_ms));
    if count > 0 {
        warn!(count, "ended connections that held memory others wait for");
    }
}

/// Ends the connections: idle ones at once, long polls after a moment, those with work or responses on their way
/// when it is done and these are sent, all when the grace is over.
async fn finish<S: Service>(worker: &Rc<WorkerShared<S>>, grace: Duration) {
    worker.stopping.set(true);
    let began_us = worker.clock.uptime_us();
    let grace_us = u64::try_from(grace.as_micros()).unwrap_or(u64::MAX);
    loop {
        let stopping_us = worker.clock.uptime_us() - began_us;
        worker.end_where(|activity| match activity.state.get() {
            ActivityState::Idle | ActivityState::Starved => true,
            ActivityState::Parked => stopping_us >= STOP_GRACE_OF_PARKED_US.min(grace_us),
            ActivityState::Busy | ActivityState::Working => stopping_us >= grace_us,
        });
        if stopping_us >= grace_us || worker.connections.borrow().is_empty() {
            return;
        }
        tokio::time::sleep(STOP_CHECK_INTERVAL).await;
    }
}
