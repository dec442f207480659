//! One partition on this broker: its log, its leadership, who waits for it.
//!
//! Two sides that never block each other: appends go through a mutex (tail of the log, producer state,
//! leadership), reads go through published values (log view, high watermark, last stable offset). Whoever
//! appends tells the subscribers after the mutex is released. Kafka: `Partition` and `UnifiedLog`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;

use super::cleaner::Cleaning;
use super::flusher::{Flush, Flusher};
use super::partition::{Leadership, check_epoch};
use super::subscription::{Slot, Subscribers, Subscription};
use super::traffic::Traffic;
use super::transactions::Verification;
use super::wake_ups;
use crate::config::topic::TopicConfig;
use crate::controller::PartitionImage;
use crate::env::fs::FileRegion;
use crate::log::append::AppendError;
pub use crate::log::by_time::FoundByTime;
use crate::log::by_time::TimeLimits;
use crate::log::compaction::Dirt;
use crate::log::log::{FlushTicket, Log};
use crate::log::producer_state::Origin;
pub use crate::log::producer_state::ProducerEntry;
use crate::log::read::{LogView, ReadError, ReadLimits};
use crate::log::segment::SegmentError;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::fetch::{EpochAndOffset, IsolationLevel};
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};

/// Which partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionName {
    pub topic: Arc<str>,
    pub topic_id: TopicId,
    pub partition: PartitionIndex,
}

impl std::fmt::Display for PartitionName {
    /// As Kafka prints it and names its directory: `topic-0`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.topic, self.partition)
    }
}

/// What an append of client records came to.
#[derive(Debug)]
pub struct LeaderAppend {
    pub first_offset: Offset,
    /// Exclusive.
    pub next_offset: Offset,
    /// -1 unless the topic uses LogAppendTime.
    pub log_append_time: Timestamp,
    pub log_start_offset: Offset,
}

/// What an answer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// acks=all: the high watermark reaches the offset.
    Committed(Offset),
    /// The leader's own copy counts, `flush.messages` included.
    OnDisk(Offset),
}

/// What a coordinator is told of its log. Called without any lock of the partition, but possibly from within
/// [`Replica::append_as_coordinator`].
pub type Listener = Box<dyn Fn(News) + Send + Sync>;

/// What has happened to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    HighWatermark(Offset),
    /// Nothing is appended any more.
    Closed,
}

/// On whose behalf a leader appends.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub origin: Origin,
    /// The ISR must have `min.insync.replicas` members.
    pub acks_all: bool,
    /// The leader epoch the writer believes in.
    pub epoch: Option<LeaderEpoch>,
}

struct Appender {
    /// `None` once the partition is closed: nothing is appended any more.
    log: Option<Log>,
    leadership: Leadership,
    /// Offset up to which flushes were asked for; counts towards `flush.messages`.
    flush_requested_to: Offset,
    /// When the oldest record was appended that no flush has covered; counts towards `flush.ms`.
    unflushed_since: Option<Timestamp>,
}

/// A partition that this broker leads.
pub struct Replica {
    name: PartitionName,
    /// Index of its directory in `log.dirs`.
    directory_index: AtomicUsize,
    appender: Mutex<Appender>,
    view: ArcSwap<LogView>,
    high_watermark: AtomicI64,
    last_stable_offset: AtomicI64,
    leader_epoch: AtomicI32,
    /// Follows `Appender::log` for those who read without its lock.
    closed: AtomicBool,
    /// False of some that have files: only whoever makes them without appending says so.
    has_files: AtomicBool,
    subscribers: Mutex<Subscribers>,
    /// The coordinator whose state this partition is.
    listener: ArcSwapOption<Listener>,
    flusher: Flusher,
    config: ArcSwap<TopicConfig>,
    /// Length of the partition's replica list.
    replica_count: usize,
    traffic: Arc<Traffic>,
    /// What the cleaner remembers of the partition.
    pub(super) cleaning: Cleaning,
}

impl Replica {
    /// Takes leadership of `log`, as `partition` says.
    pub fn lead(
        name: PartitionName,
        directory_index: usize,
        mut log: Log,
        me: BrokerId,
        partition: &PartitionImage,
        flusher: Flusher,
        traffic: Arc<Traffic>,
    ) -> anyhow::Result<Replica> {
        let PartitionImage { leader_epoch: epoch, isr, .. } = partition;
        let epoch = *epoch;
        let view = log.view();
        let log_end = view.log_end_offset();
        // A leader without followers has committed all that it holds; with followers the watermark is
        // established anew by their fetches.
        let high_watermark =
            if isr.iter().all(|broker| *broker == me) { log_end } else { view.log_start_offset() };
        log.assign_epoch(epoch)?;
        let last_stable_offset = log.on_high_watermark(high_watermark);
        let leadership = Leadership::begin(epoch, me, isr, log_end, high_watermark);
        Ok(Replica {
            name,
            directory_index: AtomicUsize::new(directory_index),
            view: ArcSwap::new(view),
            high_watermark: AtomicI64::new(leadership.high_watermark().0),
            last_stable_offset: AtomicI64::new(last_stable_offset.0),
            leader_epoch: AtomicI32::new(epoch.0),
            closed: AtomicBool::new(false),
            has_files: AtomicBool::new(log.has_files()),
            subscribers: Mutex::default(),
            listener: ArcSwapOption::empty(),
            flusher,
            config: ArcSwap::new(log.config().clone()),
            replica_count: partition.replicas.len(),
            traffic,
            cleaning: Cleaning::default(),
            appender: Mutex::new(Appender {
                log: Some(log),
                leadership,
                flush_requested_to: log_end,
                unflushed_since: None,
            }),
        })
    }

    pub fn name(&self) -> &PartitionName {
        &self.name
    }

    /// Index of its directory in `log.dirs`.
    pub fn directory_index(&self) -> usize {
        self.directory_index.load(Ordering::Acquire)
    }

    /// The side of the log that readers share; another one once its files have moved.
    pub fn view(&self) -> Arc<LogView> {
        self.view.load_full()
    }

    /// First offset that is served.
    pub fn log_start_offset(&self) -> Offset {
        self.view.load().log_start_offset()
    }

    /// Exclusive; may lie beyond the high watermark.
    pub fn log_end_offset(&self) -> Offset {
        self.view.load().log_end_offset()
    }

    /// Bytes of records on disk.
    pub fn size_bytes(&self) -> u64 {
        self.view.load().size_bytes()
    }

    pub fn segment_count(&self) -> usize {
        self.view.load().segment_count()
    }

    /// Exclusive.
    pub fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Acquire))
    }

    /// Exclusive; never beyond the high watermark.
    pub fn last_stable_offset(&self) -> Offset {
        Offset(self.last_stable_offset.load(Ordering::Acquire))
    }

    /// Where reads of this isolation end, exclusive.
    pub fn read_limit(&self, isolation: IsolationLevel) -> Offset {
        match isolation {
            IsolationLevel::ReadUncommitted => self.high_watermark(),
            IsolationLevel::ReadCommitted => self.last_stable_offset(),
        }
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.leader_epoch.load(Ordering::Acquire))
    }

    /// Whether the partition was deleted, went offline, or the broker stops.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether an append finds files. One that does not makes them and waits for the disk: see
    /// [`super::first_files::FirstFiles`].
    pub fn has_files(&self) -> bool {
        self.has_files.load(Ordering::Relaxed)
    }

    pub(super) fn set_has_files(&self) {
        self.has_files.store(true, Ordering::Relaxed);
    }

    /// KIP-320: a client that knows another leader epoch than ours is told which of us is behind.
    pub fn check_epoch(&self, known_to_client: LeaderEpoch) -> Result<(), ErrorCode> {
        check_epoch(known_to_client, self.leader_epoch())
    }

    /// Appends validated batches of a client and patches their offsets in place.
    ///
    /// With `acks_all` the ISR must have `min.insync.replicas` members. `verification` vouches for a batch that opens a
    /// transaction ([`Replica::start_verification`]). The answer to the client may have to wait:
    /// [`Replica::still_required`].
    ///
    /// Errors: what the log refuses, NOT_ENOUGH_REPLICAS, and NOT_LEADER_OR_FOLLOWER when the partition is closed,
    /// all of which have changed nothing; KAFKA_STORAGE_ERROR for a full disk (nothing has changed) or an append
    /// of unknown outcome, after which the partition is closed.
    pub fn append(
        self: &Arc<Replica>,
        batch: &mut [u8],
        acks_all: bool,
        verification: Verification,
        now: Timestamp,
    ) -> Result<LeaderAppend, ApiError> {
        let terms = Terms { origin: Origin::Client(verification), acks_all, epoch: None };
        self.append_on(terms, batch, now).map_err(|error| match error {
            AppendError::Refused(refusal) => refusal,
            AppendError::NoSpace(_) | AppendError::Failed(_) => ErrorCode::KafkaStorageError.into(),
        })
    }

    /// Appends a batch of the coordinator that leads in `epoch`, as acks=all does; with markers, `origin` says of what
    /// version. Returns the end of the log behind it.
    ///
    /// Errors: as [`Replica::append`], and NOT_LEADER_OR_FOLLOWER when the epoch is over. Only after
    /// [`AppendError::Failed`] may some of it be in the log.
    pub fn append_as_coordinator(
        self: &Arc<Replica>,
        batch: &mut [u8],
        epoch: LeaderEpoch,
        origin: Origin,
        now: Timestamp,
    ) -> Result<Offset, AppendError> {
        let terms = Terms { origin, acks_all: true, epoch: Some(epoch) };
        self.append_on(terms, batch, now).map(|appended| appended.next_offset)
    }

    pub(super) fn append_on(
        self: &Arc<Replica>,
        terms: Terms,
        batch: &mut [u8],
        now: Timestamp,
    ) -> Result<LeaderAppend, AppendError> {
        let size_bytes = batch.len();
        let mut appender = self.appender.try_lock().unwrap_or_else(|| {
            // Who holds it may be syncing; the consumers of other partitions need not wait for that.
            wake_ups::release();
            self.appender.lock()
        });
        if terms.acks_all && appender.leadership.in_sync_count() < self.least_in_sync_count() {
            return Err(ApiError::from(ErrorCode::NotEnoughReplicas).into());
        }
        let Appender { log: Some(log), leadership, .. } = &mut *appender else {
            return Err(ApiError::from(ErrorCode::NotLeaderOrFollower).into());
        };
        if terms.epoch.is_some_and(|expected| expected != leadership.epoch()) {
            return Err(ApiError::from(ErrorCode::NotLeaderOrFollower).into());
        }
        let appended = match log.append_as_leader(batch, leadership.epoch(), terms.origin, now) {
            Ok(appended) => appended,
            Err(error) => {
                drop(appender);
                self.append_failed(&error);
                return Err(error);
            }
        };
        let next_offset = appended.last_offset + 1;
        let mut has_moved = false;
        let mut flush = appended.has_rolled.then_some(Flush::Sealed);
        if !appended.is_duplicate {
            appender.unflushed_since.get_or_insert(now);
            let flush_due = appender.flush_due(next_offset, self.config().flush_messages);
            has_moved = self.move_watermark(&mut appender, |leadership| {
                leadership.appended(appended.first_offset, next_offset, flush_due);
            });
            flush = if flush_due { Some(Flush::All) } else { flush };
        }
        drop(appender);
        if let Some(flush) = flush {
            // Without the lock: the flush thread takes it, and may be the one that makes room in the queue.
            self.flusher.request(self.clone(), flush);
        }
        if !appended.is_duplicate {
            self.traffic.received(size_bytes, next_offset - appended.first_offset);
        }
        if has_moved {
            match terms.origin {
                // A marker lets go all that its transaction has held back, whatever its own size.
                Origin::TransactionCoordinator { .. } => self.subscribers.lock().changed(),
                Origin::Client(_) | Origin::Coordinator | Origin::RaftLeader => {
                    self.subscribers.lock().records_came(size_bytes);
                }
            }
            self.tell_listener();
        }
        Ok(LeaderAppend {
            first_offset: appended.first_offset,
            next_offset,
            log_append_time: appended.log_append_time,
            log_start_offset: appended.log_start_offset,
        })
    }

    fn append_failed(&self, error: &AppendError) {
        match error {
            AppendError::Refused(_) => {}
            AppendError::NoSpace(error) => {
                tracing::warn!(partition = %self.name, error = format!("{error:#}"), "no room for an append");
            }
            AppendError::Failed(error) => {
                tracing::error!(partition = %self.name, error = format!("{error:#}"), "append failed with an unknown outcome, the partition goes offline");
                self.close();
            }
        }
    }

    /// From here on `listener` is told of every change of the high watermark, which is the answer, until the partition
    /// closes. It takes the place of an earlier one.
    pub fn listen(&self, listener: Listener) -> Result<Offset, ErrorCode> {
        self.listener.store(Some(Arc::new(listener)));
        if self.is_closed() { Err(ErrorCode::KafkaStorageError) } else { Ok(self.high_watermark()) }
    }

    fn tell_listener(&self) {
        if let Some(listener) = &*self.listener.load() {
            listener(News::HighWatermark(self.high_watermark()));
        }
    }

    /// Everything from `from` to the log end, for whoever keeps state in this partition: whole batches, the first of
    /// which holds `from` or comes next. Reads from disk.
    pub fn read_to_end(&self, from: Offset, max_size_bytes: usize) -> Result<Vec<u8>, ReadError> {
        let up_to = self.view.load().log_end_offset();
        self.view.load().read_bytes(from, ReadLimits { max_size_bytes, up_to, at_least_one: true })
    }

    /// Publishes what `change` does to the high watermark; whether it moved.
    fn move_watermark(&self, appender: &mut Appender, change: impl FnOnce(&mut Leadership)) -> bool {
        let before = appender.leadership.high_watermark();
        change(&mut appender.leadership);
        let after = appender.leadership.high_watermark();
        self.high_watermark.store(after.0, Ordering::Release);
        self.publish_stable_offset(appender);
        after != before
    }

    /// The last stable offset follows the high watermark, markers, and a log start that passes where a transaction began.
    fn publish_stable_offset(&self, appender: &mut Appender) {
        if let Some(log) = &mut appender.log {
            let last_stable_offset = log.on_high_watermark(appender.leadership.high_watermark());
            self.last_stable_offset.store(last_stable_offset.0, Ordering::Release);
        }
    }

    /// Records from `from` that consumers of this isolation may see: whole batches as one file range.
    pub fn read(
        &self,
        from: Offset,
        max_size_bytes: usize,
        isolation: IsolationLevel,
        at_least_one: bool,
    ) -> Result<Option<FileRegion>, ErrorCode> {
        let up_to = self.read_limit(isolation);
        let limits = ReadLimits { max_size_bytes, up_to, at_least_one };
        self.view.load().read(from, limits).map_err(|error| self.read_failed(error))
    }

    /// The first record below `up_to` that is at least as young as `timestamp` (KIP-79). Reads from disk.
    pub fn offset_for_time(
        &self,
        timestamp: Timestamp,
        up_to: Offset,
    ) -> Result<Option<FoundByTime>, ErrorCode> {
        self.view
            .load()
            .offset_for_time(timestamp, time_limits(up_to))
            .map_err(|error| self.read_failed(error))
    }

    /// The first record below `up_to` with the largest timestamp (KIP-734). Reads from disk.
    pub fn max_timestamp(&self, up_to: Offset) -> Result<Option<FoundByTime>, ErrorCode> {
        self.view.load().max_timestamp(time_limits(up_to)).map_err(|error| self.read_failed(error))
    }

    /// Where segments begin and when they were last written, oldest first; see [`LogView::segment_times`].
    pub fn segment_times(&self, now: Option<Timestamp>) -> Result<Vec<(Offset, Timestamp)>, ErrorCode> {
        self.view.load().segment_times(now).map_err(|error| self.read_failed(error))
    }

    pub(super) fn read_failed(&self, error: ReadError) -> ErrorCode {
        match error {
            ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Deleted => ErrorCode::UnknownTopicOrPartition,
            ReadError::Corrupt(error) | ReadError::Failed(error) => {
                tracing::error!(partition = %self.name, error = format!("{error:#}"), "read");
                ErrorCode::KafkaStorageError
            }
        }
    }

    /// Counts records that go to a consumer.
    pub fn sent(&self, size_bytes: usize) {
        self.traffic.sent(size_bytes);
    }

    /// Counts messages of an old producer that were made a batch and appended.
    pub fn converted_up(&self, record_count: u32) {
        self.traffic.converted_up(record_count);
    }

    /// Counts records that were made messages for an old consumer.
    pub fn converted_down(&self, record_count: u32) {
        self.traffic.converted_down(record_count);
    }

    /// The largest epoch that is not above `epoch`, and where it ends (KIP-320).
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochAndOffset> {
        let appender = self.appender.lock();
        let epochs = appender.log.as_ref()?.epochs();
        let (epoch, end_offset) = epochs.end_offset_for(epoch, self.view.load().log_end_offset())?;
        Some(EpochAndOffset { epoch, end_offset })
    }

    /// Epoch of the record at `offset`, or of the last record below it.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.appender.lock().log.as_ref()?.epochs().epoch_for_offset(offset)
    }

    /// DeleteRecords (KIP-107): nothing below `before` is served any more. Returns the new log start offset, which
    /// the caller has to checkpoint before it tells anybody (`Registry::delete_records`). Blocking.
    pub fn delete_records(&self, before: Offset) -> Result<Offset, ApiError> {
        let mut appender = self.appender.lock();
        let Appender { log: Some(log), leadership, .. } = &mut *appender else {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        };
        let high_watermark = leadership.high_watermark();
        // -1 stands for the high watermark.
        let before = if before == Offset::NONE { high_watermark } else { before };
        if before < Offset::ZERO || before > high_watermark {
            return Err(ErrorCode::OffsetOutOfRange.into());
        }
        if before > self.view.load().log_start_offset() {
            log.set_log_start_offset(before).map_err(|error| {
                tracing::error!(partition = %self.name, error = format!("{error:#}"), "move the log start");
                ApiError::from(ErrorCode::KafkaStorageError)
            })?;
        }
        self.publish_stable_offset(&mut appender);
        drop(appender);
        self.subscribers.lock().changed();
        Ok(self.view.load().log_start_offset())
    }

    /// The topic's effective configuration.
    pub fn config(&self) -> arc_swap::Guard<Arc<TopicConfig>> {
        self.config.load()
    }

    /// Replaces the topic's configuration; it applies from the next request on.
    pub fn set_config(&self, config: Arc<TopicConfig>) {
        if let Some(log) = &mut self.appender.lock().log {
            log.set_config(config.clone());
        }
        self.config.store(config);
    }

    /// `min.insync.replicas`, but never more than there are replicas (`Partition.effectiveMinIsr`).
    fn least_in_sync_count(&self) -> usize {
        self.config().min_insync_replicas.min(self.replica_count)
    }

    /// What a round of the cleaner would find (`cleanup.policy=compact`). Reads from disk.
    pub(super) fn dirt(&self, now: Timestamp) -> Result<Dirt, SegmentError> {
        self.view.load().dirt(&self.config(), self.cleaning.cleaned_to(), self.last_stable_offset(), now)
    }

    /// Runs `work` on the log, given the high watermark, with the append side held: retention, flushes,
    /// checkpoints. `None` when the partition is closed.
    pub fn with_log<T>(&self, work: impl FnOnce(&mut Log, Offset) -> T) -> Option<T> {
        let mut appender = self.appender.lock();
        let high_watermark = appender.leadership.high_watermark();
        let done = appender.log.as_mut().map(|log| work(log, high_watermark));
        self.publish_stable_offset(&mut appender);
        done
    }

    /// What is to be told of each producer it remembers. `None` when the partition is closed.
    pub fn producers<T>(&self, describe: impl FnMut(&ProducerEntry) -> T) -> Option<Vec<T>> {
        self.with_log(|log, _| log.producers().entries().map(describe).collect())
    }

    /// What `ticket` names is on disk; lets the high watermark follow where a flush held it back.
    pub fn flushed(&self, ticket: &FlushTicket) {
        let mut appender = self.appender.lock();
        let Some(log) = &mut appender.log else { return };
        log.mark_flushed(ticket);
        let up_to = ticket.up_to();
        if up_to >= self.view.load().log_end_offset() {
            appender.unflushed_since = None;
        }
        let has_moved = self.move_watermark(&mut appender, |leadership| leadership.flushed(up_to));
        drop(appender);
        if has_moved {
            self.subscribers.lock().changed();
            self.tell_listener();
        }
    }

    /// `flush.ms`: whether records have waited for the disk that long.
    pub fn flush_is_due(&self, now: Timestamp) -> bool {
        let since = self.appender.lock().unflushed_since;
        since.is_some_and(|since| now.since(since) >= self.config().flush_ms)
    }

    /// What an answer to `appended` has to wait for; `None` when it may leave at once.
    pub fn still_required(&self, appended: &LeaderAppend, acks_all: bool) -> Option<Required> {
        if self.high_watermark() >= appended.next_offset {
            return None;
        }
        let required = match acks_all {
            true => Required::Committed(appended.next_offset),
            false => Required::OnDisk(appended.next_offset),
        };
        (!self.is_reached(required)).then_some(required)
    }

    fn is_reached(&self, required: Required) -> bool {
        match required {
            Required::Committed(offset) => self.high_watermark() >= offset,
            Required::OnDisk(offset) => self.appender.lock().leadership.counts_up_to() >= offset,
        }
    }

    /// Until `required` is reached, or the partition closes.
    pub async fn reached(&self, required: Required) -> Result<(), ErrorCode> {
        let subscription = Arc::new(Subscription::default());
        let _watch = Watch::begin(self, &subscription);
        let mut ready = Vec::new();
        loop {
            subscription.take_ready(1, &mut ready);
            if self.is_reached(required) {
                return Ok(());
            }
            if self.is_closed() {
                return Err(ErrorCode::NotLeaderOrFollower);
            }
            subscription.wait().await;
        }
    }

    /// Marks `slot` of `subscription` whenever something changes here.
    pub fn subscribe(&self, subscription: &Arc<Subscription>, slot: Slot) {
        self.subscribers.lock().add(subscription, slot);
    }

    /// Ends [`Replica::subscribe`].
    pub fn unsubscribe(&self, subscription: &Arc<Subscription>, slot: Slot) {
        self.subscribers.lock().remove(subscription, slot);
    }

    /// Hands the log out so that its files can move: until [`Replica::resume`] nothing is appended, and whoever tries
    /// is told to try again. Reads go on. `None` when the partition is closed.
    pub(super) fn suspend(&self) -> Option<Log> {
        self.appender.lock().log.take()
    }

    /// Goes on with the same records in another directory, all of them on disk; false when the partition was closed
    /// meanwhile or the log ends elsewhere.
    pub(super) fn resume(&self, mut log: Log, directory_index: usize) -> bool {
        log.set_config(self.config.load_full());
        let log_end = log.log_end_offset();
        let mut appender = self.appender.lock();
        if self.is_closed() || log_end != self.log_end_offset() {
            return false;
        }
        self.view.store(log.view());
        self.directory_index.store(directory_index, Ordering::Release);
        appender.log = Some(log);
        (appender.flush_requested_to, appender.unflushed_since) = (log_end, None);
        self.move_watermark(&mut appender, |leadership| leadership.flushed(log_end));
        true
    }

    /// After [`Replica::resume`], without any lock: wakes who waits, as what was appended before is on disk.
    pub(super) fn announce(&self) {
        self.subscribers.lock().changed();
        self.tell_listener();
    }

    /// Ends appends and reads, wakes all who wait, and hands the log out. What is on disk stays.
    pub fn close(&self) -> Option<Log> {
        let mut appender = self.appender.lock();
        let log = appender.log.take();
        self.closed.store(true, Ordering::Release);
        drop(appender);
        self.subscribers.lock().changed();
        if let Some(listener) = self.listener.swap(None) {
            listener(News::Closed);
        }
        log
    }
}

/// A batch that decompresses to more is answered by its first offset: one request must not cost more memory.
const MOST_DECOMPRESSED_BYTES: usize = 256 << 20;

fn time_limits(up_to: Offset) -> TimeLimits {
    TimeLimits { up_to, max_decompressed_bytes: MOST_DECOMPRESSED_BYTES }
}

/// A subscription to one replica that ends with its scope, also when the waiting future is dropped.
struct Watch<'a> {
    replica: &'a Replica,
    subscription: &'a Arc<Subscription>,
}

impl<'a> Watch<'a> {
    fn begin(replica: &'a Replica, subscription: &'a Arc<Subscription>) -> Watch<'a> {
        replica.subscribe(subscription, 0);
        Watch { replica, subscription }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.replica.unsubscribe(self.subscription, 0);
    }
}

impl Appender {
    /// `flush.messages`: whether records up to `log_end` must be on disk before they count.
    fn flush_due(&mut self, log_end: Offset, interval: i64) -> bool {
        let due = log_end - self.flush_requested_to >= interval;
        if due {
            self.flush_requested_to = log_end;
        }
        due
    }
}
