//! The control runtime: one thread that runs what is not on the data path, such as the metadata quorum.

use std::future::Future;
use std::thread::JoinHandle;

use anyhow::Context;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// The running thread.
pub struct ControlRuntime {
    handle: Handle,
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl ControlRuntime {
    /// Starts the thread, which ends with [`ControlRuntime::stop`].
    pub fn start() -> anyhow::Result<ControlRuntime> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("make the control runtime")?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let thread = std::thread::Builder::new()
            .name("control".into())
            .spawn(move || runtime.block_on(stopped))
            .context("start the control thread")?;
        Ok(ControlRuntime { handle, stop, thread })
    }

    /// For those who start work there by themselves, or wait for some on a thread of their own.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs `work` there and waits for its end. Not for use on a worker.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (done, outcome) = std::sync::mpsc::channel();
        self.handle.spawn(async move {
            // Nobody listens only when the process ends.
            let _ = done.send(work.await);
        });
        outcome.recv().context("wait for the control runtime")
    }

    /// Runs `work` until it ends by itself or the thread is stopped. A failure is logged as what `purpose` says.
    pub fn spawn(
        &self,
        purpose: &'static str,
        work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.handle.spawn(async move {
            if let Err(error) = work.await {
                tracing::error!(error = format!("{error:#}"), "{purpose}");
            }
        });
    }

    /// Ends the thread; what still runs on it is dropped.
    pub fn stop(self) {
        self.stop.cancel();
        self.thread.join().expect("a panic ends the process");
    }
}
