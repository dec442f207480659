//! The metrics of the process itself, by the names that Prometheus clients give them.

use super::exposition::{Exposition, Kind};
use super::metrics::Source;
use crate::env::process;

pub fn source() -> Source {
    let started_at = process::start_time_seconds();
    Box::new(move |exposition| {
        if let Some(usage) = process::usage() {
            render(exposition, &usage);
        }
        if let Some(started_at) = started_at {
            let help = "When the process was started, in seconds since the epoch.";
            exposition.family("process_start_time_seconds", Kind::Gauge, help).sample(&[], started_at);
        }
    })
}

fn render(exposition: &mut Exposition, usage: &process::Usage) {
    let help = "User and system CPU time spent.";
    exposition.family("process_cpu_seconds_total", Kind::Counter, help).sample(&[], usage.cpu_seconds);
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Resident memory.", usage.resident_memory_bytes),
        ("process_virtual_memory_bytes", "Virtual memory.", usage.virtual_memory_bytes),
        ("process_threads", "Threads.", usage.thread_count),
        ("process_open_fds", "Open file descriptors.", usage.open_descriptor_count),
        ("process_max_fds", "File descriptors that may be open.", usage.descriptor_limit),
    ] {
        exposition.family(name, Kind::Gauge, help).sample(&[], value);
    }
}
