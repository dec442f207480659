//! How far the broker has come, and the HTTP listener that tells it together with the metrics.
//!
//! The listener runs on the control runtime from before the logs are recovered until the process ends, so
//! that a load balancer sees a broker that is not ready yet instead of nothing.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context;
use parking_lot::Mutex;

use super::control::ControlRuntime;
use crate::telemetry::http::{self, Endpoints};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;

/// How far the broker has come (`BrokerState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Recovery,
    Running,
    ShuttingDown,
}

impl Phase {
    /// Kafka's number.
    pub fn code(self) -> u8 {
        match self {
            Phase::Recovery => 2,
            Phase::Running => 3,
            Phase::ShuttingDown => 7,
        }
    }
}

/// The phase, for those who watch.
pub struct Lifecycle(Mutex<Phase>);

impl Lifecycle {
    pub fn begin() -> Arc<Lifecycle> {
        Arc::new(Lifecycle(Mutex::new(Phase::Recovery)))
    }

    pub fn enter(&self, phase: Phase) {
        *self.0.lock() = phase;
    }

    pub fn phase(&self) -> Phase {
        *self.0.lock()
    }

    fn check_ready(&self) -> Result<(), String> {
        match self.phase() {
            Phase::Recovery => Err("the broker is starting".to_owned()),
            Phase::Running => Ok(()),
            Phase::ShuttingDown => Err("the broker is stopping".to_owned()),
        }
    }
}

/// The bound socket of `klamm.http.listener`.
pub struct HttpListener {
    socket: TcpListener,
    pub address: SocketAddr,
}

impl HttpListener {
    pub fn bind(address: &str) -> anyhow::Result<HttpListener> {
        let (socket, address) = http::bind(address).context("klamm.http.listener")?;
        Ok(HttpListener { socket, address })
    }

    /// Answers on the control runtime until that is stopped.
    pub fn serve(self, control: &ControlRuntime, metrics: Arc<Metrics>, lifecycle: Arc<Lifecycle>) {
        metrics.add_source(process::source());
        let endpoints = Endpoints {
            metrics,
            // Whoever gets this answer has asked a process that lives: a panic ends it.
            health: Box::new(|| Ok(())),
            ready: Box::new(move || lifecycle.check_ready()),
        };
        tracing::info!(address = %self.address, "listening for /metrics, /health and /ready");
        control.spawn("serve metrics", http::serve(self.socket, Arc::new(endpoints)));
    }
}
