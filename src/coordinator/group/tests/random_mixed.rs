//! Members of both protocols in one group, that come, go, crash and are late, while coordinators fail over and appends are
//! refused: the group changes its protocol whenever that is due. Whatever happens, no partition has two owners and the log
//! says what the memory knows; and when it has become quiet, every partition has an owner. The seed of a failure is in its
//! message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::notation::subscription;
use super::random_consumer::durable;
use super::world::World;
use crate::coordinator::group::classic::HeartbeatRequest as ClassicHeartbeat;
use crate::coordinator::group::classic::group::Phase;
use crate::coordinator::group::classic::join::{JoinRequest, JoinResponse, JoinedMember};
use crate::coordinator::group::classic::leave::{LeaveRequest, LeavingMember};
use crate::coordinator::group::classic::member::Protocol;
use crate::coordinator::group::classic::sync::{SyncRequest, SyncResponse};
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::coordinator::group::consumer::group::GroupState;
use crate::coordinator::group::consumer::topics::{Topics, topic_ids};
use crate::coordinator::group::consumer::{HeartbeatRequest, HeartbeatResponse, embedded};
use crate::coordinator::group::groups::Group;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::PartitionIndex;

const TOPICS: [&str; 3] = ["a", "b", "c"];
const INSTANCES: [&str; 2] = ["i1", "i2"];

/// What a client is to say next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Join,
    Sync,
    Heartbeat,
}

struct Client {
    is_classic: bool,
    /// Empty: not known yet.
    member_id: Arc<str>,
    instance_id: Option<Arc<str>>,
    topics: BTreeSet<Arc<str>>,
    /// The generation of a classic one.
    epoch: i32,
    next: Next,
    /// Those for whom it decides, as the leader of a classic group.
    led: Vec<JoinedMember>,
    owned: Assignment,
    is_full: bool,
    waits: bool,
    is_alive: bool,
}

impl Client {
    fn begin_anew(&mut self) {
        self.owned.clear();
        (self.epoch, self.next, self.is_full) = (0, Next::Join, true);
    }

    fn has_joined(&mut self, response: JoinResponse) {
        match response.error {
            ErrorCode::None => {
                self.member_id = response.member_id;
                self.epoch = response.generation;
                self.next = Next::Sync;
                self.led = if response.leader == self.member_id { response.members } else { Vec::new() };
            }
            ErrorCode::MemberIdRequired => self.member_id = response.member_id,
            other => self.is_refused(other),
        }
    }

    fn has_synced(&mut self, response: SyncResponse, topics: &dyn Topics) {
        match response.error {
            ErrorCode::None => {
                let assignment = embedded::read_assignment(&response.assignment).unwrap();
                self.owned = embedded::by_topic_id(&assignment.partitions, topics);
                self.next = Next::Heartbeat;
            }
            other => self.is_refused(other),
        }
    }

    fn has_beaten(&mut self, response: HeartbeatResponse) {
        assert_eq!(response.member_id, self.member_id);
        assert!(response.member_epoch >= self.epoch, "the epoch of a member went back");
        self.epoch = response.member_epoch;
        (self.next, self.is_full) = (Next::Heartbeat, false);
        if let Some(assignment) = response.assignment.filter(|has| *has != self.owned) {
            (self.owned, self.is_full) = (assignment, true);
        }
    }

    fn is_refused(&mut self, error: ErrorCode) {
        match error {
            ErrorCode::RebalanceInProgress => self.next = Next::Join,
            ErrorCode::UnknownMemberId if self.is_classic => {
                self.begin_anew();
                self.member_id = Arc::from("");
            }
            ErrorCode::IllegalGeneration
            | ErrorCode::UnknownMemberId
            | ErrorCode::FencedMemberEpoch
            | ErrorCode::GroupIdNotFound => self.begin_anew(),
            // Somebody else has its instance id.
            ErrorCode::FencedInstanceId | ErrorCode::UnreleasedInstanceId => {
                self.owned.clear();
                self.is_alive = false;
            }
            // It may have been heard or not.
            ErrorCode::NotEnoughReplicas | ErrorCode::NotCoordinator => match self.is_classic {
                true => self.next = Next::Join,
                false => self.is_full = true,
            },
            other => panic!("a request is refused with {other:?}"),
        }
    }
}

struct Chaos {
    random: fastrand::Rng,
    world: World,
    clients: Vec<Client>,
    asked: BTreeMap<String, usize>,
    requests: u128,
    /// A static member has changed its protocol, and a group may have become classic by that: as in Kafka it does not
    /// rebalance, though members may have waited for partitions.
    has_switched: bool,
    /// A refused deadline is put off, and late on purpose.
    has_refused: bool,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let interval_ms = *random.choice(&[0, 1000]).unwrap();
        world.configure(|settings| {
            settings.group_consumer_assignment_interval_ms = interval_ms;
            settings.group_initial_rebalance_delay_ms = 0;
        });
        world.topics.lock().put("a", 3);
        let (clients, asked) = (Vec::new(), BTreeMap::new());
        Chaos { random, world, clients, asked, requests: 0, has_switched: false, has_refused: false }
    }

    fn step(&mut self) {
        match self.random.u8(..100) {
            0..8 => self.come(),
            8..74 => {
                if let Some(who) = self.somebody() {
                    self.speak(who);
                }
            }
            74..79 => self.leave(),
            79..81 => {
                if let Some(who) = self.somebody() {
                    self.clients[who].is_alive = false;
                }
            }
            81..88 => {
                let by_ms = *self.random.choice(&[1, 100, 500, 2000, 9000, 46_000]).unwrap();
                self.world.advance(by_ms);
            }
            88..90 => self.grow_topics(),
            90..92 => self.world.lagging = !self.world.lagging,
            92..95 => self.world.commit(),
            95..98 => {
                self.world.refuse = Some(ErrorCode::NotEnoughReplicas);
                self.has_refused = true;
            }
            _ => self.world.fail_over(),
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

    fn come(&mut self) {
        if self.clients.iter().filter(|client| client.is_alive).count() > 5 {
            return;
        }
        let is_classic = self.random.u8(..100) < 60;
        let instance_id: Option<Arc<str>> =
            (self.random.u8(..) < 80).then(|| Arc::from(*self.random.choice(&INSTANCES).unwrap()));
        self.has_switched |= self.clients.iter().any(|other| {
            instance_id.is_some() && other.instance_id == instance_id && is_classic && !other.is_classic
        });
        let mut topics: Vec<&str> = TOPICS.to_vec();
        self.random.shuffle(&mut topics);
        let topics = topics[..self.random.usize(1..=3)].iter().map(|name| Arc::from(*name)).collect();
        let member_id = match is_classic {
            true => Arc::from(""),
            false => Arc::from(format!("m{}", self.clients.len())),
        };
        self.clients.push(Client {
            is_classic,
            member_id,
            instance_id,
            topics,
            epoch: 0,
            next: Next::Join,
            led: Vec::new(),
            owned: Assignment::new(),
            is_full: true,
            waits: false,
            is_alive: true,
        });
        self.speak(self.clients.len() - 1);
    }

    fn speak(&mut self, who: usize) {
        if self.clients[who].waits {
            return;
        }
        let command = match (self.clients[who].is_classic, self.clients[who].next) {
            (false, _) => self.beat(who, self.clients[who].epoch),
            (true, Next::Join) => {
                // An eager consumer gives everything up before it joins.
                self.clients[who].owned.clear();
                self.join(who)
            }
            (true, Next::Sync) => self.sync(who),
            (true, Next::Heartbeat) => {
                let client = &self.clients[who];
                Command::Heartbeat(ClassicHeartbeat {
                    group: Arc::from("g"),
                    member_id: client.member_id.clone(),
                    instance_id: client.instance_id.clone(),
                    generation: client.epoch,
                })
            }
        };
        self.send(who, command);
    }

    fn send(&mut self, who: usize, command: Command) {
        self.requests += 1;
        self.clients[who].waits = true;
        let name = format!("r{}", self.requests);
        self.asked.insert(name.clone(), who);
        self.world.submit(&name, command);
    }

    fn beat(&mut self, who: usize, member_epoch: i32) -> Command {
        let client = &self.clients[who];
        let is_full = client.is_full || client.epoch == 0;
        Command::ConsumerHeartbeat(HeartbeatRequest {
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
            server_assignor: None,
            owned: is_full.then(|| client.owned.clone()),
            fresh_uuid: Uuid::from_u128(self.requests),
        })
    }

    fn join(&self, who: usize) -> Command {
        let client = &self.clients[who];
        let topics: Vec<&str> = client.topics.iter().map(|name| &**name).collect();
        let metadata = subscription(&topics.join(","), "");
        Command::Join(JoinRequest {
            group: Arc::from("g"),
            member_id: client.member_id.clone(),
            instance_id: client.instance_id.clone(),
            client_id: Arc::from("client"),
            client_host: Arc::from("/127.0.0.1"),
            fresh_uuid: Uuid::from_u128(self.requests),
            protocol_type: Arc::from("consumer"),
            protocols: Arc::from([Protocol { name: Arc::from("range"), metadata }]),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 8000,
            requires_known_member_id: true,
            supports_skipping_assignment: true,
        })
    }

    /// A leader gives each partition to the next of those who read it.
    fn sync(&self, who: usize) -> Command {
        let client = &self.clients[who];
        let topics = self.world.topics.lock();
        let reads: Vec<(Arc<str>, BTreeSet<Arc<str>>)> = client
            .led
            .iter()
            .map(|led| (led.member_id.clone(), embedded::read_subscription(&led.metadata).unwrap().topics))
            .collect();
        let mut assigned: BTreeMap<Arc<str>, Assignment> =
            reads.iter().map(|(member, _)| (member.clone(), Assignment::new())).collect();
        for name in TOPICS {
            let Some(shape) = topics.by_name(name) else { continue };
            let readers: Vec<_> = reads.iter().filter(|(_, topics)| topics.contains(name)).collect();
            for index in 0..if readers.is_empty() { 0 } else { shape.partition_count } {
                let reader = &readers[index % readers.len()].0;
                let partitions = assigned.get_mut(reader).unwrap().entry(shape.id).or_default();
                partitions.insert(PartitionIndex(index as i32));
            }
        }
        let bytes = |(member, of)| (member, embedded::write_assignment(&of, 3, &*topics));
        let assignments: Vec<(Arc<str>, Bytes)> = assigned.into_iter().map(bytes).collect();
        Command::Sync(SyncRequest {
            group: Arc::from("g"),
            member_id: client.member_id.clone(),
            instance_id: client.instance_id.clone(),
            generation: client.epoch,
            protocol_type: None,
            protocol: None,
            assignments,
        })
    }

    fn leave(&mut self) {
        let Some(who) = self.somebody().filter(|who| self.clients[*who].next != Next::Join) else { return };
        if self.clients[who].waits {
            return;
        }
        let client = &mut self.clients[who];
        client.is_alive = false;
        client.owned.clear();
        let command = match client.is_classic {
            true => {
                let leaving = LeavingMember { member_id: client.member_id.clone(), instance_id: None };
                Command::Leave(LeaveRequest { group: Arc::from("g"), members: vec![leaving] })
            }
            false => self.beat(who, -1),
        };
        self.send(who, command);
    }

    fn grow_topics(&mut self) {
        let name = *self.random.choice(&TOPICS).unwrap();
        let mut topics = self.world.topics.lock();
        let count = topics.by_name(name).map_or(0, |shape| shape.partition_count);
        if count < 7 {
            topics.put(name, count + self.random.usize(1..3));
        }
    }

    fn hear(&mut self) {
        for (name, answer) in std::mem::take(&mut self.world.answers) {
            let Some(who) = self.asked.remove(&name) else { continue };
            let topics = self.world.topics.lock();
            let client = &mut self.clients[who];
            client.waits = false;
            match answer {
                _ if !client.is_alive => {}
                Ok(Response::ConsumerHeartbeat(response)) => client.has_beaten(response),
                Ok(Response::Join(response)) => client.has_joined(response),
                Ok(Response::Sync(response)) => client.has_synced(response, &*topics),
                Ok(Response::Heartbeat(Ok(()))) => {}
                Ok(Response::Heartbeat(Err(code))) | Err(ApiError { code, .. }) => client.is_refused(code),
                Ok(other) => panic!("a client is answered with {other:?}"),
            }
        }
    }

    /// Whether the group believes that the client has what it has. One of the classic protocol that has missed a
    /// generation finds out when it speaks next, and cannot commit until then.
    fn is_believed(&self, client: &Client) -> bool {
        self.world.shard.groups.get("g").is_some_and(|group| match group {
            Group::Classic(group) => {
                group.members.contains_key(&client.member_id) && group.generation == client.epoch
            }
            Group::Consumer(group) => group
                .members
                .get(&client.member_id)
                .is_some_and(|member| !client.is_classic || member.epoch() == client.epoch),
        })
    }

    fn check(&mut self) {
        if self.requests.is_multiple_of(5) {
            let (replayed, restored) = (self.world.replayed(), self.world.restored());
            let memory = durable(self.world.shard.consumer("g"));
            assert_eq!(memory, durable(replayed.consumer("g")), "the log does not say what the memory knows");
            assert_eq!(
                memory,
                durable(restored.consumer("g")),
                "the view does not say what the memory knows"
            );
        }
        let mut owners = BTreeMap::new();
        for client in self.clients.iter().filter(|client| self.is_believed(client)) {
            for (topic, partitions) in &client.owned {
                for partition in partitions {
                    let other = owners.insert((*topic, *partition), &client.member_id);
                    assert_eq!(other, None, "{partition} has two owners, one of them {}", client.member_id);
                }
            }
        }
        if let Some(Group::Consumer(group)) = self.world.shard.groups.get("g") {
            let earliest = self.world.shard.next_deadline_of("g");
            let is_listed =
                group.next_deadline().is_none_or(|due| earliest.is_some_and(|listed| listed <= due));
            assert!(is_listed || self.has_refused, "a deadline is not listed");
        }
    }

    /// Nothing changes any more, and everybody who is there says what is to be said.
    fn settle(&mut self) {
        (self.world.lagging, self.world.refuse) = (false, None);
        self.world.commit();
        self.hear();
        // A leader of the classic protocol sees that topics have grown.
        for client in self.clients.iter_mut().filter(|client| client.is_classic) {
            client.next = Next::Join;
        }
        for _ in 0..120 {
            for who in 0..self.clients.len() {
                if self.clients[who].is_alive {
                    self.speak(who);
                    self.hear();
                    self.check();
                }
            }
            self.world.advance(1000);
            self.hear();
        }
        let alive = || self.clients.iter().filter(|client| client.is_alive);
        match self.world.shard.groups.get("g") {
            Some(Group::Consumer(group)) if !group.is_empty() => {
                assert_eq!(group.state(), GroupState::Stable)
            }
            Some(Group::Classic(group)) if !group.is_empty() => assert_eq!(group.phase, Phase::Stable),
            Some(_) | None => assert_eq!(alive().count(), 0),
        }
        let topics = self.world.topics.lock();
        let mut unowned = BTreeSet::new();
        for id in alive().flat_map(|client| topic_ids(client.topics.iter(), &*topics)) {
            let count = topics.by_name(&topics.name_of(id).unwrap()).unwrap().partition_count as i32;
            unowned.extend((0..count).map(|index| (id, PartitionIndex(index))));
        }
        for client in alive() {
            for (topic, partitions) in &client.owned {
                for partition in partitions {
                    assert!(unowned.remove(&(*topic, *partition)), "somebody has what nobody reads");
                }
            }
        }
        assert!(self.has_switched || unowned.is_empty(), "nobody has {unowned:?}");
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
        let last = chaos.world.said.len().saturating_sub(60);
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
