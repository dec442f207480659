//! The house rules as a test: who may use whom, what the pure rooms must not touch, how long a file may get.
//!
//! Reads the sources as text. A finding names the file, the line and the rule.

use std::path::{Path, PathBuf};

/// Room, and the rooms it may use besides itself.
pub(crate) const LAYERS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("env", &["protocol"]),
    ("config", &["protocol"]),
    ("security", &["protocol", "config"]),
    ("log", &["protocol", "config", "env"]),
    ("store", &["protocol", "config", "env"]),
    ("controller", &["protocol", "config", "security"]),
    ("coordinator", &["protocol", "config", "env", "security", "store"]),
    ("raft", &["protocol", "config", "env", "controller", "log"]),
    ("replication", &["protocol", "config", "env", "controller", "log"]),
    ("telemetry", &["protocol", "config", "env"]),
    (
        "handlers",
        &[
            "protocol",
            "config",
            "env",
            "controller",
            "coordinator",
            "raft",
            "replication",
            "telemetry",
            "security",
        ],
    ),
    ("net", &["protocol", "config", "env", "handlers", "telemetry", "security"]),
];

/// The composition root and the fuzzer know every room.
const ABOVE_ALL: &[&str] = &["broker", "fuzz"];

/// Rooms and files whose every line is a rule apart from IO.
const PURE: &[&str] = &[
    "protocol/",
    "config/",
    "controller/",
    "coordinator/group/",
    "coordinator/shard.rs",
    "security/",
    "log/compaction/groups.rs",
    "log/compaction/offset_map.rs",
    "log/compaction/retain.rs",
    "log/compaction/transactions.rs",
    "log/producer_state.rs",
    "log/producer_snapshot.rs",
    "log/epochs.rs",
    "log/lately.rs",
    "replication/partition.rs",
    "replication/throttle.rs",
    "handlers/fetch/session.rs",
];

/// What a pure file must not say, and what to do instead.
const BANNED_IN_PURE: &[(&str, &str)] = &[
    ("std::fs", "take bytes as an argument"),
    ("tokio::", "return data; the shell waits"),
    ("async fn", "return data; the shell waits"),
    ("Instant::now", "take `now` as an argument"),
    ("SystemTime", "take `now` as an argument"),
    ("fastrand", "take the random values as an argument"),
    ("new_v4", "take the id as an argument"),
];

/// What only one place may say.
const ONE_PLACE: &[(&str, &str, &str)] = &[
    ("Instant::now", "env/", "use env::clock"),
    ("SystemTime::now", "env/", "use env::clock"),
    ("kafka_protocol::records", "", "use protocol::records"),
    ("unbounded_channel", "", "bound it and say what happens when it is full"),
    ("thread::sleep", "", "wait for an event"),
    ("block_in_place", "", "use spawn_blocking"),
    ("openraft::", "raft/", "openraft's types stay in raft/"),
    ("rocksdb::", "store/", "RocksDB's types stay in store/"),
];

/// Files of tests that do not look like it.
const TEST_ONLY: &[&str] = &["env/faults.rs", "protocol/shapes/generator.rs", "store/memory.rs"];

const MOST_LINES_IN_A_FILE: usize = 700;

pub(crate) struct Source {
    /// Relative to `src/`, with forward slashes.
    pub path: String,
    pub text: String,
}

pub(crate) fn sources() -> Vec<Source> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths
        .into_iter()
        .map(|path| Source {
            path: path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/"),
            text: std::fs::read_to_string(&path).unwrap(),
        })
        .filter(|source| !source.path.starts_with("vendor/") && source.path != "tidy.rs")
        .collect()
}

/// The lines that ship: up to the first test module, without comments. Test files have none.
fn shipped_lines(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let is_test = is_test(&source.path);
    let lines: Vec<(usize, &str)> = match is_test {
        true => Vec::new(),
        false => source
            .text
            .lines()
            .enumerate()
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or("")))
            .collect(),
    };
    lines.into_iter()
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs")
        || path.contains("/tests/")
        || path.starts_with("fuzz")
        || TEST_ONLY.contains(&path)
}

fn is_pure(path: &str) -> bool {
    PURE.iter().any(|pure| path.starts_with(pure))
}

fn report(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let mut findings = Vec::new();
    for source in sources() {
        let Some((room, _)) = source.path.split_once('/') else { continue };
        if ABOVE_ALL.contains(&room) {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == room) else {
            findings.push(format!("{}: the room `{room}` is not in the table of tidy.rs", source.path));
            continue;
        };
        for (line, text) in shipped_lines(&source) {
            for used in text.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let is_room = LAYERS.iter().any(|(name, _)| *name == used);
                if is_room && used != room && !allowed.contains(&used.as_str()) {
                    findings.push(format!("{}:{line}: `{room}` may not use `{used}`", source.path));
                }
            }
        }
    }
    report(findings);
}

#[test]
fn pure_files_touch_no_clock_file_thread_or_randomness() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| is_pure(&source.path)) {
        for (line, text) in shipped_lines(source) {
            for (banned, instead) in BANNED_IN_PURE {
                if text.contains(banned) {
                    findings.push(format!("{}:{line}: `{banned}` in a pure file: {instead}", source.path));
                }
            }
        }
    }
    report(findings);
}

#[test]
fn banned_calls_stay_where_they_belong() {
    let mut findings = Vec::new();
    for source in sources() {
        for (line, text) in shipped_lines(&source) {
            for (banned, home, instead) in ONE_PLACE {
                let at_home = !home.is_empty() && source.path.starts_with(home);
                if text.contains(banned) && !at_home {
                    findings.push(format!("{}:{line}: `{banned}`: {instead}", source.path));
                }
            }
            if text.contains(".unwrap()") {
                findings.push(format!("{}:{line}: `unwrap`: say with `expect` why it holds", source.path));
            }
        }
    }
    report(findings);
}

#[test]
fn every_file_says_what_it_is_for_and_fits_a_mind() {
    let mut findings = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//!") && !is_test(&source.path) {
            findings.push(format!("{}:1: a file opens with `//!`: what this room is for", source.path));
        }
        let count = source.text.lines().count();
        let is_generated = source.text.lines().take(5).any(|line| line.contains("scripts/shapes"));
        if count > MOST_LINES_IN_A_FILE && !is_generated {
            findings.push(format!("{}: {count} lines; split it along its nouns", source.path));
        }
    }
    report(findings);
}
