//! Moves that are refused, cut short by the disk at every step, or overtaken by a deletion. The metadata is an image here,
//! which the one who proposes changes.

use std::path::PathBuf;
use std::sync::atomic::AtomicI64;

use rustix::io::Errno;

use super::*;
use crate::config::topic::TopicConfig;
use crate::controller::{
    ClusterImage, MetadataRecord, PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, TopicRecord,
};
use crate::env::clock::Clock;
use crate::env::faults::{self, Operation};
use crate::env::rng::Rng;
use crate::log::dirs::{LogDirectory, Owner};
use crate::log::files::FileCache;
use crate::protocol::batch::Batch;
use crate::protocol::ids::{BrokerId, LeaderEpoch, Timestamp, Uuid};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};
use crate::replication::chores::Signal;
use crate::replication::registry::RegistryOptions;
use crate::replication::transactions::Verification;

const ME: BrokerId = BrokerId(1);
const TOPIC: TopicId = TopicId(Uuid::from_u128(0x1234));
const PARTITION: PartitionIndex = PartitionIndex(0);
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const RECORD_COUNT: i64 = 4;

/// Two log directories and a partition of several segments in the first.
struct House {
    root: tempfile::TempDir,
    image: Arc<Mutex<Arc<ClusterImage>>>,
    registry: Arc<Registry>,
}

impl House {
    fn new() -> House {
        let root = tempfile::tempdir().unwrap();
        let directories = directories(root.path());
        let mut image = ClusterImage::new("cluster".into());
        let topic = TopicRecord { name: "t".to_owned(), topic_id: TOPIC };
        image.replay(&MetadataRecord::Topic(topic), Offset(0)).unwrap();
        let partition = PartitionRecord {
            partition: PARTITION,
            topic_id: TOPIC,
            replicas: vec![ME],
            isr: vec![ME],
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader: ME,
            leader_recovery_state: 0,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            directories: vec![directories[0].id()],
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        };
        image.replay(&MetadataRecord::Partition(partition), Offset(1)).unwrap();
        let house = House::open(root, Arc::new(image), directories);
        for _ in 0..RECORD_COUNT {
            house.append().unwrap();
        }
        house
    }

    fn open(root: tempfile::TempDir, image: Arc<ClusterImage>, directories: Vec<LogDirectory>) -> House {
        let config = Arc::new(TopicConfig { segment_bytes: 200, ..TopicConfig::default() });
        let registry = Registry::new(RegistryOptions {
            me: ME,
            directories,
            files: FileCache::new(8),
            clock: Clock::system(),
            configs: Arc::new(move |_| config.clone()),
            image: image.clone(),
            producer_expiration_ms: Arc::new(AtomicI64::new(i64::MAX)),
            signal: Arc::new(Signal::default()),
            cleaner_signal: Arc::new(Signal::default()),
        });
        registry.load(1).unwrap();
        House { root, image: Arc::new(Mutex::new(image)), registry: Arc::new(registry) }
    }

    /// What the next process finds after a crash at this moment.
    fn crash(self) -> House {
        let House { root, image, registry } = self;
        drop(registry);
        let directories = directories(root.path());
        let image = image.lock().clone();
        House::open(root, image, directories)
    }

    fn replica(&self) -> Result<Arc<Replica>, ErrorCode> {
        let image = self.registry.image();
        self.registry.leader(image.topic_by_id(TOPIC).ok_or(ErrorCode::UnknownTopicId)?, PARTITION)
    }

    fn append(&self) -> Result<Offset, ApiError> {
        let mut builder = BatchBuilder::new(BatchHeader::default());
        builder.push(&NewRecord { timestamp: NOW, key: None, value: Some(&[7; 60]), headers: &[] });
        let appended = self.replica()?.append(&mut builder.build(), true, Verification::Off, NOW)?;
        Ok(appended.first_offset)
    }

    /// How many records can be read, if the partition is online.
    fn read(&self) -> Option<i64> {
        let replica = self.replica().ok()?;
        let mut next = Offset::ZERO;
        let mut at = Offset::ZERO;
        while at < replica.log_end_offset() {
            // A read ends with its segment.
            let read = replica.read_to_end(at, 1 << 20).unwrap();
            let mut rest: &[u8] = &read;
            while let Ok((batch, after)) = Batch::split_first(rest) {
                assert!(batch.crc_matches());
                assert_eq!(batch.base_offset(), next);
                next += 1;
                rest = after;
            }
            assert!(rest.is_empty() && next > at);
            at = next;
        }
        Some(next.0)
    }

    /// Moves the partition into the second directory, with a word of the metadata.
    fn move_with(
        &self,
        propose: impl Fn(Command) -> Result<Answer, ApiError> + Send + 'static,
    ) -> anyhow::Result<()> {
        let name = PartitionName { topic: "t".into(), topic_id: TOPIC, partition: PARTITION };
        self.registry.moves.ask(&name, 1);
        let propose: Propose = Box::new(propose);
        let moved = self.registry.move_now(&name, 1, f64::MAX, &propose);
        self.registry.moves.end((TOPIC, PARTITION), 1);
        self.registry.write_checkpoints();
        moved
    }

    /// Applies records as the controller does, before it answers.
    fn metadata(&self) -> impl Fn(&[MetadataRecord]) + Send + 'static {
        let (image, registry) = (self.image.clone(), self.registry.clone());
        move |records| {
            let old = image.lock().clone();
            let mut new = (*old).clone();
            records.iter().for_each(|record| new.replay(record, Offset(2)).unwrap());
            let new = Arc::new(new);
            *image.lock() = new.clone();
            registry.metadata_changed(&old, &new, false);
        }
    }

    fn move_away(&self) -> anyhow::Result<()> {
        let apply = self.metadata();
        self.move_with(move |command| {
            apply(&[assigned(&command)]);
            Ok(Answer::AssignDirectory)
        })
    }

    /// Names of all partition directories, without what waits for its removal.
    fn partition_directories(&self) -> Vec<String> {
        let mut found = Vec::new();
        for directory in ["one", "two"] {
            for entry in fs::list(&self.root.path().join(directory)).unwrap() {
                if entry.is_directory && !entry.name.ends_with("-delete") {
                    found.push(format!("{directory}/{}", entry.name));
                }
            }
        }
        found
    }
}

fn directories(root: &Path) -> Vec<LogDirectory> {
    let paths: Vec<PathBuf> = ["one", "two"].iter().map(|name| root.join(name)).collect();
    let owner = Owner { node_id: ME, cluster_id: Some("cluster") };
    LogDirectory::open_all(&paths, &owner, &Rng::system()).unwrap()
}

fn assigned(command: &Command) -> MetadataRecord {
    let Command::AssignDirectory { topic_id, partition, directory, .. } = command else {
        panic!("{command:?}")
    };
    let mut record = PartitionChangeRecord::new(*topic_id, *partition);
    record.directories = Some(vec![*directory]);
    MetadataRecord::PartitionChange(record)
}

#[test]
fn a_move_keeps_every_record_and_the_old_directory_goes() {
    let house = House::new();
    house.move_away().unwrap();
    assert_eq!(house.partition_directories(), ["two/t-0"]);
    assert_eq!(house.replica().unwrap().directory_index(), 1);
    assert_eq!(house.read(), Some(RECORD_COUNT));
    assert_eq!(house.append(), Ok(Offset(RECORD_COUNT)));
    let house = house.crash();
    assert_eq!(house.read(), Some(RECORD_COUNT + 1));
    assert_eq!(house.append(), Ok(Offset(RECORD_COUNT + 1)));
}

#[test]
fn a_move_that_the_metadata_refuses_leaves_everything_as_it_was() {
    let house = House::new();
    house.move_with(|_| Err(ErrorCode::NotController.into())).unwrap_err();
    assert_eq!(house.partition_directories(), ["one/t-0"]);
    assert_eq!(house.append(), Ok(Offset(RECORD_COUNT)));
    assert_eq!(house.read(), Some(RECORD_COUNT + 1));
}

#[test]
fn nothing_is_appended_while_nobody_knows_which_copy_counts() {
    for is_applied in [false, true] {
        let house = House::new();
        let apply = house.metadata();
        let moved = house.move_with(move |command| {
            if is_applied {
                apply(&[assigned(&command)]);
            }
            Err(ErrorCode::RequestTimedOut.into())
        });
        moved.unwrap_err();
        assert_eq!(house.append(), Err(ErrorCode::KafkaStorageError.into()));
        let house = house.crash();
        assert_eq!(house.read(), Some(RECORD_COUNT));
        assert_eq!(house.replica().unwrap().directory_index(), usize::from(is_applied));
        assert_eq!(house.append(), Ok(Offset(RECORD_COUNT)));
    }
}

#[test]
fn a_topic_that_is_deleted_while_it_moves_leaves_nothing() {
    for is_assigned_first in [false, true] {
        let house = House::new();
        let apply = house.metadata();
        let moved = house.move_with(move |command| {
            if is_assigned_first {
                apply(&[assigned(&command)]);
            }
            apply(&[MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: TOPIC })]);
            match is_assigned_first {
                true => Ok(Answer::AssignDirectory),
                false => Err(ErrorCode::UnknownTopicId.into()),
            }
        });
        assert_eq!(moved.is_ok(), is_assigned_first);
        assert_eq!(house.partition_directories(), Vec::<String>::new());
    }
}

#[test]
fn a_disk_that_fails_at_any_step_costs_no_record() {
    let operations = [
        Operation::Open,
        Operation::Read,
        Operation::Write,
        Operation::Sync,
        Operation::Truncate,
        Operation::Rename,
    ];
    for operation in operations {
        // A fault that comes too late for a move is met by nothing; some are met and do no harm.
        let (mut count, mut harmless) = (0, 0);
        while harmless < 6 {
            let house = House::new();
            let fault = faults::on(operation, house.root.path(), Errno::IO).after(count).times(1).inject();
            let moved = house.move_away();
            drop(fault);
            // Offline, or as before, or moved; never fewer records.
            assert!(house.read().is_none_or(|count| count == RECORD_COUNT), "{operation:?} {count}");
            let appended = house.append().is_ok();
            let house = house.crash();
            assert_eq!(house.read(), Some(RECORD_COUNT + i64::from(appended)), "{operation:?} {count}");
            harmless = if moved.is_ok() { harmless + 1 } else { 0 };
            count += 1;
        }
    }
}
