//! Many partitions: creates them, and waits until every one of them is named, has its leader and takes records.
//!
//! A topic is asked for by one request, and the next when it is answered, as tools do: Apache Kafka refuses a request
//! that needs more than 10,000 records of metadata. Nothing here is a load: it is waited, not measured per request.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::admin;
use crate::batch;
use crate::options::{Options, Totals};
use crate::wire::{Connection, Reader, Request};

const PRODUCE: i16 = 0;
const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 3;
const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;
const LATEST_TIMESTAMP: i64 = -1;
/// Apache Kafka creates the files of 10,000 partitions meanwhile.
const PATIENCE: Duration = Duration::from_secs(900);
/// Between two tries. An answer about 10,000 partitions costs a broker some milliseconds.
const PAUSE: Duration = Duration::from_millis(10);
const VALUE_SIZE_BYTES: usize = 100;

/// Topics called `PREFIX-0`, `PREFIX-1` and so on, all of the same width.
pub struct Topics {
    pub address: String,
    pub prefix: String,
    pub topic_count: i32,
    pub partition_count: i32,
}

/// One topic, and how many records its partitions have together.
pub struct Ends {
    pub address: String,
    pub topic: String,
    pub partition_count: i32,
    pub record_count: i64,
}

impl Ends {
    pub fn parse(options: &Options) -> anyhow::Result<Ends> {
        Ok(Ends {
            address: options.text("address")?,
            topic: options.text("topic")?,
            partition_count: options.value("partitions")?,
            record_count: options.value("records")?,
        })
    }
}

impl Topics {
    pub fn parse(options: &Options) -> anyhow::Result<Topics> {
        Ok(Topics {
            address: options.text("address")?,
            prefix: options.text("topic")?,
            topic_count: options.value("topics")?,
            partition_count: options.value("partitions")?,
        })
    }

    fn names(&self) -> impl Iterator<Item = String> {
        (0..self.topic_count).map(|index| format!("{}-{index}", self.prefix))
    }

    fn ends(&self) -> [(String, i32); 2] {
        let last = format!("{}-{}", self.prefix, self.topic_count - 1);
        [(format!("{}-0", self.prefix), 0), (last, self.partition_count - 1)]
    }
}

/// Creates the topics, waits until Metadata names a leader for each partition and the first and the last one take a
/// record; that is what is timed. Then each partition must answer as its leader.
pub fn create(topics: &Topics) -> anyhow::Result<Totals> {
    let mut connection = Connection::open(&topics.address)?;
    let started = Instant::now();
    for name in topics.names() {
        admin::request_topic(&mut connection, &name, topics.partition_count, "")?;
    }
    until("every partition has a leader", || all_have_leaders(&mut connection, topics))?;
    for (name, partition) in topics.ends() {
        until("an end takes a record", || produce_one(&mut connection, &name, partition))?;
    }
    let duration = started.elapsed();
    until("every partition answers", || all_lead(&mut connection, topics))?;
    Ok(Totals { request_count: topics.topic_count as u64, record_count: 2, duration, ..Totals::default() })
}

/// Waits for the first Metadata answer with a leader for each partition; that is what is timed. Then each partition
/// must answer as its leader.
pub fn wait_for(topics: &Topics) -> anyhow::Result<Totals> {
    let started = Instant::now();
    let mut connection = Connection::open(&topics.address)?;
    until("every partition has a leader", || all_have_leaders(&mut connection, topics))?;
    let duration = started.elapsed();
    until("every partition answers", || all_lead(&mut connection, topics))?;
    Ok(Totals { duration, ..Totals::default() })
}

/// Waits until the partitions of one topic have `record_count` records together, as ListOffsets says.
pub fn wait_for_ends(due: &Ends) -> anyhow::Result<Totals> {
    let Ends { ref address, ref topic, partition_count, record_count } = *due;
    let started = Instant::now();
    let mut connection = Connection::open(address)?;
    let mut found = 0;
    until("the partitions have all their records", || {
        let ends = end_offsets(&mut connection, std::slice::from_ref(topic), partition_count)?;
        found = ends.iter().map(|(_, end)| end).sum::<i64>();
        Ok(ends.iter().all(|(error_code, _)| *error_code == 0) && found == record_count)
    })
    .with_context(|| format!("the ends add up to {found} where {record_count} is due"))?;
    Ok(Totals { record_count: record_count as u64, duration: started.elapsed(), ..Totals::default() })
}

fn until(what: &str, mut holds: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        ensure!(Instant::now() < deadline, "waited {} s in vain until {what}", PATIENCE.as_secs());
        sleep(PAUSE);
    }
    Ok(())
}

fn all_have_leaders(connection: &mut Connection, topics: &Topics) -> anyhow::Result<bool> {
    let mut request = Request::new(METADATA, 1, false);
    request.i32(-1); // all topics
    let led = read_led_partitions(connection.call(&request.finish())?)?;
    Ok(topics.names().all(|name| led.get(name.as_bytes()) == Some(&topics.partition_count)))
}

/// How many partitions with a leader each topic has, in a Metadata v1 answer.
fn read_led_partitions(mut answer: Reader<'_>) -> anyhow::Result<HashMap<&[u8], i32>> {
    for _ in 0..answer.i32()? {
        answer.i32()?; // broker id
        answer.string()?;
        answer.i32()?; // port
        answer.string()?; // rack
    }
    answer.i32()?; // controller
    let mut led = HashMap::new();
    for _ in 0..answer.i32()? {
        let topic_error = answer.i16()?;
        let name = answer.string()?;
        answer.take(1)?; // internal or not
        let mut led_count = 0;
        for _ in 0..answer.i32()? {
            let error_code = answer.i16()?;
            answer.i32()?; // partition
            let leader = answer.i32()?;
            for _replicas_and_isr in 0..2 {
                let count = usize::try_from(answer.i32()?).context("a list of replicas is null")?;
                answer.take(4 * count)?;
            }
            led_count += i32::from(topic_error == 0 && error_code == 0 && leader >= 0);
        }
        led.insert(name, led_count);
    }
    Ok(led)
}

fn all_lead(connection: &mut Connection, topics: &Topics) -> anyhow::Result<bool> {
    let names: Vec<String> = topics.names().collect();
    let ends = end_offsets(connection, &names, topics.partition_count)?;
    Ok(ends.iter().all(|(error_code, _)| *error_code == 0))
}

/// The error code and the end of every partition of these topics, by one ListOffsets v1.
fn end_offsets(
    connection: &mut Connection,
    topics: &[String],
    partition_count: i32,
) -> anyhow::Result<Vec<(i16, i64)>> {
    let mut request = Request::new(LIST_OFFSETS, 1, false);
    request.i32(-1).i32(topics.len() as i32);
    for topic in topics {
        request.string(topic).i32(partition_count);
        for partition in 0..partition_count {
            request.i32(partition).i64(LATEST_TIMESTAMP);
        }
    }
    let mut answer = connection.call(&request.finish())?;
    let mut ends = Vec::new();
    for _ in 0..answer.i32()? {
        answer.string()?;
        for _ in 0..answer.i32()? {
            answer.i32()?; // partition
            let error_code = answer.i16()?;
            answer.i64()?; // timestamp
            ends.push((error_code, answer.i64()?));
        }
    }
    let due = topics.len() * partition_count as usize;
    ensure!(ends.len() == due, "ListOffsets answered {} partitions where {due} are due", ends.len());
    Ok(ends)
}

/// Whether one record was accepted; the broker may not lead yet.
fn produce_one(connection: &mut Connection, topic: &str, partition: i32) -> anyhow::Result<bool> {
    let batch = batch::build(1, VALUE_SIZE_BYTES, None);
    let mut request = Request::new(PRODUCE, 7, false);
    request.i16(-1).i16(ACKS_ALL).i32(TIMEOUT_MS); // no transactional id
    request.i32(1).string(topic).i32(1).i32(partition).bytes(&batch);
    let mut answer = connection.call(&request.finish())?;
    ensure!(answer.i32()? == 1, "the answer is not about one topic");
    answer.string()?;
    ensure!(answer.i32()? == 1, "the answer is not about one partition");
    answer.i32()?;
    Ok(answer.i16()? == 0)
}
