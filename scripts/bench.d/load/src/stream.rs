//! Writes numbered batches at a rate while consumers read them: a partition, a producer and a consumer for each lane.
//!
//! Three loads are made of that: `fill` writes a backlog as fast as it goes, `stream` has consumers follow the
//! producers for some time, and `drain` lets consumers read a backlog down while producers go on. The consumers check
//! every byte.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::admin;
use crate::append;
use crate::flow::{self, Pace, Source};
use crate::latency::Latency;
use crate::numbered::{self, Numbered};
use crate::options::{Options, Totals};
use crate::tail::{Read, Tail};
use crate::wire::{Connection, set_correlation_id};

/// From the opening of the connections to the first request.
const LEAD_TIME: Duration = Duration::from_millis(50);

/// When the producers stop.
#[derive(Clone, Copy)]
pub enum Until {
    /// After so many requests over all partitions; nobody consumes meanwhile.
    Written {
        request_count: u64,
    },
    Elapsed(Duration),
    /// When the consumers have read what was there at the start.
    Drained,
}

pub struct Load {
    pub address: String,
    pub topic: String,
    pub partition_count: u64,
    /// Of each producer.
    pub in_flight_limit: usize,
    /// Records in a request, which is one batch.
    pub record_count: usize,
    pub value_size_bytes: usize,
    /// Over all partitions; 0 is as fast as the answers come.
    pub bytes_per_second: f64,
    pub until: Until,
    /// How long the windows are whose bytes are counted apart.
    pub window: Duration,
}

impl Load {
    /// `command` is the load's name: fill, stream or drain.
    pub fn parse(command: &str, options: &Options) -> anyhow::Result<Load> {
        let megabytes_per_second: f64 = options.value_or("rate-mb", 0.0)?;
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            partition_count: options.value("partitions")?,
            in_flight_limit: options.value("in-flight")?,
            record_count: options.value("records")?,
            value_size_bytes: options.value("value-bytes")?,
            bytes_per_second: megabytes_per_second * 1e6,
            until: match command {
                "fill" => Until::Written { request_count: options.value("requests")? },
                "stream" => Until::Elapsed(Duration::from_secs_f64(options.value("seconds")?)),
                _ => Until::Drained,
            },
            window: Duration::from_secs_f64(options.value_or("window-seconds", 60.0)?),
        })
    }
}

/// What was done.
pub struct Done {
    produced: Totals,
    consumed: Read,
    /// What the partitions held before, and when the last consumer had read it.
    backlog_record_count: u64,
    drain_duration: Duration,
    /// Acknowledged bytes in each window that was whole.
    windows: Vec<u64>,
    /// Where the partitions begin at the end, summed up: the records that retention has deleted.
    deleted_record_count: u64,
    latency: Latency,
}

impl fmt::Display for Done {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { request_count, record_count, size_bytes, duration, .. } = &self.produced;
        write!(out, r#"{{"requests": {request_count}, "records": {record_count}, "bytes": {size_bytes}, "#)?;
        write!(out, r#""seconds": {:.6}, "#, duration.as_secs_f64())?;
        write!(out, r#""consumed_records": {}, "#, self.consumed.record_count)?;
        write!(out, r#""consumed_bytes": {}, "#, self.consumed.size_bytes)?;
        write!(out, r#""backlog_records": {}, "#, self.backlog_record_count)?;
        write!(out, r#""drain_seconds": {:.6}, "#, self.drain_duration.as_secs_f64())?;
        write!(out, r#""deleted_records": {}, "#, self.deleted_record_count)?;
        write!(out, r#""window_bytes": {:?}, "latency_us": {}}}"#, self.windows, self.latency)
    }
}

/// What the threads of a run share.
struct Run<'a> {
    load: &'a Load,
    numbered: Numbered,
    begin: Instant,
    stopping: AtomicBool,
    /// Consumers that have not read the backlog yet.
    draining: AtomicU64,
}

/// Runs the load to its end; fails on the first answer or record that is not what it must be.
pub fn run(load: &Load) -> anyhow::Result<Done> {
    let lanes: Vec<Lane> = (0..load.partition_count)
        .map(|partition| Lane::open(load, partition as i32))
        .collect::<anyhow::Result<_>>()?;
    let backlog_record_count = lanes.iter().map(|lane| lane.first_offset as u64).sum();
    let run = Run {
        load,
        numbered: Numbered::new(load.record_count, load.value_size_bytes)?,
        begin: Instant::now() + LEAD_TIME,
        stopping: AtomicBool::new(false),
        draining: AtomicU64::new(load.partition_count),
    };
    let ends = thread::scope(|scope| {
        let threads: Vec<_> = lanes.into_iter().map(|lane| scope.spawn(|| lane.run(&run))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a lane returns its errors"))
            .collect::<Vec<_>>()
    });
    let ends = ends.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    sum_up(&run, ends, backlog_record_count)
}

fn sum_up(run: &Run<'_>, ends: Vec<LaneEnd>, backlog_record_count: u64) -> anyhow::Result<Done> {
    let mut connection = Connection::open(&run.load.address)?;
    let mut done = Done {
        produced: Totals::default(),
        consumed: Read::default(),
        backlog_record_count,
        drain_duration: Duration::ZERO,
        windows: Vec::new(),
        deleted_record_count: 0,
        latency: Latency::default(),
    };
    for (partition, end) in ends.iter().enumerate() {
        done.produced.request_count += end.request_count;
        done.produced.duration = done.produced.duration.max(end.produce_duration);
        done.consumed.record_count += end.consumed.record_count;
        done.consumed.size_bytes += end.consumed.size_bytes;
        done.drain_duration = done.drain_duration.max(end.drain_duration);
        done.latency.add(&end.latency);
        let start = admin::start_offset(&mut connection, &run.load.topic, partition as i32)?;
        done.deleted_record_count += start as u64;
    }
    done.produced.record_count = done.produced.request_count * run.load.record_count as u64;
    done.produced.size_bytes = done.produced.request_count * run.numbered.template().len() as u64;
    let whole_windows = done.produced.duration.div_duration_f64(run.load.window) as usize;
    done.windows = (0..whole_windows)
        .map(|window| ends.iter().map(|end| end.window_bytes.get(window).copied().unwrap_or(0)).sum())
        .collect();
    Ok(done)
}

/// One partition, who writes it and who reads it.
struct Lane {
    producer: Connection,
    consumer: Connection,
    partition: i32,
    /// The end of the partition before the run.
    first_offset: i64,
}

/// What a lane did.
struct LaneEnd {
    request_count: u64,
    produce_duration: Duration,
    drain_duration: Duration,
    consumed: Read,
    window_bytes: Vec<u64>,
    latency: Latency,
}

impl Lane {
    fn open(load: &Load, partition: i32) -> anyhow::Result<Lane> {
        let mut producer = Connection::open(&load.address)?;
        let consumer = Connection::open(&load.address)?;
        let first_offset = admin::end_offset(&mut producer, &load.topic, partition)?;
        Ok(Lane { producer, consumer, partition, first_offset })
    }

    fn run(self, run: &Run<'_>) -> anyhow::Result<LaneEnd> {
        let Lane { producer, consumer, partition, first_offset } = self;
        let end = AtomicI64::new(i64::MAX);
        thread::scope(|scope| {
            let tail = Tail {
                connection: consumer,
                topic: &run.load.topic,
                partition,
                numbered: &run.numbered,
                end: &end,
            };
            let consuming = match run.load.until {
                Until::Written { .. } => None,
                Until::Elapsed(_) | Until::Drained => Some(scope.spawn(|| consume(run, tail, first_offset))),
            };
            let produced = produce(run, producer, partition, first_offset);
            // After an error nothing more comes that a consumer could wait for.
            let last = produced
                .as_ref()
                .map_or(0, |produced| first_offset + run.numbered.base_offset(produced.request_count));
            end.store(last, Ordering::Release);
            run.stop_after(&produced);
            let consumed = consuming.map(|thread| thread.join().expect("a consumer returns its errors"));
            let mut lane_end = produced.with_context(|| format!("produce to partition {partition}"))?;
            if let Some(consumed) = consumed {
                (lane_end.consumed, lane_end.drain_duration) =
                    consumed.with_context(|| format!("consume partition {partition}"))?;
                let read_count = lane_end.consumed.record_count;
                ensure!(
                    read_count == last as u64,
                    "{read_count} records of partition {partition} read, {last} are due"
                );
            }
            Ok(lane_end)
        })
    }
}

impl Run<'_> {
    /// One lane that fails ends all of them.
    fn stop_after<T>(&self, result: &anyhow::Result<T>) {
        if result.is_err() {
            self.stopping.store(true, Ordering::Relaxed);
        }
    }
}

/// Reads the partition to its end; returns when it had read up to `backlog_end`, too.
fn consume(run: &Run<'_>, mut tail: Tail<'_>, backlog_end: i64) -> anyhow::Result<(Read, Duration)> {
    thread::sleep(run.begin.saturating_duration_since(Instant::now()));
    let mut drain_duration = None;
    let read = tail.run(|position| {
        if position >= backlog_end && drain_duration.is_none() {
            drain_duration = Some(run.begin.elapsed());
            let last = run.draining.fetch_sub(1, Ordering::Relaxed) == 1;
            if last && matches!(run.load.until, Until::Drained) {
                run.stopping.store(true, Ordering::Relaxed);
            }
        }
    });
    run.stop_after(&read);
    Ok((read?, drain_duration.unwrap_or_default()))
}

fn produce(
    run: &Run<'_>,
    connection: Connection,
    partition: i32,
    first_offset: i64,
) -> anyhow::Result<LaneEnd> {
    let load = run.load;
    let first_number = run.numbered.number(first_offset)?;
    let interval = if load.bytes_per_second > 0.0 {
        let lane_bytes_per_second = load.bytes_per_second / load.partition_count as f64;
        Duration::from_secs_f64(run.numbered.template().len() as f64 / lane_bytes_per_second)
    } else {
        Duration::ZERO
    };
    // Spread over the interval, the lanes do not send all at the same moment.
    let begin = run.begin + interval.mul_f64(f64::from(partition) / load.partition_count as f64);
    let pace = Pace { begin, interval, in_flight_limit: load.in_flight_limit };
    let mut requests = Requests::new(run, partition, first_number);
    let mut request_count = 0;
    let mut window_bytes = Vec::new();
    let latency = flow::run(connection, &pace, &mut requests, |index, answer| {
        append::read_answer(answer, 1, |_, base_offset| {
            let due = run.numbered.base_offset(first_number + index);
            ensure!(base_offset == due, "offset {base_offset} where {due} is due");
            Ok(())
        })?;
        request_count += 1;
        let window = run.begin.elapsed().div_duration_f64(load.window) as usize;
        window_bytes.resize(window_bytes.len().max(window + 1), 0);
        window_bytes[window] += run.numbered.template().len() as u64;
        Ok(())
    })?;
    Ok(LaneEnd {
        request_count,
        produce_duration: run.begin.elapsed(),
        drain_duration: Duration::ZERO,
        consumed: Read::default(),
        window_bytes,
        latency,
    })
}

/// The requests of one producer: one buffer, stamped with the next number each time.
struct Requests<'a> {
    run: &'a Run<'a>,
    partition: i32,
    first_number: u64,
    request: Vec<u8>,
    batch_at: usize,
}

impl<'a> Requests<'a> {
    fn new(run: &'a Run<'a>, partition: i32, first_number: u64) -> Requests<'a> {
        let (request, batches_at) = append::request(&run.load.topic, &[partition], run.numbered.template());
        Requests { run, partition, first_number, request, batch_at: batches_at[0] }
    }

    fn ends(&self, index: u64) -> bool {
        if self.run.stopping.load(Ordering::Relaxed) {
            return true;
        }
        match self.run.load.until {
            Until::Written { request_count } => index >= request_count / self.run.load.partition_count,
            Until::Elapsed(duration) => self.run.begin.elapsed() >= duration,
            Until::Drained => false,
        }
    }
}

impl Source for Requests<'_> {
    fn next(&mut self, index: u64) -> Option<&[u8]> {
        if self.ends(index) {
            return None;
        }
        set_correlation_id(&mut self.request, index as i32);
        let batch_end = self.batch_at + self.run.numbered.template().len();
        let batch = &mut self.request[self.batch_at..batch_end];
        numbered::stamp(batch, self.partition, self.first_number + index);
        Some(&self.request)
    }
}
