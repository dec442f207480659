//! The coordinator runtime over the real log and RocksDB: stops, kills, power cuts and damaged views, simulated on copies
//! of the directories. Each ends in the state of the log.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::followed::Followed;
use super::image_topics::ImageTopics;
use super::topic_log::TopicLog;
use crate::config::topic::TopicConfig;
use crate::controller::{ClusterImage, MetadataRecord, PartitionChangeRecord, PartitionRecord, TopicRecord};
use crate::coordinator::group::consumer::topics::Topics;
use crate::coordinator::log::{AppendFailure, PartitionReader, PartitionWriter};
use crate::coordinator::runtime::tests::bench::{
    Command, Record, Registers, Response, Soft, now, pending, producer, registers_of,
};
use crate::coordinator::runtime::{BatchOptions, Job, Options, Runtime, Settings, SlotState};
use crate::coordinator::shard::{Event, Scan, Stored, TransactionMarker, TransactionalProducer};
use crate::env::clock::Clock;
use crate::env::rng::Rng;
use crate::log::dirs::{LogDirectory, Owner};
use crate::log::files::FileCache;
use crate::protocol::batch::Compression;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, TopicId, Uuid};
use crate::replication::chores::Signal;
use crate::replication::registry::{Registry, RegistryOptions, TopicConfigs};
use crate::store::lazy::{DIRECTORY, LazyView};
use crate::store::view::{Change, Patience, Tier};
use crate::store::{CoordinatorTopic, PartitionKey};

const ME: BrokerId = BrokerId(1);
const PARTITION: PartitionIndex = PartitionIndex(0);
const OF: PartitionKey = PartitionKey { topic: CoordinatorTopic::ConsumerOffsets, partition: PARTITION };

/// One broker's logs and coordinator in a directory, without its sockets.
struct Machine {
    replicas: Arc<Registry>,
    log: Arc<TopicLog>,
    view: Arc<LazyView>,
    runtime: Arc<Runtime<Registers>>,
    jobs: Arc<Mutex<VecDeque<Job>>>,
}

impl Machine {
    fn start(path: &Path) -> Machine {
        Machine::start_lagging(path, 0)
    }

    /// A view that so many bytes may wait for.
    fn start_lagging(path: &Path, most_lag_bytes: usize) -> Machine {
        let owner = Owner { node_id: ME, cluster_id: Some("cluster") };
        let rng = Rng::system();
        let directories = LogDirectory::open_all(&[path.to_owned()], &owner, &rng).unwrap();
        let configs: TopicConfigs = Arc::new(|_| {
            Arc::new(TopicConfig { cleanup_compact: true, cleanup_delete: false, ..TopicConfig::default() })
        });
        let clock = Clock::system();
        let replicas = Arc::new(Registry::new(RegistryOptions {
            me: ME,
            image: Arc::new(image(directories[0].id(), 77)),
            directories,
            files: FileCache::below_half_of_the_descriptor_limit(),
            clock: clock.clone(),
            configs: configs.clone(),
            producer_expiration_ms: Arc::new(AtomicI64::new(i64::MAX)),
            signal: Arc::new(Signal::default()),
            cleaner_signal: Arc::new(crate::replication::chores::Signal::default()),
        }));
        replicas.load(1).unwrap();
        let topic = CoordinatorTopic::ConsumerOffsets;
        let log = Arc::new(TopicLog::new(topic, replicas.clone(), configs, clock.clone()));
        let jobs: Arc<Mutex<VecDeque<Job>>> = Arc::default();
        let view = Arc::new(LazyView::inside(path));
        let runtime = Machine::new_runtime(topic, &log, &view, &jobs, most_lag_bytes);
        let machine = Machine { replicas, log, view, runtime, jobs };
        machine.runtime.lead(PARTITION, LeaderEpoch(0));
        machine.run_jobs();
        machine
    }

    fn new_runtime(
        topic: CoordinatorTopic,
        log: &Arc<TopicLog>,
        view: &Arc<LazyView>,
        jobs: &Arc<Mutex<VecDeque<Job>>>,
        most_lag_bytes: usize,
    ) -> Arc<Runtime<Registers>> {
        let queue = jobs.clone();
        Runtime::new(Options {
            topic,
            new_shard: Box::new(|_| Registers::default()),
            writer: log.clone(),
            reader: log.clone(),
            view: view.clone(),
            most_lag_bytes,
            clock: Clock::system(),
            settings: Box::new(|_| Settings {
                batches: BatchOptions {
                    max_size_bytes: 1 << 20,
                    compression: Compression::None,
                    base_sequence: 0,
                },
                commit_timeout_ms: 5_000,
            }),
            background: Box::new(move |job| queue.lock().push_back(job)),
            carry_out: Box::new(|_, _, _, _| {}),
        })
    }

    fn run_jobs(&self) {
        loop {
            let Some(job) = self.jobs.lock().pop_front() else { return };
            job();
        }
    }

    fn set(&self, name: &str, value: Option<&str>) {
        let command = Command::Set(vec![(name.into(), value.map(Into::into))]);
        self.runtime.submit(PARTITION, command).now().ok().expect("alone nothing waits").unwrap();
    }

    /// Some hundred records over a few registers, some cleared.
    fn work(&self, round: &str) {
        for at in 0..300 {
            let value = format!("{round}/{at}/{}", "x".repeat(at % 50));
            self.set(&format!("r{}", at % 37), (at % 5 > 0).then_some(&value));
        }
    }

    /// An entry that no log knows: whoever sees it believes the view.
    fn mark_view(&self) {
        let view = self.view.get().unwrap();
        let stamp = view.stamp(OF).unwrap().unwrap();
        let mark = Change { key: b"mark", value: Some(b"") };
        view.apply(OF, &mut [mark].into_iter(), &stamp, Patience::Wait).unwrap();
    }

    fn flush_view(&self) {
        self.view.get().unwrap().flush().unwrap();
    }

    fn believes_its_view(&self) -> bool {
        self.view.get().unwrap().get(OF, b"mark", Tier::Disk).unwrap().is_some()
    }

    fn of_log(&self) -> BTreeMap<String, String> {
        let (mut from, end) = self.log.bounds(PARTITION).unwrap();
        let mut batches = Vec::new();
        while from < end {
            let bytes = self.log.read(PARTITION, from, 1).unwrap();
            from = crate::protocol::batch::Batch::split_first(&bytes).unwrap().0.next_offset();
            batches.push(bytes);
        }
        registers_of(&batches)
    }

    fn read(&self) -> BTreeMap<String, String> {
        let look = |(): &(), stored: &dyn Stored| {
            let mut seen = BTreeMap::new();
            stored.scan(b"r/", &mut |key, value| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                seen.insert(text(&key[2..]), text(value));
                Scan::Next
            })?;
            Ok(seen)
        };
        // Warm or not, the shard checks what is stored against what it has replayed.
        let get = self.runtime.submit(PARTITION, Command::Get("r0".into())).now();
        assert!(matches!(get, Ok(Ok(_))));
        let read = self.runtime.read(PARTITION, |_| Ok(()), look);
        now(read).expect("the check has warmed it").unwrap()
    }

    /// As a clean stop does.
    fn stop(self) {
        self.runtime.resign_all();
        self.view.close().unwrap();
        self.replicas.close_all(1).unwrap();
    }
}

fn image(directory: Uuid, topic_id: u128) -> ClusterImage {
    image_of(directory, &[(CoordinatorTopic::ConsumerOffsets, topic_id)])
}

fn image_of(directory: Uuid, topics: &[(CoordinatorTopic, u128)]) -> ClusterImage {
    let mut image = ClusterImage::new("cluster".into());
    for (topic, topic_id) in topics {
        let topic_id = TopicId(Uuid::from_u128(*topic_id));
        let topic = TopicRecord { name: topic.name().into(), topic_id };
        let partition = partition_record(topic_id, directory);
        image.replay(&MetadataRecord::Topic(topic), Offset(0)).unwrap();
        image.replay(&MetadataRecord::Partition(partition), Offset(1)).unwrap();
    }
    image
}

fn partition_record(topic_id: TopicId, directory: Uuid) -> PartitionRecord {
    PartitionRecord {
        partition: PARTITION,
        topic_id,
        replicas: vec![ME],
        isr: vec![ME],
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader: ME,
        leader_recovery_state: 0,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        directories: vec![directory],
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    }
}

#[test]
fn groups_see_new_partitions_and_not_who_leads_them() {
    let old = image(Uuid::from_u128(1), 7);
    let topic_id = TopicId(Uuid::from_u128(7));
    let seen = ImageTopics::new(&old);
    let mut led_anew = old.clone();
    let change =
        PartitionChangeRecord { leader: Some(ME), ..PartitionChangeRecord::new(topic_id, PARTITION) };
    led_anew.replay(&MetadataRecord::PartitionChange(change), Offset(2)).unwrap();
    led_anew.applied = Offset(2);
    let seen = seen.changed(&old, &led_anew).expect("the topics have changed");
    assert_eq!(seen.version(), old.applied.0);
    let mut grown = led_anew.clone();
    let mut added = partition_record(topic_id, Uuid::from_u128(1));
    added.partition = PartitionIndex(1);
    grown.replay(&MetadataRecord::Partition(added), Offset(3)).unwrap();
    grown.applied = Offset(3);
    let seen = seen.changed(&led_anew, &grown).expect("the topics have changed");
    assert_eq!(seen.version(), 3);
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What a kill leaves: the files as they are.
fn copy_of(path: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_directory(path, copy.path());
    copy
}

/// The view's only database.
fn database(path: &Path) -> PathBuf {
    let databases: Vec<_> = std::fs::read_dir(path.join(DIRECTORY)).unwrap().collect();
    assert_eq!(databases.len(), 1);
    databases[0].as_ref().unwrap().path()
}

/// Starts on what lies in `path`; it must be what the log says. Whether the view was believed.
#[track_caller]
fn check_start(path: &Path) -> bool {
    let machine = Machine::start(path);
    assert_eq!(machine.runtime.led(), [(PARTITION, SlotState::Active)]);
    assert_eq!(machine.read(), machine.of_log());
    let believed = machine.believes_its_view();
    machine.set("after", Some("1"));
    machine.stop();
    believed
}

#[test]
fn after_a_clean_stop_the_view_is_at_the_end_of_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path());
    machine.work("first");
    machine.mark_view();
    let expected = machine.of_log();
    assert_eq!(machine.read(), expected);
    machine.stop();
    let machine = Machine::start(directory.path());
    assert_eq!(machine.view.get().unwrap().stamp(OF).unwrap().unwrap().next_offset, Offset(300));
    assert!(machine.believes_its_view());
    assert_eq!(machine.read(), expected);
    machine.stop();
}

#[test]
fn after_a_kill_the_rest_of_the_log_is_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path());
    machine.work("first");
    let never_flushed = copy_of(directory.path());
    assert!(!check_start(never_flushed.path()));
    machine.mark_view();
    machine.flush_view();
    machine.work("second");
    let behind = copy_of(directory.path());
    assert!(check_start(behind.path()));
    machine.stop();
}

#[test]
fn what_waits_for_the_view_is_replayed_after_a_kill_and_written_before_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start_lagging(directory.path(), 32 << 10);
    machine.work("first");
    machine.mark_view();
    machine.flush_view();
    let stamp = machine.view.get().unwrap().stamp(OF).unwrap().unwrap();
    assert!((1..300).contains(&stamp.next_offset.0), "{stamp:?}");
    let killed = copy_of(directory.path());
    assert!(check_start(killed.path()));
    machine.stop();
    let machine = Machine::start(directory.path());
    assert_eq!(machine.view.get().unwrap().stamp(OF).unwrap().unwrap().next_offset, Offset(300));
    assert_eq!(machine.read(), machine.of_log());
    machine.stop();
}

#[test]
fn a_view_ahead_of_a_torn_log_is_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path());
    machine.work("first");
    machine.mark_view();
    machine.flush_view();
    let torn = copy_of(directory.path());
    machine.stop();
    let log = torn.path().join("__consumer_offsets-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&log).unwrap();
    // What the file system has not brought to disk ends in zeros or is missing.
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes.truncate(written - 5);
    std::fs::write(&log, bytes).unwrap();
    assert!(!check_start(torn.path()));
    assert!(Machine::start(torn.path()).log.bounds(PARTITION).unwrap().1 >= Offset(300));
}

#[test]
fn a_view_of_a_history_that_a_power_cut_took_is_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path());
    machine.work("first");
    let log_before = copy_of(directory.path());
    machine.work("second");
    machine.mark_view();
    machine.flush_view();
    let after = copy_of(directory.path());
    machine.stop();
    // The view reached the disk and the log did not; then the log went another way, without the view.
    std::fs::remove_dir_all(log_before.path().join(DIRECTORY)).unwrap();
    let other = Machine::start(log_before.path());
    other.work("other");
    other.work("third");
    other.stop();
    std::fs::remove_dir_all(log_before.path().join(DIRECTORY)).unwrap();
    copy_directory(&after.path().join(DIRECTORY), &log_before.path().join(DIRECTORY));
    assert!(!check_start(log_before.path()));
}

#[test]
fn a_deleted_or_damaged_view_is_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path());
    machine.work("first");
    machine.mark_view();
    machine.flush_view();
    machine.work("second");
    machine.flush_view();
    let killed = copy_of(directory.path());
    machine.stop();

    let deleted = copy_of(killed.path());
    std::fs::remove_dir_all(deleted.path().join(DIRECTORY)).unwrap();
    assert!(!check_start(deleted.path()));

    for ending in ["sst", "MANIFEST", "CURRENT", "OPTIONS"] {
        for damage in [flip, truncate, remove] {
            let damaged = copy_of(killed.path());
            for entry in std::fs::read_dir(database(damaged.path())).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if name.contains(ending) {
                    damage(&path);
                }
            }
            let believed = check_start(damaged.path());
            assert!(!believed || ending == "OPTIONS", "{ending}");
        }
    }
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55);
    std::fs::write(path, bytes).unwrap();
}

fn truncate(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

fn end_of_first(epoch: i16, is_commit: bool) -> Event<Record, Soft> {
    let producer = TransactionalProducer { epoch: ProducerEpoch(epoch), ..producer(1) };
    Event::Marker(TransactionMarker { producer, coordinator_epoch: 0, is_commit, transaction_version: 2 })
}

#[test]
fn transactions_hold_up_the_last_stable_offset_and_survive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path());
    let write = |machine: &Machine, events| {
        let written = machine.runtime.submit(PARTITION, Command::Write(events)).now();
        written.ok().expect("alone nothing waits").map_err(|error| error.code)
    };
    let stable = |machine: &Machine| machine.log.replica(PARTITION).unwrap().last_stable_offset();
    machine.set("r0", Some("before"));
    write(&machine, vec![pending(1, "r0", Some("in it")), pending(1, "r1", Some("in it"))]).unwrap();
    machine.set("r2", Some("behind"));
    machine.mark_view();
    machine.flush_view();
    assert_eq!((stable(&machine), machine.log.bounds(PARTITION).unwrap().1), (Offset(1), Offset(4)));
    let killed = copy_of(directory.path());
    machine.stop();

    let machine = Machine::start(killed.path());
    assert!(machine.believes_its_view());
    assert_eq!((machine.read(), stable(&machine)), (machine.of_log(), Offset(1)));
    // KIP-890: from version 2 on the epoch of a marker is above that of the records.
    assert_eq!(write(&machine, vec![end_of_first(0, true)]), Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!(write(&machine, vec![end_of_first(1, true)]), Ok(Response::Count(3)));
    let fenced = write(&machine, vec![pending(1, "r0", Some("late"))]);
    assert_eq!(fenced, Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!((machine.read(), stable(&machine)), (machine.of_log(), Offset(5)));
    assert_eq!(machine.read()["r0"], "in it");
    machine.stop();
}

#[test]
fn a_closed_log_ends_the_coordinator() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path());
    machine.set("a", Some("1"));
    drop(machine.log.replica(PARTITION).unwrap().close());
    let refused = machine.runtime.submit(PARTITION, Command::Get("a".into())).now();
    assert!(matches!(refused, Ok(Err(_))));
}

#[test]
fn a_coordinator_without_a_replica_is_refused_by_the_log_and_not_for_the_size_of_its_records() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path());
    let nowhere = PartitionIndex(7);
    assert_eq!(machine.log.max_batch_size_bytes(PARTITION), TopicConfig::default().max_message_bytes);
    assert_eq!(machine.log.max_batch_size_bytes(nowhere), usize::MAX);
    assert!(matches!(
        machine.log.append(nowhere, LeaderEpoch(0), &mut []),
        Err(AppendFailure::Refused(ApiError { code: ErrorCode::UnknownTopicOrPartition, .. }))
    ));
    machine.stop();
}

#[test]
fn the_log_of_a_later_topic_of_the_same_name_is_not_touched_until_it_is_watched() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path());
    machine.set("r0", Some("1"));
    let old = machine.replicas.image();
    let held_by = old.partition(CoordinatorTopic::ConsumerOffsets.name(), PARTITION).unwrap().directories[0];
    // One change of the metadata has deleted the topic and created it again.
    machine.replicas.metadata_changed(&old, &Arc::new(image(held_by, 78)), false);
    assert!(matches!(
        machine.log.append(PARTITION, LeaderEpoch(0), &mut []),
        Err(AppendFailure::Refused(ApiError { code: ErrorCode::NotLeaderOrFollower, .. }))
    ));
    assert!(machine.log.bounds(PARTITION).is_err());
    machine.runtime.forget(PARTITION);
    machine.runtime.lead(PARTITION, LeaderEpoch(0));
    machine.run_jobs();
    machine.set("r1", Some("2"));
    assert_eq!(machine.read(), BTreeMap::from([("r1".to_owned(), "2".to_owned())]));
    machine.stop();
}

/// Both topics of a broker over one view, as the metadata has them.
struct Both {
    machine: Machine,
    held_by: Uuid,
    groups: Followed<Registers>,
    transactions: Followed<Registers>,
}

impl Both {
    /// As a broker begins that has neither topic; `control` would fire deadlines.
    fn start(path: &Path) -> Both {
        let machine = Machine::start(path);
        let held_by = machine.replicas.image().partition(GROUPS.name(), PARTITION).unwrap().directories[0];
        let configs: TopicConfigs = Arc::new(|_| Arc::new(TopicConfig::default()));
        let log = Arc::new(TopicLog::new(TRANSACTIONS, machine.replicas.clone(), configs, Clock::system()));
        let runtime = Machine::new_runtime(TRANSACTIONS, &log, &machine.view, &machine.jobs, 0);
        let transactions = Followed::new(ME, TRANSACTIONS, machine.replicas.clone(), runtime);
        let groups = Followed::new(ME, GROUPS, machine.replicas.clone(), machine.runtime.clone());
        groups.start(&Handle::current());
        transactions.start(&Handle::current());
        Both { machine, held_by, groups, transactions }
    }

    fn has(&self, topics: &[(CoordinatorTopic, u128)]) {
        let old = self.machine.replicas.image();
        self.machine.replicas.metadata_changed(&old, &Arc::new(image_of(self.held_by, topics)), false);
        self.groups.follow();
        self.transactions.follow();
        self.machine.run_jobs();
    }

    fn set(runtime: &Runtime<Registers>, name: &str, value: &str) {
        let command = Command::Set(vec![(name.into(), Some(value.into()))]);
        runtime.submit(PARTITION, command).now().ok().expect("alone nothing waits").unwrap();
    }

    fn get(runtime: &Runtime<Registers>, name: &str) -> Option<String> {
        match runtime.submit(PARTITION, Command::Get(name.into())).now().ok().expect("alone nothing waits") {
            Ok(Response::Value(value)) => value,
            other => panic!("{other:?}"),
        }
    }
}

const GROUPS: CoordinatorTopic = CoordinatorTopic::ConsumerOffsets;
const TRANSACTIONS: CoordinatorTopic = CoordinatorTopic::TransactionState;

#[tokio::test]
async fn each_topic_comes_and_goes_alone() {
    let directory = tempfile::tempdir().unwrap();
    let both = Both::start(directory.path());
    let (groups, transactions) = (both.groups.runtime().clone(), both.transactions.runtime().clone());
    assert!(transactions.led().is_empty());
    both.has(&[(GROUPS, 77), (TRANSACTIONS, 1)]);
    Both::set(&groups, "r0", "of groups");
    Both::set(&transactions, "r0", "of transactions");
    assert_eq!(Both::get(&groups, "r0").unwrap(), "of groups");
    assert!(transactions.is_led(PARTITION, LeaderEpoch(0)));
    assert!(!transactions.is_led(PARTITION, LeaderEpoch(1)));
    both.has(&[(GROUPS, 77)]);
    assert!(transactions.led().is_empty());
    assert!(!transactions.is_led(PARTITION, LeaderEpoch(0)));
    both.has(&[(GROUPS, 77), (TRANSACTIONS, 2)]);
    assert_eq!(Both::get(&transactions, "r0"), None, "a topic of the same name");
    assert_eq!(Both::get(&groups, "r0").unwrap(), "of groups");
    both.transactions.stop();
    assert!(transactions.led().is_empty());
    both.has(&[(GROUPS, 77), (TRANSACTIONS, 3)]);
    assert!(transactions.led().is_empty(), "the broker stops");
    assert_eq!(groups.led(), [(PARTITION, SlotState::Active)]);
    both.machine.stop();
}

#[tokio::test]
async fn both_topics_are_loaded_again_when_their_view_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let both = Both::start(directory.path());
    both.has(&[(GROUPS, 77), (TRANSACTIONS, 1)]);
    let (groups, transactions) = (both.groups.runtime().clone(), both.transactions.runtime().clone());
    Both::set(&groups, "r0", "of groups");
    Both::set(&transactions, "r0", "of transactions");
    let damaged = both.machine.view.get().unwrap();
    both.machine.view.give_up(&damaged);
    both.machine.run_jobs();
    assert_eq!(Both::get(&groups, "r0").unwrap(), "of groups");
    assert_eq!(Both::get(&transactions, "r0").unwrap(), "of transactions");
    let rebuilt = both.machine.view.get().unwrap();
    assert!(!Arc::ptr_eq(&rebuilt, &damaged));
    for topic in [GROUPS, TRANSACTIONS] {
        let of = PartitionKey { topic, partition: PARTITION };
        assert!(rebuilt.get(of, b"r/r0", Tier::Disk).unwrap().is_some(), "{topic:?}");
    }
    both.machine.stop();
}
