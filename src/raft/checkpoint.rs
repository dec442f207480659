//! Snapshots: files `<index>-<term>.checkpoint` in which record batches hold the image at an entry, between a
//! header (the membership) and a footer (the count of records). A file has its name only when it is whole.
//! Kafka: `Snapshots`, `RecordsSnapshotWriter` (KIP-630).

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::controller::{ClusterImage, MetadataRecord, Reader, Write, snapshot_records};
use crate::env::fs;
use crate::protocol::batch::{Batch, Compression};
use crate::protocol::ids::{Offset, Timestamp};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord, RecordIter};
use crate::raft::entry_codec::{decode_membership, encode_membership};
use crate::raft::types::{LogId, Membership, SnapshotMeta, StoredMembership, epoch, log_id};

const SUFFIX: &str = ".checkpoint";
/// What `replace_file` calls a file that is not whole yet.
const UNFINISHED_SUFFIX: &str = ".checkpoint.tmp";
/// Records of one batch take about so many bytes.
const BATCH_SIZE_BYTES: usize = 256 * 1024;
const VERSION: i8 = 0;

/// A whole snapshot file.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub path: PathBuf,
    pub last: LogId,
}

/// The newest snapshot in `directory`; older ones and what a crash left half-written are removed.
pub fn newest(directory: &Path) -> anyhow::Result<Option<Checkpoint>> {
    let mut newest: Option<Checkpoint> = None;
    for entry in fs::list(directory).with_context(|| format!("list {}", directory.display()))? {
        if entry.name.ends_with(UNFINISHED_SUFFIX) {
            let path = directory.join(&entry.name);
            fs::remove(&path).with_context(|| format!("remove {}", path.display()))?;
        }
        let Some(last) = parse_file_name(&entry.name) else { continue };
        let found = Checkpoint { path: directory.join(&entry.name), last };
        let older = match &newest {
            Some(known) if known.last > found.last => Some(found),
            Some(_) | None => newest.replace(found),
        };
        if let Some(older) = older {
            fs::remove(&older.path).with_context(|| format!("remove {}", older.path.display()))?;
        }
    }
    Ok(newest)
}

/// Writes the snapshot of `image`, and then removes the older ones. Durable when it returns.
pub fn write(
    directory: &Path,
    meta: &SnapshotMeta,
    image: &ClusterImage,
    now: Timestamp,
) -> anyhow::Result<Checkpoint> {
    let last = meta.last_log_id.context("take a snapshot of an empty image")?;
    let path = directory.join(file_name(&last));
    let bytes = encode(last, &meta.last_membership, image, now);
    fs::replace_file(&path, &bytes).with_context(|| format!("write {}", path.display()))?;
    newest(directory)?.context("find the snapshot that was just written")
}

/// Takes a snapshot that another node sent into `directory`, in place of the older ones.
pub fn adopt(directory: &Path, received: &Checkpoint) -> anyhow::Result<Checkpoint> {
    let path = directory.join(file_name(&received.last));
    if path != received.path {
        let from = received.path.display();
        let bytes = fs::read_file(&received.path).with_context(|| format!("read {from}"))?;
        let bytes = bytes.with_context(|| format!("open {from}"))?;
        fs::replace_file(&path, &bytes).with_context(|| format!("write {}", path.display()))?;
    }
    newest(directory)?.context("find the snapshot that was just taken in")
}

/// The image in a snapshot file; damage anywhere is an error.
pub fn read(checkpoint: &Checkpoint, cluster_id: &str) -> anyhow::Result<ClusterImage> {
    let bytes = read_bytes(checkpoint)?;
    decode(&bytes, checkpoint.last, cluster_id)
        .with_context(|| format!("parse {}", checkpoint.path.display()))
}

/// Reads the header of a snapshot file; what follows is not looked at.
pub fn read_meta(checkpoint: &Checkpoint) -> anyhow::Result<SnapshotMeta> {
    let bytes = read_bytes(checkpoint)?;
    let header = || {
        let (batch, _) = split_first(&bytes)?;
        ensure!(batch.is_control(), "no header");
        let record = RecordIter::of(batch).next().context("find the header")?;
        let record = record.map_err(|error| anyhow::anyhow!("read a record: {error:?}"))?;
        decode_header(&mut Reader::new(record.value.context("read a record without value")?))
    };
    let last_membership = header().with_context(|| format!("parse {}", checkpoint.path.display()))?;
    Ok(SnapshotMeta { last_log_id: Some(checkpoint.last), last_membership })
}

fn read_bytes(checkpoint: &Checkpoint) -> anyhow::Result<Vec<u8>> {
    let path = checkpoint.path.display();
    fs::read_file(&checkpoint.path)
        .with_context(|| format!("read {path}"))?
        .with_context(|| format!("open {path}"))
}

/// `SnapshotFileWriter` names: the index after the last entry would be Kafka's; ours is the last entry itself.
fn file_name(last: &LogId) -> String {
    format!("{:020}-{:010}{SUFFIX}", last.index, last.leader_id.term)
}

fn parse_file_name(name: &str) -> Option<LogId> {
    let (index, term) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let is_number = |text: &str, size| text.len() == size && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(index, 20) || !is_number(term, 10) {
        return None;
    }
    Some(log_id(term.parse().ok()?, index.parse().ok()?))
}

fn encode(last: LogId, membership: &StoredMembership, image: &ClusterImage, now: Timestamp) -> Vec<u8> {
    let mut out = Vec::new();
    let mut next_offset = Offset::ZERO;
    let mut put = |values: &[Vec<u8>], control: bool| {
        let header = BatchHeader {
            base_offset: next_offset,
            leader_epoch: epoch(&last),
            control,
            ..BatchHeader::default()
        };
        let mut batch = BatchBuilder::new(header);
        for value in values {
            batch.push(&NewRecord { timestamp: now, value: Some(value), ..NewRecord::default() });
        }
        next_offset += values.len() as i64;
        out.extend_from_slice(&batch.build());
    };
    put(&[encode_header(membership)], true);
    let (mut values, mut size_bytes, mut count) = (Vec::new(), 0, 0);
    for record in snapshot_records(image) {
        let mut value = Vec::new();
        record.encode(&mut value);
        size_bytes += value.len();
        count += 1;
        values.push(value);
        if size_bytes >= BATCH_SIZE_BYTES {
            put(&values, false);
            values.clear();
            size_bytes = 0;
        }
    }
    if !values.is_empty() {
        put(&values, false);
    }
    let mut footer = Vec::new();
    footer.put_i8(VERSION);
    footer.put_u64(count);
    put(&[footer], true);
    out
}

fn encode_header(membership: &StoredMembership) -> Vec<u8> {
    let mut header = Vec::new();
    header.put_i8(VERSION);
    header.put_bool(membership.log_id().is_some());
    if let Some(log_id) = membership.log_id() {
        header.put_u64(log_id.index);
        header.put_u64(log_id.leader_id.term);
    }
    encode_membership(membership.membership(), &mut header);
    header
}

fn decode(bytes: &[u8], last: LogId, cluster_id: &str) -> anyhow::Result<ClusterImage> {
    let mut image = ClusterImage::new(cluster_id.into());
    let at = Offset(last.index as i64);
    let mut has_header = false;
    let mut announced_count = None;
    let mut count: u64 = 0;
    let mut rest = bytes;
    while !rest.is_empty() {
        ensure!(announced_count.is_none(), "bytes behind the footer");
        let (batch, behind) = split_first(rest)?;
        for record in RecordIter::of(batch) {
            let record = record.map_err(|error| anyhow::anyhow!("read a record: {error:?}"))?;
            let mut reader = Reader::new(record.value.context("read a record without value")?);
            if !batch.is_control() {
                ensure!(has_header, "no header");
                image.replay(&MetadataRecord::decode(&mut reader)?, at)?;
                count += 1;
            } else if !has_header {
                decode_header(&mut reader)?;
                has_header = true;
            } else {
                ensure!(reader.i8()? == VERSION, "a footer of another version");
                announced_count = Some(reader.u64()?);
            }
            ensure!(reader.remaining() == 0, "bytes behind a record");
        }
        rest = behind;
    }
    if announced_count != Some(count) {
        bail!("{count} records, where the footer says {announced_count:?}");
    }
    // An image in which nothing has happened has no records that would say where it stands.
    image.applied = at;
    Ok(image)
}

fn split_first(bytes: &[u8]) -> anyhow::Result<(Batch<'_>, &[u8])> {
    let (batch, behind) =
        Batch::split_first(bytes).map_err(|error| anyhow::anyhow!("read a batch: {error:?}"))?;
    ensure!(batch.crc_matches() && batch.compression() == Some(Compression::None), "a batch is damaged");
    Ok((batch, behind))
}

fn decode_header(reader: &mut Reader<'_>) -> anyhow::Result<StoredMembership> {
    ensure!(reader.i8()? == VERSION, "a header of another version");
    let log_id = if reader.bool()? {
        let index = reader.u64()?;
        Some(log_id(reader.u64()?, index))
    } else {
        None
    };
    let membership: Membership = decode_membership(reader)?;
    Ok(StoredMembership::new(log_id, membership))
}
