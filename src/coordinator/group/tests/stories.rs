//! The stories of `stories/*.txt`: a command, a line of dashes, and what happens. `KLAMM_BLESS=1` writes what happens
//! into the file; a reader judges the difference.
//!
//! `join r1 a range,sticky v4 session=10s` is a JoinGroup of client `a`, answered under the name `r1`. The uuid of a new
//! member is a number here, so that the members of client `a` are `a-1`, `a-2`. `state` shows the group. `topic a 3` is
//! what the cluster has from there on; `beat r1 m1 0 topics=a` is a ConsumerGroupHeartbeat of member `m1` in epoch 0.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::notation::{embedded_assignment, parse_assignment, show_bytes, show_consumer_group, subscription};
use super::world::World;
use crate::coordinator::group::classic::HeartbeatRequest;
use crate::coordinator::group::classic::group::{ClassicGroup, Phase};
use crate::coordinator::group::classic::join::JoinRequest;
use crate::coordinator::group::classic::leave::{LeaveRequest, LeavingMember};
use crate::coordinator::group::classic::member::{Awaiting, Protocol};
use crate::coordinator::group::classic::sync::SyncRequest;
use crate::coordinator::group::command::Command;
use crate::coordinator::group::consumer::HeartbeatRequest as ConsumerHeartbeatRequest;
use crate::coordinator::group::groups::Group;
use crate::coordinator::group::offsets::{self, CommitPartition, CommitRequest, CommitTopic};
use crate::coordinator::group::records;
use crate::coordinator::group::transactional::TransactionalCommitRequest;
use crate::coordinator::shard::{TransactionMarker, TransactionalProducer};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};

const UUID_START: &str = "00000000-0000-0000-0000-";

/// `a-00000000-0000-0000-0000-000000000001` as `a-1`.
fn shorten(text: &str) -> String {
    let mut parts = text.split(UUID_START);
    let mut short = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (number, rest) = part.split_at(12);
        short.push_str(number.trim_start_matches('0'));
        short.push_str(rest);
    }
    short
}

fn lengthen(member: &str) -> String {
    match member.rsplit_once('-') {
        Some((name, number)) => format!("{name}-{}", Uuid::from_u128(number.parse().unwrap())),
        None => member.to_owned(),
    }
}

fn arc(text: &str) -> Arc<str> {
    Arc::from(text)
}

fn milliseconds(text: &str) -> i64 {
    match text.strip_suffix("ms") {
        Some(number) => number.parse().unwrap(),
        None => text.strip_suffix('s').expect("a time ends with s or ms").parse::<i64>().unwrap() * 1000,
    }
}

struct Arguments<'a> {
    words: Vec<&'a str>,
}

impl<'a> Arguments<'a> {
    fn value(&self, key: &str) -> Option<&'a str> {
        self.words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T>
    where
        T::Err: std::fmt::Debug,
    {
        self.value(key).map(|text| text.parse().unwrap())
    }

    fn time(&self, key: &str, default_ms: i64) -> i32 {
        self.value(key).map_or(default_ms, milliseconds) as i32
    }

    fn instance(&self) -> Option<Arc<str>> {
        self.value("instance").map(arc)
    }

    /// `t-0@5` is offset 5 of partition 0 of `t`.
    fn offsets(&self) -> Vec<CommitTopic> {
        let offsets = self.words.iter().filter_map(|word| word.split_once('@'));
        let topic = |(place, offset): (&str, &str)| {
            let (name, partition) = place.rsplit_once('-').unwrap();
            let partition = CommitPartition {
                partition: PartitionIndex(partition.parse().unwrap()),
                offset: Offset(offset.parse().unwrap()),
                leader_epoch: LeaderEpoch::NONE,
                commit_timestamp: None,
                metadata: String::new(),
            };
            CommitTopic { name: arc(name), id: TopicId::ZERO, partitions: vec![partition] }
        };
        offsets.map(topic).collect()
    }

    fn version(&self) -> i16 {
        let version = self.words.iter().find_map(|word| word.strip_prefix('v')?.parse().ok());
        version.unwrap_or(9)
    }
}

struct Story {
    world: World,
    uuids: u128,
    group: Arc<str>,
}

impl Story {
    fn new() -> Story {
        let mut world = World::new();
        world.configure(|settings| settings.group_initial_rebalance_delay_ms = 0);
        Story { world, uuids: 0, group: arc("g") }
    }

    fn run(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (verb, words) = words.split_first().unwrap();
        let arguments = Arguments { words: words.to_vec() };
        match *verb {
            "settings" => self.configure(&arguments),
            "join" => self.join(&arguments),
            "sync" => self.sync(&arguments),
            "heartbeat" => {
                let request = HeartbeatRequest {
                    group: self.group.clone(),
                    member_id: arc(&lengthen(words[1])),
                    instance_id: arguments.instance(),
                    generation: arguments.number("generation").unwrap(),
                };
                self.world.submit(words[0], Command::Heartbeat(request));
            }
            "leave" => self.leave(&arguments),
            "txn" => self.commit_in_transaction(&arguments),
            "plain" => self.commit_plainly(&arguments),
            "end" => self.end_transaction(&arguments),
            "offsets" => self.show_offsets(),
            "beat" => self.beat(&arguments),
            "topic" => self.world.topics.lock().put(words[0], words[1].parse().unwrap()),
            "drop" => self.world.topics.lock().delete(words[0]),
            "group" => self.group = arc(words[0]),
            "delete" => self.world.submit(words[0], Command::DeleteGroup { group: self.group.clone() }),
            "advance" => self.world.advance(milliseconds(words[0])),
            "lag" => self.world.lagging = true,
            "commit" => {
                self.world.lagging = false;
                self.world.commit();
            }
            "refuse" => self.world.refuse = Some(ErrorCode::NotEnoughReplicas),
            "failover" => self.world.fail_over(),
            "state" => {
                let shown = match self.world.shard.groups.get(&self.group) {
                    Some(Group::Classic(group)) => show_group(group, self.world.now.uptime_ms),
                    Some(Group::Consumer(group)) => show_consumer_group(group, self.world.now.uptime_ms),
                    None => "no group".to_owned(),
                };
                self.world.said.push(shown);
            }
            other => panic!("no such verb: {other}"),
        }
        let said = std::mem::take(&mut self.world.said);
        let said: Vec<String> = said.iter().map(|line| shorten(line)).collect();
        if said.is_empty() { "nothing".to_owned() } else { said.join("\n") }
    }

    fn configure(&mut self, arguments: &Arguments) {
        self.world.configure(|settings| {
            if let Some(delay) = arguments.value("initial-delay") {
                settings.group_initial_rebalance_delay_ms = milliseconds(delay) as i32;
            }
            if let Some(size) = arguments.number("max-size") {
                settings.group_max_size = size;
            }
            if let Some(size) = arguments.number("consumer-max-size") {
                settings.group_consumer_max_size = size;
            }
            if let Some(policy) = arguments.value("migration") {
                settings.group_consumer_migration_policy = policy.to_owned();
            }
            if let Some(interval) = arguments.value("assignment-interval") {
                settings.group_consumer_assignment_interval_ms = milliseconds(interval) as i32;
            }
        });
    }

    /// `join NAME CLIENT PROTOCOLS [member=] [instance=] [type=] [metadata=] [session=] [rebalance=] [vN]`, and for what
    /// a real consumer says `[topics=a,b owned=a0]`
    fn join(&mut self, arguments: &Arguments) {
        self.uuids += 1;
        let [name, client, protocols, ..] = arguments.words[..] else { panic!("join NAME CLIENT PROTOCOLS") };
        let metadata = match arguments.value("topics") {
            Some(topics) => subscription(topics, arguments.value("owned").unwrap_or("")),
            None => Bytes::copy_from_slice(arguments.value("metadata").unwrap_or(client).as_bytes()),
        };
        let protocol = |name: &str| Protocol { name: arc(name), metadata: metadata.clone() };
        let request = JoinRequest {
            group: self.group.clone(),
            member_id: arc(&lengthen(arguments.value("member").unwrap_or(""))),
            instance_id: arguments.instance(),
            client_id: arc(client),
            client_host: arc("/127.0.0.1"),
            fresh_uuid: Uuid::from_u128(self.uuids),
            protocol_type: arc(arguments.value("type").unwrap_or("consumer")),
            protocols: protocols.split(',').map(protocol).collect(),
            session_timeout_ms: arguments.time("session", 10_000),
            rebalance_timeout_ms: arguments.time("rebalance", 60_000),
            requires_known_member_id: arguments.version() >= 4,
            supports_skipping_assignment: arguments.version() >= 9,
        };
        self.world.submit(name, Command::Join(request));
    }

    /// `sync NAME MEMBER generation= [MEMBER:ASSIGNMENT ...] [instance=] [protocol=]`
    fn sync(&mut self, arguments: &Arguments) {
        let assigned = arguments.words[2..].iter().filter_map(|word| word.split_once(':'));
        let assigned = assigned.map(|(member, assignment)| {
            let assignment = match assignment.strip_prefix('@') {
                Some(partitions) => embedded_assignment(partitions),
                None => Bytes::copy_from_slice(assignment.as_bytes()),
            };
            (arc(&lengthen(member)), assignment)
        });
        let request = SyncRequest {
            group: self.group.clone(),
            member_id: arc(&lengthen(arguments.words[1])),
            instance_id: arguments.instance(),
            generation: arguments.number("generation").unwrap(),
            protocol_type: arguments.value("type").map(arc),
            protocol: arguments.value("protocol").map(arc),
            assignments: assigned.collect(),
        };
        self.world.submit(arguments.words[0], Command::Sync(request));
    }

    /// `beat NAME MEMBER EPOCH [topics=a,b] [regex=] [owned=a0,b1] [instance=] [rack=] [assignor=] [rebalance=] [vN]`
    fn beat(&mut self, arguments: &Arguments) {
        self.uuids += 1;
        let [name, member, epoch, ..] = arguments.words[..] else { panic!("beat NAME MEMBER EPOCH") };
        let member_epoch: i32 = epoch.parse().unwrap();
        let joins = member_epoch == 0;
        let topics = |text: &str| text.split(',').filter(|name| !name.is_empty()).map(arc).collect();
        let request = ConsumerHeartbeatRequest {
            version: arguments.version().min(1),
            group: self.group.clone(),
            member_id: arc(if member == "-" { "" } else { member }),
            member_epoch,
            instance_id: arguments.instance(),
            rack_id: arguments.value("rack").map(arc),
            rebalance_timeout_ms: arguments.time("rebalance", if joins { 60_000 } else { -1 }),
            client_id: arc("client"),
            client_host: arc("/127.0.0.1"),
            subscribed_topics: arguments.value("topics").map(topics),
            subscribed_regex: arguments.value("regex").map(arc),
            server_assignor: arguments.value("assignor").map(arc),
            owned: arguments.value("owned").or(joins.then_some("")).map(parse_assignment),
            fresh_uuid: Uuid::from_u128(self.uuids),
        };
        self.world.submit(name, Command::ConsumerHeartbeat(request));
    }

    /// `leave NAME MEMBER|instance=I ...`
    fn leave(&mut self, arguments: &Arguments) {
        let member = |word: &&str| match word.strip_prefix("instance=") {
            Some(instance) => LeavingMember { member_id: arc(""), instance_id: Some(arc(instance)) },
            None => LeavingMember { member_id: arc(&lengthen(word)), instance_id: None },
        };
        let members = arguments.words[1..].iter().map(member).collect();
        let request = LeaveRequest { group: self.group.clone(), members };
        self.world.submit(arguments.words[0], Command::Leave(request));
    }

    /// `txn NAME PRODUCER TOPIC-PARTITION@OFFSET ... [member=] [instance=] [generation=] [vN]`
    fn commit_in_transaction(&mut self, arguments: &Arguments) {
        let request = TransactionalCommitRequest {
            group: self.group.clone(),
            producer: producer(arguments.words[1]),
            member_id: lengthen(arguments.value("member").unwrap_or("")),
            group_instance_id: arguments.value("instance").map(str::to_owned),
            generation: arguments.number("generation").unwrap_or(-1),
            version: arguments.version().min(6),
            asked: None,
            topics: arguments.offsets(),
        };
        self.world.submit(arguments.words[0], Command::CommitTransactional(request));
    }

    /// `plain NAME TOPIC-PARTITION@OFFSET ...`: OffsetCommit of a consumer that is no member.
    fn commit_plainly(&mut self, arguments: &Arguments) {
        let request = CommitRequest {
            group: self.group.clone(),
            member_id: String::new(),
            group_instance_id: None,
            generation: -1,
            version: 9,
            retention_time_ms: -1,
            topics: arguments.offsets(),
        };
        self.world.submit(arguments.words[0], Command::Commit(request));
    }

    /// `end NAME PRODUCER commit|abort`
    fn end_transaction(&mut self, arguments: &Arguments) {
        let marker = TransactionMarker {
            producer: producer(arguments.words[1]),
            coordinator_epoch: 0,
            is_commit: arguments.words[2] == "commit",
            transaction_version: 2,
        };
        self.world.submit(arguments.words[0], Command::EndTransaction(marker));
    }

    /// What the group has committed, and what may change when a transaction is.
    fn show_offsets(&mut self) {
        let unstable = self.world.shard.unstable(&self.group);
        let pending: Vec<_> = self.world.shard.pending.of_group(&self.group).collect();
        let mut shown = Vec::new();
        for topic in offsets::fetch_all(&self.group, &self.world.view).unwrap() {
            for (partition, value) in topic.partitions {
                let mark = if unstable.contains(&topic.name, partition) { "?" } else { "" };
                shown.push(format!("{}-{partition}@{}{mark}", topic.name, value.offset));
            }
        }
        for (topic, partition) in pending {
            let key = records::offset_key(&self.group, topic, partition);
            if !self.world.view.entries.contains_key(&key) {
                shown.push(format!("{topic}-{partition}@?"));
            }
        }
        self.world.said.push(if shown.is_empty() { "no offsets".to_owned() } else { shown.join(" ") });
    }
}

fn producer(id: &str) -> TransactionalProducer {
    TransactionalProducer { id: ProducerId(id.parse().unwrap()), epoch: ProducerEpoch(0) }
}

fn show_group(group: &ClassicGroup, now_ms: i64) -> String {
    let mut shown = format!("{} generation={}", group.state_name(), group.generation);
    if let Phase::PreparingRebalance { deadline_ms, .. } = &group.phase {
        shown.push_str(&format!(" until=+{}ms", deadline_ms - now_ms));
    }
    if let Some(deadline_ms) = group.sync_deadline_ms {
        shown.push_str(&format!(" sync-until=+{}ms", deadline_ms - now_ms));
    }
    for member in group.members.values() {
        let awaiting = match member.awaiting {
            Awaiting::Nothing => "",
            Awaiting::Join(_) => " joins",
            Awaiting::Sync(_) => " syncs",
        };
        let leads = if group.is_leader(&member.member_id) { " leads" } else { "" };
        let session = member.session_deadline_ms - now_ms;
        let assignment = show_bytes(&member.assignment);
        shown.push_str(&format!(
            "\n  {} session=+{session}ms assignment={assignment:?}{leads}{awaiting}",
            member.member_id
        ));
    }
    for (member_id, deadline_ms) in &group.pending_joins {
        shown.push_str(&format!("\n  {member_id} is promised until=+{}ms", deadline_ms - now_ms));
    }
    shown
}

/// Runs a story and returns the text with what really happens.
fn tell(text: &str) -> String {
    let mut story = Story::new();
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
            told.push_str(&format!("{line}\n----\n{}\n", story.run(line)));
        }
    }
    told
}

#[test]
fn stories_go_as_they_are_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/coordinator/group/stories");
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
