//! Random requests, delays, lost leaderships and refused appends, with the promises that hold whatever comes. The
//! seed of a failure is in its message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::world::World;
use crate::coordinator::group::classic::HeartbeatRequest;
use crate::coordinator::group::classic::group::{ClassicGroup, Phase};
use crate::coordinator::group::classic::join::JoinRequest;
use crate::coordinator::group::classic::leave::{LeaveRequest, LeavingMember};
use crate::coordinator::group::classic::member::Protocol;
use crate::coordinator::group::classic::sync::SyncRequest;
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::groups::Group;
use crate::coordinator::group::offsets::{
    self, CommitPartition, CommitRequest, CommitTopic, DeleteOffsetsRequest,
};
use crate::coordinator::group::records::{GroupValue, Record};
use crate::coordinator::group::transactional::TransactionalCommitRequest;
use crate::coordinator::shard::{Shard, TransactionMarker, TransactionalProducer};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicId,
};

const GROUPS: [&str; 2] = ["g", "h"];
const TOPICS: [&str; 2] = ["t", "u"];
const PROTOCOLS: [&str; 3] = ["range", "sticky", "roundrobin"];
const INSTANCES: [&str; 3] = ["i1", "i2", "i3"];

struct Chaos {
    random: fastrand::Rng,
    world: World,
    /// Ids that were given away, in the order of time.
    members: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// What each member of a generation was told, by group, generation and member.
    told: BTreeMap<(String, i32, Arc<str>), Bytes>,
    /// What each request asks for: group, member, generation.
    asked: BTreeMap<String, (String, Arc<str>, i32)>,
    requests: usize,
    /// A refused deadline is put off, and late on purpose.
    has_refused: bool,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let delay_ms = *random.choice(&[0, 3000]).unwrap();
        let size = *random.choice(&[3, 100]).unwrap();
        world.configure(|settings| {
            settings.group_initial_rebalance_delay_ms = delay_ms;
            settings.group_max_size = size;
        });
        let (members, told, asked) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Chaos { random, world, members, told, asked, requests: 0, has_refused: false }
    }

    fn pick(&mut self, choices: &[&str]) -> Arc<str> {
        Arc::from(*self.random.choice(choices).unwrap())
    }

    /// Mostly somebody recent.
    fn somebody(&mut self) -> (Arc<str>, Option<Arc<str>>) {
        let recent = self.members.len().saturating_sub(5);
        match self.random.choice(&self.members[recent..]) {
            Some(member) if self.random.u8(..) > 16 => member.clone(),
            Some(_) | None => (Arc::from("nobody-0"), None),
        }
    }

    fn generation(&mut self, group: &str) -> i32 {
        let current = self.world.shard.classic(group).map_or(0, |group| group.generation);
        if self.random.u8(..) < 16 { current - 1 } else { current }
    }

    fn step(&mut self) {
        match self.random.u8(..100) {
            0..36 => self.join(),
            36..54 => self.sync(),
            54..64 => self.heartbeat(),
            64..70 => self.leave(),
            70..80 => self.commit_offset(),
            80..84 => self.end_transaction(),
            84..90 => {
                let by_ms = *self.random.choice(&[1, 100, 2000, 7000, 30_000, 400_000]).unwrap();
                self.world.advance(by_ms);
            }
            90..93 => self.world.lagging = !self.world.lagging,
            93..96 => self.world.commit(),
            96..98 => {
                self.world.refuse = Some(ErrorCode::NotEnoughReplicas);
                self.has_refused = true;
            }
            98 => self.world.fail_over(),
            _ => {
                let group = self.pick(&GROUPS);
                self.submit(&group.clone(), Arc::from(""), 0, Command::DeleteGroup { group });
            }
        }
        if !self.world.lagging {
            self.world.commit();
        }
        self.check_answers();
        self.check_state();
    }

    fn submit(&mut self, group: &str, member: Arc<str>, generation: i32, command: Command) {
        self.requests += 1;
        let name = format!("r{}", self.requests);
        self.asked.insert(name.clone(), (group.to_owned(), member, generation));
        let state = format!("{:?}", self.world.shard.groups);
        // An assignment that cannot be stored ends the generation.
        let begins_anew = matches!(command, Command::Sync(_));
        let said = self.world.said.len();
        self.world.submit(&name, command);
        let refused = self.world.said[said..].iter().any(|line| line.starts_with("append refused"));
        if refused && !begins_anew {
            assert_eq!(
                state,
                format!("{:?}", self.world.shard.groups),
                "a refused append has changed something"
            );
        }
    }

    fn join(&mut self) {
        let group = self.pick(&GROUPS);
        let is_known = self.random.u8(..) < 160;
        let (member_id, instance_id) = match is_known {
            true => self.somebody(),
            false if self.random.bool() => (Arc::from(""), Some(self.pick(&INSTANCES))),
            false => (Arc::from(""), None),
        };
        let count = self.random.usize(1..=2);
        let first = self.random.usize(..2);
        let metadata = Bytes::from(vec![self.random.u8(b'a'..=b'c')]);
        let protocol = |name: &&str| Protocol { name: Arc::from(*name), metadata: metadata.clone() };
        let request = JoinRequest {
            group: group.clone(),
            member_id: member_id.clone(),
            instance_id,
            client_id: Arc::from("client"),
            client_host: Arc::from("/127.0.0.1"),
            fresh_uuid: Uuid::from_u128(self.random.u128(..)),
            protocol_type: Arc::from(if self.random.u8(..) < 10 { "connect" } else { "consumer" }),
            protocols: PROTOCOLS[first..first + count].iter().map(protocol).collect(),
            session_timeout_ms: *self.random.choice(&[6000, 45_000, 5]).unwrap(),
            rebalance_timeout_ms: *self.random.choice(&[0, 10_000, 300_000]).unwrap(),
            requires_known_member_id: self.random.bool(),
            supports_skipping_assignment: self.random.bool(),
        };
        self.submit(&group, member_id, 0, Command::Join(request));
    }

    fn sync(&mut self) {
        let group = self.pick(&GROUPS);
        let generation = self.generation(&group);
        // The leader first of all, or nothing ever gets stable.
        let leader = self.world.shard.classic(&group).and_then(|group| group.leader.clone());
        let (member_id, instance_id) = match leader {
            Some(leader) if self.random.u8(..) < 100 => (leader, None),
            Some(_) | None => self.somebody(),
        };
        let members = self.world.shard.classic(&group).map(|group| group.members.keys().cloned().collect());
        let members: Vec<Arc<str>> = members.unwrap_or_default();
        let assignments = members.into_iter().map(|member| {
            let assignment = Bytes::from(format!("{}/{generation}/{}", member, self.random.u8(..)));
            (member, assignment)
        });
        let request = SyncRequest {
            group: group.clone(),
            member_id: member_id.clone(),
            instance_id,
            generation,
            protocol_type: None,
            protocol: None,
            assignments: assignments.collect(),
        };
        self.submit(&group, member_id, generation, Command::Sync(request));
    }

    fn heartbeat(&mut self) {
        let group = self.pick(&GROUPS);
        let generation = self.generation(&group);
        let (member_id, instance_id) = self.somebody();
        let request =
            HeartbeatRequest { group: group.clone(), member_id: member_id.clone(), instance_id, generation };
        self.submit(&group, member_id, generation, Command::Heartbeat(request));
    }

    fn leave(&mut self) {
        let group = self.pick(&GROUPS);
        let mut members = vec![LeavingMember { member_id: Arc::from(""), instance_id: None }];
        for _ in 0..self.random.usize(..3) {
            let (member_id, instance_id) = self.somebody();
            members.push(LeavingMember { member_id, instance_id });
        }
        members[0].instance_id = Some(self.pick(&INSTANCES)).filter(|_| self.random.bool());
        let request = LeaveRequest { group: group.clone(), members };
        self.submit(&group, Arc::from(""), 0, Command::Leave(request));
    }

    /// In a transaction or without one, as somebody or nobody; or an offset is deleted.
    fn commit_offset(&mut self) {
        let group = self.pick(&GROUPS);
        let topic = self.pick(&TOPICS);
        let partition = PartitionIndex(self.random.i32(..2));
        let (member_id, generation) = match self.random.bool() {
            true => (self.somebody().0.to_string(), self.generation(&group)),
            false => (String::new(), -1),
        };
        let group_instance_id = None;
        let offset = Offset(self.requests as i64);
        let metadata = String::new();
        let partitions = vec![CommitPartition {
            partition,
            offset,
            leader_epoch: LeaderEpoch::NONE,
            commit_timestamp: None,
            metadata,
        }];
        let topics = vec![CommitTopic { name: topic.clone(), id: TopicId::ZERO, partitions }];
        let command = match self.random.u8(..6) {
            0 => Command::DeleteOffsets(DeleteOffsetsRequest {
                group: group.clone(),
                topics: vec![(topic, vec![partition])],
            }),
            1 => Command::TopicsDeleted { topics: Arc::from([(TopicId::ZERO, topic)]), from: Vec::new() },
            2 => Command::Commit(CommitRequest {
                group: group.clone(),
                member_id,
                group_instance_id,
                generation,
                version: 9,
                retention_time_ms: -1,
                topics,
            }),
            _ => Command::CommitTransactional(TransactionalCommitRequest {
                group: group.clone(),
                producer: self.producer(),
                member_id,
                group_instance_id,
                generation,
                version: 6,
                asked: None,
                topics,
            }),
        };
        self.submit(&group, Arc::from(""), generation, command);
    }

    fn end_transaction(&mut self) {
        let marker = TransactionMarker {
            producer: self.producer(),
            coordinator_epoch: 0,
            is_commit: self.random.bool(),
            transaction_version: 2,
        };
        self.submit("", Arc::from(""), 0, Command::EndTransaction(marker));
    }

    fn producer(&mut self) -> TransactionalProducer {
        TransactionalProducer { id: ProducerId(self.random.i64(..3)), epoch: ProducerEpoch(0) }
    }

    fn check_answers(&mut self) {
        for (name, answer) in std::mem::take(&mut self.world.answers) {
            let (group, member, generation) = self.asked.remove(&name).expect("a request is answered once");
            match answer {
                Ok(Response::Join(join)) => {
                    let instance_id = self.instance_of(&group, &join.member_id);
                    if matches!(join.error, ErrorCode::None | ErrorCode::MemberIdRequired) {
                        self.members.push((join.member_id, instance_id));
                    }
                }
                Ok(Response::Sync(sync)) if sync.error == ErrorCode::None => {
                    let before =
                        self.told.insert((group, generation, member.clone()), sync.assignment.clone());
                    let same = before.is_none_or(|before| before == sync.assignment);
                    assert!(same, "two assignments of {member} in generation {generation}");
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn instance_of(&self, group: &str, member_id: &str) -> Option<Arc<str>> {
        self.world.shard.classic(group)?.members.get(member_id)?.instance_id.clone()
    }

    fn check_state(&self) {
        let world = &self.world;
        let earliest = world.shard.next_deadline();
        for group in world.shard.groups.values().filter_map(Group::as_classic) {
            check_group(group);
            if let Some(deadline_ms) = group.next_deadline().filter(|_| !self.has_refused) {
                let listed_ms = group.listed_ms.expect("a group with a deadline is listed");
                assert!(listed_ms <= deadline_ms, "a deadline of {} would be missed", group.id);
                assert!(earliest.is_some_and(|earliest| earliest <= deadline_ms));
            }
        }
        let (replayed, restored) = (world.replayed(), world.restored());
        let stored = |group: &ClassicGroup| GroupValue {
            current_state_timestamp: Timestamp::NONE,
            ..group.to_record(None)
        };
        for group in replayed.groups.values().filter_map(Group::as_classic) {
            match restored.classic(&group.id) {
                Some(found) => assert_eq!(stored(group), stored(found), "view and log differ"),
                None => {
                    // There is nothing to know it by, and the next look would end it.
                    assert_eq!(group.protocol_type, None, "view and log differ");
                    assert_eq!(offsets::has_offsets(&group.id, &world.view), Ok(false));
                }
            }
        }
        assert!(restored.groups.keys().all(|group| replayed.groups.contains_key(group)));
        for open in &world.view.open {
            let Record::Offset(key, _) = &open.record else { panic!("{:?} in a transaction", open.record) };
            for shard in [&world.shard, &replayed, &restored] {
                assert!(
                    shard.pending.contains(&key.group, &key.topic, key.partition),
                    "{key:?} is forgotten"
                );
                assert!(shard.groups.contains_key(&key.group), "{key:?} has no group");
            }
        }
        assert!(restored.pending.count() <= world.shard.pending.count());
        assert!(world.shard.pending.count() <= replayed.pending.count());
        for group in world.shard.groups.values().filter_map(Group::as_classic) {
            let found = replayed.classic(&group.id).expect("every group is in the log");
            if matches!(group.phase, Phase::Stable | Phase::Empty) && group.generation > 0 {
                assert_eq!(stored(group), stored(found), "the log does not have what is in memory");
            }
        }
    }

    /// Everybody who waits is answered, if nobody says anything for long enough.
    fn settle(&mut self) {
        (self.world.lagging, self.world.refuse) = (false, None);
        self.world.commit();
        self.world.advance(3_600_000);
        assert!(self.world.waiting.is_empty(), "never answered: {:?}", self.world.waiting);
        assert!(self.world.shard.groups.values().all(Group::is_empty), "members outlive their sessions");
        self.check_answers();
        assert!(self.asked.is_empty());
    }
}

fn check_group(group: &ClassicGroup) {
    assert!(!group.is_empty() || group.members.is_empty(), "an empty group has members");
    let is_led = group.leader.as_ref().is_some_and(|leader| group.members.contains_key(leader));
    assert_eq!(is_led, !group.members.is_empty(), "a group with members has a leader among them");
    let by_member: BTreeMap<_, _> = group
        .members
        .values()
        .filter_map(|member| Some((member.instance_id.clone()?, member.member_id.clone())))
        .collect();
    assert!(by_member.iter().eq(group.static_members.iter()), "static members are members");
    let pending: BTreeSet<_> = group.pending_joins.keys().collect();
    assert!(pending.iter().all(|member_id| !group.members.contains_key(*member_id)));
    let owed = group.members.values().any(|member| member.owes_sync);
    assert!(!owed || group.sync_deadline_ms.is_some(), "a member may owe its sync for ever");
    for member in group.members.values() {
        let waits_for_phase = match &group.phase {
            Phase::Empty => false,
            // The deadline of the phase, and the log.
            Phase::PreparingRebalance { .. } | Phase::CompletingRebalance { .. } => true,
            Phase::Stable => false,
        };
        assert!(member.failure_deadline().is_some() || waits_for_phase, "a member without an end");
    }
}

fn run(seed: u64, steps: usize) {
    let mut chaos = Chaos::new(seed);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..steps {
            chaos.step();
        }
        chaos.settle();
    }));
    if let Err(panic) = result {
        let last = chaos.world.said.len().saturating_sub(30);
        eprintln!("seed {seed}, the last of it:\n{}", chaos.world.said[last..].join("\n"));
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn promises_hold_whatever_comes() {
    let seeds = std::env::var("KLAMM_SEEDS").map_or(60, |count| count.parse().unwrap());
    for seed in 0..seeds {
        run(seed, 120);
    }
}

#[test]
fn heartbeats_of_a_large_group_leave_the_deadlines_alone() {
    let mut world = World::new();
    world.configure(|settings| settings.group_initial_rebalance_delay_ms = 3000);
    for number in 0..500 {
        let request = JoinRequest {
            group: Arc::from("g"),
            member_id: Arc::from(""),
            instance_id: None,
            client_id: Arc::from("client"),
            client_host: Arc::from("/127.0.0.1"),
            fresh_uuid: Uuid::from_u128(number),
            protocol_type: Arc::from("consumer"),
            protocols: Arc::from([Protocol { name: Arc::from("range"), metadata: Bytes::new() }]),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 60_000,
            requires_known_member_id: false,
            supports_skipping_assignment: false,
        };
        world.submit("join", Command::Join(request));
    }
    world.advance(6000);
    let listed_ms = world.shard.classic("g").unwrap().listed_ms;
    let members: Vec<Arc<str>> = world.shard.classic("g").unwrap().members.keys().cloned().collect();
    assert_eq!(members.len(), 500);
    for member_id in members {
        world.advance(10);
        let request = HeartbeatRequest { group: Arc::from("g"), member_id, instance_id: None, generation: 1 };
        world.submit("heartbeat", Command::Heartbeat(request));
    }
    assert_eq!(world.shard.classic("g").unwrap().listed_ms, listed_ms);
    assert!(world.answers.iter().all(|(_, answer)| answer.is_ok()));
}
