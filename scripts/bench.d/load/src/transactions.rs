//! Transactions in a closed loop: one thread, connection and transactional id each; every transaction writes one batch
//! to each of the producer's own partitions and commits.
//!
//! KIP-890 (transaction.version 2): Produce v12 adds the partitions, EndTxn v5 answers with the producer's next epoch.
//! Classic: AddPartitionsToTxn v3 before, EndTxn v4, and sequences that go on from transaction to transaction. An answer
//! that says the transaction before has not ended is tried again after the pause of the Java client. The latency of a
//! transaction is that from the first byte of its first request to the answer to EndTxn.

use std::fmt;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::admin;
use crate::batch::{self, Producer};
use crate::latency::Latency;
use crate::options::{Options, Totals};
use crate::wire::{Connection, Reader, Request, patch_i64, set_correlation_id};

const PRODUCE: i16 = 0;
const ADD_PARTITIONS_TO_TXN: i16 = 24;
const END_TXN: i16 = 26;
const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;
const CONCURRENT_TRANSACTIONS: i16 = 51;
/// ADD_PARTITIONS_RETRY_BACKOFF_MS of the Java client's TransactionManager.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Load {
    pub address: String,
    /// Has `producer_count * partition_count` partitions, all of them empty.
    pub topic: String,
    pub producer_count: u64,
    /// That each transaction writes to.
    pub partition_count: usize,
    /// Over all producers.
    pub transaction_count: u64,
    /// Records in a batch.
    pub record_count: usize,
    pub value_size_bytes: usize,
    pub classic: bool,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            producer_count: options.value("producers")?,
            partition_count: options.value("partitions")?,
            transaction_count: options.value("transactions")?,
            record_count: options.value("records")?,
            value_size_bytes: options.value("value-bytes")?,
            classic: options.value("classic")?,
        })
    }
}

/// What was done: the totals count transactions as requests.
pub struct Done {
    totals: Totals,
    retry_count: u64,
}

impl fmt::Display for Done {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = self.totals.to_string();
        write!(out, r#"{}, "retries": {}}}"#, totals.strip_suffix('}').unwrap_or(&totals), self.retry_count)
    }
}

/// Runs the load to its end; fails on the first answer that is not what the producer's own partitions must give.
pub fn run(load: Load) -> anyhow::Result<Done> {
    ensure!(
        load.transaction_count.is_multiple_of(load.producer_count),
        "transactions do not divide over the producers"
    );
    let begin = Arc::new(Barrier::new(load.producer_count as usize + 1));
    let mut threads = Vec::new();
    for index in 0..load.producer_count {
        let mut lane = Lane::open(&load, index as usize)?;
        let (load, begin) = (load.clone(), begin.clone());
        threads.push(thread::spawn(move || {
            begin.wait();
            lane.run(&load)?;
            anyhow::Ok(lane)
        }));
    }
    begin.wait();
    let started = Instant::now();
    let mut done = Done { totals: Totals::default(), retry_count: 0 };
    let mut latency = Latency::default();
    for thread in threads {
        let lane = thread.join().expect("a lane returns its errors")?;
        done.retry_count += lane.retry_count;
        latency.add(&lane.latency);
        let batch_count = (load.transaction_count / load.producer_count) as usize * load.partition_count;
        done.totals.size_bytes += (batch_count * lane.batch_size_bytes) as u64;
        done.totals.record_count += (batch_count * load.record_count) as u64;
    }
    done.totals.duration = started.elapsed();
    done.totals.latency = Some(latency);
    done.totals.request_count = load.transaction_count;
    Ok(done)
}

/// One producer: its connection and the requests of a transaction.
struct Lane {
    connection: Connection,
    producer: Producer,
    sequence: i32,
    produce: Vec<u8>,
    /// Where the batches stand in `produce`.
    batches_at: Vec<usize>,
    batch_size_bytes: usize,
    /// A request that names the producer, and where.
    end: (Vec<u8>, usize),
    add_partitions: Option<(Vec<u8>, usize)>,
    correlation_id: i32,
    retry_count: u64,
    latency: Latency,
}

impl Lane {
    fn open(load: &Load, index: usize) -> anyhow::Result<Lane> {
        let mut connection = Connection::open(&load.address)?;
        let transactional_id = format!("{}-{index}", load.topic);
        let producer = admin::init_transactional_id(&mut connection, &transactional_id)?;
        let partitions = index * load.partition_count..(index + 1) * load.partition_count;
        let mut batch = batch::build(load.record_count, load.value_size_bytes, Some(producer));
        batch::set_transactional(&mut batch);
        let mut produce = Request::new(PRODUCE, if load.classic { 11 } else { 12 }, true);
        produce.compact_string(&transactional_id).i16(ACKS_ALL).i32(TIMEOUT_MS);
        produce.compact_count(1).compact_string(&load.topic).compact_count(load.partition_count);
        let mut batches_at = Vec::new();
        for partition in partitions.clone() {
            produce.i32(partition as i32).compact_count(batch.len());
            batches_at.push(produce.position());
            produce.raw(&batch).no_tags();
        }
        produce.no_tags().no_tags();

        let (mut end, end_at) = named(END_TXN, if load.classic { 4 } else { 5 }, &transactional_id);
        end.i8(1).no_tags(); // committed
        let add_partitions = load.classic.then(|| {
            let (mut add, at) = named(ADD_PARTITIONS_TO_TXN, 3, &transactional_id);
            add.compact_count(1).compact_string(&load.topic).compact_count(load.partition_count);
            for partition in partitions {
                add.i32(partition as i32);
            }
            add.no_tags().no_tags();
            (add.finish(), at)
        });
        Ok(Lane {
            connection,
            producer,
            sequence: 0,
            produce: produce.finish(),
            batches_at,
            batch_size_bytes: batch.len(),
            end: (end.finish(), end_at),
            add_partitions,
            correlation_id: 0,
            retry_count: 0,
            latency: Latency::default(),
        })
    }

    fn run(&mut self, load: &Load) -> anyhow::Result<()> {
        for index in 0..load.transaction_count / load.producer_count {
            let started = Instant::now();
            self.transact(load, index).with_context(|| format!("transaction {index}"))?;
            self.latency.record(started.elapsed());
        }
        Ok(())
    }

    fn transact(&mut self, load: &Load, index: u64) -> anyhow::Result<()> {
        if self.add_partitions.is_some() {
            self.persist(|lane| lane.add_partitions(load.partition_count)).context("add partitions")?;
        }
        for at in &self.batches_at {
            let batch = &mut self.produce[*at..*at + self.batch_size_bytes];
            batch::set_producer(batch, self.producer, self.sequence);
        }
        // A marker stands behind the records of each transaction before.
        let base_offset = index as i64 * (load.record_count as i64 + 1);
        self.persist(|lane| lane.produce(load.partition_count, base_offset)).context("produce")?;
        let answered = self.persist(|lane| lane.end(load.classic)).context("end")?;
        if load.classic {
            self.sequence = self.sequence.wrapping_add(load.record_count as i32) & i32::MAX;
        } else {
            ensure!(
                (answered.id, answered.epoch) == (self.producer.id, self.producer.epoch + 1)
                    || (answered.id != self.producer.id && answered.epoch == 0),
                "the producer has id {} and epoch {} behind epoch {}",
                answered.id,
                answered.epoch,
                self.producer.epoch
            );
            self.producer = answered;
            self.sequence = 0;
        }
        Ok(())
    }

    /// Repeats a step while the transaction before is still being ended.
    fn persist<T>(
        &mut self,
        mut step: impl FnMut(&mut Lane) -> anyhow::Result<Result<T, i16>>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match step(self)? {
                Ok(value) => return Ok(value),
                Err(CONCURRENT_TRANSACTIONS) if Instant::now() < deadline => {
                    self.retry_count += 1;
                    thread::sleep(RETRY_PAUSE);
                }
                Err(error_code) => bail!("error code {error_code}"),
            }
        }
    }

    fn next_correlation_id(&mut self) -> i32 {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        self.correlation_id
    }

    fn add_partitions(&mut self, partition_count: usize) -> anyhow::Result<Result<(), i16>> {
        let correlation_id = self.next_correlation_id();
        let (request, producer_at) =
            self.add_partitions.as_mut().expect("only classic producers add partitions");
        set_correlation_id(request, correlation_id);
        set_producer(request, *producer_at, self.producer);
        self.connection.send(request)?;
        let mut answer = self.connection.receive(correlation_id)?;
        answer.tags()?;
        answer.i32()?; // throttle time
        ensure!(answer.compact_count()? == 1, "the answer is not about one topic");
        answer.compact_bytes()?;
        ensure!(
            answer.compact_count()? == partition_count,
            "the answer is not about the partitions asked for"
        );
        for _ in 0..partition_count {
            answer.i32()?;
            let error_code = answer.i16()?;
            if error_code != 0 {
                return Ok(Err(error_code));
            }
            answer.tags()?;
        }
        Ok(Ok(()))
    }

    fn produce(&mut self, partition_count: usize, base_offset: i64) -> anyhow::Result<Result<(), i16>> {
        let correlation_id = self.next_correlation_id();
        set_correlation_id(&mut self.produce, correlation_id);
        self.connection.send(&self.produce)?;
        let mut answer = self.connection.receive(correlation_id)?;
        answer.tags()?;
        ensure!(answer.compact_count()? == 1, "the answer is not about one topic");
        answer.compact_bytes()?;
        ensure!(
            answer.compact_count()? == partition_count,
            "the answer is not about the partitions asked for"
        );
        for _ in 0..partition_count {
            if let Err(error_code) = read_partition(&mut answer, base_offset)? {
                return Ok(Err(error_code));
            }
        }
        Ok(Ok(()))
    }

    /// Commits; returns the producer of the next transaction (KIP-890) or the same one.
    fn end(&mut self, classic: bool) -> anyhow::Result<Result<Producer, i16>> {
        let correlation_id = self.next_correlation_id();
        let (request, producer_at) = &mut self.end;
        set_correlation_id(request, correlation_id);
        set_producer(request, *producer_at, self.producer);
        self.connection.send(request)?;
        let mut answer = self.connection.receive(correlation_id)?;
        answer.tags()?;
        answer.i32()?; // throttle time
        let error_code = answer.i16()?;
        if error_code != 0 {
            return Ok(Err(error_code));
        }
        Ok(Ok(if classic { self.producer } else { Producer { id: answer.i64()?, epoch: answer.i16()? } }))
    }
}

/// Begins a flexible request that names a transactional id and then a producer; returns where the latter stands.
fn named(api_key: i16, api_version: i16, transactional_id: &str) -> (Request, usize) {
    let mut request = Request::new(api_key, api_version, true);
    request.compact_string(transactional_id);
    let producer_at = request.position();
    request.i64(0).i16(0);
    (request, producer_at)
}

fn set_producer(request: &mut [u8], at: usize, producer: Producer) {
    patch_i64(request, at, producer.id);
    request[at + 8..at + 10].copy_from_slice(&producer.epoch.to_be_bytes());
}

/// One partition of a Produce answer of version 10 or newer.
fn read_partition(answer: &mut Reader<'_>, base_offset: i64) -> anyhow::Result<Result<(), i16>> {
    answer.i32()?;
    let error_code = answer.i16()?;
    let given = answer.i64()?;
    answer.take(2 * 8)?; // append time, log start offset
    for _ in 0..answer.compact_count()? {
        answer.i32()?;
        answer.compact_bytes()?;
        answer.tags()?;
    }
    answer.compact_bytes()?;
    answer.tags()?;
    if error_code != 0 {
        return Ok(Err(error_code));
    }
    ensure!(given == base_offset, "the batch got offset {given} where {base_offset} is due");
    Ok(Ok(()))
}
