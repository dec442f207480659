//! The four codecs of record batches, as the Java client frames them: gzip members, snappy in xerial framing
//! (or one raw block), LZ4 frames, zstd frames.
//!
//! Pure functions over bytes. The size of the output is bounded by the caller, because a small batch may
//! claim to be gigabytes; hostile bytes give an error, never a panic.

use std::fmt;
use std::io::{self, Read, Write};

use crate::protocol::batch::Compression;

/// Why bytes cannot be decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecompressError {
    /// The output would be larger than the limit in bytes.
    TooLarge { limit: usize },
    /// The bytes are not of the codec.
    Corrupt(Compression),
}

impl fmt::Display for DecompressError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecompressError::TooLarge { limit } => {
                write!(formatter, "the decompressed records are larger than {limit} bytes")
            }
            DecompressError::Corrupt(codec) => {
                write!(formatter, "the records are not compressed as {codec:?}")
            }
        }
    }
}

impl std::error::Error for DecompressError {}

/// How hard a codec tries; the scale is the codec's own (KIP-390). `None` is its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(pub Option<i32>);

impl Level {
    pub const DEFAULT: Level = Level(None);
}

/// Output grows in steps of this many bytes, so that memory follows what was really decompressed.
const STEP_SIZE: usize = 64 * 1024;
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// Magic, version and least compatible version.
const XERIAL_HEADER_SIZE: usize = 16;
/// What `SnappyOutputStream` compresses at a time.
const XERIAL_BLOCK_SIZE: usize = 32 * 1024;
/// A three-byte copy element gives 64 bytes; no snappy block grows more than this.
const SNAPPY_MOST_GROWTH: usize = 32;

/// The records of a batch, uncompressed; at most `limit` bytes of them.
pub fn decompress(codec: Compression, bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    read_all(reader(codec, bytes)?, limit, codec)
}

/// Decompresses piece by piece: memory stays at a codec's window, and a snappy block's size, however much
/// comes out.
pub fn reader<'a>(codec: Compression, bytes: &'a [u8]) -> Result<Box<dyn Read + 'a>, DecompressError> {
    Ok(match codec {
        Compression::None => Box::new(bytes),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(bytes)),
        Compression::Snappy => Box::new(SnappyReader::new(bytes)),
        Compression::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(bytes)),
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes);
            Box::new(decoder.map_err(|_| DecompressError::Corrupt(codec))?)
        }
    })
}

fn read_all(reader: impl Read, limit: usize, codec: Compression) -> Result<Vec<u8>, DecompressError> {
    // One byte more than allowed tells "too large" from "just fits".
    let mut reader = reader.take((limit as u64).saturating_add(1));
    let mut out = Vec::new();
    loop {
        let filled = out.len();
        out.resize(filled + STEP_SIZE.max(filled / 2), 0);
        match reader.read(&mut out[filled..]) {
            Ok(0) => {
                out.truncate(filled);
                return Ok(out);
            }
            Ok(size) => out.truncate(filled + size),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => out.truncate(filled),
            Err(_) => return Err(DecompressError::Corrupt(codec)),
        }
        if out.len() > limit {
            return Err(DecompressError::TooLarge { limit });
        }
    }
}

/// Blocks in xerial framing, or one raw block.
struct SnappyReader<'a> {
    rest: &'a [u8],
    is_framed: bool,
    block: Vec<u8>,
    position: usize,
}

impl<'a> SnappyReader<'a> {
    fn new(bytes: &'a [u8]) -> SnappyReader<'a> {
        let is_framed = bytes.starts_with(XERIAL_MAGIC);
        SnappyReader { rest: bytes, is_framed, block: Vec::new(), position: 0 }
    }

    /// The next compressed block; `None` at the end, an error when the bytes end inside it.
    fn next_block(&mut self) -> io::Result<Option<&'a [u8]>> {
        if !self.is_framed {
            let block = std::mem::take(&mut self.rest);
            return Ok((!block.is_empty()).then_some(block));
        }
        // Streams may be concatenated: a header can stand where a block could.
        while self.rest.starts_with(XERIAL_MAGIC) {
            self.rest = self.rest.get(XERIAL_HEADER_SIZE..).ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (size, rest) = self.rest.split_first_chunk::<4>().ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = u32::from_be_bytes(*size) as usize;
        let (block, rest) = rest.split_at_checked(size).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.rest = rest;
        Ok(Some(block))
    }
}

impl Read for SnappyReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.position == self.block.len() {
            let Some(block) = self.next_block()? else { return Ok(0) };
            let size = snap::raw::decompress_len(block)?;
            if size / SNAPPY_MOST_GROWTH > block.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.block.resize(size, 0);
            self.position = 0;
            snap::raw::Decoder::new().decompress(block, &mut self.block)?;
        }
        let size = out.len().min(self.block.len() - self.position);
        out[..size].copy_from_slice(&self.block[self.position..self.position + size]);
        self.position += size;
        Ok(size)
    }
}

/// Compresses records as the Java client would. LZ4 has one level here.
pub fn compress(codec: Compression, level: Level, bytes: &[u8]) -> Vec<u8> {
    match codec {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let level = match level.0 {
                Some(level @ 0..=9) => flate2::Compression::new(level as u32),
                Some(_) | None => flate2::Compression::default(),
            };
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            in_memory(encoder.write_all(bytes));
            in_memory(encoder.finish())
        }
        Compression::Snappy => compress_xerial(bytes),
        Compression::Lz4 => {
            // What Java writes: independent blocks of 64 KiB without checksums.
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            in_memory(encoder.write_all(bytes));
            encoder.finish().expect("a Vec takes all that is written")
        }
        Compression::Zstd => in_memory(zstd::stream::encode_all(bytes, level.0.unwrap_or(3))),
    }
}

fn compress_xerial(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(XERIAL_HEADER_SIZE + bytes.len() / 2);
    out.extend_from_slice(XERIAL_MAGIC);
    out.extend_from_slice(&1u32.to_be_bytes());
    out.extend_from_slice(&1u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in bytes.chunks(XERIAL_BLOCK_SIZE) {
        let compressed = encoder.compress_vec(block).expect("a block is far below snappy's limit of 4 GiB");
        out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    out
}

fn in_memory<T>(result: io::Result<T>) -> T {
    result.expect("a Vec takes all that is written")
}

#[cfg(test)]
mod tests;
