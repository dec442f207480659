use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::*;
use crate::protocol::ids::Offset;

fn release(name: &str) -> &'static Release {
    Release::named(name).unwrap()
}

fn image(levels: &[(&str, i16)]) -> ClusterImage {
    let mut image = ClusterImage::new("cluster".into());
    image.features = levels.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect();
    image.applied = Offset(7);
    image
}

#[test]
fn every_release_is_read() {
    let recorded = recorded::all();
    let names: Vec<&str> = recorded.iter().map(|release| release.name).collect();
    assert_eq!(names.first(), Some(&"0.10.0"));
    assert_eq!(names.last(), Some(&"4.4"));
    assert_eq!(names.len(), 30);
    for release in &recorded {
        assert!(release.apis.is_sorted_by(|(one, _), (other, _)| one < other), "{}", release.name);
        assert!(release.supported.is_sorted_by_key(|feature| feature.name), "{}", release.name);
        for (name, level) in &release.finalized {
            let feature = release.supported.iter().find(|feature| feature.name == *name);
            let feature = feature.expect("only what is supported is finalized");
            assert!((feature.min_version..=feature.max_version).contains(level), "{} {name}", release.name);
        }
    }
}

#[test]
fn a_line_stands_for_its_newest_release() {
    assert_eq!(release("0.10").name, "0.10.2");
    assert_eq!(release("0.10.1").name, "0.10.1");
    assert_eq!(release("0.11").name, "0.11.0");
    assert_eq!(release("1.0").name, "1.0");
    for unknown in ["", "0", "0.1", "0.9", "0.10.", "1", "2", "2.8.2", "4.5", "four"] {
        let error = Release::named(unknown).unwrap_err();
        assert!(error.starts_with(&format!("--as-version {unknown}: ")), "{error}");
        assert!(error.contains("0.10.0, 0.10.1, ") && error.ends_with(", 4.4"), "{error}");
    }
}

/// By key, the versions that a release serves and Klamm does not when it passes for it.
fn missing() -> BTreeMap<i16, BTreeSet<i16>> {
    let mut missing: BTreeMap<i16, BTreeSet<i16>> = BTreeMap::new();
    for (recorded, release) in recorded::all().iter().zip(KAFKA.iter()) {
        for (key, versions) in &recorded.apis {
            let api = table::find(&release.apis, *key);
            let unserved = |version: i16| {
                recorded.unserved.iter().any(|(other, range)| other == key && range.contains(&version))
            };
            let lacks = |version: &i16| !api.is_some_and(|api| api.serves(*version)) && !unserved(*version);
            missing.entry(*key).or_default().extend(versions.clone().filter(lacks));
        }
    }
    missing.retain(|_, versions| !versions.is_empty());
    missing
}

#[test]
fn a_release_is_all_that_kafka_had_but_for_what_klamm_lacks() {
    let expected: BTreeMap<i16, BTreeSet<i16>> =
        MISSING.iter().map(|(key, versions)| (*key, versions.clone().collect())).collect();
    assert_eq!(missing(), expected);
}

/// Keys, and the versions of them that some release serves.
const MISSING: &[(i16, RangeInclusive<i16>)] = &[
    // Share groups and streams groups.
    (76, 1..=1),
    (77, 1..=1),
    (78, 1..=2),
    (79, 1..=2),
    (83, 0..=0),
    (84, 0..=0),
    (85, 0..=1),
    (86, 0..=0),
    (87, 0..=1),
    (88, 0..=1),
    (89, 0..=1),
    (90, 0..=1),
    (91, 0..=0),
    (92, 0..=0),
    (93, 0..=0),
];

#[test]
fn what_is_advertised_is_what_was_recorded() {
    let lacked: BTreeSet<i16> = missing().into_keys().collect();
    for (recorded, release) in recorded::all().iter().zip(KAFKA.iter()) {
        let advertised =
            release.apis.iter().map(|api| (api.key, api.advertised_min_version..=api.max_version));
        let advertised = advertised.filter(|(key, _)| !lacked.contains(key));
        let expected = recorded.apis.iter().filter(|(key, _)| !lacked.contains(key)).cloned();
        assert!(advertised.eq(expected), "{}", release.name);
    }
}

#[test]
fn a_version_that_kafka_lists_and_does_not_serve_is_not_served() {
    let produce = |name| table::find(&release(name).apis, 0).unwrap();
    assert_eq!((produce("4.0").advertised_min_version, produce("4.0").serves(2)), (0, false));
    assert!(produce("4.0").serves(3));
}

#[test]
fn levels_go_as_far_as_the_release() {
    let newest = image(&[("group.version", 1), ("metadata.version", 33), ("transaction.version", 2)]);
    let names_and_levels = |name| release(name).finalized(&newest);
    assert_eq!(names_and_levels("3.9"), (7, vec![("metadata.version", 21)]));
    assert_eq!(names_and_levels("2.8"), (0, vec![]));
    assert_eq!(names_and_levels("2.3"), (-1, vec![]));
    assert_eq!(release("3.9").level(&newest, features::TRANSACTION_VERSION), 0);
    assert_eq!(release("4.4").level(&newest, features::TRANSACTION_VERSION), 2);
    let klamm = Release::klamm().finalized(&newest).1;
    assert_eq!(klamm, [("group.version", 1), ("metadata.version", 33), ("transaction.version", 2)]);
}

#[test]
fn a_level_that_nobody_finalized_is_not_told() {
    let old = image(&[("metadata.version", 21)]);
    assert_eq!(release("4.4").finalized(&old).1, [("metadata.version", 21)]);
    assert_eq!(release("4.4").level(&old, features::GROUP_VERSION), 0);
}

#[test]
fn a_cluster_begins_with_the_levels_of_its_release() {
    assert_eq!(release("3.9").first_levels(), [("metadata.version", 21)]);
    assert_eq!(release("2.8").first_levels(), [("metadata.version", FIRST_METADATA_VERSION)]);
    for release in KAFKA.iter() {
        let allowed = release.allowed_levels();
        for (name, level) in release.first_levels() {
            let feature = allowed.iter().find(|feature| feature.name == *name);
            let feature = feature.expect("what begins a cluster is allowed");
            assert!(*level <= feature.max_version, "{} {name}", release.name);
            let own = features::SUPPORTED.iter().find(|feature| feature.name == *name);
            let own = own.expect("a cluster begins with what Klamm supports");
            assert!((own.min_version..=own.max_version).contains(level), "{} {name}", release.name);
        }
        let registered = |feature: &Feature| {
            let is_within = |own: &Feature| {
                own.name == feature.name
                    && own.min_version <= feature.min_version
                    && feature.max_version <= own.max_version
            };
            features::SUPPORTED.iter().any(is_within)
        };
        assert!(allowed.iter().all(registered), "{}", release.name);
    }
}

#[test]
fn releases_before_kip_511_refuse_without_the_range() {
    let refusing: Vec<&str> =
        KAFKA.iter().filter(|release| !release.refuses_with_range).map(|release| release.name).collect();
    assert_eq!(refusing.first(), Some(&"0.10.0"));
    assert_eq!(refusing.last(), Some(&"2.3"));
}
