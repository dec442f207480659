//! RocksDB is the view; the log is the truth.
//!
//! This room keeps what coordinators have replayed from their partition logs (offsets, groups,
//! transactions) where a million entries cost disk instead of heap. It holds only what lies below
//! the high watermark and can always be dropped and rebuilt from the log, so it never decides
//! anything, knows no Kafka rule, and is never read to repair a log. RocksDB types stay in here.

pub mod view;
