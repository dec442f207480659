//! Random requests, delays, lost leaderships and refused appends, with the promises that hold whatever comes. The
//! seed of a failure is in its message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::world::World;
use crate::coordinator::shard::{Shard, TransactionalProducer};
use crate::coordinator::transaction::command::{
    AddPartitionsRequest, Command, EndTransactionRequest, InitProducerIdRequest, Response,
};
use crate::coordinator::transaction::metadata::{FENCING_EPOCH, NO_EPOCH, TransactionMetadata};
use crate::coordinator::transaction::shard::TransactionShard;
use crate::coordinator::transaction::state::State;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{PartitionIndex, ProducerEpoch, ProducerId};

const IDS: [&str; 3] = ["t", "u", "v"];

struct Chaos {
    random: fastrand::Rng,
    world: World,
    /// Who was given away for each id, in the order of time.
    producers: BTreeMap<Arc<str>, Vec<TransactionalProducer>>,
    /// Whose request it is.
    asked: BTreeMap<String, Arc<str>>,
    requests: usize,
    /// Records of the log that were looked at.
    seen: usize,
    /// The last record of each id, and of each id the highest epoch of each producer id.
    last: BTreeMap<Arc<str>, TransactionMetadata>,
    epochs: BTreeMap<ProducerId, (Arc<str>, ProducerEpoch)>,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::new();
        *world.version.lock() = *random.choice(&[1, 2, 2]).unwrap();
        Chaos {
            random,
            world,
            producers: BTreeMap::new(),
            asked: BTreeMap::new(),
            requests: 0,
            seen: 0,
            last: BTreeMap::new(),
            epochs: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        match self.random.u8(..100) {
            0..15 => self.init(),
            15..45 => self.add(),
            45..70 => self.end(),
            70..85 => self.world.markers_written(),
            85..88 => self.world.lagging = true,
            88..93 => {
                self.world.lagging = false;
                self.world.commit();
            }
            93..95 => self.world.refuse = Some(ErrorCode::NotEnoughReplicas),
            95..96 => self.fail_over(),
            96..97 => self.exhaust(),
            _ => {
                let by_ms = *self.random.choice(&[10, 9_000, 70_000]).unwrap();
                self.world.advance(by_ms);
            }
        }
        self.check();
    }

    fn id(&mut self) -> Arc<str> {
        Arc::from(*self.random.choice(&IDS).unwrap())
    }

    fn name(&mut self, id: &Arc<str>) -> String {
        self.requests += 1;
        let name = format!("r{}", self.requests);
        self.asked.insert(name.clone(), id.clone());
        name
    }

    /// Mostly the last one that was told, or what it becomes by itself.
    fn somebody(&mut self, id: &Arc<str>) -> TransactionalProducer {
        let nobody = TransactionalProducer { id: ProducerId(99_999), epoch: ProducerEpoch(0) };
        let known = self.producers.get(id).map_or(&[][..], Vec::as_slice);
        let at = known.len().saturating_sub(if self.random.u8(..) < 32 { 2 } else { 1 });
        known.get(at).copied().unwrap_or(nobody)
    }

    fn init(&mut self) {
        let id = self.id();
        let expected = self.random.bool().then(|| self.somebody(&id)).filter(|who| who.id.0 != 99_999);
        let name = self.name(&id);
        let request =
            InitProducerIdRequest { transactional_id: id, timeout_ms: 60_000, expected, fresh_id: None };
        self.world.submit(&name, Command::InitProducerId(request));
    }

    fn add(&mut self) {
        let id = self.id();
        let producer = self.somebody(&id);
        let name = self.name(&id);
        let partition = (Arc::from("a"), PartitionIndex(self.random.i32(0..4)));
        let request = AddPartitionsRequest {
            transactional_id: id,
            producer,
            partitions: vec![partition],
            verify_only: self.random.u8(..) < 64,
            is_v2: self.random.bool(),
        };
        self.world.submit(&name, Command::AddPartitions(request));
    }

    fn end(&mut self) {
        let id = self.id();
        let producer = self.somebody(&id);
        let name = self.name(&id);
        let request = EndTransactionRequest {
            transactional_id: id,
            producer,
            is_commit: self.random.bool(),
            is_v2: *self.world.version.lock() >= 2 && self.random.bool(),
            fresh_id: None,
        };
        self.world.submit(&name, Command::EndTransaction(request));
    }

    fn fail_over(&mut self) {
        let before: Vec<_> = described(&self.world.shard);
        self.world.fail_over();
        assert_eq!(described(&self.world.shard), before, "a new coordinator knows what the last one knew");
    }

    /// As if thousands of transactions had gone by.
    fn exhaust(&mut self) {
        let id = self.id();
        if let Some(producer) = self.world.exhaust(&id) {
            self.producers.entry(id).or_default().push(producer);
        }
    }

    fn check(&mut self) {
        for (name, answer) in std::mem::take(&mut self.world.answers) {
            let Some(id) = self.asked.remove(&name) else { continue };
            let told = match answer {
                Ok(Response::InitProducerId(producer) | Response::EndTransaction(producer)) => producer,
                Ok(_) | Err(_) => continue,
            };
            assert!(told.epoch != FENCING_EPOCH && told.epoch != NO_EPOCH, "{told:?} is for nobody");
            let known = self.producers.entry(id).or_default();
            if known.last() != Some(&told) {
                known.push(told);
            }
        }
        let log = std::mem::take(&mut self.world.log);
        for record in &log[self.seen..] {
            match &record.value {
                None => drop(self.last.remove(&record.transactional_id)),
                Some(value) => self.check_step(&record.transactional_id, &value.metadata),
            }
        }
        self.seen = log.len();
        self.world.log = log;
        self.check_markers();
        if self.random.u8(..) < 16 {
            self.check_durability();
        }
    }

    fn check_durability(&self) {
        let shown = described(&self.world.shard);
        assert_eq!(described(&self.world.replayed()), shown, "the log has it all");
        assert_eq!(described(&self.world.restored()), shown, "the view has it all");
    }

    fn check_step(&mut self, id: &Arc<str>, next: &TransactionMetadata) {
        let producer = next.producer;
        let (owner, highest) = self.epochs.entry(producer.id).or_insert((id.clone(), NO_EPOCH));
        assert_eq!(owner, id, "a producer id has one transactional id");
        assert!(producer.epoch >= *highest, "the epoch of {producer:?} was {highest} before");
        *highest = producer.epoch;
        if let Some(before) = self.last.insert(id.clone(), next.clone()) {
            assert!(next.state.may_follow(before.state), "{:?} after {:?}", next.state, before.state);
            if before.state.is_prepared() {
                assert_eq!(before.start, next.start, "another transaction");
            }
            if next.state.is_prepared() {
                assert_eq!(before.partitions, next.partitions, "every partition gets its marker");
            }
        }
    }

    /// Everything prepared and committed has its markers on the way, and nothing else has.
    fn check_markers(&self) {
        let on_the_way: BTreeSet<_> =
            self.world.markers.iter().map(|markers| (&markers.transactional_id, markers.producer)).collect();
        for (id, entry) in &self.world.shard.transactions {
            let metadata = &entry.metadata;
            let has_markers = on_the_way.contains(&(id, metadata.producer));
            if metadata.state.is_prepared() && !self.world.lagging {
                assert!(has_markers, "nobody ends {id}: {metadata:?}");
            }
            if metadata.state == State::Ongoing {
                assert!(self.world.shard.deadlines.iter().any(|(_, listed)| listed == id), "{id} has no end");
            }
        }
    }

    /// Everything comes to an end when nothing fails any more.
    fn settle(&mut self) {
        self.world.lagging = false;
        self.world.commit();
        self.world.refuse = None;
        for _ in 0..100 {
            self.world.markers_written();
            self.world.advance(10_000);
        }
        self.check();
        self.check_durability();
        assert!(self.world.waiting.is_empty(), "never answered: {:?}", self.world.waiting);
        let states = self.world.shard.transactions.values().map(|entry| entry.metadata.state);
        assert!(states.into_iter().all(State::is_idle), "transactions outlive their timeouts");
        self.world.advance(8 * 24 * 3_600_000);
        assert!(self.world.shard.transactions.is_empty(), "ids outlive their expiration");
        assert_eq!(self.world.shard.next_deadline(), None);
    }
}

/// All of it but what is not in the log.
fn described(shard: &TransactionShard) -> Vec<(Arc<str>, TransactionMetadata)> {
    let logged =
        |metadata: &TransactionMetadata| TransactionMetadata { last_epoch: NO_EPOCH, ..metadata.clone() };
    let mut all: Vec<_> =
        shard.transactions.iter().map(|(id, entry)| (id.clone(), logged(&entry.metadata))).collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
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
    let seeds = std::env::var("KLAMM_SEEDS").map_or(100, |count| count.parse().unwrap());
    for seed in 0..seeds {
        run(seed, 200);
    }
}
