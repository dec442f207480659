//! Partitions that move between the directories of `log.dirs`, and what a start makes of a move that was cut short.

use std::path::{Path, PathBuf};

use kafka_protocol::messages::{
    AlterReplicaLogDirsRequest, DeleteRecordsRequest, DescribeLogDirsRequest,
    alter_replica_log_dirs_request as alter, delete_records_request as delete,
};

use super::client::{Client, batch, topic_name, values};
use super::{Broker, Fixture};
use crate::protocol::errors::ErrorCode;

const FUTURE: &str = "t-0.0123456789abcdef0123456789abcdef-future";

/// A broker with two log directories.
struct TwoDirectories {
    fixture: Fixture,
    directory: tempfile::TempDir,
}

impl TwoDirectories {
    fn start() -> TwoDirectories {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display();
        let fixture = Fixture::start_with(&[("log.dirs", &format!("{path}/one,{path}/two"))]);
        TwoDirectories { fixture, directory }
    }

    fn client(&self) -> Client {
        self.fixture.client()
    }

    fn stop(&mut self) {
        self.fixture.broker.take().unwrap().stop().unwrap();
    }

    fn start_again(&mut self) {
        self.fixture.broker = Some(Broker::start(self.fixture.settings()).unwrap());
    }

    /// The directory where the only partition of `t` lies, and the other one.
    fn here_and_there(&self) -> (PathBuf, PathBuf) {
        let (one, two) = (self.directory.path().join("one"), self.directory.path().join("two"));
        let places = placed(&mut self.client());
        assert_eq!(places.len(), 1, "{places:?}");
        if Path::new(&places[0].0) == one { (one, two) } else { (two, one) }
    }
}

/// Each directory that holds `t-0`, and whether as a copy that is under way.
fn placed(client: &mut Client) -> Vec<(String, bool)> {
    let answer = client.call(4, &DescribeLogDirsRequest::default().with_topics(None));
    let mut places = Vec::new();
    for directory in &answer.results {
        for topic in directory.topics.iter().filter(|topic| &**topic.name == "t") {
            let place = |is_future| (directory.log_dir.to_string(), is_future);
            places.extend(topic.partitions.iter().map(|partition| place(partition.is_future_key)));
        }
    }
    places
}

fn ask(client: &mut Client, version: i16, path: &Path, topic: &str) -> i16 {
    let topic =
        alter::AlterReplicaLogDirTopic::default().with_name(topic_name(topic)).with_partitions(vec![0]);
    let directory = alter::AlterReplicaLogDir::default()
        .with_path(path.to_string_lossy().into_owned().into())
        .with_topics(vec![topic]);
    let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![directory]);
    client.call(version, &request).results[0].partitions[0].error_code
}

fn move_to(client: &mut Client, path: &Path) {
    assert_eq!(ask(client, 2, path, "t"), 0);
    let there = [(path.to_string_lossy().into_owned(), false)];
    while placed(client) != there {
        std::thread::yield_now();
    }
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_partition_moves_while_records_come_and_loses_none() {
    let mut broker = TwoDirectories::start();
    let mut client = broker.client();
    let id = client.create_topic("t", 1, &[("internal.segment.bytes", "300")]);
    for expected in 0..20 {
        assert_eq!(client.produce(9, ("t", id), 0, batch(&["before"])), (0, expected));
    }
    let partition = delete::DeleteRecordsPartition::default().with_offset(5);
    let topic =
        delete::DeleteRecordsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    client.call(2, &DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000));
    let (here, there) = broker.here_and_there();
    assert_eq!(ask(&mut client, 1, &there, "t"), 0);
    let goal = [(there.to_string_lossy().into_owned(), false)];
    let mut next = 20;
    while placed(&mut client) != goal {
        match client.produce(9, ("t", id), 0, batch(&["meanwhile"])) {
            (0, offset) => {
                assert_eq!(offset, next);
                next += 1;
            }
            (code, _) => assert_eq!(code, ErrorCode::NotLeaderOrFollower.code()),
        }
    }
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["after"])), (0, next));
    assert!(there.join("t-0").exists() && !here.join("t-0").exists());
    for _ in 0..2 {
        let mut client = broker.client();
        assert_eq!(client.list_offset("t", 0, -2).0, 5);
        let mut at = 5;
        while at <= next {
            let read = values(&client.fetch(12, ("t", id), 0, at));
            assert_eq!(read.first().map(|(offset, _)| *offset), Some(at));
            at += read.len() as i64;
        }
        assert_eq!(client.list_offset("t", 0, -1).0, next + 1);
        broker.fixture.restart();
    }
    // And back, to a directory that has held it.
    move_to(&mut broker.client(), &here);
    assert_eq!(broker.client().produce(9, ("t", id), 0, batch(&["back"])), (0, next + 1));
}

#[test]
fn what_cannot_move_is_refused_as_with_kafka() {
    let broker = TwoDirectories::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let long = "a".repeat(249);
    client.create_topic(&long, 1, &[]);
    let (here, there) = broker.here_and_there();
    assert_eq!(ask(&mut client, 2, Path::new("/no/such/directory"), "t"), ErrorCode::LogDirNotFound.code());
    assert_eq!(ask(&mut client, 2, &there, "nowhere"), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(ask(&mut client, 2, &there, &long), ErrorCode::InvalidTopicException.code());
    assert_eq!(ask(&mut client, 2, &here, "t"), 0, "it lies there already");
    // One without a file is moved by the metadata alone.
    move_to(&mut client, &there);
    let id = client.topic_id("t");
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["a"])), (0, 0));
    assert!(there.join("t-0").join("00000000000000000000.log").exists());
}

#[test]
fn a_move_that_only_lacks_its_names_is_completed_at_the_start() {
    let mut broker = TwoDirectories::start();
    let mut client = broker.client();
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, batch(&["a"]));
    let (here, there) = broker.here_and_there();
    let stale = broker.directory.path().join("stale");
    copy_directory(&here.join("t-0"), &stale);
    client.produce(9, ("t", id), 0, batch(&["b"]));
    move_to(&mut client, &there);
    broker.stop();
    std::fs::rename(&stale, here.join("t-0")).unwrap();
    std::fs::rename(there.join("t-0"), there.join(FUTURE)).unwrap();
    broker.start_again();
    let mut client = broker.client();
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["c"])), (0, 2));
    let read = values(&client.fetch(12, ("t", id), 0, 0));
    assert_eq!(read.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(there.join("t-0").exists() && !here.join("t-0").exists());
}

#[test]
fn a_copy_that_the_metadata_does_not_name_goes_at_the_start() {
    let mut broker = TwoDirectories::start();
    let mut client = broker.client();
    let id = client.create_topic("t", 1, &[]);
    client.produce(9, ("t", id), 0, batch(&["a"]));
    let (here, there) = broker.here_and_there();
    broker.stop();
    copy_directory(&here.join("t-0"), &there.join(FUTURE));
    broker.start_again();
    assert_eq!(broker.client().produce(9, ("t", id), 0, batch(&["b"])), (0, 1));
    assert_eq!(broker.here_and_there(), (here, there.clone()));
    while there.join(FUTURE).exists() {
        std::thread::yield_now();
    }
}
