//! Walking a segment file batch by batch: headers only, or whole batches with their CRC.
//!
//! Nothing read here is trusted: a length that leaves the file or an offset that does not fit ends the walk with the
//! position and the reason; what that means (a torn tail, a lying index, corruption) the caller decides.

use std::io;

use crate::env::fs::File;
use crate::protocol::batch::{Batch, BatchError, HEADER_SIZE, LOG_OVERHEAD};
use crate::protocol::ids::{LeaderEpoch, Offset, Timestamp};

/// A batch's place: offsets `base_offset..next_offset`, bytes `position..position + size_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSpan {
    pub base_offset: Offset,
    pub next_offset: Offset,
    pub position: u64,
    pub size_bytes: u64,
}

impl BatchSpan {
    pub fn end_position(&self) -> u64 {
        self.position + self.size_bytes
    }

    pub fn last_offset(&self) -> Offset {
        self.next_offset + -1
    }
}

/// What the log wants to know of a batch without reading its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub span: BatchSpan,
    pub leader_epoch: LeaderEpoch,
    pub max_timestamp: Timestamp,
}

impl BatchHeader {
    /// Reads a header that stands at `position`. Knows nothing of the CRC.
    pub fn decode(bytes: &[u8; HEADER_SIZE], position: u64) -> Result<BatchHeader, Defect> {
        let defect = |reason| Defect { position, reason };
        let int = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        if bytes[16] != 2 {
            return Err(defect(Reason::Batch(BatchError::BadMagic(bytes[16]))));
        }
        let length = int(8);
        if length < (HEADER_SIZE - LOG_OVERHEAD) as i32 {
            return Err(defect(Reason::Batch(BatchError::BadLength)));
        }
        let (base_offset, last_offset_delta) = (long(0), int(23));
        let next_offset = base_offset.checked_add(i64::from(last_offset_delta) + 1);
        let (Some(next_offset), true) = (next_offset, base_offset >= 0 && last_offset_delta >= 0) else {
            return Err(defect(Reason::Batch(BatchError::BadCount)));
        };
        Ok(BatchHeader {
            span: BatchSpan {
                base_offset: Offset(base_offset),
                next_offset: Offset(next_offset),
                position,
                size_bytes: LOG_OVERHEAD as u64 + length as u64,
            },
            leader_epoch: LeaderEpoch(int(12)),
            max_timestamp: Timestamp(long(35)),
        })
    }

    /// As [`BatchHeader::decode`], of a batch in memory that will stand at `position`.
    pub fn of(batch: &Batch<'_>, position: u64) -> Result<BatchHeader, Defect> {
        let header =
            batch.bytes()[..HEADER_SIZE].try_into().expect("a batch is never shorter than its header");
        BatchHeader::decode(header, position)
    }
}

/// Why the bytes at a position are not the batch that should stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defect {
    pub position: u64,
    pub reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Batch(BatchError),
    /// The batch begins before the offset that must come next, or lies outside its segment.
    OffsetOutOfOrder,
    /// Its leader epoch is older than the one before it.
    EpochOutOfOrder,
    /// A control batch whose record cannot be read.
    BadMarker,
}

/// How a walk can end early.
#[derive(Debug)]
pub enum ScanError {
    Defect(Defect),
    Io(io::Error),
}

impl From<Defect> for ScanError {
    fn from(defect: Defect) -> ScanError {
        ScanError::Defect(defect)
    }
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> ScanError {
        ScanError::Io(error)
    }
}

/// Bytes that a walk over headers reads at once where batches are small.
const HEADER_WINDOW_SIZE: usize = 4096;

/// Walks over batch headers between two positions, the first of which is the start of a batch.
pub struct HeaderScan<'a> {
    file: &'a File,
    position: u64,
    limit: u64,
    window: [u8; HEADER_WINDOW_SIZE],
    window_position: u64,
    window_size: usize,
    read_ahead_size: usize,
}

impl<'a> HeaderScan<'a> {
    pub fn new(file: &'a File, position: u64, limit: u64) -> HeaderScan<'a> {
        HeaderScan {
            file,
            position,
            limit,
            window: [0; HEADER_WINDOW_SIZE],
            window_position: 0,
            window_size: 0,
            // One look-up usually needs two neighbours; more is read once the batches prove to be small.
            read_ahead_size: 512,
        }
    }

    /// The next batch, or `None` at the limit.
    pub fn next_batch(&mut self) -> Result<Option<BatchHeader>, ScanError> {
        let left_size = self.limit - self.position;
        if left_size == 0 {
            return Ok(None);
        }
        let truncated = Defect { position: self.position, reason: Reason::Batch(BatchError::Truncated) };
        if left_size < HEADER_SIZE as u64 {
            return Err(truncated.into());
        }
        let position = self.position;
        let header = BatchHeader::decode(self.header_bytes()?, position)?;
        if header.span.size_bytes > left_size {
            return Err(truncated.into());
        }
        self.position = header.span.end_position();
        let is_small = header.span.size_bytes < (HEADER_WINDOW_SIZE / 2) as u64;
        self.read_ahead_size = if is_small { HEADER_WINDOW_SIZE } else { HEADER_SIZE };
        Ok(Some(header))
    }

    fn header_bytes(&mut self) -> io::Result<&[u8; HEADER_SIZE]> {
        let window_end = self.window_position + self.window_size as u64;
        if self.position < self.window_position || self.position + HEADER_SIZE as u64 > window_end {
            let size = (self.limit - self.position).min(self.read_ahead_size as u64) as usize;
            self.window_size = 0;
            self.file.read_exact_at(&mut self.window[..size], self.position)?;
            (self.window_position, self.window_size) = (self.position, size);
        }
        let start = (self.position - self.window_position) as usize;
        Ok(self.window[start..start + HEADER_SIZE].try_into().expect("the window holds the header"))
    }
}

/// Reads whole batches one after the other; checks lengths and CRCs. Holds at most the largest batch and a window of
/// `BATCH_WINDOW_SIZE`.
pub struct BatchScan<'a> {
    file: &'a File,
    position: u64,
    limit: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins, and how much of it holds bytes of the file.
    buffer_position: u64,
    held_size: usize,
}

/// Bytes that a walk over whole batches reads at once.
const BATCH_WINDOW_SIZE: usize = 256 * 1024;

impl<'a> BatchScan<'a> {
    pub fn new(file: &'a File, position: u64, limit: u64) -> BatchScan<'a> {
        BatchScan { file, position, limit, buffer: Vec::new(), buffer_position: position, held_size: 0 }
    }

    /// The next batch with its header, or `None` at the limit. After an error the walk stands where it was.
    pub fn next_batch(&mut self) -> Result<Option<(BatchHeader, Batch<'_>)>, ScanError> {
        let left_size = self.limit - self.position;
        if left_size == 0 {
            return Ok(None);
        }
        let defect = |position, error| Defect { position, reason: Reason::Batch(error) };
        if left_size < HEADER_SIZE as u64 {
            return Err(defect(self.position, BatchError::Truncated).into());
        }
        self.fill(HEADER_SIZE)?;
        let start = (self.position - self.buffer_position) as usize;
        let header_bytes = self.buffer[start..start + HEADER_SIZE].try_into().expect("filled");
        let header = BatchHeader::decode(header_bytes, self.position)?;
        if header.span.size_bytes > left_size {
            return Err(defect(self.position, BatchError::Truncated).into());
        }
        self.fill(header.span.size_bytes as usize)?;
        let start = (self.position - self.buffer_position) as usize;
        let bytes = &self.buffer[start..start + header.span.size_bytes as usize];
        let (batch, _) = Batch::split_first(bytes).map_err(|error| defect(self.position, error))?;
        if !batch.crc_matches() {
            return Err(defect(self.position, BatchError::BadCrc).into());
        }
        self.position = header.span.end_position();
        Ok(Some((header, batch)))
    }

    /// Makes the buffer hold `size` bytes from the position, which are known to be in the file.
    fn fill(&mut self, size: usize) -> io::Result<()> {
        // The walk only goes forward, and not beyond what the buffer holds.
        let start = (self.position - self.buffer_position) as usize;
        if start + size <= self.held_size {
            return Ok(());
        }
        let window_size = (self.limit - self.position).min(size.max(BATCH_WINDOW_SIZE) as u64) as usize;
        // The first part of a batch that did not fit is there already, and is not read again.
        self.buffer.copy_within(start..self.held_size, 0);
        let kept_size = self.held_size - start;
        (self.buffer_position, self.held_size) = (self.position, 0);
        if self.buffer.len() < window_size {
            self.buffer.resize(window_size, 0);
        }
        self.file
            .read_exact_at(&mut self.buffer[kept_size..window_size], self.position + kept_size as u64)?;
        self.held_size = window_size;
        Ok(())
    }
}
