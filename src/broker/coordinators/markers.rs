//! Ends transactions where they took place: one marker into each partition of a prepared transaction, tried again until
//! it is there, and then the word to the transaction coordinator that all are written.
//!
//! The thread of the request that ends a small transaction does that itself; what it would have to wait for is left to a
//! task. That goes on until the coordinator's term is over; the next one begins with [`WriteMarkers`] of its own, and no
//! two work for a transactional id at a time. Nothing runs while no transaction ends. Kafka:
//! `TransactionMarkerChannelManager`, `TransactionMarkerRequestCompletionHandler`.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::coordinator::runtime::{Bringer, Runtime, Submitted};
use crate::coordinator::shard::TransactionMarker;
use crate::coordinator::transaction::command::{Command, Response, TopicPartition, Transition, WriteMarkers};
use crate::coordinator::transaction::shard::TransactionShard;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{LeaderEpoch, PartitionIndex};

/// How many markers of a transaction are waited for at once.
const MOST_AT_ONCE: usize = 64;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often the thread of a request goes on with a transaction that it has ended: once for each marker that is written
/// at once, and once for the word to the coordinator. It is a worker's thread, and others wait for it.
const MOST_STEPS_AT_ONCE: usize = 5;

/// A marker on its way; it is appended when the future is polled first, and not after that was dropped.
pub type Writing = Pin<Box<dyn Future<Output = Result<(), ErrorCode>> + Send>>;

/// Whether the metadata has a partition.
type Exists = dyn Fn(&str, PartitionIndex) -> bool + Send + Sync;
type Write = dyn Fn(TopicPartition, TransactionMarker) -> Writing + Send + Sync;

pub struct MarkersOptions {
    pub exists: Box<Exists>,
    pub write: Box<Write>,
    /// Between the first two tries; it doubles up to [`LONGEST_PAUSE`].
    pub first_pause: Duration,
    /// Where the work is done.
    pub control: Handle,
}

/// Who has asked for markers, and is told when they are written.
pub trait Asker: Send + Sync {
    /// Whether the term of `epoch` goes on.
    fn is_led(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> bool;

    fn submit(&self, partition: PartitionIndex, command: Command) -> Submitted<Response>;
}

impl Asker for Runtime<TransactionShard> {
    fn is_led(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> bool {
        Runtime::is_led(self, partition, epoch)
    }

    fn submit(&self, partition: PartitionIndex, command: Command) -> Submitted<Response> {
        Runtime::submit(self, partition, command)
    }
}

/// All transactions that are being ended.
pub struct Markers {
    options: MarkersOptions,
    asker: OnceLock<Weak<dyn Asker>>,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    tasks: HashMap<(PartitionIndex, Arc<str>), Task>,
    begun_count: u64,
}

/// The end of one transaction.
struct Task {
    number: u64,
    /// Whose wish it is: that of the greatest counts.
    asked_at: (LeaderEpoch, Transition),
    /// `None` while the thread of a request does it.
    handle: Option<AbortHandle>,
    /// Told, by being closed, when the work has ended or is dropped.
    ended: oneshot::Receiver<()>,
}

impl Task {
    /// Ends it; returns what is closed when it has ended.
    fn abort(self) -> oneshot::Receiver<()> {
        if let Some(handle) = self.handle {
            handle.abort();
        }
        self.ended
    }
}

/// All that is to be done to end a transaction.
type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the coordinator of a partition wants in one of its terms.
struct Asked {
    partition: PartitionIndex,
    epoch: LeaderEpoch,
    work: WriteMarkers,
}

/// The term is over, or a partition has fenced its marker off: the transaction is not complete, and nothing is left to
/// do in this term.
struct GivenUp;

/// How far the markers of a transaction are.
struct Progress {
    /// Those of this try that are to be tried once more.
    again: Vec<TopicPartition>,
    /// Whether a partition has none and will not get one in this term.
    is_fenced: bool,
    pauses: Pauses,
}

/// What a refused marker means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The partition cannot have records of the transaction.
    Skipped,
    Again,
    /// A later producer or coordinator was there.
    Fenced,
}

impl Markers {
    pub fn new(options: MarkersOptions) -> Arc<Markers> {
        Arc::new(Markers { options, asker: OnceLock::new(), under_way: Mutex::default() })
    }

    /// `asker` is who brings work to [`Markers::begin`]; told once, before it does.
    pub fn report_to(&self, asker: Weak<dyn Asker>) {
        assert!(self.asker.set(asker).is_ok(), "markers are written for one runtime");
    }

    /// Begins `work` for the coordinator of `partition` in the term of `epoch`. If a request brings it and nobody has to
    /// be waited for, it is done on return: no other thread is woken, and the producer that is told of the end finds its
    /// transaction complete.
    ///
    /// What was under way for the same transactional id ends: it is of an earlier load, or its last step is behind it.
    /// What a coordinator asks for after a later one has asked is left: nothing keeps the two in order, for they have
    /// left their locks.
    pub fn begin(
        self: &Arc<Self>,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        work: WriteMarkers,
        bringer: Bringer,
    ) {
        let key = (partition, work.transactional_id.clone());
        let asked_at = (epoch, work.transition);
        let (ending, ended) = oneshot::channel();
        let mut under_way = self.under_way.lock();
        if under_way.tasks.get(&key).is_some_and(|task| task.asked_at > asked_at) {
            tracing::info!(transactional_id = %key.1, %partition, %epoch, "markers of an earlier term are left to the later one");
            return;
        }
        under_way.begun_count += 1;
        let number = under_way.begun_count;
        let before = under_way.tasks.insert(key.clone(), Task { number, asked_at, handle: None, ended });
        drop(under_way);
        let before = before.map(Task::abort);
        let is_at_once = bringer == Bringer::Request && before.is_none();
        let (this, own_key) = (self.clone(), key.clone());
        let mut end: Ending = Box::pin(async move {
            let _ending: oneshot::Sender<()> = ending;
            if let Some(before) = before {
                // A late marker of its own would end what the producer has begun since; how it ended does not matter.
                let _ = before.await;
            }
            this.end(Asked { partition, epoch, work }).await;
            let tasks = &mut this.under_way.lock().tasks;
            if tasks.get(&own_key).is_some_and(|task| task.number == number) {
                tasks.remove(&own_key);
            }
        });
        if is_at_once && self.is_done_at_once(&mut end) {
            return;
        }
        // Nobody is there when somebody else has begun meanwhile, who waits until `end` is dropped, or when all stops.
        if let Some(task) = self.under_way.lock().tasks.get_mut(&key).filter(|task| task.number == number) {
            task.handle = Some(self.options.control.spawn(end).abort_handle());
        }
    }

    /// Goes on with `end` in this thread, without waiting; whether there is nothing left to do.
    fn is_done_at_once(&self, end: &mut Ending) -> bool {
        // What it begins to wait for is waited for there.
        let _control = self.options.control.enter();
        let mut context = Context::from_waker(Waker::noop());
        (0..MOST_STEPS_AT_ONCE).any(|_| end.as_mut().poll(&mut context).is_ready())
    }

    /// The broker stops, and leads nothing by now: what is under way ends where it is.
    pub fn stop(&self) {
        self.under_way.lock().tasks.drain().for_each(|(_, task)| drop(task.abort()));
    }

    async fn end(&self, asked: Asked) {
        let Asked { partition, epoch, work } = &asked;
        let outcome = match self.write_all(&asked).await {
            Ok(()) => self.report(&asked).await,
            Err(given_up) => Err(given_up),
        };
        match outcome {
            Ok(()) => {
                tracing::debug!(transactional_id = %work.transactional_id, "the transaction is complete");
            }
            Err(GivenUp) => tracing::info!(
                transactional_id = %work.transactional_id, %partition, %epoch,
                "the end of a transaction is left to its next coordinator"
            ),
        }
    }

    /// Returns when every partition has its marker, or needs none. One that is fenced keeps no other from its marker:
    /// without that, the other's last stable offset would stay where it is as well.
    async fn write_all(&self, asked: &Asked) -> Result<(), GivenUp> {
        let mut left = asked.work.partitions.clone();
        let pauses = Pauses::beginning_with(self.options.first_pause);
        let mut progress = Progress { again: Vec::new(), is_fenced: false, pauses };
        while !left.is_empty() {
            for chunk in left.chunks(MOST_AT_ONCE) {
                self.write_chunk(asked, chunk, &mut progress).await?;
            }
            left = std::mem::take(&mut progress.again);
            if !left.is_empty() {
                progress.pauses.pause().await;
            }
        }
        if progress.is_fenced {
            return Err(GivenUp);
        }
        if progress.pauses.count > 0 {
            let transactional_id = &asked.work.transactional_id;
            tracing::info!(%transactional_id, tries = progress.pauses.count + 1, "all markers of a transaction are written");
        }
        Ok(())
    }

    async fn write_chunk(
        &self,
        asked: &Asked,
        chunk: &[TopicPartition],
        progress: &mut Progress,
    ) -> Result<(), GivenUp> {
        let WriteMarkers { transactional_id, producer, is_commit, transaction_version, .. } = &asked.work;
        let marker = TransactionMarker {
            producer: *producer,
            coordinator_epoch: asked.epoch.0,
            is_commit: *is_commit,
            transaction_version: *transaction_version,
        };
        let mut begun = Vec::with_capacity(chunk.len());
        for (topic, partition) in chunk {
            self.check_term(asked)?;
            if (self.options.exists)(topic, *partition) {
                begun.push(Begun::begin((self.options.write)((topic.clone(), *partition), marker)).await);
            } else {
                tracing::info!(%transactional_id, %topic, %partition, "a partition of a transaction is gone and needs no marker");
                begun.push(Begun::Ended(Ok(())));
            }
            // To begin a marker is to append it: what else the thread does has its turn before the next.
            tokio::task::yield_now().await;
        }
        for ((topic, partition), outcome) in chunk.iter().zip(all(begun).await) {
            let Err(code) = outcome else { continue };
            match judge(code) {
                Verdict::Skipped => {
                    tracing::info!(%transactional_id, %topic, %partition, %code, "a partition of a transaction takes no marker");
                }
                Verdict::Again => {
                    if progress.pauses.is_news(code) {
                        tracing::warn!(%transactional_id, %topic, %partition, %code, "write the marker of a transaction; it is tried again");
                    }
                    progress.again.push((topic.clone(), *partition));
                }
                Verdict::Fenced => {
                    // Where a later coordinator was there, it ends the transaction, and nobody else has to.
                    self.check_term(asked)?;
                    if std::mem::replace(&mut progress.is_fenced, true) {
                        tracing::warn!(%transactional_id, %topic, %partition, %code, "a further partition refuses the marker of a transaction");
                    } else {
                        tracing::error!(
                            %transactional_id, %topic, %partition, %code,
                            "a partition refuses the marker of a transaction; its transactional id needs an operator"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// Has the coordinator complete the transaction.
    async fn report(&self, asked: &Asked) -> Result<(), GivenUp> {
        let WriteMarkers { transactional_id, transition, .. } = &asked.work;
        let mut pauses = Pauses::beginning_with(self.options.first_pause);
        loop {
            let asker = self.check_term(asked)?;
            let transactional_id = transactional_id.clone();
            let command = Command::MarkersWritten { transactional_id, transition: *transition };
            let submitted = asker.submit(asked.partition, command);
            drop(asker);
            let Err(error) = submitted.await else { return Ok(()) };
            if pauses.is_news(error.code) {
                let transactional_id = &asked.work.transactional_id;
                tracing::warn!(%transactional_id, %error, "complete a transaction whose markers are written; it is tried again");
            }
            pauses.pause().await;
        }
    }

    /// The asker, in whose term this is.
    fn check_term(&self, asked: &Asked) -> Result<Arc<dyn Asker>, GivenUp> {
        let asker = self.asker.get().and_then(Weak::upgrade).ok_or(GivenUp)?;
        if asker.is_led(asked.partition, asked.epoch) { Ok(asker) } else { Err(GivenUp) }
    }
}

/// Kafka ends the process over errors that it does not expect here; they are tried again,
/// for no other marker can be written instead.
fn judge(code: ErrorCode) -> Verdict {
    if matches!(code, ErrorCode::UnsupportedForMessageFormat | ErrorCode::UnsupportedVersion) {
        Verdict::Skipped
    } else if matches!(code, ErrorCode::InvalidProducerEpoch | ErrorCode::TransactionCoordinatorFenced) {
        Verdict::Fenced
    } else {
        Verdict::Again
    }
}

/// How long it is waited between tries, and which cause the log was told last.
struct Pauses {
    next: Duration,
    count: u32,
    told: Option<ErrorCode>,
}

impl Pauses {
    fn beginning_with(next: Duration) -> Pauses {
        Pauses { next, count: 0, told: None }
    }

    fn is_news(&mut self, code: ErrorCode) -> bool {
        self.told.replace(code) != Some(code)
    }

    async fn pause(&mut self) {
        self.count += 1;
        let length = self.next;
        self.next = length.saturating_mul(2).min(LONGEST_PAUSE);
        tokio::time::sleep(length).await;
    }
}

/// A marker that was polled at least once.
enum Begun {
    Waiting(Writing),
    Ended(Result<(), ErrorCode>),
}

impl Begun {
    async fn begin(writing: Writing) -> Begun {
        let mut begun = Begun::Waiting(writing);
        poll_fn(|context| {
            begun.advance(context);
            Poll::Ready(())
        })
        .await;
        begun
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        if let Begun::Waiting(writing) = self
            && let Poll::Ready(outcome) = writing.as_mut().poll(context)
        {
            *self = Begun::Ended(outcome);
        }
    }
}

/// What each comes to, in their order.
async fn all(mut begun: Vec<Begun>) -> Vec<Result<(), ErrorCode>> {
    poll_fn(|context| {
        begun.iter_mut().for_each(|one| one.advance(context));
        let outcomes: Option<Vec<_>> = begun
            .iter()
            .map(|one| match one {
                Begun::Waiting(_) => None,
                Begun::Ended(outcome) => Some(*outcome),
            })
            .collect();
        outcomes.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

#[cfg(test)]
mod tests;
