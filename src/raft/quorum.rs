//! The handle to the metadata quorum: propose a command, read the image, see who leads. It is cheap to clone
//! and may be used from any thread; raft itself runs on the runtime that [`Quorum::start`] was called on.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Config, Raft, RaftMetrics, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use crate::controller::{Answer, ClusterImage, Command, SupportedFeature};
use crate::env::clock::Clock;
use crate::env::rng::Rng;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset};
use crate::raft::checkpoint;
use crate::raft::log_store::LogStore;
use crate::raft::metadata_log::{MetadataLog, Recovered, last_membership};
use crate::raft::network::Network;
use crate::raft::proposer::{InForceNow, Proposal, Proposer, Rules};
use crate::raft::state_machine::{OnImage, Published, StateMachine};
use crate::raft::types::{Membership, TypeConfig};

/// Commands that wait to be decided; whoever sends one more waits.
const MAX_WAITING_COMMAND_COUNT: usize = 1024;
/// A single member leads within milliseconds; a disk may be slow.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// What a quorum is started with.
pub struct Options {
    pub node_id: BrokerId,
    /// `<metadata.log.dir>/__cluster_metadata-0`; need not exist.
    pub directory: PathBuf,
    pub cluster_id: String,
    pub configs: InForceNow,
    pub default_partition_count: i32,
    pub default_replication_factor: i16,
    /// What this node can run.
    pub supported_features: Vec<SupportedFeature>,
    pub segment_size_bytes: u32,
    /// Records after which a snapshot is taken.
    pub snapshot_record_count: u64,
    /// Entries that stay in the log although a snapshot holds them.
    pub kept_entry_count: u64,
    pub clock: Clock,
    pub rng: Arc<Rng>,
    /// Called after each swap of the image and before the command is answered; at the start once, with the empty
    /// image and the recovered one.
    pub on_image: OnImage,
    /// The metadata log cannot be written or does not make sense: the process must end.
    pub on_fatal: Box<dyn Fn(&anyhow::Error) + Send>,
}

/// Handle to the metadata quorum.
#[derive(Clone)]
pub struct Quorum {
    shared: Arc<Shared>,
}

struct Shared {
    raft: Raft<TypeConfig, StateMachine>,
    published: Arc<Published>,
    commands: mpsc::Sender<Proposal>,
    log_store: LogStore,
    running: Mutex<Option<Running>>,
}

/// What a stop has to end.
struct Running {
    raft_io: JoinHandle<()>,
    proposer: tokio::task::JoinHandle<()>,
    watchdog: tokio::task::JoinHandle<()>,
}

/// The state of the quorum (DescribeQuorum, KIP-595).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumStatus {
    /// [`BrokerId::NONE`] while nobody leads.
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    /// Offset after the last committed entry.
    pub high_watermark: Offset,
    pub voters: Vec<MemberStatus>,
    pub observers: Vec<MemberStatus>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    pub id: BrokerId,
    /// [`Offset::NONE`] when it is not known.
    pub log_end_offset: Offset,
}

impl Quorum {
    /// Opens or founds the quorum, and returns when everything in its log is applied. Must be called on the runtime
    /// that shall run raft.
    pub async fn start(options: Options) -> anyhow::Result<Quorum> {
        let directory = options.directory.clone();
        let (mut log, mut recovered) =
            MetadataLog::open(&directory, options.segment_size_bytes, options.clock.clone())?;
        let is_new = recovered.is_new();
        if is_new {
            ensure!(
                checkpoint::newest(&directory)?.is_none(),
                "{} has a snapshot and no quorum-state",
                directory.display()
            );
            recovered = log.found(options.node_id).context("found the metadata quorum")?;
        }
        let is_alone = is_new || is_only_member(&options, &recovered)?;
        if is_alone {
            // What the only voter has written is committed.
            recovered.committed = recovered.last;
        }
        // A crash between the vote of a term and the term's first entry leaves a leader that cannot commit anything:
        // it must be elected anew.
        let has_begun_term = match (&recovered.state.vote, &recovered.last) {
            (Some(vote), Some(last)) => vote.leader_id().term == last.leader_id.term,
            (Some(_) | None, _) => false,
        };
        let (log_store, raft_io) = LogStore::start(log, recovered)?;
        let image = ClusterImage::new(options.cluster_id.as_str().into());
        let published = Arc::new(Published::new(image, options.on_image));
        let state_machine = StateMachine::new(published.clone(), directory, options.clock.clone());
        let config = config(options.kept_entry_count, is_alone, has_begun_term)?;
        let raft = Raft::new(options.node_id, config, Network, log_store.clone(), state_machine).await;
        let raft = raft.context("start raft")?;
        if is_alone && raft.metrics().borrow_watched().state != ServerState::Leader {
            raft.trigger().elect(false).await.context("elect the only controller")?;
        }
        raft.wait_for_recovery(Some(RECOVERY_TIMEOUT)).await.context("recover the metadata log")?;
        published.recovered();
        info!(applied = %published.image().applied, is_new, "the metadata log is recovered");

        let (commands, waiting) = mpsc::channel(MAX_WAITING_COMMAND_COUNT);
        let proposer = Proposer {
            raft: raft.clone(),
            published: published.clone(),
            waiting,
            rules: Rules {
                configs: options.configs,
                default_partition_count: options.default_partition_count,
                default_replication_factor: options.default_replication_factor,
                supported_features: options.supported_features,
                rng: options.rng,
            },
            snapshot_record_count: options.snapshot_record_count,
        };
        let proposer = tokio::spawn(proposer.run());
        let watchdog = tokio::spawn(watch(raft.clone(), options.on_fatal));
        let running = Mutex::new(Some(Running { raft_io, proposer, watchdog }));
        Ok(Quorum { shared: Arc::new(Shared { raft, published, commands, log_store, running }) })
    }

    /// Decides and writes a command; answers when it is applied on this node. NOT_CONTROLLER when nothing was
    /// written, REQUEST_TIMED_OUT when that is not known.
    pub async fn propose(&self, command: Command) -> Result<Answer, ApiError> {
        let (answer, answered) = oneshot::channel();
        let proposal = Proposal { command, answer };
        if self.shared.commands.send(proposal).await.is_err() {
            return Err(ApiError::new(ErrorCode::NotController, "The controller is shutting down."));
        }
        answered.await.unwrap_or_else(|_| Err(ErrorCode::RequestTimedOut.into()))
    }

    /// The state of the cluster as this node knows it.
    pub fn image(&self) -> Arc<ClusterImage> {
        self.shared.published.image()
    }

    /// Who leads, and in which term.
    pub fn leader(&self) -> Option<(BrokerId, LeaderEpoch)> {
        let metrics = self.shared.raft.metrics();
        let seen = metrics.borrow_watched();
        Some((seen.current_leader?, LeaderEpoch(seen.current_term as i32)))
    }

    pub fn describe(&self) -> QuorumStatus {
        let metrics = self.shared.raft.metrics();
        status(&metrics.borrow_watched())
    }

    /// Takes a snapshot of the image; returns before it is written.
    pub async fn take_snapshot(&self) -> anyhow::Result<()> {
        self.shared.raft.trigger().snapshot().await.context("take a metadata snapshot")
    }

    /// Stops raft and completes the log's files. Commands that wait are refused.
    pub async fn shutdown(&self) -> anyhow::Result<()> {
        let Some(running) = self.shared.running.lock().take() else { return Ok(()) };
        running.watchdog.abort();
        running.proposer.abort();
        self.shared.raft.shutdown().await.context("stop raft")?;
        self.shared.log_store.close().await.context("close the metadata log")?;
        let joined = tokio::task::spawn_blocking(move || running.raft_io.join()).await;
        joined.context("join the raft-io thread")?.map_err(|_| anyhow!("the raft-io thread panicked"))
    }
}

/// Reports why raft stopped by itself.
async fn watch(raft: Raft<TypeConfig, StateMachine>, on_fatal: Box<dyn Fn(&anyhow::Error) + Send>) {
    let mut metrics = raft.metrics();
    loop {
        let failure = metrics.borrow_watched().running_state.clone().err();
        if let Some(failure) = failure {
            let failure = anyhow!("the metadata log has failed: {failure}");
            error!(error = %failure, "raft stopped");
            return on_fatal(&failure);
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// Is this node the only member, as its snapshot and its log tell?
fn is_only_member(options: &Options, recovered: &Recovered) -> anyhow::Result<bool> {
    let mut membership = Membership::default();
    let mut next = recovered.view.log_start_offset();
    let newest = checkpoint::newest(&options.directory)?;
    ensure!(
        newest.as_ref().map(|newest| newest.last) >= recovered.state.purged,
        "the entries up to {:?} are in no snapshot in {}",
        recovered.state.purged.map(|purged| purged.index),
        options.directory.display()
    );
    if let Some(newest) = newest {
        membership = checkpoint::read_meta(&newest)?.last_membership.membership().clone();
        next = next.max(Offset(newest.last.index as i64 + 1));
    }
    if let Some(changed) = last_membership(&recovered.view, next)? {
        membership = changed;
    }
    ensure!(
        membership.nodes().next().is_some(),
        "{} holds a quorum-state, and no log that it belongs to",
        options.directory.display()
    );
    Ok(membership.nodes().map(|(id, _)| *id).eq([options.node_id]))
}

fn config(kept_entry_count: u64, is_alone: bool, has_begun_term: bool) -> anyhow::Result<Arc<Config>> {
    let config = Config {
        cluster_name: "__cluster_metadata".to_owned(),
        // The election timeout lies above the RPC timeout, which is the heartbeat interval.
        heartbeat_interval: 500,
        election_timeout_min: 1500,
        election_timeout_max: 3000,
        install_snapshot_timeout: 60_000,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: kept_entry_count,
        enable_pre_vote: Some(true),
        // A single member needs no clock: it leads from its start on, and again after a restart. With others, a
        // restart may have forgotten what it applied, so that it must be elected anew.
        enable_tick: !is_alone,
        enable_leader_restore: Some(is_alone && has_begun_term),
        ..Config::default()
    };
    Ok(Arc::new(config.validate().context("configure raft")?))
}

fn status(metrics: &RaftMetrics<TypeConfig>) -> QuorumStatus {
    let member = |id: BrokerId| {
        let last = if id == metrics.id {
            metrics.last_log_index
        } else {
            let replication = metrics.replication.as_ref();
            replication.and_then(|by_id| by_id.get(&id)?.as_ref().map(|matched| matched.index))
        };
        MemberStatus { id, log_end_offset: last.map_or(Offset::NONE, |index| Offset(index as i64 + 1)) }
    };
    let membership = metrics.membership_config.membership();
    let voters: Vec<BrokerId> = membership.voter_ids().collect();
    let observers = membership.nodes().map(|(id, _)| *id).filter(|id| !voters.contains(id));
    QuorumStatus {
        leader: metrics.current_leader.unwrap_or(BrokerId::NONE),
        leader_epoch: LeaderEpoch(metrics.current_term as i32),
        high_watermark: Offset(metrics.cluster_committed.map_or(0, |committed| committed.index as i64 + 1)),
        observers: observers.map(member).collect(),
        voters: voters.iter().copied().map(member).collect(),
    }
}
