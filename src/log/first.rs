//! The files of a log that has none: made for its first append, and on disk under their names before anybody is told of it.
//!
//! Making them is quick, and is done with the log in hand; bringing them to disk takes a journal commit, and an owner who
//! cannot wait does it without the log, for many logs at once: [`Log::prepare_files`], [`NewFiles::sync`],
//! [`Log::use_files`]. Whoever appends meanwhile brings them to disk himself. What has to be there is the topic id, which
//! no batch tells. Kafka: `UnifiedLog.maybeFlushMetadataFile`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tracing::{info, warn};

use crate::env::fs::{self, File};
use crate::log::append::AppendError;
use crate::log::checkpoint;
use crate::log::dirs::topic_id_of;
use crate::log::leftovers;
use crate::log::log::{ActiveSegment, Log};
use crate::log::segment::Segment;
use crate::protocol::ids::{Timestamp, TopicId};

/// Files that are made, and are perhaps not on disk.
#[derive(Clone, Debug)]
pub struct NewFiles {
    segment: Arc<Segment>,
    metadata: Arc<File>,
    directory: Arc<Path>,
}

impl Log {
    /// Makes the files and has them on disk, unless the log has some.
    pub fn create_files(&mut self, now: Timestamp) -> Result<(), AppendError> {
        let Some(files) = self.prepare_files()? else { return Ok(()) };
        if let Err(error) = files.sync() {
            self.abandon_files(&files);
            return Err(self.not_created(error));
        }
        self.use_files(&files, now);
        Ok(())
    }

    /// Makes the directory and the files; `None` when the log has them. They do not count before [`Log::use_files`].
    pub fn prepare_files(&mut self) -> Result<Option<NewFiles>, AppendError> {
        if self.active.is_some() {
            return Ok(None);
        }
        if self.prepared.is_none() {
            self.prepared = Some(self.make_files().map_err(|error| self.not_created(error))?);
        }
        Ok(self.prepared.clone())
    }

    fn make_files(&self) -> io::Result<NewFiles> {
        let is_new = fs::create_new_directory(&self.directory)?;
        let path = self.directory.join(checkpoint::PARTITION_METADATA);
        let metadata = checkpoint::encode_partition_metadata(self.topic_id);
        let epochs_path = self.directory.join(checkpoint::LEADER_EPOCH_CHECKPOINT);
        let epochs = self.epochs.to_text();
        // In a new directory there is nothing older that a crash must leave: what is torn counts as missing.
        let (metadata, saved) = if is_new {
            let metadata = fs::write_file(&path, metadata.as_bytes())?;
            (metadata, fs::write_file(&epochs_path, epochs.as_bytes()).map(drop))
        } else {
            fs::replace_file(&path, metadata.as_bytes())?;
            (File::open(&path)?, fs::replace_derived_file(&epochs_path, epochs.as_bytes()))
        };
        if let Err(error) = saved {
            warn!(log = %self.directory.display(), "the epochs will be derived from the batches: {error}");
        }
        // Behind the topic id, so that a killed process leaves no segment without it.
        let segment = self.new_segment(self.log_end_offset())?;
        Ok(NewFiles { segment, metadata: Arc::new(metadata), directory: self.directory.clone() })
    }

    /// The files are on disk, and take batches. Files of another time are left alone.
    pub fn use_files(&mut self, files: &NewFiles, now: Timestamp) {
        if !self.has_prepared(files) {
            return;
        }
        self.prepared = None;
        let segment = files.segment.clone();
        self.active = Some(ActiveSegment {
            segment: segment.clone(),
            size_bytes: 0,
            reserved_to_bytes: 0,
            first_timestamp: None,
            created: now,
        });
        self.is_changed = true;
        let base_offset = segment.base_offset();
        self.view.publish_segments(vec![segment], base_offset);
    }

    /// The files could not be brought to disk: the next append makes them anew.
    pub fn abandon_files(&mut self, files: &NewFiles) {
        if self.has_prepared(files) {
            self.prepared = None;
        }
    }

    fn has_prepared(&self, files: &NewFiles) -> bool {
        self.prepared.as_ref().is_some_and(|prepared| Arc::ptr_eq(&prepared.segment, &files.segment))
    }
}

impl NewFiles {
    /// Brings the topic id and all names to disk. All was made before, so that one commit of a file system's journal
    /// holds it.
    pub fn sync(&self) -> io::Result<()> {
        self.metadata.sync_data()?;
        fs::sync_directory(&self.directory)?;
        self.parent().map_or(Ok(()), fs::sync_directory)
    }

    /// The log begins elsewhere.
    pub(super) fn remove_segment(&self) -> anyhow::Result<()> {
        leftovers::remove_segment(&self.segment)
    }

    /// Where the log's directory lies; syncing its file system is as good as [`NewFiles::sync`].
    pub fn parent(&self) -> Option<&Path> {
        self.directory.parent()
    }
}

/// After a crash: has the topic id of a log with files on disk before anything is appended. The crash may have come between
/// making the files and syncing them, and then nothing was appended.
pub(super) fn settle(directory: &Path, topic_id: TopicId, is_empty: bool) -> anyhow::Result<()> {
    let path = directory.join(checkpoint::PARTITION_METADATA);
    let is_known = topic_id_of(directory)?.is_some();
    if is_known && !is_empty {
        return Ok(());
    }
    let settle = || -> io::Result<()> {
        if is_known {
            File::open(&path)?.sync_data()?;
            fs::sync_directory(directory)?;
        } else {
            info!(path = %path.display(), "a lost topic id is written again");
            fs::replace_file(&path, checkpoint::encode_partition_metadata(topic_id).as_bytes())?;
        }
        directory.parent().map_or(Ok(()), fs::sync_directory)
    };
    settle().with_context(|| format!("bring {} to disk", path.display()))
}
