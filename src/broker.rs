//! The composition root: the only file that knows every part, and the order in which they start and stop.
//!
//! Sockets are bound first, so that a port in use is told before any file is touched. Clients are served
//! last, when the metadata is applied and every log is open.

mod control;
mod coordinators;
mod health;
mod metrics;
mod registration;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context;

use self::control::ControlRuntime;
use self::coordinators::{Coordinators, Parts};
use self::health::{HttpListener, Lifecycle, Phase};
use crate::config::broker::BrokerConfig;
use crate::config::load::Settings;
use crate::controller::ClusterImage;
use crate::env::clock::Clock;
use crate::env::rng::Rng;
use crate::handlers::Handlers;
use crate::handlers::configs::Configs;
use crate::handlers::conversions::Conversions;
use crate::handlers::fetch::session::SessionCache;
use crate::handlers::groups::Groups;
use crate::handlers::producer_ids::ProducerIds;
use crate::handlers::quotas::ClientQuotas;
use crate::handlers::releases::Release;
use crate::handlers::services::Services;
use crate::handlers::transactions::Transactions;
use crate::log::compaction::MapLimits;
use crate::log::dirs::{LogDirectory, Owner};
use crate::log::files::FileCache;
use crate::net::budget::ByteBudget;
use crate::net::listener::{ConnectionCounts, ConnectionQuotas, ListenerOptions, SocketOptions};
use crate::net::server::{BoundServer, ListenerAddress, Server, ServerOptions};
use crate::net::worker::{ConnectionLimits, DEFAULT_MAX_STALL_MS};
use crate::protocol::ids::Offset;
use crate::raft::{self, Quorum};
use crate::replication::chores::{Chores, Intervals, Signal};
use crate::replication::cleaner::{Cleaner, CleanerSettings, ReadSettings};
use crate::replication::moves::Mover;
use crate::replication::registry::{Registry, RegistryOptions, TopicConfigs};
use crate::telemetry::loggers::Loggers;
use crate::telemetry::metrics::Metrics;

/// How long a stop lets connections end what they are at.
const STOP_GRACE: Duration = Duration::from_secs(5);
const METADATA_DIRECTORY: &str = "__cluster_metadata-0";
/// Entries of the metadata log that stay although a snapshot holds them.
const KEPT_ENTRY_COUNT: u64 = 10_000;
/// Records of the metadata log after which a snapshot is taken. Kafka counts bytes
/// (`metadata.log.max.record.bytes.between.snapshots`); one of our records is at least this long.
const LEAST_RECORD_SIZE: u64 = 64;
/// Bytes a second that moves between log directories copy.
const COPY_RATE_KEY: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
/// Bytes of requests and responses that may wait at once, when `queued.max.request.bytes` says nothing.
const DEFAULT_BUDGET_SIZE: usize = 512 << 20;

/// A running broker.
pub struct Broker {
    server: Server,
    chores: Chores,
    /// `None` when `log.cleaner.enable` is false.
    cleaner: Option<Cleaner>,
    mover: Mover,
    services: Arc<Services>,
    coordinators: Arc<Coordinators>,
    control: ControlRuntime,
    lifecycle: Arc<Lifecycle>,
    http_address: Option<SocketAddr>,
}

impl Broker {
    /// As [`Broker::start_in_process`], in a process whose log lines and end are not the broker's business.
    pub fn start(settings: Settings) -> anyhow::Result<Broker> {
        let (broker, ()) = Broker::start_in_process(settings, Loggers::default(), || Ok(()))?;
        Ok(broker)
    }

    /// Returns when clients are served. An error is one line that names the thing and what is allowed. `loggers` are
    /// those whose levels clients see and change. `about_to_serve` is called when all logs are there and no client has an
    /// answer yet: until then the process may end in any way, from then on it should with [`Broker::stop`].
    pub fn start_in_process<T>(
        settings: Settings,
        loggers: Loggers,
        about_to_serve: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(Broker, T)> {
        let (config, warnings) = BrokerConfig::from_properties(&settings.properties)?;
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let release = match settings.as_version.as_deref() {
            Some(name) => Release::named(name).map_err(anyhow::Error::msg)?,
            None => Release::klamm(),
        };
        let clock = Clock::system();
        let metrics = Arc::new(Metrics::default());
        let bound = BoundServer::bind(server_options(&config, &clock, &metrics)?)?;
        let http = config.http_listener.as_deref().map(HttpListener::bind).transpose()?;
        let http_address = http.as_ref().map(|http| http.address);

        let owner = Owner { node_id: config.node_id, cluster_id: settings.cluster_id.as_deref() };
        let rng = Arc::new(Rng::system());
        let directories = LogDirectory::open_all(&config.log_dirs, &owner, &rng)?;
        let cluster_id = directories[0].cluster_id().to_owned();
        let configs = Arc::new(Configs::new(settings.properties, config.clone()));
        let signal = Arc::new(Signal::default());
        let cleaner_signal = Arc::new(Signal::default());
        let producer_expiration_ms = Arc::new(AtomicI64::new(config.log.producer_id_expiration_ms));
        let directory_ids = directories.iter().map(LogDirectory::id).collect();
        let replicas = Arc::new(Registry::new(RegistryOptions {
            me: config.node_id,
            directories,
            files: FileCache::below_half_of_the_descriptor_limit(),
            clock: clock.clone(),
            configs: topic_configs(&configs),
            image: Arc::new(ClusterImage::new(cluster_id.as_str().into())),
            producer_expiration_ms: producer_expiration_ms.clone(),
            signal: signal.clone(),
            cleaner_signal: cleaner_signal.clone(),
        }));

        let control = ControlRuntime::start()?;
        let lifecycle = Lifecycle::begin();
        if let Some(http) = http {
            http.serve(&control, metrics.clone(), lifecycle.clone());
        }
        let coordinators = Coordinators::new(Parts {
            me: config.node_id,
            release,
            first_log_directory: &config.log_dirs[0],
            replicas: replicas.clone(),
            configs: configs.clone(),
            topic_configs: topic_configs(&configs),
            clock: clock.clone(),
            control: control.handle(),
        });
        let quotas = Arc::new(ClientQuotas::new(&config.quota));
        let followers = Followers {
            configs: configs.clone(),
            replicas: replicas.clone(),
            coordinators: coordinators.clone(),
            quotas: quotas.clone(),
            dynamic: DynamicSettings { connections: bound.connections(), producer_expiration_ms },
        };
        let options = quorum_options(&config, release, cluster_id, followers, (&clock, &rng));
        let quorum: Quorum = control.run(raft::Quorum::start(options))??;
        let registration = registration::describe(&config, &bound.addresses(), directory_ids, rng.uuid())?;
        let broker_epoch: Offset =
            control.run(registration::register(quorum.clone(), registration, release))??;
        replicas.load(std::thread::available_parallelism().map_or(1, |count| count.get()))?;

        coordinators.start();

        let groups = Arc::new(Groups::new(
            coordinators.groups().clone(),
            replicas.clone(),
            quorum.clone(),
            configs.clone(),
        ));
        let transactions = Arc::new(Transactions::new(
            coordinators.transactions().clone(),
            replicas.clone(),
            quorum.clone(),
            configs.clone(),
        ));
        let services = Arc::new(Services {
            me: config.node_id,
            release,
            broker_epoch,
            configs,
            groups,
            quorum,
            replicas: replicas.clone(),
            sessions: SessionCache::new(config.network.max_incremental_fetch_session_cache_slots),
            producer_ids: ProducerIds::default(),
            loggers,
            quotas,
            transactions,
            conversions: Conversions::default(),
            clock: clock.clone(),
            rng: Rng::system(),
        });
        let cleaner = match config.log.log_cleaner_enable {
            true => {
                let settings = cleaner_settings(&services.configs);
                Some(Cleaner::start(replicas.clone(), cleaner_signal, clock.clone(), settings)?)
            }
            false => None,
        };
        let chores = Chores::start(replicas.clone(), signal, clock, intervals(&config))?;
        let (waits_on, proposed_to) = (control.handle(), services.quorum.clone());
        let propose = Box::new(move |command| waits_on.block_on(proposed_to.propose(command)));
        let configs = services.configs.clone();
        let rate = move || configs.in_force().layers().integer(COPY_RATE_KEY) as f64;
        let mover = Mover::start(replicas, propose, Box::new(rate))?;
        let made = about_to_serve()?;
        // Harnesses wait for these two lines, which are Kafka's.
        tracing::info!("Transitioning from RECOVERY to RUNNING");
        metrics::add_sources(&metrics, &services, lifecycle.clone());
        let for_workers = services.clone();
        let server = bound.start(move |worker| Handlers::new(for_workers.clone(), worker.metrics))?;
        lifecycle.enter(Phase::Running);
        for ListenerAddress { listener, address } in server.addresses() {
            tracing::info!(%listener, %address, "listening");
        }
        tracing::info!("Kafka Server started");
        let broker = Broker {
            server,
            chores,
            cleaner,
            mover,
            services,
            coordinators,
            control,
            lifecycle,
            http_address,
        };
        Ok((broker, made))
    }

    /// Where clients can connect.
    pub fn addresses(&self) -> &[ListenerAddress] {
        self.server.addresses()
    }

    /// Where `/metrics` and the like are told; `None` unless `klamm.http.listener` is set.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Ends connections, closes every log and leaves the mark that makes the next start trust what it finds.
    pub fn stop(self) -> anyhow::Result<()> {
        let Broker {
            server,
            chores,
            cleaner,
            mover,
            services,
            coordinators,
            control,
            lifecycle,
            http_address: _,
        } = self;
        lifecycle.enter(Phase::ShuttingDown);
        server.stop(STOP_GRACE);
        mover.stop();
        chores.stop();
        if let Some(cleaner) = cleaner {
            cleaner.stop();
        }
        coordinators.stop();
        let quorum = services.quorum.clone();
        control.run(async move { quorum.shutdown().await })?.context("stop the metadata quorum")?;
        services.replicas.close_all(services.broker_epoch.0).context("close the logs")?;
        control.stop();
        tracing::info!("stopped");
        Ok(())
    }
}

fn server_options(
    config: &BrokerConfig,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<ServerOptions> {
    let network = &config.network;
    let listeners = config.listeners.iter().map(|listener| ListenerOptions {
        name: listener.name.as_str().into(),
        host: listener.host.clone().unwrap_or_default(),
        port: listener.port,
        // Settings of one listener are refused: the broker's limit is the only one.
        max_connections: usize::MAX,
    });
    // -1 leaves a socket's buffers to the operating system.
    let buffer_size = |size: i32| usize::try_from(size).ok();
    Ok(ServerOptions {
        listeners: listeners.collect(),
        sockets: SocketOptions {
            backlog: network.socket_listen_backlog_size,
            send_buffer_size_bytes: buffer_size(network.socket_send_buffer_bytes),
            receive_buffer_size_bytes: buffer_size(network.socket_receive_buffer_bytes),
        },
        quotas: connection_quotas(config)?,
        connections: ConnectionLimits {
            max_request_size_bytes: network.socket_request_max_bytes,
            max_idle_ms: u64::try_from(network.connections_max_idle_ms).ok(),
            max_stall_ms: DEFAULT_MAX_STALL_MS,
        },
        worker_count: std::thread::available_parallelism().map_or(1, |count| count.get()),
        clock: clock.clone(),
        metrics: metrics.clone(),
        budget: ByteBudget::new(
            usize::try_from(network.queued_max_request_bytes).unwrap_or(DEFAULT_BUDGET_SIZE),
        ),
    })
}

fn connection_quotas(config: &BrokerConfig) -> anyhow::Result<ConnectionQuotas> {
    let mut per_ip_overrides: HashMap<IpAddr, usize> = HashMap::new();
    for (host, count) in &config.max_connections_per_ip_overrides {
        let addresses = std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), 0))
            .with_context(|| format!("max.connections.per.ip.overrides: resolve {host}"))?;
        per_ip_overrides.extend(addresses.map(|address| (address.ip(), *count)));
    }
    let network = &config.network;
    Ok(ConnectionQuotas {
        max_connections: network.max_connections,
        max_connections_per_ip: network.max_connections_per_ip,
        per_ip_overrides,
    })
}

/// Settings that change while the broker runs and are neither asked of [`Configs`] at each use nor a topic's default.
struct DynamicSettings {
    connections: Arc<ConnectionCounts>,
    producer_expiration_ms: Arc<AtomicI64>,
}

impl DynamicSettings {
    fn apply(&self, config: &BrokerConfig) {
        self.producer_expiration_ms.store(config.log.producer_id_expiration_ms, Ordering::Relaxed);
        match connection_quotas(config) {
            Ok(quotas) => self.connections.set_quotas(quotas),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "limits of connections stay as they were")
            }
        }
    }
}

fn topic_configs(configs: &Arc<Configs>) -> TopicConfigs {
    let configs = configs.clone();
    Arc::new(move |topic| configs.topic(topic))
}

/// Who follows the metadata, in this order.
struct Followers {
    configs: Arc<Configs>,
    replicas: Arc<Registry>,
    coordinators: Arc<Coordinators>,
    quotas: Arc<ClientQuotas>,
    dynamic: DynamicSettings,
}

fn quorum_options(
    config: &BrokerConfig,
    release: &Release,
    cluster_id: String,
    followers: Followers,
    (clock, rng): (&Clock, &Arc<Rng>),
) -> raft::Options {
    let checked_against = followers.configs.clone();
    raft::Options {
        node_id: config.node_id,
        directory: config.metadata_log_dir.join(METADATA_DIRECTORY),
        cluster_id,
        configs: Box::new(move || checked_against.in_force()),
        default_partition_count: config.metadata.num_partitions,
        default_replication_factor: config.metadata.default_replication_factor as i16,
        supported_features: registration::supported(&release.allowed_levels()),
        segment_size_bytes: config.metadata.metadata_log_segment_bytes,
        snapshot_record_count: config.metadata.metadata_log_max_record_bytes_between_snapshots
            / LEAST_RECORD_SIZE,
        kept_entry_count: KEPT_ENTRY_COUNT,
        clock: clock.clone(),
        rng: rng.clone(),
        on_image: Box::new(move |old, new| {
            followers.quotas.metadata_changed(old, new);
            let defaults_changed = followers.configs.metadata_changed(old, new);
            if defaults_changed {
                followers.dynamic.apply(&followers.configs.broker());
            }
            followers.replicas.metadata_changed(old, new, defaults_changed);
            followers.coordinators.metadata_changed(old, new);
        }),
        on_fatal: Box::new(|error| {
            // As Kafka: a controller that cannot write its log must not go on.
            tracing::error!(error = format!("{error:#}"), "fatal, the process ends");
            std::process::exit(1);
        }),
    }
}

fn intervals(config: &BrokerConfig) -> Intervals {
    let log = &config.log;
    Intervals {
        retention_ms: log.log_retention_check_interval_ms,
        producer_expiration_ms: log.producer_id_expiration_check_interval_ms,
        checkpoint_ms: log
            .log_flush_offset_checkpoint_interval_ms
            .min(log.log_flush_start_offset_checkpoint_interval_ms),
        flush_ms: log.log_flush_scheduler_interval_ms,
    }
}

fn cleaner_settings(configs: &Arc<Configs>) -> ReadSettings {
    let configs = configs.clone();
    Box::new(move || {
        let config = configs.broker();
        let log = &config.log;
        CleanerSettings {
            backoff_ms: log.log_cleaner_backoff_ms,
            max_bytes_per_second: log.log_cleaner_io_max_bytes_per_second,
            map: MapLimits {
                memory_bytes: log.log_cleaner_dedupe_buffer_size,
                load_factor: log.log_cleaner_io_buffer_load_factor,
            },
        }
    })
}

#[cfg(test)]
mod tests;
