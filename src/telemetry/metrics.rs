//! Counters with Kafka's meanings, and their text for Prometheus.
//!
//! Counting costs nothing on the hot path: every worker has counters of its own, written by its thread
//! alone with plain relaxed stores, and summed when somebody asks. Names follow what the usual JMX
//! exporter rules make of Kafka's MBeans (`RequestChannel.RequestMetrics`, `Selector`'s metrics). What
//! other parts of the broker count they render themselves as a source.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use kafka_protocol::messages::ApiKey;
use parking_lot::Mutex;

use super::exposition::{Exposition, Histogram, Kind};
use crate::protocol::errors::ErrorCode;

/// API keys and versions beyond these are not counted; Kafka 4.4 has keys to 93 and versions to 18.
const MAX_API_KEYS: usize = 128;
const MAX_API_VERSIONS: usize = 32;

/// Codes -1 to 158.
const MAX_ERROR_CODES: usize = 160;

/// Upper bounds of the latency buckets.
const BUCKETS_US: [u64; 16] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    5_000_000, 30_000_000,
];

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

/// The API key and version that a request claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestKind {
    pub api_key: i16,
    pub api_version: i16,
}

impl RequestKind {
    /// The kind of a frame without its length; one that is never counted when the frame is too short.
    pub fn of(frame: &[u8]) -> RequestKind {
        match frame.first_chunk() {
            Some([key_high, key_low, version_high, version_low]) => RequestKind {
                api_key: i16::from_be_bytes([*key_high, *key_low]),
                api_version: i16::from_be_bytes([*version_high, *version_low]),
            },
            None => RequestKind { api_key: -1, api_version: -1 },
        }
    }
}

/// The counters of one worker thread.
#[derive(Debug)]
pub struct WorkerMetrics {
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    /// By API key; made when the first request of a key comes.
    requests: [OnceLock<Box<RequestMetrics>>; MAX_API_KEYS],
}

#[derive(Debug, Default)]
struct RequestMetrics {
    by_version: [Counter; MAX_API_VERSIONS],
    /// One more than [`BUCKETS_US`].
    latency: [Counter; BUCKETS_US.len() + 1],
    latency_sum_us: Counter,
    /// By error code + 1; made when the first error comes.
    errors: OnceLock<Box<[Counter]>>,
}

impl Default for WorkerMetrics {
    fn default() -> WorkerMetrics {
        WorkerMetrics {
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            requests: std::array::from_fn(|_| OnceLock::new()),
        }
    }
}

impl WorkerMetrics {
    /// The response of a request is ready, so long after the request was handed to its handler.
    pub fn request_done(&self, kind: RequestKind, duration_us: u64) {
        let Some(request) = self.request(kind.api_key) else { return };
        let version = usize::try_from(kind.api_version).unwrap_or(usize::MAX);
        if let Some(counter) = request.by_version.get(version) {
            counter.add(1);
        }
        let bucket = BUCKETS_US.partition_point(|bound| *bound < duration_us);
        request.latency[bucket].add(1);
        request.latency_sum_us.add(duration_us);
    }

    /// A response, or a part of one, carries an error.
    #[cold]
    pub fn request_failed(&self, api_key: i16, code: ErrorCode) {
        let Some(request) = self.request(api_key) else { return };
        let errors =
            request.errors.get_or_init(|| (0..MAX_ERROR_CODES).map(|_| Counter::default()).collect());
        if let Some(counter) = usize::try_from(code.code() + 1).ok().and_then(|index| errors.get(index)) {
            counter.add(1);
        }
    }

    fn request(&self, api_key: i16) -> Option<&RequestMetrics> {
        let slot = self.requests.get(usize::try_from(api_key).ok()?)?;
        Some(slot.get_or_init(Box::default))
    }
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

    /// A connection was closed at once because its address has too many.
    pub fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }
}

/// Something that renders metrics of its own.
pub type Source = Box<dyn Fn(&mut Exposition) + Send + Sync>;

/// All counters of the process.
#[derive(Default)]
pub struct Metrics {
    workers: Mutex<Vec<Arc<WorkerMetrics>>>,
    listeners: Mutex<Vec<(Arc<str>, Arc<ListenerMetrics>)>>,
    sources: Mutex<Vec<Source>>,
}

impl Metrics {
    pub fn add_worker(&self) -> Arc<WorkerMetrics> {
        let worker = Arc::new(WorkerMetrics::default());
        self.workers.lock().push(worker.clone());
        worker
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

    /// Has `source` called whenever somebody asks for the metrics.
    pub fn add_source(&self, source: Source) {
        self.sources.lock().push(source);
    }

    /// Bytes that clients have sent.
    pub fn bytes_in(&self) -> u64 {
        self.workers.lock().iter().map(|worker| worker.bytes_in.value()).sum()
    }

    /// Everything as Prometheus reads it.
    pub fn render(&self) -> String {
        let mut exposition = Exposition::default();
        self.render_sockets(&mut exposition);
        self.render_requests(&mut exposition);
        for source in self.sources.lock().iter() {
            source(&mut exposition);
        }
        exposition.into_text()
    }

    fn render_sockets(&self, exposition: &mut Exposition) {
        let workers = self.workers.lock();
        let bytes_in: u64 = workers.iter().map(|worker| worker.bytes_in.value()).sum();
        let bytes_out: u64 = workers.iter().map(|worker| worker.bytes_out.value()).sum();
        let name = "kafka_server_socket_server_metrics_incoming_byte_total";
        exposition.family(name, Kind::Counter, "Bytes read off all sockets.").sample(&[], bytes_in);
        let name = "kafka_server_socket_server_metrics_outgoing_byte_total";
        exposition.family(name, Kind::Counter, "Bytes sent to all sockets.").sample(&[], bytes_out);

        type Reader = fn(&ListenerMetrics) -> u64;
        let families: [(&str, Kind, &str, Reader); 4] = [
            ("count", Kind::Gauge, "Open connections.", |listener| {
                let ended = listener.ended.load(Ordering::Relaxed);
                listener.accepted.load(Ordering::Relaxed).saturating_sub(ended)
            }),
            ("creation_total", Kind::Counter, "Connections accepted.", |listener| {
                listener.accepted.load(Ordering::Relaxed)
            }),
            ("close_total", Kind::Counter, "Connections ended.", |listener| {
                listener.ended.load(Ordering::Relaxed)
            }),
            (
                "rejected_total",
                Kind::Counter,
                "Connections refused by the limit of an address.",
                |listener| listener.rejected.load(Ordering::Relaxed),
            ),
        ];
        let listeners = self.listeners.lock();
        for (suffix, kind, help, read) in families {
            let name = format!("kafka_server_socket_server_metrics_connection_{suffix}");
            let mut family = exposition.family(&name, kind, help);
            for (listener, metrics) in listeners.iter() {
                family.sample(&[("listener", listener)], read(metrics));
            }
        }
    }

    fn render_requests(&self, exposition: &mut Exposition) {
        let requests = self.sum_requests();
        let name = "kafka_network_requestmetrics_requests_total";
        let mut family = exposition.family(name, Kind::Counter, "Requests answered.");
        for (request, sums) in &requests {
            for (version, count) in sums.by_version.iter().enumerate().filter(|(_, count)| **count > 0) {
                family.sample(&[("request", request), ("version", &version.to_string())], count);
            }
        }
        let name = "kafka_network_requestmetrics_errors_total";
        let mut family = exposition.family(name, Kind::Counter, "Errors in responses, by error code.");
        for (request, sums) in &requests {
            for (code, count) in &sums.errors {
                family.sample(&[("request", request), ("error", &error_name(*code))], count);
            }
        }
        let bounds_seconds = BUCKETS_US.map(seconds);
        let name = "kafka_network_requestmetrics_total_time_seconds";
        let help = "Time from a request's last byte to its response being ready.";
        let mut family = exposition.histogram_family(name, help);
        for (request, sums) in &requests {
            let sum_seconds = seconds(sums.latency_sum_us);
            let histogram = Histogram { bounds_seconds: &bounds_seconds, counts: &sums.latency, sum_seconds };
            family.histogram(&[("request", request)], &histogram);
        }
    }

    /// What all workers have counted, by the request's name.
    fn sum_requests(&self) -> BTreeMap<String, RequestSums> {
        let mut requests: BTreeMap<String, RequestSums> = BTreeMap::new();
        for worker in self.workers.lock().iter() {
            for (api_key, slot) in worker.requests.iter().enumerate() {
                let Some(counters) = slot.get() else { continue };
                let Ok(name) = ApiKey::try_from(api_key as i16) else { continue };
                requests.entry(format!("{name:?}")).or_default().add(counters);
            }
        }
        requests
    }
}

#[derive(Default)]
struct RequestSums {
    by_version: [u64; MAX_API_VERSIONS],
    latency: [u64; BUCKETS_US.len() + 1],
    latency_sum_us: u64,
    /// By error code.
    errors: BTreeMap<i16, u64>,
}

impl RequestSums {
    fn add(&mut self, counters: &RequestMetrics) {
        for (sum, counter) in self.by_version.iter_mut().zip(&counters.by_version) {
            *sum += counter.value();
        }
        for (sum, counter) in self.latency.iter_mut().zip(&counters.latency) {
            *sum += counter.value();
        }
        self.latency_sum_us += counters.latency_sum_us.value();
        for (code, counter) in (-1..).zip(counters.errors.get().into_iter().flatten()) {
            if counter.value() > 0 {
                *self.errors.entry(code).or_default() += counter.value();
            }
        }
    }
}

/// Kafka's name of a code.
fn error_name(code: i16) -> String {
    ErrorCode::from_code(code).map_or_else(|| code.to_string(), ErrorCode::name)
}

fn seconds(duration_us: u64) -> f64 {
    duration_us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCE_9: RequestKind = RequestKind { api_key: 0, api_version: 9 };

    #[test]
    fn workers_are_summed_by_request_and_version() {
        let metrics = Metrics::default();
        let (first, second) = (metrics.add_worker(), metrics.add_worker());
        first.request_done(PRODUCE_9, 60);
        second.request_done(PRODUCE_9, 1_500);
        second.request_done(RequestKind { api_key: 0, api_version: 10 }, 60_000_000);
        first.request_failed(0, ErrorCode::CorruptMessage);
        second.request_failed(0, ErrorCode::UnknownServerError);
        let text = metrics.render();
        for line in [
            "kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"9\"} 2\n",
            "kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"10\"} 1\n",
            "kafka_network_requestmetrics_errors_total{request=\"Produce\",error=\"CORRUPT_MESSAGE\"} 1\n",
            "kafka_network_requestmetrics_errors_total{request=\"Produce\",error=\"UNKNOWN_SERVER_ERROR\"} 1\n",
            "kafka_network_requestmetrics_total_time_seconds_bucket{request=\"Produce\",le=\"0.00005\"} 0\n",
            "kafka_network_requestmetrics_total_time_seconds_bucket{request=\"Produce\",le=\"0.0001\"} 1\n",
            "kafka_network_requestmetrics_total_time_seconds_bucket{request=\"Produce\",le=\"0.002\"} 2\n",
            "kafka_network_requestmetrics_total_time_seconds_bucket{request=\"Produce\",le=\"30\"} 2\n",
            "kafka_network_requestmetrics_total_time_seconds_bucket{request=\"Produce\",le=\"+Inf\"} 3\n",
            "kafka_network_requestmetrics_total_time_seconds_sum{request=\"Produce\"} 60.00156\n",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn keys_and_versions_that_do_not_exist_are_not_counted() {
        let metrics = Metrics::default();
        let worker = metrics.add_worker();
        for api_key in [-1, i16::MIN, i16::MAX, 127, 128] {
            worker.request_done(RequestKind { api_key, api_version: i16::MAX }, u64::MAX);
            worker.request_failed(api_key, ErrorCode::None);
        }
        worker.request_done(RequestKind::of(b"\0\0"), 1);
        worker.request_done(RequestKind { api_key: 3, api_version: -1 }, 1);
        assert!(!metrics.render().contains("requests_total{"));
    }

    #[test]
    fn listeners_and_sources_are_rendered() {
        let metrics = Metrics::default();
        let listener = metrics.add_listener(&"PLAINTEXT".into());
        listener.accepted();
        listener.accepted();
        listener.ended();
        metrics.add_source(Box::new(|exposition| {
            exposition.family("kafka_log_log_size", Kind::Gauge, "Size.").sample(&[("topic", "t")], 7);
        }));
        let text = metrics.render();
        assert!(text.contains("_metrics_connection_count{listener=\"PLAINTEXT\"} 1\n"));
        assert!(text.contains("kafka_log_log_size{topic=\"t\"} 7\n"));
    }
}
