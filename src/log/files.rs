//! Keeps the number of open segment files below a limit.
//!
//! Every partition may have a segment or more, so a file is opened when it is needed and closed when others need the
//! descriptor: second chance, as the pages of an operating system. A file that somebody reads from stays open
//! until they drop it. A sealed segment's indexes go with its file: a cold segment costs almost nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::env::fs;
use crate::log::segment::Segment;

/// The segments whose files are open; one for all logs of a broker.
#[derive(Debug)]
pub struct FileCache {
    capacity: usize,
    open: Mutex<VecDeque<Weak<Segment>>>,
}

impl FileCache {
    /// Keeps at most about `capacity` files open.
    pub fn new(capacity: usize) -> Arc<FileCache> {
        Arc::new(FileCache { capacity: capacity.max(1), open: Mutex::new(VecDeque::new()) })
    }

    /// Leaves half of the process's descriptors to connections.
    pub fn below_half_of_the_descriptor_limit() -> Arc<FileCache> {
        FileCache::new((fs::descriptor_limit() / 2).min(1 << 20) as usize)
    }

    /// Takes note of a segment that has just opened its file, and closes files that have not been used for long.
    pub(super) fn admit(&self, segment: &Arc<Segment>) {
        let mut open = self.open.lock();
        open.push_back(Arc::downgrade(segment));
        // Each segment is asked at most twice: the first time it may claim to have been used.
        let mut chances_count = 2 * open.len();
        while open.len() > self.capacity && chances_count > 0 {
            chances_count -= 1;
            let Some(candidate) = open.pop_front() else { break };
            if let Some(other) = candidate.upgrade()
                && (Arc::ptr_eq(&other, segment) || !other.cool())
            {
                open.push_back(candidate);
            }
        }
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
