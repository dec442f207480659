//! Produce requests with a batch for each of several partitions, and their answers (KIP-98 batches, Produce v9).

use anyhow::ensure;

use crate::wire::{Reader, Request};

const PRODUCE: i16 = 0;
const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;
/// Log append time and log start offset.
const AFTER_OFFSET_SIZE_BYTES: usize = 8 + 8;

/// A finished request, and where the batch of each partition begins in it.
pub fn request(topic: &str, partitions: &[i32], batch: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut request = Request::new(PRODUCE, 9, true);
    request.null().i16(ACKS_ALL).i32(TIMEOUT_MS);
    request.compact_count(1).compact_string(topic).compact_count(partitions.len());
    let mut batches_at = Vec::new();
    for partition in partitions {
        request.i32(*partition).compact_count(batch.len());
        batches_at.push(request.position());
        request.raw(batch).no_tags();
    }
    request.no_tags().no_tags();
    (request.finish(), batches_at)
}

/// Hands each partition of an answer and its base offset to `check`; fails on an error code and unless there are
/// `partition_count` of them.
pub fn read_answer(
    mut answer: Reader<'_>,
    partition_count: usize,
    mut check: impl FnMut(i32, i64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    answer.tags()?;
    ensure!(answer.compact_count()? == 1, "the answer is not about one topic");
    answer.compact_bytes()?;
    let answered_count = answer.compact_count()?;
    ensure!(
        answered_count == partition_count,
        "{answered_count} partitions answered where {partition_count} are due"
    );
    for _ in 0..partition_count {
        let partition = answer.i32()?;
        let error_code = answer.i16()?;
        ensure!(error_code == 0, "error code {error_code} for partition {partition}");
        check(partition, answer.i64()?)?;
        answer.take(AFTER_OFFSET_SIZE_BYTES)?;
        ensure!(answer.compact_count()? == 0, "record errors without an error code");
        answer.compact_bytes()?; // error message
        answer.tags()?;
    }
    Ok(())
}
