//! Reads partitions from offset 0 to their end over one connection, one fetch at a time, as a consumer without a
//! group does. Offsets must follow each other without a gap.

use std::time::Instant;

use anyhow::{Context, bail, ensure};

use crate::admin;
use crate::batch;
use crate::digest::Digest;
use crate::options::{Options, Totals};
use crate::wire::{Connection, HEADER_SIZE_BYTES, Reader, Request};

const FETCH: i16 = 1;
// The Java consumer's defaults.
const MAX_BYTES: i32 = 50 * 1024 * 1024;
pub const CONSUMER_LIMITS: FetchLimits = FetchLimits { max_wait_ms: 500, max_partition_bytes: 1024 * 1024 };
/// Where the session id stands in a Fetch v12: behind the header, the replica id, three limits and the isolation level.
const SESSION_AT: usize = HEADER_SIZE_BYTES + 4 * 4 + 1;
/// Below the end of a partition an answer without records is an error, but a first one may come early.
const EMPTY_ANSWER_LIMIT: u32 = 3;

/// How long a fetch waits for a first byte, and how many bytes of a partition it wants.
pub struct FetchLimits {
    pub max_wait_ms: i32,
    pub max_partition_bytes: i32,
}

pub struct Load {
    pub address: String,
    pub topic: String,
    pub partition_count: i32,
    /// Checks each batch's CRC and digests all; costs about as much CPU as receiving, so a timed run leaves it out.
    pub check_crc: bool,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            partition_count: options.value("partitions")?,
            check_crc: options.value("check-crc")?,
        })
    }
}

pub fn run(load: &Load) -> anyhow::Result<Totals> {
    let mut connection = Connection::open(&load.address)?;
    let mut totals = Totals { digest: load.check_crc.then(Digest::default), ..Totals::default() };
    for partition in 0..load.partition_count {
        let end = admin::end_offset(&mut connection, &load.topic, partition)?;
        let started = Instant::now();
        read_partition(&mut connection, load, partition, end, &mut totals)
            .with_context(|| format!("consume {}-{partition}", load.topic))?;
        totals.duration += started.elapsed();
    }
    Ok(totals)
}

fn read_partition(
    connection: &mut Connection,
    load: &Load,
    partition: i32,
    end: i64,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let (mut request, offset_at) = fetch_request(&load.topic, partition, &CONSUMER_LIMITS);
    let mut position = 0;
    let mut empty_answers = 0;
    while position < end {
        request[offset_at..offset_at + 8].copy_from_slice(&i64::to_be_bytes(position));
        let (_, mut records) = read_records(connection.call(&request)?)?;
        totals.request_count += 1;
        let before = position;
        while let Some(batch) = batch::next(&mut records) {
            let summary = batch::inspect(batch, load.check_crc)?;
            let base_offset = summary.base_offset;
            ensure!(base_offset == position, "offset {base_offset} where {position} is due");
            position += i64::from(summary.record_count);
            totals.size_bytes += batch.len() as u64;
            if let Some(digest) = &mut totals.digest {
                digest.include(partition, base_offset, summary.crc);
            }
        }
        totals.record_count += (position - before) as u64;
        empty_answers = if position == before { empty_answers + 1 } else { 0 };
        if empty_answers == EMPTY_ANSWER_LIMIT {
            bail!("no record at offset {position}, the end is {end}");
        }
    }
    Ok(())
}

/// A fetch without a session of one partition, and where its offset stands.
pub fn fetch_request(topic: &str, partition: i32, limits: &FetchLimits) -> (Vec<u8>, usize) {
    let mut request = Request::new(FETCH, 12, true);
    request.i32(-1).i32(limits.max_wait_ms).i32(1).i32(MAX_BYTES).i8(0);
    request.i32(0).i32(-1); // session id and epoch: none
    request.compact_count(1).compact_string(topic).compact_count(1).i32(partition);
    request.i32(-1); // current leader epoch: unknown
    let offset_at = request.position();
    request.i64(0).i32(-1).i64(-1).i32(limits.max_partition_bytes);
    request.no_tags().no_tags();
    request.compact_count(0).compact_string("").no_tags(); // forgotten topics, rack
    (request.finish(), offset_at)
}

/// Makes a request of `fetch_request` one of a fetch session; the id 0 and the epoch 0 ask for a new one.
pub fn set_session(request: &mut [u8], session_id: i32, epoch: i32) {
    request[SESSION_AT..SESSION_AT + 4].copy_from_slice(&session_id.to_be_bytes());
    request[SESSION_AT + 4..SESSION_AT + 8].copy_from_slice(&epoch.to_be_bytes());
}

/// The session id and the records in a Fetch v12 answer about one partition.
pub fn read_records(mut answer: Reader<'_>) -> anyhow::Result<(i32, &[u8])> {
    answer.tags()?;
    answer.i32()?; // throttle time
    let error_code = answer.i16()?;
    ensure!(error_code == 0, "error code {error_code} for the fetch");
    let session_id = answer.i32()?;
    ensure!(answer.compact_count()? == 1, "the answer is not about one topic");
    answer.compact_bytes()?;
    ensure!(answer.compact_count()? == 1, "the answer is not about one partition");
    answer.i32()?;
    let error_code = answer.i16()?;
    ensure!(error_code == 0, "error code {error_code} for the partition");
    answer.take(3 * 8)?; // high watermark, last stable offset, log start offset
    for _ in 0..answer.compact_count()? {
        answer.take(2 * 8)?; // an aborted transaction
        answer.tags()?;
    }
    answer.i32()?; // preferred read replica
    Ok((session_id, answer.compact_bytes()?))
}
