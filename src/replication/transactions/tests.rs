//! What markers do to a partition: the last stable offset, and who is woken.

use std::future::Future;
use std::sync::atomic::AtomicI64;

use super::*;
use crate::config::topic::TopicConfig;
use crate::controller::PartitionImage;
use crate::log::files::FileCache;
use crate::log::log::{Log, OpenOptions};
use crate::protocol::ids::{BrokerId, PartitionIndex, TopicId, Uuid};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};
use crate::replication::flusher::Flusher;
use crate::replication::replica::{PartitionName, Required};
use crate::replication::subscription::Subscription;
use crate::replication::traffic::Traffic;

const ME: BrokerId = BrokerId(1);
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const TOPIC: TopicId = TopicId(Uuid::from_u128(7));

/// The partition whose files are in a directory, led by this broker with others in the ISR or without.
fn lead(root: &std::path::Path, config: TopicConfig, isr: &[i32], clean_shutdown: bool) -> Arc<Replica> {
    let options = OpenOptions {
        directory: root.join("t-0"),
        topic_id: TOPIC,
        config: Arc::new(config),
        log_start_offset: Offset(0),
        recovery_point: Offset(0),
        clean_shutdown,
        producer_expiration_ms: Arc::new(AtomicI64::new(i64::MAX)),
        files: FileCache::new(8),
    };
    let log = Log::open(options, NOW).unwrap();
    let name = PartitionName { topic: "t".into(), topic_id: TOPIC, partition: PartitionIndex(0) };
    let isr: Vec<BrokerId> = isr.iter().copied().map(BrokerId).collect();
    let image = PartitionImage {
        replicas: isr.clone(),
        directories: Vec::new(),
        isr,
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader: ME,
        leader_recovery_state: 0,
        leader_epoch: LeaderEpoch(3),
        partition_epoch: 0,
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    };
    let (flusher, traffic) = (Flusher::default(), Arc::new(Traffic::default()));
    Arc::new(Replica::lead(name, 0, log, ME, &image, flusher, traffic).unwrap())
}

fn produce(replica: &Arc<Replica>, producer: i64, sequence: i32) -> Result<Offset, ApiError> {
    let mut builder = BatchBuilder::new(BatchHeader {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        base_sequence: sequence,
        transactional: true,
        ..BatchHeader::default()
    });
    builder.push(&NewRecord { timestamp: NOW, key: None, value: Some(&[7; 60]), headers: &[] });
    let batch = Unverified {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        base_sequence: sequence,
        is_v2: false,
    };
    let guard = replica.start_verification(&batch, NOW)?;
    let appended = replica.append(&mut builder.build(), true, Verification::Required(guard), NOW)?;
    Ok(appended.first_offset)
}

fn end_of(producer: i64, is_commit: bool) -> TransactionEnd {
    TransactionEnd {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        is_commit,
        coordinator_epoch: 0,
        transaction_version: 0,
    }
}

fn end(replica: &Arc<Replica>, producer: i64, is_commit: bool) -> LeaderAppend {
    replica.append_marker(&end_of(producer, is_commit), None, NOW).unwrap()
}

fn is_woken(subscription: &Subscription) -> bool {
    let mut waiting = std::pin::pin!(subscription.wait());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    Future::poll(waiting.as_mut(), &mut context).is_ready()
}

#[test]
fn the_last_stable_offset_follows_the_markers() {
    let root = tempfile::tempdir().unwrap();
    let replica = lead(root.path(), TopicConfig::default(), &[1], true);
    produce(&replica, 1, 0).unwrap();
    produce(&replica, 2, 0).unwrap();
    assert_eq!((replica.last_stable_offset(), replica.high_watermark()), (Offset(0), Offset(2)));
    end(&replica, 1, true);
    assert_eq!(replica.last_stable_offset(), Offset(1));
    end(&replica, 2, false);
    assert_eq!(replica.last_stable_offset(), Offset(4));
    let (_, aborted) = replica.read_committed(Offset(0), 1 << 20, true).unwrap().unwrap();
    let first = AbortedTransaction { producer_id: ProducerId(2), first_offset: Offset(1) };
    assert_eq!(aborted, [first]);
    produce(&replica, 1, 1).unwrap();
    drop(replica.close());
    let replica = lead(root.path(), TopicConfig::default(), &[1], false);
    assert_eq!(replica.last_stable_offset(), Offset(4), "a crash changes nothing");
    assert_eq!(replica.high_watermark(), Offset(5));
    assert_eq!(replica.delete_records(Offset(5)).unwrap(), Offset(5));
    assert_eq!(replica.last_stable_offset(), Offset(5), "the records that were open are gone");
}

#[test]
fn a_marker_that_is_not_replicated_does_not_move_the_last_stable_offset() {
    let root = tempfile::tempdir().unwrap();
    let replica = lead(root.path(), TopicConfig::default(), &[1, 2], true);
    produce(&replica, 1, 0).unwrap();
    let marker = end(&replica, 1, true);
    assert_eq!((replica.last_stable_offset(), replica.high_watermark()), (Offset(0), Offset(0)));
    assert_eq!(replica.still_required(&marker, true), Some(Required::Committed(Offset(2))));
}

/// Its bytes are few, what it lets go are many: whoever waits for `fetch.min.bytes` must look.
#[test]
fn a_marker_wakes_who_waits() {
    for is_commit in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let replica = lead(root.path(), TopicConfig::default(), &[1], true);
        produce(&replica, 1, 0).unwrap();
        let subscription = Arc::new(Subscription::default());
        replica.subscribe(&subscription, 0);
        let mut slots = Vec::new();
        subscription.take_ready(10_000, &mut slots);
        produce(&replica, 1, 1).unwrap();
        assert!(!is_woken(&subscription));
        end(&replica, 1, is_commit);
        assert!(is_woken(&subscription));
    }
}

#[test]
fn a_marker_is_appended_in_the_term_of_its_writer_only() {
    let root = tempfile::tempdir().unwrap();
    let replica = lead(root.path(), TopicConfig::default(), &[1], true);
    let refused = |epoch| match replica.append_marker(&end_of(1, true), Some(LeaderEpoch(epoch)), NOW) {
        Ok(_) => ErrorCode::None,
        Err(AppendError::Refused(error)) => error.code,
        Err(error) => panic!("{:#}", anyhow::Error::from(error)),
    };
    assert_eq!(refused(2), ErrorCode::NotLeaderOrFollower);
    assert_eq!(refused(3), ErrorCode::None);
    drop(replica.close());
    assert_eq!(refused(3), ErrorCode::NotLeaderOrFollower);
    assert_eq!(produce(&replica, 1, 0).map_err(|error| error.code), Err(ErrorCode::NotLeaderOrFollower));
}
