//! The wire: a blocking connection, frames, and the primitive types of the Kafka protocol.
//!
//! It knows no API. Requests are built once by their callers and sent as they are.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, ensure};

/// Answers that fit are read ahead; the body of a larger one goes straight into the frame.
const READ_AHEAD_BYTES: usize = 64 * 1024;
/// More than any answer to the requests of this program.
const FRAME_LIMIT_BYTES: usize = 64 * 1024 * 1024;
const CLIENT_ID: &str = "klamm-load";
/// Where a request's correlation id stands: after the length prefix, the API key and the version.
const CORRELATION_ID_AT: usize = 8;
/// Of a flexible request: length prefix, API key, version, correlation id, client id, no tagged fields.
pub const HEADER_SIZE_BYTES: usize = CORRELATION_ID_AT + 4 + 2 + CLIENT_ID.len() + 1;

pub struct Connection {
    stream: TcpStream,
    input: BufReader<TcpStream>,
    frame: Vec<u8>,
}

impl Connection {
    pub fn open(address: &str) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        let input =
            BufReader::with_capacity(READ_AHEAD_BYTES, stream.try_clone().context("share the socket")?);
        Ok(Connection { stream, input, frame: Vec::new() })
    }

    /// Sends one request, length prefix included, with a single write.
    pub fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).context("send a request")
    }

    /// Another handle of the socket, to send on from another thread than the one that receives.
    pub fn writer(&self) -> anyhow::Result<TcpStream> {
        self.stream.try_clone().context("share the socket")
    }

    /// Waits for the next answer and returns it from behind its correlation id, which must be the given one.
    pub fn receive(&mut self, correlation_id: i32) -> anyhow::Result<Reader<'_>> {
        let mut prefix = [0; 4];
        self.input.read_exact(&mut prefix).context("receive the size of an answer")?;
        let size_bytes = u32::from_be_bytes(prefix) as usize;
        ensure!(size_bytes <= FRAME_LIMIT_BYTES, "an answer claims {size_bytes} bytes");
        if self.frame.len() < size_bytes {
            self.frame.resize(size_bytes, 0);
        }
        let frame = &mut self.frame[..size_bytes];
        self.input.read_exact(frame).context("receive an answer")?;
        let mut reader = Reader::new(frame);
        let answered = reader.i32()?;
        ensure!(answered == correlation_id, "answer {answered} where {correlation_id} is due");
        Ok(reader)
    }

    /// The socket alone, without the buffers around it and the descriptor that they share; every answer must have been
    /// received.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    pub fn call(&mut self, request: &[u8]) -> anyhow::Result<Reader<'_>> {
        self.send(request)?;
        self.receive(0)
    }
}

/// A request under construction: length prefix, header, body.
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// Begins a request with correlation id 0. `flexible`: header v2, which ends in tagged fields (KIP-482).
    pub fn new(api_key: i16, api_version: i16, flexible: bool) -> Request {
        let mut request = Request { bytes: vec![0; 4] };
        request.i16(api_key).i16(api_version).i32(0).string(CLIENT_ID);
        if flexible {
            request.no_tags();
        }
        request
    }

    /// Begins what has no frame of its own, such as bytes within a request.
    pub fn body() -> Request {
        Request { bytes: Vec::new() }
    }

    pub fn into_body(self) -> Vec<u8> {
        self.bytes
    }

    pub fn i8(&mut self, value: i8) -> &mut Request {
        self.raw(&value.to_be_bytes())
    }

    pub fn i16(&mut self, value: i16) -> &mut Request {
        self.raw(&value.to_be_bytes())
    }

    pub fn i32(&mut self, value: i32) -> &mut Request {
        self.raw(&value.to_be_bytes())
    }

    pub fn i64(&mut self, value: i64) -> &mut Request {
        self.raw(&value.to_be_bytes())
    }

    pub fn string(&mut self, value: &str) -> &mut Request {
        let size_bytes = i16::try_from(value.len()).expect("names in this program are short");
        self.i16(size_bytes).raw(value.as_bytes())
    }

    /// Bytes of the old form.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Request {
        let size_bytes = i32::try_from(value.len()).expect("fields of this program are far below 2 GiB");
        self.i32(size_bytes).raw(value)
    }

    pub fn compact_string(&mut self, value: &str) -> &mut Request {
        self.compact_count(value.len()).raw(value.as_bytes())
    }

    /// The element count of a compact array, or the size of compact bytes.
    pub fn compact_count(&mut self, count: usize) -> &mut Request {
        let mut rest = count + 1;
        while rest >= 0x80 {
            self.bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
        self
    }

    /// A null of a compact type.
    pub fn null(&mut self) -> &mut Request {
        self.raw(&[0])
    }

    pub fn no_tags(&mut self) -> &mut Request {
        self.raw(&[0])
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Request {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Where the next field will stand in the finished request.
    pub fn position(&self) -> usize {
        self.bytes.len()
    }

    /// Fills in the length prefix.
    pub fn finish(mut self) -> Vec<u8> {
        let size_bytes =
            u32::try_from(self.bytes.len() - 4).expect("requests of this program are far below 4 GiB");
        self.bytes[..4].copy_from_slice(&size_bytes.to_be_bytes());
        self.bytes
    }
}

pub fn set_correlation_id(request: &mut [u8], correlation_id: i32) {
    request[CORRELATION_ID_AT..CORRELATION_ID_AT + 4].copy_from_slice(&correlation_id.to_be_bytes());
}

/// Overwrites a field of a finished request, at the position it had under construction.
pub fn patch_i64(request: &mut [u8], position: usize, value: i64) {
    request[position..position + 8].copy_from_slice(&value.to_be_bytes());
}

/// Reads the fields of an answer in order.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads an answer from behind its length prefix.
    pub fn new(frame: &'a [u8]) -> Reader<'a> {
        Reader { rest: frame }
    }

    /// How many bytes are left to read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub fn take(&mut self, size_bytes: usize) -> anyhow::Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(size_bytes).context("an answer ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("take returns as many bytes as it is asked for"))
    }

    pub fn i16(&mut self) -> anyhow::Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> anyhow::Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> anyhow::Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// A string of the old form; null reads as empty.
    pub fn string(&mut self) -> anyhow::Result<&'a [u8]> {
        let size_bytes = self.i16()?;
        self.take(usize::try_from(size_bytes).unwrap_or(0))
    }

    /// Bytes of the old form; null reads as empty.
    pub fn bytes(&mut self) -> anyhow::Result<&'a [u8]> {
        let size_bytes = self.i32()?;
        self.take(usize::try_from(size_bytes).unwrap_or(0))
    }

    /// Compact bytes or a compact string; null reads as empty.
    pub fn compact_bytes(&mut self) -> anyhow::Result<&'a [u8]> {
        let count = self.compact_count()?;
        self.take(count)
    }

    /// The element count of a compact array; null reads as 0.
    pub fn compact_count(&mut self) -> anyhow::Result<usize> {
        Ok(self.unsigned_varint()?.saturating_sub(1))
    }

    fn unsigned_varint(&mut self) -> anyhow::Result<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        anyhow::bail!("a varint of an answer is too long")
    }

    pub fn tags(&mut self) -> anyhow::Result<()> {
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let size_bytes = self.unsigned_varint()?;
            self.take(size_bytes)?;
        }
        Ok(())
    }
}
