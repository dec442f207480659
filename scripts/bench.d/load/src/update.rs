//! Updates the keys of a compacted topic at a rate, waits for the cleaner, and checks what is left.
//!
//! A load and its check are two commands, so that what the check costs the broker is not counted. The check repeats
//! the sequence of the updates to know the newest version of each key.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::admin;
use crate::append;
use crate::batch;
use crate::consume::{CONSUMER_LIMITS, fetch_request, read_records};
use crate::flow::{self, Pace, Source};
use crate::keyed::{self, Layout, Update, Updates};
use crate::latency::Latency;
use crate::options::{Options, Totals};
use crate::wire::{Connection, patch_i64, set_correlation_id};

/// From the opening of the connections to the first request.
const LEAD_TIME: Duration = Duration::from_millis(50);
/// Several times the cleaner's back-off of 15 s, which is the default.
const CLEAN_LIMIT: Duration = Duration::from_secs(120);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What both commands must be told alike.
#[derive(Clone)]
pub struct Load {
    pub address: String,
    pub topic: String,
    pub partition_count: u64,
    /// Over all partitions.
    pub key_count: u64,
    /// Over all partitions.
    pub request_count: u64,
    /// Records in a request, which is one batch.
    pub record_count: usize,
    pub value_size_bytes: usize,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            partition_count: options.value("partitions")?,
            key_count: options.value("keys")?,
            request_count: options.value("requests")?,
            record_count: options.value("records")?,
            value_size_bytes: options.value("value-bytes")?,
        })
    }

    fn updates(&self, partition: i32) -> Updates {
        Updates::new(partition, self.key_count / self.partition_count)
    }

    fn lane_request_count(&self) -> u64 {
        self.request_count / self.partition_count
    }
}

pub struct Speed {
    pub in_flight_limit: usize,
    /// Over all partitions; 0 is as fast as the answers come.
    pub bytes_per_second: f64,
    /// The log must become that small.
    pub log_limit_bytes: u64,
}

impl Speed {
    pub fn parse(options: &Options) -> anyhow::Result<Speed> {
        let megabytes_per_second: f64 = options.value_or("rate-mb", 0.0)?;
        Ok(Speed {
            in_flight_limit: options.value("in-flight")?,
            bytes_per_second: megabytes_per_second * 1e6,
            log_limit_bytes: options.value("limit-bytes")?,
        })
    }
}

pub struct Done {
    produced: Totals,
    /// When the last update was acknowledged.
    log_size_bytes: u64,
    /// From there until the log was small enough, and its size then.
    clean_duration: Duration,
    cleaned_size_bytes: u64,
    latency: Latency,
}

impl fmt::Display for Done {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { request_count, record_count, size_bytes, duration, .. } = &self.produced;
        write!(out, r#"{{"requests": {request_count}, "records": {record_count}, "bytes": {size_bytes}, "#)?;
        write!(out, r#""seconds": {:.6}, "#, duration.as_secs_f64())?;
        write!(out, r#""log_bytes": {}, "#, self.log_size_bytes)?;
        write!(out, r#""clean_seconds": {:.6}, "#, self.clean_duration.as_secs_f64())?;
        write!(out, r#""cleaned_bytes": {}, "latency_us": {}}}"#, self.cleaned_size_bytes, self.latency)
    }
}

/// Writes all updates and waits for the cleaner; fails on the first answer that is not what an empty partition must
/// give, and if the cleaner does not come.
pub fn run(load: &Load, speed: &Speed) -> anyhow::Result<Done> {
    ensure!(
        load.request_count.is_multiple_of(load.partition_count)
            && load.key_count.is_multiple_of(load.partition_count),
        "requests and keys do not divide over the partitions"
    );
    let layout = Layout::new(load.record_count, load.value_size_bytes)?;
    let begin = Instant::now() + LEAD_TIME;
    let latencies = thread::scope(|scope| {
        let write = |partition| write_partition(load, speed, &layout, partition, begin);
        let threads: Vec<_> =
            (0..load.partition_count as i32).map(|partition| scope.spawn(move || write(partition))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a lane returns its errors"))
            .collect::<Vec<_>>()
    });
    let produced = Totals {
        request_count: load.request_count,
        record_count: load.request_count * load.record_count as u64,
        size_bytes: load.request_count * layout.template.len() as u64,
        duration: begin.elapsed(),
        ..Totals::default()
    };
    let mut latency = Latency::default();
    for lane in latencies {
        latency.add(&lane?);
    }
    let mut connection = Connection::open(&load.address)?;
    let log_size_bytes = admin::log_size_bytes(&mut connection, &load.topic, load.partition_count as i32)?;
    let (clean_duration, cleaned_size_bytes) = await_cleaner(&mut connection, load, speed.log_limit_bytes)?;
    Ok(Done { produced, log_size_bytes, clean_duration, cleaned_size_bytes, latency })
}

fn write_partition(
    load: &Load,
    speed: &Speed,
    layout: &Layout,
    partition: i32,
    begin: Instant,
) -> anyhow::Result<Latency> {
    let interval = if speed.bytes_per_second > 0.0 {
        let lane_bytes_per_second = speed.bytes_per_second / load.partition_count as f64;
        Duration::from_secs_f64(layout.template.len() as f64 / lane_bytes_per_second)
    } else {
        Duration::ZERO
    };
    // Spread over the interval, the lanes do not send all at the same moment.
    let begin = begin + interval.mul_f64(f64::from(partition) / load.partition_count as f64);
    let pace = Pace { begin, interval, in_flight_limit: speed.in_flight_limit };
    let (request, batches_at) = append::request(&load.topic, &[partition], &layout.template);
    let mut requests =
        Requests { load, layout, updates: load.updates(partition), request, batch_at: batches_at[0] };
    let connection = Connection::open(&load.address)?;
    flow::run(connection, &pace, &mut requests, |index, answer| {
        append::read_answer(answer, 1, |_, base_offset| {
            let due = (index * load.record_count as u64) as i64;
            ensure!(base_offset == due, "offset {base_offset} where {due} is due");
            Ok(())
        })
    })
    .with_context(|| format!("update partition {partition}"))
}

/// Waits until the log is small enough; returns how long that took, and its size.
fn await_cleaner(
    connection: &mut Connection,
    load: &Load,
    limit_bytes: u64,
) -> anyhow::Result<(Duration, u64)> {
    let began = Instant::now();
    loop {
        let size_bytes = admin::log_size_bytes(connection, &load.topic, load.partition_count as i32)?;
        if size_bytes <= limit_bytes {
            return Ok((began.elapsed(), size_bytes));
        }
        ensure!(
            began.elapsed() < CLEAN_LIMIT,
            "the log still has {size_bytes} bytes after {CLEAN_LIMIT:?}, not {limit_bytes}"
        );
        thread::sleep(LOOK_INTERVAL);
    }
}

/// The requests of one producer: one buffer, filled with the next updates each time.
struct Requests<'a> {
    load: &'a Load,
    layout: &'a Layout,
    updates: Updates,
    request: Vec<u8>,
    batch_at: usize,
}

impl Source for Requests<'_> {
    fn next(&mut self, index: u64) -> Option<&[u8]> {
        if index == self.load.lane_request_count() {
            return None;
        }
        set_correlation_id(&mut self.request, index as i32);
        let batch_end = self.batch_at + self.layout.template.len();
        self.layout.fill(&mut self.request[self.batch_at..batch_end], &mut self.updates);
        Some(&self.request)
    }
}

/// Reads the whole topic; fails unless the last record of each key that was written has its newest version.
pub fn check(load: &Load) -> anyhow::Result<Totals> {
    let mut connection = Connection::open(&load.address)?;
    let started = Instant::now();
    let mut totals = Totals::default();
    for partition in 0..load.partition_count as i32 {
        check_partition(&mut connection, load, partition, &mut totals)
            .with_context(|| format!("read {}-{partition}", load.topic))?;
    }
    totals.duration = started.elapsed();
    Ok(totals)
}

fn check_partition(
    connection: &mut Connection,
    load: &Load,
    partition: i32,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let due = newest(load, partition);
    let mut found = vec![0; due.len()];
    let end = admin::end_offset(connection, &load.topic, partition)?;
    let written = (load.lane_request_count() * load.record_count as u64) as i64;
    ensure!(end == written, "the partition ends at {end} where {written} is due");
    let (mut request, offset_at) = fetch_request(&load.topic, partition, &CONSUMER_LIMITS);
    let mut position = 0;
    while position < end {
        patch_i64(&mut request, offset_at, position);
        let (_, mut records) = read_records(connection.call(&request)?)?;
        totals.request_count += 1;
        let before = position;
        while let Some(batch) = batch::next(&mut records) {
            let summary = batch::inspect(batch, false)?;
            let base_offset = summary.base_offset;
            ensure!(base_offset >= position, "offset {base_offset} behind {position}");
            position = summary.next_offset;
            totals.size_bytes += batch.len() as u64;
            totals.record_count += summary.record_count as u64;
            keyed::read(batch, load.value_size_bytes, |Update { key, version }| {
                // The record with the highest offset counts.
                *found.get_mut(key as usize).with_context(|| format!("key {key} was never written"))? =
                    version;
                Ok(())
            })?;
        }
        ensure!(position > before, "no record at offset {position}, the end is {end}");
    }
    for (key, (found, due)) in found.iter().zip(&due).enumerate() {
        ensure!(found == due, "key {key} has version {found} last, {due} was written last");
    }
    Ok(())
}

/// The version each key must have in the end; 0 of one that was never written.
fn newest(load: &Load, partition: i32) -> Vec<u64> {
    let mut updates = load.updates(partition);
    let mut versions = vec![0; (load.key_count / load.partition_count) as usize];
    for _ in 0..load.lane_request_count() * load.record_count as u64 {
        let Update { key, version } = updates.next();
        versions[key as usize] = version;
    }
    versions
}
