//! The requests around a run: create a topic and wait until it serves, find a partition's ends, size its log, get a
//! producer id.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::batch::Producer;
use crate::options::Options;
use crate::wire::{Connection, Request};

const LIST_OFFSETS: i16 = 2;
const FIND_COORDINATOR: i16 = 10;
const CREATE_TOPICS: i16 = 19;
const INIT_PRODUCER_ID: i16 = 22;
const TRANSACTION_COORDINATOR: i8 = 1;
const DESCRIBE_LOG_DIRS: i16 = 35;
const TIMEOUT_MS: i32 = 30_000;
/// Apache Kafka takes a minute to lead ten thousand new partitions, and longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(20);
const LATEST_TIMESTAMP: i64 = -1;
const EARLIEST_TIMESTAMP: i64 = -2;

/// The command `create`.
pub fn create_topic(options: &Options) -> anyhow::Result<()> {
    let (address, topic) = (options.text("address")?, options.text("topic")?);
    create(&address, &topic, options.value("partitions")?, &options.value_or("config", String::new())?)
}

/// Creates the topic with `configs`, which reads `key=value,key=value`, and returns when every partition answers as
/// its leader.
pub fn create(address: &str, topic: &str, partition_count: i32, configs: &str) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    request_topic(&mut connection, topic, partition_count, configs)?;
    for partition in 0..partition_count {
        end_offset(&mut connection, topic, partition)?;
    }
    Ok(())
}

/// Creates the topic; its partitions may not be served yet.
pub fn request_topic(
    connection: &mut Connection,
    topic: &str,
    partition_count: i32,
    configs: &str,
) -> anyhow::Result<()> {
    let mut request = Request::new(CREATE_TOPICS, 4, false);
    request.i32(1).string(topic).i32(partition_count).i16(1);
    request.i32(0); // assignments
    let configs: Vec<&str> = configs.split(',').filter(|config| !config.is_empty()).collect();
    request.i32(configs.len() as i32);
    for config in configs {
        let (key, value) = config.split_once('=').with_context(|| format!("{config} is no key=value"))?;
        request.string(key).string(value);
    }
    request.i32(TIMEOUT_MS).i8(0);
    let mut answer = connection.call(&request.finish())?;
    answer.i32()?; // throttle time
    ensure!(answer.i32()? == 1, "CreateTopics answered another number of topics than one");
    answer.string()?;
    let error_code = answer.i16()?;
    ensure!(error_code == 0, "create topic {topic}: error code {error_code}");
    Ok(())
}

/// The offset behind the last record of a partition.
pub fn end_offset(connection: &mut Connection, topic: &str, partition: i32) -> anyhow::Result<i64> {
    retry(|| try_list_offset(connection, topic, partition, LATEST_TIMESTAMP))
}

/// The offset before which retention has deleted a partition.
pub fn start_offset(connection: &mut Connection, topic: &str, partition: i32) -> anyhow::Result<i64> {
    retry(|| try_list_offset(connection, topic, partition, EARLIEST_TIMESTAMP))
}

fn try_list_offset(
    connection: &mut Connection,
    topic: &str,
    partition: i32,
    timestamp: i64,
) -> anyhow::Result<Result<i64, i16>> {
    let mut request = Request::new(LIST_OFFSETS, 1, false);
    request.i32(-1).i32(1).string(topic).i32(1).i32(partition).i64(timestamp);
    let mut answer = connection.call(&request.finish())?;
    ensure!(answer.i32()? == 1, "ListOffsets answered another number of topics than one");
    answer.string()?;
    ensure!(answer.i32()? == 1, "ListOffsets answered another number of partitions than one");
    answer.i32()?;
    let error_code = answer.i16()?;
    answer.i64()?; // timestamp
    let offset = answer.i64()?;
    Ok(if error_code == 0 { Ok(offset) } else { Err(error_code) })
}

/// What the log segments of a topic hold, over all partitions.
pub fn log_size_bytes(connection: &mut Connection, topic: &str, partition_count: i32) -> anyhow::Result<u64> {
    let mut request = Request::new(DESCRIBE_LOG_DIRS, 1, false);
    request.i32(1).string(topic).i32(partition_count);
    for partition in 0..partition_count {
        request.i32(partition);
    }
    let mut answer = connection.call(&request.finish())?;
    answer.i32()?; // throttle time
    ensure!(answer.i32()? == 1, "DescribeLogDirs answered another number of directories than one");
    let error_code = answer.i16()?;
    ensure!(error_code == 0, "error code {error_code} for the log directory");
    answer.string()?;
    ensure!(answer.i32()? == 1, "DescribeLogDirs answered another number of topics than one");
    answer.string()?;
    let described_count = answer.i32()?;
    ensure!(described_count == partition_count, "DescribeLogDirs answered {described_count} partitions");
    let mut size_bytes = 0;
    for _ in 0..partition_count {
        answer.i32()?;
        size_bytes += answer.i64()? as u64;
        answer.take(8 + 1)?; // offset lag, future log
    }
    Ok(size_bytes)
}

pub fn init_producer_id(connection: &mut Connection) -> anyhow::Result<Producer> {
    init(connection, None)
}

/// Waits until the transactional id has a coordinator and gets its producer; the first call has the broker create the
/// topic of transactions.
pub fn init_transactional_id(
    connection: &mut Connection,
    transactional_id: &str,
) -> anyhow::Result<Producer> {
    let mut request = Request::new(FIND_COORDINATOR, 2, false);
    request.string(transactional_id).i8(TRANSACTION_COORDINATOR);
    let request = request.finish();
    retry(|| {
        let mut answer = connection.call(&request)?;
        answer.i32()?; // throttle time
        let error_code = answer.i16()?;
        Ok(if error_code == 0 { Ok(()) } else { Err(error_code) })
    })?;
    init(connection, Some(transactional_id))
}

fn init(connection: &mut Connection, transactional_id: Option<&str>) -> anyhow::Result<Producer> {
    let mut request = Request::new(INIT_PRODUCER_ID, 1, false);
    match transactional_id {
        Some(transactional_id) => request.string(transactional_id),
        None => request.i16(-1),
    };
    request.i32(TIMEOUT_MS);
    let request = request.finish();
    retry(|| {
        let mut answer = connection.call(&request)?;
        answer.i32()?; // throttle time
        let error_code = answer.i16()?;
        let producer = Producer { id: answer.i64()?, epoch: answer.i16()? };
        Ok(if error_code == 0 { Ok(producer) } else { Err(error_code) })
    })
}

/// Repeats a request while the broker answers an error code: Apache Kafka names leaders before they lead, and
/// its first producer id waits for a block of them.
fn retry<T>(mut request: impl FnMut() -> anyhow::Result<Result<T, i16>>) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match request()? {
            Ok(value) => return Ok(value),
            Err(error_code) if Instant::now() > deadline => bail!("error code {error_code} for {PATIENCE:?}"),
            Err(_) => sleep(PAUSE),
        }
    }
}
