//! A group of many members that one thread drives, and how long it takes until all of them have what they are to have.
//!
//! Steps come from standard input, a line each, so that whoever measures the broker can look at it in between: `all`
//! (the members join at once), `leave` (one of them goes), `join` (one more comes). Each is answered with a JSON object
//! in a line when the group is stable: every member has an assignment of the same generation or epoch, none is empty,
//! and together they have every partition once. The members themselves know that: nobody asks the broker about it.

use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::group;
use crate::member::classic::Classic;
use crate::member::consumer::Consumer;
use crate::member::{Member, Next};
use crate::options::Options;
use crate::wire::{Connection, Reader};

const GROUP: &str = "rebalance";
const EVENT_LIMIT: usize = 256;
/// Longer than a rebalance that waits for members can take, several times over.
const PATIENCE: Duration = Duration::from_secs(120);
const READ_SIZE_BYTES: usize = 64 * 1024;

pub struct Load {
    pub address: String,
    pub topic: String,
    pub partition_count: i32,
    pub member_count: usize,
    /// Of KIP-848, else classic.
    pub is_consumer_group: bool,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            partition_count: options.value("partitions")?,
            member_count: options.value("members")?,
            is_consumer_group: options.value("consumer-group")?,
        })
    }
}

pub fn run(load: Load) -> anyhow::Result<()> {
    let mut watcher = Connection::open(&load.address)?;
    group::await_coordinator(&mut watcher, GROUP)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("create an epoll instance")?;
    let mut group = Group { load, epoll, seats: Vec::new(), due: BTreeSet::new(), request_count: 0 };
    for line in std::io::stdin().lock().lines() {
        let line = line.context("read the next step")?;
        let done = group.step(&line).with_context(|| format!("step {line}"))?;
        println!("{done}");
        std::io::stdout().flush().context("tell that a step is done")?;
    }
    Ok(())
}

/// All members, and when each of them has to say something.
struct Group {
    load: Load,
    epoll: OwnedFd,
    /// Those that have left leave an empty one.
    seats: Vec<Option<Seat>>,
    due: BTreeSet<(Instant, usize)>,
    request_count: u64,
}

/// A member and its connection.
struct Seat {
    stream: TcpStream,
    input: Vec<u8>,
    member: Box<dyn Member>,
    /// Its request is on its way.
    is_waiting: bool,
    is_leaving: bool,
}

impl Group {
    fn step(&mut self, name: &str) -> anyhow::Result<String> {
        let newcomers = match name {
            "all" => (0..self.load.member_count).map(|_| self.seat()).collect::<anyhow::Result<_>>()?,
            "join" => vec![self.seat()?],
            "leave" => Vec::new(),
            name => bail!("unknown step {name}; known: all, join, leave"),
        };
        let started = Instant::now();
        let requests_before = self.request_count;
        for index in newcomers {
            let seat = self.seats[index].as_mut().expect("a newcomer has a seat");
            let request = seat.member.join();
            self.send(index, &request)?;
        }
        if name == "leave" {
            self.dismiss()?;
        }
        while !self.is_stable() {
            ensure!(started.elapsed() < PATIENCE, "the group is not stable after {PATIENCE:?}");
            self.turn()?;
        }
        let (seconds, requests) = (started.elapsed().as_secs_f64(), self.request_count - requests_before);
        Ok(format!(r#"{{"seconds": {seconds:.6}, "requests": {requests}}}"#))
    }

    /// A new member, connected; returns where it sits.
    fn seat(&mut self) -> anyhow::Result<usize> {
        let index = self.seats.len();
        let stream = Connection::open(&self.load.address)?.into_stream();
        stream.set_nonblocking(true).context("make a socket nonblocking")?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN).context("register a socket")?;
        let Load { topic, partition_count, is_consumer_group, .. } = &self.load;
        let member: Box<dyn Member> = match is_consumer_group {
            true => Box::new(Consumer::new(GROUP, topic, index)),
            false => Box::new(Classic::new(GROUP, topic, *partition_count)),
        };
        let seat = Seat { stream, input: Vec::new(), member, is_waiting: false, is_leaving: false };
        self.seats.push(Some(seat));
        Ok(index)
    }

    /// Has the member in the middle leave: it leads no classic group.
    fn dismiss(&mut self) -> anyhow::Result<()> {
        let taken: Vec<usize> = (0..self.seats.len()).filter(|index| self.seats[*index].is_some()).collect();
        let index = *taken.get(taken.len() / 2).context("nobody is there to leave")?;
        let seat = self.seats[index].as_mut().expect("the seat is taken");
        seat.is_leaving = true;
        if !seat.is_waiting {
            let request = seat.member.leave();
            self.send(index, &request)?;
        }
        Ok(())
    }

    fn is_stable(&self) -> bool {
        let mut epochs = BTreeSet::new();
        let mut held = Vec::with_capacity(self.load.partition_count as usize);
        for seat in self.seats.iter().flatten() {
            let Some((epoch, partitions)) = seat.member.held() else { return false };
            epochs.insert(epoch);
            if seat.is_leaving || partitions.is_empty() || epochs.len() > 1 {
                return false;
            }
            held.extend_from_slice(partitions);
        }
        held.sort_unstable();
        held.into_iter().eq(0..self.load.partition_count)
    }

    /// Sends what is due and takes what has come.
    fn turn(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        while let Some((_, index)) = self.due.first().filter(|(at, _)| *at <= now).copied() {
            self.due.pop_first();
            if let Some(seat) = self.seats[index].as_mut().filter(|seat| !seat.is_waiting) {
                let request = if seat.is_leaving { seat.member.leave() } else { seat.member.beat() };
                self.send(index, &request)?;
            }
        }
        let wait = self.due.first().map_or(PATIENCE, |(at, _)| at.saturating_duration_since(now));
        let timeout = Timespec::try_from(wait).expect("two minutes fit");
        let mut events = Vec::with_capacity(EVENT_LIMIT);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for sockets"),
        }
        for event in &events {
            self.receive(event.data.u64() as usize)?;
        }
        Ok(())
    }

    fn send(&mut self, index: usize, request: &[u8]) -> anyhow::Result<()> {
        let seat = self.seats[index].as_mut().expect("whoever sends has a seat");
        // No other request is on its way, so there is room for this one.
        seat.stream.write_all(request).context("send a request")?;
        seat.is_waiting = true;
        self.request_count += 1;
        Ok(())
    }

    fn receive(&mut self, index: usize) -> anyhow::Result<()> {
        let Some(seat) = self.seats[index].as_mut() else { return Ok(()) };
        let filled = seat.input.len();
        seat.input.resize(filled + READ_SIZE_BYTES, 0);
        let size_bytes = seat.stream.read(&mut seat.input[filled..]).context("receive an answer")?;
        ensure!(size_bytes > 0, "the broker has closed the connection of a member");
        seat.input.truncate(filled + size_bytes);
        let Some((prefix, rest)) = seat.input.split_first_chunk::<4>() else { return Ok(()) };
        let Some(frame) = rest.get(..u32::from_be_bytes(*prefix) as usize) else { return Ok(()) };
        let mut answer = Reader::new(frame);
        answer.i32()?; // correlation id
        let next = seat.member.answered(answer)?;
        // The answer was the only one that was due, so nothing stands behind it.
        seat.input.clear();
        seat.is_waiting = false;
        match next {
            Next::Send(request) => self.send(index, &request),
            Next::Wait(_) if seat.is_leaving => {
                let request = seat.member.leave();
                self.send(index, &request)
            }
            Next::Wait(pause) => {
                self.due.insert((Instant::now() + pause, index));
                Ok(())
            }
            Next::Left => {
                self.seats[index] = None;
                Ok(())
            }
        }
    }
}
