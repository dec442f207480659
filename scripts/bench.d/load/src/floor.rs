//! The floor of `scripts/bench`: the least that a broker with a log in files can do for a produce or a fetch.
//!
//! It receives, checks the CRC-32C, writes to the page cache and answers, all on one thread; fetches leave by sendfile, and
//! wait where there is nothing to fetch.
//! There is nothing else: no recovery, no producer state, no limits, no groups. It knows just the requests that this
//! program sends, in the versions it sends them, and must never grow into a broker: what Klamm costs above it is what
//! being a broker costs.

mod api;
mod log;

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, sockopt};

use api::Outcome;
use log::{Log, Range};

const LISTENER: u64 = u64::MAX;
const EVENT_LIMIT: usize = 64;
const PREFIX_SIZE_BYTES: usize = 4;
/// What one turn of a connection reads at most; what it handles is still in the cache of the CPU then.
const TURN_SIZE_BYTES: usize = 256 * 1024;
/// Requests of 1 MiB, and what follows the last of them.
const INPUT_SIZE_BYTES: usize = 2 * 1024 * 1024 + TURN_SIZE_BYTES;
/// What `socket.receive.buffer.bytes` and `socket.send.buffer.bytes` are in a broker that nobody configured. A socket with
/// so small a buffer lets its peer send little at once: what the system does for the peer then counts as the broker's.
const SOCKET_BUFFER_SIZE_BYTES: usize = 102_400;
const PAGE_SIZE_BYTES: usize = 4096;

/// Serves connections until the process is ended from outside.
pub fn serve(port: u16, directory: &Path) -> anyhow::Result<()> {
    let mut log = Log::create(directory)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("listen")?;
    // What is accepted has the buffers of the listener.
    sockopt::set_socket_recv_buffer_size(&listener, SOCKET_BUFFER_SIZE_BYTES).context("set SO_RCVBUF")?;
    sockopt::set_socket_send_buffer_size(&listener, SOCKET_BUFFER_SIZE_BYTES).context("set SO_SNDBUF")?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("create an epoll instance")?;
    epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)
        .context("watch the listener")?;
    let mut connections = HashMap::new();
    let mut connection_count = 0;
    let mut events = Vec::with_capacity(EVENT_LIMIT);
    loop {
        events.clear();
        let timeout = next_deadline(&connections).map(to_timespec).transpose()?;
        retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), timeout.as_ref()))
            .context("wait for requests")?;
        let appended_before = log.appended_batches();
        for event in &events {
            let id = event.data.u64();
            if id == LISTENER {
                let (stream, _) = listener.accept().context("accept a connection")?;
                stream.set_nodelay(true).context("set TCP_NODELAY")?;
                epoll::add(
                    &epoll,
                    &stream,
                    epoll::EventData::new_u64(connection_count),
                    epoll::EventFlags::IN,
                )
                .context("watch a connection")?;
                connections.insert(connection_count, Connection::new(stream, port));
                connection_count += 1;
            } else if let Some(connection) = connections.get_mut(&id)
                && !connection.take_turn(&mut log)?
            {
                connections.remove(&id);
            }
        }
        let has_more = log.appended_batches() > appended_before;
        for connection in connections.values_mut() {
            connection.wake(&mut log, has_more)?;
        }
    }
}

fn next_deadline(connections: &HashMap<u64, Connection>) -> Option<Instant> {
    connections.values().filter_map(|connection| connection.waits_until).min()
}

/// The time from now until then.
fn to_timespec(deadline: Instant) -> anyhow::Result<Timespec> {
    let rest: Duration = deadline.saturating_duration_since(Instant::now());
    Timespec::try_from(rest).context("wait for so long")
}

struct Connection {
    stream: TcpStream,
    port: u16,
    input: Vec<u8>,
    /// Where in `input` a page begins: copies between the same places of two pages are quick ones.
    begin: usize,
    filled: usize,
    /// Answers that have not left.
    output: Vec<u8>,
    /// The first request in `input` is a Fetch that has found nothing, and is answered by then.
    waits_until: Option<Instant>,
}

impl Connection {
    fn new(stream: TcpStream, port: u16) -> Connection {
        let input = vec![0; INPUT_SIZE_BYTES + PAGE_SIZE_BYTES];
        let begin = input.as_ptr().align_offset(PAGE_SIZE_BYTES);
        Connection { stream, port, input, begin, filled: 0, output: Vec::new(), waits_until: None }
    }

    /// Reads once and handles every request that is whole; false when the client has gone.
    fn take_turn(&mut self, log: &mut Log) -> anyhow::Result<bool> {
        let end = self.begin + (self.filled + TURN_SIZE_BYTES).min(INPUT_SIZE_BYTES);
        let room = &mut self.input[self.begin + self.filled..end];
        match rustix::net::recv(&self.stream, room, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Ok(false),
            Ok((size_bytes, _)) => self.filled += size_bytes,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(Errno::CONNRESET) => return Ok(false),
            Err(error) => return Err(error).context("receive requests"),
        }
        if self.waits_until.is_none() {
            self.handle(log, false)?;
        }
        Ok(true)
    }

    /// Asks again for what it waits for, if there is more in the log or the time is over.
    fn wake(&mut self, log: &mut Log, has_more: bool) -> anyhow::Result<()> {
        let Some(deadline) = self.waits_until else { return Ok(()) };
        let is_over = deadline <= Instant::now();
        if has_more || is_over { self.handle(log, is_over) } else { Ok(()) }
    }

    /// Handles every request that is whole, up to one that has to wait; the first does not if it `has_waited`.
    fn handle(&mut self, log: &mut Log, mut has_waited: bool) -> anyhow::Result<()> {
        let mut handled = 0;
        let waited_until = self.waits_until.take();
        while let Some(size_bytes) = self.whole_request(handled)? {
            let at = self.begin + handled + PREFIX_SIZE_BYTES;
            let request = &mut self.input[at..at + size_bytes];
            match api::answer(request, self.port, log, &mut self.output, has_waited)? {
                Outcome::Answered => {}
                Outcome::Records(range) => self.send_records(log, &range)?,
                Outcome::Wait(duration) => {
                    let begun = waited_until.filter(|_| handled == 0);
                    self.waits_until = Some(begun.unwrap_or_else(|| Instant::now() + duration));
                    break;
                }
            }
            has_waited = false;
            handled += PREFIX_SIZE_BYTES + size_bytes;
        }
        self.input.copy_within(self.begin + handled..self.begin + self.filled, self.begin);
        self.filled -= handled;
        self.flush()
    }

    /// The size of the request at `at`, if all of it is there.
    fn whole_request(&self, at: usize) -> anyhow::Result<Option<usize>> {
        let rest = &self.input[self.begin + at..self.begin + self.filled];
        let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX_SIZE_BYTES>() else { return Ok(None) };
        let size_bytes = u32::from_be_bytes(*prefix) as usize;
        ensure!(size_bytes < INPUT_SIZE_BYTES - TURN_SIZE_BYTES, "a request claims {size_bytes} bytes");
        Ok((size_bytes <= rest.len()).then_some(size_bytes))
    }

    /// Sends the answer so far, the records behind it from their file, and what ends the answer.
    fn send_records(&mut self, log: &Log, range: &Range) -> anyhow::Result<()> {
        let mut sent = 0;
        while sent < self.output.len() {
            sent += rustix::net::send(&self.stream, &self.output[sent..], SendFlags::MORE)
                .context("send the begin of an answer")?;
        }
        self.output.clear();
        log.send(range, &self.stream)?;
        api::end_fetch(&mut self.output);
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).context("send answers")?;
            self.output.clear();
        }
        Ok(())
    }
}
