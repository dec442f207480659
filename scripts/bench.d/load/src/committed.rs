//! Reads partitions to their end with isolation level read_committed, as a consumer of transactions does.
//!
//! Every batch of records must be there once, in whole, behind the offsets before it; nothing may be aborted, and the
//! last stable offset must be the end of the partition: no transaction is open.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use crate::admin;
use crate::batch;
use crate::options::{Options, Totals};
use crate::wire::{Connection, Reader, Request};

const FETCH: i16 = 1;
const MAX_BYTES: i32 = 50 * 1024 * 1024;
const MAX_PARTITION_BYTES: i32 = 1024 * 1024;
const MAX_WAIT_MS: i32 = 500;
const READ_COMMITTED: i8 = 1;
const EMPTY_ANSWER_LIMIT: u32 = 3;

pub struct Load {
    pub address: String,
    pub topic: String,
    pub partition_count: i32,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            partition_count: options.value("partitions")?,
        })
    }
}

/// Counts requests, records (without markers) and the bytes of their batches.
pub fn run(load: &Load) -> anyhow::Result<Totals> {
    let mut connection = Connection::open(&load.address)?;
    let mut totals = Totals::default();
    let started = Instant::now();
    for partition in 0..load.partition_count {
        read_partition(&mut connection, load, partition, &mut totals)
            .with_context(|| format!("read what was committed to {}-{partition}", load.topic))?;
    }
    totals.duration = started.elapsed();
    Ok(totals)
}

fn read_partition(
    connection: &mut Connection,
    load: &Load,
    partition: i32,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let end = admin::end_offset(connection, &load.topic, partition)?;
    let mut seen = HashSet::new();
    let mut position = 0;
    let mut empty_answers = 0;
    while position < end {
        let answer = connection.call(&fetch_request(&load.topic, partition, position))?;
        let (last_stable_offset, mut records) = read_answer(answer)?;
        ensure!(last_stable_offset == end, "the last stable offset is {last_stable_offset}, the end {end}");
        totals.request_count += 1;
        let before = position;
        while let Some(batch) = batch::next(&mut records) {
            let summary = batch::inspect(batch, true)?;
            ensure!(
                summary.base_offset == position,
                "offset {} where {position} is due",
                summary.base_offset
            );
            position += i64::from(summary.record_count);
            if batch::is_control(batch) {
                continue;
            }
            ensure!(
                seen.insert(batch::written_by(batch)),
                "the batch before offset {position} is there twice"
            );
            totals.record_count += summary.record_count as u64;
            totals.size_bytes += batch.len() as u64;
        }
        empty_answers = if position == before { empty_answers + 1 } else { 0 };
        if empty_answers == EMPTY_ANSWER_LIMIT {
            bail!("no record at offset {position}, the end is {end}");
        }
    }
    Ok(())
}

fn fetch_request(topic: &str, partition: i32, offset: i64) -> Vec<u8> {
    let mut request = Request::new(FETCH, 12, true);
    request.i32(-1).i32(MAX_WAIT_MS).i32(1).i32(MAX_BYTES).i8(READ_COMMITTED);
    request.i32(0).i32(-1); // session id and epoch: none
    request.compact_count(1).compact_string(topic).compact_count(1).i32(partition);
    request.i32(-1).i64(offset).i32(-1).i64(-1).i32(MAX_PARTITION_BYTES); // no epochs, no log start offset
    request.no_tags().no_tags();
    request.compact_count(0).compact_string("").no_tags(); // forgotten topics, rack
    request.finish()
}

/// The last stable offset and the records in a Fetch v12 answer about one partition.
fn read_answer(mut answer: Reader<'_>) -> anyhow::Result<(i64, &[u8])> {
    answer.tags()?;
    answer.i32()?; // throttle time
    let error_code = answer.i16()?;
    ensure!(error_code == 0, "error code {error_code} for the fetch");
    answer.i32()?; // session id
    ensure!(answer.compact_count()? == 1, "the answer is not about one topic");
    answer.compact_bytes()?;
    ensure!(answer.compact_count()? == 1, "the answer is not about one partition");
    answer.i32()?;
    let error_code = answer.i16()?;
    ensure!(error_code == 0, "error code {error_code} for the partition");
    answer.i64()?; // high watermark
    let last_stable_offset = answer.i64()?;
    answer.i64()?; // log start offset
    ensure!(answer.compact_count()? == 0, "an aborted transaction where all were committed");
    answer.i32()?; // preferred read replica
    Ok((last_stable_offset, answer.compact_bytes()?))
}
