//! How much memory the requests and responses of all connections may hold together.
//!
//! Short of it, no connection begins to receive a frame beyond the base size; small requests go on. One
//! that has begun is never made to wait, since a wait while holding memory could wait for itself; beyond
//! twice the limit it is closed instead. While somebody waits, workers end the connections that hold
//! memory and do not get on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The budget of a broker whose configuration sets none (`queued.max.request.bytes`).
pub const DEFAULT_LIMIT_SIZE_BYTES: usize = 512 * 1024 * 1024;

/// Memory of all connections.
#[derive(Debug)]
pub struct ByteBudget {
    limit_size_bytes: usize,
    held_size_bytes: AtomicUsize,
    waiters: Mutex<HashMap<u64, Waker>>,
    next_id: AtomicU64,
    /// Told when the first one waits.
    shortage: Notify,
}

/// What one holder has of the budget; given back when dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<ByteBudget>,
    id: u64,
    size_bytes: usize,
    waits: bool,
}

impl ByteBudget {
    pub fn new(limit_size_bytes: usize) -> Arc<ByteBudget> {
        Arc::new(ByteBudget {
            limit_size_bytes,
            held_size_bytes: AtomicUsize::new(0),
            waiters: Mutex::default(),
            next_id: AtomicU64::new(0),
            shortage: Notify::new(),
        })
    }

    /// A holder that holds nothing yet.
    pub fn charge(self: &Arc<Self>) -> Charge {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Charge { budget: self.clone(), id, size_bytes: 0, waits: false }
    }

    pub fn limit_size_bytes(&self) -> usize {
        self.limit_size_bytes
    }

    pub fn held_size_bytes(&self) -> usize {
        self.held_size_bytes.load(Ordering::Relaxed)
    }

    fn is_short(&self) -> bool {
        self.held_size_bytes() >= self.limit_size_bytes
    }

    /// Whether somebody waits for memory.
    pub fn is_waited_for(&self) -> bool {
        !self.waiters.lock().is_empty()
    }

    /// Resolves when somebody waits for memory.
    pub async fn shortage(&self) {
        let shortage = self.shortage.notified();
        if !self.is_waited_for() {
            shortage.await;
        }
    }

    fn release(&self, size_bytes: usize) {
        let before = self.held_size_bytes.fetch_sub(size_bytes, Ordering::Relaxed);
        let after = before - size_bytes;
        if before >= self.limit_size_bytes && after < self.limit_size_bytes {
            self.waiters.lock().drain().for_each(|(_, waker)| waker.wake());
        }
    }
}

impl Charge {
    /// Changes what is held to `size_bytes`, whatever the limit. Costs nothing when nothing changes.
    pub fn set(&mut self, size_bytes: usize) {
        if size_bytes > self.size_bytes {
            self.budget.held_size_bytes.fetch_add(size_bytes - self.size_bytes, Ordering::Relaxed);
        } else if size_bytes < self.size_bytes {
            self.budget.release(self.size_bytes - size_bytes);
        }
        self.size_bytes = size_bytes;
    }

    /// Ready when there is room to begin something large; otherwise the task is woken when there is.
    pub fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.budget.is_short() {
            self.stop_waiting();
            return Poll::Ready(());
        }
        let is_first = {
            let mut waiters = self.budget.waiters.lock();
            waiters.insert(self.id, context.waker().clone());
            waiters.len() == 1
        };
        self.waits = true;
        // Memory that was released between the look and the entry has woken nobody.
        if !self.budget.is_short() {
            self.stop_waiting();
            return Poll::Ready(());
        }
        if is_first {
            self.budget.shortage.notify_waiters();
        }
        Poll::Pending
    }

    /// Whether there is room to spare, for what makes things quicker and can be done without.
    pub fn has_plenty(&self) -> bool {
        self.budget.held_size_bytes() < self.budget.limit_size_bytes / 2
    }

    /// Whether the holder has found no room and waits for it.
    pub fn is_waiting(&self) -> bool {
        self.waits
    }

    /// Whether so much is held by all that not even what has begun may grow.
    pub fn is_exhausted(&self) -> bool {
        self.budget.held_size_bytes() >= self.budget.limit_size_bytes.saturating_mul(2)
    }

    fn stop_waiting(&mut self) {
        if self.waits {
            self.budget.waiters.lock().remove(&self.id);
            self.waits = false;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
        self.stop_waiting();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_room_is_woken_when_there_is() {
        let budget = ByteBudget::new(100);
        let (mut holder, mut other) = (budget.charge(), budget.charge());
        let mut context = Context::from_waker(Waker::noop());
        assert!(other.poll_room(&mut context).is_ready());
        holder.set(100);
        assert!(other.poll_room(&mut context).is_pending());
        assert!(budget.is_waited_for());
        holder.set(99);
        assert!(!budget.is_waited_for(), "the waiter has been woken");
        assert!(other.poll_room(&mut context).is_ready());
    }

    #[test]
    fn what_is_dropped_holds_and_waits_for_nothing() {
        let budget = ByteBudget::new(100);
        let (mut holder, mut other) = (budget.charge(), budget.charge());
        holder.set(250);
        assert!(holder.is_exhausted());
        assert!(other.poll_room(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(other);
        assert!(!budget.is_waited_for());
        drop(holder);
        assert_eq!(budget.held_size_bytes(), 0);
    }
}
