//! The process: arguments, configuration, start, signal, stop. Everything else is in the library.

use std::process::ExitCode;

use klamm::broker::Broker;
use klamm::config::load::{self, Invocation, Settings};
use klamm::env::clock::Clock;
use klamm::env::fs;
use klamm::env::temporary::TemporaryDirectory;
use klamm::telemetry::logging;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1);
    let read_file = |path: &str| match fs::read_file(path.as_ref()) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err("no such file".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let outcome = match load::invocation(arguments, std::env::vars(), read_file) {
        Ok(Invocation::Run(settings)) => run(settings),
        Ok(Invocation::Help) => {
            print!("{}", load::USAGE);
            Ok(())
        }
        Ok(Invocation::Version) => {
            println!("klamm {} (Apache Kafka 4.4)", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line that names the thing and what is allowed.
            eprintln!("klamm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut settings: Settings) -> anyhow::Result<()> {
    abort_on_panic();
    let levels = std::env::var("KLAMM_LOG").unwrap_or_else(|_| logging::DEFAULT_LEVELS.to_owned());
    let loggers = logging::start(&levels, Clock::system())?;
    // Removed when it goes out of scope, after the broker has stopped.
    let temporary = settings.temp.then(TemporaryDirectory::create).transpose()?;
    if let Some(directory) = &temporary {
        settings.keep_data_in(&directory.path().to_string_lossy());
    }
    // Before that a signal ends the process at once, as a recovery may take long and the next start goes on with it.
    let (broker, signals) = Broker::start_in_process(settings, loggers, StopSignals::catch)?;
    let signal = signals.wait();
    tracing::info!(signal, "stopping");
    broker.stop()
}

/// A broker that has lost a thread is neither alive nor dead; a dead one is restarted.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

/// SIGTERM and SIGINT, which ask for a clean stop.
struct StopSignals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From here on they do not end the process.
    fn catch() -> anyhow::Result<StopSignals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(entered);
        Ok(StopSignals { runtime, terminate, interrupt })
    }

    /// Until one of them has come; its name.
    fn wait(mut self) -> &'static str {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            }
        })
    }
}
