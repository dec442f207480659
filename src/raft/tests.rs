//! The quorum over real files: founding, restarts, snapshots, and what is left after a crash at any point.

mod crash;
mod storage;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::broker::BrokerConfig;
use crate::config::layers::InForce;
use crate::controller::{
    Answer, ClusterImage, Command, CreateTopic, Partitioning, RegisterBroker, TopicReference,
};
use crate::env::clock::Clock;
use crate::env::rng::Rng;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset, Timestamp, Uuid};
use crate::raft::{MemberStatus, Options, Quorum};

/// The configuration of a broker that was started without any.
fn default_configs() -> Arc<InForce> {
    let properties = BTreeMap::new();
    let (config, _) = BrokerConfig::from_properties(&properties).unwrap();
    Arc::new(InForce::as_started(properties, config))
}

fn options(directory: &Path) -> Options {
    Options {
        node_id: BrokerId(1),
        directory: directory.join("__cluster_metadata-0"),
        cluster_id: "cluster".to_owned(),
        configs: Box::new(default_configs),
        default_partition_count: 1,
        default_replication_factor: 1,
        supported_features: Vec::new(),
        segment_size_bytes: 1024 * 1024,
        snapshot_record_count: u64::MAX,
        kept_entry_count: 0,
        clock: Clock::manual(Timestamp(1_000_000)),
        rng: Arc::new(Rng::seeded(1)),
        on_image: Box::new(|_, _| {}),
        on_fatal: Box::new(|error| panic!("raft failed: {error:#}")),
    }
}

/// Runs a story on a runtime as the broker's control thread has it.
fn on_runtime<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story)
}

/// Starts a quorum in `directory`, runs the story, and stops in order.
fn with_quorum<T>(options: Options, story: impl AsyncFnOnce(&Quorum) -> T) -> T {
    on_runtime(async {
        let quorum = Quorum::start(options).await.unwrap();
        let result = story(&quorum).await;
        quorum.shutdown().await.unwrap();
        result
    })
}

fn register() -> Command {
    Command::RegisterBroker(RegisterBroker {
        broker_id: BrokerId(1),
        cluster_id: "cluster".to_owned(),
        incarnation_id: Uuid::from_u128(7),
        endpoints: Vec::new(),
        features: Vec::new(),
        rack: None,
        directories: vec![Uuid::from_u128(1000)],
        fenced: false,
    })
}

fn create(name: &str, partition_count: i32) -> Command {
    let topic = CreateTopic {
        name: name.to_owned(),
        partitioning: Partitioning::Counts { partition_count, replication_factor: 1 },
        configs: vec![("retention.ms".to_owned(), Some("5".to_owned()))],
    };
    Command::CreateTopics { topics: vec![topic], validate_only: false }
}

fn delete(name: &str) -> Command {
    Command::DeleteTopics { topics: vec![TopicReference::Name(name.to_owned())] }
}

/// Creates a topic and expects that it works.
async fn must_create(quorum: &Quorum, name: &str) {
    match quorum.propose(create(name, 2)).await {
        Ok(Answer::CreateTopics(results)) => assert!(results[0].1.is_ok(), "{results:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_quorum_leads_at_once_and_shows_what_it_answered() {
    let directory = tempfile::tempdir().unwrap();
    with_quorum(options(directory.path()), async |quorum| {
        assert_eq!(quorum.leader(), Some((BrokerId(1), LeaderEpoch(1))));
        // Offset 0 founds the quorum, offset 1 begins the term.
        assert_eq!(quorum.image().applied, Offset(1));
        assert_eq!(quorum.propose(register()).await, Ok(Answer::RegisterBroker { broker_epoch: Offset(2) }));
        must_create(quorum, "orders").await;
        let image = quorum.image();
        assert_eq!(image.topic("orders").unwrap().partitions.len(), 2);
        assert_eq!(image.topic("orders").unwrap().overrides["retention.ms"], "5");
        let status = quorum.describe();
        assert_eq!((status.leader, status.high_watermark), (BrokerId(1), Offset(4)));
        assert_eq!(status.voters, [MemberStatus { id: BrokerId(1), log_end_offset: Offset(4) }]);
    });
}

#[test]
fn a_restart_finds_everything_and_leads_in_the_same_term() {
    let directory = tempfile::tempdir().unwrap();
    let before = with_quorum(options(directory.path()), async |quorum| {
        quorum.propose(register()).await.unwrap();
        must_create(quorum, "orders").await;
        must_create(quorum, "gone").await;
        quorum.propose(delete("gone")).await.unwrap();
        quorum.image()
    });
    with_quorum(options(directory.path()), async |quorum| {
        assert_eq!(quorum.image(), before);
        assert_eq!(quorum.leader(), Some((BrokerId(1), LeaderEpoch(1))));
        must_create(quorum, "later").await;
    });
}

#[test]
fn a_refusal_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    with_quorum(options(directory.path()), async |quorum| {
        let applied = quorum.image().applied;
        let answer = quorum.propose(create("orders", 0)).await.unwrap();
        assert!(matches!(answer, Answer::CreateTopics(results) if results[0].1.is_err()));
        let stale = Command::AllocateProducerIds { broker_id: BrokerId(1), broker_epoch: Offset(9) };
        assert_eq!(quorum.propose(stale).await.unwrap_err().code, ErrorCode::StaleBrokerEpoch);
        assert_eq!(quorum.image().applied, applied);
    });
}

#[test]
fn commands_that_wait_together_share_an_entry_and_see_one_another() {
    let directory = tempfile::tempdir().unwrap();
    with_quorum(options(directory.path()), async |quorum| {
        quorum.propose(register()).await.unwrap();
        let applied = quorum.image().applied;
        let proposals = (0..100).map(|index| {
            let quorum = quorum.clone();
            tokio::spawn(async move { quorum.propose(create(&format!("topic-{}", index / 2), 1)).await })
        });
        let proposals: Vec<_> = proposals.collect();
        let mut created = 0;
        for proposal in proposals {
            let Answer::CreateTopics(results) = proposal.await.unwrap().unwrap() else {
                panic!("another answer")
            };
            match &results[0].1 {
                Ok(_) => created += 1,
                Err(refusal) => assert_eq!(refusal.code, ErrorCode::TopicAlreadyExists),
            }
        }
        assert_eq!((created, quorum.image().topics.len()), (50, 50));
        assert!(quorum.image().applied - applied < 50, "fewer entries than commands");
    });
}

#[test]
fn listeners_hear_of_the_recovered_image_once_and_of_each_change_before_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    type Heard = Arc<Mutex<Vec<(Arc<ClusterImage>, Arc<ClusterImage>)>>>;
    let listening = |heard: &Heard| {
        let heard = heard.clone();
        let on_image = move |before: &Arc<ClusterImage>, after: &Arc<ClusterImage>| {
            heard.lock().push((before.clone(), after.clone()));
        };
        Options { on_image: Box::new(on_image), ..options(directory.path()) }
    };
    let heard = Heard::default();
    with_quorum(listening(&heard), async |quorum| {
        quorum.propose(register()).await.unwrap();
        must_create(quorum, "orders").await;
        assert!(Arc::ptr_eq(&heard.lock().last().unwrap().1, &quorum.image()));
    });
    for pair in heard.lock().windows(2) {
        assert!(Arc::ptr_eq(&pair[0].1, &pair[1].0), "each change begins where the last one ended");
    }
    let heard = Heard::default();
    with_quorum(listening(&heard), async |quorum| {
        assert_eq!(heard.lock().len(), 1);
        assert!(heard.lock()[0].0.topics.is_empty());
        assert!(Arc::ptr_eq(&heard.lock()[0].1, &quorum.image()));
    });
}

#[test]
fn proposals_after_the_stop_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    on_runtime(async {
        let quorum = Quorum::start(options).await.unwrap();
        quorum.shutdown().await.unwrap();
        quorum.shutdown().await.unwrap();
        assert!(quorum.propose(register()).await.is_err());
    });
}

#[test]
fn another_threads_worker_may_propose() {
    let directory = tempfile::tempdir().unwrap();
    with_quorum(options(directory.path()), async |quorum| {
        let quorum = quorum.clone();
        let worker = tokio::task::spawn_blocking(move || on_runtime(quorum.propose(register())));
        assert!(worker.await.unwrap().is_ok());
    });
}

#[test]
fn snapshots_replace_the_log_and_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let small =
        || Options { segment_size_bytes: 2048, snapshot_record_count: 30, ..options(directory.path()) };
    let before = with_quorum(small(), async |quorum| {
        quorum.propose(register()).await.unwrap();
        for index in 0..100 {
            must_create(quorum, &format!("topic-{index}")).await;
        }
        quorum.image()
    });
    let names: Vec<String> = std::fs::read_dir(directory.path().join("__cluster_metadata-0"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".checkpoint")).count(), 1, "{names:?}");
    assert!(
        !names.contains(&"00000000000000000000.log".to_owned()),
        "the first segment is purged: {names:?}"
    );
    with_quorum(small(), async |quorum| {
        assert_eq!(quorum.image(), before);
        must_create(quorum, "later").await;
    });
}

#[test]
fn ten_thousand_partitions_are_one_entry_and_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let before = with_quorum(options(directory.path()), async |quorum| {
        quorum.propose(register()).await.unwrap();
        quorum.propose(create("wide", 10_000)).await.unwrap();
        quorum.image()
    });
    assert_eq!(before.topic("wide").unwrap().partitions.len(), 10_000);
    assert_eq!(before.applied, Offset(3));
    with_quorum(options(directory.path()), async |quorum| assert_eq!(quorum.image(), before));
}

/// Prints by how much starting a quorum lets this process grow; run alone by the test below.
#[test]
#[ignore = "measures the whole process"]
fn memory_of_a_start() {
    let resident_kib = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap()
    };
    let directory = tempfile::tempdir().unwrap();
    // The first runtime and the first files have their price, too.
    on_runtime(async {});
    let before = resident_kib();
    with_quorum(options(directory.path()), async |_| println!("\ngrown_kib={}", resident_kib() - before));
}

#[test]
fn a_start_of_raft_costs_little_memory() {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "raft::tests::memory_of_a_start", "--ignored", "--nocapture"];
    let output = std::process::Command::new(program).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let grown = text.lines().find_map(|line| line.strip_prefix("grown_kib=")).expect("the child measures");
    let grown_kib: i64 = grown.parse().unwrap();
    // The registry's histogram crate alone takes 27 MB.
    assert!(grown_kib < 6 * 1024, "raft takes {grown_kib} KiB");
}
