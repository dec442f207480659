//! The view as one RocksDB database for all coordinator partitions of this broker.
//!
//! A batch of changes and the stamp of the log position it came from are written together, so what a crash leaves is
//! the state of one position, named by its stamp; the loader compares that stamp with the log. There is no
//! write-ahead log here: the partition log is it, and what was still in the memtable is replayed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBRawIterator, ErrorKind, LogLevel, Options, ReadOptions, ReadTier,
    WriteBatch, WriteBufferManager, WriteOptions,
};

use super::stamps::{self, Stamp};
use super::view::{Change, Patience, Scan, Tier, View, ViewError, Visit};
use super::{PartitionKey, entries, initialisers};

/// Cap of what the view takes on the heap: block cache, index blocks and memtables together.
const MEMORY_SIZE_BYTES: usize = 16 << 20;
/// An idle broker keeps up to twice this: the memtable in use, and what the allocator retains of the one before. At half
/// of it flushes fall behind 100,000 commits per second, and what waits for them takes more memory.
const MEMTABLE_SIZE_BYTES: usize = 2 << 20;
/// Leaves descriptors to log segments and connections.
const OPEN_FILES_MAX: i32 = 128;
/// One flush and one compaction thread: the view is never what a client waits for.
const BACKGROUND_JOBS: i32 = 2;
const INFO_LOG_SIZE_BYTES: usize = 1 << 20;

/// An open database. RocksDB holds a lock on the directory until it is dropped.
pub struct RocksView {
    db: DB,
    at_once: WriteOptions,
    patient: WriteOptions,
    /// Whether the log was told that writes fail; until one succeeds.
    has_complained: AtomicBool,
}

impl RocksView {
    /// Opens the view in `directory`, empty when there is none. Blocking.
    pub fn open(directory: &Path) -> Result<RocksView> {
        initialisers::run();
        let db = DB::open(&database_options(), directory)
            .with_context(|| format!("open the view in {}", directory.display()))?;
        let mut at_once = WriteOptions::default();
        at_once.disable_wal(true);
        // A write that would have to wait for a flush is refused; the caller keeps it in its overlay.
        at_once.set_no_slowdown(true);
        let mut patient = WriteOptions::default();
        patient.disable_wal(true);
        Ok(RocksView { db, at_once, patient, has_complained: AtomicBool::new(false) })
    }

    fn write(&self, batch: WriteBatch, patience: Patience) -> Result<(), ViewError> {
        let options = match patience {
            Patience::None => &self.at_once,
            Patience::Wait => &self.patient,
        };
        let Err(error) = self.db.write_opt(batch, options) else {
            if self.has_complained.load(Ordering::Relaxed) {
                self.has_complained.store(false, Ordering::Relaxed);
            }
            return Ok(());
        };
        match (error.kind(), patience) {
            (ErrorKind::Incomplete, Patience::None) => Err(ViewError::Busy),
            // A full disk passes: RocksDB goes on by itself once there is room. No other error of a flush does, as
            // there is no write-ahead log.
            (ErrorKind::IOError, Patience::None) if is_no_space(error.as_ref()) => {
                if !self.has_complained.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "the view takes no changes; they stay in memory while there is room");
                }
                Err(ViewError::Busy)
            }
            _ => Err(failed(error, "write a batch to the view")),
        }
    }
}

impl View for RocksView {
    fn stamp(&self, of: PartitionKey) -> Result<Option<Stamp>, ViewError> {
        let bytes = self.db.get_pinned(stamps::key(of)).map_err(|error| failed(error, "read a stamp"))?;
        bytes.map(|bytes| Stamp::decode(&bytes)).transpose().map_err(ViewError::Failed)
    }

    fn apply(
        &self,
        of: PartitionKey,
        changes: &mut dyn Iterator<Item = Change<'_>>,
        stamp: &Stamp,
        patience: Patience,
    ) -> Result<(), ViewError> {
        let mut batch = WriteBatch::default();
        for change in changes {
            match change.value {
                Some(value) => batch.put(entries::key(of, change.key), value),
                None => batch.delete(entries::key(of, change.key)),
            }
        }
        batch.put(stamps::key(of), stamp.encode());
        self.write(batch, patience)
    }

    fn get(&self, of: PartitionKey, key: &[u8], tier: Tier) -> Result<Option<Vec<u8>>, ViewError> {
        let found = self.db.get_opt(entries::key(of, key), &read_options(tier));
        found.map_err(|error| cold_or_failed(error, tier))
    }

    fn scan(
        &self,
        of: PartitionKey,
        prefix: &[u8],
        tier: Tier,
        visit: &mut Visit<'_>,
    ) -> Result<(), ViewError> {
        let begin = entries::key(of, prefix);
        let mut options = read_options(tier);
        options.set_iterate_upper_bound(entries::end_of(&begin));
        let mut iterator: DBRawIterator<'_> = self.db.raw_iterator_opt(options);
        iterator.seek(&begin);
        while let Some((key, value)) = iterator.item() {
            match visit(entries::record_key(key), value) {
                Scan::Next => iterator.next(),
                Scan::SkipTo(to) => {
                    let to = entries::key(of, &to);
                    if to.as_slice() > key { iterator.seek(to) } else { iterator.next() }
                }
                Scan::Stop => return Ok(()),
            }
        }
        iterator.status().map_err(|error| cold_or_failed(error, tier))
    }

    fn drop_partition(&self, of: PartitionKey) -> Result<(), ViewError> {
        let begin = entries::key(of, &[]);
        let end = entries::end_of(&begin);
        let mut batch = WriteBatch::default();
        batch.delete_range(begin, end);
        batch.delete(stamps::key(of));
        self.write(batch, Patience::Wait)
    }

    fn flush(&self) -> Result<(), ViewError> {
        self.db.flush().map_err(|error| failed(error, "flush the view"))
    }

    fn size_bytes(&self) -> u64 {
        let properties = ["rocksdb.live-sst-files-size", "rocksdb.cur-size-all-mem-tables"];
        let size = |name: &&str| self.db.property_int_value(*name).ok().flatten().unwrap_or(0);
        properties.iter().map(size).sum()
    }
}

fn read_options(tier: Tier) -> ReadOptions {
    let mut options = ReadOptions::default();
    match tier {
        Tier::Warm => options.set_read_tier(ReadTier::BlockCache),
        Tier::Disk => {}
    }
    options
}

fn cold_or_failed(error: rocksdb::Error, tier: Tier) -> ViewError {
    match (error.kind(), tier) {
        (ErrorKind::Incomplete, Tier::Warm) => ViewError::Cold,
        _ => failed(error, "read the view"),
    }
}

/// Whether RocksDB says that the disk is full; its subcode reaches this side as text only.
fn is_no_space(message: &str) -> bool {
    message.starts_with("IO error: No space left on device")
}

fn failed(error: rocksdb::Error, verb_and_object: &'static str) -> ViewError {
    ViewError::Failed(anyhow::Error::new(error).context(verb_and_object))
}

fn database_options() -> Options {
    let cache = Cache::new_lru_cache(MEMORY_SIZE_BYTES);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_bloom_filter(10.0, false);

    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&table);
    // Memtables are charged to the block cache, so one number bounds both. It never stalls a writer.
    let memtables =
        WriteBufferManager::new_write_buffer_manager_with_cache(2 * MEMTABLE_SIZE_BYTES, false, cache);
    options.set_write_buffer_manager(&memtables);
    options.set_write_buffer_size(MEMTABLE_SIZE_BYTES);
    // Without a write-ahead log, only a flush of all families at once keeps stamp and entries together.
    options.set_atomic_flush(true);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options.set_max_open_files(OPEN_FILES_MAX);
    // No statistics thread, and a short info log: an idle broker stays idle.
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(INFO_LOG_SIZE_BYTES);
    options.set_keep_log_file_num(2);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_disk_is_an_error_that_passes() {
        assert!(is_no_space(
            "IO error: No space left on device: While appending to file: 000012.sst: No space"
        ));
        assert!(!is_no_space("IO error: While appending to file: 000012.sst: Input/output error"));
        assert!(!is_no_space("Corruption: block checksum mismatch"));
    }
}
