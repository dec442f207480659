use super::*;

fn cache(entries: &[(i32, i64)]) -> EpochCache {
    let mut cache = EpochCache::default();
    for (epoch, start_offset) in entries {
        assert!(cache.assign(LeaderEpoch(*epoch), Offset(*start_offset)), "({epoch}, {start_offset})");
    }
    cache
}

fn pairs(cache: &EpochCache) -> Vec<(i32, i64)> {
    cache.entries().iter().map(|entry| (entry.epoch.0, entry.start_offset.0)).collect()
}

#[test]
fn only_the_first_offset_of_an_epoch_is_kept() {
    let mut cache = cache(&[(2, 10)]);
    assert!(!cache.assign(LeaderEpoch(2), Offset(11)));
    assert!(!cache.assign(LeaderEpoch::NONE, Offset(12)));
    assert!(!cache.assign(LeaderEpoch(3), Offset(-1)));
    assert_eq!(pairs(&cache), [(2, 10)]);
}

#[test]
fn later_claims_remove_what_contradicts_them() {
    let known = [(1, 10), (2, 20), (4, 40)];
    for (claim, expected) in [
        ((5, 50), vec![(1, 10), (2, 20), (4, 40), (5, 50)]),
        ((5, 40), vec![(1, 10), (2, 20), (5, 40)]),
        ((5, 15), vec![(1, 10), (5, 15)]),
        ((4, 35), vec![(1, 10), (2, 20), (4, 35)]),
        ((3, 60), vec![(1, 10), (2, 20), (3, 60)]),
        ((0, 0), vec![(0, 0)]),
    ] {
        let mut cache = cache(&known);
        assert!(cache.assign(LeaderEpoch(claim.0), Offset(claim.1)));
        assert_eq!(pairs(&cache), expected, "{claim:?}");
    }
}

#[test]
fn the_end_of_an_epoch_is_where_the_next_begins() {
    let cache = cache(&[(2, 10), (3, 20), (6, 30)]);
    let end = |epoch| {
        cache.end_offset_for(LeaderEpoch(epoch), Offset(45)).map(|(epoch, offset)| (epoch.0, offset.0))
    };
    assert_eq!(end(-1), None);
    assert_eq!(end(0), Some((0, 10)), "before the first known epoch");
    assert_eq!(end(2), Some((2, 20)));
    assert_eq!(end(3), Some((3, 30)));
    assert_eq!(end(4), Some((3, 30)), "an epoch that wrote nothing");
    assert_eq!(end(6), Some((6, 45)), "the latest ends with the log");
    assert_eq!(end(7), None);
    assert_eq!(EpochCache::default().end_offset_for(LeaderEpoch(0), Offset(5)), None);
}

#[test]
fn every_offset_has_the_epoch_that_wrote_it() {
    let cache = cache(&[(2, 10), (3, 20)]);
    let epoch = |offset| cache.epoch_for_offset(Offset(offset)).map(|epoch| epoch.0);
    assert_eq!(
        [epoch(9), epoch(10), epoch(19), epoch(20), epoch(99)],
        [None, Some(2), Some(2), Some(3), Some(3)]
    );
}

#[test]
fn truncation_from_the_end_drops_what_began_there() {
    for (end_offset, expected, changed) in [
        (31, vec![(2, 10), (3, 20), (6, 30)], false),
        (30, vec![(2, 10), (3, 20)], true),
        (21, vec![(2, 10), (3, 20)], true),
        (10, vec![], true),
        (0, vec![], true),
    ] {
        let mut cache = cache(&[(2, 10), (3, 20), (6, 30)]);
        assert_eq!(cache.truncate_from_end(Offset(end_offset)), changed, "{end_offset}");
        assert_eq!(pairs(&cache), expected, "{end_offset}");
    }
}

#[test]
fn truncation_from_the_start_keeps_the_epoch_of_the_first_offset() {
    for (start_offset, expected, changed) in [
        (5, vec![(2, 10), (3, 20), (6, 30)], false),
        (10, vec![(2, 10), (3, 20), (6, 30)], false),
        (12, vec![(2, 12), (3, 20), (6, 30)], true),
        (20, vec![(3, 20), (6, 30)], true),
        (99, vec![(6, 99)], true),
    ] {
        let mut cache = cache(&[(2, 10), (3, 20), (6, 30)]);
        assert_eq!(cache.truncate_from_start(Offset(start_offset)), changed, "{start_offset}");
        assert_eq!(pairs(&cache), expected, "{start_offset}");
    }
}

#[test]
fn the_checkpoint_is_kafkas_text() {
    let cache = cache(&[(0, 0), (3, 20)]);
    assert_eq!(cache.to_text(), "0\n2\n0 0\n3 20\n");
    assert_eq!(EpochCache::from_text(&cache.to_text()), Some(cache));
    assert_eq!(EpochCache::from_text("0\n0\n"), Some(EpochCache::default()));
    for broken in
        ["", "1\n0\n", "0\n", "0\n2\n0 0\n", "0\n1\n0 0\n1 5\n", "0\n1\n0\n", "0\n1\n0 x\n", "0\n1\n-1 0\n"]
    {
        assert_eq!(EpochCache::from_text(broken), None, "{broken:?}");
    }
}
