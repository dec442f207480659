//! Consumers of KIP-848 that come, go, crash and are late, while topics change, coordinators fail over and appends are
//! refused. Whatever happens, no partition has two owners, epochs grow, the log says what the memory knows; and when it
//! has become quiet, every partition has an owner. The seed of a failure is in its message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::world::World;
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::coordinator::group::consumer::group::GroupState;
use crate::coordinator::group::consumer::topics::{Topics, topic_ids};
use crate::coordinator::group::consumer::{ConsumerGroup, HeartbeatRequest};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::PartitionIndex;

const TOPICS: [&str; 3] = ["a", "b", "c"];
const INSTANCES: [&str; 2] = ["i1", "i2"];

/// A consumer as the protocol wants it.
struct Client {
    member_id: Arc<str>,
    instance_id: Option<Arc<str>>,
    epoch: i32,
    topics: BTreeSet<Arc<str>>,
    assignor: Option<Arc<str>>,
    owned: Assignment,
    /// What it has is not acknowledged, or it has changed its mind.
    is_full: bool,
    /// A request of it is on its way.
    waits: bool,
    is_alive: bool,
}

struct Chaos {
    random: fastrand::Rng,
    world: World,
    clients: Vec<Client>,
    /// The client of each request, and the epoch that it was sent in.
    asked: BTreeMap<String, (usize, i32)>,
    requests: u128,
    checks: usize,
    group_epoch: i32,
    /// A refused deadline is put off, and late on purpose.
    has_refused: bool,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let interval_ms = *random.choice(&[0, 1000]).unwrap();
        world.configure(|settings| settings.group_consumer_assignment_interval_ms = interval_ms);
        world.topics.lock().put("a", 3);
        Chaos {
            random,
            world,
            clients: Vec::new(),
            asked: BTreeMap::new(),
            requests: 0,
            checks: 0,
            group_epoch: 0,
            has_refused: false,
        }
    }

    fn group(&self) -> Option<&ConsumerGroup> {
        self.world.shard.consumer("g")
    }

    fn step(&mut self) {
        match self.random.u8(..100) {
            0..8 => self.come(),
            8..62 => {
                if let Some(who) = self.somebody() {
                    self.beat(who);
                }
            }
            62..66 => self.leave(),
            66..68 => {
                if let Some(who) = self.somebody() {
                    self.clients[who].is_alive = false;
                }
            }
            68..72 => {
                if let Some(who) = self.somebody() {
                    self.clients[who].topics = self.topics();
                    self.clients[who].is_full = true;
                }
            }
            72..84 => {
                let by_ms = *self.random.choice(&[1, 100, 500, 2000, 9000, 46_000]).unwrap();
                self.world.advance(by_ms);
            }
            84..90 => self.change_topics(),
            90..92 => self.world.lagging = !self.world.lagging,
            92..95 => self.world.commit(),
            95..97 => {
                self.world.refuse = Some(ErrorCode::NotEnoughReplicas);
                self.has_refused = true;
            }
            97 => self.world.fail_over(),
            _ => self.world.submit("delete", Command::DeleteGroup { group: Arc::from("g") }),
        }
        if !self.world.lagging {
            self.world.commit();
        }
        self.hear();
        self.check();
    }

    fn somebody(&mut self) -> Option<usize> {
        let alive = (0..self.clients.len()).filter(|who| self.clients[*who].is_alive);
        self.random.choice(alive.collect::<Vec<_>>())
    }

    fn topics(&mut self) -> BTreeSet<Arc<str>> {
        let mut topics: Vec<&str> = TOPICS.to_vec();
        self.random.shuffle(&mut topics);
        topics[..self.random.usize(1..=3)].iter().map(|name| Arc::from(*name)).collect()
    }

    fn come(&mut self) {
        if self.clients.iter().filter(|client| client.is_alive).count() > 5 {
            return;
        }
        let name: Arc<str> = Arc::from(format!("m{}", self.clients.len()));
        let instance_id = self.random.bool().then(|| Arc::from(*self.random.choice(&INSTANCES).unwrap()));
        let assignor =
            self.random.bool().then(|| Arc::from(*self.random.choice(&["range", "uniform"]).unwrap()));
        let topics = self.topics();
        self.clients.push(Client {
            member_id: name,
            instance_id,
            epoch: 0,
            topics,
            assignor,
            owned: Assignment::new(),
            is_full: true,
            waits: false,
            is_alive: true,
        });
        self.beat(self.clients.len() - 1);
    }

    fn beat(&mut self, who: usize) {
        let client = &self.clients[who];
        if client.waits {
            return;
        }
        let is_full = client.is_full || client.epoch == 0 || self.random.u8(..) < 30;
        self.send(who, client.epoch, is_full);
    }

    fn send(&mut self, who: usize, member_epoch: i32, is_full: bool) {
        self.requests += 1;
        let client = &mut self.clients[who];
        client.waits = true;
        let request = HeartbeatRequest {
            version: 1,
            group: Arc::from("g"),
            member_id: client.member_id.clone(),
            member_epoch,
            instance_id: client.instance_id.clone(),
            rack_id: None,
            rebalance_timeout_ms: if is_full { 8000 } else { -1 },
            client_id: Arc::from("client"),
            client_host: Arc::from("/127.0.0.1"),
            subscribed_topics: is_full.then(|| client.topics.clone()),
            subscribed_regex: None,
            server_assignor: client.assignor.clone().filter(|_| is_full),
            owned: is_full.then(|| client.owned.clone()),
            fresh_uuid: Uuid::from_u128(self.requests),
        };
        let name = format!("r{}", self.requests);
        self.asked.insert(name.clone(), (who, member_epoch));
        let before = self.group().cloned();
        let said = self.world.said.len();
        self.world.submit(&name, Command::ConsumerHeartbeat(request));
        if self.world.said[said..].iter().any(|line| line.starts_with("append refused")) {
            assert_eq!(before.as_ref(), self.group(), "a refused append has changed something");
        }
    }

    fn leave(&mut self) {
        let Some(who) = self.somebody().filter(|who| self.clients[*who].epoch > 0) else { return };
        if self.clients[who].waits {
            return;
        }
        let for_a_while = self.clients[who].instance_id.is_some() && self.random.bool();
        self.clients[who].is_alive = false;
        self.clients[who].owned.clear();
        self.send(who, if for_a_while { -2 } else { -1 }, false);
    }

    fn change_topics(&mut self) {
        let name = *self.random.choice(&TOPICS).unwrap();
        let mut topics = self.world.topics.lock();
        let count = topics.by_name(name).map_or(0, |shape| shape.partition_count);
        match self.random.u8(..) {
            0..40 => topics.delete(name),
            _ if count < 9 => topics.put(name, count + self.random.usize(1..3)),
            _ => {}
        }
    }

    /// Clients take in what they are told.
    fn hear(&mut self) {
        for (name, answer) in std::mem::take(&mut self.world.answers) {
            let Some((who, sent_epoch)) = self.asked.remove(&name) else { continue };
            let client = &mut self.clients[who];
            client.waits = false;
            match answer {
                Ok(Response::ConsumerHeartbeat(_)) if sent_epoch < 0 => client.epoch = -1,
                Ok(Response::ConsumerHeartbeat(response)) => {
                    assert_eq!(response.member_id, client.member_id);
                    assert!(response.member_epoch > 0);
                    assert!(response.member_epoch >= client.epoch, "the epoch of a member went back");
                    client.epoch = response.member_epoch;
                    client.is_full = false;
                    if let Some(assignment) = response.assignment.filter(|has| *has != client.owned) {
                        client.owned = assignment;
                        client.is_full = true;
                    }
                }
                Ok(other) => panic!("a heartbeat is answered with {other:?}"),
                Err(error) => match error.code {
                    ErrorCode::FencedMemberEpoch
                    | ErrorCode::UnknownMemberId
                    | ErrorCode::GroupIdNotFound => {
                        client.owned.clear();
                        (client.epoch, client.is_full) = (0, true);
                    }
                    // Somebody else has its instance id.
                    ErrorCode::FencedInstanceId | ErrorCode::UnreleasedInstanceId => {
                        client.owned.clear();
                        client.is_alive = false;
                    }
                    // It may have been heard or not: it says everything again.
                    ErrorCode::NotEnoughReplicas | ErrorCode::NotCoordinator => client.is_full = true,
                    other => panic!("a heartbeat is refused with {other:?}: {:?}", error.message),
                },
            }
        }
    }

    fn check(&mut self) {
        self.checks += 1;
        if self.checks.is_multiple_of(10) {
            self.check_log();
        }
        let Some(group) = self.group() else {
            self.group_epoch = 0;
            return;
        };
        assert!(group.epoch >= self.group_epoch, "the group epoch went back");
        let earliest = self.world.shard.next_deadline_of("g");
        let is_listed = group.next_deadline().is_none_or(|due| earliest.is_some_and(|listed| listed <= due));
        assert!(is_listed || self.has_refused, "a deadline is not listed");
        let mut owners = BTreeMap::new();
        for client in self.clients.iter().filter(|client| group.members.contains_key(&client.member_id)) {
            for (topic, partitions) in &client.owned {
                for partition in partitions {
                    let other = owners.insert((*topic, *partition), &client.member_id);
                    assert_eq!(other, None, "{partition} has two owners, one of them {}", client.member_id);
                }
            }
        }
        self.group_epoch = group.epoch;
    }

    /// What a restart would find.
    fn check_log(&self) {
        let (memory, replayed, restored) = (self.group(), self.world.replayed(), self.world.restored());
        assert_eq!(
            durable(memory),
            durable(replayed.consumer("g")),
            "the log does not say what the memory knows"
        );
        assert_eq!(
            durable(memory),
            durable(restored.consumer("g")),
            "the view does not say what the memory knows"
        );
    }

    /// Nothing changes any more, and everybody who is there heartbeats.
    fn settle(&mut self) {
        (self.world.lagging, self.world.refuse) = (false, None);
        self.world.commit();
        self.hear();
        for _ in 0..120 {
            for who in 0..self.clients.len() {
                if self.clients[who].is_alive {
                    self.beat(who);
                    self.hear();
                    self.check();
                }
            }
            self.world.advance(1000);
        }
        let Some(group) = self.group() else { return };
        if group.is_empty() {
            return;
        }
        assert_eq!(group.state(), GroupState::Stable);
        let topics = self.world.topics.lock();
        let mut unowned = BTreeSet::new();
        for client in self.clients.iter().filter(|client| client.is_alive) {
            for id in topic_ids(client.topics.iter(), &*topics) {
                let name = topics.name_of(id).unwrap();
                let count = topics.by_name(&name).unwrap().partition_count as i32;
                unowned.extend((0..count).map(|index| (id, PartitionIndex(index))));
            }
        }
        for client in self.clients.iter().filter(|client| client.is_alive) {
            assert_eq!(client.owned, *group.targets[&client.member_id], "a member is not where it should be");
            for (topic, partitions) in &client.owned {
                for partition in partitions {
                    assert!(unowned.remove(&(*topic, *partition)), "somebody has what nobody reads");
                }
            }
        }
        assert!(unowned.is_empty(), "nobody has {unowned:?}");
    }
}

/// What of a group is in records.
pub fn durable(group: Option<&ConsumerGroup>) -> Option<ConsumerGroup> {
    group.map(|group| ConsumerGroup {
        timers: Default::default(),
        topics_seen: None,
        listed_ms: None,
        ..group.clone()
    })
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
        let last = chaos.world.said.len().saturating_sub(40);
        eprintln!("seed {seed}, the last of it:\n{}", chaos.world.said[last..].join("\n"));
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn promises_hold_whatever_comes() {
    let seeds = std::env::var("KLAMM_SEEDS").map_or(60, |count| count.parse().unwrap());
    for seed in 0..seeds {
        run(seed, 150);
    }
}
