//! Brings producer state up to an offset: the newest snapshot that can be read, then the batches behind it.
//!
//! Kafka: `ProducerStateManager.loadFromSnapshot`, `UnifiedLog.rebuildProducerState`.

use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use crate::env::fs;
use crate::log::producer_snapshot;
use crate::log::producer_state::ProducerState;
use crate::log::scan::{BatchScan, Defect, Reason, ScanError};
use crate::log::segment::{SNAPSHOT_SUFFIX, Segment, SegmentError, file_name};
use crate::log::txn_index::AbortedTransaction;
use crate::protocol::batch::Batch;
use crate::protocol::ids::{Offset, Timestamp};
use crate::protocol::summary::BatchSummary;

/// Which producers of a snapshot still count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expiry {
    pub now: Timestamp,
    pub expiration_ms: i64,
}

/// The newest usable snapshot at or before `limit`; without one, no producers at the start of the log. How far the state goes is
/// its end offset.
pub(super) fn load(
    directory: &Path,
    snapshots: &[Offset],
    segments: &[Arc<Segment>],
    limit: Offset,
    expiry: Expiry,
) -> Result<ProducerState, SegmentError> {
    for at in snapshots.iter().rev().filter(|at| **at <= limit) {
        let path = directory.join(file_name(*at, SNAPSHOT_SUFFIX));
        let bytes = fs::read_file(&path).map_err(|error| {
            let context = format!("read producer snapshot {}", path.display());
            SegmentError::Failed(anyhow::Error::new(error).context(context))
        })?;
        match bytes.and_then(|bytes| producer_snapshot::decode(&bytes).ok()) {
            Some(entries) => {
                let mut producers =
                    ProducerState::from_entries(entries, *at, expiry.now, expiry.expiration_ms);
                recall(&mut producers, segments)?;
                return Ok(producers);
            }
            None => warn!(snapshot = %path.display(), "a producer snapshot is damaged; an older one is used"),
        }
    }
    let start = segments.first().map_or(limit, |segment| segment.base_offset());
    Ok(ProducerState::starting_at(start.min(limit)))
}

/// Bytes before a snapshot that are read again for what it leaves out.
const RECALLED_SIZE_BYTES: u64 = 1 << 20;

/// A snapshot has room for one batch of each producer. The batches before it are still in the log, and a client may retry
/// any of its last five.
fn recall(producers: &mut ProducerState, segments: &[Arc<Segment>]) -> Result<(), SegmentError> {
    let end = producers.end_offset();
    let mut left_bytes = RECALLED_SIZE_BYTES;
    for segment in segments.iter().rev().filter(|segment| segment.base_offset() < end) {
        if producers.entries().len() == 0 || left_bytes == 0 {
            break;
        }
        // What cannot be read is not recalled; whether it is damage, others find out.
        let (start, end_position) = match recalled_range(segment, end, left_bytes) {
            Ok(range) => range,
            Err(SegmentError::Corrupt { .. }) => break,
            Err(error @ (SegmentError::Removed | SegmentError::Failed(_))) => return Err(error),
        };
        let file = segment.readable_file()?;
        let mut scan = BatchScan::new(&file, start, end_position);
        let mut summaries = Vec::new();
        while let Ok(Some((_, batch))) = scan.next_batch() {
            summaries.extend(BatchSummary::of(batch));
        }
        summaries.iter().rev().for_each(|summary| producers.recall(summary));
        left_bytes = left_bytes.saturating_sub(end_position - start);
    }
    Ok(())
}

/// From which to which position a segment is read again for the batches before `end`.
fn recalled_range(segment: &Arc<Segment>, end: Offset, most_bytes: u64) -> Result<(u64, u64), SegmentError> {
    let size_bytes = segment.size_bytes();
    let end_position = segment.locate(end, size_bytes)?.map_or(size_bytes, |span| span.position);
    let from = end_position.saturating_sub(most_bytes);
    let start = segment.with_indexes(|indexes| indexes.offsets.position_at_or_before(from))?;
    Ok((start, end_position))
}

/// Brings producers up to `to`.
pub(super) fn replay(
    producers: &mut ProducerState,
    segments: &[Arc<Segment>],
    to: Offset,
) -> Result<(), SegmentError> {
    for (index, segment) in segments.iter().enumerate() {
        let from = producers.end_offset();
        let end = segments.get(index + 1).map_or(to, |next| next.base_offset());
        if from >= to || end <= from || segment.base_offset() >= to || segment.size_bytes() == 0 {
            continue;
        }
        let Some(start) = segment.locate(from, segment.size_bytes())? else { continue };
        let file = segment.readable_file()?;
        let mut scan = BatchScan::new(&file, start.position, segment.size_bytes());
        while let Some((header, batch)) = scan.next_batch().map_err(|error| segment.scan_failed(error))? {
            if header.span.base_offset >= to {
                break;
            }
            let summary =
                summary_of(batch, header.span.position).map_err(|error| segment.scan_failed(error))?;
            take_in(producers, &summary);
        }
    }
    Ok(())
}

/// The summary of a batch read from a file.
pub(super) fn summary_of(batch: Batch<'_>, position: u64) -> Result<BatchSummary, ScanError> {
    BatchSummary::of(batch).map_err(|_| ScanError::Defect(Defect { position, reason: Reason::BadMarker }))
}

/// The state takes in a batch that stands in the log; answers the transaction that it has aborted.
pub(super) fn take_in(producers: &mut ProducerState, batch: &BatchSummary) -> Option<AbortedTransaction> {
    let completed = producers.replay(batch, batch.base_offset)?;
    completed.is_aborted.then_some(AbortedTransaction {
        producer_id: completed.producer_id,
        first_offset: completed.first_offset,
        last_offset: completed.last_offset,
        last_stable_offset: completed.last_stable_offset,
    })
}
