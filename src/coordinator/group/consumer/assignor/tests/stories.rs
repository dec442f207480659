//! The stories of `stories/*.txt`: lines that change a group, a line of dashes, and the assignment. `KLAMM_BLESS=1`
//! writes what happens into the file; a reader judges the difference.
//!
//! `topic 1 6` says that topic 1 has six partitions, `join a 1,2 instance=i had=1:0-2` that a member is there with
//! topics 1 and 2 and what it had; `subscribe a 1` and `leave a` change and end that. `assign uniform` makes the target
//! assignment and keeps it for the next time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::coordinator::group::consumer::assignment::Assignment;
use crate::coordinator::group::consumer::assignor::{self, Assignor, MemberSpec, SubscribedTopics};
use crate::protocol::ids::{PartitionIndex, TopicId};

impl SubscribedTopics for BTreeMap<TopicId, usize> {
    fn partition_count(&self, topic: TopicId) -> Option<usize> {
        self.get(&topic).copied()
    }
}

pub fn topic(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn read_topic(text: &str) -> TopicId {
    topic(text.parse().unwrap())
}

fn read_topics(text: &str) -> BTreeSet<TopicId> {
    text.split(',').filter(|text| *text != "-").map(read_topic).collect()
}

/// `1:0-2,2:0,2:4`
fn read_assignment(text: &str) -> Assignment {
    let mut assignment = Assignment::new();
    for part in text.split(',') {
        let (topic, range) = part.split_once(':').expect("a topic, a colon and partitions");
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let range: std::ops::RangeInclusive<i32> = first.parse().unwrap()..=last.parse().unwrap();
        assignment.entry(read_topic(topic)).or_default().extend(range.map(PartitionIndex));
    }
    assignment
}

fn show_assignment(assignment: &Assignment) -> String {
    let mut shown = String::new();
    for (topic, partitions) in assignment {
        let mut rest: Vec<i32> = partitions.iter().map(|partition| partition.0).collect();
        while let Some(&first) = rest.first() {
            let length = rest.iter().zip(first..).take_while(|(have, want)| *have == want).count();
            let last = rest[length - 1];
            rest.drain(..length);
            shown.push_str(&format!(" {}:{first}", topic.0.as_u128()));
            if last > first {
                shown.push_str(&format!("-{last}"));
            }
        }
    }
    shown
}

#[derive(Default)]
struct Story {
    topics: BTreeMap<TopicId, usize>,
    members: BTreeMap<Arc<str>, MemberSpec>,
}

impl Story {
    fn run(&mut self, line: &str) -> Option<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["topic", topic, count] => {
                self.topics.insert(read_topic(topic), count.parse().unwrap());
            }
            ["join", member, topics, ref options @ ..] => self.join(member, topics, options),
            ["subscribe", member, topics] => {
                self.members.get_mut(member).unwrap().topics = read_topics(topics);
            }
            ["leave", member] => {
                self.members.remove(member).unwrap();
            }
            ["assign", name] => return Some(self.assign(Assignor::parse(name).unwrap())),
            _ => panic!("no such line: {line}"),
        }
        None
    }

    fn join(&mut self, member: &str, topics: &str, options: &[&str]) {
        let value = |key: &str| options.iter().find_map(|option| option.strip_prefix(key));
        let spec = MemberSpec {
            instance_id: value("instance=").map(Arc::from),
            rack: None,
            topics: read_topics(topics),
            assigned: value("had=").map(read_assignment).unwrap_or_default(),
        };
        self.members.insert(Arc::from(member), spec);
    }

    fn assign(&mut self, assignor: Assignor) -> String {
        let assignments = match assignor::assign(assignor, &self.members, &self.topics) {
            Ok(assignments) => assignments,
            Err(error) => return error.to_string(),
        };
        let line = |(member, assignment): (&Arc<str>, &Assignment)| {
            format!("{member}{}", show_assignment(assignment))
        };
        let lines: Vec<String> = assignments.iter().map(line).collect();
        for (member, assignment) in assignments {
            self.members.get_mut(&member).unwrap().assigned = assignment;
        }
        lines.join("\n")
    }
}

/// Runs a story and returns the text with what really happens.
fn tell(text: &str) -> String {
    let mut story = Story::default();
    let mut told = String::new();
    let mut expected = false;
    for line in text.lines() {
        // Between a line of dashes and an empty line stands what is expected. A `#` behind an empty line begins anew.
        if line.starts_with('#') && told.ends_with("\n\n") {
            story = Story::default();
        }
        if line.is_empty() {
            expected = false;
            told.push('\n');
        } else if line.starts_with('#') {
            told.push_str(&format!("{line}\n"));
        } else if line.starts_with("----") {
            expected = true;
        } else if !expected {
            told.push_str(&format!("{line}\n"));
            if let Some(assignment) = story.run(line) {
                told.push_str(&format!("----\n{assignment}\n"));
            }
        }
    }
    told
}

#[test]
fn stories_go_as_they_are_told() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/coordinator/group/consumer/assignor/stories");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 3, "the stories are not where they should be");
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
