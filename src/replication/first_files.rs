//! Group commit of the files that partitions get with their first append.
//!
//! Their names have to be on disk before an append is answered, and a worker cannot wait for a disk. Whoever is about to
//! append to partitions without files waits here, for a turn on the blocking pool that makes the files of all who wait;
//! who comes during a turn shares the next one. An append that does not come by here makes its files itself. There is at
//! most one request of each connection in the line.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::replica::Replica;
use crate::env::clock::Clock;
use crate::env::fs;
use crate::log::append::AppendError;
use crate::log::first::NewFiles;

/// With more partitions than these the file system is synced as a whole; before, files and directories one by one. That
/// does not wait for what others have written.
const MOST_SYNCED_ALONE: usize = 4;
/// Partitions made at once: each holds two descriptors until it is on disk.
const MOST_AT_ONCE: usize = 256;

/// Partitions that wait for their files; clones share them.
#[derive(Clone, Default)]
pub struct FirstFiles(Arc<Mutex<Line>>);

#[derive(Default)]
struct Line {
    waiting: Vec<Request>,
    has_turn: bool,
}

/// Partitions, and who waits for them.
struct Request {
    replicas: Vec<Arc<Replica>>,
    _done: oneshot::Sender<()>,
}

impl FirstFiles {
    /// Until everything has been done to give the partitions files. Where that failed the next append tries again, and tells.
    pub async fn make(&self, replicas: Vec<Arc<Replica>>, clock: &Clock) {
        let (sender, done) = oneshot::channel();
        let begins = {
            let mut line = self.0.lock();
            line.waiting.push(Request { replicas, _done: sender });
            !std::mem::replace(&mut line.has_turn, true)
        };
        if begins {
            let (turn, clock) = (Turn(Some(self.0.clone())), clock.clone());
            tokio::task::spawn_blocking(move || turn.run(&clock));
        }
        // The end of the sender is the answer.
        done.await.ok();
    }
}

/// The right to make files. One that is dropped unused, with a pool that is shut down, lets go who waits.
struct Turn(Option<Arc<Mutex<Line>>>);

impl Turn {
    fn run(mut self, clock: &Clock) {
        let line = self.0.take().expect("a turn runs once");
        loop {
            let requests = {
                let mut line = line.lock();
                // Under the lock, so that who comes next begins a turn.
                line.has_turn = !line.waiting.is_empty();
                if !line.has_turn {
                    return;
                }
                std::mem::take(&mut line.waiting)
            };
            let replicas: Vec<&Arc<Replica>> =
                requests.iter().flat_map(|request| &request.replicas).collect();
            replicas.chunks(MOST_AT_ONCE).for_each(|group| make_files(group, clock));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(line) = &self.0 {
            *line.lock() = Line::default();
        }
    }
}

/// Gives each partition files, all of them on disk when this returns.
fn make_files(replicas: &[&Arc<Replica>], clock: &Clock) {
    let mut made: Vec<(&Arc<Replica>, NewFiles)> = Vec::with_capacity(replicas.len());
    for replica in replicas {
        match replica.with_log(|log, _| log.prepare_files()) {
            Some(Ok(Some(files))) => made.push((replica, files)),
            Some(Ok(None)) => replica.set_has_files(),
            Some(Err(AppendError::Refused(_) | AppendError::NoSpace(_) | AppendError::Failed(_))) | None => {}
        }
    }
    let synced = sync(&made);
    for ((replica, files), synced) in made.iter().zip(synced) {
        match synced {
            Ok(()) => {
                let now = clock.now();
                replica.with_log(|log, _| log.use_files(files, now));
                replica.set_has_files();
            }
            Err(error) => {
                replica.with_log(|log, _| log.abandon_files(files));
                // Files that moved away or were deleted are nobody's failure.
                if !fs::is_exhaustion(&error) && error.kind() != std::io::ErrorKind::NotFound {
                    tracing::error!(partition = %replica.name(), %error, "the first files cannot be brought to disk, the partition goes offline");
                    replica.close();
                }
            }
        }
    }
}

/// Brings new files to disk; one answer for each partition.
fn sync(made: &[(&Arc<Replica>, NewFiles)]) -> Vec<std::io::Result<()>> {
    if made.len() <= MOST_SYNCED_ALONE {
        return made.iter().map(|(_, files)| files.sync()).collect();
    }
    let mut parents: Vec<&Path> = made.iter().filter_map(|(_, files)| files.parent()).collect();
    parents.sort_unstable();
    parents.dedup();
    let synced: Vec<(&Path, std::io::Result<()>)> =
        parents.into_iter().map(|parent| (parent, fs::sync_file_system(parent))).collect();
    let answer = |files: &NewFiles| match synced.iter().find(|(parent, _)| Some(*parent) == files.parent()) {
        Some((_, Ok(()))) => Ok(()),
        // The failure may be that of others' files; these tell of their own.
        Some((_, Err(_))) | None => files.sync(),
    };
    made.iter().map(|(_, files)| answer(files)).collect()
}
