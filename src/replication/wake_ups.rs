//! Wake-ups of fetches that a worker holds back until the replies of the same turn have left.
//!
//! To wake a fetch on another worker is a system call, and the woken worker may take the processor from the one that has
//! a reply to send: the producer would pay for its consumers. So the appends of a thread that [`hold`]s only note whom they
//! wake, and [`release`] wakes them. Whoever holds must see to the release before it lets its thread go on to anything
//! else. Where nobody holds, as on the coordinators' threads and in what is appended later than its turn, a wake-up goes
//! out at once.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::subscription::Subscription;

thread_local! {
    static IS_HOLDING: Cell<bool> = const { Cell::new(false) };
    static HELD: RefCell<Vec<Arc<Subscription>>> = const { RefCell::new(Vec::new()) };
}

/// Ends the holding, also when what was done meanwhile panics.
struct Holding;

impl Drop for Holding {
    fn drop(&mut self) {
        IS_HOLDING.set(false);
    }
}

/// Does `work`, whose appends wake nobody before [`release`] is called on the same thread.
pub fn hold<T>(work: impl FnOnce() -> T) -> T {
    IS_HOLDING.set(true);
    let _holding = Holding;
    work()
}

/// Wakes all who were held back on this thread, in the order in which their records came.
pub fn release() {
    if HELD.with_borrow(Vec::is_empty) {
        return;
    }
    // Nobody is woken while the list is borrowed.
    let mut held = HELD.take();
    held.drain(..).for_each(|subscription| subscription.wake());
    HELD.with_borrow_mut(|list| {
        if list.is_empty() {
            *list = held;
        }
    });
}

/// Wakes who waits, or notes it while its thread holds.
pub(super) fn wake(subscription: &Arc<Subscription>) {
    if IS_HOLDING.get() {
        HELD.with_borrow_mut(|held| held.push(subscription.clone()));
    } else {
        subscription.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use super::super::subscription::Subscribers;
    use super::*;

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has a fetch wait for a byte, does `work` with the partition, and says how often the fetch is woken by it and by the
    /// release behind it.
    fn check(work: impl FnOnce(&Subscribers), woken: usize, woken_by_release: usize) {
        let (subscription, mut subscribers) = (Arc::<Subscription>::default(), Subscribers::default());
        subscribers.add(&subscription, 0);
        subscription.take_ready(1, &mut Vec::new());
        let count = Arc::<Count>::default();
        let waker = Waker::from(count.clone());
        let mut context = Context::from_waker(&waker);
        let mut waiting = pin!(subscription.wait());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        work(&subscribers);
        assert_eq!(count.0.load(Ordering::Relaxed), woken);
        release();
        assert_eq!(count.0.load(Ordering::Relaxed), woken + woken_by_release);
        release();
        assert_eq!(count.0.load(Ordering::Relaxed), woken + woken_by_release, "a wake-up is released once");
        let is_over = waiting.as_mut().poll(&mut context) == Poll::Ready(());
        assert_eq!(is_over, woken + woken_by_release > 0);
    }

    #[test]
    fn records_that_come_while_held_wake_at_the_release() {
        check(
            |subscribers| {
                hold(|| {
                    subscribers.records_came(10);
                    subscribers.records_came(10);
                });
            },
            0,
            1,
        );
    }

    #[test]
    fn records_that_come_at_another_time_wake_at_once() {
        check(|subscribers| subscribers.records_came(10), 1, 0);
        check(
            |subscribers| {
                hold(|| ());
                subscribers.records_came(10);
            },
            1,
            0,
        );
    }

    #[test]
    fn another_change_is_not_held_back() {
        check(|subscribers| hold(|| subscribers.changed()), 1, 0);
    }

    #[test]
    fn a_panic_ends_the_holding() {
        let panicked = std::panic::catch_unwind(|| hold(|| panic!("in the middle of a request")));
        assert!(panicked.is_err());
        check(|subscribers| subscribers.records_came(10), 1, 0);
    }
}
