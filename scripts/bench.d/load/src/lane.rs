//! One producer: a connection, the request it sends again and again, and what each answer must say.
//!
//! The records are shared by all lanes and only headers are patched, so a request costs a write and its share of a
//! read, and nothing is allocated. Each request leaves with a write of its own, as stock clients send them. Whether
//! the socket blocks, and who waits for it, is the business of the caller.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use crate::admin;
use crate::batch::{self, Shape};
use crate::digest::Digest;
use crate::latency::Latency;
use crate::schedule::Schedule;
use crate::wire::{Connection, Reader, Request, set_correlation_id};

const PRODUCE: i16 = 0;
const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;
/// More than the answers to all requests in flight.
const INPUT_SIZE_BYTES: usize = 4 * 1024;
/// The tagged fields of the partition, the topic and the request, behind the records.
const REQUEST_END: [u8; 3] = [0; 3];

/// What all lanes send.
pub struct Plan {
    pub address: String,
    pub topic: String,
    pub shape: Shape,
    /// Of one lane.
    pub request_count: u64,
    /// Kafka accepts at most 5 of an idempotent producer.
    pub in_flight_limit: u64,
    pub idempotent: bool,
    pub lane_count: u64,
    pub partition_count: u64,
}

/// What a thread saw of batches.
#[derive(Default)]
pub struct Seen {
    pub latency: Latency,
    pub digest: Digest,
}

pub struct Lane {
    plan: Arc<Plan>,
    index: u64,
    partition: i32,
    socket: TcpStream,
    /// A request up to the end of its batch's header.
    head: Vec<u8>,
    header_at: usize,
    /// The records and the end of a request.
    tail: Arc<[u8]>,
    crc: u32,
    /// Bytes of the request that is leaving; 0 between requests.
    written: usize,
    input: Box<[u8]>,
    filled: usize,
    /// A ring of as many as may be in flight.
    flights: Box<[Flight]>,
    sent: u64,
    acknowledged: u64,
    last_base_offset: i64,
}

/// A request whose answer is due.
#[derive(Clone, Copy)]
struct Flight {
    /// When it was scheduled or, without a schedule, sent.
    since: Instant,
    crc: u32,
}

/// Opens the connections of a plan.
pub fn open_all(plan: &Arc<Plan>) -> anyhow::Result<Vec<Lane>> {
    let tail: Arc<[u8]> = [&batch::records(&plan.shape)?[..], &REQUEST_END].concat().into();
    (0..plan.lane_count).map(|index| Lane::open(plan, index, tail.clone())).collect()
}

impl Lane {
    fn open(plan: &Arc<Plan>, index: u64, tail: Arc<[u8]>) -> anyhow::Result<Lane> {
        let mut connection = Connection::open(&plan.address)?;
        let partition = (index % plan.partition_count) as i32;
        let producer = if plan.idempotent { Some(admin::init_producer_id(&mut connection)?) } else { None };
        let records = &tail[..tail.len() - REQUEST_END.len()];
        let header = batch::header(&plan.shape, producer, records);
        let mut request = Request::new(PRODUCE, 9, true);
        request.null().i16(ACKS_ALL).i32(TIMEOUT_MS);
        request.compact_count(1).compact_string(&plan.topic).compact_count(1).i32(partition);
        request.compact_count(header.len() + records.len());
        let header_at = request.position();
        request.raw(&header).raw(&tail);
        let mut head = request.finish();
        head.truncate(header_at + header.len());
        let crc = batch::crc(&header);
        let idle = Flight { since: Instant::now(), crc };
        Ok(Lane {
            plan: plan.clone(),
            index,
            partition,
            socket: connection.into_stream(),
            head,
            header_at,
            tail,
            crc,
            written: 0,
            input: vec![0; INPUT_SIZE_BYTES].into(),
            filled: 0,
            flights: vec![idle; plan.in_flight_limit as usize].into(),
            sent: 0,
            acknowledged: 0,
            last_base_offset: -1,
        })
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub fn request_count(&self) -> u64 {
        self.plan.request_count
    }

    pub fn is_done(&self) -> bool {
        self.acknowledged == self.plan.request_count
    }

    pub fn acknowledged_bytes(&self) -> u64 {
        let batch_size_bytes = batch::HEADER_SIZE_BYTES + self.tail.len() - REQUEST_END.len();
        self.acknowledged * batch_size_bytes as u64
    }

    /// Sends what is due and may be in flight, until a socket that does not block is full.
    pub fn send(&mut self, schedule: Option<&Schedule>) -> anyhow::Result<()> {
        loop {
            if self.written == 0 && !self.begin_request(schedule) {
                return Ok(());
            }
            let size_bytes = self.head.len() + self.tail.len();
            let head = &self.head[self.written.min(self.head.len())..];
            let tail = &self.tail[self.written.saturating_sub(self.head.len())..];
            match (&self.socket).write_vectored(&[IoSlice::new(head), IoSlice::new(tail)]) {
                Ok(count) => self.written += count,
                Err(error) if is_full(&error) => return Ok(()),
                Err(error) => return Err(error).context("send a request"),
            }
            if self.written == size_bytes {
                self.written = 0;
                self.sent += 1;
            }
        }
    }

    /// Makes the next request ready to be written, if it is due.
    fn begin_request(&mut self, schedule: Option<&Schedule>) -> bool {
        let plan = &self.plan;
        if self.sent == plan.request_count || self.sent - self.acknowledged == plan.in_flight_limit {
            return false;
        }
        let now = Instant::now();
        let since = schedule.map_or(now, |schedule| schedule.due(self.sent * plan.lane_count + self.index));
        if since > now {
            return false;
        }
        set_correlation_id(&mut self.head, self.sent as i32);
        if plan.idempotent {
            let sequence = self.sent * plan.shape.record_count as u64 % (i32::MAX as u64 + 1);
            let records = &self.tail[..self.tail.len() - REQUEST_END.len()];
            self.crc = batch::set_sequence_apart(&mut self.head[self.header_at..], records, sequence as i32);
        }
        let flight = (self.sent % plan.in_flight_limit) as usize;
        self.flights[flight] = Flight { since, crc: self.crc };
        true
    }

    /// Takes the answers that have come; waits for one only if the socket blocks.
    pub fn receive(&mut self, seen: &mut Seen) -> anyhow::Result<()> {
        loop {
            let space = self.input.len() - self.filled;
            let count = match self.socket.read(&mut self.input[self.filled..]) {
                Ok(0) => bail!("the broker closed the connection"),
                Ok(count) => count,
                Err(error) if is_full(&error) => return Ok(()),
                Err(error) => return Err(error).context("receive answers"),
            };
            self.filled += count;
            self.take_answers(seen)?;
            // A short read says that the socket is empty.
            if count < space {
                return Ok(());
            }
        }
    }

    fn take_answers(&mut self, seen: &mut Seen) -> anyhow::Result<()> {
        let now = Instant::now();
        let mut taken = 0;
        while let Some(prefix) = self.input[taken..self.filled].first_chunk::<4>() {
            let end = taken + 4 + u32::from_be_bytes(*prefix) as usize;
            ensure!(end - taken <= self.input.len(), "an answer claims {} bytes", end - taken);
            if end > self.filled {
                break;
            }
            let base_offset = self.read_base_offset(&self.input[taken + 4..end]).with_context(|| {
                format!("produce request {} to partition {}", self.acknowledged, self.partition)
            })?;
            self.check_base_offset(base_offset)?;
            let flight = self.flights[(self.acknowledged % self.plan.in_flight_limit) as usize];
            seen.latency.record(now.saturating_duration_since(flight.since));
            seen.digest.include(self.partition, base_offset, flight.crc);
            self.acknowledged += 1;
            taken = end;
        }
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Ok(())
    }

    /// A partition of one's own must have been empty; in a shared one others' batches lie between.
    fn check_base_offset(&mut self, base_offset: i64) -> anyhow::Result<()> {
        let request = self.acknowledged;
        if self.plan.partition_count == self.plan.lane_count {
            let due = request as i64 * self.plan.shape.record_count as i64;
            ensure!(base_offset == due, "request {request} got offset {base_offset} where {due} is due");
        }
        let last = self.last_base_offset;
        ensure!(base_offset > last, "request {request} got offset {base_offset} after {last}");
        self.last_base_offset = base_offset;
        Ok(())
    }

    /// The base offset in a Produce v9 answer about one partition.
    fn read_base_offset(&self, frame: &[u8]) -> anyhow::Result<i64> {
        let mut answer = Reader::new(frame);
        let (answered, due) = (answer.i32()?, self.acknowledged as i32);
        ensure!(answered == due, "answer {answered} where {due} is due");
        answer.tags()?;
        ensure!(answer.compact_count()? == 1, "the answer is not about one topic");
        answer.compact_bytes()?;
        ensure!(answer.compact_count()? == 1, "the answer is not about one partition");
        ensure!(answer.i32()? == self.partition, "the answer is about another partition");
        let error_code = answer.i16()?;
        ensure!(error_code == 0, "error code {error_code}");
        answer.i64()
    }
}

/// Whether there is no room to write or nothing to read at the moment.
fn is_full(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}
