//! Produces the same batch again and again: one thread, connection and partition each, a fixed number in flight.
//!
//! Each request leaves with a write of its own, as stock clients send them.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::admin;
use crate::batch::{self, Shape};
use crate::options::Totals;
use crate::wire::{Connection, Reader, Request, set_correlation_id};

const PRODUCE: i16 = 0;
const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;

#[derive(Clone)]
pub struct Load {
    pub address: String,
    pub topic: String,
    pub connection_count: u64,
    /// Kafka accepts at most 5 of an idempotent producer.
    pub in_flight_limit: u64,
    /// Over all connections.
    pub request_count: u64,
    /// Of a request, which is one batch.
    pub shape: Shape,
    pub idempotent: bool,
}

/// Runs the load to its end; fails on the first answer that is not what an empty partition must give.
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
    let mut totals = Totals::default();
    for thread in threads {
        totals.size_bytes += thread.join().expect("a lane returns its errors")?;
    }
    totals.duration = started.elapsed();
    totals.request_count = load.request_count;
    totals.record_count = load.request_count * load.shape.record_count as u64;
    Ok(totals)
}

/// One connection and the partition it fills.
struct Lane {
    connection: Connection,
    request: Vec<u8>,
    batch_at: usize,
    batch_size_bytes: usize,
}

impl Lane {
    fn open(load: &Load, partition: i32) -> anyhow::Result<Lane> {
        let mut connection = Connection::open(&load.address)?;
        let producer = if load.idempotent { Some(admin::init_producer_id(&mut connection)?) } else { None };
        let records = batch::records(&load.shape)?;
        let batch = [batch::header(&load.shape, producer, &records), records].concat();
        let mut request = Request::new(PRODUCE, 9, true);
        request.null().i16(ACKS_ALL).i32(TIMEOUT_MS);
        request.compact_count(1).compact_string(&load.topic).compact_count(1).i32(partition);
        request.compact_count(batch.len());
        let batch_at = request.position();
        request.raw(&batch).no_tags().no_tags().no_tags();
        Ok(Lane { connection, request: request.finish(), batch_at, batch_size_bytes: batch.len() })
    }

    /// Returns the bytes of batches that were acknowledged.
    fn run(&mut self, load: &Load) -> anyhow::Result<u64> {
        let request_count = load.request_count / load.connection_count;
        let mut sent = 0;
        for acknowledged in 0..request_count {
            while sent < request_count && sent - acknowledged < load.in_flight_limit {
                self.send(load, sent)?;
                sent += 1;
            }
            let answer = self.connection.receive(acknowledged as i32)?;
            let base_offset =
                read_base_offset(answer).with_context(|| format!("produce request {acknowledged}"))?;
            let due = acknowledged as i64 * load.shape.record_count as i64;
            ensure!(base_offset == due, "request {acknowledged} got offset {base_offset} where {due} is due");
        }
        Ok(request_count * self.batch_size_bytes as u64)
    }

    fn send(&mut self, load: &Load, index: u64) -> anyhow::Result<()> {
        set_correlation_id(&mut self.request, index as i32);
        if load.idempotent {
            let sequence = index * load.shape.record_count as u64 % (i32::MAX as u64 + 1);
            let batch = &mut self.request[self.batch_at..self.batch_at + self.batch_size_bytes];
            batch::set_sequence(batch, sequence as i32);
        }
        self.connection.send(&self.request)
    }
}

/// The base offset in a Produce v9 answer about one partition.
fn read_base_offset(mut answer: Reader<'_>) -> anyhow::Result<i64> {
    answer.tags()?;
    ensure!(answer.compact_count()? == 1, "the answer is not about one topic");
    answer.compact_bytes()?;
    ensure!(answer.compact_count()? == 1, "the answer is not about one partition");
    answer.i32()?;
    let error_code = answer.i16()?;
    ensure!(error_code == 0, "error code {error_code}");
    answer.i64()
}
