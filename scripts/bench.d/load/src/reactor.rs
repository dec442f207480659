//! Drives many lanes from one thread: waits until sockets are ready or a request is due.
//!
//! Readiness is edge-triggered for both directions, so a socket is registered once and waiting costs one system call
//! for all that became ready meanwhile.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::lane::{Lane, Seen};
use crate::latency::Latency;
use crate::schedule::Schedule;

const EVENT_LIMIT: usize = 256;
/// A broker that does not answer anything for so long will not.
const PATIENCE: Duration = Duration::from_secs(60);
/// The default of 50 us would make every scheduled request late.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

/// Runs all lanes to their end; with a schedule, returns how late each request was released: what the generator and
/// the machine, not the broker, add to latencies.
pub fn run(
    lanes: &mut [Lane],
    schedule: Option<&Schedule>,
    seen: &mut Seen,
) -> anyhow::Result<Option<Latency>> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("create an epoll instance")?;
    for (index, lane) in lanes.iter().enumerate() {
        lane.socket().set_nonblocking(true).context("make a socket nonblocking")?;
        let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&epoll, lane.socket(), epoll::EventData::new_u64(index as u64), interest)
            .context("register a socket")?;
    }
    let mut clock = match schedule {
        Some(schedule) => Some(Clock::new(schedule, lanes)?),
        None => None,
    };
    if clock.is_none() {
        lanes.iter_mut().try_for_each(|lane| lane.send(None))?;
    }
    let mut rest = lanes.iter().filter(|lane| !lane.is_done()).count();
    let mut events = Vec::with_capacity(EVENT_LIMIT);
    while rest > 0 {
        let wait = match &mut clock {
            Some(clock) => clock.release(lanes)?,
            None => PATIENCE,
        };
        events.clear();
        let timeout = Timespec::try_from(wait).expect("a minute fits");
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for sockets"),
        }
        ensure!(!events.is_empty() || wait < PATIENCE, "no answer for {} s", PATIENCE.as_secs());
        for event in &events {
            let lane = &mut lanes[event.data.u64() as usize];
            if lane.is_done() {
                continue;
            }
            lane.receive(seen)?;
            lane.send(schedule)?;
            rest -= usize::from(lane.is_done());
        }
    }
    Ok(clock.map(|clock| clock.late))
}

/// Where in the schedule the run is.
struct Clock<'a> {
    schedule: &'a Schedule,
    /// The next request to release, over all lanes.
    next: u64,
    end: u64,
    late: Latency,
}

impl Clock<'_> {
    fn new<'a>(schedule: &'a Schedule, lanes: &[Lane]) -> anyhow::Result<Clock<'a>> {
        rustix::thread::set_current_timer_slack(Some(TIMER_SLACK_NS)).context("set the timer slack")?;
        let end = lanes.iter().map(Lane::request_count).sum();
        Ok(Clock { schedule, next: 0, end, late: Latency::default() })
    }

    /// Has every lane send what is due by now; returns how long it is until the next request is due.
    fn release(&mut self, lanes: &mut [Lane]) -> anyhow::Result<Duration> {
        while self.next < self.end {
            let (due, now) = (self.schedule.due(self.next), Instant::now());
            if due > now {
                return Ok((due - now).min(PATIENCE));
            }
            self.late.record(now - due);
            let lane = (self.next % lanes.len() as u64) as usize;
            lanes[lane].send(Some(self.schedule))?;
            self.next += 1;
        }
        Ok(PATIENCE)
    }
}
