//! Fetch sessions (KIP-227): what a consumer watches, so that a request names only changes and an answer holds
//! only news.
//!
//! Knows which partitions are watched and what was told of each, not what they hold ([`look`](super::look)).
//! Kafka: `FetchSession`, `FetchContext`. A fetch without a session is a session that nobody can name again.

mod key;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use self::key::{OwnedKey, PartitionKey};
use crate::protocol::errors::ErrorCode;
use crate::protocol::fetch::{FetchPartition, TopicKey, TopicName, WantedPartitions};
use crate::protocol::ids::{Offset, PartitionIndex};
use crate::replication::replica::Replica;
use crate::replication::subscription::{Slot, Subscription};

/// One partition as the client asks for it.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub topic: TopicKey,
    pub at: FetchPartition,
}

/// A watched partition with what the client was last told.
pub struct Watched {
    pub wanted: Wanted,
    /// Resolved when first read; `None` while the partition is unknown.
    pub replica: Option<Arc<Replica>>,
    pub told_high_watermark: Offset,
    pub told_log_start: Offset,
}

/// The watched partitions of one session.
#[derive(Default)]
pub struct FetchSession {
    /// 0 for a fetch without a session.
    pub id: i32,
    /// Epoch that the next request must carry.
    pub next_epoch: i32,
    uses_topic_ids: bool,
    slots: Vec<Option<Watched>>,
    free_slots: Vec<Slot>,
    by_partition: HashMap<OwnedKey, Slot>,
    /// The one that was watched last: a client names many partitions of a topic, or the same one again and again.
    last_topic: Option<TopicKey>,
    pub subscription: Arc<Subscription>,
    last_used_ms: i64,
}

impl FetchSession {
    /// A session of no id that watches `wanted`, all of them ready to be looked at in this order.
    pub fn new(wanted: WantedPartitions<'_>, uses_topic_ids: bool) -> FetchSession {
        let mut session = FetchSession::default();
        session.begin(wanted, uses_topic_ids);
        session
    }

    /// As [`FetchSession::new`], of a session that watches nothing.
    pub fn begin(&mut self, wanted: WantedPartitions<'_>, uses_topic_ids: bool) {
        self.uses_topic_ids = uses_topic_ids;
        self.next_epoch = 1;
        wanted.for_each(|topic, at| self.watch(topic, at));
    }

    /// Watches nothing any more, and keeps its memory for those that it will watch.
    pub fn clear(&mut self) {
        self.unsubscribe();
        self.slots.clear();
        self.free_slots.clear();
        self.by_partition.clear();
        self.subscription.forget_marks();
        self.id = 0;
    }

    /// For so many partitions it has memory.
    pub fn capacity(&self) -> usize {
        self.slots.capacity().max(self.by_partition.capacity())
    }

    /// Adds a partition or takes over its new position; either way the next fetch looks at it.
    pub fn watch(&mut self, topic: TopicName<'_>, at: FetchPartition) {
        let known = self.by_partition.get(&(topic, at.partition) as &dyn PartitionKey).copied();
        let slot = match known {
            Some(slot) => {
                if let Some(watched) = self.watched(slot) {
                    watched.wanted.at = at;
                }
                slot
            }
            None => self.add(topic, at),
        };
        self.subscription.mark(slot);
    }

    fn add(&mut self, topic: TopicName<'_>, at: FetchPartition) -> Slot {
        let topic = match &self.last_topic {
            Some(last) if last.as_name() == topic => last.clone(),
            _ => self.last_topic.insert(topic.to_key()).clone(),
        };
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as Slot
        });
        self.by_partition.insert(OwnedKey { topic: topic.clone(), partition: at.partition }, slot);
        self.slots[slot as usize] = Some(Watched {
            wanted: Wanted { topic, at },
            replica: None,
            told_high_watermark: Offset::NONE,
            told_log_start: Offset::NONE,
        });
        slot
    }

    /// Stops watching; unknown partitions are ignored, as Kafka does.
    pub fn forget(&mut self, topic: TopicName<'_>, partition: PartitionIndex) {
        let Some(slot) = self.by_partition.remove(&(topic, partition) as &dyn PartitionKey) else { return };
        if let Some(watched) = self.slots[slot as usize].take()
            && let Some(replica) = watched.replica
        {
            replica.unsubscribe(&self.subscription, slot);
        }
        self.free_slots.push(slot);
    }

    /// The partition in `slot`; `None` when it was forgotten since the slot was marked.
    pub fn watched(&mut self, slot: Slot) -> Option<&mut Watched> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The topic of the partition in `slot`; `None` as with [`FetchSession::watched`].
    pub fn topic(&self, slot: Slot) -> Option<&TopicKey> {
        self.slots.get(slot as usize)?.as_ref().map(|watched| &watched.wanted.topic)
    }

    /// Records of the partition in `slot` leave for the client.
    pub fn sent(&self, slot: Slot, size_bytes: usize) {
        if let Some(Some(Watched { replica: Some(replica), .. })) = self.slots.get(slot as usize) {
            replica.sent(size_bytes);
        }
    }

    /// Ties the partition in `slot` to the replica that serves it, so that its changes mark the slot.
    pub fn resolve(&mut self, slot: Slot, replica: &Arc<Replica>) {
        let subscription = self.subscription.clone();
        let Some(watched) = self.watched(slot) else { return };
        if watched.replica.as_ref().is_some_and(|known| Arc::ptr_eq(known, replica)) {
            return;
        }
        if let Some(previous) = watched.replica.replace(replica.clone()) {
            previous.unsubscribe(&subscription, slot);
        }
        replica.subscribe(&subscription, slot);
        // It may have closed before it knew whom to tell.
        if replica.is_closed() {
            subscription.mark(slot);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.by_partition.is_empty()
    }

    /// A session that no cache knows.
    pub fn into_shared(self) -> SharedSession {
        Arc::new(Mutex::new(self))
    }

    fn unsubscribe(&self) {
        for (slot, watched) in self.slots.iter().enumerate() {
            if let Some(Watched { replica: Some(replica), .. }) = watched {
                replica.unsubscribe(&self.subscription, slot as Slot);
            }
        }
    }
}

impl Drop for FetchSession {
    fn drop(&mut self) {
        self.unsubscribe();
    }
}

/// A session that requests in flight may share with the cache.
pub type SharedSession = Arc<Mutex<FetchSession>>;

/// A fetch session that nobody has used for so long may make room for another
/// (`FetchSessionCache`: eviction after two minutes).
const EVICTABLE_AFTER_MS: i64 = 120_000;

/// The sessions of this broker; at most `max.incremental.fetch.session.cache.slots`.
pub struct SessionCache {
    capacity: usize,
    sessions: Mutex<HashMap<i32, SharedSession>>,
}

impl SessionCache {
    /// `capacity` is the most sessions there may be.
    pub fn new(capacity: usize) -> SessionCache {
        SessionCache { capacity, sessions: Mutex::new(HashMap::new()) }
    }

    /// Gives `session` an id when there is room; otherwise it stays without one and the client goes on with
    /// full fetches. `candidate_ids` yields random positive ids.
    pub fn admit(
        &self,
        mut session: FetchSession,
        now_ms: i64,
        mut candidate_ids: impl FnMut() -> i32,
    ) -> SharedSession {
        let mut sessions = self.sessions.lock();
        if sessions.len() >= self.capacity {
            let oldest = sessions
                .iter()
                .filter_map(|(id, session)| Some((session.try_lock()?.last_used_ms, *id)))
                .min()
                .filter(|(last_used_ms, _)| now_ms - last_used_ms >= EVICTABLE_AFTER_MS);
            match oldest {
                Some((_, id)) => sessions.remove(&id),
                None => return session.into_shared(),
            };
        }
        let id = loop {
            let id = candidate_ids();
            if id > 0 && !sessions.contains_key(&id) {
                break id;
            }
        };
        session.id = id;
        session.last_used_ms = now_ms;
        let session = session.into_shared();
        sessions.insert(id, session.clone());
        session
    }

    /// The session that an incremental request goes on with, its epoch moved on.
    pub fn resume(
        &self,
        id: i32,
        epoch: i32,
        uses_topic_ids: bool,
        now_ms: i64,
    ) -> Result<SharedSession, ErrorCode> {
        let session = self.sessions.lock().get(&id).cloned().ok_or(ErrorCode::FetchSessionIdNotFound)?;
        {
            let mut session = session.lock();
            if session.next_epoch != epoch {
                return Err(ErrorCode::InvalidFetchSessionEpoch);
            }
            // KIP-516: a client that went from names to ids or back must begin a new session.
            if session.uses_topic_ids != uses_topic_ids {
                return Err(ErrorCode::FetchSessionTopicIdError);
            }
            session.next_epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
            session.last_used_ms = now_ms;
        }
        Ok(session)
    }

    /// Ends a session; it is no error when there is none.
    pub fn remove(&self, id: i32) {
        self.sessions.lock().remove(&id);
    }

    pub fn len(&self) -> usize {
        self.sessions.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ids::{LeaderEpoch, Uuid};

    const TOPIC: TopicName<'_> = TopicName::Name("t");

    fn wanted(partition: i32) -> FetchPartition {
        FetchPartition {
            partition: PartitionIndex(partition),
            current_leader_epoch: LeaderEpoch::NONE,
            fetch_offset: Offset(0),
            last_fetched_epoch: LeaderEpoch::NONE,
            log_start_offset: Offset::NONE,
            max_bytes: 1000,
            replica_directory_id: Uuid::nil(),
            high_watermark: Offset(i64::MAX),
        }
    }

    fn session(partitions: &[i32]) -> FetchSession {
        let mut session = FetchSession::default();
        session.next_epoch = 1;
        partitions.iter().for_each(|partition| session.watch(TOPIC, wanted(*partition)));
        session
    }

    fn ready(session: &FetchSession) -> Vec<Slot> {
        let mut slots = Vec::new();
        session.subscription.take_ready(1, &mut slots);
        slots
    }

    #[test]
    fn a_session_looks_at_what_was_added_or_moved() {
        let mut session = session(&[0, 1]);
        assert_eq!(ready(&session), [0, 1]);
        assert!(ready(&session).is_empty());
        session.watch(TOPIC, wanted(1));
        assert_eq!(ready(&session), [1]);
        session.forget(TOPIC, PartitionIndex(0));
        session.watch(TOPIC, wanted(2));
        assert_eq!(ready(&session), [0], "the slot of a forgotten partition is used again");
    }

    #[test]
    fn a_session_that_was_cleared_begins_anew() {
        let mut session = session(&[0, 1, 2]);
        assert_eq!(ready(&session), [0, 1, 2]);
        session.forget(TOPIC, PartitionIndex(1));
        session.subscription.mark(2);
        session.clear();
        assert!(session.is_empty() && session.capacity() >= 3);
        assert!(ready(&session).is_empty() && session.topic(0).is_none());
        for (slot, topic) in [TOPIC, TopicName::Name("other")].into_iter().enumerate() {
            session.watch(topic, wanted(7));
            assert_eq!(ready(&session), [slot as Slot]);
            assert_eq!(session.topic(slot as Slot).expect("it is watched").as_name(), topic);
        }
    }

    #[test]
    fn epochs_and_ids_are_checked() {
        let cache = SessionCache::new(10);
        let session = cache.admit(session(&[0]), 0, || 42);
        assert_eq!(session.lock().id, 42);
        assert_eq!(cache.resume(43, 1, false, 0).err(), Some(ErrorCode::FetchSessionIdNotFound));
        assert_eq!(cache.resume(42, 2, false, 0).err(), Some(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(cache.resume(42, 1, true, 0).err(), Some(ErrorCode::FetchSessionTopicIdError));
        assert!(cache.resume(42, 1, false, 0).is_ok());
        assert!(cache.resume(42, 2, false, 0).is_ok());
        cache.remove(42);
        assert_eq!(cache.resume(42, 3, false, 0).err(), Some(ErrorCode::FetchSessionIdNotFound));
    }

    #[test]
    fn a_full_cache_evicts_only_what_is_long_unused() {
        let cache = SessionCache::new(1);
        cache.admit(session(&[0]), 0, || 1);
        let refused = cache.admit(session(&[0]), EVICTABLE_AFTER_MS - 1, || 2);
        assert_eq!(refused.lock().id, 0);
        let admitted = cache.admit(session(&[0]), EVICTABLE_AFTER_MS, || 3);
        assert_eq!(admitted.lock().id, 3);
        assert_eq!(cache.len(), 1);
    }
}
