//! Writes small batches to many partitions in turn, several partitions in a request, as producers of wide topics do.
//!
//! The topics are divided over the connections, so that each partition is written in an order that is known. Apache
//! Kafka does not create ten thousand partitions in one topic, so there are several.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::admin;
use crate::append;
use crate::batch;
use crate::options::{Options, Totals};
use crate::wire::{Connection, set_correlation_id};

#[derive(Clone)]
pub struct Load {
    pub address: String,
    /// Topic i is called so with -i behind.
    pub topic: String,
    pub topic_count: u64,
    /// Of each topic.
    pub partition_count: i32,
    pub connection_count: u64,
    pub in_flight_limit: u64,
    /// Partitions in a request.
    pub width: usize,
    /// What each partition has before.
    pub first_offset: i64,
    /// How often each partition is written.
    pub turn_count: u64,
    /// Records in the batch of a partition.
    pub record_count: usize,
    pub value_size_bytes: usize,
    pub idempotent: bool,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            topic_count: options.value("topics")?,
            partition_count: options.value("partitions")?,
            connection_count: options.value("connections")?,
            in_flight_limit: options.value("in-flight")?,
            width: options.value("width")?,
            first_offset: options.value("first-offset")?,
            turn_count: options.value("turns")?,
            record_count: options.value("records")?,
            value_size_bytes: options.value("value-bytes")?,
            idempotent: options.value("idempotent")?,
        })
    }
}

/// Runs the load to its end; fails on the first answer that is not what such partitions must give.
pub fn run(load: Load) -> anyhow::Result<Totals> {
    ensure!(
        load.topic_count.is_multiple_of(load.connection_count)
            && load.partition_count.cast_unsigned().is_multiple_of(load.width as u32),
        "the topics do not divide over the connections, or their partitions over the requests"
    );
    let begin = Arc::new(Barrier::new(load.connection_count as usize + 1));
    let mut threads = Vec::new();
    for index in 0..load.connection_count {
        let mut lane = Lane::open(&load, index)?;
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
    let append_count = load.turn_count * load.topic_count * load.partition_count as u64;
    totals.request_count = append_count / load.width as u64;
    totals.record_count = append_count * load.record_count as u64;
    Ok(totals)
}

/// One connection and the requests that write each of its partitions once.
struct Lane {
    connection: Connection,
    requests: Vec<SpreadRequest>,
    batch_size_bytes: usize,
}

/// A batch for each of some partitions that follow each other.
struct SpreadRequest {
    bytes: Vec<u8>,
    batches_at: Vec<usize>,
    first_partition: i32,
    /// The offset that is due next, for each partition.
    offsets: Vec<i64>,
}

impl Lane {
    fn open(load: &Load, index: u64) -> anyhow::Result<Lane> {
        let mut connection = Connection::open(&load.address)?;
        let producer = if load.idempotent { Some(admin::init_producer_id(&mut connection)?) } else { None };
        let batch = batch::build(load.record_count, load.value_size_bytes, producer);
        let partitions: Vec<i32> = (0..load.partition_count).collect();
        let share = load.topic_count / load.connection_count;
        let mut requests = Vec::new();
        for topic_index in index * share..(index + 1) * share {
            let topic = format!("{}-{topic_index}", load.topic);
            for chunk in partitions.chunks(load.width) {
                let (bytes, batches_at) = append::request(&topic, chunk, &batch);
                let offsets = vec![load.first_offset; chunk.len()];
                requests.push(SpreadRequest { bytes, batches_at, first_partition: chunk[0], offsets });
            }
        }
        Ok(Lane { connection, requests, batch_size_bytes: batch.len() })
    }

    /// Returns the bytes of batches that were acknowledged.
    fn run(&mut self, load: &Load) -> anyhow::Result<u64> {
        let request_count = load.turn_count * self.requests.len() as u64;
        let mut sent = 0;
        for acknowledged in 0..request_count {
            while sent < request_count && sent - acknowledged < load.in_flight_limit {
                self.send(load, sent)?;
                sent += 1;
            }
            let request_index = (acknowledged % self.requests.len() as u64) as usize;
            let request = &mut self.requests[request_index];
            let answer = self.connection.receive(acknowledged as i32)?;
            append::read_answer(answer, load.width, |partition, base_offset| {
                request.acknowledge(partition, base_offset, load.record_count as i64)
            })
            .with_context(|| format!("produce request {acknowledged}"))?;
        }
        Ok(request_count * (load.width * self.batch_size_bytes) as u64)
    }

    fn send(&mut self, load: &Load, index: u64) -> anyhow::Result<()> {
        let turn = index / self.requests.len() as u64;
        let request_index = (index % self.requests.len() as u64) as usize;
        let SpreadRequest { bytes, batches_at, .. } = &mut self.requests[request_index];
        set_correlation_id(bytes, index as i32);
        if load.idempotent {
            for batch_at in batches_at {
                let batch = &mut bytes[*batch_at..*batch_at + self.batch_size_bytes];
                batch::set_sequence(batch, (turn * load.record_count as u64) as i32);
            }
        }
        self.connection.send(bytes)
    }
}

impl SpreadRequest {
    fn acknowledge(&mut self, partition: i32, base_offset: i64, record_count: i64) -> anyhow::Result<()> {
        let due = usize::try_from(partition - self.first_partition)
            .ok()
            .and_then(|index| self.offsets.get_mut(index))
            .with_context(|| format!("partition {partition} is answered, but not asked for"))?;
        ensure!(base_offset == *due, "partition {partition} got offset {base_offset} where {due} is due");
        *due += record_count;
        Ok(())
    }
}
