//! The controller's one task: takes the commands that wait, decides each on a copy of the image that has
//! replayed the ones before, puts all records into one raft entry, and answers when it is applied.
//!
//! One entry is in flight at a time, fenced by the term in which it was decided. Where nothing was appended,
//! an error is NOT_CONTROLLER; where the outcome is unknown, it is REQUEST_TIMED_OUT.

use std::sync::Arc;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::ClientWriteError;
use openraft::impls::OneshotResponder;
use openraft::{Raft, RaftMetrics};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::config::layers::InForce;
use crate::controller::{
    self, Answer, ClusterImage, Command, Inputs, MetadataRecord, Randomness, SupportedFeature, decide,
};
use crate::env::rng::Rng;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::Offset;
use crate::raft::state_machine::{Published, StateMachine};
use crate::raft::types::{CommittedLeaderId, Records, TypeConfig};

/// Records that one entry holds, unless a single command has more.
const MAX_ENTRY_RECORD_COUNT: usize = 4096;
/// Bytes of records after which an entry takes no further command; the last one may have as many as a command may.
const MAX_ENTRY_SIZE_BYTES: usize = 1024 * 1024;
/// Commands that one entry answers.
const MAX_ENTRY_COMMAND_COUNT: usize = 256;

/// A command with the one who waits for its answer.
pub struct Proposal {
    pub command: Command,
    pub answer: oneshot::Sender<Result<Answer, ApiError>>,
}

/// The configuration in force when it is called.
pub type InForceNow = Box<dyn Fn() -> Arc<InForce> + Send + Sync>;

/// What decisions take besides the image and the command.
pub struct Rules {
    pub configs: InForceNow,
    pub default_partition_count: i32,
    pub default_replication_factor: i16,
    pub supported_features: Vec<SupportedFeature>,
    pub rng: Arc<Rng>,
}

pub struct Proposer {
    pub raft: Raft<TypeConfig, StateMachine>,
    pub published: Arc<Published>,
    pub waiting: mpsc::Receiver<Proposal>,
    pub rules: Rules,
    /// Records after which a snapshot is taken.
    pub snapshot_record_count: u64,
}

/// A decided command whose answer waits for the entry.
type Decided = (oneshot::Sender<Result<Answer, ApiError>>, Result<Answer, ApiError>);

/// Why an entry was not seen to be applied.
enum Failure {
    NotAppended,
    Unknown,
}

impl Proposer {
    /// Runs until nobody can send commands any more, or raft has stopped.
    pub async fn run(mut self) {
        while let Some(first) = self.waiting.recv().await {
            let Some((term, next_offset)) = self.leadership().await else {
                let _ = first.answer.send(Err(not_controller()));
                continue;
            };
            let (records, decided) = self.decide(first, next_offset);
            let result = if records.is_empty() { Ok(()) } else { self.write(term, records).await };
            answer(decided, result);
            self.maybe_take_snapshot().await;
        }
    }

    /// The term in which this node leads, once everything in its log is applied; with the next entry's offset.
    /// `None` when another node leads, or raft has stopped.
    async fn leadership(&self) -> Option<(u64, Offset)> {
        let mut metrics = self.raft.metrics();
        loop {
            {
                let seen = metrics.borrow_watched();
                if seen.running_state.is_err() || seen.current_leader != Some(seen.id) {
                    return None;
                }
                if let Some(leadership) = established(&seen) {
                    return Some(leadership);
                }
            }
            metrics.changed().await.ok()?;
        }
    }

    /// Decides `first` and the commands that wait behind it.
    fn decide(&mut self, first: Proposal, next_offset: Offset) -> (Vec<MetadataRecord>, Vec<Decided>) {
        let mut image = ClusterImage::clone(&self.published.image());
        // The image may be ahead of the metrics that told the offset.
        let next_offset = next_offset.max(image.applied + 1);
        let configs = (self.rules.configs)();
        let (mut records, mut size_bytes) = (Vec::new(), 0);
        let mut decided = Vec::new();
        let mut next = Some(first);
        while let Some(Proposal { command, answer }) = next {
            let mut inputs = Inputs {
                next_offset,
                randomness: Randomness::seeded(self.rules.rng.below(u64::MAX)),
                configs: &configs,
                default_partition_count: self.rules.default_partition_count,
                default_replication_factor: self.rules.default_replication_factor,
                supported_features: &self.rules.supported_features,
            };
            let result = decide(&image, &command, &mut inputs).map(|outcome| {
                for record in &outcome.records {
                    image.replay(record, next_offset).expect("records fit the image they were decided on");
                }
                size_bytes += controller::size_bytes(&outcome.records);
                records.extend(outcome.records);
                outcome.answer
            });
            decided.push((answer, result));
            let is_full = records.len() >= MAX_ENTRY_RECORD_COUNT
                || size_bytes >= MAX_ENTRY_SIZE_BYTES
                || decided.len() >= MAX_ENTRY_COMMAND_COUNT;
            next = if is_full { None } else { self.waiting.try_recv().ok() };
        }
        (records, decided)
    }

    /// Returns when the entry is applied.
    async fn write(&self, term: u64, records: Vec<MetadataRecord>) -> Result<(), Failure> {
        let (responder, applied) = OneshotResponder::new_pair();
        let request = self.raft.write(Records(records.into())).with_leader(CommittedLeaderId::new(term));
        request.responder(responder).await.map_err(|_| Failure::Unknown)?;
        match applied.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_))) => {
                Err(Failure::NotAppended)
            }
            // The fence turned it away before it was appended, or a new leader took its place: it can be both.
            Ok(Err(ClientWriteError::ForwardToLeader(_) | ClientWriteError::LogEntryDiscarded(_))) => {
                Err(Failure::Unknown)
            }
            Err(_) => Err(Failure::Unknown),
        }
    }

    async fn maybe_take_snapshot(&self) {
        if self.published.records_since_snapshot() >= self.snapshot_record_count {
            // Fails only when raft has stopped, which the next command is told.
            if let Err(error) = self.raft.trigger().snapshot().await {
                debug!(%error, "no snapshot");
            }
        }
    }
}

/// This node leads and has applied its whole log, the blank entry of its term included.
fn established(metrics: &RaftMetrics<TypeConfig>) -> Option<(u64, Offset)> {
    let applied = metrics.last_applied?;
    let is_complete = metrics.vote.is_committed()
        && metrics.last_log_index == Some(applied.index)
        && applied.leader_id.term == metrics.current_term;
    is_complete.then_some((metrics.current_term, Offset(applied.index as i64 + 1)))
}

fn answer(decided: Vec<Decided>, result: Result<(), Failure>) {
    for (sender, answer) in decided {
        let answer = match &result {
            Ok(()) => answer,
            Err(Failure::NotAppended) => Err(not_controller()),
            Err(Failure::Unknown) => Err(ErrorCode::RequestTimedOut.into()),
        };
        // A client that no longer waits has lost nothing: the command stands.
        let _ = sender.send(answer);
    }
}

fn not_controller() -> ApiError {
    ApiError::new(ErrorCode::NotController, "The active controller appears to be another node.")
}
