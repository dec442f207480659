//! Both views against a map: random changes, drops, skips and reopening.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::memory::{MemoryView, Mood};
use super::rocks::RocksView;
use super::stamps::Stamp;
use super::view::{Change, Patience, Scan, Tier, View, ViewError};
use super::{CoordinatorTopic, PartitionKey};
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};

fn partition(index: i32) -> PartitionKey {
    PartitionKey { topic: CoordinatorTopic::ConsumerOffsets, partition: PartitionIndex(index) }
}

fn stamp(next_offset: i64) -> Stamp {
    Stamp {
        topic_id: TopicId::ZERO,
        next_offset: Offset(next_offset),
        leader_epoch: LeaderEpoch(3),
        batch_crc: next_offset as u32,
        batch_timestamp: Timestamp(next_offset * 10),
    }
}

/// Keys that share prefixes, the empty one included.
fn random_key(rng: &mut fastrand::Rng) -> Vec<u8> {
    (0..rng.usize(0..4)).map(|_| *rng.choice(&[0u8, 1, 0xfe, 0xff]).unwrap()).collect()
}

type Model = BTreeMap<i32, (Stamp, BTreeMap<Vec<u8>, Vec<u8>>)>;

fn apply_at_random(view: &dyn View, model: &mut Model, rng: &mut fastrand::Rng, round: i64) {
    let index = rng.i32(0..3);
    if rng.u8(0..20) == 0 {
        view.drop_partition(partition(index)).unwrap();
        model.remove(&index);
        return;
    }
    let (held, entries) = model.entry(index).or_insert_with(|| (stamp(0), BTreeMap::new()));
    let changes: Vec<(Vec<u8>, Option<Vec<u8>>)> = (0..rng.usize(0..6))
        .map(|at| (random_key(rng), rng.bool().then(|| format!("{round}/{at}").into_bytes())))
        .collect();
    let mut borrowed = changes.iter().map(|(key, value)| Change { key, value: value.as_deref() });
    view.apply(partition(index), &mut borrowed, &stamp(round), Patience::Wait).unwrap();
    *held = stamp(round);
    for (key, value) in changes {
        match value {
            Some(value) => entries.insert(key, value),
            None => entries.remove(&key),
        };
    }
}

fn compare(view: &dyn View, model: &Model, rng: &mut fastrand::Rng) {
    for index in 0..3 {
        let nothing = BTreeMap::new();
        let (expected_stamp, entries) =
            model.get(&index).map_or((None, &nothing), |(stamp, entries)| (Some(*stamp), entries));
        assert_eq!(view.stamp(partition(index)).unwrap(), expected_stamp);
        let key = random_key(rng);
        assert_eq!(view.get(partition(index), &key, Tier::Disk).unwrap().as_ref(), entries.get(&key));
        let prefix = random_key(rng);
        let (skip_at, skip_to) = (rng.usize(0..4), random_key(rng));
        let stop_at = rng.usize(0..30);
        let mut seen = Vec::new();
        view.scan(partition(index), &prefix, Tier::Disk, &mut |key, value| {
            seen.push((key.to_vec(), value.to_vec()));
            match seen.len() - 1 {
                at if at == stop_at => Scan::Stop,
                at if at == skip_at => Scan::SkipTo(skip_to.clone()),
                _ => Scan::Next,
            }
        })
        .unwrap();
        let mut expected: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (key, value) in entries.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            if expected.len() == stop_at + 1 {
                break;
            }
            let is_skipped = expected.len() == skip_at + 1 && *key < skip_to;
            if !is_skipped || expected.len() - 1 == stop_at {
                expected.push((key.clone(), value.clone()));
            }
        }
        assert_eq!(seen, expected, "prefix {prefix:?}, {skip_to:?} after {skip_at}, stop after {stop_at}");
    }
}

fn check_against_model(seed: u64, mut reopen: impl FnMut(Option<Arc<dyn View>>) -> Arc<dyn View>) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut model = Model::new();
    let mut view = reopen(None);
    for round in 1..400 {
        apply_at_random(&*view, &mut model, &mut rng, round);
        compare(&*view, &model, &mut rng);
        if rng.u8(0..40) == 0 {
            view.flush().unwrap();
            view = reopen(Some(view));
            compare(&*view, &model, &mut rng);
        }
    }
}

#[test]
fn both_views_are_the_map_they_were_told() {
    for seed in 1..4 {
        check_against_model(seed, |old| old.unwrap_or_else(|| Arc::new(MemoryView::default())));
        let directory = tempfile::tempdir().unwrap();
        check_against_model(seed, |old| {
            drop(old);
            Arc::new(RocksView::open(directory.path()).unwrap())
        });
    }
}

#[test]
fn what_is_on_disk_only_is_cold() {
    let directory = tempfile::tempdir().unwrap();
    let view = RocksView::open(directory.path()).unwrap();
    let change = Change { key: b"key", value: Some(b"value") };
    view.apply(partition(1), &mut [change].into_iter(), &stamp(1), Patience::None).unwrap();
    assert_eq!(view.get(partition(1), b"key", Tier::Warm).unwrap().as_deref(), Some(&b"value"[..]));
    view.flush().unwrap();
    drop(view);
    let view = RocksView::open(directory.path()).unwrap();
    assert!(matches!(view.get(partition(1), b"key", Tier::Warm), Err(ViewError::Cold)));
    let scanned = view.scan(partition(1), b"", Tier::Warm, &mut |_, _| Scan::Next);
    assert!(matches!(scanned, Err(ViewError::Cold)));
    assert_eq!(view.get(partition(1), b"key", Tier::Disk).unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(view.get(partition(1), b"key", Tier::Warm).unwrap().as_deref(), Some(&b"value"[..]));
    assert!(view.size_bytes() > 0);
}

#[test]
fn a_second_open_of_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _view = RocksView::open(directory.path()).unwrap();
    assert!(RocksView::open(directory.path()).is_err());
}

#[test]
fn a_view_in_memory_does_as_it_is_told() {
    let view = MemoryView::default();
    view.set_mood(Mood { busy: true, ..Mood::default() });
    let apply = |patience| view.apply(partition(0), &mut std::iter::empty(), &stamp(1), patience);
    assert!(matches!(apply(Patience::None), Err(ViewError::Busy)));
    apply(Patience::Wait).unwrap();
    view.set_mood(Mood { cold: true, ..Mood::default() });
    assert!(matches!(view.get(partition(0), b"", Tier::Warm), Err(ViewError::Cold)));
    view.set_mood(Mood { failed: true, ..Mood::default() });
    assert!(matches!(view.stamp(partition(0)), Err(ViewError::Failed(_))));
}
