//! One shard with a log in memory: what the runtime and the writer of markers do, without threads. Commits may lag,
//! appends may be refused, leadership may be lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::broker::{BrokerConfig, TransactionSettings};
use crate::coordinator::shard::{Event, Now, Outcome, RequestId, Scan, Shard, Stored, TransactionalProducer};
use crate::coordinator::transaction::command::{Command, Response, WriteMarkers};
use crate::coordinator::transaction::metadata::TransactionMetadata;
use crate::coordinator::transaction::records::Record;
use crate::coordinator::transaction::shard::TransactionShard;
use crate::coordinator::transaction::state::State;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{ProducerEpoch, ProducerId, Timestamp};

/// The last value of each key.
#[derive(Clone, Default)]
pub struct View(BTreeMap<Vec<u8>, Vec<u8>>);

impl Stored for View {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ApiError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> Scan) -> Result<(), ApiError> {
        let entries = self.0.iter().filter(|(key, _)| key.starts_with(prefix));
        for (key, value) in entries {
            assert!(matches!(visit(key, value), Scan::Next), "the shard reads everything");
        }
        Ok(())
    }
}

/// An outcome whose records are appended and not committed.
struct Parked {
    replies: Vec<(RequestId, Response)>,
    on_committed: Option<Command>,
    effects: Vec<WriteMarkers>,
}

pub struct World {
    pub shard: TransactionShard,
    view: View,
    pub log: Vec<Record>,
    pub now: Now,
    pub settings: TransactionSettings,
    /// Level of `transaction.version`.
    pub version: Arc<parking_lot::Mutex<i16>>,
    /// Who waits for an answer, by the name the test gave it.
    pub waiting: BTreeMap<RequestId, String>,
    /// Appends are not committed until [`World::commit`].
    pub lagging: bool,
    parked: Vec<Parked>,
    /// The next append fails with this.
    pub refuse: Option<ErrorCode>,
    /// Markers that were begun and not reported.
    pub markers: Vec<WriteMarkers>,
    /// What was reported last.
    reported: Option<WriteMarkers>,
    pub next_producer_id: i64,
    next_request: u64,
    /// What happened since it was last taken.
    pub said: Vec<String>,
    pub answers: Vec<(String, Result<Response, ApiError>)>,
}

impl World {
    pub fn new() -> World {
        let (config, _) = BrokerConfig::from_properties(&BTreeMap::new()).unwrap();
        let version = Arc::new(parking_lot::Mutex::new(2));
        let shard = new_shard(&config.transaction, &version);
        let mut world = World {
            shard,
            view: View::default(),
            log: Vec::new(),
            now: Now { wall: Timestamp(1_000_000), uptime_ms: 0 },
            settings: config.transaction,
            version,
            waiting: BTreeMap::new(),
            lagging: false,
            parked: Vec::new(),
            refuse: None,
            markers: Vec::new(),
            reported: None,
            next_producer_id: 1,
            next_request: 0,
            said: Vec::new(),
            answers: Vec::new(),
        };
        world.fail_over();
        world
    }

    /// Sends a command; what it needs of producer ids it gets, and is sent again.
    pub fn submit(&mut self, name: &str, command: Command) {
        if let Some(answer) = self.submit_once(name, command.clone()) {
            assert_eq!(answer, Response::NeedsProducerId);
            let fresh = Some(ProducerId(self.next_producer_id));
            self.next_producer_id += 1;
            let command = match command {
                Command::InitProducerId(mut init) => {
                    init.fresh_id = fresh;
                    Command::InitProducerId(init)
                }
                Command::EndTransaction(mut end) => {
                    end.fresh_id = fresh;
                    Command::EndTransaction(end)
                }
                Command::AddPartitions(_)
                | Command::MarkersWritten { .. }
                | Command::Committed { .. }
                | Command::PutOff { .. } => panic!("needs no producer id"),
            };
            assert_eq!(self.submit_once(name, command), None, "one fresh id is enough");
        }
    }

    /// Says when the command needs a producer id.
    fn submit_once(&mut self, name: &str, command: Command) -> Option<Response> {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        match self.shard.decide(command, request, self.now, &self.view) {
            Ok(outcome) if outcome.replies.contains(&(request, Response::NeedsProducerId)) => {
                assert!(outcome.events.is_empty());
                return Some(Response::NeedsProducerId);
            }
            Ok(outcome) => {
                self.waiting.insert(request, name.to_owned());
                self.run(outcome);
            }
            Err(error) => {
                self.waiting.insert(request, name.to_owned());
                self.answer(request, Err(error));
            }
        }
        None
    }

    fn run(&mut self, outcome: Outcome<TransactionShard>) {
        let Outcome { events, replies, on_committed, on_failed, effects } = outcome;
        let appends = events.iter().any(|event| matches!(event, Event::Durable(_)));
        if let Some(error) = self.refuse.take_if(|_| appends) {
            self.said.push(format!("append refused: {}", error.name()));
            replies.into_iter().for_each(|(id, _)| self.answer(id, Err(error.into())));
            if let Some(on_failed) = on_failed {
                self.decide_inside(on_failed(error));
            }
            return;
        }
        for event in &events {
            if let Event::Durable(record) = event {
                self.append(record);
            }
            self.shard.replay(event);
        }
        let parked = Parked { replies, on_committed, effects };
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
        self.run(outcome);
    }

    fn append(&mut self, record: &Record) {
        self.said.push(format!("append {}", show_record(record)));
        let encoded = TransactionShard::encode(record);
        let read = TransactionShard::decode(&encoded.key, encoded.value.as_deref()).unwrap();
        self.log.push(read.expect("a key of this topic"));
        match encoded.value {
            Some(value) => self.view.0.insert(encoded.key, value),
            None => self.view.0.remove(&encoded.key),
        };
    }

    fn release(&mut self, parked: Parked) {
        parked.replies.into_iter().for_each(|(id, response)| self.answer(id, Ok(response)));
        parked.effects.into_iter().for_each(|effect| self.begin(effect));
        if let Some(command) = parked.on_committed {
            self.decide_inside(command);
        }
    }

    fn begin(&mut self, markers: WriteMarkers) {
        self.said.push(format!("markers {}", show_markers(&markers)));
        self.markers.push(markers);
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

    /// The oldest markers are all written.
    pub fn markers_written(&mut self) {
        if self.markers.is_empty() {
            return;
        }
        let markers = self.markers.remove(0);
        self.reported = Some(markers.clone());
        self.report_again();
        if self.answers.last().is_some_and(|(name, answer)| name == "written" && answer.is_err()) {
            // It is tried again.
            self.markers.push(markers);
        }
    }

    /// The writer of the markers has got no answer to its last report.
    pub fn report_again(&mut self) {
        let WriteMarkers { transactional_id, transition, .. } =
            self.reported.clone().expect("something was reported");
        self.submit("written", Command::MarkersWritten { transactional_id, transition });
    }

    /// The last record of an id is reported to have its markers, whether it is to have some or not.
    pub fn report_last_of(&mut self, id: &str) {
        let (id, entry) = self.shard.transactions.get_key_value(id).expect("the id is known");
        let (transactional_id, transition) = (id.clone(), self.shard.transition_of(entry));
        self.submit("written", Command::MarkersWritten { transactional_id, transition });
    }

    /// The producer gets the last epoch that a client may have, as if thousands of transactions had gone by.
    pub fn exhaust(&mut self, id: &str) -> Option<TransactionalProducer> {
        let (id, entry) = self.shard.transactions.get_key_value(id)?;
        let mut next = entry.metadata.clone();
        if entry.is_pending() || !next.state.is_idle() || next.is_epoch_exhausted() {
            return None;
        }
        next.state = State::Empty;
        next.start = Timestamp::NONE;
        next.producer.epoch = ProducerEpoch(i16::MAX - 1);
        next.previous_id = next.producer.id;
        let producer = next.producer;
        let outcome = self.shard.append(&id.clone(), next);
        self.run(outcome);
        Some(producer)
    }

    /// Time passes, and everything that is due on the way happens when it is due.
    pub fn advance(&mut self, by_ms: i64) {
        let until_ms = self.now.uptime_ms + by_ms;
        while let Some(deadline_ms) =
            self.shard.next_deadline().filter(|deadline_ms| *deadline_ms <= until_ms)
        {
            self.move_to(deadline_ms.max(self.now.uptime_ms));
            let outcome = self.shard.expire(self.now, &self.view);
            self.run(outcome);
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
        self.markers.clear();
        for id in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.answer(id, Err(ErrorCode::NotCoordinator.into()));
        }
        self.shard = self.restored();
        let mut effects = self.shard.loaded(self.now);
        effects.sort_by(|one, other| one.transactional_id.cmp(&other.transactional_id));
        effects.into_iter().for_each(|effect| self.begin(effect));
    }

    /// A shard that has read the view.
    pub fn restored(&self) -> TransactionShard {
        let mut shard = new_shard(&self.settings, &self.version);
        shard.restore(&self.view).unwrap();
        shard
    }

    /// A shard that has read the whole log.
    pub fn replayed(&self) -> TransactionShard {
        let mut shard = new_shard(&self.settings, &self.version);
        self.log.iter().for_each(|record| shard.replay(&Event::Durable(record.clone())));
        shard
    }
}

fn new_shard(settings: &TransactionSettings, version: &Arc<parking_lot::Mutex<i16>>) -> TransactionShard {
    let version = version.clone();
    TransactionShard::new(settings.clone(), Arc::new(move || *version.lock()))
}

fn show_answer(answer: &Result<Response, ApiError>) -> String {
    match answer {
        Err(error) => error.code.name(),
        Ok(Response::NeedsProducerId) => "needs a producer id".to_owned(),
        Ok(Response::InitProducerId(producer)) => format!("is {}/{}", producer.id, producer.epoch),
        Ok(Response::ConcurrentTransactions) => ErrorCode::ConcurrentTransactions.name(),
        Ok(Response::AddPartitions(results)) => {
            results.iter().map(|code| code.name()).collect::<Vec<_>>().join(" ")
        }
        Ok(Response::EndTransaction(producer)) => format!("goes on as {}/{}", producer.id, producer.epoch),
        Ok(Response::Done) => "done".to_owned(),
    }
}

fn show_record(record: &Record) -> String {
    match &record.value {
        None => format!("{} deleted", record.transactional_id),
        Some(value) => {
            let version = if value.is_flexible { "" } else { " v0" };
            format!("{} {}{version}", record.transactional_id, show_metadata(&value.metadata))
        }
    }
}

pub fn show_metadata(metadata: &TransactionMetadata) -> String {
    let producer = metadata.producer;
    let mut shown = format!("{} {}/{}", metadata.state.name(), producer.id, producer.epoch);
    if metadata.previous_id != producer.id && metadata.previous_id != ProducerId::NONE {
        shown.push_str(&format!(" before={}", metadata.previous_id));
    }
    if metadata.next_id != ProducerId::NONE {
        shown.push_str(&format!(" next={}", metadata.next_id));
    }
    if !metadata.partitions.is_empty() {
        let partitions: Vec<_> =
            metadata.partitions.iter().map(|(topic, index)| format!("{topic}-{index}")).collect();
        shown.push_str(&format!(" [{}]", partitions.join(" ")));
    }
    shown
}

fn show_markers(markers: &WriteMarkers) -> String {
    let partitions: Vec<_> =
        markers.partitions.iter().map(|(topic, index)| format!("{topic}-{index}")).collect();
    let ending = if markers.is_commit { "commit" } else { "abort" };
    let producer = markers.producer;
    format!(
        "{} {ending} {}/{} [{}] version={}",
        markers.transactional_id,
        producer.id,
        producer.epoch,
        partitions.join(" "),
        markers.transaction_version
    )
}
