//! Reads `recorded.txt`, which `scripts/releases` writes; its head says what the lines mean.

use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::handlers::features::Feature;

const TEXT: &str = include_str!("recorded.txt");

/// Where a release keeps the metadata of its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// Features are finalized by no one, and have this epoch.
    ZooKeeper { features_epoch: i64 },
    /// The epoch of features is the newest offset of the metadata log.
    Kraft,
}

/// A release as it was found to be.
#[derive(Debug)]
pub struct Recorded {
    pub name: &'static str,
    pub metadata: Metadata,
    /// Advertised keys with their versions, in the order of the keys.
    pub apis: Vec<(i16, RangeInclusive<i16>)>,
    /// Advertised, and closes the connection all the same.
    pub unserved: Vec<(i16, RangeInclusive<i16>)>,
    pub supported: Vec<Feature>,
    pub finalized: Vec<(&'static str, i16)>,
    pub refuses_with_range: bool,
}

/// Every release, the oldest first.
pub fn all() -> Vec<Recorded> {
    let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<&'static str> = lines.collect();
    let blocks = lines.chunk_by(|_, next| !next.starts_with("release "));
    blocks.map(|block| read(block).expect("the recorded releases are tested to be readable")).collect()
}

fn read(lines: &[&'static str]) -> Option<Recorded> {
    let [release, apis, unserved, supported, finalized, unknown_version] = *lines else { return None };
    let mut words = words_behind(release, "release")?;
    let (name, _patch, metadata) = (words.next()?, words.next()?, words.next()?);
    let metadata = match (metadata, words.next()) {
        ("zookeeper", Some(epoch)) => Metadata::ZooKeeper { features_epoch: epoch.parse().ok()? },
        ("kraft", None) => Metadata::Kraft,
        _ => return None,
    };
    let key_and_versions = |word| {
        let (key, versions) = pair(word, ':')?;
        Some((key, range(versions)?))
    };
    let apis = words_behind(apis, "apis")?.map(key_and_versions);
    let unserved = words_behind(unserved, "unserved")?.map(key_and_versions);
    let supported = words_behind(supported, "supported")?.map(|word| {
        let (name, levels) = word.split_once(':')?;
        let (min_version, max_version) = range(levels)?.into_inner();
        Some(Feature { name, min_version, max_version })
    });
    let finalized = words_behind(finalized, "finalized")?.map(|word| {
        let (name, level) = word.split_once(':')?;
        Some((name, level.parse().ok()?))
    });
    // The error, which is UNSUPPORTED_VERSION everywhere, and behind it the range if there is one.
    let refuses_with_range = words_behind(unknown_version, "unknown-version")?.count() > 1;
    Some(Recorded {
        name,
        metadata,
        apis: apis.collect::<Option<_>>()?,
        unserved: unserved.collect::<Option<_>>()?,
        supported: supported.collect::<Option<_>>()?,
        finalized: finalized.collect::<Option<_>>()?,
        refuses_with_range,
    })
}

fn words_behind(line: &'static str, name: &str) -> Option<impl Iterator<Item = &'static str> + use<>> {
    let mut words = line.split_ascii_whitespace();
    (words.next()? == name).then_some(words)
}

fn pair<First: FromStr>(word: &'static str, separator: char) -> Option<(First, &'static str)> {
    let (first, second) = word.split_once(separator)?;
    Some((first.parse().ok()?, second))
}

fn range(word: &'static str) -> Option<RangeInclusive<i16>> {
    let (low, high) = pair(word, '-')?;
    Some(low..=high.parse().ok()?)
}
