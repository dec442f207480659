//! The stories of `stories/*.txt`: a command, a line of dashes, and what happens. `KLAMM_BLESS=1` writes what happens
//! into the file; a reader judges the difference.
//!
//! `init r1 t timeout=60s as=1/0` is an InitProducerId of the transactional id `t` by a producer that believes to be
//! id 1 in epoch 0, answered under the name `r1`. `written` reports the oldest markers, `written again` the
//! same ones once more, and `written last t` those of the last record of `t`. `state` shows all ids.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::world::{World, show_metadata};
use crate::coordinator::shard::TransactionalProducer;
use crate::coordinator::transaction::command::{
    AddPartitionsRequest, Command, EndTransactionRequest, InitProducerIdRequest, TopicPartition,
};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{PartitionIndex, ProducerEpoch, ProducerId};

fn milliseconds(text: &str) -> i64 {
    let (number, unit_ms) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None if text.ends_with('h') => (&text[..text.len() - 1], 3_600_000),
        None => (text.strip_suffix('s').expect("a time ends with h, s or ms"), 1000),
    };
    number.parse::<i64>().unwrap() * unit_ms
}

fn producer(text: &str) -> TransactionalProducer {
    let (id, epoch) = text.split_once('/').expect("a producer is ID/EPOCH");
    TransactionalProducer {
        id: ProducerId(id.parse().unwrap()),
        epoch: ProducerEpoch(epoch.parse().unwrap()),
    }
}

fn partition(text: &str) -> TopicPartition {
    let (topic, index) = text.rsplit_once('-').expect("a partition is TOPIC-INDEX");
    (Arc::from(topic), PartitionIndex(index.parse().unwrap()))
}

fn value<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// One line of a story.
fn run(world: &mut World, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["init", name, id, ref rest @ ..] => {
            let request = InitProducerIdRequest {
                transactional_id: Arc::from(id.trim_matches('"')),
                timeout_ms: value(rest, "timeout").map_or(60_000, milliseconds) as i32,
                expected: value(rest, "as").map(producer),
                fresh_id: None,
            };
            world.submit(name, Command::InitProducerId(request));
        }
        [verb @ ("add" | "verify"), name, id, who, ref partitions @ ..] => {
            let is_v2 = partitions.last() == Some(&"v2");
            let partitions = partitions.iter().filter(|word| **word != "v2");
            let request = AddPartitionsRequest {
                transactional_id: Arc::from(id),
                producer: producer(who),
                partitions: partitions.map(|text| partition(text)).collect(),
                verify_only: verb == "verify",
                is_v2,
            };
            world.submit(name, Command::AddPartitions(request));
        }
        [verb @ ("commit" | "abort"), name, id, who, ref rest @ ..] => {
            let request = EndTransactionRequest {
                transactional_id: Arc::from(id),
                producer: producer(who),
                is_commit: verb == "commit",
                is_v2: rest.contains(&"v2"),
                fresh_id: None,
            };
            world.submit(name, Command::EndTransaction(request));
        }
        ["written"] => world.markers_written(),
        ["written", "again"] => world.report_again(),
        ["written", "last", id] => world.report_last_of(id),
        ["version", level] => *world.version.lock() = level.parse().unwrap(),
        ["advance", time] => world.advance(milliseconds(time)),
        ["clock", time] => world.now.wall.0 += milliseconds(time),
        ["exhaust", id] => {
            world.exhaust(id).expect("nothing is under way");
        }
        ["lag"] => world.lagging = true,
        ["catch-up"] => {
            world.lagging = false;
            world.commit();
        }
        ["refuse"] => world.refuse = Some(ErrorCode::NotEnoughReplicas),
        ["failover"] => world.fail_over(),
        ["state"] => {
            let now_ms = world.now.uptime_ms;
            let mut shown: Vec<String> = world
                .shard
                .transactions
                .iter()
                .map(|(id, entry)| {
                    let pending = if entry.is_pending() { " pending" } else { "" };
                    let deadline = world.shard.deadlines.iter().find(|(_, listed)| listed == id);
                    let until =
                        deadline.map(|(deadline_ms, _)| format!(" until=+{}ms", deadline_ms - now_ms));
                    format!("{id} {}{pending}{}", show_metadata(&entry.metadata), until.unwrap_or_default())
                })
                .collect();
            shown.sort();
            world.said.extend(shown);
        }
        _ => panic!("no such line: {line}"),
    }
    let said = std::mem::take(&mut world.said);
    if said.is_empty() { "nothing".to_owned() } else { said.join("\n") }
}

/// Runs a story and returns the text with what really happens.
fn tell(text: &str) -> String {
    let mut world = World::new();
    let mut told = String::new();
    let mut expected = false;
    for line in text.lines() {
        // Between a line of dashes and an empty line stands what is expected.
        if line.is_empty() {
            expected = false;
            told.push('\n');
        } else if line.starts_with("----") {
            expected = true;
        } else if line.starts_with('#') {
            told.push_str(&format!("{line}\n"));
        } else if !expected {
            told.push_str(&format!("{line}\n----\n{}\n", run(&mut world, line)));
        }
    }
    told
}

#[test]
fn stories_go_as_they_are_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/coordinator/transaction/stories");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 5, "the stories are not where they should be");
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let told = tell(&text);
        if std::env::var_os("KLAMM_BLESS").is_some() {
            std::fs::write(&path, told).unwrap();
        } else {
            assert!(told == text, "{} goes otherwise:\n{told}", path.display());
        }
    }
}
