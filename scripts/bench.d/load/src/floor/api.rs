//! The requests that the load generator sends to a floor, and their answers, each in the one version that it uses.

use std::time::Duration;

use anyhow::{bail, ensure};

use super::log::{Log, Range};
use crate::wire::Reader;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 3;
const CREATE_TOPICS: i16 = 19;
const INIT_PRODUCER_ID: i16 = 22;
const NONE: i16 = 0;
const NODE_ID: i32 = 1;
const PRODUCER_ID: i64 = 1;
/// The tagged fields behind the records of a Fetch answer: of the partition, the topic and the answer.
const FETCH_END: [u8; 3] = [0; 3];

/// What a request has led to.
pub enum Outcome {
    Answered,
    /// The begin of a Fetch answer, which these records and `end_fetch` must follow.
    Records(Range),
    /// A Fetch that finds nothing: to be asked again when there is more, and at the end of this time at last.
    Wait(Duration),
}

/// Appends the answer to `output`, if it is no outcome to wait; a request that `has_waited` does not wait again.
pub fn answer(
    request: &mut [u8],
    port: u16,
    log: &mut Log,
    output: &mut Vec<u8>,
    has_waited: bool,
) -> anyhow::Result<Outcome> {
    let mut reader = Reader::new(request);
    let (api_key, version) = (reader.i16()?, reader.i16()?);
    let correlation_id = reader.i32()?;
    reader.string()?; // client id
    let mut answer = Answer::begin(output, correlation_id);
    match (api_key, version) {
        (PRODUCE, 9) => {
            reader.tags()?;
            let body = request.len() - reader.remaining();
            produce(&mut request[body..], log, &mut answer)?;
        }
        (FETCH, 12) => {
            reader.tags()?;
            return fetch(reader, log, answer, has_waited);
        }
        (LIST_OFFSETS, 1) => list_offsets(reader, log, &mut answer)?,
        (METADATA, 1) => metadata(port, &mut answer),
        (CREATE_TOPICS, 4) => create_topics(reader, log, &mut answer)?,
        (INIT_PRODUCER_ID, 1) => {
            answer.i32(0).i16(NONE).i64(PRODUCER_ID).i16(0);
        }
        _ => bail!("a floor does not know version {version} of API {api_key}"),
    }
    answer.finish(0);
    Ok(Outcome::Answered)
}

pub fn end_fetch(output: &mut Vec<u8>) {
    output.extend_from_slice(&FETCH_END);
}

/// One batch for one partition.
fn produce(body: &mut [u8], log: &mut Log, answer: &mut Answer<'_>) -> anyhow::Result<()> {
    let mut reader = Reader::new(body);
    reader.compact_bytes()?; // transactional id
    reader.take(2 + 4)?; // acks, timeout
    ensure!(reader.compact_count()? == 1, "a request is not about one topic");
    let name_size = reader.compact_bytes()?.len();
    let name_end = body.len() - reader.remaining();
    ensure!(reader.compact_count()? == 1, "a request is not about one partition");
    let index = reader.i32()?;
    let size_bytes = reader.compact_count()?;
    let records_at = body.len() - reader.remaining();
    let (head, records) = body.split_at_mut(records_at);
    let name = &head[name_end - name_size..name_end];
    let base_offset = log.append(name, index, &mut records[..size_bytes])?;
    answer.no_tags().compact_count(1).compact_bytes(name).compact_count(1);
    answer.i32(index).i16(NONE).i64(base_offset).i64(-1).i64(0); // no append time, log start offset
    answer.compact_count(0).null().no_tags().no_tags(); // no record errors, no message
    answer.i32(0).no_tags(); // throttle time
    Ok(())
}

/// One partition, without a session.
fn fetch(
    mut reader: Reader<'_>,
    log: &Log,
    mut answer: Answer<'_>,
    has_waited: bool,
) -> anyhow::Result<Outcome> {
    reader.i32()?; // replica
    let max_wait_ms = u64::try_from(reader.i32()?)?;
    reader.take(2 * 4 + 1 + 2 * 4)?; // bytes, isolation level, session
    ensure!(reader.compact_count()? == 1, "a request is not about one topic");
    let name = reader.compact_bytes()?;
    ensure!(reader.compact_count()? == 1, "a request is not about one partition");
    let index = reader.i32()?;
    reader.i32()?; // leader epoch
    let offset = reader.i64()?;
    reader.take(4 + 8)?; // last fetched epoch, log start offset
    let range = log.range(name, index, offset, reader.i32()? as u64)?;
    if range.size_bytes == 0 && max_wait_ms > 0 && !has_waited {
        answer.take_back();
        return Ok(Outcome::Wait(Duration::from_millis(max_wait_ms)));
    }
    let end_offset = log.end_offset(name, index)?;
    answer.no_tags().i32(0).i16(NONE).i32(0); // throttle time, session
    answer.compact_count(1).compact_bytes(name).compact_count(1);
    answer.i32(index).i16(NONE).i64(end_offset).i64(end_offset).i64(0);
    answer.null().i32(-1).compact_count(range.size_bytes); // no aborted transactions, no preferred replica
    answer.finish(range.size_bytes + FETCH_END.len());
    Ok(Outcome::Records(range))
}

/// The end of one partition.
fn list_offsets(mut reader: Reader<'_>, log: &Log, answer: &mut Answer<'_>) -> anyhow::Result<()> {
    reader.i32()?; // replica
    ensure!(reader.i32()? == 1, "a request is not about one topic");
    let name = reader.string()?;
    ensure!(reader.i32()? == 1, "a request is not about one partition");
    let index = reader.i32()?;
    let end_offset = log.end_offset(name, index)?;
    answer.i32(1).string(name).i32(1).i32(index).i16(NONE).i64(-1).i64(end_offset);
    Ok(())
}

/// This one broker, and no topic.
fn metadata(port: u16, answer: &mut Answer<'_>) {
    answer.i32(1).i32(NODE_ID).string(b"127.0.0.1").i32(i32::from(port)).i16(-1); // no rack
    answer.i32(NODE_ID).i32(0);
}

fn create_topics(mut reader: Reader<'_>, log: &mut Log, answer: &mut Answer<'_>) -> anyhow::Result<()> {
    ensure!(reader.i32()? == 1, "a request is not about one topic");
    let name = reader.string()?;
    log.create_topic(name, reader.i32()?)?;
    answer.i32(0).i32(1).string(name).i16(NONE).i16(-1); // throttle time, no message
    Ok(())
}

/// An answer at the end of the output.
struct Answer<'a> {
    output: &'a mut Vec<u8>,
    begin: usize,
}

impl<'a> Answer<'a> {
    fn begin(output: &'a mut Vec<u8>, correlation_id: i32) -> Answer<'a> {
        let begin = output.len();
        output.extend_from_slice(&[0; 4]);
        let mut answer = Answer { output, begin };
        answer.i32(correlation_id);
        answer
    }

    fn take_back(self) {
        self.output.truncate(self.begin);
    }

    /// Fills in the size, of which `behind` bytes follow outside of this output.
    fn finish(self, behind: usize) {
        let size_bytes = (self.output.len() - self.begin - 4 + behind) as u32;
        self.output[self.begin..self.begin + 4].copy_from_slice(&size_bytes.to_be_bytes());
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.output.extend_from_slice(bytes);
        self
    }

    fn i16(&mut self, value: i16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    fn string(&mut self, value: &[u8]) -> &mut Self {
        self.i16(value.len() as i16).raw(value)
    }

    fn compact_bytes(&mut self, value: &[u8]) -> &mut Self {
        self.compact_count(value.len()).raw(value)
    }

    fn compact_count(&mut self, count: usize) -> &mut Self {
        let mut rest = count + 1;
        while rest >= 0x80 {
            self.output.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.output.push(rest as u8);
        self
    }

    fn null(&mut self) -> &mut Self {
        self.raw(&[0])
    }

    fn no_tags(&mut self) -> &mut Self {
        self.raw(&[0])
    }
}
