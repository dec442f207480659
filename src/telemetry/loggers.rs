//! The loggers of the process and their levels, which an operator changes while it runs (KIP-412).
//!
//! Kafka's loggers are Java classes. Ours are the crate's rooms (`klamm::net`), the crate itself (`klamm`), the raft
//! library (`openraft`), what `KLAMM_LOG` names besides, and `root`, which counts for all that have no level of
//! their own. A level lasts until the process ends, as in Kafka. Kafka: `LoggingController`.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// The logger that counts where no other does.
pub const ROOT: &str = "root";

/// What can be given a level without being named at the start.
const KNOWN: &[&str] = &[
    "klamm",
    "klamm::broker",
    "klamm::config",
    "klamm::controller",
    "klamm::coordinator",
    "klamm::env",
    "klamm::handlers",
    "klamm::log",
    "klamm::net",
    "klamm::protocol",
    "klamm::raft",
    "klamm::replication",
    "klamm::security",
    "klamm::store",
    "klamm::telemetry",
    "openraft",
];

/// Kafka's levels. There is no line above ERROR, so FATAL is silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Off,
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// What a client may set (`LogLevelConfig.VALID_LOG_LEVELS`), by name.
    pub const SETTABLE: [Level; 6] =
        [Level::Debug, Level::Error, Level::Fatal, Level::Info, Level::Trace, Level::Warn];

    /// As it is told and set.
    pub fn name(self) -> &'static str {
        match self {
            Level::Off => "OFF",
            Level::Fatal => "FATAL",
            Level::Error => "ERROR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
            Level::Trace => "TRACE",
        }
    }

    /// The settable level of this name, in capitals.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::SETTABLE.into_iter().find(|level| level.name() == name)
    }

    fn filter(self) -> LevelFilter {
        match self {
            Level::Off | Level::Fatal => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        }
    }

    fn of(filter: LevelFilter) -> Level {
        let levels = [Level::Off, Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        levels.into_iter().find(|level| level.filter() == filter).expect("a filter is one of the levels")
    }
}

/// A handle to the levels; clones share them.
#[derive(Clone)]
pub struct Loggers {
    shared: Arc<Shared>,
}

struct Shared {
    levels: Mutex<Levels>,
    /// Makes the levels count.
    apply: Box<dyn Fn(Targets) + Send + Sync>,
}

struct Levels {
    root: Level,
    /// Levels that were set, by logger.
    set: BTreeMap<String, Level>,
    /// Every logger but `root`.
    names: Vec<String>,
}

impl Default for Loggers {
    /// Everything at INFO, in a process whose log lines follow somebody else's rules.
    fn default() -> Loggers {
        Loggers::new(Targets::new().with_default(LevelFilter::INFO), |_| ())
    }
}

impl Loggers {
    /// Begins with the levels in `targets`; `apply` is told all levels whenever one changes.
    pub fn new(targets: Targets, apply: impl Fn(Targets) + Send + Sync + 'static) -> Loggers {
        let root = Level::of(targets.default_level().unwrap_or(LevelFilter::OFF));
        let set: BTreeMap<String, Level> =
            targets.into_iter().map(|(target, filter)| (target, Level::of(filter))).collect();
        let mut names: Vec<String> =
            KNOWN.iter().map(|name| name.to_string()).chain(set.keys().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        let levels = Mutex::new(Levels { root, set, names });
        Loggers { shared: Arc::new(Shared { levels, apply: Box::new(apply) }) }
    }

    /// Whether a logger of this name is there.
    pub fn exists(&self, name: &str) -> bool {
        name == ROOT || self.shared.levels.lock().names.iter().any(|known| known == name)
    }

    /// Every logger with the level that counts for it, by name.
    pub fn levels(&self) -> Vec<(String, Level)> {
        let levels = self.shared.levels.lock();
        let mut all: Vec<(String, Level)> =
            levels.names.iter().map(|name| (name.clone(), levels.of(name))).collect();
        all.push((ROOT.to_owned(), levels.root));
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// Gives a logger that exists a level of its own.
    pub fn set(&self, name: &str, level: Level) {
        let mut levels = self.shared.levels.lock();
        match name {
            ROOT => levels.root = level,
            name => drop(levels.set.insert(name.to_owned(), level)),
        }
        (self.shared.apply)(levels.targets());
    }

    /// Takes a logger's own level away, so that the next wider one counts. `root` keeps its level.
    pub fn unset(&self, name: &str) {
        let mut levels = self.shared.levels.lock();
        levels.set.remove(name);
        (self.shared.apply)(levels.targets());
    }
}

impl Levels {
    /// As `Targets` decides: the longest name that the logger's begins with.
    fn of(&self, name: &str) -> Level {
        let wider = self.set.iter().filter(|(set, _)| name.starts_with(set.as_str()));
        wider.max_by_key(|(set, _)| set.len()).map_or(self.root, |(_, level)| *level)
    }

    fn targets(&self) -> Targets {
        let set = self.set.iter().map(|(target, level)| (target.clone(), level.filter()));
        Targets::new().with_default(self.root.filter()).with_targets(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(loggers: &Loggers, name: &str) -> Level {
        let levels = loggers.levels();
        levels.into_iter().find(|(logger, _)| logger == name).expect("the logger is listed").1
    }

    #[test]
    fn the_longest_name_that_fits_counts_and_root_for_the_rest() {
        let loggers = Loggers::new("warn,klamm=info,klamm::net=debug".parse().unwrap(), |_| ());
        assert_eq!(level(&loggers, ROOT), Level::Warn);
        assert_eq!(level(&loggers, "openraft"), Level::Warn);
        assert_eq!(level(&loggers, "klamm::raft"), Level::Info);
        assert_eq!(level(&loggers, "klamm::net"), Level::Debug);
        loggers.unset("klamm::net");
        assert_eq!(level(&loggers, "klamm::net"), Level::Info);
        loggers.unset("klamm");
        loggers.set(ROOT, Level::Fatal);
        assert_eq!(level(&loggers, "klamm::net"), Level::Fatal);
        assert!(loggers.exists("klamm::net") && loggers.exists(ROOT) && !loggers.exists("klamm::nowhere"));
    }

    #[test]
    fn a_name_from_the_start_is_a_logger_as_well() {
        let loggers = Loggers::new("klamm::raft::proposer=trace".parse().unwrap(), |_| ());
        assert!(loggers.exists("klamm::raft::proposer"));
        assert_eq!(level(&loggers, ROOT), Level::Off);
    }

    #[test]
    fn levels_are_kafkas_in_capitals() {
        assert_eq!(Level::from_name("DEBUG"), Some(Level::Debug));
        assert_eq!(Level::from_name("debug"), None);
        assert_eq!(Level::from_name("OFF"), None);
    }

    #[test]
    fn every_room_of_the_crate_has_a_logger() {
        let rooms = include_str!("../lib.rs").lines().filter_map(|line| line.strip_prefix("pub mod "));
        for room in rooms {
            let logger = format!("klamm::{}", room.trim_end_matches(';'));
            assert!(KNOWN.contains(&logger.as_str()), "{logger} is missing");
        }
    }
}
