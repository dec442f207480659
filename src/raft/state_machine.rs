//! openraft's state machine: replays committed entries into the cluster's image, publishes each new image, and
//! takes snapshots. The image lives in memory; a restart loads the newest snapshot and replays what follows.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use futures_util::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;
use tracing::info;

use crate::controller::ClusterImage;
use crate::env::clock::Clock;
use crate::protocol::ids::Offset;
use crate::raft::checkpoint::{self, Checkpoint};
use crate::raft::types::{Entry, LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, log_id};

/// Told of each change: the image before and the one after.
pub type OnImage = Box<dyn Fn(&Arc<ClusterImage>, &Arc<ClusterImage>) + Send>;

/// What the state machine shares with those who read the image.
pub struct Published {
    image: ArcSwap<ClusterImage>,
    on_image: Mutex<OnImage>,
    /// While a start replays the log, nobody is told; then of all at once.
    is_recovered: AtomicBool,
    /// Records replayed since the last snapshot.
    records_since_snapshot: AtomicU64,
}

impl Published {
    pub fn new(image: ClusterImage, on_image: OnImage) -> Published {
        Published {
            image: ArcSwap::from_pointee(image),
            on_image: Mutex::new(on_image),
            is_recovered: AtomicBool::new(false),
            records_since_snapshot: AtomicU64::new(0),
        }
    }

    pub fn image(&self) -> Arc<ClusterImage> {
        self.image.load_full()
    }

    pub fn records_since_snapshot(&self) -> u64 {
        self.records_since_snapshot.load(Ordering::Relaxed)
    }

    /// The start is over: tells of everything that was replayed.
    pub fn recovered(&self) {
        let image = self.image();
        let nothing = Arc::new(ClusterImage::new(image.cluster_id.clone()));
        self.is_recovered.store(true, Ordering::Release);
        (self.on_image.lock())(&nothing, &image);
    }

    fn publish(&self, image: &ClusterImage) {
        let image = Arc::new(image.clone());
        let before = self.image.swap(image.clone());
        if self.is_recovered.load(Ordering::Acquire) {
            (self.on_image.lock())(&before, &image);
        }
    }
}

/// What one entry leaves behind, apart from the published image.
#[derive(Clone)]
struct State {
    image: ClusterImage,
    applied: Option<LogId>,
    membership: StoredMembership,
}

pub struct StateMachine {
    state: State,
    published: Arc<Published>,
    directory: PathBuf,
    clock: Clock,
}

impl StateMachine {
    /// Begins with nothing; openraft installs the newest snapshot and replays the log.
    pub fn new(published: Arc<Published>, directory: PathBuf, clock: Clock) -> StateMachine {
        let image = ClusterImage::clone(&published.image());
        let state = State { image, applied: None, membership: StoredMembership::default() };
        StateMachine { state, published, directory, clock }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Checkpoint;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.state.applied, self.state.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut responders = Vec::new();
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            self.state.replay(&entry).map_err(io::Error::other)?;
            if let EntryPayload::Normal(records) = &entry.payload {
                self.published.records_since_snapshot.fetch_add(records.0.len() as u64, Ordering::Relaxed);
            }
            responders.extend(responder);
        }
        // Whoever gets an answer finds the image that it speaks of.
        self.published.publish(&self.state.image);
        for responder in responders {
            responder.send(());
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        self.published.records_since_snapshot.store(0, Ordering::Relaxed);
        SnapshotBuilder {
            state: self.state.clone(),
            directory: self.directory.clone(),
            now_from: self.clock.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Checkpoint) -> Result<(), io::Error> {
        let snapshot = checkpoint::adopt(&self.directory, &snapshot).map_err(|error| failed(&error))?;
        let image =
            checkpoint::read(&snapshot, &self.state.image.cluster_id).map_err(|error| failed(&error))?;
        self.state = State { image, applied: meta.last_log_id, membership: meta.last_membership.clone() };
        self.published.publish(&self.state.image);
        info!(path = %snapshot.path.display(), "loaded the metadata snapshot");
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let Some(newest) = checkpoint::newest(&self.directory).map_err(|error| failed(&error))? else {
            return Ok(None);
        };
        let meta = checkpoint::read_meta(&newest).map_err(|error| failed(&error))?;
        Ok(Some(Snapshot { meta, snapshot: newest }))
    }
}

impl State {
    fn replay(&mut self, entry: &Entry) -> anyhow::Result<()> {
        let log_id = entry.log_id();
        let at = Offset(log_id.index as i64);
        match &entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Normal(records) => {
                records.0.iter().try_for_each(|record| self.image.replay(record, at))?;
            }
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership.clone());
            }
        }
        self.image.applied = at;
        self.applied = Some(log_id);
        Ok(())
    }
}

/// Writes the snapshot of the state as it was when the builder was made.
pub struct SnapshotBuilder {
    state: State,
    directory: PathBuf,
    now_from: Clock,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = Checkpoint;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let State { image, applied, membership } = self.state.clone();
        let meta = SnapshotMeta { last_log_id: applied, last_membership: membership };
        if applied.is_none() {
            // Nothing has happened, and nothing needs a file.
            return Ok(Snapshot {
                meta,
                snapshot: Checkpoint { path: self.directory.clone(), last: log_id(0, 0) },
            });
        }
        let directory = self.directory.clone();
        let now = self.now_from.now();
        // Encoding and fsync take longer than the control runtime may be held.
        let written = tokio::task::spawn_blocking(move || {
            checkpoint::write(&directory, &meta, &image, now).map(|checkpoint| (meta, checkpoint))
        });
        let (meta, snapshot) = written.await.map_err(io::Error::other)?.map_err(|error| failed(&error))?;
        info!(path = %snapshot.path.display(), "wrote a metadata snapshot");
        Ok(Snapshot { meta, snapshot })
    }
}

fn failed(error: &anyhow::Error) -> io::Error {
    io::Error::other(format!("{error:#}"))
}
