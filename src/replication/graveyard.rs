//! Files that belong to nothing any more and go after `file.delete.delay.ms`, so that readers that are under
//! way can end. Kafka: `LogManager.deleteLogs`, `UnifiedLog.deleteSegmentFiles`.

use anyhow::Context;
use parking_lot::Mutex;

use crate::env::fs;
use crate::log::log::RemovedDirectory;
use crate::log::retention::RemovedSegment;
use crate::protocol::ids::Timestamp;

/// What waits to be removed.
pub enum Doomed {
    Segment(RemovedSegment),
    /// A deleted partition.
    Directory(RemovedDirectory),
}

impl Doomed {
    fn remove_at(&self) -> Timestamp {
        match self {
            Doomed::Segment(segment) => segment.remove_at,
            Doomed::Directory(directory) => directory.remove_at,
        }
    }

    fn remove(&self) -> anyhow::Result<()> {
        match self {
            Doomed::Segment(segment) => segment.remove_files(),
            Doomed::Directory(directory) => fs::remove_directory(&directory.path)
                .with_context(|| format!("remove {}", directory.path.display())),
        }
    }
}

/// All of them.
#[derive(Default)]
pub struct Graveyard(Mutex<Vec<Doomed>>);

impl Graveyard {
    /// Takes files that are to go.
    pub fn add(&self, doomed: Doomed) {
        self.0.lock().push(doomed);
    }

    /// Removes what is due; when the next is. What cannot be removed is left to the next start.
    pub fn remove_due(&self, now: Timestamp) -> Option<Timestamp> {
        let due: Vec<Doomed> = self.0.lock().extract_if(.., |doomed| doomed.remove_at() <= now).collect();
        for doomed in due {
            if let Err(error) = doomed.remove() {
                tracing::warn!(error = format!("{error:#}"), "remove files that belong to nothing");
            }
        }
        self.next_due()
    }

    /// When the next files may go; `None` while none wait.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.0.lock().iter().map(Doomed::remove_at).min()
    }
}
