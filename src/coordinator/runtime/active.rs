//! A loaded coordinator partition: decides, appends, replays, and says who may be told what. One turn at a time,
//! under the slot's lock; nothing here waits.
//!
//! Kafka: `CoordinatorRuntime.CoordinatorContext`, `CoordinatorWriteEvent`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::batches::{self, Encoded};
use super::overlay::{self, Layer, Overlay};
use super::slot::Watermark;
use super::stored::Layered;
use super::submitted::Answer;
use super::transactions::{Content, OpenTransactions};
use super::waiting::{Turn, Waiting};
use super::{Runtime, Settings};
use crate::coordinator::log::AppendFailure;
use crate::coordinator::shard::{Event, KeyValue, Now, Outcome, RequestId, Shard};
use crate::protocol::batch::Batch;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{LeaderEpoch, Offset, TopicId};
use crate::store::PartitionKey;
use crate::store::stamps::Stamp;
use crate::store::view::{Patience, Tier, View, ViewError};

/// How long a view that was busy is left alone, at first and at most.
const LEAST_BUSY_PAUSE_MS: i64 = 20;
const MOST_BUSY_PAUSE_MS: i64 = 1_000;
/// A view that is busy for so long does not recover by itself: it is rebuilt.
const LONGEST_BUSY_MS: i64 = 30_000;
/// Deadlines of a shard that one turn works off; the rest is due at once, in the next turn.
const MOST_EXPIRATIONS_AT_ONCE: usize = 1_000;

/// Why a partition cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Nobody knows what is in the log.
    UnknownOutcome,
    /// The view is damaged: everything must be loaded again.
    View,
}

/// Whose decision it is.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// A request's, which can be sent again.
    Client(RequestId),
    /// It follows from an earlier one.
    Followed,
    Deadline,
}

/// A view that takes no changes. Times are of the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Busy {
    since_ms: i64,
    pause_ms: i64,
    /// When it is asked again.
    ask_at_ms: i64,
}

/// What an active partition is made of.
pub(super) struct Loaded<S: Shard> {
    pub of: PartitionKey,
    pub epoch: LeaderEpoch,
    pub topic_id: TopicId,
    pub view: Arc<dyn View>,
    pub shard: S,
    pub overlay: Overlay,
    pub open: OpenTransactions,
    pub log_end: Offset,
    /// Begun when the log is committed up to its end.
    pub effects: Vec<S::Effect>,
    pub watermark: Arc<Watermark>,
}

pub(super) struct Active<S: Shard> {
    of: PartitionKey,
    epoch: LeaderEpoch,
    topic_id: TopicId,
    view: Arc<dyn View>,
    shard: S,
    overlay: Overlay,
    open: OpenTransactions,
    busy: Option<Busy>,
    /// End of the log behind the last append; what the shard shows may stand up to here.
    appended_to: Offset,
    committed_to: Offset,
    watermark: Arc<Watermark>,
    /// Requests without an answer.
    requests: HashMap<RequestId, oneshot::Sender<Answer<S::Response>>>,
    /// In the order of positions.
    waiting: VecDeque<Waiting<S>>,
    todo: VecDeque<S::Command>,
    last_request: u64,
}

impl<S: Shard> Active<S> {
    pub fn new(loaded: Loaded<S>) -> Active<S> {
        let Loaded { of, epoch, topic_id, view, shard, overlay, open, log_end, effects, watermark } = loaded;
        let mut waiting = VecDeque::new();
        if !effects.is_empty() {
            waiting.push_back(Waiting { effects, ..Waiting::silent(log_end) });
        }
        Active {
            of,
            epoch,
            topic_id,
            view,
            shard,
            overlay,
            open,
            busy: None,
            appended_to: log_end,
            committed_to: watermark.get(),
            watermark,
            requests: HashMap::new(),
            waiting,
            todo: VecDeque::new(),
            last_request: 0,
        }
    }

    pub fn shard(&self) -> &S {
        &self.shard
    }

    pub fn view(&self) -> &Arc<dyn View> {
        &self.view
    }

    /// What is committed and not in the view, for a reader of the view: nothing unless the view is busy.
    pub fn committed_layer(&mut self, runtime: &Runtime<S>) -> Result<Option<Layer>, Lost> {
        self.drain_overlay(runtime)?;
        let settled = self.overlay.settled();
        Ok((!settled.is_empty()).then(|| settled.clone()))
    }

    /// As [`Active::committed_layer`], with what is not committed over it.
    pub fn latest_layer(&mut self, runtime: &Runtime<S>) -> Result<Option<Layer>, Lost> {
        self.drain_overlay(runtime)?;
        let latest = overlay::merged(self.overlay.unsettled(), self.overlay.settled(), &[]);
        Ok((!latest.is_empty()).then_some(latest))
    }

    /// All records of the partition, committed or not.
    fn stored(&self) -> Layered<'_> {
        let settled = Layered::new(self.of, &*self.view, Some(self.overlay.settled()), Tier::Disk);
        settled.below(self.overlay.unsettled())
    }

    /// The high watermark that was followed last.
    pub fn committed_to(&self) -> Offset {
        self.committed_to
    }

    /// Whether the log has told more than was followed.
    pub fn is_behind(&self) -> bool {
        self.watermark.get() > self.committed_to
    }

    /// Decides `command`, whose answer [`Active::take_answer`] has, or parks.
    pub fn submit(
        &mut self,
        runtime: &Runtime<S>,
        command: S::Command,
        turn: &mut Turn<S>,
    ) -> Result<(), Lost> {
        let id = self.next_request();
        turn.own = Some((id, None));
        self.decide(runtime, command, id, Origin::Client(id), turn)
    }

    /// The answer to the turn's own request, or where it will come.
    pub fn take_answer(
        &mut self,
        turn: &mut Turn<S>,
    ) -> Result<Answer<S::Response>, oneshot::Receiver<Answer<S::Response>>> {
        let (id, answer) = turn.own.take().expect("the turn has submitted a request");
        answer.ok_or_else(|| {
            let (sender, receiver) = oneshot::channel();
            self.requests.insert(id, sender);
            receiver
        })
    }

    /// Until what was appended so far is committed; `None` when it is.
    pub fn when_committed(&mut self, runtime: &Runtime<S>) -> Option<oneshot::Receiver<Answer<()>>> {
        if self.appended_to <= self.watermark.get() {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.park(runtime, Waiting { told: Some(sender), ..Waiting::silent(self.appended_to) });
        Some(receiver)
    }

    /// Works off what follows from the high watermark and from what was done, until there is nothing left.
    pub fn settle(&mut self, runtime: &Runtime<S>, turn: &mut Turn<S>) -> Result<(), Lost> {
        loop {
            self.advance(runtime, turn)?;
            let Some(command) = self.todo.pop_front() else { return Ok(()) };
            let id = self.next_request();
            self.decide(runtime, command, id, Origin::Followed, turn)?;
        }
    }

    /// Answers what has waited too long, and lets the shard work off its deadlines.
    pub fn expire(&mut self, runtime: &Runtime<S>, turn: &mut Turn<S>) -> Result<(), Lost> {
        let now = runtime.now();
        // What is committed is not late, whoever was to follow it.
        self.advance(runtime, turn)?;
        self.time_out(now, turn);
        for _ in 0..MOST_EXPIRATIONS_AT_ONCE {
            if self.shard.next_deadline().is_none_or(|at| at > now.uptime_ms) {
                return Ok(());
            }
            let stored = self.stored();
            let outcome = self.shard.expire(now, &stored);
            let trouble = stored.into_trouble();
            self.check_view(trouble)?;
            self.carry_out(runtime, outcome, Origin::Deadline, now, turn)?;
            self.settle(runtime, turn)?;
        }
        Ok(())
    }

    /// When [`Active::expire`] is next due on the monotonic clock.
    pub fn next_deadline(&self) -> Option<i64> {
        let overdue = self.waiting.iter().find(|waiting| !waiting.is_silent());
        let overdue = overdue.map(|waiting| waiting.deadline_ms);
        let ask_view_at = self.busy.map(|busy| busy.ask_at_ms);
        overdue.into_iter().chain(self.shard.next_deadline()).chain(ask_view_at).min()
    }

    /// This broker is the coordinator no longer: everybody who waits is told.
    pub fn end(mut self, turn: &mut Turn<S>) {
        // So that the next load need not replay it. What the view does not take, the log has.
        let _ = self.overlay.drain(&*self.view, self.of, Patience::None);
        let refusal = || Err(ErrorCode::NotCoordinator.into());
        if let Some((_, answer)) = &mut turn.own {
            answer.get_or_insert_with(refusal);
        }
        turn.answers.extend(self.requests.into_values().map(|sender| (sender, refusal())));
        let told = self.waiting.into_iter().filter_map(|waiting| waiting.told);
        turn.told.extend(told.map(|sender| (sender, Err(ErrorCode::NotCoordinator.into()))));
    }

    fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    fn decide(
        &mut self,
        runtime: &Runtime<S>,
        command: S::Command,
        id: RequestId,
        origin: Origin,
        turn: &mut Turn<S>,
    ) -> Result<(), Lost> {
        let now = runtime.now();
        let stored = self.stored();
        let decided = self.shard.decide(command, id, now, &stored);
        let trouble = stored.into_trouble();
        self.check_view(trouble)?;
        match decided {
            Ok(outcome) => self.carry_out(runtime, outcome, origin, now, turn),
            Err(error) => {
                // A refusal, too, may come from what can still be taken back.
                let answers = vec![(id, Err(error))];
                self.reply(runtime, Waiting { answers, ..Waiting::silent(self.appended_to) }, turn);
                Ok(())
            }
        }
    }

    fn carry_out(
        &mut self,
        runtime: &Runtime<S>,
        outcome: Outcome<S>,
        origin: Origin,
        now: Now,
        turn: &mut Turn<S>,
    ) -> Result<(), Lost> {
        let Outcome { events, replies, on_committed, on_failed, effects } = outcome;
        match self.append_and_replay(runtime, &events, now) {
            Ok(()) => {
                let answers = replies.into_iter().map(|(id, response)| (id, Ok(response))).collect();
                let at = self.appended_to;
                let due = Waiting { answers, on_committed, effects, ..Waiting::silent(at) };
                self.reply(runtime, due, turn);
                Ok(())
            }
            Err(Stopped::Refused { error, is_halfway }) => {
                let is_answered = |id: &RequestId| match origin {
                    // Whoever waited before waits as before: the state has it, and will answer it.
                    Origin::Client(own) => is_halfway || *id == own,
                    Origin::Deadline => is_halfway,
                    // Nobody comes back to what it was to answer.
                    Origin::Followed => true,
                };
                let replies = replies.into_iter().map(|(id, _)| id).filter(is_answered);
                let own = match origin {
                    // A request that was to wait is not in the state that would answer it.
                    Origin::Client(own) if on_failed.is_none() => Some(own),
                    Origin::Client(_) | Origin::Followed | Origin::Deadline => None,
                };
                for id in replies.chain(own) {
                    self.answer(id, Err(error.clone()), turn);
                }
                self.todo.extend(on_failed.map(|on_failed| on_failed(error.code)));
                Ok(())
            }
            Err(Stopped::Lost(lost)) => Err(lost),
        }
    }

    fn append_and_replay(
        &mut self,
        runtime: &Runtime<S>,
        events: &[Event<S::Record, S::Soft>],
        now: Now,
    ) -> Result<(), Stopped> {
        let is_durable = |event: &Event<_, _>| match event {
            Event::Durable(_) | Event::Transactional(..) | Event::Marker(_) => true,
            Event::Soft(_) => false,
        };
        let mut replayed = 0;
        if events.iter().any(is_durable) {
            if self.overlay.is_full() {
                return Err(Stopped::at_once(ErrorCode::CoordinatorNotAvailable.into()));
            }
            let Settings { batches: options, .. } = runtime.settings(self.of.partition);
            let batches = batches::encode::<S>(events, options, now.wall)
                .map_err(|code| Stopped::at_once(for_client(code.into())))?;
            for batch in batches {
                let Encoded { content, mut bytes, records, event_count } = batch;
                let next_offset = self.append(runtime, content, &mut bytes, replayed > 0)?;
                events[replayed..event_count].iter().for_each(|event| self.shard.replay(event));
                replayed = event_count;
                let (batch, _) = Batch::split_first(&bytes).expect("a batch that was built is whole");
                let stamp = Stamp {
                    topic_id: self.topic_id,
                    next_offset,
                    leader_epoch: self.epoch,
                    batch_crc: batch.stored_crc(),
                    batch_timestamp: now.wall,
                };
                let changes = self.open.take_in(content, batch.base_offset(), records);
                self.take_in(changes, stamp);
                // Each batch is a position, so that an outcome of many is not one large write.
                if self.overlay.settled_size_bytes() >= runtime.options.most_lag_bytes {
                    self.drain_overlay(runtime).map_err(Stopped::Lost)?;
                }
            }
        }
        events[replayed..].iter().for_each(|event| self.shard.replay(event));
        Ok(())
    }

    fn append(
        &mut self,
        runtime: &Runtime<S>,
        content: Content,
        bytes: &mut [u8],
        is_halfway: bool,
    ) -> Result<Offset, Stopped> {
        let (writer, partition) = (&runtime.options.writer, self.of.partition);
        let appended = match content {
            Content::Durable | Content::Transactional(_) => writer.append(partition, self.epoch, bytes),
            Content::Marker(marker) => {
                writer.append_marker(partition, self.epoch, bytes, marker.transaction_version)
            }
        };
        match appended {
            Ok(next_offset) => {
                assert!(next_offset > self.appended_to, "an append moves the end of the log");
                self.appended_to = next_offset;
                Ok(next_offset)
            }
            Err(AppendFailure::Refused(error)) => {
                tracing::debug!(partition = %self.of, %error, "an append of the coordinator was refused");
                Err(Stopped::Refused { error: for_client(error), is_halfway })
            }
            Err(AppendFailure::Unknown(error)) => {
                tracing::error!(partition = %self.of, %error, "an append of the coordinator has an unknown outcome: it resigns");
                Err(Stopped::Lost(Lost::UnknownOutcome))
            }
        }
    }

    /// `changes` come of the log up to `stamp`.
    fn take_in(&mut self, changes: Vec<KeyValue>, stamp: Stamp) {
        if self.overlay.is_unsettled_empty() && stamp.next_offset <= self.watermark.get() {
            self.overlay.settle(changes, stamp);
        } else {
            self.overlay.push(changes, stamp);
        }
    }

    /// Nothing is wrong with a view that is busy.
    fn check_view(&self, error: Option<ViewError>) -> Result<(), Lost> {
        match error {
            None | Some(ViewError::Busy | ViewError::Cold) => Ok(()),
            Some(ViewError::Failed(error)) => {
                let error = format!("{error:#}");
                tracing::error!(partition = %self.of, error, "the view is damaged and is rebuilt from the log");
                Err(Lost::View)
            }
        }
    }

    /// Follows the high watermark.
    fn advance(&mut self, runtime: &Runtime<S>, turn: &mut Turn<S>) -> Result<(), Lost> {
        self.committed_to = self.watermark.get();
        self.overlay.follow(self.committed_to);
        if self.overlay.settled_size_bytes() >= runtime.options.most_lag_bytes || self.busy.is_some() {
            self.drain_overlay(runtime)?;
        }
        while self.waiting.front().is_some_and(|front| front.at <= self.committed_to) {
            let Some(front) = self.waiting.pop_front() else { break };
            self.let_go(front, turn);
        }
        Ok(())
    }

    /// What `due` waits for is committed.
    fn let_go(&mut self, due: Waiting<S>, turn: &mut Turn<S>) {
        for (id, answer) in due.answers {
            self.answer(id, answer, turn);
        }
        turn.told.extend(due.told.map(|sender| (sender, Ok(()))));
        turn.effects.extend(due.effects);
        self.todo.extend(due.on_committed);
    }

    /// Brings what is committed to the view, unless the view is busy.
    fn drain_overlay(&mut self, runtime: &Runtime<S>) -> Result<(), Lost> {
        if self.overlay.is_settled_empty() {
            return Ok(());
        }
        let now_ms = runtime.options.clock.uptime_ms();
        if self.busy.is_some_and(|busy| busy.ask_at_ms > now_ms) {
            return Ok(());
        }
        match self.overlay.drain(&*self.view, self.of, Patience::None) {
            Err(ViewError::Busy) => {}
            drained => {
                self.busy = None;
                runtime.superseded(*drained.as_ref().unwrap_or(&0), &self.view);
                return self.check_view(drained.err());
            }
        }
        let (since_ms, pause_ms) = match self.busy {
            Some(busy) => (busy.since_ms, (2 * busy.pause_ms).min(MOST_BUSY_PAUSE_MS)),
            None => (now_ms, LEAST_BUSY_PAUSE_MS),
        };
        if now_ms.saturating_sub(since_ms) > LONGEST_BUSY_MS {
            tracing::error!(partition = %self.of, "the view has been busy for too long and is rebuilt from the log");
            return Err(Lost::View);
        }
        self.busy = Some(Busy { since_ms, pause_ms, ask_at_ms: now_ms.saturating_add(pause_ms) });
        Ok(())
    }

    /// Lets `due` go once everything appended so far is committed.
    fn reply(&mut self, runtime: &Runtime<S>, due: Waiting<S>, turn: &mut Turn<S>) {
        if self.appended_to <= self.watermark.get() && self.waiting.is_empty() {
            self.let_go(due, turn);
        } else if !due.is_silent() || due.has_more() {
            self.park(runtime, due);
        }
    }

    fn park(&mut self, runtime: &Runtime<S>, due: Waiting<S>) {
        let Settings { commit_timeout_ms, .. } = runtime.settings(self.of.partition);
        let deadline_ms = runtime.now().uptime_ms.saturating_add(commit_timeout_ms);
        // Many may wait for the same append: those of one moment wait as one.
        if !due.has_more()
            && due.told.is_none()
            && let Some(back) = self.waiting.back_mut()
            && (back.at, back.deadline_ms) == (due.at, deadline_ms)
            && !back.has_more()
        {
            return back.answers.extend(due.answers);
        }
        self.waiting.push_back(Waiting { deadline_ms, ..due });
    }

    /// A request is answered once; what comes later is dropped.
    fn answer(&mut self, id: RequestId, answer: Answer<S::Response>, turn: &mut Turn<S>) {
        match &mut turn.own {
            Some((own, first)) if *own == id => {
                first.get_or_insert(answer);
            }
            Some(_) | None => {
                turn.answers.extend(self.requests.remove(&id).map(|sender| (sender, answer)));
            }
        }
    }

    /// `offsets.commit.timeout.ms`: the log goes on, those who wait need not.
    fn time_out(&mut self, now: Now, turn: &mut Turn<S>) {
        let refusal = || for_client(ErrorCode::RequestTimedOut.into());
        let mut late = Vec::new();
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.deadline_ms <= now.uptime_ms) {
            late.extend(waiting.answers.drain(..).map(|(id, _)| id));
            turn.told.extend(waiting.told.take().map(|sender| (sender, Err(refusal()))));
        }
        // While the watermark stands still they would pile up.
        self.waiting.retain(|waiting| !waiting.is_silent() || waiting.has_more());
        for id in late {
            self.answer(id, Err(refusal()), turn);
        }
    }
}

/// Why an outcome was not carried out to its end.
enum Stopped {
    Refused {
        error: ApiError,
        /// Some of its batches are in the log and replayed.
        is_halfway: bool,
    },
    Lost(Lost),
}

impl Stopped {
    /// Refused, and nothing has changed.
    fn at_once(error: ApiError) -> Stopped {
        Stopped::Refused { error, is_halfway: false }
    }
}

/// What a client is told of a failed append (`CoordinatorOperationExceptionHelper.handleOperationException`).
fn for_client(error: ApiError) -> ApiError {
    match error.code {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable.into(),
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator.into(),
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError.into()
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use crate::coordinator::runtime::tests::bench::{Bench, COMMIT_TIMEOUT_MS, Command, PARTITION};

    #[test]
    fn those_who_were_told_that_it_takes_too_long_leave_nothing_behind() {
        let bench = Bench::new(false);
        let slot = bench.runtime.slot(PARTITION).unwrap();
        let waiting_count = || slot.take_turn(&bench.runtime, |active, _| Ok(active.waiting.len())).unwrap();
        let _twice = bench.submit(Command::SetTwice("a".into()));
        for _ in 0..10 {
            let _gets = [(); 3].map(|()| bench.submit(Command::Get("a".into())));
            assert_eq!(waiting_count(), 2, "what follows a commit, and all requests of this moment");
            bench.clock.advance_ms(COMMIT_TIMEOUT_MS);
            bench.runtime.expire();
            assert_eq!(waiting_count(), 1);
        }
    }
}
