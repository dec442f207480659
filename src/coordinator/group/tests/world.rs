//! One shard with a log in memory: what the runtime does, without threads. Commits may lag, appends may be refused,
//! leadership may be lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;

use super::notation::{show_bytes, show_consumer_record, show_heartbeat};
use crate::config::broker::{BrokerConfig, GroupSettings};
use crate::coordinator::group::command::{Command, Response, Soft};
use crate::coordinator::group::consumer::topics::tests::{TestTopics, surroundings};
use crate::coordinator::group::records::{GroupValue, Record};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{
    Event, Now, Outcome, RequestId, Scan, Shard, Stored, TransactionMarker, TransactionalProducer,
};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::Timestamp;

/// What an open transaction has written, by its key.
#[derive(Clone)]
pub struct OpenRecord {
    producer: TransactionalProducer,
    key: Vec<u8>,
    pub record: Record,
}

/// The last value of each key, and what is open.
#[derive(Clone, Default)]
pub struct View {
    pub entries: BTreeMap<Vec<u8>, Vec<u8>>,
    /// In the order of the log.
    pub open: Vec<OpenRecord>,
}

impl View {
    /// As the runtime does it: what is older than the last record of its key never counts.
    pub fn apply(&mut self, event: &Event<Record, Soft>) {
        match event {
            Event::Durable(record) => {
                let key = GroupShard::encode(record).key;
                self.open.retain(|open| open.key != key);
                self.put(record);
            }
            Event::Transactional(producer, record) => {
                let key = GroupShard::encode(record).key;
                self.open.push(OpenRecord { producer: *producer, key, record: record.clone() });
            }
            Event::Marker(marker) => self.end(marker),
            Event::Soft(_) => {}
        }
    }

    fn end(&mut self, marker: &TransactionMarker) {
        let open = std::mem::take(&mut self.open);
        let (ended, others): (Vec<_>, Vec<_>) =
            open.into_iter().enumerate().partition(|(_, open)| open.producer.id == marker.producer.id);
        let mut committed = BTreeMap::new();
        for (at, open) in ended.into_iter().filter(|_| marker.is_commit) {
            self.put(&open.record);
            committed.insert(open.key, at);
        }
        let is_later =
            |(at, open): &(usize, OpenRecord)| committed.get(&open.key).is_none_or(|last| at > last);
        self.open = others.into_iter().filter(is_later).map(|(_, open)| open).collect();
    }

    fn put(&mut self, record: &Record) {
        let encoded = GroupShard::encode(record);
        match encoded.value {
            Some(value) => self.entries.insert(encoded.key, value),
            None => self.entries.remove(&encoded.key),
        };
    }

    /// Brings a shard that knows nothing to where the view is.
    pub fn restore(&self, shard: &mut GroupShard) {
        shard.restore(self).unwrap();
        for OpenRecord { producer, record, .. } in &self.open {
            shard.replay(&Event::Transactional(*producer, record.clone()));
        }
    }
}

impl Stored for View {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ApiError> {
        Ok(self.entries.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> Scan) -> Result<(), ApiError> {
        let mut from = prefix.to_vec();
        loop {
            let mut entries =
                self.entries.range(from.clone()..).take_while(|(key, _)| key.starts_with(prefix));
            let skip = entries.find_map(|(key, value)| match visit(key, value) {
                Scan::Next => None,
                Scan::SkipTo(to) => Some(Some(to)),
                Scan::Stop => Some(None),
            });
            match skip {
                Some(Some(to)) => from = to,
                Some(None) | None => return Ok(()),
            }
        }
    }
}

/// An outcome whose records are appended and not committed.
struct Parked {
    replies: Vec<(RequestId, Response)>,
    on_committed: Option<Command>,
}

pub struct World {
    pub shard: GroupShard,
    pub view: View,
    pub log: Vec<Event<Record, Soft>>,
    pub now: Now,
    settings: Arc<Mutex<GroupSettings>>,
    pub topics: Arc<Mutex<TestTopics>>,
    /// Who waits for an answer, by the name the test gave it.
    pub waiting: BTreeMap<RequestId, String>,
    /// Appends are not committed until [`World::commit`].
    pub lagging: bool,
    parked: Vec<Parked>,
    /// The next append fails with this.
    pub refuse: Option<ErrorCode>,
    next_request: u64,
    /// What happened since it was last taken.
    pub said: Vec<String>,
    pub answers: Vec<(String, Result<Response, ApiError>)>,
}

impl World {
    pub fn new() -> World {
        let (config, _) = BrokerConfig::from_properties(&BTreeMap::new()).unwrap();
        let settings = Arc::new(Mutex::new((*config.group).clone()));
        let topics = Arc::default();
        let shard = new_shard(&settings, &topics);
        let now = Now { wall: Timestamp(1_000_000), uptime_ms: 0 };
        let mut world = World {
            shard,
            view: View::default(),
            log: Vec::new(),
            now,
            settings,
            topics,
            waiting: BTreeMap::new(),
            lagging: false,
            parked: Vec::new(),
            refuse: None,
            next_request: 0,
            said: Vec::new(),
            answers: Vec::new(),
        };
        world.shard.loaded(now);
        world
    }

    pub fn configure(&mut self, change: impl FnOnce(&mut GroupSettings)) {
        change(&mut self.settings.lock());
    }

    pub fn submit(&mut self, name: &str, command: Command) {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        self.waiting.insert(request, name.to_owned());
        match self.shard.decide(command, request, self.now, &self.view) {
            Ok(outcome) => self.run(outcome, |id| id == request),
            Err(error) => self.answer(request, Err(error)),
        }
    }

    /// `is_told` says who hears of a refused append: who brought the command, and who waited for what follows one.
    fn run(&mut self, mut outcome: Outcome<GroupShard>, is_told: impl Fn(RequestId) -> bool) {
        let appends = outcome.events.iter().any(|event| !matches!(event, Event::Soft(_)));
        if let Some(error) = self.refuse.take_if(|_| appends) {
            self.said.push(format!("append refused: {}", error.name()));
            for (id, _) in outcome.replies.into_iter().filter(|(id, _)| is_told(*id)) {
                self.answer(id, Err(error.into()));
            }
            if let Some(on_failed) = outcome.on_failed {
                self.decide_inside(on_failed(error));
            }
            return;
        }
        for event in &outcome.events {
            if !matches!(event, Event::Soft(_)) {
                self.append(event);
            }
            self.shard.replay(event);
        }
        let parked = Parked { replies: outcome.replies, on_committed: outcome.on_committed.take() };
        // A reply without records waits for what was appended before it.
        if self.lagging && (appends || !self.parked.is_empty()) {
            self.parked.push(parked);
        } else {
            self.release(parked);
        }
    }

    fn decide_inside(&mut self, command: Command) {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        let outcome = self.shard.decide(command, request, self.now, &self.view).unwrap();
        self.run(outcome, |_| true);
    }

    fn append(&mut self, event: &Event<Record, Soft>) {
        self.said.push(format!("append {}", show_event(event)));
        self.view.apply(event);
        self.log.push(event.clone());
    }

    fn release(&mut self, parked: Parked) {
        for (id, response) in parked.replies {
            self.answer(id, Ok(response));
        }
        if let Some(command) = parked.on_committed {
            self.decide_inside(command);
        }
    }

    fn answer(&mut self, id: RequestId, answer: Result<Response, ApiError>) {
        // Further answers to a request are dropped.
        let Some(name) = self.waiting.remove(&id) else { return };
        self.said.push(format!("{name}: {}", show_answer(&answer)));
        self.answers.push((name, answer));
    }

    /// The high watermark reaches the end of the log.
    pub fn commit(&mut self) {
        while !self.parked.is_empty() {
            let parked = self.parked.remove(0);
            self.release(parked);
        }
    }

    /// Time passes, and everything that is due on the way happens when it is due.
    pub fn advance(&mut self, by_ms: i64) {
        let until_ms = self.now.uptime_ms + by_ms;
        while let Some(deadline_ms) =
            self.shard.next_deadline().filter(|deadline_ms| *deadline_ms <= until_ms)
        {
            self.move_to(deadline_ms.max(self.now.uptime_ms));
            let outcome = self.shard.expire(self.now, &self.view);
            self.run(outcome, |_| false);
        }
        self.move_to(until_ms.max(self.now.uptime_ms));
    }

    fn move_to(&mut self, uptime_ms: i64) {
        self.now.wall.0 += uptime_ms - self.now.uptime_ms;
        self.now.uptime_ms = uptime_ms;
    }

    /// Another coordinator takes over with what is in the log; everybody who waits is told.
    pub fn fail_over(&mut self) {
        self.parked.clear();
        for id in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.answer(id, Err(ErrorCode::NotCoordinator.into()));
        }
        self.shard = self.restored();
        self.shard.loaded(self.now);
    }

    /// A shard that has read the view.
    pub fn restored(&self) -> GroupShard {
        let mut shard = new_shard(&self.settings, &self.topics);
        self.view.restore(&mut shard);
        shard
    }

    /// A shard that has read the whole log.
    pub fn replayed(&self) -> GroupShard {
        let mut shard = new_shard(&self.settings, &self.topics);
        self.log.iter().for_each(|event| shard.replay(event));
        shard
    }
}

fn new_shard(settings: &Arc<Mutex<GroupSettings>>, topics: &Arc<Mutex<TestTopics>>) -> GroupShard {
    let surroundings = surroundings(topics, settings);
    let settings = settings.clone();
    GroupShard::new(Arc::new(move || Arc::new(settings.lock().clone())), surroundings)
}

fn show_answer(answer: &Result<Response, ApiError>) -> String {
    match answer {
        Err(error) => match &error.message {
            Some(message) => format!("error {}: {message}", error.code.name()),
            None => format!("error {}", error.code.name()),
        },
        Ok(Response::ConsumerHeartbeat(response)) => show_heartbeat(response),
        Ok(Response::Join(response)) if response.error != ErrorCode::None => {
            format!("join {} member={:?}", response.error.name(), &*response.member_id)
        }
        Ok(Response::Join(response)) => {
            let mut shown = format!(
                "joined generation={} member={} leader={} protocol={}/{}",
                response.generation,
                response.member_id,
                response.leader,
                response.protocol_type.as_deref().unwrap_or("-"),
                response.protocol.as_deref().unwrap_or("-"),
            );
            if response.skip_assignment {
                shown.push_str(" skip");
            }
            if !response.members.is_empty() {
                let members = response.members.iter();
                let members =
                    members.map(|member| format!("{}:{}", member.member_id, show_bytes(&member.metadata)));
                write!(shown, " members=[{}]", members.collect::<Vec<_>>().join(" ")).unwrap();
            }
            shown
        }
        Ok(Response::Sync(response)) if response.error != ErrorCode::None => {
            format!("sync {}", response.error.name())
        }
        Ok(Response::Sync(response)) => format!("synced {}", show_bytes(&response.assignment)),
        Ok(Response::Heartbeat(Ok(()))) => "heartbeat ok".to_owned(),
        Ok(Response::Heartbeat(Err(error))) => format!("heartbeat {}", error.name()),
        Ok(Response::Leave(response)) => {
            let members = response.members.iter().map(|(member, error)| {
                let who = member.instance_id.as_deref().filter(|_| member.member_id.is_empty());
                format!("{} {}", who.unwrap_or(&member.member_id), error.name())
            });
            format!("leave {} [{}]", response.error.name(), members.collect::<Vec<_>>().join(", "))
        }
        Ok(Response::Done) => "done".to_owned(),
        Ok(Response::Commit(response)) => {
            let results = response.results.iter().map(|result| result.name()).collect::<Vec<_>>();
            format!("commit {}", results.join(" "))
        }
        Ok(other) => format!("{other:?}"),
    }
}

fn show_event(event: &Event<Record, Soft>) -> String {
    match event {
        Event::Durable(record) => show_record(record),
        Event::Transactional(producer, record) => format!("{} for {}", show_record(record), producer.id),
        Event::Marker(marker) => {
            let end = if marker.is_commit { "commit" } else { "abort" };
            format!("{end} of {}", marker.producer.id)
        }
        Event::Soft(_) => unreachable!("nothing of it is appended"),
    }
}

fn show_record(record: &Record) -> String {
    match record {
        Record::Group(group, None) => format!("{group} deleted"),
        Record::Group(group, Some(value)) => format!("{group} {}", show_value(value)),
        Record::Consumer(group, record) => show_consumer_record(group, record),
        Record::Offset(key, value) => {
            let offset = value.as_ref().map(|value| value.offset.0);
            format!("offset {}/{}-{} {offset:?}", key.group, key.topic, key.partition)
        }
    }
}

fn show_value(value: &GroupValue) -> String {
    let members = value.members.iter();
    let members = members.map(|member| format!("{}:{}", member.member_id, show_bytes(&member.assignment)));
    format!(
        "generation={} protocol={}/{} leader={} members=[{}]",
        value.generation,
        value.protocol_type,
        value.protocol.as_deref().unwrap_or("-"),
        value.leader.as_deref().unwrap_or("-"),
        members.collect::<Vec<_>>().join(" ")
    )
}
