//! A log against a list: random appends, reads, truncations, retention and restarts must agree with a `Vec` of batches.

use super::*;

/// What the log should hold.
#[derive(Default)]
struct Model {
    /// Base offset, next offset and timestamp of each batch.
    batches: Vec<(i64, i64, i64)>,
    log_start_offset: i64,
    end_offset: i64,
}

impl Model {
    fn readable_from(&self, from: i64) -> Vec<(i64, i64)> {
        let after = self.batches.iter().filter(|batch| batch.1 > from);
        after.map(|batch| (batch.0, batch.1)).collect()
    }

    fn truncate_to(&mut self, to: i64) {
        self.batches.retain(|batch| batch.1 <= to);
        self.end_offset = to;
        self.log_start_offset = self.log_start_offset.min(to);
    }
}

fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let partition = Partition::with(TopicConfig {
        segment_bytes: random.u32(600..3000),
        index_interval_bytes: random.u32(0..600),
        retention_bytes: -1,
        retention_ms: -1,
        ..TopicConfig::default()
    });
    let mut log = partition.open_after_clean_stop();
    let mut model = Model::default();
    let mut recovery_point = Offset(0);
    for step in 0..250 {
        let now = NOW.0 + step;
        match random.u32(0..100) {
            0..60 => append_some(&mut log, &mut model, &mut random, now),
            60..70 => {
                let to = random.i64(model.log_start_offset.max(model.end_offset - 40)..=model.end_offset);
                log.truncate_to(Offset(to), NOW).expect("truncate");
                model.truncate_to(to);
                recovery_point = recovery_point.min(Offset(to));
            }
            70..75 => {
                let to = random.i64(model.log_start_offset..=model.end_offset);
                log.set_log_start_offset(Offset(to)).expect("move the log start");
                model.log_start_offset = model.log_start_offset.max(to);
                for removed in log.apply_retention(Offset(model.end_offset), NOW).expect("apply retention") {
                    removed.remove_files().expect("remove");
                }
            }
            75..80 => {
                let ticket = log.unflushed();
                ticket.flush().expect("flush");
                log.mark_flushed(&ticket);
                recovery_point = log.recovery_point();
            }
            80..90 => log = reopen(&partition, log, &mut model, recovery_point, random.bool()),
            _ => {}
        }
        compare(&log, &model, &mut random, seed, step);
    }
}

fn append_some(log: &mut Log, model: &mut Model, random: &mut fastrand::Rng, now: i64) {
    let mut bytes = Vec::new();
    for _ in 0..random.usize(1..4) {
        let count = random.i32(1..6);
        let timestamp = now + random.i64(-20..20);
        bytes.extend(batch(count, random.usize(0..120), timestamp, random.u8(..)));
        model.batches.push((model.end_offset, model.end_offset + i64::from(count), timestamp));
        model.end_offset += i64::from(count);
    }
    let appended = append(log, &bytes).expect("append");
    assert_eq!(appended.last_offset.0, model.end_offset - 1);
}

fn reopen(
    partition: &Partition,
    log: Log,
    model: &mut Model,
    recovery_point: Offset,
    clean_shutdown: bool,
) -> Log {
    if clean_shutdown {
        log.close().expect("close");
    } else {
        drop(log);
    }
    let log_start_offset = Offset(model.log_start_offset);
    let options = OpenOptions { clean_shutdown, log_start_offset, recovery_point, ..partition.options() };
    let log = Log::open(options, NOW).expect("open");
    // A truncation into a batch ends behind what the files tell: the offsets between are given out again.
    let last = model.batches.last().map_or(log.log_end_offset().0, |batch| batch.1);
    model.end_offset = last.max(model.log_start_offset);
    log
}

fn compare(log: &Log, model: &Model, random: &mut fastrand::Rng, seed: u64, step: i64) {
    let view = log.view();
    let context = format!("seed {seed} step {step}");
    assert_eq!(view.log_start_offset().0, model.log_start_offset, "{context}");
    assert_eq!(view.log_end_offset().0, model.end_offset, "{context}");
    let from = random.i64(model.log_start_offset..=model.end_offset);
    let end = view.log_end_offset();
    assert_eq!(offsets_from(&view, Offset(from), end), model.readable_from(from), "{context} from {from}");
}

#[test]
fn random_histories_agree_with_a_list() {
    for seed in 0..24 {
        run(seed);
    }
}
