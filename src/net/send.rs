//! Responses of one connection on their way out: bytes by `send`, file ranges by `sendfile`.
//!
//! A file range below [`MIN_SENDFILE_SIZE_BYTES`] that no handler has read is read into the bytes here, so that
//! everything leaves in one write. A file that was cut before its range was sent closes the connection: the length that stands in
//! front of the range has been promised.

use std::io;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::env::fs::FileRegion;
use crate::handlers::reply::{MIN_SENDFILE_SIZE_BYTES, Output};

/// A connection sends at most this much of files before the others of its worker have their turn.
const MAX_FILE_SIZE_PER_TURN_BYTES: usize = 1024 * 1024;

/// What waits to be sent, the sent part gone.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Where handlers write.
    output: Output,
    /// Bytes of `output` that are sent.
    sent: usize,
    /// File ranges of `output` that are sent. The next one shrinks as it is sent.
    files_sent: usize,
    /// Sending has begun, so nothing may be added.
    sealed: bool,
}

/// What came of one attempt to send.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing waits.
    All,
    /// More can be sent at once, after the other connections' turn.
    TurnOver,
}

impl Outbox {
    /// Where responses are written that may leave with the next [`Outbox::poll_send`]; only while
    /// [`Outbox::is_open`].
    pub fn output(&mut self) -> &mut Output {
        debug_assert!(self.is_open(), "an output that is partly sent must not grow");
        &mut self.output
    }

    /// Whether responses may be added: nothing of the present ones is sent.
    pub fn is_open(&self) -> bool {
        !self.sealed
    }

    pub fn is_empty(&self) -> bool {
        self.output.is_empty()
    }

    /// Memory held by what waits.
    pub fn held_size_bytes(&self) -> usize {
        self.output.bytes.capacity()
    }

    /// Adds a whole response behind what waits; only while [`Outbox::is_open`].
    pub fn add(&mut self, output: Output) {
        debug_assert!(self.is_open(), "an output that is partly sent must not grow");
        if self.output.is_empty() && self.output.bytes.capacity() < output.bytes.capacity() {
            self.output = output;
        } else {
            self.output.append(output);
        }
    }

    /// Gives the outbox, when it has no memory, an empty buffer to write to.
    pub fn provide(&mut self, take: impl FnOnce() -> BytesMut) {
        if self.output.bytes.capacity() == 0 {
            self.output.bytes = take();
        }
    }

    /// The buffer back, when nothing waits.
    pub fn take_unused(&mut self) -> Option<BytesMut> {
        let unused = self.is_empty() && self.output.bytes.capacity() > 0;
        unused.then(|| std::mem::take(&mut self.output.bytes))
    }

    /// Sends until nothing waits, the socket is full, or the turn is over. Returns the bytes sent and how
    /// it stopped.
    pub fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        stream: &TcpStream,
    ) -> (usize, Poll<io::Result<Sent>>) {
        let mut sent_size_bytes = 0;
        if self.is_empty() {
            return (0, Poll::Ready(Ok(Sent::All)));
        }
        if !self.sealed {
            self.sealed = true;
            if let Err(error) = self.read_small_files() {
                return (0, Poll::Ready(Err(error)));
            }
        }
        let mut file_size_bytes = 0;
        let result = loop {
            match stream.try_io(Interest::WRITABLE, || self.send_some(stream)) {
                Ok((size_bytes, of_file)) => {
                    sent_size_bytes += size_bytes;
                    file_size_bytes += if of_file { size_bytes } else { 0 };
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match stream.poll_write_ready(context) {
                        Poll::Ready(Ok(())) => continue,
                        Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                        Poll::Pending => break Poll::Pending,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break Poll::Ready(Err(error)),
            }
            if self.is_all_sent() {
                self.reset();
                break Poll::Ready(Ok(Sent::All));
            }
            if file_size_bytes >= MAX_FILE_SIZE_PER_TURN_BYTES {
                break Poll::Ready(Ok(Sent::TurnOver));
            }
        };
        (sent_size_bytes, result)
    }

    fn is_all_sent(&self) -> bool {
        self.sent == self.output.bytes.len() && self.files_sent == self.output.files.len()
    }

    fn reset(&mut self) {
        let Output { bytes, files, close: _, throttle_ms } = &mut self.output;
        bytes.clear();
        files.clear();
        *throttle_ms = 0;
        (self.sent, self.files_sent, self.sealed) = (0, 0, false);
    }

    /// One call: the bytes up to the next file range, or a piece of that range. Returns the size and
    /// whether it was of a file.
    fn send_some(&mut self, stream: &TcpStream) -> io::Result<(usize, bool)> {
        let next_file = self.output.files.get_mut(self.files_sent);
        let bytes_end = next_file.as_ref().map_or(self.output.bytes.len(), |(position, _)| *position);
        if self.sent < bytes_end {
            let more_follows = bytes_end < self.output.bytes.len() || next_file.is_some();
            let flags =
                if more_follows { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
            let size_bytes = rustix::net::send(stream, &self.output.bytes[self.sent..bytes_end], flags)?;
            self.sent += size_bytes;
            return Ok((size_bytes, false));
        }
        let (_, region) = next_file.expect("without a file range all bytes would have been sent");
        let size_bytes = send_file(stream, region)?;
        if region.size_bytes == 0 {
            self.files_sent += 1;
        }
        Ok((size_bytes, true))
    }

    /// Reads every range that is too small for a call of its own into the bytes.
    fn read_small_files(&mut self) -> io::Result<()> {
        if self.output.files.iter().all(|(_, region)| region.size_bytes >= MIN_SENDFILE_SIZE_BYTES) {
            return Ok(());
        }
        let files = std::mem::take(&mut self.output.files);
        let small_size_bytes: usize = files
            .iter()
            .map(|(_, region)| region.size_bytes)
            .filter(|size| *size < MIN_SENDFILE_SIZE_BYTES)
            .sum();
        let mut old = std::mem::take(&mut self.output.bytes);
        let mut bytes = BytesMut::with_capacity(old.len() + small_size_bytes);
        let mut copied = 0;
        for (position, region) in files {
            bytes.extend_from_slice(&old[..position - copied]);
            old.advance(position - copied);
            copied = position;
            if region.size_bytes >= MIN_SENDFILE_SIZE_BYTES {
                self.output.files.push((bytes.len(), region));
            } else {
                read_file(&mut bytes, &region)?;
            }
        }
        bytes.extend_from_slice(&old);
        self.output.bytes = bytes;
        Ok(())
    }
}

/// Sends a piece of a file range and shrinks the range by it.
fn send_file(stream: &TcpStream, region: &mut FileRegion) -> io::Result<usize> {
    let count = region.size_bytes.min(MAX_FILE_SIZE_PER_TURN_BYTES);
    let mut position = region.position;
    let size_bytes = rustix::fs::sendfile(stream, region.file.as_std(), Some(&mut position), count)?;
    if size_bytes == 0 {
        return Err(cut_file());
    }
    region.position = position;
    region.size_bytes -= size_bytes;
    Ok(size_bytes)
}

fn read_file(bytes: &mut BytesMut, region: &FileRegion) -> io::Result<()> {
    let start = bytes.len();
    bytes.resize(start + region.size_bytes, 0);
    match region.file.read_exact_at(&mut bytes[start..], region.position) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(cut_file()),
        result => result,
    }
}

fn cut_file() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "a log segment ended before the range that was to be sent")
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Read;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::env::fs::File;

    const FILE_SIZE_BYTES: usize = 3_000_000;

    fn content() -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(11);
        std::iter::repeat_with(|| random.u8(..)).take(FILE_SIZE_BYTES).collect()
    }

    fn file(directory: &Path) -> Arc<File> {
        let file = File::create(&directory.join("segment")).expect("create");
        file.write_all_at(&content(), 0).expect("write");
        Arc::new(file)
    }

    fn region(file: &Arc<File>, position: u64, size_bytes: usize) -> FileRegion {
        FileRegion { file: file.clone(), position, size_bytes, written_since: None }
    }

    /// Sends what the outbox has over a real socket and returns what arrives, how often the turn was over,
    /// and how it ended.
    fn send(mut outbox: Outbox) -> (Vec<u8>, usize, io::Result<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("an address");
        let client = std::thread::spawn(move || {
            let mut received = Vec::new();
            std::net::TcpStream::connect(address).expect("connect").read_to_end(&mut received).expect("read");
            received
        });
        let (stream, _) = listener.accept().expect("accept");
        stream.set_nonblocking(true).expect("nonblocking");
        let (turns, result) = runtime.block_on(async {
            let stream = TcpStream::from_std(stream).expect("watched");
            let mut turns = 0;
            loop {
                match poll_fn(|context| outbox.poll_send(context, &stream).1).await {
                    Ok(Sent::TurnOver) => turns += 1,
                    Ok(Sent::All) => return (turns, Ok(())),
                    Err(error) => return (turns, Err(error)),
                }
            }
        });
        (client.join().expect("received"), turns, result)
    }

    #[test]
    fn bytes_and_file_ranges_of_any_size_arrive_in_their_order() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, content) = (file(directory.path()), content());
        let mut random = fastrand::Rng::with_seed(12);
        for _ in 0..50 {
            let (mut outbox, mut expected) = (Outbox::default(), Vec::new());
            for _ in 0..random.usize(1..8) {
                let bytes = vec![random.u8(..); random.usize(0..200)];
                outbox.output().bytes.extend_from_slice(&bytes);
                expected.extend_from_slice(&bytes);
                let size_bytes = [0, 1, 1_000, MIN_SENDFILE_SIZE_BYTES, 100_000][random.usize(0..5)];
                let position = random.usize(0..FILE_SIZE_BYTES - size_bytes);
                outbox.output().splice(region(&file, position as u64, size_bytes));
                expected.extend_from_slice(&content[position..position + size_bytes]);
            }
            outbox.output().bytes.extend_from_slice(b"end");
            expected.extend_from_slice(b"end");
            let (received, _, result) = send(outbox);
            result.expect("sent");
            assert!(received == expected);
        }
    }

    #[test]
    fn a_large_file_range_is_sent_in_turns() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut outbox = Outbox::default();
        outbox.output().splice(region(&file(directory.path()), 0, FILE_SIZE_BYTES));
        let (received, turns, result) = send(outbox);
        result.expect("sent");
        assert!(received == content());
        assert!(turns >= 2, "after each MiB the others have their turn");
    }

    #[test]
    fn a_file_that_was_cut_ends_the_connection() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = file(directory.path());
        for size_bytes in [1_000, 100_000] {
            let mut outbox = Outbox::default();
            outbox.output().bytes.extend_from_slice(b"length");
            outbox.output().splice(region(&file, (FILE_SIZE_BYTES - size_bytes + 1) as u64, size_bytes));
            let (_, _, result) = send(outbox);
            assert_eq!(result.expect_err("a byte is missing").kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
