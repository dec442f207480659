//! Clients of brokers before 0.11: message sets of format 0 or 1 are produced (Produce v0, v2) and read (Fetch v1, v3)
//! over one connection. A broker that stores batches of format 2 converts both ways.

use std::time::Instant;

use anyhow::{Context, bail, ensure};

use crate::admin;
use crate::codec::Codec;
use crate::message_set::{self, Shape};
use crate::options::{Options, Totals};
use crate::wire::{Connection, Reader, Request, patch_i64, set_correlation_id};

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;
const MAX_WAIT_MS: i32 = 500;
// The defaults of the consumers that knew these versions.
const MAX_BYTES: i32 = 50 * 1024 * 1024;
const MAX_PARTITION_BYTES: i32 = 1024 * 1024;
const EMPTY_ANSWER_LIMIT: u32 = 3;

pub struct Produce {
    pub address: String,
    /// Has one partition, which is empty.
    pub topic: String,
    /// 0 or 1.
    pub format: u8,
    pub codec: Codec,
    pub in_flight_limit: u64,
    pub request_count: u64,
    /// Messages in a request.
    pub message_count: usize,
    pub value_size_bytes: usize,
}

impl Produce {
    pub fn parse(options: &Options) -> anyhow::Result<Produce> {
        Ok(Produce {
            address: options.text("address")?,
            topic: options.text("topic")?,
            format: options.value("format")?,
            codec: options.value("codec")?,
            in_flight_limit: options.value("in-flight")?,
            request_count: options.value("requests")?,
            message_count: options.value("records")?,
            value_size_bytes: options.value("value-bytes")?,
        })
    }
}

/// Produces the same set again and again; fails on the first answer that is not what an empty partition must give.
pub fn produce(load: &Produce) -> anyhow::Result<Totals> {
    let mut connection = Connection::open(&load.address)?;
    let set = message_set::build(&Shape {
        format: load.format,
        message_count: load.message_count,
        value_size_bytes: load.value_size_bytes,
        codec: load.codec,
    })?;
    let mut request = Request::new(PRODUCE, if load.format == 0 { 0 } else { 2 }, false);
    request.i16(ACKS_ALL).i32(TIMEOUT_MS).i32(1).string(&load.topic).i32(1).i32(0).bytes(&set);
    let mut request = request.finish();
    let started = Instant::now();
    let mut sent = 0;
    for acknowledged in 0..load.request_count {
        while sent < load.request_count && sent - acknowledged < load.in_flight_limit {
            set_correlation_id(&mut request, sent as i32);
            connection.send(&request)?;
            sent += 1;
        }
        let answer = connection.receive(acknowledged as i32)?;
        let base_offset =
            read_base_offset(answer).with_context(|| format!("produce request {acknowledged}"))?;
        let due = acknowledged as i64 * load.message_count as i64;
        ensure!(base_offset == due, "request {acknowledged} got offset {base_offset} where {due} is due");
    }
    Ok(Totals {
        request_count: load.request_count,
        record_count: load.request_count * load.message_count as u64,
        size_bytes: load.request_count * set.len() as u64,
        duration: started.elapsed(),
        ..Totals::default()
    })
}

/// The base offset in a Produce answer of versions 0 to 2 about one partition.
fn read_base_offset(mut answer: Reader<'_>) -> anyhow::Result<i64> {
    ensure!(answer.i32()? == 1, "the answer is not about one topic");
    answer.string()?;
    ensure!(answer.i32()? == 1, "the answer is not about one partition");
    answer.i32()?;
    let error_code = answer.i16()?;
    ensure!(error_code == 0, "error code {error_code}");
    answer.i64()
}

pub struct Consume {
    pub address: String,
    pub topic: String,
    /// 0 or 1.
    pub format: u8,
    /// Opens every message and counts those within; costs more CPU than receiving, so a timed run leaves it out.
    pub check: bool,
}

impl Consume {
    pub fn parse(options: &Options) -> anyhow::Result<Consume> {
        Ok(Consume {
            address: options.text("address")?,
            topic: options.text("topic")?,
            format: options.value("format")?,
            check: options.value("check")?,
        })
    }
}

/// Reads partition 0 from its start to its end. Records are counted by their offsets, and one by one under `check`.
pub fn consume(load: &Consume) -> anyhow::Result<Totals> {
    let mut connection = Connection::open(&load.address)?;
    let end = admin::end_offset(&mut connection, &load.topic, 0)?;
    let (mut request, offset_at) = fetch_request(load);
    let mut totals = Totals::default();
    let started = Instant::now();
    let (mut position, mut checked_count, mut empty_answers) = (0, 0, 0);
    while position < end {
        patch_i64(&mut request, offset_at, position);
        let mut set = read_messages(connection.call(&request)?)?;
        totals.request_count += 1;
        let before = position;
        while let Some(message) = message_set::next(&mut set) {
            ensure!(message.offset >= position, "offset {} where {position} is due", message.offset);
            position = message.offset + 1;
            totals.size_bytes += message.size_bytes as u64;
            if load.check {
                checked_count += message.check(load.format)?;
                ensure!(
                    checked_count == position as u64,
                    "{checked_count} messages before offset {position}"
                );
            }
        }
        empty_answers = if position == before { empty_answers + 1 } else { 0 };
        if empty_answers == EMPTY_ANSWER_LIMIT {
            bail!("no message at offset {position}, the end is {end}");
        }
    }
    totals.record_count = position as u64;
    totals.duration = started.elapsed();
    Ok(totals)
}

/// A fetch of partition 0, and where its offset stands.
fn fetch_request(load: &Consume) -> (Vec<u8>, usize) {
    let mut request = Request::new(FETCH, if load.format == 0 { 1 } else { 3 }, false);
    request.i32(-1).i32(MAX_WAIT_MS).i32(1);
    if load.format == 1 {
        request.i32(MAX_BYTES);
    }
    request.i32(1).string(&load.topic).i32(1).i32(0);
    let offset_at = request.position();
    request.i64(0).i32(MAX_PARTITION_BYTES);
    (request.finish(), offset_at)
}

/// The messages in a Fetch answer of versions 1 to 3 about one partition.
fn read_messages(mut answer: Reader<'_>) -> anyhow::Result<&[u8]> {
    answer.i32()?; // throttle time
    ensure!(answer.i32()? == 1, "the answer is not about one topic");
    answer.string()?;
    ensure!(answer.i32()? == 1, "the answer is not about one partition");
    answer.i32()?;
    let error_code = answer.i16()?;
    ensure!(error_code == 0, "error code {error_code} for the partition");
    answer.i64()?; // high watermark
    answer.bytes()
}
