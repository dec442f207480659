//! Received bytes of one connection: whole frames out, room for more in. No socket here.
//!
//! A frame is a 4-byte length and that many bytes (`NetworkReceive`). The length is only a claim: memory
//! grows with the bytes that arrived, by at most [`MAX_GROWTH`], never with the claim alone. Between two
//! reads a connection holds nothing, or the start of a frame in just its size, or, beyond
//! [`MAX_STASH_SIZE_BYTES`], the buffer it arrived in. A peer that has sent more than a read took is read
//! from in larger pieces: several requests then cost one read, and their responses one write.

use std::ops::Range;

use super::buffers::{BASE_SIZE_BYTES, BufferPool, PageBuffer};

/// Bytes of the length in front of each frame.
const LENGTH_SIZE_BYTES: usize = 4;

/// How many times what arrived the next buffer may be; a full base buffer may grow to the class that
/// holds a 1 MiB record batch.
const MAX_GROWTH: usize = 16;

/// Up to this many waiting bytes are copied out, so that the buffer serves others meanwhile.
const MAX_STASH_SIZE_BYTES: usize = 16 * 1024;

/// Size of the buffer of a read behind one that left something in the socket: four batches of 64 KiB in
/// their requests, which are still in the CPU's cache when they are handled.
const BACKLOG_SIZE_BYTES: usize = 320 * 1024;

/// Why what a peer sends cannot be a frame. Kafka closes the connection for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    Empty,
    Negative,
    TooLarge,
}

impl BadFrame {
    pub fn reason(self) -> &'static str {
        match self {
            BadFrame::Empty => "frame of length 0",
            BadFrame::Negative => "frame of negative length",
            BadFrame::TooLarge => "frame larger than socket.request.max.bytes",
        }
    }
}

/// The bytes that arrived and are not handled yet.
#[derive(Debug, Default)]
pub struct Receive {
    storage: Storage,
    /// The unhandled bytes in the storage.
    start: usize,
    end: usize,
    /// The last read filled the buffer, or more than a base buffer: that much waits in the socket again.
    is_backlogged: bool,
    /// The buffer is larger than the base size although the frame it was last read into is not.
    reads_ahead: bool,
}

#[derive(Debug, Default)]
enum Storage {
    #[default]
    Nothing,
    /// Exactly the bytes that were unhandled when the connection waited last, or moved.
    Stash(Box<[u8]>),
    Buffer(PageBuffer),
}

impl Receive {
    /// With these bytes received already, no more than a base buffer holds.
    pub fn of(received: Box<[u8]>) -> Receive {
        let end = received.len();
        let storage = if received.is_empty() { Storage::Nothing } else { Storage::Stash(received) };
        Receive { storage, end, ..Receive::default() }
    }

    /// Takes all bytes that wait.
    pub fn take_waiting(&mut self) -> Box<[u8]> {
        let waiting = self.start..self.end;
        self.start = self.end;
        match &self.storage {
            Storage::Nothing => Box::default(),
            Storage::Stash(bytes) => bytes[waiting].into(),
            Storage::Buffer(buffer) => buffer.as_slice()[waiting].into(),
        }
    }

    /// Bytes that wait to be handled.
    pub fn waiting_size_bytes(&self) -> usize {
        self.end - self.start
    }

    /// Memory held at the moment.
    pub fn held_size_bytes(&self) -> usize {
        match &self.storage {
            Storage::Nothing => 0,
            Storage::Stash(bytes) => bytes.len(),
            Storage::Buffer(buffer) => buffer.size_bytes(),
        }
    }

    /// Whether [`Receive::take_frame`] has something to say: a whole frame, or that there cannot be one.
    pub fn has_frame(&self, max_size_bytes: usize) -> bool {
        match self.claimed_size_bytes(max_size_bytes) {
            Ok(Some(size_bytes)) => self.waiting_size_bytes() - LENGTH_SIZE_BYTES >= size_bytes,
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Whether the next read is the first of a frame that the base buffer cannot hold.
    pub fn begins_large(&self, max_size_bytes: usize) -> bool {
        // A frame of which more has arrived has begun, in the buffer of a backlog.
        let has_begun = match self.reads_ahead {
            true => self.waiting_size_bytes() > BASE_SIZE_BYTES,
            false => self.held_size_bytes() > BASE_SIZE_BYTES,
        };
        !has_begun && self.is_large(max_size_bytes)
    }

    /// Whether the next read needs a larger buffer than the one that is held.
    pub fn must_grow(&self, max_size_bytes: usize) -> bool {
        self.waiting_size_bytes() == self.held_size_bytes() && self.is_large(max_size_bytes)
    }

    fn is_large(&self, max_size_bytes: usize) -> bool {
        let claim = self.claimed_size_bytes(max_size_bytes).ok().flatten();
        claim.is_some_and(|size_bytes| LENGTH_SIZE_BYTES + size_bytes > BASE_SIZE_BYTES)
    }

    /// Takes the next whole frame out, without its length. The bytes stay where they are until the next
    /// read, for the handler to parse and patch.
    pub fn take_frame(&mut self, max_size_bytes: usize) -> Result<Option<&mut [u8]>, BadFrame> {
        let Some(size_bytes) = self.claimed_size_bytes(max_size_bytes)? else { return Ok(None) };
        let first = self.start + LENGTH_SIZE_BYTES;
        if self.end - first < size_bytes {
            return Ok(None);
        }
        self.start = first + size_bytes;
        Ok(Some(self.bytes_mut(first..first + size_bytes)))
    }

    /// Room for the next read; not to be asked for while a whole frame waits. Takes or grows a buffer as
    /// the bytes that arrived allow, or for a backlog if there is memory for it. The rest of a frame
    /// beyond the base size is read by itself, so that the next frame starts in a base buffer again.
    pub fn room(&mut self, pool: &mut BufferPool, max_size_bytes: usize, has_memory: bool) -> &mut [u8] {
        let claim = self.claimed_size_bytes(max_size_bytes).ok().flatten();
        let frame_size_bytes = LENGTH_SIZE_BYTES + claim.unwrap_or(0);
        let reads_backlog = self.is_backlogged && has_memory && frame_size_bytes <= BASE_SIZE_BYTES;
        let read_size_bytes = if reads_backlog { BACKLOG_SIZE_BYTES } else { BASE_SIZE_BYTES };
        let mut buffer = match std::mem::replace(&mut self.storage, Storage::Nothing) {
            Storage::Buffer(buffer) if reads_backlog && buffer.size_bytes() < read_size_bytes => {
                self.move_to_another(buffer, read_size_bytes, pool)
            }
            Storage::Buffer(buffer) => buffer,
            Storage::Stash(bytes) => {
                let mut buffer = pool.take(read_size_bytes);
                buffer.as_mut_slice()[..bytes.len()].copy_from_slice(&bytes);
                buffer
            }
            Storage::Nothing => pool.take(read_size_bytes),
        };
        if self.start + frame_size_bytes > buffer.size_bytes() || self.end == buffer.size_bytes() {
            buffer = self.move_to_front(buffer, frame_size_bytes, pool);
        }
        self.reads_ahead = frame_size_bytes <= BASE_SIZE_BYTES && buffer.size_bytes() > BASE_SIZE_BYTES;
        let room_end = match frame_size_bytes > BASE_SIZE_BYTES {
            true => buffer.size_bytes().min(self.start + frame_size_bytes),
            false => buffer.size_bytes(),
        };
        let room = self.end..room_end;
        self.storage = Storage::Buffer(buffer);
        self.bytes_mut(room)
    }

    /// `size_bytes` more have been read into the room.
    pub fn filled(&mut self, size_bytes: usize) {
        self.end += size_bytes;
        // What a read of the rest of a large frame took says nothing of the next one.
        let takes_what_is_there = self.reads_ahead || self.held_size_bytes() == BASE_SIZE_BYTES;
        let took_much = self.end == self.held_size_bytes() || size_bytes >= BASE_SIZE_BYTES;
        self.is_backlogged = takes_what_is_there && took_much;
    }

    /// The next read takes no more than any other: it may be long before that is handled.
    pub fn forget_backlog(&mut self) {
        self.is_backlogged = false;
    }

    /// Before the connection waits: gives the buffer back unless much waits in it.
    pub fn settle(&mut self, pool: &mut BufferPool) {
        let waiting = self.waiting_size_bytes();
        match std::mem::replace(&mut self.storage, Storage::Nothing) {
            Storage::Buffer(buffer) if waiting <= MAX_STASH_SIZE_BYTES => {
                if waiting > 0 {
                    self.storage = Storage::Stash(buffer.as_slice()[self.start..self.end].into());
                }
                (self.start, self.end) = (0, waiting);
                pool.give_back(buffer);
            }
            Storage::Stash(bytes) if self.start > 0 => {
                if waiting > 0 {
                    self.storage = Storage::Stash(bytes[self.start..self.end].into());
                }
                (self.start, self.end) = (0, waiting);
            }
            // A backlog that is done with needs no more than any other connection.
            Storage::Buffer(buffer) if self.reads_ahead && waiting <= BASE_SIZE_BYTES => {
                self.reads_ahead = false;
                self.storage = Storage::Buffer(self.move_to_another(buffer, BASE_SIZE_BYTES, pool));
            }
            kept => self.storage = kept,
        }
    }

    /// Gives back whatever is held; for the end of the connection.
    pub fn release(&mut self, pool: &mut BufferPool) {
        self.start = self.end;
        self.settle(pool);
    }

    /// Moves the waiting bytes to the front of the buffer, or of a larger one when they fill it.
    fn move_to_front(
        &mut self,
        mut buffer: PageBuffer,
        frame_size_bytes: usize,
        pool: &mut BufferPool,
    ) -> PageBuffer {
        let waiting = self.waiting_size_bytes();
        if waiting < buffer.size_bytes() {
            buffer.as_mut_slice().copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, waiting);
            buffer
        } else {
            self.move_to_another(buffer, frame_size_bytes.min(waiting * MAX_GROWTH), pool)
        }
    }

    /// Moves the waiting bytes to the front of a buffer of at least `size_bytes`, which has room for them.
    fn move_to_another(
        &mut self,
        buffer: PageBuffer,
        size_bytes: usize,
        pool: &mut BufferPool,
    ) -> PageBuffer {
        let waiting = self.waiting_size_bytes();
        let mut another = pool.take(size_bytes);
        another.as_mut_slice()[..waiting].copy_from_slice(&buffer.as_slice()[self.start..self.end]);
        pool.give_back(buffer);
        (self.start, self.end) = (0, waiting);
        another
    }

    /// The length that the peer claims for the next frame, as soon as its 4 bytes are there.
    fn claimed_size_bytes(&self, max_size_bytes: usize) -> Result<Option<usize>, BadFrame> {
        let Some(length) = self.bytes().first_chunk::<LENGTH_SIZE_BYTES>() else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        let size_bytes = usize::try_from(length).map_err(|_| BadFrame::Negative)?;
        match size_bytes {
            0 => Err(BadFrame::Empty),
            size_bytes if size_bytes > max_size_bytes => Err(BadFrame::TooLarge),
            size_bytes => Ok(Some(size_bytes)),
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.storage {
            Storage::Nothing => &[],
            Storage::Stash(bytes) => &bytes[self.start..self.end],
            Storage::Buffer(buffer) => &buffer.as_slice()[self.start..self.end],
        }
    }

    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        match &mut self.storage {
            Storage::Nothing => &mut [],
            Storage::Stash(bytes) => &mut bytes[range],
            Storage::Buffer(buffer) => &mut buffer.as_mut_slice()[range],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100 << 20;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as i32).to_be_bytes().to_vec();
        bytes.extend_from_slice(payload);
        bytes
    }

    /// What a connection does after each read.
    #[derive(Clone, Copy, Debug)]
    enum Then {
        ReadsOn,
        Waits,
        /// Moves to another worker before it handles anything, if no more has come than may move.
        Moves,
    }

    /// Feeds `bytes` in reads of at most `read_size_bytes` and returns the frames.
    fn receive(bytes: &[u8], read_size_bytes: usize, then: Then) -> Vec<Vec<u8>> {
        let mut pool = BufferPool::default();
        let mut receive = Receive::default();
        let (mut fed, mut frames) = (0, Vec::new());
        while fed < bytes.len() {
            let room = receive.room(&mut pool, MAX, true);
            let size_bytes = room.len().min(read_size_bytes).min(bytes.len() - fed);
            assert!(size_bytes > 0, "there is always room for more");
            room[..size_bytes].copy_from_slice(&bytes[fed..fed + size_bytes]);
            receive.filled(size_bytes);
            fed += size_bytes;
            if matches!(then, Then::Moves) && receive.waiting_size_bytes() <= BASE_SIZE_BYTES {
                let received = receive.take_waiting();
                receive.release(&mut pool);
                (receive, pool) = (Receive::of(received), BufferPool::default());
            }
            while receive.has_frame(MAX) {
                frames.push(
                    receive.take_frame(MAX).expect("an honest length").expect("a whole frame").to_vec(),
                );
            }
            match then {
                Then::Waits => {
                    receive.settle(&mut pool);
                    let bound = (2 * MAX_GROWTH) * receive.waiting_size_bytes();
                    assert!(receive.held_size_bytes() <= bound, "memory follows the bytes received");
                }
                Then::Moves | Then::ReadsOn => {}
            }
        }
        assert_eq!(receive.waiting_size_bytes(), 0);
        frames
    }

    fn payload(size_bytes: usize, seed: u64) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        std::iter::repeat_with(|| random.u8(..)).take(size_bytes).collect()
    }

    #[test]
    fn frames_arrive_whole_however_they_are_cut() {
        for sizes in
            [&[1, 2, 3][..], &[70_000, 1, 70_000], &[1 << 20, 5, 3 << 20], &[65_640, 65_640, 65_640, 65_640]]
        {
            let payloads: Vec<Vec<u8>> =
                sizes.iter().zip(0..).map(|(size, seed)| payload(*size, seed)).collect();
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
            for read_size_bytes in [usize::MAX, 100_000, 8_191, 999] {
                for then in [Then::ReadsOn, Then::Waits, Then::Moves] {
                    let frames = receive(&bytes, read_size_bytes, then);
                    assert!(frames == payloads, "{sizes:?} {read_size_bytes} {then:?}");
                }
            }
        }
    }

    #[test]
    fn frames_arrive_whole_when_cut_at_every_byte() {
        let payloads = vec![payload(9, 1), payload(1, 2), payload(30, 3)];
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
        for read_size_bytes in 1..bytes.len() {
            for then in [Then::Waits, Then::Moves] {
                assert_eq!(receive(&bytes, read_size_bytes, then), payloads);
            }
        }
    }

    #[test]
    fn of_what_moved_only_the_rest_is_held() {
        let bytes = [frame(b"whole"), frame(b"too"), frame(b"beginning")[..7].to_vec()].concat();
        let mut receive = Receive::of(bytes.clone().into());
        let mut pool = BufferPool::default();
        receive.settle(&mut pool);
        assert_eq!(receive.held_size_bytes(), bytes.len());
        assert_eq!(receive.take_frame(MAX).expect("an honest length").expect("and whole"), b"whole");
        receive.settle(&mut pool);
        assert_eq!(receive.held_size_bytes(), 7 + 7);
        assert_eq!(receive.take_frame(MAX).expect("an honest length").expect("and whole"), b"too");
        assert!(!receive.has_frame(MAX));
        receive.settle(&mut pool);
        assert_eq!(receive.held_size_bytes(), 7);
        assert_eq!(receive.take_waiting()[..], bytes[bytes.len() - 7..]);
        receive.settle(&mut pool);
        assert_eq!(receive.held_size_bytes(), 0);
    }

    #[test]
    fn a_claim_alone_takes_no_memory() {
        let mut pool = BufferPool::default();
        let mut receive = Receive::default();
        receive.room(&mut pool, MAX, true)[..4].copy_from_slice(&(MAX as i32).to_be_bytes());
        receive.filled(4);
        assert_eq!(receive.room(&mut pool, MAX, true).len(), BASE_SIZE_BYTES - 4);
        receive.settle(&mut pool);
        assert_eq!(receive.held_size_bytes(), 4);
    }

    #[test]
    fn a_backlog_is_read_in_larger_pieces_while_there_is_memory() {
        let request = frame(&payload(60_000, 1));
        for (has_memory, expected) in [(true, BACKLOG_SIZE_BYTES), (false, BASE_SIZE_BYTES)] {
            let mut pool = BufferPool::default();
            let mut receive = Receive::default();
            let first = receive.room(&mut pool, MAX, has_memory);
            assert_eq!(first.len(), BASE_SIZE_BYTES);
            let rest_size_bytes = first.len() - request.len();
            first[..request.len()].copy_from_slice(&request);
            first[request.len()..].copy_from_slice(&request[..rest_size_bytes]);
            receive.filled(BASE_SIZE_BYTES);
            assert!(receive.take_frame(MAX).expect("an honest length").is_some());
            assert_eq!(receive.room(&mut pool, MAX, has_memory).len(), expected - rest_size_bytes);
            assert_eq!(receive.held_size_bytes(), expected);
            receive.filled(30_000);
            receive.settle(&mut pool);
            assert_eq!(receive.held_size_bytes(), BASE_SIZE_BYTES, "what waits keeps a base buffer");
            assert_eq!(
                receive.room(&mut pool, MAX, has_memory).len(),
                BASE_SIZE_BYTES - rest_size_bytes - 30_000
            );
        }
    }

    #[test]
    fn a_large_frame_begins_once_also_behind_a_backlog() {
        let mut pool = BufferPool::default();
        let mut receive = Receive::default();
        let mut feed = |receive: &mut Receive, bytes: &[u8]| {
            receive.room(&mut pool, MAX, true)[..bytes.len()].copy_from_slice(bytes);
            receive.filled(bytes.len());
        };
        let small = frame(&payload(60_000, 1));
        let large = [(MAX as i32).to_be_bytes().to_vec(), vec![0; 20_000]].concat();
        let bytes = [small.clone(), small, large].concat();
        feed(&mut receive, &bytes[..BASE_SIZE_BYTES]);
        assert!(receive.take_frame(MAX).expect("an honest length").is_some());
        feed(&mut receive, &bytes[BASE_SIZE_BYTES..]);
        assert!(receive.take_frame(MAX).expect("an honest length").is_some());
        assert_eq!(receive.held_size_bytes(), BACKLOG_SIZE_BYTES);
        assert!(receive.begins_large(MAX), "the base buffer holds what has arrived of it");
        feed(&mut receive, &[0; 100_000]);
        assert!(!receive.begins_large(MAX), "it has begun and is never made to wait");
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_behind_whole_frames() {
        let cases = [(0_i32, BadFrame::Empty), (-1, BadFrame::Negative), (i32::MIN, BadFrame::Negative)];
        for (length, expected) in cases.into_iter().chain([(i32::MAX, BadFrame::TooLarge)]) {
            let mut receive = Receive::default();
            let mut pool = BufferPool::default();
            let bytes = [frame(b"good"), length.to_be_bytes().to_vec()].concat();
            receive.room(&mut pool, MAX, true)[..bytes.len()].copy_from_slice(&bytes);
            receive.filled(bytes.len());
            assert_eq!(
                receive.take_frame(MAX).expect("the first frame is good").expect("and whole"),
                b"good"
            );
            assert!(receive.has_frame(MAX));
            assert_eq!(receive.take_frame(MAX).expect_err("the length is not possible"), expected);
        }
    }
}
