//! The codecs of record batches, as the Java client frames them. A batch is compressed once, before the run.

use std::io::Write;
use std::str::FromStr;

use anyhow::{Context, bail};

const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// What `SnappyOutputStream` compresses at a time.
const XERIAL_BLOCK_SIZE_BYTES: usize = 32 * 1024;
/// The default of `compression.zstd.level`.
const ZSTD_LEVEL: i32 = 3;

/// The discriminants are the bits of a batch's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl FromStr for Codec {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Codec> {
        Ok(match name {
            "none" => Codec::None,
            "gzip" => Codec::Gzip,
            "snappy" => Codec::Snappy,
            "lz4" => Codec::Lz4,
            "zstd" => Codec::Zstd,
            other => bail!("unknown codec {other}"),
        })
    }
}

impl Codec {
    /// The records of a batch, from behind its header.
    pub fn compress(self, records: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        match self {
            Codec::None => Ok(records),
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&records).context("compress with gzip")?;
                encoder.finish().context("compress with gzip")
            }
            Codec::Snappy => compress_xerial(&records),
            Codec::Lz4 => {
                // What Java writes: independent blocks of 64 KiB without checksums.
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max64KB)
                    .block_mode(lz4_flex::frame::BlockMode::Independent);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&records).context("compress with lz4")?;
                encoder.finish().context("compress with lz4")
            }
            Codec::Zstd => zstd::stream::encode_all(&records[..], ZSTD_LEVEL).context("compress with zstd"),
        }
    }
}

fn compress_xerial(records: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend_from_slice(&1_u32.to_be_bytes()); // version
    out.extend_from_slice(&1_u32.to_be_bytes()); // least compatible version
    for block in records.chunks(XERIAL_BLOCK_SIZE_BYTES) {
        let compressed = snap::raw::Encoder::new().compress_vec(block).context("compress with snappy")?;
        out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}
