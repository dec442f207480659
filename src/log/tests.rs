//! Tests of the whole room over real files in a temporary directory.

mod by_time;
mod compaction;
mod crash;
mod faults;
mod first;
mod main_line;
mod model;
mod retention;
mod transactions;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use tempfile::TempDir;

use crate::config::topic::TopicConfig;
use crate::log::append::{AppendError, Appended};
use crate::log::files::FileCache;
use crate::log::log::{Log, OpenOptions};
use crate::log::producer_state::Origin;
use crate::log::read::{LogView, ReadLimits};
use crate::log::recovery::OpenError;
use crate::log::verification::Verification;
use crate::protocol::batch::{Batch, BatchMut, HEADER_SIZE, LOG_OVERHEAD};
use crate::protocol::ids::{LeaderEpoch, Offset, Timestamp, TopicId, Uuid};

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A log directory with one partition in it.
pub struct Partition {
    pub root: TempDir,
    pub config: TopicConfig,
    pub files: Arc<FileCache>,
}

impl Partition {
    pub fn new() -> Partition {
        Partition::with(TopicConfig { index_interval_bytes: 200, ..TopicConfig::default() })
    }

    pub fn with(config: TopicConfig) -> Partition {
        let root = tempfile::tempdir().expect("make a temporary directory");
        Partition { root, config, files: FileCache::new(100) }
    }

    pub fn directory(&self) -> std::path::PathBuf {
        self.root.path().join("topic-0")
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory().join(name)
    }

    pub fn options(&self) -> OpenOptions {
        OpenOptions {
            directory: self.directory(),
            topic_id: TopicId(Uuid::from_u128(4711)),
            config: Arc::new(self.config.clone()),
            log_start_offset: Offset(0),
            recovery_point: Offset(0),
            clean_shutdown: false,
            producer_expiration_ms: Arc::new(AtomicI64::new(86_400_000)),
            files: self.files.clone(),
        }
    }

    pub fn open_after_crash(&self) -> Result<Log, OpenError> {
        Log::open(self.options(), NOW)
    }

    pub fn open_after_clean_stop(&self) -> Log {
        Log::open(OpenOptions { clean_shutdown: true, ..self.options() }, NOW).expect("open")
    }

    pub fn names(&self) -> Vec<String> {
        let entries = crate::env::fs::list(&self.directory()).unwrap_or_default();
        entries.into_iter().map(|entry| entry.name).collect()
    }
}

/// One batch of `count` records whose payload is `fill`; records are opaque to the log.
pub fn batch(count: i32, payload_size: usize, timestamp: i64, fill: u8) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_SIZE];
    bytes.extend(std::iter::repeat_n(fill, payload_size));
    let length = (bytes.len() - LOG_OVERHEAD) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[12..16].copy_from_slice(&(-1i32).to_be_bytes());
    bytes[16] = 2;
    bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[27..35].copy_from_slice(&timestamp.to_be_bytes());
    bytes[35..43].copy_from_slice(&timestamp.to_be_bytes());
    bytes[43..51].copy_from_slice(&(-1i64).to_be_bytes());
    bytes[51..53].copy_from_slice(&(-1i16).to_be_bytes());
    bytes[53..57].copy_from_slice(&(-1i32).to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    seal(&mut bytes);
    bytes
}

pub fn seal(bytes: &mut [u8]) {
    BatchMut::split_first(bytes).expect("a whole batch").0.seal();
}

pub fn append(log: &mut Log, bytes: &[u8]) -> Result<Appended, AppendError> {
    log.append_as_leader(&mut bytes.to_vec(), LeaderEpoch(1), Origin::Client(Verification::Off), NOW)
}

pub fn up_to(end: Offset) -> ReadLimits {
    ReadLimits { max_size_bytes: 1 << 20, up_to: end, at_least_one: true }
}

/// Base and next offset of every batch from an offset on, read as a consumer would.
pub fn offsets_from(view: &LogView, from: Offset, end: Offset) -> Vec<(i64, i64)> {
    let mut offsets = Vec::new();
    let mut next = from;
    while next < end {
        let bytes = view.read_bytes(next, up_to(end)).expect("read");
        if bytes.is_empty() {
            break;
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (batch, after) = Batch::split_first(rest).expect("whole batches");
            assert!(batch.crc_matches());
            offsets.push((batch.base_offset().0, batch.next_offset().0));
            next = batch.next_offset();
            rest = after;
        }
    }
    offsets
}
