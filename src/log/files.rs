//! Keeps the number of open segment files below a limit.
//!
//! Every partition may have a segment or more, so a file is opened when it is needed and closed when others need the
//! descriptor: second chance, as the pages of an operating system. A file that somebody reads from stays open
//! until they drop it. A sealed segment's indexes go with its file: a cold segment costs almost nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::env::fs;
use crate::log::segment::Segment;

/// The segments whose files are open; one for all logs of a broker.
#[derive(Debug)]
pub struct FileCache {
    capacity: usize,
    open: Mutex<VecDeque<Weak<Segment>>>,
    /// Heap bytes of the indexes of sealed segments.
    index_size_bytes: AtomicUsize,
}

/// Indexes of sealed segments go when they take more. A full segment's take some 5 MiB.
const INDEX_BUDGET_BYTES: usize = 64 << 20;

impl FileCache {
    /// Keeps at most about `capacity` files open.
    pub fn new(capacity: usize) -> Arc<FileCache> {
        Arc::new(FileCache {
            capacity: capacity.max(1),
            open: Mutex::new(VecDeque::new()),
            index_size_bytes: AtomicUsize::new(0),
        })
    }

    /// Leaves half of the process's descriptors to connections.
    pub fn below_half_of_the_descriptor_limit() -> Arc<FileCache> {
        FileCache::new((fs::descriptor_limit() / 2).min(1 << 20) as usize)
    }

    /// Takes note of a segment that has just opened its file, and closes files that have not been used for long.
    pub(super) fn admit(&self, segment: &Arc<Segment>) {
        self.open.lock().push_back(Arc::downgrade(segment));
        self.balance(segment);
    }

    /// The indexes of a sealed segment take so many bytes instead of so many before.
    pub(super) fn charge(&self, before_bytes: usize, after_bytes: usize) {
        self.index_size_bytes.fetch_add(after_bytes, Ordering::Relaxed);
        self.index_size_bytes.fetch_sub(before_bytes, Ordering::Relaxed);
    }

    /// Cools segments until both limits hold, but never the one that is in use.
    pub(super) fn balance(&self, in_use: &Arc<Segment>) {
        let mut open = self.open.lock();
        // Each segment is asked at most twice: the first time it may claim to have been used.
        let mut chances_count = 2 * open.len();
        while chances_count > 0 && self.is_above_limits(open.len()) {
            chances_count -= 1;
            let Some(candidate) = open.pop_front() else { break };
            if let Some(other) = candidate.upgrade()
                && (Arc::ptr_eq(&other, in_use) || !other.cool())
            {
                open.push_back(candidate);
            }
        }
    }

    fn is_above_limits(&self, open_count: usize) -> bool {
        open_count > self.capacity || self.index_size_bytes.load(Ordering::Relaxed) > INDEX_BUDGET_BYTES
    }

    /// Closes every file that nobody is reading from.
    pub(super) fn shrink(&self) {
        let mut open = self.open.lock();
        open.retain(|candidate| {
            candidate.upgrade().is_some_and(|segment| !segment.cool() && !segment.cool())
        });
    }

    /// How many files the cache keeps open.
    pub fn open_count(&self) -> usize {
        self.open.lock().len()
    }
}
