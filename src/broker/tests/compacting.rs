//! `cleanup.policy=compact`: what consumers find after the cleaner was there.

use std::time::Duration;

use super::Fixture;
use super::client::{Client, batch, values};
use crate::env::clock::Clock;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{Timestamp, Uuid};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};

const PATIENCE: Duration = Duration::from_secs(30);

/// A topic whose segments hold one batch each, because every batch is a second younger than the one before.
const COMPACTED: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("segment.ms", "500"), ("min.cleanable.dirty.ratio", "0.01")];

fn start() -> Fixture {
    Fixture::start_with(&[("log.cleaner.backoff.ms", "5")])
}

/// A batch of one record, `second` seconds after the first one.
fn keyed(second: i64, key: &str, value: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchHeader::default());
    builder.push(&NewRecord {
        timestamp: Timestamp(1_000_000 + 1000 * second),
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        headers: &[],
    });
    builder.build()
}

/// Writes `count` versions of two keys.
fn write_versions(client: &mut Client, topic: (&str, Uuid), from: i64, count: i64) {
    for version in from..from + count {
        let key = if version % 2 == 0 { "even" } else { "odd" };
        let produced = client.produce(9, topic, 0, keyed(version, key, &format!("{key} {version}")));
        assert_eq!(produced, (0, version));
    }
}

/// All records, from one fetch after the other.
fn read_all(client: &mut Client, topic: (&str, Uuid)) -> Vec<(i64, String)> {
    let end = client.list_offset(topic.0, 0, -1).0;
    let mut found: Vec<(i64, String)> = Vec::new();
    let mut next = 0;
    while next < end {
        let fetched = values(&client.fetch(13, topic, 0, next));
        let Some((last, _)) = fetched.last() else { break };
        next = last + 1;
        found.extend(fetched);
    }
    found
}

/// Asks until the records are what is expected.
#[track_caller]
fn await_records(client: &mut Client, topic: (&str, Uuid), expected: &[(i64, &str)]) {
    let clock = Clock::system();
    loop {
        let found = read_all(client, topic);
        let found: Vec<(i64, &str)> = found.iter().map(|(offset, value)| (*offset, value.as_str())).collect();
        if found == expected {
            return;
        }
        let is_patient = clock.uptime_ms() < PATIENCE.as_millis() as i64;
        assert!(is_patient, "expected {expected:?}, found {found:?}");
    }
}

#[test]
fn consumers_find_the_latest_value_of_each_key() {
    let mut fixture = start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &COMPACTED);
    write_versions(&mut client, ("t", id), 0, 10);
    // The last segment takes appends and is not looked at; before it only the newest values stay.
    await_records(&mut client, ("t", id), &[(7, "odd 7"), (8, "even 8"), (9, "odd 9")]);
    assert_eq!((client.list_offset("t", 0, -2).0, client.list_offset("t", 0, -1).0), (0, 10));
    write_versions(&mut client, ("t", id), 10, 1);
    await_records(&mut client, ("t", id), &[(8, "even 8"), (9, "odd 9"), (10, "even 10")]);
    drop(client);
    fixture.restart();
    let mut client = fixture.client();
    assert_eq!((client.list_offset("t", 0, -2).0, client.list_offset("t", 0, -1).0), (0, 11));
    write_versions(&mut client, ("t", id), 11, 1);
    await_records(&mut client, ("t", id), &[(9, "odd 9"), (10, "even 10"), (11, "odd 11")]);
    let checkpoint = fixture.directory.path().join("data/cleaner-offset-checkpoint");
    let text = std::fs::read_to_string(checkpoint).unwrap();
    assert!(text.starts_with("0\n1\nt 0 "), "{text}");
}

#[test]
fn a_topic_is_compacted_from_the_moment_its_policy_says_so() {
    let fixture = start();
    let mut client = fixture.client();
    let [_, rolls, ratio] = COMPACTED;
    let id = client.create_topic("t", 1, &[("retention.ms", "-1"), rolls, ratio]);
    write_versions(&mut client, ("t", id), 0, 4);
    assert_eq!(read_all(&mut client, ("t", id)).len(), 4);
    assert_eq!(super::topics::set_config(&mut client, "t", "cleanup.policy", "compact"), 0);
    await_records(&mut client, ("t", id), &[(1, "odd 1"), (2, "even 2"), (3, "odd 3")]);
}

#[test]
fn compact_and_delete_does_both() {
    let fixture = start();
    let mut client = fixture.client();
    let [_, rolls, ratio] = COMPACTED;
    let policy = ("cleanup.policy", "compact,delete");
    let id = client.create_topic("t", 1, &[policy, rolls, ratio, ("retention.ms", "3600000")]);
    write_versions(&mut client, ("t", id), 0, 6);
    // The records are of 1970; all but the active segment's are expired.
    let clock = Clock::system();
    while client.list_offset("t", 0, -2).0 < 5 {
        assert!(clock.uptime_ms() < PATIENCE.as_millis() as i64);
    }
}

#[test]
fn a_record_without_a_key_is_refused() {
    let fixture = start();
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &COMPACTED);
    let (code, _) = client.produce(9, ("t", id), 0, batch(&["keyless"]));
    assert_eq!(code, ErrorCode::InvalidRecord.code());
    assert_eq!(client.produce(9, ("t", id), 0, keyed(0, "k", "v")), (0, 0));
}

#[test]
fn without_the_cleaner_every_record_stays() {
    let fixture = Fixture::start_with(&[("log.cleaner.enable", "false"), ("log.cleaner.backoff.ms", "5")]);
    assert!(fixture.broker.as_ref().unwrap().cleaner.is_none());
    let mut client = fixture.client();
    let id = client.create_topic("t", 1, &COMPACTED);
    write_versions(&mut client, ("t", id), 0, 4);
    assert_eq!(read_all(&mut client, ("t", id)).len(), 4);
}
