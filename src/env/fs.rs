//! Files: the only door to the file system.
//!
//! Calls block and answer with the operating system's errors; whoever calls adds what it was doing. Tests make
//! a call fail through [`crate::env::faults`].

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::{Errno, ReadWriteFlags};

#[cfg(test)]
use crate::env::faults::{self, Operation};
use crate::protocol::ids::Timestamp;

/// An open file that is read and written by position.
#[derive(Debug)]
pub struct File {
    file: std::fs::File,
    #[cfg(test)]
    path: PathBuf,
}

impl File {
    /// Opens a file that exists, for reading and writing.
    pub fn open(path: &Path) -> io::Result<File> {
        File::open_with(path, std::fs::OpenOptions::new().read(true).write(true))
    }

    /// Opens a file for reading and writing, and creates it when it does not exist.
    pub fn create(path: &Path) -> io::Result<File> {
        File::open_with(path, std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false))
    }

    /// Opens a file for reading and writing, empty: one that does not exist is made, any other loses what it holds.
    pub fn create_empty(path: &Path) -> io::Result<File> {
        File::open_with(path, std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true))
    }

    fn open_with(path: &Path, options: &std::fs::OpenOptions) -> io::Result<File> {
        #[cfg(test)]
        faults::meet(Operation::Open, path)?;
        Ok(File {
            file: options.open(path)?,
            #[cfg(test)]
            path: path.to_owned(),
        })
    }

    /// The file for calls that send from it or wait on it.
    pub fn as_std(&self) -> &std::fs::File {
        &self.file
    }

    /// Writes all of `bytes` at `position`. After an error any part of them may have been written.
    pub fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Err((written_size, error)) = faults::meet_write(&self.path, bytes.len()) {
            self.file.write_all_at(&bytes[..written_size], position)?;
            return Err(error);
        }
        self.file.write_all_at(bytes, position)
    }

    /// Fills `into` from `position`; fewer bytes in the file are `UnexpectedEof`.
    pub fn read_exact_at(&self, into: &mut [u8], position: u64) -> io::Result<()> {
        #[cfg(test)]
        faults::meet(Operation::Read, &self.path)?;
        self.file.read_exact_at(into, position)
    }

    /// Reads what there is from `position`, at most `into`; answers how many bytes, fewer only at the end.
    pub fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        #[cfg(test)]
        faults::meet(Operation::Read, &self.path)?;
        let mut filled_size = 0;
        while filled_size < into.len() {
            match self.file.read_at(&mut into[filled_size..], position + filled_size as u64) {
                Ok(0) => break,
                Ok(size) => filled_size += size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled_size)
    }

    /// `fdatasync`.
    pub fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        faults::meet(Operation::Sync, &self.path)?;
        self.file.sync_data()
    }

    /// Reserves disk blocks for a range that may lie behind the end; the size stays.
    pub fn allocate_keep_size(&self, position: u64, size_bytes: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, position, size_bytes)?)
    }

    /// Sets the size and gives back the blocks reserved behind it.
    pub fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        #[cfg(test)]
        faults::meet(Operation::Truncate, &self.path)?;
        self.file.set_len(size_bytes)
    }

    /// Sets when the file was last written.
    pub fn set_modified(&self, at: Timestamp) -> io::Result<()> {
        let since_epoch = std::time::Duration::from_millis(u64::try_from(at.0).unwrap_or(0));
        self.file.set_modified(UNIX_EPOCH + since_epoch)
    }

    pub fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// A range of a file, held open while it waits to be sent.
#[derive(Clone, Debug)]
pub struct FileRegion {
    pub file: Arc<File>,
    /// Byte position of the first byte.
    pub position: u64,
    pub size_bytes: usize,
    /// This process wrote all of it at that time or later; none when that is not known.
    pub written_since: Option<Timestamp>,
}

/// What was written in so many milliseconds is in the page cache. The kernel drops nothing that it has not written back,
/// for which it takes its time (5 to 30 s unless memory runs out), and of the rest the oldest goes first. Where memory is
/// so short that this does not hold, a worker waits for the disk that it would otherwise have left to another thread.
const CERTAINLY_CACHED_MS: i64 = 10_000;

/// Ranges up to this size are judged by their first byte alone.
const SMALL_RANGE_SIZE_BYTES: usize = 64 * 1024;

impl FileRegion {
    /// Whether the range seems to be in the page cache, so that sending it waits for no disk: its first byte
    /// is, and for a long range its last one too. Nobody is asked about what was just written. A file system that cannot
    /// tell counts as cached.
    pub fn is_cached(&self, now: Timestamp) -> bool {
        if self.written_since.is_some_and(|since| (0..CERTAINLY_CACHED_MS).contains(&now.since(since))) {
            return true;
        }
        let last = self.position + self.size_bytes.saturating_sub(1) as u64;
        self.file.is_cached_at(self.position)
            && (self.size_bytes <= SMALL_RANGE_SIZE_BYTES || self.file.is_cached_at(last))
    }

    /// Fills `into`, which is as long as the range, if that waits for no disk; whether it did. A file system that cannot
    /// tell is waited for.
    pub fn read_if_cached(&self, into: &mut [u8]) -> bool {
        match self.file.read_cached_at(into, self.position) {
            Ok(size_bytes) => size_bytes == into.len(),
            Err(Errno::AGAIN) => false,
            // Who reads it when it should be there meets the same error, and has somebody to tell.
            Err(_) => self.file.read_exact_at(into, self.position).is_ok(),
        }
    }

    /// Brings the range into the page cache. Blocking.
    pub fn load(&self) -> io::Result<()> {
        let mut piece = vec![0; self.size_bytes.min(SMALL_RANGE_SIZE_BYTES)];
        let end = self.position + self.size_bytes as u64;
        let mut position = self.position;
        while position < end {
            let wanted = piece.len().min((end - position) as usize);
            match self.file.read_at(&mut piece[..wanted], position)? {
                // The file was cut; whoever sends it finds out.
                0 => return Ok(()),
                size_bytes => position += size_bytes as u64,
            }
        }
        Ok(())
    }
}

impl File {
    /// Whether a read of the byte at `position` would not wait for a disk.
    fn is_cached_at(&self, position: u64) -> bool {
        self.read_cached_at(&mut [0], position) != Err(Errno::AGAIN)
    }

    /// Reads what can be had from `position` on without waiting for a disk, at most `into`; `AGAIN` when that is nothing.
    fn read_cached_at(&self, into: &mut [u8], position: u64) -> Result<usize, Errno> {
        #[cfg(test)]
        faults::meet(Operation::ReadCached, &self.path).map_err(|error| {
            Errno::from_io_error(&error).expect("a fault is an error of the operating system")
        })?;
        let mut into = [io::IoSliceMut::new(into)];
        rustix::io::preadv2(&self.file, &mut into, position, ReadWriteFlags::NOWAIT)
    }
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub is_directory: bool,
}

/// What a directory holds, in the order of names. Names that are not UTF-8 are nobody's of ours and left out.
pub fn list(directory: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push(Entry { name, is_directory: entry.file_type()?.is_dir() });
        }
    }
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(entries)
}

/// The whole content of a file; `None` when there is no such file.
pub fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    absent_is_none(std::fs::read(path))
}

/// Size of a file in bytes; `None` when there is no such file.
pub fn file_size_bytes(path: &Path) -> io::Result<Option<u64>> {
    Ok(absent_is_none(std::fs::metadata(path))?.map(|metadata| metadata.len()))
}

/// When a file was last written.
pub fn modified(path: &Path) -> io::Result<Timestamp> {
    let since_epoch = std::fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp(since_epoch.as_millis() as i64))
}

pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Replaces a file so that a crash leaves the old or the new content: a temporary file beside it, fsync, rename,
/// fsync of the directory.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, bytes, true)?;
    rename(&temporary, path)?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Replaces a file that can be rebuilt: whole after a crash of the process, perhaps torn after a power cut.
pub fn replace_derived_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, bytes, false)?;
    rename(&temporary, path)
}

fn write_beside(path: &Path, bytes: &[u8], sync: bool) -> io::Result<PathBuf> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let file = write_file(&temporary, bytes)?;
    if sync {
        file.sync_data()?;
    }
    Ok(temporary)
}

/// Writes a file in its place: a crash may leave any beginning of it, and nothing of what it held before.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let file = File::create_empty(path)?;
    file.write_all_at(bytes, 0)?;
    Ok(file)
}

/// Makes creations, renames and removals in a directory survive a power cut.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Operation::Sync, directory)?;
    std::fs::File::open(directory)?.sync_all()
}

/// Writes everything that waits in memory for the file system that holds `directory`.
pub fn sync_file_system(directory: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Operation::Sync, directory)?;
    Ok(rustix::fs::syncfs(std::fs::File::open(directory)?)?)
}

pub fn create_directories(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)
}

/// As [`create_directories`]; answers whether the directory is new, and so empty.
pub fn create_new_directory(directory: &Path) -> io::Result<bool> {
    match std::fs::create_dir(directory) {
        Ok(()) => Ok(true),
        Err(_) => create_directories(directory).map(|()| false),
    }
}

pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Operation::Rename, from)?;
    std::fs::rename(from, to)
}

/// Removes a file; one that is absent already is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    absent_is_none(std::fs::remove_file(path)).map(|_| ())
}

/// Removes a directory with all it holds; one that is absent already is no error.
pub fn remove_directory(directory: &Path) -> io::Result<()> {
    absent_is_none(std::fs::remove_dir_all(directory)).map(|_| ())
}

/// Size and free space of a file system in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total_bytes: u64,
    /// What a process without privileges may still use.
    pub usable_bytes: u64,
}

/// Space of the file system that holds `path`.
pub fn space(path: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Space { total_bytes: stat.f_blocks * stat.f_frsize, usable_bytes: stat.f_bavail * stat.f_frsize })
}

/// An exclusive lock that ends with this value or with the process.
#[derive(Debug)]
pub struct FileLock(
    #[expect(dead_code, reason = "the lock lives as long as its file is open")] std::fs::File,
);

/// Locks a file, creating it first; `None` when somebody else holds it.
pub fn lock_file(path: &Path) -> io::Result<Option<FileLock>> {
    let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(FileLock(file))),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether the error says that space, quota or file descriptors ran out: it may go away by itself.
pub fn is_exhaustion(error: &io::Error) -> bool {
    is_out_of_space(error) || is_out_of_descriptors(error)
}

/// ENOSPC or EDQUOT.
pub fn is_out_of_space(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT))
}

/// EMFILE or ENFILE.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// How many descriptors this process may hold open.
pub fn descriptor_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_left_the_page_cache_is_brought_back() {
        let directory = tempfile::tempdir().expect("make a directory");
        let file = Arc::new(File::create(&directory.path().join("segment")).expect("create"));
        file.write_all_at(&vec![7; 300_000], 0).expect("write");
        file.sync_data().expect("sync");
        let now = Timestamp(1_000_000);
        let region =
            FileRegion { file: file.clone(), position: 1000, size_bytes: 200_000, written_since: None };
        assert!(region.is_cached(now));
        rustix::fs::fadvise(file.as_std(), 0, None, rustix::fs::Advice::DontNeed).expect("advise");
        // A file system in memory keeps its pages whatever it is told; any other has let them go.
        region.load().expect("load");
        assert!(region.is_cached(now));
        let mut bytes = vec![0; 200_000];
        assert!(region.read_if_cached(&mut bytes));
        assert!(bytes.iter().all(|byte| *byte == 7));
        let behind_the_end = FileRegion { position: 299_000, ..region };
        behind_the_end.load().expect("a cut file is no error here");
        assert!(!behind_the_end.read_if_cached(&mut bytes), "a cut file gives no part of the range");
    }

    #[test]
    fn nobody_is_asked_about_what_was_just_written() {
        let directory = tempfile::tempdir().expect("make a directory");
        let path = directory.path().join("segment");
        let file = Arc::new(File::create(&path).expect("create"));
        file.write_all_at(&[7; 1000], 0).expect("write");
        let _fault = faults::on(Operation::ReadCached, &path, Errno::AGAIN).inject();
        let is_cached = |written_since, now| {
            FileRegion { file: file.clone(), position: 0, size_bytes: 1000, written_since }
                .is_cached(Timestamp(now))
        };
        assert!(!is_cached(None, 50_000), "the kernel is asked");
        assert!(is_cached(Some(Timestamp(50_000)), 50_000));
        assert!(is_cached(Some(Timestamp(50_000)), 59_999));
        assert!(!is_cached(Some(Timestamp(50_000)), 60_000));
        assert!(!is_cached(Some(Timestamp(50_000)), 49_999), "the clock was set back");
    }
}
