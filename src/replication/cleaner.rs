//! Compacts the logs with `cleanup.policy=compact`: one thread that takes the dirtiest log, cleans it, and begins again until
//! none is worth it; then it sleeps for `log.cleaner.backoff.ms`, and for good while nothing is compacted.
//!
//! What stays of a log is decided in `log/compaction/`; here is when, how fast, and what is remembered of it. A log with bytes
//! that cannot be read is left alone until the next start; after an error of the disk, which may pass, a log has to wait ever
//! longer. Kafka, which gives up a log at the first error of any kind: `LogCleaner`, `LogCleanerManager`.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use parking_lot::{Mutex, MutexGuard};

use super::chores::Signal;
use super::graveyard::Doomed;
use super::registry::Registry;
use super::replica::Replica;
use super::throttle::Throttle;
use crate::env::clock::Clock;
use crate::env::fs;
use crate::log::compaction::{CompactionError, Dirt, MapLimits, Options, Round, Swapped};
use crate::protocol::ids::Offset;

/// The keys that count, read anew before each round.
#[derive(Clone, Copy, Debug)]
pub struct CleanerSettings {
    /// `log.cleaner.backoff.ms`
    pub backoff_ms: i64,
    /// `log.cleaner.io.max.bytes.per.second`
    pub max_bytes_per_second: f64,
    /// `log.cleaner.dedupe.buffer.size` and `log.cleaner.io.buffer.load.factor`
    pub map: MapLimits,
}

/// Waiting time after the first error of the disk; it doubles with each in a row.
const LEAST_RETRY_MS: i64 = 15_000;
const MOST_RETRY_MS: i64 = 600_000;

/// Tells the settings in force.
pub type ReadSettings = Box<dyn Fn() -> CleanerSettings + Send>;

/// What the cleaner remembers of a partition.
#[derive(Debug)]
pub struct Cleaning {
    /// Where the last round ended; -1 before the first.
    cleaned_to: AtomicI64,
    is_uncleanable: AtomicBool,
    /// Rounds in a row that the disk has ended.
    failure_count: AtomicU32,
    /// No round begins before this uptime.
    retry_at_ms: AtomicI64,
    /// Held by a round, and by whoever exchanges the files that a round works on.
    files: Mutex<()>,
}

impl Default for Cleaning {
    fn default() -> Cleaning {
        Cleaning {
            cleaned_to: AtomicI64::new(-1),
            is_uncleanable: AtomicBool::new(false),
            failure_count: AtomicU32::new(0),
            retry_at_ms: AtomicI64::new(i64::MIN),
            files: Mutex::new(()),
        }
    }
}

impl Cleaning {
    /// Everything below was cleaned once; `None` before the first round.
    pub fn cleaned_to(&self) -> Option<Offset> {
        let offset = self.cleaned_to.load(Ordering::Relaxed);
        (offset >= 0).then_some(Offset(offset))
    }

    pub(super) fn set_cleaned_to(&self, offset: Offset) {
        self.cleaned_to.store(offset.0, Ordering::Relaxed);
    }

    /// Waits until no round is under way; none begins as long as the guard lives.
    pub(super) fn wait_for_end(&self) -> MutexGuard<'_, ()> {
        self.files.lock()
    }

    /// The disk has ended a round; answers how long the next one has to wait.
    fn put_off(&self, uptime_ms: i64) -> i64 {
        let failure_count = self.failure_count.fetch_add(1, Ordering::Relaxed);
        let wait_ms = LEAST_RETRY_MS.saturating_mul(1 << failure_count.min(16)).min(MOST_RETRY_MS);
        self.retry_at_ms.store(uptime_ms.saturating_add(wait_ms), Ordering::Relaxed);
        wait_ms
    }

    /// A round has come to its end.
    fn has_succeeded(&self) {
        self.failure_count.store(0, Ordering::Relaxed);
    }

    fn is_put_off(&self, uptime_ms: i64) -> bool {
        uptime_ms < self.retry_at_ms.load(Ordering::Relaxed)
    }

    /// Bytes of the log cannot be read; there will be no other round before the next start.
    pub fn is_uncleanable(&self) -> bool {
        self.is_uncleanable.load(Ordering::Relaxed)
    }
}

/// What all rounds since the start have done.
#[derive(Debug, Default)]
pub struct CleanerTotals {
    pub rounds: AtomicU64,
    pub read_bytes: AtomicU64,
    pub written_bytes: AtomicU64,
    /// Of the dirtiest log at the last look, in percent.
    pub max_dirty_percent: AtomicU64,
}

/// The running thread.
pub struct Cleaner {
    signal: Arc<Signal>,
    thread: JoinHandle<()>,
}

impl Cleaner {
    /// `signal` is the one that `registry` raises when a log is to be compacted that was not before.
    pub fn start(
        registry: Arc<Registry>,
        signal: Arc<Signal>,
        clock: Clock,
        settings: ReadSettings,
    ) -> anyhow::Result<Cleaner> {
        let heard = signal.clone();
        let thread = std::thread::Builder::new()
            .name("cleaner".into())
            .spawn(move || Work { registry: &registry, clock: &clock, signal: &heard, settings }.run())
            .context("start the thread of the cleaner")?;
        Ok(Cleaner { signal, thread })
    }

    /// Ends the thread in the middle of a round, which leaves the log as it was.
    pub fn stop(self) {
        self.signal.stop();
        self.thread.join().expect("a panic ends the process");
    }
}

impl Registry {
    /// What the cleaner has done since the start.
    pub fn cleaned(&self) -> &CleanerTotals {
        &self.cleaned
    }

    /// For each directory, how many partitions the cleaner has given up, and their bytes. Kafka counts as bytes what a
    /// round could win.
    pub fn uncleanable(&self) -> Vec<(String, usize, u64)> {
        let directories = self.options.directories.iter();
        let mut found: Vec<(String, usize, u64)> =
            directories.map(|directory| (directory.path().display().to_string(), 0, 0)).collect();
        for replica in self.replicas().iter().filter(|replica| replica.cleaning.is_uncleanable()) {
            let (_, partition_count, size_bytes) = &mut found[replica.directory_index()];
            *partition_count += 1;
            *size_bytes += replica.size_bytes();
        }
        found
    }
}

struct Work<'a> {
    registry: &'a Registry,
    clock: &'a Clock,
    signal: &'a Signal,
    settings: ReadSettings,
}

impl Work<'_> {
    fn run(self) {
        let mut due_at = self.clock.uptime_ms();
        loop {
            let left_ms = due_at.saturating_sub(self.clock.uptime_ms()).max(0);
            let timeout = self.has_work().then(|| Duration::from_millis(left_ms as u64));
            if !self.signal.wait(timeout) {
                return;
            }
            if self.clock.uptime_ms() >= due_at && self.has_work() {
                self.clean_all();
                // A pause of no length would keep a core busy with looking.
                due_at = self.clock.uptime_ms().saturating_add((self.settings)().backoff_ms.max(1));
            }
        }
    }

    fn has_work(&self) -> bool {
        self.registry.replicas().iter().any(|replica| is_candidate(replica))
    }

    /// Cleans until no log is worth it.
    fn clean_all(&self) {
        // A round that got nowhere is tried again after the pause.
        let mut tried = HashSet::new();
        while !self.signal.is_stopping()
            && let Some((replica, dirt)) = self.dirtiest(&tried)
        {
            if !self.clean(&replica, dirt) {
                tried.insert(replica.name().clone());
            }
        }
        let compacted = self.registry.replicas().into_iter().filter(|replica| is_candidate(replica));
        compacted.for_each(|replica| self.registry.apply_retention_to(&replica));
    }

    /// The log with the largest share of dirty bytes, of those that are due (`grabFilthiestCompactedLog`).
    fn dirtiest(&self, tried: &HashSet<super::replica::PartitionName>) -> Option<(Arc<Replica>, Dirt)> {
        let (now, uptime_ms) = (self.clock.now(), self.clock.uptime_ms());
        let mut max_ratio = 0.0f64;
        let mut dirtiest: Option<(Arc<Replica>, Dirt)> = None;
        for replica in self.registry.replicas() {
            let is_put_off = tried.contains(replica.name()) || replica.cleaning.is_put_off(uptime_ms);
            if is_put_off || !is_candidate(&replica) {
                continue;
            }
            let Some(files) = replica.cleaning.files.try_lock() else { continue };
            let looked = replica.dirt(now);
            drop(files);
            let dirt = match looked {
                Ok(dirt) => dirt,
                Err(error) => {
                    self.take_failure(&replica, error.into());
                    continue;
                }
            };
            max_ratio = max_ratio.max(dirt.ratio());
            let is_dirtier = dirtiest.as_ref().is_none_or(|(_, other)| dirt.ratio() > other.ratio());
            if dirt.is_due(&replica.config()) && is_dirtier {
                dirtiest = Some((replica, dirt));
            }
        }
        self.registry.cleaned.max_dirty_percent.store((100.0 * max_ratio) as u64, Ordering::Relaxed);
        dirtiest
    }

    /// Runs a round; whether it got further than the last one.
    fn clean(&self, replica: &Arc<Replica>, dirt: Dirt) -> bool {
        // A partition that changes its directory is cleaned afterwards.
        let Some(_files) = replica.cleaning.files.try_lock() else { return false };
        match self.run_round(replica, dirt) {
            Ok(end_offset) => {
                replica.cleaning.set_cleaned_to(end_offset);
                replica.cleaning.has_succeeded();
                self.registry.write_cleaner_offsets(replica.directory_index());
                end_offset > dirt.first_dirty_offset
            }
            Err(error) => {
                self.take_failure(replica, error);
                false
            }
        }
    }

    fn take_failure(&self, replica: &Replica, error: CompactionError) {
        // A deleted partition takes its files from under a round.
        if replica.is_closed() {
            return;
        }
        match error {
            CompactionError::Stopped => {}
            CompactionError::Failed(error) if is_exhaustion(&error) => {
                tracing::warn!(partition = %replica.name(), error = format!("{error:#}"), "no room for compaction");
            }
            CompactionError::Failed(error) => {
                let retry_in_ms = replica.cleaning.put_off(self.clock.uptime_ms());
                tracing::warn!(partition = %replica.name(), error = format!("{error:#}"), retry_in_ms, "compaction failed");
            }
            CompactionError::Corrupt(error) => {
                replica.cleaning.is_uncleanable.store(true, Ordering::Relaxed);
                tracing::error!(partition = %replica.name(), error = format!("{error:#}"), "the log cannot be compacted and stays as it is");
            }
        }
    }

    /// Where the next round begins.
    fn run_round(&self, replica: &Arc<Replica>, dirt: Dirt) -> Result<Offset, CompactionError> {
        let source = replica.with_log(|log, _| log.compaction_source()).ok_or(CompactionError::Stopped)?;
        let settings = (self.settings)();
        let seeds = [self.registry.rng.uuid().as_u128(), self.registry.rng.uuid().as_u128()];
        let options = Options { map: settings.map, seeds, now: self.clock.now() };
        let mut throttle = Throttle::begin(self.clock.uptime_ms());
        let mut pace = |size_bytes: u64| {
            let wait_ms = throttle.wait_ms(size_bytes, settings.max_bytes_per_second, self.clock.uptime_ms());
            self.pause(wait_ms);
            let moves = self.registry.moves.is_settling(replica.name());
            match moves || self.signal.is_stopping() || replica.is_closed() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let mut round = Round::begin(source, dirt, options, &mut pace)?;
        while let Some(group) = round.next_group()? {
            let swapped = replica.with_log(|log, _| log.swap_in(&group, self.clock.now()));
            match swapped {
                Some(Ok(Swapped::Done(removed))) => {
                    removed.into_iter().for_each(|segment| self.registry.bury(Doomed::Segment(segment)));
                    group.sync().map_err(CompactionError::Failed)?;
                }
                Some(Err(error)) => {
                    tracing::error!(partition = %replica.name(), error = format!("{error:#}"), "a compacted segment is half in its place, the partition goes offline");
                    replica.close();
                    return Err(CompactionError::Stopped);
                }
                Some(Ok(Swapped::NotReady(error))) => return Err(CompactionError::Failed(error)),
                Some(Ok(Swapped::LogHasChanged)) | None => {
                    group.discard().map_err(CompactionError::Failed)?;
                    return Err(CompactionError::Stopped);
                }
            }
        }
        let (end_offset, stats) = (round.end_offset(), round.stats());
        let totals = &self.registry.cleaned;
        totals.rounds.fetch_add(1, Ordering::Relaxed);
        totals.read_bytes.fetch_add(stats.read_bytes, Ordering::Relaxed);
        totals.written_bytes.fetch_add(stats.written_bytes, Ordering::Relaxed);
        tracing::info!(
            partition = %replica.name(), from = %dirt.first_dirty_offset, to = %end_offset,
            read_bytes = stats.read_bytes, written_bytes = stats.written_bytes, "cleaned a log"
        );
        Ok(end_offset)
    }

    /// Waits out the throttle, unless the broker stops.
    fn pause(&self, wait_ms: i64) {
        let end = self.clock.uptime_ms().saturating_add(wait_ms);
        loop {
            let left_ms = end.saturating_sub(self.clock.uptime_ms());
            if left_ms <= 0 || !self.signal.wait(Some(Duration::from_millis(left_ms as u64))) {
                return;
            }
        }
    }
}

fn is_candidate(replica: &Replica) -> bool {
    replica.config().cleanup_compact && !replica.cleaning.is_uncleanable() && !replica.is_closed()
}

/// Room may come back.
fn is_exhaustion(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(fs::is_exhaustion))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_disk_put_rounds_off_ever_longer_and_not_for_ever() {
        let cleaning = Cleaning::default();
        assert!(!cleaning.is_put_off(0));
        let waits: Vec<i64> = (0..40).map(|_| cleaning.put_off(1000)).collect();
        assert_eq!(waits[..4], [15_000, 30_000, 60_000, 120_000]);
        assert_eq!(waits[39], MOST_RETRY_MS);
        assert!(cleaning.is_put_off(1000 + MOST_RETRY_MS - 1));
        assert!(!cleaning.is_put_off(1000 + MOST_RETRY_MS));
        assert!(!cleaning.is_uncleanable());
        cleaning.has_succeeded();
        assert_eq!(cleaning.put_off(0), LEAST_RETRY_MS);
    }
}
