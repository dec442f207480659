//! Counters with Kafka's meanings, and their text for Prometheus.
//!
//! Counting costs nothing on the hot path: every worker has counters of its own, written by its thread
//! alone with plain relaxed stores, and summed when somebody asks. Names follow what the usual JMX
//! exporter rules make of Kafka's MBeans.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// A counter that one thread writes and any may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the owning thread may call it.
    pub fn add(&self, amount: u64) {
        // One writer needs no read-modify-write.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one worker thread.
#[derive(Debug, Default)]
pub struct WorkerMetrics {
    pub bytes_in: Counter,
    pub bytes_out: Counter,
}

impl WorkerMetrics {
    /// A frame goes to its handler; returns the API key it claims.
    pub fn request_begun(&self, frame: &[u8]) -> i16 {
        frame.first_chunk().map_or(-1, |key| i16::from_be_bytes(*key))
    }

    /// The response of a request is ready.
    pub fn request_done(&self, _api_key: i16, _duration_us: u64) {}
}

/// The counters of one listener; connections come and go on several threads.
#[derive(Debug, Default)]
pub struct ListenerMetrics {
    accepted: AtomicU64,
    ended: AtomicU64,
    rejected: AtomicU64,
}

impl ListenerMetrics {
    pub fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub fn ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections at the moment.
    pub fn current(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed).saturating_sub(self.ended.load(Ordering::Relaxed))
    }
}

/// All counters of the process.
#[derive(Default)]
pub struct Metrics {
    workers: Mutex<Vec<Arc<WorkerMetrics>>>,
    listeners: Mutex<Vec<(Arc<str>, Arc<ListenerMetrics>)>>,
}

impl Metrics {
    pub fn add_worker(&self) -> Arc<WorkerMetrics> {
        let worker = Arc::new(WorkerMetrics::default());
        self.workers.lock().push(worker.clone());
        worker
    }

    /// Bytes that clients have sent.
    pub fn bytes_in(&self) -> u64 {
        self.workers.lock().iter().map(|worker| worker.bytes_in.value()).sum()
    }

    /// The counters of a listener; its addresses share them.
    pub fn add_listener(&self, name: &Arc<str>) -> Arc<ListenerMetrics> {
        let mut listeners = self.listeners.lock();
        if let Some((_, metrics)) = listeners.iter().find(|(listener, _)| listener == name) {
            return metrics.clone();
        }
        let metrics = Arc::new(ListenerMetrics::default());
        listeners.push((name.clone(), metrics.clone()));
        metrics
    }
}
