//! Follows one partition of numbered batches from its start, while it is written, and checks every byte.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, bail};

use crate::batch;
use crate::consume::{CONSUMER_LIMITS, fetch_request, read_records};
use crate::numbered::Numbered;
use crate::wire::{Connection, patch_i64};

/// Below the known end of a partition an answer without records is an error, but a first one may come early.
const EMPTY_ANSWER_LIMIT: u32 = 3;

pub struct Tail<'a> {
    pub connection: Connection,
    pub topic: &'a str,
    pub partition: i32,
    pub numbered: &'a Numbered,
    /// Where to stop; `i64::MAX` as long as the partition is written.
    pub end: &'a AtomicI64,
}

/// What was read.
#[derive(Default)]
pub struct Read {
    pub record_count: u64,
    pub size_bytes: u64,
}

impl Tail<'_> {
    /// Calls `progress` with the position after each answer.
    pub fn run(&mut self, mut progress: impl FnMut(i64)) -> anyhow::Result<Read> {
        let (mut request, offset_at) = fetch_request(self.topic, self.partition, &CONSUMER_LIMITS);
        let mut read = Read::default();
        let mut position = 0;
        let mut empty_answers = 0;
        while position < self.end.load(Ordering::Acquire) {
            // Known before the fetch, so that an answer without records is one that should have had some.
            let written = self.end.load(Ordering::Acquire) != i64::MAX;
            patch_i64(&mut request, offset_at, position);
            let (_, mut records) = read_records(self.connection.call(&request)?)
                .with_context(|| format!("fetch from {position}"))?;
            let before = position;
            while let Some(batch) = batch::next(&mut records) {
                position = self.numbered.check(batch, self.partition, position)?.next_offset;
                read.size_bytes += batch.len() as u64;
            }
            read.record_count += (position - before) as u64;
            empty_answers = if written && position == before { empty_answers + 1 } else { 0 };
            if empty_answers == EMPTY_ANSWER_LIMIT {
                bail!("no record at offset {position} of {}-{}", self.topic, self.partition);
            }
            progress(position);
        }
        Ok(read)
    }
}
