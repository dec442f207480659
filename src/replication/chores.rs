//! What a broker does by itself from time to time: retention, removal of deleted files, flushes by time,
//! checkpoints; compaction has a thread of its own (`cleaner.rs`). One thread that sleeps until something is due, and for good while there is no partition.
//!
//! Kafka: the scheduled tasks of `LogManager`.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use parking_lot::{Condvar, Mutex};

use super::flusher::{self, Flush};
use super::registry::Registry;
use crate::env::clock::Clock;

/// How long after segments were sealed the checkpoint says that they are on disk; several share it.
const SEALED_CHECKPOINT_MS: i64 = 1_000;

/// Wakes a thread that works by itself: there is something for it to do.
#[derive(Default)]
pub struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Default)]
struct SignalState {
    is_raised: bool,
    is_stopping: bool,
}

impl Signal {
    /// There is work: wakes the thread.
    pub fn raise(&self) {
        self.state.lock().is_raised = true;
        self.changed.notify_one();
    }

    pub(super) fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.changed.notify_one();
    }

    /// Whether the thread must end.
    pub(super) fn is_stopping(&self) -> bool {
        self.state.lock().is_stopping
    }

    /// Until it is raised or the time is over; false when the thread must end.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        if !state.is_raised && !state.is_stopping {
            match timeout {
                Some(timeout) => drop(self.changed.wait_for(&mut state, timeout)),
                None => self.changed.wait(&mut state),
            }
        }
        state.is_raised = false;
        !state.is_stopping
    }
}

/// How often each chore is due.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    /// `log.retention.check.interval.ms`
    pub retention_ms: i64,
    /// `producer.id.expiration.check.interval.ms`
    pub producer_expiration_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`
    pub checkpoint_ms: i64,
    /// `log.flush.scheduler.interval.ms`; `i64::MAX` is never.
    pub flush_ms: i64,
}

/// The running thread.
pub struct Chores {
    signal: Arc<Signal>,
    thread: JoinHandle<()>,
}

impl Chores {
    /// `signal` is the one that `registry` raises.
    pub fn start(
        registry: Arc<Registry>,
        signal: Arc<Signal>,
        clock: Clock,
        intervals: Intervals,
    ) -> anyhow::Result<Chores> {
        let heard = signal.clone();
        let thread = std::thread::Builder::new()
            .name("chores".into())
            .spawn(move || Schedule::begin(&registry, &clock, intervals).run(&heard))
            .context("start the thread for chores")?;
        Ok(Chores { signal, thread })
    }

    /// Ends the thread after what it is at.
    pub fn stop(self) {
        self.signal.stop();
        self.thread.join().expect("a panic ends the process");
    }
}

/// When each chore is next due, in milliseconds of uptime.
struct Schedule<'a> {
    registry: &'a Registry,
    clock: &'a Clock,
    intervals: Intervals,
    retention_at: i64,
    producer_expiration_at: i64,
    checkpoint_at: i64,
    flush_at: i64,
}

impl<'a> Schedule<'a> {
    fn begin(registry: &'a Registry, clock: &'a Clock, intervals: Intervals) -> Schedule<'a> {
        let due = |interval_ms: i64| clock.uptime_ms().saturating_add(interval_ms);
        Schedule {
            registry,
            clock,
            intervals,
            retention_at: due(intervals.retention_ms),
            producer_expiration_at: due(intervals.producer_expiration_ms),
            checkpoint_at: due(intervals.checkpoint_ms),
            flush_at: due(intervals.flush_ms),
        }
    }

    fn run(mut self, signal: &Signal) {
        while signal.wait(self.wait_time()) {
            self.do_what_is_due();
        }
    }

    fn wait_time(&self) -> Option<Duration> {
        let uptime_ms = self.clock.uptime_ms();
        let doomed_at = self
            .registry
            .remove_doomed()
            .map(|at| uptime_ms.saturating_add(at.since(self.clock.now()).max(0)));
        // Without partitions there is nothing to retain, flush or checkpoint.
        let rest = [self.retention_at, self.producer_expiration_at, self.checkpoint_at, self.flush_at];
        let rest = (!self.registry.is_empty()).then(|| rest.into_iter().min()).flatten();
        let next = doomed_at.into_iter().chain(rest).min()?;
        Some(Duration::from_millis(next.saturating_sub(uptime_ms).max(0) as u64))
    }

    fn do_what_is_due(&mut self) {
        let now = self.clock.uptime_ms();
        if self.registry.flusher.take_sealed() {
            // A recovery after a crash reads what lies behind the checkpoint: never more than what is not sealed, however
            // much has come since the last one.
            self.checkpoint_at = self.checkpoint_at.min(now.saturating_add(SEALED_CHECKPOINT_MS));
        }
        if now >= self.retention_at {
            self.registry.apply_retention();
            self.retention_at = now.saturating_add(self.intervals.retention_ms);
        }
        if now >= self.producer_expiration_at {
            self.registry.remove_expired_producers();
            self.producer_expiration_at = now.saturating_add(self.intervals.producer_expiration_ms);
        }
        if now >= self.flush_at {
            self.flush();
            self.flush_at = now.saturating_add(self.intervals.flush_ms);
        }
        if now >= self.checkpoint_at {
            self.registry.write_checkpoints();
            self.checkpoint_at = now.saturating_add(self.intervals.checkpoint_ms);
        }
    }

    /// `flush.ms`: brings to disk what has waited long enough.
    fn flush(&self) {
        let now = self.clock.now();
        for replica in self.registry.replicas() {
            if replica.flush_is_due(now) {
                flusher::flush(&replica, Flush::All);
            }
        }
    }
}

#[cfg(test)]
mod tests;
