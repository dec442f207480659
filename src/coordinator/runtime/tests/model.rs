//! Random histories: transactions, high watermarks that lag, refusals, doubts, new leaders, crashes that leave a view
//! older than the log, views that are written to late, busy views, timeouts.
//!
//! Held at each step: an answer shows only what is committed, and shows what the log says; a reader sees exactly the
//! committed registers; at the end every request has had one answer, and the shell knows of all it was to be told.

use std::collections::BTreeSet;

use super::bench::{Bench, COMMIT_TIMEOUT_MS, Command, Fate, PARTITION, Response, answer, random_event};
use crate::coordinator::runtime::{SlotState, Submitted};
use crate::protocol::errors::ErrorCode;
use crate::store::memory::Mood;
use crate::store::view::View;

struct Asked {
    submitted: Submitted<Response>,
    command: Command,
    /// End of the log when it was decided.
    end: i64,
}

struct Model {
    bench: Bench,
    rng: fastrand::Rng,
    asked: Vec<Asked>,
    /// What earlier shells were told.
    told: BTreeSet<String>,
    ok_count: usize,
    counter: usize,
}

impl Model {
    fn step(&mut self) {
        match self.rng.u8(0..100) {
            0..60 => self.submit(),
            60..80 => {
                let (from, to) = (self.bench.log.high_watermark(), self.bench.log.end());
                self.bench.log.commit(self.rng.i64(from..=to));
            }
            80..84 => {
                let refused = Fate::Refused(ErrorCode::NotEnoughReplicas);
                let fate = if self.rng.u8(0..4) == 0 { Fate::Unknown } else { refused };
                self.bench.log.next_appends([fate]);
            }
            84..90 => {
                self.bench.clock.advance_ms(self.rng.i64(0..COMMIT_TIMEOUT_MS));
                self.bench.runtime.expire();
            }
            90..94 => {
                let busy = self.rng.bool();
                self.bench.view.set_mood(Mood { busy, cold: false, failed: false });
            }
            94..96 => self.bench.run_jobs(),
            96 => self.change_leader(),
            97 => self.crash(),
            98 => self.bench.view.flush().unwrap(),
            _ => {
                if self.bench.runtime.led() == [(PARTITION, SlotState::Failed)] {
                    self.change_leader();
                }
            }
        }
        self.check();
    }

    fn change_leader(&mut self) {
        let cut = self.rng.bool();
        let epoch = self.bench.log.change_leader(cut);
        if self.rng.bool() {
            self.bench.runtime.resign(PARTITION);
        }
        self.bench.runtime.lead(PARTITION, epoch);
        if self.rng.u8(0..4) > 0 {
            self.bench.run_jobs();
        }
    }

    /// Another broker takes over, with what was on the disk.
    fn crash(&mut self) {
        self.bench.runtime.resign(PARTITION);
        self.check_answers();
        let cut = self.rng.bool();
        self.bench.log.change_leader(cut);
        let view = self.bench.view.after_crash();
        self.told.extend(self.bench.told.lock().drain(..).map(|(_, name)| name));
        self.bench = self.bench.again(view);
        self.bench.lead();
    }

    fn submit(&mut self) {
        self.counter += 1;
        let value = self.counter.to_string();
        let name = |rng: &mut fastrand::Rng| format!("r{}", rng.u8(0..5));
        let command = match self.rng.u8(0..30) {
            0..8 => {
                let count = self.rng.usize(0..4);
                let rng = &mut self.rng;
                Command::Set(
                    (0..count).map(|_| (name(rng), rng.u8(0..3).gt(&0).then(|| value.clone()))).collect(),
                )
            }
            8..13 => Command::Get(name(&mut self.rng)),
            13..15 => Command::Wait,
            15 => Command::Release,
            16..18 => Command::SetTwice(format!("twice{value}")),
            18 => Command::ExpireAt(self.bench.clock.uptime_ms() + self.rng.i64(0..2 * COMMIT_TIMEOUT_MS)),
            19 => Command::Tell(format!("told{value}")),
            20..29 => {
                let count = self.rng.usize(1..4);
                let rng = &mut self.rng;
                Command::Write((0..count).map(|_| random_event(rng, &value)).collect())
            }
            _ => Command::Fail,
        };
        let submitted = self.bench.submit(command.clone());
        self.asked.push(Asked { submitted, command, end: self.bench.log.end() });
    }

    fn check(&mut self) {
        self.check_answers();
        let log = &self.bench.log;
        match self.bench.read() {
            Ok(seen) => assert_eq!(seen, log.registers(log.high_watermark())),
            Err(_) => {
                let states = self.bench.runtime.led();
                assert!(states.iter().all(|(_, state)| *state != SlotState::Active), "{states:?}");
            }
        }
    }

    /// Everything is committed, and loaded once more.
    fn check_told(&mut self) {
        let log = self.bench.log.clone();
        self.crash();
        log.commit(log.end());
        let told = &mut self.told;
        told.extend(self.bench.told.lock().drain(..).map(|(_, name)| name));
        let all = log.registers(i64::MAX).into_keys().filter(|name| name.starts_with("told"));
        all.for_each(|name| assert!(told.contains(&name), "{name} in {told:?}"));
    }

    fn check_answers(&mut self) {
        let log = self.bench.log.clone();
        let high_watermark = log.high_watermark();
        let ok_count = &mut self.ok_count;
        self.asked.retain_mut(|asked| {
            let answer = match answer(&mut asked.submitted) {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(answer)) => answer,
            };
            *ok_count += 1;
            match (&asked.command, answer) {
                (
                    Command::Set(_) | Command::Write(_) | Command::Tell(_) | Command::ExpireAt(_),
                    Response::Count(count),
                ) => {
                    assert!(asked.end <= high_watermark, "{:?} was told too early", asked.command);
                    assert_eq!(count, log.registers(asked.end).len());
                }
                (Command::Get(name), Response::Value(value)) => {
                    assert!(asked.end <= high_watermark, "{:?} was told too early", asked.command);
                    assert_eq!(value.as_ref(), log.registers(asked.end).get(name));
                }
                (Command::SetTwice(name), Response::Count(_)) => {
                    assert_eq!(log.registers(high_watermark).get(name).unwrap(), "second");
                }
                (Command::SetTwice(name), Response::Refused(_)) => {
                    assert_eq!(log.registers(i64::MAX).get(name), None);
                }
                (Command::Wait | Command::Release, Response::Count(_)) => {}
                (command, answer) => panic!("{answer:?} for {command:?}"),
            }
            false
        });
    }
}

#[test]
fn random_histories_show_nothing_that_can_be_taken_back() {
    let mut ok_count = 0;
    for seed in 0..60 {
        let outcome = std::panic::catch_unwind(|| {
            let mut model = Model {
                bench: Bench::lagging(seed % 4 == 0, [0, 3_000][seed as usize / 4 % 2]),
                rng: fastrand::Rng::with_seed(seed),
                asked: Vec::new(),
                told: BTreeSet::new(),
                ok_count: 0,
                counter: 0,
            };
            (0..200).for_each(|_| model.step());
            model.bench.runtime.resign(PARTITION);
            model.check();
            model.check_told();
            assert!(model.asked.is_empty(), "every request has an answer");
            model.ok_count
        });
        ok_count += outcome.unwrap_or_else(|_| panic!("seed {seed}"));
    }
    assert!(ok_count > 1_500, "{ok_count} answers are too few to mean anything");
}
