//! Files: the only door to the file system.

use std::sync::Arc;

/// An open file that is read and written by position.
#[derive(Debug)]
pub struct File(std::fs::File);

impl File {
    /// The file for calls that send from it or wait on it.
    pub fn as_std(&self) -> &std::fs::File {
        &self.0
    }
}

/// A range of a file, held open while it waits to be sent.
#[derive(Clone, Debug)]
pub struct FileRegion {
    pub file: Arc<File>,
    /// Byte position of the first byte.
    pub position: u64,
    pub size_bytes: usize,
}
