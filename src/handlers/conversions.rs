//! Message sets made into record batches and back, off the workers: few conversions run at a time, whoever asks for
//! them, because each may hold the decompressed records of a batch.
//!
//! What is converted, and what is said when it cannot be, is the business of the two handlers that ask. Kafka converts
//! on its request handler threads, of which there are few too.

use std::sync::{Arc, Weak};

use tokio::sync::Semaphore;

/// Conversions at a time. Each takes a processor, and at worst some hundred megabytes.
const MOST_AT_A_TIME: usize = 4;

/// Bytes, uncompressed, after which a turn that can stop has to: others wait. About a tenth of a second's work.
const MOST_BYTES_OF_A_TURN: usize = 64 << 20;

/// The turns of all conversions of a broker.
#[derive(Clone)]
pub struct Conversions(Arc<Semaphore>);

/// How far a conversion may go that can stop between two batches.
pub struct Turn {
    left_bytes: usize,
    /// Gone with the one who waits for the outcome.
    waiter: Weak<()>,
}

impl Turn {
    /// Says what was worked on.
    pub fn spend(&mut self, size_bytes: usize) {
        self.left_bytes = self.left_bytes.saturating_sub(size_bytes);
    }

    /// Whether to stop: all is spent, or nobody waits for more.
    pub fn is_over(&self) -> bool {
        self.left_bytes == 0 || self.waiter.strong_count() == 0
    }
}

impl Default for Conversions {
    fn default() -> Conversions {
        Conversions(Arc::new(Semaphore::new(MOST_AT_A_TIME)))
    }
}

impl Conversions {
    /// What `convert` gives, once it has had its turn on a thread that may block. `None` only while the broker stops.
    pub async fn run<T: Send + 'static>(&self, convert: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.run_turn(move |_| convert()).await
    }

    /// As [`Conversions::run`], for what can stop early and go on in another turn.
    pub async fn run_turn<T: Send + 'static>(
        &self,
        convert: impl FnOnce(&mut Turn) -> T + Send + 'static,
    ) -> Option<T> {
        let permit = self.0.clone().acquire_owned().await.ok()?;
        let waiter = Arc::new(());
        let mut turn = Turn { left_bytes: MOST_BYTES_OF_A_TURN, waiter: Arc::downgrade(&waiter) };
        // The turn ends with the conversion, also when nobody waits for it any more.
        let converted = tokio::task::spawn_blocking(move || {
            let converted = convert(&mut turn);
            drop(permit);
            converted
        });
        let converted = converted.await.ok();
        drop(waiter);
        converted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_over_when_all_is_spent() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let seen = runtime.block_on(Conversions::default().run_turn(|turn| {
            let at_first = turn.is_over();
            turn.spend(MOST_BYTES_OF_A_TURN - 1);
            let almost = turn.is_over();
            turn.spend(2);
            (at_first, almost, turn.is_over())
        }));
        assert_eq!(seen, Some((false, false, true)));
    }

    #[test]
    fn a_turn_is_over_when_nobody_waits_for_it() {
        let waiter = Arc::new(());
        let turn = Turn { left_bytes: 1, waiter: Arc::downgrade(&waiter) };
        assert!(!turn.is_over());
        drop(waiter);
        assert!(turn.is_over());
    }
}
