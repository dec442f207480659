//! When the waits of one worker end at the latest.
//!
//! Each wait has a timer of its own, which costs nothing but memory as long as the runtime has an earlier one: when a
//! timer is the earliest, tokio wakes its own poll for it, which are two system calls, though the one who sets it runs
//! on the very thread that polls. A long poll that is answered takes its timer along, so each one would be the earliest
//! again. So there is an anchor: one more timer, for nobody, that stays where the earliest wait once set it. Waits that
//! end later than the anchor are free, and a stream of polls sets it about once in the time that one of them may wait.
//! A worker without waits is woken by its last anchor and never again.
//!
//! For waits on a worker. What a coordinator waits for belongs to no worker and stands in its own deadlines.

use std::cell::RefCell;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Hands out the timers of one worker.
#[derive(Debug, Default)]
pub struct Deadlines {
    anchor: RefCell<Option<Pin<Box<Sleep>>>>,
}

impl Deadlines {
    /// Ends when so much time has gone: never earlier, and later by a millisecond or so. In the worker's runtime only.
    pub fn after(&self, duration: Duration) -> Sleep {
        let wait = sleep(duration);
        self.hold(wait.deadline());
        wait
    }

    /// Sees to it that the runtime wakes by itself at `deadline` or before.
    fn hold(&self, deadline: Instant) {
        match &mut *self.anchor.borrow_mut() {
            Some(anchor) if anchor.deadline() <= deadline && !anchor.is_elapsed() => {}
            Some(anchor) => anchor.as_mut().reset(deadline),
            none => {
                let mut anchor = Box::pin(sleep_until(deadline));
                // Nobody polls it, which would make it known to the runtime.
                anchor.as_mut().reset(deadline);
                *none = Some(anchor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    fn anchor(deadlines: &Deadlines) -> Instant {
        deadlines.anchor.borrow().as_ref().expect("there was a wait").deadline()
    }

    #[test]
    fn only_an_earlier_wait_moves_the_anchor() {
        runtime().block_on(async {
            let deadlines = Deadlines::default();
            let first = deadlines.after(LONG).deadline();
            drop(deadlines.after(LONG + LONG));
            assert_eq!(anchor(&deadlines), first, "a wait that is gone leaves it where it is");
            let earlier = deadlines.after(LONG / 2).deadline();
            assert_eq!(anchor(&deadlines), earlier);
        });
    }

    #[test]
    fn the_next_wait_sets_an_anchor_that_was_reached() {
        runtime().block_on(async {
            let deadlines = Deadlines::default();
            let begun = Instant::now();
            deadlines.after(Duration::from_millis(2)).await;
            assert!(begun.elapsed() >= Duration::from_millis(2), "no wait ends early");
            let next = deadlines.after(LONG).deadline();
            assert_eq!(anchor(&deadlines), next);
        });
    }

    /// How often the runtime parks during a wait that another thread ends once it parks.
    fn parks_of_a_wait(runtime: &Runtime, deadlines: &Deadlines) -> u64 {
        let metrics = runtime.handle().metrics();
        let parked_before = metrics.worker_park_count(0);
        let (sender, mut receiver) = tokio::sync::oneshot::channel();
        let parks = metrics.clone();
        let other = std::thread::spawn(move || {
            while parks.worker_park_count(0) == parked_before {
                std::thread::yield_now();
            }
            sender.send(()).expect("waited for");
        });
        runtime.block_on(async {
            let mut wait = pin!(deadlines.after(LONG));
            poll_fn(|context| {
                assert!(wait.as_mut().poll(context).is_pending());
                Pin::new(&mut receiver).poll(context).map(|sent| sent.expect("sent"))
            })
            .await;
        });
        other.join().expect("it has sent");
        metrics.worker_park_count(0) - parked_before
    }

    #[test]
    fn a_wait_behind_the_anchor_does_not_wake_its_own_worker() {
        let (runtime, deadlines) = (runtime(), Deadlines::default());
        // Sets the anchor.
        parks_of_a_wait(&runtime, &deadlines);
        for _ in 0..50 {
            assert_eq!(parks_of_a_wait(&runtime, &deadlines), 1, "woken by the other thread alone");
        }
    }
}
