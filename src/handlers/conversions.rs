//! Message sets made into record batches and back, off the workers: few conversions run at a time, whoever asks for
//! them, because each may hold the decompressed records of a batch.
//!
//! What is converted, and what is said when it cannot be, is the business of the two handlers that ask. Kafka converts
//! on its request handler threads, of which there are few too.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Conversions at a time. Each takes a processor, and at worst some hundred megabytes.
const MOST_AT_A_TIME: usize = 4;

/// The turns of all conversions of a broker.
#[derive(Clone)]
pub struct Conversions(Arc<Semaphore>);

impl Default for Conversions {
    fn default() -> Conversions {
        Conversions(Arc::new(Semaphore::new(MOST_AT_A_TIME)))
    }
}

impl Conversions {
    /// What `convert` gives, once it has had its turn on a thread that may block. `None` only while the broker stops.
    pub async fn run<T: Send + 'static>(&self, convert: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let turn = self.0.clone().acquire_owned().await.ok()?;
        // The turn ends with the conversion, also when nobody waits for it any more.
        let converted = tokio::task::spawn_blocking(move || {
            let converted = convert();
            drop(turn);
            converted
        });
        converted.await.ok()
    }
}
