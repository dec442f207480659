//! The server: binds the listeners, starts the workers, stops them.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::error;

use super::balance::{Balance, BusyTime};
use super::budget::ByteBudget;
use super::listener::{
    self, Accepted, Acceptor, BoundSocket, ConnectionCounts, ConnectionQuotas, ListenerOptions,
    SocketOptions, WorkerQueues,
};
use super::worker::{self, ConnectionLimits, Place, WorkerShared};
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
        let (queues, receivers): (Vec<_>, Vec<_>) =
            (0..options.worker_count).map(|_| mpsc::channel(MAX_QUEUED_CONNECTIONS)).unzip();
        let queues: WorkerQueues = queues.into();
        let busy_times: Arc<[BusyTime]> = (0..options.worker_count).map(|_| BusyTime::default()).collect();
        let mut acceptors =
            Some(Acceptors { sockets, counts: connections, metrics: options.metrics.clone() });
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
                queues: queues.clone(),
                busy_times: busy_times.clone(),
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

/// What the first worker accepts from.
struct Acceptors {
    sockets: Vec<BoundSocket>,
    counts: Arc<ConnectionCounts>,
    metrics: Arc<Metrics>,
}

/// What a worker's thread starts with.
struct WorkerPlan {
    context: WorkerContext,
    clock: Clock,
    limits: ConnectionLimits,
    acceptors: Option<Acceptors>,
    incoming: mpsc::Receiver<Accepted>,
    /// Those of all workers.
    queues: WorkerQueues,
    busy_times: Arc<[BusyTime]>,
    stop: watch::Receiver<Option<Duration>>,
}

impl WorkerPlan {
    fn run<S: Service>(self, make_service: &dyn Fn(WorkerContext) -> S) {
        let index = self.context.index;
        let guard = DieWithWorker { index };
        let runtime = match self.runtime() {
            Ok(runtime) => runtime,
            Err(error) => return error!(%error, "cannot start the runtime of a worker"),
        };
        runtime.block_on(async {
            let (metrics, budget) = (self.context.metrics.clone(), self.context.budget.clone());
            let service = make_service(self.context);
            let balance = Rc::new(Balance::new(index, self.busy_times, self.clock.uptime_us()));
            let accepting = match self.acceptors {
                Some(Acceptors { sockets, counts, metrics }) => {
                    let (queues, balance, clock) = (self.queues.clone(), balance.clone(), self.clock.clone());
                    spawn_acceptors(sockets, &Acceptor { counts, queues, balance, clock }, &metrics)
                }
                None => JoinSet::new(),
            };
            let place = Place { balance, queues: self.queues };
            let worker = Rc::new(WorkerShared::new(service, self.clock, metrics, self.limits, budget, place));
            worker::serve(worker, accepting, self.incoming, self.stop).await;
        });
        runtime.shutdown_background();
        std::mem::forget(guard);
    }

    /// The worker's runtime, which notes when it waits.
    fn runtime(&self) -> io::Result<LocalRuntime> {
        let index = self.context.index;
        let (clock, busy_times) = (self.clock.clone(), self.busy_times.clone());
        busy_times[index].wakes(clock.uptime_us());
        let rests = move || busy_times[index].rests(clock.uptime_us());
        let (clock, busy_times) = (self.clock.clone(), self.busy_times.clone());
        let wakes = move || busy_times[index].wakes(clock.uptime_us());
        let mut builder = Builder::new_current_thread();
        builder.enable_all().on_thread_park(rests).on_thread_unpark(wakes);
        builder.build_local(LocalOptions::default())
    }
}

fn spawn_acceptors(sockets: Vec<BoundSocket>, acceptor: &Acceptor, metrics: &Metrics) -> JoinSet<()> {
    let mut accepting = JoinSet::new();
    for socket in sockets {
        let metrics = metrics.add_listener(&socket.listener);
        accepting.spawn_local(listener::accept(socket, acceptor.clone(), metrics));
    }
    accepting
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
