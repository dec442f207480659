//! Moves of partitions between the directories of `log.dirs` (KIP-113), of which the metadata says where each lies
//! (KIP-858).
//!
//! The log is copied into `<topic>-<partition>.<id>-future` of the other directory while it is served. When little is
//! left, appends are turned away for a moment: the rest is copied and synced, the metadata is told, the copy gets the
//! log's name and the old directory goes. A crash at any point leaves one complete copy, that in the directory which
//! the metadata names; the next start completes the names or removes the copy (`Registry::load`). A move that is under way
//! when the broker stops is forgotten, unlike with Kafka. Kafka: `ReplicaAlterLogDirsThread`,
//! `LogManager.replaceCurrentWithFutureLog`, `AssignmentsManager`.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, ensure};
use parking_lot::{Condvar, Mutex};

use super::graveyard::Doomed;
use super::registry::{FoundOnDisk, Held, Registry};
use super::replica::{PartitionName, Replica};
use super::throttle::Throttle;
use crate::controller::{Answer, Command, TopicImage};
use crate::env::fs;
use crate::log::copy::LogCopy;
use crate::log::dirs;
use crate::log::log::Log;
use crate::log::recovery::OpenError;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{Offset, PartitionIndex, TopicId};

/// Appends wait for the copy of at most so much, unless they come faster than they are copied.
const LITTLE_SIZE: u64 = 1 << 20;
/// Passes after which the rest is copied however much it is.
const MOST_PASSES: usize = 100;
/// Names of directories end here.
const MOST_NAME_LENGTH: usize = 255;

type PartitionKey = (TopicId, PartitionIndex);

/// What is asked for and not done.
#[derive(Default)]
pub struct Moves {
    state: Mutex<MovesState>,
    changed: Condvar,
}

#[derive(Default)]
struct MovesState {
    by_partition: BTreeMap<PartitionKey, Move>,
    /// The move that cannot be called off any more.
    settling: Option<(PartitionKey, usize)>,
    is_stopping: bool,
}

/// Where a partition goes, and how far its copy is.
struct Move {
    name: PartitionName,
    /// Index in `log.dirs`.
    to: usize,
    size_bytes: u64,
    copied_to: Offset,
}

/// A copy of a partition that moves, as DescribeLogDirs tells it.
pub struct FutureReplica {
    pub name: PartitionName,
    pub size_bytes: u64,
    /// Records that are not copied yet.
    pub lag: i64,
}

impl Moves {
    fn ask(&self, name: &PartitionName, to: usize) {
        let key = (name.topic_id, name.partition);
        let mut state = self.state.lock();
        if state.by_partition.get(&key).is_none_or(|known| known.to != to) {
            let name = name.clone();
            state.by_partition.insert(key, Move { name, to, size_bytes: 0, copied_to: Offset::ZERO });
        }
        drop(state);
        self.changed.notify_one();
    }

    fn cancel(&self, key: PartitionKey) {
        self.state.lock().by_partition.remove(&key);
        self.changed.notify_one();
    }

    /// Ends a move, unless another one is asked for.
    fn end(&self, key: PartitionKey, to: usize) {
        let mut state = self.state.lock();
        state.settling = None;
        if state.by_partition.get(&key).is_some_and(|known| known.to == to) {
            state.by_partition.remove(&key);
        }
    }

    /// Takes down how far a copy is; whether it is still wanted.
    fn progress(&self, key: PartitionKey, to: usize, copy: &LogCopy) -> bool {
        let mut state = self.state.lock();
        let is_stopping = state.is_stopping;
        let Some(known) = state.by_partition.get_mut(&key).filter(|known| known.to == to) else {
            return false;
        };
        (known.size_bytes, known.copied_to) = (copy.size_bytes(), copy.copied_to());
        !is_stopping
    }

    /// Waits, unless something changes.
    fn pause(&self, wait_ms: i64) {
        let timeout = Duration::from_millis(wait_ms.max(0) as u64);
        self.changed.wait_for(&mut self.state.lock(), timeout);
    }

    /// Waits for something to move; `None` when the broker stops.
    fn next(&self) -> Option<(PartitionKey, PartitionName, usize)> {
        let mut state = self.state.lock();
        loop {
            if state.is_stopping {
                return None;
            }
            if let Some((key, next)) = state.by_partition.first_key_value() {
                return Some((*key, next.name.clone(), next.to));
            }
            self.changed.wait(&mut state);
        }
    }

    fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.changed.notify_all();
    }

    /// Whether the partition is about to change its files for their copy.
    pub(super) fn is_settling(&self, name: &PartitionName) -> bool {
        let settling = self.state.lock().settling;
        settling.is_some_and(|(key, _)| key == (name.topic_id, name.partition))
    }

    /// The partitions that move into a directory.
    pub(super) fn moving_into(&self, to: usize) -> HashSet<PartitionKey> {
        let state = self.state.lock();
        let asked = state.by_partition.iter().map(|(key, moved)| (*key, moved.to)).chain(state.settling);
        asked.filter(|(_, index)| *index == to).map(|(key, _)| key).collect()
    }
}

/// Has a command decided and applied; blocks until it is.
pub type Propose = Box<dyn Fn(Command) -> Result<Answer, ApiError> + Send>;

/// The thread that moves partitions, one after another. It sleeps while there are none.
pub struct Mover {
    registry: Arc<Registry>,
    thread: JoinHandle<()>,
}

impl Mover {
    /// `max_bytes_per_second` is asked before each move (`replica.alter.log.dirs.io.max.bytes.per.second`).
    pub fn start(
        registry: Arc<Registry>,
        propose: Propose,
        max_bytes_per_second: Box<dyn Fn() -> f64 + Send>,
    ) -> anyhow::Result<Mover> {
        let moving = registry.clone();
        let thread = std::thread::Builder::new()
            .name("mover".into())
            .spawn(move || {
                while let Some((key, name, to)) = moving.moves.next() {
                    if let Err(error) = moving.move_now(&name, to, max_bytes_per_second(), &propose) {
                        tracing::error!(partition = %name, error = format!("{error:#}"), "move a partition");
                    }
                    moving.moves.end(key, to);
                    // The checkpoints name a partition where it lies.
                    moving.write_checkpoints();
                }
            })
            .context("start the thread that moves partitions")?;
        Ok(Mover { registry, thread })
    }

    /// Ends the thread. What is copied only in part stays where it is.
    pub fn stop(self) {
        self.registry.moves.stop();
        self.thread.join().expect("a panic ends the process");
    }
}

/// What came of a partition whose log is about to be opened.
enum Resumed {
    Yes,
    /// Its topic is gone.
    Deleted,
}

impl Registry {
    /// The directory at `path`, by its index, if a partition of this name can be copied to it.
    ///
    /// Errors: INVALID_TOPIC_EXCEPTION for a name too long for the copy's, LOG_DIR_NOT_FOUND.
    pub fn destination(
        &self,
        topic: &str,
        partition: PartitionIndex,
        path: &Path,
    ) -> Result<usize, ErrorCode> {
        let future = self.options.directories[0].future_path(topic, partition, &self.new_suffix());
        if future.file_name().is_some_and(|name| name.len() > MOST_NAME_LENGTH) {
            return Err(ErrorCode::InvalidTopicException);
        }
        let mut directories = self.options.directories.iter();
        directories.position(|directory| directory.path() == path).ok_or(ErrorCode::LogDirNotFound)
    }

    /// AlterReplicaLogDirs: has a partition moved into the directory at `path`. The directory where it lies ends a move
    /// that is under way.
    ///
    /// Errors: those of [`Registry::destination`] and [`Registry::leader`].
    pub fn move_partition(
        &self,
        topic: &TopicImage,
        index: PartitionIndex,
        path: &Path,
    ) -> Result<(), ErrorCode> {
        let to = self.destination(&topic.name, index, path)?;
        let replica = self.leader(topic, index)?;
        if replica.directory_index() == to {
            self.moves.cancel((topic.id, index));
        } else {
            self.moves.ask(replica.name(), to);
        }
        Ok(())
    }

    /// The copies under way, with the index of the directory each goes to.
    pub(super) fn futures(&self) -> Vec<(usize, FutureReplica)> {
        let state = self.moves.state.lock();
        let held = self.held.read();
        let moves = state.by_partition.iter().filter_map(|(key, moved)| {
            let Some(Held::Leading(replica)) = held.get(key) else { return None };
            let lag = (replica.log_end_offset() - moved.copied_to).max(0);
            let future = FutureReplica { name: moved.name.clone(), size_bytes: moved.size_bytes, lag };
            Some((moved.to, future))
        });
        moves.collect()
    }

    /// Moves one partition from beginning to end. Without an error it lies where it shall, or the move was called off.
    fn move_now(
        &self,
        name: &PartitionName,
        to: usize,
        max_bytes_per_second: f64,
        propose: &Propose,
    ) -> anyhow::Result<()> {
        let key = (name.topic_id, name.partition);
        let Some(Held::Leading(replica)) = self.held.read().get(&key).cloned() else { return Ok(()) };
        let from = replica.directory_index();
        if from == to {
            return Ok(());
        }
        let future =
            self.options.directories[to].future_path(&name.topic, name.partition, &self.new_suffix());
        self.remove_older_futures(name, to)?;
        let copy = match self.copy_while_served(&replica, to, max_bytes_per_second, &future) {
            Ok(Some(copy)) => copy,
            Ok(None) => return remove(&future),
            Err(error) => {
                remove(&future)?;
                return Err(error);
            }
        };
        self.moves.state.lock().settling = Some((key, to));
        // A round of the cleaner ends when it sees that: it works on the files that go.
        let _no_round = replica.cleaning.wait_for_end();
        let Some(log) = replica.suspend() else { return remove(&future) };
        let log_start_offset = log.log_start_offset();
        let found = |recovery_point: Offset, clean_shutdown: bool| {
            let cleaned_to = replica.cleaning.cleaned_to();
            FoundOnDisk { log_start_offset, recovery_point, clean_shutdown, cleaned_to }
        };
        let (moved, stayed) = (found(log.log_end_offset(), true), found(log.recovery_point(), false));
        let told =
            self.complete(copy, log, to).map_err(Untold::Known).and_then(|()| self.tell(name, to, propose));
        match told {
            Ok(()) => self.take_place(&replica, (from, to), &future, &moved),
            Err(Untold::Known(error)) => {
                let resumed = self.resume(&replica, from, &stayed, || Ok(()));
                remove(&future)?;
                resumed.and(Err(error))
            }
            // Both copies are whole and stay so: nothing is appended until a start learns which one counts.
            Err(Untold::Unknown(error)) => {
                replica.close();
                Err(error)
            }
        }
    }

    /// A copy that a failed move could not remove must not be taken for this one's.
    fn remove_older_futures(&self, name: &PartitionName, to: usize) -> anyhow::Result<()> {
        for older in self.options.directories[to].futures()? {
            if *older.topic == *name.topic && older.partition == name.partition {
                remove(&older.path)?;
            }
        }
        Ok(())
    }

    /// Copies until little is left; `None` when the move was called off.
    fn copy_while_served(
        &self,
        replica: &Replica,
        to: usize,
        max_bytes_per_second: f64,
        future: &Path,
    ) -> anyhow::Result<Option<LogCopy>> {
        let uptime_ms = || self.options.clock.uptime_ms();
        let mut throttle = Throttle::begin(uptime_ms());
        let key = (replica.name().topic_id, replica.name().partition);
        let mut copy = LogCopy::begin(future.to_owned())?;
        for _ in 0..MOST_PASSES {
            let mut is_wanted = true;
            let copied = copy.catch_up(&replica.view(), &mut |copy, size_bytes| {
                let wait_ms = throttle.wait_ms(size_bytes, max_bytes_per_second, uptime_ms());
                let end = uptime_ms().saturating_add(wait_ms);
                is_wanted = is_wanted && self.moves.progress(key, to, copy);
                while is_wanted && uptime_ms() < end {
                    self.moves.pause(end - uptime_ms());
                    is_wanted = self.moves.progress(key, to, copy);
                }
                is_wanted
            })?;
            if !is_wanted || replica.is_closed() {
                return Ok(None);
            }
            if copied <= LITTLE_SIZE {
                break;
            }
        }
        Ok(Some(copy))
    }

    /// Brings the whole copy to disk, and where its records begin.
    fn complete(&self, copy: LogCopy, log: Log, to: usize) -> anyhow::Result<()> {
        copy.complete(log)?;
        let parent = self.options.directories[to].path();
        fs::sync_directory(parent).with_context(|| format!("sync {}", parent.display()))?;
        self.write_log_starts(to).context("checkpoint the log starts of the other directory")
    }

    /// Has the metadata name the directory.
    fn tell(&self, name: &PartitionName, to: usize, propose: &Propose) -> Result<(), Untold> {
        let command = Command::AssignDirectory {
            topic_id: name.topic_id,
            partition: name.partition,
            broker_id: self.options.me,
            directory: self.options.directories[to].id(),
        };
        match propose(command) {
            Ok(_) => Ok(()),
            Err(refusal) => {
                let is_known = refusal.code != ErrorCode::RequestTimedOut;
                let error = anyhow::anyhow!("tell the metadata where the partition lies: {refusal:?}");
                Err(if is_known { Untold::Known(error) } else { Untold::Unknown(error) })
            }
        }
    }

    /// The metadata names `to`: the copy becomes the log, and what lies in `from` goes.
    fn take_place(
        &self,
        replica: &Replica,
        (from, to): (usize, usize),
        future: &Path,
        found: &FoundOnDisk,
    ) -> anyhow::Result<()> {
        let (name, old_view) = (replica.name(), replica.view());
        let path_in =
            |index: usize| self.options.directories[index].partition_path(&name.topic, name.partition);
        let resumed = self.resume(replica, to, found, || {
            fs::rename(future, &path_in(to)).context("give the copy its name")?;
            fs::sync_directory(self.options.directories[to].path()).context("sync a log directory")
        });
        let resumed = resumed?;
        let old = path_in(from);
        // A new topic of the same name may lie there, if this one was deleted meanwhile.
        if dirs::topic_id_of(&old)? == Some(name.topic_id) {
            old_view.set_deleted();
            let removed = self.doom(&old, replica.config().file_delete_delay_ms)?;
            self.graveyard.add(Doomed::Directory(removed));
            self.options.signal.raise();
        }
        match resumed {
            Resumed::Yes => {
                tracing::info!(partition = %name, directory = %path_in(to).display(), "moved a partition");
                Ok(())
            }
            Resumed::Deleted => remove(future),
        }
    }

    /// Opens the log in a directory, where `place` puts it, and lets the replica go on. After an error the partition is
    /// offline, and no file of it went.
    fn resume(
        &self,
        replica: &Replica,
        directory_index: usize,
        found: &FoundOnDisk,
        place: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Resumed> {
        self.resume_with_log(replica, directory_index, found, place).inspect_err(|_| drop(replica.close()))
    }

    fn resume_with_log(
        &self,
        replica: &Replica,
        directory_index: usize,
        found: &FoundOnDisk,
        place: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Resumed> {
        let name = replica.name();
        // A topic that is deleted gives up its entry before its names: as long as the lock is held, they are ours.
        let held = self.held.write();
        let known = held.get(&(name.topic_id, name.partition));
        if !matches!(known, Some(Held::Leading(held)) if std::ptr::eq(&**held, replica)) {
            return Ok(Resumed::Deleted);
        }
        ensure!(!replica.is_closed(), "the partition went offline while it moved");
        place()?;
        let log = self.open_log(name, replica.config().clone(), directory_index, found);
        let log = log.map_err(|error| match error {
            OpenError::Corrupt { path, position, reason } => {
                anyhow::anyhow!("{} is corrupt at {position}: {reason}", path.display())
            }
            OpenError::Io(error) => error.context(format!("open the log of {name}")),
        })?;
        ensure!(replica.resume(log, directory_index), "the partition went offline while it moved");
        drop(held);
        replica.announce();
        Ok(Resumed::Yes)
    }
}

/// Why the metadata may not name the directory.
enum Untold {
    /// It does not.
    Known(anyhow::Error),
    /// Nobody knows whether it does, or will.
    Unknown(anyhow::Error),
}

fn remove(future: &Path) -> anyhow::Result<()> {
    fs::remove_directory(future).with_context(|| format!("remove {}", future.display()))
}

#[cfg(test)]
mod tests;
