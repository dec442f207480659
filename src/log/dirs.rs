//! One directory of `log.dirs`: whose it is, who holds it, its checkpoints, and which partitions lie in it.
//!
//! A directory is formatted at the first start. One that is not empty and does not carry our key in `meta.properties`
//! belongs to somebody else, a real Kafka perhaps: it is refused with one line and nothing in it is touched. Kafka:
//! `MetaPropertiesEnsemble`, `LogManager`, `CleanShutdownFileHandler`.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tracing::{info, warn};

use crate::env::fs::{self, FileLock, Space};
use crate::env::rng::Rng;
use crate::log::checkpoint::{self, PartitionOffsets};
use crate::log::meta_properties::MetaProperties;
use crate::protocol::ids::{BrokerId, PartitionIndex, TopicId, Uuid, uuid_text};

const LOCK_FILE: &str = ".lock";
const META_PROPERTIES: &str = "meta.properties";
const CLEAN_SHUTDOWN_MARKER: &str = ".kafka_cleanshutdown";
const DELETED_DIRECTORY_SUFFIX: &str = "-delete";
const FUTURE_DIRECTORY_SUFFIX: &str = "-future";

/// The text files that hold an offset for each partition of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetCheckpoint {
    RecoveryPoint,
    LogStart,
    HighWatermark,
    Cleaner,
}

impl OffsetCheckpoint {
    pub fn file_name(self) -> &'static str {
        match self {
            OffsetCheckpoint::RecoveryPoint => "recovery-point-offset-checkpoint",
            OffsetCheckpoint::LogStart => "log-start-offset-checkpoint",
            OffsetCheckpoint::HighWatermark => "replication-offset-checkpoint",
            OffsetCheckpoint::Cleaner => "cleaner-offset-checkpoint",
        }
    }
}

/// A directory of `log.dirs`, locked until this value goes.
#[derive(Debug)]
pub struct LogDirectory {
    path: PathBuf,
    meta: MetaProperties,
    _lock: FileLock,
}

/// Whose directories they must be.
pub struct Owner<'a> {
    pub node_id: BrokerId,
    /// As configured; otherwise what the directories say, or a new one.
    pub cluster_id: Option<&'a str>,
}

/// A partition that has files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDirectory {
    pub topic: String,
    pub partition: PartitionIndex,
    /// From `partition.metadata`; `None` when that is missing or damaged.
    pub topic_id: Option<TopicId>,
    pub path: PathBuf,
}

impl LogDirectory {
    /// Locks and checks all directories of a broker, and formats those that are new. Errors are one line that
    /// names the directory.
    pub fn open_all(paths: &[PathBuf], owner: &Owner<'_>, rng: &Rng) -> anyhow::Result<Vec<LogDirectory>> {
        // All are looked at before one is touched.
        let found: Vec<Option<MetaProperties>> =
            paths.iter().map(|path| look_at(path)).collect::<anyhow::Result<_>>()?;
        let cluster_id = cluster_id_of(paths, &found, owner, rng)?;
        let mut directories: Vec<LogDirectory> = Vec::with_capacity(paths.len());
        for (path, found) in paths.iter().zip(found) {
            let directory = LogDirectory::open(path, found, &cluster_id, owner.node_id, rng)?;
            if let Some(twin) =
                directories.iter().find(|other| other.meta.directory_id == directory.meta.directory_id)
            {
                bail!(
                    "log.dirs: {} and {} have the same directory.id; one is a copy of the other",
                    twin.path.display(),
                    path.display()
                );
            }
            directories.push(directory);
        }
        Ok(directories)
    }

    fn open(
        path: &Path,
        found: Option<MetaProperties>,
        cluster_id: &str,
        node_id: BrokerId,
        rng: &Rng,
    ) -> anyhow::Result<LogDirectory> {
        fs::create_directories(path).map_err(|error| not_usable(path, "create", &error))?;
        let lock =
            fs::lock_file(&path.join(LOCK_FILE)).map_err(|error| not_usable(path, "write to", &error))?;
        let Some(lock) = lock else {
            bail!(
                "log.dirs: {} is in use by another process, which holds the lock on its file {LOCK_FILE}",
                path.display()
            );
        };
        let meta = match found {
            Some(meta) => meta,
            None => {
                let meta =
                    MetaProperties { cluster_id: cluster_id.to_owned(), node_id, directory_id: rng.uuid() };
                fs::replace_file(&path.join(META_PROPERTIES), meta.to_text().as_bytes())
                    .map_err(|error| not_usable(path, "write to", &error))?;
                info!(directory = %path.display(), cluster_id, %node_id, "formatted a log directory");
                meta
            }
        };
        Ok(LogDirectory { path: path.to_owned(), meta, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `directory.id`: tells directories apart across brokers and moves (KIP-858).
    pub fn id(&self) -> Uuid {
        self.meta.directory_id
    }

    pub fn cluster_id(&self) -> &str {
        &self.meta.cluster_id
    }

    /// Where a partition's log lies or will lie.
    pub fn partition_path(&self, topic: &str, partition: PartitionIndex) -> PathBuf {
        self.path.join(format!("{topic}-{partition}"))
    }

    /// Size and free space of the file system.
    pub fn space(&self) -> io::Result<Space> {
        fs::space(&self.path)
    }

    /// Whether the broker stopped in order last time. The marker goes at once, because from here on it is not true.
    pub fn take_clean_shutdown(&self) -> anyhow::Result<bool> {
        let marker = self.path.join(CLEAN_SHUTDOWN_MARKER);
        if !fs::exists(&marker) {
            return Ok(false);
        }
        fs::remove(&marker).with_context(|| format!("remove {}", marker.display()))?;
        fs::sync_directory(&self.path).with_context(|| format!("sync {}", self.path.display()))?;
        Ok(true)
    }

    /// Writes everything to disk, then the marker. All logs are closed.
    pub fn mark_clean_shutdown(&self, broker_epoch: i64) -> anyhow::Result<()> {
        fs::sync_file_system(&self.path).with_context(|| format!("sync {}", self.path.display()))?;
        let marker = self.path.join(CLEAN_SHUTDOWN_MARKER);
        // Kafka's own field names (KIP-966).
        let content = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
        fs::replace_file(&marker, content.as_bytes()).with_context(|| format!("write {}", marker.display()))
    }

    /// A checkpoint; empty when there is none. One that is damaged is as good as none, and each log is recovered
    /// from its own files.
    pub fn read_offsets(&self, which: OffsetCheckpoint) -> anyhow::Result<PartitionOffsets> {
        let path = self.path.join(which.file_name());
        let Some(bytes) = fs::read_file(&path).with_context(|| format!("read {}", path.display()))? else {
            return Ok(PartitionOffsets::new());
        };
        let decoded = std::str::from_utf8(&bytes).ok().and_then(checkpoint::decode_offsets);
        if decoded.is_none() {
            warn!(checkpoint = %path.display(), "a checkpoint is damaged and is not used");
        }
        Ok(decoded.unwrap_or_default())
    }

    /// Replaces a checkpoint; it is on disk when this returns.
    pub fn write_offsets(&self, which: OffsetCheckpoint, offsets: &PartitionOffsets) -> anyhow::Result<()> {
        let path = self.path.join(which.file_name());
        fs::replace_file(&path, checkpoint::encode_offsets(offsets).as_bytes())
            .with_context(|| format!("write {}", path.display()))
    }

    /// Every partition that has files here.
    pub fn partitions(&self) -> anyhow::Result<Vec<PartitionDirectory>> {
        let mut partitions = Vec::new();
        for name in self.directory_names()? {
            let Some((topic, partition)) = parse_partition_name(&name) else { continue };
            let path = self.path.join(&name);
            let topic_id = topic_id_of(&path)?;
            partitions.push(PartitionDirectory { topic: topic.to_owned(), partition, topic_id, path });
        }
        Ok(partitions)
    }

    /// Where a partition is copied to that moves here (`UnifiedLog.logFutureDirName`).
    pub fn future_path(&self, topic: &str, partition: PartitionIndex, suffix: &str) -> PathBuf {
        self.path.join(format!("{topic}-{partition}.{suffix}{FUTURE_DIRECTORY_SUFFIX}"))
    }

    /// Every copy of a partition that moves here, or would have.
    pub fn futures(&self) -> anyhow::Result<Vec<PartitionDirectory>> {
        let mut futures = Vec::new();
        for name in self.directory_names()? {
            let named = name.strip_suffix(FUTURE_DIRECTORY_SUFFIX).and_then(|name| name.rsplit_once('.'));
            let Some((topic, partition)) = named.and_then(|(name, _)| parse_partition_name(name)) else {
                continue;
            };
            let path = self.path.join(&name);
            let topic_id = topic_id_of(&path)?;
            futures.push(PartitionDirectory { topic: topic.to_owned(), partition, topic_id, path });
        }
        Ok(futures)
    }

    /// Directories of deleted partitions whose delay the last process did not live to see.
    pub fn deleted_directories(&self) -> anyhow::Result<Vec<PathBuf>> {
        let names = self.directory_names()?.into_iter();
        Ok(names
            .filter(|name| name.ends_with(DELETED_DIRECTORY_SUFFIX))
            .map(|name| self.path.join(name))
            .collect())
    }

    fn directory_names(&self) -> anyhow::Result<Vec<String>> {
        let entries = fs::list(&self.path).with_context(|| format!("list {}", self.path.display()))?;
        Ok(entries.into_iter().filter(|entry| entry.is_directory).map(|entry| entry.name).collect())
    }
}

/// Whose partition lies in a directory, by its `partition.metadata`; `None` when that is missing or damaged.
pub fn topic_id_of(path: &Path) -> anyhow::Result<Option<TopicId>> {
    let path = path.join(checkpoint::PARTITION_METADATA);
    let bytes = fs::read_file(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(bytes.and_then(|bytes| checkpoint::decode_partition_metadata(std::str::from_utf8(&bytes).ok()?)))
}

/// Topic and partition of a directory name; `None` for any other name.
pub fn parse_partition_name(name: &str) -> Option<(&str, PartitionIndex)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let is_number = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !topic.is_empty()).then_some((topic, PartitionIndex(partition.parse().ok()?)))
}

/// What stands in a directory's `meta.properties`; `None` when the directory is new. Touches nothing.
fn look_at(path: &Path) -> anyhow::Result<Option<MetaProperties>> {
    let entries = match fs::list(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(not_usable(path, "read", &error)),
    };
    let bytes =
        fs::read_file(&path.join(META_PROPERTIES)).map_err(|error| not_usable(path, "read", &error))?;
    if let Some(bytes) = bytes {
        let text = String::from_utf8_lossy(&bytes);
        let meta = MetaProperties::from_text(&text)
            .with_context(|| format!("log.dirs: {} cannot be used", path.join(META_PROPERTIES).display()))?;
        return Ok(Some(meta));
    }
    // The lock and a torn format are ours; `lost+found` is the file system's.
    let is_known = |name: &str| matches!(name, LOCK_FILE | "meta.properties.tmp" | "lost+found");
    if let Some(foreign) = entries.iter().find(|entry| !is_known(&entry.name)) {
        bail!(
            "log.dirs: {} is not empty and has no {META_PROPERTIES} (it holds {:?}); name an empty directory",
            path.display(),
            foreign.name
        );
    }
    Ok(None)
}

/// The cluster that all directories belong to.
fn cluster_id_of(
    paths: &[PathBuf],
    found: &[Option<MetaProperties>],
    owner: &Owner<'_>,
    rng: &Rng,
) -> anyhow::Result<String> {
    let mut cluster_id = owner.cluster_id.map(|id| (id, "the configured cluster id".to_owned()));
    for (path, meta) in paths.iter().zip(found) {
        let Some(meta) = meta else { continue };
        if meta.node_id != owner.node_id {
            bail!(
                "log.dirs: {} belongs to node.id {}, this node is {}",
                path.display(),
                meta.node_id,
                owner.node_id
            );
        }
        match &cluster_id {
            None => cluster_id = Some((&meta.cluster_id, path.display().to_string())),
            Some((expected, whose)) if *expected != meta.cluster_id => bail!(
                "log.dirs: {} belongs to cluster {}, but {whose} to {expected}",
                path.display(),
                meta.cluster_id
            ),
            Some(_) => {}
        }
    }
    Ok(cluster_id.map_or_else(|| uuid_text(rng.uuid()), |(id, _)| id.to_owned()))
}

fn not_usable(path: &Path, verb: &str, error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "log.dirs: cannot {verb} {}: {error}; the broker must own its data directories",
        path.display()
    )
}

#[cfg(test)]
mod tests;
