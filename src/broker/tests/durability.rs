//! What survives a process that does not get to stop: the data directory is copied while the broker runs, as
//! a crash would leave it, and another broker is started on the copy.

use std::path::Path;

use super::Fixture;
use super::client::{batch, values};
use crate::broker::Broker;
use crate::config::load::Settings;
use crate::protocol::errors::ErrorCode;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A fixture on what a crash at this moment would leave.
fn after_a_crash_of(fixture: &Fixture) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    copy(&fixture.directory.path().join("data"), &directory.path().join("data"));
    let mut crashed =
        Fixture { directory, overrides: fixture.overrides.clone(), as_version: None, broker: None };
    crashed.broker = Some(Broker::start(crashed.settings()).unwrap());
    crashed
}

#[test]
fn everything_answered_is_there_after_a_crash() {
    let fixture = Fixture::start_with(&[("log.segment.bytes", "1048576")]);
    let mut client = fixture.client();
    let id = client.create_topic("t", 2, &[("max.message.bytes", "2000000")]);
    let big = "x".repeat(300_000);
    for index in 0..8 {
        assert_eq!(client.produce(9, ("t", id), 0, batch(&[&big])), (0, index));
        let crashed = after_a_crash_of(&fixture);
        let mut survivor = crashed.client();
        assert_eq!(survivor.topic_id("t"), id);
        assert_eq!(survivor.list_offset("t", 0, -1).0, index + 1);
        assert_eq!(values(&survivor.fetch(13, ("t", id), 0, index)), [(index, big.clone())]);
        assert_eq!(survivor.produce(9, ("t", id), 1, batch(&["new"])), (0, 0));
    }
}

#[test]
fn a_corrupt_partition_answers_an_error_and_can_be_deleted() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 2, &[]);
    for value in ["a", "b", "c"] {
        client.produce(9, ("t", id), 0, batch(&[value]));
        client.produce(9, ("t", id), 1, batch(&[value]));
    }
    let directory = tempfile::tempdir().unwrap();
    copy(&fixture.directory.path().join("data"), &directory.path().join("data"));
    let segment = directory.path().join("data/t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    // A bit of the first batch's record flips on the disk; two good batches stand behind it.
    bytes[70] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let mut damaged = Fixture { directory, overrides: Vec::new(), as_version: None, broker: None };
    damaged.broker = Some(Broker::start(damaged.settings()).unwrap());
    let mut client = damaged.client();
    let storage_error = ErrorCode::KafkaStorageError.code();
    assert_eq!(client.produce(9, ("t", id), 0, batch(&["d"])).0, storage_error);
    assert_eq!(client.fetch(13, ("t", id), 0, 0).responses[0].partitions[0].error_code, storage_error);
    assert_eq!(values(&client.fetch(13, ("t", id), 1, 0)).len(), 3, "its neighbour is well");
    assert_eq!(std::fs::read(&segment).unwrap(), bytes, "nothing was cut away");
    super::topics::delete(&mut client, "t");
    let again = client.create_topic("t", 1, &[]);
    assert_eq!(client.produce(9, ("t", again), 0, batch(&["new"])), (0, 0));
}

#[test]
fn partitions_spread_over_all_log_directories_and_are_found_again() {
    let directories = tempfile::tempdir().unwrap();
    let path = |name: &str| directories.path().join(name).to_string_lossy().into_owned();
    let log_dirs = [path("a"), path("b"), path("c")].join(",");
    let mut fixture = Fixture::start_with(&[("log.dirs", &log_dirs)]);
    let mut client = fixture.client();
    let id = client.create_topic("t", 6, &[]);
    for partition in 0..6 {
        assert_eq!(client.produce(9, ("t", id), partition, batch(&["x"])), (0, 0));
    }
    for name in ["a", "b", "c"] {
        let entries = std::fs::read_dir(directories.path().join(name)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        assert_eq!(names.filter(|name| name.starts_with("t-")).count(), 2, "directory {name}");
    }
    drop(client);
    fixture.restart();
    let mut client = fixture.client();
    for partition in 0..6 {
        assert_eq!(client.list_offset("t", partition, -1).0, 1);
    }
}

#[test]
fn a_topic_does_not_inherit_where_a_deleted_one_of_its_name_began() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let old = client.create_topic("t", 1, &[]);
    for _ in 0..5 {
        client.produce(9, ("t", old), 0, batch(&["old"]));
    }
    assert_eq!(super::topics::delete_records(&mut client, 4), (0, 4));
    super::topics::delete(&mut client, "t");
    let new = client.create_topic("t", 1, &[]);
    assert_eq!(client.produce(9, ("t", new), 0, batch(&["new"])), (0, 0));
    let crashed = after_a_crash_of(&fixture);
    let mut survivor = crashed.client();
    assert_eq!(survivor.list_offset("t", 0, -2).0, 0);
    assert_eq!(values(&survivor.fetch(13, ("t", new), 0, 0)), [(0, "new".to_owned())]);
}

#[test]
fn a_second_broker_on_the_same_directory_is_refused() {
    let fixture = Fixture::start();
    let refusal = Broker::start(fixture.settings()).err().expect("the directory is in use").to_string();
    assert!(refusal.contains("is in use by another process"), "{refusal}");
}

#[test]
fn a_directory_of_another_kafka_is_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let properties = "version=1\ncluster.id=abc\nnode.id=1\ndirectory.id=rTwKB6g0RfeEGZ2OQ6XqQg\n";
    std::fs::write(data.join("meta.properties"), properties).unwrap();
    let fixture = Fixture { directory, overrides: Vec::new(), as_version: None, broker: None };
    let refusal = Broker::start(fixture.settings()).err().expect("it is not ours").to_string();
    assert!(refusal.contains("data"), "{refusal}");
    assert_eq!(std::fs::read_to_string(data.join("meta.properties")).unwrap(), properties);
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1);
}

#[test]
fn a_bad_setting_stops_the_start_and_names_itself() {
    let mut settings = Settings::default();
    let properties = [
        ("node.id", "1"),
        ("process.roles", "broker,controller"),
        ("listeners", "PLAINTEXT://127.0.0.1:0"),
        ("log.dirs", "/nowhere"),
        ("log.segment.bytes", "13"),
    ];
    settings.properties.extend(properties.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let refusal = Broker::start(settings).err().expect("13 bytes hold no batch").to_string();
    assert!(refusal.contains("log.segment.bytes") && refusal.contains("13"), "{refusal}");
}
