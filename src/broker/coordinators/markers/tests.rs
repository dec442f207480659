//! The end of a transaction against a scripted coordinator and scripted partitions.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::coordinator::shard::TransactionalProducer;
use crate::coordinator::transaction::command::Transition;
use crate::protocol::ids::{ProducerEpoch, ProducerId};

const PARTITION: PartitionIndex = PartitionIndex(3);
const EPOCH: LeaderEpoch = LeaderEpoch(7);
const PRODUCER: TransactionalProducer = TransactionalProducer { id: ProducerId(40), epoch: ProducerEpoch(5) };
const TRANSITION: Transition = Transition { term: 1_000, number: 6 };

/// A topic whose partitions never answer.
const HANGS: &str = "hangs";

#[derive(Default)]
struct World {
    is_over: AtomicBool,
    /// What the next markers of a topic are refused with, or what completing is, under "".
    refusals: Mutex<HashMap<&'static str, VecDeque<ErrorCode>>>,
    gone: Mutex<Vec<TopicPartition>>,
    written: Mutex<Vec<(TopicPartition, TransactionMarker)>>,
    told: Mutex<Vec<(PartitionIndex, Transition)>>,
    /// The term is to end when that many markers are written.
    ends_after: Mutex<Option<usize>>,
    changed: Notify,
}

impl World {
    fn refusal(&self, of: &str) -> Option<ErrorCode> {
        self.refusals.lock().get_mut(of)?.pop_front()
    }

    fn refuse(&self, of: &'static str, codes: &[ErrorCode]) {
        self.refusals.lock().insert(of, codes.iter().copied().collect());
    }

    fn write(&self, of: TopicPartition, marker: TransactionMarker) -> Writing {
        self.changed.notify_one();
        self.written.lock().push((of.clone(), marker));
        if *self.ends_after.lock() == Some(self.written.lock().len()) {
            self.is_over.store(true, Ordering::SeqCst);
        }
        if &*of.0 == HANGS {
            return Box::pin(std::future::pending());
        }
        let outcome = self.refusal(&of.0).map_or(Ok(()), Err);
        Box::pin(async move { outcome })
    }

    fn written_to(&self) -> Vec<String> {
        self.written.lock().iter().map(|((topic, partition), _)| format!("{topic}-{partition}")).collect()
    }

    fn told(&self) -> Vec<(PartitionIndex, Transition)> {
        self.told.lock().clone()
    }
}

impl Asker for World {
    fn is_led(&self, partition: PartitionIndex, epoch: LeaderEpoch) -> bool {
        !self.is_over.load(Ordering::SeqCst) && (partition, epoch) == (PARTITION, EPOCH)
    }

    fn submit(&self, partition: PartitionIndex, command: Command) -> Submitted<Response> {
        let Command::MarkersWritten { transactional_id, transition } = command else {
            panic!("markers tell nothing else: {command:?}")
        };
        assert_eq!(&*transactional_id, "tx");
        self.told.lock().push((partition, transition));
        Submitted::ready(self.refusal("").map_or(Ok(Response::Done), |code| Err(code.into())))
    }
}

/// Markers over a new world, on the runtime of the test.
fn start() -> (Arc<World>, Arc<Markers>) {
    let world = Arc::new(World::default());
    let (of_exists, of_write) = (world.clone(), world.clone());
    let markers = Markers::new(MarkersOptions {
        exists: Box::new(move |topic, partition| {
            !of_exists.gone.lock().iter().any(|gone| (&*gone.0, gone.1) == (topic, partition))
        }),
        write: Box::new(move |of, marker| {
            // Appended when it is polled first.
            let world = of_write.clone();
            Box::pin(async move { world.write(of, marker).await })
        }),
        first_pause: Duration::ZERO,
        control: Handle::current(),
    });
    let asker: Arc<dyn Asker> = world.clone();
    markers.report_to(Arc::downgrade(&asker));
    (world, markers)
}

fn work(partitions: &[(&str, i32)]) -> WriteMarkers {
    WriteMarkers {
        transactional_id: "tx".into(),
        transition: TRANSITION,
        producer: PRODUCER,
        is_commit: true,
        transaction_version: 2,
        partitions: partitions
            .iter()
            .map(|(topic, index)| ((*topic).into(), PartitionIndex(*index)))
            .collect(),
    }
}

impl Markers {
    /// Until nothing is under way.
    async fn idle(&self) {
        while !self.under_way.lock().tasks.is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

async fn run(world: &World, markers: &Arc<Markers>, partitions: &[(&str, i32)]) -> Vec<String> {
    markers.begin(PARTITION, EPOCH, work(partitions), Bringer::Other);
    markers.idle().await;
    world.written_to()
}

#[tokio::test]
async fn every_partition_gets_one_marker_and_then_the_coordinator_is_told() {
    let (world, markers) = start();
    assert_eq!(run(&world, &markers, &[("a", 0), ("a", 1), ("b", 0)]).await, ["a-0", "a-1", "b-0"]);
    let expected = TransactionMarker {
        producer: PRODUCER,
        coordinator_epoch: 7,
        is_commit: true,
        transaction_version: 2,
    };
    assert!(world.written.lock().iter().all(|(_, marker)| *marker == expected));
    assert_eq!(world.told(), [(PARTITION, TRANSITION)]);
}

#[tokio::test]
async fn a_transaction_without_partitions_is_completed() {
    let (world, markers) = start();
    assert!(run(&world, &markers, &[]).await.is_empty());
    assert_eq!(world.told(), [(PARTITION, TRANSITION)]);
}

#[tokio::test]
async fn more_partitions_than_are_waited_for_at_once_are_all_written() {
    let (world, markers) = start();
    let partitions: Vec<(&str, i32)> = (0..3 * MOST_AT_ONCE as i32 + 1).map(|index| ("a", index)).collect();
    assert_eq!(run(&world, &markers, &partitions).await.len(), partitions.len());
    assert_eq!(world.told().len(), 1);
}

#[tokio::test]
async fn other_work_of_the_control_thread_has_its_turn_between_two_markers() {
    let (world, markers) = start();
    let partitions: Vec<(&str, i32)> = (0..2 * MOST_AT_ONCE as i32).map(|index| ("a", index)).collect();
    let observed = world.clone();
    let other_work = tokio::spawn(async move {
        let mut counts = vec![0];
        while observed.told().is_empty() {
            counts.push(observed.written.lock().len());
            tokio::task::yield_now().await;
        }
        counts.push(observed.written.lock().len());
        counts
    });
    run(&world, &markers, &partitions).await;
    let counts = other_work.await.unwrap();
    assert_eq!(counts.last(), Some(&partitions.len()));
    // Two, for tasks that yield in the same round are woken in the reverse order.
    assert!(counts.windows(2).all(|pair| pair[1] - pair[0] <= 2), "{counts:?}");
}

#[tokio::test]
async fn no_marker_of_a_chunk_is_begun_when_the_term_is_over() {
    let (world, markers) = start();
    *world.ends_after.lock() = Some(2);
    assert_eq!(run(&world, &markers, &[("a", 0), ("a", 1), ("a", 2)]).await, ["a-0", "a-1"]);
    assert!(world.told().is_empty());
}

#[tokio::test]
async fn a_refused_marker_is_tried_again_alone_until_it_is_written() {
    let (world, markers) = start();
    let unexpected = ErrorCode::UnknownServerError;
    world.refuse(
        "b",
        &[
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::RequestTimedOut,
            unexpected,
        ],
    );
    let written = run(&world, &markers, &[("a", 0), ("b", 0), ("c", 0)]).await;
    assert_eq!(written, ["a-0", "b-0", "c-0", "b-0", "b-0", "b-0", "b-0"]);
    assert_eq!(world.told().len(), 1);
}

#[tokio::test]
async fn a_partition_that_is_gone_or_takes_no_markers_counts_as_written() {
    let (world, markers) = start();
    world.gone.lock().push(("a".into(), PartitionIndex(1)));
    world.refuse("b", &[ErrorCode::UnsupportedForMessageFormat]);
    assert_eq!(run(&world, &markers, &[("a", 0), ("a", 1), ("b", 0)]).await, ["a-0", "b-0"]);
    assert_eq!(world.told().len(), 1);
}

#[tokio::test]
async fn nothing_is_tried_again_when_the_term_is_over() {
    let (world, markers) = start();
    world.refuse("b", &[ErrorCode::NotLeaderOrFollower]);
    *world.ends_after.lock() = Some(2);
    assert_eq!(run(&world, &markers, &[("a", 0), ("b", 0)]).await, ["a-0", "b-0"]);
    assert!(world.told().is_empty(), "the next coordinator completes it");
    assert_eq!(run(&world, &markers, &[("a", 0)]).await.len(), 2, "the term was over before");
}

#[tokio::test]
async fn a_fenced_marker_keeps_the_transaction_incomplete_but_no_other_partition_from_its_marker() {
    for code in [ErrorCode::InvalidProducerEpoch, ErrorCode::TransactionCoordinatorFenced] {
        let (world, markers) = start();
        world.refuse("fenced", &[code, code]);
        world.refuse("slow", &[ErrorCode::NotLeaderOrFollower, ErrorCode::RequestTimedOut]);
        let mut partitions = vec![("slow", 0), ("fenced", 0), ("fenced", 1)];
        // More than one chunk.
        partitions.extend((0..2 * MOST_AT_ONCE as i32).map(|index| ("a", index)));
        let written = run(&world, &markers, &partitions).await;
        let (first_try, later) = written.split_at(partitions.len());
        let expected: Vec<String> =
            partitions.iter().map(|(topic, index)| format!("{topic}-{index}")).collect();
        assert_eq!(first_try, expected);
        assert_eq!(later, ["slow-0", "slow-0"], "what is fenced is not tried again");
        assert!(world.told().is_empty());
    }
}

#[tokio::test]
async fn a_marker_that_a_later_coordinator_fenced_ends_the_work() {
    let (world, markers) = start();
    world.refuse("fenced", &[ErrorCode::TransactionCoordinatorFenced]);
    world.refuse("slow", &[ErrorCode::NotLeaderOrFollower]);
    *world.ends_after.lock() = Some(2);
    assert_eq!(run(&world, &markers, &[("slow", 0), ("fenced", 0)]).await, ["slow-0", "fenced-0"]);
    assert!(world.told().is_empty());
}

#[tokio::test]
async fn a_refused_completion_is_tried_again_without_markers() {
    let (world, markers) = start();
    world.refuse("", &[ErrorCode::CoordinatorNotAvailable, ErrorCode::CoordinatorLoadInProgress]);
    assert_eq!(run(&world, &markers, &[("a", 0)]).await, ["a-0"]);
    assert_eq!(world.told().len(), 3);
}

#[tokio::test]
async fn work_for_the_same_id_replaces_what_is_under_way() {
    let (world, markers) = start();
    markers.begin(PARTITION, EPOCH, work(&[(HANGS, 0)]), Bringer::Other);
    world.changed.notified().await;
    assert_eq!(run(&world, &markers, &[("a", 0)]).await, ["hangs-0", "a-0"]);
    assert_eq!(world.told().len(), 1);
    // Of three, the second has not even begun.
    markers.begin(PARTITION, EPOCH, work(&[(HANGS, 1)]), Bringer::Other);
    markers.begin(PARTITION, EPOCH, work(&[(HANGS, 2)]), Bringer::Other);
    assert_eq!(run(&world, &markers, &[("a", 1)]).await, ["hangs-0", "a-0", "a-1"]);
    assert_eq!(world.told().len(), 2);
}

#[tokio::test]
async fn late_work_of_an_earlier_term_or_load_replaces_nothing() {
    let earlier_load = Transition { term: TRANSITION.term - 1, number: TRANSITION.number + 1 };
    for (epoch, transition) in [(LeaderEpoch(EPOCH.0 - 1), TRANSITION), (EPOCH, earlier_load)] {
        let (world, markers) = start();
        markers.begin(PARTITION, EPOCH, work(&[("a", 0)]), Bringer::Other);
        markers.begin(PARTITION, epoch, WriteMarkers { transition, ..work(&[("b", 0)]) }, Bringer::Other);
        markers.idle().await;
        assert_eq!(world.written_to(), ["a-0"]);
        assert_eq!(world.told(), [(PARTITION, TRANSITION)]);
    }
}

#[tokio::test]
async fn a_partition_that_the_metadata_has_is_not_given_up_whatever_it_answers() {
    let (world, markers) = start();
    let codes = [
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::LeaderNotAvailable,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::KafkaStorageError,
        ErrorCode::CoordinatorLoadInProgress,
    ];
    world.refuse("a", &codes);
    assert_eq!(run(&world, &markers, &[("a", 0)]).await.len(), codes.len() + 1);
    assert_eq!(world.told().len(), 1);
}

#[tokio::test]
async fn nothing_is_left_when_the_broker_stops() {
    let (world, markers) = start();
    markers.begin(PARTITION, EPOCH, work(&[(HANGS, 0)]), Bringer::Other);
    world.changed.notified().await;
    let held = Arc::strong_count(&markers);
    markers.stop();
    while Arc::strong_count(&markers) >= held {
        tokio::task::yield_now().await;
    }
    assert!(world.told().is_empty());
}

#[tokio::test]
async fn the_thread_of_a_request_ends_a_small_transaction_before_it_goes_on() {
    for (partition_count, is_done) in [(0, true), (1, true), (4, true), (5, false)] {
        let (world, markers) = start();
        let partitions: Vec<(&str, i32)> = (0..partition_count).map(|index| ("a", index)).collect();
        markers.begin(PARTITION, EPOCH, work(&partitions), Bringer::Request);
        assert_eq!(!world.told().is_empty(), is_done, "{partition_count} partitions");
        markers.idle().await;
        assert_eq!(world.written_to().len(), partitions.len());
        assert_eq!(world.told(), [(PARTITION, TRANSITION)]);
    }
}

#[tokio::test]
async fn what_a_request_cannot_end_at_once_goes_on_behind_it() {
    let (world, markers) = start();
    world.refuse("b", &[ErrorCode::NotLeaderOrFollower; 2]);
    markers.begin(PARTITION, EPOCH, work(&[("a", 0), ("b", 0)]), Bringer::Request);
    markers.idle().await;
    assert_eq!(world.written_to(), ["a-0", "b-0", "b-0", "b-0"]);
    assert_eq!(world.told().len(), 1);
}

#[tokio::test]
async fn a_request_waits_for_what_is_under_way_behind_its_answer() {
    let (world, markers) = start();
    markers.begin(PARTITION, EPOCH, work(&[(HANGS, 0)]), Bringer::Request);
    assert_eq!(world.written_to(), ["hangs-0"]);
    let next = Transition { number: TRANSITION.number + 1, ..TRANSITION };
    let work = WriteMarkers { transition: next, ..work(&[("a", 0)]) };
    markers.begin(PARTITION, EPOCH, work, Bringer::Request);
    assert_eq!(world.written_to(), ["hangs-0"], "the task before has not ended yet");
    markers.idle().await;
    assert_eq!(world.written_to(), ["hangs-0", "a-0"]);
    assert_eq!(world.told(), [(PARTITION, next)]);
}
