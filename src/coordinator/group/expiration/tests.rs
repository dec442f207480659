//! Expiry over virtual time.

use super::super::offsets::tests::Harness;
use super::*;
use crate::coordinator::group::records::Record;
use crate::coordinator::shard::Event;
use crate::protocol::ids::PartitionIndex;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// `offsets.retention.minutes` by default.
const RETENTION_MS: i64 = 7 * DAY_MS;
/// `offsets.retention.check.interval.ms` by default.
const INTERVAL_MS: i64 = 600_000;

/// Looks until the round is over; the records it came to.
fn round(harness: &mut Harness) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        for event in harness.look() {
            if let Event::Durable(record) = event {
                records.push(record);
            }
        }
        if harness.shard.expiry_cursor.is_none() {
            return records;
        }
        harness.advance(PAUSE_MS);
    }
}

fn group_ends(group: &str) -> Record {
    Record::Group(group.into(), None)
}

fn offset_ends(group: &str, topic: &str, partition: i32) -> Record {
    tombstone(group, topic, PartitionIndex(partition))
}

#[test]
fn the_offsets_of_a_simple_consumer_expire_each_from_its_commit() {
    let mut harness = Harness::new();
    harness.commit("g", "t", 0, 5);
    harness.advance(DAY_MS);
    harness.commit("g", "t", 1, 5);
    harness.advance(RETENTION_MS - DAY_MS - 1);
    assert_eq!(round(&mut harness), []);
    harness.advance(1);
    assert_eq!(round(&mut harness), [offset_ends("g", "t", 0)]);
    harness.advance(DAY_MS);
    assert_eq!(round(&mut harness), [offset_ends("g", "t", 1), group_ends("g")]);
    assert!(harness.shard.groups.is_empty());
}

#[test]
fn the_offsets_of_an_empty_group_expire_from_when_its_last_member_left() {
    let mut harness = Harness::new();
    harness.commit("g", "t", 0, 5);
    harness.advance(RETENTION_MS - 1);
    harness.settled_group("g", "consumer", 0);
    harness.advance(RETENTION_MS - 1);
    assert_eq!(round(&mut harness), []);
    harness.advance(1);
    assert_eq!(round(&mut harness), [offset_ends("g", "t", 0), group_ends("g")]);
}

#[test]
fn a_group_with_members_keeps_what_it_reads_and_loses_what_it_has_left() {
    let mut harness = Harness::new();
    harness.commit("g", "t", 0, 5);
    harness.commit("g", "left", 0, 5);
    harness.settled_group("g", "consumer", 1);
    harness.advance(RETENTION_MS);
    assert_eq!(round(&mut harness), [offset_ends("g", "left", 0)]);
    harness.advance(RETENTION_MS);
    assert_eq!(round(&mut harness), []);
    assert!(harness.shard.groups.contains_key("g"));
}

#[test]
fn members_of_another_protocol_keep_all_offsets() {
    let mut harness = Harness::new();
    harness.commit("g", "t", 0, 5);
    harness.settled_group("g", "connect", 1);
    harness.advance(10 * RETENTION_MS);
    assert_eq!(round(&mut harness), []);
}

#[test]
fn an_empty_group_without_offsets_ends_at_the_next_look() {
    let mut harness = Harness::new();
    harness.settled_group("empty", "consumer", 0);
    harness.settled_group("busy", "consumer", 1);
    assert_eq!(round(&mut harness), [group_ends("empty")]);
    assert!(harness.shard.groups.contains_key("busy"));
}

#[test]
fn an_expiry_that_an_old_client_has_set_counts_instead_of_the_retention() {
    let value = |expire_timestamp| OffsetValue {
        offset: crate::protocol::ids::Offset(1),
        leader_epoch: crate::protocol::ids::LeaderEpoch::NONE,
        metadata: String::new(),
        commit_timestamp: Timestamp(100),
        expire_timestamp: Timestamp(expire_timestamp),
        topic_id: crate::protocol::ids::TopicId::ZERO,
    };
    let expired = |expiration, expire_timestamp, now, retention_ms| {
        has_expired(expiration, &value(expire_timestamp), Timestamp(now), retention_ms)
    };
    assert!(!expired(OffsetExpiration::SinceCommit, 500, 499, 10));
    assert!(expired(OffsetExpiration::SinceCommit, 500, 500, 1_000_000));
    assert!(expired(OffsetExpiration::SinceCommit, -1, 110, 10));
    assert!(!expired(OffsetExpiration::SinceCommit, -1, 109, 10));
    assert!(!expired(OffsetExpiration::Since(Timestamp(105)), -1, 114, 10));
    assert!(!expired(OffsetExpiration::Never, 500, i64::MAX, 0));
}

#[test]
fn a_look_visits_few_offsets_and_the_next_goes_on_behind_them() {
    let mut harness = Harness::new();
    let count = 3 * VISITS_PER_LOOK as i32;
    for partition in 0..count {
        harness.commit("g", "t", partition, 5);
    }
    harness.commit("h", "t", 0, 5);
    harness.advance(RETENTION_MS);
    let started = harness.now.uptime_ms;
    let events = harness.look();
    assert!(events.len() <= VISITS_PER_LOOK + 1);
    assert_eq!(harness.shard.next_expiry_ms, Some(started + PAUSE_MS));
    let records = round(&mut harness).len() + events.len() - 1;
    // All offsets, and both groups.
    assert_eq!(records, count as usize + 3);
    assert!(harness.shard.groups.is_empty());
}

#[test]
fn a_group_that_commits_behind_the_look_lives_on() {
    let mut harness = Harness::new();
    for partition in 0..VISITS_PER_LOOK as i32 + 10 {
        harness.commit("g", "t", partition, 5);
    }
    harness.advance(RETENTION_MS);
    harness.look();
    assert!(harness.shard.expiry_cursor.is_some());
    harness.commit("g", "t", 0, 6);
    assert!(!round(&mut harness).contains(&group_ends("g")));
    assert_eq!(harness.offsets_of("g"), [("t".to_owned(), 0, 6)]);
}

#[test]
fn the_first_look_follows_the_first_group_and_the_last_look_the_last_group() {
    let mut harness = Harness::new();
    assert_eq!(harness.shard.next_expiry_ms, None);
    harness.commit("g", "t", 0, 5);
    assert_eq!(harness.shard.next_expiry_ms, Some(harness.now.uptime_ms + INTERVAL_MS));
    assert_eq!(first_look(&harness.shard, harness.now), None);
    harness.advance(INTERVAL_MS);
    harness.look();
    assert_eq!(harness.shard.next_expiry_ms, Some(harness.now.uptime_ms + INTERVAL_MS));
    harness.advance(RETENTION_MS);
    round(&mut harness);
    assert_eq!(harness.shard.next_expiry_ms, None);
}
