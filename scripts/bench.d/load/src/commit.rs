//! Commits offsets of groups without members: one thread, connection, group and partition each, a fixed number in flight.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::group;
use crate::latency::Latency;
use crate::options::{Options, Totals};
use crate::wire::{Connection, Reader, Request, patch_i64, set_correlation_id};

const OFFSET_COMMIT: i16 = 8;
const OFFSET_FETCH: i16 = 9;

#[derive(Clone)]
pub struct Load {
    pub address: String,
    /// Has as many partitions as there are connections.
    pub topic: String,
    pub connection_count: u64,
    pub in_flight_limit: u64,
    /// Over all connections.
    pub request_count: u64,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            connection_count: options.value("connections")?,
            in_flight_limit: options.value("in-flight")?,
            request_count: options.value("requests")?,
        })
    }
}

/// Runs the load to its end; fails on the first commit that is refused, and if the last one is not what is fetched.
pub fn run(load: Load) -> anyhow::Result<Totals> {
    ensure!(
        load.request_count.is_multiple_of(load.connection_count),
        "requests do not divide over the connections"
    );
    let begin = Arc::new(Barrier::new(load.connection_count as usize + 1));
    let mut threads = Vec::new();
    for partition in 0..load.connection_count {
        let mut lane = Lane::open(&load, partition as i32)?;
        let (load, begin) = (load.clone(), begin.clone());
        threads.push(thread::spawn(move || {
            begin.wait();
            lane.run(&load)
        }));
    }
    begin.wait();
    let started = Instant::now();
    let mut latency = Latency::default();
    for thread in threads {
        latency.add(&thread.join().expect("a lane returns its errors")?);
    }
    Ok(Totals {
        request_count: load.request_count,
        duration: started.elapsed(),
        latency: Some(latency),
        ..Totals::default()
    })
}

/// One connection and the group it commits for.
struct Lane {
    connection: Connection,
    group: String,
    partition: i32,
    request: Vec<u8>,
    offset_at: usize,
}

impl Lane {
    fn open(load: &Load, partition: i32) -> anyhow::Result<Lane> {
        let mut connection = Connection::open(&load.address)?;
        let group = format!("{}-{partition}", load.topic);
        group::await_coordinator(&mut connection, &group)?;
        let mut request = Request::new(OFFSET_COMMIT, 7, false);
        // No generation, member or instance: a simple consumer.
        request.string(&group).i32(-1).string("").i16(-1);
        request.i32(1).string(&load.topic).i32(1).i32(partition);
        let offset_at = request.position();
        request.i64(0).i32(-1).string("");
        Ok(Lane { connection, group, partition, request: request.finish(), offset_at })
    }

    /// Returns how long each commit took, from its sending.
    fn run(&mut self, load: &Load) -> anyhow::Result<Latency> {
        let request_count = load.request_count / load.connection_count;
        let mut latency = Latency::default();
        let mut sent_at = vec![Instant::now(); load.in_flight_limit as usize];
        let mut sent = 0;
        for acknowledged in 0..request_count {
            while sent < request_count && sent - acknowledged < load.in_flight_limit {
                set_correlation_id(&mut self.request, sent as i32);
                patch_i64(&mut self.request, self.offset_at, sent as i64);
                sent_at[(sent % load.in_flight_limit) as usize] = Instant::now();
                self.connection.send(&self.request)?;
                sent += 1;
            }
            let answer = self.connection.receive(acknowledged as i32)?;
            let error_code = read_error_code(answer).with_context(|| format!("commit {acknowledged}"))?;
            ensure!(error_code == group::NONE, "commit {acknowledged}: error code {error_code}");
            latency.record(sent_at[(acknowledged % load.in_flight_limit) as usize].elapsed());
        }
        let committed = self.fetch(load)?;
        ensure!(
            committed == request_count as i64 - 1,
            "the committed offset is {committed} after {request_count} commits"
        );
        Ok(latency)
    }

    fn fetch(&mut self, load: &Load) -> anyhow::Result<i64> {
        let mut request = Request::new(OFFSET_FETCH, 5, false);
        request.string(&self.group).i32(1).string(&load.topic).i32(1).i32(self.partition);
        let mut answer = self.connection.call(&request.finish())?;
        answer.i32()?; // throttle time
        ensure!(answer.i32()? == 1, "OffsetFetch answered another number of topics than one");
        answer.string()?;
        ensure!(answer.i32()? == 1, "OffsetFetch answered another number of partitions than one");
        answer.i32()?;
        answer.i64()
    }
}

/// The error code in an OffsetCommit v7 answer about one partition.
fn read_error_code(mut answer: Reader<'_>) -> anyhow::Result<i16> {
    answer.i32()?; // throttle time
    ensure!(answer.i32()? == 1, "the answer is not about one topic");
    answer.string()?;
    ensure!(answer.i32()? == 1, "the answer is not about one partition");
    answer.i32()?;
    answer.i16()
}
