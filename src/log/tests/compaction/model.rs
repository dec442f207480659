//! A compacted log against a map: random writes, tombstones, rounds and restarts must agree with a `BTreeMap`.

use super::*;

fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let partition = Partition::with(TopicConfig {
        segment_bytes: random.u32(300..3000),
        index_interval_bytes: random.u32(0..600),
        delete_retention_ms: random.i64(0..50),
        ..compacted()
    });
    let mut log = partition.open_after_clean_stop();
    let mut model: BTreeMap<String, String> = BTreeMap::new();
    let mut cleaned_to = None;
    for step in 0..200 {
        let now = Timestamp(NOW.0 + step);
        match random.u32(0..100) {
            0..75 => write(&mut log, &mut model, &mut random, now),
            75..90 => {
                let found = dirt(&log, cleaned_to, now);
                if found.cleanable_bytes > 0 {
                    let memory_bytes = random.u64(24 * 4..24 * 40);
                    let map = MapLimits { memory_bytes, load_factor: 0.9 };
                    let seeds = [random.u128(..), random.u128(..)];
                    let (end, _) = clean_with(&mut log, found, Options { map, seeds, now }).expect("clean");
                    cleaned_to = Some(end);
                }
            }
            90..95 => {
                log.close().expect("close");
                log = partition.open_after_clean_stop();
            }
            95.. => {
                drop(log);
                log = partition.open_after_crash().expect("open");
            }
        }
        assert_eq!(table(&log), model, "seed {seed} step {step}");
        assert_eq!(log.log_start_offset(), Offset(0));
    }
}

fn write(log: &mut Log, model: &mut BTreeMap<String, String>, random: &mut fastrand::Rng, now: Timestamp) {
    let records: Vec<(String, Option<String>)> = (0..random.usize(1..4))
        .map(|_| {
            let value = random.bool().then(|| format!("{}", random.u64(..)));
            (format!("key {}", random.u32(0..12)), value)
        })
        .collect();
    let pairs: Vec<(&str, Option<&str>)> =
        records.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
    append(log, &keyed(BatchHeader::default(), now.0, &pairs)).expect("append");
    for (key, value) in records {
        match value {
            Some(value) => drop(model.insert(key, value)),
            None => drop(model.remove(&key)),
        }
    }
}

#[test]
fn random_histories_agree_with_a_map() {
    for seed in 0..16 {
        run(seed);
    }
}
