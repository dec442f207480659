//! The server: binds the listeners, starts the workers, stops them.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::error;

use super::budget::ByteBudget;
use super::listener::{
    self, Accepted, BoundSocket, ConnectionCounts, ConnectionQuotas, ListenerOptions, SocketOptions,
    WorkerQueue,
};
use super::worker::{self, ConnectionLimits, WorkerShared};
use crate::env::clock::Clock;
use crate::handlers::reply::Service;
use crate::telemetry::exposition::Kind;
use crate::telemetry::metrics::{Metrics, Source, WorkerMetrics};

/// Connections that may wait for a worker to take them; accepting waits when they are more.
const MAX_QUEUED_CONNECTIONS: usize = 256;

/// What a server is made of.
pub struct ServerOptions {
    pub listeners: Vec<ListenerOptions>,
    pub sockets: SocketOptions,
    pub quotas: ConnectionQuotas,
    pub connections: ConnectionLimits,
    pub worker_count: usize,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    /// Memory of all requests and responses that wait.
    pub budget: Arc<ByteBudget>,
}

/// What a worker's service is made from.
pub struct WorkerContext {
    pub index: usize,
    pub metrics: Arc<WorkerMetrics>,
    pub budget: Arc<ByteBudget>,
}

/// Sockets that are bound and listen; connections wait in their backlogs.
pub struct BoundServer {
    connections: Arc<ConnectionCounts>,
    options: ServerOptions,
    sockets: Vec<BoundSocket>,
}

/// The listeners at work. Dropped without [`Server::stop`], it stops without grace.
pub struct Server {
    stop: watch::Sender<Option<Duration>>,
    workers: Vec<JoinHandle<()>>,
    addresses: Vec<ListenerAddress>,
}

/// Where a listener can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerAddress {
    pub listener: Arc<str>,
    pub address: SocketAddr,
}

impl BoundServer {
    /// Binds every address, so that a port in use is known before anything else is started.
    pub fn bind(options: ServerOptions) -> anyhow::Result<BoundServer> {
        assert!(options.worker_count > 0, "a server has at least one worker");
        let mut sockets = Vec::new();
        for listener in &options.listeners {
            sockets.extend(listener::bind(listener, &options.sockets)?);
        }
        let connections = Arc::new(ConnectionCounts::new(options.quotas.clone()));
        Ok(BoundServer { connections, options, sockets })
    }

    /// The count of connections, whose limits change while the server runs.
    pub fn connections(&self) -> Arc<ConnectionCounts> {
        self.connections.clone()
    }

    /// The bound addresses, with the ports the system chose where port 0 was asked for.
    pub fn addresses(&self) -> Vec<ListenerAddress> {
        let address = |bound: &BoundSocket| ListenerAddress {
            listener: bound.listener.clone(),
            address: bound.address,
        };
        self.sockets.iter().map(address).collect()
    }

    /// Starts the workers and accepts. `make_service` runs once on each worker's thread, inside its
    /// runtime.
    pub fn start<S, F>(self, make_service: F) -> anyhow::Result<Server>
    where
        S: Service,
        F: Fn(WorkerContext) -> S + Send + Sync + 'static,
    {
        let addresses = self.addresses();
        let BoundServer { connections, options, sockets } = self;
        let make_service = Arc::new(make_service);
        let (stop, stop_receiver) = watch::channel(None);
        let (queues, receivers): (Vec<WorkerQueue>, Vec<_>) = (0..options.worker_count)
            .map(|_| {
                let (sender, receiver) = mpsc::channel(MAX_QUEUED_CONNECTIONS);
                (WorkerQueue { sender, load: Arc::new(AtomicUsize::new(0)) }, receiver)
            })
            .unzip();
        let mut acceptors = Some(Acceptors {
            sockets,
            counts: connections,
            metrics: options.metrics.clone(),
            queues: queues.into(),
        });
        options.metrics.add_source(memory_source(options.budget.clone()));
        let mut workers = Vec::new();
        for (index, incoming) in receivers.into_iter().enumerate() {
            let plan = WorkerPlan {
                context: WorkerContext {
                    index,
                    metrics: options.metrics.add_worker(),
                    budget: options.budget.clone(),
                },
                clock: options.clock.clone(),
                limits: options.connections,
                // The first worker also accepts.
                acceptors: acceptors.take(),
                incoming,
                stop: stop_receiver.clone(),
            };
            let make_service = make_service.clone();
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            let spawned = thread.spawn(move || plan.run(make_service.as_ref()));
            workers.push(spawned.context("start a worker thread")?);
        }
        Ok(Server { stop, workers, addresses })
    }
}

/// Kafka's gauges of the memory pool for requests (`SocketServer`).
fn memory_source(budget: Arc<ByteBudget>) -> Source {
    Box::new(move |exposition| {
        let (used, limit) = (budget.held_size_bytes(), budget.limit_size_bytes());
        let name = "kafka_network_socketserver_memorypoolused";
        let help = "Bytes that connections hold for requests and responses under way.";
        exposition.family(name, Kind::Gauge, help).sample(&[], used);
        let name = "kafka_network_socketserver_memorypoolavailable";
        let help = "Bytes left before large requests have to wait.";
        exposition.family(name, Kind::Gauge, help).sample(&[], limit.saturating_sub(used));
    })
}

/// What the first worker accepts from and hands connections to.
struct Acceptors {
    sockets: Vec<BoundSocket>,
    counts: Arc<ConnectionCounts>,
    metrics: Arc<Metrics>,
    queues: Arc<[WorkerQueue]>,
}

/// What a worker's thread starts with.
struct WorkerPlan {
    context: WorkerContext,
    clock: Clock,
    limits: ConnectionLimits,
    acceptors: Option<Acceptors>,
    incoming: mpsc::Receiver<Accepted>,
    stop: watch::Receiver<Option<Duration>>,
}

impl WorkerPlan {
    fn run<S: Service>(self, make_service: &dyn Fn(WorkerContext) -> S) {
        let guard = DieWithWorker { index: self.context.index };
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => return error!(%error, "cannot start the runtime of a worker"),
        };
        runtime.block_on(async {
            let (metrics, budget) = (self.context.metrics.clone(), self.context.budget.clone());
            let service = make_service(self.context);
            let worker = Rc::new(WorkerShared::new(service, self.clock, metrics, self.limits, budget));
            let accepting = self.acceptors.map(Acceptors::spawn).unwrap_or_default();
            worker::serve(worker, accepting, self.incoming, self.stop).await;
        });
        runtime.shutdown_background();
        std::mem::forget(guard);
    }
}

impl Acceptors {
    fn spawn(self) -> JoinSet<()> {
        let mut accepting = JoinSet::new();
        for socket in self.sockets {
            let metrics = self.metrics.add_listener(&socket.listener);
            accepting.spawn_local(listener::accept(
                socket,
                self.counts.clone(),
                metrics,
                self.queues.clone(),
            ));
        }
        accepting
    }
}

/// A worker that ends while the server runs would leave its connections hanging: the process ends.
struct DieWithWorker {
    index: usize,
}

impl Drop for DieWithWorker {
    fn drop(&mut self) {
        error!(worker = self.index, "a worker thread ended unexpectedly");
        std::process::abort();
    }
}

impl Server {
    pub fn addresses(&self) -> &[ListenerAddress] {
        &self.addresses
    }

    /// Stops accepting, lets responses that are on their way leave for at most `grace`, closes every
    /// connection. Blocks until the workers are gone.
    pub fn stop(mut self, grace: Duration) {
        self.stop.send_replace(Some(grace));
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}
