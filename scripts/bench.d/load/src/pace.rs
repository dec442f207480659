//! A steady trickle: one record in each request, at a rate, with a consumer that waits at the end of the partition.
//!
//! Both latencies count from the time a record was scheduled for: until it is acknowledged, and until the consumer has
//! it. The producer is idempotent, as stock clients are, and its sequence numbers tell the records apart.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::batch::{self, Shape};
use crate::codec::Codec;
use crate::consume::{FetchLimits, fetch_request, read_records};
use crate::digest::Digest;
use crate::lane::{self, Lane, Plan, Seen};
use crate::options::{Options, Totals};
use crate::reactor;
use crate::schedule::Schedule;
use crate::wire::{Connection, patch_i64};

const PARTITION: i32 = 0;
/// The most that Kafka accepts of an idempotent producer, and what stock clients allow.
const IN_FLIGHT_LIMIT: u64 = 5;
// The Java consumer's defaults.
const CONSUMER_LIMITS: FetchLimits = FetchLimits { max_wait_ms: 500, max_partition_bytes: 1024 * 1024 };
/// Half a minute of them without a record.
const EMPTY_ANSWER_LIMIT: u32 = 60;
/// From the last preparation to the first record: by then the consumer's first fetch waits.
const LEAD: Duration = Duration::from_millis(100);

pub struct Load {
    pub address: String,
    /// Has one partition, which is empty.
    pub topic: String,
    pub records_per_second: f64,
    pub duration: Duration,
    pub value_size_bytes: usize,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            records_per_second: options.value("rate")?,
            duration: Duration::from_secs_f64(options.value("seconds")?),
            value_size_bytes: options.value("value-bytes")?,
        })
    }
}

/// Runs for the duration, and until everything is acknowledged and consumed; fails unless every record arrives once and in
/// order, as it was sent.
pub fn run(load: Load) -> anyhow::Result<Totals> {
    let record_count = (load.records_per_second * load.duration.as_secs_f64()).round() as u64;
    let connection = Connection::open(&load.address)?;
    let topic = load.topic.clone();
    let plan = Plan {
        address: load.address,
        topic: load.topic,
        shape: Shape { record_count: 1, value_size_bytes: load.value_size_bytes, codec: Codec::None },
        request_count: record_count,
        in_flight_limit: IN_FLIGHT_LIMIT,
        idempotent: true,
        lane_count: 1,
        partition_count: 1,
    };
    let mut lanes = lane::open_all(&Arc::new(plan))?;
    let start = Instant::now() + LEAD;
    let schedule = Schedule::new(start, load.records_per_second);
    let consumer = thread::spawn(move || consume(connection, &topic, record_count, &schedule));
    let mut seen = Seen::default();
    let late = reactor::run(&mut lanes, Some(&schedule), &mut seen).context("produce")?;
    let consumed = consumer.join().expect("the consumer returns its errors").context("consume")?;
    ensure!(
        consumed.digest == seen.digest,
        "consumed {}, where {} was acknowledged",
        consumed.digest,
        seen.digest
    );
    Ok(Totals {
        request_count: record_count,
        record_count,
        size_bytes: lanes.iter().map(Lane::acknowledged_bytes).sum(),
        duration: start.elapsed(),
        latency: Some(seen.latency),
        end_to_end: Some(consumed.latency),
        late,
        digest: Some(seen.digest),
    })
}

/// Reads from offset 0 as records come. The batch at offset k must be the producer's k-th, and of one record.
fn consume(
    mut connection: Connection,
    topic: &str,
    record_count: u64,
    schedule: &Schedule,
) -> anyhow::Result<Seen> {
    let (mut request, offset_at) = fetch_request(topic, PARTITION, &CONSUMER_LIMITS);
    let mut seen = Seen::default();
    let mut position = 0;
    let mut empty_answers = 0;
    while position < record_count {
        patch_i64(&mut request, offset_at, position as i64);
        let (_, mut records) = read_records(connection.call(&request)?)?;
        let now = Instant::now();
        empty_answers = if records.is_empty() { empty_answers + 1 } else { 0 };
        ensure!(empty_answers < EMPTY_ANSWER_LIMIT, "no record at offset {position}");
        while let Some(batch) = batch::next(&mut records) {
            take(batch, position, &mut seen.digest)?;
            seen.latency.record(now.saturating_duration_since(schedule.due(position)));
            position += 1;
        }
    }
    Ok(seen)
}

fn take(batch: &[u8], position: u64, digest: &mut Digest) -> anyhow::Result<()> {
    let summary = batch::inspect(batch, true)?;
    let found = (summary.base_offset, summary.record_count, batch::sequence(batch));
    let due = (position as i64, 1, position as i32);
    ensure!(found == due, "offset, records and sequence of a batch are {found:?} where {due:?} are due");
    digest.include(PARTITION, summary.base_offset, summary.crc);
    Ok(())
}
