//! Many members of one group that join, leave and crash at random: one thread and connection each.
//!
//! The group has settled when it is stable, has as many members as there are threads, and each of them holds the
//! assignment of the same generation.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use crate::group::{self, Joined};
use crate::options::Options;
use crate::wire::Connection;

const GROUP: &str = "churn";
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Of a hundred heartbeats so many are left out: the member leaves, or its connection just ends.
const LEAVE_PERCENT: u64 = 4;
const CRASH_PERCENT: u64 = 2;
/// Longer than a rebalance that waits for crashed members can take, several times over.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const STACK_SIZE_BYTES: usize = 256 * 1024;
/// The generation of a member that has no assignment.
const UNASSIGNED: i32 = -1;

pub struct Load {
    pub address: String,
    pub member_count: usize,
    /// How long members leave and crash, after they have all joined.
    pub churn: Duration,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            member_count: options.value("members")?,
            churn: Duration::from_secs_f64(options.value("seconds")?),
        })
    }
}

/// What was done, and how long it took.
#[derive(Debug)]
pub struct Done {
    join_duration: Duration,
    settle_duration: Duration,
    generation: i32,
    leave_count: u64,
    crash_count: u64,
}

impl fmt::Display for Done {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            r#"{{"join_seconds": {:.3}, "settle_seconds": {:.3}, "generations": {}, "leaves": {}, "crashes": {}}}"#,
            self.join_duration.as_secs_f64(),
            self.settle_duration.as_secs_f64(),
            self.generation,
            self.leave_count,
            self.crash_count
        )
    }
}

/// What the members and the one who watches them share.
struct Shared {
    address: String,
    churning: AtomicBool,
    stopping: AtomicBool,
    /// The generation whose assignment each member holds.
    generations: Vec<AtomicI32>,
    leave_count: AtomicU64,
    crash_count: AtomicU64,
}

pub fn run(load: &Load) -> anyhow::Result<Done> {
    let mut watcher = Connection::open(&load.address)?;
    group::await_coordinator(&mut watcher, GROUP)?;
    let shared = Arc::new(Shared {
        address: load.address.clone(),
        churning: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        generations: (0..load.member_count).map(|_| AtomicI32::new(UNASSIGNED)).collect(),
        leave_count: AtomicU64::new(0),
        crash_count: AtomicU64::new(0),
    });
    let mut threads = Vec::new();
    for index in 0..load.member_count {
        let shared = shared.clone();
        threads.push(
            thread::Builder::new()
                .stack_size(STACK_SIZE_BYTES)
                .spawn(move || Member::new(&shared, index).run())?,
        );
    }
    let join_duration = settle(&mut watcher, &shared)?;
    shared.churning.store(true, Ordering::Relaxed);
    thread::sleep(load.churn);
    shared.churning.store(false, Ordering::Relaxed);
    let settle_duration = settle(&mut watcher, &shared)?;
    let generation = shared.generations[0].load(Ordering::Relaxed);
    shared.stopping.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("a member returns its errors")?;
    }
    Ok(Done {
        join_duration,
        settle_duration,
        generation,
        leave_count: shared.leave_count.load(Ordering::Relaxed),
        crash_count: shared.crash_count.load(Ordering::Relaxed),
    })
}

/// Waits until the group has settled; returns how long that took.
fn settle(watcher: &mut Connection, shared: &Shared) -> anyhow::Result<Duration> {
    let began = Instant::now();
    loop {
        thread::sleep(LOOK_INTERVAL);
        let first = shared.generations[0].load(Ordering::Relaxed);
        let together = first != UNASSIGNED
            && shared.generations.iter().all(|generation| generation.load(Ordering::Relaxed) == first);
        // The members know first; to describe a group of many is work that a group at unrest is spared.
        let state = if together { group::describe(watcher, GROUP)? } else { ("?".to_owned(), 0) };
        if state.0 == "Stable" && state.1 == shared.generations.len() {
            return Ok(began.elapsed());
        }
        ensure!(
            began.elapsed() < SETTLE_LIMIT,
            "the group has not settled after {SETTLE_LIMIT:?}: {state:?}"
        );
    }
}

struct Member<'a> {
    shared: &'a Shared,
    index: usize,
    random: u64,
}

impl Member<'_> {
    fn new(shared: &Shared, index: usize) -> Member<'_> {
        Member { shared, index, random: index as u64 }
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let mut connection = Connection::open(&self.shared.address)?;
        let mut member_id = String::new();
        while !self.shared.stopping.load(Ordering::Relaxed) {
            let joined = match group::join(&mut connection, GROUP, &member_id)? {
                Ok(joined) => joined,
                Err(group::UNKNOWN_MEMBER_ID) => {
                    member_id.clear();
                    continue;
                }
                Err(group::COORDINATOR_LOAD_IN_PROGRESS | group::REBALANCE_IN_PROGRESS) => continue,
                Err(error_code) => bail!("join: error code {error_code}"),
            };
            member_id.clone_from(&joined.member_id);
            let error_code = group::sync(&mut connection, GROUP, &joined)?;
            let error_code =
                if error_code == group::NONE { self.stay(&mut connection, &joined)? } else { error_code };
            self.hold(UNASSIGNED);
            match error_code {
                group::NONE => {
                    member_id.clear();
                    connection = Connection::open(&self.shared.address)?;
                }
                group::UNKNOWN_MEMBER_ID => member_id.clear(),
                group::REBALANCE_IN_PROGRESS | group::ILLEGAL_GENERATION => {}
                error_code => bail!("sync or heartbeat: error code {error_code}"),
            }
        }
        Ok(())
    }

    /// Sends heartbeats until the group says something else, or until the member goes: then the code is 0.
    fn stay(&mut self, connection: &mut Connection, joined: &Joined) -> anyhow::Result<i16> {
        self.hold(joined.generation);
        // Members do not beat in step.
        thread::sleep(HEARTBEAT_INTERVAL * (self.draw() as u32) / 100);
        while !self.shared.stopping.load(Ordering::Relaxed) {
            let chance = self.draw();
            if self.shared.churning.load(Ordering::Relaxed) && chance < LEAVE_PERCENT + CRASH_PERCENT {
                if chance < LEAVE_PERCENT {
                    self.shared.leave_count.fetch_add(1, Ordering::Relaxed);
                    group::leave(connection, GROUP, &joined.member_id)?;
                } else {
                    self.shared.crash_count.fetch_add(1, Ordering::Relaxed);
                }
                return Ok(group::NONE);
            }
            let error_code = group::heartbeat(connection, GROUP, &joined.member_id, joined.generation)?;
            if error_code != group::NONE {
                return Ok(error_code);
            }
            thread::sleep(HEARTBEAT_INTERVAL);
        }
        Ok(group::NONE)
    }

    fn hold(&self, generation: i32) {
        self.shared.generations[self.index].store(generation, Ordering::Relaxed);
    }

    /// A number below 100, from a generator (SplitMix64) that starts with the member's index: every run draws the same.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % 100
    }
}
