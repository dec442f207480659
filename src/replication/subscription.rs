//! Who waits for a partition to change: one subscription per fetch session or one-off fetch, told by every
//! partition it watches, so that a fetch looks only at partitions with news.
//!
//! A partition marks its slot ready when its high watermark, log start, leadership or existence changes.
//! The waiting fetch wakes once `min_bytes` have come in, or at once for a change that is not an append.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::wake_ups;

/// Slot number of a partition within its subscription.
pub type Slot = u32;

/// The ready list of one fetch session.
#[derive(Debug, Default)]
pub struct Subscription {
    ready: Mutex<ReadyList>,
    /// Bytes that must still come in before the waiter is woken.
    missing_bytes: AtomicI64,
    wake: Notify,
}

#[derive(Debug, Default)]
struct ReadyList {
    slots: Vec<Slot>,
    /// Whether a slot stands in `slots`, by slot number.
    listed: Vec<bool>,
}

impl Subscription {
    /// Puts `slot` on the ready list without waking anybody.
    pub fn mark(&self, slot: Slot) {
        let mut ready = self.ready.lock();
        let index = slot as usize;
        if ready.listed.len() <= index {
            ready.listed.resize(index + 1, false);
        }
        if !ready.listed[index] {
            ready.listed[index] = true;
            ready.slots.push(slot);
        }
    }

    /// `size_bytes` of new records in `slot`.
    fn records_came(self: &Arc<Self>, slot: Slot, size_bytes: usize) {
        self.mark(slot);
        let size_bytes = size_bytes as i64;
        let missing_bytes = self.missing_bytes.fetch_sub(size_bytes, Ordering::AcqRel);
        // Only the append that crosses the line wakes, so that each waiter is woken once.
        if missing_bytes > 0 && missing_bytes <= size_bytes {
            wake_ups::wake(self);
        }
    }

    /// Wakes who waits, who then looks whether it is for long enough.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Something other than records changed in `slot`: the waiter must look.
    fn changed(&self, slot: Slot) {
        self.mark(slot);
        self.missing_bytes.store(0, Ordering::Release);
        self.wake.notify_one();
    }

    /// Takes the slots with news, oldest first, and starts to count bytes for [`Subscription::wait`]. Taking
    /// comes before looking, so that what changes in between is on the next list.
    pub fn take_ready(&self, min_bytes: i64, into: &mut Vec<Slot>) {
        into.clear();
        self.missing_bytes.store(min_bytes, Ordering::Release);
        let mut ready = self.ready.lock();
        let ready = &mut *ready;
        for slot in ready.slots.drain(..) {
            ready.listed[slot as usize] = false;
            into.push(slot);
        }
    }

    /// Forgets which slots are marked.
    pub fn forget_marks(&self) {
        let mut ready = self.ready.lock();
        ready.slots.clear();
        ready.listed.clear();
    }

    /// Counts bytes that the fetch has found by looking.
    pub fn found_bytes(&self, size_bytes: i64) {
        self.missing_bytes.fetch_sub(size_bytes, Ordering::AcqRel);
    }

    /// Until the missing bytes have come in or something else has changed. May wake early.
    pub async fn wait(&self) {
        while self.missing_bytes.load(Ordering::Acquire) > 0 {
            self.wake.notified().await;
        }
    }
}

/// The subscriptions of one partition. Most have one at most, which takes no memory of its own.
#[derive(Debug, Default)]
pub struct Subscribers(SmallVec<[(Arc<Subscription>, Slot); 1]>);

impl Subscribers {
    /// From here on `slot` of `subscription` is marked on changes.
    pub fn add(&mut self, subscription: &Arc<Subscription>, slot: Slot) {
        self.0.push((subscription.clone(), slot));
    }

    /// Ends [`Subscribers::add`]; it is no error when there was none.
    pub fn remove(&mut self, subscription: &Arc<Subscription>, slot: Slot) {
        let found = self.0.iter().position(|(other, at)| Arc::ptr_eq(other, subscription) && *at == slot);
        if let Some(index) = found {
            self.0.swap_remove(index);
        }
        if self.0.is_empty() {
            self.0.shrink_to_fit();
        }
    }

    /// `size_bytes` of records have become visible.
    pub fn records_came(&self, size_bytes: usize) {
        for (subscription, slot) in &self.0 {
            subscription.records_came(*slot, size_bytes);
        }
    }

    /// Log start, leadership or existence changed.
    pub fn changed(&self) {
        for (subscription, slot) in &self.0 {
            subscription.changed(*slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribed() -> (Arc<Subscription>, Subscribers) {
        let subscription = Arc::new(Subscription::default());
        let mut subscribers = Subscribers::default();
        subscribers.add(&subscription, 3);
        (subscription, subscribers)
    }

    fn is_woken(subscription: &Subscription) -> bool {
        let mut waiting = std::pin::pin!(subscription.wait());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::future::Future::poll(waiting.as_mut(), &mut context).is_ready()
    }

    #[test]
    fn a_waiter_wakes_when_min_bytes_have_come() {
        let (subscription, subscribers) = subscribed();
        let mut slots = Vec::new();
        subscription.take_ready(100, &mut slots);
        assert!(slots.is_empty());
        subscribers.records_came(60);
        assert!(!is_woken(&subscription));
        subscribers.records_came(60);
        assert!(is_woken(&subscription));
        subscription.take_ready(100, &mut slots);
        assert_eq!(slots, [3], "a slot stands on the list once");
    }

    #[test]
    fn records_that_come_while_the_fetch_looks_are_not_missed() {
        let (subscription, subscribers) = subscribed();
        let mut slots = Vec::new();
        subscription.take_ready(1, &mut slots);
        subscribers.records_came(10);
        subscription.found_bytes(0);
        assert!(is_woken(&subscription));
    }

    #[test]
    fn forgotten_marks_are_not_found_and_made_again() {
        let (subscription, subscribers) = subscribed();
        subscribers.changed();
        subscription.forget_marks();
        let mut slots = Vec::new();
        subscription.take_ready(1, &mut slots);
        assert!(slots.is_empty());
        subscribers.changed();
        subscription.take_ready(1, &mut slots);
        assert_eq!(slots, [3]);
    }

    #[test]
    fn a_change_wakes_at_once_and_a_removed_subscriber_never() {
        let (subscription, mut subscribers) = subscribed();
        let mut slots = Vec::new();
        subscription.take_ready(1000, &mut slots);
        subscribers.changed();
        assert!(is_woken(&subscription));
        subscription.take_ready(1000, &mut slots);
        subscribers.remove(&subscription, 3);
        subscribers.changed();
        assert!(!is_woken(&subscription));
    }
}
