//! One RocksDB database as the view of one data directory's coordinator partitions.
//!
//! A batch of changes and the [`Stamp`] of the log position it came from are written together, so
//! what a crash leaves is the state of one position, named by its stamp; the loader compares that
//! stamp with the log. There is no write-ahead log here: the partition log is it, and what was still
//! in the memtable is replayed. Calls block; a worker uses only `apply` and reads of warm keys.

use std::path::Path;

use anyhow::{Context, Result, bail};
use rocksdb::{
    BlockBasedOptions, Cache, DB, LogLevel, Options, WriteBatch, WriteBufferManager, WriteOptions,
};

use crate::protocol::ids::{LeaderEpoch, Offset};

/// Cap of what the view takes on the heap: block cache, index blocks and memtables together.
const MEMORY_SIZE_BYTES: usize = 16 << 20;
const MEMTABLE_SIZE_BYTES: usize = 4 << 20;
/// Leaves descriptors to log segments and connections.
const OPEN_FILES_MAX: i32 = 128;
/// One flush and one compaction thread: the view is never what a client waits for.
const BACKGROUND_JOBS: i32 = 2;
const INFO_LOG_SIZE_BYTES: usize = 1 << 20;

/// First byte of every key: which family it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Family {
    /// `partition name -> Stamp`
    Stamp = 0,
    /// `key of the log's record -> value`
    Entry = 1,
}

/// The log position up to which a partition's records are in the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Offset of the first record that is not applied.
    pub next_offset: Offset,
    /// Epoch of the last applied batch.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C of the last applied batch: the same offset in another history has another one.
    pub batch_crc: u32,
}

impl Stamp {
    const SIZE_BYTES: usize = 16;

    fn encode(self) -> [u8; Stamp::SIZE_BYTES] {
        let mut bytes = [0; Stamp::SIZE_BYTES];
        bytes[..8].copy_from_slice(&self.next_offset.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.leader_epoch.0.to_be_bytes());
        bytes[12..].copy_from_slice(&self.batch_crc.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Stamp> {
        let Ok(bytes) = <[u8; Stamp::SIZE_BYTES]>::try_from(bytes) else {
            bail!("a stamp has {} bytes, found {}", Stamp::SIZE_BYTES, bytes.len());
        };
        let [o0, o1, o2, o3, o4, o5, o6, o7, e0, e1, e2, e3, c0, c1, c2, c3] = bytes;
        Ok(Stamp {
            next_offset: Offset(i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7])),
            leader_epoch: LeaderEpoch(i32::from_be_bytes([e0, e1, e2, e3])),
            batch_crc: u32::from_be_bytes([c0, c1, c2, c3]),
        })
    }
}

/// One replayed record: the value of its key, or `None` for a tombstone.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// An open view. RocksDB holds a lock on the directory until it is dropped.
pub struct View {
    db: DB,
    write_options: WriteOptions,
}

impl View {
    /// Opens the view in `directory`, empty when there is none.
    pub fn open(directory: &Path) -> Result<View> {
        let db = DB::open(&database_options(), directory)
            .with_context(|| format!("open the view in {}", directory.display()))?;
        let mut write_options = WriteOptions::default();
        write_options.disable_wal(true);
        // A write that would have to wait for a flush is refused; the caller keeps it in its overlay.
        write_options.set_no_slowdown(true);
        Ok(View { db, write_options })
    }

    /// Applies `changes` of a partition and moves its stamp, both or neither.
    pub fn apply(&self, partition: &str, changes: &[Change<'_>], stamp: Stamp) -> Result<()> {
        let mut batch = WriteBatch::default();
        for change in changes {
            match change.value {
                Some(value) => batch.put(family_key(Family::Entry, change.key), value),
                None => batch.delete(family_key(Family::Entry, change.key)),
            }
        }
        batch.put(family_key(Family::Stamp, partition.as_bytes()), stamp.encode());
        self.db.write_opt(batch, &self.write_options).context("write a batch to the view")
    }

    /// The position `partition` was applied to, or `None` when it never was.
    pub fn stamp(&self, partition: &str) -> Result<Option<Stamp>> {
        let bytes =
            self.db.get_pinned(family_key(Family::Stamp, partition.as_bytes())).context("read a stamp")?;
        bytes.map(|bytes| Stamp::decode(&bytes)).transpose()
    }

    pub fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.db.get(family_key(Family::Entry, key)).context("read an entry of the view")
    }

    /// Writes the memtable to disk, so that the next load replays nothing.
    pub fn close(self) -> Result<()> {
        self.db.flush().context("flush the view")
    }
}

fn family_key(family: Family, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + key.len());
    bytes.push(family as u8);
    bytes.extend_from_slice(key);
    bytes
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

    const STAMP: Stamp =
        Stamp { next_offset: Offset(42), leader_epoch: LeaderEpoch(3), batch_crc: 0xdead_beef };

    #[test]
    fn a_closed_view_opens_at_the_stamp_and_entries_it_was_closed_with() {
        let directory = tempfile::tempdir().unwrap();
        let view = View::open(directory.path()).unwrap();
        let first =
            [Change { key: b"group-a", value: Some(b"1") }, Change { key: b"group-b", value: Some(b"2") }];
        view.apply("__consumer_offsets-7", &first, Stamp { next_offset: Offset(2), ..STAMP }).unwrap();
        view.apply("__consumer_offsets-7", &[Change { key: b"group-a", value: None }], STAMP).unwrap();
        view.close().unwrap();

        let view = View::open(directory.path()).unwrap();
        assert_eq!(view.stamp("__consumer_offsets-7").unwrap(), Some(STAMP));
        assert_eq!(view.stamp("__consumer_offsets-8").unwrap(), None);
        assert_eq!(view.value(b"group-a").unwrap(), None);
        assert_eq!(view.value(b"group-b").unwrap().as_deref(), Some(&b"2"[..]));
    }

    #[test]
    fn a_second_open_of_the_same_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _view = View::open(directory.path()).unwrap();
        assert!(View::open(directory.path()).is_err());
    }

    #[test]
    fn a_stamp_of_another_size_is_an_error() {
        assert_eq!(Stamp::decode(&STAMP.encode()).unwrap(), STAMP);
        assert!(Stamp::decode(&STAMP.encode()[1..]).is_err());
        assert!(Stamp::decode(&[]).is_err());
    }
}
