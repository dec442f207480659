//! Partitions as one file each, in a directory that begins empty.

use std::collections::HashMap;
use std::fs::File;
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rustix::fs::FallocateFlags;

use crate::batch;

/// How far ahead of the records a file has its blocks: appends within them are cheaper.
const ALLOCATION_SIZE_BYTES: u64 = 32 * 1024 * 1024;

pub struct Log {
    directory: PathBuf,
    topics: HashMap<Vec<u8>, Vec<Partition>>,
    appended_batches: u64,
}

/// Whole batches of a partition, as bytes of its file.
pub struct Range {
    pub topic: Vec<u8>,
    pub partition: i32,
    pub position: u64,
    pub size_bytes: usize,
}

struct Partition {
    file: File,
    size_bytes: u64,
    allocated_bytes: u64,
    end_offset: i64,
    /// The base offset and the position of each batch.
    batches: Vec<(i64, u64)>,
}

impl Log {
    pub fn create(directory: &Path) -> anyhow::Result<Log> {
        std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        Ok(Log { directory: directory.to_owned(), topics: HashMap::new(), appended_batches: 0 })
    }

    pub fn create_topic(&mut self, name: &[u8], partition_count: i32) -> anyhow::Result<()> {
        let text = std::str::from_utf8(name).context("read the name of a topic")?;
        let open = |index| {
            let path = self.directory.join(format!("{text}-{index}.log"));
            let file = File::options().read(true).write(true).create_new(true).open(&path);
            let file = file.with_context(|| format!("create {}", path.display()))?;
            Ok(Partition { file, size_bytes: 0, allocated_bytes: 0, end_offset: 0, batches: Vec::new() })
        };
        let partitions = (0..partition_count).map(open).collect::<anyhow::Result<Vec<_>>>()?;
        self.topics.insert(name.to_owned(), partitions);
        Ok(())
    }

    pub fn end_offset(&self, topic: &[u8], partition: i32) -> anyhow::Result<i64> {
        Ok(self.partition(topic, partition)?.end_offset)
    }

    /// Appends one batch, which gets its base offset in place; returns that.
    pub fn append(&mut self, topic: &[u8], partition: i32, records: &mut [u8]) -> anyhow::Result<i64> {
        let partition = usize::try_from(partition).context("read the number of a partition")?;
        let found = self.topics.get_mut(topic).and_then(|partitions| partitions.get_mut(partition));
        let base_offset = found.context("append to a partition that is not there")?.append(records)?;
        self.appended_batches += 1;
        Ok(base_offset)
    }

    /// Of all partitions.
    pub fn appended_batches(&self) -> u64 {
        self.appended_batches
    }

    /// The batches from `offset` on, as many as fit into `limit_bytes`, at least one; none at the end.
    pub fn range(&self, topic: &[u8], index: i32, offset: i64, limit_bytes: u64) -> anyhow::Result<Range> {
        let partition = self.partition(topic, index)?;
        let (position, end) = partition.positions(offset, limit_bytes);
        Ok(Range {
            topic: topic.to_owned(),
            partition: index,
            position,
            size_bytes: (end - position) as usize,
        })
    }

    pub fn send(&self, range: &Range, stream: &TcpStream) -> anyhow::Result<()> {
        let file = &self.partition(&range.topic, range.partition)?.file;
        let mut position = range.position;
        let end = range.position + range.size_bytes as u64;
        while position < end {
            let rest = (end - position) as usize;
            let sent =
                rustix::fs::sendfile(stream, file, Some(&mut position), rest).context("send records")?;
            ensure!(sent > 0, "a file is shorter than its partition");
        }
        Ok(())
    }

    fn partition(&self, topic: &[u8], index: i32) -> anyhow::Result<&Partition> {
        let index = usize::try_from(index).context("read the number of a partition")?;
        let found = self.topics.get(topic).and_then(|partitions| partitions.get(index));
        found.context("a request is about a partition that is not there")
    }
}

impl Partition {
    fn append(&mut self, records: &mut [u8]) -> anyhow::Result<i64> {
        let mut rest = &*records;
        let whole = batch::next(&mut rest).context("a request has no whole batch")?;
        ensure!(rest.is_empty(), "a request has more than one batch");
        let count = i64::from(batch::inspect(whole, true)?.record_count);
        let base_offset = self.end_offset;
        records[..8].copy_from_slice(&base_offset.to_be_bytes());
        let end = self.size_bytes + records.len() as u64;
        if end > self.allocated_bytes {
            let length = ALLOCATION_SIZE_BYTES.max(records.len() as u64);
            rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.size_bytes, length)
                .context("allocate blocks of a file")?;
            self.allocated_bytes = self.size_bytes + length;
        }
        self.file.write_all_at(records, self.size_bytes).context("append a batch")?;
        self.batches.push((base_offset, self.size_bytes));
        self.size_bytes = end;
        self.end_offset += count;
        Ok(base_offset)
    }

    fn positions(&self, offset: i64, limit_bytes: u64) -> (u64, u64) {
        if offset >= self.end_offset {
            return (self.size_bytes, self.size_bytes);
        }
        let first = self.batches.partition_point(|&(base_offset, _)| base_offset <= offset).saturating_sub(1);
        let position = self.batches[first].1;
        if position + limit_bytes >= self.size_bytes {
            return (position, self.size_bytes);
        }
        let behind = self.batches.partition_point(|&(_, at)| at <= position + limit_bytes) - 1;
        let end = if behind > first { self.batches[behind].1 } else { self.end_of(first) };
        (position, end)
    }

    fn end_of(&self, batch: usize) -> u64 {
        self.batches.get(batch + 1).map_or(self.size_bytes, |&(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_whole_batches_and_at_least_one() {
        let batch_at = [(0, 0), (10, 100), (20, 200)].to_vec();
        let file = File::open("/dev/null").unwrap();
        let partition =
            Partition { file, size_bytes: 300, allocated_bytes: 300, end_offset: 30, batches: batch_at };
        assert_eq!(partition.positions(0, 1), (0, 100));
        assert_eq!(partition.positions(0, 100), (0, 100));
        assert_eq!(partition.positions(5, 250), (0, 200));
        assert_eq!(partition.positions(10, 1_000), (100, 300));
        assert_eq!(partition.positions(20, 1), (200, 300));
        assert_eq!(partition.positions(30, 1), (300, 300));
    }
}
