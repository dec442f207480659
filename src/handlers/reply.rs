//! What a handler gives back to the connection: bytes and file ranges in wire order, now or later.

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};

use crate::env::fs::FileRegion;
use crate::protocol::ids::Timestamp;

/// Below this size reading a range and sending it with the rest is cheaper than a call of its own.
pub const MIN_SENDFILE_SIZE_BYTES: usize = 32 * 1024;

/// Responses in the order they leave: bytes with file ranges spliced in between.
#[derive(Debug, Default)]
pub struct Output {
    pub bytes: BytesMut,
    /// File ranges, each with the position in `bytes` it comes before; positions never go down.
    pub files: Vec<(usize, FileRegion)>,
    /// The connection ends once what stands here has been sent.
    pub close: bool,
    /// What stands here leaves at once, and then no further request of the connection is read or handled for so
    /// long (KIP-219).
    pub throttle_ms: u32,
}

impl Output {
    /// No response: the connection ends.
    pub fn closing() -> Output {
        Output { close: true, ..Output::default() }
    }

    /// Appends a whole response: its length, the response header, and what `write_body` appends. `flexible`
    /// responses have a header with tagged fields (response header version 1), of which there are none.
    pub fn respond(&mut self, correlation_id: i32, flexible: bool, write_body: impl FnOnce(&mut Output)) {
        let length_at = self.bytes.len();
        let size_before = self.size_bytes();
        self.bytes.put_i32(0);
        self.bytes.put_i32(correlation_id);
        if flexible {
            self.bytes.put_u8(0);
        }
        write_body(self);
        let length = (self.size_bytes() - size_before - 4) as i32;
        self.bytes[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Appends a file range after the bytes written up to here.
    pub fn splice(&mut self, region: FileRegion) {
        self.files.push((self.bytes.len(), region));
    }

    /// The same if that will wait for no disk; otherwise nothing is appended, and the answer is false. What is too small for
    /// a call of its own is read at once, as asking whether it can be read costs as much.
    pub fn splice_cached(&mut self, region: &FileRegion, now: Timestamp) -> bool {
        if region.size_bytes >= MIN_SENDFILE_SIZE_BYTES {
            let is_cached = region.is_cached(now);
            if is_cached {
                self.splice(region.clone());
            }
            return is_cached;
        }
        let start = self.bytes.len();
        self.bytes.resize(start + region.size_bytes, 0);
        let is_read = region.read_if_cached(&mut self.bytes[start..]);
        if !is_read {
            self.bytes.truncate(start);
        }
        is_read
    }

    /// Takes back everything behind the first `byte_count` bytes and `file_count` file ranges.
    pub fn truncate(&mut self, byte_count: usize, file_count: usize) {
        self.bytes.truncate(byte_count);
        self.files.truncate(file_count);
    }

    /// Size of everything that waits, file ranges included, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.files.iter().map(|(_, region)| region.size_bytes).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.files.is_empty()
    }

    /// Moves `other` behind what stands here.
    pub fn append(&mut self, other: Output) {
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.files.extend(other.files.into_iter().map(|(at, region)| (at + shift, region)));
        self.close |= other.close;
        self.throttle_ms = self.throttle_ms.max(other.throttle_ms);
    }
}

/// A future that stays on its worker's thread.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// What is still to be done for a request while its connection waits.
pub struct Work {
    pub output: LocalFuture<Output>,
    /// What the future holds of the request, which is the connection's share of the memory.
    pub held_size_bytes: Rc<Cell<usize>>,
}

/// Goes when the bytes that a [`Work`] holds go.
pub struct Held(Rc<Cell<usize>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

impl Work {
    /// What `begin` gives, which holds so many bytes until it drops what it is given.
    pub fn holding<F>(size_bytes: usize, begin: impl FnOnce(Held) -> F) -> Box<Work>
    where
        F: Future<Output = Output> + 'static,
    {
        let held_size_bytes = Rc::new(Cell::new(size_bytes));
        let output = Box::pin(begin(Held(held_size_bytes.clone())));
        Box::new(Work { output, held_size_bytes })
    }
}

/// How far a request has come when its handler returns.
pub enum Handled {
    /// The response, with its length prefix, stands in the output.
    Done,
    /// There is no response: a produce with acks=0.
    Nothing,
    /// The connection handles no further request until the response is there: long polls, admin calls. It is not
    /// waited for when the peer closes its side.
    Wait(LocalFuture<Output>),
    /// The same, but it is finished whatever the peer does, and so are the requests behind it: an append that a
    /// producer may have sent as its last and wants no answer to. Kafka keeps a closed channel until what it has
    /// received is processed.
    Work(Box<Work>),
    /// The response takes its place in the connection's queue, and the connection reads on.
    Later(LocalFuture<Output>),
    /// The frame cannot be trusted, or Kafka closes the connection here; the reason is for the log.
    Close(&'static str),
}

/// Who connected, and where.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The address of ours that the client reached.
    pub local_address: SocketAddr,
    /// Name of the listener, as in `listeners`.
    pub listener: std::sync::Arc<str>,
}

/// What a worker calls for each connection and frame; one value per worker thread.
pub trait Service: 'static {
    /// What a connection remembers between its requests.
    type Session: 'static;

    /// Or for how long a connection that is not welcome is held before it is closed.
    fn open(&self, peer: Peer) -> Result<Self::Session, Duration>;

    /// The same for a connection that another worker has opened and served.
    fn take_over(&self, peer: Peer) -> Self::Session;

    /// `frame` is one whole request without its length prefix; the handler may patch it in place.
    fn handle(&self, session: &mut Self::Session, frame: &mut [u8], out: &mut Output) -> Handled;

    /// The responses of what was handled have left, as far as they are there and the peer takes them: what could wait for
    /// that is done. Called before anything else runs on the worker.
    fn replied(&self) {}
}
